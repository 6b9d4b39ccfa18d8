//! Router advertisements as a router sends them: RFC 4861 §6.2, RFC 4191, RFC 8106. What hosts make of
//! them is in `nd6_rtr`.

use super::in6_ifaddr::AddrState;
use crate::net::IfIndex;
use crate::netinet::IpRx;
use crate::netinet::ip::Ip;
use crate::stack::Stack;
use crate::time::{Duration, Instant};
use crate::timer::{Nd6Timer, Timer, TimerKey};
use crate::wire::icmpv6::{Header, ty};
use crate::wire::ndp::{self, OptionOf, PrefixInfo, option};
use crate::wire::ndp_router::{self, Preference, RouteInfo, RouterAdvert};
use crate::wire::{icmpv6, ipv6, scope6};
use ipnet::Ipv6Net;
use rand::Rng;
use std::net::{IpAddr, Ipv6Addr};

/// MAX_INITIAL_RTR_ADVERTISEMENTS: so many come soon after each other …
const INITIAL_ADVERTS: u8 = 3;
/// … at most so far apart (MAX_INITIAL_RTR_ADVERT_INTERVAL).
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MAX_RA_DELAY_TIME: within it a solicitation is answered.
const MAX_DELAY: Duration = Duration::from_millis(500);
/// MIN_DELAY_BETWEEN_RAS, to all.
const MIN_APART: Duration = Duration::from_secs(3);

/// What a router tells of a link: the variables of RFC 4861 §6.2.1 and their like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaConfig {
    /// Prefixes (AdvPrefixList).
    pub prefixes: Vec<RaPrefix>,
    /// Routes behind this router (RFC 4191 §2.3).
    pub routes: Vec<RaRoute>,
    /// Seconds for which this is a default router (AdvDefaultLifetime); 0: it is none.
    pub lifetime: u16,
    /// Which of several default routers hosts take (RFC 4191).
    pub preference: Preference,
    /// Octets (AdvLinkMTU); `None`: nothing is said of it.
    pub mtu: Option<u32>,
    /// Name servers (RFC 8106 §5.1) …
    pub rdnss: Vec<Ipv6Addr>,
    /// … and seconds for which they may be asked.
    pub rdnss_lifetime: u32,
    /// Search domains (RFC 8106 §5.2) …
    pub dnssl: Vec<String>,
    /// … and seconds for which they may be used.
    pub dnssl_lifetime: u32,
    /// Time between two that nobody asked for, at most (MaxRtrAdvInterval).
    pub max_interval: Duration,
    /// The same, at least (MinRtrAdvInterval).
    pub min_interval: Duration,
    /// AdvManagedFlag
    pub managed: bool,
    /// AdvOtherConfigFlag
    pub other: bool,
    /// AdvCurHopLimit; 0: nothing is said of it.
    pub hop_limit: u8,
    /// Milliseconds (AdvReachableTime); 0: nothing is said of it.
    pub reachable_ms: u32,
    /// Milliseconds (AdvRetransTimer); 0: nothing is said of it.
    pub retrans_ms: u32,
}

impl Default for RaConfig {
    /// RFC 4861 §6.2.1.
    fn default() -> RaConfig {
        RaConfig {
            prefixes: Vec::new(),
            routes: Vec::new(),
            lifetime: 1800,
            preference: Preference::Medium,
            mtu: None,
            rdnss: Vec::new(),
            rdnss_lifetime: 1800,
            dnssl: Vec::new(),
            dnssl_lifetime: 1800,
            max_interval: Duration::from_secs(600),
            min_interval: Duration::from_secs(200),
            managed: false,
            other: false,
            hop_limit: 64,
            reachable_ms: 0,
            retrans_ms: 0,
        }
    }
}

/// An advertised prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// AdvOnLinkFlag
    pub on_link: bool,
    /// AdvAutonomousFlag
    pub autonomous: bool,
    /// Seconds (AdvValidLifetime); all ones: for ever.
    pub valid: u32,
    /// Seconds (AdvPreferredLifetime); all ones: for ever.
    pub preferred: u32,
}

impl RaPrefix {
    /// A prefix that is on the link and of which hosts make addresses, with RFC 4861's lifetimes.
    pub fn new(prefix: Ipv6Net) -> RaPrefix {
        RaPrefix { prefix, on_link: true, autonomous: true, valid: 2_592_000, preferred: 604_800 }
    }
}

