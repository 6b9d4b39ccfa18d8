//! RTM_*ADDR.

use crate::ask::*;
use rumpkern::netlink::Protocol;
use rumpkern::syscall::Errno;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
const BROADCAST: u16 = 4;
const FLAGS: u16 = 8;

fn new(prefix: u8, addr: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [ifaddr(prefix, ETH0), ip(LOCAL, addr), ip(ADDRESS, addr), more.concat()].concat()
}

fn all(asker: &Asker) -> Vec<String> {
    let shown =
        |m: &Message| format!("{}/{} {}", m.ip(LOCAL).unwrap(), m.header()[1], m.text(LABEL).unwrap());
    asker.table(22, &ifaddr(0, 0)).iter().map(shown).collect()
}

#[test]
fn addresses_come_and_go() {
    let (_world, asker) = host();
    assert_eq!(all(&asker), ["127.0.0.1/8 lo", "10.0.0.1/24 eth0"]);
    assert_eq!(asker.tell(20, CREATE | EXCL, &new(24, "10.0.0.3", &[])), 0);
    let labelled = new(16, "10.1.0.1", &[attr(LABEL, b"eth0:x\0"), ip(BROADCAST, "10.1.255.255")]);
    assert_eq!(asker.tell(20, CREATE | EXCL, &labelled), 0);
    let now = ["127.0.0.1/8 lo", "10.0.0.1/24 eth0", "10.1.0.1/16 eth0:x", "10.0.0.3/24 eth0"];
    assert_eq!(all(&asker), now, "those that are second of their subnet come last");
    let table = asker.table(22, &ifaddr(0, 0));
    let of = |addr: &str| table.iter().find(|m| m.ip(LOCAL).as_deref() == Some(addr)).unwrap();
    assert_eq!(of("10.0.0.3").attr32(FLAGS), Some(0x81));
    assert_eq!(of("10.0.0.3").attr(BROADCAST), None);
    assert_eq!(of("10.1.0.1").ip(BROADCAST).as_deref(), Some("10.1.255.255"));
    assert_eq!(of("10.0.0.1").attr32(FLAGS), Some(0x80));
    let there = (Errno::EEXIST.number(), "ipv4: Address already assigned".into());
    assert_eq!(asker.refused(20, CREATE | EXCL, &new(24, "10.0.0.3", &[])), there);
    // ip addr replace: what is said of it changes.
    let replaced = new(24, "10.0.0.3", &[ip(BROADCAST, "10.0.0.255")]);
    assert_eq!(asker.tell(20, CREATE | REPLACE, &replaced), 0);
    let table = asker.table(22, &ifaddr(0, 0));
    assert_eq!(table.last().unwrap().ip(BROADCAST).as_deref(), Some("10.0.0.255"));
    // Only the one that is meant goes.
    assert_eq!(asker.tell(21, 0, &new(24, "10.1.0.1", &[])), Errno::EADDRNOTAVAIL.number());
    let wrong = new(16, "10.1.0.1", &[attr(LABEL, b"eth0\0")]);
    assert_eq!(
        asker.refused(21, 0, &wrong),
        (Errno::EADDRNOTAVAIL.number(), "ipv4: Address not found".into())
    );
    assert_eq!(asker.tell(21, 0, &labelled), 0);
    assert_eq!(asker.tell(21, 0, &new(24, "10.0.0.1", &[])), 0);
    assert_eq!(all(&asker), ["127.0.0.1/8 lo", "10.0.0.3/24 eth0"]);
    // Its name goes with the interface's.
    assert_eq!(asker.tell(20, CREATE | EXCL, &labelled), 0);
    assert_eq!(asker.tell(16, 0, &[ifinfo(ETH0, 0, 0), attr(3, b"wan\0")].concat()), 0);
    assert_eq!(all(&asker), ["127.0.0.1/8 lo", "10.0.0.3/24 wan", "10.1.0.1/16 wan:x"]);
    assert_eq!(asker.tell(16, 0, &[ifinfo(ETH0, 0, 0), attr(3, b"eth0\0")].concat()), 0);
    assert_eq!(asker.tell(21, 0, &new(16, "10.1.0.1", &[])), 0);
    // A label does not outlive its address.
    assert_eq!(asker.tell(20, CREATE | EXCL, &new(16, "10.1.0.1", &[])), 0);
    assert_eq!(all(&asker)[2], "10.1.0.1/16 eth0");
}

#[test]
fn refusals_are_linuxs() {
    let (_world, asker) = host();
    let add = |body: &[u8]| asker.refused(20, CREATE | EXCL, body);
    let (einval, enodev) = (Errno::EINVAL.number(), Errno::ENODEV.number());
    let far = [ifaddr(24, 99), ip(LOCAL, "10.9.0.1")].concat();
    assert_eq!(add(&far), (enodev, "ipv4: Device not found".into()));
    assert_eq!(add(&ifaddr(24, ETH0)), (einval, "ipv4: Local address is not supplied".into()));
    assert_eq!(add(&new(33, "10.9.0.1", &[])), (einval, "ipv4: Invalid prefix length".into()));
    let peer = [ifaddr(32, ETH0), ip(LOCAL, "10.9.0.1"), ip(ADDRESS, "10.9.0.2")].concat();
    assert_eq!(add(&peer).0, Errno::EOPNOTSUPP.number());
    assert_eq!(add(&new(24, "224.0.0.1", &[])).0, einval);
    let other = [&[17, 64, 0, 0][..], &ETH0.to_le_bytes(), &attr(LOCAL, &[0xfd; 16])].concat();
    assert_eq!(add(&other).0, Errno::EOPNOTSUPP.number());
    assert_eq!(all(&asker).len(), 2);
    // RTM_GETADDR for one is a thing of IPv6.
    assert_eq!(asker.tell(22, 0, &ifaddr(0, ETH0)), Errno::EOPNOTSUPP.number());
}

#[test]
fn a_dump_is_filtered_for_who_asks_strictly() {
    let (_world, asker) = host();
    let one = asker.ask(22, DUMP, &ifaddr(0, ETH0));
    assert_eq!(one.len(), 2);
    assert!(one.iter().all(|m| m.flags & FILTERED != 0));
    let none = asker.ask(22, DUMP, &ifaddr(0, 99));
    assert_eq!((none.len(), none[0].kind, none[0].error()), (1, DONE, Errno::ENODEV.number()));
    let old = Asker::plain(asker.sys.kernel(), Protocol::Route);
    assert_eq!(old.table(22, &ifaddr(0, 99)).len(), 2);
    assert_eq!(old.table(22, &[0]).len(), 3, "AF_UNSPEC, as getifaddrs asks");
    assert_eq!(old.table(22, &[10, 0, 0, 0]).len(), 1, "::1");
}

#[test]
fn an_address_without_its_subnet() {
    let (_world, asker) = host();
    assert_eq!(asker.tell(20, CREATE | EXCL, &new(24, "10.9.0.1", &[attr32(FLAGS, 0x200)])), 0);
    let stack = asker.sys.kernel();
    assert!(stack.with_stack(|s, _| s.routes().all(|r| r.to != "10.9.0.0/24".parse().unwrap())));
    assert_eq!(asker.table(22, &ifaddr(0, 0)).last().unwrap().attr32(FLAGS), Some(0x280));
}
