//! `labctl logs [PROGRAM|NODE]… [-f]`: what programs and nodes wrote.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::fault::{Fault, nearest};
use crate::lab::interrupt::Interrupt;
use crate::lab::rundir::LabDir;
use crate::lab::state::LabState;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs of the topology, or nodes: what these said themselves, and their programs [default: all programs]
    #[arg(value_name = "PROGRAM|NODE")]
    names: Vec<String>,
    /// Go on with what is written, until Ctrl-C or the lab's end
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last so many lines of each
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<usize>,
}

/// How often is looked for more.
const TICK: Duration = Duration::from_millis(50);

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let dir = running::lab(global)?;
    // Also of a lab that is dead, or just being started.
    let state = match dir.exists()? {
        true => LabState::load(&dir)?,
        false => None,
    };
    let Some(state) = state else { return Err(Fault::NotRunning { lab: dir.name().to_owned() }.into()) };
    let mut logs = logs(&dir, &state, &args.names)?;
    let several = logs.iter().map(|log| &log.whose).collect::<BTreeSet<_>>().len() > 1;
    let manner = Manner { json: global.json, width: several.then(|| longest(&logs)) };
    for log in &mut logs {
        log.read(args.lines, manner, out)?;
    }
    if args.follow {
        let interrupt = Interrupt::catch()?;
        while interrupt.sleep(TICK)? && dir.path().exists() {
            for log in &mut logs {
                log.read(None, manner, out)?;
            }
            out.flush()?;
        }
    }
    for log in &mut logs {
        log.finish(manner, out)?;
    }
    Ok(Exit::Done)
}

fn longest(logs: &[Log]) -> usize {
    logs.iter().map(|log| log.whose.len()).max().unwrap_or(0)
}

/// The files that are meant.
fn logs(dir: &LabDir, state: &LabState, names: &[String]) -> Result<Vec<Log>, Fault> {
    let mut logs = Vec::new();
    let mut add = |whose: &str, kind: &'static str, stream: &'static str, path: PathBuf| {
        logs.push(Log { whose: whose.to_owned(), kind, stream, path, at: 0, partial: Vec::new() });
    };
    let is_meant = |name: &String| names.iter().any(|wanted| wanted == name);
    for name in names {
        let known = || state.nodes.iter().map(|node| &node.name).chain(state.programs.iter().map(|one| &one.name));
        if !known().any(|one| one == name) {
            let near = nearest(name, known().map(String::as_str));
            let (lab, name) = (state.lab.clone(), name.clone());
            return Err(Fault::NoSuch { lab, kind: "program or node", name, near });
        }
    }
    for node in state.nodes.iter().filter(|node| is_meant(&node.name)) {
        add(&node.name, "node", "log", dir.node(&node.name).log());
    }
    for program in &state.programs {
        if names.is_empty() || is_meant(&program.name) || is_meant(&program.node) {
            let place = dir.program(&program.name);
            add(&program.name, "program", "log", place.log());
            add(&program.name, "program", "stdout", place.stdout());
            add(&program.name, "program", "stderr", place.stderr());
        }
    }
    Ok(logs)
}

/// How lines are printed.
#[derive(Clone, Copy)]
struct Manner {
    json: bool,
    /// Whose they are is said, in so many columns.
    width: Option<usize>,
}

/// A file that grows.
struct Log {
    whose: String,
    kind: &'static str,
    stream: &'static str,
    path: PathBuf,
    at: u64,
    partial: Vec<u8>,
}

impl Log {
    /// Prints the whole lines that have come, or the last so many of them.
    fn read(&mut self, last: Option<usize>, manner: Manner, out: &mut Output) -> Result<(), Failure> {
        // It may not be there yet.
        let Ok(mut file) = File::open(&self.path) else { return Ok(()) };
        let length = file.metadata()?.len();
        if length < self.at {
            // Begun anew.
            (self.at, self.partial) = (0, Vec::new());
        }
        file.seek(SeekFrom::Start(self.at))?;
        self.at += file.take(length - self.at).read_to_end(&mut self.partial)? as u64;
        let Some(end) = self.partial.iter().rposition(|octet| *octet == b'\n') else { return Ok(()) };
        let whole: Vec<u8> = self.partial.drain(..=end).collect();
        let lines: Vec<&[u8]> = whole[..end].split(|octet| *octet == b'\n').collect();
        let skipped = last.map_or(0, |last| lines.len().saturating_sub(last));
        lines[skipped..].iter().try_for_each(|line| self.print(line, manner, out))
    }

    /// Prints a last line without an end.
    fn finish(&mut self, manner: Manner, out: &mut Output) -> Result<(), Failure> {
        match std::mem::take(&mut self.partial) {
            rest if rest.is_empty() => Ok(()),
            rest => self.print(&rest, manner, out),
        }
    }

    fn print(&self, line: &[u8], manner: Manner, out: &mut Output) -> Result<(), Failure> {
        if manner.json {
            let line = String::from_utf8_lossy(line);
            return out.json(&json!({ (self.kind): self.whose, "stream": self.stream, "line": line }));
        }
        if let Some(width) = manner.width {
            write!(out, "{:<width$} | ", self.whose)?;
        }
        out.write_all(line)?;
        Ok(out.write_all(b"\n")?)
    }
}
