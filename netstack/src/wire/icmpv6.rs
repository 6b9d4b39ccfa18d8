//! ICMP for IPv6: RFC 4443. Neighbour discovery's messages are in [`super::ndp`].

use super::checksum::Sum;
use super::ipv4::protocol::ICMPV6;
use super::{WireError, be32};
use std::net::{IpAddr, Ipv6Addr};

/// Octets of the header of every message.
pub const HEADER_LEN: usize = 8;

/// Types.
pub mod ty {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER: u8 = 4;
    /// Echo request.
    pub const ECHO: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Multicast listener query (RFC 2710, 3810).
    pub const MLD_QUERY: u8 = 130;
    /// Multicast listener report (RFC 2710).
    pub const MLD_REPORT: u8 = 131;
    /// Multicast listener done (RFC 2710).
    pub const MLD_DONE: u8 = 132;
    /// Router solicitation (RFC 4861).
    pub const ROUTER_SOLICIT: u8 = 133;
    /// Router advertisement.
    pub const ROUTER_ADVERT: u8 = 134;
    /// Neighbour solicitation.
    pub const NEIGHBOUR_SOLICIT: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOUR_ADVERT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;
    /// Multicast listener report, version 2 (RFC 3810).
    pub const MLD2_REPORT: u8 = 143;
}

/// Codes of "destination unreachable".
pub mod unreach {
    /// No route.
    pub const NO_ROUTE: u8 = 0;
    /// Administratively prohibited.
    pub const ADMIN: u8 = 1;
    /// Beyond the scope of the source address.
    pub const SCOPE: u8 = 2;
    /// The last router cannot reach the host.
    pub const ADDRESS: u8 = 3;
    /// Nobody listens at the port.
    pub const PORT: u8 = 4;
    /// The source address fails ingress or egress policy.
    pub const POLICY: u8 = 5;
    /// A reject route.
    pub const REJECT: u8 = 6;
}

/// Codes of "time exceeded".
pub mod exceeded {
    /// In transit.
    pub const HOP_LIMIT: u8 = 0;
    /// In reassembly.
    pub const REASSEMBLY: u8 = 1;
}

/// Codes of "parameter problem"; the message points at the octet.
pub mod parameter {
    /// A field that cannot be.
    pub const HEADER_FIELD: u8 = 0;
    /// A next header that nobody knows.
    pub const NEXT_HEADER: u8 = 1;
    /// An option that nobody knows.
    pub const OPTION: u8 = 2;
    /// The first fragment does not hold all headers (RFC 7112).
    pub const FIRST_FRAGMENT: u8 = 3;
}

/// The header of a message: type, code, and four octets whose meaning depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub ty: u8,
    /// Why.
    pub code: u8,
    /// Identifier and sequence, MTU, or pointer.
    pub rest: u32,
}

impl Header {
    /// Parses the message from `src` to `dst` and checks its checksum.
    pub fn parse(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> Result<Header, WireError> {
        let b: &[u8; HEADER_LEN] = message.first_chunk().ok_or(WireError::Truncated)?;
        if !sum(src, dst, message).is_valid() {
            return Err(WireError::Checksum);
        }
        Ok(Header { ty: b[0], code: b[1], rest: be32(b, 4) })
    }

    /// Writes the header to the front of `message`, whose rest is in place, with the checksum over all.
    pub fn emit(&self, src: Ipv6Addr, dst: Ipv6Addr, message: &mut [u8]) {
        message[0] = self.ty;
        message[1] = self.code;
        message[4..8].copy_from_slice(&self.rest.to_be_bytes());
        fill_checksum(src, dst, message);
    }

    /// Echo: identifier.
    pub fn id(&self) -> u16 {
        (self.rest >> 16) as u16
    }
}

fn sum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> Sum {
    Sum::pseudo_header(IpAddr::V6(src), IpAddr::V6(dst), ICMPV6, message.len()).add(message)
}

/// Writes the checksum of `message` from `src` to `dst`.
pub fn fill_checksum(src: Ipv6Addr, dst: Ipv6Addr, message: &mut [u8]) {
    message[2..4].fill(0);
    let sum = sum(src, dst, message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Whether a message of this type is an error about another packet; errors are never answered by
/// errors (RFC 4443 §2.1, §2.4 (e.1)).
pub fn is_error(ty: u8) -> bool {
    ty < 128
}
