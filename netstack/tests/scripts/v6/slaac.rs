//! Addresses made of what routers tell: RFC 4862 §5.5, RFC 7217, RFC 8981.

use super::harness::*;
use crate::harness::Script;
use netstack::netinet6::in6_ifaddr::{AddrOrigin, AddrState, Dad, InterfaceId, Ipv6Config};
use netstack::stack::{Event, StackConfig};
use netstack::time::Duration;

const MADE: &str = "2001:db8::ff:fe00:1";
const HOURS: u32 = 3600;

fn prefix(s: &mut Script, options: &[Vec<u8>]) {
    let frame = nd6(PEER, "ff02::1").ra(ra(600), options);
    s.input(0, &frame);
}

fn listener(six: Ipv6Config) -> Script {
    Script::new6(StackConfig::default(), six, &[""])
}

/// Seconds for which an address is still valid.
fn valid(s: &Script, addr: &str) -> Option<u64> {
    let known = s.stack.addr6(s.ifs[0], ip6(addr)).unwrap();
    known.valid_until.map(|at| at.since(s.now).as_secs())
}

#[test]
fn an_address_is_made_deprecated_and_taken_away() {
    let mut s = Script::listener6();
    prefix(&mut s, &[pio("2001:db8::/64", "la", 200, 100)]);
    assert_eq!(s.addrs6(0), [format!("{MADE} Preferred")]);
    assert_eq!(s.stack.addr6(s.ifs[0], ip6(MADE)).unwrap().origin, AddrOrigin::Autoconf);
    s.events();
    s.seconds(99);
    assert_eq!(s.addrs6(0), [format!("{MADE} Preferred")]);
    s.seconds(1);
    assert_eq!(s.addrs6(0), [format!("{MADE} Deprecated")]);
    assert!(s.events().iter().any(|e| matches!(e, Event::Addr { added: true, .. })), "it is told");
    let ping = from6("2001:db8::9", MADE).echo(1, 1, b"");
    s.neighbour6(0, "2001:db8::9");
    s.input(0, &ping);
    assert!(s.sent6(0).contains(&"2001:db8::ff:fe00:1 > 2001:db8::9 reply 1.1 len 0".into()), "still good");
    s.seconds(100);
    assert!(s.addrs6(0).is_empty());
    assert!(s.events().iter().any(|e| matches!(e, Event::Addr { added: false, .. })));
}

#[test]
fn flags_say_what_a_prefix_is_for() {
    let mut s = Script::listener6();
    prefix(&mut s, &[pio("2001:db8:1::/64", "l", 200, 100), pio("2001:db8:2::/64", "a", 200, 100)]);
    assert_eq!(s.addrs6(0), ["2001:db8:2::ff:fe00:1 Preferred"]);
    assert_eq!(
        s.routes6(),
        ["::/0 via fe80::ff:fe00:101 metric 1024", "2001:db8:1::/64 metric 256"],
        "an address says nothing of what is on the link"
    );
    s.seconds(200);
    assert_eq!(s.routes6(), ["::/0 via fe80::ff:fe00:101 metric 1024"]);
}

#[test]
fn prefixes_of_which_no_address_is_made() {
    let mut s = Script::listener6();
    prefix(
        &mut s,
        &[
            pio("2001:db8:1::/48", "a", 200, 100),
            pio("2001:db8:2::/65", "a", 200, 100),
            pio("2001:db8:3::/0", "a", 200, 100),
            pio("2001:db8:4::/64", "a", 100, 101),
            pio("2001:db8:5::/64", "a", 0, 0),
            pio("fe80::/64", "la", 200, 100),
            pio("ff02::/64", "la", 200, 100),
        ],
    );
    assert!(s.addrs6(0).is_empty());
    assert_eq!(s.routes6().len(), 1);
    let mut impossible = pio("2001:db8:6::/64", "la", 200, 100);
    impossible[2] = 129;
    prefix(&mut s, &[impossible]);
    assert_eq!(s.routes6().len(), 1);
}

