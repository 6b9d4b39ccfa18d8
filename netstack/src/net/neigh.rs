//! Neighbours: who on a link has which address, and whether they still answer.
//!
//! One machine serves ARP and NDP: neighbour unreachability detection of RFC 4861 §7.3 (states and
//! transitions of §7.3.2 and appendix C), which RFC 826 and 1122 §2.3.2 leave open for ARP. It
//! knows no packet formats: it answers with what is to be done (`Resolve`, `Due`), and its
//! caller (ARP, NDP) says what was seen (`confirm`, `hint`).
//!
//! REACHABLE turns into STALE by looking at the clock when the entry is used, not by a timer: an
//! idle node does not wake.

mod told;

use super::flow::FlowKey;
use super::mbuf::Mbuf;
use super::{IfIndex, MacAddr};
use crate::stack::config::NeighConfig;
use crate::time::{Duration, Instant};
use crate::timer::{Timer, TimerKey, Timers};
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// State of a neighbour: RFC 4861 §7.3.2, with Linux's FAILED and PERMANENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NudState {
    /// Asked for, no answer yet.
    Incomplete,
    /// Known to answer, within the last ReachableTime.
    Reachable,
    /// Known, but not since when.
    Stale,
    /// Used while stale: waiting whether an upper layer confirms before asking.
    Delay,
    /// Being asked whether it is still there.
    Probe,
    /// Did not answer.
    Failed,
    /// Configured: never asked, never forgotten.
    Permanent,
}

/// A neighbour, as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// On this interface.
    pub ifindex: IfIndex,
    /// Its address.
    pub addr: IpAddr,
    /// Its link address, if known.
    pub mac: Option<MacAddr>,
    /// What is known of it.
    pub state: NudState,
    /// It has said that it is a router (RFC 4861's IsRouter); of ARP's nobody says so.
    pub router: bool,
}

/// What is told of a neighbour by somebody who knows (`ip neigh add … nud …`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It stays as it is.
    Permanent,
    /// It answers, for the next ReachableTime.
    Reachable,
    /// It is known, but not since when.
    Stale,
    /// The same, and it is used: an upper layer may confirm it before it is asked.
    Delay,
    /// It is to be asked whether it is still there.
    Probe,
    /// It does not answer, whatever its link address.
    Failed,
}

/// Something to tell about a neighbour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// This is known of it now.
    Is(Neighbour),
    /// It was forgotten.
    Gone(Neighbour),
}

/// A line of memory: a packet to one of many neighbours finds little else of it near.
#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    ifindex: IfIndex,
    addr: IpAddr,
    mac: MacAddr,
    state: NudState,
    /// Solicitations sent in this state.
    probes: u8,
    /// REACHABLE until.
    reachable_until: Instant,
    timer: Option<TimerKey>,
    /// Used since the eviction hand last passed.
    used: bool,
    router: bool,
}

const _: () = assert!(size_of::<Option<Entry>>() == 64);

impl Entry {
    fn show(&self, now: Instant) -> Neighbour {
        let known = !matches!(self.state, NudState::Incomplete | NudState::Failed);
        let state = match self.state {
            NudState::Reachable if now >= self.reachable_until => NudState::Stale,
            s => s,
        };
        let mac = known.then_some(self.mac);
        Neighbour { ifindex: self.ifindex, addr: self.addr, mac, state, router: self.router }
    }
}

/// What becomes of a packet to a neighbour.
#[derive(Debug)]
pub(crate) enum Resolve {
    /// Send it there.
    Send(MacAddr, Mbuf),
    /// It waits; ask everybody if `solicit`.
    Wait {
        /// The first packet for this neighbour: ask.
        solicit: bool,
        /// A packet that had to go to make room.
        dropped: Option<Mbuf>,
    },
    /// The table has no room.
    NoRoom(Mbuf),
}

/// What a timer asks for.
#[derive(Debug)]
pub(crate) enum Due {
    /// Ask everybody (`None`) or the neighbour itself.
    Solicit(IfIndex, IpAddr, Option<MacAddr>),
    /// Given up: these packets waited in vain.
    Failed(IfIndex, IpAddr, VecDeque<Mbuf>),
    /// Nothing to do.
    Nothing,
}

/// What was learned of a neighbour's link address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It answered our question (solicited): REACHABLE, for a time that the random number spreads.
    Answer(u64),
    /// It told without being asked, in a way that replaces what was known: STALE.
    Override,
}

