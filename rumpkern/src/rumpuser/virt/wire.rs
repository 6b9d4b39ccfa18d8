//! Ethernet between the nodes of a world: full duplex, as through a switch that never drops.
//!
//! A port sends at [`RATE`], one frame after the other, and what it sends arrives [`DELAY`] after its last octet has left; everything slower than
//! that is an impairment, which is the sender's business as in a live lab. A port takes frames while what it has still to send is less than [`BACKLOG`].
//! A record with offload metadata takes the time of the frames that it is on a real wire.

use super::NodeId;
use crate::ifs::shmif;
use crate::rumpuser::{Filter, Received, Sent};
use netstack::Mbuf;
use netstack::net::MacAddr;
use netstack::net::mbuf::Offload;
use netstack::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bits a second.
pub const RATE: u64 = 10_000_000_000;
/// From the last octet's leaving to its arrival.
pub const DELAY: Duration = Duration::from_micros(1);
/// How far a port may be behind when it takes another frame.
pub const BACKLOG: Duration = Duration::from_micros(10);
/// Octets of a frame on the wire that are not in it: preamble, FCS, gap (IEEE 802.3).
const OVERHEAD: usize = 24;
/// Octets that a port keeps for a node that does not take them; then the oldest are lost.
const INBOX: usize = 4 << 20;

/// Sees frames when they are sent.
pub type Tap = Box<dyn FnMut(&Path, &Passed)>;

/// A frame that was sent.
#[derive(Clone, Debug)]
pub struct Passed {
    /// When its sender handed it to the wire.
    pub time: Instant,
    /// Its number on the wire, from 0.
    pub seq: u64,
    /// Who sent it.
    pub sender: Rc<Name>,
    /// The frame from its destination address on; longer than any MTU if `offload` says so.
    pub octets: Rc<[u8]>,
    /// What its sender left undone.
    pub offload: Offload,
}

impl Passed {
    /// Shows `each` the frames that this is on a real wire: one, or segments within the MTU with valid checksums.
    pub fn for_each_frame(&self, mut each: impl FnMut(&[u8])) {
        if self.offload == Offload::default() {
            return each(&self.octets);
        }
        let mut m = Mbuf::copy_of(&self.octets);
        m.offload = self.offload;
        // What makes no sense is shown as it is.
        if shmif::for_each_part(&m, &mut each).is_err() {
            each(&self.octets);
        }
    }
}

/// Whose a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The node.
    pub node: String,
    /// Its interface.
    pub interface: String,
    /// The address by which the wire knows it.
    pub mac: MacAddr,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records taken off the wire, and their octets.
    pub rx: (u64, u64),
    /// Records that were there, and lost before they were taken.
    pub rx_lost: u64,
    /// Records put on the wire, and their octets.
    pub tx: (u64, u64),
    /// Records that had to wait for the wire.
    pub tx_waits: u64,
}

/// All wires.
#[derive(Debug, Default)]
pub(super) struct Wires {
    all: Vec<Wire>,
    by_path: BTreeMap<PathBuf, usize>,
}

/// Where a port is.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortAt {
    wire: usize,
    /// Its place on it.
    pub(super) at: usize,
}

impl Wires {
    /// A wire of this name; `history`: octets that it remembers if there is none yet.
    pub(super) fn add(&mut self, path: PathBuf, history: usize) -> usize {
        let all = &mut self.all;
        *self.by_path.entry(path).or_insert_with_key(|path| {
            all.push(Wire::new(path.clone(), history));
            all.len() - 1
        })
    }

    pub(super) fn attach(&mut self, path: PathBuf, owner: NodeId, name: Name) -> PortAt {
        let wire = self.add(path, 0);
        PortAt { wire, at: self.all[wire].attach(owner, name) }
    }

    /// The wire of a port.
    pub(super) fn of(&mut self, port: PortAt) -> &mut Wire {
        &mut self.all[port.wire]
    }

    pub(super) fn all_mut(&mut self) -> &mut [Wire] {
        &mut self.all
    }
}

/// A wire.
#[derive(Debug)]
pub struct Wire {
    path: PathBuf,
    ports: Vec<Option<Port>>,
    wanting: Wanting,
    history: VecDeque<Passed>,
    remembered: usize,
    limit: usize,
    frames: u64,
    /// What ports counted that are gone.
    before: Counters,
}

#[derive(Debug)]
struct Port {
    owner: NodeId,
    name: Rc<Name>,
    filter: Filter,
    /// Nothing comes in or out.
    cut: bool,
    /// When what it has taken will have left.
    free: Instant,
    inbox: VecDeque<(Instant, Passed)>,
    waiting: usize,
    lost: u64,
    counters: Counters,
}

