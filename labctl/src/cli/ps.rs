//! `labctl ps`: the nodes of a lab and the programs on them, or all labs: what lives, where, with which addresses.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::fault::Fault;
use crate::lab::node;
use crate::lab::process::NodeProcess;
use crate::lab::program::{self, Doing, Shown};
use crate::lab::rundir::{LabDir, RunRoot};
use crate::lab::state::{InterfaceState, NodeState};
use crate::lab::view::{LabLife, LabView, NodeLife, Presence};
use crate::topology::render::plural;
use crate::ui::{Align, Table};
use rumphijack::{Report, Status};
use rumpkern::ctl::proto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

/// Arguments of `ps`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Every lab of this user
    #[arg(short, long)]
    all: bool,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let several = !args.all && global.lab.is_none() && global.topology_file().is_err();
    let labs = match RunRoot::open()? {
        Some(root) if args.all || several => root.labs()?,
        _ => Vec::new(),
    };
    if !args.all && labs.len() < 2 {
        return one(&running::lab(global)?, global, out);
    }
    if global.json {
        for dir in &labs {
            let view = json_of(dir).unwrap_or_else(|fault| {
                let (state, error) = unusable(&fault);
                Some(json!({ "lab": dir.name(), "state": state, "error": error, "nodes": [] }))
            });
            if let Some(view) = view {
                out.json(&view)?;
            }
        }
        return Ok(Exit::Done);
    }
    if labs.is_empty() {
        out.say("no lab is running")?;
        return Ok(Exit::Done);
    }
    overview(&labs, out)
}

/// What a list says of a lab that cannot be looked at.
fn unusable(fault: &Fault) -> (&'static str, String) {
    match fault {
        Fault::NotYours { uid, .. } => ("not yours", format!("belongs to user {uid}")),
        Fault::LooseMode { .. } => ("not private", fault.to_string()),
        _ => ("damaged", fault.to_string()),
    }
}

/// A line a lab.
fn overview(labs: &[LabDir], out: &mut Output) -> Result<Exit, Failure> {
    let columns = [("LAB", Align::Left), ("STATE", Align::Left), ("NODES", Align::Right), ("TOPOLOGY", Align::Left)];
    let mut table = Table::new(&columns);
    for dir in labs {
        let row = match Presence::of(dir) {
            Ok(Presence::Absent) => continue,
            Ok(Presence::Half { processes }) => {
                [dir.name().to_owned(), LabLife::HalfUp.as_str().into(), processes.len().to_string(), String::new()]
            }
            Ok(Presence::There(view)) => [
                dir.name().to_owned(),
                view.lab_life().as_str().into(),
                format!("{}/{}", view.running(), view.state.nodes.len()),
                view.state.topology.display().to_string(),
            ],
            Err(fault) => {
                let (state, error) = unusable(&fault);
                [dir.name().to_owned(), state.into(), String::new(), error]
            }
        };
        table.row(row);
    }
    write!(out, "{table}")?;
    Ok(Exit::Done)
}

fn one(dir: &LabDir, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    if global.json {
        let view = json_of(dir)?.ok_or_else(|| Fault::NotRunning { lab: dir.name().to_owned() })?;
        out.json(&view)?;
        return Ok(Exit::Done);
    }
    match Presence::of(dir)? {
        Presence::Absent => Err(Fault::NotRunning { lab: dir.name().to_owned() }.into()),
        Presence::Half { processes } => {
            let fault = Fault::HalfUp { lab: dir.name().to_owned() };
            out.say(format_args!("{fault}; {}", plural(processes.len(), "node")))?;
            out.say(format_args!("  help: {}", fault.mend().unwrap_or_default()))?;
            Ok(Exit::Done)
        }
        Presence::There(view) => {
            let state = &view.state;
            out.say(format_args!(
                "lab `{}` is {}: {} of {} running, {}",
                state.lab,
                view.lab_life().as_str(),
                view.running(),
                plural(state.nodes.len(), "node"),
                plural(state.buses.len(), "bus"),
            ))?;
            write!(out, "{}", nodes(&view))?;
            let programs = program::list(dir, state);
            if !programs.is_empty() {
                write!(out, "\n{}", table_of(&programs))?;
            }
            Ok(Exit::Done)
        }
    }
}

/// A line an interface; the node is named on its first.
fn nodes(view: &LabView) -> Table {
    let left = |title| (title, Align::Left);
    let mut table =
        Table::new(&[left("NODE"), left("STATE"), ("PID", Align::Right), left("IF"), left("BUS"), left("ADDRESS"), left("MAC")]);
    for node in &view.state.nodes {
        let life = view.life(node);
        let live = interfaces_now(view, node);
        let pid = view.process(&node.name).map_or(String::new(), |process| process.id.pid.to_string());
        let mut head = [node.name.clone(), life.as_str().to_owned(), pid];
        for address in &node.loopback {
            table.row(head.into_iter().chain(["lo".into(), String::new(), address.to_string()]));
            head = Default::default();
        }
        for one in &node.interfaces {
            let up = is_up(&live, one);
            let name = if up == Some(false) && life == NodeLife::Running { format!("{} (down)", one.name) } else { one.name.clone() };
            let addresses = addresses_of(&live, one);
            table.row(head.into_iter().chain([name, one.bus.clone(), addresses.join(" "), one.mac.clone()]));
            head = Default::default();
        }
        if !head[0].is_empty() {
            table.row(head);
        }
    }
    table
}

