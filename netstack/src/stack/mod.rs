//! The doors of the stack, in groups:
//!
//! | group | doors | where |
//! |---|---|---|
//! | configuration | `new`, `if_*`, `addr_*`, `route_*`, `neigh_*`, `set_forwarding` | here, `routes` |
//! | habits | `config`, `set_ttl`, `set_redirects`, `set_group_config` | `habits` |
//! | frames in, time, frames out | `rx_mbuf`, `input`, `poll_timeout`, `handle_timeout`, `poll_transmit`, `recycle`, `rx_filter` | [`frames`](self) |
//! | events, in order | `poll_event` | `events` |
//! | IPv6 | `if_set_ipv6`, `if_ipv6`, `addr6_add`, `addr6` | [`crate::netinet6::in6_ifaddr`] |
//! | IPv6, as a host of routers | `ra_routes`, `ra_prefixes`, `ra_link`, `ra_servers`, `ra_domains` | [`crate::netinet6::nd6_rtr`] |
//! | IPv6, as a router | `if_set_ra`, `if_ra` | [`crate::netinet6::rtadv`] |
//! | sockets | `socket`, `bind`, `connect`, `send`, `recv`, …, `bind_packet` | `sockets`, `options`, `groups`, `datagrams`, `streams`, `sockaddr` |
//! | counters | `stats` | [`stats`] |
//!
//! No door blocks, and none calls back. Whatever a call leads to inside (a packet to ourselves, an
//! error for a socket) has happened when it returns.

pub mod config;
mod datagrams;
mod events;
mod frames;
mod groups;
mod habits;
mod options;
mod routes;
mod sockaddr;
mod sockets;
pub mod stats;
mod streams;

pub use config::{GroupConfig, NeighConfig, ReassConfig, StackConfig};
pub use events::Event;
pub use routes::Way;
pub use stats::{Drop, Stats};

use crate::net::bpf::Bpf;
use crate::net::ifnet::{IfConfig, IfError, Ifnet, RxFilter};
use crate::net::neigh::{Neighbour, Told};
use crate::net::route::{Route, RouteError, RouteKind, RouteProto};
use crate::net::{IfIndex, MacAddr};
use crate::netinet::IpLayer;
use crate::netinet::in_pcb::{PcbTable, Receivers};
use crate::netinet::ip::{Ip, LOOPBACK_MTU};
use crate::netinet6::in6_ifaddr::{Addr6, AddrOrigin};
use crate::socket::sockopt::Options;
use crate::socket::table::Sockets;
use crate::socket::{Family, Ready, SocketId};
use crate::tcp::{Tcp, TcpConfig, TcpId};
use crate::time::Instant;
use crate::wire::{ipv4, ipv6, scope6};
use events::Events;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rand::Rng;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

/// One host or router: its interfaces, addresses, routes, neighbours and sockets.
///
/// ```
/// use netstack::net::{MacAddr, ifnet::IfConfig};
/// use netstack::stack::{Stack, StackConfig};
/// use netstack::time::Instant;
///
/// let now = Instant::ZERO;
/// let mut stack = Stack::new(StackConfig::default(), [7; 32]);
/// let mac = MacAddr([2, 0, 0, 0, 0, 1]);
/// let eth0 = stack.if_attach(IfConfig { name: "eth0".into(), mac, mtu: 1500 }).unwrap();
/// stack.if_set_up(now, eth0, true).unwrap();
/// stack.addr_add(now, eth0, "192.0.2.1/24".parse().unwrap()).unwrap();
/// assert!(stack.poll_transmit(now, eth0).is_none());
/// assert_eq!(stack.poll_timeout(), None);
/// ```
#[derive(Debug)]
pub struct Stack {
    pub(crate) ip: Ip,
    pub(crate) sockets: Sockets,
    pub(crate) udp: PcbTable<SocketId>,
    pub(crate) udplite: PcbTable<SocketId>,
    pub(crate) ping: PcbTable<SocketId>,
    pub(crate) raw: Vec<SocketId>,
    pub(crate) bpf: Bpf,
    pub(crate) tcp: Tcp,
    /// Something has happened to TCP since it was last pumped.
    pub(crate) pump_due: bool,
    /// Whose is which connection.
    streams: BTreeMap<TcpId, SocketId>,
    /// Those of a new stream on which TCP does not act.
    stream_options: Rc<Options>,
    /// Scratch of events from TCP.
    tcp_events: Vec<(TcpId, Ready)>,
    events: Events,
}

