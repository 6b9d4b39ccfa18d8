//! RTM_*ROUTE.

use crate::ask::*;
use crate::world::World;
use rumpkern::netlink::Protocol;
use rumpkern::syscall::Errno;
use std::slice::from_ref;

const DST: u16 = 1;
const OIF: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const PREFSRC: u16 = 7;
const METRICS: u16 = 8;
const MULTIPATH: u16 = 9;
const TABLE: u16 = 15;

const UNICAST: u8 = 1;

/// A route of table main, made by `protocol` boot.
fn to(prefix: u8, dst: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [rtmsg(prefix, 254, 3, 0, UNICAST), ip(DST, dst), more.concat()].concat()
}

/// For RTM_DELROUTE as `ip route del` says it: any protocol, scope and type.
fn gone(prefix: u8, dst: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [rtmsg(prefix, 254, 0, 255, 0), ip(DST, dst), more.concat()].concat()
}

fn via(gateway: &str) -> Vec<u8> {
    ip(GATEWAY, gateway)
}

fn hop(gateway: &str, weight: u8) -> Vec<u8> {
    let body = via(gateway);
    [&(8 + body.len() as u16).to_le_bytes()[..], &[0, weight], &0u32.to_le_bytes(), &body].concat()
}

fn multipath(hops: &[Vec<u8>]) -> Vec<u8> {
    attr(MULTIPATH, &hops.concat())
}

/// Routes of table main that programs have made, in short.
fn routes(asker: &Asker) -> Vec<String> {
    let table = asker.ask(26, DUMP, &rtmsg(0, 254, 0, 0, 0));
    let made = table.iter().filter(|m| m.kind == 24 && m.header()[5] != 2);
    made.map(shown).collect()
}

fn shown(m: &Message) -> String {
    let header = m.header();
    let dst = m.ip(DST).unwrap_or("0.0.0.0".into());
    let mut text = format!("{dst}/{}", header[1]);
    if header[7] != UNICAST {
        text += &format!(" type {}", header[7]);
    }
    text += &m.ip(GATEWAY).map_or(String::new(), |via| format!(" via {via}"));
    for hop in m.attr(MULTIPATH).unwrap_or_default().chunks(16) {
        text += &format!(" nexthop {}", std::net::Ipv4Addr::new(hop[12], hop[13], hop[14], hop[15]));
    }
    text += &m.attr32(PRIORITY).map_or(String::new(), |metric| format!(" metric {metric}"));
    text
}

#[test]
fn the_tables_are_shown() {
    let (_world, asker) = host();
    let table = |number: u8| {
        let messages = asker.ask(26, DUMP, &rtmsg(0, number, 0, 0, 0));
        messages
            .iter()
            .filter(|m| m.kind == 24)
            .map(|m| format!("{} {}", shown(m), m.header()[6]))
            .collect::<Vec<_>>()
    };
    assert_eq!(table(254), ["10.0.0.0/24 253"]);
    let mut local = table(255);
    local.sort();
    let own = ["10.0.0.1/32 type 2 254", "10.0.0.255/32 type 3 253"];
    let lo = ["127.0.0.0/8 type 2 254", "127.0.0.1/32 type 2 254", "127.255.255.255/32 type 3 253"];
    assert_eq!(local, [&own[..], &lo].concat());
    assert_eq!(asker.table(26, &rtmsg(0, 0, 0, 0, 0)).len(), 6);
    let none = asker.ask(26, DUMP, &rtmsg(0, 77, 0, 0, 0));
    let why = "ipv4: FIB table does not exist";
    assert_eq!((none[0].kind, none[0].error(), &*none[0].words()), (DONE, Errno::ENOENT.number(), why));
    let unknown = asker.ask(26, DUMP, &[rtmsg(0, 0, 0, 0, 0), ip(DST, "10.0.0.0")].concat());
    assert_eq!((unknown[0].kind, unknown[0].error()), (DONE, Errno::EINVAL.number()));
    // By interface, protocol, type.
    let count = |header: Vec<u8>, more: &[u8]| {
        let messages = asker.ask(26, DUMP, &[&header[..], more].concat());
        assert!(messages.iter().all(|m| m.flags & FILTERED != 0));
        messages.len() - 1
    };
    assert_eq!(count(rtmsg(0, 0, 0, 0, 0), &attr32(OIF, ETH0)), 3);
    assert_eq!(count(rtmsg(0, 0, 3, 0, 0), &[]), 0);
    assert_eq!(count(rtmsg(0, 0, 0, 0, 2), &[]), 3);
    assert_eq!(count(rtmsg(0, 0, 0, 0, 0), &attr32(TABLE, 254)), 1);
    let old = Asker::plain(asker.sys.kernel(), Protocol::Route);
    assert_eq!(old.table(26, &rtmsg(0, 254, 0, 0, 0)).len(), 6, "who is not strict filters itself");
    assert_eq!(old.table(26, &[2]).len(), 6);
    assert_eq!(old.table(26, &[10, 0, 0, 0]).len(), 1, "that to ::1");
    assert_eq!(old.table(26, &[128, 0, 0, 0]), [], "no multicast routing");
}