/// What a neighbour advertisement says (RFC 4861 §7.2.5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advertised {
    /// The link address, if it is told.
    pub(crate) link: Option<MacAddr>,
    /// We had asked; a random number, as of [`Evidence::Answer`].
    pub(crate) solicited: Option<u64>,
    /// It replaces what was known (the override flag).
    pub(crate) replaces: bool,
}

/// Constants that an interface has of its own; `None`: those of all.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    reachable: Option<Duration>,
    retrans: Option<Duration>,
}

impl Times {
    fn of(times: &BTreeMap<IfIndex, Times>, ifindex: IfIndex, addr: IpAddr) -> Times {
        match addr {
            IpAddr::V4(_) => Times::default(),
            IpAddr::V6(_) => times.get(&ifindex).copied().unwrap_or_default(),
        }
    }
}

/// The neighbours of one stack.
#[derive(Debug)]
pub(crate) struct Neighbours {
    key: FlowKey,
    config: NeighConfig,
    index: HashTable<usize>,
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// The eviction hand (clock algorithm).
    hand: usize,
    /// IP packets that wait for the address of the neighbour in a slot …
    queues: BTreeMap<usize, VecDeque<Mbuf>>,
    /// … and how many there are in all.
    waiting: usize,
    pub(crate) evictions: u64,
    /// Packets that waited for an evicted neighbour.
    pub(crate) lost: Vec<Mbuf>,
    /// ReachableTime and RetransTimer of interfaces whose routers told them, of IPv6 alone.
    times: BTreeMap<IfIndex, Times>,
    /// Changes to tell, if somebody wants them.
    pub(crate) changes: Vec<Change>,
}

impl Neighbours {
    pub(crate) fn new(config: NeighConfig, key: FlowKey) -> Neighbours {
        Neighbours {
            key,
            config,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            queues: BTreeMap::new(),
            waiting: 0,
            evictions: 0,
            lost: Vec::new(),
            times: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    fn find(&self, ifindex: IfIndex, addr: IpAddr) -> Option<usize> {
        let hash = self.key.neighbour(ifindex, addr);
        let same =
            |&s: &usize| self.slots[s].as_ref().is_some_and(|e| e.addr == addr && e.ifindex == ifindex);
        self.index.find(hash, same).copied()
    }

    /// What routers told of an interface (RFC 4861 §6.3.4).
    pub(crate) fn set_times(
        &mut self,
        ifindex: IfIndex,
        reachable: Option<Duration>,
        retrans: Option<Duration>,
    ) {
        match (reachable, retrans) {
            (None, None) => self.times.remove(&ifindex),
            (_, _) => self.times.insert(ifindex, Times { reachable, retrans }),
        };
    }

    /// Time between solicitations of IPv6 on an interface.
    pub(crate) fn retrans(&self, ifindex: IfIndex) -> Duration {
        self.times.get(&ifindex).and_then(|t| t.retrans).unwrap_or(self.config.retrans)
    }

    /// The link address of a neighbour, if it is known.
    pub(crate) fn mac_of(&self, ifindex: IfIndex, addr: IpAddr) -> Option<MacAddr> {
        let e = self.slots[self.find(ifindex, addr)?].as_ref()?;
        e.show(e.reachable_until).mac
    }

    /// All entries, in the order of their slots.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = Neighbour> + '_ {
        self.slots.iter().flatten().map(move |e| e.show(now))
    }

    /// Sends `m` to `addr`, or keeps it until the link address is known. `random` spreads times.
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        m: Mbuf,
        timers: &mut Timers,
    ) -> Resolve {
        let Some(slot) = self.find(ifindex, addr).or_else(|| self.insert(ifindex, addr, timers)) else {
            return Resolve::NoRoom(m);
        };
        let solicit = self.wake(now, slot, timers);
        let Some(e) = self.slots[slot].as_ref() else { return Resolve::NoRoom(m) };
        match e.state {
            NudState::Reachable
            | NudState::Stale
            | NudState::Permanent
            | NudState::Delay
            | NudState::Probe => Resolve::Send(e.mac, m),
            NudState::Failed | NudState::Incomplete => {
                let full = self.queues.get(&slot).map_or(0, VecDeque::len) >= self.config.queue;
                if !full && self.waiting >= self.config.queue_total {
                    return Resolve::Wait { solicit, dropped: Some(m) };
                }
                let queue = self.queues.entry(slot).or_default();
                // RFC 4861 §7.2.2: a full queue loses its oldest packet.
                let dropped = if full { queue.pop_front() } else { None };
                queue.push_back(m);
                self.waiting += usize::from(!full);
                Resolve::Wait { solicit, dropped }
            }
        }
    }

