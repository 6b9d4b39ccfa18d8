//! ICMPv6: errors and what they may be about (RFC 4443 §2.4), echo, path MTUs (RFC 8201).

use super::harness::*;
use crate::harness::{Script, peer_mac};
use netstack::SockError;
use netstack::socket::{Family, RecvFlags, SendMeta, SockType, SocketId};

const HOST: &str = "2001:db8::1";
const OTHER: &str = "2001:db8::9";

fn host() -> Script {
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    s
}

fn unreachable(quoting: usize) -> String {
    format!("2001:db8::1 > 2001:db8::9 unreachable 4 about 2001:db8::1 quoting {quoting}")
}

/// A socket that is connected to port 9 of the other, and the packet that it has sent.
fn connected(s: &mut Script) -> (SocketId, Vec<u8>) {
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "[::]:7".parse().unwrap()).unwrap();
    s.stack.connect(s.now, id, format!("[{OTHER}]:9").parse().unwrap()).unwrap();
    s.stack.send(s.now, id, &[0; 20], &SendMeta::default()).unwrap();
    let frame = s.frames(0).pop().unwrap();
    (id, frame[14..].to_vec())
}

fn heard(s: &mut Script, id: SocketId) -> Result<usize, SockError> {
    let mut buf = [0; 2000];
    s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).map(|m| m.len)
}

#[test]
fn nobody_at_the_port_is_told_with_the_whole_packet() {
    host().answers(&from6(OTHER, HOST).udp(1, 9, &[0; 100]), &[&unreachable(148)]);
}

#[test]
fn an_error_fits_the_smallest_link() {
    let mut s = host();
    s.input(0, &from6(OTHER, HOST).udp(1, 9, &[0; 1400]));
    let frame = s.frames(0).pop().unwrap();
    assert_eq!(frame.len() - 14, 1280);
}

#[test]
fn no_error_is_about_an_error_or_a_redirect() {
    let mut s = host();
    let about = from6(OTHER, HOST);
    // Errors to a port that is not there come as parameter problems of an unknown header, if at all.
    for ty in [1, 4, 100, 127, 137] {
        let bad = about.clone().ext(60, &[0x9e, 0]).icmp(ty, 0, [0; 4], &[0; 48]);
        s.input(0, &bad);
        assert_eq!(s.sent6(0), [""; 0], "type {ty}");
    }
    let fine = about.ext(60, &[0x9e, 0]).icmp(128, 0, [0; 4], &[]);
    s.input(0, &fine);
    assert_eq!(s.sent6(0).len(), 1, "an echo request is no error");
}

#[test]
fn no_error_is_about_a_packet_to_a_group() {
    let mut s = host();
    s.answers(&from6(OTHER, "ff02::1").udp(1, 9, &[]), &[]);
    let mut in_group = from6(OTHER, HOST);
    in_group.macs.1 = mac_of(ip6("ff02::1"));
    s.answers(&in_group.udp(1, 9, &[]), &[]);
}

#[test]
fn no_error_goes_to_nobody_or_a_group() {
    let mut s = host();
    s.answers(&from6("::", HOST).udp(1, 9, &[]), &[]);
    let mut group = from6("ff02::9", HOST);
    group.macs.0 = peer_mac(9);
    s.answers(&group.udp(1, 9, &[]), &[]);
    s.answers(&from6("::", "ff02::1").ext(60, &[0x9e, 0]).udp(1, 9, &[]), &[]);
}

#[test]
fn no_error_is_about_a_fragment_other_than_the_first() {
    let mut s = host();
    let later = from6(OTHER, HOST).frag(1, 8, false).raw(253, &[0; 8]);
    s.answers(&later, &[]);
    s.seconds(61);
    s.expect6(0, &[]);
}

#[test]
fn errors_to_one_destination_are_limited_and_others_are_not_held_back() {
    let mut s = host();
    s.neighbour6(0, "2001:db8::a");
    for _ in 0..100 {
        s.input(0, &from6(OTHER, HOST).udp(1, 9, &[]));
    }
    assert_eq!((s.sent6(0).len(), s.counter("icmp6OutRateLimited")), (6, 94));
    s.input(0, &from6("2001:db8::a", HOST).udp(1, 9, &[]));
    assert_eq!(s.sent6(0).len(), 1);
    s.seconds(2);
    for _ in 0..100 {
        s.input(0, &from6(OTHER, HOST).udp(1, 9, &[]));
    }
    assert_eq!(s.sent6(0).len(), 2, "one a second");
}

#[test]
fn echo_is_answered_with_its_data_and_class() {
    let mut s = host();
    s.answers(&from6(OTHER, HOST).echo(77, 3, &[1; 40]), &["2001:db8::1 > 2001:db8::9 reply 77.3 len 40"]);
    s.answers(
        &from6(OTHER, HOST).class(0xb8).echo(1, 1, &[]),
        &["2001:db8::1 > 2001:db8::9 class 184 reply 1.1 len 0"],
    );
    s.answers(&from6(OTHER, HOST).hops(1).echo(1, 1, &[]), &["2001:db8::1 > 2001:db8::9 reply 1.1 len 0"]);
}

#[test]
fn a_reply_that_is_too_big_for_the_path_is_cut_from_then_on() {
    let mut s = host();
    s.frames(0);
    let echo = from6(OTHER, HOST).echo(1, 1, &[0; 1452]);
    let answer = |s: &mut Script| {
        s.input(0, &echo);
        s.frames(0).iter().map(|f| f[14..].to_vec()).collect::<Vec<_>>()
    };
    let sent = answer(&mut s);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1500]);
    // Any code will do (RFC 4443 §3.2).
    s.input(0, &from6("2001:db8::77", HOST).error(2, 7, 1400, &sent[0][..1200]));
    assert_eq!(answer(&mut s).iter().map(Vec::len).collect::<Vec<_>>(), [1400, 156]);
}

