//! The IP floor: interfaces, routes, neighbours, and the way out. What the transports stand on.
//!
//! It knows no sockets. What it has to say upwards (a packet to ourselves, an ICMP error about one
//! of our packets) it leaves in a queue of [`Upcall`]s, which the stack takes up before it returns
//! to its caller; so a transport can send from within its own input without being entered twice.

use super::error_limit::ErrorLimit;
use super::exceptions::{Exceptions, PathMtu};
use super::ip_reass::Reassembly;
use super::{Flow, FlowLabel, Fragment, IcmpError, IpLayer, IpTx, Path, protosw};
use crate::net::flow::FlowKey;
use crate::net::ifnet::Interfaces;
use crate::net::mbuf::{Mbuf, Pool};
use crate::net::neigh::Neighbours;
use crate::net::route::{RouteKind, Routes};
use crate::net::{IfIndex, ifnet};
use crate::socket::{SockError, SocketId};
use crate::stack::config::StackConfig;
use crate::stack::stats::{Drop, Stats};
use crate::time::{Duration, Instant};
use crate::timer::Timers;
use crate::wire::{be32, ipv4, ipv6, scope6};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

/// Something for the floor above.
#[derive(Debug)]
pub(crate) enum Upcall {
    /// An IP packet of ours for ourselves, as if it had come in by this interface.
    Loop(IfIndex, Mbuf),
    /// An error about a packet of ours that never left; the quoted packet begins at its transport header.
    Error { error: IcmpError, protocol: u8, quoted: Mbuf },
}

/// The way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) ifindex: IfIndex,
    /// Next hop: gateway, or the destination itself, as it stands on the wire.
    pub(crate) next: IpAddr,
    pub(crate) kind: WayKind,
    /// Octets of the largest packet that the path is believed to take …
    pub(crate) mtu: u32,
    /// … and that the interface does.
    pub(crate) link_mtu: u32,
    /// What DF would do on the way; [`Fragment::May`]: the path takes less than we may believe.
    pub(crate) fragment: Fragment,
    /// Source address to prefer.
    pub(crate) src: Option<IpAddr>,
}

/// To whom a way leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WayKind {
    /// Ourselves.
    Local,
    /// One neighbour.
    Unicast,
    /// All of a subnet or link.
    Broadcast,
    /// A group.
    Multicast,
    /// A group, but not ourselves (IP_MULTICAST_LOOP off).
    MulticastOthers,
}

/// Octets of the largest packet on `lo`, as on Linux.
pub(crate) const LOOPBACK_MTU: u32 = 65_536;
/// Buckets of IP identification counters.
const IDENTS: usize = 256;

/// The floor below the transports.
#[derive(Debug)]
pub(crate) struct Ip {
    pub(crate) now: Instant,
    pub(crate) config: StackConfig,
    pub(crate) rng: Xoshiro256PlusPlus,
    pub(crate) key: FlowKey,
    pub(crate) pool: Pool,
    pub(crate) ifs: Interfaces,
    pub(crate) routes: Routes,
    pub(crate) neigh: Neighbours,
    pub(crate) timers: Timers,
    pub(crate) reass: Reassembly,
    pub(crate) exceptions: Exceptions,
    pub(crate) error_limit: ErrorLimit,
    pub(crate) stats: Stats,
    pub(crate) upcalls: VecDeque<Upcall>,
    /// Addresses of ours that somebody else uses, to tell.
    pub(crate) conflicts: Vec<(IfIndex, IpAddr)>,
    /// Sockets whose packets left, and what these had cost.
    pub(crate) credits: Vec<(SocketId, u32)>,
    /// What stable interface identifiers are made of (RFC 7217).
    pub(crate) secret: [u64; 2],
    /// RFC 6864: identifications, counted for each of some classes of destinations.
    idents: Box<[u16; IDENTS]>,
}

impl Ip {
    pub(crate) fn new(config: StackConfig, seed: [u8; 32]) -> Ip {
        let mut rng = Xoshiro256PlusPlus::from_seed(seed);
        let key = FlowKey::new([rng.random(), rng.random()]);
        let mut idents = Box::new([0; IDENTS]);
        idents.iter_mut().for_each(|i| *i = rng.random());
        let secret = secret_of(seed);
        Ip {
            now: Instant::ZERO,
            key,
            pool: Pool::default(),
            ifs: Interfaces::default(),
            routes: Routes::new(key),
            neigh: Neighbours::new(config.neigh.clone(), key),
            timers: Timers::default(),
            reass: Reassembly::new(config.reass.clone()),
            exceptions: Exceptions::new(config.exceptions, config.exception_lifetime),
            error_limit: ErrorLimit::new(config.icmp_error_interval, config.icmp_error_burst),
            stats: Stats::default(),
            upcalls: VecDeque::new(),
            conflicts: Vec::new(),
            credits: Vec::new(),
            secret,
            idents,
            rng,
            config,
        }
    }