impl Stack {
    /// A stack with the loopback interface `lo`, which is up with 127.0.0.1/8 and ::1. `seed` is the source
    /// of everything random in it: same seed, same inputs, same frames.
    pub fn new(config: StackConfig, seed: [u8; 32]) -> Stack {
        let events = Events::new(config.events);
        let stream_options = Rc::new(Options::new(config.ttl, config.recv_buffer, config.send_buffer));
        let tcp_config = TcpConfig { ttl: config.ttl, ..config.tcp.clone() };
        let mut ip = Ip::new(config, seed);
        let pcbs = |secret| PcbTable::new(Receivers::Bound, secret);
        let [of_udp, of_ping] = [0; 2].map(|_| [ip.rng.random(), ip.rng.random()]);
        // As on Linux, UDP and UDP-Lite have one secret.
        let (mut udp, mut udplite, ping) = (pcbs(of_udp), pcbs(of_udp), pcbs(of_ping));
        for table in [&mut udp, &mut udplite] {
            table.ephemeral = tcp_config.ephemeral_ports.0..=tcp_config.ephemeral_ports.1;
        }
        let tcp = Tcp::new(tcp_config, ip.rng.random());
        let mut stack = Stack {
            ip,
            sockets: Sockets::default(),
            udp,
            udplite,
            ping,
            raw: Vec::new(),
            bpf: Bpf::default(),
            tcp,
            pump_due: false,
            streams: BTreeMap::new(),
            stream_options,
            tcp_events: Vec::new(),
            events,
        };
        stack.attach_loopback();
        stack
    }

