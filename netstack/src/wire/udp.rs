//! The UDP header: RFC 768.

use super::{WireError, be16};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

/// Ports, length, checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source port, 0 if no reply is expected.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Octets of header and data.
    pub len: usize,
    /// 0: the sender computed none.
    pub checksum: u16,
}

impl Header {
    /// Parses the header of `datagram`, whose length field must fit into it.
    pub fn parse(datagram: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = datagram.first_chunk().ok_or(WireError::Truncated)?;
        let len = usize::from(be16(b, 4));
        if len < HEADER_LEN {
            return Err(WireError::Malformed);
        }
        if len > datagram.len() {
            return Err(WireError::Truncated);
        }
        Ok(Header { src: be16(b, 0), dst: be16(b, 2), len, checksum: be16(b, 6) })
    }

    /// Writes the header to the first [`HEADER_LEN`] octets of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.src.to_be_bytes());
        out[2..4].copy_from_slice(&self.dst.to_be_bytes());
        out[4..6].copy_from_slice(&(self.len as u16).to_be_bytes());
        out[6..8].copy_from_slice(&self.checksum.to_be_bytes());
    }
}
