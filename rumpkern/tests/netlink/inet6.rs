//! What is IPv6's own of RTM_*ADDR, RTM_*ROUTE, RTM_*NEIGH and RTM_GETRULE.

use crate::ask::*;
use rumpkern::syscall::Errno;
use std::net::Ipv6Addr;

const INET6: u8 = 10;
/// `IFA_*`
const ADDRESS: u16 = 1;
const CACHEINFO: u16 = 6;
const FLAGS: u16 = 8;
/// `RTA_*`
const DST: u16 = 1;
const OIF: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;

fn of6(mut header: Vec<u8>) -> Vec<u8> {
    header[0] = INET6;
    header
}

fn ip6(kind: u16, addr: &str) -> Vec<u8> {
    attr(kind, &addr.parse::<Ipv6Addr>().unwrap().octets())
}

fn shown(message: &Message, kind: u16) -> Option<String> {
    let octets: [u8; 16] = message.attr(kind)?.try_into().unwrap();
    Some(Ipv6Addr::from(octets).to_string())
}

fn addr(prefix: u8, addr: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [of6(ifaddr(prefix, ETH0)), ip6(ADDRESS, addr), more.concat()].concat()
}

/// Addresses of `eth0` with their prefixes and flags, but for that of the link.
fn all(asker: &Asker) -> Vec<(String, u8, u32)> {
    let table = asker.table(22, &of6(ifaddr(0, 0)));
    let of = |m: &Message| (shown(m, ADDRESS).unwrap(), m.header()[1], m.attr32(FLAGS).unwrap());
    table.iter().map(of).filter(|(addr, ..)| addr.starts_with("2001")).collect()
}

#[test]
fn addresses_have_states_and_end() {
    let (_world, asker) = host();
    let nodad = attr(FLAGS, &2u32.to_le_bytes());
    assert_eq!(asker.tell(20, CREATE | EXCL, &addr(64, "2001:db8::1", std::slice::from_ref(&nodad))), 0);
    assert_eq!(all(&asker), [("2001:db8::1".into(), 64, 0x80)], "IFA_F_NODAD: good at once");
    let there = (Errno::EEXIST.number(), "ipv6: address already assigned".into());
    assert_eq!(asker.refused(20, CREATE | EXCL, &addr(64, "2001:db8::1", &[])), there);
    // While others may have it, it is optimistic, and said to be tentative beside.
    assert_eq!(asker.tell(20, CREATE | EXCL, &addr(64, "2001:db8::2", &[])), 0);
    assert_eq!(all(&asker)[1], ("2001:db8::2".into(), 64, 0xc4));
    // One with an end is not permanent.
    let ending = |preferred: u32, valid: u32| {
        let words = [preferred, valid, 0, 0].map(u32::to_le_bytes).concat();
        addr(64, "2001:db8::1", &[attr(CACHEINFO, &words)])
    };
    assert_eq!(asker.tell(20, CREATE | REPLACE, &ending(60, 120)), 0);
    assert_eq!(all(&asker)[1], ("2001:db8::1".into(), 64, 0));
    let table = asker.table(22, &of6(ifaddr(0, 0)));
    let one = table.iter().find(|m| shown(m, ADDRESS).as_deref() == Some("2001:db8::1")).unwrap();
    assert_eq!(one.attr(CACHEINFO).unwrap()[..8], [60, 0, 0, 0, 120, 0, 0, 0]);
    assert_eq!(asker.tell(20, CREATE | REPLACE, &ending(0, 120)), 0);
    assert_eq!(all(&asker)[1].2, 0x20, "IFA_F_DEPRECATED");
    assert_eq!(asker.tell(20, CREATE, &ending(9, 8)), Errno::EINVAL.number());
    // Only with its prefix it goes.
    let none = (Errno::EADDRNOTAVAIL.number(), "ipv6: address not found".into());
    assert_eq!(asker.refused(21, 0, &addr(48, "2001:db8::1", &[])), none);
    assert_eq!(asker.tell(21, 0, &addr(64, "2001:db8::1", &[])), 0);
    assert_eq!(all(&asker).len(), 1);
}

#[test]
fn routes_lead_by_neighbours_of_the_link() {
    let (_world, asker) = host();
    assert_eq!(
        asker.tell(20, CREATE | EXCL, &addr(64, "2001:db8::1", &[attr(FLAGS, &2u32.to_le_bytes())])),
        0
    );
    let oif = attr(OIF, &ETH0.to_le_bytes());
    let route = |more: &[Vec<u8>]| {
        [of6(rtmsg(48, 254, 3, 0, 1)), ip6(DST, "2001:db8:9::"), ip6(GATEWAY, "fe80::9"), more.concat()]
            .concat()
    };
    let words = (Errno::EINVAL.number(), "Nexthop device required for a link local gateway".into());
    assert_eq!(asker.refused(24, CREATE | EXCL, &route(&[])), words);
    assert_eq!(asker.tell(24, CREATE | EXCL, &route(std::slice::from_ref(&oif))), 0);
    let table = asker.table(26, &of6(rtmsg(0, 254, 0, 0, 0)));
    let ours = table.iter().find(|m| shown(m, DST).as_deref() == Some("2001:db8:9::")).unwrap();
    assert_eq!(shown(ours, GATEWAY).as_deref(), Some("fe80::9"));
    assert_eq!(ours.attr32(PRIORITY), Some(1024), "IP6_RT_PRIO_USER");
    assert_eq!(ours.header()[6], 0, "scopes are IPv4's");
    let subnet = table.iter().find(|m| shown(m, DST).as_deref() == Some("2001:db8::")).unwrap();
    assert_eq!((shown(subnet, 7), subnet.attr32(PRIORITY)), (None, Some(256)), "no RTA_PREFSRC");
    // Where a packet would go.
    let asked = [of6(rtmsg(128, 0, 0, 0, 0)), ip6(DST, "2001:db8:9::7")].concat();
    let (_, told) = asker.ask(26, REQUEST, &asked).into_iter().enumerate().next().unwrap();
    assert_eq!(shown(&told, GATEWAY).as_deref(), Some("fe80::9"));
    assert_eq!(shown(&told, 7).as_deref(), Some("2001:db8::1"), "RTA_PREFSRC");
    assert_eq!(asker.tell(25, 0, &route(&[oif])), 0);
}

#[test]
fn neighbours_and_rules_have_a_family() {
    let (_world, asker) = host();
    let neigh = [of6(ndmsg(ETH0, 0x80)), ip6(1, "fe80::7"), attr(2, &[2, 0, 0, 0, 0, 7])].concat();
    assert_eq!(asker.tell(28, CREATE | EXCL, &neigh), 0);
    let table = asker.table(30, &of6(ndmsg(0, 0)));
    assert_eq!(table.iter().filter_map(|m| shown(m, 1)).collect::<Vec<_>>(), ["fe80::7"]);
    assert_eq!(asker.tell(29, 0, &neigh), 0);
    assert!(asker.table(30, &of6(ndmsg(0, 0))).is_empty());
    // There is no table `default`.
    assert_eq!(asker.table(34, &of6(rtmsg(0, 0, 0, 0, 0))).len(), 2);
}
