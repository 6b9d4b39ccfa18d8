//! One look at a lab: its processes by `/proc`, its nodes by their control sockets, its buses by their files.
//!
//! Connections and mappings stay open from look to look. All nodes are asked first and heard then, so that a look takes as long
//! as the slowest node; one that is silent delays the others once, and from then on is not waited for. Paused nodes are not asked.

use super::rates::{Answer, BusSample, NodeSample, PortCount, Sample, Traffic};
use crate::lab::fault::Fault;
use crate::lab::process::{Identity, Life};
use crate::lab::program::{self, Shown};
use crate::lab::rundir::LabDir;
use crate::lab::state::{Epoch, LabState, NodeState, Phase};
use crate::lab::usage::Load;
use crate::lab::view::{self, NodeLife};
use crate::lab::{limits, node};
use rumpkern::ctl::proto::{Hello, Op, Table};
use rumpkern::ctl::{Client, ClientError};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::Value;
use shmif::Bus;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// The longest that an answer is waited for, however long the interval.
const PATIENCE: Duration = Duration::from_secs(1);

/// Programs are looked for among all processes of the user: not more often than this.
const PROGRAMS_EVERY: Duration = Duration::from_secs(1);

/// Looks at a lab again and again.
#[derive(Debug)]
pub(super) struct Sampler {
    dir: LabDir,
    state: LabState,
    stamp: Option<(u64, i64, i64)>,
    begin: Instant,
    /// In the order of the state's nodes.
    watched: Vec<Watched>,
    /// In the order of the state's buses; one that cannot be opened is tried again.
    buses: Vec<Option<Bus>>,
    programs: Option<(Instant, Vec<Shown>)>,
}

/// A node, and how to speak to it.
#[derive(Debug, Default)]
struct Watched {
    process: Option<Identity>,
    client: Option<Client>,
    /// The requests that it has not answered.
    asked: Option<[u64; 2]>,
    silent: bool,
}

impl Sampler {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// The lab does not run.
    pub(super) fn new(dir: LabDir) -> Result<Self, Fault> {
        // A descriptor a node.
        limits::raise_soft();
        let stamp = stamp(&dir);
        let state = view::started(&dir)?;
        let (watched, buses) = unopened(&state);
        Ok(Self { dir, state, stamp, begin: Instant::now(), watched, buses, programs: None })
    }

    /// Looks; nodes have so much time to answer, or a second.
    ///
    /// # Errors
    /// The lab is gone.
    pub(super) fn look(&mut self, patience: Duration) -> Result<Sample, Fault> {
        self.follow_state()?;
        let now = Instant::now();
        let mut nodes: Vec<NodeSample> = Vec::with_capacity(self.watched.len());
        for (node, watched) in self.state.nodes.iter().zip(&mut self.watched) {
            let sample = watched.process(&self.dir, node, self.begin);
            if sample.life == NodeLife::Running {
                watched.ask(&self.dir, &node.name, patience);
            }
            nodes.push(sample);
        }
        let running = (0..nodes.len()).filter(|at| nodes[*at].life == NodeLife::Running);
        let (silent, prompt): (Vec<_>, Vec<_>) = running.partition(|at| self.watched[*at].silent);
        for (places, deadline) in [(prompt, now + patience.min(PATIENCE)), (silent, now)] {
            for at in places {
                let (node, sample) = (&self.state.nodes[at], &mut nodes[at]);
                sample.answer = self.watched[at].hear(deadline);
                // It may have died over it.
                if sample.answer.is_none() {
                    *sample = self.watched[at].process(&self.dir, node, self.begin);
                }
            }
        }
        let buses = self.look_at_buses();
        let programs = self.programs();
        let since = Epoch::now().mono_ns.saturating_sub(self.state.epoch.mono_ns);
        Ok(Sample { lab: self.state.lab.clone(), age: Duration::from_nanos(since), nodes, buses, programs })
    }