#[test]
fn routes_exclude_each_other_are_replaced_and_appended() {
    let (_world, asker) = host();
    let (a, b, c) = (via("10.0.0.7"), via("10.0.0.8"), via("10.0.0.9"));
    let net = |more: &[Vec<u8>]| to(24, "192.0.2.0", more);
    let add = CREATE | EXCL;
    assert_eq!(asker.tell(24, add, &net(from_ref(&a))), 0);
    assert_eq!(asker.tell(24, add, &net(from_ref(&b))), Errno::EEXIST.number(), "of the same metric");
    assert_eq!(asker.tell(24, add, &net(&[b.clone(), attr32(PRIORITY, 5)])), 0);
    assert_eq!(routes(&asker), ["192.0.2.0/24 via 10.0.0.7", "192.0.2.0/24 via 10.0.0.8 metric 5"]);
    // change: only what is there.
    assert_eq!(asker.tell(24, REPLACE, &net(&[c.clone(), attr32(PRIORITY, 9)])), Errno::ENOENT.number());
    assert_eq!(asker.tell(24, REPLACE, &net(&[c.clone(), attr32(PRIORITY, 5)])), 0);
    assert_eq!(routes(&asker)[1], "192.0.2.0/24 via 10.0.0.9 metric 5");
    // replace: or else new.
    assert_eq!(asker.tell(24, CREATE | REPLACE, &net(from_ref(&b))), 0);
    assert_eq!(asker.tell(24, CREATE | REPLACE, &net(from_ref(&b))), 0, "as it is");
    assert_eq!(asker.tell(24, CREATE | REPLACE, &to(24, "198.51.100.0", from_ref(&b))), 0);
    assert_eq!(routes(&asker)[0], "192.0.2.0/24 via 10.0.0.8");
    // append: one more path, but not the same twice.
    assert_eq!(asker.tell(24, CREATE | APPEND, &net(from_ref(&c))), 0);
    assert_eq!(asker.tell(24, CREATE | APPEND, &net(from_ref(&c))), Errno::EEXIST.number());
    assert_eq!(routes(&asker)[0], "192.0.2.0/24 nexthop 10.0.0.8 nexthop 10.0.0.9");
    // Without NLM_F_CREATE nothing new.
    assert_eq!(asker.tell(24, 0, &to(24, "203.0.113.0", from_ref(&a))), Errno::ENOENT.number());
    // Of several paths the one that is named goes.
    let del = |more: &[Vec<u8>]| asker.tell(25, 0, &gone(24, "192.0.2.0", more));
    assert_eq!(del(from_ref(&b)), 0);
    assert_eq!(del(&[b]), Errno::ESRCH.number());
    assert_eq!(routes(&asker)[0], "192.0.2.0/24 via 10.0.0.9");
    assert_eq!(del(&[attr32(PRIORITY, 5)]), 0);
    assert_eq!(del(&[]), 0);
    assert_eq!(del(&[]), Errno::ESRCH.number());
    assert_eq!(routes(&asker), ["198.51.100.0/24 via 10.0.0.8"]);
}

