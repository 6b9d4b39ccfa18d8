//! Forwarding: RFC 8200, RFC 4443 §3, RFC 4007 §9.

use super::harness::*;
use crate::harness::Script;
use netstack::net::route::{Route, RouteKind};

const SRC: &str = "2001:db8::9";
const DST: &str = "2001:db8:1::9";
const PASSED: &str = "2001:db8::9 > 2001:db8:1::9 hop 63 udp 1 > 2 len 10";

fn router() -> Script {
    let mut s = Script::router6();
    s.neighbour6(0, SRC);
    s.neighbour6(1, DST);
    s
}

fn to(dst: &str) -> Ip6 {
    from6(SRC, dst)
}

#[test]
fn a_packet_passes_with_one_hop_less() {
    let mut s = router();
    s.answers(&to(DST).udp(1, 2, &[0; 10]), &[]);
    s.expect6(1, &[PASSED]);
    assert_eq!(s.counter("ip6ForwDatagrams"), 1);
}

#[test]
fn the_last_hop_is_told() {
    for hops in [0, 1] {
        let mut s = router();
        s.answers(
            &to(DST).hops(hops).udp(1, 2, &[0; 10]),
            &["2001:db8::1 > 2001:db8::9 time-exceeded 0 about 2001:db8:1::9 quoting 58"],
        );
        s.expect6(1, &[]);
    }
    let mut s = router();
    s.input(0, &to(DST).hops(2).udp(1, 2, &[0; 10]));
    s.expect6(1, &["2001:db8::9 > 2001:db8:1::9 hop 1 udp 1 > 2 len 10"]);
}

#[test]
fn what_does_not_fit_is_told_every_time() {
    let mut s = router();
    s.stack.if_set_mtu(s.ifs[1], 1300).unwrap();
    for _ in 0..20 {
        s.input(0, &to(DST).udp(1, 2, &[0; 1400]));
    }
    let seen = s.sent6(0);
    assert_eq!(seen.len(), 20, "path MTU discovery stalls without");
    assert_eq!(seen[0], "2001:db8::1 > 2001:db8::9 too-big mtu 1300 about 2001:db8:1::9 quoting 1232");
    s.expect6(1, &[]);
    s.input(0, &to(DST).udp(1, 2, &[0; 1252]));
    assert_eq!(s.sent6(1).len(), 1, "1300 octets fit");
}

#[test]
fn without_a_route_the_sender_is_told() {
    router().answers(
        &to("2001:db8:f::1").udp(1, 2, &[]),
        &["2001:db8::1 > 2001:db8::9 unreachable 0 about 2001:db8:f::1 quoting 48"],
    );
}

#[test]
fn routes_that_lead_nowhere_say_why() {
    for (kind, code) in
        [(RouteKind::Blackhole, None), (RouteKind::Unreachable, Some(0)), (RouteKind::Prohibit, Some(1))]
    {
        let mut s = router();
        s.stack.route_add(Route::special("2001:db8:f::/48".parse().unwrap(), kind)).unwrap();
        let told =
            |c: u8| format!("2001:db8::1 > 2001:db8::9 unreachable {c} about 2001:db8:f::1 quoting 48");
        s.input(0, &to("2001:db8:f::1").udp(1, 2, &[]));
        assert_eq!(s.sent6(0), code.map(told).into_iter().collect::<Vec<_>>(), "{kind:?}");
    }
}

#[test]
fn who_does_not_answer_is_told_of() {
    let mut s = router();
    s.input(0, &to("2001:db8:1::77").udp(1, 2, &[]));
    s.seconds(4);
    s.expect6(0, &["2001:db8::1 > 2001:db8::9 unreachable 3 about 2001:db8:1::77 quoting 48"]);
}

