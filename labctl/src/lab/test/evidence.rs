//! What is kept of a test: every bus as a capture file, every node's and program's log that says something.

use super::super::fault::Fault;
use super::super::rundir::LabDir;
use super::super::state::{BusState, LabState};
use crate::capture::dump::dump;
use crate::capture::filter::{Filter, NoNames};
use crate::capture::names::Names;
use crate::capture::sink::{PcapSink, Pipeline, Sink};
use crate::capture::source::Source;
use crate::topology::model::Lab;
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// Writes the captures of a lab's buses into a new folder `LAB-N` below `artifacts`; returns it.
pub(super) fn keep(
    dir: &LabDir,
    state: &LabState,
    lab: &Lab,
    artifacts: &Path,
) -> Result<Option<PathBuf>, Fault> {
    let folder = new_folder(artifacts, &state.lab)?;
    for bus in state.buses.iter().filter(|bus| lab.capture.buses.contains(&bus.name)) {
        let path = folder.join(format!("{}.pcapng", bus.name));
        fs::File::create(&path)
            .and_then(|file| write(dir, state, bus, BufWriter::new(file)))
            .map_err(Fault::io("write", &path))?;
    }
    for node in &state.nodes {
        let log = dir.node(&node.name).log();
        if fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
            let path = folder.join(format!("{}.log", node.name));
            fs::copy(&log, &path).map_err(Fault::io("write", &path))?;
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
    Ok(Some(folder))
}

fn new_folder(artifacts: &Path, lab: &str) -> Result<PathBuf, Fault> {
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