    fn attach_loopback(&mut self) {
        let lo = IfConfig { name: "lo".into(), mac: MacAddr::default(), mtu: LOOPBACK_MTU };
        if let Ok(index) = self.ip.ifs.attach(lo)
            && let Some(lo) = self.ip.ifs.get_mut(index)
        {
            (lo.loopback, lo.up) = (true, true);
        }
        let net = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8));
        let _ = self.addr_add(Instant::ZERO, IfIndex::LOOPBACK, net);
        let net = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128));
        let _ = self.addr_add(Instant::ZERO, IfIndex::LOOPBACK, net);
        while self.events.pop(&mut self.sockets).is_some() {}
    }

    // ---- interfaces ----------------------------------------------------------------------------

    /// Attaches an Ethernet interface, down at first.
    pub fn if_attach(&mut self, config: IfConfig) -> Result<IfIndex, IfError> {
        if config.mac.is_multicast() || config.mac == MacAddr::default() {
            return Err(IfError::BadMac(config.mac));
        }
        check_mtu(config.mtu)?;
        let index = self.ip.ifs.attach(config)?;
        self.link_event(index);
        Ok(index)
    }

    /// Takes an interface away, with its addresses, routes, neighbours and waiting frames.
    pub fn if_detach(&mut self, ifindex: IfIndex) -> Result<(), IfError> {
        if self.ifnet(ifindex)?.loopback {
            return Err(IfError::Loopback);
        }
        for addr in self.ifnet(ifindex)?.addrs.clone() {
            self.addr_del(self.ip.now, ifindex, addr)?;
        }
        for family in [Family::Inet, Family::Inet6] {
            self.ip.groups_down(ifindex, family);
        }
        self.ip.rtadv_end(ifindex);
        self.heard_forget(ifindex);
        self.ip.neigh.set_times(ifindex, None, None);
        let Some(mut ifnet) = self.ip.ifs.detach(ifindex) else { return Err(IfError::NoDevice(ifindex)) };
        for m in ifnet.tx.drain() {
            self.ip.discard(Drop::IfGone, m);
        }
        for known in ifnet.in6.addrs.values() {
            self.ip.timers.disarm(known.timer);
        }
        for m in self.ip.neigh.flush(ifindex, true, &mut self.ip.timers) {
            self.ip.discard(Drop::IfGone, m);
        }
        self.ip.exceptions.forget(|_, r| r.ifindex == ifindex);
        for route in self.ip.routes.remove_all(|r| r.dev == Some(ifindex), &self.ip.ifs) {
            self.events.push(Event::Route { route, added: false });
        }
        self.events.push(Event::LinkGone { ifindex });
        self.settle();
        Ok(())
    }

    /// Sets an interface administratively up or down. Routes through an interface that is down are
    /// kept and not used.
    pub fn if_set_up(&mut self, now: Instant, ifindex: IfIndex, up: bool) -> Result<(), IfError> {
        self.change_if(now, ifindex, |i| i.up = up)
    }

    /// Tells that the interface's wire is there or gone; it has the effect of up and down.
    pub fn if_set_carrier(&mut self, now: Instant, ifindex: IfIndex, carrier: bool) -> Result<(), IfError> {
        self.change_if(now, ifindex, |i| i.carrier = carrier)
    }

    fn change_if(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        change: impl FnOnce(&mut Ifnet),
    ) -> Result<(), IfError> {
        self.ip.now = now;
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        let before = (ifnet.up, ifnet.carrier);
        let was = ifnet.usable();
        change(ifnet);
        let (after, is) = ((ifnet.up, ifnet.carrier), ifnet.usable());
        if before != after {
            self.link_event(ifindex);
        }
        match (was, is) {
            (true, false) => self.if_down(ifindex),
            (false, true) => {
                self.ip.routes.refresh_all(&self.ip.ifs);
                self.ip.groups_up(ifindex, Family::Inet);
                self.announce_all(ifindex);
                self.in6_up(ifindex);
            }
            (true, true) | (false, false) => {}
        }
        self.settle();
        Ok(())
    }

    /// Whether the interface's driver takes packets whose checksum and segmentation are left undone.
    /// What comes in may always be such.
    pub fn if_set_offload(&mut self, ifindex: IfIndex, on: bool) -> Result<(), IfError> {
        self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?.offload = on;
        Ok(())
    }

    fn if_down(&mut self, ifindex: IfIndex) {
        self.ip.routes.refresh_all(&self.ip.ifs);
        for family in [Family::Inet, Family::Inet6] {
            self.ip.groups_down(ifindex, family);
        }
        self.ip.rtadv_end(ifindex);
        self.ip.solicit_end(ifindex);
        if self.ip.ifs.get(ifindex).is_some_and(|i| !i.up) {
            self.heard_forget(ifindex);
        }
        self.ip.exceptions.forget(|_, r| r.ifindex == ifindex);
        let mut lost = self.ip.neigh.flush(ifindex, false, &mut self.ip.timers);
        if let Some(i) = self.ip.ifs.get_mut(ifindex) {
            i.counters.out_discards += i.tx.len() as u64;
            lost.extend(i.tx.drain());
        }
        for m in lost {
            self.ip.discard(Drop::IfDown, m);
        }
    }

    fn announce_all(&mut self, ifindex: IfIndex) {
        if !self.ip.config.neigh.announce {
            return;
        }
        let addrs: Vec<Ipv4Addr> =
            self.ip.ifs.get(ifindex).into_iter().flat_map(|i| i.addrs4()).map(|n| n.addr()).collect();
        for addr in addrs.into_iter().filter(|a| !a.is_loopback()) {
            self.ip.arp_announce_start(ifindex, addr);
        }
    }

    /// Sets the size of the largest IP packet, 68 to 65535 octets.
    pub fn if_set_mtu(&mut self, ifindex: IfIndex, mtu: u32) -> Result<(), IfError> {
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        if ifnet.loopback {
            return Err(IfError::Loopback);
        }
        check_mtu(mtu)?;
        ifnet.mtu = mtu;
        self.link_event(ifindex);
        Ok(())
    }

    /// Gives an interface another name.
    pub fn if_set_name(&mut self, ifindex: IfIndex, name: &str) -> Result<(), IfError> {
        if self.ifnet(ifindex)?.loopback {
            return Err(IfError::Loopback);
        }
        if self.ip.ifs.rename(ifindex, name)? {
            self.link_event(ifindex);
        }
        Ok(())
    }

    /// All interfaces, by index.
    pub fn interfaces(&self) -> impl Iterator<Item = &Ifnet> {
        self.ip.ifs.iter()
    }

    /// The interface with this index.
    pub fn interface(&self, ifindex: IfIndex) -> Option<&Ifnet> {
        self.ip.ifs.get(ifindex)
    }

    /// The interface with this name.
    pub fn if_by_name(&self, name: &str) -> Option<IfIndex> {
        self.interfaces().find(|i| i.name == name).map(|i| i.index)
    }

    /// Which frames the interface wants; the driver tells the bus when its generation changes.
    pub fn rx_filter(&self, ifindex: IfIndex) -> RxFilter {
        self.ip.ifs.get(ifindex).map(Ifnet::rx_filter).unwrap_or_default()
    }

    fn ifnet(&self, ifindex: IfIndex) -> Result<&Ifnet, IfError> {
        self.ip.ifs.get(ifindex).ok_or(IfError::NoDevice(ifindex))
    }

    fn link_event(&mut self, ifindex: IfIndex) {
        if let Some(i) = self.ip.ifs.get(ifindex) {
            self.events.push(Event::Link { ifindex, up: i.up, carrier: i.carrier });
        }
    }

    // ---- addresses -----------------------------------------------------------------------------

    /// Gives an interface an address; the prefix is the subnet on its link, which becomes a route. An
    /// IPv6 address makes the interface speak IPv6, and is usable as its
    /// [`Ipv6Config`](crate::netinet6::in6_ifaddr::Ipv6Config) says.
    pub fn addr_add(&mut self, now: Instant, ifindex: IfIndex, addr: IpNet) -> Result<(), IfError> {
        self.ip.now = now;
        let known = addr.addr().is_ipv6().then_some(Addr6::new(AddrOrigin::Manual));
        self.addr_put(ifindex, addr, known)?;
        self.settle();
        Ok(())
    }

    /// Puts an address on an interface, with what is known of it if it is of IPv6.
    pub(crate) fn addr_put(
        &mut self,
        ifindex: IfIndex,
        addr: IpNet,
        known: Option<Addr6>,
    ) -> Result<(), IfError> {
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        let ip = addr.addr();
        let of_no_wire = matches!(ip, IpAddr::V6(a) if a.to_ipv4_mapped().is_some() || !scope6::is_clear(a));
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) || of_no_wire {
            return Err(IfError::BadAddr(addr));
        }
        if ifnet.addrs.iter().any(|a| a.addr() == ip) {
            return Err(IfError::AddrExists(addr));
        }
        if ip.is_ipv6() && (ifnet.mtu < ipv6::MIN_MTU || ifindex.0 > scope6::MAX_ZONE) {
            return Err(IfError::BadMtu(ifnet.mtu));
        }
        ifnet.addrs.push(addr);
        self.events.push(Event::Addr { ifindex, addr, added: true });
        match (ip, known) {
            (IpAddr::V6(a), Some(known)) => self.addr6_begin(ifindex, a, known),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => self.addr_usable(ifindex, addr),
        }
        Ok(())
    }

    /// An address of an interface is ours from now on: it brings its routes.
    pub(crate) fn addr_usable(&mut self, ifindex: IfIndex, addr: IpNet) {
        let loopback = self.ip.ifs.get(ifindex).is_some_and(|i| i.loopback);
        self.address_routes_add(self.routes_with(ifindex, addr, loopback));
        self.ip.routes.refresh_all(&self.ip.ifs);
        if let IpAddr::V4(a) = addr.addr()
            && self.ip.config.neigh.announce
            && !loopback
        {
            self.ip.arp_announce_start(ifindex, a);
        }
    }

    /// Takes an address from an interface.
    pub fn addr_del(&mut self, now: Instant, ifindex: IfIndex, addr: IpNet) -> Result<(), IfError> {
        self.ip.now = now;
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        let place = ifnet.addrs.iter().position(|a| *a == addr).ok_or(IfError::NoAddr(addr))?;
        ifnet.addrs.remove(place);
        self.events.push(Event::Addr { ifindex, addr, added: false });
        if let IpAddr::V6(a) = addr.addr() {
            self.addr6_end(ifindex, a);
        }
        self.addr_unusable(ifindex, addr);
        self.settle();
        Ok(())
    }

    /// An address is ours no more: its routes go.
    pub(crate) fn addr_unusable(&mut self, ifindex: IfIndex, addr: IpNet) {
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return };
        let loopback = ifnet.loopback;
        let others = ifnet.addrs.iter().filter(|a| a.addr() != addr.addr() && ifnet.is_assigned(a.addr()));
        let kept: Vec<Route> = others.flat_map(|a| self.routes_with(ifindex, *a, loopback)).collect();
        let its =
            |r: &Route| (r.proto, r.dev, r.src) == (RouteProto::Kernel, Some(ifindex), Some(addr.addr()));
        for route in self.ip.routes.remove_all(its, &self.ip.ifs) {
            self.events.push(Event::Route { route, added: false });
        }
        // Other addresses of the same subnet bring its routes again, with themselves as source.
        self.address_routes_add(kept);
        self.ip.routes.refresh_all(&self.ip.ifs);
        self.drop_routes_from(addr.addr());
    }

    /// What an address brings: one that was made of a router's prefix nothing but itself, for what is on
    /// the link says the router (RFC 5942).
    fn routes_with(&self, ifindex: IfIndex, addr: IpNet, loopback: bool) -> Vec<Route> {
        let mut routes = address_routes(ifindex, addr, loopback);
        let made = match addr.addr() {
            IpAddr::V4(_) => false,
            IpAddr::V6(a) => {
                self.ip.ifs.get(ifindex).and_then(|i| i.in6.addrs.get(&a)).is_some_and(|k| match k.origin {
                    AddrOrigin::Manual | AddrOrigin::LinkLocal => false,
                    AddrOrigin::Autoconf | AddrOrigin::Temporary => true,
                })
            }
        };
        routes.retain(|r| !made || r.kind == RouteKind::Local);
        routes
    }

    /// The routes that an address brings.
    fn address_routes_add(&mut self, routes: Vec<Route>) {
        for route in routes {
            // The same subnet by two interfaces, or an address on both: the first one counts.
            if self.ip.routes.add(route, &self.ip.ifs).is_ok() {
                self.events.push(Event::Route { route, added: true });
            }
        }
    }

    /// Whether an interface has the address `addr` (as it stands on the wire) and may use it.
    fn is_own(&self, addr: IpAddr) -> bool {
        let has = |i: &Ifnet| i.addrs.iter().any(|a| a.addr() == addr) && i.is_assigned(addr);
        self.ip.is_local(addr) || self.interfaces().any(has)
    }

    /// Routes do not outlive the source address that they name, unless another interface has it.
    fn drop_routes_from(&mut self, src: IpAddr) {
        if self.is_own(src) {
            return;
        }
        for route in self.ip.routes.remove_all(|r| r.src == Some(src), &self.ip.ifs) {
            self.events.push(Event::Route { route, added: false });
        }
    }

    // ---- routes --------------------------------------------------------------------------------

    /// Adds a route. Several of the same destination and metric are equal-cost paths.
    pub fn route_add(&mut self, route: Route) -> Result<(), RouteError> {
        let route = self.check_route(route)?;
        self.ip.routes.add(route, &self.ip.ifs)?;
        self.events.push(Event::Route { route, added: true });
        self.settle();
        Ok(())
    }

    /// Removes the first route to `route.to` that agrees with its `via`, `dev` (where given) and `metric`.
    pub fn route_del(&mut self, route: Route) -> Result<(), RouteError> {
        let same = |r: &Route| {
            r.metric == route.metric
                && r.kind == route.kind
                && (route.via.is_none() || r.via == route.via)
                && (route.dev.is_none() || r.dev == route.dev)
        };
        let route = self.ip.routes.remove(route.to, same, &self.ip.ifs)?;
        self.events.push(Event::Route { route, added: false });
        self.settle();
        Ok(())
    }

    /// Routes that lead somewhere, by destination and metric: Linux's `main` table.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.ip.routes.iter().filter(|r| !matches!(r.kind, RouteKind::Local | RouteKind::Broadcast))
    }

    /// Routes to ourselves: Linux's `local` table.
    pub fn local_routes(&self) -> impl Iterator<Item = &Route> {
        self.ip.routes.iter().filter(|r| matches!(r.kind, RouteKind::Local | RouteKind::Broadcast))
    }

    pub(super) fn check_route(&self, mut route: Route) -> Result<Route, RouteError> {
        if route.to != route.to.trunc() {
            return Err(RouteError::HostBits(route.to));
        }
        if let Some(dev) = route.dev
            && self.ip.ifs.get(dev).is_none()
        {
            return Err(RouteError::NoDevice(dev));
        }
        if let Some(src) = route.src
            && !(src.is_ipv4() == route.to.addr().is_ipv4() && self.is_own(src))
        {
            return Err(RouteError::Source(src));
        }
        if route.kind != RouteKind::Unicast {
            return Ok(Route { via: None, dev: None, ..route });
        }
        match (route.via, route.dev) {
            (None, None) => return Err(RouteError::NoNextHop),
            (None, Some(_)) => {}
            (Some(via), dev) => {
                let odd = via.is_unspecified() || via.is_multicast() || via.is_loopback();
                let own = self.interfaces().any(|i| i.addrs.iter().any(|a| a.addr() == via));
                if via.is_ipv4() != route.to.addr().is_ipv4() {
                    return Err(RouteError::Family { to: route.to, via });
                }
                let found = dev.or_else(|| self.ip.ifs.on_link(via).map(|i| i.index));
                if odd || own || found.is_none() {
                    return Err(RouteError::Gateway(via));
                }
                route.dev = found;
            }
        }
        Ok(route)
    }

    /// Whether the stack forwards packets for others: router or host.
    pub fn set_forwarding(&mut self, forwarding: bool) {
        if core::mem::replace(&mut self.ip.config.forwarding, forwarding) == forwarding {
            return;
        }
        let speakers: Vec<IfIndex> = self.interfaces().filter(|i| i.in6.enabled).map(|i| i.index).collect();
        for ifindex in speakers {
            match forwarding {
                true => self.ip.group_join(ifindex, IpAddr::V6(ipv6::ALL_ROUTERS)),
                false => self.ip.group_leave(ifindex, IpAddr::V6(ipv6::ALL_ROUTERS)),
            }
            // Hosts are to hear whether this is a default router (RFC 4861 §6.2.5).
            self.ip.rtadv_begin(ifindex);
            match self.ip.accepts_ra(ifindex) {
                true => self.ip.solicit_begin(ifindex),
                false => self.heard_forget(ifindex),
            }
        }
    }

    /// Whether the stack forwards packets for others.
    pub fn forwarding(&self) -> bool {
        self.ip.config.forwarding
    }

    // ---- neighbours ----------------------------------------------------------------------------

    /// The neighbours, as of the last call that brought the time.
    pub fn neighbours(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.ip.neigh.iter(self.ip.now)
    }

    /// A permanent neighbour.
    pub fn neigh_add(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        mac: MacAddr,
    ) -> Result<(), IfError> {
        self.neigh_set(now, (ifindex, addr), mac, Told::Permanent, false)
    }

    /// What somebody who knows tells of a neighbour; `router`: it is one (NTF_ROUTER).
    pub fn neigh_set(
        &mut self,
        now: Instant,
        (ifindex, addr): (IfIndex, IpAddr),
        mac: MacAddr,
        told: Told,
        router: bool,
    ) -> Result<(), IfError> {
        self.ip.now = now;
        self.ifnet(ifindex)?;
        if mac.is_multicast() {
            return Err(IfError::BadMac(mac));
        }
        let queue = self.ip.neigh.set(now, (ifindex, addr), mac, told, router, &mut self.ip.timers);
        let queue = queue.unwrap_or_default();
        match told {
            Told::Failed => queue.into_iter().for_each(|m| self.ip.discard(Drop::NeighUnreachable, m)),
            Told::Permanent | Told::Reachable | Told::Stale | Told::Delay | Told::Probe => {
                self.ip.neigh_flush(ifindex, mac, queue);
            }
        }
        self.settle();
        Ok(())
    }

    /// Asks for a neighbour's link address, or whether it is still there, as a packet for it would.
    pub fn neigh_use(&mut self, now: Instant, ifindex: IfIndex, addr: IpAddr) -> Result<(), IfError> {
        self.ip.now = now;
        self.ifnet(ifindex)?;
        if self.ip.neigh.want(now, ifindex, addr, &mut self.ip.timers) == Some(true) {
            self.ip.solicit(ifindex, addr, None);
        }
        self.settle();
        Ok(())
    }

    /// Forgets a neighbour; whether it was known.
    pub fn neigh_del(&mut self, ifindex: IfIndex, addr: IpAddr) -> bool {
        let Some(queue) = self.ip.neigh.remove(self.ip.now, ifindex, addr, &mut self.ip.timers) else {
            return false;
        };
        for m in queue {
            self.ip.discard(Drop::NeighUnreachable, m);
        }
        self.settle();
        true
    }
}

