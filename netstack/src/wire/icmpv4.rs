//! ICMP for IPv4: RFC 792, 1122 §3.2.2, 1191 (next-hop MTU), 1812 §4.3.

use super::checksum::checksum;
use super::{WireError, be16, be32};
use std::net::Ipv4Addr;

/// Octets of the header of every message.
pub const HEADER_LEN: usize = 8;

/// Types.
pub mod ty {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench (deprecated by RFC 6633: ignored).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER: u8 = 12;
    /// Timestamp request.
    pub const TIMESTAMP: u8 = 13;
    /// Timestamp reply.
    pub const TIMESTAMP_REPLY: u8 = 14;
}

/// Codes of "destination unreachable".
pub mod unreach {
    /// No route.
    pub const NET: u8 = 0;
    /// The last router cannot reach the host.
    pub const HOST: u8 = 1;
    /// Nobody speaks the protocol.
    pub const PROTOCOL: u8 = 2;
    /// Nobody listens at the port.
    pub const PORT: u8 = 3;
    /// Larger than the next hop's MTU, and DF set.
    pub const FRAG_NEEDED: u8 = 4;
    /// A source route leads nowhere.
    pub const SOURCE_ROUTE: u8 = 5;
    /// Administratively prohibited.
    pub const ADMIN: u8 = 13;
}

/// Codes of "time exceeded".
pub mod exceeded {
    /// In transit.
    pub const TTL: u8 = 0;
    /// In reassembly.
    pub const REASSEMBLY: u8 = 1;
}

/// The header of a message: type, code, and four octets whose meaning depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub ty: u8,
    /// Why.
    pub code: u8,
    /// Identifier and sequence, next-hop MTU, gateway, or pointer.
    pub rest: u32,
}

impl Header {
    /// Parses the message and checks its checksum.
    pub fn parse(message: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = message.first_chunk().ok_or(WireError::Truncated)?;
        if checksum(message) != 0 {
            return Err(WireError::Checksum);
        }
        Ok(Header { ty: b[0], code: b[1], rest: be32(b, 4) })
    }

    /// Writes the header to the front of `message`, whose rest is in place, with the checksum over all.
    pub fn emit(&self, message: &mut [u8]) {
        message[0] = self.ty;
        message[1] = self.code;
        message[2..4].fill(0);
        message[4..8].copy_from_slice(&self.rest.to_be_bytes());
        let sum = checksum(message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    /// Echo: identifier.
    pub fn id(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    /// Redirect: the better gateway.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.rest)
    }

    /// Fragmentation needed: the next hop's MTU, 0 if the router did not say (RFC 1191 §4).
    pub fn next_hop_mtu(&self) -> u32 {
        self.rest & 0xffff
    }
}

/// Whether a message of this type is an error about another packet; errors are never answered by
/// errors (RFC 1122 §3.2.2).
pub fn is_error(ty: u8) -> bool {
    match ty {
        ty::ECHO_REPLY | ty::ECHO | ty::TIMESTAMP | ty::TIMESTAMP_REPLY => false,
        // Information and address mask, router discovery, extended echo: queries.
        9 | 10 | 15..=18 | 42 | 43 => false,
        // What we do not know might be an error.
        _ => true,
    }
}

/// Identifier of an echo message at the front of `message`, for demultiplexing replies and quoted requests.
pub fn echo_id(message: &[u8]) -> Option<u16> {
    (message.len() >= 6).then(|| be16(message, 4))
}