#[test]
fn a_prefix_on_the_link_may_be_of_any_length_and_be_withdrawn() {
    let mut s = Script::listener6();
    prefix(&mut s, &[pio("2001:db8::1/48", "l", u32::MAX, 0)]);
    assert!(s.routes6().contains(&"2001:db8::/48 metric 256".into()));
    s.seconds(1_000_000);
    assert_eq!(s.routes6(), ["2001:db8::/48 metric 256"], "for ever");
    prefix(&mut s, &[pio("2001:db8::/48", "l", 0, 0)]);
    assert_eq!(s.routes6(), ["::/0 via fe80::ff:fe00:101 metric 1024"]);
}

#[test]
fn who_wants_no_addresses_makes_none() {
    let mut s = listener(Ipv6Config { autoconf: false, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 200, 100)]);
    assert!(s.addrs6(0).is_empty());
    assert_eq!(s.routes6().len(), 2);
}

#[test]
fn nobody_ends_an_address_within_two_hours() {
    let mut s = Script::listener6();
    let tell = |s: &mut Script, valid: u32, preferred: u32| {
        prefix(s, &[pio("2001:db8::/64", "a", valid, preferred)])
    };
    tell(&mut s, 10 * HOURS, 10 * HOURS);
    tell(&mut s, 60, 60);
    assert_eq!(valid(&s, MADE), Some(7200), "no sooner than in two hours");
    s.seconds(3600);
    tell(&mut s, 60, 0);
    assert_eq!(valid(&s, MADE), Some(3600), "less than two hours are left: as it was");
    assert_eq!(s.state6(0, MADE), AddrState::Deprecated, "preference is another matter");
    tell(&mut s, 0, 0);
    assert_eq!(valid(&s, MADE), Some(3600));
    tell(&mut s, 3601, 60);
    assert_eq!(valid(&s, MADE), Some(3601), "longer than what is left");
    assert_eq!(s.state6(0, MADE), AddrState::Preferred);
    tell(&mut s, 7201, 7201);
    assert_eq!(valid(&s, MADE), Some(7201), "longer than two hours");
    tell(&mut s, u32::MAX, u32::MAX);
    assert_eq!(valid(&s, MADE), None);
    tell(&mut s, 60, 60);
    assert_eq!(valid(&s, MADE), Some(7200));
}

#[test]
fn an_address_that_a_person_gave_is_left_alone() {
    let mut s = Script::listener6();
    s.stack.addr_add(s.now, s.ifs[0], format!("{MADE}/64").parse().unwrap()).unwrap();
    prefix(&mut s, &[pio("2001:db8::/64", "la", 200, 100)]);
    let known = s.stack.addr6(s.ifs[0], ip6(MADE)).unwrap();
    assert_eq!((known.origin, known.valid_until), (AddrOrigin::Manual, None));
    s.seconds(300);
    assert_eq!(s.addrs6(0), [format!("{MADE} Preferred")]);
}

#[test]
fn an_address_is_tried_before_it_is_used() {
    let mut s = listener(Ipv6Config { dad: Dad::On, ..slaac6() });
    s.seconds(20);
    s.sent6(0);
    prefix(&mut s, &[pio("2001:db8::/64", "la", 2000, 1000)]);
    assert_eq!(s.state6(0, MADE), AddrState::Tentative);
    s.seconds(1);
    s.expect6(0, &[":: > ff02::1:ff00:1 ns 2001:db8::ff:fe00:1 nonce"]);
    s.seconds(1);
    assert_eq!(s.state6(0, MADE), AddrState::Preferred);
}

