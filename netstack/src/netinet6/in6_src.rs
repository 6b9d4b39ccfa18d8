//! Source address selection: RFC 6724 §5 with the default policy table (§2.1). Optimistic addresses
//! are taken like deprecated ones (RFC 4429 §3.1).

use super::in6_ifaddr::{AddrOrigin, AddrState};
use crate::net::IfIndex;
use crate::netinet::ip::Ip;
use crate::wire::{ipv6, scope6};
use std::net::Ipv6Addr;

/// A row of the policy table: a prefix, its length, precedence and label.
type Policy = (Ipv6Addr, u32, u8, u8);

/// RFC 6724 §2.1.
const POLICY: [Policy; 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

/// Bits in which two addresses agree from the left.
fn common_prefix(a: Ipv6Addr, b: Ipv6Addr) -> u32 {
    (a.to_bits() ^ b.to_bits()).leading_zeros()
}

/// The label of an address.
fn label(addr: Ipv6Addr) -> u8 {
    let row = POLICY.iter().find(|(prefix, len, ..)| common_prefix(*prefix, addr) >= *len);
    row.map_or(1, |(.., label)| *label)
}

/// The scope of an address, as of groups: 2 a link, 5 a site, 14 everywhere (RFC 6724 §3.1).
fn scope(addr: Ipv6Addr) -> u8 {
    match addr {
        a if a.is_multicast() => ipv6::multicast_scope(a),
        a if a.is_loopback() || scope6::is_scoped(a) => 2,
        a if common_prefix(a, Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0)) >= 10 => 5,
        _ => 14,
    }
}

/// An address that could be the source.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    addr: Ipv6Addr,
    prefix_len: u8,
    ifindex: IfIndex,
    state: AddrState,
    temporary: bool,
}

/// What the rules say of a candidate, the most important first: the greatest wins.
type Rank = (bool, (bool, i16), bool, bool, bool, bool, u32);

impl Candidate {
    fn rank(&self, dst: Ipv6Addr, out: IfIndex, prefer_temporary: bool) -> Rank {
        let (ours, theirs) = (scope(self.addr), scope(dst));
        // Rule 2: a scope that reaches, and of these the smallest; else the greatest.
        let reach = match ours >= theirs {
            true => (true, -i16::from(ours)),
            false => (false, i16::from(ours)),
        };
        let good = matches!(self.state, AddrState::Preferred);
        let shared = common_prefix(self.addr, dst).min(u32::from(self.prefix_len));
        let same_kind = label(self.addr) == label(dst);
        (
            self.addr == dst,
            reach,
            good,
            self.ifindex == out,
            same_kind,
            self.temporary == prefer_temporary,
            shared,
        )
    }
}

impl Ip {
    /// The source address for packets to `dst` (in embedded form) by interface `out`.
    pub(crate) fn source6(&self, dst: Ipv6Addr, out: IfIndex) -> Option<Ipv6Addr> {
        self.source6_of(dst, out, true)
    }

    /// The same; `temporary`: whether one that is for a time is rather taken than another, or the other way round (RFC 5014).
    pub(crate) fn source6_of(&self, dst: Ipv6Addr, out: IfIndex, temporary: bool) -> Option<Ipv6Addr> {
        // RFC 6724 §4: of a link's destinations the interface's own addresses alone; others by any.
        let link_only = scope6::is_scoped(dst) || (dst.is_multicast() && ipv6::multicast_scope(dst) <= 2);
        let clear = scope6::clear(dst);
        let candidates = self.ifs.iter().filter(|i| i.index == out || !link_only).flat_map(|i| {
            i.addrs6().filter_map(move |n| {
                let known = i.in6.addrs.get(&n.addr())?;
                let state = known.state_at(self.now);
                let of_a_time = known.origin == AddrOrigin::Temporary;
                let (addr, prefix_len, ifindex) = (n.addr(), n.prefix_len(), i.index);
                let home = i.loopback && out != i.index;
                let elsewhere = scope6::is_scoped(addr) && ifindex != out;
                (state.is_assigned() && !home && !elsewhere).then_some(Candidate {
                    addr,
                    prefix_len,
                    ifindex,
                    state,
                    temporary: of_a_time,
                })
            })
        });
        // Of equals the first.
        let best = candidates
            .map(|c| (c.rank(clear, out, temporary), c))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        Some(scope6::embed(best.1.addr, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(addr: &str, state: AddrState, temporary: bool) -> Candidate {
        Candidate { addr: addr.parse().unwrap(), prefix_len: 64, ifindex: IfIndex(2), state, temporary }
    }

    /// The examples of RFC 6724 §5, §10.1, all by one interface; `-` marks a deprecated address, `~` a
    /// temporary one.
    #[test]
    fn the_rfcs_examples() {
        let cases = [
            ("2001:db8:1::1", "2001:db8:3::1 fe80::1", "2001:db8:3::1"),
            ("ff05::1", "2001:db8:3::1 fe80::1", "2001:db8:3::1"),
            ("2001:db8:1::1", "-2001:db8:1::1 2001:db8:2::1", "2001:db8:1::1"),
            ("fe80::1", "-fe80::2 2001:db8:1::1", "fe80::2"),
            ("2001:db8:1::1", "2001:db8:1::2 2001:db8:3::2", "2001:db8:1::2"),
            ("2002:c633:6401::1", "~2002:c633:6401::d5e3:22e8 2001:db8:1::2", "2002:c633:6401::d5e3:22e8"),
            ("2001:db8:1::d5e3:0:0:1", "2001:db8:1::2 ~2001:db8:1::d5e3:22e8", "2001:db8:1::d5e3:22e8"),
        ];
        for (dst, sources, expected) in cases {
            let dst: Ipv6Addr = dst.parse().unwrap();
            let candidates = sources.split(' ').map(|s| {
                let state = if s.starts_with('-') { AddrState::Deprecated } else { AddrState::Preferred };
                candidate(s.trim_start_matches(['-', '~']), state, s.starts_with('~'))
            });
            let best = candidates.max_by_key(|c| c.rank(dst, IfIndex(2), true)).unwrap();
            assert_eq!(best.addr, expected.parse::<Ipv6Addr>().unwrap(), "to {dst}");
        }
    }

    #[test]
    fn labels_are_the_tables() {
        let labels = ["::1", "::ffff:1.2.3.4", "2001::1", "2002::1", "fc00::1", "2001:db8::1", "::1.2.3.4"];
        let found = labels.map(|a| label(a.parse().unwrap()));
        assert_eq!(found, [0, 4, 5, 2, 13, 1, 3]);
    }
}
