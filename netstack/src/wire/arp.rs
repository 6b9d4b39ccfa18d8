//! ARP for IPv4 on Ethernet: RFC 826, opcodes of RFC 5494.

use super::{WireError, be16, ip4, mac};
use crate::net::MacAddr;
use std::net::Ipv4Addr;

/// Octets of an ARP packet for IPv4 on Ethernet.
pub const LEN: usize = 28;

/// What the packet asks or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Who has the target address?
    Request,
    /// I have.
    Reply,
}

/// One ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub op: Op,
    /// The sender's link address.
    pub sender_mac: MacAddr,
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: Ipv4Addr,
    /// The target's link address; zero in a request.
    pub target_mac: MacAddr,
    /// The target's address.
    pub target: Ipv4Addr,
}

impl Packet {
    /// Parses the payload of an ARP frame; trailing padding is ignored.
    pub fn parse(b: &[u8]) -> Result<Packet, WireError> {
        let b: &[u8; LEN] = b.first_chunk().ok_or(WireError::Truncated)?;
        // Hardware Ethernet, protocol IPv4, address lengths 6 and 4.
        if b[..6] != [0, 1, 8, 0, 6, 4] {
            return Err(WireError::Malformed);
        }
        let op = match be16(b, 6) {
            1 => Op::Request,
            2 => Op::Reply,
            _ => return Err(WireError::Malformed),
        };
        Ok(Packet {
            op,
            sender_mac: mac(b, 8),
            sender: ip4(b, 14),
            target_mac: mac(b, 18),
            target: ip4(b, 24),
        })
    }

    /// Writes the packet to the first [`LEN`] octets of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        out[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        let op: u16 = match self.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        out[6..8].copy_from_slice(&op.to_be_bytes());
        out[8..14].copy_from_slice(&self.sender_mac.0);
        out[14..18].copy_from_slice(&self.sender.octets());
        out[18..24].copy_from_slice(&self.target_mac.0);
        out[24..28].copy_from_slice(&self.target.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(request: bool, macs: [[u8; 6]; 2], addrs: [u32; 2]) {
            let packet = Packet {
                op: if request { Op::Request } else { Op::Reply },
                sender_mac: MacAddr(macs[0]),
                sender: addrs[0].into(),
                target_mac: MacAddr(macs[1]),
                target: addrs[1].into(),
            };
            let mut octets = [0; LEN];
            packet.emit(&mut octets);
            prop_assert_eq!(Packet::parse(&octets), Ok(packet));
        }
    }
}
