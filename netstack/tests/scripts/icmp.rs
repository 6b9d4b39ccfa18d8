//! ICMP: what is answered, which errors are sent about what, what errors do to sockets.

use crate::harness::*;
use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
use etherparse::{IcmpEchoHeader, Icmpv4Type};
use netstack::net::MacAddr;
use netstack::socket::{Family, MtuDiscover, Ready, RecvFlags, SendMeta, SockError, SockOpt, SockType};
use netstack::time::Duration;

fn host() -> Script {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s
}

const PORT_UNREACHABLE: &str = "10.0.0.1 > 10.0.0.2 icmp unreachable 3 about 10.0.0.1 quoting 29";

#[test]
fn echo_with_every_length_is_answered() {
    let mut s = host();
    for len in [0, 1, 2, 55, 56, 57, 1472] {
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").echo(1, 2, &vec![0xa5; len]));
        s.expect(0, &[&format!("10.0.0.1 > 10.0.0.2 icmp reply 1.2 len {len}")]);
    }
}

#[test]
fn an_echo_of_nothing_but_zeros_has_a_checksum() {
    let mut s = host();
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").echo(0, 0, &[0; 8]));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp reply 0.0 len 8"]);
}

#[test]
fn echo_replies_are_not_limited() {
    let mut s = host();
    for seq in 0..100 {
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").echo(1, seq, b""));
    }
    assert_eq!(s.sent(0).len(), 100);
}

#[test]
fn echo_to_everybody_is_ignored() {
    let mut s = host();
    for dst in ["10.0.0.255", "255.255.255.255", "224.0.0.1"] {
        s.input(0, &Ip::new("10.0.0.2", dst).at_mac(MacAddr::BROADCAST).echo(1, 1, b""));
    }
    s.expect(0, &[]);
    assert_eq!(s.counter("icmpBroadcastEcho"), 3);
}

#[test]
fn a_closed_port_is_unreachable() {
    let mut s = host();
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(1, 2, b"x"));
    s.expect(0, &[PORT_UNREACHABLE]);
    assert_eq!(s.counter("udpNoPorts"), 1);
}

#[test]
fn an_unknown_protocol_is_unreachable() {
    let mut s = host();
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").raw(99, &[1, 2, 3]));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 2 about 10.0.0.1 quoting 23"]);
}

#[test]
fn errors_quote_at_most_548_octets() {
    let mut s = host();
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(1, 2, &[0; 1000]));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 3 about 10.0.0.1 quoting 548"]);
}

#[test]
fn no_error_about_what_rfc_1122_excludes() {
    let mut s = host();
    let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    let to_us = || Ip::new("10.0.0.2", "10.0.0.1");
    let frames = [
        // an ICMP error, also a malformed one
        to_us().icmp(unreachable, &[0; 28]),
        to_us().raw(1, &[3, 3]),
        // a broadcast, a group, a link broadcast
        Ip::new("10.0.0.2", "10.0.0.255").at_mac(MacAddr::BROADCAST).udp(1, 2, b""),
        Ip::new("10.0.0.2", "224.0.0.1").at_mac(MacAddr([1, 0, 0x5e, 0, 0, 1])).udp(1, 2, b""),
        to_us().at_mac(MacAddr::BROADCAST).udp(1, 2, b""),
        // a fragment that is not the first
        to_us().fragment(1, 8, false).raw(99, &[0; 8]),
        // sources that are not one host
        Ip::new("0.0.0.0", "10.0.0.1").udp(1, 2, b""),
        Ip::new("10.0.0.255", "10.0.0.1").udp(1, 2, b""),
        Ip::new("224.1.2.3", "10.0.0.1").udp(1, 2, b""),
        Ip::new("127.0.0.1", "10.0.0.1").udp(1, 2, b""),
        Ip::new("255.255.255.255", "10.0.0.1").udp(1, 2, b""),
        Ip::new("10.0.0.1", "10.0.0.1").by_mac(peer_mac(1)).udp(1, 2, b""),
    ];
    for (n, frame) in frames.iter().enumerate() {
        s.input(0, frame);
        assert_eq!(s.sent(0), Vec::<String>::new(), "case {n}");
    }
}

