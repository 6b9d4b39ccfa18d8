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
    s.expect(0, &["10.0.0.1 > 224.0.0.22 ttl 1 df alert igmp to-ex 239.1.2.3 {}"]);
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

/// Routes that came (`+`) and went, in order.
fn changes(s: &mut Script) -> Vec<String> {
    let told = |event| match event {
        Event::Route { route, added } => Some(format!("{}{}", if added { '+' } else { '-' }, route.to)),
        Event::Addr { addr, added, .. } => Some(format!("{}address {addr}", if added { '+' } else { '-' })),
        _ => None,
    };
    s.events().into_iter().filter_map(told).collect()
}

#[test]
fn the_routes_that_an_address_brings_are_told_behind_it() {
    let mut s = host();
    s.events();
    s.stack.addr_add(s.now, s.ifs[0], "10.9.0.1/24".parse().unwrap()).unwrap();
    let routes = ["10.9.0.1/32", "10.9.0.0/24", "10.9.0.255/32"];
    let told = |sign: char| {
        let routes = routes.iter().map(move |r| format!("{sign}{r}"));
        std::iter::once(format!("{sign}address 10.9.0.1/24")).chain(routes).collect::<Vec<_>>()
    };
    assert_eq!(changes(&mut s), told('+'));
    s.stack.addr_del(s.now, s.ifs[0], "10.9.0.1/24".parse().unwrap()).unwrap();
    let mut gone = changes(&mut s);
    gone.sort();
    let mut expected = told('-');
    expected.sort();
    assert_eq!(gone, expected);
}

#[test]
fn routes_are_replaced_all_or_nothing() {
    let mut s = host();
    s.neighbour(0, "10.0.0.3");
    let net = "192.0.2.0/24".parse().unwrap();
    let by = |via: &str| Route { dev: Some(s.ifs[0]), ..Route::via(net, via.parse().unwrap()) };
    let (a, b, c) = (by("10.0.0.2"), by("10.0.0.3"), by("10.0.0.4"));
    s.stack.route_replace(&[], &[a, b]).unwrap();
    let hops =
        |s: &Script| s.stack.routes().filter(|r| r.to == net).map(|r| r.via.unwrap()).collect::<Vec<_>>();
    assert_eq!(hops(&s), [a.via.unwrap(), b.via.unwrap()]);
    s.events();
    assert_eq!(s.stack.route_replace(&[a], &[b]), Err(RouteError::Exists(net)), "b stays");
    assert_eq!(s.stack.route_replace(&[a], &[c, c]), Err(RouteError::Exists(net)));
    assert_eq!(s.stack.route_replace(&[c], &[a]), Err(RouteError::Exists(net)));
    assert_eq!(s.stack.route_replace(&[a, c], &[a]), Err(RouteError::NotFound(net)));
    let nowhere = Route { dev: None, ..Route::via(net, "198.51.100.1".parse().unwrap()) };
    assert_eq!(
        s.stack.route_replace(&[a, b], &[nowhere]),
        Err(RouteError::Gateway("198.51.100.1".parse().unwrap()))
    );
    assert_eq!(hops(&s), [a.via.unwrap(), b.via.unwrap()]);
    assert_eq!(changes(&mut s), [""; 0]);
    // The same way with another metric or another origin is a change too.
    s.stack
        .route_replace(&[a, b], &[Route { proto: netstack::net::route::RouteProto::Other(12), ..a }])
        .unwrap();
    assert_eq!(hops(&s), [a.via.unwrap()]);
    assert_eq!(changes(&mut s), ["-192.0.2.0/24", "-192.0.2.0/24", "+192.0.2.0/24"]);
}

#[test]
fn a_way_is_told_without_a_packet() {
    use netstack::net::route::RouteKind;
    let mut s = host();
    s.route("192.0.2.0/24", "10.0.0.2");
    let lost = Route::special("198.51.100.0/24".parse().unwrap(), RouteKind::Prohibit);
    s.stack.route_add(lost).unwrap();
    let way = |dst: &str| s.stack.way(dst.parse().unwrap(), None);
    let told = |dst: &str| way(dst).map(|w| (w.ifindex.0, w.via.map(|v| v.to_string()), w.kind));
    assert_eq!(told("10.0.0.9"), Ok((2, None, RouteKind::Unicast)));
    assert_eq!(told("192.0.2.7"), Ok((2, Some("10.0.0.2".into()), RouteKind::Unicast)));
    assert_eq!(told("10.0.0.1"), Ok((1, None, RouteKind::Local)));
    assert_eq!(told("10.0.0.255"), Ok((2, None, RouteKind::Broadcast)));
    assert_eq!(told("198.51.100.1"), Err(SockError::Access));
    assert_eq!(told("203.0.113.1"), Err(SockError::NetUnreachable));
    assert_eq!(way("192.0.2.7").unwrap().src, Some("10.0.0.1".parse().unwrap()));
}

#[test]
fn an_interface_gets_another_name() {
    use netstack::net::IfIndex;
    use netstack::net::ifnet::IfError;
    let mut s = Script::router();
    s.events();
    s.stack.if_set_name(s.ifs[0], "wan").unwrap();
    assert_eq!(s.stack.if_by_name("wan"), Some(s.ifs[0]));
    assert_eq!(s.stack.if_by_name("eth0"), None);
    assert_eq!(s.events(), [Event::Link { ifindex: s.ifs[0], up: true, carrier: true }]);
    s.stack.if_set_name(s.ifs[0], "wan").unwrap();
    assert_eq!(s.events(), [], "it is called so");
    assert_eq!(s.stack.if_set_name(s.ifs[0], "eth1"), Err(IfError::Exists("eth1".into())));
    assert_eq!(s.stack.if_set_name(s.ifs[0], "a/b"), Err(IfError::BadName("a/b".into())));
    assert_eq!(s.stack.if_set_name(IfIndex::LOOPBACK, "home"), Err(IfError::Loopback));
}
