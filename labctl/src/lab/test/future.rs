//! One future of a lab in virtual time, step by step.
//!
//! What was done to it is remembered: since a run is a function of its topology, its seed and what is done when, a second future that
//! has the same past is made by living it again ([`Future::fork`]).

use super::probe::Stage;
use super::simulated::Simulated;
use super::{CheckReport, Scene, evidence};
use crate::capture::sink::Sink;
use crate::lab::fault::Fault;
use crate::lab::plan;
use crate::lab::session::Run;
use crate::lab::sim::{Sim, Stepped, Upcoming};
use crate::topology::model::{Act, Check, Lab};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Duration;

/// Something that was done.
#[derive(Clone, Debug)]
enum Deed {
    /// So many things happened, none later than `end`; and if nothing more did before, it became that late.
    Steps { end: Duration, steps: u64, passed: bool },
    /// An act, and how it was written.
    Act(String, Box<Act>),
    /// A built-in program was started.
    Start(String, Vec<String>),
    /// A check was made.
    Check(Box<Check>),
}

/// A lab in virtual time, and how it came to be as it is.
pub struct Future<'a> {
    lab: &'a Lab,
    topology: &'a Path,
    seed: u64,
    cut: &'a dyn Fn() -> bool,
    stage: Simulated<'a>,
    past: Vec<Deed>,
    /// Records that had crossed each bus when frames were last shown.
    shown: Vec<u64>,
}

impl<'a> Future<'a> {
    /// A lab that is just ready. `cut`: whether the person wants what is being done to end.
    ///
    /// # Errors
    /// A node refuses its configuration, or the lab has what only a live one can have.
    pub fn new(
        lab: &'a Lab,
        topology: &'a Path,
        seed: u64,
        cut: &'a dyn Fn() -> bool,
    ) -> Result<Self, Fault> {
        let plan = plan::plan_virtual(lab, topology, seed)?;
        let shown = vec![0; plan.state.buses.len()];
        let stage = Simulated::new(lab, Sim::up(lab, plan, Box::new(cut))?);
        Ok(Self { lab, topology, seed, cut, stage, past: Vec::new(), shown })
    }

    /// Another one with the same past.
    ///
    /// # Errors
    /// As [`Future::new`].
    pub fn fork(&self) -> Result<Self, Fault> {
        let mut other = Self::new(self.lab, self.topology, self.seed, self.cut)?;
        for deed in &self.past {
            match deed.clone() {
                Deed::Steps { end, steps, passed } => {
                    for _ in 0..steps {
                        other.stage.step(end);
                    }
                    if passed {
                        other.stage.pass(end)?;
                    }
                }
                Deed::Act(words, act) => other.stage.sim.act(words, *act),
                Deed::Start(node, argv) => drop(other.stage.sim.spawn(&node, &argv, false)),
                Deed::Check(check) => drop(other.judge(&check)),
            }
        }
        other.past = self.past.clone();
        other.shown = self.shown.clone();
        Ok(other)
    }