#[test]
fn an_address_of_the_link_address_that_somebody_has_is_given_up() {
    let mut s = listener(Ipv6Config { dad: Dad::On, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 2000, 1000)]);
    let taken = nd6("2001:db8::9", "ff02::1").na("o", MADE, &[]);
    s.input(0, &taken);
    assert_eq!(s.state6(0, MADE), AddrState::Duplicate);
    prefix(&mut s, &[pio("2001:db8::/64", "la", 2000, 1000)]);
    assert_eq!(s.addrs6(0), [format!("{MADE} Duplicate")], "and not made again");
}

#[test]
fn a_stable_address_that_somebody_has_is_replaced_three_times() {
    let mut s = listener(Ipv6Config { dad: Dad::On, iid: InterfaceId::Stable, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 2000, 1000)]);
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..4 {
        let addr = s.addrs6(0)[0].split(' ').next().unwrap().to_owned();
        assert!(seen.insert(addr.clone()), "{n}: another each time");
        assert_eq!(valid(&s, &addr), Some(2000));
        let taken = nd6("2001:db8::9", "ff02::1").na("o", &addr, &[]);
        s.input(0, &taken);
    }
    assert!(s.addrs6(0)[0].ends_with("Duplicate"), "{:?}", s.addrs6(0));
}

#[test]
fn stable_addresses_are_the_same_again_and_others_elsewhere() {
    let made = |prefix_of: &str| {
        let mut s = listener(Ipv6Config { iid: InterfaceId::Stable, ..slaac6() });
        s.seconds(5);
        prefix(&mut s, &[pio(prefix_of, "la", 2000, 1000)]);
        ip6(s.addrs6(0)[0].split(' ').next().unwrap()).to_bits() as u64
    };
    assert_eq!(made("2001:db8::/64"), made("2001:db8::/64"));
    assert_ne!(made("2001:db8::/64"), made("2001:db8:1::/64"));
    assert_ne!(made("2001:db8::/64"), 0xff_fe00_0001, "nothing of the link address");
}

fn temporary(s: &Script) -> Vec<(String, AddrState)> {
    let all = s.addrs6(0).into_iter().map(|l| l.split(' ').next().unwrap().to_owned());
    let of = |a: &String| s.stack.addr6(s.ifs[0], ip6(a)).unwrap();
    all.filter(|a| of(a).origin == AddrOrigin::Temporary).map(|a| (a.clone(), of(&a).state)).collect()
}

#[test]
fn temporary_addresses_follow_each_other() {
    let mut s = listener(Ipv6Config { temporary: true, ..slaac6() });
    let tell = |s: &mut Script| prefix(s, &[pio("2001:db8::/64", "la", u32::MAX, u32::MAX)]);
    tell(&mut s);
    let first = temporary(&s);
    assert_eq!((first.len(), s.addrs6(0).len()), (1, 2));
    let way = s.stack.way(ip6("2001:db8:f::1").into(), None).unwrap();
    assert_eq!(way.src.unwrap().to_string(), first[0].0, "preferred to the public one");
    tell(&mut s);
    assert_eq!(temporary(&s), first, "one is enough");
    s.seconds(86_400);
    let two = temporary(&s);
    assert_eq!(two.len(), 2, "within a day another");
    let old = two.iter().find(|(a, _)| *a == first[0].0).unwrap();
    assert_eq!(old.1, AddrState::Deprecated);
    s.seconds(86_400);
    assert!(!temporary(&s).iter().any(|(a, _)| *a == first[0].0), "after two days it is gone");
    assert!(temporary(&s).iter().any(|(_, state)| *state == AddrState::Preferred));
}

