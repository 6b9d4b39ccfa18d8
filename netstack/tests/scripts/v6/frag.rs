//! Fragments: RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 6980, RFC 7112, RFC 3168 §5.3.

use super::harness::*;
use crate::harness::Script;
use netstack::stack::{ReassConfig, StackConfig};

const HOST: &str = "2001:db8::1";
const OTHER: &str = "2001:db8::9";
const WHOLE: &str = "2001:db8::1 > 2001:db8::9 reply 1.1 len 56";

fn host() -> Script {
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    s
}

fn p() -> Ip6 {
    from6(OTHER, HOST)
}

/// An echo request of 64 octets.
fn echo() -> Vec<u8> {
    p().icmp_octets(128, 0, [0, 1, 0, 1], &[7; 56])
}

/// Octets `from..to` of it as a fragment.
fn part(id: u32, from: usize, to: usize) -> Vec<u8> {
    p().frag(id, from as u16, to < 64).raw(58, &echo()[from..to])
}

fn problem(code: u8, at: usize, quoting: usize) -> String {
    format!("2001:db8::1 > 2001:db8::9 problem {code} at {at} about 2001:db8::1 quoting {quoting}")
}

#[test]
fn fragments_in_any_order_make_the_packet() {
    for order in [[0, 16, 40], [40, 16, 0], [16, 40, 0], [16, 0, 40]] {
        let mut s = host();
        for at in order {
            s.expect6(0, &[]);
            let to = [16, 40, 64][usize::from(at >= 16) + usize::from(at >= 40)];
            s.input(0, &part(1, at, to));
        }
        s.expect6(0, &[WHOLE]);
        assert_eq!((s.counter("ip6ReasmReqds"), s.counter("ip6ReasmOKs")), (3, 1));
    }
}

#[test]
fn an_atomic_fragment_is_a_packet_of_its_own() {
    let mut s = host();
    // Others with its identification do not matter.
    s.answers(&part(1, 0, 16), &[]);
    s.answers(&p().frag(1, 0, false).raw(58, &echo()), &[WHOLE]);
    s.answers(&part(1, 16, 64), &[WHOLE]);
    assert_eq!(s.counter("ip6ReasmOKs"), 1);
}

#[test]
fn overlaps_end_the_whole_packet() {
    for (from, to) in [(8, 24), (16, 24), (24, 40), (0, 24), (32, 48)] {
        let mut s = host();
        s.input(0, &part(1, 0, 16));
        s.input(0, &part(1, 24, 40));
        s.input(0, &part(1, from, to));
        s.input(0, &part(1, 16, 24));
        s.input(0, &part(1, 40, 64));
        // Two of these are duplicates.
        let whole = matches!((from, to), (16, 24) | (24, 40));
        assert_eq!(s.sent6(0).len(), usize::from(whole), "{from}..{to}");
    }
}

#[test]
fn a_duplicate_is_no_overlap() {
    let mut s = host();
    s.input(0, &part(1, 0, 16));
    s.input(0, &part(1, 0, 16));
    s.input(0, &part(1, 16, 64));
    s.expect6(0, &[WHOLE]);
}

#[test]
fn packets_that_come_at_once_are_told_apart() {
    let mut s = host();
    s.neighbour6(0, "2001:db8::a");
    let other = from6("2001:db8::a", HOST);
    let octets = other.icmp_octets(128, 0, [0, 2, 0, 2], &[8; 56]);
    s.input(0, &part(1, 0, 32));
    s.input(0, &other.clone().frag(1, 0, true).raw(58, &octets[..32]));
    s.input(0, &part(2, 0, 32));
    s.input(0, &part(2, 32, 64));
    s.expect6(0, &[WHOLE]);
    s.input(0, &other.frag(1, 32, false).raw(58, &octets[32..]));
    s.expect6(0, &["2001:db8::1 > 2001:db8::a reply 2.2 len 56"]);
    s.input(0, &part(1, 32, 64));
    s.expect6(0, &[WHOLE]);
}

#[test]
fn a_length_that_is_no_multiple_of_eight_is_told() {
    host().answers(&p().frag(1, 0, true).raw(58, &echo()[..12]), &[&problem(0, 4, 60)]);
    host().answers(&p().frag(1, 0, false).raw(58, &echo()[..12]), &[]);
}

#[test]
fn more_than_a_packet_can_be_is_told() {
    host().answers(&p().frag(1, 65_528, false).raw(58, &[0; 8]), &[&problem(0, 42, 56)]);
    host().answers(&p().frag(1, 65_520, false).raw(58, &[0; 8]), &[]);
}

#[test]
fn the_first_fragment_has_all_headers() {
    let split = p().frag(1, 0, true).raw(60, &[58, 1, 1, 4, 0, 0, 0, 0]);
    host().answers(&split, &[&problem(3, 0, 56)]);
    let none = p().frag(1, 0, true).raw(60, &[17, 0, 1, 4, 0, 0, 0, 0]);
    host().answers(&none, &[&problem(3, 0, 56)]);
    // As Linux: it might have been an error, but nobody can tell, and RFC 8200 §4.5 makes no exception.
    let icmp = p().frag(1, 0, true).raw(60, &[58, 0, 1, 4, 0, 0, 0, 0]);
    host().answers(&icmp, &[&problem(3, 0, 56)]);
    let error = p().frag(1, 0, true).raw(58, &[]);
    host().answers(&error, &[&problem(3, 0, 48)]);
}

