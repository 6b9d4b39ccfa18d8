//! Octets on the wire: parse to typed headers, emit to octets. One file a protocol, each naming
//! its RFC. No other module knows byte offsets.

pub mod arp;
pub mod checksum;
pub mod ethernet;
mod group_report;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ipv4;
pub mod ipv4_options;
pub mod ipv6;
pub mod ipv6_ext;
pub mod mld;
pub mod ndp;
pub mod ndp_router;
pub mod scope6;
pub mod tcp;
pub mod udp;
pub mod udplite;

/// Why octets are not the header they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer octets than the header, or its own length field, needs.
    #[error("truncated")]
    Truncated,
    /// A version, type or length field that the protocol does not allow.
    #[error("malformed")]
    Malformed,
    /// The checksum does not fit the octets.
    #[error("bad checksum")]
    Checksum,
}

/// Big-endian 16 bits at `at`; the caller has checked the length.
pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

/// Big-endian 32 bits at `at`; the caller has checked the length.
pub(crate) fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// Four octets at `at` as an address; the caller has checked the length.
pub(crate) fn ip4(b: &[u8], at: usize) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(b[at], b[at + 1], b[at + 2], b[at + 3])
}

/// Sixteen octets at `at` as an address; the caller has checked the length.
pub(crate) fn ip6(b: &[u8], at: usize) -> std::net::Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&b[at..at + 16]);
    octets.into()
}

/// Six octets at `at` as a link address; the caller has checked the length.
pub(crate) fn mac(b: &[u8], at: usize) -> crate::net::MacAddr {
    crate::net::MacAddr([b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5]])
}
