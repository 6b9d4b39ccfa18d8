//! Duplicate address detection: RFC 4862 §5.4; optimistic: RFC 4429; enhanced by a nonce, which tells
//! an own solicitation that a link shows us again from another's: RFC 7527.

use super::in6_ifaddr::{AddrOrigin, AddrState, Dad};
use crate::net::IfIndex;
use crate::socket::Family;
use crate::stack::Stack;
use crate::time::Duration;
use crate::timer::Timer;
use rand::Rng;
use std::net::{IpAddr, Ipv6Addr};

/// RFC 4861 §10: MAX_RTR_SOLICITATION_DELAY, within which the first solicitation goes out, so that
/// hosts that are started together do not ask together.
const MAX_DELAY: Duration = Duration::from_secs(1);

impl Stack {
    /// DAD begins for an address, if its interface is up and wants it; else the address is good.
    pub(crate) fn dad_start(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let (now, random) = (self.ip.now, self.ip.rng.random::<u64>());
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let (loopback, usable, config) = (ifnet.loopback, ifnet.usable(), ifnet.in6.config);
        let Some(known) = ifnet.in6.addr_mut(addr) else { return };
        self.ip.timers.disarm(known.timer.take());
        if loopback || config.dad == Dad::Off || config.dad_transmits == 0 {
            return self.dad_end(ifindex, addr, false);
        }
        if !usable || known.state == AddrState::Duplicate {
            return;
        }
        (known.dad_sent, known.nonce) = (0, core::array::from_fn(|i| (random >> (8 * i)) as u8));
        let delay = Duration::from_nanos(random % MAX_DELAY.as_nanos() as u64);
        known.timer = Some(self.ip.timers.arm(now + delay, Timer::Dad { ifindex, addr }));
        if config.dad == Dad::Optimistic && known.state == AddrState::Tentative {
            ifnet.in6.set_state(addr, |_| AddrState::Optimistic);
            self.addr6_usable(ifindex, addr);
        }
    }

    /// The link is there again, perhaps another one: an address that was ours is used while it is tried
    /// again, one that somebody else had may be ours.
    pub(super) fn dad_again(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        if ifnet.in6.config.dad == Dad::Off || ifnet.loopback {
            return;
        }
        ifnet.in6.set_state(addr, |before| match before {
            AddrState::Preferred | AddrState::Deprecated | AddrState::Optimistic => AddrState::Optimistic,
            AddrState::Duplicate | AddrState::Tentative => AddrState::Tentative,
        });
    }

    /// A solicitation is due, or nobody has answered the last.
    pub(crate) fn dad_due(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        let (now, retrans) = (self.ip.now, self.ip.neigh.retrans(ifindex));
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let transmits = ifnet.in6.config.dad_transmits;
        let Some(known) = ifnet.in6.addr_mut(addr) else { return };
        known.timer = None;
        if known.dad_sent >= transmits {
            return self.dad_end(ifindex, addr, true);
        }
        known.dad_sent += 1;
        known.timer = Some(self.ip.timers.arm(now + retrans, Timer::Dad { ifindex, addr }));
        let nonce = known.nonce;
        self.ip.nd6_solicit_dad(ifindex, addr, nonce);
    }

    /// Nobody has the address: it is ours. Whoever watches hears of it if there was something to wait for.
    fn dad_end(&mut self, ifindex: IfIndex, addr: Ipv6Addr, ran: bool) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        match ifnet.in6.set_state(addr, |_| AddrState::Preferred) {
            Some(AddrState::Tentative) => self.addr6_usable(ifindex, addr),
            Some(AddrState::Optimistic) => {}
            Some(AddrState::Preferred | AddrState::Deprecated | AddrState::Duplicate) | None => return,
        }
        if ran {
            self.addr6_event(ifindex, addr);
        }
    }

    /// Somebody else has the address, or wants it (RFC 4862 §5.4.5).
    pub(crate) fn dad_conflict(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        self.ip.stats.nd6.duplicates += 1;
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let Some(before) = ifnet.in6.set_state(addr, |_| AddrState::Duplicate) else { return };
        let Some(known) = ifnet.in6.addr_mut(addr) else { return };
        let (origin, timer) = (known.origin, known.timer.take());
        self.ip.timers.disarm(timer);
        if before.is_assigned() {
            self.addr6_unusable(ifindex, addr);
        }
        self.ip.conflicts.push((ifindex, IpAddr::V6(addr)));
        self.addr6_event(ifindex, addr);
        match origin {
            AddrOrigin::LinkLocal => self.link_local_retry(ifindex, addr),
            AddrOrigin::Autoconf | AddrOrigin::Temporary => self.slaac_retry(ifindex, addr),
            AddrOrigin::Manual => {}
        }
    }

    /// An address is usable from now on: it brings its routes.
    fn addr6_usable(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        if let Some(net) = self.net_of(ifindex, addr) {
            self.addr_usable(ifindex, net);
        }
        // RFC 3590 §4: reports have a source now.
        if addr.is_unicast_link_local() && self.ip.ifs.get(ifindex).is_some_and(|i| i.usable()) {
            self.ip.groups_up(ifindex, Family::Inet6);
        }
    }

    fn addr6_unusable(&mut self, ifindex: IfIndex, addr: Ipv6Addr) {
        if let Some(net) = self.net_of(ifindex, addr) {
            self.addr_unusable(ifindex, net);
        }
    }
}