/// Which ports have to be asked whether they want a frame, by their places: those of a large LAN are many.
#[derive(Debug, Default)]
struct Wanting {
    /// By a station's address or a group's.
    by_address: BTreeMap<[u8; 6], BTreeSet<usize>>,
    /// Of every frame.
    all: BTreeSet<usize>,
    /// Of none besides.
    none: BTreeSet<usize>,
}

impl Wanting {
    /// Those that a frame to this address may be for, by address and of every frame; `None`: it is for all.
    fn of(&self, to: &[u8]) -> Option<(&BTreeSet<usize>, &BTreeSet<usize>)> {
        let to = <[u8; 6]>::try_from(to).ok().filter(|to| *to != [0xff; 6])?;
        Some((self.by_address.get(&to).unwrap_or(&self.none), &self.all))
    }

    /// Changes the place of a port in all that it stands in by its name and its filter.
    fn change(&mut self, at: usize, port: &Port, change: impl Fn(&mut BTreeSet<usize>, usize) -> bool) {
        if port.filter.promiscuous {
            change(&mut self.all, at);
        }
        for address in port.filter.multicast.iter().chain([&port.name.mac]) {
            let ports = self.by_address.entry(address.0).or_default();
            change(ports, at);
            if ports.is_empty() {
                self.by_address.remove(&address.0);
            }
        }
    }
}

impl Port {
    fn wants(&self, to: &[u8]) -> bool {
        let multicast = |to: &[u8]| self.filter.multicast.iter().any(|group| group.0 == to);
        let mine = || self.name.mac.0 == to || to == [0xff; 6] || (to[0] & 1 == 1 && multicast(to));
        self.filter.up && !self.cut && (self.filter.promiscuous || mine())
    }

    fn deliver(&mut self, at: Instant, frame: &Passed) {
        self.waiting += frame.octets.len();
        while self.waiting > INBOX
            && let Some((_, oldest)) = self.inbox.pop_front()
        {
            self.waiting -= oldest.octets.len();
            self.lost += 1;
        }
        // Of two senders the later one may be through before.
        let place = self.inbox.iter().rposition(|(before, _)| *before <= at).map_or(0, |place| place + 1);
        self.inbox.insert(place, (at, frame.clone()));
    }
}

impl Wire {
    fn new(path: PathBuf, history: usize) -> Wire {
        Wire {
            path,
            ports: Vec::new(),
            wanting: Wanting::default(),
            history: VecDeque::new(),
            remembered: 0,
            limit: history,
            frames: 0,
            before: Counters::default(),
        }
    }

