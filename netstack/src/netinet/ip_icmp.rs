//! ICMP: RFC 792, 1122 §3.2.2, 1812 §4.3, 1191 (path MTU), 6633 (no source quench).
//!
//! Errors are sent about nothing that RFC 1122 §3.2.2 excludes, quote as much as fits 576 octets
//! (RFC 1812 §4.3.2.3), and are limited for each destination; replies to echo are not limited.

use super::exceptions::{PathMtu, Redirect};
use super::ip::{Ip, WayKind, plain};
use super::protosw::Quote;
use super::{Cast, IcmpError, IcmpErrorKind, IpRx, protosw};
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::net::route::{NextHop, RouteKind};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::checksum;
use crate::wire::icmpv4::{self, Header, ty, unreach};
use crate::wire::ipv4::{self, protocol};
use crate::wire::ipv4_options;
use std::net::{IpAddr, Ipv4Addr};

/// Octets of the longest error, IP header included (RFC 1812 §4.3.2.3).
const LONGEST_ERROR: usize = 576;
/// RFC 1812 §4.3.2.5: errors have precedence "internetwork control".
const INTERNET_CONTROL: u8 = 0xc0;
/// Plateaus of RFC 1191 §7.1, for routers that do not say their next hop's MTU.
const PLATEAUS: [u32; 10] = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296];

impl Ip {
    /// Sends an error about the IP packet `about` (with header `header`), which came in by `ifindex`
    /// where it was sent to `cast`, unless the rules forbid it.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn icmp_error(
        &mut self,
        _ifindex: IfIndex,
        about: &Mbuf,
        header: &ipv4::Header,
        cast: Cast,
        ty: u8,
        code: u8,
        rest: u32,
    ) {
        if !self.may_complain(about, header, cast) {
            return;
        }
        // RFC 1812 §4.3.2.4: from the address that the packet was for, if that is ours; else from
        // the interface by which the error leaves.
        let Ok(way) = self.way4(header.src, None, 0) else { return };
        let (now, dst) = (self.now, IpAddr::V4(header.src));
        // As Linux: path MTU discovery stalls without an answer, and we cannot flood ourselves.
        let allowed = match (ty, code) {
            (ty::UNREACHABLE, unreach::FRAG_NEEDED) => true,
            _ if way.kind == WayKind::Local => true,
            (ty::REDIRECT, _) => self.error_limit.allow_redirect(now, dst),
            (_, _) => self.error_limit.allow_error(now, dst),
        };
        if !allowed {
            self.stats.icmp.out_rate_limited += 1;
            return;
        }
        let src = if self.is_local4(header.dst) { Some(IpAddr::V4(header.dst)) } else { way.src };
        let Some(IpAddr::V4(src)) = src else { return };
        let quote = about.len().min(LONGEST_ERROR - ipv4::HEADER_LEN - icmpv4::HEADER_LEN);
        let mut m = self.pool.get();
        m.grow(icmpv4::HEADER_LEN);
        m.extend(&about.data()[..quote]);
        Header { ty, code, rest }.emit(m.data_mut());
        self.stats.icmp.out_msgs += 1;
        match ty {
            ty::UNREACHABLE => self.stats.icmp.out_dest_unreachs += 1,
            ty::TIME_EXCEEDED => self.stats.icmp.out_time_excds += 1,
            ty::PARAMETER => self.stats.icmp.out_parm_probs += 1,
            ty::REDIRECT => self.stats.icmp.out_redirects += 1,
            _ => {}
        }
        let tos = (header.tos & 0x1e) | INTERNET_CONTROL;
        let tx = plain(src, header.src, protocol::ICMP, self.config.ttl, tos);
        // An error that cannot be sent is nobody's error.
        let _ = self.ip_output(&tx, src, header.src, &[], m);
    }

    /// RFC 1122 §3.2.2: about which packets no error is sent.
    fn may_complain(&self, about: &Mbuf, h: &ipv4::Header, cast: Cast) -> bool {
        let source = h.src;
        let one_host = !(source.is_unspecified()
            || source.is_multicast()
            || source.is_broadcast()
            || source.octets()[0] == 0
            || source.octets()[0] >= 240);
        let quoted_error = h.protocol == protocol::ICMP
            && h.offset == 0
            && about.data().get(h.header_len).is_none_or(|&t| icmpv4::is_error(t));
        // The destination, also where the caller does not know whom it meant.
        cast == Cast::Unicast
            && !h.dst.is_multicast()
            && !h.dst.is_broadcast()
            && h.offset == 0
            && one_host
            && !quoted_error
            && !self.is_subnet_broadcast(source)
            && !self.is_subnet_broadcast(h.dst)
    }

    /// What reassembly has given up is counted and freed.
    pub(crate) fn reass_collect(&mut self) {
        let [failed4, failed6] = core::mem::take(&mut self.reass.failures);
        self.stats.ip.reasm_fails += failed4;
        self.stats.ip6.reasm_fails += failed6;
        while let Some((why, m)) = self.reass.given_up.pop() {
            self.discard(why, m);
        }
        while let Some(m) = self.reass.used.pop() {
            self.free(m);
        }
    }

    /// A redirect: RFC 1122 §3.2.2.2, 3.3.1.2. Believed by hosts only, from the gateway in use only,
    /// and only towards the same link.
    fn icmp_redirect(&mut self, rx: &IpRx, gateway: Ipv4Addr, about: &ipv4::Header) -> bool {
        let from = rx.src;
        if self.config.forwarding || !self.config.accept_redirects || !self.is_local4(about.src) {
            return false;
        }
        let (dst, now, ifindex) = (IpAddr::V4(about.dst), self.now, rx.ifindex);
        // The gateway of the route that the sender was put in the place of, if it was.
        let before = self.exceptions.get(dst, now).redirect.filter(|r| (r.ifindex, r.to) == (ifindex, from));
        let routed = before.map_or(from, |r| r.from);
        let in_use = self.routes.lookup4(about.dst).is_some_and(|e| {
            let hop = |h: &NextHop| (h.ifindex, h.via) == (ifindex, Some(routed));
            e.kind == RouteKind::Unicast && e.hops.iter().any(hop)
        });
        let on_link = self.ifs.get(ifindex).is_some_and(|i| i.addrs4().any(|n| n.contains(&gateway)));
        let one_host = !gateway.is_unspecified()
            && !gateway.is_multicast()
            && !gateway.is_loopback()
            && self.routes.lookup4(gateway).is_some_and(|e| e.kind == RouteKind::Unicast);
        let sound = in_use && on_link && one_host && gateway != from;
        if sound {
            self.exceptions.learn_redirect(
                dst,
                now,
                Redirect { ifindex, from: routed, to: IpAddr::V4(gateway) },
            );
        }
        sound
    }
}