    // ---- packets' ends -------------------------------------------------------------------------

    /// Counts a dropped packet and takes it back.
    pub(crate) fn discard(&mut self, why: Drop, m: Mbuf) {
        self.stats.drops.count(why);
        self.free(m);
    }

    /// Takes a packet back; its owner has room again.
    pub(crate) fn free(&mut self, mut m: Mbuf) {
        self.credit(&mut m);
        self.pool.put(m);
    }

    /// Nobody pays for the packet any more.
    pub(crate) fn credit(&mut self, m: &mut Mbuf) {
        if let Some(owner) = m.owner.take() {
            self.credits.push((owner, m.charge));
        }
    }

    /// A packet with a copy of `octets`.
    pub(crate) fn copy(&mut self, octets: &[u8]) -> Mbuf {
        let mut m = self.pool.get();
        m.extend(octets);
        m
    }

    /// Milliseconds since midnight UT; if we cannot know, since the start of the clock and with the
    /// highest bit set, which marks a nonstandard time (RFC 791 §3.1, RFC 792).
    pub(crate) fn time_of_day(&self) -> u32 {
        const DAY_MS: u128 = 86_400_000;
        const NONSTANDARD: u32 = 1 << 31;
        let since = Duration::from_nanos(self.now.as_nanos());
        match self.config.unix_epoch {
            Some(epoch) => (epoch.saturating_add(since).as_millis() % DAY_MS) as u32,
            None => (since.as_millis() % DAY_MS) as u32 | NONSTANDARD,
        }
    }

    /// The next identification for packets to `dst`.
    pub(crate) fn ident(&mut self, dst: Ipv4Addr, protocol: u8) -> u16 {
        let class = self.key.flow(IpAddr::V4(dst), IpAddr::V4(dst), protocol, 0) as usize % IDENTS;
        self.idents[class] = self.idents[class].wrapping_add(1);
        self.idents[class]
    }

    /// RFC 1122 §3.3.1.2: redirects mend the routes that there were.
    pub(crate) fn forget_stale_redirects(&mut self) {
        if self.routes.changed.is_empty() {
            return;
        }
        let changed = core::mem::take(&mut self.routes.changed);
        self.exceptions.forget(|dst, _| changed.iter().any(|net| net.contains(&dst)));
    }

    // ---- where to ------------------------------------------------------------------------------

    /// The way to `dst` by `bound` (or any interface), for the flow with hash `flow`.
    pub(crate) fn way4(&self, dst: Ipv4Addr, bound: Option<IfIndex>, flow: u64) -> Result<Way, SockError> {
        if dst.is_multicast() || dst.is_broadcast() {
            let ifindex = match bound.or_else(|| self.group_interface(dst)) {
                Some(i) => i,
                None => return Err(SockError::NetUnreachable),
            };
            let ifnet = self.usable(ifindex)?;
            let kind = if dst.is_multicast() { WayKind::Multicast } else { WayKind::Broadcast };
            let (mtu, src) = (ifnet.mtu, self.source_on(ifnet).map(IpAddr::V4));
            let (link_mtu, fragment) = (mtu, Fragment::Dont);
            return Ok(Way { ifindex, next: IpAddr::V4(dst), kind, mtu, link_mtu, fragment, src });
        }
        let entry = self.routes.lookup4(dst);
        let kind = match entry.map(|e| e.kind) {
            Some(RouteKind::Local) => {
                // The interface would take more than an IP packet can be.
                let (ifindex, mtu) = (IfIndex::LOOPBACK, ipv4::MAX_LEN as u32);
                let (kind, fragment, next) = (WayKind::Local, Fragment::Dont, IpAddr::V4(dst));
                return Ok(Way { ifindex, next, kind, mtu, link_mtu: mtu, fragment, src: Some(next) });
            }
            Some(RouteKind::Blackhole) => return Err(SockError::Invalid),
            Some(RouteKind::Unreachable) => return Err(SockError::HostUnreachable),
            Some(RouteKind::Prohibit) => return Err(SockError::Access),
            Some(RouteKind::Broadcast) => WayKind::Broadcast,
            Some(RouteKind::Unicast) | None => WayKind::Unicast,
        };
        let hop = entry.and_then(|e| e.hop(self.key, flow));
        let (ifindex, via, src) = match (hop, bound) {
            (Some(h), None) => (h.ifindex, h.via, h.src),
            (Some(h), Some(dev)) if h.ifindex == dev => (dev, h.via, h.src),
            // A socket bound to an interface uses that one, on the link if it has no route.
            (_, Some(dev)) => (dev, self.routes.lookup_by_dev(IpAddr::V4(dst), dev).flatten(), None),
            (None, None) => return Err(SockError::NetUnreachable),
        };
        let ifnet = self.usable(ifindex)?;
        let link_mtu = ifnet.mtu;
        let (mut mtu, mut fragment) = (link_mtu, Fragment::Dont);
        let known = self.exceptions.get(IpAddr::V4(dst), self.now);
        mtu = mtu.min(known.mtu.map_or(mtu, PathMtu::octets));
        if known.mtu == Some(PathMtu::BelowFloor) {
            fragment = Fragment::May;
        }
        // A redirect puts one gateway in the place of another.
        let next = via.unwrap_or(IpAddr::V4(dst));
        let next = known.redirect.filter(|r| (r.ifindex, r.from) == (ifindex, next)).map_or(next, |r| r.to);
        let on_link = match next {
            IpAddr::V4(n) => ifnet.source_for(n).or_else(|| self.source_on(ifnet)),
            IpAddr::V6(_) => None,
        };
        let src = src.or(on_link.map(IpAddr::V4));
        Ok(Way { ifindex, next, kind, mtu, link_mtu, fragment, src })
    }

