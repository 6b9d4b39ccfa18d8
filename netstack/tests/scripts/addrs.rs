//! Addresses, the routes they bring, and which address a packet leaves with.

use crate::harness::*;
use netstack::SocketId;
use netstack::net::MacAddr;
use netstack::net::route::{Route, RouteError};
use netstack::socket::{Family, Ready, SendMeta, SockError, SockOpt, SockType};
use netstack::stack::{Event, StackConfig};
use std::net::SocketAddr;

fn addr(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

fn to(s: &str) -> SendMeta {
    SendMeta { to: Some(addr(s)), ..SendMeta::default() }
}

fn udp(s: &mut Script, bind: &str) -> SocketId {
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, addr(bind)).unwrap();
    id
}

fn host() -> Script {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s
}

#[test]
fn an_address_that_goes_leaves_the_subnet_to_the_next() {
    let mut s = host();
    let id = udp(&mut s, "0.0.0.0:1");
    s.stack.addr_add(s.now, s.ifs[0], "10.0.0.5/24".parse().unwrap()).unwrap();
    s.stack.send(s.now, id, b"", &to("10.0.0.2:9")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 0"]);
    s.stack.addr_del(s.now, s.ifs[0], "10.0.0.1/24".parse().unwrap()).unwrap();
    s.stack.send(s.now, id, b"", &to("10.0.0.2:9")).unwrap();
    s.expect(0, &["10.0.0.5 > 10.0.0.2 df udp 1 > 9 len 0"]);
    let sources: Vec<_> = s.stack.routes().chain(s.stack.local_routes()).filter_map(|r| r.src).collect();
    assert!(!sources.contains(&"10.0.0.1".parse().unwrap()), "{sources:?}");
    s.stack.addr_del(s.now, s.ifs[0], "10.0.0.5/24".parse().unwrap()).unwrap();
    assert_eq!(s.stack.send(s.now, id, b"", &to("10.0.0.2:9")), Err(SockError::NetUnreachable));
}

#[test]
fn a_route_lives_no_longer_than_its_source_address() {
    let mut s = host();
    s.stack.addr_add(s.now, s.ifs[0], "10.0.0.5/24".parse().unwrap()).unwrap();
    let route = Route {
        src: Some("10.0.0.5".parse().unwrap()),
        dev: Some(s.ifs[0]),
        ..Route::via("192.0.2.0/24".parse().unwrap(), "10.0.0.2".parse().unwrap())
    };
    let foreign: Result<(), RouteError> =
        s.stack.route_add(Route { src: Some("10.0.0.6".parse().unwrap()), ..route });
    assert!(foreign.is_err(), "not ours");
    s.stack.route_add(route).unwrap();
    s.events();
    s.stack.addr_del(s.now, s.ifs[0], "10.0.0.5/24".parse().unwrap()).unwrap();
    assert!(s.events().contains(&Event::Route { route, added: false }));
    assert!(s.stack.routes().all(|r| r.to != route.to));
}

#[test]
fn a_broadcast_or_group_address_is_no_source() {
    let mut s = host();
    let id = udp(&mut s, "10.0.0.255:9");
    s.stack.send(s.now, id, b"", &to("10.0.0.2:9")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 9 > 9 len 0"]);
    assert_eq!(s.stack.local_addr(id), Ok(addr("10.0.0.255:9")));
    s.stack.connect(s.now, id, addr("10.0.0.2:9")).unwrap();
    s.stack.send(s.now, id, b"", &SendMeta::default()).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 9 > 9 len 0"]);
    let id = udp(&mut s, "239.1.2.3:10");
    s.stack.send(s.now, id, b"", &to("10.0.0.2:9")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 10 > 9 len 0"]);
}

#[test]
fn a_socket_bound_to_a_group_and_connected_still_hears_the_group() {
    let mut s = host();
    let id = udp(&mut s, "239.1.2.3:9");
    s.stack.set_option(s.now, id, SockOpt::Join("239.1.2.3".parse().unwrap(), Some(s.ifs[0]))).unwrap();
    s.stack.connect(s.now, id, addr("10.0.0.2:5")).unwrap();
    let mac = MacAddr([1, 0, 0x5e, 1, 2, 3]);
    s.input(0, &Ip::new("10.0.0.2", "239.1.2.3").at_mac(mac).udp(6, 9, b"from another port"));
    assert!(!s.stack.ready(id).contains(Ready::READ));
    s.input(0, &Ip::new("10.0.0.2", "239.1.2.3").at_mac(mac).udp(5, 9, b"from the peer"));
    assert!(s.stack.ready(id).contains(Ready::READ));
    s.stack.send(s.now, id, b"", &SendMeta::default()).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 9 > 5 len 0"]);
}

#[test]
fn the_loopback_address_never_leaves() {
    let mut s = host();
    let id = udp(&mut s, "127.0.0.1:1");
    assert_eq!(s.stack.send(s.now, id, b"", &to("10.0.0.2:9")), Err(SockError::Invalid));
    assert_eq!(s.stack.connect(s.now, id, addr("10.0.0.2:9")), Err(SockError::Invalid));
    let any = udp(&mut s, "0.0.0.0:2");
    let meta = SendMeta { src: Some("127.0.0.1".parse().unwrap()), ..to("10.0.0.2:9") };
    assert_eq!(s.stack.send(s.now, any, b"", &meta), Err(SockError::Invalid));
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    s.stack.bind(s.now, tcp, addr("127.0.0.1:1")).unwrap();
    assert_eq!(s.stack.connect(s.now, tcp, addr("10.0.0.2:9")), Err(SockError::Invalid));
    s.expect(0, &[]);
    // Home it may go.
    s.stack.send(s.now, id, b"", &to("10.0.0.1:2")).unwrap();
    assert!(s.stack.ready(any).contains(Ready::READ));
}

#[test]
fn of_two_links_with_one_subnet_the_first_is_used() {
    let mut s = Script::new(StackConfig::default(), &["10.0.0.1/24", "10.0.0.9/24"]);
    let id = udp(&mut s, "0.0.0.0:1");
    let asked = |s: &mut Script, n| s.sent(n).len();
    for host in 20..60 {
        s.stack.send(s.now, id, b"", &to(&format!("10.0.0.{host}:9"))).unwrap();
    }
    assert_eq!((asked(&mut s, 0), asked(&mut s, 1)), (40, 0));
    s.stack.set_option(s.now, id, SockOpt::Broadcast(true)).unwrap();
    for port in 0..20 {
        s.stack.send(s.now, id, b"", &to(&format!("10.0.0.255:{}", 100 + port))).unwrap();
    }
    assert_eq!((asked(&mut s, 0), asked(&mut s, 1)), (20, 0));
    s.stack.if_set_carrier(s.now, s.ifs[0], false).unwrap();
    s.stack.send(s.now, id, b"", &to("10.0.0.20:9")).unwrap();
    assert_eq!((asked(&mut s, 0), asked(&mut s, 1)), (0, 1));
}

#[test]
fn a_stream_goes_to_one_host() {
    let mut s = host();
    for to in ["10.0.0.255:9", "255.255.255.255:9", "224.0.0.1:9"] {
        let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
        assert_eq!(s.stack.connect(s.now, tcp, addr(to)), Err(SockError::NetUnreachable), "{to}");
    }
    s.pass(netstack::time::Duration::from_secs(1));
    s.expect(0, &[]);
}
