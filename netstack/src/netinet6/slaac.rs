//! Addresses that hosts make of prefixes that routers tell: RFC 4862 §5.5; temporary ones: RFC 8981.
//! And the prefixes on the link: RFC 4861 §6.3.4, RFC 5942 (an address says nothing of them).

use super::in6_ifaddr::{Addr6, AddrOrigin, AddrState, InterfaceId};
use super::nd6_rtr::end_of;
use crate::net::IfIndex;
use crate::net::route::{Route, RouteProto};
use crate::netinet::ip::Ip;
use crate::stack::{Event, Stack};
use crate::time::{Duration, Instant};
use crate::wire::ndp::PrefixInfo;
use crate::wire::scope6;
use ipnet::{IpNet, Ipv6Net};
use rand::Rng;
use std::net::Ipv6Addr;

/// Prefixes on the link of an interface.
const PREFIXES: usize = 32;
/// Addresses of each of these two kinds on an interface (Linux's `max_addresses`).
const ADDRESSES: usize = 16;
/// Bits of the prefixes of which addresses are made: identifiers have the others (RFC 4291 §2.5.1).
const PREFIX_LEN: u8 = 64;
/// RFC 4862 §5.5.3 (e): who forges an advertisement ends no address sooner.
const TWO_HOURS: Duration = Duration::from_secs(7200);
/// RFC 7217 §6, RFC 8981 §3.8: other identifiers that are tried when somebody else has one.
const RETRIES: u8 = 3;
/// RFC 8981 §3.8: TEMP_VALID_LIFETIME, TEMP_PREFERRED_LIFETIME.
const TEMP_VALID: Duration = Duration::from_secs(2 * 86_400);
const TEMP_PREFERRED: Duration = Duration::from_secs(86_400);
/// MAX_DESYNC_FACTOR: 0.4 of the preferred lifetime.
const MAX_DESYNC: Duration = Duration::from_secs(86_400 * 2 / 5);
/// REGEN_ADVANCE: so long before the end of one there is another.
const REGEN_ADVANCE: Duration = Duration::from_secs(5);
/// Linux's IP6_RT_PRIO_ADDRCONF.
const METRIC: u32 = 256;

/// The sooner of two ends.
fn sooner(a: Option<Instant>, b: Instant) -> Option<Instant> {
    Some(a.map_or(b, |a| a.min(b)))
}

/// When something is to be done about an address.
pub(super) fn ends(known: &Addr6) -> impl Iterator<Item = Instant> + use<> {
    let renewal = known.preferred_until.filter(|_| known.origin == AddrOrigin::Temporary);
    let renewal = renewal.map(|at| at.max(Instant::ZERO + REGEN_ADVANCE) - REGEN_ADVANCE);
    [known.preferred_until, known.valid_until, renewal].into_iter().flatten()
}

impl Stack {
    /// A router tells of a prefix.
    pub(super) fn prefix_heard(&mut self, ifindex: IfIndex, info: &PrefixInfo) {
        let Ok(prefix) = Ipv6Net::new(info.prefix, info.len) else { return };
        let prefix = prefix.trunc();
        if scope6::is_scoped(info.prefix) || info.prefix.is_multicast() {
            return;
        }
        if info.on_link {
            self.prefix_on_link(ifindex, prefix, info.valid);
        }
        let autoconf = self.ip.ifs.get(ifindex).is_some_and(|i| i.in6.config.autoconf);
        let makes = info.autonomous && info.preferred <= info.valid && info.len == PREFIX_LEN;
        if autoconf && makes {
            self.address_heard(ifindex, prefix, info);
        }
    }

    fn prefix_on_link(&mut self, ifindex: IfIndex, prefix: Ipv6Net, valid: u32) {
        let now = self.ip.now;
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let prefixes = &mut ifnet.in6.heard.prefixes;
        let known = prefixes.contains_key(&prefix);
        match (valid, known) {
            (0, true) => self.prefix_forget(ifindex, prefix),
            (0, false) => {}
            (_, false) if prefixes.len() >= PREFIXES => {}
            (_, _) => {
                prefixes.insert(prefix, end_of(now, valid));
                let route = on_link_route(ifindex, prefix);
                // An address may have brought it already.
                if self.ip.routes.add(route, &self.ip.ifs).is_ok() {
                    self.push_event(Event::Route { route, added: true });
                }
            }
        }
    }

