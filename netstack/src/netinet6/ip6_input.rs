//! IPv6 input: what a packet must be to be taken, and whose it is. RFC 8200, RFC 4291 §2.5, §2.7.

use super::frag6::{self, Fragmented};
use super::ip6_exthdr::{self, Verdict};
use crate::net::IfIndex;
use crate::net::ifnet::Ifnet;
use crate::net::mbuf::Mbuf;
use crate::net::route::RouteKind;
use crate::netinet::{Cast, IpRx, protosw};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{parameter, ty};
use crate::wire::ipv6::{self, Header};
use crate::wire::ipv6_ext::{self, next};
use crate::wire::{WireError, scope6};
use std::net::{IpAddr, Ipv6Addr};

/// Whose a packet is.
enum Whose {
    Ours(Cast),
    /// To be forwarded.
    Others,
    Nobodys(Drop),
}

impl Stack {
    /// An IPv6 packet from a link, where it was sent to `link`.
    pub(crate) fn ip6_input(&mut self, ifindex: IfIndex, mut m: Mbuf, link: Cast) {
        self.ip.stats.ip6.in_receives += 1;
        let Some(ifnet) = self.ip.ifs.get(ifindex).filter(|i| i.in6.enabled) else {
            return self.ip.discard(Drop::Ip6Disabled, m);
        };
        let header = match ip6_header(ifindex, &mut m, Origin::Wire) {
            Ok(header) => header,
            Err(why) => return self.ip.discard(why, m),
        };
        let whose = self.whose6(&header, ifnet, link);
        let cast = match whose {
            Whose::Ours(cast) => cast,
            Whose::Others => Cast::Unicast,
            Whose::Nobodys(why) => return self.ip.discard(why, m),
        };
        // Options for everybody on the way.
        if header.next_header == next::HOP_BY_HOP {
            let Some(back) = self.ip6_hop_by_hop(ifindex, cast, m) else { return };
            m = back;
        }
        match whose {
            Whose::Ours(cast) => self.ip6_deliver(ifindex, cast, &header, m),
            Whose::Others => self.ip.ip6_forward(ifindex, &header, m),
            Whose::Nobodys(why) => self.ip.discard(why, m),
        }
    }

    /// A packet of our own that looped.
    pub(crate) fn ip6_loop_input(&mut self, ifindex: IfIndex, mut m: Mbuf) {
        self.ip.stats.ip6.in_receives += 1;
        let header = match ip6_header(ifindex, &mut m, Origin::Ourselves) {
            Ok(header) => header,
            Err(why) => return self.ip.discard(why, m),
        };
        let cast = if header.dst.is_multicast() { Cast::Multicast } else { Cast::Unicast };
        if header.next_header == next::HOP_BY_HOP {
            let Some(back) = self.ip6_hop_by_hop(ifindex, cast, m) else { return };
            m = back;
        }
        self.ip6_deliver(ifindex, cast, &header, m);
    }

    fn whose6(&self, h: &Header, ifnet: &Ifnet, link: Cast) -> Whose {
        if h.dst.is_multicast() {
            let (group, source) = (IpAddr::V6(h.dst), IpAddr::V6(h.src));
            if !ifnet.wants_group(group) {
                return Whose::Nobodys(Drop::Ip6OtherGroup);
            }
            return match ifnet.wants_source(group, source) || is_signalling(h) {
                true => Whose::Ours(Cast::Multicast),
                false => Whose::Nobodys(Drop::Ip6OtherSource),
            };
        }
        if link != Cast::Unicast {
            return Whose::Nobodys(Drop::Ip6UnicastInMulticast);
        }
        match self.ip.routes.lookup6(h.dst).map(|e| e.kind) {
            Some(RouteKind::Local) => Whose::Ours(Cast::Unicast),
            // RFC 4862 §5.4: nothing is taken at an address that is not ours yet; a solicitation to it
            // by somebody who probes is none of DAD.
            _ if ifnet.in6.awaits(h.dst) => Whose::Nobodys(Drop::Ip6Tentative),
            _ if !self.ip.config.forwarding => Whose::Nobodys(Drop::Ip6NotForwarding),
            _ if scope6::is_scoped(h.dst) => Whose::Nobodys(Drop::Ip6NotForwardable),
            Some(_) | None => Whose::Others,
        }
    }

    /// Looks at the hop-by-hop options; gives the packet back if it goes on.
    fn ip6_hop_by_hop(&mut self, ifindex: IfIndex, cast: Cast, m: Mbuf) -> Option<Mbuf> {
        let at = ipv6::HEADER_LEN;
        let verdict = match ipv6_ext::len(&m.data()[at..]) {
            Ok(len) => ip6_exthdr::options(&m.data()[at..at + len]),
            Err(_) => Verdict::Drop(Drop::Ip6Truncated),
        };
        self.ip6_judge(ifindex, cast, at, verdict, m)
    }

    /// Does what a verdict about the header at `at` says; gives the packet back if it goes on.
    fn ip6_judge(
        &mut self,
        ifindex: IfIndex,
        cast: Cast,
        at: usize,
        verdict: Verdict,
        m: Mbuf,
    ) -> Option<Mbuf> {
        match verdict {
            Verdict::Go => return Some(m),
            Verdict::Drop(why) => self.ip.discard(why, m),
            Verdict::Problem { why, code, pointer, also_of_groups } => {
                if cast == Cast::Unicast || also_of_groups {
                    let pointer = (at + pointer) as u32;
                    self.ip.icmp6_error(ifindex, &m, cast, ty::PARAMETER, code, pointer);
                }
                self.ip.discard(why, m);
            }
        }
        None
    }

