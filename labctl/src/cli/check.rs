//! `labctl check [--show] [FILE…]`: says whether topologies are in order, and what was derived from them.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Failure, Global, Output};
use crate::topology::model::Lab;
use crate::topology::render::plural;
use crate::topology::{load, show};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the full model: names, addresses, routes, checks
    #[arg(long)]
    show: bool,
    /// Topology files, instead of the one that -t names or that is found
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks each file; the faults of all are printed.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    if args.files.is_empty() {
        let file = global.topology_file()?;
        one(&global.load()?, &file.display().to_string(), args.show, global, out)?;
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    for file in &args.files {
        match load(file) {
            Ok(lab) => one(&lab, &file.display().to_string(), args.show, global, out)?,
            Err(faults) => {
                out.failure(&faults.into());
                exit = Exit::Usage;
            }
        }
    }
    Ok(exit)
}

fn one(lab: &Lab, file: &str, show: bool, global: &Global, out: &mut Output) -> Result<(), Failure> {
    out.flush()?;
    out.warnings(&lab.warnings);
    match (show, global.json) {
        (true, true) => out.json(lab),
        (true, false) => Ok(write!(out, "{}", show::text(lab))?),
        (false, true) => out.json(&serde_json::json!({ "file": file, "ok": true, "lab": lab.name, "counts": counts(lab) })),
        (false, false) => {
            let counts: Vec<String> =
                counts(lab).into_iter().filter(|(_, n)| *n > 0).map(|(noun, n)| plural(n, noun)).collect();
            out.say(format_args!("ok  {file}: {}", counts.join(", ")))
        }
    }
}

fn counts(lab: &Lab) -> indexmap::IndexMap<&'static str, usize> {
    let routes = lab.nodes.values().map(|node| node.routes.len()).sum();
    let interfaces = lab.nodes.values().map(|node| node.interfaces.len()).sum();
    [
        ("node", lab.nodes.len()),
        ("bus", lab.buses.len()),
        ("interface", interfaces),
        ("route", routes),
        ("program", lab.programs.len()),
        ("event", lab.events.len()),
        ("check", lab.checks.len()),
    ]
    .into_iter()
    .collect()
}
