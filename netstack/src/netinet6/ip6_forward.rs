//! Forwarding: RFC 8200, RFC 4443 §3, RFC 4007 §9 (nothing leaves its zone). A packet leaves in the
//! buffer in which it came.

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::net::route::{NextHop, RouteKind};
use crate::netinet::Cast;
use crate::netinet::ip::{Ip, WayKind};
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{exceeded, ty, unreach};
use crate::wire::ipv6::{self, Header};
use crate::wire::{ipv6_ext, scope6};
use std::net::IpAddr;

impl Ip {
    /// Forwards the packet `m`, whose header is `header` (addresses in embedded form), that came in by
    /// `ifindex`.
    pub(crate) fn ip6_forward(&mut self, ifindex: IfIndex, header: &Header, mut m: Mbuf) {
        if header.src.is_unspecified() {
            return self.discard(Drop::Ip6NotForwardable, m);
        }
        if header.hop_limit <= 1 {
            return self.refuse6(ifindex, m, Drop::Ip6HopLimit, ty::TIME_EXCEEDED, exceeded::HOP_LIMIT, 0);
        }
        let no_route = (Drop::Ip6NoRoute, ty::UNREACHABLE, unreach::NO_ROUTE);
        let Some(entry) = self.routes.lookup6(header.dst) else {
            return self.refuse6(ifindex, m, no_route.0, no_route.1, no_route.2, 0);
        };
        let towards = |h: &NextHop| (h.ifindex, h.via.unwrap_or(IpAddr::V6(header.dst)));
        let hop = match entry.kind {
            RouteKind::Unicast if entry.hops.len() == 1 => entry.hops.first().map(towards),
            RouteKind::Unicast => {
                let upper = ipv6_ext::upper(m.data()).ok().filter(|u| u.fragment.is_none());
                let (protocol, transport) = match upper {
                    Some(u) => (u.protocol, Some(&m.data()[u.at..])),
                    None => (header.next_header, None),
                };
                let flow = self.flow6(header.src, header.dst, protocol, transport);
                entry.hop(self.key, flow).as_ref().map(towards)
            }
            RouteKind::Blackhole => return self.discard(Drop::Ip6Blackhole, m),
            RouteKind::Unreachable => {
                let why = Drop::Ip6UnreachableRoute;
                return self.refuse6(ifindex, m, why, ty::UNREACHABLE, unreach::NO_ROUTE, 0);
            }
            RouteKind::Prohibit => {
                let why = Drop::Ip6UnreachableRoute;
                return self.refuse6(ifindex, m, why, ty::UNREACHABLE, unreach::ADMIN, 0);
            }
            RouteKind::Local | RouteKind::Broadcast => return self.discard(Drop::Ip6NotForwardable, m),
        };
        let Some((out, next)) = hop.and_then(|(dev, next)| Some((self.ifs.get(dev)?, next))) else {
            return self.refuse6(ifindex, m, no_route.0, no_route.1, no_route.2, 0);
        };
        let (dev, mtu) = (out.index, out.mtu6());
        if scope6::is_scoped(header.src) {
            return self.refuse6(ifindex, m, Drop::Ip6NotForwardable, ty::UNREACHABLE, unreach::SCOPE, 0);
        }
        if m.longest_segment(m.len()) > mtu as usize {
            self.stats.ip6.frag_fails += 1;
            return self.refuse6(ifindex, m, Drop::Ip6TooBig, ty::TOO_BIG, 0, mtu);
        }
        if dev == ifindex && self.config.send_redirects {
            self.nd6_redirect(ifindex, header, next, &m);
        }
        self.stats.ip6.forw_datagrams += 1;
        ipv6::decrement_hop_limit(m.data_mut());
        self.link_output(dev, next, WayKind::Unicast, m);
    }

    /// Drops a packet that cannot go on, and tells its sender why.
    fn refuse6(&mut self, ifindex: IfIndex, m: Mbuf, why: Drop, ty: u8, code: u8, rest: u32) {
        self.icmp6_error(ifindex, &m, Cast::Unicast, ty, code, rest);
        self.discard(why, m);
    }
}
