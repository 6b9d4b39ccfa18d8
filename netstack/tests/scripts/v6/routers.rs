//! What a host makes of routers: RFC 4861 §6.3, RFC 4191, RFC 8106; and of forged ones.

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::netinet6::in6_ifaddr::{Dad, Ipv6Config};
use netstack::netinet6::nd6_rtr::RaLink;
use netstack::socket::{Family, SendMeta, SockType};
use netstack::stack::{Event, StackConfig};
use netstack::time::Duration;

const RS: &str = "fe80::ff:fe00:1 > ff02::2 rs sll 02:00:00:00:00:01";

fn hear(s: &mut Script, from: &str, ra: Ra, options: &[Vec<u8>]) {
    let frame = nd6(from, "ff02::1").ra(ra, options);
    s.input(0, &frame);
}

/// Where a datagram to somewhere goes.
fn way(s: &Script, dst: &str) -> String {
    match s.stack.way(ip6(dst).into(), None) {
        Ok(way) => way.via.map_or("on link".into(), |v| v.to_string()),
        Err(e) => format!("{e:?}"),
    }
}

fn send(s: &mut Script, dst: &str) {
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    let meta = SendMeta { to: Some(format!("[{dst}]:9").parse().unwrap()), ..SendMeta::default() };
    let _ = s.stack.send(s.now, id, b"x", &meta);
    s.stack.close(s.now, id).unwrap();
}

#[test]
fn a_host_asks_three_times_four_seconds_apart() {
    let mut s = Script::listener6();
    s.seconds(1);
    s.expect6(0, &[RS]);
    s.seconds(4);
    s.expect6(0, &[RS]);
    s.seconds(4);
    s.expect6(0, &[RS]);
    s.seconds(600);
    s.expect6(0, &[]);
    assert_eq!(s.counter("nd6OutRouterSolicits"), 3);
}

#[test]
fn an_answer_ends_the_questions() {
    let mut s = Script::listener6();
    s.seconds(1);
    s.expect6(0, &[RS]);
    hear(&mut s, PEER, ra(0), &[]);
    s.seconds(4);
    s.expect6(0, &[RS]);
    hear(&mut s, PEER, ra(600), &[]);
    s.seconds(60);
    s.expect6(0, &[]);
}

#[test]
fn who_is_not_sure_of_its_address_tells_no_link_address() {
    let six = Ipv6Config { dad: Dad::Optimistic, dad_transmits: 9, ..slaac6() };
    let mut s = Script::new6(StackConfig::default(), six, &[""]);
    s.seconds(1);
    let seen: Vec<String> = s.sent6(0).into_iter().filter(|l| l.contains(" rs")).collect();
    assert_eq!(seen, ["fe80::ff:fe00:1 > ff02::2 rs"]);
    let six = Ipv6Config { dad: Dad::On, dad_transmits: 9, ..slaac6() };
    let mut s = Script::new6(StackConfig::default(), six, &[""]);
    s.seconds(1);
    let seen: Vec<String> = s.sent6(0).into_iter().filter(|l| l.contains(" rs")).collect();
    assert_eq!(seen, [":: > ff02::2 rs"]);
}

#[test]
fn routers_and_those_who_are_told_not_to_ask_nobody_and_believe_nobody() {
    let router = StackConfig { forwarding: true, ..StackConfig::default() };
    for (config, six) in [(router, slaac6()), (StackConfig::default(), plain6())] {
        let mut s = Script::new6(config, six, &[""]);
        s.seconds(20);
        s.expect6(0, &[]);
        hear(&mut s, PEER, ra(600), &[pio("2001:db8::/64", "la", 600, 600)]);
        assert!(s.routes6().is_empty() && s.addrs6(0).is_empty());
    }
}

#[test]
fn an_advertisement_makes_a_default_route_until_its_lifetime_ends() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(600), &[sll(peer_mac(1))]);
    assert_eq!(s.routes6(), ["::/0 via fe80::ff:fe00:101 metric 1024"]);
    assert_eq!(s.nud(PEER), "Stale");
    s.seconds(599);
    hear(&mut s, PEER, ra(600), &[]);
    s.seconds(599);
    assert_eq!(s.routes6().len(), 1, "told again");
    s.seconds(1);
    assert!(s.routes6().is_empty());
    let told = s.events().into_iter().filter(|e| matches!(e, Event::Route { .. })).count();
    assert_eq!(told, 2);
}

#[test]
fn lifetime_zero_takes_the_router_away() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(600), &[]);
    hear(&mut s, PEER2, ra(0), &[]);
    assert_eq!(s.routes6().len(), 1);
    hear(&mut s, PEER, ra(0), &[]);
    assert!(s.routes6().is_empty());
}

