//! ICMP as programs see it: errors about their packets, in words (RFC 792, 1122 §3.2.2, 1812 §5.2.7).
//!
//! IPv4. ICMPv6 joins when the stack has it: then this file learns a second table of words.

use super::io::{Context, Cx, Fail};
use crate::syscall::{Family, Fd, SockOpt, SockType};
use netstack::wire::icmpv4::{self, ty, unreach};
use netstack::wire::ipv4::{self, protocol};
use std::net::{IpAddr, Ipv4Addr};

/// What somebody says about a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Who says so.
    pub(super) from: IpAddr,
    /// What.
    header: icmpv4::Header,
    /// Destination of the quoted packet.
    pub(super) dst: IpAddr,
    /// Its protocol.
    protocol: u8,
    /// The first octets of its transport header: RFC 792 promises eight.
    quoted: [u8; 8],
}

/// A raw socket that hears ICMP errors.
pub(super) fn listen(cx: &Cx) -> Result<Fd, Fail> {
    let fd = cx.sys.socket(Family::Inet, SockType::Raw, protocol::ICMP).context("socket")?;
    let errors = [ty::UNREACHABLE, ty::SOURCE_QUENCH, ty::REDIRECT, ty::TIME_EXCEEDED, ty::PARAMETER];
    let wanted = errors.iter().fold(0, |bits, ty| bits | 1 << ty);
    cx.sys.setsockopt(fd, SockOpt::IcmpFilter(!wanted)).context("setsockopt")?;
    Ok(fd)
}

impl Trouble {
    /// Reads a packet from a raw socket: `None` if it is no error, or quotes too little.
    pub(super) fn read(packet: &[u8]) -> Option<Trouble> {
        let outer = ipv4::Header::parse(packet).ok()?;
        let message = packet.get(outer.header_len..outer.total_len)?;
        let header = icmpv4::Header::parse(message).ok()?;
        if outer.protocol != protocol::ICMP || !icmpv4::is_error(header.ty) {
            return None;
        }
        let inner = &message[icmpv4::HEADER_LEN..];
        let quoted = ipv4::Header::parse_quoted(inner).ok()?;
        let first = *inner.get(quoted.header_len..)?.first_chunk()?;
        let (from, dst) = (IpAddr::V4(outer.src), IpAddr::V4(quoted.dst));
        Some(Trouble { from, header, dst, protocol: quoted.protocol, quoted: first })
    }

    /// Identifier and sequence number, if it is about an echo request.
    pub(super) fn echo(&self) -> Option<(u16, u16)> {
        let [kind, _, _, _, id1, id0, seq1, seq0] = self.quoted;
        (self.protocol == protocol::ICMP && kind == ty::ECHO)
            .then(|| (u16::from_be_bytes([id1, id0]), u16::from_be_bytes([seq1, seq0])))
    }

    /// Source and destination port, if it is about a UDP datagram.
    pub(super) fn udp(&self) -> Option<(u16, u16)> {
        let [src1, src0, dst1, dst0, ..] = self.quoted;
        (self.protocol == protocol::UDP)
            .then(|| (u16::from_be_bytes([src1, src0]), u16::from_be_bytes([dst1, dst0])))
    }

    /// Whether a router only tells a better way; the packet went on.
    pub(super) fn is_redirect(&self) -> bool {
        self.header.ty == ty::REDIRECT
    }

    /// Whether the packet's time to live ran out on its way.
    pub(super) fn is_time_exceeded(&self) -> bool {
        self.header.ty == ty::TIME_EXCEEDED
    }

    /// Whether the host was reached, and nobody listens there.
    pub(super) fn is_port_unreachable(&self) -> bool {
        (self.header.ty, self.header.code) == (ty::UNREACHABLE, unreach::PORT)
    }

