//! What IPv6 knows of an interface: whether it speaks it, its addresses and their states. RFC 4862
//! §5, RFC 7217 (stable interface identifiers), RFC 4291 appendix A (modified EUI-64).
//!
//! An interface speaks IPv6 once it is told to, or gets an IPv6 address: one that has none sends no
//! frame of it.

use super::nd6_rtr::Heard;
use super::rtadv::RtAdv;
use crate::net::ifnet::IfError;
use crate::net::{IfIndex, MacAddr};
use crate::netinet::ip::Ip;
use crate::socket::Family;
use crate::stack::{Event, Stack};
use crate::time::{Duration, Instant};
use crate::timer::TimerKey;
use crate::wire::{ipv6, scope6};
use ipnet::{IpNet, Ipv6Net};
use siphasher::sip::SipHasher24;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};

/// Whether and how an interface speaks IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Config {
    /// Whether it does.
    pub enabled: bool,
    /// Duplicate address detection.
    pub dad: Dad,
    /// Solicitations of DAD (DupAddrDetectTransmits).
    pub dad_transmits: u8,
    /// Whether the interface speaks IPv6 no more when somebody else has the link-local address that its link address
    /// makes, which is then not its own either (RFC 4862 §5.4.5; Linux's `accept_dad` 2).
    pub dad_disables: bool,
    /// How its own addresses end.
    pub iid: InterfaceId,
    /// Whether router advertisements are believed.
    pub accept_ra: AcceptRa,
    /// Whether addresses are made of the prefixes in them (RFC 4862 §5.5).
    pub autoconf: bool,
    /// Whether there are temporary ones besides (RFC 8981).
    pub temporary: bool,
}

impl Default for Ipv6Config {
    fn default() -> Ipv6Config {
        Ipv6Config {
            enabled: false,
            dad: Dad::Optimistic,
            dad_transmits: 1,
            dad_disables: false,
            iid: InterfaceId::Eui64,
            accept_ra: AcceptRa::Never,
            autoconf: true,
            temporary: false,
        }
    }
}

/// Duplicate address detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dad {
    /// None: addresses are good at once.
    Off,
    /// Addresses are good when it has ended (RFC 4862 §5.4).
    On,
    /// Addresses are used while it runs (RFC 4429).
    Optimistic,
}

/// Whether router advertisements are believed (Linux's `accept_ra`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptRa {
    /// No.
    Never,
    /// By hosts: as long as the stack does not forward.
    Host,
    /// By routers, too.
    Always,
}

/// How interface identifiers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceId {
    /// Of the link address: modified EUI-64 (RFC 4291 appendix A).
    Eui64,
    /// Of a secret, the prefix and the interface: the same whenever the host is there again, and
    /// another elsewhere (RFC 7217).
    Stable,
}

/// What may be done with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddrState {
    /// Nothing yet: DAD has not ended, or not begun.
    Tentative,
    /// Used while DAD runs.
    Optimistic,
    /// Everything.
    Preferred,
    /// Good, but not for anything new.
    Deprecated,
    /// Nothing: somebody else has it.
    Duplicate,
}

impl AddrState {
    /// Whether packets to the address are ours.
    pub fn is_assigned(self) -> bool {
        match self {
            AddrState::Optimistic | AddrState::Preferred | AddrState::Deprecated => true,
            AddrState::Tentative | AddrState::Duplicate => false,
        }
    }
}

/// Where an address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddrOrigin {
    /// A person, a program or the topology.
    Manual,
    /// The stack, for the link.
    LinkLocal,
    /// A router's prefix (RFC 4862 §5.5).
    Autoconf,
    /// The same, for a time (RFC 8981).
    Temporary,
}

