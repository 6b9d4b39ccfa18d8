//! Packet sockets: what they get, by binding, membership and filter, and what they count.

use crate::harness::*;
use netstack::net::bpf::filter::{Insn, Program};
use netstack::net::{IfIndex, MacAddr};
use netstack::socket::{
    Family, LinkAddr, Membership, PacketStats, PacketType, RecvFlags, RecvMeta, SendMeta, SockOpt, SockType,
};
use netstack::wire::ethernet;
use netstack::{SockError, SocketId};

pub(crate) fn tap(s: &mut Script, ty: SockType, ifindex: Option<IfIndex>, ethertype: u16) -> SocketId {
    let id = s.stack.socket(Family::Inet, ty, 0).unwrap();
    s.stack.bind_packet(id, ifindex, ethertype).unwrap();
    id
}

pub(crate) fn set(s: &mut Script, id: SocketId, opt: SockOpt) -> Result<(), SockError> {
    s.stack.set_option(s.now, id, opt)
}

pub(crate) fn taken(s: &mut Script, id: SocketId) -> Vec<(RecvMeta, Vec<u8>)> {
    let (mut buf, mut all) = ([0; 2000], Vec::new());
    while let Ok(meta) = s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()) {
        let octets = buf[..meta.len].to_vec();
        all.push((meta, octets));
    }
    all
}

/// `ld [k]; jeq value, keep, drop`
fn equal(code: u16, k: i32, value: u32, keep: u32) -> Program {
    let insn = |code, jt, jf, k| Insn { code, jt, jf, k };
    let program =
        [insn(code, 0, 0, k as u32), insn(0x15, 0, 1, value), insn(6, 0, 0, keep), insn(6, 0, 0, 0)];
    Program::new(&program).unwrap()
}

#[test]
fn a_filter_chooses_and_cuts_and_the_rest_is_remembered() {
    let mut s = Script::host();
    let whole = tap(&mut s, SockType::Packet, None, ethernet::ALL);
    let cooked = tap(&mut s, SockType::PacketDgram, None, ethernet::ALL);
    // UDP only, 20 octets of it; of the cooked socket offset 9 is the protocol.
    set(&mut s, whole, SockOpt::AttachFilter(equal(0x30, 23, 17, 20))).unwrap();
    set(&mut s, cooked, SockOpt::AttachFilter(equal(0x30, 9, 17, 20))).unwrap();
    let datagram = Ip::new("10.0.0.2", "10.0.0.1").udp(5, 6, b"abcdefgh");
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").echo(1, 1, b""));
    s.input(0, &datagram);
    for (id, from) in [(whole, 0), (cooked, 14)] {
        let got = taken(&mut s, id);
        assert_eq!(got.len(), 1);
        let (meta, octets) = &got[0];
        assert_eq!(octets[..], datagram[from..from + 20]);
        assert_eq!((meta.full_len, meta.wire_len), (20, datagram.len() - from));
        assert_eq!(s.stack.packet_stats(id), Ok(PacketStats { packets: 1, drops: 0 }));
        assert_eq!(s.stack.packet_stats(id), Ok(PacketStats::default()), "each is told once");
    }
    set(&mut s, whole, SockOpt::DetachFilter).unwrap();
    assert_eq!(set(&mut s, whole, SockOpt::DetachFilter), Err(SockError::NoFilter));
    s.input(0, &datagram);
    assert_eq!(taken(&mut s, whole)[0].1, datagram);
}

#[test]
fn a_locked_filter_stays() {
    let mut s = Script::host();
    let id = tap(&mut s, SockType::Packet, None, ethernet::ALL);
    let filter = || SockOpt::AttachFilter(equal(0x30, 23, 17, 20));
    set(&mut s, id, filter()).unwrap();
    set(&mut s, id, SockOpt::LockFilter(true)).unwrap();
    for opt in [filter(), SockOpt::DetachFilter, SockOpt::LockFilter(false)] {
        assert_eq!(set(&mut s, id, opt), Err(SockError::NotPermitted));
    }
}

