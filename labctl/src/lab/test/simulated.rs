//! A lab in virtual time, for its checks.

use super::super::events::{Condition, EventReport};
use super::super::fault::Fault;
use super::super::interrupt::Woken;
use super::super::names;
use super::super::session::{Run, port_in};
use super::super::sim::{self, Sim, Stepped};
use super::attempt::{Attempt, Bench};
use super::evidence;
use super::probe::{Ended, Patience, Probe, Server, Stage};
use super::report::CheckReport;
use super::tally::{Seen, Tallies};
use crate::capture::names::Names;
use crate::topology::model::{Check, Family, Lab, Output, Program, Zoned};
use rumpkern::ctl::proto::Table;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const LISTEN_WAIT: Duration = Duration::from_secs(5);

/// A lab in virtual time that is ready.
pub(super) struct Simulated<'a> {
    lab: &'a Lab,
    pub(super) sim: Sim<'a>,
    tallies: Rc<RefCell<Tallies>>,
    /// The time of the test is over then.
    deadline: Cell<Duration>,
    /// The host's time for it is over then.
    over: Option<Instant>,
}

impl<'a> Simulated<'a> {
    /// Counts what crosses its buses from now on.
    pub(super) fn new(lab: &'a Lab, sim: Sim<'a>) -> Self {
        let number = |bus: &str| {
            // The model names buses that there are.
            Ok::<_, Infallible>(sim.state.buses.iter().position(|one| one.name == bus).unwrap_or(usize::MAX))
        };
        let Ok(tallies) = Tallies::of(lab, Names::of_lab(&sim.state), 0, number);
        let tallies = Rc::new(RefCell::new(tallies));
        if !tallies.borrow().is_empty() {
            let tallies = tallies.clone();
            sim.tap(move |bus, passed| {
                let mut tallies = tallies.borrow_mut();
                tallies.count(bus, passed.time.as_nanos(), |each| passed.for_each_frame(each));
            });
        }
        Self { lab, sim, tallies, deadline: Cell::new(Duration::MAX), over: None }
    }

    /// It may take the host's time until then.
    pub(super) fn until_host(self, over: Instant) -> Self {
        Self { over: Some(over), ..self }
    }

    /// Lets the next thing happen, after a look at what events wait for.
    pub(super) fn step(&self, end: Duration) -> Stepped {
        if self.sim.should_look() {
            self.sim.look(|check| self.condition(check));
        }
        self.sim.step(end)
    }

    fn condition(&self, check: &Check) -> Condition {
        Bench { lab: self.lab, probe: self, until: None, hurry: false }.attempt(check).into()
    }

    /// Lets things happen until `done` says so; why it never will.
    fn until(&self, end: Duration, mut done: impl FnMut() -> bool) -> Result<(), Stepped> {
        let end = end.min(self.deadline.get());
        while !done() {
            match self.step(end) {
                Stepped::Happened => {}
                other => return Err(other),
            }
        }
        Ok(())
    }

    /// Waits for a program's end.
    fn end_of(&self, program: &sim::Program, patience: Patience) -> Result<Run, Fault> {
        let begin = self.sim.now();
        let (mut written, mut heard) = (0, begin);
        let waited = loop {
            let end = match patience {
                Patience::Until(until) => until,
                Patience::Silence(silence) => heard + silence,
            };
            let said = |written| program.written() > written;
            match self.until(end, || program.status().is_some() || said(written)) {
                Ok(()) if program.status().is_some() => break Ok(()),
                Ok(()) => (written, heard) = (program.written(), self.sim.now()),
                Err(why) => break Err(why),
            }
        };
        let up = self.sim.is_up(&program.node);
        match waited {
            Ok(()) if up => return Ok(program.run()),
            Ok(()) => {
                let (lab, node) = (self.sim.state.lab.clone(), program.node.clone());
                return Err(Fault::NodeNotRunning { lab, node, state: "down" });
            }
            Err(_) => self.sim.kill(program),
        }
        Err(match waited {
            Err(Stepped::Cut) => Fault::Interrupted,
            Err(Stepped::Never) => {
                Fault::NoProgress { waiting: format!("`{}` on node `{}` waits", program.name, program.node) }
            }
            _ => {
                let seconds = (self.sim.now() - begin).as_secs_f64();
                Fault::Unfinished { node: program.node.clone(), program: program.name.clone(), seconds }
            }
        })
    }
}

