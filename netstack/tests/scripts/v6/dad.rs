//! Duplicate address detection: RFC 4862 §5.4, RFC 4429, RFC 7527.

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::net::ifnet::multicast_mac;
use netstack::netinet6::in6_ifaddr::{AddrState, Dad, InterfaceId, Ipv6Config};
use netstack::stack::{Event, StackConfig};
use netstack::time::Duration;

const ADDR: &str = "2001:db8::7";
const GROUP: &str = "ff02::1:ff00:7";
const TRIED: &str = ":: > ff02::1:ff00:7 ns 2001:db8::7 nonce";

/// A host that tries 2001:db8::7 so; nothing was sent of it yet.
fn trying(dad: Dad) -> Script {
    let mut s = Script::new6(StackConfig::default(), Ipv6Config { dad, ..plain6() }, &[""]);
    s.seconds(5);
    s.stack.addr_add(s.now, s.ifs[0], format!("{ADDR}/64").parse().unwrap()).unwrap();
    s.sent6(0);
    s.events();
    s
}

fn nonce(octets: [u8; 6]) -> Vec<u8> {
    [&[14, 1], &octets[..]].concat()
}

#[test]
fn an_address_is_tried_after_a_moment_and_is_good_a_second_later() {
    let mut s = trying(Dad::On);
    s.expect6(0, &[]);
    s.seconds(1);
    s.expect6(0, &[TRIED]);
    assert_eq!(s.state6(0, ADDR), AddrState::Tentative);
    s.seconds(1);
    s.expect6(0, &[]);
    assert_eq!(s.state6(0, ADDR), AddrState::Preferred);
}

#[test]
fn the_groups_frame_filter_is_set_before() {
    let s = trying(Dad::On);
    let filter = s.stack.rx_filter(s.ifs[0]);
    assert!(filter.multicast.contains(&multicast_mac(ip6(GROUP).into())));
}

#[test]
fn as_many_solicitations_as_wanted() {
    let six = Ipv6Config { dad: Dad::On, dad_transmits: 3, ..plain6() };
    let mut s = Script::new6(StackConfig::default(), six, &["2001:db8::7/64"]);
    s.seconds(10);
    let tried = s.sent6(0).into_iter().filter(|l| l == TRIED).count();
    assert_eq!(tried, 3);
}

#[test]
fn an_advertisement_of_it_says_that_somebody_has_it() {
    for dad in [Dad::On, Dad::Optimistic] {
        for (flags, options) in [("", vec![]), ("o", vec![tll(peer_mac(9))]), ("r", vec![])] {
            let mut s = trying(dad);
            let taken = nd6(ADDR, "ff02::1").na(flags, ADDR, &options);
            s.input(0, &taken);
            assert_eq!(s.state6(0, ADDR), AddrState::Duplicate, "{dad:?} {flags:?}");
            assert!(s.events().iter().any(|e| matches!(e, Event::AddrConflict { .. })));
            let ping = from6("2001:db8::9", ADDR).echo(1, 1, b"");
            s.answers(&ping, &[]);
        }
    }
}

#[test]
fn two_who_try_at_once_both_give_up() {
    for options in [vec![], vec![nonce([9; 6])]] {
        let mut s = trying(Dad::On);
        let other = nd6("::", GROUP).ns(ADDR, &options);
        s.input(0, &other);
        assert_eq!(s.state6(0, ADDR), AddrState::Duplicate);
    }
}

#[test]
fn an_own_solicitation_that_the_link_shows_again_says_nothing() {
    let mut s = trying(Dad::On);
    s.seconds(1);
    let sent = s.frames(0).into_iter().find(|f| f[54] == 135).unwrap();
    s.input(0, &sent);
    assert_eq!(s.state6(0, ADDR), AddrState::Tentative);
    let other = nd6("::", GROUP).ns(ADDR, &[nonce([9; 6])]);
    s.input(0, &other);
    assert_eq!(s.state6(0, ADDR), AddrState::Duplicate, "another nonce is another's");
}