/// What is known of an IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addr6 {
    /// What may be done with it.
    pub state: AddrState,
    /// Where it is from.
    pub origin: AddrOrigin,
    /// Deprecated from then on; `None`: never.
    pub preferred_until: Option<Instant>,
    /// Taken away then; `None`: never.
    pub valid_until: Option<Instant>,
    /// Solicitations of DAD that were sent.
    pub(crate) dad_sent: u8,
    /// The nonce of these (RFC 7527).
    pub(crate) nonce: [u8; 6],
    pub(crate) timer: Option<TimerKey>,
    /// How many addresses before it were somebody else's (RFC 7217's DAD_Counter).
    pub(crate) attempt: u8,
    /// Of a temporary one: beyond these instants it is neither preferred nor valid, whatever routers say.
    pub(crate) caps: Option<(Instant, Instant)>,
}

impl Addr6 {
    /// An address of which nothing is known yet.
    pub(crate) fn new(origin: AddrOrigin) -> Addr6 {
        Addr6 {
            state: AddrState::Tentative,
            origin,
            preferred_until: None,
            valid_until: None,
            dad_sent: 0,
            nonce: [0; 6],
            timer: None,
            attempt: 0,
            caps: None,
        }
    }

    /// What may be done with it at `now`.
    pub fn state_at(&self, now: Instant) -> AddrState {
        match self.state {
            AddrState::Preferred if self.preferred_until.is_some_and(|at| at <= now) => AddrState::Deprecated,
            s => s,
        }
    }
}

/// What IPv6 knows of an interface.
#[derive(Debug, Default)]
pub(crate) struct In6 {
    pub(crate) enabled: bool,
    pub(crate) config: Ipv6Config,
    /// Its addresses, as they stand on the wire; those of `Ifnet::addrs` that are IPv6.
    pub(crate) addrs: BTreeMap<Ipv6Addr, Addr6>,
    /// How many of them it may not use, by DAD.
    unassigned: usize,
    /// Link-local addresses of ours that others had (RFC 7217's DAD_Counter).
    pub(crate) duplicates: u8,
    /// What routers told of it.
    pub(crate) heard: Heard,
    /// What it advertises.
    pub(crate) rtadv: Option<RtAdv>,
}

impl In6 {
    /// It has an address more.
    fn insert(&mut self, addr: Ipv6Addr, known: Addr6) {
        self.addrs.insert(addr, known);
        self.recount();
    }

    /// It has an address less; what was known of it.
    fn remove(&mut self, addr: Ipv6Addr) -> Option<Addr6> {
        let known = self.addrs.remove(&addr);
        self.recount();
        known
    }

    /// Another state of an address, made of the one that it has; the one before, if it has the address.
    pub(super) fn set_state(
        &mut self,
        addr: Ipv6Addr,
        state: impl FnOnce(AddrState) -> AddrState,
    ) -> Option<AddrState> {
        let known = self.addrs.get_mut(&addr)?;
        let before = known.state;
        known.state = state(before);
        self.recount();
        Some(before)
    }

    fn recount(&mut self) {
        self.unassigned = self.addrs.values().filter(|known| !known.state.is_assigned()).count();
    }

    /// Whether `addr` (in embedded form) is one that it has and may not use. A packet that goes on asks.
    pub(super) fn awaits(&self, addr: Ipv6Addr) -> bool {
        self.unassigned > 0 && self.addrs.contains_key(&scope6::clear(addr))
    }

    /// What is known of an address, if the interface has it.
    pub(crate) fn addr_mut(&mut self, addr: Ipv6Addr) -> Option<&mut Addr6> {
        self.addrs.get_mut(&addr)
    }
}

/// The prefix of all links.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
/// RFC 7217 §6: IDGEN_RETRIES.
const IDGEN_RETRIES: u8 = 3;