#[test]
fn a_program_may_rather_have_the_public_address() {
    use netstack::socket::{Family, SendMeta, SockOpt, SockOpt6, SockType, SourceKind};
    let mut s = listener(Ipv6Config { temporary: true, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 9000, 9000)]);
    let temporary = temporary(&s)[0].0.clone();
    for (kind, want) in [
        (None, &temporary),
        (Some(SourceKind::Public), &MADE.to_owned()),
        (Some(SourceKind::Temporary), &temporary),
    ] {
        for ty in [SockType::Dgram, SockType::Stream] {
            let id = s.stack.socket(Family::Inet6, ty, 0).unwrap();
            s.stack.set_option(s.now, id, SockOpt::V6(SockOpt6::PreferSource(kind))).unwrap();
            let to = "[2001:db8:f::1]:9".parse().unwrap();
            let _ = s.stack.connect(s.now, id, to);
            let local = s.stack.local_addr(id).unwrap().ip().to_string();
            assert_eq!(&local, want, "{kind:?} {ty:?}");
            if ty == SockType::Dgram {
                s.stack.close(s.now, id).unwrap();
                let id = s.stack.socket(Family::Inet6, ty, 0).unwrap();
                s.stack.set_option(s.now, id, SockOpt::V6(SockOpt6::PreferSource(kind))).unwrap();
                s.neighbour6(0, PEER);
                s.frames(0);
                s.stack.send(s.now, id, b"x", &SendMeta { to: Some(to), ..SendMeta::default() }).unwrap();
                let sent = s.sent6(0);
                assert!(
                    sent.iter().any(|line| line.starts_with(&format!("{want} > 2001:db8:f::1 udp"))),
                    "{sent:?}"
                );
            }
        }
    }
}

#[test]
fn a_temporary_address_lives_no_longer_than_its_prefix() {
    let mut s = listener(Ipv6Config { temporary: true, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 200, 100)]);
    s.seconds(101);
    assert_eq!(temporary(&s).iter().map(|t| t.1).collect::<Vec<_>>(), [AddrState::Deprecated]);
    s.seconds(100);
    assert!(s.addrs6(0).is_empty());
    s.pass(Duration::from_secs(400));
    assert_eq!(s.stack.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn short_lives_that_are_told_again_and_again_make_a_limited_number_of_addresses() {
    let mut s = listener(Ipv6Config { temporary: true, ..slaac6() });
    for _ in 0..200 {
        prefix(&mut s, &[pio("2001:db8::/64", "la", 90_000, 6)]);
        s.seconds(7);
    }
    assert!(temporary(&s).len() <= 16, "{}", temporary(&s).len());
}

#[test]
fn a_flood_of_prefixes_makes_a_limited_number_of_addresses_of_either_kind() {
    let mut s = listener(Ipv6Config { temporary: true, ..slaac6() });
    prefix(&mut s, &[pio("2001:db8::/64", "la", 9000, 9000)]);
    let first = s.addrs6(0);
    for n in 1..1000 {
        prefix(&mut s, &[pio(&format!("2001:db8:{n:x}::/64"), "la", 9000, 9000)]);
        s.sent6(0);
    }
    assert_eq!((s.addrs6(0).len(), temporary(&s).len()), (32, 16));
    assert!(s.routes6().len() <= 32 + 2, "{:?}", s.routes6());
    // Those that were there before are, and live on.
    assert!(first.iter().all(|addr| s.addrs6(0).contains(addr)), "{first:?}");
    s.seconds(8000);
    prefix(&mut s, &[pio("2001:db8::/64", "la", 9000, 9000)]);
    s.seconds(8000);
    s.sent6(0);
    let left = s.addrs6(0);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left.iter().all(|addr| addr.starts_with("2001:db8::") && addr.ends_with("Preferred")),
        "{left:?}"
    );
}

#[test]
fn an_address_with_lifetimes_that_a_program_gave_ends_too() {
    let mut s = Script::host6();
    let lives = (Some(Duration::from_secs(10)), Some(Duration::from_secs(20)));
    let net = "2001:db8::7/64".parse().unwrap();
    s.stack.addr6_add(s.now, s.ifs[0], net, AddrOrigin::Manual, lives).unwrap();
    s.seconds(10);
    assert_eq!(s.state6(0, "2001:db8::7"), AddrState::Deprecated);
    s.seconds(10);
    assert_eq!(s.addrs6(0), ["2001:db8::1 Preferred"]);
}
