//! ICMP for IPv6: RFC 4443, RFC 8201 (path MTU).
//!
//! Errors are sent about nothing that RFC 4443 §2.4 (e) excludes, quote as much as fits the smallest
//! MTU, and are limited for each destination; "packet too big" and replies to echo are not.

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::netinet::ip::{Ip, WayKind};
use crate::netinet::protosw::Quote;
use crate::netinet::{Cast, FlowLabel, Fragment, IcmpError, IcmpErrorKind, IpLayer, IpRx, IpTx};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{self, Header, parameter, ty, unreach};
use crate::wire::ipv4::protocol;
use crate::wire::{ethernet, ipv6, ipv6_ext, scope6};
use std::net::{IpAddr, Ipv6Addr};

/// Octets of an error's quote (RFC 4443 §2.4 (c)).
const LONGEST_QUOTE: usize = ipv6::MIN_MTU as usize - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;

impl Ip {
    /// Sends an error about the packet `about`, which came in by `ifindex` where it was sent to `cast`,
    /// unless the rules forbid it.
    pub(crate) fn icmp6_error(
        &mut self,
        ifindex: IfIndex,
        about: &Mbuf,
        cast: Cast,
        ty: u8,
        code: u8,
        rest: u32,
    ) {
        let Ok(header) = ipv6::Header::parse_quoted(about.data()) else { return };
        if !may_complain(about.data(), &header, cast, (ty, code)) {
            return;
        }
        let dst = scope6::embed(header.src, ifindex);
        let Ok(way) = self.way6(dst, None, 0) else { return };
        // As Linux: path MTU discovery stalls without an answer, and we cannot flood ourselves.
        let free = ty == ty::TOO_BIG || way.kind == WayKind::Local;
        if !free && !self.error_limit.allow_error(self.now, IpAddr::V6(dst)) {
            self.stats.icmp6.out_rate_limited += 1;
            return;
        }
        // RFC 4443 §2.2: from the address that the packet was for, if that is ours.
        let target = scope6::embed(header.dst, ifindex);
        let src = if self.is_local6(target) { Some(target) } else { self.source6(dst, way.ifindex) };
        let Some(src) = src else { return };
        let quote = about.len().min(LONGEST_QUOTE);
        let mut m = self.pool.get();
        m.grow(icmpv6::HEADER_LEN);
        m.extend(&about.data()[..quote]);
        let count = &mut self.stats.icmp6;
        match ty {
            ty::UNREACHABLE => count.out_dest_unreachs += 1,
            ty::TOO_BIG => count.out_pkt_too_bigs += 1,
            ty::TIME_EXCEEDED => count.out_time_excds += 1,
            _ => count.out_parm_problems += 1,
        }
        let hop_limit = self.hop_limit6(way.ifindex);
        self.icmp6_send(src, dst, Header { ty, code, rest }, hop_limit, None, m);
    }

    /// Sends the message `m`, whose first octets are to be `header`. Addresses are in embedded form.
    pub(crate) fn icmp6_send(
        &mut self,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        header: Header,
        hop_limit: u8,
        bound: Option<IfIndex>,
        mut m: Mbuf,
    ) {
        header.emit(src, dst, m.data_mut());
        self.stats.icmp6.out_msgs += 1;
        let tx = IpTx {
            src: IpAddr::V6(src),
            dst: IpAddr::V6(dst),
            protocol: protocol::ICMPV6,
            ttl: hop_limit,
            tos: 0,
            fragment: Fragment::May,
            bound,
            label: FlowLabel::Auto,
        };
        // A message that cannot be sent is nobody's error.
        let _ = self.ip6_output(&tx, src, dst, m);
    }

    /// Nobody listens at the port that the packet `m` is for.
    pub(crate) fn port_unreachable(&mut self, rx: &IpRx, m: &Mbuf) {
        match rx.src {
            IpAddr::V4(_) => {
                use crate::wire::icmpv4::{ty, unreach};
                if let Ok(ip) = crate::wire::ipv4::Header::parse_quoted(m.data()) {
                    self.icmp_error(rx.ifindex, m, &ip, rx.cast, ty::UNREACHABLE, unreach::PORT, 0);
                }
            }
            IpAddr::V6(_) => {
                self.icmp6_error(rx.ifindex, m, rx.cast, ty::UNREACHABLE, unreach::PORT, 0);
            }
        }
    }