    /// By which interfaces name it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it remembers, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Passed> {
        self.history.iter()
    }

    /// Records that it has carried; the oldest of them may be forgotten.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What its ports counted, all together.
    pub fn counters(&self) -> Counters {
        let ports = self.ports.iter().flatten().map(|port| port.counters);
        ports.fold(self.before, Counters::plus)
    }

    fn attach(&mut self, owner: NodeId, name: Name) -> usize {
        let port = Port {
            owner,
            name: Rc::new(name),
            filter: Filter::default(),
            cut: false,
            free: Instant::ZERO,
            inbox: VecDeque::new(),
            waiting: 0,
            lost: 0,
            counters: Counters::default(),
        };
        let free = self.ports.iter().position(Option::is_none).unwrap_or_else(|| {
            self.ports.push(None);
            self.ports.len() - 1
        });
        self.wanting.change(free, &port, BTreeSet::insert);
        self.ports[free] = Some(port);
        free
    }

    pub(super) fn detach(&mut self, port: usize) {
        if let Some(gone) = self.ports.get_mut(port).and_then(Option::take) {
            self.wanting.change(port, &gone, |ports, port| ports.remove(&port));
            self.before = self.before.plus(gone.counters);
        }
    }

    /// Its node is dead: what it still says does not leave it.
    pub(super) fn cut(&mut self, port: usize) {
        if let Some(Some(port)) = self.ports.get_mut(port) {
            port.cut = true;
        }
    }

    pub(super) fn filter(&mut self, at: usize, filter: &Filter) {
        if let Some(Some(port)) = self.ports.get_mut(at) {
            self.wanting.change(at, port, |ports, at| ports.remove(&at));
            port.filter = filter.clone();
            self.wanting.change(at, port, BTreeSet::insert);
        }
    }

    /// When the next frame arrives at a port.
    pub(super) fn arrives(&self, port: usize) -> Option<Instant> {
        Some(self.ports.get(port)?.as_ref()?.inbox.front()?.0)
    }

    pub(super) fn recv(&mut self, port: usize, now: Instant, frame: &mut Mbuf) -> Received {
        let Some(Some(port)) = self.ports.get_mut(port) else { return Received::Dead };
        match std::mem::take(&mut port.lost) {
            0 => {}
            lost => {
                port.counters.rx_lost += lost;
                return Received::Overrun(lost);
            }
        }
        match port.inbox.front() {
            Some((at, _)) if *at <= now => {
                let Some((_, passed)) = port.inbox.pop_front() else { return Received::Empty };
                port.waiting -= passed.octets.len();
                port.counters.rx.0 += 1;
                port.counters.rx.1 += passed.octets.len() as u64;
                frame.extend(&passed.octets);
                frame.offload = passed.offload;
                Received::Frame
            }
            Some(_) | None => Received::Empty,
        }
    }

    /// Puts a frame on the wire; `arrives` is told which nodes get it when.
    pub(super) fn send(
        &mut self,
        port: usize,
        now: Instant,
        frame: &Mbuf,
        tap: Option<&mut Tap>,
        mut arrives: impl FnMut(NodeId, Instant),
    ) -> Sent {
        let octets = frame.data();
        let Some(Some(sender)) = self.ports.get_mut(port) else { return Sent::Dropped("noWire") };
        if sender.cut {
            return Sent::Dropped("noWire");
        }
        if octets.len() < 14 {
            return Sent::Dropped("frameTooShort");
        }
        if sender.free > now + BACKLOG {
            sender.counters.tx_waits += 1;
            return Sent::Wait(sender.free - BACKLOG);
        }
        sender.free = sender.free.max(now) + time_on_wire(octets.len(), frame.offload);
        sender.counters.tx.0 += 1;
        sender.counters.tx.1 += octets.len() as u64;
        let (at, from) = (sender.free + DELAY, sender.name.clone());
        let passed = Passed {
            time: now,
            seq: self.frames,
            sender: from,
            octets: octets.into(),
            offload: frame.offload,
        };
        self.frames += 1;
        let to = &octets[..6];
        let mut hand = |n: usize, other: &mut Option<Port>| {
            if let Some(other) = other.as_mut().filter(|other| n != port && other.wants(to)) {
                other.deliver(at, &passed);
                arrives(other.owner, at);
            }
        };
        match self.wanting.of(to) {
            None => self.ports.iter_mut().enumerate().for_each(|(n, other)| hand(n, other)),
            Some((ports, all)) => ports.union(all).for_each(|&n| hand(n, &mut self.ports[n])),
        }
        if let Some(tap) = tap {
            tap(&self.path, &passed);
        }
        self.remember(passed);
        Sent::Done
    }

    fn remember(&mut self, passed: Passed) {
        if self.limit == 0 {
            return;
        }
        self.remembered += passed.octets.len();
        self.history.push_back(passed);
        while self.remembered > self.limit
            && let Some(oldest) = self.history.pop_front()
        {
            self.remembered -= oldest.octets.len();
        }
    }

    pub(super) fn port_counters(&self, port: usize) -> Counters {
        self.ports.get(port).and_then(Option::as_ref).map_or_else(Counters::default, |port| port.counters)
    }
}

impl Counters {
    fn plus(self, other: Counters) -> Counters {
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
        Counters {
            rx: sum(self.rx, other.rx),
            rx_lost: self.rx_lost + other.rx_lost,
            tx: sum(self.tx, other.tx),
            tx_waits: self.tx_waits + other.tx_waits,
        }
    }
}

