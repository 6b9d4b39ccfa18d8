//! Forwarding: RFC 1812 §5.2, 5.3. A packet leaves in the buffer in which it came; its header is
//! changed in place and its checksum mended (RFC 1624).

use super::ip::{Ip, WayKind};
use super::{Cast, ip_options};
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::net::route::RouteKind;
use crate::stack::stats::Drop;
use crate::wire::icmpv4::{exceeded, ty, unreach};
use crate::wire::ipv4::{self, Header};
use crate::wire::{ethernet, ipv4_options};
use std::net::{IpAddr, Ipv4Addr};

impl Ip {
    /// Forwards the packet `m`, whose header is `header`, that came in by `ifindex`.
    pub(crate) fn ip_forward(&mut self, ifindex: IfIndex, header: &Header, mut m: Mbuf) {
        if header.src.is_unspecified() || header.src.is_link_local() {
            return self.discard(Drop::IpNotForwardable, m);
        }
        // RFC 1812 §5.3.1: the TTL is checked before the route.
        if header.ttl <= 1 {
            return self.refuse(ifindex, header, m, Drop::IpTtlExceeded, ty::TIME_EXCEEDED, exceeded::TTL, 0);
        }
        let Some(entry) = self.routes.lookup4(header.dst) else {
            return self.refuse(ifindex, header, m, Drop::IpNoRoute, ty::UNREACHABLE, unreach::NET, 0);
        };
        let hop = match entry.kind {
            RouteKind::Unicast if entry.hops.len() == 1 => Some(entry.hops[0]),
            RouteKind::Unicast => {
                let transport = (!header.is_fragment()).then(|| &m.data()[header.header_len..]);
                let flow = self.flow4(header.src, header.dst, header.protocol, transport);
                entry.hop(self.key, flow)
            }
            RouteKind::Blackhole => return self.discard(Drop::IpBlackhole, m),
            RouteKind::Unreachable => {
                let why = Drop::IpUnreachableRoute;
                return self.refuse(ifindex, header, m, why, ty::UNREACHABLE, unreach::HOST, 0);
            }
            RouteKind::Prohibit => {
                let why = Drop::IpUnreachableRoute;
                return self.refuse(ifindex, header, m, why, ty::UNREACHABLE, unreach::ADMIN, 0);
            }
            RouteKind::Local | RouteKind::Broadcast => return self.discard(Drop::IpNotForwardable, m),
        };
        let Some((hop, out)) = hop.and_then(|h| Some((h, self.ifs.get(h.ifindex)?))) else {
            return self.refuse(ifindex, header, m, Drop::IpNoRoute, ty::UNREACHABLE, unreach::NET, 0);
        };
        let mtu = out.mtu;
        let next = hop.via.unwrap_or(IpAddr::V4(header.dst));
        if hop.ifindex == ifindex
            && self.config.send_redirects
            && let IpAddr::V4(next) = next
        {
            self.ip_redirect(ifindex, header, next, &m);
        }
        let fits = m.longest_segment(m.len()) <= mtu as usize;
        if !fits && header.dont_fragment {
            self.stats.ip.frag_fails += 1;
            let why = Drop::IpFragNeeded;
            return self.refuse(ifindex, header, m, why, ty::UNREACHABLE, unreach::FRAG_NEEDED, mtu);
        }
        self.stats.ip.forw_datagrams += 1;
        // RFC 1812 §5.3.13.5, 5.3.13.6: the address by which it leaves.
        if header.header_len > ipv4::HEADER_LEN
            && let Some(IpAddr::V4(own)) = hop.src
        {
            ip_options::record(self, header, own, &mut m);
        }
        ipv4::decrement_ttl(m.data_mut());
        if fits {
            return self.link_output(hop.ifindex, next, WayKind::Unicast, m);
        }
        m.complete_checksum(ethernet::HEADER_LEN);
        let header = Header { ttl: header.ttl - 1, ..*header };
        self.ip_send(hop.ifindex, next, WayKind::Unicast, mtu, &header, m);
    }

    /// Drops a packet that cannot go on, and tells its sender why.
    #[allow(clippy::too_many_arguments)]
    fn refuse(&mut self, ifindex: IfIndex, header: &Header, m: Mbuf, why: Drop, ty: u8, code: u8, rest: u32) {
        self.icmp_error(ifindex, &m, header, Cast::Unicast, ty, code, rest);
        self.discard(why, m);
    }

    /// RFC 1812 §5.2.7.2: the sender is on the link by which the packet leaves again; it could have
    /// reached the next hop itself. Never about a source-routed packet.
    fn ip_redirect(&mut self, ifindex: IfIndex, header: &Header, next: Ipv4Addr, m: &Mbuf) {
        let neighbour = self
            .ifs
            .get(ifindex)
            .is_some_and(|i| i.addrs4().any(|n| n.contains(&header.src) && n.contains(&next)));
        let options = &m.data()[ipv4::HEADER_LEN..header.header_len];
        let source_routed = ipv4_options::iter(options)
            .flatten()
            .any(|o| matches!(o.kind, ipv4_options::kind::LSRR | ipv4_options::kind::SSRR));
        if neighbour && !source_routed {
            // Code 1, for the host: code 0 is useless without classes (RFC 1812).
            self.icmp_error(ifindex, m, header, Cast::Unicast, ty::REDIRECT, 1, u32::from(next));
        }
    }
}