    /// Answers an echo request in its own buffer.
    fn icmp6_echo(&mut self, rx: &IpRx, rest: u32, mut m: Mbuf, at: usize) {
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (rx.src, rx.dst) else { return self.free(m) };
        if src.is_unspecified() {
            return self.discard(Drop::Icmp6Ignored, m);
        }
        // RFC 4443 §4.2: of a group's, from an address of ours.
        let own = match rx.cast {
            Cast::Unicast => Some(dst),
            Cast::Multicast | Cast::Broadcast => self.source6(src, rx.ifindex),
        };
        let Some(own) = own else { return self.discard(Drop::Icmp6Ignored, m) };
        m.trim_front(at);
        self.stats.icmp6.out_echo_replies += 1;
        let bound = scope6::is_scoped(src).then_some(rx.ifindex);
        let header = Header { ty: ty::ECHO_REPLY, code: 0, rest };
        header.emit(own, src, m.data_mut());
        self.stats.icmp6.out_msgs += 1;
        let tx = IpTx {
            src: IpAddr::V6(own),
            dst: rx.src,
            protocol: protocol::ICMPV6,
            ttl: self.hop_limit6(rx.ifindex),
            tos: rx.tos,
            fragment: Fragment::May,
            bound,
            label: FlowLabel::Auto,
        };
        // A reply that cannot be sent is counted by the IP layer.
        let _ = self.ip6_output(&tx, own, src, m);
    }
}

/// RFC 4443 §2.4 (e): about which packets no error is sent.
fn may_complain(about: &[u8], h: &ipv6::Header, cast: Cast, (ty, code): (u8, u8)) -> bool {
    let quoted_error = ipv6_ext::upper(about).is_ok_and(|u| {
        let message = about.get(u.at..).unwrap_or_default();
        u.protocol == protocol::ICMPV6
            && u.is_first()
            && match message.first() {
                Some(&t) => icmpv6::is_error(t) || t == ty::REDIRECT,
                // RFC 8200 §4.5: a first fragment without it is complained of.
                None => u.fragment.is_none(),
            }
    });
    let to_one = cast == Cast::Unicast && !h.dst.is_multicast();
    // (e.3): so that path MTU discovery works with groups, and unknown options are heard of.
    let excepted = ty == ty::TOO_BIG || (ty, code) == (ty::PARAMETER, parameter::OPTION);
    let one_host = !h.src.is_unspecified() && !h.src.is_multicast();
    (to_one || excepted) && one_host && !quoted_error
}

/// An ICMPv6 message for us; see [`crate::netinet::protosw::ProtoSw::input`].
pub(crate) fn input(stack: &mut Stack, rx: &IpRx, mut m: Mbuf, at: usize) {
    stack.ip.stats.icmp6.in_msgs += 1;
    m.complete_checksum(ethernet::HEADER_LEN);
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (rx.src, rx.dst) else { return stack.ip.free(m) };
    let header = match Header::parse(src, dst, &m.data()[at..]) {
        Ok(h) => h,
        Err(_) => {
            stack.ip.stats.icmp6.in_errors += 1;
            return stack.ip.discard(Drop::Icmp6Malformed, m);
        }
    };
    let count = &mut stack.ip.stats.icmp6;
    match header.ty {
        ty::ECHO => {
            count.in_echos += 1;
            stack.ip.icmp6_echo(rx, header.rest, m, at);
        }
        ty::ECHO_REPLY => {
            count.in_echo_replies += 1;
            stack.ping_input(rx, header.id(), m, at);
        }
        ty::UNREACHABLE => {
            count.in_dest_unreachs += 1;
            quoted(stack, rx, &header, m, at);
        }
        ty::TOO_BIG => {
            count.in_pkt_too_bigs += 1;
            quoted(stack, rx, &header, m, at);
        }
        ty::TIME_EXCEEDED => {
            count.in_time_excds += 1;
            quoted(stack, rx, &header, m, at);
        }
        ty::PARAMETER => {
            count.in_parm_problems += 1;
            quoted(stack, rx, &header, m, at);
        }
        ty::MLD_QUERY | ty::MLD_REPORT | ty::MLD_DONE | ty::MLD2_REPORT => stack.ip.mld6_input(rx, m, at),
        ty::ROUTER_SOLICIT
        | ty::ROUTER_ADVERT
        | ty::NEIGHBOUR_SOLICIT
        | ty::NEIGHBOUR_ADVERT
        | ty::REDIRECT => {
            stack.nd6_input(rx, &header, m, at);
        }
        _ => stack.ip.discard(Drop::Icmp6Ignored, m),
    }
}

