//! `labctl sim [FILE]`: a lab in virtual time at a prompt: step it, look at it, change it, fork its future.

mod console;

use super::{Exit, Failure, Global, Output};
use crate::lab::fault::Fault;
use crate::lab::interrupt::Interrupt;
use crate::lab::plan;
use crate::topology::units::{Duration, Quantity};
use console::{Console, Said};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of `sim`.
#[derive(Debug, clap::Args)]
#[command(after_help = "At the prompt, `help` says what there is. Without a terminal, commands come from the standard input.\n\n  \
    labctl sim --seed 17 --until 12.3s\n  echo 'run h1 ping -c 1 h2' | labctl sim -t hello.lab.toml")]
pub struct Args {
    /// The topology, instead of the one that -t names or that is found
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Seed of the lab's randomness
    #[arg(long, value_name = "N", value_parser = super::test::seed)]
    seed: Option<u64>,
    /// Further [[event]]s, as `test --explore` writes them
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Let everything happen until then, before the first command
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<std::time::Duration>,
}

/// A time with its unit: `12.3s`.
fn time(text: &str) -> Result<std::time::Duration, String> {
    Duration::parse(text).map(|time| time.0).map_err(|error| format!("{error}; for example 250us, 12.3s, 2min"))
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let file = args.file.clone().map_or_else(|| global.topology_file(), Ok)?;
    let further = match &args.events {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(Fault::io("read", path))?,
    };
    let lab = crate::topology::load_with(&file, &further)?;
    out.warnings(&lab.warnings);
    let path = std::path::absolute(&file).map_err(Fault::io("find", &file))?;
    let seed = args.seed.unwrap_or_else(|| plan::seed(&lab));
    let interrupt = Interrupt::catch()?;
    let cut = || interrupt.pending();
    let mut console = Console::new(&lab, &path, seed, &cut, out.colour())?;
    if let Some(until) = args.until {
        console.until(until);
    }
    if !std::io::stdin().is_terminal() {
        return batch(&mut console, out);
    }
    out.say(format_args!("{}: seed {seed}; `help` says what there is", lab.name))?;
    out.flush()?;
    let config = rustyline::Config::default();
    let mut editor = rustyline::Editor::<(), MemHistory>::with_history(config, MemHistory::new())
        .map_err(|error| Failure::Work(error.into()))?;
    loop {
        match editor.readline(&console.prompt()) {
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                match console.command(&line, out) {
                    Ok(Said::More) => {}
                    Ok(Said::Quit) => return Ok(Exit::Done),
                    Err(failure) => out.failure(&failure),
                }
                out.flush()?;
            }
            // Ctrl-C forgets the line.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(Exit::Done),
            Err(error) => return Err(Failure::Work(error.into())),
        }
    }
}

/// Commands from a file or a pipe: the first that fails is the last.
fn batch(console: &mut Console<'_>, out: &mut Output) -> Result<Exit, Failure> {
    for line in std::io::stdin().lock().lines() {
        if console.command(&line?, out)? == Said::Quit {
            break;
        }
        out.flush()?;
    }
    Ok(if console.has_failed() { Exit::Failed } else { Exit::Done })
}
