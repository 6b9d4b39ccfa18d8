//! Where an IPv6 packet goes: RFC 8200, RFC 4861 §5.2 (next hop), RFC 8201 (path MTU), RFC 4007.

use crate::net::IfIndex;
use crate::net::route::RouteKind;
use crate::netinet::exceptions::PathMtu;
use crate::netinet::ip::{Ip, Way, WayKind};
use crate::netinet::{Fragment, protosw};
use crate::socket::SockError;
use crate::wire::{be32, ipv4, ipv6_ext, scope6};
use std::net::{IpAddr, Ipv6Addr};

impl Ip {
    /// The way to `dst` (in embedded form) by `bound` (or any interface), for the flow with hash
    /// `flow`. It names a source address only where a route does: see [`Ip::with_source`].
    pub(crate) fn way6(&self, dst: Ipv6Addr, bound: Option<IfIndex>, flow: u64) -> Result<Way, SockError> {
        let bound = match (scope6::zone(dst), bound) {
            (Some(zone), Some(dev)) if zone != dev => return Err(SockError::Invalid),
            (zone, dev) => zone.or(dev),
        };
        let next = IpAddr::V6(scope6::clear(dst));
        if dst.is_multicast() {
            let ifindex = bound.or_else(|| self.group_interface6(dst)).ok_or(SockError::NetUnreachable)?;
            let link_mtu = self.usable(ifindex)?.mtu6();
            // RFC 8201 §5.2: the narrowest of a group's paths counts.
            let known = self.exceptions.get(IpAddr::V6(dst), self.now).mtu;
            let mtu = known.map_or(link_mtu, PathMtu::octets).min(link_mtu);
            let (kind, fragment) = (WayKind::Multicast, Fragment::Dont);
            return Ok(Way { ifindex, next, kind, mtu, link_mtu, fragment, src: None });
        }
        let entry = self.routes.lookup6(dst);
        let kind = match entry.map(|e| e.kind) {
            Some(RouteKind::Local) => {
                let (ifindex, mtu) = (scope6::zone(dst).unwrap_or(IfIndex::LOOPBACK), ipv4::MAX_LEN as u32);
                let (kind, fragment, src) = (WayKind::Local, Fragment::Dont, Some(IpAddr::V6(dst)));
                return Ok(Way { ifindex, next, kind, mtu, link_mtu: mtu, fragment, src });
            }
            Some(RouteKind::Blackhole) => return Err(SockError::Invalid),
            Some(RouteKind::Unreachable) => return Err(SockError::HostUnreachable),
            Some(RouteKind::Prohibit) => return Err(SockError::Access),
            Some(RouteKind::Broadcast | RouteKind::Unicast) | None => WayKind::Unicast,
        };
        let hop = entry.and_then(|e| e.hop(self.key, flow));
        let (ifindex, via, src) = match (hop, bound) {
            (Some(h), None) => (h.ifindex, h.via, h.src),
            (Some(h), Some(dev)) if h.ifindex == dev => (dev, h.via, h.src),
            (_, Some(dev)) => match self.routes.lookup_by_dev(IpAddr::V6(dst), dev) {
                Some(via) => (dev, via, None),
                // As Linux: without a route by that interface there is no way by it.
                None => return Err(SockError::NetUnreachable),
            },
            (None, None) => return Err(SockError::NetUnreachable),
        };
        let link_mtu = self.usable(ifindex)?.mtu6();
        let known = self.exceptions.get(IpAddr::V6(dst), self.now);
        let mtu = known.mtu.map_or(link_mtu, PathMtu::octets).min(link_mtu);
        let next = via.unwrap_or(next);
        // A redirect puts one first hop in the place of another.
        let next = known.redirect.filter(|r| (r.ifindex, r.from) == (ifindex, next)).map_or(next, |r| r.to);
        Ok(Way { ifindex, next, kind, mtu, link_mtu, fragment: Fragment::Dont, src })
    }

    /// The same way, with the source address that packets to `dst` have by it; `temporary`: rather one that is for a time.
    pub(crate) fn with_source(&self, way: Way, dst: Ipv6Addr, temporary: bool) -> Way {
        let chosen = || self.source6_of(dst, way.ifindex, temporary).map(IpAddr::V6);
        Way { src: way.src.or_else(chosen), ..way }
    }

    /// The interface for a group when the program names none: that of a route for it, else the first
    /// that speaks IPv6.
    fn group_interface6(&self, dst: Ipv6Addr) -> Option<IfIndex> {
        let routed = self.routes.lookup6(dst).and_then(|e| e.hops.first()).map(|h| h.ifindex);
        let speaks = |i: &&crate::net::ifnet::Ifnet| i.usable() && i.in6.enabled && !i.loopback;
        routed
            .filter(|i| self.usable(*i).is_ok())
            .or_else(|| self.ifs.iter().find(speaks).map(|i| i.index))
            .or_else(|| Some(IfIndex::LOOPBACK).filter(|_| dst.octets()[1] & 0xf == 1))
    }

    /// Whether `addr` (in embedded form) is a unicast address of ours.
    pub(crate) fn is_local6(&self, addr: Ipv6Addr) -> bool {
        self.routes.lookup6(addr).is_some_and(|e| e.kind == RouteKind::Local)
    }

    /// The hash that chooses among equal paths, and of which flow labels are made (RFC 6437 §3);
    /// `transport` is what follows the IP header of a packet that is no fragment, and `protocol` what that is.
    pub(crate) fn flow6(&self, src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, transport: Option<&[u8]>) -> u64 {
        let (protocol, transport) = match transport.map(|t| ipv6_ext::behind(protocol, t)) {
            Some(Ok((protocol, at))) => (protocol, transport.map(|t| &t[at..])),
            Some(Err(_)) | None => (protocol, None),
        };
        let ports = match transport {
            Some(t) if t.len() >= 4 && protosw::has_ports(IpAddr::V6(dst), protocol) => be32(t, 0),
            Some(_) | None => 0,
        };
        self.key.flow(IpAddr::V6(src), IpAddr::V6(dst), protocol, ports)
    }
}