/// How long the frames take that a record of `len` octets is on a real wire.
fn time_on_wire(len: usize, offload: Offload) -> Duration {
    let octets = match offload.gso {
        Some(gso) if gso.size > 0 && len > usize::from(gso.header_len) => {
            let header = usize::from(gso.header_len);
            let payload = len - header;
            payload + payload.div_ceil(usize::from(gso.size)) * (header + OVERHEAD)
        }
        Some(_) | None => len + OVERHEAD,
    };
    Duration::from_nanos(octets as u64 * 8 * 1_000_000_000 / RATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netstack::net::mbuf::{Gso, GsoKind};

    #[test]
    fn a_frame_takes_its_time() {
        // 1538 octets of a full frame on the wire at 10 Gbit/s (IEEE 802.3).
        assert_eq!(time_on_wire(1514, Offload::default()), Duration::from_nanos(1230));
        let gso = Gso { kind: GsoKind::TcpV4, size: 1460, header_len: 54 };
        let whole = Offload { gso: Some(gso), ..Offload::default() };
        assert_eq!(time_on_wire(54 + 3 * 1460, whole), Duration::from_nanos(3691));
    }

    #[test]
    fn frames_reach_those_who_want_them_now() {
        let (mut wire, _) = wire();
        let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
        let members = |all: &[usize], wire: &mut Wire| {
            for port in 0..3 {
                let multicast = if all.contains(&port) { vec![group] } else { Vec::new() };
                wire.filter(port, &Filter { up: true, multicast, ..Filter::default() });
            }
        };
        let heard = |wire: &mut Wire, to: MacAddr| {
            let mut frame = vec![0; 60];
            frame[..6].copy_from_slice(&to.0);
            let mut nodes = Vec::new();
            let sent = wire
                .send(0, Instant::from_millis(1), &Mbuf::copy_of(&frame), None, |node, _| nodes.push(node.0));
            assert_eq!(sent, Sent::Done);
            nodes
        };
        assert!(heard(&mut wire, group).is_empty());
        members(&[0, 1, 2], &mut wire);
        assert_eq!(heard(&mut wire, group), [2, 3]);
        members(&[2], &mut wire);
        assert_eq!(heard(&mut wire, group), [3]);
        wire.filter(1, &Filter { up: true, promiscuous: true, ..Filter::default() });
        assert_eq!(heard(&mut wire, group), [2, 3]);
        assert_eq!(heard(&mut wire, MacAddr([2, 0, 0, 0, 0, 3])), [2, 3]);
        assert_eq!(heard(&mut wire, MacAddr([2, 0, 0, 0, 0, 9])), [2]);
        assert_eq!(heard(&mut wire, MacAddr([0xff; 6])), [2, 3]);
        wire.detach(2);
        assert_eq!(heard(&mut wire, group), [2]);
    }

    fn wire() -> (Wire, Mbuf) {
        let mut wire = Wire::new("lan".into(), 3000);
        for n in 1..=3 {
            let mac = MacAddr([2, 0, 0, 0, 0, n]);
            let name = Name { node: format!("h{n}"), interface: "eth0".into(), mac };
            let port = wire.attach(NodeId(n.into()), name);
            wire.filter(port, &Filter { up: true, ..Filter::default() });
        }
        let mut frame = vec![0; 1226];
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        (wire, Mbuf::copy_of(&frame))
    }

    fn send(wire: &mut Wire, port: usize, now: u64, frame: &Mbuf) -> (Sent, Vec<(usize, u64)>) {
        let mut told = Vec::new();
        let sent = wire.send(port, Instant::from_nanos(now), frame, None, |node, at| {
            told.push((node.0, at.as_nanos()));
        });
        (sent, told)
    }

    #[test]
    fn frames_arrive_where_they_are_wanted_one_after_the_other() {
        let (mut wire, mut frame) = wire();
        // A microsecond each.
        assert_eq!(send(&mut wire, 0, 0, &frame), (Sent::Done, vec![(2, 2000)]));
        assert_eq!(send(&mut wire, 0, 500, &frame), (Sent::Done, vec![(2, 3000)]));
        frame.data_mut()[..6].fill(0xff);
        assert_eq!(send(&mut wire, 2, 500, &frame), (Sent::Done, vec![(1, 2500), (2, 2500)]));
        let mut times = Vec::new();
        for now in 0..6 {
            let mut m = Mbuf::new();
            if wire.recv(1, Instant::from_nanos(now * 500), &mut m) == Received::Frame {
                times.push((now * 500, m.data()[0]));
            }
        }
        assert_eq!(times, [(2000, 2), (2500, 0xff)]);
        assert_eq!(wire.arrives(1), Some(Instant::from_nanos(3000)));
    }

    #[test]
    fn a_port_that_is_behind_takes_nothing_more_and_one_that_nobody_reads_loses_the_oldest() {
        let (mut wire, frame) = wire();
        let mut sent = 0;
        let wait = loop {
            match send(&mut wire, 0, 0, &frame).0 {
                Sent::Done => sent += 1,
                other => break other,
            }
        };
        assert_eq!((sent, wait), (11, Sent::Wait(Instant::from_nanos(1000))));
        for n in 0..4000 {
            send(&mut wire, 0, n * 20_000, &frame);
        }
        let mut m = Mbuf::new();
        let now = Instant::from_nanos(1 << 40);
        let Received::Overrun(lost) = wire.recv(1, now, &mut m) else { panic!("nothing was lost") };
        let mut got = 0;
        while wire.recv(1, now, &mut Mbuf::new()) == Received::Frame {
            got += 1;
        }
        assert_eq!(lost + got, wire.frames());
        assert_eq!(wire.history().count(), 2, "as much as it was to remember");
    }

    #[test]
    fn the_dead_are_not_heard() {
        let (mut wire, mut frame) = wire();
        frame.data_mut()[..6].fill(0xff);
        wire.cut(1);
        assert_eq!(send(&mut wire, 0, 9000, &frame).1, [(3, 11_000)]);
        assert_eq!(send(&mut wire, 1, 9000, &frame).0, Sent::Dropped("noWire"));
    }
}