/// A line a program.
pub(super) fn table_of(programs: &[Shown]) -> Table {
    let left = |title| (title, Align::Left);
    let mut table =
        Table::new(&[left("PROGRAM"), left("NODE"), left("STATE"), ("PID", Align::Right), left("COMMAND")]);
    for one in programs {
        let name = if one.in_topology { one.name.clone() } else { format!("({})", one.name) };
        let pid = one.pid.map_or(String::new(), |pid| pid.to_string());
        table.row([name, one.node.clone(), one.doing.to_string(), pid, one.command.join(" ")]);
    }
    table
}

/// A program, as `ps --json` shows it.
pub(super) fn program_json(one: &Shown) -> Value {
    let (exit, signal) = match one.doing {
        Doing::Ended(Report::Ended(Status::Exited(code))) => (Some(code), None),
        Doing::Ended(Report::Ended(Status::Signalled(signal))) => (None, Some(signal)),
        Doing::Ended(_) | Doing::Running | Doing::Background | Doing::Dead => (None, None),
    };
    json!({
        "name": one.name,
        "from": if one.in_topology { "topology" } else { "exec" },
        "state": one.doing.word(),
        "exit": exit,
        "signal": signal,
        "pid": one.pid,
        "command": one.command,
    })
}

/// How long one node may keep the whole list waiting: a node that is well answers a thousand times faster.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the node itself says of its interfaces, by name; nothing if it cannot be asked.
type Live = BTreeMap<String, Value>;

fn interfaces_now(view: &LabView, of: &NodeState) -> Live {
    if view.life(of) != NodeLife::Running {
        return Live::new();
    }
    let rows = node::open(&view.dir, &of.name).and_then(|mut client| {
        let fault = |error| node::fault(view.dir.name(), &of.name, error);
        client.set_timeout(Some(PATIENCE)).map_err(fault)?;
        client.show(proto::Table::Interfaces).map_err(fault)
    });
    rows.unwrap_or_default().into_iter().filter_map(|row| Some((row["name"].as_str()?.to_owned(), row))).collect()
}

fn is_up(live: &Live, one: &InterfaceState) -> Option<bool> {
    live.get(&one.name)?["up"].as_bool()
}

/// The addresses now, else those of the topology.
fn addresses_of(live: &Live, one: &InterfaceState) -> Vec<String> {
    let now = live.get(&one.name).and_then(|row| row["addresses"].as_array());
    match now {
        Some(now) => now.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect(),
        None => one.addresses.iter().map(ToString::to_string).collect(),
    }
}

fn json_of(dir: &LabDir) -> Result<Option<Value>, Fault> {
    let view = match Presence::of(dir)? {
        Presence::Absent => return Ok(None),
        Presence::Half { processes } => {
            let nodes: Vec<_> = processes.iter().filter_map(|process| half_json(dir, process)).collect();
            return Ok(Some(json!({ "lab": dir.name(), "state": LabLife::HalfUp.as_str(), "nodes": nodes })));
        }
        Presence::There(view) => view,
    };
    let programs = program::list(dir, &view.state);
    let nodes: Vec<_> = view.state.nodes.iter().map(|node| node_json(&view, node, &programs)).collect();
    Ok(Some(json!({
        "lab": view.state.lab,
        "state": view.lab_life().as_str(),
        "topology": view.state.topology,
        "nodes": nodes,
    })))
}

fn half_json(dir: &LabDir, process: &NodeProcess) -> Option<Value> {
    let name = process.node_of(dir)?;
    Some(json!({ "name": name, "state": "running", "pid": process.id.pid, "interfaces": [], "programs": [] }))
}

fn node_json(view: &LabView, node: &NodeState, programs: &[Shown]) -> Value {
    let live = interfaces_now(view, node);
    let interfaces: Vec<_> = node
        .interfaces
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "bus": one.bus,
                "mac": one.mac,
                "mtu": one.mtu,
                "up": is_up(&live, one).unwrap_or(false),
                "addresses": addresses_of(&live, one),
            })
        })
        .collect();
    json!({
        "name": node.name,
        "state": view.life(node).as_str(),
        "pid": view.process(&node.name).map(|process| process.id.pid),
        "interfaces": interfaces,
        "loopback": node.loopback,
        "programs": programs.iter().filter(|one| one.node == node.name).map(program_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_of_another_user_is_not_damaged() {
        let path = std::path::PathBuf::from("/run/x");
        let foreign = Fault::NotYours { path: path.clone(), uid: 7 };
        assert_eq!(unusable(&foreign), ("not yours", "belongs to user 7".to_owned()));
        let damaged = Fault::Damaged { path, message: "bad".into() };
        assert_eq!(unusable(&damaged), ("damaged", "/run/x is damaged: bad".to_owned()));
    }
}