#[test]
fn forged_advertisements_are_ignored() {
    let mut s = Script::listener6();
    let options = [pio("2001:db8::/64", "la", 600, 600)];
    let good = nd6(PEER, "ff02::1");
    let mut no_length = options[0].clone();
    no_length[1] = 0;
    let mut long = options[0].clone();
    long[1] = 5;
    for (what, frame) in [
        ("a global source", nd6("2001:db8::66", "ff02::1").ra(ra(600), &options)),
        ("nobody", nd6("::", "ff02::1").ra(ra(600), &options)),
        ("hop limit 254", good.clone().hops(254).ra(ra(600), &options)),
        ("code 1", good.ra(Ra { code: 1, ..ra(600) }, &options)),
        ("no option length", good.ra(ra(600), &[no_length])),
        ("an option beyond the end", good.ra(ra(600), &[long])),
        ("too short", good.icmp(134, 0, [0, 0, 2, 0], &[0; 7])),
    ] {
        s.input(0, &frame);
        assert!(s.routes6().is_empty() && s.addrs6(0).is_empty(), "{what}");
    }
    assert_eq!(s.counter("nd6Invalid"), 7);
    let mut spoilt = good.ra(ra(600), &options);
    spoilt[60] ^= 1;
    s.input(0, &spoilt);
    assert_eq!(s.counter("icmp6InErrors"), 1);
    assert!(s.routes6().is_empty());
}

#[test]
fn the_preferred_router_is_taken() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(600), &[]);
    hear(&mut s, PEER2, Ra { flags: 1 << 3, ..ra(600) }, &[]);
    assert_eq!(s.routes6().len(), 2);
    for n in 1..40 {
        assert_eq!(way(&s, &format!("2001:db8:f::{n}")), PEER2);
    }
    hear(&mut s, PEER2, Ra { flags: 3 << 3, ..ra(600) }, &[]);
    assert_eq!(way(&s, "2001:db8:f::1"), PEER);
    // The reserved value is as medium: both are taken.
    hear(&mut s, PEER2, Ra { flags: 2 << 3, ..ra(600) }, &[]);
    let ways: std::collections::BTreeSet<String> =
        (1..40).map(|n| way(&s, &format!("2001:db8:f::{n}"))).collect();
    assert_eq!(ways.len(), 2);
}

#[test]
fn a_router_that_does_not_answer_gives_way_to_one_that_may() {
    let mut s = Script::listener6();
    s.seconds(20);
    s.sent6(0);
    hear(&mut s, PEER, Ra { flags: 1 << 3, ..ra(9000) }, &[]);
    hear(&mut s, PEER2, Ra { flags: 3 << 3, ..ra(9000) }, &[sll(peer_mac(2))]);
    assert_eq!(way(&s, "2001:db8:f::1"), PEER);
    s.stack.addr_add(s.now, s.ifs[0], "2001:db8::1/64".parse().unwrap()).unwrap();
    send(&mut s, "2001:db8:f::1");
    s.seconds(4);
    assert_eq!(s.nud(PEER), "Failed");
    assert_eq!(way(&s, "2001:db8:f::1"), PEER2);
    // Once a minute it is asked whether it is there again.
    s.sent6(0);
    s.seconds(60);
    let asked = "fe80::ff:fe00:1 > ff02::1:ff00:101 ns fe80::ff:fe00:101 sll 02:00:00:00:00:01";
    assert!(s.sent6(0).contains(&asked.to_owned()));
    let answer = nd6(PEER, OWN).na("rso", PEER, &[tll(peer_mac(1))]);
    s.input(0, &answer);
    assert_eq!(way(&s, "2001:db8:f::1"), PEER);
}

#[test]
fn a_router_that_says_it_is_none_is_used_no_more() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(600), &[sll(peer_mac(1)), rio("2001:db8:a::/48", 0, 600)]);
    assert_eq!(s.routes6().len(), 2);
    // Of somebody who is not known, or another link address, nothing is believed without the flag.
    let stranger = nd6(PEER2, "ff02::1").na("o", PEER2, &[tll(peer_mac(2))]);
    s.input(0, &stranger);
    let liar = nd6(PEER, "ff02::1").na("", PEER, &[tll(peer_mac(9))]);
    s.input(0, &liar);
    assert_eq!(s.routes6().len(), 2);
    let host = nd6(PEER, "ff02::1").na("o", PEER, &[tll(peer_mac(1))]);
    s.input(0, &host);
    assert!(s.routes6().is_empty());
}

