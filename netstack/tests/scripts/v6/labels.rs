//! Flow labels (RFC 6437) and extension headers (RFC 3542 §4, §8, §9) of what programs send, and what they are told of those that come.

use super::harness::*;
use crate::harness::Script;
use netstack::SockError;
use netstack::net::IfIndex;
use netstack::net::ifnet::IfConfig;
use netstack::net::{MacAddr, neigh::Told};
use netstack::netinet6::in6_ifaddr::{Dad, Ipv6Config};
use netstack::socket::{Family, RecvFlags, SendMeta, SockOpt, SockOpt6, SockType, SocketId};
use netstack::stack::{Stack, StackConfig};
use netstack::time::Instant;
use std::net::{SocketAddr, SocketAddrV6};

const OTHER: &str = "2001:db8::9";
/// Options of nobody's kind, to be passed by: a hop-by-hop and a destination options header.
const HOP: [u8; 8] = [0, 0, 0x1e, 2, 7, 7, 1, 0];
const DST: [u8; 8] = [0, 0, 0x1f, 2, 8, 8, 1, 0];

/// A socket of UDP on a host that knows its peer.
fn sender() -> (Script, SocketId) {
    let mut s = Script::host6();
    s.neighbour6(0, OTHER);
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "[::]:7".parse().unwrap()).unwrap();
    (s, id)
}

/// The peer's address with a label beside it.
fn labelled(label: u32) -> SocketAddr {
    SocketAddrV6::new(ip6(OTHER), 9, label, 0).into()
}

fn set(s: &mut Script, id: SocketId, opt: SockOpt6) {
    s.stack.set_option(s.now, id, SockOpt::V6(opt)).unwrap();
}

fn label(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().unwrap()) & 0xf_ffff
}

/// The frame of one datagram.
fn sent(s: &mut Script, id: SocketId, meta: SendMeta) -> Vec<u8> {
    s.stack.send(s.now, id, b"x", &meta).unwrap();
    s.frames(0).pop().unwrap()
}

fn to(label: u32) -> SendMeta {
    SendMeta { to: Some(labelled(label)), ..SendMeta::default() }
}

#[test]
fn a_flow_has_a_label_of_its_own_unless_the_program_wants_none() {
    let (mut s, id) = sender();
    let first = label(&sent(&mut s, id, to(0)));
    assert_ne!(first, 0);
    assert_eq!(label(&sent(&mut s, id, to(0))), first, "the flow's, not the packet's");
    let another = SocketAddr::new(ip6(OTHER).into(), 10);
    assert_ne!(label(&sent(&mut s, id, SendMeta { to: Some(another), ..SendMeta::default() })), first);
    set(&mut s, id, SockOpt6::AutoFlowLabel(false));
    assert_eq!(label(&sent(&mut s, id, to(0))), 0);
}

#[test]
fn the_label_in_an_address_is_sent_if_the_program_says_so() {
    let (mut s, id) = sender();
    let own = label(&sent(&mut s, id, to(0x12345)));
    assert_ne!(own, 0x12345, "it has not said so");
    set(&mut s, id, SockOpt6::FlowInfoSend(true));
    assert_eq!(label(&sent(&mut s, id, to(0x12345))), 0x12345);
    assert_eq!(label(&sent(&mut s, id, to(0xfff1_2345))), 0x12345, "of which 20 bits are a label");
    assert_eq!(label(&sent(&mut s, id, to(0))), own);
    let told = SendMeta { flow_label: Some(0x54321), ..to(0x12345) };
    assert_eq!(label(&sent(&mut s, id, told)), 0x54321, "what is said of the message goes before");
    s.stack.connect(s.now, id, labelled(0xabcde)).unwrap();
    assert_eq!(label(&sent(&mut s, id, SendMeta::default())), 0xabcde);
}

#[test]
fn class_and_label_are_told_to_who_asks() {
    let (mut s, id) = sender();
    let mut frame = from6(OTHER, "2001:db8::1").udp(9, 7, b"x");
    frame[14..18].copy_from_slice(&0x62ca_bcdeu32.to_be_bytes());
    let told = |s: &mut Script| {
        s.input(0, &frame);
        s.stack.recv(s.now, id, &mut [0; 9], RecvFlags::empty()).unwrap().flow_info
    };
    assert_eq!(told(&mut s), None);
    set(&mut s, id, SockOpt6::RecvFlowInfo(true));
    assert_eq!(told(&mut s), Some(0x2ca_bcde));
}

/// RFC 3542 §4.1: headers of one message go in the place of those that the socket has.
#[test]
fn headers_that_are_given_with_a_message_are_that_messages() {
    let (mut s, id) = sender();
    set(&mut s, id, SockOpt6::HopOptions(HOP.into()));
    let with = |told: &[u8]| SendMeta { headers: Some(told.into()), ..to(0) };
    let dst = sent(&mut s, id, with(&[&[60], &DST[..]].concat()));
    assert_eq!((dst[20], &dst[54..56], &dst[56..62]), (60, &[17, 0][..], &DST[2..]));
    assert_eq!(dst.len(), 54 + 8 + 9);
    let both = sent(&mut s, id, with(&[&[0, 60], &HOP[1..], &DST[..]].concat()));
    assert_eq!((both[20], both[54], both[62], both.len()), (0, 60, 17, 54 + 16 + 9));
    assert_eq!(&both[56..62], &HOP[2..]);
    let own = sent(&mut s, id, to(0));
    assert_eq!((own[20], own.len()), (0, 54 + 8 + 9), "the socket's are there again");
    // A routing header; options behind others than they may stand; one cut short.
    for odd in [
        &[43, 17, 0, 0, 0, 0, 0, 0, 0][..],
        &[60, 0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0],
        &[60, 17, 1],
    ] {
        assert_eq!(s.stack.send(s.now, id, b"x", &with(odd)), Err(SockError::Invalid), "{odd:?}");
    }
}