/// An advertised route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaRoute {
    /// The destinations.
    pub prefix: Ipv6Net,
    /// Which of several routers hosts take.
    pub preference: Preference,
    /// Seconds; all ones: for ever.
    pub lifetime: u32,
}

/// Why something cannot be advertised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaError {
    /// No such interface, or the loopback.
    #[error("no interface with index {} that could advertise", .0.0)]
    NoDevice(IfIndex),
    /// The intervals are zero, or the least is longer than the longest.
    #[error("no interval between {min:?} and {max:?}")]
    Interval {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
    },
    /// Link-local, a group's, with host bits, or preferred for longer than valid.
    #[error("{0} cannot be advertised")]
    Prefix(Ipv6Net),
    /// Less than every link carries.
    #[error("bad mtu {0}")]
    BadMtu(u32),
    /// A search domain that is no name.
    #[error("a search domain is no name")]
    Domain,
    /// More than one packet takes.
    #[error("{0} octets of options are more than one packet takes")]
    TooLong(usize),
}

/// What an advertising interface keeps.
#[derive(Debug)]
pub(crate) struct RtAdv {
    pub(crate) config: RaConfig,
    /// How many of the first are still to come soon.
    initial: u8,
    /// When the last went to all.
    last: Option<Instant>,
    next: Option<(Instant, TimerKey)>,
}

