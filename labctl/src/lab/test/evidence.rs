//! What is kept of a test: every bus as a capture file, the tables of every node, every node's and program's log that says
//! something, and the report with the events and the checks.

use super::super::fault::Fault;
use super::super::rundir::LabDir;
use super::super::sim::Sim;
use super::super::state::{BusState, LabState};
use crate::capture::dump::dump;
use crate::capture::filter::{Filter, NoNames};
use crate::capture::names::Names;
use crate::capture::sink::{PcapSink, Pipeline, Sink};
use crate::capture::source::{Sender, Source, WireFrame};
use crate::topology::model::Lab;
use rumpkern::ctl::proto::Table;
use rumpkern::rumpuser::virt::wire::{Passed, Wire};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Writes what a live lab's buses remember, and its logs.
pub(super) fn of_live(dir: &LabDir, state: &LabState, lab: &Lab, folder: &Path) -> Result<(), Fault> {
    for bus in state.buses.iter().filter(|bus| lab.capture.buses.contains(&bus.name)) {
        let path = folder.join(format!("{}.pcapng", bus.name));
        fs::File::create(&path)
            .and_then(|file| write(dir, state, bus, BufWriter::new(file)))
            .map_err(Fault::io("write", &path))?;
    }
    for node in &state.nodes {
        let place = dir.node(&node.name);
        for (from, kind) in [(place.log(), "log"), (place.events_log(), "events.log")] {
            if fs::metadata(&from).is_ok_and(|meta| meta.len() > 0) {
                let path = folder.join(format!("{}.{kind}", node.name));
                fs::copy(&from, &path).map_err(Fault::io("write", &path))?;
            }
        }
    }
    for program in &state.programs {
        let place = dir.program(&program.name);
        for (from, kind) in [(place.log(), "log"), (place.stdout(), "stdout"), (place.stderr(), "stderr")] {
            if fs::metadata(&from).is_ok_and(|meta| meta.len() > 0) {
                let path = folder.join(format!("program-{}.{kind}", program.name));
                fs::copy(&from, &path).map_err(Fault::io("write", &path))?;
            }
        }
    }
    Ok(())
}

/// The same of a lab in virtual time.
pub(super) fn of_simulated(sim: &Sim<'_>, lab: &Lab, folder: &Path) -> Result<(), Fault> {
    for bus in sim.state.buses.iter().filter(|bus| lab.capture.buses.contains(&bus.name)) {
        let path = folder.join(format!("{}.pcapng", bus.name));
        let file = fs::File::create(&path).map_err(Fault::io("write", &path))?;
        let written = sim.with_bus(&bus.name, |wire| write_wire(sim, bus, wire, BufWriter::new(file)));
        written.unwrap_or(Ok(())).map_err(Fault::io("write", &path))?;
    }
    let mut logs: BTreeMap<Rc<str>, String> = BTreeMap::new();
    for line in sim.take_log() {
        let text = logs.entry(line.node).or_default();
        let seconds = line.time.as_nanos() as f64 / 1e9;
        let _ = writeln!(text, "{seconds:.9} {:>5} {}", line.level.as_str(), line.text);
    }
    for (node, text) in logs {
        let path = folder.join(format!("{node}.log"));
        fs::write(&path, text).map_err(Fault::io("write", &path))?;
    }
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for program in sim.background().iter() {
        let run = program.run();
        let text = said.entry(program.node.clone()).or_default();
        text.push_str(&run.out);
        text.push_str(&run.err);
    }
    for (node, text) in said.into_iter().filter(|(_, text)| !text.is_empty()) {
        let path = folder.join(format!("{node}.events.log"));
        fs::write(&path, text).map_err(Fault::io("write", &path))?;
    }
    Ok(())
}

/// Writes what a bus in virtual time remembers.
pub(crate) fn write_wire(
    sim: &Sim<'_>,
    bus: &BusState,
    wire: &Wire,
    out: impl Write + 'static,
) -> io::Result<()> {
    let mut sink = PcapSink::new(out, &sim.state.lab, &Names::of_lab(&sim.state), "")?;
    let forgotten = remembered(sim, bus, wire, |frame| sink.frame(frame))?;
    sink.end(forgotten)
}

