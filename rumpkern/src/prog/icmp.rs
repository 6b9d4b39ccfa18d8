//! ICMP as programs see it: errors about their packets, in words (RFC 792, 1122 §3.2.2, 1812 §5.2.7; RFC 4443), and echoes,
//! of both families.

use super::io::{Context, Cx, Fail};
use crate::syscall::{Family, Fd, RecvMeta, SockOpt, SockType};
use netstack::socket::SockOpt6;
use netstack::wire::icmpv4::{self, ty, unreach};
use netstack::wire::icmpv6::{self, exceeded, parameter};
use netstack::wire::ipv4::{self, protocol};
use netstack::wire::{ipv6, ipv6_ext};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of the header of every message, in both.
pub(super) const HEADER_LEN: usize = icmpv4::HEADER_LEN;
const _: () = assert!(icmpv6::HEADER_LEN == HEADER_LEN);

/// What somebody says about a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Who says so.
    pub(super) from: IpAddr,
    /// What.
    what: What,
    /// Destination of the quoted packet.
    pub(super) dst: IpAddr,
    /// Its protocol.
    protocol: u8,
    /// The first octets of its transport header: RFC 792 promises eight.
    quoted: [u8; 8],
}

/// The error itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    V4(icmpv4::Header),
    V6(icmpv6::Header),
}

/// The protocol of echo.
pub(super) fn echo_protocol(family: Family) -> u8 {
    match family {
        Family::Inet => protocol::ICMP,
        Family::Inet6 => protocol::ICMPV6,
    }
}

/// A raw socket that hears a family's ICMP errors.
pub(super) fn listen(cx: &Cx, family: Family) -> Result<Fd, Fail> {
    let fd = cx.sys.socket(family, SockType::Raw, echo_protocol(family)).context("socket")?;
    // In both filters a set bit keeps a type out.
    let filter = match family {
        Family::Inet => {
            let errors = [ty::UNREACHABLE, ty::SOURCE_QUENCH, ty::REDIRECT, ty::TIME_EXCEEDED, ty::PARAMETER];
            SockOpt::IcmpFilter(!errors.iter().fold(0, |bits, ty| bits | 1 << ty))
        }
        Family::Inet6 => {
            use icmpv6::ty::{PARAMETER, TIME_EXCEEDED, TOO_BIG, UNREACHABLE};
            let errors = [UNREACHABLE, TOO_BIG, TIME_EXCEEDED, PARAMETER];
            let mut filter = [u32::MAX; 8];
            filter[0] = !errors.iter().fold(0, |bits, ty| bits | 1 << ty);
            SockOpt::V6(SockOpt6::IcmpFilter(filter))
        }
    };
    cx.sys.setsockopt(fd, filter).context("setsockopt")?;
    Ok(fd)
}

impl Trouble {
    /// Reads what a raw socket got: `None` if it is no error, or quotes too little.
    pub(super) fn read(octets: &[u8], meta: &RecvMeta) -> Option<Trouble> {
        match (meta.from?.ip(), meta.local) {
            (IpAddr::V4(_), _) => Trouble::read4(octets),
            (IpAddr::V6(src), Some(IpAddr::V6(dst))) => Trouble::read6(src, dst, octets),
            (IpAddr::V6(_), _) => None,
        }
    }

    /// Of IPv4, raw sockets get whole packets.
    fn read4(packet: &[u8]) -> Option<Trouble> {
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
        Some(Trouble { from, what: What::V4(header), dst, protocol: quoted.protocol, quoted: first })
    }