#[test]
fn the_narrowest_path_of_a_group_counts() {
    let mut s = host();
    s.frames(0);
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    let to = SendMeta { to: Some("[ff1e::7]:9".parse().unwrap()), ..SendMeta::default() };
    let lengths = |s: &mut Script| {
        s.stack.send(s.now, id, &[0; 1452], &to).unwrap();
        s.frames(0).iter().map(|f| f[14..].to_vec()).collect::<Vec<_>>()
    };
    let sent = lengths(&mut s);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1500]);
    s.input(0, &from6(OTHER, HOST).error(2, 0, 1450, &sent[0][..1200]));
    s.input(0, &from6("2001:db8::77", HOST).error(2, 0, 1400, &sent[0][..1200]));
    assert_eq!(lengths(&mut s).iter().map(Vec::len).collect::<Vec<_>>(), [1400, 156]);
}

#[test]
fn echo_to_a_group_is_answered_from_an_address_of_ours() {
    let mut s = host();
    s.neighbour6(0, PEER);
    s.answers(
        &from6(PEER, "ff02::1").echo(1, 1, &[]),
        &["fe80::ff:fe00:1 > fe80::ff:fe00:101 reply 1.1 len 0"],
    );
    s.answers(&from6(OTHER, "ff02::1").echo(1, 1, &[]), &["2001:db8::1 > 2001:db8::9 reply 1.1 len 0"]);
    s.answers(&from6(OTHER, "ff02::99").echo(1, 1, &[]), &[]);
}

#[test]
fn a_wrong_checksum_is_dropped() {
    let mut s = host();
    let mut frame = from6(OTHER, HOST).echo(1, 1, &[]);
    frame[56] ^= 1;
    s.answers(&frame, &[]);
    assert_eq!(s.counter("icmp6InErrors"), 1);
}

#[test]
fn messages_of_unknown_types_are_dropped_in_silence() {
    let mut s = host();
    for ty in [5, 99, 150, 200, 255] {
        s.answers(&from6(OTHER, HOST).icmp(ty, 0, [0; 4], &[0; 60]), &[]);
    }
}

#[test]
fn errors_about_our_packets_reach_their_socket() {
    for (ty, code, error) in [
        (1, 4, SockError::ConnRefused),
        // As on Linux: what may pass is told to who asks for it alone.
        (1, 0, SockError::WouldBlock),
        (1, 3, SockError::WouldBlock),
        (3, 0, SockError::WouldBlock),
        (1, 1, SockError::Access),
        (1, 5, SockError::Access),
        (1, 6, SockError::Access),
        (4, 1, SockError::ProtoUnreachable),
    ] {
        let mut s = host();
        let (id, sent) = connected(&mut s);
        s.input(0, &from6(OTHER, HOST).error(ty, code, 0, &sent));
        assert_eq!(heard(&mut s, id), Err(error), "{ty}.{code}");
    }
}

#[test]
fn errors_about_packets_that_were_never_ours_are_not_believed() {
    let mut s = host();
    let (id, sent) = connected(&mut s);
    let mut foreign = sent.clone();
    foreign[8..24].copy_from_slice(&ip6("2001:db8::77").octets());
    let mut other_port = sent.clone();
    other_port[41] ^= 1;
    let later = from6(HOST, OTHER).frag(1, 8, false).packet(17, &sent[40..]);
    for about in [&foreign[..], &other_port, &later, &sent[..44], &sent[..20], &[]] {
        s.input(0, &from6(OTHER, HOST).error(1, 4, 0, about));
        assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
    }
}

/// How large datagrams leave: octets of the packets of 1400 octets of data.
fn sizes(s: &mut Script, id: SocketId) -> Vec<usize> {
    s.stack.send(s.now, id, &[0; 1400], &SendMeta::default()).unwrap();
    let reports = |f: &&Vec<u8>| f[20] == 0;
    s.frames(0).iter().filter(|f| !reports(f)).map(|f| f.len() - 14).collect()
}

#[test]
fn a_path_that_carries_less_is_learned_and_forgotten_after_ten_minutes() {
    let mut s = host();
    let (id, _) = connected(&mut s);
    assert_eq!(sizes(&mut s, id), [1448]);
    s.stack.send(s.now, id, &[0; 1400], &SendMeta::default()).unwrap();
    let sent = s.frames(0).pop().unwrap()[14..].to_vec();
    let too_big = |mtu: u32| from6("2001:db8::77", HOST).error(2, 0, mtu, &sent[..1200]);
    s.input(0, &too_big(1400));
    let _ = heard(&mut s, id);
    assert_eq!(sizes(&mut s, id), [1400, 104]);
    s.input(0, &too_big(1450));
    let _ = heard(&mut s, id);
    assert_eq!(sizes(&mut s, id), [1400, 104], "it only shrinks");
    s.seconds(601);
    assert_eq!(sizes(&mut s, id), [1448]);
}

#[test]
fn less_than_every_link_carries_is_a_lie() {
    let mut s = host();
    let (id, sent) = connected(&mut s);
    for mtu in [0, 68, 1279] {
        s.input(0, &from6("2001:db8::77", HOST).error(2, 0, mtu, &sent));
        let _ = heard(&mut s, id);
        assert_eq!(sizes(&mut s, id), [1448], "mtu {mtu}");
    }
    s.input(0, &from6("2001:db8::77", HOST).error(2, 0, 1280, &sent));
    let _ = heard(&mut s, id);
    assert!(sizes(&mut s, id).iter().all(|&l| l <= 1280));
}
