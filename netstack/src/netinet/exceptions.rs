//! What was learned about single destinations: path MTUs (RFC 1191) and redirects (RFC 1122
//! §3.2.2.2, 3.3.1.2). Entries expire by the clock when they are looked at; none has a timer.

use crate::net::IfIndex;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Octets of the smallest path MTU that is believed (Linux's `min_pmtu`, as RFC 5927 §7.2 advises):
/// whoever can forge an error must not cut everything to pieces.
pub(crate) const MIN_PMTU: u32 = 552;

/// The MTU of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathMtu {
    /// Octets of the largest packet that passes.
    Known(u32),
    /// Less than [`MIN_PMTU`] passes: packets of that size go without DF, for routers to fragment.
    BelowFloor,
}

impl PathMtu {
    /// What a router's word is worth.
    pub(crate) fn told(mtu: u32) -> PathMtu {
        if mtu < MIN_PMTU { PathMtu::BelowFloor } else { PathMtu::Known(mtu) }
    }

    /// Octets of the largest packet to send.
    pub(crate) fn octets(self) -> u32 {
        match self {
            PathMtu::Known(mtu) => mtu,
            PathMtu::BelowFloor => MIN_PMTU,
        }
    }

    /// Whether it says more than `known`: path MTUs only shrink (RFC 1191 §6.3), until they expire.
    fn is_news(self, known: Option<PathMtu>) -> bool {
        match (known, self) {
            (None, _) => true,
            (Some(PathMtu::BelowFloor), _) => false,
            (Some(PathMtu::Known(_)), PathMtu::BelowFloor) => true,
            (Some(PathMtu::Known(old)), PathMtu::Known(new)) => new < old,
        }
    }
}

/// What is known of one destination now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) mtu: Option<PathMtu>,
    /// The gateway a router named, and the interface it is on.
    pub(crate) gateway: Option<(IfIndex, Ipv4Addr)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    exception: Exception,
    until: Instant,
    /// Order of learning, for eviction.
    seq: u64,
}

/// Exceptions by destination; a limited number, the oldest goes.
#[derive(Debug)]
pub(crate) struct Exceptions {
    limit: usize,
    seq: u64,
    by_dst: BTreeMap<Ipv4Addr, Entry>,
    by_age: BTreeMap<u64, Ipv4Addr>,
}

impl Exceptions {
    pub(crate) fn new(limit: usize) -> Exceptions {
        Exceptions { limit, seq: 0, by_dst: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    /// What is known of `dst`.
    pub(crate) fn get(&self, dst: Ipv4Addr, now: Instant) -> Option<Exception> {
        if self.by_dst.is_empty() {
            return None;
        }
        self.by_dst.get(&dst).filter(|e| now < e.until).map(|e| e.exception)
    }

    /// Learns the path MTU to `dst`, if it is smaller than what is known.
    pub(crate) fn learn_mtu(&mut self, dst: Ipv4Addr, now: Instant, lifetime: Duration, mtu: PathMtu) {
        if mtu.is_news(self.get(dst, now).and_then(|e| e.mtu)) {
            self.learn(dst, now, lifetime, |e| e.mtu = Some(mtu));
        }
    }

    /// Learns something of `dst` for `lifetime`.
    pub(crate) fn learn(
        &mut self,
        dst: Ipv4Addr,
        now: Instant,
        lifetime: Duration,
        change: impl FnOnce(&mut Exception),
    ) {
        if self.limit == 0 {
            return;
        }
        let mut exception = self.get(dst, now).unwrap_or_default();
        change(&mut exception);
        if let Some(old) = self.by_dst.remove(&dst) {
            self.by_age.remove(&old.seq);
        } else if self.by_dst.len() >= self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_dst.remove(&oldest);
        }
        self.seq += 1;
        self.by_age.insert(self.seq, dst);
        self.by_dst.insert(dst, Entry { exception, until: now + lifetime, seq: self.seq });
    }

    /// Forgets everything that led by `ifindex`: it went down.
    pub(crate) fn flush(&mut self, ifindex: IfIndex) {
        for e in self.by_dst.values_mut() {
            e.exception.gateway = e.exception.gateway.filter(|(i, _)| *i != ifindex);
        }
    }
}
