//! Redirects, sent and believed, and lies: RFC 4861 §8.

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::net::route::Route;
use netstack::stack::StackConfig;

const FAR: &str = "2001:db8:f::1";

/// A host whose default router is PEER.
fn host() -> Script {
    let mut s = Script::host6();
    let route = Route { dev: Some(s.ifs[0]), ..Route::via("::/0".parse().unwrap(), ip6(PEER).into()) };
    s.stack.route_add(route).unwrap();
    s
}

fn next(s: &Script, dst: &str) -> String {
    let via = s.stack.way(ip6(dst).into(), None).unwrap().via;
    via.map_or("on link".into(), |v| v.to_string())
}

#[test]
fn a_better_router_is_believed_and_known() {
    let mut s = host();
    assert_eq!(next(&s, FAR), PEER);
    let frame = nd6(PEER, "2001:db8::1").redirect(PEER2, FAR, &[tll(peer_mac(2))]);
    s.input(0, &frame);
    assert_eq!((next(&s, FAR), next(&s, "2001:db8:f::2")), (PEER2.into(), PEER.into()));
    assert_eq!(s.nud(PEER2), "Stale");
    assert_eq!(s.counter("icmp6InRedirects"), 1);
}

#[test]
fn a_destination_that_is_on_the_link_is_its_own_first_hop() {
    let mut s = host();
    let frame = nd6(PEER, "2001:db8::1").redirect(FAR, FAR, &[tll(peer_mac(1))]);
    s.input(0, &frame);
    assert_eq!(next(&s, FAR), "on link");
}

#[test]
fn the_router_that_was_put_in_its_place_may_redirect_again() {
    let mut s = host();
    let first = nd6(PEER, "2001:db8::1").redirect(PEER2, FAR, &[]);
    let liar = nd6("fe80::9", "2001:db8::1").redirect("fe80::9", FAR, &[]);
    let second = nd6(PEER2, "2001:db8::1").redirect("fe80::7", FAR, &[]);
    s.input(0, &second);
    assert_eq!(next(&s, FAR), PEER, "it is not the router in use");
    s.input(0, &first);
    s.input(0, &liar);
    assert_eq!(next(&s, FAR), PEER2);
    s.input(0, &second);
    assert_eq!(next(&s, FAR), "fe80::7");
}

#[test]
fn lies_are_not_believed() {
    let good = nd6(PEER, "2001:db8::1");
    let mut no_length = tll(peer_mac(2));
    no_length[1] = 0;
    for (what, frame) in [
        ("not from the router in use", nd6(PEER2, "2001:db8::1").redirect(PEER2, FAR, &[])),
        ("a global source", nd6("2001:db8::66", "2001:db8::1").redirect(PEER2, FAR, &[])),
        ("hop limit 254", good.clone().hops(254).redirect(PEER2, FAR, &[])),
        ("code 1", good.icmp(137, 1, [0; 4], &[ip6(PEER2).octets(), ip6(FAR).octets()].concat())),
        ("a group as destination", good.redirect(PEER2, "ff0e::1", &[])),
        ("a global router", good.redirect("2001:db8::66", FAR, &[])),
        ("a group as router", good.redirect("ff02::2", FAR, &[])),
        ("to ourselves", good.redirect(OWN, FAR, &[])),
        ("no option length", good.redirect(PEER2, FAR, &[no_length])),
        ("too short", good.icmp(137, 0, [0; 4], &[0; 31])),
    ] {
        let mut s = host();
        s.input(0, &frame);
        assert_eq!(next(&s, FAR), PEER, "{what}");
        assert_eq!(s.counter("nd6Invalid"), 1, "{what}");
    }
}

#[test]
fn neither_routers_nor_those_who_are_told_not_to_believe_redirects() {
    let frame = nd6(PEER, "2001:db8::1").redirect(PEER2, FAR, &[]);
    let mut s = host();
    s.stack.set_redirects(true, false);
    s.input(0, &frame);
    assert_eq!(next(&s, FAR), PEER);
    let mut s = host();
    s.stack.set_forwarding(true);
    s.input(0, &frame);
    assert_eq!(next(&s, FAR), PEER);
}

#[test]
fn who_turns_out_to_be_no_router_is_no_first_hop() {
    let mut s = host();
    let frame = nd6(PEER, "2001:db8::1").redirect(PEER2, FAR, &[tll(peer_mac(2))]);
    s.input(0, &frame);
    assert_eq!(next(&s, FAR), PEER2);
    let host = nd6(PEER2, "ff02::1").na("o", PEER2, &[tll(peer_mac(2))]);
    s.input(0, &host);
    assert_eq!(next(&s, FAR), PEER);
}

