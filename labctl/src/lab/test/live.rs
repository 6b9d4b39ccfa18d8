//! A lab that runs on this host, for its checks.

use super::super::deeds::Deed;
use super::super::events::{Agenda, EventReport};
use super::super::exec;
use super::super::fault::{Fault, quoted};
use super::super::interrupt::{Interrupt, Woken};
use super::super::judge::{ending, judge};
use super::super::node::{self, End};
use super::super::program::{self, Record};
use super::super::rundir::LabDir;
use super::super::session::{self, Manners, Run, Session};
use super::super::state::LabState;
use super::attempt::{Attempt, Bench};
use super::probe::{Ended, Patience, Probe, Server, Stage};
use super::report::CheckReport;
use super::tally::Seen;
use super::wires::Wires;
use super::{PAUSE, evidence};
use crate::topology::model::{Check, Family, Lab, Output, Program, Zoned};
use rumpkern::ctl::proto::{Op, Table};
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A lab on this host that is ready.
pub(super) struct Live<'a> {
    pub(super) lab: &'a Lab,
    pub(super) dir: &'a LabDir,
    pub(super) state: Arc<LabState>,
    pub(super) wires: Wires,
    pub(super) ready: Instant,
    pub(super) interrupt: &'a Interrupt,
    pub(super) interrupted: bool,
    pub(super) agenda: Agenda<'a>,
}

impl Live<'_> {
    /// By which events that are due happen, and what else a try needs: both at once.
    fn parts(&mut self) -> (impl FnMut() -> Option<Instant>, &Wires) {
        let Live { lab, dir, state, wires, ready, interrupt, agenda, .. } = self;
        let ready = *ready;
        let (lab, wires): (&Lab, &Wires) = (lab, wires);
        let due = move || {
            if agenda.looks(ready.elapsed()).is_some_and(|at| at <= ready.elapsed()) {
                let session = Session::new(dir.clone(), Arc::clone(state));
                let probe = LiveProbe { session: &session, wires, ready };
                agenda.look(ready.elapsed(), |check| {
                    Bench { lab, probe: &probe, until: None, hurry: false }.attempt(check).into()
                });
            }
            agenda.run(ready.elapsed(), |deed| perform(dir, state, interrupt, deed));
            let looks = agenda.looks(ready.elapsed() + LOOK_EVERY);
            [looks, agenda.next()].into_iter().flatten().min().map(|at| ready + at)
        };
        (due, wires)
    }

    /// Waits until then or an event is due; false: the person wants an end.
    fn wait(&mut self, until: Duration) -> Result<bool, Fault> {
        let wake = self.ready + until;
        loop {
            let next = self.parts().0();
            let first = next.map_or(wake, |next| next.min(wake));
            match self.interrupt.wait(None, Some(first))? {
                Woken::Interrupted => return Ok(false),
                Woken::Ready | Woken::Timeout if Instant::now() < wake => {}
                Woken::Ready | Woken::Timeout => {
                    self.parts().0();
                    return Ok(true);
                }
            }
        }
    }
}

/// How often what events wait for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Does what an event does.
pub(super) fn perform(
    dir: &LabDir,
    state: &Arc<LabState>,
    interrupt: &Interrupt,
    deed: Deed,
) -> Result<(), Fault> {
    match deed {
        Deed::Ask { node, op } => ask(dir, state, &node, op),
        Deed::Start(node) => node::start(dir, &[node], interrupt),
        Deed::Stop(node) => node::end(dir, &[node], End::Stop),
        Deed::Kill(node) => node::end(dir, &[node], End::Kill),
        Deed::Restart(node) => node::restart(dir, &[node], interrupt),
        Deed::Pause(node) => node::pause(dir, &[node], true),
        Deed::Resume(node) => node::pause(dir, &[node], false),
        Deed::Run(node, argv) => {
            let session = Session::new(dir.clone(), Arc::clone(state));
            session.background(&node, &argv, &dir.node(&node).events_log())
        }
        Deed::Exec(node, cmd) => {
            let command: Vec<_> = cmd.iter().map(Into::into).collect();
            let node = dir.node(&node);
            exec::detached(&node, &command, &node.events_log())
        }
    }
}

fn ask(dir: &LabDir, state: &LabState, node: &str, op: Op) -> Result<(), Fault> {
    let mut client = node::connect(dir, state, node)?;
    client.call(op).map(drop).map_err(|error| node::fault(dir.name(), node, error))
}