/// RFC 1191 §4, §5: the path MTU that a router tells, or means if it does not say.
fn path_mtu(told: u32, quoted_len: usize) -> u32 {
    match told {
        0 => {
            let smaller = |&&p: &&u32| (p as usize) < quoted_len;
            PLATEAUS.iter().find(smaller).copied().unwrap_or(ipv4::MIN_MTU)
        }
        m => m.max(ipv4::MIN_MTU),
    }
}

/// An ICMP message for us; see [`protosw::ProtoSw::input`].
pub(crate) fn input(stack: &mut Stack, rx: &IpRx, mut m: Mbuf, header_len: usize) {
    stack.ip.stats.icmp.in_msgs += 1;
    m.complete_checksum(crate::wire::ethernet::HEADER_LEN);
    let header = match Header::parse(&m.data()[header_len..]) {
        Ok(h) => h,
        Err(_) => {
            stack.ip.stats.icmp.in_errors += 1;
            return stack.ip.discard(Drop::IcmpMalformed, m);
        }
    };
    let count = &mut stack.ip.stats.icmp;
    match header.ty {
        ty::ECHO => {
            count.in_echos += 1;
            stack.ip.icmp_reply(rx, m, header_len, ty::ECHO_REPLY)
        }
        ty::TIMESTAMP => {
            count.in_timestamps += 1;
            stack.ip.icmp_reply(rx, m, header_len, ty::TIMESTAMP_REPLY)
        }
        ty::ECHO_REPLY => {
            count.in_echo_reps += 1;
            stack.ping_input(rx, header.id(), m, header_len);
        }
        ty::UNREACHABLE => {
            count.in_dest_unreachs += 1;
            quoted(stack, rx, &header, m, header_len);
        }
        ty::TIME_EXCEEDED => {
            count.in_time_excds += 1;
            quoted(stack, rx, &header, m, header_len);
        }
        ty::PARAMETER => {
            count.in_parm_probs += 1;
            quoted(stack, rx, &header, m, header_len);
        }
        ty::REDIRECT => {
            count.in_redirects += 1;
            let about = ipv4::Header::parse_quoted(&m.data()[header_len + icmpv4::HEADER_LEN..]);
            let believed = about.is_ok_and(|h| stack.ip.icmp_redirect(rx, header.gateway(), &h));
            if believed { stack.ip.free(m) } else { stack.ip.discard(Drop::IcmpBadRedirect, m) }
        }
        // RFC 6633: source quench is ignored; the rest are queries that we do not answer, or replies
        // to none of ours (a raw socket has had them).
        _ => stack.ip.discard(Drop::IcmpIgnored, m),
    }
}

