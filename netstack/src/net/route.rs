//! Routes: what is configured (the RIB) and, made of it, what packets are looked up in (the FIB).
//!
//! The RIB holds every route as it was given. The FIB is a longest-prefix trie (RFC 1812 §5.2.4.3)
//! that for each prefix holds the next hops of the best metric whose interfaces can be used;
//! several of them are equal-cost paths, except those that our addresses brought. Own addresses and
//! broadcast addresses are in it too, as in Linux's `local` table, so that one lookup decides what
//! becomes of a packet.
//!
//! The RIB names the link of a link-local prefix by the route's interface; in the FIB it stands in
//! the address (see [`crate::wire::scope6`]), so that each link has its own `fe80::/64`.

use super::IfIndex;
use super::fib6::Fib6;
use super::flow::FlowKey;
use super::ifnet::Interfaces;
use crate::wire::scope6;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
#[derive(Debug)]
pub(crate) struct Routes {
    rib: BTreeMap<IpNet, Vec<Route>>,
    /// Next hops that are not used as long as there are others: [`Routes::demote`].
    demoted: BTreeMap<IpNet, Vec<(IfIndex, IpAddr)>>,
    fib4: PrefixMap<Ipv4Net, EntryId>,
    fib6: Fib6<EntryId>,
    /// The FIB's entries; those in `free` are nobody's.
    entries: Vec<FibEntry>,
    free: Vec<EntryId>,
    cache4: Cache<Ipv4Addr>,
    cache6: Cache<Ipv6Addr>,
    /// Prefixes whose entry has changed since somebody took notice.
    pub(crate) changed: Vec<IpNet>,
}

/// Names an entry of the FIB.
type EntryId = u32;

/// The latest lookups, direct mapped: a packet asks up to three times for its two addresses, and a
/// trie of a few levels costs more than the rest of forwarding. A change of the FIB empties it.
struct Cache<A> {
    lines: Box<[Cell<Line<A>>]>,
    generation: u64,
}

/// What one address was found to be.
#[derive(Clone, Copy)]
struct Line<A> {
    addr: A,
    entry: Option<EntryId>,
    generation: u64,
}

/// An address as a key of the cache.
trait Cached: Copy + PartialEq {
    /// Lines of its cache, a power of two: 12 and 16 KiB of a stack.
    const LINES: usize = 512;
    const NONE: Self;

    /// 32 bits of it, well enough mixed for the neighbours of a subnet to differ.
    fn fold(self) -> u32;
}

impl Cached for Ipv4Addr {
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn fold(self) -> u32 {
        self.to_bits()
    }
}

impl Cached for Ipv6Addr {
    const NONE: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

    fn fold(self) -> u32 {
        let bits = self.to_bits();
        let half = (bits >> 64) as u64 ^ bits as u64;
        (half >> 32) as u32 ^ half as u32
    }
}

impl<A> core::fmt::Debug for Cache<A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<A: Cached> Default for Cache<A> {
    fn default() -> Cache<A> {
        let nothing = Line { addr: A::NONE, entry: None, generation: 0 };
        Cache { lines: vec![Cell::new(nothing); A::LINES].into(), generation: 1 }
    }
}

impl<A: Cached> Cache<A> {
    /// What `addr` is: remembered, or looked up.
    fn get(&self, addr: A, look_up: impl FnOnce() -> Option<EntryId>) -> Option<EntryId> {
        let at = (addr.fold().wrapping_mul(0x9e37_79b1) >> 23) as usize % A::LINES;
        let (cell, generation) = (&self.lines[at], self.generation);
        let mut line = cell.get();
        if line.addr != addr || line.generation != generation {
            line = Line { addr, entry: look_up(), generation };
            cell.set(line);
        }
        line.entry
    }
}

impl Routes {
    pub(crate) fn new(key: FlowKey) -> Routes {
        Routes {
            rib: BTreeMap::new(),
            demoted: BTreeMap::new(),
            fib4: PrefixMap::new(),
            fib6: Fib6::new(key),
            entries: Vec::new(),
            free: Vec::new(),
            cache4: Cache::default(),
            cache6: Cache::default(),
            changed: Vec::new(),
        }
    }

    /// The best entry for an IPv4 destination.
    pub(crate) fn lookup4(&self, dst: Ipv4Addr) -> Option<&FibEntry> {
        let longest = || self.fib4.get_lpm(&Ipv4Net::new_assert(dst, 32)).map(|(_, e)| *e);
        self.cache4.get(dst, longest).map(|e| &self.entries[e as usize])
    }

    /// The best entry for an IPv6 destination, in embedded form.
    pub(crate) fn lookup6(&self, dst: Ipv6Addr) -> Option<&FibEntry> {
        self.cache6.get(dst, || self.fib6.longest(dst)).map(|e| &self.entries[e as usize])
    }