#[test]
fn nothing_leaves_its_link() {
    let mut s = router();
    s.neighbour6(0, PEER);
    s.answers(
        &from6(PEER, DST).udp(1, 2, &[]),
        &["fe80::ff:fe00:1 > fe80::ff:fe00:101 unreachable 2 about 2001:db8:1::9 quoting 48"],
    );
    s.answers(&to("fe80::99").udp(1, 2, &[]), &[]);
    s.answers(&from6("::", DST).udp(1, 2, &[]), &[]);
    s.answers(&to("::1").udp(1, 2, &[]), &[]);
    s.answers(&to("ff0e::1").udp(1, 2, &[]), &[]);
    s.expect6(1, &[]);
}

#[test]
fn a_host_forwards_nothing() {
    let mut s = router();
    s.stack.set_forwarding(false);
    s.answers(&to(DST).udp(1, 2, &[]), &[]);
    s.expect6(1, &[]);
    assert_eq!(s.counter("ip6NotForwarding"), 1);
}

#[test]
fn options_that_all_on_the_way_must_know_stop_here_and_others_do_not() {
    for (header, kind, passes, told) in
        [(0, 0x1e, 1, 0), (0, 0x5e, 0, 0), (0, 0x9e, 0, 1), (60, 0x9e, 1, 0), (60, 0x5e, 1, 0)]
    {
        let mut s = router();
        s.input(0, &to(DST).ext(header, &[kind, 4, 0, 0, 0, 0]).udp(1, 2, &[]));
        assert_eq!(
            (s.sent6(1).len(), s.sent6(0).len()),
            (passes, told),
            "option {kind:#x} in header {header}"
        );
    }
}

#[test]
fn the_class_passes_as_it_is() {
    let mut s = router();
    s.input(0, &to(DST).class(0xb9).udp(1, 2, &[]));
    s.expect6(1, &["2001:db8::9 > 2001:db8:1::9 hop 63 class 185 udp 1 > 2 len 0"]);
}

#[test]
fn equal_paths_share_flows_and_keep_them() {
    let mut s = Script::router6();
    for gateway in ["2001:db8:1::a", "2001:db8:1::b"] {
        s.neighbour6(1, gateway);
        s.stack.route_add(Route::via("2001:db8:f::/48".parse().unwrap(), ip6(gateway).into())).unwrap();
    }
    s.sent(1);
    let mut by = std::collections::BTreeMap::new();
    for port in 1..100 {
        let frame = to("2001:db8:f::1").udp(port, 9, &[]);
        s.input(0, &frame);
        s.input(0, &frame);
        let macs: Vec<u8> = s.frames(1).iter().map(|f| f[5]).collect();
        assert!(macs.len() == 2 && macs[0] == macs[1], "port {port}: {macs:?}");
        *by.entry(macs[0]).or_insert(0) += 1;
    }
    assert!(by.len() == 2 && by.values().all(|&n| n > 25), "{by:?}");
}

#[test]
fn the_longest_prefix_wins_and_then_the_metric() {
    let mut s = Script::router6();
    for (gateway, to, metric) in [
        ("2001:db8:1::a", "2001:db8:f::/48", 0),
        ("2001:db8:1::b", "2001:db8:f:1::/64", 10),
        ("2001:db8:1::c", "2001:db8:f:1::/64", 5),
    ] {
        s.neighbour6(1, gateway);
        let route = Route { metric, ..Route::via(to.parse().unwrap(), ip6(gateway).into()) };
        s.stack.route_add(route).unwrap();
    }
    s.sent(1);
    for (dst, mac) in [("2001:db8:f::1", 0xa), ("2001:db8:f:1::1", 0xc)] {
        s.input(0, &to(dst).udp(1, 2, &[]));
        assert_eq!(s.frames(1)[0][5], mac, "{dst}");
    }
}

#[test]
fn all_addresses_of_a_router_are_its_own() {
    let mut s = router();
    s.answers(&to("2001:db8:1::1").echo(1, 1, &[]), &["2001:db8:1::1 > 2001:db8::9 reply 1.1 len 0"]);
}
