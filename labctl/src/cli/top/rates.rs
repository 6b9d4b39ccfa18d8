//! Two samples make rates: of each counter its difference over the time between. No host and no clock here.
//!
//! A counter that has gone backwards began anew (a node was restarted, an impairment set again): it has no rate this time.
//! So has one that could not be read; the next difference is to the last time that it could.

use super::trace::Trace;
use crate::lab::process::Identity;
use crate::lab::program::Shown;
use crate::lab::usage::Load;
use crate::lab::view::NodeLife;
use shmif::PortId;
use std::collections::BTreeMap;
use std::time::Duration;

/// One look at a lab.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The lab's name.
    pub(super) lab: String,
    /// Since the lab began.
    pub(super) age: Duration,
    /// In the order of the topology.
    pub(super) nodes: Vec<NodeSample>,
    /// In the order of the topology.
    pub(super) buses: Vec<BusSample>,
    /// Programs on the nodes.
    pub(super) programs: Vec<Shown>,
}

/// What was seen of a node.
#[derive(Clone, Debug)]
pub(super) struct NodeSample {
    pub(super) name: String,
    pub(super) life: NodeLife,
    pub(super) process: Option<Identity>,
    /// What its process has used, and when that was read.
    pub(super) load: Option<(Duration, Load)>,
    /// What it said itself.
    pub(super) answer: Option<Answer>,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// Its own clock.
    pub(super) uptime: Duration,
    pub(super) sockets: u64,
    pub(super) traffic: Traffic<u64>,
    /// Frames that its impairments kept from a bus, by the bus.
    pub(super) impaired: BTreeMap<String, u64>,
}

/// Over all interfaces of a node but `lo`; frames and octets with their Ethernet headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Traffic<T> {
    pub(super) in_frames: T,
    pub(super) in_octets: T,
    pub(super) out_frames: T,
    pub(super) out_octets: T,
    pub(super) drops: T,
}

/// What was seen of a bus.
#[derive(Clone, Debug, Default)]
pub(super) struct BusSample {
    pub(super) name: String,
    pub(super) at: Duration,
    /// Ports whose owners live.
    pub(super) members: usize,
    /// Frames ever sent.
    pub(super) frames: u64,
    /// What its ports did.
    pub(super) ports: BTreeMap<PortId, PortCount>,
}

/// What a port did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PortCount {
    /// Octets sent.
    pub(super) octets: u64,
    /// Frames not sent, or wanted and not received.
    pub(super) lost: u64,
}

/// What there is to be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) lab: String,
    pub(super) age: Duration,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) buses: Vec<BusRow>,
    pub(super) programs: Vec<Shown>,
}

impl Report {
    /// How many nodes live.
    pub(super) fn running(&self) -> usize {
        let lives = |node: &&NodeRow| matches!(node.life, NodeLife::Running | NodeLife::Paused);
        self.nodes.iter().filter(lives).count()
    }
}

/// A node, with its rates.
#[derive(Clone, Debug)]
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) life: NodeLife,
    /// Whether it runs and says nothing.
    pub(super) silent: bool,
    pub(super) pid: Option<i32>,
    /// Percent of one processor.
    pub(super) cpu: Option<f64>,
    /// Octets.
    pub(super) resident: Option<u64>,
    /// A second.
    pub(super) traffic: Traffic<Option<f64>>,
    pub(super) sockets: Option<u64>,
}

impl NodeRow {
    /// Its state in a word or two.
    pub(super) const fn state(&self) -> &'static str {
        if self.silent { "no answer" } else { self.life.as_str() }
    }
}

/// A bus, with its rates.
#[derive(Clone, Debug)]
pub(super) struct BusRow {
    pub(super) name: String,
    pub(super) members: usize,
    pub(super) frames: Option<f64>,
    pub(super) bits: Option<f64>,
    /// Frames a second that ports lost.
    pub(super) lost: Option<f64>,
    /// Frames a second that impairments kept from it.
    pub(super) impaired: Option<f64>,
    /// Bits a second of the last minute.
    pub(super) minute: Trace,
}

/// Remembers the last sample.
#[derive(Debug, Default)]
pub(super) struct Meter {
    nodes: BTreeMap<String, NodeSample>,
    buses: BTreeMap<String, (BusSample, Trace)>,
}