    /// The lab.
    pub fn sim(&self) -> &Sim<'a> {
        &self.stage.sim
    }

    /// Lets things happen until `end`, at most so many, and as long as `more` says so; whether it is as late as `end` now.
    pub fn advance(&mut self, end: Duration, most: u64, mut more: impl FnMut(&Self) -> bool) -> Stepped {
        self.stage.sim.go_on();
        let mut steps = 0;
        let stepped = loop {
            if steps == most || !more(self) {
                break Stepped::Happened;
            }
            match self.stage.step(end) {
                Stepped::Happened => steps += 1,
                other => break other,
            }
        };
        let passed = stepped == Stepped::Late || (stepped == Stepped::Never && end < Duration::MAX);
        if passed {
            self.stage.sim.run_until(end);
        }
        self.past.push(Deed::Steps { end, steps, passed });
        stepped
    }

    /// Does what an event would do, now.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn act(&mut self, words: String, act: Act) -> Result<(), Fault> {
        self.stage.sim.act(words.clone(), act.clone());
        self.past.push(Deed::Act(words, Box::new(act)));
        let before = self.happened().len();
        self.advance(self.sim().now(), u64::MAX, |future| future.happened().len() == before);
        let last = self.happened().into_iter().nth(before).and_then(|event| event.fault);
        last.map_or(Ok(()), |message| Err(Fault::Usage(message)))
    }

    fn happened(&self) -> Vec<crate::lab::events::EventReport> {
        let mut events = self.stage.events();
        events.retain(|event| event.at.is_some());
        events
    }

    /// Runs a built-in program to its end, or until nothing more will happen.
    ///
    /// # Errors
    /// There is no such node or program, or the node is down.
    pub fn run(&mut self, node: &str, argv: &[String]) -> Result<Run, Fault> {
        let program = self.stage.sim.spawn(node, argv, false)?;
        self.past.push(Deed::Start(node.to_owned(), argv.to_vec()));
        match self.advance(Duration::MAX, u64::MAX, |_| program.status().is_none()) {
            Stepped::Cut => Err(Fault::Interrupted),
            Stepped::Never => {
                Err(Fault::NoProgress { waiting: format!("`{}` on node `{node}` waits", program.name) })
            }
            Stepped::Happened | Stepped::Late => Ok(program.run()),
        }
    }

    /// Makes a check of the topology now.
    ///
    /// # Errors
    /// The lab has no such check.
    pub fn check(&mut self, name: &str) -> Result<CheckReport, Fault> {
        let checks = &self.lab.checks;
        let Some(check) = checks.iter().find(|check| check.name == name) else {
            let names: Vec<_> = checks.iter().map(|check| format!("`{}`", check.name)).collect();
            return Err(Fault::Usage(format!("there is no check `{name}`; there are: {}", names.join(", "))));
        };
        let check = Check { after: None, ..check.clone() };
        self.stage.sim.go_on();
        let report = self.judge(&check);
        self.past.push(Deed::Check(Box::new(check)));
        report
    }

    fn judge(&mut self, check: &Check) -> Result<CheckReport, Fault> {
        Scene { lab: self.lab, stage: &mut self.stage, deadline: Duration::MAX }.check(check)
    }

    /// How many frames have crossed all buses.
    pub fn frames(&self) -> u64 {
        let state = &self.sim().state;
        state.buses.iter().filter_map(|bus| self.sim().with_bus(&bus.name, |wire| wire.frames())).sum()
    }

    /// Gives `sink` the frames that the buses remember and that were not shown before, in the order of their times.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn show_frames(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        let sim = &self.stage.sim;
        let mut records = Vec::new();
        for (bus, shown) in sim.state.buses.iter().zip(&mut self.shown) {
            sim.with_bus(&bus.name, |wire| {
                let first = std::mem::replace(shown, wire.frames());
                records.extend(wire.history().filter(|one| one.seq >= first).map(|one| (bus, one.clone())));
            });
        }
        records.sort_by_key(|(_, record)| record.time);
        records
            .iter()
            .try_for_each(|(bus, record)| evidence::frames_of(sim, bus, record, |frame| sink.frame(frame)))
    }

    /// Writes what a bus remembers as a capture file.
    ///
    /// # Errors
    /// There is no such bus, or the file cannot be written.
    pub fn dump(&self, bus: &str, path: &Path) -> Result<(), Fault> {
        let bus = self.sim().state.expect_bus(bus)?;
        let file = File::create(path).map_err(Fault::io("write", path))?;
        let sim = self.sim();
        let written =
            sim.with_bus(&bus.name, |wire| evidence::write_wire(sim, bus, wire, BufWriter::new(file)));
        written.unwrap_or(Ok(())).map_err(Fault::io("write", path))
    }

    /// What happens next, and when.
    pub fn upcoming(&self) -> Vec<(Duration, Upcoming)> {
        self.sim().upcoming()
    }
}

impl std::fmt::Debug for Future<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Future").field("sim", self.sim()).finish_non_exhaustive()
    }
}
