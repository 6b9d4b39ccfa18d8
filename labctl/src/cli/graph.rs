//! `labctl graph [--format F] [-o FILE]`: draws the lab.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::{Exit, Failure, Global, Output};
use crate::graph::{self, Format};

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How it is drawn
    #[arg(long, value_enum, default_value_t = Format::Ascii)]
    format: Format,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Draws the lab that the topology file means.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let lab = global.load()?;
    let text = graph::draw(&lab, args.format);
    match args.output {
        None => out.write_all(text.as_bytes())?,
        Some(file) => {
            std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            out.say(format_args!("wrote {}", file.display()))?;
        }
    }
    Ok(Exit::Done)
}
