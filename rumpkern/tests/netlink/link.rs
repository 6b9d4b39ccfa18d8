//! RTM_*LINK.

use crate::ask::*;
use rumpkern::syscall::Errno;

const IFNAME: u16 = 3;
const MTU: u16 = 4;
const OPERSTATE: u16 = 16;

fn flags(message: &Message) -> u32 {
    word(message.header(), 8)
}

fn eth(asker: &Asker) -> Message {
    asker.ask(18, 0, &ifinfo(ETH0, 0, 0)).remove(0)
}

#[test]
fn interfaces_are_found_by_index_and_by_name() {
    let (_world, asker) = host();
    let names = |messages: &[Message]| messages.iter().map(|m| m.text(IFNAME).unwrap()).collect::<Vec<_>>();
    // IFLA_EXT_MASK: RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS, as iproute2 asks.
    let all = asker.table(18, &[ifinfo(0, 0, 0), attr32(29, 9)].concat());
    assert_eq!(names(&all), ["lo", "eth0"]);
    // getifaddrs(3): a `struct rtgenmsg`, on a socket that is not strict.
    let old = Asker::plain(asker.sys.kernel(), rumpkern::netlink::Protocol::Route);
    for body in [&[0][..], &[0; 4], &[17, 0, 0, 0]] {
        assert_eq!(names(&old.table(18, body)), ["lo", "eth0"]);
    }
    let one = asker.ask(18, 0, &[ifinfo(0, 0, 0), attr(IFNAME, b"eth0\0")].concat());
    assert_eq!((names(&one), one[0].flags, one[0].port), (vec!["eth0".into()], 0, asker.port()));
    assert_eq!(word(eth(&asker).header(), 4), ETH0);
    let none = |body: &[u8]| asker.refused(18, 0, body);
    assert_eq!(none(&ifinfo(99, 0, 0)).0, Errno::ENODEV.number());
    assert_eq!(none(&[ifinfo(0, 0, 0), attr(IFNAME, b"nope\0")].concat()).0, Errno::ENODEV.number());
    assert_eq!(none(&ifinfo(0, 0, 0)).0, Errno::EINVAL.number());
    assert_eq!(none(&[0]), (Errno::EINVAL.number(), "Invalid header for get link".into()));
    let bridges = [&[7, 0, 0, 0][..], &[0; 12]].concat();
    assert_eq!(asker.table(18, &bridges), []);
}

