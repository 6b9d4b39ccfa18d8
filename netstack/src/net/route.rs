//! Routes: what is configured (the RIB) and, made of it, what packets are looked up in (the FIB).
//!
//! The RIB holds every route as it was given. The FIB is a longest-prefix trie (RFC 1812 §5.2.4.3)
//! that for each prefix holds the next hops of the best metric whose interfaces can be used;
//! several of them are equal-cost paths, except those that our addresses brought. Own addresses and
//! broadcast addresses are in it too, as in Linux's `local` table, so that one lookup decides what
//! becomes of a packet.

use super::IfIndex;
use super::flow::FlowKey;
use super::ifnet::Interfaces;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Who put a route there (`rtm_protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteProto {
    /// The stack itself, with an address.
    Kernel,
    /// During boot: the topology.
    Boot,
    /// A person or a program.
    Static,
    /// Router advertisements.
    Ra,
    /// DHCP
    Dhcp,
    /// A routing daemon, by its number.
    Other(u8),
}

/// What becomes of a packet that a route matches (`rtm_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// Sent on.
    Unicast,
    /// Ours.
    Local,
    /// Ours and the whole subnet's.
    Broadcast,
    /// Dropped in silence.
    Blackhole,
    /// Refused: host unreachable.
    Unreachable,
    /// Refused: administratively prohibited.
    Prohibit,
}

/// A route as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destinations; its host bits are zero.
    pub to: IpNet,
    /// The next hop; `None`: the destinations are on the link.
    pub via: Option<IpAddr>,
    /// The interface; `None`: that on whose subnet `via` is.
    pub dev: Option<IfIndex>,
    /// The lowest wins. Several routes of equal `to` and `metric` are equal-cost paths.
    pub metric: u32,
    /// Who put it there.
    pub proto: RouteProto,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// Preferred source address.
    pub src: Option<IpAddr>,
}

impl Route {
    /// A route through a gateway.
    pub fn via(to: IpNet, gateway: IpAddr) -> Route {
        Route { via: Some(gateway), ..Route::special(to, RouteKind::Unicast) }
    }

    /// A route to destinations on the link of `dev`.
    pub fn on_link(to: IpNet, dev: IfIndex) -> Route {
        Route { dev: Some(dev), ..Route::special(to, RouteKind::Unicast) }
    }

    /// A route of another kind, without a next hop.
    pub fn special(to: IpNet, kind: RouteKind) -> Route {
        Route { to, via: None, dev: None, metric: 0, proto: RouteProto::Static, kind, src: None }
    }

    /// Whether both lead the same way (which makes a second one a duplicate).
    pub(crate) fn same_path(&self, other: &Route) -> bool {
        (self.to, self.via, self.dev, self.metric, self.kind)
            == (other.to, other.via, other.dev, other.metric, other.kind)
    }
}

/// Why a route could not be added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// `to` has host bits set.
    #[error("{0} has host bits set")]
    HostBits(IpNet),
    /// `to` and `via` are of different families.
    #[error("{via} is no gateway for {to}: different family")]
    Family {
        /// The destinations.
        to: IpNet,
        /// The gateway.
        via: IpAddr,
    },
    /// `via` is on no interface's subnet, or is an address of ours or of a group.
    #[error("gateway {0} is not on any interface's subnet")]
    Gateway(IpAddr),
    /// `src` is no address of ours, or of another family.
    #[error("source {0} is no address of ours")]
    Source(IpAddr),
    /// Neither gateway nor interface.
    #[error("a route needs a gateway or an interface")]
    NoNextHop,
    /// No such interface.
    #[error("no interface with index {}", .0.0)]
    NoDevice(IfIndex),
    /// There is such a route.
    #[error("route to {0} exists")]
    Exists(IpNet),
    /// There is no such route.
    #[error("no such route to {0}")]
    NotFound(IpNet),
}

/// One usable way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextHop {
    pub(crate) ifindex: IfIndex,
    /// `None`: the destination itself.
    pub(crate) via: Option<IpAddr>,
    /// Source address for what is sent here.
    pub(crate) src: Option<IpAddr>,
}

