//! ARP and the states of a neighbour (RFC 826, 1122 §2.3.2, 4861 §7.3, 5227): event × state.

use crate::harness::*;
use etherparse::ArpOperation;
use netstack::net::MacAddr;
use netstack::socket::{Family, Ready, RecvFlags, SendMeta, SockError, SockType, SocketId};
use netstack::stack::Event;
use netstack::time::Duration;

const S: Duration = Duration::from_secs(1);
const ASK: &str = "arp who-has 10.0.0.2 tell 10.0.0.1";
const PROBE: &str = "arp who-has 10.0.0.2 tell 10.0.0.1 to 02:00:00:00:01:02";

fn sender(s: &mut Script) -> SocketId {
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:1".parse().unwrap()).unwrap();
    id
}

fn send(s: &mut Script, id: SocketId) {
    let to = SendMeta { to: Some("10.0.0.2:9".parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, b"x", &to).unwrap();
}

const DATA: &str = "10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 1";

/// A host whose neighbour 10.0.0.2 is REACHABLE.
fn reachable() -> (Script, SocketId) {
    let mut s = Script::host();
    let id = sender(&mut s);
    send(&mut s, id);
    s.expect(0, &[ASK]);
    s.input(0, &arp_reply("10.0.0.2", "10.0.0.1"));
    s.expect(0, &[DATA]);
    assert_eq!(s.nud("10.0.0.2"), "Reachable");
    (s, id)
}

/// … and 50 seconds later, STALE.
fn stale() -> (Script, SocketId) {
    let (mut s, id) = reachable();
    s.pass(50 * S);
    assert_eq!(s.nud("10.0.0.2"), "Stale");
    (s, id)
}

#[test]
fn incomplete_asks_three_times_then_fails_and_tells_the_sender() {
    let mut s = Script::host();
    let id = sender(&mut s);
    s.stack.connect(s.now, id, "10.0.0.2:9".parse().unwrap()).unwrap();
    s.stack.send(s.now, id, b"x", &SendMeta::default()).unwrap();
    s.expect(0, &[ASK]);
    assert_eq!(s.nud("10.0.0.2"), "Incomplete");
    s.pass(S);
    s.expect(0, &[ASK]);
    s.pass(S);
    s.expect(0, &[ASK]);
    s.events();
    s.pass(S);
    s.expect(0, &[]);
    assert_eq!(s.nud("10.0.0.2"), "Failed");
    assert!(
        s.events().iter().any(|e| matches!(e, Event::Socket { ready, .. } if ready.contains(Ready::ERROR)))
    );
    assert_eq!(s.stack.take_error(id), Some(SockError::HostUnreachable));
    assert_eq!(s.stack.poll_timeout(), None);
    // The next packet asks again.
    s.stack.send(s.now, id, b"x", &SendMeta::default()).unwrap();
    s.expect(0, &[ASK]);
}

#[test]
fn incomplete_keeps_packets_in_order_and_loses_the_oldest() {
    let mut s = Script::host();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    for port in 1..=70u16 {
        let to = Some(format!("10.0.0.2:{port}").parse().unwrap());
        s.stack.send(s.now, id, b"", &SendMeta { to, ..SendMeta::default() }).unwrap();
    }
    s.expect(0, &[ASK]);
    s.input(0, &arp_reply("10.0.0.2", "10.0.0.1"));
    let sent = s.sent(0);
    assert_eq!(sent.len(), 64);
    assert!(sent[0].contains("> 7 "), "{}", sent[0]);
    assert!(sent[63].contains("> 70 "), "{}", sent[63]);
    assert_eq!(s.counter("neighQueueFull"), 6);
}

#[test]
fn reachable_becomes_stale_without_a_timer() {
    let (mut s, _) = reachable();
    assert_eq!(s.stack.poll_timeout(), None);
    s.pass(50 * S);
    assert_eq!(s.nud("10.0.0.2"), "Stale");
}

#[test]
fn stale_is_used_at_once_and_probed_after_a_delay() {
    let (mut s, id) = stale();
    send(&mut s, id);
    s.expect(0, &[DATA]);
    assert_eq!(s.nud("10.0.0.2"), "Delay");
    s.pass(5 * S);
    s.expect(0, &[PROBE]);
    assert_eq!(s.nud("10.0.0.2"), "Probe");
    s.input(0, &arp_reply("10.0.0.2", "10.0.0.1"));
    assert_eq!(s.nud("10.0.0.2"), "Reachable");
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn probe_gives_up_after_three() {
    let (mut s, id) = stale();
    send(&mut s, id);
    s.expect(0, &[DATA]);
    s.pass(5 * S);
    s.expect(0, &[PROBE]);
    send(&mut s, id);
    s.expect(0, &[DATA]);
    s.pass(2 * S);
    s.expect(0, &[PROBE, PROBE]);
    s.pass(S);
    s.expect(0, &[]);
    assert_eq!(s.nud("10.0.0.2"), "Failed");
}

#[test]
fn a_request_for_us_is_answered_and_remembered() {
    let mut s = Script::host();
    s.input(0, &arp_request("10.0.0.2", "10.0.0.1"));
    s.expect(0, &["arp 10.0.0.1 is-at 02:00:00:00:00:01 to 02:00:00:00:01:02"]);
    assert_eq!(s.nud("10.0.0.2"), "Stale");
    // A request for somebody else is not, nor one by somebody who has no address yet.
    s.input(0, &arp_request("10.0.0.3", "10.0.0.4"));
    s.expect(0, &[]);
    assert_eq!(s.nud("10.0.0.3"), "none");
    s.input(0, &arp_request("0.0.0.0", "10.0.0.1"));
    s.expect(0, &["arp 10.0.0.1 is-at 02:00:00:00:00:01 to 02:00:00:00:01:00"]);
    assert_eq!(s.nud("0.0.0.0"), "none");
}

#[test]
fn gratuitous_arp_changes_a_known_neighbour_and_adds_no_other() {
    let (mut s, id) = reachable();
    let new = MacAddr([2, 0, 0, 0, 9, 9]);
    let announce = |a| arp(ArpOperation::REQUEST, MacAddr::BROADCAST, (new, a), (MacAddr::default(), a));
    s.input(0, &announce("10.0.0.2"));
    assert_eq!(s.nud("10.0.0.2"), "Stale");
    send(&mut s, id);
    assert_eq!(s.frames(0)[0][..6], new.0);
    s.input(0, &announce("10.0.0.7"));
    assert_eq!(s.nud("10.0.0.7"), "none");
}

#[test]
fn a_request_answers_our_own_question_too() {
    let mut s = Script::host();
    let id = sender(&mut s);
    send(&mut s, id);
    s.expect(0, &[ASK]);
    s.input(0, &arp_request("10.0.0.2", "10.0.0.1"));
    s.expect(0, &[DATA, "arp 10.0.0.1 is-at 02:00:00:00:00:01 to 02:00:00:00:01:02"]);
    assert_eq!(s.nud("10.0.0.2"), "Delay");
}

#[test]
fn a_conflict_is_told_and_defended_once_in_ten_seconds() {
    let mut s = Script::host();
    let theft = arp_request("10.0.0.1", "10.0.0.9");
    let defence = "arp who-has 10.0.0.1 tell 10.0.0.1";
    s.input(0, &theft);
    s.expect(0, &[defence]);
    let addr = "10.0.0.1".parse().unwrap();
    assert!(s.events().contains(&Event::AddrConflict { ifindex: s.ifs[0], addr }));
    s.input(0, &theft);
    s.expect(0, &[]);
    s.pass(10 * S);
    s.input(0, &theft);
    s.expect(0, &[defence]);
}

#[test]
fn permanent_is_never_asked_nor_changed() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let id = sender(&mut s);
    send(&mut s, id);
    s.expect(0, &[DATA]);
    let new = MacAddr([2, 0, 0, 0, 9, 9]);
    s.input(0, &arp(ArpOperation::REPLY, own_mac(1), (new, "10.0.0.2"), (own_mac(1), "10.0.0.1")));
    send(&mut s, id);
    assert_eq!(s.frames(0)[0][..6], peer_mac(2).0);
    s.pass(1000 * S);
    assert_eq!(s.nud("10.0.0.2"), "Permanent");
}

#[test]
fn an_interface_that_goes_down_forgets_its_neighbours() {
    let (mut s, _) = reachable();
    s.stack.if_set_carrier(s.now, s.ifs[0], false).unwrap();
    assert_eq!(s.nud("10.0.0.2"), "none");
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn a_flood_of_unknown_destinations_leaves_the_table_bounded() {
    let config = netstack::stack::NeighConfig { entries: 64, ..Default::default() };
    let config = netstack::stack::StackConfig { forwarding: true, neigh: config, ..Default::default() };
    let mut s = Script::new(config, &["10.0.0.1/24", "10.8.0.1/16"]);
    for i in 0..5000u16 {
        let dst = format!("10.8.{}.{}", i >> 8, (i & 0xff).max(2));
        s.input(0, &Ip::new("10.0.0.2", &dst).udp(1, 2, b""));
        s.frames(1);
    }
    assert!(s.stack.neighbours().count() <= 64);
    s.pass(10 * S);
    s.frames(1);
    assert_eq!(s.stack.poll_timeout(), None);
    // Failed entries make room again.
    s.input(0, &Ip::new("10.0.0.2", "10.8.99.99").udp(1, 2, b""));
    s.expect(1, &["arp who-has 10.8.99.99 tell 10.8.0.1"]);
}

#[test]
fn malformed_arp_is_dropped() {
    let mut s = Script::host();
    let good = arp_request("10.0.0.2", "10.0.0.1");
    for len in 14..good.len() {
        s.input(0, &good[..len]);
    }
    for at in 14..22 {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        s.input(0, &bad);
    }
    s.expect(0, &[]);
    assert_eq!(s.counter("arpMalformed"), (good.len() - 14 + 8) as u64);
    let mut buf = [0; 1];
    let id = sender(&mut s);
    assert_eq!(s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()), Err(SockError::WouldBlock));
}

#[test]
fn a_request_for_an_address_of_another_interface_is_answered() {
    let mut s = Script::new(Default::default(), &["10.0.0.1/24", "10.0.1.1/24"]);
    s.input(0, &arp_request("10.0.0.2", "10.0.1.1"));
    s.expect(0, &["arp 10.0.1.1 is-at 02:00:00:00:00:01 to 02:00:00:00:01:02"]);
    for target in ["10.0.1.2", "10.0.1.255", "127.0.0.1"] {
        s.input(0, &arp_request("10.0.0.2", target));
        s.expect(0, &[]);
    }
    // A conflict is one on the same link.
    s.input(0, &arp_request("10.0.1.1", "10.0.0.1"));
    assert_eq!(s.counter("arpConflicts"), 0);
}

#[test]
fn what_is_told_of_a_neighbour_is_believed_for_as_long_as_it_says() {
    use netstack::net::neigh::Told;
    let mut s = Script::host();
    let (id, dev, addr) = (sender(&mut s), s.ifs[0], "10.0.0.2".parse().unwrap());
    let tell =
        |s: &mut Script, told| s.stack.neigh_set(s.now, (dev, addr), peer_mac(2), told, false).unwrap();
    tell(&mut s, Told::Reachable);
    assert_eq!(s.nud("10.0.0.2"), "Reachable");
    s.pass(50 * S);
    assert_eq!(s.nud("10.0.0.2"), "Stale");
    tell(&mut s, Told::Stale);
    send(&mut s, id);
    s.expect(0, &[DATA]);
    assert_eq!(s.nud("10.0.0.2"), "Delay");
    tell(&mut s, Told::Permanent);
    s.pass(50 * S);
    assert_eq!(s.nud("10.0.0.2"), "Permanent");
    s.events();
    assert!(s.stack.neigh_del(dev, addr));
    let gone = s.events();
    assert!(
        matches!(gone[..], [Event::NeighGone(n)] if n.addr == addr && n.mac == Some(peer_mac(2))),
        "{gone:?}"
    );
    assert!(!s.stack.neigh_del(dev, addr));
}