#[test]
fn next_hops_make_one_route() {
    let (_world, asker) = host();
    let net = |hops: &[Vec<u8>]| to(16, "172.18.0.0", &[multipath(hops)]);
    let three = [hop("10.0.0.7", 0), hop("10.0.0.8", 0), hop("10.0.0.9", 0)];
    assert_eq!(asker.tell(24, CREATE | EXCL, &net(&three)), 0);
    assert_eq!(routes(&asker), ["172.18.0.0/16 nexthop 10.0.0.7 nexthop 10.0.0.8 nexthop 10.0.0.9"]);
    let stack = |asker: &Asker| asker.sys.kernel().with_stack(|s, _| s.routes().count());
    assert_eq!(stack(&asker), 4);
    // A daemon takes one away, and gives another.
    let two = [hop("10.0.0.7", 3), hop("10.0.0.10", 3)];
    assert_eq!(asker.tell(24, CREATE | REPLACE, &net(&two)), 0);
    assert_eq!(routes(&asker), ["172.18.0.0/16 nexthop 10.0.0.7 nexthop 10.0.0.10"]);
    let uneven = [hop("10.0.0.7", 0), hop("10.0.0.8", 3)];
    assert_eq!(asker.tell(24, CREATE | REPLACE, &net(&uneven)), Errno::EOPNOTSUPP.number());
    let wrong = gone(16, "172.18.0.0", &[multipath(&three)]);
    assert_eq!(asker.tell(25, 0, &wrong), Errno::ESRCH.number());
    assert_eq!(asker.tell(25, 0, &gone(16, "172.18.0.0", &[multipath(&two)])), 0);
    assert_eq!((routes(&asker), stack(&asker)), (vec![], 1));
}

#[test]
fn routes_without_a_next_hop_and_to_ourselves() {
    let (_world, asker) = host();
    for (n, kind) in [6, 7, 8].into_iter().enumerate() {
        let body = [rtmsg(24, 254, 4, 0, kind), ip(DST, &format!("10.{}.0.0", 50 + n))].concat();
        assert_eq!(asker.tell(24, CREATE | EXCL, &body), 0);
    }
    assert_eq!(routes(&asker), ["10.50.0.0/24 type 6", "10.51.0.0/24 type 7", "10.52.0.0/24 type 8"]);
    let local = [rtmsg(24, 255, 4, 254, 2), ip(DST, "10.60.0.0"), attr32(OIF, 1)].concat();
    assert_eq!(asker.tell(24, CREATE | EXCL, &local), 0);
    let get = |dst: &str| asker.ask(26, 0, &to(32, dst, &[])).remove(0);
    assert_eq!(get("10.60.0.9").header()[7], 2);
    assert_eq!(get("10.50.0.1").error(), Errno::EINVAL.number());
    assert_eq!(get("10.51.0.1").error(), Errno::EHOSTUNREACH.number());
    assert_eq!(get("10.52.0.1").error(), Errno::EACCES.number());
    assert_eq!(asker.tell(25, 0, &[rtmsg(24, 255, 0, 255, 0), ip(DST, "10.60.0.0")].concat()), 0);
    assert_eq!(get("10.60.0.9").error(), Errno::ENETUNREACH.number());
}

#[test]
fn refusals_are_linuxs() {
    let (_world, asker) = host();
    let add = |body: &[u8]| asker.refused(24, CREATE | EXCL, body);
    let net = |more: &[Vec<u8>]| to(24, "9.9.9.0", more);
    let einval = Errno::EINVAL.number();
    let said = |errno: Errno, text: &str| (errno.number(), text.to_owned());
    let invalid = said(Errno::ENETUNREACH, "Nexthop has invalid gateway");
    assert_eq!(add(&net(&[via("1.2.3.4")])), invalid);
    assert_eq!(add(&net(&[via("1.2.3.4"), attr32(OIF, ETH0)])), invalid);
    assert_eq!(add(&net(&[via("10.0.0.1")])), (einval, "Nexthop has invalid gateway".into()));
    let bits = to(24, "9.9.9.1", &[via("10.0.0.7")]);
    assert_eq!(add(&bits), (einval, "Invalid prefix for given prefix length".into()));
    assert_eq!(add(&net(&[attr32(OIF, 99)])), said(Errno::ENODEV, ""));
    assert_eq!(add(&net(&[])), said(Errno::ENODEV, ""));
    let source = net(&[via("10.0.0.7"), ip(PREFSRC, "1.1.1.1")]);
    assert_eq!(add(&source), (einval, "Invalid prefsrc address".into()));
    assert_eq!(
        add(&[rtmsg(33, 254, 3, 0, 1), via("10.0.0.7")].concat()),
        (einval, "Invalid prefix length".into())
    );
    let kind = [rtmsg(24, 254, 3, 0, 77), ip(DST, "9.9.9.0")].concat();
    assert_eq!(add(&kind), (einval, "Invalid route type".into()));
    let unsupported = Errno::EOPNOTSUPP.number();
    assert_eq!(add(&net(&[via("10.0.0.7"), attr32(TABLE, 100)])).0, unsupported);
    assert_eq!(add(&net(&[via("10.0.0.7"), attr(METRICS, &attr32(2, 1400))])).0, unsupported);
    let other = [&[17, 64][..], &rtmsg(0, 254, 3, 0, 1)[2..]].concat();
    assert_eq!(add(&other).0, unsupported);
    // RTNH_F_ONLINK: the program answers for it.
    let mut onlink = net(&[via("1.2.3.4"), attr32(OIF, ETH0)]);
    onlink[8] = 4;
    assert_eq!(add(&onlink).0, 0);
    // By an interface that is down no route leads.
    assert_eq!(asker.tell(16, 0, &ifinfo(ETH0, 0, 1)), 0);
    let down = to(24, "9.9.8.0", &[attr32(OIF, ETH0)]);
    assert_eq!(add(&down), said(Errno::ENETDOWN, "Device for nexthop is not up"));
}