    /// Of IPv6, they get the message alone.
    fn read6(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> Option<Trouble> {
        let header = icmpv6::Header::parse(from, to, message).ok()?;
        if !icmpv6::is_error(header.ty) {
            return None;
        }
        let inner = &message[icmpv6::HEADER_LEN..];
        let (quoted, upper) = (ipv6::Header::parse_quoted(inner).ok()?, ipv6_ext::upper(inner).ok()?);
        let first = *inner.get(upper.at..).filter(|_| upper.is_first())?.first_chunk()?;
        let (from, dst) = (IpAddr::V6(from), IpAddr::V6(quoted.dst));
        Some(Trouble { from, what: What::V6(header), dst, protocol: upper.protocol, quoted: first })
    }

    /// Identifier and sequence number, if it is about an echo request.
    pub(super) fn echo(&self) -> Option<(u16, u16)> {
        let [kind, _, _, _, id1, id0, seq1, seq0] = self.quoted;
        let echo = match self.what {
            What::V4(_) => (protocol::ICMP, ty::ECHO),
            What::V6(_) => (protocol::ICMPV6, icmpv6::ty::ECHO),
        };
        ((self.protocol, kind) == echo)
            .then(|| (u16::from_be_bytes([id1, id0]), u16::from_be_bytes([seq1, seq0])))
    }

    /// Source and destination port, if it is about a UDP datagram.
    pub(super) fn udp(&self) -> Option<(u16, u16)> {
        let [src1, src0, dst1, dst0, ..] = self.quoted;
        (self.protocol == protocol::UDP)
            .then(|| (u16::from_be_bytes([src1, src0]), u16::from_be_bytes([dst1, dst0])))
    }

    /// Whether a router only tells a better way; the packet went on. IPv6 has no such error.
    pub(super) fn is_redirect(&self) -> bool {
        matches!(self.what, What::V4(icmpv4::Header { ty: ty::REDIRECT, .. }))
    }

    /// Whether the packet's time to live ran out on its way.
    pub(super) fn is_time_exceeded(&self) -> bool {
        match self.what {
            What::V4(header) => header.ty == ty::TIME_EXCEEDED,
            What::V6(header) => header.ty == icmpv6::ty::TIME_EXCEEDED,
        }
    }

    /// Whether the host was reached, and nobody listens there.
    pub(super) fn is_port_unreachable(&self) -> bool {
        match self.what {
            What::V4(header) => (header.ty, header.code) == (ty::UNREACHABLE, unreach::PORT),
            What::V6(header) => (header.ty, header.code) == (icmpv6::ty::UNREACHABLE, icmpv6::unreach::PORT),
        }
    }

    /// In the words of ping.
    pub(super) fn words(&self) -> String {
        match self.what {
            What::V4(header) => words4(header),
            What::V6(header) => words6(header),
        }
    }

    /// In the marks of traceroute; empty where it has none.
    pub(super) fn mark(&self) -> String {
        match self.what {
            What::V4(header) => mark4(header),
            What::V6(header) => mark6(header),
        }
    }
}

fn words4(header: icmpv4::Header) -> String {
    let code = header.code;
    let text = match header.ty {
        ty::UNREACHABLE => match code {
            unreach::NET => "Destination Net Unreachable",
            unreach::HOST => "Destination Host Unreachable",
            unreach::PROTOCOL => "Destination Protocol Unreachable",
            unreach::PORT => "Destination Port Unreachable",
            unreach::FRAG_NEEDED => {
                return format!("Frag needed and DF set (mtu = {})", header.next_hop_mtu());
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
        ty::REDIRECT => return format!("Redirect Host(New nexthop: {})", header.gateway()),
        ty::SOURCE_QUENCH => "Source Quench",
        ty::PARAMETER => return format!("Parameter problem: pointer = {}", header.rest >> 24),
        other => return format!("Bad ICMP type: {other}"),
    };
    text.to_owned()
}

fn words6(header: icmpv6::Header) -> String {
    let code = header.code;
    match header.ty {
        icmpv6::ty::UNREACHABLE => {
            let why = match code {
                icmpv6::unreach::NO_ROUTE => "No route",
                icmpv6::unreach::ADMIN => "Administratively prohibited",
                icmpv6::unreach::SCOPE => "Beyond scope of source address",
                icmpv6::unreach::ADDRESS => "Address unreachable",
                icmpv6::unreach::PORT => "Port unreachable",
                icmpv6::unreach::POLICY => "Source address failed ingress/egress policy",
                icmpv6::unreach::REJECT => "Reject route to destination",
                _ => return format!("Destination unreachable: Unknown code {code}"),
            };
            format!("Destination unreachable: {why}")
        }
        icmpv6::ty::TOO_BIG => format!("Packet too big: mtu={}", header.rest),
        icmpv6::ty::TIME_EXCEEDED => match code {
            exceeded::HOP_LIMIT => "Time exceeded: Hop limit".to_owned(),
            exceeded::REASSEMBLY => "Time exceeded: Defragmentation failure".to_owned(),
            _ => format!("Time exceeded: code {code}"),
        },
        icmpv6::ty::PARAMETER => {
            let what = match code {
                parameter::HEADER_FIELD => "Wrong header field",
                parameter::NEXT_HEADER => "Unknown header",
                parameter::OPTION => "Unknown option",
                _ => return format!("Parameter problem: code {code} at {}", header.rest),
            };
            format!("Parameter problem: {what} at {}", header.rest)
        }
        other => format!("Unknown ICMP type: {other}"),
    }
}

fn mark4(header: icmpv4::Header) -> String {
    match (header.ty, header.code) {
        (ty::UNREACHABLE, unreach::PORT) | (ty::TIME_EXCEEDED, 0) => String::new(),
        (ty::UNREACHABLE, unreach::NET | 6 | 11) => "!N".to_owned(),
        (ty::UNREACHABLE, unreach::HOST | 7 | 12) => "!H".to_owned(),
        (ty::UNREACHABLE, unreach::PROTOCOL) => "!P".to_owned(),
        (ty::UNREACHABLE, unreach::FRAG_NEEDED) => format!("!F-{}", header.next_hop_mtu()),
        (ty::UNREACHABLE, unreach::SOURCE_ROUTE) => "!S".to_owned(),
        (ty::UNREACHABLE, 9 | 10 | unreach::ADMIN) => "!X".to_owned(),
        (ty::UNREACHABLE, 14) => "!V".to_owned(),
        (ty::UNREACHABLE, 15) => "!C".to_owned(),
        (_, code) => format!("!<{code}>"),
    }
}

fn mark6(header: icmpv6::Header) -> String {
    use icmpv6::ty::{TIME_EXCEEDED, TOO_BIG, UNREACHABLE};
    use icmpv6::unreach::{ADDRESS, ADMIN, NO_ROUTE, PORT, SCOPE};
    match (header.ty, header.code) {
        (UNREACHABLE, PORT) | (TIME_EXCEEDED, exceeded::HOP_LIMIT) => String::new(),
        (UNREACHABLE, NO_ROUTE) => "!N".to_owned(),
        (UNREACHABLE, ADDRESS) => "!H".to_owned(),
        (UNREACHABLE, ADMIN) => "!X".to_owned(),
        (UNREACHABLE, SCOPE) => "!S".to_owned(),
        (TOO_BIG, _) => format!("!F-{}", header.rest),
        (_, code) => format!("!<{code}>"),
    }
}

/// Writes an echo request with this sequence number around the payload behind the header in `message`. The stack
/// puts in the identifier, which is the socket's, and what follows from the addresses.
pub(super) fn write_echo(family: Family, seq: u16, message: &mut [u8]) {
    match family {
        Family::Inet => icmpv4::Header { ty: ty::ECHO, code: 0, rest: seq.into() }.emit(message),
        Family::Inet6 => {
            let nobody = Ipv6Addr::UNSPECIFIED;
            icmpv6::Header { ty: icmpv6::ty::ECHO, code: 0, rest: seq.into() }.emit(nobody, nobody, message);
        }
    }
}

/// The sequence number and the payload of an echo reply.
pub(super) fn read_echo_reply<'m>(message: &'m [u8], meta: &RecvMeta) -> Option<(u16, &'m [u8])> {
    let (is_reply, rest) = match (meta.from?.ip(), meta.local?) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = icmpv6::Header::parse(src, dst, message).ok()?;
            (header.ty == icmpv6::ty::ECHO_REPLY, header.rest)
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => {
            let header = icmpv4::Header::parse(message).ok()?;
            (header.ty == ty::ECHO_REPLY, header.rest)
        }
    };
    is_reply.then(|| (rest as u16, &message[HEADER_LEN..]))
}

/// Where `lo`'s own packets come from when no other address is known.
pub(super) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;
    use netstack::time::Instant;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    /// What a socket says of a packet from one of these to us.
    fn meta(from: &str, us: &str) -> RecvMeta {
        let from = Some(SocketAddr::new(from.parse().unwrap(), 0));
        RecvMeta { from, local: Some(us.parse().unwrap()), ..RecvMeta::end(Instant::ZERO) }
    }

