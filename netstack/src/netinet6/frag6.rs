//! Fragments of IPv6: RFC 8200 §4.5, RFC 5722 (no overlaps), RFC 6946 (atomic fragments are packets of
//! their own), RFC 7112 (the first fragment has all headers). The pieces wait in
//! [`crate::netinet::ip_reass`].

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::netinet::Cast;
use crate::netinet::ip_reass::{Key, Piece, Reass};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{exceeded, parameter, ty};
use crate::wire::ipv6::{self, Header};
use crate::wire::ipv6_ext::{self, FRAGMENT_LEN, Fragment};
use std::net::IpAddr;

/// Octets of the longest fragmentable part.
const LONGEST: usize = 65_535;
/// Where in the header the payload's length stands.
const PAYLOAD_LEN_AT: u32 = 4;

/// What became of a packet with a fragment header.
pub(super) enum Fragmented {
    /// It is a packet of its own: go on behind the fragment header.
    Atomic(Mbuf),
    /// It was the last piece: the whole packet, without a fragment header.
    Whole(Mbuf),
    /// It waits for the others, or was dropped.
    Kept,
}

/// A packet whose fragment header stands at `at`.
pub(super) fn input(
    stack: &mut Stack,
    ifindex: IfIndex,
    cast: Cast,
    h: &Header,
    at: usize,
    m: Mbuf,
) -> Fragmented {
    let Ok(fragment) = Fragment::parse(&m.data()[at..]) else { return Fragmented::Atomic(m) };
    if fragment.is_atomic() {
        return Fragmented::Atomic(m);
    }
    stack.ip.stats.ip6.reasm_reqds += 1;
    let len = m.len() - at - FRAGMENT_LEN;
    let problem = match () {
        () if fragment.more && !len.is_multiple_of(8) => Some((parameter::HEADER_FIELD, PAYLOAD_LEN_AT)),
        () if fragment.offset + len > LONGEST => Some((parameter::HEADER_FIELD, (at + 2) as u32)),
        () if fragment.offset == 0 && !has_headers(m.data()) => Some((parameter::FIRST_FRAGMENT, 0)),
        () => None,
    };
    if let Some((code, pointer)) = problem {
        stack.ip.icmp6_error(ifindex, &m, cast, ty::PARAMETER, code, pointer);
    }
    if problem.is_some() || len == 0 {
        stack.ip.stats.ip6.reasm_fails += 1;
        stack.ip.discard(Drop::ReassMalformed, m);
        return Fragmented::Kept;
    }
    let key = Key { src: IpAddr::V6(h.src), dst: IpAddr::V6(h.dst), id: fragment.id, protocol: 0 };
    let (offset, more, ecn) = (fragment.offset, fragment.more, h.traffic_class & 3);
    let piece = Piece { key, offset, len, more, ecn };
    let outcome = stack.ip.reass.input(stack.ip.now, ifindex, &piece, m, &mut stack.ip.timers);
    let whole = match outcome {
        Reass::Waiting => None,
        Reass::Dropped(why, m) => {
            stack.ip.discard(why, m);
            None
        }
        Reass::Whole(m, ecn) => match put_together(m, ecn) {
            Ok(whole) => Some(whole),
            Err(m) => {
                stack.ip.reass.refuse(key.src, m);
                None
            }
        },
    };
    stack.ip.reass_collect();
    match whole {
        Some(m) => {
            stack.ip.stats.ip6.reasm_oks += 1;
            Fragmented::Whole(m)
        }
        None => Fragmented::Kept,
    }
}

/// RFC 7112: whether a first fragment holds all headers, the beginning of the protocol's included.
fn has_headers(packet: &[u8]) -> bool {
    ipv6_ext::upper(packet).is_ok_and(|u| packet.len() > u.at || u.protocol == ipv6_ext::next::NONE)
}

/// Takes the fragment header out of a whole, and mends what names it. An error gives back what turns
/// out longer than a packet can be.
fn put_together(mut m: Mbuf, ecn: u8) -> Result<Mbuf, Mbuf> {
    let Ok(Some(f)) = ipv6_ext::upper(m.data()).map(|u| u.fragment) else { return Err(m) };
    let payload = m.len() - ipv6::HEADER_LEN - FRAGMENT_LEN;
    if payload > LONGEST {
        return Err(m);
    }
    let packet = m.data_mut();
    packet[f.named_at] = f.header.next_header;
    ipv6::set_payload_len(packet, payload);
    ipv6::or_traffic_class(packet, ecn);
    packet.copy_within(..f.at, FRAGMENT_LEN);
    m.trim_front(FRAGMENT_LEN);
    Ok(m)
}

impl Stack {
    /// RFC 8200 §4.5: time exceeded in reassembly, if the first fragment had come.
    pub(crate) fn frag6_timeout(&mut self, ifindex: IfIndex, first: &Mbuf) {
        self.ip.icmp6_error(ifindex, first, Cast::Unicast, ty::TIME_EXCEEDED, exceeded::REASSEMBLY, 0);
    }
}
