//! Link-local IPv6 addresses inside the stack: RFC 4007 (zones), RFC 4291 §2.5.6.
//!
//! `fe80::1` on two links is two hosts. As in BSD, the stack keeps such an address in an *embedded*
//! form: the index of its interface stands in the second 16 bits, which are zero on every wire. So
//! tables, transports and sockets compare addresses and need know nothing of zones. Addresses are
//! embedded where they come in (from the wire, from a program) and cleared where they leave; what
//! names its interface beside the address (neighbours, addresses of interfaces, configured routes,
//! groups) holds them clear.

use crate::net::IfIndex;
use std::net::{IpAddr, Ipv6Addr};

/// The highest index that fits: interfaces beyond it do not speak IPv6.
pub const MAX_ZONE: u32 = 0xffff;

/// Where the index stands.
const ZONE: u128 = 0xffff << 96;

/// Whether an address means something on its link alone, and carries the link in its embedded form.
pub fn is_scoped(addr: Ipv6Addr) -> bool {
    addr.is_unicast_link_local()
}

/// Whether an address may stand on a wire: the place of the zone is empty.
pub fn is_clear(addr: Ipv6Addr) -> bool {
    !is_scoped(addr) || addr.to_bits() & ZONE == 0
}

/// `addr` on the link of `zone`.
pub fn embed(addr: Ipv6Addr, zone: IfIndex) -> Ipv6Addr {
    match is_scoped(addr) {
        true => Ipv6Addr::from_bits(addr.to_bits() & !ZONE | u128::from(zone.0 & MAX_ZONE) << 96),
        false => addr,
    }
}

/// The address as it stands on the wire.
pub fn clear(addr: Ipv6Addr) -> Ipv6Addr {
    match is_scoped(addr) {
        true => Ipv6Addr::from_bits(addr.to_bits() & !ZONE),
        false => addr,
    }
}

/// The link of an embedded address; `None`: it has none, or needs none.
pub fn zone(addr: Ipv6Addr) -> Option<IfIndex> {
    let index = (addr.to_bits() & ZONE) >> 96;
    (is_scoped(addr) && index != 0).then_some(IfIndex(index as u32))
}

/// [`embed`] for either family.
pub fn embed_ip(addr: IpAddr, zone: IfIndex) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(a) => IpAddr::V6(embed(a, zone)),
    }
}

/// [`clear`] for either family.
pub fn clear_ip(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(a) => IpAddr::V6(clear(a)),
    }
}

/// [`zone`] for either family.
pub fn zone_ip(addr: IpAddr) -> Option<IfIndex> {
    match addr {
        IpAddr::V4(_) => None,
        IpAddr::V6(a) => zone(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_goes_in_and_out_of_link_local_addresses_only() {
        let local: Ipv6Addr = "fe80::1".parse().unwrap();
        let embedded = embed(local, IfIndex(7));
        assert_eq!(embedded, "fe80:7::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!((clear(embedded), zone(embedded)), (local, Some(IfIndex(7))));
        assert_eq!(embed(embedded, IfIndex(9)), embed(local, IfIndex(9)));
        assert!(is_clear(local) && !is_clear(embedded));
        for other in ["2001:db8:7::1", "ff02:7::1", "::1", "fc00:7::1"] {
            let other: Ipv6Addr = other.parse().unwrap();
            assert_eq!((embed(other, IfIndex(9)), clear(other), zone(other)), (other, other, None));
            assert!(is_clear(other));
        }
    }
}
