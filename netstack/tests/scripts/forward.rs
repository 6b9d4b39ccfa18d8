//! Forwarding: RFC 1812 §5.2, 5.3.

use crate::harness::*;
use netstack::net::route::{Route, RouteKind};
use netstack::socket::{Family, SendMeta, SockType};
use netstack::stack::StackConfig;
use netstack::time::Duration;

fn router() -> Script {
    let mut s = Script::router();
    for (n, a) in
        [(0, "10.0.0.2"), (0, "10.0.0.3"), (0, "10.0.0.7"), (1, "10.0.1.2"), (1, "10.0.1.3"), (1, "10.0.1.4")]
    {
        s.neighbour(n, a);
    }
    s
}

#[test]
fn a_packet_goes_on_with_one_hop_less() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").udp(1, 2, b"hello"));
    let frame = &s.frames(1)[0];
    assert_eq!((&frame[..6], &frame[6..12]), (&peer_mac(2).0[..], &own_mac(2).0[..]));
    assert_eq!(describe(frame), "10.0.0.2 > 10.0.1.2 ttl 63 udp 1 > 2 len 5");
    assert_eq!(s.counter("ipForwDatagrams"), 1);
}

#[test]
fn ethernet_padding_is_not_forwarded() {
    let mut s = router();
    let mut frame = Ip::new("10.0.0.2", "10.0.1.2").udp(1, 2, b"");
    let len = frame.len();
    frame.resize(60, 0xee);
    s.input(0, &frame);
    assert_eq!(s.frames(1)[0].len(), len);
}

#[test]
fn hosts_do_not_forward() {
    let mut s = router();
    s.stack.set_forwarding(false);
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").udp(1, 2, b""));
    s.expect(1, &[]);
    s.expect(0, &[]);
    assert_eq!(s.counter("ipNotForwarding"), 1);
}

#[test]
fn ttl_runs_out() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").ttl(2).udp(1, 2, b""));
    s.expect(1, &["10.0.0.2 > 10.0.1.2 ttl 1 udp 1 > 2 len 0"]);
    for ttl in [1, 0] {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").ttl(ttl).udp(1, 2, b""));
        s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp time-exceeded 0 about 10.0.1.2 quoting 28"]);
        s.expect(1, &[]);
    }
    // To ourselves it has arrived.
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").ttl(1).echo(1, 1, b""));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp reply 1.1 len 0"]);
}

#[test]
fn no_route_is_told() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").udp(1, 2, b""));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 0 about 192.0.2.1 quoting 28"]);
}

#[test]
fn special_routes() {
    let mut s = router();
    for (net, kind) in [
        ("192.0.2.0/24", RouteKind::Blackhole),
        ("198.51.100.0/24", RouteKind::Unreachable),
        ("203.0.113.0/24", RouteKind::Prohibit),
    ] {
        s.stack.route_add(Route::special(net.parse().unwrap(), kind)).unwrap();
    }
    s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").udp(1, 2, b""));
    s.expect(0, &[]);
    s.input(0, &Ip::new("10.0.0.2", "198.51.100.1").udp(1, 2, b""));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 1 about 198.51.100.1 quoting 28"]);
    s.input(0, &Ip::new("10.0.0.2", "203.0.113.1").udp(1, 2, b""));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 13 about 203.0.113.1 quoting 28"]);
}

#[test]
fn a_silent_next_hop_is_told() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.77").udp(1, 2, b""));
    s.pass(Duration::from_secs(3));
    assert_eq!(s.sent(1).len(), 3);
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 1 about 10.0.1.77 quoting 28"]);
}

#[test]
fn what_is_not_to_be_forwarded() {
    let mut s = router();
    for (src, dst) in [
        ("10.0.0.2", "10.0.1.255"),
        ("10.0.0.2", "169.254.1.1"),
        ("10.0.0.2", "127.0.0.1"),
        ("10.0.0.2", "0.0.0.0"),
        ("10.0.0.2", "255.255.255.255"),
        ("10.0.0.2", "224.0.0.5"),
        ("169.254.1.2", "10.0.1.2"),
        ("127.0.0.1", "10.0.1.2"),
        ("10.0.1.1", "10.0.1.2"),
    ] {
        s.input(0, &Ip::new(src, dst).udp(1, 2, b""));
        s.expect(1, &[]);
        s.expect(0, &[]);
    }
}