impl Stage for Live<'_> {
    fn now(&self) -> Duration {
        self.ready.elapsed()
    }

    fn pass(&mut self, until: Duration) -> Result<(), Fault> {
        if !self.interrupted {
            self.interrupted = !self.wait(until)?;
        }
        Ok(())
    }

    fn ended(&self) -> Option<Ended> {
        self.interrupted.then_some(Ended::Interrupted)
    }

    fn attempt(
        &mut self,
        check: &Check,
        until: Option<Duration>,
        deadline: Duration,
    ) -> Result<(Attempt, Woken), Fault> {
        let session = Session::new(self.dir.clone(), Arc::clone(&self.state));
        let (lab, ready, interrupt) = (self.lab, self.ready, self.interrupt);
        let (due, wires) = self.parts();
        let probe = LiveProbe { session: &session, wires, ready };
        let work = || Bench { lab, probe: &probe, until, hurry: false }.attempt(check);
        let (attempt, woken) = session.attend(interrupt, Some(ready + deadline), Manners::Cut, due, work)?;
        self.interrupted |= woken == Woken::Interrupted;
        Ok((attempt, woken))
    }

    fn program(&mut self, program: &Program, deadline: Duration) -> Result<Option<CheckReport>, Fault> {
        let dir = self.dir.program(&program.name);
        let begin = self.now();
        let report = |now: Duration, ok, detail| {
            let name = format!("program {}", program.name);
            Some(CheckReport { name, kind: "program", ok, took: now - begin, detail })
        };
        let mut ended = Record::of(&dir).ended;
        let Some(expect) = &program.expect else {
            return Ok(match ended {
                None => None,
                Some(how @ rumphijack::Report::Ended(rumphijack::Status::Exited(0))) => {
                    report(self.now(), true, ending(&how))
                }
                Some(how) => {
                    let said = quoted(&program::last_words(&dir));
                    report(self.now(), false, format!("{} before the lab's end{said}", ending(&how)))
                }
            });
        };
        let mut pause = PAUSE.0;
        while ended.is_none() && !self.interrupted && self.now() < deadline {
            self.pass(self.now() + pause)?;
            pause = (pause * 2).min(PAUSE.1);
            ended = Record::of(&dir).ended;
        }
        let Some(ended) = ended else {
            let why = if self.interrupted {
                "interrupted"
            } else {
                "it had not ended when the time of the test was over"
            };
            return Ok(report(self.now(), false, format!("{why}{}", quoted(&program::last_words(&dir)))));
        };
        let (stdout, stderr) = program::output(&dir);
        let judged = judge(expect, &ended, &stdout, &stderr);
        Ok(report(self.now(), judged.is_ok(), judged.unwrap_or_else(|said| said)))
    }

    fn events(&self) -> Vec<EventReport> {
        let session = Session::new(self.dir.clone(), Arc::clone(&self.state));
        let probe = LiveProbe { session: &session, wires: &self.wires, ready: self.ready };
        self.agenda.report(|check| {
            Bench { lab: self.lab, probe: &probe, until: None, hurry: false }.attempt(check).into()
        })
    }

    fn keep(&mut self, lab: &Lab, artifacts: &Path) -> Result<PathBuf, Fault> {
        let folder = evidence::folder(artifacts, &lab.name)?;
        evidence::of_live(self.dir, &self.state, lab, &folder)?;
        let session = Session::new(self.dir.clone(), Arc::clone(&self.state));
        evidence::tables(&self.state, &folder, |node, table| session.show(node, table))?;
        Ok(folder)
    }
}

/// It, as one try of a check sees it.
pub(super) struct LiveProbe<'a> {
    pub(super) session: &'a Session,
    pub(super) wires: &'a Wires,
    pub(super) ready: Instant,
}

impl Probe for LiveProbe<'_> {
    type Server<'p>
        = session::Server
    where
        Self: 'p;

    fn now(&self) -> Duration {
        self.ready.elapsed()
    }

    fn resolve(&self, from: &str, to: &str, family: Option<Family>) -> Result<Zoned, Fault> {
        self.session.resolve(from, to, family)
    }

    fn addresses(&self, node: &str) -> Vec<IpAddr> {
        self.session.addresses(node)
    }

    fn run(&self, node: &str, argv: &[String], json: bool, patience: Patience) -> Result<Run, Fault> {
        let patience = match patience {
            Patience::Silence(silence) => session::Patience::Silence(silence),
            Patience::Until(until) => session::Patience::Until(self.ready + until),
        };
        self.session.run(node, argv, json, patience)
    }

    fn serve(&self, node: &str, argv: &[String], json: bool) -> Result<session::Server, Fault> {
        self.session.serve(node, argv, json)
    }

    fn show(&self, node: &str, table: Table) -> Result<Vec<Value>, Fault> {
        self.session.show(node, table)
    }

    fn bus_counter(&self, bus: &str, name: &str) -> Result<Option<u64>, Fault> {
        let path = self.session.dir.bus(bus);
        let bus = shmif::Bus::open_readonly(&path)
            .map_err(|error| Fault::io("read", &path)(std::io::Error::other(error)))?;
        let info = bus.info();
        let sum =
            |of: fn(&shmif::PortCounters) -> u64| bus.ports().iter().map(|port| of(&port.counters)).sum();
        Ok(Some(match name {
            "frames" => info.frames,
            "recoveries" => info.recoveries,
            "repairs" => info.repairs,
            "rx_frames" => sum(|counters| counters.rx_frames),
            "rx_octets" => sum(|counters| counters.rx_octets),
            "rx_lost" => sum(|counters| counters.rx_lost),
            "rx_errors" => sum(|counters| counters.rx_errors),
            "tx_frames" => sum(|counters| counters.tx_frames),
            "tx_octets" => sum(|counters| counters.tx_octets),
            "tx_dropped" => sum(|counters| counters.tx_dropped),
            _ => return Ok(None),
        }))
    }

    fn seen(&self, check: &str) -> Result<Seen, String> {
        self.wires.seen(check)
    }

    fn cmd(
        &self,
        node: &str,
        cmd: &[String],
        expect: &Output,
        until: Option<Duration>,
    ) -> Result<Attempt, Fault> {
        let command: Vec<_> = cmd.iter().map(Into::into).collect();
        let begin = self.now();
        let until = until.map(|until| self.ready + until);
        let ended = exec::captured(&self.session.dir.node(node), &command, until, || self.session.is_cut())?;
        let Some(report) = ended.report else {
            let seconds = (self.now() - begin).as_secs_f64();
            return Err(Fault::Unfinished { node: node.to_owned(), program: cmd[0].clone(), seconds });
        };
        Ok(match judge(expect, &report, &ended.stdout, &ended.stderr) {
            Ok(said) => Attempt::Holds(said),
            Err(said) => Attempt::Fails(said),
        })
    }
}

impl Server for session::Server {
    fn port(&self) -> u16 {
        self.port
    }

    fn finish(self, patience: Duration) -> Option<Run> {
        session::Server::finish(self, patience)
    }
}
