//! The timers of the IP floor: an enum in a queue, polled, never callbacks.

use crate::net::IfIndex;
use crate::netinet::ip_reass::ReassId;
use crate::socket::Family;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A neighbour's slot: retransmit, probe, or give up.
    Neigh(usize),
    /// A datagram's fragments have waited long enough.
    Reass(ReassId),
    /// Announce an address (again).
    Announce {
        /// On this interface.
        ifindex: IfIndex,
        /// This address.
        addr: std::net::Ipv4Addr,
        /// So many times more.
        left: u8,
    },
    /// The next step of duplicate address detection.
    Dad {
        /// On this interface.
        ifindex: IfIndex,
        /// For this address.
        addr: std::net::Ipv6Addr,
    },
    /// Routers are to be asked, told of, or forgotten.
    Nd6 {
        /// On this interface.
        ifindex: IfIndex,
        /// Which of it.
        what: Nd6Timer,
    },
    /// Routers are to hear of groups.
    Group {
        /// On this interface.
        ifindex: IfIndex,
        /// By IGMP or MLD.
        family: Family,
        /// Of which, and why.
        what: GroupTimer,
    },
}

/// What is due of routers and what they told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nd6Timer {
    /// An advertisement of ours to all.
    Advertise,
    /// A solicitation of routers.
    Solicit,
    /// Routers that did not answer are asked again.
    Probe,
    /// What they told is over.
    Lifetimes,
}

/// Why routers are to hear of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupTimer {
    /// They asked about all.
    General,
    /// What changed is told once more.
    Changes,
    /// They asked about this one; or (older versions) a report of it is due.
    Group(IpAddr),
}

/// Names an armed timer, to disarm it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    at: Instant,
    seq: u64,
}

/// Timers in the order of their time; equal times in the order of arming.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeMap<TimerKey, Timer>,
    seq: u64,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Instant, timer: Timer) -> TimerKey {
        self.seq += 1;
        let key = TimerKey { at, seq: self.seq };
        self.queue.insert(key, timer);
        key
    }

    pub(crate) fn disarm(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key {
            self.queue.remove(&key);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.keys().next().map(|k| k.at)
    }

    /// The next timer that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }
}
