//! `labctl init [FILE]`: writes a commented topology to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::{Exit, Failure, Global, Output};

/// What is written.
pub const SCAFFOLD: &str = include_str!("init.lab.toml");

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write it
    #[arg(value_name = "FILE", default_value = "lab.toml")]
    file: PathBuf,
}

/// Writes the file, unless there is one.
pub(super) fn run(args: Args, _: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let file = args.file.display();
    let mut new = match OpenOptions::new().write(true).create_new(true).open(&args.file) {
        Ok(new) => new,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let hint = "name another: labctl init other.lab.toml".to_owned();
            return Err(Failure::usage(format!("{file} is there already"), hint));
        }
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::host(format!("cannot write {file}: {e}"), None));
        }
        Err(e) => return Err(Failure::Work(anyhow::Error::new(e).context(format!("cannot write {file}")))),
    };
    new.write_all(SCAFFOLD.as_bytes()).with_context(|| format!("cannot write {file}"))?;
    out.say(format_args!("wrote {file}; next: labctl check --show, labctl up"))?;
    Ok(Exit::Done)
}
