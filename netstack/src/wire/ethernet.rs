//! Ethernet II: RFC 894, IEEE 802.3 (length fields are not EtherTypes: IEEE 802 LLC is not spoken).

use super::{be16, mac};
use crate::net::MacAddr;

/// Octets of the header.
pub const HEADER_LEN: usize = 14;
/// Octets of the shortest frame, without its check sequence. Short frames are not padded here: a
/// virtual wire has no collisions to detect.
pub const MIN_LEN: usize = 60;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IEEE 802.1Q.
pub const VLAN: u16 = 0x8100;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Every EtherType, for packet sockets: Linux's `ETH_P_ALL`.
pub const ALL: u16 = 3;

/// Destination, source, type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination station or group.
    pub dst: MacAddr,
    /// Sending station.
    pub src: MacAddr,
    /// What the payload is; below 0x600 a length.
    pub ethertype: u16,
}

impl Header {
    /// The header of `frame`, `None` if it is too short for one.
    pub fn parse(frame: &[u8]) -> Option<Header> {
        let b: &[u8; HEADER_LEN] = frame.first_chunk()?;
        Some(Header { dst: mac(b, 0), src: mac(b, 6), ethertype: be16(b, 12) })
    }

    /// Writes the header to the first [`HEADER_LEN`] octets of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        out[..6].copy_from_slice(&self.dst.0);
        out[6..12].copy_from_slice(&self.src.0);
        out[12..14].copy_from_slice(&self.ethertype.to_be_bytes());
    }
}