    const US: (&str, &str) = ("10.0.1.2", "fd00:1::2");
    const THEM: (&str, &str) = ("10.0.9.9", "fd00:9::9");
    const ROUTER: (&str, &str) = ("10.0.1.1", "fd00:1::1");

    /// An error of the router about a packet of ours of `protocol` that begins with `quoted`.
    fn packet4(ty: u8, code: u8, rest: u32, protocol: u8, quoted: &[u8]) -> Vec<u8> {
        let [us, them, router] = [US, THEM, ROUTER].map(|(four, _)| four.parse().unwrap());
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

    /// The same of IPv6, as a raw socket gets it.
    fn packet6(ty: u8, code: u8, rest: u32, protocol: u8, quoted: &[u8]) -> Vec<u8> {
        let [us, them, router] = [US, THEM, ROUTER].map(|(_, six)| six.parse().unwrap());
        let mut message = vec![0; icmpv6::HEADER_LEN + ipv6::HEADER_LEN];
        let inner = &mut message[icmpv6::HEADER_LEN..];
        ipv6::Header { payload_len: 1000, ..ipv6::Header::new(us, them, protocol) }.emit(inner);
        message.extend(quoted);
        icmpv6::Header { ty, code, rest }.emit(router, us, &mut message);
        message
    }

    fn read4(packet: &[u8]) -> Option<Trouble> {
        Trouble::read(packet, &meta(ROUTER.0, US.0))
    }

    fn read6(packet: &[u8]) -> Option<Trouble> {
        Trouble::read(packet, &meta(ROUTER.1, US.1))
    }

    /// A UDP header's ports, and the rest of what is promised.
    const PORTS: [u8; 8] = [0x80, 1, 0x82, 0x9a, 0, 0, 0, 0];

    #[test]
    fn errors_are_matched_with_what_they_are_about() {
        let trouble = read4(&packet4(11, 0, 0, protocol::UDP, &PORTS)).unwrap();
        assert_eq!(trouble.udp(), Some((0x8001, 33_434)));
        assert_eq!((trouble.echo(), trouble.is_time_exceeded(), trouble.mark()), (None, true, String::new()));
        assert_eq!((trouble.from, trouble.dst), (ROUTER.0.parse().unwrap(), THEM.0.parse().unwrap()));
        let trouble = read4(&packet4(3, 1, 0, protocol::ICMP, &[8, 0, 0, 0, 0x12, 0x34, 0, 7])).unwrap();
        assert_eq!((trouble.echo(), trouble.udp()), (Some((0x1234, 7)), None));
        let said = |trouble: Trouble| (trouble.words(), trouble.mark());
        assert_eq!(said(trouble), ("Destination Host Unreachable".into(), "!H".into()));
        let trouble = read4(&packet4(3, 4, 1400, protocol::UDP, &[0; 8])).unwrap();
        assert_eq!(said(trouble), ("Frag needed and DF set (mtu = 1400)".into(), "!F-1400".into()));
        assert_eq!(read4(&packet4(3, 13, 0, protocol::UDP, &[0; 8])).unwrap().mark(), "!X");
        assert_eq!(read4(&packet4(3, 0, 0, protocol::UDP, &[0; 8])).unwrap().mark(), "!N");
        assert!(read4(&packet4(3, 3, 0, protocol::UDP, &[0; 8])).unwrap().is_port_unreachable());
        assert!(read4(&packet4(5, 1, 0, protocol::UDP, &[0; 8])).unwrap().is_redirect());
        assert_eq!(read4(&packet4(0, 0, 0, protocol::UDP, &[0; 8])), None, "an echo reply is no error");
        assert_eq!(read4(&packet4(3, 3, 0, protocol::UDP, &[0; 7])), None, "too little is quoted");
    }

    #[test]
    fn errors_of_ipv6_too() {
        let trouble = read6(&packet6(3, 0, 0, protocol::UDP, &PORTS)).unwrap();
        assert_eq!((trouble.udp(), trouble.echo()), (Some((0x8001, 33_434)), None));
        assert_eq!((trouble.from, trouble.dst), (ROUTER.1.parse().unwrap(), THEM.1.parse().unwrap()));
        let said = |trouble: Trouble| (trouble.words(), trouble.mark());
        assert!(trouble.is_time_exceeded() && !trouble.is_redirect());
        assert_eq!(said(trouble), ("Time exceeded: Hop limit".into(), String::new()));
        let trouble = read6(&packet6(1, 3, 0, protocol::ICMPV6, &[128, 0, 0, 0, 0x12, 0x34, 0, 7])).unwrap();
        assert_eq!((trouble.echo(), trouble.udp()), (Some((0x1234, 7)), None));
        assert_eq!(said(trouble), ("Destination unreachable: Address unreachable".into(), "!H".into()));
        let trouble = read6(&packet6(2, 0, 1280, protocol::UDP, &PORTS)).unwrap();
        assert_eq!(said(trouble), ("Packet too big: mtu=1280".into(), "!F-1280".into()));
        let trouble = read6(&packet6(4, 1, 40, protocol::UDP, &PORTS)).unwrap();
        assert_eq!(said(trouble), ("Parameter problem: Unknown header at 40".into(), "!<1>".into()));
        let marks = [0, 1, 2, 4, 5].map(|code| read6(&packet6(1, code, 0, 17, &PORTS)).unwrap().mark());
        assert_eq!(marks, ["!N", "!X", "!S", "", "!<5>"]);
        assert!(read6(&packet6(1, 4, 0, 17, &PORTS)).unwrap().is_port_unreachable());
        // Behind an extension header, and behind a fragment header that is not of the first fragment.
        let [destination, fragment] = [[17, 0, 1, 4, 0, 0, 0, 0], [17, 0, 0, 8, 0, 0, 0, 1]];
        let behind = |header: [u8; 8], next| read6(&packet6(3, 0, 0, next, &[header, PORTS].concat()));
        assert_eq!(behind(destination, 60).and_then(|t| t.udp()), Some((0x8001, 33_434)));
        assert_eq!(behind(fragment, 44), None);
        assert_eq!(read6(&packet6(129, 0, 0, protocol::UDP, &PORTS)), None, "an echo reply is no error");
        assert_eq!(read6(&packet6(3, 0, 0, protocol::UDP, &PORTS[..7])), None, "too little is quoted");
        let mut broken = packet6(3, 0, 0, protocol::UDP, &PORTS);
        broken[20] ^= 1;
        assert_eq!(read6(&broken), None, "its checksum counts");
    }

    #[test]
    fn echoes_survive() {
        let [four, six] = [meta(THEM.0, US.0), meta(THEM.1, US.1)];
        let [us, them] = [US.1, THEM.1].map(|six| six.parse().unwrap());
        let reply = |family, message: &mut [u8]| {
            let (code, rest) = (0, 0x7777_0201);
            match family {
                Family::Inet => icmpv4::Header { ty: ty::ECHO_REPLY, code, rest }.emit(message),
                Family::Inet6 => {
                    icmpv6::Header { ty: icmpv6::ty::ECHO_REPLY, code, rest }.emit(them, us, message);
                }
            }
        };
        for (family, meta) in [(Family::Inet, four), (Family::Inet6, six)] {
            let mut message = vec![0; HEADER_LEN + 3];
            message[HEADER_LEN..].copy_from_slice(b"abc");
            write_echo(family, 513, &mut message);
            assert_eq!((message[6], message[7]), (2, 1));
            assert_eq!(read_echo_reply(&message, &meta), None, "a request is no reply");
            reply(family, &mut message);
            assert_eq!(read_echo_reply(&message, &meta), Some((513, &b"abc"[..])));
            message[9] ^= 1;
            assert_eq!(read_echo_reply(&message, &meta), None, "its checksum counts");
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_trouble_or_none(ty in any::<u8>(), code in any::<u8>(), rest in any::<u32>(), quoted in proptest::collection::vec(any::<u8>(), 0..20), octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let protocol = quoted.first().copied().unwrap_or(1);
            let [four, six] = [meta(ROUTER.0, US.0), meta(ROUTER.1, US.1)];
            let packets = [(packet4(ty, code, rest, protocol, &quoted), four.clone()), (packet6(ty, code, rest, protocol, &quoted), six.clone()), (octets.clone(), four), (octets, six)];
            for (packet, meta) in packets {
                if let Some(trouble) = Trouble::read(&packet, &meta) {
                    prop_assert!(!trouble.words().is_empty());
                    let _ = (trouble.mark(), trouble.echo(), trouble.udp());
                }
                let _ = read_echo_reply(&packet, &meta);
            }
        }
    }
}