#[test]
fn what_ip_link_set_says_is_done() {
    let (_world, asker) = host();
    let set = |body: Vec<u8>| asker.refused(16, 0, &body);
    let ok = (0, String::new());
    assert_eq!(flags(&eth(&asker)), 0x11043);
    // ip link set eth0 down, up
    assert_eq!(set(ifinfo(ETH0, 0, 1)), ok);
    assert_eq!((flags(&eth(&asker)), eth(&asker).attr(OPERSTATE)), (0x1002, Some(vec![2])));
    assert_eq!(set(ifinfo(ETH0, 1, 1)), ok);
    assert_eq!((flags(&eth(&asker)), eth(&asker).attr(OPERSTATE)), (0x11043, Some(vec![6])));
    // The wire is gone.
    asker.sys.kernel().with_stack(|s, now| s.if_set_carrier(now, eth0(), false)).unwrap();
    assert_eq!((flags(&eth(&asker)), eth(&asker).attr(OPERSTATE)), (0x1003, Some(vec![2])));
    // mtu
    let with = |attribute: Vec<u8>| set([ifinfo(ETH0, 0, 0), attribute].concat());
    assert_eq!(with(attr32(MTU, 1400)), ok);
    assert_eq!(eth(&asker).attr32(MTU), Some(1400));
    let einval = Errno::EINVAL.number();
    assert_eq!(with(attr32(MTU, 10)), (einval, "mtu less than device minimum".into()));
    assert_eq!(with(attr32(MTU, 100_000)), (einval, "mtu greater than device maximum".into()));
    // name
    assert_eq!(with(attr(IFNAME, b"wan\0")), ok);
    assert_eq!(eth(&asker).text(IFNAME).as_deref(), Some("wan"));
    assert_eq!(with(attr(IFNAME, b"lo\0")).0, Errno::EEXIST.number());
    assert_eq!(with(attr(IFNAME, b"a/b\0")).0, einval);
    // txqueuelen and address as they are, and otherwise
    assert_eq!(with(attr32(13, 1000)), ok);
    assert_eq!(with(attr32(13, 500)).0, Errno::EOPNOTSUPP.number());
    assert_eq!(with(attr(1, &[2, 0, 0, 0, 0, 1])), ok);
    assert_eq!(with(attr(1, &[2, 0, 0, 0, 0, 9])), ok);
    assert_eq!(eth(&asker).attr(1), Some(vec![2, 0, 0, 0, 0, 9]));
    assert_eq!(with(attr(1, &[3, 0, 0, 0, 0, 9])).0, Errno::EADDRNOTAVAIL.number());
    assert_eq!(with(attr(1, &[2, 0])).0, einval);
    // What is not there, and what cannot be made or taken away.
    assert_eq!(set(ifinfo(99, 1, 1)).0, Errno::ENODEV.number());
    let kind = |kind: &[u8]| attr(18, &attr(1, kind));
    let new = |kind: Vec<u8>| {
        asker.refused(16, CREATE | EXCL, &[ifinfo(0, 0, 0), attr(IFNAME, b"d0\0"), kind].concat())
    };
    let unsupported = Errno::EOPNOTSUPP.number();
    assert_eq!(new(kind(b"nosuch")), (unsupported, "Unknown device type".into()));
    assert_eq!(new(kind(b"dummy")).0, unsupported);
    let there = [ifinfo(0, 0, 0), attr(IFNAME, b"wan\0"), kind(b"dummy")].concat();
    assert_eq!(asker.tell(16, CREATE | EXCL, &there), Errno::EEXIST.number());
    // iproute2 asks so whether RTM_NEWLINK is there; RTM_SETLINK needs to be told which.
    assert_eq!(asker.tell(16, 0, &ifinfo(0, 0, 0)), Errno::ENODEV.number());
    assert_eq!(asker.tell(19, 0, &ifinfo(0, 0, 0)), einval);
    assert_eq!(asker.tell(17, 0, &ifinfo(ETH0, 0, 0)), unsupported);
    assert_eq!(asker.tell(17, 0, &ifinfo(99, 0, 0)), Errno::ENODEV.number());
}

#[test]
fn a_change_that_is_refused_in_part_changes_nothing_before_it_is_looked_at() {
    let (_world, asker) = host();
    let body = [ifinfo(ETH0, 0, 1), attr32(MTU, 1400), attr32(13, 7)].concat();
    assert_eq!(asker.tell(16, 0, &body), Errno::EOPNOTSUPP.number());
    assert_eq!((flags(&eth(&asker)), eth(&asker).attr32(MTU)), (0x11043, Some(1500)));
}

#[test]
fn counters_count() {
    let world = crate::world::World::lan(2);
    let asker = Asker::new(&world.kernels[0]);
    let rx = |m: &Message| u64::from_le_bytes(m.attr(23).unwrap()[..8].try_into().unwrap());
    assert_eq!(rx(&eth(&asker)), 0);
    let run = world.spawn(1, async |sys| {
        use rumpkern::syscall::{Family, MsgFlags, SockType};
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"x", MsgFlags::empty(), "10.0.0.1:9".parse().unwrap()).await.unwrap();
        sys.sleep(netstack::time::Duration::from_millis(10)).await;
    });
    world.result(&run);
    // The request for our address, and the datagram.
    let eth = eth(&asker);
    assert_eq!((rx(&eth), word(&eth.attr(7).unwrap(), 0)), (2, 2));
}
