//! Router advertisements as a router sends them: RFC 4861 §6.2, RFC 4191, RFC 8106.

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::netinet6::rtadv::{RaConfig, RaError, RaPrefix, RaRoute};
use netstack::stack::StackConfig;
use netstack::time::Duration;
use netstack::wire::ndp_router::Preference;

const RA: &str = "fe80::ff:fe00:1 > ff02::1 ra hops 64 life 1800 sll 02:00:00:00:00:01";

fn advertise(s: &mut Script, config: RaConfig) {
    s.stack.if_set_ra(s.now, s.ifs[0], Some(config)).unwrap();
}

/// When advertisements came, in milliseconds since the beginning.
fn times(s: &mut Script, seconds: u64) -> Vec<u64> {
    let begin = s.now;
    let mut at = Vec::new();
    for _ in 0..seconds * 100 {
        s.pass(Duration::from_millis(10));
        at.extend(
            s.sent6(0).iter().filter(|l| l.contains(" ra ")).map(|_| s.now.since(begin).as_millis() as u64),
        );
    }
    at
}

#[test]
fn the_first_three_come_soon_and_the_others_between_the_limits() {
    let mut s = Script::router6();
    let config = RaConfig {
        max_interval: Duration::from_secs(60),
        min_interval: Duration::from_secs(30),
        ..RaConfig::default()
    };
    advertise(&mut s, config);
    let at = times(&mut s, 300);
    assert!(at[0] <= 510, "the first at once: {at:?}");
    let gaps: Vec<u64> = at.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps[..3].iter().all(|&g| g <= 16_010), "then within 16 s: {gaps:?}");
    assert!(gaps[3..].iter().all(|g| (29_990..=60_010).contains(g)), "{gaps:?}");
    assert!(gaps[3..].windows(2).any(|w| w[0] != w[1]), "at random: {gaps:?}");
}

#[test]
fn all_of_the_variables_are_told() {
    let mut s = Script::router6();
    let config = RaConfig {
        prefixes: vec![
            RaPrefix::new("2001:db8::/64".parse().unwrap()),
            RaPrefix {
                on_link: false,
                valid: u32::MAX,
                preferred: 60,
                ..RaPrefix::new("2001:db8:9::/48".parse().unwrap())
            },
        ],
        routes: vec![RaRoute {
            prefix: "2001:db8:100::/40".parse().unwrap(),
            preference: Preference::Low,
            lifetime: 90,
        }],
        lifetime: 9000,
        preference: Preference::High,
        mtu: Some(1400),
        rdnss: vec![ip6("2001:db8::53")],
        rdnss_lifetime: 70,
        dnssl: vec!["lab".into()],
        dnssl_lifetime: 80,
        managed: true,
        other: true,
        hop_limit: 32,
        reachable_ms: 10_000,
        retrans_ms: 500,
        ..RaConfig::default()
    };
    advertise(&mut s, config.clone());
    assert_eq!(s.stack.if_ra(s.ifs[0]), Some(&config));
    s.seconds(1);
    s.expect6(
        0,
        &["fe80::ff:fe00:1 > ff02::1 ra hops 32 life 9000 managed other high times 10000 500 \
           sll 02:00:00:00:00:01 mtu 1400 [2001:db8::/64 la 2592000 604800] \
           [2001:db8:9::/48 a 4294967295 60] route 2001:db8:100::/40 3 90 rdnss 70 2001:db8::53 \
           dnssl 80 \u{3}lab"],
    );
}

#[test]
fn solicitations_are_answered_soon_but_not_more_often_than_every_three_seconds() {
    let mut s = Script::router6();
    advertise(&mut s, RaConfig::default());
    s.seconds(60);
    s.sent6(0);
    let ask = nd6(PEER, "ff02::2").rs(&[sll(peer_mac(1))]);
    s.input(0, &ask);
    s.pass(Duration::from_millis(500));
    s.expect6(0, &[RA]);
    assert_eq!(s.nud(PEER), "Stale", "who asks is known");
    for _ in 0..20 {
        s.input(0, &ask);
        s.pass(Duration::from_millis(100));
    }
    s.expect6(0, &[]);
    s.pass(Duration::from_millis(1500));
    s.expect6(0, &[RA]);
    assert_eq!(s.counter("nd6InRouterSolicits"), 21);
}

#[test]
fn a_solicitation_of_nobody_is_answered_and_a_forged_one_is_not() {
    let mut s = Script::router6();
    advertise(&mut s, RaConfig::default());
    s.seconds(60);
    s.sent6(0);
    let good = nd6("::", "ff02::2");
    let link = [sll(peer_mac(1))];
    let short = good.rs(&[vec![1, 0, 2, 0, 0, 0, 1, 1]]);
    for bad in [good.clone().hops(254).rs(&[]), good.icmp(133, 1, [0; 4], &[]), good.rs(&link), short] {
        s.input(0, &bad);
        s.seconds(1);
        s.expect6(0, &[]);
    }
    assert_eq!(s.counter("nd6Invalid"), 4);
    s.input(0, &good.rs(&[]));
    s.seconds(1);
    s.expect6(0, &[RA]);
}