#[test]
fn headers_behind_the_fragment_header_are_looked_at_when_it_is_whole() {
    let mut s = host();
    let octets = [&[58, 0, 1, 4, 0, 0, 0, 0][..], &echo()].concat();
    s.answers(&p().frag(1, 0, true).raw(60, &octets[..24]), &[]);
    s.answers(&p().frag(1, 24, false).raw(60, &octets[24..]), &[WHOLE]);
    // An option that must be known: the packet in the error is the whole.
    let octets = [&[58, 0, 0x9e, 4, 0, 0, 0, 0][..], &echo()].concat();
    s.answers(&p().frag(2, 0, true).raw(60, &octets[..24]), &[]);
    s.answers(&p().frag(2, 24, false).raw(60, &octets[24..]), &[&problem(2, 42, 112)]);
}

#[test]
fn headers_before_the_fragment_header_stay() {
    let mut s = host();
    let pad = [1, 4, 0, 0, 0, 0];
    s.answers(&p().ext(0, &pad).frag(1, 0, true).raw(58, &echo()[..16]), &[]);
    s.answers(&p().ext(0, &pad).frag(1, 16, false).raw(58, &echo()[16..]), &[WHOLE]);
}

#[test]
fn time_is_over_after_a_minute_and_the_sender_of_the_first_hears_of_it() {
    let mut s = host();
    s.input(0, &part(1, 0, 16));
    s.seconds(59);
    s.expect6(0, &[]);
    s.seconds(1);
    s.expect6(0, &["2001:db8::1 > 2001:db8::9 time-exceeded 1 about 2001:db8::1 quoting 64"]);
    s.answers(&part(1, 16, 64), &[]);
    assert_eq!(s.counter("ip6ReasmFails"), 1);
}

#[test]
fn without_the_first_fragment_nobody_hears_of_it() {
    let mut s = host();
    s.input(0, &part(1, 16, 64));
    s.seconds(61);
    s.expect6(0, &[]);
    assert_eq!(s.counter("ip6ReasmFails"), 1);
}

#[test]
fn a_flood_of_first_fragments_costs_a_limited_number_and_the_latest_get_through() {
    let reass = ReassConfig { datagrams: 16, ..ReassConfig::default() };
    let mut s = Script::new6(StackConfig { reass, ..StackConfig::default() }, plain6(), &["2001:db8::1/64"]);
    s.neighbour6(0, OTHER);
    for id in 10..500 {
        s.input(0, &part(id, 0, 16));
    }
    s.input(0, &part(1, 0, 32));
    s.input(0, &part(1, 32, 64));
    s.expect6(0, &[WHOLE]);
    assert!(s.counter("ip6ReasmFails") >= 474);
}

#[test]
fn a_mark_of_congestion_on_one_fragment_is_of_the_whole() {
    let (ect, ce, not) = (2, 3, 0);
    let send = |classes: [u8; 2]| {
        let mut s = host();
        s.input(0, &p().class(classes[0]).frag(1, 0, true).raw(58, &echo()[..32]));
        s.input(0, &p().class(classes[1]).frag(1, 32, false).raw(58, &echo()[32..]));
        s.sent6(0)
    };
    assert_eq!(send([ect, ce]), ["2001:db8::1 > 2001:db8::9 class 3 reply 1.1 len 56"]);
    assert_eq!(send([ect, ect]), ["2001:db8::1 > 2001:db8::9 class 2 reply 1.1 len 56"]);
    assert!(send([not, ce]).is_empty(), "who cannot have set it has not");
}

#[test]
fn fragments_to_others_pass_as_they_are() {
    let mut s = Script::router6();
    s.neighbour6(1, "2001:db8:1::9");
    let far = from6(OTHER, "2001:db8:1::9");
    s.input(0, &far.clone().frag(1, 16, false).raw(58, &[0; 48]));
    s.input(0, &far.frag(2, 0, true).raw(58, &[0; 12]));
    s.expect6(
        1,
        &["2001:db8::9 > 2001:db8:1::9 frag 16:48 hop 63", "2001:db8::9 > 2001:db8:1::9 frag 0:12+ hop 63"],
    );
}

/// RFC 6980 §5
#[test]
fn neighbour_discovery_in_fragments_is_ignored() {
    let mut s = host();
    let (ask, told) =
        (nd6(OTHER, HOST), "2001:db8::1 > 2001:db8::9 na 2001:db8::1 -so tll 02:00:00:00:00:01");
    let message = ask.ns(HOST, &[])[14 + 40..].to_vec();
    s.answers(&ask.raw(58, &message), &[told]);
    s.answers(&ask.clone().frag(1, 0, false).raw(58, &message), &[]);
    s.answers(&ask.clone().frag(2, 0, true).raw(58, &message[..16]), &[]);
    s.answers(&ask.frag(2, 16, false).raw(58, &message[16..]), &[]);
    assert_eq!(s.counter("nd6Invalid"), 2);
}
