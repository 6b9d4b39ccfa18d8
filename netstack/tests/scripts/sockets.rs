//! Sockets of datagrams: UDP, ping, raw and packet sockets.

use crate::harness::*;
use netstack::net::MacAddr;
use netstack::socket::{
    Family, PacketType, Ready, RecvFlags, SendFlags, SendMeta, SockError, SockOpt, SockType, SocketId,
};
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
        assert!(
            s.now.as_millis() < 60_000,
            "stuck after {} octets: {:?} {:?}",
            received.len(),
            s.stack.stats().iter().filter(|x| x.2 > 0).collect::<Vec<_>>(),
            s.stack.tcp_info(client)
        );
    }
    assert!(received == data);
    s.stack.close(s.now, client).unwrap();
    s.pass(Duration::from_millis(100));
    assert_eq!(s.stack.recv(s.now, server, &mut buf, RecvFlags::empty()).map(|m| m.len), Ok(0));
}

#[test]
fn a_sender_is_held_back_until_its_frames_leave() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let id = udp(&mut s);
    let mut sent = 0;
    while s.stack.send(s.now, id, &[0; 64], &to("10.0.0.2:9")).is_ok() {
        sent += 1;
    }
    assert!((100..1000).contains(&sent), "{sent}");
    assert!(!s.stack.ready(id).contains(Ready::WRITE));
    s.events();
    assert_eq!(s.frames(0).len(), sent);
    assert_eq!(s.events(), [Event::Socket { id, ready: Ready::WRITE }]);
    assert!(s.stack.ready(id).contains(Ready::WRITE));
    assert_eq!(s.counter("txQueueFull"), 0);
}

#[test]
fn room_is_told_also_to_who_only_asked() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let id = udp(&mut s);
    // poll(POLLOUT) waits, though no send has failed.
    while s.stack.ready(id).contains(Ready::WRITE) {
        s.stack.send(s.now, id, &[0; 64], &to("10.0.0.2:9")).unwrap();
    }
    s.events();
    s.frames(0);
    assert_eq!(s.events(), [Event::Socket { id, ready: Ready::WRITE }]);
    // A larger buffer makes room, too.
    while s.stack.ready(id).contains(Ready::WRITE) {
        s.stack.send(s.now, id, &[0; 64], &to("10.0.0.2:9")).unwrap();
    }
    s.stack.set_option(s.now, id, SockOpt::SendBuffer(1 << 20)).unwrap();
    assert_eq!(s.events(), [Event::Socket { id, ready: Ready::WRITE }]);
}

#[test]
fn credit_comes_back_also_from_drops() {
    let mut s = Script::host();
    let id = udp(&mut s);
    for _ in 0..100 {
        s.stack.send(s.now, id, &[0; 1000], &to("10.0.0.2:9")).unwrap();
    }
    assert_eq!(s.counter("neighQueueFull"), 36);
    s.pass(Duration::from_secs(4));
    let info = s.stack.sockets().find(|i| i.id == Some(id)).unwrap();
    assert_eq!(info.send_queue, 0);
    s.stack.send(s.now, id, &[0; 5000], &to("10.0.0.2:9")).unwrap();
    s.stack.if_set_up(s.now, s.ifs[0], false).unwrap();
    assert_eq!(s.stack.sockets().find(|i| i.id == Some(id)).unwrap().send_queue, 0);
    assert_eq!(s.stack.send(s.now, id, b"", &to("10.0.0.2:9")), Err(SockError::NetUnreachable));
}

#[test]
fn a_full_receive_buffer_drops_and_counts() {
    let mut s = Script::host();
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:9")).unwrap();
    s.stack.set_option(s.now, id, SockOpt::RecvBuffer(5000)).unwrap();
    for _ in 0..20 {
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(1, 9, &[0; 1000]));
    }
    let info = s.stack.sockets().next().unwrap();
    assert_eq!((info.drops, s.counter("udpInErrors"), s.counter("socketBufferFull")), (12, 12, 12));
}