#[test]
fn who_asks_for_an_address_that_is_tried_is_not_answered() {
    let mut s = trying(Dad::On);
    let ask = nd6("2001:db8::9", GROUP).ns(ADDR, &[sll(peer_mac(9))]);
    s.answers(&ask, &[]);
    assert_eq!(s.state6(0, ADDR), AddrState::Tentative, "which is no conflict");
    let unicast = nd6("2001:db8::9", ADDR).ns(ADDR, &[sll(peer_mac(9))]);
    s.answers(&unicast, &[]);
}

#[test]
fn an_optimistic_address_is_used_and_replaces_nothing() {
    let mut s = trying(Dad::Optimistic);
    assert_eq!(s.state6(0, ADDR), AddrState::Optimistic);
    let ask = nd6("2001:db8::9", GROUP).ns(ADDR, &[sll(peer_mac(9))]);
    s.answers(&ask, &["2001:db8::7 > 2001:db8::9 na 2001:db8::7 -s- tll 02:00:00:00:00:01"]);
    let ping = from6("2001:db8::a", ADDR).echo(1, 1, b"");
    s.answers(&ping, &["2001:db8::7 > ff02::1:ff00:a ns 2001:db8::a"]);
    s.seconds(3);
    s.sent6(0);
    assert_eq!(s.state6(0, ADDR), AddrState::Preferred);
    s.answers(&ask, &["2001:db8::7 > 2001:db8::9 na 2001:db8::7 -so tll 02:00:00:00:00:01"]);
}

#[test]
fn a_router_takes_nothing_for_an_address_that_it_still_tries_and_sends_nothing_on_to_it() {
    let config = StackConfig { forwarding: true, ..StackConfig::default() };
    let six = Ipv6Config { dad: Dad::On, ..plain6() };
    let mut s = Script::new6(config, six, &["2001:db8::1/64", "2001:db8:1::1/64"]);
    s.seconds(5);
    s.stack.addr_add(s.now, s.ifs[0], format!("{ADDR}/64").parse().unwrap()).unwrap();
    s.sent6(0);
    let ping = from6("2001:db8::9", ADDR).echo(1, 1, b"");
    s.answers(&ping, &[]);
    assert_eq!(s.counter("ip6Tentative"), 1);
    s.seconds(3);
    s.sent6(0);
    s.neighbour6(0, "2001:db8::9");
    s.answers(&ping, &["2001:db8::7 > 2001:db8::9 reply 1.1 len 0"]);
}

/// Neither tells its link address by asking: each answers to the group in which the other is, and troubles nobody besides.
#[test]
fn two_that_try_their_addresses_find_each_other() {
    let mut s = trying(Dad::Optimistic);
    let asks = nd6("2001:db8::a", GROUP).ns(ADDR, &[]);
    s.answers(&asks, &["2001:db8::7 > ff02::1:ff00:a na 2001:db8::7 --- tll 02:00:00:00:00:01"]);
    let ping = from6("2001:db8::a", ADDR).echo(1, 1, b"");
    s.answers(&ping, &["2001:db8::7 > ff02::1:ff00:a ns 2001:db8::a"]);
    let told = nd6("2001:db8::a", GROUP).na("", "2001:db8::a", &[tll(peer_mac(10))]);
    s.answers(&told, &["2001:db8::7 > 2001:db8::a reply 1.1 len 0"]);
}

#[test]
fn an_address_that_is_ours_is_kept_when_somebody_uses_it_and_that_is_told() {
    let mut s = Script::host6();
    let taken = nd6("2001:db8::1", "ff02::1").na("o", "2001:db8::1", &[tll(peer_mac(9))]);
    s.input(0, &taken);
    assert_eq!(s.state6(0, "2001:db8::1"), AddrState::Preferred);
    assert!(s.events().iter().any(|e| matches!(e, Event::AddrConflict { .. })));
}

#[test]
fn who_tries_our_address_hears_that_it_is_ours() {
    let mut s = Script::host6();
    let tries = nd6("::", "ff02::1:ff00:1").ns("2001:db8::1", &[nonce([9; 6])]);
    s.answers(&tries, &["2001:db8::1 > ff02::1 na 2001:db8::1 --o tll 02:00:00:00:00:01"]);
}

