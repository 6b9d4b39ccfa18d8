//! The IPv4 header: RFC 791, RFC 6864 (identification). Options are in [`super::ipv4_options`].

use super::checksum::{checksum, update};
use super::{WireError, be16, ip4};
use std::net::Ipv4Addr;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Octets of the longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Octets of the longest packet.
pub const MAX_LEN: usize = 65_535;
/// Every link carries packets of so many octets (RFC 791).
pub const MIN_MTU: u32 = 68;

/// Protocol numbers.
pub mod protocol {
    /// RFC 792
    pub const ICMP: u8 = 1;
    /// RFC 3376
    pub const IGMP: u8 = 2;
    /// RFC 9293
    pub const TCP: u8 = 6;
    /// RFC 768
    pub const UDP: u8 = 17;
    /// RFC 4443
    pub const ICMPV6: u8 = 58;
    /// RFC 3828
    pub const UDPLITE: u8 = 136;
    /// Raw sockets only: the caller writes the IP header (Linux's `IPPROTO_RAW`).
    pub const RAW: u8 = 255;
}

/// The fixed part of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets of the header, options included: 20 to 60.
    pub header_len: usize,
    /// DSCP and ECN.
    pub tos: u8,
    /// Octets of the packet, header included.
    pub total_len: usize,
    /// Identifies the datagram that a fragment belongs to.
    pub id: u16,
    /// DF
    pub dont_fragment: bool,
    /// MF
    pub more_fragments: bool,
    /// Octets before this fragment in its datagram, a multiple of 8.
    pub offset: usize,
    /// Hops left.
    pub ttl: u8,
    /// What the payload is.
    pub protocol: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
}

impl Header {
    /// A header as a sender begins with it: no options, no fragment, TTL 64.
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> Header {
        Header {
            header_len: HEADER_LEN,
            tos: 0,
            total_len: HEADER_LEN,
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            offset: 0,
            ttl: 64,
            protocol,
            src,
            dst,
        }
    }

    /// Parses and checks everything RFC 1122 §3.2.1 asks for: version, lengths, checksum. `packet`
    /// may be longer than the total length (Ethernet padding).
    pub fn parse(packet: &[u8]) -> Result<Header, WireError> {
        let header = Header::parse_quoted(packet)?;
        if header.total_len < header.header_len {
            return Err(WireError::Malformed);
        }
        if packet.len() < header.total_len {
            return Err(WireError::Truncated);
        }
        if checksum(&packet[..header.header_len]) != 0 {
            return Err(WireError::Checksum);
        }
        Ok(header)
    }

    /// Parses a header that an ICMP error quotes: the payload is cut short, and routers may have
    /// touched checksum and total length.
    pub fn parse_quoted(packet: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(WireError::Truncated)?;
        let header_len = usize::from(b[0] & 0xf) * 4;
        if b[0] >> 4 != 4 || header_len < HEADER_LEN {
            return Err(WireError::Malformed);
        }
        if packet.len() < header_len {
            return Err(WireError::Truncated);
        }
        let frag = be16(b, 6);
        Ok(Header {
            header_len,
            tos: b[1],
            total_len: usize::from(be16(b, 2)),
            id: be16(b, 4),
            dont_fragment: frag & 0x4000 != 0,
            more_fragments: frag & 0x2000 != 0,
            offset: usize::from(frag & 0x1fff) * 8,
            ttl: b[8],
            protocol: b[9],
            src: ip4(b, 12),
            dst: ip4(b, 16),
        })
    }

    /// Whether the packet is a part of a larger datagram.
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.offset != 0
    }

    /// Octets after the header.
    pub fn payload_len(&self) -> usize {
        self.total_len - self.header_len
    }

    /// Writes the header to the front of `out`, whose octets 20 to `header_len` hold the options
    /// already, and its checksum over both.
    pub fn emit(&self, out: &mut [u8]) {
        out[0] = 0x40 | (self.header_len / 4) as u8;
        out[1] = self.tos;
        out[2..4].copy_from_slice(&(self.total_len as u16).to_be_bytes());
        out[4..6].copy_from_slice(&self.id.to_be_bytes());
        let frag = u16::from(self.dont_fragment) << 14
            | u16::from(self.more_fragments) << 13
            | (self.offset / 8) as u16 & 0x1fff;
        out[6..8].copy_from_slice(&frag.to_be_bytes());
        out[8] = self.ttl;
        out[9] = self.protocol;
        out[10..12].fill(0);
        out[12..16].copy_from_slice(&self.src.octets());
        out[16..20].copy_from_slice(&self.dst.octets());
        let sum = checksum(&out[..self.header_len]);
        out[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Takes one hop off the TTL of the header at the front of `packet` (which has one to lose), and
/// mends the checksum (RFC 1624).
pub fn decrement_ttl(packet: &mut [u8]) {
    let old = be16(packet, 8);
    let new = old - 0x100;
    let sum = update(be16(packet, 10), old, new);
    packet[8] = (new >> 8) as u8;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Computes the checksum of the header at the front of `packet` anew (options were changed).
pub fn refresh_checksum(packet: &mut [u8], header_len: usize) {
    packet[10..12].fill(0);
    let sum = checksum(&packet[..header_len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let flags = (any::<bool>(), any::<bool>(), 0usize..0x2000);
        let rest = (any::<u8>(), any::<u16>(), 1u8.., any::<u8>(), any::<u32>(), any::<u32>());
        (5usize..16, 0usize..100, flags, rest).prop_map(|(words, data, (df, mf, offset), rest)| {
            let (tos, id, ttl, protocol, src, dst) = rest;
            Header {
                header_len: words * 4,
                total_len: words * 4 + data,
                tos,
                id,
                dont_fragment: df,
                more_fragments: mf,
                offset: offset * 8,
                ttl,
                ..Header::new(src.into(), dst.into(), protocol)
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_also_one_hop_later(h in header(), filler: u8) {
            let mut packet = vec![filler; h.total_len];
            h.emit(&mut packet);
            prop_assert_eq!(Header::parse(&packet), Ok(h));
            decrement_ttl(&mut packet);
            prop_assert_eq!(Header::parse(&packet), Ok(Header { ttl: h.ttl - 1, ..h }));
        }

        #[test]
        fn any_octets_parse_or_fail_quietly(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(h) = Header::parse(&octets) {
                prop_assert!(h.header_len <= h.total_len && h.total_len <= octets.len());
            }
        }
    }
}
