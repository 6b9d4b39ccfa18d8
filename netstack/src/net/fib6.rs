//! Longest-prefix match over IPv6: a hash table for each prefix length in use, asked from the longest
//! to the shortest. A node's routes have few lengths (128, 64, a few between, 0), while a trie walks
//! through all 64 bits that the prefixes of a lab have in common.

use super::flow::FlowKey;
use hashbrown::HashTable;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// A map from prefixes to `T`. Host bits of a key count for nothing.
#[derive(Clone, Debug)]
pub(super) struct Fib6<T> {
    /// Peers of a routing daemon choose prefixes: they cannot aim at one bucket.
    key: FlowKey,
    /// By descending length; none is empty.
    lengths: Vec<OfLength<T>>,
}

/// The prefixes of one length.
#[derive(Clone, Debug)]
struct OfLength<T> {
    len: u8,
    mask: u128,
    table: HashTable<(u128, T)>,
}

impl<T: Copy> Fib6<T> {
    pub(super) fn new(key: FlowKey) -> Fib6<T> {
        Fib6 { key, lengths: Vec::new() }
    }

    /// What the longest prefix that holds `addr` maps to.
    pub(super) fn longest(&self, addr: Ipv6Addr) -> Option<T> {
        let addr = addr.to_bits();
        self.lengths.iter().find_map(|l| l.get(self.key, addr & l.mask))
    }

    /// What exactly `prefix` maps to.
    pub(super) fn get(&self, prefix: &Ipv6Net) -> Option<T> {
        let l = &self.lengths[self.place(prefix.prefix_len()).ok()?];
        l.get(self.key, prefix.addr().to_bits() & l.mask)
    }

    /// Maps `prefix` to `value`; what it mapped to.
    pub(super) fn insert(&mut self, prefix: Ipv6Net, value: T) -> Option<T> {
        let len = prefix.prefix_len();
        let at = self.place(len).unwrap_or_else(|at| {
            let mask = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, len).netmask().to_bits();
            self.lengths.insert(at, OfLength { len, mask, table: HashTable::new() });
            at
        });
        let (key, l) = (self.key, &mut self.lengths[at]);
        let bits = prefix.addr().to_bits() & l.mask;
        match l.table.find_mut(key.bits(bits), |(b, _)| *b == bits) {
            Some((_, old)) => Some(core::mem::replace(old, value)),
            None => {
                l.table.insert_unique(key.bits(bits), (bits, value), |(b, _)| key.bits(*b));
                None
            }
        }
    }

    /// Takes `prefix` out; what it mapped to.
    pub(super) fn remove(&mut self, prefix: &Ipv6Net) -> Option<T> {
        let at = self.place(prefix.prefix_len()).ok()?;
        let l = &mut self.lengths[at];
        let bits = prefix.addr().to_bits() & l.mask;
        let entry = l.table.find_entry(self.key.bits(bits), |(b, _)| *b == bits).ok()?;
        let ((_, old), _) = entry.remove();
        if l.table.is_empty() {
            self.lengths.remove(at);
        }
        Some(old)
    }

    /// The prefixes of a length, in no order.
    pub(super) fn of_length(&self, len: u8) -> impl Iterator<Item = Ipv6Addr> + '_ {
        let l = self.place(len).ok().map(|at| &self.lengths[at]);
        l.into_iter().flat_map(|l| l.table.iter().map(|(bits, _)| Ipv6Addr::from_bits(*bits)))
    }

    /// Where the table of a length is, or would be.
    fn place(&self, len: u8) -> Result<usize, usize> {
        self.lengths.binary_search_by(|l| len.cmp(&l.len))
    }
}

impl<T: Copy> OfLength<T> {
    fn get(&self, key: FlowKey, bits: u128) -> Option<T> {
        self.table.find(key.bits(bits), |(b, _)| *b == bits).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Few bits that differ, at both ends: prefixes hold one another.
    fn prefix() -> impl Strategy<Value = Ipv6Net> {
        (0u128..8, 0u128..8, 0u8..=128)
            .prop_map(|(high, low, len)| Ipv6Net::new_assert(Ipv6Addr::from_bits(high << 125 | low), len))
    }

    proptest! {
        /// What a scan over all prefixes finds, also after some are gone.
        #[test]
        fn finds_what_a_scan_finds(
            puts in prop::collection::vec(prefix(), 1..60),
            gone in prop::collection::vec(prefix(), 0..60),
            asked in prop::collection::vec(prefix(), 20),
            seed: [u64; 2],
        ) {
            let mut fib = Fib6::new(FlowKey::new(seed));
            let mut model = BTreeMap::new();
            for (i, p) in puts.iter().enumerate() {
                prop_assert_eq!(fib.insert(*p, i), model.insert(p.trunc(), i));
            }
            for p in gone.iter().chain(&puts[..puts.len() / 2]) {
                prop_assert_eq!(fib.remove(p), model.remove(&p.trunc()));
            }
            for p in &asked {
                prop_assert_eq!(fib.get(p), model.get(&p.trunc()).copied());
                let holding = model.iter().filter(|(net, _)| net.contains(&p.addr()));
                let longest = holding.max_by_key(|(net, _)| net.prefix_len());
                prop_assert_eq!(fib.longest(p.addr()), longest.map(|(_, i)| *i));
                let mut same: Vec<_> = fib.of_length(p.prefix_len()).collect();
                same.sort();
                let of_length = model.keys().filter(|net| net.prefix_len() == p.prefix_len());
                prop_assert_eq!(same, of_length.map(|net| net.addr()).collect::<Vec<_>>());
            }
        }
    }
}
