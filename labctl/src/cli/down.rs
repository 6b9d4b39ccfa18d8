//! `labctl down [--all]`: stops everything of a lab, from what its directory and the host's processes say.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::rundir::RunRoot;
use crate::lab::stop::{self, Ended};
use crate::topology::render::plural;

/// Arguments of `down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Every lab of this user
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    crate::lab::limits::raise_soft();
    if !args.all {
        let ended = stop::down(&running::lab(global)?)?;
        say(&ended, global, out)?;
        return Ok(Exit::Done);
    }
    let mut fault = None;
    let mut count = 0;
    if let Some(root) = RunRoot::open()? {
        for result in stop::down_all(&root)? {
            match result {
                Ok(ended) => {
                    say(&ended, global, out)?;
                    count += 1;
                }
                // The others come down all the same; the last fault is told.
                Err(one) => fault = Some(one),
            }
        }
    }
    match fault {
        Some(fault) => Err(fault.into()),
        None => {
            if count == 0 && !global.json {
                out.say("no lab is running")?;
            }
            Ok(Exit::Done)
        }
    }
}

fn say(ended: &Ended, global: &Global, out: &mut Output) -> Result<(), Failure> {
    if global.json {
        return out.json(ended);
    }
    out.say(format_args!("lab `{}` is down: {} ended", ended.lab, what(ended)))
}

/// What a lab consisted of.
pub(super) fn what(ended: &Ended) -> String {
    let nodes = plural(ended.processes, "node");
    match ended.programs {
        0 => nodes,
        programs => format!("{nodes} and {}", plural(programs, "program")),
    }
}
