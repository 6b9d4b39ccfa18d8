//! `labctl doctor`: what this host allows, and what to do about what it does not.

use super::{Exit, Failure, Global, Output};
use crate::lab::doctor::{self, Level};
use serde_json::json;
use std::io::Write;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let findings = doctor::examine();
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    if global.json {
        out.json(&json!({ "ok": worst < Level::Fail, "findings": findings }))?;
    } else {
        let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
        for finding in &findings {
            let (word, colour) = match finding.level {
                Level::Ok => ("ok  ", "32"),
                Level::Warn => ("warn", "33"),
                Level::Fail => ("fail", "31"),
            };
            let word = if out.colour() { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() };
            writeln!(out, "{word}  {:<width$}  {}", finding.name, finding.detail)?;
            if let Some(mend) = &finding.mend {
                writeln!(out, "{:6}{:<width$}  -> {mend}", "", "")?;
            }
        }
    }
    Ok(if worst == Level::Fail { Exit::Host } else { Exit::Done })
}