/// What the FIB knows of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FibEntry {
    pub(crate) kind: RouteKind,
    /// Empty for kinds without a next hop only.
    pub(crate) hops: Vec<NextHop>,
}

impl FibEntry {
    /// The hop for a flow.
    pub(crate) fn hop(&self, key: FlowKey, flow: u64) -> Option<NextHop> {
        match self.hops[..] {
            [] => None,
            [first] => Some(first),
            // To all of a subnet that is on several links: by the first, as to one of it.
            [first, ..] if self.kind == RouteKind::Broadcast => Some(first),
            [..] => self.hops.iter().copied().max_by_key(|h| {
                let hop = h.via.map_or(0, |v| key.addr(v));
                key.weight(flow, hop ^ u64::from(h.ifindex.0))
            }),
        }
    }
}

/// All routes of a stack.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    rib: BTreeMap<IpNet, Vec<Route>>,
    fib4: PrefixMap<Ipv4Net, EntryId>,
    fib6: PrefixMap<Ipv6Net, EntryId>,
    /// The FIB's entries; those in `free` are nobody's.
    entries: Vec<FibEntry>,
    free: Vec<EntryId>,
    cache: Cache,
    /// Prefixes whose entry has changed since somebody took notice.
    pub(crate) changed: Vec<IpNet>,
}

/// Names an entry of the FIB.
type EntryId = u32;

/// The latest lookups, direct mapped: a packet asks up to three times for its two addresses, and a
/// trie of a few levels costs more than the rest of forwarding. A change of the FIB empties it.
#[derive(Debug)]
struct Cache {
    lines: Box<[Cell<Line>]>,
    generation: u64,
}

/// What one address was found to be.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    addr: u32,
    entry: Option<EntryId>,
    generation: u64,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache { lines: vec![Cell::default(); Cache::LINES].into(), generation: 1 }
    }
}

impl Cache {
    /// 12 KiB of a stack.
    const LINES: usize = 512;

    fn line(&self, addr: u32) -> &Cell<Line> {
        &self.lines[(addr.wrapping_mul(0x9e37_79b1) >> 23) as usize % Cache::LINES]
    }
}

impl Routes {
    /// The best entry for an IPv4 destination.
    pub(crate) fn lookup4(&self, dst: Ipv4Addr) -> Option<&FibEntry> {
        let (addr, generation) = (dst.to_bits(), self.cache.generation);
        let cell = self.cache.line(addr);
        let mut line = cell.get();
        if line.addr != addr || line.generation != generation {
            let entry = self.fib4.get_lpm(&Ipv4Net::new_assert(dst, 32)).map(|(_, e)| *e);
            line = Line { addr, entry, generation };
            cell.set(line);
        }
        line.entry.map(|e| &self.entries[e as usize])
    }

    /// The way to `dst` by `dev` (SO_BINDTODEVICE): the longest prefix that has one.
    pub(crate) fn lookup_by_dev(&self, dst: IpAddr, dev: IfIndex) -> Option<Option<IpAddr>> {
        let host = IpNet::from(dst);
        (0..=host.prefix_len()).rev().find_map(|len| {
            let net = IpNet::new_assert(dst, len).trunc();
            let routes = self.rib.get(&net)?;
            routes
                .iter()
                .filter(|r| r.kind == RouteKind::Unicast && r.dev == Some(dev))
                .min_by_key(|r| r.metric)
                .map(|r| r.via)
        })
    }