#[test]
fn a_small_link_fragments_or_refuses() {
    let mut s = router();
    s.stack.if_set_mtu(s.ifs[1], 500).unwrap();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").udp(1, 2, &[7; 1000]));
    s.expect(
        1,
        &[
            "10.0.0.2 > 10.0.1.2 ttl 63 frag 0:480+",
            "10.0.0.2 > 10.0.1.2 ttl 63 frag 480:480+",
            "10.0.0.2 > 10.0.1.2 ttl 63 frag 960:48",
        ],
    );
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").df().udp(1, 2, &[7; 1000]));
    s.expect(1, &[]);
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp frag-needed mtu 500 about 10.0.1.2 quoting 548"]);
    // A fragment is cut further.
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").fragment(9, 800, true).raw(17, &[7; 800]));
    s.expect(1, &["10.0.0.2 > 10.0.1.2 ttl 63 frag 800:480+", "10.0.0.2 > 10.0.1.2 ttl 63 frag 1280:320+"]);
    assert_eq!((s.counter("ipFragOKs"), s.counter("ipFragFails"), s.counter("ipFragCreates")), (2, 1, 5));
}

#[test]
fn the_longest_prefix_then_the_lowest_metric_wins() {
    let mut s = router();
    s.route("0.0.0.0/0", "10.0.1.2");
    s.route("192.0.2.0/24", "10.0.1.3");
    let worse =
        Route { metric: 10, ..Route::via("192.0.2.0/24".parse().unwrap(), "10.0.1.4".parse().unwrap()) };
    s.stack.route_add(worse).unwrap();
    let next = |s: &mut Script, dst| {
        s.input(0, &Ip::new("10.0.0.2", dst).udp(1, 2, b""));
        s.frames(1)[0][5]
    };
    assert_eq!(next(&mut s, "192.0.2.9"), 3);
    assert_eq!(next(&mut s, "198.51.100.9"), 2);
    s.stack.route_del(Route::via("192.0.2.0/24".parse().unwrap(), "10.0.1.3".parse().unwrap())).unwrap();
    assert_eq!(next(&mut s, "192.0.2.9"), 4);
}

#[test]
fn a_route_by_a_dead_interface_gives_way_to_the_next() {
    let mut s = Script::new(
        StackConfig { forwarding: true, ..StackConfig::default() },
        &["10.0.0.1/24", "10.0.1.1/24", "10.0.2.1/24"],
    );
    s.neighbour(1, "10.0.1.2");
    s.neighbour(2, "10.0.2.2");
    let to = "203.0.113.0/24".parse().unwrap();
    for (via, metric) in [("10.0.1.2", 10), ("10.0.2.2", 20)] {
        s.stack.route_add(Route { metric, ..Route::via(to, via.parse().unwrap()) }).unwrap();
    }
    let packet = Ip::new("10.0.0.2", "203.0.113.1").udp(1, 2, b"");
    let out = |s: &mut Script| {
        s.input(0, &packet);
        (s.frames(1).len(), s.frames(2).len())
    };
    assert_eq!(out(&mut s), (1, 0));
    s.stack.if_set_carrier(s.now, s.ifs[1], false).unwrap();
    assert_eq!(out(&mut s), (0, 1));
    s.stack.if_set_carrier(s.now, s.ifs[1], true).unwrap();
    assert_eq!(out(&mut s), (1, 0));
}