#[test]
fn more_specific_routes_lead_by_their_router() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(600), &[]);
    hear(&mut s, PEER2, ra(0), &[rio("2001:db8:a::/48", 0, 60), rio("fe80::/64", 0, 60)]);
    assert_eq!(
        s.routes6(),
        ["::/0 via fe80::ff:fe00:101 metric 1024", "2001:db8:a::/48 via fe80::ff:fe00:102 metric 1024"]
    );
    assert_eq!((way(&s, "2001:db8:a::9"), way(&s, "2001:db8:b::9")), (PEER2.into(), PEER.into()));
    s.seconds(60);
    assert_eq!(way(&s, "2001:db8:a::9"), PEER);
    // Of a reserved preference nothing is believed, nor a length that the option cannot hold.
    let mut wrong = rio("2001:db8:a::/48", 0, 60);
    wrong[2] = 129;
    hear(&mut s, PEER2, ra(0), &[rio("2001:db8:a::/48", 2, 60), wrong]);
    assert_eq!(s.routes6().len(), 1);
    // ::/0 is what the header says, too; the option has the last word.
    hear(&mut s, PEER2, ra(0), &[rio("::/0", 1, 60)]);
    assert_eq!(way(&s, "2001:db8:b::9"), PEER2);
}

#[test]
fn what_is_told_of_the_link_is_kept() {
    let mut s = Script::listener6();
    let told = Ra { hop_limit: 33, flags: 0xc0, reachable_ms: 7000, retrans_ms: 250, ..ra(600) };
    hear(&mut s, PEER, told, &[mtu(1400)]);
    let link = RaLink {
        hop_limit: Some(33),
        mtu: Some(1400),
        reachable: Some(Duration::from_secs(7)),
        retrans: Some(Duration::from_millis(250)),
        managed: true,
        other: true,
    };
    assert_eq!(s.stack.ra_link(s.ifs[0]), Some(link));
    // Zeros say nothing, nor do an MTU that cannot be and a time beyond an hour.
    hear(&mut s, PEER, Ra { reachable_ms: 3_600_001, ..ra(600) }, &[mtu(1279), mtu(1501)]);
    assert_eq!(s.stack.ra_link(s.ifs[0]), Some(RaLink { managed: false, other: false, ..link }));
}

#[test]
fn hop_limit_mtu_and_times_take_effect() {
    let mut s = Script::listener6();
    s.seconds(20);
    s.sent6(0);
    hear(
        &mut s,
        PEER,
        Ra { hop_limit: 33, retrans_ms: 250, reachable_ms: 7000, ..ra(600) },
        &[mtu(1300), sll(peer_mac(1))],
    );
    let echo = from6(PEER, OWN).echo(1, 1, &[0; 1400]);
    s.answers(
        &echo,
        &[
            "fe80::ff:fe00:1 > fe80::ff:fe00:101 frag 0:1248+ hop 33",
            "fe80::ff:fe00:1 > fe80::ff:fe00:101 frag 1248:160 hop 33",
        ],
    );
    s.stack.addr_add(s.now, s.ifs[0], "2001:db8::1/64".parse().unwrap()).unwrap();
    send(&mut s, "2001:db8::9");
    s.pass(Duration::from_millis(760));
    let asked = s.sent6(0).iter().filter(|l| l.contains("ns 2001:db8::9")).count();
    assert_eq!(asked, 3, "every 250 ms");
    assert_eq!(s.nud("2001:db8::9"), "Failed");
    let answer = nd6(PEER, OWN).na("rso", PEER, &[tll(peer_mac(1))]);
    s.input(0, &answer);
    assert_eq!(s.nud(PEER), "Reachable");
    s.pass(Duration::from_millis(10_501));
    assert_eq!(s.nud(PEER), "Stale", "at most 1.5 times 7 s");
}

#[test]
fn name_servers_and_their_lifetimes() {
    let mut s = Script::listener6();
    let resolvers =
        |s: &mut Script| s.events().into_iter().filter(|e| matches!(e, Event::Resolvers { .. })).count();
    let dnssl = |lifetime: u32| {
        [&[31, 2, 0, 0][..], &lifetime.to_be_bytes(), &[3, b'l', b'a', b'b', 0, 0, 0, 0]].concat()
    };
    hear(&mut s, PEER, ra(600), &[rdnss(60, &["2001:db8::53", "ff02::fb"]), dnssl(90)]);
    assert_eq!(resolvers(&mut s), 2);
    let servers =
        |s: &Script| s.stack.ra_servers(s.ifs[0]).iter().map(|(a, _)| a.to_string()).collect::<Vec<_>>();
    assert_eq!(servers(&s), ["2001:db8::53"]);
    assert_eq!(s.stack.ra_domains(s.ifs[0])[0].0, "lab");
    s.seconds(30);
    hear(&mut s, PEER, ra(600), &[rdnss(60, &["2001:db8::53"])]);
    assert_eq!(resolvers(&mut s), 0, "told again is no news");
    s.seconds(59);
    assert_eq!(servers(&s).len(), 1);
    s.seconds(1);
    assert!(servers(&s).is_empty() && s.stack.ra_domains(s.ifs[0]).is_empty());
    assert_eq!(resolvers(&mut s), 1, "both at once");
    hear(&mut s, PEER, ra(600), &[rdnss(60, &["2001:db8::53"])]);
    hear(&mut s, PEER, ra(600), &[rdnss(0, &["2001:db8::53"])]);
    assert!(servers(&s).is_empty());
}

