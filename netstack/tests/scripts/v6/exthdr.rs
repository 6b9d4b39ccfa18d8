//! Extension headers: RFC 8200 §4, RFC 5095, RFC 2711; and the errors about them (RFC 4443 §3.4).

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::net::ifnet::multicast_mac;

const HOST: &str = "2001:db8::1";
const OTHER: &str = "2001:db8::9";
const REPLY: &str = "2001:db8::1 > 2001:db8::9 reply 1.1 len 0";

const HBH: u8 = 0;
const ROUTING: u8 = 43;
const DST: u8 = 60;

fn host() -> Script {
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    s.neighbour6(0, PEER);
    s
}

fn ping() -> Ip6 {
    from6(OTHER, HOST)
}

/// A packet with a chain in front of an echo request.
fn with(p: Ip6) -> Vec<u8> {
    p.echo(1, 1, b"")
}

fn problem(code: u8, at: usize, quoting: usize) -> String {
    format!("2001:db8::1 > 2001:db8::9 problem {code} at {at} about 2001:db8::1 quoting {quoting}")
}

#[test]
fn headers_in_the_recommended_order_are_passed_over() {
    let pad = [1, 4, 0, 0, 0, 0];
    let chain = ping().ext(HBH, &pad).ext(DST, &pad).ext(ROUTING, &[0, 0, 0, 0, 0, 0]).ext(DST, &pad);
    host().answers(&with(chain), &[REPLY]);
}

#[test]
fn headers_in_any_other_order_too() {
    let pad = [1, 4, 0, 0, 0, 0];
    host().answers(&with(ping().ext(DST, &pad).ext(DST, &pad).ext(ROUTING, &[0, 0])), &[REPLY]);
}

#[test]
fn hop_by_hop_options_come_first_or_not_at_all() {
    let pad = [1, 4, 0, 0, 0, 0];
    host().answers(&with(ping().ext(DST, &pad).ext(HBH, &pad)), &[&problem(1, 40, 64)]);
}

#[test]
fn unknown_options_to_one_host_by_their_two_bits() {
    for header in [HBH, DST] {
        for (kind, answer) in [
            (0x1e, Some(REPLY.to_owned())),
            (0x5e, None),
            (0x9e, Some(problem(2, 44, 56))),
            (0xde, Some(problem(2, 44, 56))),
            // The third bit says whether it may change on the way, and nothing else.
            (0x3e, Some(REPLY.to_owned())),
            (0xbe, Some(problem(2, 44, 56))),
        ] {
            let mut s = host();
            s.input(0, &with(ping().ext(header, &[1, 0, kind, 2, 0, 0])));
            let expected: Vec<String> = answer.into_iter().collect();
            assert_eq!(s.sent6(0), expected, "option {kind:#x} in header {header}");
        }
    }
}

#[test]
fn unknown_options_to_a_group_by_their_two_bits() {
    for (kind, answers) in [(0x1e, 1), (0x5e, 0), (0x9e, 1), (0xde, 0)] {
        let mut s = host();
        let all = from6(OTHER, "ff02::1").ext(DST, &[1, 0, kind, 2, 0, 0]);
        s.input(0, &with(all));
        let seen = s.sent6(0);
        assert_eq!(seen.len(), answers, "{kind:#x}: {seen:?}");
        if kind == 0x9e {
            assert!(seen[0].contains("problem 2 at 44"), "{seen:?}");
        }
    }
}

#[test]
fn options_that_do_not_fit_their_header_end_the_packet() {
    let mut s = host();
    for options in [&[1, 5, 0, 0, 0, 0][..], &[0, 0, 0, 0, 0, 1], &[5, 1, 0, 0, 0, 0], &[0, 0, 5, 9, 0, 0]] {
        s.answers(&with(ping().ext(HBH, options)), &[]);
    }
    assert_eq!(s.counter("ip6OptionMalformed"), 4);
}

#[test]
fn a_router_alert_is_known() {
    host().answers(&with(ping().ext(HBH, &[5, 2, 0, 0, 1, 0])), &[REPLY]);
}

#[test]
fn routing_headers_with_nothing_left_are_passed_over_whatever_their_type() {
    for kind in 0..=4 {
        host().answers(&with(ping().ext(ROUTING, &[kind, 0, 0, 0, 0, 0])), &[REPLY]);
    }
}