#[test]
fn addresses_are_tried_again_when_the_link_comes_back() {
    let mut s = trying(Dad::On);
    s.seconds(5);
    assert_eq!(s.state6(0, ADDR), AddrState::Preferred);
    s.stack.if_set_carrier(s.now, s.ifs[0], false).unwrap();
    s.sent6(0);
    s.stack.if_set_carrier(s.now, s.ifs[0], true).unwrap();
    assert_eq!(s.state6(0, ADDR), AddrState::Optimistic);
    s.pass(Duration::from_millis(1000));
    assert!(s.sent6(0).contains(&TRIED.into()));
    let taken = nd6(ADDR, "ff02::1").na("o", ADDR, &[]);
    s.input(0, &taken);
    assert_eq!(s.state6(0, ADDR), AddrState::Duplicate, "on another link it is another's");
    s.stack.if_set_up(s.now, s.ifs[0], false).unwrap();
    s.stack.if_set_up(s.now, s.ifs[0], true).unwrap();
    s.seconds(3);
    assert_eq!(s.state6(0, ADDR), AddrState::Preferred, "and here it is ours again");
}

#[test]
fn a_stable_link_local_address_that_somebody_has_is_replaced() {
    let six = Ipv6Config { dad: Dad::On, iid: InterfaceId::Stable, ..plain6() };
    let mut s = Script::new6(StackConfig::default(), six, &[""]);
    let local = |s: &Script| s.stack.interface(s.ifs[0]).unwrap().addrs()[0].addr().to_string();
    let first = local(&s);
    let taken = nd6(&first, "ff02::1").na("o", &first, &[]);
    s.input(0, &taken);
    let second = local(&s);
    assert_ne!(first, second);
    s.seconds(3);
    assert_eq!(s.state6(0, &second), AddrState::Preferred);
}

#[test]
fn a_conflict_must_be_told_by_a_neighbour() {
    let mut s = trying(Dad::On);
    let far = from6(ADDR, "ff02::1").hops(254).na("o", ADDR, &[]);
    s.input(0, &far);
    assert_eq!(s.state6(0, ADDR), AddrState::Tentative);
    let with_link = nd6("::", GROUP).ns(ADDR, &[sll(peer_mac(9))]);
    s.input(0, &with_link);
    let to_all = nd6("::", "ff02::1").ns(ADDR, &[]);
    s.input(0, &to_all);
    assert_eq!(s.state6(0, ADDR), AddrState::Tentative);
    assert_eq!(s.counter("nd6Invalid"), 3);
}

/// RFC 4862 §5.4.5: who has our link address has it on the wire, too.
#[test]
fn a_duplicate_by_the_link_address_ends_ipv6_where_that_is_wanted() {
    for (dad_disables, left) in [(false, vec!["2001:db8::7 Preferred"]), (true, vec![])] {
        let six = Ipv6Config { dad: Dad::On, dad_disables, ..plain6() };
        let mut s = Script::new6(StackConfig::default(), six, &["2001:db8::7/64"]);
        let taken = nd6("fe80::ff:fe00:1", "ff02::1").na("o", "fe80::ff:fe00:1", &[]);
        s.input(0, &taken);
        s.seconds(3);
        s.sent6(0);
        assert_eq!(s.addrs6(0), left);
        assert_eq!(s.stack.if_ipv6(s.ifs[0]).unwrap().enabled, !dad_disables);
        if !dad_disables {
            assert_eq!(s.state6(0, "fe80::ff:fe00:1"), AddrState::Duplicate);
        } else {
            let ping = from6("2001:db8::9", ADDR).echo(1, 1, b"");
            s.answers(&ping, &[]);
            // It is an administrator's to say that it speaks again.
            s.stack.if_set_ipv6(s.now, s.ifs[0], six).unwrap();
            s.seconds(3);
            assert_eq!(s.state6(0, "fe80::ff:fe00:1"), AddrState::Preferred);
        }
    }
}