#[test]
fn the_last_one_says_that_this_is_no_router_any_more() {
    let mut s = Script::router6();
    advertise(&mut s, RaConfig::default());
    s.seconds(1);
    s.expect6(0, &[RA]);
    s.stack.if_set_ra(s.now, s.ifs[0], None).unwrap();
    let last = "fe80::ff:fe00:1 > ff02::1 ra hops 64 life 0 sll 02:00:00:00:00:01";
    s.expect6(0, &[last]);
    s.seconds(2000);
    s.expect6(0, &[]);
}

#[test]
fn who_stops_forwarding_says_that_it_is_no_default_router() {
    let mut s = Script::router6();
    advertise(&mut s, RaConfig::default());
    s.seconds(60);
    s.sent6(0);
    s.stack.set_forwarding(false);
    s.seconds(1);
    s.expect6(0, &["fe80::ff:fe00:1 > ff02::1 ra hops 64 life 0 sll 02:00:00:00:00:01"]);
}

#[test]
fn an_address_that_is_not_surely_ours_tells_no_link_address() {
    let config = StackConfig { forwarding: true, ..StackConfig::default() };
    let six = netstack::netinet6::in6_ifaddr::Ipv6Config {
        dad: netstack::netinet6::in6_ifaddr::Dad::Optimistic,
        dad_transmits: 5,
        ..plain6()
    };
    let mut s = Script::new6(config, six, &[""]);
    advertise(&mut s, RaConfig::default());
    s.pass(Duration::from_millis(600));
    let seen: Vec<String> = s.sent6(0).into_iter().filter(|l| l.contains(" ra ")).collect();
    assert_eq!(seen, ["fe80::ff:fe00:1 > ff02::1 ra hops 64 life 1800"]);
}

#[test]
fn a_link_that_comes_back_hears_of_its_router_soon() {
    let mut s = Script::router6();
    advertise(&mut s, RaConfig::default());
    s.seconds(60);
    s.stack.if_set_carrier(s.now, s.ifs[0], false).unwrap();
    s.sent6(0);
    s.seconds(700);
    s.expect6(0, &[]);
    s.stack.if_set_carrier(s.now, s.ifs[0], true).unwrap();
    s.seconds(1);
    s.expect6(0, &[RA]);
}

#[test]
fn contradictions_of_another_router_are_counted() {
    let mut s = Script::router6();
    let config = RaConfig {
        mtu: Some(1500),
        prefixes: vec![RaPrefix::new("2001:db8::/64".parse().unwrap())],
        ..RaConfig::default()
    };
    advertise(&mut s, config);
    let other = nd6(PEER, "ff02::1");
    let same = pio("2001:db8::/64", "la", 2_592_000, 604_800);
    let cases = [
        (ra(1800), vec![same.clone(), mtu(1500)], 0),
        (Ra { hop_limit: 63, ..ra(0) }, vec![], 1),
        (Ra { flags: 0x80, ..ra(0) }, vec![], 2),
        (ra(0), vec![mtu(1400)], 3),
        (ra(0), vec![pio("2001:db8::/64", "la", 100, 50)], 4),
        (ra(0), vec![pio("2001:db8:7::/64", "la", 100, 50)], 4),
    ];
    for (ra, options, count) in cases {
        s.input(0, &other.ra(ra, &options));
        assert_eq!(s.counter("nd6InconsistentAdvertisements"), count);
    }
}

#[test]
fn what_cannot_be_advertised_is_refused() {
    let mut s = Script::router6();
    let net = |n: &str| n.parse().unwrap();
    let of = |p: &str| RaConfig { prefixes: vec![RaPrefix::new(net(p))], ..RaConfig::default() };
    let (min, max) = (Duration::from_secs(9), Duration::from_secs(8));
    let cases = [
        (of("fe80::/64"), RaError::Prefix(net("fe80::/64"))),
        (of("ff00::/8"), RaError::Prefix(net("ff00::/8"))),
        (of("2001:db8::1/64"), RaError::Prefix(net("2001:db8::1/64"))),
        (
            RaConfig { min_interval: min, max_interval: max, ..RaConfig::default() },
            RaError::Interval { min, max },
        ),
        (RaConfig { mtu: Some(1279), ..RaConfig::default() }, RaError::BadMtu(1279)),
        (RaConfig { dnssl: vec!["a..b".into()], ..RaConfig::default() }, RaError::Domain),
        (
            RaConfig { prefixes: vec![RaPrefix::new(net("2001:db8::/64")); 60], ..RaConfig::default() },
            RaError::TooLong(1920),
        ),
        (
            RaConfig { rdnss: vec![ip6("2001:db8::53"); 1000], ..RaConfig::default() },
            RaError::TooLong(16_008),
        ),
    ];
    for (config, error) in cases {
        assert_eq!(s.stack.if_set_ra(s.now, s.ifs[0], Some(config)), Err(error));
    }
    let lo = netstack::net::IfIndex::LOOPBACK;
    assert_eq!(s.stack.if_set_ra(s.now, lo, Some(RaConfig::default())), Err(RaError::NoDevice(lo)));
}