    /// The neighbour is used, by a packet or by somebody's wish; whether everybody is to be asked for it.
    #[inline]
    fn wake(&mut self, now: Instant, slot: usize, timers: &mut Timers) -> bool {
        let config = &self.config;
        let Some(e) = self.slots[slot].as_mut() else { return false };
        e.used = true;
        match e.state {
            NudState::Reachable if now < e.reachable_until => false,
            NudState::Permanent | NudState::Delay | NudState::Probe | NudState::Incomplete => false,
            NudState::Reachable | NudState::Stale => {
                // RFC 4861 §7.3.3: the first packet to a stale neighbour starts the delay.
                e.state = NudState::Delay;
                e.timer = Some(timers.arm(now + config.delay_first_probe, Timer::Neigh(slot)));
                false
            }
            NudState::Failed => {
                e.state = NudState::Incomplete;
                e.probes = 1;
                let retrans = Times::of(&self.times, e.ifindex, e.addr).retrans.unwrap_or(config.retrans);
                e.timer = Some(timers.arm(now + retrans, Timer::Neigh(slot)));
                true
            }
        }
    }

    /// An entry in state FAILED (nothing known), if there is or can be made room.
    fn insert(&mut self, ifindex: IfIndex, addr: IpAddr, timers: &mut Timers) -> Option<usize> {
        let slot = match self.free.pop() {
            Some(s) => s,
            None if self.slots.len() < self.config.entries => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => self.evict(timers)?,
        };
        self.slots[slot] = Some(Entry {
            ifindex,
            addr,
            mac: MacAddr::default(),
            state: NudState::Failed,
            probes: 0,
            reachable_until: Instant::ZERO,
            timer: None,
            used: true,
            router: false,
        });
        let (key, slots) = (self.key, &self.slots);
        let hash = |&s: &usize| slots[s].as_ref().map_or(0, |e| key.neighbour(e.ifindex, e.addr));
        self.index.insert_unique(key.neighbour(ifindex, addr), slot, hash);
        Some(slot)
    }

    /// Frees the slot of an entry that is not permanent and was not used since the hand last passed,
    /// or of which nothing is known; looks at a bounded number of them. So a scan of a subnet puts its own
    /// questions out, and not those who work (RFC 6583 §7.1).
    fn evict(&mut self, timers: &mut Timers) -> Option<usize> {
        for _ in 0..(2 * self.slots.len()).min(512) {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(e) = self.slots[slot].as_mut() else { continue };
            let unknown = matches!(e.state, NudState::Failed | NudState::Incomplete);
            let spared = core::mem::take(&mut e.used) && !unknown;
            if spared || e.state == NudState::Permanent {
                continue;
            }
            self.evictions += 1;
            let (_, queue) = self.take(slot, timers)?;
            self.lost.extend(queue);
            // `take` put it on the free list; it is used at once.
            return self.free.pop();
        }
        None
    }

    /// The packets that wait for the neighbour in `slot` wait no more.
    fn take_queue(&mut self, slot: usize) -> VecDeque<Mbuf> {
        let queue = self.queues.remove(&slot).unwrap_or_default();
        self.waiting -= queue.len();
        queue
    }

    /// Forgets the neighbour in `slot`; it, and the packets that waited for it.
    fn take(&mut self, slot: usize, timers: &mut Timers) -> Option<(Entry, VecDeque<Mbuf>)> {
        let e = self.slots[slot].take()?;
        timers.disarm(e.timer);
        let queue = self.take_queue(slot);
        if let Ok(entry) = self.index.find_entry(self.key.neighbour(e.ifindex, e.addr), |&s| s == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some((e, queue))
    }

    /// The neighbour has shown its link address. Returns the packets that waited for it.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        mac: MacAddr,
        evidence: Evidence,
        timers: &mut Timers,
    ) -> VecDeque<Mbuf> {
        let Some(slot) = self.find(ifindex, addr) else { return VecDeque::new() };
        let told = Times::of(&self.times, ifindex, addr).reachable;
        let base = told.unwrap_or(self.config.reachable_time);
        let Some(e) = self.slots[slot].as_mut() else { return VecDeque::new() };
        let before = e.show(now);
        match (e.state, evidence) {
            (NudState::Permanent, _) => return VecDeque::new(),
            (_, Evidence::Answer(random)) => {
                e.state = NudState::Reachable;
                e.reachable_until = now + spread(base, random);
            }
            (NudState::Incomplete | NudState::Failed, Evidence::Override) => e.state = NudState::Stale,
            // The same address told again says nothing about reachability.
            (_, Evidence::Override) if e.mac == mac => return VecDeque::new(),
            (_, Evidence::Override) => e.state = NudState::Stale,
        }
        e.mac = mac;
        e.probes = 0;
        timers.disarm(e.timer.take());
        if self.queues.contains_key(&slot) && e.state == NudState::Stale {
            // The packets that go out now are the use that starts the delay.
            e.state = NudState::Delay;
            e.timer = Some(timers.arm(now + self.config.delay_first_probe, Timer::Neigh(slot)));
        }
        let after = e.show(now);
        if before != after {
            self.changes.push(Change::Is(after));
        }
        self.take_queue(slot)
    }