#[test]
fn errors_are_limited_for_each_destination() {
    let mut s = host();
    s.neighbour(0, "10.0.0.3");
    let ask = |s: &mut Script, from| {
        for _ in 0..20 {
            s.input(0, &Ip::new(from, "10.0.0.1").udp(1, 2, b"x"));
        }
        s.sent(0).len()
    };
    assert_eq!(ask(&mut s, "10.0.0.2"), 6);
    assert_eq!(ask(&mut s, "10.0.0.3"), 6);
    s.pass(Duration::from_secs(2));
    assert_eq!(ask(&mut s, "10.0.0.2"), 2);
    assert_eq!(s.counter("icmpOutRateLimited"), 14 + 14 + 18);
}

#[test]
fn loopback_and_path_mtu_are_not_limited() {
    let mut s = Script::router();
    s.neighbour(0, "10.0.0.2");
    s.stack.if_set_mtu(s.ifs[1], 500).unwrap();
    for _ in 0..20 {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").df().udp(1, 2, &[0; 1000]));
    }
    assert_eq!(s.sent(0).len(), 20);
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    let to = SendMeta { to: Some("127.0.0.1:9".parse().unwrap()), ..SendMeta::default() };
    for _ in 0..20 {
        s.stack.send(s.now, id, b"", &to).unwrap();
    }
    assert_eq!(s.counter("icmpInDestUnreachs"), 20);
}

#[test]
fn redirects_have_a_limit_of_their_own() {
    let mut s = Script::router();
    s.neighbour(0, "10.0.0.2");
    s.neighbour(0, "10.0.0.7");
    s.route("192.0.2.0/24", "10.0.0.7");
    for _ in 0..20 {
        s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").udp(1, 2, b""));
    }
    assert_eq!(s.counter("icmpOutRedirects"), 6);
    s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").ttl(1).udp(1, 2, b""));
    assert_eq!(s.counter("icmpOutTimeExcds"), 1);
}

#[test]
fn a_flood_of_sources_does_not_silence_the_others() {
    let mut s = Script::new(Default::default(), &["10.8.0.1/16"]);
    for i in 0..1100u16 {
        s.input(0, &Ip::new(&format!("10.8.{}.{}", 1 + (i >> 8), i & 0xff), "10.8.0.1").udp(1, 2, b"x"));
    }
    assert_eq!(s.counter("icmpOutDestUnreachs"), 1100);
}

#[test]
fn timestamps_are_answered() {
    let mut s = host();
    let ask = etherparse::icmpv4::TimestampMessage {
        id: 1,
        seq: 2,
        originate_timestamp: 77,
        receive_timestamp: 0,
        transmit_timestamp: 0,
    };
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp(Icmpv4Type::TimestampRequest(ask), b""));
    let sent = s.sent(0);
    assert!(sent[0].contains("TimestampReply") && sent[0].contains("originate_timestamp: 77"), "{sent:?}");
    assert!(sent[0].contains("receive_timestamp: 2147484648"), "{sent:?}");
}

#[test]
fn bad_checksums_are_dropped() {
    let mut s = host();
    let mut frame = Ip::new("10.0.0.2", "10.0.0.1").echo(1, 1, b"abc");
    *frame.last_mut().unwrap() ^= 1;
    s.input(0, &frame);
    let mut frame = Ip::new("10.0.0.2", "10.0.0.1").echo(1, 1, b"abc");
    frame[14 + 10] ^= 1;
    s.input(0, &frame);
    s.expect(0, &[]);
    assert_eq!((s.counter("icmpMalformed"), s.counter("ipChecksum")), (1, 1));
}

/// An error by `from` about our datagram from port 1 to 10.0.0.2, port 9.
fn error_about(s: &Script, from: &str, ty: Icmpv4Type) -> Vec<u8> {
    let _ = s;
    let ours = Ip::new("10.0.0.1", "10.0.0.2");
    let quoted = ours.packet(17, &ours.udp_octets(1, 9, b"hello"));
    Ip::new(from, "10.0.0.1").icmp(ty, &quoted)
}