/// Linux's IP6_RT_PRIO_ADDRCONF.
const SUBNET6_METRIC: u32 = 256;

fn check_mtu(mtu: u32) -> Result<(), IfError> {
    if (ipv4::MIN_MTU..=ipv4::MAX_LEN as u32).contains(&mtu) { Ok(()) } else { Err(IfError::BadMtu(mtu)) }
}

/// What an address brings into the routes: itself, its subnet, and the subnet's broadcast address
/// (except for /31, RFC 3021, and /32).
fn address_routes(ifindex: IfIndex, addr: IpNet, loopback: bool) -> Vec<Route> {
    let kernel = |to: IpNet, kind: RouteKind| Route {
        dev: Some(ifindex),
        proto: RouteProto::Kernel,
        src: Some(addr.addr()),
        ..Route::special(to, kind)
    };
    let mut routes = vec![kernel(IpNet::from(addr.addr()), RouteKind::Local)];
    // As Linux: of IPv6, subnets are of this metric, so that others can be preferred to them.
    let metric = if addr.addr().is_ipv6() { SUBNET6_METRIC } else { 0 };
    let host = addr.prefix_len() == addr.max_prefix_len();
    if loopback && !host {
        // All of 127/8 is ourselves (RFC 1122 §3.2.1.3 (g)).
        routes.push(kernel(addr.trunc(), RouteKind::Local));
    } else if !host {
        routes.push(Route { metric, ..kernel(addr.trunc(), RouteKind::Unicast) });
    }
    if addr.addr().is_ipv4() && addr.prefix_len() < 31 {
        routes.push(kernel(IpNet::from(addr.broadcast()), RouteKind::Broadcast));
    }
    routes
}