    /// A prefix is on the link no more.
    pub(super) fn prefix_forget(&mut self, ifindex: IfIndex, prefix: Ipv6Net) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        ifnet.in6.heard.prefixes.remove(&prefix);
        let route = on_link_route(ifindex, prefix);
        if self.ip.routes.remove(route.to, |r| *r == route, &self.ip.ifs).is_ok() {
            self.push_event(Event::Route { route, added: false });
        }
    }

    /// RFC 4862 §5.5.3 (d), (e)
    fn address_heard(&mut self, ifindex: IfIndex, prefix: Ipv6Net, info: &PrefixInfo) {
        let now = self.ip.now;
        let (preferred, valid) = (end_of(now, info.preferred), end_of(now, info.valid));
        let known = self.made_of(ifindex, prefix, AddrOrigin::Autoconf).next();
        match known {
            Some((addr, known)) => {
                let remaining = known.valid_until.map(|at| at.max(now).since(now));
                let offered = Duration::from_secs(info.valid.into());
                let longer = remaining.is_some_and(|r| offered > r) || valid.is_none();
                let valid = match remaining {
                    _ if offered > TWO_HOURS || longer => valid,
                    Some(r) if r <= TWO_HOURS => known.valid_until,
                    Some(_) | None => Some(now + TWO_HOURS),
                };
                self.relive(ifindex, addr, (preferred, valid));
            }
            None if info.valid == 0 => return,
            None => self.make_address(ifindex, prefix, (preferred, valid), 0),
        }
        self.temporary_relive(ifindex, prefix);
        self.temporary_ensure(ifindex, prefix);
    }

    /// Addresses of a prefix and of an origin.
    fn made_of(
        &self,
        ifindex: IfIndex,
        prefix: Ipv6Net,
        origin: AddrOrigin,
    ) -> impl Iterator<Item = (Ipv6Addr, Addr6)> + '_ {
        let known = self.ip.ifs.get(ifindex).map(|i| &i.in6.addrs);
        let its = known.into_iter().flatten();
        its.filter(move |(a, k)| prefix.contains(*a) && k.origin == origin).map(|(a, k)| (*a, *k))
    }

    fn count_of(&self, ifindex: IfIndex, origin: AddrOrigin) -> usize {
        let known = self.ip.ifs.get(ifindex).map(|i| &i.in6.addrs);
        known.into_iter().flatten().filter(|(_, k)| k.origin == origin).count()
    }

    /// An address has new lifetimes: whoever watches hears of it if its state is another.
    fn relive(
        &mut self,
        ifindex: IfIndex,
        addr: Ipv6Addr,
        (preferred, valid): (Option<Instant>, Option<Instant>),
    ) {
        let now = self.ip.now;
        let Some(known) = self.ip.ifs.get_mut(ifindex).and_then(|i| i.in6.addr_mut(addr)) else { return };
        let before = known.state_at(now);
        (known.preferred_until, known.valid_until) = (preferred, valid);
        if known.state_at(now) != before {
            self.addr6_event(ifindex, addr);
        }
    }

    /// Makes an address; `attempt`: how many before it were somebody else's.
    fn make_address(
        &mut self,
        ifindex: IfIndex,
        prefix: Ipv6Net,
        (preferred, valid): (Option<Instant>, Option<Instant>),
        attempt: u8,
    ) {
        if self.count_of(ifindex, AddrOrigin::Autoconf) >= ADDRESSES {
            return;
        }
        let addr = Ip::with_id(prefix.addr(), self.ip.interface_id(ifindex, prefix.addr(), attempt));
        let known = Addr6 {
            preferred_until: preferred,
            valid_until: valid,
            attempt,
            ..Addr6::new(AddrOrigin::Autoconf)
        };
        // If a person has given the interface this address it stays as it is.
        let _ = self.addr_put(ifindex, IpNet::V6(Ipv6Net::new_assert(addr, PREFIX_LEN)), Some(known));
    }

    /// RFC 8981 §3.4: a temporary address of a prefix, unless there is one that is preferred for long
    /// enough.
    fn temporary_ensure(&mut self, ifindex: IfIndex, prefix: Ipv6Net) {
        let now = self.ip.now;
        let wanted = self.ip.ifs.get(ifindex).is_some_and(|i| i.in6.config.temporary);
        let long = |k: &Addr6| k.preferred_until.is_none_or(|at| at > now + REGEN_ADVANCE);
        let public = self.made_of(ifindex, prefix, AddrOrigin::Autoconf).map(|(_, k)| k).find(long);
        let temporary = self.made_of(ifindex, prefix, AddrOrigin::Temporary).any(|(_, k)| long(&k));
        let full = self.count_of(ifindex, AddrOrigin::Temporary) >= ADDRESSES;
        if let (true, Some(public), false, false) = (wanted, public, temporary, full) {
            let desync = self.ip.rng.random_range(Duration::ZERO..=MAX_DESYNC);
            let caps = (now + TEMP_PREFERRED - desync, now + TEMP_VALID);
            self.make_temporary(ifindex, prefix, &public, caps, 0);
        }
    }

    fn make_temporary(
        &mut self,
        ifindex: IfIndex,
        prefix: Ipv6Net,
        public: &Addr6,
        caps: (Instant, Instant),
        attempt: u8,
    ) {
        let addr = Ip::with_id(prefix.addr(), self.ip.rng.random());
        let known = Addr6 {
            preferred_until: sooner(public.preferred_until, caps.0),
            valid_until: sooner(public.valid_until, caps.1),
            caps: Some(caps),
            attempt,
            ..Addr6::new(AddrOrigin::Temporary)
        };
        // That it is there already is as likely as that somebody else has it.
        let _ = self.addr_put(ifindex, IpNet::V6(Ipv6Net::new_assert(addr, PREFIX_LEN)), Some(known));
    }

    /// RFC 8981 §3.4: temporary addresses live as their prefix does, but not beyond their own time.
    fn temporary_relive(&mut self, ifindex: IfIndex, prefix: Ipv6Net) {
        let Some((_, public)) = self.made_of(ifindex, prefix, AddrOrigin::Autoconf).next() else { return };
        let temporary: Vec<_> = self.made_of(ifindex, prefix, AddrOrigin::Temporary).collect();
        for (addr, known) in temporary {
            if let Some((preferred, valid)) = known.caps {
                let lives = (sooner(public.preferred_until, preferred), sooner(public.valid_until, valid));
                self.relive(ifindex, addr, lives);
            }
        }
    }

    /// Somebody else has an address that was made: another one, if there can be.
    pub(super) fn slaac_retry(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return };
        let Some(&known) = ifnet.in6.addrs.get(&addr) else { return };
        let fixed = known.origin == AddrOrigin::Autoconf && ifnet.in6.config.iid == InterfaceId::Eui64;
        if fixed || known.attempt >= RETRIES {
            return;
        }
        let net = Ipv6Net::new_assert(addr, PREFIX_LEN);
        let (prefix, attempt) = (net.trunc(), known.attempt + 1);
        let _ = self.addr_del(self.ip.now, ifindex, IpNet::V6(net));
        match known.caps {
            None => self.make_address(ifindex, prefix, (known.preferred_until, known.valid_until), attempt),
            Some(caps) => self.make_temporary(ifindex, prefix, &known, caps, attempt),
        }
        self.lifetimes_arm(ifindex);
    }

    /// Lifetimes of addresses that have ended since the instant `since`.
    pub(super) fn addrs_due(&mut self, ifindex: IfIndex, since: Instant) {
        let now = self.ip.now;
        let Some(ifnet) = self.ip.ifs.get(ifindex) else { return };
        let known: Vec<(Ipv6Net, Addr6)> = ifnet
            .addrs6()
            .filter_map(|n| Some((n, *ifnet.in6.addrs.get(&n.addr())?)))
            .filter(|(_, k)| ends(k).any(|at| at <= now))
            .collect();
        for (net, known) in known {
            if known.valid_until.is_some_and(|at| at <= now) {
                // It is there.
                let _ = self.addr_del(now, ifindex, IpNet::V6(net));
                continue;
            }
            if known.preferred_until.is_some_and(|at| at > since && at <= now)
                && known.state == AddrState::Preferred
            {
                self.addr6_event(ifindex, net.addr());
            }
            if known.origin == AddrOrigin::Temporary {
                self.temporary_ensure(ifindex, net.trunc());
            }
        }
    }
}

/// The route of a prefix on the link; the address that it leads from is chosen for each destination.
fn on_link_route(ifindex: IfIndex, prefix: Ipv6Net) -> Route {
    Route { metric: METRIC, proto: RouteProto::Kernel, ..Route::on_link(IpNet::V6(prefix), ifindex) }
}
