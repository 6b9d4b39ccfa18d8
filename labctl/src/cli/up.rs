//! `labctl up`: starts a lab and waits until every node is ready, and every program of the topology.

use super::{Exit, Failure, Global, Output};
use crate::lab::fault::Fault;
use crate::lab::interrupt::Interrupt;
use crate::lab::rundir::RunRoot;
use crate::lab::{launch, plan};
use crate::topology::render::plural;
use crate::ui::Progress;
use serde_json::json;
use std::time::Instant;

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let begin = Instant::now();
    let file = global.topology_file()?;
    let lab = global.load()?;
    out.warnings(&lab.warnings);
    let text = std::fs::read(&file).map_err(Fault::io("read", &file))?;
    let file = std::path::absolute(&file).map_err(Fault::io("find", &file))?;
    let dir = RunRoot::create()?.lab(&lab.name);
    let plan = plan::plan(&lab, &file, &dir)?;
    let (nodes, buses) = (plan.nodes.len(), plan.state.buses.len());
    let programs = plan.state.programs.len();
    let interrupt = Interrupt::catch()?;
    let progress = Progress::new("starting", nodes, global.quiet || global.json);
    launch::up(&dir, &plan, &text, &interrupt, None, |ready| progress.set(ready))?;
    drop(progress);
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    if global.json {
        let took_ms = (took * 1000.0).round() / 1000.0;
        out.json(&json!({ "lab": lab.name, "state": "up", "nodes": nodes, "buses": buses, "programs": programs, "took_ms": took_ms }))?;
    } else {
        let (nodes, buses) = (plural(nodes, "node"), plural(buses, "bus"));
        let programs = if programs > 0 { format!(", {}", plural(programs, "program")) } else { String::new() };
        out.say(format_args!("lab `{}` is up: {nodes}, {buses}{programs}, {took:.0} ms", lab.name))?;
        if !lab.events.is_empty() {
            out.say(format_args!("its {} happen in `labctl test` only", plural(lab.events.len(), "event")))?;
        }
    }
    Ok(Exit::Done)
}