fn connected(s: &mut Script) -> netstack::SocketId {
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:1".parse().unwrap()).unwrap();
    s.stack.connect(s.now, id, "10.0.0.2:9".parse().unwrap()).unwrap();
    id
}

#[test]
fn errors_and_what_a_datagram_socket_hears() {
    use SockError as E;
    // Type and code; what it means; whether it ends the next call of a connected socket also without
    // IP_RECVERR. Linux's icmp_err_convert and __udp4_lib_err.
    let cases = [
        (3, 0, E::NetUnreachable, false),
        (3, 1, E::HostUnreachable, false),
        (3, 2, E::ProtoUnreachable, true),
        (3, 3, E::ConnRefused, true),
        (3, 4, E::MsgSize, true),
        (3, 5, E::OpNotSupported, false),
        (3, 6, E::NetUnreachable, true),
        (3, 7, E::HostDown, true),
        (3, 8, E::NoNet, true),
        (3, 9, E::NetUnreachable, true),
        (3, 10, E::HostUnreachable, true),
        (3, 11, E::NetUnreachable, false),
        (3, 12, E::HostUnreachable, false),
        (3, 13, E::HostUnreachable, true),
        (3, 14, E::HostUnreachable, true),
        (3, 15, E::HostUnreachable, true),
        (3, 16, E::HostUnreachable, false),
        (11, 0, E::HostUnreachable, false),
        (11, 1, E::HostUnreachable, false),
        (12, 0, E::Proto, true),
    ];
    let ours = Ip::new("10.0.0.1", "10.0.0.2");
    let quoted = ours.packet(17, &ours.udp_octets(1, 9, b"hello"));
    for (ty, code, error, fatal) in cases {
        let mut s = host();
        let id = connected(&mut s);
        let frame = Ip::new("10.0.0.2", "10.0.0.1").icmp_raw(ty, code, [0, 0, 4, 0], &quoted);
        s.input(0, &frame);
        assert_eq!(s.stack.take_error(id), fatal.then_some(error), "{ty}.{code}");
        s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
        s.input(0, &frame);
        assert_eq!(s.stack.take_error(id), Some(error), "{ty}.{code} with an error queue");
        let queued = s.stack.recv(s.now, id, &mut [0; 9], RecvFlags::ERRQUEUE).unwrap().error.unwrap();
        let mtu = if (ty, code) == (3, 4) { 1024 } else { 0 };
        assert_eq!((queued.error, queued.wire, queued.mtu), (error, (ty, code), mtu));
    }
}

#[test]
fn without_path_mtu_discovery_nothing_is_too_large() {
    let mut s = host();
    let id = connected(&mut s);
    s.stack.set_option(s.now, id, SockOpt::MtuDiscover(MtuDiscover::Dont)).unwrap();
    s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
    let ours = Ip::new("10.0.0.1", "10.0.0.2");
    let quoted = ours.packet(17, &ours.udp_octets(1, 9, b"hello"));
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp_raw(3, 4, [0, 0, 4, 0], &quoted));
    assert_eq!(s.stack.take_error(id), None);
}

#[test]
fn an_error_about_a_packet_that_is_not_ours_is_ignored() {
    let mut s = host();
    let id = connected(&mut s);
    let theirs = Ip::new("10.0.0.7", "10.0.0.2");
    let quoted = theirs.packet(17, &theirs.udp_octets(1, 9, b"hello"));
    let ty = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp(ty, &quoted));
    assert_eq!(s.stack.take_error(id), None);
    assert_eq!(s.counter("icmpBadQuote"), 1);
}

