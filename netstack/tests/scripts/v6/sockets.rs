//! Sockets and IPv6: checksums, zones, mapped addresses, which source is taken.

use super::harness::*;
use crate::harness::Script;
use netstack::SockError;
use netstack::socket::{Family, RecvFlags, SendMeta, SockType, SocketId};
use netstack::stack::StackConfig;

const OTHER: &str = "2001:db8::9";

fn udp(s: &mut Script) -> SocketId {
    s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap()
}

fn bound(s: &mut Script, addr: &str) -> SocketId {
    let id = udp(s);
    s.stack.bind(s.now, id, addr.parse().unwrap()).unwrap();
    id
}

fn send(s: &mut Script, id: SocketId, to: &str) -> Result<usize, SockError> {
    let meta = SendMeta { to: Some(to.parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, b"x", &meta)
}

fn heard(s: &mut Script, id: SocketId) -> Result<String, SockError> {
    let mut buf = [0; 2000];
    s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).map(|m| m.from.unwrap().to_string())
}

#[test]
fn a_datagram_without_a_checksum_is_dropped() {
    let mut s = Script::host6();
    let id = bound(&mut s, "[::]:9");
    let mut frame = from6(OTHER, "2001:db8::1").udp(7, 9, b"hello");
    s.input(0, &frame);
    assert_eq!(heard(&mut s, id), Ok("[2001:db8::9]:7".into()));
    frame[60..62].copy_from_slice(&[0, 0]);
    s.input(0, &frame);
    assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
    assert_eq!(s.counter("udpInErrors"), 1);
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_sent_as_all_ones() {
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    let id = bound(&mut s, "[::]:7");
    let mut checksum = |data: [u8; 2]| {
        let meta = SendMeta { to: Some(format!("[{OTHER}]:9").parse().unwrap()), ..SendMeta::default() };
        s.stack.send(s.now, id, &data, &meta).unwrap();
        <[u8; 2]>::try_from(&s.frames(0).pop().unwrap()[60..62]).unwrap()
    };
    // Added to the rest, the checksum of the rest makes zero.
    let rest = checksum([0, 0]);
    assert_eq!(checksum(rest), [0xff, 0xff]);
}

#[test]
fn the_same_address_on_two_links_is_two_hosts() {
    let config = StackConfig::default();
    let mut s = Script::new6(config, plain6(), &["2001:db8::1/64", "2001:db8:1::1/64"]);
    s.neighbour6(0, PEER);
    s.neighbour6(1, PEER);
    let id = bound(&mut s, "[::]:7");
    send(&mut s, id, &format!("[{PEER}%2]:9")).unwrap();
    s.expect6(0, &["fe80::ff:fe00:1 > fe80::ff:fe00:101 udp 7 > 9 len 1"]);
    send(&mut s, id, &format!("[{PEER}%3]:9")).unwrap();
    s.expect6(1, &["fe80::ff:fe00:2 > fe80::ff:fe00:101 udp 7 > 9 len 1"]);
    assert_eq!(send(&mut s, id, &format!("[{PEER}]:9")), Err(SockError::Invalid));
    let frame = from6(PEER, OWN).udp(9, 7, b"x");
    s.input(0, &frame);
    assert_eq!(heard(&mut s, id), Ok(format!("[{PEER}%2]:9")));
}

#[test]
fn a_socket_bound_to_an_address_of_a_link_hears_that_link_alone() {
    let config = StackConfig::default();
    let mut s = Script::new6(config, plain6(), &["2001:db8::1/64", "2001:db8:1::1/64"]);
    let id = bound(&mut s, &format!("[{OWN}%2]:7"));
    let wrong = udp(&mut s);
    let refused = s.stack.bind(s.now, wrong, format!("[{OWN}%3]:7").parse().unwrap());
    assert_eq!(refused, Err(SockError::AddrNotAvailable));
    s.input(0, &from6(PEER, OWN).udp(9, 7, b"x"));
    assert!(heard(&mut s, id).is_ok());
    let by_the_other = from6(PEER, OWN).at_mac(crate::harness::own_mac(2)).udp(9, 7, b"x");
    s.input(1, &by_the_other);
    assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
}

#[test]
fn mapped_addresses_go_over_ipv4_and_never_onto_a_wire() {
    let mut s = Script::host6();
    s.stack.addr_add(s.now, s.ifs[0], "10.0.0.1/24".parse().unwrap()).unwrap();
    s.neighbour(0, "10.0.0.9");
    let id = bound(&mut s, "[::]:7");
    send(&mut s, id, "[::ffff:10.0.0.9]:9").unwrap();
    s.expect6(0, &["10.0.0.1 > 10.0.0.9 df udp 7 > 9 len 1"]);
    let frame = crate::harness::Ip::new("10.0.0.9", "10.0.0.1").udp(9, 7, b"x");
    s.input(0, &frame);
    assert_eq!(heard(&mut s, id), Ok("[::ffff:10.0.0.9]:9".into()));
    s.input(0, &from6("::ffff:10.0.0.9", "2001:db8::1").udp(9, 7, b"x"));
    assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
}

#[test]
fn the_source_is_of_the_destinations_scope_and_nearest() {
    let mut s = Script::host6();
    for addr in ["2001:db8:5::1/64", "fd00::1/64"] {
        s.stack.addr_add(s.now, s.ifs[0], addr.parse().unwrap()).unwrap();
    }
    let source = |s: &Script, dst: &str| {
        let dev = Some(s.ifs[0]);
        s.stack.way(ip6(dst).into(), dev).unwrap().src.unwrap().to_string()
    };
    for (dst, src) in [
        ("2001:db8::9", "2001:db8::1"),
        ("2001:db8:5::9", "2001:db8:5::1"),
        ("fd00::9", "fd00::1"),
        (PEER, OWN),
        ("ff02::5", OWN),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        assert_eq!(source(&s, dst), src, "to {dst}");
    }
}

#[test]
fn a_deprecated_address_is_not_taken_for_anything_new() {
    let mut s = Script::listener6();
    let tell = nd6(PEER, "ff02::1")
        .ra(ra(9000), &[pio("2001:db8::/64", "la", 9000, 10), pio("2001:db8:1::/64", "la", 9000, 9000)]);
    s.input(0, &tell);
    let source = |s: &Script| s.stack.way(ip6("2001:db8::9").into(), None).unwrap().src.unwrap().to_string();
    assert_eq!(source(&s), "2001:db8::ff:fe00:1");
    s.seconds(11);
    s.stack.handle_timeout(s.now);
    assert_eq!(source(&s), "2001:db8:1::ff:fe00:1");
}

/// RFC 3542 §8, §9: options headers that a program has set, in the order of RFC 8200 §4.1; every fragment has the hop-by-hop ones.
#[test]
fn headers_of_options_go_with_every_datagram() {
    use netstack::socket::{SockOpt, SockOpt6};
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    let id = bound(&mut s, "[::]:7");
    let set = |s: &mut Script, opt| s.stack.set_option(s.now, id, SockOpt::V6(opt));
    let (hop, dst) = (vec![0, 0, 0x1e, 2, 7, 7, 1, 0], vec![0, 0, 0x1f, 2, 8, 8, 1, 0]);
    set(&mut s, SockOpt6::HopOptions(hop.clone())).unwrap();
    set(&mut s, SockOpt6::DstOptions(dst.clone())).unwrap();
    for odd in [hop[..7].to_vec(), [&hop[..], &[0]].concat(), vec![0, 0, 5, 9, 0, 0, 0, 0]] {
        assert_eq!(set(&mut s, SockOpt6::HopOptions(odd)), Err(SockError::Invalid));
    }
    send(&mut s, id, &format!("[{OTHER}]:9")).unwrap();
    let frame = s.frames(0).pop().unwrap();
    assert_eq!((frame[20], &frame[54..56], &frame[56..62]), (0, &[60, 0][..], &hop[2..]));
    assert_eq!((&frame[62..64], &frame[64..70], frame.len()), (&[17, 0][..], &dst[2..], 54 + 16 + 9));
    let meta = SendMeta { to: Some(format!("[{OTHER}]:9").parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, &[0; 3000], &meta).unwrap();
    let frames = s.frames(0);
    assert_eq!(frames.len(), 3);
    let mut at = 0;
    for frame in frames {
        assert!(frame.len() <= 1514);
        assert_eq!((frame[20], &frame[54..56], frame[62]), (0, &[44, 0][..], 60), "{frame:x?}");
        assert_eq!(u16::from_be_bytes([frame[64], frame[65]]) & !7, at);
        at += (frame.len() - 70) as u16;
    }
    assert_eq!(at, 8 + 8 + 3000);
    set(&mut s, SockOpt6::HopOptions(Vec::new())).unwrap();
    set(&mut s, SockOpt6::DstOptions(Vec::new())).unwrap();
    send(&mut s, id, &format!("[{OTHER}]:9")).unwrap();
    s.expect6(0, &[&format!("2001:db8::1 > {OTHER} udp 7 > 9 len 1")]);
}