    pub(crate) fn usable(&self, ifindex: IfIndex) -> Result<&ifnet::Ifnet, SockError> {
        let ifnet = self.ifs.get(ifindex).ok_or(SockError::NoDevice)?;
        if ifnet.usable() { Ok(ifnet) } else { Err(SockError::NetDown) }
    }

    fn source_on(&self, ifnet: &ifnet::Ifnet) -> Option<Ipv4Addr> {
        let own = |i: &ifnet::Ifnet| i.addrs4().map(|n| n.addr()).find(|a| !a.is_loopback());
        match ifnet.loopback {
            true => ifnet.addrs4().map(|n| n.addr()).next(),
            false => own(ifnet).or_else(|| self.ifs.iter().find_map(own)),
        }
    }

    /// The interface for a group or 255.255.255.255 when the program names none: that of the route,
    /// else the first that is up.
    fn group_interface(&self, dst: Ipv4Addr) -> Option<IfIndex> {
        let routed = self.routes.lookup4(dst).and_then(|e| e.hops.first()).map(|h| h.ifindex);
        routed.or_else(|| self.ifs.iter().find(|i| i.usable() && !i.loopback).map(|i| i.index))
    }

    /// RFC 1122 §3.2.1.3 (g), RFC 4291 §2.5.3: loopback addresses appear on no wire, those of a link on
    /// no other. `Invalid`, as on Linux.
    pub(crate) fn check_source(src: IpAddr, way: &Way) -> Result<(), SockError> {
        let home = way.kind == WayKind::Local || way.ifindex == IfIndex::LOOPBACK;
        let elsewhere = scope6::zone_ip(src).is_some_and(|zone| zone != way.ifindex);
        match !home && (src.is_loopback() || elsewhere) {
            true => Err(SockError::Invalid),
            false => Ok(()),
        }
    }

    /// Whether `addr` is a unicast address of ours.
    pub(crate) fn is_local4(&self, addr: Ipv4Addr) -> bool {
        self.routes.lookup4(addr).is_some_and(|e| e.kind == RouteKind::Local)
    }

    /// Whether `addr` means everybody on one of our subnets.
    pub(crate) fn is_subnet_broadcast(&self, addr: Ipv4Addr) -> bool {
        self.routes.lookup4(addr).is_some_and(|e| e.kind == RouteKind::Broadcast)
    }

    /// The source address that a socket with local address `local` insists on: none if that is a
    /// group's or a broadcast address, which only receives. `Invalid`: it was ours and is no more.
    pub(crate) fn own_source(&self, local: IpAddr) -> Result<Option<IpAddr>, SockError> {
        match local {
            a if a.is_unspecified() || a.is_multicast() || self.is_broadcast(a) => Ok(None),
            a if self.is_local(a) => Ok(Some(a)),
            _ => Err(SockError::Invalid),
        }
    }