#[test]
fn checksums_of_zero_and_wrong_ones() {
    let mut s = Script::host();
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:9")).unwrap();
    let mut frame = Ip::new("10.0.0.2", "10.0.0.1").udp(1, 9, b"x");
    frame[40..42].fill(0);
    s.input(0, &frame);
    frame[40..42].fill(1);
    s.input(0, &frame);
    assert_eq!((s.counter("udpInDatagrams"), s.counter("udpChecksum")), (1, 1));
}

#[test]
fn broadcast_needs_the_option_and_reaches_everybody() {
    let mut s = Script::host();
    let (a, b, c) = (udp(&mut s), udp(&mut s), udp(&mut s));
    for id in [a, b] {
        s.stack.set_option(s.now, id, SockOpt::ReuseAddr(true)).unwrap();
        s.stack.bind(s.now, id, addr("0.0.0.0:9")).unwrap();
    }
    for dst in ["10.0.0.255:9", "255.255.255.255:9"] {
        assert_eq!(s.stack.send(s.now, c, b"x", &to(dst)), Err(SockError::Access));
    }
    s.stack.set_option(s.now, c, SockOpt::Broadcast(true)).unwrap();
    s.stack.send(s.now, c, b"x", &to("10.0.0.255:9")).unwrap();
    let port = s.stack.local_addr(c).unwrap().port();
    let frames = s.frames(0);
    assert_eq!(frames[0][..6], [0xff; 6]);
    assert_eq!(describe(&frames[0]), format!("10.0.0.1 > 10.0.0.255 df udp {port} > 9 len 1"));
    for id in [a, b] {
        assert!(s.stack.ready(id).contains(Ready::READ), "our own sockets hear it too");
    }
    s.input(0, &Ip::new("10.0.0.2", "255.255.255.255").at_mac(MacAddr::BROADCAST).udp(1, 9, b"y"));
    assert_eq!(s.counter("udpInDatagrams"), 4);
}

#[test]
fn groups_are_joined_and_left() {
    let mut s = Script::host();
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:9")).unwrap();
    let group = "239.1.2.3".parse().unwrap();
    let mac = MacAddr([1, 0, 0x5e, 1, 2, 3]);
    let frame = Ip::new("10.0.0.2", "239.1.2.3").at_mac(mac).udp(1, 9, b"x");
    s.input(0, &frame);
    assert_eq!(s.counter("etherOtherGroup"), 1);
    let before = s.stack.rx_filter(s.ifs[0]);
    s.stack.set_option(s.now, id, SockOpt::Join(group, Some(s.ifs[0]))).unwrap();
    let filter = s.stack.rx_filter(s.ifs[0]);
    assert!(filter.multicast.contains(&mac) && filter.generation != before.generation);
    s.input(0, &frame);
    assert!(s.stack.ready(id).contains(Ready::READ));
    s.stack.close(s.now, id).unwrap();
    assert_eq!(s.stack.rx_filter(s.ifs[0]).multicast, before.multicast);
}

#[test]
fn names_of_closed_sockets_are_harmless() {
    let mut s = Script::host();
    let old = udp(&mut s);
    s.stack.close(s.now, old).unwrap();
    let new = udp(&mut s);
    assert_eq!((old.index, s.stack.close(s.now, old)), (new.index, Err(SockError::BadSocket)));
    assert_eq!(s.stack.ready(old), Ready::empty());
}