#[test]
fn filters_of_datagram_sockets_begin_at_their_header() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let udp = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, udp, "0.0.0.0:6".parse().unwrap()).unwrap();
    let raw = s.stack.socket(Family::Inet, SockType::Raw, 99).unwrap();
    // The source port; the sender in IP's header by the network offset. At least UDP's header is kept.
    set(&mut s, udp, SockOpt::AttachFilter(equal(0x28, 0, 5, 11))).unwrap();
    set(&mut s, raw, SockOpt::AttachFilter(equal(0x20, -0x10_0000 + 12, 0x0a00_0002, 22))).unwrap();
    let from = |src: &str| Ip::new(src, "10.0.0.1");
    for port in [4, 5] {
        s.input(0, &from("10.0.0.2").udp(port, 6, b"hello"));
    }
    for src in ["10.0.0.3", "10.0.0.2"] {
        s.input(0, &from(src).raw(99, b"hello"));
    }
    let got = taken(&mut s, udp);
    assert_eq!((got.len(), &got[0].1[..]), (1, &b"hel"[..]));
    let got = taken(&mut s, raw);
    assert_eq!((got.len(), &got[0].1[20..]), (1, &b"he"[..]));
    assert_eq!(s.counter("socketFilter"), 2);
}

#[test]
fn memberships_widen_what_the_wire_gives() {
    let mut s = Script::host();
    let (id, other) = (tap(&mut s, SockType::Packet, None, ethernet::ALL), IfIndex(77));
    let eth0 = s.ifs[0];
    let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let stranger = Ip::new("10.0.0.2", "10.0.0.9").at_mac(MacAddr([2, 9, 9, 9, 9, 9])).echo(1, 1, b"");
    let grouped = Ip::new("10.0.0.2", "10.0.0.9").at_mac(group).echo(1, 1, b"");
    let heard = |s: &mut Script| {
        s.input(0, &stranger);
        s.input(0, &grouped);
        taken(s, id).iter().map(|(meta, _)| meta.link.unwrap().kind).collect::<Vec<_>>()
    };
    assert_eq!(heard(&mut s), [], "the wire gave more than was asked for");
    assert_eq!(
        set(&mut s, id, SockOpt::PacketJoin(other, Membership::Promiscuous)),
        Err(SockError::NoDevice)
    );
    for (what, hears) in [
        (Membership::Promiscuous, &[PacketType::OtherHost, PacketType::Multicast][..]),
        (Membership::AllMulticast, &[PacketType::Multicast]),
        (Membership::Multicast(group), &[PacketType::Multicast]),
    ] {
        let before = s.stack.rx_filter(eth0);
        set(&mut s, id, SockOpt::PacketJoin(eth0, what)).unwrap();
        set(&mut s, id, SockOpt::PacketJoin(eth0, what)).unwrap();
        set(&mut s, id, SockOpt::PacketLeave(eth0, what)).unwrap();
        assert_eq!(heard(&mut s), hears);
        let filter = s.stack.rx_filter(eth0);
        assert_ne!(filter.generation, before.generation);
        assert_eq!(filter.promiscuous, what == Membership::Promiscuous);
        assert_eq!(filter.all_multicast, what == Membership::AllMulticast);
        assert_eq!(filter.multicast.contains(&group), what == Membership::Multicast(group));
        set(&mut s, id, SockOpt::PacketLeave(eth0, what)).unwrap();
        assert_eq!(heard(&mut s), []);
        assert_eq!(set(&mut s, id, SockOpt::PacketLeave(eth0, what)), Err(SockError::AddrNotAvailable));
    }
    set(&mut s, id, SockOpt::PacketJoin(eth0, Membership::Promiscuous)).unwrap();
    s.stack.close(s.now, id).unwrap();
    assert!(!s.stack.rx_filter(eth0).promiscuous, "it ends with its socket");
}