    /// In the words of ping.
    pub(super) fn words(&self) -> String {
        let code = self.header.code;
        let text = match self.header.ty {
            ty::UNREACHABLE => match code {
                unreach::NET => "Destination Net Unreachable",
                unreach::HOST => "Destination Host Unreachable",
                unreach::PROTOCOL => "Destination Protocol Unreachable",
                unreach::PORT => "Destination Port Unreachable",
                unreach::FRAG_NEEDED => {
                    return format!("Frag needed and DF set (mtu = {})", self.header.next_hop_mtu());
                }
                unreach::SOURCE_ROUTE => "Source Route Failed",
                6 => "Destination Net Unknown",
                7 => "Destination Host Unknown",
                8 => "Source Host Isolated",
                9 => "Destination Net Prohibited",
                10 => "Destination Host Prohibited",
                11 => "Destination Net Unreachable for Type of Service",
                12 => "Destination Host Unreachable for Type of Service",
                unreach::ADMIN => "Packet filtered",
                14 => "Precedence Violation",
                15 => "Precedence Cutoff",
                _ => return format!("Dest Unreachable, Bad Code: {code}"),
            },
            ty::TIME_EXCEEDED => match code {
                0 => "Time to live exceeded",
                1 => "Frag reassembly time exceeded",
                _ => return format!("Time exceeded, Bad Code: {code}"),
            },
            ty::REDIRECT => return format!("Redirect Host(New nexthop: {})", self.header.gateway()),
            ty::SOURCE_QUENCH => "Source Quench",
            ty::PARAMETER => return format!("Parameter problem: pointer = {}", self.header.rest >> 24),
            other => return format!("Bad ICMP type: {other}"),
        };
        text.to_owned()
    }

    /// In the marks of traceroute; empty where it has none.
    pub(super) fn mark(&self) -> String {
        match (self.header.ty, self.header.code) {
            (ty::UNREACHABLE, unreach::PORT) | (ty::TIME_EXCEEDED, 0) => String::new(),
            (ty::UNREACHABLE, unreach::NET | 6 | 11) => "!N".to_owned(),
            (ty::UNREACHABLE, unreach::HOST | 7 | 12) => "!H".to_owned(),
            (ty::UNREACHABLE, unreach::PROTOCOL) => "!P".to_owned(),
            (ty::UNREACHABLE, unreach::FRAG_NEEDED) => format!("!F-{}", self.header.next_hop_mtu()),
            (ty::UNREACHABLE, unreach::SOURCE_ROUTE) => "!S".to_owned(),
            (ty::UNREACHABLE, 9 | 10 | unreach::ADMIN) => "!X".to_owned(),
            (ty::UNREACHABLE, 14) => "!V".to_owned(),
            (ty::UNREACHABLE, 15) => "!C".to_owned(),
            (_, code) => format!("!<{code}>"),
        }
    }
}

/// Writes an echo request with this sequence number around the payload behind the header in `message`. The stack
/// puts in the identifier, which is the socket's.
pub(super) fn write_echo(seq: u16, message: &mut [u8]) {
    icmpv4::Header { ty: ty::ECHO, code: 0, rest: seq.into() }.emit(message);
}

/// The sequence number and the payload of an echo reply.
pub(super) fn read_echo_reply(message: &[u8]) -> Option<(u16, &[u8])> {
    let header = icmpv4::Header::parse(message).ok()?;
    (header.ty == ty::ECHO_REPLY).then(|| (header.rest as u16, &message[icmpv4::HEADER_LEN..]))
}

