//! Sockets of datagrams: UDP, ping, raw and packet sockets.

use crate::harness::*;
use netstack::socket::{Family, Ready, RecvFlags, SendMeta, SockError, SockOpt, SockType, SocketId};
use netstack::stack::Event;
use std::net::SocketAddr;

fn addr(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

fn to(s: &str) -> SendMeta {
    SendMeta { to: Some(addr(s)), ..SendMeta::default() }
}

fn udp(s: &mut Script) -> SocketId {
    s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap()
}

#[test]
fn a_datagram_goes_out_after_arp_and_its_answer_comes_in() {
    let mut s = Script::host();
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:4000")).unwrap();
    assert_eq!(s.stack.send(s.now, id, b"hello", &to("10.0.0.2:53")), Ok(5));
    s.expect(0, &["arp who-has 10.0.0.2 tell 10.0.0.1"]);
    s.input(0, &arp_reply("10.0.0.2", "10.0.0.1"));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 4000 > 53 len 5"]);
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(53, 4000, b"world!"));
    let edges: Vec<Event> = s.events();
    assert!(edges.contains(&Event::Socket { id, ready: Ready::READ }), "{edges:?}");
    let mut buf = [0; 100];
    let meta = s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).unwrap();
    assert_eq!((&buf[..meta.len], meta.from), (&b"world!"[..], Some(addr("10.0.0.2:53"))));
    assert_eq!(meta.local, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()), Err(SockError::WouldBlock));
}

#[test]
fn echo_is_answered() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").echo(7, 1, &[0x55; 56]));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp reply 7.1 len 56"]);
}

#[test]
fn loopback_needs_no_wire() {
    let mut s = Script::host();
    let (a, b) = (udp(&mut s), udp(&mut s));
    s.stack.bind(s.now, a, addr("127.0.0.1:1000")).unwrap();
    s.stack.send(s.now, b, b"x", &to("127.0.0.1:1000")).unwrap();
    assert!(s.stack.ready(a).contains(Ready::READ));
    let _ = SockOpt::Broadcast(true);
}