#[test]
fn a_slow_reader_loses_frames_and_is_told_how_many() {
    let mut s = Script::host();
    let id = tap(&mut s, SockType::Packet, None, ethernet::ALL);
    set(&mut s, id, SockOpt::RecvBuffer(3000)).unwrap();
    for n in 0..20 {
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(n, 6, &[0; 1000]));
    }
    let got = taken(&mut s, id).len() as u32;
    let stats = s.stack.packet_stats(id).unwrap();
    assert!(got > 0 && stats.drops > 0, "{got} of {stats:?}");
    // An ICMP error leaves for each datagram that nobody wanted, within its limit: more than 20 are seen.
    assert_eq!(stats.packets, got + stats.drops);
}

#[test]
fn what_leaves_is_not_shown_to_who_sent_it_or_does_not_want_it() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let [sender, sees, ignores, arp] = [ethernet::ALL, ethernet::ALL, ethernet::ALL, ethernet::ARP]
        .map(|ethertype| tap(&mut s, SockType::Packet, Some(IfIndex(2)), ethertype));
    set(&mut s, ignores, SockOpt::IgnoreOutgoing(true)).unwrap();
    let frame = arp_request("10.0.0.1", "10.0.0.2");
    s.stack.send(s.now, sender, &frame, &SendMeta::default()).unwrap();
    assert_eq!(s.frames(0), [frame]);
    let seen = [sender, sees, ignores, arp].map(|id| taken(&mut s, id).len());
    assert_eq!(seen, [0, 1, 0, 0]);
    s.input(0, &arp_request("10.0.0.2", "10.0.0.7"));
    let seen = [sender, sees, ignores, arp].map(|id| taken(&mut s, id).len());
    assert_eq!(seen, [1, 1, 1, 1]);
}

#[test]
fn frames_sent_on_the_loopback_interface_come_in() {
    let mut s = Script::host();
    let lo = IfIndex::LOOPBACK;
    let sees = tap(&mut s, SockType::Packet, Some(lo), ethernet::ALL);
    let sender = tap(&mut s, SockType::PacketDgram, Some(lo), 0);
    let udp = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, udp, "127.0.0.1:6".parse().unwrap()).unwrap();
    let packet = &Ip::new("127.0.0.1", "127.0.0.1").udp(5, 6, b"round")[14..];
    let link =
        LinkAddr { ifindex: lo, ethertype: ethernet::IPV4, mac: MacAddr::default(), kind: PacketType::Host };
    let meta = SendMeta { link: Some(link), ..SendMeta::default() };
    s.stack.send(s.now, sender, packet, &meta).unwrap();
    assert_eq!(taken(&mut s, udp)[0].1, b"round");
    let kinds: Vec<_> = taken(&mut s, sees).iter().map(|(meta, _)| meta.link.unwrap().kind).collect();
    assert_eq!(kinds, [PacketType::Outgoing, PacketType::Host]);
}

#[test]
fn sending_without_an_interface_or_an_address_fails() {
    let mut s = Script::host();
    let nowhere = tap(&mut s, SockType::Packet, None, 0);
    let send = |s: &mut Script, id, meta| s.stack.send(s.now, id, &[0; 60], &meta);
    assert_eq!(send(&mut s, nowhere, SendMeta::default()), Err(SockError::NoAddress));
    let cooked = tap(&mut s, SockType::PacketDgram, Some(IfIndex(2)), 0);
    assert_eq!(send(&mut s, cooked, SendMeta::default()), Err(SockError::Invalid));
    s.stack.if_set_up(s.now, IfIndex(2), false).unwrap();
    let raw = tap(&mut s, SockType::Packet, Some(IfIndex(2)), 0);
    assert_eq!(send(&mut s, raw, SendMeta::default()), Err(SockError::NetDown));
}
