//! Groups: what `ip monitor`, BIRD and zebra hear.

use crate::ask::*;
use rumpkern::netlink::{NlAddr, Protocol};

const LINK: u32 = 1;
const NEIGH: u32 = 3;
const IFADDR: u32 = 5;
const ROUTE: u32 = 7;

const DST: u16 = 1;
const OIF: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const MULTIPATH: u16 = 9;

fn route(dst: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [rtmsg(24, 254, 12, 0, 1), ip(DST, dst), more.concat()].concat()
}

fn kinds(messages: &[Message]) -> Vec<u16> {
    messages.iter().map(|m| m.kind).collect()
}

#[test]
fn changes_by_anybody_are_told_with_their_port() {
    let (world, asker) = host();
    let listener = Asker::plain(&world.kernels[0], Protocol::Route).join(&[LINK, NEIGH, IFADDR, ROUTE]);
    // The lab takes the link down: nobody's request.
    world.kernels[0].with_stack(|s, now| s.if_set_up(now, eth0(), false)).unwrap();
    world.settle();
    let [down] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((down.kind, down.seq, down.port, word(down.header(), 8)), (16, 0, 0, 0x1002));
    world.kernels[0].with_stack(|s, now| s.if_set_up(now, eth0(), true)).unwrap();
    world.settle();
    assert_eq!(kinds(&listener.heard()), [16]);

    // An address: with it, and behind it, what it brings.
    let addr = [ifaddr(24, ETH0), ip(2, "10.5.0.1")].concat();
    let own = asker.ask(20, CREATE | EXCL | ACK, &addr);
    assert_eq!(kinds(&own), [ERROR], "who is in no group hears nothing but the acknowledgment");
    let heard = listener.heard();
    assert_eq!(kinds(&heard), [20, 24, 24, 24]);
    assert_eq!((heard[0].port, heard[0].seq), (asker.port(), own[0].seq));
    assert!(heard[1..].iter().all(|m| (m.flags, m.seq, m.port) == (0x600, 0, 0)), "{heard:?}");
    let types: Vec<u8> = heard[1..].iter().map(|m| m.header()[7]).collect();
    assert_eq!(types, [2, 1, 3]);
    assert_eq!(asker.tell(21, 0, &addr), 0);
    assert_eq!(kinds(&listener.heard()), [21, 25, 25, 25]);

    // A route.
    assert_eq!(asker.tell(24, CREATE | EXCL, &route("10.6.0.0", &[ip(GATEWAY, "10.0.0.7")])), 0);
    let [new] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((new.kind, new.flags, new.port), (24, 0x600, asker.port()));
    assert_eq!(
        (new.header()[5], new.ip(GATEWAY).as_deref(), new.attr32(OIF)),
        (12, Some("10.0.0.7"), Some(ETH0))
    );
    // … replaced: told once.
    assert_eq!(asker.tell(24, CREATE | REPLACE, &route("10.6.0.0", &[ip(GATEWAY, "10.0.0.8")])), 0);
    let [new] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((new.kind, new.flags, new.ip(GATEWAY).as_deref()), (24, 0x100, Some("10.0.0.8")));
    assert_eq!(asker.tell(24, CREATE | APPEND, &route("10.6.0.0", &[ip(GATEWAY, "10.0.0.9")])), 0);
    assert_eq!(listener.heard()[0].flags, 0xc00);
    // Both paths go as one.
    assert_eq!(asker.tell(25, 0, &route("10.6.0.0", &[])), 0);
    let [gone] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((gone.kind, gone.flags, gone.attr(MULTIPATH).map(|hops| hops.len())), (25, 0, Some(32)));

    // A neighbour.
    let neigh = [ndmsg(ETH0, 0x80), ip(DST, "10.0.0.55"), attr(2, &[2, 0, 0, 0, 0, 0x55])].concat();
    assert_eq!(asker.tell(28, CREATE | EXCL, &neigh), 0);
    assert_eq!(asker.tell(29, 0, &neigh), 0);
    assert_eq!(kinds(&listener.heard()), [28, 29]);

    // A link.
    assert_eq!(asker.tell(16, 0, &[ifinfo(ETH0, 0, 0), attr32(4, 1400)].concat()), 0);
    let [link] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((link.kind, link.attr32(4)), (16, Some(1400)));
    // What changes nothing is not told.
    assert_eq!(asker.tell(16, 0, &ifinfo(ETH0, 1, 1)), 0);
    assert_eq!(listener.heard(), []);
}