    /// The neighbour has told its link address, or that it is there. Returns the link address, and the
    /// packets that waited for it.
    pub(crate) fn advertised(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        told: Advertised,
        timers: &mut Timers,
    ) -> (MacAddr, VecDeque<Mbuf>) {
        let nothing = (MacAddr::default(), VecDeque::new());
        let Some(slot) = self.find(ifindex, addr) else { return nothing };
        let Some(e) = self.slots[slot].as_mut() else { return nothing };
        let known = !matches!(e.state, NudState::Incomplete | NudState::Failed);
        let Some(mac) = told.link.or(known.then_some(e.mac)) else { return nothing };
        if known && e.mac != mac && !told.replaces {
            // Doubt, but no more: it is to be asked when it is used next.
            if e.state == NudState::Reachable {
                e.state = NudState::Stale;
                self.changes.push(Change::Is(e.show(now)));
            }
            return nothing;
        }
        let evidence = told.solicited.map_or(Evidence::Override, Evidence::Answer);
        (mac, self.confirm(now, ifindex, addr, mac, evidence, timers))
    }

    /// The neighbour asked us for something: remember its link address, also if it was not in the
    /// table (RFC 826's merge; RFC 4861 §7.2.3). Returns the packets that waited for it.
    pub(crate) fn hint(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        mac: MacAddr,
        timers: &mut Timers,
    ) -> VecDeque<Mbuf> {
        if self.find(ifindex, addr).is_none() && self.insert(ifindex, addr, timers).is_none() {
            return VecDeque::new();
        }
        self.confirm(now, ifindex, addr, mac, Evidence::Override, timers)
    }

    /// An upper layer makes progress with the neighbour (RFC 4861 §7.3.1).
    pub(crate) fn progress(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        random: u64,
        timers: &mut Timers,
    ) {
        let Some(slot) = self.find(ifindex, addr) else { return };
        let told = Times::of(&self.times, ifindex, addr).reachable;
        let reachable = spread(told.unwrap_or(self.config.reachable_time), random);
        let Some(e) = self.slots[slot].as_mut() else { return };
        if matches!(e.state, NudState::Reachable | NudState::Stale | NudState::Delay | NudState::Probe) {
            e.state = NudState::Reachable;
            e.reachable_until = now + reachable;
            timers.disarm(e.timer.take());
        }
    }

    /// The slot's timer is due.
    pub(crate) fn due(&mut self, now: Instant, slot: usize, timers: &mut Timers) -> Due {
        let config = &self.config;
        let Some(e) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return Due::Nothing };
        e.timer = None;
        let (limit, to) = match e.state {
            NudState::Delay => {
                e.state = NudState::Probe;
                e.probes = 0;
                (config.unicast_solicits, Some(e.mac))
            }
            NudState::Probe => (config.unicast_solicits, Some(e.mac)),
            NudState::Incomplete => (config.multicast_solicits, None),
            NudState::Reachable | NudState::Stale | NudState::Failed | NudState::Permanent => {
                return Due::Nothing;
            }
        };
        if e.probes < limit {
            e.probes += 1;
            let retrans = Times::of(&self.times, e.ifindex, e.addr).retrans.unwrap_or(config.retrans);
            e.timer = Some(timers.arm(now + retrans, Timer::Neigh(slot)));
            return Due::Solicit(e.ifindex, e.addr, to);
        }
        e.state = NudState::Failed;
        self.changes.push(Change::Is(e.show(now)));
        let (ifindex, addr) = (e.ifindex, e.addr);
        Due::Failed(ifindex, addr, self.take_queue(slot))
    }
}

/// RFC 4861 §6.3.2: ReachableTime is uniformly 0.5 to 1.5 of its base.
fn spread(base: Duration, random: u64) -> Duration {
    base / 2 + base.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}