#[test]
fn a_gateway_may_be_on_the_link_by_a_route() {
    let (_world, asker) = host();
    let link = to(32, "192.0.2.1", &[attr32(OIF, ETH0)]);
    assert_eq!(asker.tell(24, CREATE | EXCL, &link), 0);
    assert_eq!(asker.tell(24, CREATE | EXCL, &to(0, "0.0.0.0", &[via("192.0.2.1")])), 0);
    let [get] = &asker.ask(26, 0, &to(32, "8.8.8.8", &[]))[..] else { panic!("one answer") };
    assert_eq!((get.ip(GATEWAY).as_deref(), get.attr32(OIF)), (Some("192.0.2.1"), Some(ETH0)));
}

#[test]
fn ip_route_get() {
    let (_world, asker) = host();
    assert_eq!(asker.tell(24, CREATE | EXCL, &to(0, "0.0.0.0", &[via("10.0.0.7")])), 0);
    assert_eq!(asker.tell(24, CREATE | EXCL, &to(8, "8.0.0.0", &[via("10.0.0.8"), attr32(PRIORITY, 3)])), 0);
    let get = |dst: &str| asker.ask(26, 0, &to(32, dst, &[])).remove(0);
    let told = |dst: &str| {
        let m = get(dst);
        (m.ip(DST).unwrap(), m.ip(GATEWAY), m.attr32(OIF).unwrap(), m.ip(PREFSRC).unwrap())
    };
    let own = "10.0.0.1".to_owned();
    assert_eq!(told("8.8.8.8"), ("8.8.8.8".into(), Some("10.0.0.8".into()), ETH0, own.clone()));
    assert_eq!(told("10.0.0.5"), ("10.0.0.5".into(), None, ETH0, own.clone()));
    assert_eq!(told("10.0.0.1"), ("10.0.0.1".into(), None, 1, own));
    // RTM_F_FIB_MATCH: the route itself.
    let fib = |dst: &str| {
        let mut body = to(32, dst, &[]);
        body[8..12].copy_from_slice(&0x2000u32.to_le_bytes());
        shown(&asker.ask(26, 0, &body)[0])
    };
    assert_eq!(fib("8.8.8.8"), "8.0.0.0/8 via 10.0.0.8 metric 3");
    assert_eq!(fib("9.9.9.9"), "0.0.0.0/0 via 10.0.0.7");
    assert_eq!(fib("10.0.0.1"), "10.0.0.1/32 type 2");
    let by = |dev: u32| asker.ask(26, 0, &to(32, "8.8.8.8", &[attr32(OIF, dev)])).remove(0);
    assert_eq!(by(ETH0).attr32(OIF), Some(ETH0));
    assert_eq!(by(99).error(), Errno::ENODEV.number());
}

#[test]
fn routes_by_a_dead_interface_are_shown_as_dead() {
    let world = World::lan(1);
    let asker = Asker::new(&world.kernels[0]);
    let flags = || word(&asker.table(26, &rtmsg(0, 0, 0, 0, 0))[0].header()[8..], 0);
    assert_eq!(flags(), 0);
    world.kernels[0].with_stack(|s, now| s.if_set_carrier(now, eth0(), false)).unwrap();
    assert_eq!(flags(), 16, "linkdown");
    world.kernels[0].with_stack(|s, now| s.if_set_up(now, eth0(), false)).unwrap();
    assert_eq!(flags(), 17, "dead linkdown");
}