#[test]
fn the_changer_hears_itself_and_an_echo_comes_once() {
    let (_world, asker) = host();
    let asker = asker.join(&[ROUTE]);
    let one = |n: u8| route(&format!("10.{n}.0.0"), &[ip(GATEWAY, "10.0.0.7")]);
    let own = asker.ask(24, CREATE | EXCL | ACK, &one(6));
    assert_eq!(kinds(&own), [24, ERROR]);
    assert_eq!((own[0].port, own[0].seq), (asker.port(), own[1].seq));
    let echoed = asker.ask(24, CREATE | EXCL | ACK | ECHO, &one(7));
    assert_eq!(kinds(&echoed), [24, ERROR]);
    // Also who is in no group gets the echo.
    asker.set(2, ROUTE).unwrap();
    assert_eq!(kinds(&asker.ask(24, CREATE | EXCL | ACK, &one(8))), [ERROR]);
    assert_eq!(kinds(&asker.ask(24, CREATE | EXCL | ACK | ECHO, &one(9))), [24, ERROR]);
}

#[test]
fn groups_are_joined_by_bind_too_and_named_as_the_source() {
    let (world, asker) = host();
    let listener = Asker::plain(&world.kernels[0], Protocol::Route);
    listener.sys.netlink_bind(listener.fd, NlAddr { port: 0, groups: 1 << (ROUTE - 1) }).unwrap();
    let other = Asker::plain(&world.kernels[0], Protocol::Route).join(&[LINK]);
    assert_eq!(asker.tell(24, CREATE, &route("10.6.0.0", &[ip(GATEWAY, "10.0.0.7")])), 0);
    let received = listener.sys.netlink(listener.fd).unwrap().recv(4096).unwrap();
    assert_eq!((received.from, received.group), (NlAddr { port: 0, groups: 1 << 6 }, 7));
    assert_eq!(other.heard(), []);
}

#[test]
fn what_the_lab_changes_by_a_neighbours_answer_is_told() {
    use rumpkern::syscall::{Family, MsgFlags, SockType};
    let world = crate::world::World::lan(2);
    let listener = Asker::new(&world.kernels[0]).join(&[NEIGH]);
    let run = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"x", MsgFlags::empty(), "10.0.0.2:9".parse().unwrap()).await.unwrap();
        sys.sleep(netstack::time::Duration::from_millis(10)).await;
    });
    world.result(&run);
    let [new] = &listener.heard()[..] else { panic!("one change") };
    assert_eq!((new.kind, new.ip(DST).as_deref(), new.header()[8]), (28, Some("10.0.0.2"), 2));
}

#[test]
fn routes_of_one_metric_are_told_together() {
    let (world, _asker) = host();
    let listener = Asker::new(&world.kernels[0]).join(&[ROUTE]);
    world.kernels[0].with_stack(|stack, _| {
        use netstack::net::route::Route;
        for (via, metric) in [("10.0.0.7", 5), ("10.0.0.8", 5), ("10.0.0.9", 6)] {
            let to = "192.0.2.0/24".parse().unwrap();
            stack.route_add(Route { metric, ..Route::via(to, via.parse().unwrap()) }).unwrap();
        }
    });
    world.settle();
    let told: Vec<_> =
        listener.heard().iter().map(|m| (m.attr32(PRIORITY), m.attr(MULTIPATH).is_some())).collect();
    assert_eq!(told, [(Some(5), true), (Some(6), false)]);
}