#[test]
fn equal_paths_share_the_flows_and_each_flow_stays() {
    let mut s = router();
    for via in ["10.0.1.2", "10.0.1.3", "10.0.1.4"] {
        s.route("192.0.2.0/24", via);
    }
    let hop = |s: &mut Script, port: u16| {
        s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").udp(port, 80, b""));
        s.frames(1)[0][5]
    };
    let before: Vec<u8> = (1..=600).map(|p| hop(&mut s, p)).collect();
    assert_eq!(before, (1..=600).map(|p| hop(&mut s, p)).collect::<Vec<_>>());
    for n in [2, 3, 4] {
        let share = before.iter().filter(|h| **h == n).count();
        assert!((140..260).contains(&share), "{share} of 600 by hop {n}");
    }
    // Highest random weight: only the flows of a hop that goes away move.
    s.stack.route_del(Route::via("192.0.2.0/24".parse().unwrap(), "10.0.1.3".parse().unwrap())).unwrap();
    for (p, b) in (1..=600).zip(&before) {
        let after = hop(&mut s, p);
        assert!(*b == 3 || after == *b, "flow {p} moved from {b} to {after}");
        assert_ne!(after, 3);
    }
    // All fragments of a datagram go one way, ports or not.
    let part = |s: &mut Script, at, more, data: &[u8]| {
        s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").fragment(5, at, more).raw(17, data));
        s.frames(1)[0][5]
    };
    assert_eq!(part(&mut s, 0, true, &[9; 16]), part(&mut s, 16, false, &[1; 16]));
}

#[test]
fn a_detour_is_redirected_and_still_forwarded() {
    let mut s = router();
    s.route("192.0.2.0/24", "10.0.0.7");
    s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").udp(1, 2, b""));
    s.expect(
        0,
        &[
            "10.0.0.1 > 10.0.0.2 icmp redirect to 10.0.0.7 about 192.0.2.1 quoting 28",
            "10.0.0.2 > 192.0.2.1 ttl 63 udp 1 > 2 len 0",
        ],
    );
    // A sender that is not on the link cannot use it.
    s.input(0, &Ip::new("10.9.0.2", "192.0.2.1").udp(1, 2, b""));
    s.expect(0, &["10.9.0.2 > 192.0.2.1 ttl 63 udp 1 > 2 len 0"]);
}

/// A redirect by `from` to `gateway` for 192.0.2.1.
fn redirect(from: &str, gateway: [u8; 4]) -> Vec<u8> {
    redirect_about(from, gateway, "10.0.0.1")
}

/// A redirect about a packet of `src`.
fn redirect_about(from: &str, gateway: [u8; 4], src: &str) -> Vec<u8> {
    use etherparse::{
        Icmpv4Type,
        icmpv4::{RedirectCode, RedirectHeader},
    };
    let ours = Ip::new(src, "192.0.2.1");
    let quoted = ours.packet(17, &ours.udp_octets(1, 9, b""));
    let header = RedirectHeader { code: RedirectCode::RedirectForHost, gateway_internet_address: gateway };
    Ip::new(from, "10.0.0.1").icmp(Icmpv4Type::Redirect(header), &quoted)
}

#[test]
fn a_host_believes_its_gateway_only_and_for_a_time() {
    let mut s = Script::host();
    for a in ["10.0.0.2", "10.0.0.3"] {
        s.neighbour(0, a);
    }
    s.route("0.0.0.0/0", "10.0.0.2");
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    let to = SendMeta { to: Some("192.0.2.1:9".parse().unwrap()), ..SendMeta::default() };
    let hop = |s: &mut Script| {
        s.stack.send(s.now, id, b"", &to).unwrap();
        s.frames(0)[0][5]
    };
    assert_eq!(hop(&mut s), 2);
    // Not from the gateway; not on the link; ourselves.
    for (from, gateway) in
        [("10.0.0.3", [10, 0, 0, 3]), ("10.0.0.2", [10, 0, 9, 9]), ("10.0.0.2", [10, 0, 0, 1])]
    {
        s.input(0, &redirect(from, gateway));
        assert_eq!(hop(&mut s), 2);
    }
    assert_eq!(s.counter("icmpBadRedirect"), 3);
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    assert_eq!(hop(&mut s), 3);
    s.pass(Duration::from_secs(600));
    assert_eq!(hop(&mut s), 2);
    // A router does not.
    s.stack.set_forwarding(true);
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    assert_eq!(hop(&mut s), 2);
}

/// A host whose packets to 192.0.2.1:9 go by 10.0.0.2, and a socket that sends them.
fn redirected() -> (Script, netstack::SocketId) {
    let mut s = Script::host();
    for a in ["10.0.0.2", "10.0.0.4"] {
        s.neighbour(0, a);
    }
    s.route("0.0.0.0/0", "10.0.0.2");
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:1".parse().unwrap()).unwrap();
    s.stack.connect(s.now, id, "192.0.2.1:9".parse().unwrap()).unwrap();
    (s, id)
}