#[test]
fn nobody_is_routed_by_us() {
    for kind in 0..=4 {
        let route = [&[kind, 1, 0, 0, 0, 0][..], &ip6("2001:db8:f::1").octets()].concat();
        host().answers(&with(ping().ext(ROUTING, &route)), &[&problem(0, 42, 72)]);
        let mut s = Script::router6();
        s.neighbour6(0, OTHER);
        s.answers(&with(ping().ext(ROUTING, &route)), &[&problem(0, 42, 72)]);
    }
}

#[test]
fn a_routing_header_to_a_group_is_dropped_in_silence() {
    let mut all = from6(OTHER, "ff02::1").ext(ROUTING, &[0, 1, 0, 0, 0, 0]);
    all.macs.1 = multicast_mac(ip6("ff02::1").into());
    host().answers(&with(all), &[]);
}

#[test]
fn no_next_header_is_the_end() {
    let mut s = host();
    s.answers(&ping().raw(59, b"whatever"), &[]);
    s.answers(&ping().ext(DST, &[1, 4]).raw(59, &[]), &[]);
    assert_eq!(s.counter("ip6NoNextHeader"), 2);
}

#[test]
fn an_unknown_header_is_named_where_it_is_named() {
    host().answers(&ping().raw(253, b"????"), &[&problem(1, 6, 44)]);
    host().answers(&ping().ext(DST, &[1, 4]).raw(253, b"????"), &[&problem(1, 40, 52)]);
    host().answers(&ping().ext(DST, &[1, 4]).ext(ROUTING, &[0, 0]).raw(253, b"????"), &[&problem(1, 48, 60)]);
    let group = from6(OTHER, "ff02::1").raw(253, b"????");
    host().answers(&group, &[]);
}

#[test]
fn a_long_chain_is_followed_to_its_end() {
    let mut chain = ping();
    for _ in 0..100 {
        chain = chain.ext(DST, &[1, 4, 0, 0, 0, 0]);
    }
    host().answers(&with(chain), &[REPLY]);
}

#[test]
fn headers_that_end_beyond_the_packet_are_dropped() {
    let mut s = host();
    for kind in [HBH, DST, ROUTING] {
        s.answers(&ping().raw(kind, &[58, 1, 0, 0, 0, 0, 0, 0]), &[]);
        s.answers(&ping().raw(kind, &[58]), &[]);
        s.answers(&ping().raw(kind, &[]), &[]);
    }
    s.answers(&ping().raw(44, &[58, 0, 0, 0]), &[]);
    assert_eq!(s.counter("ip6Truncated"), 10);
}

#[test]
fn lengths_of_the_packet_itself() {
    let mut s = host();
    let good = with(ping());
    let mut long = good.clone();
    long[19] += 1;
    s.answers(&long, &[]);
    assert_eq!(s.counter("ip6Truncated"), 1);
    let mut padded = good.clone();
    padded.extend([0; 12]);
    s.answers(&padded, &[REPLY]);
    let mut version = good.clone();
    version[14] = 0x50;
    s.answers(&version, &[]);
    s.answers(&good[..14 + 39], &[]);
}

#[test]
fn addresses_that_no_packet_has() {
    let mut s = host();
    for (src, dst) in [
        ("ff02::1", HOST),
        ("::1", HOST),
        ("::ffff:192.0.2.1", HOST),
        ("::", HOST),
        ("fe80:1::9", HOST),
        (OTHER, "::1"),
        (OTHER, "::"),
        (OTHER, "ff00::1"),
        (OTHER, "ff01::1"),
        (OTHER, "::ffff:192.0.2.1"),
    ] {
        let mut packet = from6(src, dst);
        packet.macs.0 = peer_mac(9);
        s.input(0, &with(packet));
        assert_eq!(s.sent6(0), [""; 0], "{src} > {dst}");
    }
    assert_eq!(s.counter("ip6MartianSource") + s.counter("ip6MartianDestination"), 10);
}

#[test]
fn one_hosts_address_in_a_groups_frame_is_not_taken() {
    let mut s = host();
    s.answers(&with(ping().at_mac(multicast_mac(ip6("ff02::1").into()))), &[]);
    assert_eq!(s.counter("ip6UnicastInMulticast"), 1);
}