impl Stage for Simulated<'_> {
    fn now(&self) -> Duration {
        self.sim.now()
    }

    fn pass(&mut self, until: Duration) -> Result<(), Fault> {
        loop {
            match self.step(until) {
                Stepped::Happened => {}
                // Nothing would have happened until then.
                Stepped::Never => {
                    self.sim.run_until(until);
                    return Ok(());
                }
                Stepped::Late | Stepped::Cut => return Ok(()),
            }
        }
    }

    fn ended(&self) -> Option<Ended> {
        let over = self.over.is_some_and(|over| Instant::now() >= over);
        self.sim.is_cut().then_some(if over { Ended::OutOfTime } else { Ended::Interrupted })
    }

    fn attempt(
        &mut self,
        check: &Check,
        until: Option<Duration>,
        deadline: Duration,
    ) -> Result<(Attempt, Woken), Fault> {
        self.deadline.set(deadline);
        let attempt = Bench { lab: self.lab, probe: self, until, hurry: false }.attempt(check);
        let woken = match () {
            () if self.sim.is_cut() => Woken::Interrupted,
            () if self.sim.now() >= deadline => Woken::Timeout,
            () => Woken::Ready,
        };
        Ok((attempt, woken))
    }

    fn program(&mut self, _: &Program, _: Duration) -> Result<Option<CheckReport>, Fault> {
        // Refused by the plan.
        Ok(None)
    }

    fn events(&self) -> Vec<EventReport> {
        self.sim.events(|check| self.condition(check))
    }

    fn keep(&mut self, lab: &Lab, artifacts: &Path) -> Result<PathBuf, Fault> {
        let folder = evidence::folder_of_seed(artifacts, &lab.name, self.sim.state.seed)?;
        evidence::of_simulated(&self.sim, lab, &folder)?;
        evidence::tables(&self.sim.state, &folder, |node, table| self.sim.show(node, table))?;
        Ok(folder)
    }
}

impl<'a> Probe for Simulated<'a> {
    type Server<'p>
        = SimServer<'p, 'a>
    where
        Self: 'p;

    fn now(&self) -> Duration {
        self.sim.now()
    }

    fn resolve(&self, from: &str, to: &str, family: Option<Family>) -> Result<Zoned, Fault> {
        names::resolve(&self.sim.state, from, to, family, |node| {
            names::learn(
                node,
                |table| self.sim.show(&node.name, table).ok(),
                |pause| self.until(self.sim.now() + pause, || false) == Err(Stepped::Late),
            )
        })
    }

    fn addresses(&self, node: &str) -> Vec<IpAddr> {
        names::addresses(&self.sim.state, node, |table| self.sim.show(node, table).unwrap_or_default())
    }

    fn run(&self, node: &str, argv: &[String], json: bool, patience: Patience) -> Result<Run, Fault> {
        let program = self.sim.spawn(node, argv, json)?;
        self.end_of(&program, patience)
    }

    fn serve(&self, node: &str, argv: &[String], json: bool) -> Result<SimServer<'_, 'a>, Fault> {
        let program = self.sim.spawn(node, argv, json)?;
        let end = self.sim.now() + LISTEN_WAIT;
        let port = || program.err(port_in);
        let waited = self.until(end, || program.status().is_some() || port().is_some());
        match port() {
            Some(port) if program.status().is_none() => {
                Ok(SimServer { simulated: self, program: Some(program), port })
            }
            _ => {
                self.sim.kill(&program);
                Err(match waited {
                    Ok(()) => Fault::Refused { node: node.to_owned(), message: program.run().complaint() },
                    Err(Stepped::Cut) => Fault::Interrupted,
                    Err(_) => {
                        Fault::Refused { node: node.to_owned(), message: "it does not listen".to_owned() }
                    }
                })
            }
        }
    }

    fn show(&self, node: &str, table: Table) -> Result<Vec<Value>, Fault> {
        self.sim.show(node, table)
    }

    fn bus_counter(&self, bus: &str, name: &str) -> Result<Option<u64>, Fault> {
        let counted = self.sim.with_bus(bus, |wire| (wire.frames(), wire.counters()));
        Ok(counted.and_then(|(frames, counters)| match name {
            "frames" => Some(frames),
            "rx_frames" => Some(counters.rx.0),
            "rx_octets" => Some(counters.rx.1),
            "rx_lost" => Some(counters.rx_lost),
            "tx_frames" => Some(counters.tx.0),
            "tx_octets" => Some(counters.tx.1),
            // A wire in memory does not break, and loses nothing on the way in.
            "recoveries" | "repairs" | "rx_errors" | "tx_dropped" => Some(0),
            _ => None,
        }))
    }

    fn seen(&self, check: &str) -> Result<Seen, String> {
        self.tallies.borrow().seen(check)
    }

    fn cmd(&self, _: &str, cmd: &[String], _: &Output, _: Option<Duration>) -> Result<Attempt, Fault> {
        Err(Fault::LiveOnly { what: format!("`{}`", cmd.first().map_or("", String::as_str)) })
    }
}

/// A program that waits for others on a node in virtual time.
pub(super) struct SimServer<'p, 'a> {
    simulated: &'p Simulated<'a>,
    program: Option<sim::Program>,
    port: u16,
}

impl Server for SimServer<'_, '_> {
    fn port(&self) -> u16 {
        self.port
    }

    fn finish(mut self, patience: Duration) -> Option<Run> {
        let program = self.program.take()?;
        self.simulated.end_of(&program, Patience::Until(self.simulated.sim.now() + patience)).ok()
    }
}

impl Drop for SimServer<'_, '_> {
    fn drop(&mut self) {
        if let Some(program) = self.program.take() {
            self.simulated.sim.kill(&program);
        }
    }
}
