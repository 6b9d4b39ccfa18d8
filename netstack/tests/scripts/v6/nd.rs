//! Neighbour solicitations and advertisements: what is believed of whom, in every state of a neighbour
//! (RFC 4861 §7 and appendix C).

use super::harness::*;
use crate::harness::{Script, own_mac, peer_mac};
use netstack::net::neigh::Told;
use netstack::socket::{Family, SendMeta, SockType, SocketId};
use netstack::stack::{NeighConfig, StackConfig};
use netstack::time::Duration;

const HOST: &str = "2001:db8::1";
const OTHER: &str = "2001:db8::9";
const ASKED: &str = "2001:db8::1 > ff02::1:ff00:9 ns 2001:db8::9 sll 02:00:00:00:00:01";
const PROBED: &str = "2001:db8::1 > 2001:db8::9 ns 2001:db8::9 sll 02:00:00:00:00:01";
const SENT: &str = "2001:db8::1 > 2001:db8::9 udp 7 > 9 len 1";

fn socket(s: &mut Script) -> SocketId {
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "[::]:7".parse().unwrap()).unwrap();
    id
}

fn send(s: &mut Script, id: SocketId, dst: &str) {
    let meta = SendMeta { to: Some(format!("[{dst}]:9").parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, b"x", &meta).unwrap();
}

/// The neighbour in a state, with link address ..:09 where one is known.
fn in_state(state: &str) -> Script {
    let mut s = Script::host6();
    let id = socket(&mut s);
    let addr = ip6(OTHER).into();
    let told = |s: &mut Script, told| {
        s.stack.neigh_set(s.now, (s.ifs[0], addr), peer_mac(9), told, false).unwrap();
    };
    match state {
        "none" => {}
        "Incomplete" => send(&mut s, id, OTHER),
        "Failed" => {
            send(&mut s, id, OTHER);
            s.seconds(4);
        }
        "Reachable" => told(&mut s, Told::Reachable),
        "Permanent" => told(&mut s, Told::Permanent),
        "Stale" | "Delay" | "Probe" => {
            told(&mut s, Told::Stale);
            if state != "Stale" {
                send(&mut s, id, OTHER);
            }
            if state == "Probe" {
                s.pass(Duration::from_millis(5001));
            }
        }
        other => panic!("no state {other}"),
    }
    assert_eq!(s.nud(OTHER), state);
    s.sent6(0);
    s
}

/// The state and the last octet of the link address.
fn known(s: &mut Script) -> String {
    let state = s.nud(OTHER);
    let mac = s.stack.neighbours().find(|n| n.addr == std::net::IpAddr::V6(ip6(OTHER))).and_then(|n| n.mac);
    mac.map_or(state.clone(), |m| format!("{state} {:x}", m.0[5]))
}

/// A row of appendix C: flags and link address told, and what is known afterwards.
#[track_caller]
fn row(state: &str, cases: &[(&str, Option<u8>, &str)]) {
    for (flags, mac, after) in cases {
        let mut s = in_state(state);
        let options: Vec<Vec<u8>> = mac.iter().map(|m| tll(peer_mac(*m))).collect();
        let dst = if flags.contains('s') { HOST } else { "ff02::1" };
        let frame = nd6(OTHER, dst).na(flags, OTHER, &options);
        s.input(0, &frame);
        assert_eq!(known(&mut s), *after, "{state}, flags {flags:?}, link address {mac:?}");
    }
}

#[test]
fn who_is_not_known_is_not_learned_of_an_advertisement() {
    row("none", &[("", Some(9), "none"), ("o", Some(9), "none"), ("so", Some(9), "none")]);
}

#[test]
fn who_is_asked_for_is_known_by_any_advertisement_with_a_link_address() {
    row(
        "Incomplete",
        &[
            ("", None, "Incomplete"),
            ("so", None, "Incomplete"),
            // What waited goes out, which is a use.
            ("", Some(9), "Delay 9"),
            ("o", Some(9), "Delay 9"),
            ("s", Some(9), "Reachable 9"),
            ("so", Some(9), "Reachable 9"),
        ],
    );
}

#[test]
fn a_reachable_one_is_doubted_by_whoever_tells_another_link_address() {
    row(
        "Reachable",
        &[
            ("", Some(8), "Stale 9"),
            ("s", Some(8), "Stale 9"),
            ("o", Some(8), "Stale 8"),
            ("so", Some(8), "Reachable 8"),
            ("", Some(9), "Reachable 9"),
            ("o", Some(9), "Reachable 9"),
            ("s", Some(9), "Reachable 9"),
            ("s", None, "Reachable 9"),
            ("", None, "Reachable 9"),
        ],
    );
}

#[test]
fn a_stale_one_answers_or_changes() {
    row(
        "Stale",
        &[
            ("", Some(8), "Stale 9"),
            ("s", Some(8), "Stale 9"),
            ("o", Some(8), "Stale 8"),
            ("so", Some(8), "Reachable 8"),
            ("s", Some(9), "Reachable 9"),
            ("s", None, "Reachable 9"),
            ("o", None, "Stale 9"),
            ("", Some(9), "Stale 9"),
        ],
    );
}

#[test]
fn one_that_is_used_and_one_that_is_probed_answer_or_change() {
    for state in ["Delay", "Probe"] {
        let same = format!("{state} 9");
        row(
            state,
            &[
                ("", Some(8), &same),
                ("s", Some(8), &same),
                ("o", Some(8), "Stale 8"),
                ("so", Some(8), "Reachable 8"),
                ("s", Some(9), "Reachable 9"),
                ("s", None, "Reachable 9"),
                ("", Some(9), &same),
            ],
        );
    }
}

#[test]
fn a_permanent_one_stays() {
    row(
        "Permanent",
        &[("so", Some(8), "Permanent 9"), ("o", Some(8), "Permanent 9"), ("s", None, "Permanent 9")],
    );
}

#[test]
fn one_that_failed_is_known_when_it_tells() {
    row("Failed", &[("so", None, "Failed"), ("so", Some(9), "Reachable 9"), ("o", Some(9), "Stale 9")]);
}

#[test]
fn a_solicitation_tells_the_link_address_of_who_asks() {
    // The answer is a use of what was learned.
    for (state, mac, after) in [
        ("none", 9, "Delay 9"),
        ("Incomplete", 9, "Delay 9"),
        ("Reachable", 8, "Delay 8"),
        ("Reachable", 9, "Reachable 9"),
        ("Stale", 9, "Delay 9"),
        ("Stale", 8, "Delay 8"),
        ("Probe", 8, "Delay 8"),
        ("Delay", 9, "Delay 9"),
        ("Permanent", 8, "Permanent 9"),
    ] {
        let mut s = in_state(state);
        let ask = nd6(OTHER, "ff02::1:ff00:1").ns(HOST, &[sll(peer_mac(mac))]);
        s.input(0, &ask);
        assert_eq!(known(&mut s), after, "{state}, link address {mac}");
    }
}

#[test]
fn what_waited_goes_out_when_the_answer_comes() {
    let mut s = Script::host6();
    let id = socket(&mut s);
    send(&mut s, id, OTHER);
    send(&mut s, id, OTHER);
    s.expect6(0, &[ASKED]);
    let answer = nd6(OTHER, HOST).na("so", OTHER, &[tll(peer_mac(9))]);
    s.answers(&answer, &[SENT, SENT]);
}

#[test]
fn three_questions_a_second_apart_then_nobody_is_there() {
    let mut s = Script::host6();
    let id = socket(&mut s);
    send(&mut s, id, OTHER);
    s.expect6(0, &[ASKED]);
    s.pass(Duration::from_millis(999));
    s.expect6(0, &[]);
    s.seconds(1);
    s.expect6(0, &[ASKED]);
    s.seconds(1);
    s.expect6(0, &[ASKED]);
    s.seconds(1);
    s.expect6(0, &[]);
    assert_eq!((s.nud(OTHER), s.counter("nd6Failures")), ("Failed".into(), 1));
}

#[test]
fn who_does_not_confirm_is_probed_three_times() {
    let mut s = in_state("Delay");
    s.seconds(5);
    s.expect6(0, &[PROBED]);
    s.seconds(1);
    s.expect6(0, &[PROBED]);
    s.seconds(1);
    s.expect6(0, &[PROBED]);
    s.seconds(1);
    s.expect6(0, &[]);
    assert_eq!(s.nud(OTHER), "Failed");
}

fn is_router(s: &Script, addr: &str) -> bool {
    let addr = std::net::IpAddr::V6(ip6(addr));
    s.stack.neighbours().find(|n| n.addr == addr).expect("a neighbour").router
}

#[test]
fn who_is_a_router_is_known_by_what_it_says() {
    let mut s = in_state("Reachable");
    for (flags, link, router) in [
        ("s", None, false),
        ("rs", None, true),
        ("o", Some(9), false),
        ("r", Some(9), true),
        ("", Some(8), true),
    ] {
        let options: Vec<Vec<u8>> = link.iter().map(|m| tll(peer_mac(*m))).collect();
        let dst = if flags.contains('s') { HOST } else { "ff02::1" };
        let frame = nd6(OTHER, dst).na(flags, OTHER, &options);
        s.input(0, &frame);
        assert_eq!(is_router(&s, OTHER), router, "flags {flags:?}, link address {link:?}");
    }
    // What asks for routers is none; what advertises, and where a redirect leads, is one.
    let mut s = Script::listener6();
    let advert = nd6(PEER, "ff02::1").ra(ra(600), &[sll(peer_mac(1))]);
    s.input(0, &advert);
    assert!(is_router(&s, PEER));
    let redirect = nd6(PEER, OWN).redirect(PEER2, "2001:db8:f::1", &[tll(peer_mac(2))]);
    s.input(0, &redirect);
    assert!(is_router(&s, PEER2));
    let redirect = nd6(PEER, OWN).redirect("2001:db8:f::2", "2001:db8:f::2", &[tll(peer_mac(3))]);
    s.input(0, &redirect);
    assert!(!is_router(&s, "2001:db8:f::2"));
}

#[test]
fn what_a_program_tells_of_a_neighbour_goes_on_from_there() {
    let addr = std::net::IpAddr::V6(ip6(OTHER));
    let tell = |s: &mut Script, told| {
        s.stack.neigh_set(s.now, (s.ifs[0], addr), peer_mac(9), told, true).unwrap();
    };
    let mut s = Script::host6();
    tell(&mut s, Told::Probe);
    assert!(is_router(&s, OTHER));
    s.seconds(0);
    s.expect6(0, &[PROBED]);
    s.seconds(3);
    assert_eq!(s.nud(OTHER), "Failed");
    s.sent6(0);
    tell(&mut s, Told::Delay);
    s.seconds(4);
    s.expect6(0, &[]);
    s.seconds(2);
    assert_eq!(s.sent6(0)[0], PROBED);
    // Failed: what waited is lost, and the next packet asks everybody.
    let mut s = in_state("Incomplete");
    tell(&mut s, Told::Failed);
    assert_eq!((s.nud(OTHER), s.counter("neighUnreachable")), ("Failed".into(), 1));
    // Wanted, without a packet.
    s.stack.neigh_use(s.now, s.ifs[0], addr).unwrap();
    s.expect6(0, &[ASKED]);
    s.stack.neigh_use(s.now, s.ifs[0], addr).unwrap();
    s.expect6(0, &[]);
    let answer = nd6(OTHER, HOST).na("so", OTHER, &[tll(peer_mac(9))]);
    s.answers(&answer, &[]);
    assert_eq!(s.nud(OTHER), "Reachable");
}

#[test]
fn only_so_many_packets_wait_and_the_oldest_goes() {
    let neigh = NeighConfig { queue: 3, ..NeighConfig::default() };
    let mut s = Script::new6(StackConfig { neigh, ..StackConfig::default() }, plain6(), &["2001:db8::1/64"]);
    let id = socket(&mut s);
    for _ in 0..5 {
        send(&mut s, id, OTHER);
    }
    s.expect6(0, &[ASKED]);
    let answer = nd6(OTHER, HOST).na("so", OTHER, &[tll(peer_mac(9))]);
    s.answers(&answer, &[SENT, SENT, SENT]);
    assert_eq!(s.counter("neighQueueFull"), 2);
}

#[test]
fn a_scan_of_a_subnet_puts_no_working_neighbour_out() {
    let neigh = NeighConfig { entries: 64, ..NeighConfig::default() };
    let mut s = Script::new6(StackConfig { neigh, ..StackConfig::default() }, plain6(), &["2001:db8::1/64"]);
    let id = socket(&mut s);
    s.stack.neigh_set(s.now, (s.ifs[0], ip6(OTHER).into()), peer_mac(9), Told::Reachable, false).unwrap();
    for n in 0..2000u32 {
        send(&mut s, id, &format!("2001:db8::f:{n:x}"));
        if n % 20 == 0 {
            send(&mut s, id, OTHER);
        }
        s.sent6(0);
    }
    assert_eq!(s.stack.neighbours().count(), 64);
    assert!(known(&mut s).ends_with(" 9"), "{}", known(&mut s));
}

#[test]
fn forged_solicitations_are_neither_answered_nor_believed() {
    let mut s = Script::host6();
    let good = nd6(OTHER, "ff02::1:ff00:1");
    let link = [sll(peer_mac(9))];
    let nobody = nd6("::", "ff02::1:ff00:1");
    let mut no_length = link[0].clone();
    no_length[1] = 0;
    for (what, frame) in [
        ("hop limit 254", good.clone().hops(254).ns(HOST, &link)),
        ("code 1", good.icmp(135, 1, [0; 4], &ip6(HOST).octets())),
        ("a group as target", good.ns("ff02::1", &link)),
        ("no option length", good.ns(HOST, &[no_length])),
        ("too short", good.icmp(135, 0, [0; 4], &[0; 15])),
        ("nobody with a link address", nobody.ns(HOST, &link)),
        ("nobody to all nodes", nd6("::", "ff02::1").ns(HOST, &[])),
        ("a zone on the wire", good.ns("fe80:1::1", &link)),
    ] {
        s.input(0, &frame);
        assert_eq!((s.sent6(0), s.nud(OTHER)), (vec![], "none".into()), "{what}");
    }
    assert_eq!(s.counter("nd6Invalid"), 8);
}

#[test]
fn forged_advertisements_are_not_believed() {
    let good = nd6(OTHER, HOST);
    let link = [tll(peer_mac(8))];
    let mut no_length = link[0].clone();
    no_length[1] = 0;
    for (what, frame) in [
        ("hop limit 254", good.clone().hops(254).na("so", OTHER, &link)),
        ("code 1", good.icmp(136, 1, [0x60, 0, 0, 0], &ip6(OTHER).octets())),
        ("a group as target", good.na("so", "ff02::1", &link)),
        ("no option length", good.na("so", OTHER, &[no_length])),
        ("solicited to a group", nd6(OTHER, "ff02::1").na("so", OTHER, &link)),
        ("too short", good.icmp(136, 0, [0x60, 0, 0, 0], &[0; 15])),
    ] {
        let mut s = in_state("Stale");
        s.input(0, &frame);
        assert_eq!(known(&mut s), "Stale 9", "{what}");
        assert_eq!(s.counter("nd6Invalid"), 1, "{what}");
    }
}

#[test]
fn solicitations_are_answered_with_our_link_address() {
    let mut s = Script::host6();
    let link = [sll(peer_mac(9))];
    let told = "2001:db8::1 > 2001:db8::9 na 2001:db8::1 -so tll 02:00:00:00:00:01";
    let ask = nd6(OTHER, "ff02::1:ff00:1").ns(HOST, &link);
    s.answers(&ask, &[told]);
    let ask = nd6(OTHER, HOST).ns(HOST, &[]);
    s.answers(&ask, &[told]);
    let local = nd6(PEER, "ff02::1:ff00:1").ns(OWN, &[sll(peer_mac(1))]);
    s.answers(&local, &["fe80::ff:fe00:1 > fe80::ff:fe00:101 na fe80::ff:fe00:1 -so tll 02:00:00:00:00:01"]);
    let nobody = nd6("::", "ff02::1:ff00:1").ns(HOST, &[]);
    s.answers(&nobody, &["2001:db8::1 > ff02::1 na 2001:db8::1 --o tll 02:00:00:00:00:01"]);
    let others = nd6(OTHER, "ff02::1:ff00:1").ns("2001:db8:7::1", &link);
    s.answers(&others, &[]);
}

#[test]
fn a_router_says_that_it_is_one() {
    let mut s = Script::router6();
    let ask = nd6(OTHER, "ff02::1:ff00:1").ns(HOST, &[sll(peer_mac(9))]);
    s.answers(&ask, &["2001:db8::1 > 2001:db8::9 na 2001:db8::1 rso tll 02:00:00:00:00:01"]);
}

#[test]
fn a_new_link_address_is_told_where_announcing_is_wanted() {
    for (announce, told) in [(true, 2), (false, 0)] {
        let neigh = NeighConfig { announce, ..NeighConfig::default() };
        let mut s =
            Script::new6(StackConfig { neigh, ..StackConfig::default() }, plain6(), &["2001:db8::1/64"]);
        s.stack.if_set_mac(s.ifs[0], own_mac(7)).unwrap();
        let seen = s.sent6(0);
        assert_eq!(seen.len(), told, "{seen:?}");
        if announce {
            assert_eq!(seen[0], "2001:db8::1 > ff02::1 na 2001:db8::1 --o tll 02:00:00:00:00:07");
        }
    }
}
