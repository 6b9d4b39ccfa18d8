//! IPv4 input: what a packet must be to be taken, and whose it is. RFC 791, 1122 §3.2.1, 1812 §5.2.
//! RFC 6890 for addresses that no packet on a wire may have.

use super::ip_options::{self, Verdict};
use super::ip_reass::{self, Piece, Reass};
use super::{Cast, IpRx, protosw};
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::net::route::RouteKind;
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::WireError;
use crate::wire::icmpv4::{ty, unreach};
use crate::wire::ipv4::{self, Header, protocol};
use std::net::IpAddr;

/// Whose a packet is.
enum Whose {
    Ours(Cast),
    /// To be forwarded.
    Others,
    Nobodys(Drop),
}

impl Stack {
    /// An IPv4 packet from a link, where it was sent to `link`.
    pub(crate) fn ip_input(&mut self, ifindex: IfIndex, mut m: Mbuf, link: Cast) {
        self.ip.stats.ip.in_receives += 1;
        let header = match Header::parse(m.data()) {
            Ok(h) => h,
            Err(e) => return self.ip.discard(header_fault(e), m),
        };
        m.truncate(header.total_len);
        if let Some(why) = self.martian(&header) {
            return self.ip.discard(why, m);
        }
        let whose = self.whose(ifindex, &header, link);
        if header.header_len > ipv4::HEADER_LEN {
            match ip_options::check(&header, &m) {
                Verdict::Go => {}
                Verdict::Drop(why) => return self.ip.discard(why, m),
                Verdict::Problem(why, pointer) => {
                    let rest = u32::from(pointer) << 24;
                    self.ip.icmp_error(ifindex, &m, &header, link, ty::PARAMETER, 0, rest);
                    return self.ip.discard(why, m);
                }
            }
        }
        match whose {
            Whose::Ours(cast) => self.ip_deliver(ifindex, cast, &header, m),
            Whose::Others => self.ip.ip_forward(ifindex, &header, m),
            Whose::Nobodys(why) => self.ip.discard(why, m),
        }
    }

    /// A packet of our own that looped: it needs no checks, except of what a raw socket wrote.
    pub(crate) fn ip_loop_input(&mut self, ifindex: IfIndex, mut m: Mbuf) {
        self.ip.stats.ip.in_receives += 1;
        let header = match Header::parse(m.data()) {
            Ok(h) => h,
            Err(e) => return self.ip.discard(header_fault(e), m),
        };
        m.truncate(header.total_len);
        let cast = match header.dst {
            d if d.is_multicast() => Cast::Multicast,
            d if self.ip.is_local4(d) => Cast::Unicast,
            _ => Cast::Broadcast,
        };
        if header.header_len > ipv4::HEADER_LEN
            && let Verdict::Drop(why) | Verdict::Problem(why, _) = ip_options::check(&header, &m)
        {
            return self.ip.discard(why, m);
        }
        self.ip_deliver(ifindex, cast, &header, m);
    }

    /// Addresses that cannot have come over a wire.
    fn martian(&self, h: &Header) -> Option<Drop> {
        let (src, dst) = (h.src, h.dst);
        if src.is_multicast() || src.is_broadcast() || src.is_loopback() {
            return Some(Drop::IpMartianSource);
        }
        if src.octets()[0] == 0 {
            // "This host" speaks only to find its address (RFC 1122 §3.2.1.3), or joins groups.
            let finding = src.is_unspecified() && (dst.is_broadcast() || dst.is_multicast());
            return (!finding).then_some(Drop::IpMartianSource);
        }
        if dst.is_loopback() || dst.octets()[0] == 0 {
            return Some(Drop::IpMartianDestination);
        }
        // Our own address, or a subnet's broadcast address, as source (RFC 1812 §5.3.7).
        match self.ip.routes.lookup4(src).map(|e| e.kind) {
            Some(RouteKind::Local | RouteKind::Broadcast) => Some(Drop::IpMartianSource),
            Some(
                RouteKind::Unicast | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit,
            )
            | None => None,
        }
    }

