//! What was learned about single destinations: path MTUs (RFC 1191, 8201) and redirects (RFC 1122
//! §3.2.2.2, 3.3.1.2, RFC 4861 §8.3). Entries expire by the clock when they are looked at; none has a timer.

use crate::net::IfIndex;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

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

/// A better gateway for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// On this link.
    pub(crate) ifindex: IfIndex,
    /// Instead of this gateway, which the route names.
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
}

/// What is known of one destination now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) mtu: Option<PathMtu>,
    pub(crate) redirect: Option<Redirect>,
}

/// Each with the time until which it is believed.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    mtu: Option<(PathMtu, Instant)>,
    redirect: Option<(Redirect, Instant)>,
    /// Order of learning, for eviction.
    seq: u64,
}

/// Exceptions by destination; a limited number, the oldest goes.
#[derive(Debug)]
pub(crate) struct Exceptions {
    limit: usize,
    lifetime: Duration,
    seq: u64,
    by_dst: BTreeMap<IpAddr, Entry>,
    by_age: BTreeMap<u64, IpAddr>,
}

impl Exceptions {
    pub(crate) fn new(limit: usize, lifetime: Duration) -> Exceptions {
        Exceptions { limit, lifetime, seq: 0, by_dst: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    /// What is known of `dst`.
    pub(crate) fn get(&self, dst: IpAddr, now: Instant) -> Exception {
        if self.by_dst.is_empty() {
            return Exception::default();
        }
        let Some(e) = self.by_dst.get(&dst) else { return Exception::default() };
        Exception {
            mtu: e.mtu.filter(|(_, until)| now < *until).map(|(m, _)| m),
            redirect: e.redirect.filter(|(_, until)| now < *until).map(|(r, _)| r),
        }
    }

    /// The MTU that was told of the path to `dst`, in octets, and until when it is believed.
    pub(crate) fn mtu_until(&self, dst: IpAddr, now: Instant) -> Option<(u32, Instant)> {
        let (mtu, until) = self.by_dst.get(&dst)?.mtu?;
        (now < until).then(|| (mtu.octets(), until))
    }

    /// Learns the path MTU to `dst`, if it is smaller than what is known.
    pub(crate) fn learn_mtu(&mut self, dst: IpAddr, now: Instant, mtu: PathMtu) {
        if mtu.is_news(self.get(dst, now).mtu) {
            let until = now + self.lifetime;
            self.learn(dst, |e| e.mtu = Some((mtu, until)));
        }
    }

    /// Learns a better gateway for `dst`.
    pub(crate) fn learn_redirect(&mut self, dst: IpAddr, now: Instant, redirect: Redirect) {
        let until = now + self.lifetime;
        self.learn(dst, |e| e.redirect = Some((redirect, until)));
    }

    fn learn(&mut self, dst: IpAddr, change: impl FnOnce(&mut Entry)) {
        if self.limit == 0 {
            return;
        }
        let mut entry = Entry::default();
        if let Some(old) = self.by_dst.remove(&dst) {
            self.by_age.remove(&old.seq);
            entry = old;
        } else if self.by_dst.len() >= self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_dst.remove(&oldest);
        }
        change(&mut entry);
        self.seq += 1;
        entry.seq = self.seq;
        self.by_age.insert(self.seq, dst);
        self.by_dst.insert(dst, entry);
    }

    /// Forgets the redirects that `is_void`.
    pub(crate) fn forget(&mut self, is_void: impl Fn(IpAddr, Redirect) -> bool) {
        for (dst, e) in &mut self.by_dst {
            e.redirect = e.redirect.filter(|(r, _)| !is_void(*dst, *r));
        }
    }
}
