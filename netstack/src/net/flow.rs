//! Keyed hashing of addresses and flows: which of several equal paths a flow takes (RFC 2992), and
//! the tables of neighbours, exceptions and rate limits. Fast, not cryptographic; the key comes
//! from the stack's seed, so that routers in a row do not all choose alike and peers cannot aim.

use crate::net::IfIndex;
use std::net::IpAddr;

/// The key of one stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowKey([u64; 2]);

impl FlowKey {
    pub(crate) fn new(seed: [u64; 2]) -> FlowKey {
        FlowKey([seed[0] | 1, seed[1] | 1])
    }

    /// Folded 64×64-bit multiplication.
    fn mix(a: u64, b: u64) -> u64 {
        let p = u128::from(a) * u128::from(b);
        (p as u64) ^ (p >> 64) as u64
    }

    fn word(self, addr: IpAddr) -> u64 {
        match addr {
            IpAddr::V4(a) => u64::from(a.to_bits()),
            IpAddr::V6(a) => self.bits(a.to_bits()),
        }
    }

    /// The bits of an IPv6 address or prefix.
    pub(crate) fn bits(self, bits: u128) -> u64 {
        Self::mix(bits as u64 ^ self.0[0], (bits >> 64) as u64 ^ self.0[1])
    }

    /// An address.
    pub(crate) fn addr(self, addr: IpAddr) -> u64 {
        Self::mix(self.word(addr) ^ self.0[0], self.0[1])
    }

    /// An address on an interface.
    pub(crate) fn neighbour(self, ifindex: IfIndex, addr: IpAddr) -> u64 {
        Self::mix(self.word(addr) ^ self.0[0], self.0[1] ^ u64::from(ifindex.0) << 32)
    }

    /// A flow: addresses, protocol and, where both are known, ports (0 for fragments).
    pub(crate) fn flow(self, src: IpAddr, dst: IpAddr, protocol: u8, ports: u32) -> u64 {
        let addrs = self.word(src).rotate_left(32) ^ self.word(dst);
        Self::mix(Self::mix(addrs ^ self.0[0], self.0[1] ^ u64::from(ports)), self.0[1] ^ u64::from(protocol))
    }

    /// The weight of `hop` for `flow`: the hop with the highest weight wins (RFC 2991 §6, highest
    /// random weight), so that a hop that goes away moves its own flows only.
    pub(crate) fn weight(self, flow: u64, hop: u64) -> u64 {
        Self::mix(flow ^ self.0[0], hop ^ self.0[1])
    }
}