/// Where `lo`'s own packets come from when no other address is known.
pub(super) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An error of `from` about a packet of `protocol` to 10.0.9.9 that begins with `quoted`.
    fn packet(ty: u8, code: u8, rest: u32, protocol: u8, quoted: &[u8]) -> Vec<u8> {
        let (us, them, router) =
            (Ipv4Addr::new(10, 0, 1, 2), Ipv4Addr::new(10, 0, 9, 9), Ipv4Addr::new(10, 0, 1, 1));
        let len = ipv4::HEADER_LEN + icmpv4::HEADER_LEN + ipv4::HEADER_LEN + quoted.len();
        let mut packet = vec![0; len];
        let (outer, message) = packet.split_at_mut(ipv4::HEADER_LEN);
        ipv4::Header { total_len: len, ..ipv4::Header::new(router, us, protocol::ICMP) }.emit(outer);
        let (inner, rest_of) = message[icmpv4::HEADER_LEN..].split_at_mut(ipv4::HEADER_LEN);
        ipv4::Header { total_len: 1000, ..ipv4::Header::new(us, them, protocol) }.emit(inner);
        rest_of.copy_from_slice(quoted);
        icmpv4::Header { ty, code, rest }.emit(message);
        packet
    }

    #[test]
    fn errors_are_matched_with_what_they_are_about() {
        let trouble =
            Trouble::read(&packet(11, 0, 0, protocol::UDP, &[0x80, 1, 0x82, 0x9a, 0, 0, 0, 0])).unwrap();
        assert_eq!(trouble.udp(), Some((0x8001, 33_434)));
        assert_eq!((trouble.echo(), trouble.is_time_exceeded(), trouble.mark()), (None, true, String::new()));
        assert_eq!((trouble.from, trouble.dst), ([10, 0, 1, 1].into(), [10, 0, 9, 9].into()));
        let trouble =
            Trouble::read(&packet(3, 1, 0, protocol::ICMP, &[8, 0, 0, 0, 0x12, 0x34, 0, 7])).unwrap();
        assert_eq!((trouble.echo(), trouble.udp()), (Some((0x1234, 7)), None));
        assert_eq!(
            (trouble.words().as_str(), trouble.mark().as_str()),
            ("Destination Host Unreachable", "!H")
        );
        let trouble = Trouble::read(&packet(3, 4, 1400, protocol::UDP, &[0; 8])).unwrap();
        assert_eq!(
            (trouble.words().as_str(), trouble.mark().as_str()),
            ("Frag needed and DF set (mtu = 1400)", "!F-1400")
        );
        assert_eq!(Trouble::read(&packet(3, 13, 0, protocol::UDP, &[0; 8])).unwrap().mark(), "!X");
        assert_eq!(Trouble::read(&packet(3, 0, 0, protocol::UDP, &[0; 8])).unwrap().mark(), "!N");
        assert!(Trouble::read(&packet(3, 3, 0, protocol::UDP, &[0; 8])).unwrap().is_port_unreachable());
        assert_eq!(
            Trouble::read(&packet(0, 0, 0, protocol::UDP, &[0; 8])),
            None,
            "an echo reply is no error"
        );
        assert_eq!(Trouble::read(&packet(3, 3, 0, protocol::UDP, &[0; 7])), None, "too little is quoted");
    }

    #[test]
    fn echoes_survive() {
        let mut message = vec![0; icmpv4::HEADER_LEN + 3];
        message[icmpv4::HEADER_LEN..].copy_from_slice(b"abc");
        write_echo(513, &mut message);
        assert_eq!(read_echo_reply(&message), None, "a request is no reply");
        icmpv4::Header { ty: ty::ECHO_REPLY, code: 0, rest: 0x7777_0201 }.emit(&mut message);
        assert_eq!(read_echo_reply(&message), Some((513, &b"abc"[..])));
        message[9] ^= 1;
        assert_eq!(read_echo_reply(&message), None, "its checksum counts");
    }

    proptest! {
        #[test]
        fn any_packet_is_trouble_or_none(ty in any::<u8>(), code in any::<u8>(), rest in any::<u32>(), quoted in proptest::collection::vec(any::<u8>(), 0..20), octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            for packet in [packet(ty, code, rest, quoted.first().copied().unwrap_or(1), &quoted), octets] {
                if let Some(trouble) = Trouble::read(&packet) {
                    prop_assert!(!trouble.words().is_empty());
                    let _ = (trouble.mark(), trouble.echo(), trouble.udp());
                }
                let _ = read_echo_reply(&packet);
            }
        }
    }
}