impl Ip {
    /// Answers echo and timestamp requests in their own buffer.
    fn icmp_reply(&mut self, rx: &IpRx, mut m: Mbuf, header_len: usize, reply: u8) {
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (rx.src, rx.dst) else { return self.free(m) };
        // RFC 1122 §3.2.2.6, Linux's `icmp_echo_ignore_broadcasts`.
        if rx.cast != Cast::Unicast || src.is_unspecified() {
            return self.discard(Drop::IcmpBroadcastEcho, m);
        }
        let mut options = [0; ipv4_options::MAX_LEN];
        let len = ipv4_options::echo(&m.data()[ipv4::HEADER_LEN..header_len], &mut options);
        m.trim_front(header_len);
        let message = m.data_mut();
        if reply == ty::TIMESTAMP_REPLY {
            if message.len() < 20 {
                self.stats.icmp.in_errors += 1;
                return self.discard(Drop::IcmpMalformed, m);
            }
            let ms = self.time_of_day().to_be_bytes();
            message[12..16].copy_from_slice(&ms);
            message[16..20].copy_from_slice(&ms);
            message[0] = reply;
            message[2..4].fill(0);
            let sum = checksum::checksum(message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            self.stats.icmp.out_timestamp_reps += 1;
        } else {
            let old = u16::from_be_bytes([message[2], message[3]]);
            let mut sum = checksum::update(old, u16::from_be_bytes([ty::ECHO, 0]), 0);
            message[0] = reply;
            if sum == 0 {
                // RFC 1624 §3: of the two zeros only the whole sum knows the right one.
                message[2..4].fill(0);
                sum = checksum::checksum(message);
            }
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            self.stats.icmp.out_echo_reps += 1;
        }
        self.stats.icmp.out_msgs += 1;
        let tx = plain(dst, src, protocol::ICMP, self.config.ttl, rx.tos);
        // A reply that cannot be sent is counted by the IP layer.
        let _ = self.ip_output(&tx, dst, src, &options[..len], m);
    }
}

/// An error about a packet of ours: to the protocol that sent it.
fn quoted(stack: &mut Stack, rx: &IpRx, header: &Header, m: Mbuf, header_len: usize) {
    let message = &m.data()[header_len + icmpv4::HEADER_LEN..];
    let about = match ipv4::Header::parse_quoted(message) {
        Ok(h) if h.offset == 0 && message.len() >= h.header_len + 8 && stack.ip.is_local4(h.src) => h,
        Ok(_) | Err(_) => {
            stack.ip.stats.icmp.in_errors += 1;
            return stack.ip.discard(Drop::IcmpBadQuote, m);
        }
    };
    let kind = match (header.ty, header.code) {
        (ty::UNREACHABLE, unreach::FRAG_NEEDED) => {
            IcmpErrorKind::PacketTooBig { mtu: path_mtu(header.next_hop_mtu(), about.total_len) }
        }
        (ty::UNREACHABLE, unreach::PROTOCOL) => IcmpErrorKind::ProtoUnreachable,
        (ty::UNREACHABLE, unreach::PORT) => IcmpErrorKind::PortUnreachable,
        (ty::UNREACHABLE, unreach::SOURCE_ROUTE) => IcmpErrorKind::SourceRoute,
        // RFC 1812 §5.2.7.1: which codes speak of a network, and which of a host.
        (ty::UNREACHABLE, unreach::NET | 11) => IcmpErrorKind::NetUnreachable,
        (ty::UNREACHABLE, 6 | 9) => IcmpErrorKind::NetRefused,
        (ty::UNREACHABLE, 7) => IcmpErrorKind::HostUnknown,
        (ty::UNREACHABLE, 8) => IcmpErrorKind::Isolated,
        (ty::UNREACHABLE, 10 | unreach::ADMIN | 14 | 15) => IcmpErrorKind::HostRefused,
        (ty::UNREACHABLE, _) => IcmpErrorKind::HostUnreachable,
        (ty::TIME_EXCEEDED, _) => IcmpErrorKind::TimeExceeded,
        (_, _) => IcmpErrorKind::Parameter,
    };
    let error = IcmpError {
        kind,
        from: rx.src,
        src: IpAddr::V4(about.src),
        dst: IpAddr::V4(about.dst),
        ifindex: rx.ifindex,
        wire: (header.ty, header.code),
    };
    let quote = stack.icmp_dispatch(&error, about.protocol, &message[about.header_len..]);
    if let (Quote::Ours, IcmpErrorKind::PacketTooBig { mtu }) = (quote, kind) {
        stack.ip.exceptions.learn_mtu(error.dst, stack.ip.now, PathMtu::told(mtu));
    }
    stack.ip.free(m);
}

impl Stack {
    /// Hands an error to raw sockets and to the protocol that sent the quoted packet.
    pub(crate) fn icmp_dispatch(&mut self, error: &IcmpError, protocol: u8, quoted: &[u8]) -> Quote {
        let raw = self.raw_error(error, protocol, quoted);
        let transport = protosw::find(error.src, protocol).map(|proto| (proto.error)(self, error, quoted));
        if raw == Quote::Ours { raw } else { transport.unwrap_or(Quote::Strange) }
    }
}

/// An error about an ICMP message of ours: an echo request of a ping socket.
pub(crate) fn error(stack: &mut Stack, error: &IcmpError, quoted: &[u8]) -> Quote {
    match icmpv4::echo_id(quoted) {
        Some(id) if quoted[0] == ty::ECHO => stack.ping_error(error, id, quoted),
        Some(_) | None => Quote::Strange,
    }
}