    /// Whether nodes were stopped on purpose, or the lab was taken down and up again, is written down.
    fn follow_state(&mut self) -> Result<(), Fault> {
        let now = stamp(&self.dir);
        if now == self.stamp && now.is_some() {
            return Ok(());
        }
        if !self.dir.exists()? {
            return Err(Fault::NotRunning { lab: self.dir.name().to_owned() });
        }
        // In the middle of `up` or `down`, what was known still serves.
        let Some(state) = LabState::load(&self.dir)?.filter(|state| state.phase == Phase::Up) else {
            return Ok(());
        };
        if state.epoch != self.state.epoch {
            (self.watched, self.buses) = unopened(&state);
        }
        (self.state, self.stamp) = (state, now);
        Ok(())
    }

    fn look_at_buses(&mut self) -> Vec<BusSample> {
        let look = |(known, bus): (&crate::lab::state::BusState, &mut Option<Bus>)| {
            if bus.is_none() {
                *bus = Bus::open_readonly(self.dir.bus(&known.name)).ok();
            }
            let mut sample = BusSample { name: known.name.clone(), ..BusSample::default() };
            if let Some(bus) = bus {
                let ports = bus.ports();
                sample.frames = bus.info().frames;
                sample.members = ports.iter().filter(|port| port.alive).count();
                let count = |port: &shmif::PortInfo| {
                    let did = port.counters;
                    PortCount { octets: did.tx_octets, lost: did.rx_lost + did.rx_errors + did.tx_dropped }
                };
                sample.ports = ports.iter().map(|port| (port.id, count(port))).collect();
            }
            sample.at = self.begin.elapsed();
            sample
        };
        self.state.buses.iter().zip(&mut self.buses).map(look).collect()
    }

    fn programs(&mut self) -> Vec<Shown> {
        let now = Instant::now();
        match &self.programs {
            Some((read, programs)) if now.duration_since(*read) < PROGRAMS_EVERY => programs.clone(),
            Some(_) | None => {
                let programs = program::list(&self.dir, &self.state);
                self.programs = Some((now, programs.clone()));
                programs
            }
        }
    }
}