#[test]
fn packet_sockets_see_both_directions_and_send_frames() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let tap = s.stack.socket(Family::Inet, SockType::Packet, 0).unwrap();
    s.stack.bind_packet(tap, Some(s.ifs[0]), netstack::wire::ethernet::ALL).unwrap();
    let echo = Ip::new("10.0.0.2", "10.0.0.1").echo(1, 1, b"");
    s.input(0, &echo);
    s.frames(0);
    let mut buf = [0; 2000];
    let mut kinds = Vec::new();
    while let Ok(meta) = s.stack.recv(s.now, tap, &mut buf, RecvFlags::empty()) {
        kinds.push((meta.link.unwrap().kind, describe(&buf[..meta.len])));
    }
    assert_eq!(
        kinds,
        [
            (PacketType::Host, "10.0.0.2 > 10.0.0.1 icmp echo 1.1 len 0".into()),
            (PacketType::Outgoing, "10.0.0.1 > 10.0.0.2 icmp reply 1.1 len 0".into())
        ]
    );
    assert_eq!(s.stack.send(s.now, tap, &echo, &SendMeta::default()), Ok(echo.len()));
    assert_eq!(s.frames(0), [echo]);
}

#[test]
fn raw_sockets_with_and_without_a_header_of_their_own() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let raw = s.stack.socket(Family::Inet, SockType::Raw, 99).unwrap();
    s.stack.send(s.now, raw, b"abc", &to("10.0.0.2:0")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df proto 99 len 3"]);
    s.stack.set_option(s.now, raw, SockOpt::HeaderIncluded(true)).unwrap();
    let packet = Ip::new("10.0.0.9", "10.0.0.2").ttl(7).packet(99, b"abcd");
    s.stack.send(s.now, raw, &packet, &to("10.0.0.2:0")).unwrap();
    s.expect(0, &["10.0.0.9 > 10.0.0.2 ttl 7 proto 99 len 4"]);
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").raw(99, b"hello"));
    s.expect(0, &[]);
    let mut buf = [0; 100];
    let meta = s.stack.recv(s.now, raw, &mut buf, RecvFlags::empty()).unwrap();
    assert_eq!((meta.len, &buf[20..25]), (25, &b"hello"[..]));
}

#[test]
fn an_idle_stack_never_wakes() {
    let mut s = Script::router();
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:9")).unwrap();
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn one_datagram_of_several_sends() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s.neighbour(0, "10.0.0.3");
    let id = udp(&mut s);
    s.stack.bind(s.now, id, addr("0.0.0.0:1")).unwrap();
    let more = |m: SendMeta| SendMeta { flags: SendFlags::MORE, ..m };
    assert_eq!(s.stack.send(s.now, id, b"one", &more(to("10.0.0.2:9"))), Ok(3));
    assert_eq!(s.stack.send(s.now, id, b"two", &more(SendMeta::default())), Ok(3));
    s.expect(0, &[]);
    // Where it goes the first part has said.
    assert_eq!(s.stack.send(s.now, id, b"three", &to("10.0.0.3:9")), Ok(5));
    let frames = s.frames(0);
    assert_eq!(describe(&frames[0]), "10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 11");
    assert_eq!((&frames[0][42..], frames.len()), (&b"onetwothree"[..], 1));
    s.stack.send(s.now, id, b"x", &to("10.0.0.3:9")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.3 df udp 1 > 9 len 1"]);
    // Too much: what was begun is lost.
    s.stack.send(s.now, id, &[0; 60_000], &more(to("10.0.0.2:9"))).unwrap();
    assert_eq!(s.stack.send(s.now, id, &[0; 6_000], &SendMeta::default()), Err(SockError::MsgSize));
    s.stack.send(s.now, id, b"x", &to("10.0.0.3:9")).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.3 df udp 1 > 9 len 1"]);
}

#[test]
fn without_routes_only_neighbours_are_reached() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s.route("0.0.0.0/0", "10.0.0.2");
    let id = udp(&mut s);
    let direct = |a: &str| SendMeta { flags: SendFlags::DONTROUTE, ..to(a) };
    s.stack.send(s.now, id, b"", &direct("10.0.0.2:9")).unwrap();
    assert_eq!(s.sent(0).len(), 1);
    assert_eq!(s.stack.send(s.now, id, b"", &direct("192.0.2.1:9")), Err(SockError::NetUnreachable));
    s.stack.send(s.now, id, b"", &to("192.0.2.1:9")).unwrap();
    assert_eq!(s.sent(0).len(), 1);
}