#[test]
fn a_redirect_ends_with_its_time_and_with_its_route() {
    let mut s = host();
    let frame = nd6(PEER, "2001:db8::1").redirect(PEER2, FAR, &[]);
    s.input(0, &frame);
    s.seconds(599);
    s.stack.handle_timeout(s.now);
    assert_eq!(next(&s, FAR), PEER2);
    s.seconds(1);
    s.stack.handle_timeout(s.now);
    assert_eq!(next(&s, FAR), PEER);
}

/// A router by which 2001:db8:f::/48 is behind PEER2, on the link of the one who asks.
fn router() -> Script {
    let mut s = Script::router6();
    let route =
        Route { dev: Some(s.ifs[0]), ..Route::via("2001:db8:f::/48".parse().unwrap(), ip6(PEER2).into()) };
    s.stack.route_add(route).unwrap();
    s.neighbour6(0, PEER2);
    s.neighbour6(0, "2001:db8::9");
    s.neighbour6(0, "2001:db8::a");
    s
}

#[test]
fn a_router_tells_of_the_better_router_and_forwards() {
    let mut s = router();
    let frame = from6("2001:db8::9", FAR).udp(1, 2, &[0; 100]);
    s.answers(
        &frame,
        &[
            "fe80::ff:fe00:1 > 2001:db8::9 redirect fe80::ff:fe00:102 for 2001:db8:f::1 \
             tll 02:00:00:00:01:02 quoting 144",
            "2001:db8::9 > 2001:db8:f::1 hop 63 udp 1 > 2 len 100",
        ],
    );
    assert_eq!(s.counter("icmp6OutRedirects"), 1);
}

#[test]
fn a_router_tells_that_the_destination_is_on_the_link() {
    let mut s = router();
    let frame = from6("2001:db8::9", "2001:db8::a").udp(1, 2, &[]);
    s.input(0, &frame);
    let seen = s.sent6(0);
    assert_eq!(
        seen[0],
        "fe80::ff:fe00:1 > 2001:db8::9 redirect 2001:db8::a for 2001:db8::a tll 02:00:00:00:01:0a quoting 48"
    );
}

#[test]
fn a_redirect_fits_the_smallest_link() {
    let mut s = router();
    let frame = from6("2001:db8::9", FAR).udp(1, 2, &[0; 1400]);
    s.input(0, &frame);
    let redirect = s.frames(0).into_iter().find(|f| f[54] == 137).unwrap();
    assert!(redirect.len() - 14 <= 1280 && redirect.len() - 14 > 1200, "{}", redirect.len());
}

#[test]
fn redirects_are_limited_and_errors_are_not_held_back_by_them() {
    let mut s = router();
    let frame = from6("2001:db8::9", FAR).udp(1, 2, &[]);
    for _ in 0..50 {
        s.input(0, &frame);
    }
    let sent = s.sent6(0).iter().filter(|l| l.contains("redirect")).count();
    assert_eq!(sent, 6);
    let lost = from6("2001:db8::9", "2001:db8:1::5").hops(1).udp(1, 2, &[]);
    s.input(0, &lost);
    assert_eq!(s.sent6(0).len(), 1);
}

#[test]
fn who_is_not_on_the_link_is_not_redirected_nor_by_a_router_without_a_link_local_address() {
    let mut s = router();
    // From behind: it came by another router.
    let mut behind = from6("2001:db8:77::1", FAR);
    behind.macs.0 = peer_mac(9);
    s.input(0, &behind.udp(1, 2, &[]));
    s.expect6(0, &["2001:db8:77::1 > 2001:db8:f::1 hop 63 udp 1 > 2 len 0"]);
    let config = StackConfig { forwarding: true, send_redirects: false, ..StackConfig::default() };
    let mut s = Script::new6(config, plain6(), &["2001:db8::1/64"]);
    s.neighbour6(0, "2001:db8::a");
    let frame = from6("2001:db8::9", "2001:db8::a").udp(1, 2, &[]);
    s.answers(&frame, &["2001:db8::9 > 2001:db8::a hop 63 udp 1 > 2 len 0"]);
}

#[test]
fn a_router_known_by_a_global_address_cannot_be_named() {
    let mut s = router();
    let route = Route::via("2001:db8:e::/48".parse().unwrap(), ip6("2001:db8::a").into());
    s.stack.route_add(route).unwrap();
    let frame = from6("2001:db8::9", "2001:db8:e::1").udp(1, 2, &[]);
    s.answers(&frame, &["2001:db8::9 > 2001:db8:e::1 hop 63 udp 1 > 2 len 0"]);
}
