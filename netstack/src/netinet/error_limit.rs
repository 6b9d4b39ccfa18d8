//! How often ICMP errors go to one destination: RFC 1812 §4.3.2.8, RFC 1122 §3.2.2, RFC 4443 §2.4 (f); and how often an
//! address of ours is defended (RFC 5227 §2.4).

use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Limits of what is sent unasked.
#[derive(Debug)]
pub(crate) struct ErrorLimit {
    errors: Buckets,
    /// Apart, as on Linux: a detour that is still used must not keep real errors back.
    redirects: Buckets,
    defended: BTreeMap<Ipv4Addr, Instant>,
}

impl ErrorLimit {
    /// DEFEND_INTERVAL of RFC 5227 §1.1.
    const DEFEND: Duration = Duration::from_secs(10);

    pub(crate) fn new(interval: Duration, burst: u32) -> ErrorLimit {
        let buckets = || Buckets::new(interval, burst);
        ErrorLimit { errors: buckets(), redirects: buckets(), defended: BTreeMap::new() }
    }

    /// Whether `dst` may be sent an error now.
    pub(crate) fn allow_error(&mut self, now: Instant, dst: IpAddr) -> bool {
        self.errors.allow(now, dst)
    }

    /// Whether `dst` may be sent a redirect now.
    pub(crate) fn allow_redirect(&mut self, now: Instant, dst: IpAddr) -> bool {
        self.redirects.allow(now, dst)
    }

    /// Whether an address of ours may be defended again.
    pub(crate) fn allow_defence(&mut self, now: Instant, addr: Ipv4Addr) -> bool {
        self.defended.retain(|_, at| now.since(*at) < Self::DEFEND);
        match self.defended.contains_key(&addr) {
            true => false,
            false => self.defended.insert(addr, now).is_none(),
        }
    }
}

/// A token bucket for each of some destinations (Linux's `icmp_ratelimit`).
#[derive(Debug)]
struct Buckets {
    interval: Duration,
    burst: u32,
    /// Until when the destination's tokens are spent: "virtual scheduling".
    spent: BTreeMap<IpAddr, Instant>,
    /// The same in the order of those times: whose bucket is full again, or will be first, is
    /// forgotten for a new one.
    order: BTreeSet<(Instant, IpAddr)>,
}

impl Buckets {
    /// Destinations remembered.
    const DESTINATIONS: usize = 1024;

    fn new(interval: Duration, burst: u32) -> Buckets {
        Buckets { interval, burst, spent: BTreeMap::new(), order: BTreeSet::new() }
    }

    fn allow(&mut self, now: Instant, dst: IpAddr) -> bool {
        let until = self.spent.get(&dst).copied();
        let next = until.unwrap_or(now).max(now) + self.interval;
        if next.since(now) > self.interval * self.burst {
            return false;
        }
        match until {
            Some(until) => {
                self.order.remove(&(until, dst));
            }
            None if self.spent.len() >= Self::DESTINATIONS => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.spent.remove(&oldest);
                }
            }
            None => {}
        }
        self.spent.insert(dst, next);
        self.order.insert((next, dst));
        true
    }
}