#[test]
fn a_path_mtu_is_learned_and_forgotten() {
    let mut s = host();
    let id = connected(&mut s);
    let big = |s: &mut Script| s.stack.send(s.now, id, &[0; 1200], &SendMeta::default());
    big(&mut s).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 1200"]);
    let ty =
        Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1000 });
    let frame = error_about(&s, "10.0.0.3", ty);
    s.input(0, &frame);
    assert_eq!(big(&mut s), Err(SockError::MsgSize), "what the router said");
    big(&mut s).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 frag 0:976+", "10.0.0.1 > 10.0.0.2 frag 976:232"]);
    s.stack.set_option(s.now, id, SockOpt::MtuDiscover(MtuDiscover::Do)).unwrap();
    assert_eq!(big(&mut s), Err(SockError::MsgSize));
    s.pass(Duration::from_secs(600));
    big(&mut s).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 1200"]);
}

#[test]
fn ping_sockets_send_requests_and_get_replies() {
    let mut s = host();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 1).unwrap();
    let to = SendMeta { to: Some("10.0.0.2:0".parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, &[8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], &to).unwrap();
    let ident = s.stack.local_addr(id).unwrap().port();
    s.expect(0, &[&format!("10.0.0.1 > 10.0.0.2 df icmp echo {ident}.3 len 3")]);
    let reply = Icmpv4Type::EchoReply(IcmpEchoHeader { id: ident, seq: 3 });
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp(reply, &[1, 2, 3]));
    let mut buf = [0; 64];
    let meta = s.stack.recv(s.now, id, &mut buf, Default::default()).unwrap();
    assert_eq!((meta.len, meta.ttl, &buf[8..11]), (11, 64, &[1, 2, 3][..]));
    // Only echo requests may be sent.
    assert_eq!(s.stack.send(s.now, id, &[0; 8], &to), Err(SockError::Invalid));
}

#[test]
fn the_error_queue_tells_an_unconnected_socket_who_and_about_what() {
    let mut s = host();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:1".parse().unwrap()).unwrap();
    let exceeded = Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit);
    let frame = error_about(&s, "10.0.0.3", exceeded);
    s.input(0, &frame);
    assert_eq!(s.stack.take_error(id), None, "not asked for");
    s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
    s.input(0, &frame);
    assert!(s.stack.ready(id).contains(Ready::ERROR));
    assert_eq!(s.stack.take_error(id), Some(SockError::HostUnreachable));
    let mut buf = [0; 100];
    let meta = s.stack.recv(s.now, id, &mut buf, RecvFlags::ERRQUEUE).unwrap();
    let error = meta.error.unwrap();
    assert_eq!((&buf[..meta.len], meta.from), (&b"hello"[..], Some("10.0.0.2:9".parse().unwrap())));
    assert_eq!((error.offender, error.wire), (Some("10.0.0.3".parse().unwrap()), (11, 0)));
    assert_eq!(s.stack.recv(s.now, id, &mut buf, RecvFlags::ERRQUEUE), Err(SockError::WouldBlock));
    assert!(!s.stack.ready(id).contains(Ready::ERROR));
}

#[test]
fn errors_reach_a_socket_that_is_bound_to_a_device() {
    let mut s = host();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.set_option(s.now, id, SockOpt::BindToDevice(Some(s.ifs[0]))).unwrap();
    s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:1".parse().unwrap()).unwrap();
    let frame = error_about(&s, "10.0.0.2", Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port));
    s.input(0, &frame);
    assert_eq!(s.stack.take_error(id), Some(SockError::ConnRefused));
    // Our own floor says so, of the interface by which it would have left.
    let to = SendMeta { to: Some("10.0.0.77:9".parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, b"", &to).unwrap();
    s.pass(Duration::from_secs(3));
    assert_eq!(s.stack.take_error(id), Some(SockError::HostUnreachable));
    let ping = s.stack.socket(Family::Inet, SockType::Dgram, 1).unwrap();
    s.stack.set_option(s.now, ping, SockOpt::BindToDevice(Some(s.ifs[0]))).unwrap();
    s.stack.set_option(s.now, ping, SockOpt::RecvErr(true)).unwrap();
    let to = SendMeta { to: Some("10.0.0.78:0".parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, ping, &[8, 0, 0, 0, 0, 0, 0, 3], &to).unwrap();
    s.pass(Duration::from_secs(3));
    assert_eq!(s.stack.take_error(ping), Some(SockError::HostUnreachable));
}