impl Meter {
    /// The rates since the last sample.
    pub(super) fn report(&mut self, sample: Sample) -> Report {
        let mut impaired = BTreeMap::new();
        let nodes = sample.nodes.into_iter().map(|node| self.node(node, &mut impaired)).collect();
        let buses = sample.buses.into_iter().map(|bus| self.bus(bus, &impaired)).collect();
        Report { lab: sample.lab, age: sample.age, nodes, buses, programs: sample.programs }
    }

    fn node(&mut self, mut now: NodeSample, impaired: &mut BTreeMap<String, f64>) -> NodeRow {
        let before = self.nodes.remove(&now.name).filter(|before| before.process == now.process);
        let mut row = NodeRow {
            name: now.name.clone(),
            life: now.life,
            silent: now.life == NodeLife::Running && now.answer.is_none(),
            pid: now.process.map(|process| process.pid),
            cpu: None,
            resident: now.load.map(|(_, load)| load.resident),
            traffic: Traffic::default(),
            sockets: now.answer.as_ref().map(|answer| answer.sockets),
        };
        if let Some(before) = before {
            if let (Some((t0, before)), Some((t1, now))) = (before.load, now.load) {
                row.cpu = rate(before.cpu_ns, now.cpu_ns, t1.saturating_sub(t0)).map(|ns| ns / 1e7);
            }
            match (before.answer, &now.answer) {
                (Some(before), Some(now)) => {
                    row.traffic = before.traffic_until(now);
                    before.impaired_until(now, impaired);
                }
                (last, None) => now.answer = last,
                (None, Some(_)) => {}
            }
        }
        self.nodes.insert(now.name.clone(), now);
        row
    }

    fn bus(&mut self, now: BusSample, impaired: &BTreeMap<String, f64>) -> BusRow {
        let (before, mut minute) = self.buses.remove(&now.name).unzip();
        let mut row = BusRow {
            name: now.name.clone(),
            members: now.members,
            frames: None,
            bits: None,
            lost: None,
            impaired: impaired.get(&now.name).copied(),
            minute: Trace::default(),
        };
        if let Some(before) = before {
            let time = now.at.saturating_sub(before.at);
            // A port that was not there has begun with nothing.
            let sum = |of: fn(&PortCount) -> u64| {
                let ports = now.ports.iter().map(|(id, port)| (before.ports.get(id).map_or(0, of), of(port)));
                let done = ports.map(|(before, now)| now.saturating_sub(before)).sum();
                rate(0, done, time)
            };
            row.frames = rate(before.frames, now.frames, time);
            row.bits = sum(|port| port.octets).map(|octets| octets * 8.0);
            row.lost = sum(|port| port.lost);
            let minute = minute.get_or_insert_default();
            minute.add(now.at, time, row.bits);
            row.minute = minute.clone();
        }
        self.buses.insert(now.name.clone(), (now, minute.unwrap_or_default()));
        row
    }
}

impl Answer {
    fn traffic_until(&self, now: &Self) -> Traffic<Option<f64>> {
        let time = now.uptime.saturating_sub(self.uptime);
        let of =
            |counter: fn(&Traffic<u64>) -> u64| rate(counter(&self.traffic), counter(&now.traffic), time);
        Traffic {
            in_frames: of(|traffic| traffic.in_frames),
            in_octets: of(|traffic| traffic.in_octets),
            out_frames: of(|traffic| traffic.out_frames),
            out_octets: of(|traffic| traffic.out_octets),
            drops: of(|traffic| traffic.drops),
        }
    }

    fn impaired_until(&self, now: &Self, sums: &mut BTreeMap<String, f64>) {
        let time = now.uptime.saturating_sub(self.uptime);
        for (bus, count) in &now.impaired {
            let before = self.impaired.get(bus).copied().unwrap_or(0);
            if let Some(rate) = rate(before, *count, time) {
                *sums.entry(bus.clone()).or_default() += rate;
            }
        }
    }
}

/// So many a second; of a counter that went backwards, or in no time, nothing can be said.
fn rate(before: u64, now: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    let done = now.checked_sub(before)?;
    (seconds > 0.0).then(|| done as f64 / seconds)
}

#[cfg(test)]
mod tests;
