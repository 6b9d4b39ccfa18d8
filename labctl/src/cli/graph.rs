//! `labctl graph [--format F] [-o FILE]`: draws the lab.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, Failure, Global, Output};
use crate::graph::{self, Format};

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How it is drawn [default: as the file's name ends (.svg, .dot, .mmd), else ascii]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Draws the lab that the topology file means.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let lab = global.load()?;
    let named = || args.output.as_deref().and_then(format_of);
    let text = graph::draw(&lab, args.format.or_else(named).unwrap_or(Format::Ascii));
    match args.output {
        None => out.write_all(text.as_bytes())?,
        Some(file) => {
            std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            out.say(format_args!("wrote {}", file.display()))?;
        }
    }
    Ok(Exit::Done)
}

/// The format that a file's name asks for.
fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "svg" => Some(Format::Svg),
        "dot" | "gv" => Some(Format::Dot),
        "mmd" | "mermaid" => Some(Format::Mermaid),
        _ => None,
    }
}
