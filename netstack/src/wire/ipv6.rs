//! The IPv6 header: RFC 8200 §3, RFC 2474 and 3168 (traffic class), RFC 6437 (flow label).
//! Extension headers are in [`super::ipv6_ext`].

use super::{WireError, be16, be32, ip6};
use std::net::Ipv6Addr;

/// Octets of the header.
pub const HEADER_LEN: usize = 40;
/// Octets of the longest packet without jumbograms (RFC 2675 is not spoken).
pub const MAX_LEN: usize = HEADER_LEN + 65_535;
/// Every link carries packets of so many octets (RFC 8200 §5).
pub const MIN_MTU: u32 = 1280;

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// 20 bits that are the same for all packets of a flow.
    pub flow_label: u32,
    /// Octets after the header, extension headers included.
    pub payload_len: usize,
    /// What follows: an extension header or a protocol.
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
}

impl Header {
    /// A header as a sender begins with it: hop limit 64, no flow label.
    pub fn new(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8) -> Header {
        Header { traffic_class: 0, flow_label: 0, payload_len: 0, next_header, hop_limit: 64, src, dst }
    }

    /// Parses the header and checks version and length. `packet` may be longer than the header says
    /// (Ethernet padding).
    pub fn parse(packet: &[u8]) -> Result<Header, WireError> {
        let header = Header::parse_quoted(packet)?;
        match packet.len() < header.total_len() {
            true => Err(WireError::Truncated),
            false => Ok(header),
        }
    }

    /// Parses a header that an ICMP error quotes: the payload is cut short.
    pub fn parse_quoted(packet: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(WireError::Truncated)?;
        let first = be32(b, 0);
        if first >> 28 != 6 {
            return Err(WireError::Malformed);
        }
        Ok(Header {
            traffic_class: (first >> 20) as u8,
            flow_label: first & 0xf_ffff,
            payload_len: usize::from(be16(b, 4)),
            next_header: b[6],
            hop_limit: b[7],
            src: ip6(b, 8),
            dst: ip6(b, 24),
        })
    }

    /// Octets of the packet, header included.
    pub fn total_len(&self) -> usize {
        HEADER_LEN + self.payload_len
    }

    /// Writes the header to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        out[0..4].copy_from_slice(&first.to_be_bytes());
        out[4..6].copy_from_slice(&(self.payload_len as u16).to_be_bytes());
        out[6] = self.next_header;
        out[7] = self.hop_limit;
        out[8..24].copy_from_slice(&self.src.octets());
        out[24..40].copy_from_slice(&self.dst.octets());
    }
}

/// Takes one hop off the header at the front of `packet`, which has one to lose.
pub fn decrement_hop_limit(packet: &mut [u8]) {
    packet[7] -= 1;
}

/// Writes another payload length into the header at the front of `packet`.
pub fn set_payload_len(packet: &mut [u8], len: usize) {
    packet[4..6].copy_from_slice(&(len as u16).to_be_bytes());
}

/// Sets these bits of the traffic class of the header at the front of `packet`.
pub fn or_traffic_class(packet: &mut [u8], bits: u8) {
    packet[0] |= bits >> 4;
    packet[1] |= bits << 4;
}

/// Scope of a group (RFC 4291 §2.7, RFC 7346).
pub fn multicast_scope(group: Ipv6Addr) -> u8 {
    group.octets()[1] & 0xf
}

/// The group by which the link address of `addr` is asked for (RFC 4291 §2.7.1).
pub fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = addr.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// All nodes of a link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of a link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_also_one_hop_later(
            traffic_class: u8, flow_label in 0u32..1 << 20, payload_len in 0usize..200,
            next_header: u8, hop_limit in 1u8.., src: u128, dst: u128, filler: u8, mark in 0u8..4,
        ) {
            let (src, dst) = (src.into(), dst.into());
            let h = Header { traffic_class, flow_label, payload_len, next_header, hop_limit, src, dst };
            let mut packet = vec![filler; h.total_len()];
            h.emit(&mut packet);
            prop_assert_eq!(Header::parse(&packet), Ok(h));
            decrement_hop_limit(&mut packet);
            or_traffic_class(&mut packet, mark);
            let later = Header { hop_limit: hop_limit - 1, traffic_class: traffic_class | mark, ..h };
            prop_assert_eq!(Header::parse(&packet), Ok(later));
        }

        #[test]
        fn any_octets_parse_or_fail_quietly(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(h) = Header::parse(&octets) {
                prop_assert!(h.total_len() <= octets.len());
            }
        }
    }

    #[test]
    fn the_solicited_node_group_has_the_last_24_bits() {
        let addr = "2001:db8::12:3456".parse().unwrap();
        assert_eq!(solicited_node(addr), "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }
}