/// RFC 3542 §11.3, as Linux has it: who lets nobody fragment reads what went too far in the place of a datagram.
#[test]
fn who_fragments_by_himself_reads_what_the_path_takes() {
    let (mut s, id) = sender();
    let too_large = |s: &mut Script| s.stack.send(s.now, id, &[0; 1453], &to(0));
    let news = |s: &mut Script| s.stack.recv(s.now, id, &mut [0; 9], RecvFlags::empty());
    set(&mut s, id, SockOpt6::RecvPathMtu(true));
    assert_eq!(too_large(&mut s), Ok(1453));
    assert_eq!(news(&mut s), Err(SockError::WouldBlock), "it went in two");
    set(&mut s, id, SockOpt6::DontFrag(true));
    assert_eq!(too_large(&mut s), Err(SockError::MsgSize));
    let told = news(&mut s).unwrap();
    assert_eq!(
        (told.len, told.path_mtu, told.from),
        (0, Some(1500), Some(SocketAddr::new(ip6(OTHER).into(), 0)))
    );
    assert_eq!(news(&mut s), Err(SockError::WouldBlock), "once");
    set(&mut s, id, SockOpt6::RecvPathMtu(false));
    assert_eq!(too_large(&mut s), Err(SockError::MsgSize));
    assert_eq!(news(&mut s), Err(SockError::WouldBlock));
}

/// A host of the link `2001:db8::/64`, without DAD.
fn host(n: u8, peer: u8) -> (Stack, IfIndex) {
    let mut stack = Stack::new(StackConfig::default(), [n; 32]);
    let mac = |n| MacAddr([2, 0, 0, 0, 0, n]);
    let dev = stack.if_attach(IfConfig { name: "eth0".into(), mac: mac(n), mtu: 1500 }).unwrap();
    stack.if_set_up(NOW, dev, true).unwrap();
    stack
        .if_set_ipv6(NOW, dev, Ipv6Config { enabled: true, dad: Dad::Off, ..Ipv6Config::default() })
        .unwrap();
    stack.addr_add(NOW, dev, format!("2001:db8::{n}/64").parse().unwrap()).unwrap();
    let peer_at = format!("2001:db8::{peer}").parse().unwrap();
    stack.neigh_set(NOW, (dev, peer_at), mac(peer), Told::Permanent, false).unwrap();
    while stack.poll_transmit(NOW, dev).is_some() {}
    (stack, dev)
}

const NOW: Instant = Instant::from_millis(1000);

/// Lets two hosts talk until they have nothing to say; the first one's segments.
fn talk(a: &mut (Stack, IfIndex), b: &mut (Stack, IfIndex)) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        while let Some(m) = a.0.poll_transmit(NOW, a.1) {
            seen.push(m.data().to_vec());
            b.0.input(NOW, b.1, m);
        }
        let mut answered = false;
        while let Some(m) = b.0.poll_transmit(NOW, b.1) {
            answered = true;
            a.0.input(NOW, a.1, m);
        }
        if seen.len() == before && !answered {
            return seen;
        }
    }
}

/// RFC 3542 §4.2, RFC 6691: of a stream they are sent with each segment, which is the shorter for it; the peer is
/// told of segments as long as if there were none.
#[test]
fn a_streams_headers_and_label_are_in_each_segment_and_cost_room() {
    let (mut a, mut b) = (host(1, 2), host(2, 1));
    let [listener, client] =
        [&mut b, &mut a].map(|h| h.0.socket(Family::Inet6, SockType::Stream, 0).unwrap());
    b.0.bind(NOW, listener, "[::]:80".parse().unwrap()).unwrap();
    b.0.listen(NOW, listener, 1).unwrap();
    for opt in [SockOpt6::DstOptions(DST.into()), SockOpt6::FlowInfoSend(true)] {
        a.0.set_option(NOW, client, SockOpt::V6(opt)).unwrap();
    }
    let peer = SocketAddrV6::new(ip6("2001:db8::2"), 80, 0x12345, 0);
    assert_eq!(a.0.connect(NOW, client, peer.into()), Err(SockError::InProgress));
    let shaken = talk(&mut a, &mut b);
    let (server, _) = b.0.accept(NOW, listener).unwrap();
    assert_eq!(&shaken[0][82..86], &[2, 4, 0x05, 0xa0], "an MSS of 1440");
    // A later one has both.
    a.0.set_option(NOW, client, SockOpt::V6(SockOpt6::HopOptions(HOP.into()))).unwrap();
    let data = [7; 5000];
    assert_eq!(a.0.send(NOW, client, &data, &SendMeta::default()), Ok(5000));
    let segments = talk(&mut a, &mut b);
    assert_eq!(segments.iter().map(Vec::len).max(), Some(1514), "{segments:?}");
    for frame in &shaken {
        assert_eq!(
            (frame[20], &frame[54..62], label(frame)),
            (60, &[&[6, 0], &DST[2..]].concat()[..], 0x12345)
        );
    }
    for frame in &segments {
        assert_eq!((frame[20], frame[54], frame[62], label(frame)), (0, 60, 6, 0x12345));
    }
    let mut got = [0; 6000];
    assert_eq!(b.0.recv(NOW, server, &mut got, RecvFlags::empty()).unwrap().len, 5000);
    assert_eq!(a.0.stats().tcp.retrans_segs, 0);
}