/// An error about a packet of ours: to the protocol that sent it.
fn quoted(stack: &mut Stack, rx: &IpRx, header: &Header, m: Mbuf, at: usize) {
    let message = &m.data()[at + icmpv6::HEADER_LEN..];
    let about = ipv6::Header::parse_quoted(message).ok().zip(ipv6_ext::upper(message).ok());
    let whose = |a: Ipv6Addr| scope6::embed(a, rx.ifindex);
    let about =
        about.filter(|(h, u)| u.is_first() && message.len() >= u.at + 8 && stack.ip.is_local6(whose(h.src)));
    let Some((h, upper)) = about else {
        stack.ip.stats.icmp6.in_errors += 1;
        return stack.ip.discard(Drop::Icmp6BadQuote, m);
    };
    let kind = match (header.ty, header.code) {
        (ty::TOO_BIG, _) if header.rest < ipv6::MIN_MTU => {
            // RFC 8201 §4, RFC 8021: nothing is to be done about it.
            return stack.ip.discard(Drop::Icmp6BadQuote, m);
        }
        (ty::TOO_BIG, _) => IcmpErrorKind::PacketTooBig { mtu: header.rest },
        (ty::UNREACHABLE, unreach::NO_ROUTE) => IcmpErrorKind::NetUnreachable,
        (ty::UNREACHABLE, unreach::ADMIN | unreach::POLICY | unreach::REJECT) => IcmpErrorKind::Prohibited,
        (ty::UNREACHABLE, unreach::PORT) => IcmpErrorKind::PortUnreachable,
        (ty::UNREACHABLE, _) => IcmpErrorKind::HostUnreachable,
        (ty::TIME_EXCEEDED, _) => IcmpErrorKind::TimeExceeded,
        (_, parameter::NEXT_HEADER) => IcmpErrorKind::ProtoUnreachable,
        (_, _) => IcmpErrorKind::Parameter,
    };
    let error = IcmpError {
        kind,
        from: rx.src,
        src: IpAddr::V6(whose(h.src)),
        dst: IpAddr::V6(whose(h.dst)),
        ifindex: rx.ifindex,
        wire: (header.ty, header.code),
    };
    let quote = stack.icmp_dispatch(&error, upper.protocol, &message[upper.at..]);
    if let (Quote::Ours, IcmpErrorKind::PacketTooBig { mtu }) = (quote, kind) {
        stack.ip.learn_mtu(error.dst, mtu);
    }
    stack.ip.free(m);
}

/// An error about an ICMPv6 message of ours: an echo request of a ping socket, or a reply, of which nothing is
/// kept that it could be compared with (RFC 8201 §4 asks for that where it can be done).
pub(crate) fn error(stack: &mut Stack, error: &IcmpError, quoted: &[u8]) -> Quote {
    match *quoted {
        [ty::ECHO, _, _, _, a, b, ..] => stack.ping_error(error, u16::from_be_bytes([a, b]), quoted),
        [ty::ECHO_REPLY, ..] => Quote::Ours,
        [..] => Quote::Strange,
    }
}