    /// A packet for us: its extension headers one after the other (RFC 8200 §4), then raw sockets,
    /// then the protocol.
    fn ip6_deliver(&mut self, ifindex: IfIndex, cast: Cast, header: &Header, mut m: Mbuf) {
        let mut header = *header;
        let (mut protocol, mut at, mut named_at) = (header.next_header, ipv6::HEADER_LEN, 6);
        let mut fragmented = false;
        loop {
            let header_len = match protocol {
                next::HOP_BY_HOP | next::DESTINATION | next::ROUTING => {
                    ipv6_ext::len(m.data().get(at..).unwrap_or_default())
                }
                next::FRAGMENT => ipv6_ext::Fragment::parse(m.data().get(at..).unwrap_or_default())
                    .map(|_| ipv6_ext::FRAGMENT_LEN),
                _ => break,
            };
            let Ok(header_len) = header_len else { return self.ip.discard(Drop::Ip6Truncated, m) };
            let octets = &m.data()[at..at + header_len];
            let verdict = match protocol {
                // It was looked at when the packet came in.
                next::HOP_BY_HOP if at == ipv6::HEADER_LEN => Verdict::Go,
                next::HOP_BY_HOP => break,
                next::DESTINATION => ip6_exthdr::options(octets),
                next::ROUTING => ip6_exthdr::routing(octets),
                _ => {
                    fragmented = true;
                    match frag6::input(self, ifindex, cast, &header, at, m) {
                        Fragmented::Atomic(back) => {
                            m = back;
                            Verdict::Go
                        }
                        Fragmented::Whole(whole) => {
                            m = whole;
                            header = match ip6_header(ifindex, &mut m, Origin::Ourselves) {
                                Ok(header) => header,
                                Err(why) => return self.ip.discard(why, m),
                            };
                            (protocol, at, named_at) = (header.next_header, ipv6::HEADER_LEN, 6);
                            continue;
                        }
                        Fragmented::Kept => return,
                    }
                }
            };
            let Some(back) = self.ip6_judge(ifindex, cast, at, verdict, m) else { return };
            m = back;
            (protocol, named_at, at) = (m.data()[at], at, at + header_len);
        }
        if protocol == next::NONE {
            return self.ip.discard(Drop::Ip6NoNextHeader, m);
        }
        let rx = IpRx {
            src: IpAddr::V6(header.src),
            dst: IpAddr::V6(header.dst),
            ttl: header.hop_limit,
            tos: header.traffic_class,
            ifindex,
            cast,
            fragmented,
        };
        self.ip6_switch(&rx, (protocol, named_at), at, m);
    }

    fn ip6_switch(&mut self, rx: &IpRx, (protocol, named_at): (u8, usize), at: usize, m: Mbuf) {
        let raw = self.raw6_input(rx, protocol, &m, at);
        match protosw::find(rx.src, protocol) {
            Some(proto) => {
                self.ip.stats.ip6.in_delivers += 1;
                (proto.input)(self, rx, m, at);
            }
            None if raw => {
                self.ip.stats.ip6.in_delivers += 1;
                self.ip.free(m);
            }
            None => {
                let (code, pointer) = (parameter::NEXT_HEADER, named_at as u32);
                self.ip.icmp6_error(rx.ifindex, &m, rx.cast, ty::PARAMETER, code, pointer);
                self.ip.discard(Drop::Ip6UnknownProtocol, m);
            }
        }
    }
}

/// Who made a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Wire,
    /// It was sent by us to us, or put together by us of what was looked at before.
    Ourselves,
}

/// The header of a packet, with the addresses in embedded form; takes padding off the packet.
fn ip6_header(ifindex: IfIndex, m: &mut Mbuf, origin: Origin) -> Result<Header, Drop> {
    let h = Header::parse(m.data()).map_err(|e| match e {
        WireError::Truncated => Drop::Ip6Truncated,
        WireError::Malformed | WireError::Checksum => Drop::Ip6Malformed,
    })?;
    if origin == Origin::Wire
        && let Some(why) = martian(&h)
    {
        return Err(why);
    }
    m.truncate(h.total_len());
    Ok(Header { src: scope6::embed(h.src, ifindex), dst: scope6::embed(h.dst, ifindex), ..h })
}

/// Whether a packet may be what is said of a group to all its members: MLD, which comes behind a
/// router alert (RFC 3810 §5).
fn is_signalling(h: &Header) -> bool {
    h.next_header == next::HOP_BY_HOP
}

/// Addresses that cannot have come over a wire.
fn martian(h: &Header) -> Option<Drop> {
    // Whatever is odd begins with 16 zeros, or is of a link or a group: RFC 4291 §2.4.
    let global = |a: Ipv6Addr| (1..0xfe80).contains(&a.segments()[0]);
    if global(h.src) && global(h.dst) {
        return None;
    }
    let mapped = |a: Ipv6Addr| a.to_ipv4_mapped().is_some();
    if h.src.is_multicast() || h.src.is_loopback() || mapped(h.src) || !scope6::is_clear(h.src) {
        return Some(Drop::Ip6MartianSource);
    }
    // Scopes 0 (reserved) and 1 (the interface): RFC 4291 §2.7.
    let nowhere = h.dst.is_multicast() && ipv6::multicast_scope(h.dst) <= 1;
    let bad = h.dst.is_unspecified() || h.dst.is_loopback() || mapped(h.dst) || !scope6::is_clear(h.dst);
    // Nobody is nobody's neighbour: only to find its address, or in a group's affairs.
    let nobody = h.src.is_unspecified() && !h.dst.is_multicast();
    match (bad || nowhere, nobody) {
        (true, _) => Some(Drop::Ip6MartianDestination),
        (false, true) => Some(Drop::Ip6MartianSource),
        (false, false) => None,
    }
}
