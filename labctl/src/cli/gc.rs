//! `labctl gc`: removes labs whose every node is dead or that a killed `labctl` left half made, and says which.

use super::{Exit, Failure, Global, Output};
use crate::lab::rundir::RunRoot;
use crate::lab::stop::{self, Sweep, Swept};
use crate::topology::render::plural;

/// Arguments of `gc`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    crate::lab::limits::raise_soft();
    let Sweep { swept, mut faults } = match RunRoot::open()? {
        Some(root) => stop::gc(&root)?,
        None => Sweep::default(),
    };
    if global.json {
        out.json(&swept)?;
    } else {
        say(&swept, out)?;
    }
    // Each is told; the last one is how it ends.
    let last = faults.pop();
    for fault in faults {
        out.failure(&fault.into());
    }
    match last {
        Some(fault) => Err(fault.into()),
        None => Ok(Exit::Done),
    }
}

fn say(swept: &Swept, out: &mut Output) -> Result<(), Failure> {
    for lab in &swept.labs {
        out.say(format_args!("lab `{}` removed: {} ended", lab.lab, super::down::what(lab)))?;
    }
    if swept.orphans > 0 {
        out.say(format_args!("{} without a lab ended", plural(swept.orphans, "node")))?;
    }
    if swept.programs > 0 {
        let programs = plural(swept.programs, "process");
        out.say(format_args!("{programs} of programs without a lab ended"))?;
    }
    if swept.leftovers > 0 {
        out.say(format_args!("{} of a killed `down` removed", plural(swept.leftovers, "folder")))?;
    }
    for lab in &swept.busy {
        out.say(format_args!("lab `{lab}` left alone: another labctl is changing it"))?;
    }
    if *swept == Swept::default() {
        out.say("nothing to remove")?;
    }
    Ok(())
}