/// Modified EUI-64 of a link address.
fn eui64(mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

impl Ip {
    /// The interface identifier of addresses of `prefix` on an interface; `counter`: how many before
    /// it were somebody else's.
    pub(crate) fn interface_id(&self, ifindex: IfIndex, prefix: Ipv6Addr, counter: u8) -> u64 {
        let Some(ifnet) = self.ifs.get(ifindex) else { return 0 };
        match ifnet.in6.config.iid {
            InterfaceId::Eui64 => eui64(ifnet.mac),
            InterfaceId::Stable => {
                let [a, b] = self.secret;
                let mut f = SipHasher24::new_with_keys(a, b);
                f.write(&prefix.octets()[..8]);
                f.write(ifnet.name.as_bytes());
                f.write(&[counter]);
                f.finish()
            }
        }
    }

    /// The address of `prefix` (64 bits) with this identifier.
    pub(crate) fn with_id(prefix: Ipv6Addr, id: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(prefix.to_bits() & !u128::from(u64::MAX) | u128::from(id))
    }
}

impl Stack {
    /// Makes an interface speak IPv6, or no longer. One that begins to gets a link-local address; one
    /// that ends loses all of its IPv6 addresses.
    pub fn if_set_ipv6(&mut self, now: Instant, ifindex: IfIndex, config: Ipv6Config) -> Result<(), IfError> {
        self.ip.now = now;
        let believed = self.ip.accepts_ra(ifindex);
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        if config.enabled && (ifnet.mtu < ipv6::MIN_MTU || ifindex.0 > scope6::MAX_ZONE) {
            return Err(IfError::BadMtu(ifnet.mtu));
        }
        let was = ifnet.in6.enabled;
        ifnet.in6.config = config;
        match (was, config.enabled) {
            (false, true) => self.in6_enable(ifindex),
            (true, false) => self.in6_disable(now, ifindex)?,
            (true, true) if self.ip.accepts_ra(ifindex) != believed => match believed {
                true => self.heard_forget(ifindex),
                false => self.ip.solicit_begin(ifindex),
            },
            (true, true) | (false, false) => {}
        }
        self.settle();
        Ok(())
    }

    /// How an interface speaks IPv6.
    pub fn if_ipv6(&self, ifindex: IfIndex) -> Option<Ipv6Config> {
        self.ip.ifs.get(ifindex).map(|i| Ipv6Config { enabled: i.in6.enabled, ..i.in6.config })
    }

    /// What is known of an IPv6 address of an interface.
    pub fn addr6(&self, ifindex: IfIndex, addr: Ipv6Addr) -> Option<Addr6> {
        let known = *self.ip.ifs.get(ifindex)?.in6.addrs.get(&addr)?;
        Some(Addr6 { state: known.state_at(self.ip.now), ..known })
    }

    /// Gives an interface an IPv6 address of this origin that is good for so long (`None`: for ever).
    pub fn addr6_add(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        net: Ipv6Net,
        origin: AddrOrigin,
        (preferred, valid): (Option<Duration>, Option<Duration>),
    ) -> Result<(), IfError> {
        self.ip.now = now;
        let mut known = Addr6::new(origin);
        known.preferred_until = preferred.map(|d| now + d);
        known.valid_until = valid.map(|d| now + d);
        self.addr_put(ifindex, IpNet::V6(net), Some(known))?;
        self.lifetimes_arm(ifindex);
        self.settle();
        Ok(())
    }

    pub(crate) fn in6_enable(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        ifnet.in6.enabled = true;
        ifnet.in6.config.enabled = true;
        ifnet.filter_generation += 1;
        if self.ip.config.forwarding {
            self.ip.group_join(ifindex, IpAddr::V6(ipv6::ALL_ROUTERS));
        }
        self.in6_up(ifindex);
    }

    fn in6_disable(&mut self, now: Instant, ifindex: IfIndex) -> Result<(), IfError> {
        self.ip.rtadv_end(ifindex);
        self.heard_forget(ifindex);
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return Ok(()) };
        let addrs: Vec<Ipv6Net> = ifnet.addrs6().collect();
        for addr in addrs {
            self.addr_del(now, ifindex, IpNet::V6(addr))?;
        }
        if self.ip.config.forwarding {
            self.ip.group_leave(ifindex, IpAddr::V6(ipv6::ALL_ROUTERS));
        }
        self.ip.groups_down(ifindex, Family::Inet6);
        if let Some(ifnet) = self.ip.ifs.get_mut(ifindex) {
            ifnet.in6.enabled = false;
            ifnet.filter_generation += 1;
        }
        Ok(())
    }

    /// An interface that speaks IPv6 came up: it gets its link-local address, and DAD begins for
    /// what it has.
    pub(crate) fn in6_up(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return };
        if !ifnet.in6.enabled || !ifnet.usable() {
            return;
        }
        let waiting: Vec<Ipv6Addr> = ifnet.in6.addrs.keys().copied().collect();
        self.ip.groups_up(ifindex, Family::Inet6);
        for addr in waiting {
            self.dad_again(ifindex, addr);
            self.dad_start(ifindex, addr);
        }
        self.link_local_add(ifindex);
        self.ip.rtadv_begin(ifindex);
        self.ip.rank_all(ifindex);
        self.ip.solicit_begin(ifindex);
    }

    /// RFC 4862 §5.3: the address of the link, unless there is one.
    fn link_local_add(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return };
        if ifnet.loopback || ifnet.addrs6().any(|n| n.addr().is_unicast_link_local()) {
            return;
        }
        let id = self.ip.interface_id(ifindex, LINK_LOCAL, ifnet.in6.duplicates);
        let net = Ipv6Net::new_assert(Ip::with_id(LINK_LOCAL, id), 64);
        // It cannot be there already, nor be no address.
        let _ = self.addr_put(ifindex, IpNet::V6(net), Some(Addr6::new(AddrOrigin::LinkLocal)));
    }

    /// Somebody else has our link-local address: another one, if there can be (RFC 7217 §6); else, where that is
    /// wanted, no IPv6 at all (RFC 4862 §5.4.5).
    pub(crate) fn link_local_retry(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let config = ifnet.in6.config;
        match config.iid {
            InterfaceId::Eui64 if config.dad_disables => {
                // The interface is there.
                let _ = self.in6_disable(self.ip.now, ifindex);
                return;
            }
            InterfaceId::Eui64 => return,
            InterfaceId::Stable if ifnet.in6.duplicates >= IDGEN_RETRIES => return,
            InterfaceId::Stable => {}
        }
        ifnet.in6.duplicates += 1;
        let _ = self.addr_del(self.ip.now, ifindex, IpNet::V6(Ipv6Net::new_assert(addr, 64)));
        self.link_local_add(ifindex);
    }

    /// An IPv6 address begins its life: `addr_put` has put it on the interface.
    pub(crate) fn addr6_begin(&mut self, ifindex: IfIndex, addr: Ipv6Addr, known: Addr6) {
        if self.ip.ifs.get(ifindex).is_some_and(|i| !i.in6.enabled) {
            self.in6_enable(ifindex);
        }
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        ifnet.in6.insert(addr, known);
        // The group is joined before DAD's first solicitation leaves (RFC 4862 §5.4.2), and after the
        // address is usable, if it is at once: the report of it has a source then.
        self.dad_start(ifindex, addr);
        if !addr.is_loopback() {
            self.ip.group_join(ifindex, IpAddr::V6(ipv6::solicited_node(addr)));
        }
    }

    /// An IPv6 address ends: `addr_del` has taken it from the interface.
    pub(crate) fn addr6_end(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        if let Some(known) = ifnet.in6.remove(addr) {
            self.ip.timers.disarm(known.timer);
        }
        if !addr.is_loopback() {
            self.ip.group_leave(ifindex, IpAddr::V6(ipv6::solicited_node(addr)));
        }
    }

    /// The state of an address has changed: whoever watches hears of it again.
    pub(crate) fn addr6_event(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        if let Some(addr) = self.net_of(ifindex, addr) {
            self.push_event(Event::Addr { ifindex, addr, added: true });
        }
    }

    /// An address of an interface with its prefix.
    pub(crate) fn net_of(&self, ifindex: IfIndex, addr: Ipv6Addr) -> Option<IpNet> {
        self.ip.ifs.get(ifindex)?.addrs6().find(|n| n.addr() == addr).map(IpNet::V6)
    }
}