impl Stack {
    /// Makes an interface advertise, or (`None`) no longer: hosts are told that this is no router of
    /// theirs any more. A stack that does not forward says that it is no default router.
    pub fn if_set_ra(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        config: Option<RaConfig>,
    ) -> Result<(), RaError> {
        self.ip.now = now;
        let ifnet = self.ip.ifs.get_mut(ifindex).filter(|i| !i.loopback);
        let ifnet = ifnet.ok_or(RaError::NoDevice(ifindex))?;
        if let Some(config) = &config {
            check(config)?;
        }
        let before = ifnet.in6.rtadv.take();
        self.ip.timers.disarm(before.as_ref().and_then(|r| r.next).map(|(_, key)| key));
        match config {
            Some(config) => {
                let last = before.and_then(|r| r.last);
                ifnet.in6.rtadv = Some(RtAdv { config, initial: INITIAL_ADVERTS, last, next: None });
                self.ip.rtadv_begin(ifindex);
            }
            None => {
                if let Some(RtAdv { config, .. }) = before {
                    // RFC 4861 §6.2.5: the last one.
                    self.ip.rtadv_send(ifindex, &RaConfig { lifetime: 0, ..config }, ipv6::ALL_NODES);
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// What an interface advertises.
    pub fn if_ra(&self, ifindex: IfIndex) -> Option<&RaConfig> {
        Some(&self.ip.ifs.get(ifindex)?.in6.rtadv.as_ref()?.config)
    }

    /// A host asks for routers; false if it may not ask so (RFC 4861 §6.1.1).
    pub(super) fn rtadv_solicited(&mut self, rx: &IpRx, body: &[u8]) -> bool {
        self.ip.stats.nd6.in_router_solicits += 1;
        let IpAddr::V6(src) = rx.src else { return false };
        let Some(options) = body.get(ndp_router::SOLICIT_LEN - 4..) else { return false };
        let mut link = None;
        for o in ndp::options(options) {
            let Ok(OptionOf { kind, body }) = o else { return false };
            if kind == option::SOURCE_LINK {
                link = ndp::link_address(body);
            }
        }
        if src.is_unspecified() && link.is_some() {
            return false;
        }
        let advertises = self.ip.ifs.get(rx.ifindex).is_some_and(|i| i.in6.rtadv.is_some());
        if !advertises {
            return true;
        }
        if let Some(mac) = link {
            self.nd6_hint(rx.ifindex, src, mac);
        }
        // RFC 4861 §6.2.6: who looks for routers is none.
        self.ip.neigh.is_router(self.ip.now, rx.ifindex, IpAddr::V6(scope6::clear(src)), false);
        self.ip.rtadv_answer(rx.ifindex);
        true
    }
}

impl Ip {
    /// An interface that advertises came up, or began to: the first advertisements come soon.
    pub(crate) fn rtadv_begin(&mut self, ifindex: IfIndex) {
        let Some(r) = self.ifs.get_mut(ifindex).and_then(|i| i.in6.rtadv.as_mut()) else { return };
        r.initial = INITIAL_ADVERTS;
        let after = self.rng.random_range(Duration::ZERO..=MAX_DELAY);
        let earliest = r.last.map_or(self.now, |at| at + MIN_APART);
        self.rtadv_schedule(ifindex, (self.now + after).max(earliest));
    }

    /// Nothing can be sent any more.
    pub(crate) fn rtadv_end(&mut self, ifindex: IfIndex) {
        let Some(r) = self.ifs.get_mut(ifindex).and_then(|i| i.in6.rtadv.as_mut()) else { return };
        self.timers.disarm(r.next.take().map(|(_, key)| key));
    }

    /// RFC 4861 §6.2.6: a solicitation is answered to all, after a random delay, but not more often
    /// than every three seconds.
    fn rtadv_answer(&mut self, ifindex: IfIndex) {
        let Some(r) = self.ifs.get_mut(ifindex).and_then(|i| i.in6.rtadv.as_mut()) else { return };
        let after = self.rng.random_range(Duration::ZERO..=MAX_DELAY);
        let earliest = r.last.map_or(self.now, |at| (at + MIN_APART).max(self.now));
        let at = earliest + after;
        if r.next.is_none_or(|(next, _)| at < next) {
            self.rtadv_schedule(ifindex, at);
        }
    }

    fn rtadv_schedule(&mut self, ifindex: IfIndex, at: Instant) {
        let Some(r) = self.ifs.get_mut(ifindex).and_then(|i| i.in6.rtadv.as_mut()) else { return };
        self.timers.disarm(r.next.map(|(_, key)| key));
        r.next = Some((at, self.timers.arm(at, Timer::Nd6 { ifindex, what: Nd6Timer::Advertise })));
    }

    /// An advertisement to all is due.
    pub(crate) fn rtadv_due(&mut self, ifindex: IfIndex) {
        let now = self.now;
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let usable = ifnet.usable() && ifnet.in6.enabled;
        let Some(r) = ifnet.in6.rtadv.as_mut() else { return };
        r.next = None;
        if !usable {
            return;
        }
        let config = r.config.clone();
        let mut after = self.rng.random_range(config.min_interval..=config.max_interval);
        if r.initial > 0 {
            after = after.min(INITIAL_INTERVAL);
        }
        if self.rtadv_send(ifindex, &config, ipv6::ALL_NODES)
            && let Some(r) = self.ifs.get_mut(ifindex).and_then(|i| i.in6.rtadv.as_mut())
        {
            r.initial = r.initial.saturating_sub(1);
            r.last = Some(now);
        }
        self.rtadv_schedule(ifindex, now + after);
    }

    /// Sends an advertisement; false if there is no address to send it from.
    fn rtadv_send(&mut self, ifindex: IfIndex, config: &RaConfig, dst: Ipv6Addr) -> bool {
        let Some((src, state)) = self.link_local(ifindex) else { return false };
        let Some(mac) = self.ifs.get(ifindex).map(|i| i.mac) else { return false };
        let lifetime = if self.config.forwarding { config.lifetime } else { 0 };
        let advert = RouterAdvert { lifetime, ..advert(config) };
        let mut octets = Vec::new();
        // RFC 4429 §3.2: what is not surely ours replaces nothing at our neighbours.
        if state != AddrState::Optimistic {
            let mut link = [0; 8];
            ndp::emit_link(&mut link, option::SOURCE_LINK, mac);
            octets.extend(link);
        }
        // What cannot be written was refused when it was configured.
        emit_options(config, &mut octets);
        let mut m = self.pool.get();
        advert.emit_times(&mut m.grow(RouterAdvert::LEN)[icmpv6::HEADER_LEN..]);
        m.extend(&octets);
        let header = Header { ty: ty::ROUTER_ADVERT, code: 0, rest: advert.rest() };
        self.nd6_output(ifindex, (scope6::embed(src, ifindex), dst), header, m);
        self.stats.nd6.out_router_adverts += 1;
        true
    }

    /// The address of the link and its state, if it can be used.
    pub(super) fn link_local(&self, ifindex: IfIndex) -> Option<(Ipv6Addr, AddrState)> {
        let known = &self.ifs.get(ifindex)?.in6.addrs;
        let usable = known.iter().find(|(a, k)| scope6::is_scoped(**a) && k.state.is_assigned());
        usable.map(|(a, k)| (*a, k.state))
    }

    /// RFC 4861 §6.2.7: what another router says of the link should not contradict us.
    pub(super) fn rtadv_compare(&mut self, ifindex: IfIndex, theirs: &RouterAdvert, body: &[u8]) {
        let Some(r) = self.ifs.get(ifindex).and_then(|i| i.in6.rtadv.as_ref()) else { return };
        if contradicts(&r.config, theirs, body) {
            self.stats.nd6.inconsistent_adverts += 1;
        }
    }
}

/// An advertisement without its options.
fn advert(config: &RaConfig) -> RouterAdvert {
    RouterAdvert {
        hop_limit: config.hop_limit,
        managed: config.managed,
        other: config.other,
        // RFC 4191 §2.2: who is no default router has no preference.
        preference: if config.lifetime == 0 { Preference::Medium } else { config.preference },
        lifetime: config.lifetime,
        reachable_ms: config.reachable_ms,
        retrans_ms: config.retrans_ms,
    }
}

/// Appends the options other than the link address; false if a search domain is no name.
fn emit_options(config: &RaConfig, out: &mut Vec<u8>) -> bool {
    if let Some(mtu) = config.mtu {
        ndp_router::emit_mtu(mtu, out);
    }
    for p in &config.prefixes {
        let mut octets = [0; 32];
        let info = PrefixInfo {
            prefix: p.prefix.addr(),
            len: p.prefix.prefix_len(),
            on_link: p.on_link,
            autonomous: p.autonomous,
            valid: p.valid,
            preferred: p.preferred,
        };
        info.emit(&mut octets);
        out.extend(octets);
    }
    for r in &config.routes {
        let (prefix, len) = (r.prefix.addr(), r.prefix.prefix_len());
        RouteInfo { prefix, len, preference: r.preference, lifetime: r.lifetime }.emit(out);
    }
    if !config.rdnss.is_empty() {
        ndp_router::emit_rdnss(config.rdnss_lifetime, &config.rdnss, out);
    }
    config.dnssl.is_empty() || ndp_router::emit_dnssl(config.dnssl_lifetime, &config.dnssl, out)
}

fn check(config: &RaConfig) -> Result<(), RaError> {
    let (min, max) = (config.min_interval, config.max_interval);
    if min.is_zero() || min > max {
        return Err(RaError::Interval { min, max });
    }
    if let Some(mtu) = config.mtu.filter(|&mtu| mtu < ipv6::MIN_MTU) {
        return Err(RaError::BadMtu(mtu));
    }
    let odd = |n: Ipv6Net| n != n.trunc() || n.addr().is_multicast() || scope6::is_scoped(n.addr());
    if let Some(p) = config.prefixes.iter().find(|p| odd(p.prefix) || p.preferred > p.valid) {
        return Err(RaError::Prefix(p.prefix));
    }
    if let Some(r) = config.routes.iter().find(|r| odd(r.prefix)) {
        return Err(RaError::Prefix(r.prefix));
    }
    let room = ipv6::MIN_MTU as usize - ipv6::HEADER_LEN - RouterAdvert::LEN - 8;
    let servers = 8 + 16 * config.rdnss.len();
    if servers > room {
        return Err(RaError::TooLong(servers));
    }
    let mut octets = Vec::new();
    match emit_options(config, &mut octets) {
        false => Err(RaError::Domain),
        true if octets.len() > room => Err(RaError::TooLong(octets.len())),
        true => Ok(()),
    }
}

fn contradicts(ours: &RaConfig, theirs: &RouterAdvert, body: &[u8]) -> bool {
    // Zero says nothing.
    let differ = |a: u32, b: u32| a != 0 && b != 0 && a != b;
    if differ(ours.hop_limit.into(), theirs.hop_limit.into())
        || differ(ours.reachable_ms, theirs.reachable_ms)
        || differ(ours.retrans_ms, theirs.retrans_ms)
        || (ours.managed, ours.other) != (theirs.managed, theirs.other)
    {
        return true;
    }
    RouterAdvert::options(body).any(|OptionOf { kind, body }| match kind {
        option::MTU => ours.mtu.zip(ndp_router::mtu(body).ok()).is_some_and(|(a, b)| a != b),
        option::PREFIX => PrefixInfo::parse(body).is_ok_and(|info| {
            let same = |p: &&RaPrefix| (p.prefix.addr(), p.prefix.prefix_len()) == (info.prefix, info.len);
            let p = ours.prefixes.iter().find(same);
            p.is_some_and(|p| (p.valid, p.preferred) != (info.valid, info.preferred))
        }),
        _ => false,
    })
}