    fn whose(&self, ifindex: IfIndex, header: &Header, link: Cast) -> Whose {
        let dst = header.dst;
        if dst.is_multicast() {
            return match self.ip.ifs.get(ifindex) {
                Some(i) if !i.wants_group(IpAddr::V4(dst)) => Whose::Nobodys(Drop::IpOtherGroup),
                // What is said of a group is for all its members.
                Some(i)
                    if header.protocol != protocol::IGMP
                        && !i.wants_source(IpAddr::V4(dst), IpAddr::V4(header.src)) =>
                {
                    Whose::Nobodys(Drop::IpOtherSource)
                }
                Some(_) => Whose::Ours(Cast::Multicast),
                None => Whose::Nobodys(Drop::IpOtherGroup),
            };
        }
        if dst.is_broadcast() {
            return Whose::Ours(Cast::Broadcast);
        }
        let entry = self.ip.routes.lookup4(dst);
        match entry.map(|e| e.kind) {
            Some(RouteKind::Broadcast) => {
                // RFC 1812 §5.3.5.2, 2644: directed broadcasts are not forwarded.
                let here = entry.is_some_and(|e| e.hops.iter().any(|h| h.ifindex == ifindex));
                if here { Whose::Ours(Cast::Broadcast) } else { Whose::Nobodys(Drop::IpNotForwardable) }
            }
            // RFC 1122 §3.3.6: a broadcast frame has a broadcast or group address inside, too.
            _ if link != Cast::Unicast => Whose::Nobodys(Drop::IpUnicastInBroadcast),
            Some(RouteKind::Local) => Whose::Ours(Cast::Unicast),
            _ if !self.ip.config.forwarding => Whose::Nobodys(Drop::IpNotForwarding),
            // RFC 3927 §7: link-local addresses stay on their link.
            _ if dst.is_link_local() => Whose::Nobodys(Drop::IpNotForwardable),
            Some(
                RouteKind::Unicast | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit,
            )
            | None => Whose::Others,
        }
    }

    /// A packet for us: reassembly, then raw sockets, then the protocol.
    fn ip_deliver(&mut self, ifindex: IfIndex, cast: Cast, header: &Header, mut m: Mbuf) {
        if header.header_len > ipv4::HEADER_LEN {
            ip_options::record_arrival(&self.ip, ifindex, header, &mut m);
        }
        if !header.is_fragment() {
            return self.ip_switch(ifindex, cast, header, m);
        }
        self.ip.stats.ip.reasm_reqds += 1;
        let Some(piece) = Piece::of(header) else { return self.ip.discard(Drop::ReassMalformed, m) };
        let (now, timers) = (self.ip.now, &mut self.ip.timers);
        let outcome = self.ip.reass.input(now, ifindex, &piece, m, timers);
        match outcome {
            Reass::Waiting => self.ip.reass_collect(),
            Reass::Dropped(why, m) => {
                self.ip.reass_collect();
                self.ip.discard(why, m);
            }
            Reass::Whole(mut m, ecn) => {
                if !ip_reass::mend_header(&mut m, ecn) {
                    self.ip.reass.refuse(piece.key.src, m);
                    return self.ip.reass_collect();
                }
                self.ip.reass_collect();
                self.ip.stats.ip.reasm_oks += 1;
                match Header::parse(m.data()) {
                    Ok(whole) => self.ip_switch(ifindex, cast, &whole, m),
                    Err(e) => self.ip.discard(header_fault(e), m),
                }
            }
        }
    }

    fn ip_switch(&mut self, ifindex: IfIndex, cast: Cast, header: &Header, m: Mbuf) {
        let rx = IpRx {
            src: IpAddr::V4(header.src),
            dst: IpAddr::V4(header.dst),
            ttl: header.ttl,
            tos: header.tos,
            ifindex,
            cast,
            fragmented: false,
        };
        let raw = self.raw_input(&rx, header.protocol, &m);
        match protosw::find(rx.src, header.protocol) {
            Some(proto) => {
                self.ip.stats.ip.in_delivers += 1;
                (proto.input)(self, &rx, m, header.header_len);
            }
            None if raw => {
                self.ip.stats.ip.in_delivers += 1;
                self.ip.free(m);
            }
            None => {
                self.ip.icmp_error(ifindex, &m, header, cast, ty::UNREACHABLE, unreach::PROTOCOL, 0);
                self.ip.discard(Drop::IpUnknownProtocol, m);
            }
        }
    }
}

fn header_fault(e: WireError) -> Drop {
    match e {
        WireError::Truncated => Drop::IpTruncated,
        WireError::Malformed => Drop::IpMalformed,
        WireError::Checksum => Drop::IpChecksum,
    }
}