#[test]
fn a_flood_of_routers_puts_nobody_out() {
    let mut s = Script::listener6();
    hear(&mut s, PEER, ra(9000), &[pio("2001:db8::/64", "la", 9000, 9000), rdnss(9000, &["2001:db8::53"])]);
    let before = s.addrs6(0);
    for n in 0..3000u32 {
        let router = format!("fe80::{:x}:{:x}", 0xa + (n >> 8), n & 0xff);
        let (a, b) = (format!("2001:db8:{:x}::/64", n + 1), format!("2001:db8:{:x}::/48", n + 1));
        let server = format!("2001:db8::{:x}:1", n + 1);
        hear(
            &mut s,
            &router,
            ra(9000),
            &[pio(&a, "la", 9000, 9000), rio(&b, 0, 9000), rdnss(9000, &[&server])],
        );
    }
    let ifindex = s.ifs[0];
    let defaults = s.stack.ra_routes(ifindex).filter(|r| r.to.prefix_len() == 0).count();
    assert_eq!((defaults, s.stack.ra_routes(ifindex).count()), (16, 64));
    assert_eq!((s.stack.ra_prefixes(ifindex).count(), s.stack.ra_servers(ifindex).len()), (32, 16));
    assert_eq!(s.addrs6(0).len(), 16);
    assert!(s.addrs6(0).contains(&before[0]));
    assert!(s.stack.ra_routes(ifindex).any(|r| r.router == ip6(PEER)));
    assert_eq!(s.stack.ra_servers(ifindex)[0].0, ip6("2001:db8::53"));
}

#[test]
fn a_dead_router_makes_room_in_a_full_list() {
    let mut s = Script::listener6();
    for n in 1..=16 {
        hear(&mut s, &format!("fe80::{n:x}"), ra(9000), &[]);
    }
    hear(&mut s, "fe80::99", ra(9000), &[]);
    let has = |s: &Script, router: &str| s.stack.ra_routes(s.ifs[0]).any(|r| r.router == ip6(router));
    assert!(!has(&s, "fe80::99"));
    s.stack.addr_add(s.now, s.ifs[0], "2001:db8::1/64".parse().unwrap()).unwrap();
    send(&mut s, "2001:db8:f::1");
    s.seconds(4);
    let failed = |n: &netstack::net::neigh::Neighbour| n.state == netstack::net::neigh::NudState::Failed;
    let dead = s.stack.neighbours().find(failed).unwrap().addr.to_string();
    hear(&mut s, "fe80::99", ra(9000), &[]);
    assert!(has(&s, "fe80::99") && !has(&s, &dead));
}

#[test]
fn what_was_told_goes_with_the_interface_and_is_asked_anew() {
    let mut s = Script::listener6();
    let all = [mtu(1400), rdnss(600, &["2001:db8::53"]), pio("2001:db8::/64", "l", 600, 600)];
    hear(&mut s, PEER, ra(600), &all);
    s.seconds(20);
    s.sent6(0);
    s.stack.if_set_up(s.now, s.ifs[0], false).unwrap();
    assert!(s.routes6().is_empty() && s.stack.ra_servers(s.ifs[0]).is_empty());
    assert_eq!(s.stack.ra_link(s.ifs[0]), Some(RaLink::default()));
    s.stack.if_set_up(s.now, s.ifs[0], true).unwrap();
    s.seconds(1);
    s.expect6(0, &[RS]);
    // A wire that is away for a moment says nothing about routers.
    hear(&mut s, PEER, ra(600), &all);
    s.stack.if_set_carrier(s.now, s.ifs[0], false).unwrap();
    s.stack.if_set_carrier(s.now, s.ifs[0], true).unwrap();
    assert_eq!(way(&s, "2001:db8:f::1"), PEER);
    s.seconds(1);
    s.expect6(0, &[RS]);
    s.stack.if_detach(s.ifs[0]).unwrap();
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn who_begins_to_forward_forgets_its_routers_and_who_ends_asks() {
    let mut s = Script::listener6();
    s.seconds(20);
    s.sent6(0);
    hear(&mut s, PEER, ra(600), &[]);
    s.stack.set_forwarding(true);
    assert!(s.routes6().is_empty());
    s.stack.set_forwarding(false);
    s.seconds(1);
    s.expect6(0, &[RS]);
}