/// Shows `each` the frames that a bus in virtual time remembers, oldest first. How many it has forgotten.
pub(super) fn remembered(
    sim: &Sim<'_>,
    bus: &BusState,
    wire: &Wire,
    mut each: impl FnMut(&WireFrame<'_>) -> io::Result<()>,
) -> io::Result<u64> {
    let mut forgotten = None;
    for passed in wire.history() {
        forgotten.get_or_insert(passed.seq);
        frames_of(sim, bus, passed, &mut each)?;
    }
    Ok(forgotten.unwrap_or(0))
}

/// Shows `each` the frames that a record on a bus in virtual time is on a real wire.
pub(super) fn frames_of(
    sim: &Sim<'_>,
    bus: &BusState,
    passed: &Passed,
    mut each: impl FnMut(&WireFrame<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let lab = &sim.state.lab;
    let name = &passed.sender;
    let label = format!("{}:{}", name.node, name.interface);
    let sender =
        Sender { node: name.node.clone(), interface: name.interface.clone(), mac: name.mac.0, label };
    let mut frames = Vec::new();
    passed.for_each_frame(|octets| frames.push(octets.to_vec()));
    let time_ns = passed.time.as_nanos();
    let unix_ns = sim.state.epoch.unix_ns + time_ns;
    for (n, octets) in frames.iter().enumerate() {
        let segment = (n + 1, frames.len());
        each(&WireFrame { bus: &bus.name, lab, sender: &sender, time_ns, unix_ns, segment, octets })?;
    }
    Ok(())
}

/// Writes the tables of every node that answers: `NODE.json`, an object with a table a key.
pub(super) fn tables(
    state: &LabState,
    folder: &Path,
    show: impl Fn(&str, Table) -> Result<Vec<Value>, Fault>,
) -> Result<(), Fault> {
    for node in &state.nodes {
        let mut all = serde_json::Map::new();
        for (name, table) in TABLES {
            if let Ok(rows) = show(&node.name, table) {
                all.insert(name.to_owned(), Value::Array(rows));
            }
        }
        if !all.is_empty() {
            let path = folder.join(format!("{}.json", node.name));
            fs::write(&path, format!("{:#}\n", Value::Object(all))).map_err(Fault::io("write", &path))?;
        }
    }
    Ok(())
}

/// The tables that are kept.
const TABLES: [(&str, Table); 5] = [
    ("addr", Table::Addr),
    ("route", Table::Route),
    ("neigh", Table::Neigh),
    ("sockets", Table::Sockets),
    ("stats", Table::Stats),
];

/// Writes what happened: `report.json`.
pub(super) fn report(folder: &Path, report: &Value) -> Result<(), Fault> {
    let path = folder.join("report.json");
    fs::write(&path, format!("{report:#}\n")).map_err(Fault::io("write", &path))
}

/// The folder `LAB-seed-N` below `artifacts`: what is in it from another run of this seed is written anew.
pub(super) fn folder_of_seed(artifacts: &Path, lab: &str, seed: u64) -> Result<PathBuf, Fault> {
    let folder = artifacts.join(format!("{lab}-seed-{seed}"));
    fs::create_dir_all(&folder).map_err(Fault::io("create", &folder))?;
    Ok(folder)
}

/// A new folder `LAB-N` below `artifacts`.
pub(super) fn folder(artifacts: &Path, lab: &str) -> Result<PathBuf, Fault> {
    fs::create_dir_all(artifacts).map_err(Fault::io("create", artifacts))?;
    let mut number = 1;
    loop {
        let folder = artifacts.join(format!("{lab}-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Fault::io("create", &folder)(error)),
        }
    }
}

fn write(dir: &LabDir, state: &LabState, bus: &BusState, out: BufWriter<fs::File>) -> io::Result<()> {
    let source = Source::open(&dir.bus(&bus.name)).map_err(io::Error::other)?;
    let sink = PcapSink::new(out, &state.lab, &Names::of_lab(state), "")?;
    let filter = Filter::parse("", &NoNames).map_err(io::Error::other)?;
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
    let mut pipeline =
        Pipeline { filter, only: None, since_ns: 0, limit: None, sinks, counts: Default::default() };
    dump(&mut [source], &mut pipeline)?;
    pipeline.end().map(drop)
}