    /// The way of a flow.
    pub(crate) fn way_of(&self, flow: &Flow) -> Result<Way, SockError> {
        let dst = flow.dst.ip();
        let ports = match protosw::has_ports(dst, flow.protocol) {
            true => u32::from(flow.src_port) << 16 | u32::from(flow.dst.port()),
            false => 0,
        };
        let hash = self.key.flow(flow.src.unwrap_or(dst), dst, flow.protocol, ports);
        match (dst, flow.src) {
            (IpAddr::V4(dst), None | Some(IpAddr::V4(_))) => self.way4(dst, flow.bound, hash),
            (IpAddr::V6(dst), None) => {
                let way = self.way6(dst, flow.bound, hash)?;
                Ok(self.with_source(way, dst, !flow.public))
            }
            (IpAddr::V6(dst), Some(IpAddr::V6(_))) => self.way6(dst, flow.bound, hash),
            (IpAddr::V4(_), Some(IpAddr::V6(_))) | (IpAddr::V6(_), Some(IpAddr::V4(_))) => {
                Err(SockError::NetUnreachable)
            }
        }
    }

    /// The hash that chooses among equal paths; `transport` is what follows the IP header of a
    /// packet that is no fragment.
    pub(crate) fn flow4(&self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, transport: Option<&[u8]>) -> u64 {
        let ports = match transport {
            Some(t) if t.len() >= 4 && protosw::has_ports(IpAddr::V4(dst), protocol) => be32(t, 0),
            Some(_) | None => 0,
        };
        self.key.flow(IpAddr::V4(src), IpAddr::V4(dst), protocol, ports)
    }
}

impl IpLayer for Ip {
    fn now(&self) -> Instant {
        self.now
    }

    fn random(&mut self) -> u64 {
        self.rng.random()
    }

    fn path(&self, flow: &Flow) -> Result<Path, SockError> {
        let way = self.way_of(flow)?;
        let src = flow.src.or(way.src).ok_or(SockError::AddrNotAvailable)?;
        Ip::check_source(src, &way)?;
        Ok(Path { src, ifindex: way.ifindex, mtu: way.mtu, link_mtu: way.link_mtu })
    }

    fn learn_mtu(&mut self, dst: IpAddr, mtu: u32) {
        let told = match dst {
            IpAddr::V4(_) => PathMtu::told(mtu),
            // RFC 8201 §4: every path takes so much.
            IpAddr::V6(_) if mtu < ipv6::MIN_MTU => return,
            IpAddr::V6(_) => PathMtu::Known(mtu),
        };
        self.exceptions.learn_mtu(dst, self.now, told);
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(a) => self.is_local4(a),
            IpAddr::V6(a) => self.is_local6(a),
        }
    }

    fn is_broadcast(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(a) => a.is_broadcast() || self.is_subnet_broadcast(a),
            IpAddr::V6(_) => false,
        }
    }

    fn mbuf(&mut self) -> Mbuf {
        self.pool.get()
    }

    fn output(&mut self, tx: &IpTx, m: Mbuf) -> Result<(), SockError> {
        match (tx.src, tx.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.ip_output(tx, src, dst, &[], m),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.ip6_output(tx, src, dst, m),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                self.free(m);
                Err(SockError::NetUnreachable)
            }
        }
    }

    fn tx_room(&self, ifindex: IfIndex) -> usize {
        match self.ifs.get(ifindex) {
            Some(i) if i.loopback => self.config.tx_mark.saturating_sub(self.upcalls.len()),
            Some(i) => i.tx.room(self.config.tx_mark, i.mtu),
            None => 0,
        }
    }

    fn offloads(&self, ifindex: IfIndex) -> bool {
        self.ifs.get(ifindex).is_some_and(|i| i.offload)
    }

    fn confirm(&mut self, flow: &Flow) {
        if let Ok(Way { kind: WayKind::Unicast, ifindex, next, .. }) = self.way_of(flow) {
            let random = self.rng.random();
            self.neigh.progress(self.now, ifindex, next, random, &mut self.timers);
        }
    }
}

/// A secret that depends on the seed alone, not on what else has been drawn of it.
fn secret_of(seed: [u8; 32]) -> [u64; 2] {
    let mut rng = Xoshiro256PlusPlus::from_seed(seed);
    core::array::from_fn(|_| rng.random::<u64>().rotate_left(17) ^ 0x7217)
}

/// What a sender asks of IP when it has no special wishes.
pub(crate) fn plain(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, ttl: u8, tos: u8) -> IpTx {
    let (src, dst) = (IpAddr::V4(src), IpAddr::V4(dst));
    IpTx { src, dst, protocol, ttl, tos, fragment: Fragment::May, bound: None, label: FlowLabel::Auto }
}
