//! The Internet checksum (RFC 1071): IPv4 headers, ICMP, UDP, TCP; its incremental update (RFC 1624).
//!
//! The sum does not depend on byte order (RFC 1071 §2(B)), so octets are summed as they lie in
//! memory, eight at a time and wide enough that the compiler makes vector code of it.

use super::scope6;
use std::net::IpAddr;

/// A sum in progress. Pieces that are added one after the other stand at even offsets, that is:
/// only the last may have an odd number of octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The pseudo-header of RFC 9293 §3.1 and RFC 8200 §8.1: addresses, protocol, octets of the
    /// transport's packet.
    pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Sum {
        Sum::default().addr(src).addr(dst).word(protocol.into()).word((len >> 16) as u16).word(len as u16)
    }

    /// Adds a number of 16 bits.
    pub fn word(self, word: u16) -> Sum {
        Sum(self.0 + u64::from(word.to_be()))
    }

    fn addr(self, ip: IpAddr) -> Sum {
        match ip {
            IpAddr::V4(a) => self.add(&a.octets()),
            // As it stands on the wire, where a zone does not.
            IpAddr::V6(a) => self.add(&scope6::clear(a).octets()),
        }
    }

    /// Adds octets.
    #[expect(clippy::should_implement_trait, reason = "sums octets, not sums")]
    pub fn add(self, octets: &[u8]) -> Sum {
        let mut lanes = [0u64; 8];
        let (blocks, rest) = octets.as_chunks::<32>();
        for block in blocks {
            for (lane, four) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
                *lane += u64::from(u32::from_ne_bytes(*four));
            }
        }
        let mut sum = self.0 + lanes.iter().sum::<u64>();
        let (pairs, odd) = rest.as_chunks::<2>();
        for two in pairs {
            sum += u64::from(u16::from_ne_bytes(*two));
        }
        if let [last] = odd {
            sum += u64::from(u16::from_ne_bytes([*last, 0]));
        }
        Sum(sum)
    }

    /// The checksum, to be written as two octets in network order: the complement of the sum.
    pub fn finish(self) -> u16 {
        let mut s = self.0;
        while s > 0xffff {
            s = (s & 0xffff) + (s >> 16);
        }
        !u16::from_be(s as u16)
    }

    /// The sum itself, not complemented: what stands in a checksum field whose rest is left to the
    /// receiver (offload).
    pub fn partial(self) -> u16 {
        !self.finish()
    }

    /// Whether the octets added, their checksum among them, are sound.
    pub fn is_valid(self) -> bool {
        self.finish() == 0
    }
}

/// The checksum of `octets`; zero if they hold a correct one already.
pub fn checksum(octets: &[u8]) -> u16 {
    Sum::default().add(octets).finish()
}

/// What `checksum` becomes when 16 bits under it change from `old` to `new`: RFC 1624 equation 3,
/// HC' = ~(~HC + ~m + m').
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let s = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let s = (s & 0xffff) + (s >> 16);
    !((s & 0xffff) + (s >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 §4.1, word by word.
    fn model(octets: &[u8]) -> u16 {
        let mut s: u32 = 0;
        for pair in octets.chunks(2) {
            s += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b));
            s = (s & 0xffff) + (s >> 16);
        }
        !(s as u16)
    }

    proptest! {
        #[test]
        fn equals_the_definition(octets in prop::collection::vec(any::<u8>(), 0..3000), cut in 0usize..1500) {
            prop_assert_eq!(Sum::default().add(&octets).finish(), model(&octets));
            let (a, b) = octets.split_at((cut * 2).min(octets.len() & !1));
            prop_assert_eq!(Sum::default().add(a).add(b).finish(), model(&octets));
        }
    }

    proptest! {
        /// RFC 1624: incremental equals full, also where one of the two zeros comes out.
        #[test]
        fn an_update_equals_a_new_sum(mut words in prop::collection::vec(any::<u16>(), 1..30), at: prop::sample::Index, new: u16) {
            let octets = |w: &[u16]| w.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
            let before = checksum(&octets(&words));
            let at = at.index(words.len());
            let old = std::mem::replace(&mut words[at], new);
            let after = checksum(&octets(&words));
            let updated = update(before, old, new);
            // All zero words are the one case in which the sum is +0: no packet is all zero.
            prop_assert!(updated == after || words.iter().all(|w| *w == 0), "{updated:#x} {after:#x}");
        }
    }

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish(), !0xddf2);
    }
}
