//! The UDP-Lite header: RFC 3828 §3.1. Its third field is not the length, which IP tells, but the checksum's coverage.

use super::{WireError, be16};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

/// Ports, coverage, checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Octets from the header's first on that the checksum covers; 0: all.
    pub coverage: u16,
    /// Never 0: there always is one.
    pub checksum: u16,
}

impl Header {
    /// Parses the header of `datagram`; a coverage that ends in the header or behind the datagram is malformed.
    pub fn parse(datagram: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = datagram.first_chunk().ok_or(WireError::Truncated)?;
        let coverage = be16(b, 4);
        if coverage != 0 && !(HEADER_LEN..=datagram.len()).contains(&coverage.into()) {
            return Err(WireError::Malformed);
        }
        Ok(Header { src: be16(b, 0), dst: be16(b, 2), coverage, checksum: be16(b, 6) })
    }

    /// What the checksum of `datagram` covers.
    pub fn covered<'a>(&self, datagram: &'a [u8]) -> &'a [u8] {
        match self.coverage {
            0 => datagram,
            octets => &datagram[..datagram.len().min(octets.into())],
        }
    }

    /// Writes the header to the first [`HEADER_LEN`] octets of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.src.to_be_bytes());
        out[2..4].copy_from_slice(&self.dst.to_be_bytes());
        out[4..6].copy_from_slice(&self.coverage.to_be_bytes());
        out[6..8].copy_from_slice(&self.checksum.to_be_bytes());
    }
}

/// The coverage that a program may ask for, next to what it did: all of the header at least.
pub fn allowed(octets: u16) -> u16 {
    if octets == 0 { 0 } else { octets.max(HEADER_LEN as u16) }
}
