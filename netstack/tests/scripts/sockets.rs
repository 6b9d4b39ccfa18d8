//! Sockets of datagrams: UDP, ping, raw and packet sockets.

use crate::harness::*;
use netstack::socket::{Family, Ready, RecvFlags, SendMeta, SockError, SockOpt, SockType, SocketId};
use netstack::stack::Event;
use netstack::time::Duration;
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

#[test]
fn a_stream_to_ourselves_transfers_and_ends() {
    let mut s = Script::host();
    let listener = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    s.stack.bind(s.now, listener, addr("0.0.0.0:80")).unwrap();
    s.stack.listen(s.now, listener, 5).unwrap();
    let client = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    assert_eq!(s.stack.connect(s.now, client, addr("10.0.0.1:80")), Err(SockError::InProgress));
    s.pass(Duration::from_millis(1));
    let (server, peer) = s.stack.accept(s.now, listener).unwrap();
    assert_eq!(peer, s.stack.local_addr(client).unwrap());
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i / 7) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    let mut buf = vec![0; 30_000];
    while received.len() < data.len() {
        match s.stack.send(s.now, client, &data[sent..], &SendMeta::default()) {
            Ok(n) => sent += n,
            Err(e) => assert_eq!(e, SockError::WouldBlock),
        }
        s.pass(Duration::from_millis(1));
        while let Ok(meta) = s.stack.recv(s.now, server, &mut buf, RecvFlags::empty()) {
            received.extend_from_slice(&buf[..meta.len]);
        }
        assert!(s.now.as_millis() < 60_000, "stuck after {} octets: {:?} {:?}", received.len(), s.stack.stats().iter().filter(|x| x.2 > 0).collect::<Vec<_>>(), s.stack.tcp_info(client));
    }
    assert!(received == data);
    s.stack.close(s.now, client).unwrap();
    s.pass(Duration::from_millis(100));
    assert_eq!(s.stack.recv(s.now, server, &mut buf, RecvFlags::empty()).map(|m| m.len), Ok(0));
}