/// What says that `lab.json` is another one: it is never written to, but replaced.
fn stamp(dir: &LabDir) -> Option<(u64, i64, i64)> {
    let meta = fs::metadata(dir.state_file()).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

fn unopened(state: &LabState) -> (Vec<Watched>, Vec<Option<Bus>>) {
    let watched = state.nodes.iter().map(|_| Watched::default()).collect();
    (watched, state.buses.iter().map(|_| None).collect())
}

impl Watched {
    /// Looks at the process; a node that was started anew has another one.
    fn process(&mut self, dir: &LabDir, node: &NodeState, begin: Instant) -> NodeSample {
        let life_of = |id: &Identity| Some(id.life()).filter(|life| *life != Life::Dead);
        let mut life = self.process.as_ref().and_then(life_of);
        if life.is_none() {
            let id = Identity::from_pid_file(&dir.node(&node.name).pid());
            life = id.as_ref().and_then(life_of);
            *self = Self { process: id.filter(|_| life.is_some()), ..Self::default() };
        }
        let load = self.process.and_then(Load::of).map(|load| (begin.elapsed(), load));
        NodeSample {
            name: node.name.clone(),
            life: NodeLife::of(node, life),
            process: self.process,
            load,
            answer: None,
        }
    }

    /// Asks, unless it still owes an answer.
    fn ask(&mut self, dir: &LabDir, name: &str, patience: Duration) {
        if self.client.is_none() {
            self.asked = None;
            self.client = node::open(dir, name).ok();
        }
        if let (Some(client), None) = (&mut self.client, self.asked) {
            let mut ask = || -> Result<[u64; 2], ClientError> {
                client.set_timeout(Some(patience))?;
                Ok([client.ask(Op::Hello)?, client.ask(Op::Show { table: Table::Interfaces })?])
            };
            match ask() {
                Ok(asked) => self.asked = Some(asked),
                Err(_) => self.client = None,
            }
        }
    }

    /// What it answers until then.
    fn hear(&mut self, deadline: Instant) -> Option<Answer> {
        let (Some(client), Some([hello, interfaces])) = (&mut self.client, self.asked) else {
            self.silent = true;
            return None;
        };
        if !is_readable(client, deadline) {
            self.silent = true;
            return None;
        }
        let heard = client.answer(hello).and_then(|hello| Ok((hello, client.answer(interfaces)?)));
        self.asked = None;
        let heard = heard.ok().and_then(|(hello, interfaces)| understand(hello, &interfaces));
        if heard.is_none() {
            self.client = None;
        }
        self.silent = heard.is_none();
        heard
    }
}

fn is_readable(client: &Client, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        match rustix::event::poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// What a node's two answers say; nothing if they make no sense.
fn understand(hello: Value, interfaces: &Value) -> Option<Answer> {
    let hello: Hello = serde_json::from_value(hello).ok()?;
    let mut answer = Answer {
        uptime: Duration::from_nanos(hello.uptime_ns),
        sockets: u64::try_from(hello.sockets).ok()?,
        traffic: Traffic::default(),
        impaired: BTreeMap::new(),
    };
    for interface in interfaces.as_array()? {
        let Some(bus) = interface["bus"].as_str() else { continue };
        let bus = bus.rsplit('/').next().unwrap_or_default();
        let traffic = &mut answer.traffic;
        let impaired = answer.impaired.entry(bus.to_owned()).or_default();
        for (name, value) in interface["stats"].as_object()? {
            let value = value.as_u64()?;
            match name.as_str() {
                "ifInPackets" => traffic.in_frames += value,
                "ifInOctets" => traffic.in_octets += value,
                "ifOutPackets" => traffic.out_frames += value,
                "ifOutOctets" => traffic.out_octets += value,
                "ifInDiscards" | "ifOutDiscards" | "wire.rxLost" | "wire.rxErrors" => traffic.drops += value,
                "impairLost" | "impairQueueDrops" | "impairDropped" | "impairTooLong" => {
                    traffic.drops += value;
                    *impaired += value;
                }
                // What the wire would not take is here by its reason.
                name if name.starts_with("drop.") => traffic.drops += value,
                _ => {}
            }
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_the_sum_of_its_interfaces() {
        let hello = json!({"version": "1", "lab": "l", "node": "n", "pid": 7, "uptime_ns": 2_000_000_000_u64,
            "state": "running", "sockets": 5});
        let eth =
            |bus: &str, stats| json!({"name": "eth", "bus": format!("/run/l/bus/{bus}"), "stats": stats});
        let interfaces = json!([
            {"name": "lo", "bus": null, "stats": {"ifInPackets": 1000}},
            eth("a", json!({"ifInPackets": 1, "ifInOctets": 60, "ifOutPackets": 2, "ifOutOctets": 120, "ifOutDiscards": 1,
                "wire.txFrames": 2, "wire.txDropped": 8, "drop.full": 8})),
            eth("b", json!({"ifInPackets": 10, "wire.rxLost": 16, "impairLost": 32, "impairFrames": 99})),
            eth("b", json!({"impairQueueDrops": 64})),
        ]);
        let traffic = Traffic {
            in_frames: 11,
            in_octets: 60,
            out_frames: 2,
            out_octets: 120,
            drops: 1 + 8 + 16 + 32 + 64,
        };
        let impaired = [("a".to_owned(), 0), ("b".to_owned(), 96)].into();
        let want = Answer { uptime: Duration::from_secs(2), sockets: 5, traffic, impaired };
        assert_eq!(understand(hello.clone(), &interfaces), Some(want));
        assert_eq!(understand(json!({}), &interfaces), None);
        assert_eq!(understand(hello, &json!({})), None);
    }
}