    /// The way to `dst` by `dev` (SO_BINDTODEVICE): the longest prefix that has one.
    pub(crate) fn lookup_by_dev(&self, dst: IpAddr, dev: IfIndex) -> Option<Option<IpAddr>> {
        let dst = scope6::clear_ip(dst);
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

    /// Of the routes to `to` that routers told, those by these next hops are not to be used as long as there
    /// are others.
    pub(crate) fn demote(&mut self, to: IpNet, hops: Vec<(IfIndex, IpAddr)>, ifs: &Interfaces) {
        let before = match hops.is_empty() {
            true => self.demoted.remove(&to).unwrap_or_default(),
            false => self.demoted.insert(to, hops.clone()).unwrap_or_default(),
        };
        if before != hops {
            self.refresh(to, ifs);
        }
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

    /// Makes the FIB's entry of one prefix anew; of a link-local one, those of all links.
    fn refresh(&mut self, to: IpNet, ifs: &Interfaces) {
        let IpNet::V6(p) = to else { return self.refresh_entry(to, to, None, ifs) };
        if !scope6::is_scoped(p.addr()) {
            return self.refresh_entry(to, to, None, ifs);
        }
        let link =
            |dev: IfIndex| IpNet::V6(Ipv6Net::new_assert(scope6::embed(p.addr(), dev), p.prefix_len()));
        let devs: Vec<IfIndex> = ifs.iter().map(|i| i.index).collect();
        let gone = self.fib6.of_length(p.prefix_len()).filter(|net| scope6::clear(*net) == p.addr());
        let mut gone: Vec<IfIndex> =
            gone.filter_map(scope6::zone).filter(|dev| !devs.contains(dev)).collect();
        gone.sort_unstable();
        for dev in devs.into_iter().chain(gone) {
            self.refresh_entry(to, link(dev), Some(dev), ifs);
        }
    }

    /// Makes the FIB's entry of `prefix` anew from the routes to `to`, or those by `dev`.
    fn refresh_entry(&mut self, to: IpNet, prefix: IpNet, dev: Option<IfIndex>, ifs: &Interfaces) {
        let routes: Vec<&Route> = match self.rib.get(&to) {
            Some(routes) => routes.iter().filter(|r| dev.is_none() || r.dev == dev).collect(),
            None => Vec::new(),
        };
        let demoted = self.demoted.get(&to).map_or(&[][..], Vec::as_slice);
        let good = |r: &&Route| {
            r.proto != RouteProto::Ra || !demoted.iter().any(|&(d, v)| (r.dev, r.via) == (Some(d), Some(v)))
        };
        let entry = match demoted {
            [] => Self::entry(&routes, ifs),
            [..] => {
                let good: Vec<&Route> = routes.iter().copied().filter(good).collect();
                Self::entry(&good, ifs).or_else(|| Self::entry(&routes, ifs))
            }
        };
        let old = match prefix {
            IpNet::V4(p) => self.fib4.get(&p).copied(),
            IpNet::V6(p) => self.fib6.get(&p),
        };
        if old.map(|id| &self.entries[id as usize]) == entry.as_ref() {
            return;
        }
        self.changed.push(prefix);
        let id = entry.map(|e| self.keep(e));
        let old = match (prefix, id) {
            (IpNet::V4(p), Some(id)) => self.fib4.insert(p, id),
            (IpNet::V4(p), None) => self.fib4.remove(&p),
            (IpNet::V6(p), Some(id)) => self.fib6.insert(p, id),
            (IpNet::V6(p), None) => self.fib6.remove(&p),
        };
        match prefix {
            IpNet::V4(_) => self.cache4.generation += 1,
            IpNet::V6(_) => self.cache6.generation += 1,
        }
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

    fn entry(routes: &[&Route], ifs: &Interfaces) -> Option<FibEntry> {
        let usable = |r: &Route| r.dev.is_none_or(|d| ifs.get(d).is_some_and(|i| i.usable()));
        let routes = || routes.iter().copied();
        // Our own addresses stay ours while their interface is down (RFC 1122's weak host model).
        let first = routes()
            .find(|r| r.kind == RouteKind::Local)
            .or_else(|| routes().find(|r| r.kind == RouteKind::Broadcast))
            .or_else(|| routes().find(|r| usable(r)))?;
        let connected = |r: &Route| r.kind == RouteKind::Unicast && r.proto == RouteProto::Kernel;
        let equal = |r: &&Route| {
            // One subnet on two links is no choice of ways: as on Linux the first link is used.
            let alone = connected(first) || connected(r);
            r.kind == first.kind
                && r.metric == first.metric
                && (r.kind == RouteKind::Local || usable(r))
                && (!alone || core::ptr::eq(*r, first))
        };
        let hops = routes().filter(equal).filter_map(|r| {
            let ifindex = r.dev?;
            let ifnet = ifs.get(ifindex)?;
            let peer = r.via.unwrap_or(r.to.addr());
            let src = r.src.or_else(|| match peer {
                IpAddr::V4(p) => ifnet.source_for(p).or_else(|| unnumbered(ifs)).map(IpAddr::V4),
                // RFC 6724 chooses for each destination.
                IpAddr::V6(_) => None,
            });
            let src = src.map(|s| scope6::embed_ip(s, ifindex));
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
            let mut routes = Routes::new(FlowKey::new([1, 2]));
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
