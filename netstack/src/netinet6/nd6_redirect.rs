//! Redirects: RFC 4861 §8. A router tells a neighbour of a better first hop; a host believes the router
//! that it uses. What was learned is in [`crate::netinet::exceptions`].

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::net::route::{FibEntry, NextHop, RouteKind};
use crate::netinet::IpRx;
use crate::netinet::exceptions;
use crate::netinet::ip::Ip;
use crate::stack::Stack;
use crate::wire::icmpv6::{self, ty};
use crate::wire::ndp::{self, Redirect, option};
use crate::wire::{ipv6, scope6};
use std::net::{IpAddr, Ipv6Addr};

/// Octets of a link address option, and before what is quoted.
const LINK_LEN: usize = 8;
const QUOTE_HEAD: usize = 8;

impl Ip {
    /// RFC 4861 §8.2: the packet `m` leaves by the link on which its sender is, and could have reached
    /// the next hop itself.
    pub(super) fn nd6_redirect(&mut self, ifindex: IfIndex, header: &ipv6::Header, next: IpAddr, m: &Mbuf) {
        let (IpAddr::V6(next), dst) = (next, header.dst) else { return };
        // Routers are known by their link-local addresses alone.
        if dst.is_multicast() || (next != dst && !scope6::is_scoped(next)) {
            return;
        }
        let on_link = |h: &NextHop| (h.ifindex, h.via) == (ifindex, None);
        let neighbour = |e: &FibEntry| e.kind == RouteKind::Unicast && e.hops.iter().any(on_link);
        if !self.routes.lookup6(header.src).is_some_and(neighbour) {
            return;
        }
        let Some((own, _)) = self.link_local(ifindex) else { return };
        if !self.error_limit.allow_redirect(self.now, IpAddr::V6(header.src)) {
            self.stats.icmp6.out_rate_limited += 1;
            return;
        }
        let target = scope6::clear(next);
        let mac = self.neigh.mac_of(ifindex, IpAddr::V6(target));
        let mut out = self.pool.get();
        let addrs = &mut out.grow(Redirect::LEN)[icmpv6::HEADER_LEN..];
        addrs[..16].copy_from_slice(&target.octets());
        addrs[16..].copy_from_slice(&dst.octets());
        if let Some(mac) = mac {
            let mut octets = [0; LINK_LEN];
            ndp::emit_link(&mut octets, option::TARGET_LINK, mac);
            out.extend(&octets);
        }
        // As much as the smallest link carries, in eights.
        let room = ipv6::MIN_MTU as usize - ipv6::HEADER_LEN - Redirect::LEN - LINK_LEN - QUOTE_HEAD;
        let quoted = &m.data()[..m.len().min(room) & !7];
        out.extend(&[option::REDIRECTED, (1 + quoted.len() / 8) as u8, 0, 0, 0, 0, 0, 0]);
        out.extend(quoted);
        let header_of = icmpv6::Header { ty: ty::REDIRECT, code: 0, rest: 0 };
        self.nd6_output(ifindex, (scope6::embed(own, ifindex), header.src), header_of, out);
        self.stats.icmp6.out_redirects += 1;
    }

    /// The router that a host uses for `dst` on an interface, if `from` is it or was put in its place.
    fn first_hop(&self, ifindex: IfIndex, dst: Ipv6Addr, from: IpAddr) -> Option<IpAddr> {
        let known = self.exceptions.get(IpAddr::V6(dst), self.now).redirect;
        let routed = known.filter(|r| (r.ifindex, r.to) == (ifindex, from)).map_or(from, |r| r.from);
        let hop = |h: &NextHop| (h.ifindex, h.via) == (ifindex, Some(routed));
        let entry = self.routes.lookup6(dst)?;
        (entry.kind == RouteKind::Unicast && entry.hops.iter().any(hop)).then_some(routed)
    }
}

impl Stack {
    /// A router tells of a better first hop; false if it may not (RFC 4861 §8.1).
    pub(super) fn nd6_redirected(&mut self, rx: &IpRx, body: &[u8]) -> bool {
        self.ip.stats.icmp6.in_redirects += 1;
        let (IpAddr::V6(src), Ok(message)) = (rx.src, Redirect::parse(body)) else { return false };
        let (ifindex, from) = (rx.ifindex, IpAddr::V6(scope6::clear(src)));
        let (target, dst) = (message.target, message.dst);
        let router = target != dst;
        let clear = scope6::is_clear(target) && scope6::is_clear(dst);
        let odd = target.is_multicast() || target.is_unspecified() || target.is_loopback();
        if !scope6::is_scoped(src)
            || dst.is_multicast()
            || odd
            || !clear
            || (router && !scope6::is_scoped(target))
        {
            return false;
        }
        if self.ip.config.forwarding || !self.ip.config.accept_redirects {
            return true;
        }
        let Some(routed) = self.ip.first_hop(ifindex, scope6::embed(dst, ifindex), from) else {
            return false;
        };
        if self.ip.is_local6(scope6::embed(target, ifindex)) {
            return false;
        }
        let to = IpAddr::V6(target);
        let redirect = exceptions::Redirect { ifindex, from: routed, to };
        self.ip.exceptions.learn_redirect(IpAddr::V6(dst), self.ip.now, redirect);
        if let Some(mac) = message.target_link {
            self.nd6_hint(ifindex, target, mac);
        }
        if router {
            self.ip.neigh.is_router(self.ip.now, ifindex, to, true);
        }
        true
    }
}