    /// Every configured route, by destination, then metric.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.rib.values().flatten()
    }

    /// The routes to exactly `to`, by metric.
    pub(crate) fn to(&self, to: IpNet) -> &[Route] {
        self.rib.get(&to).map_or(&[], Vec::as_slice)
    }

    /// Adds a route whose `dev` is resolved.
    pub(crate) fn add(&mut self, route: Route, ifs: &Interfaces) -> Result<(), RouteError> {
        let at = self.rib.entry(route.to).or_default();
        if at.iter().any(|r| r.same_path(&route)) {
            return Err(RouteError::Exists(route.to));
        }
        let place = at.partition_point(|r| r.metric <= route.metric);
        at.insert(place, route);
        self.refresh(route.to, ifs);
        Ok(())
    }

    /// Removes the first route to `to` that `matches`.
    pub(crate) fn remove(
        &mut self,
        to: IpNet,
        matches: impl Fn(&Route) -> bool,
        ifs: &Interfaces,
    ) -> Result<Route, RouteError> {
        let at = self.rib.get_mut(&to).ok_or(RouteError::NotFound(to))?;
        let place = at.iter().position(matches).ok_or(RouteError::NotFound(to))?;
        let gone = at.remove(place);
        if at.is_empty() {
            self.rib.remove(&to);
        }
        self.refresh(to, ifs);
        Ok(gone)
    }

    /// Removes all routes that `matches`; returns them.
    pub(crate) fn remove_all(&mut self, matches: impl Fn(&Route) -> bool, ifs: &Interfaces) -> Vec<Route> {
        let gone: Vec<Route> = self.iter().filter(|r| matches(r)).copied().collect();
        for r in &gone {
            if let Some(at) = self.rib.get_mut(&r.to) {
                at.retain(|x| x != r);
                if at.is_empty() {
                    self.rib.remove(&r.to);
                }
            }
            self.refresh(r.to, ifs);
        }
        gone
    }

    /// Makes the FIB anew: an interface or its addresses changed.
    pub(crate) fn refresh_all(&mut self, ifs: &Interfaces) {
        let prefixes: Vec<IpNet> = self.rib.keys().copied().collect();
        for p in prefixes {
            self.refresh(p, ifs);
        }
    }

    /// Makes the FIB's entry of one prefix anew.
    fn refresh(&mut self, to: IpNet, ifs: &Interfaces) {
        let entry = self.rib.get(&to).and_then(|routes| Self::entry(routes, ifs));
        let old = match to {
            IpNet::V4(p) => self.fib4.get(&p),
            IpNet::V6(p) => self.fib6.get(&p),
        };
        if old.map(|id| &self.entries[*id as usize]) == entry.as_ref() {
            return;
        }
        self.changed.push(to);
        self.cache.generation += 1;
        let id = entry.map(|e| self.keep(e));
        let old = match (to, id) {
            (IpNet::V4(p), Some(id)) => self.fib4.insert(p, id),
            (IpNet::V4(p), None) => self.fib4.remove(&p),
            (IpNet::V6(p), Some(id)) => self.fib6.insert(p, id),
            (IpNet::V6(p), None) => self.fib6.remove(&p),
        };
        self.free.extend(old);
    }

    fn keep(&mut self, entry: FibEntry) -> EntryId {
        match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as EntryId
            }
        }
    }

    fn entry(routes: &[Route], ifs: &Interfaces) -> Option<FibEntry> {
        let usable = |r: &&Route| r.dev.is_none_or(|d| ifs.get(d).is_some_and(|i| i.usable()));
        // Our own addresses stay ours while their interface is down (RFC 1122's weak host model).
        let own = |r: &&Route| r.kind == RouteKind::Local;
        let first = routes
            .iter()
            .find(own)
            .or_else(|| routes.iter().find(|r| r.kind == RouteKind::Broadcast))
            .or_else(|| routes.iter().find(usable))?;
        let connected = |r: &Route| r.kind == RouteKind::Unicast && r.proto == RouteProto::Kernel;
        let equal = |r: &&Route| {
            // One subnet on two links is no choice of ways: as on Linux the first link is used.
            let alone = connected(first) || connected(r);
            r.kind == first.kind
                && r.metric == first.metric
                && (r.kind == RouteKind::Local || usable(r))
                && (!alone || core::ptr::eq(*r, first))
        };
        let hops = routes.iter().filter(equal).filter_map(|r| {
            let ifindex = r.dev?;
            let ifnet = ifs.get(ifindex)?;
            let peer = r.via.unwrap_or(r.to.addr());
            let src = r.src.or_else(|| match peer {
                IpAddr::V4(p) => ifnet.source_for(p).or_else(|| unnumbered(ifs)).map(IpAddr::V4),
                IpAddr::V6(_) => None,
            });
            Some(NextHop { ifindex, via: r.via, src })
        });
        Some(FibEntry { kind: first.kind, hops: hops.collect() })
    }
}

