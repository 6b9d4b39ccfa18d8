//! `labctl sysctl NODE [NAME | NAME=VALUE]…`: a node's TCP values, told and changed as sysctl(8) does.

use super::{Exit, Failure, Global, Output, running};
use rumpkern::ctl::proto::Variable;
use serde_json::{Map, Value};
use std::io::Write;

/// Arguments of `sysctl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node
    node: String,
    /// Values to be told, or to be changed first; none: tell all
    #[arg(value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
    /// Print the values without their names
    #[arg(short = 'n', long)]
    values: bool,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    if args.variables.is_empty() {
        let all = session.variables(&args.node)?;
        if global.json {
            out.json(&all.into_iter().map(entry).collect::<Map<_, _>>())?;
        } else {
            all.iter().try_for_each(|one| print(one, args.values, out))?;
        }
        return Ok(Exit::Done);
    }
    let mut told = Map::new();
    for word in &args.variables {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (word.as_str(), None),
        };
        let one = session.variable(&args.node, name, value)?;
        if global.json {
            told.extend([entry(one)]);
        } else {
            print(&one, args.values, out)?;
        }
    }
    if global.json {
        out.json(&told)?;
    }
    Ok(Exit::Done)
}

fn entry(one: Variable) -> (String, Value) {
    (one.name, one.value.into())
}

fn print(one: &Variable, value_only: bool, out: &mut Output) -> Result<(), Failure> {
    let Variable { name, value } = one;
    Ok(if value_only { writeln!(out, "{value}") } else { writeln!(out, "{name} = {value}") }?)
}