/// Last octet of the link address by which a packet leaves.
fn hop(s: &mut Script, id: netstack::SocketId) -> u8 {
    s.stack.send(s.now, id, b"", &SendMeta::default()).unwrap();
    s.frames(0)[0][5]
}

#[test]
fn a_redirect_names_one_host_and_quotes_a_packet_of_ours() {
    let (mut s, id) = redirected();
    s.stack.addr_add(s.now, s.ifs[0], "10.9.0.1/16".parse().unwrap()).unwrap();
    for gateway in [[10, 0, 0, 255], [10, 9, 255, 255], [10, 9, 0, 1], [224, 0, 0, 5], [0; 4]] {
        s.input(0, &redirect("10.0.0.2", gateway));
    }
    s.input(0, &redirect_about("10.0.0.2", [10, 0, 0, 4], "10.0.0.9"));
    assert_eq!((hop(&mut s, id), s.counter("icmpBadRedirect")), (2, 6));
}

#[test]
fn a_redirect_ends_with_the_route_that_it_mends() {
    let (mut s, id) = redirected();
    s.neighbour(0, "10.0.0.3");
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    assert_eq!(hop(&mut s, id), 3);
    // A route of something else changes nothing.
    s.route("198.51.100.0/24", "10.0.0.4");
    assert_eq!(hop(&mut s, id), 3);
    s.route("192.0.2.0/24", "10.0.0.2");
    assert_eq!(hop(&mut s, id), 2);
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    assert_eq!(hop(&mut s, id), 3);
    s.stack.route_del(Route::via("192.0.2.0/24".parse().unwrap(), "10.0.0.2".parse().unwrap())).unwrap();
    assert_eq!(hop(&mut s, id), 2);
}

#[test]
fn a_redirect_ends_when_its_gateway_is_silent() {
    let (mut s, id) = redirected();
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    s.stack.send(s.now, id, b"", &SendMeta::default()).unwrap();
    s.expect(0, &["arp who-has 10.0.0.3 tell 10.0.0.1"]);
    s.pass(Duration::from_secs(3));
    s.frames(0);
    s.stack.take_error(id);
    assert_eq!(hop(&mut s, id), 2);
}

#[test]
fn a_redirect_and_a_path_mtu_have_each_its_time() {
    let (mut s, id) = redirected();
    s.neighbour(0, "10.0.0.3");
    s.input(0, &redirect("10.0.0.2", [10, 0, 0, 3]));
    s.pass(Duration::from_secs(400));
    let ours = Ip::new("10.0.0.1", "192.0.2.1");
    let quoted = ours.packet(17, &ours.udp_octets(1, 9, b""));
    let ty = etherparse::Icmpv4Type::DestinationUnreachable(
        etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1000 },
    );
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp(ty, &quoted));
    s.stack.take_error(id);
    assert_eq!(hop(&mut s, id), 3);
    s.pass(Duration::from_secs(300));
    assert_eq!(hop(&mut s, id), 2);
    use netstack::socket::{SockOpt, SockOptName};
    assert_eq!(s.stack.option(id, SockOptName::Mtu), Ok(SockOpt::Mtu(1000)));
}

#[test]
fn point_to_point_subnets_of_31_bits() {
    let config = StackConfig { forwarding: true, ..StackConfig::default() };
    let mut s = Script::new(config, &["10.0.0.0/31", "10.0.1.1/24"]);
    s.neighbour(0, "10.0.0.1");
    // Both addresses are hosts' (RFC 3021): neither is broadcast.
    s.input(0, &Ip::new("10.0.0.1", "10.0.0.0").echo(1, 1, b""));
    s.expect(0, &["10.0.0.0 > 10.0.0.1 icmp reply 1.1 len 0"]);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let mut s = router();
    for _ in 0..1100 {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").udp(1, 2, b""));
    }
    assert_eq!(s.frames(1).len(), 1000);
    assert_eq!(s.counter("txQueueFull"), 100);
    assert_eq!(s.stack.interface(s.ifs[1]).unwrap().counters.out_discards, 100);
}