/// Source address on an interface without one: the first of another, not 127.0.0.1 (RFC 1812 §2.2.7).
fn unnumbered(ifs: &Interfaces) -> Option<Ipv4Addr> {
    ifs.iter().flat_map(|i| i.addrs4()).map(|n| n.addr()).find(|a| !a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::MacAddr;
    use crate::net::ifnet::IfConfig;
    use proptest::prelude::*;

    proptest! {
        /// The FIB finds what a scan over all routes finds.
        #[test]
        fn lookup_equals_a_linear_scan(
            nets in prop::collection::vec((any::<u32>(), 0u8..=32, 1u32..4), 1..60),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            dsts in prop::collection::vec(any::<u32>(), 20),
        ) {
            let mut ifs = Interfaces::default();
            let config = IfConfig { name: "eth0".into(), mac: MacAddr([2, 0, 0, 0, 0, 1]), mtu: 1500 };
            let dev = ifs.attach(config).unwrap();
            ifs.get_mut(dev).unwrap().up = true;
            let mut routes = Routes::default();
            let mut model: Vec<Route> = Vec::new();
            for (i, (addr, len, metric)) in nets.iter().enumerate() {
                let to = IpNet::V4(Ipv4Net::new(Ipv4Addr::from(*addr), *len).unwrap()).trunc();
                let via = IpAddr::V4(Ipv4Addr::from(i as u32 + 1));
                let route = Route { metric: *metric, dev: Some(dev), ..Route::via(to, via) };
                routes.add(route, &ifs).unwrap();
                model.push(route);
            }
            for i in gone {
                if !model.is_empty() {
                    let r = model.remove(i.index(model.len()));
                    routes.remove(r.to, |x| *x == r, &ifs).unwrap();
                }
            }
            let near: Vec<u32> = model.iter().filter_map(|r| match r.to {
                IpNet::V4(n) => Some(u32::from(n.broadcast())),
                IpNet::V6(_) => None,
            }).collect();
            for dst in dsts.into_iter().chain(near).map(Ipv4Addr::from) {
                let matching = model.iter().filter(|r| r.to.contains(&IpAddr::V4(dst)));
                let len = matching.clone().map(|r| r.to.prefix_len()).max();
                let longest = matching.filter(|r| Some(r.to.prefix_len()) == len);
                let metric = longest.clone().map(|r| r.metric).min();
                let mut expected: Vec<_> = longest.filter(|r| Some(r.metric) == metric).map(|r| r.via).collect();
                let mut seen: Vec<_> =
                    routes.lookup4(dst).into_iter().flat_map(|e| &e.hops).map(|h| h.via).collect();
                expected.sort();
                seen.sort();
                prop_assert_eq!(seen, expected);
            }
        }

        /// A hop that goes away moves its own flows only.
        #[test]
        fn equal_paths_are_stable(n in 2usize..8, gone in any::<prop::sample::Index>(), seed: [u64; 2], flows: [u64; 32]) {
            let key = FlowKey::new(seed);
            let hop = |i: usize| NextHop {
                ifindex: IfIndex(2),
                via: Some(IpAddr::V4(Ipv4Addr::from(i as u32))),
                src: None,
            };
            let all = FibEntry { kind: RouteKind::Unicast, hops: (0..n).map(hop).collect() };
            let mut fewer = all.clone();
            let lost = fewer.hops.remove(gone.index(n));
            for flow in flows {
                let before = all.hop(key, flow);
                prop_assert_eq!(before, all.hop(key, flow));
                if before != Some(lost) {
                    prop_assert_eq!(fewer.hop(key, flow), before);
                }
            }
        }
    }
}
