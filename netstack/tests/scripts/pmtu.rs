//! Path MTU discovery: RFC 1191, 5927 §7, and IP_MTU_DISCOVER.

use crate::harness::*;
use etherparse::Icmpv4Type;
use etherparse::icmpv4::DestUnreachableHeader;
use netstack::SocketId;
use netstack::socket::{Family, MtuDiscover, RecvFlags, SendMeta, SockError, SockOpt, SockOptName, SockType};
use netstack::stack::StackConfig;
use netstack::tcp::Profile;
use netstack::time::Duration;
use netstack::wire::tcp::{self, Flags};

fn host() -> Script {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    s
}

fn connected(s: &mut Script, port: u16) -> SocketId {
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, format!("0.0.0.0:{port}").parse().unwrap()).unwrap();
    s.stack.connect(s.now, id, "10.0.0.2:9".parse().unwrap()).unwrap();
    id
}

/// "Fragmentation needed" by a router about our packet to 10.0.0.2 with this protocol and payload.
fn too_big(mtu: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let quoted = Ip::new("10.0.0.1", "10.0.0.2").df().packet(protocol, payload);
    let ty =
        Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu });
    Ip::new("10.0.0.3", "10.0.0.1").icmp(ty, &quoted)
}

fn udp_octets(port: u16) -> Vec<u8> {
    Ip::new("10.0.0.1", "10.0.0.2").udp_octets(port, 9, b"hello")
}

fn mtu(s: &Script, id: SocketId) -> u32 {
    match s.stack.option(id, SockOptName::Mtu).unwrap() {
        SockOpt::Mtu(m) => m,
        other => panic!("{other:?}"),
    }
}

/// The peer acknowledges the last segment that went out, and has none of its own.
fn answer(s: &mut Script, seq: u32, flags: Flags) -> Vec<u8> {
    let sent = s.frames(0).pop().unwrap()[34..].to_vec();
    let (header, payload) = tcp::Header::parse(&sent).unwrap();
    let reply = tcp::Header {
        src_port: 80,
        dst_port: header.src_port,
        seq,
        ack: header.seq + payload.len() as u32 + u32::from(header.flags.contains(Flags::SYN)),
        flags,
        window: 1000,
        ..Default::default()
    };
    let mut octets = vec![0; reply.len()];
    reply.emit(&mut octets);
    let (us, them) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    tcp::fill_checksum(them, us, &mut octets);
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").raw(6, &octets));
    sent
}

#[test]
fn an_error_about_nobodys_packet_teaches_nothing() {
    let mut s = host();
    let id = connected(&mut s, 1);
    for (protocol, quoted) in
        [(17, vec![0; 8]), (17, udp_octets(77)), (6, vec![0; 8]), (1, vec![8; 8]), (99, vec![0; 8])]
    {
        s.input(0, &too_big(1000, protocol, &quoted));
        assert_eq!(mtu(&s, id), 1500, "protocol {protocol}");
    }
    s.input(0, &too_big(1000, 17, &udp_octets(1)));
    assert_eq!(mtu(&s, id), 1000);
}

#[test]
fn the_sequence_number_of_a_quoted_segment_must_be_in_flight() {
    let mut s = host();
    let udp = connected(&mut s, 1);
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let _ = s.stack.connect(s.now, tcp, "10.0.0.2:80".parse().unwrap());
    s.pass(Duration::from_millis(1));
    let syn = s.frames(0).remove(0)[34..].to_vec();
    let mut stale = syn[..8].to_vec();
    stale[4] ^= 0x80;
    s.input(0, &too_big(68, 6, &stale));
    assert_eq!((mtu(&s, udp), s.stack.tcp_info(tcp).unwrap().pmtu), (1500, 1500));
    s.input(0, &too_big(68, 6, &syn[..8]));
    assert_eq!((mtu(&s, udp), s.stack.tcp_info(tcp).unwrap().pmtu), (552, 552));
    // RFC 6691 §5.4: what we take is the affair of our own interface.
    let next = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let _ = s.stack.connect(s.now, next, "10.0.0.2:80".parse().unwrap());
    let info = s.stack.tcp_info(next).unwrap();
    assert_eq!((info.pmtu, info.advmss), (552, 1460));
}

#[test]
fn what_tcp_doubts_is_not_learned_before_it_is_believed() {
    let config = StackConfig { tcp: Profile::Rfc.config(), ..StackConfig::default() };
    let mut s = Script::new(config, &["10.0.0.1/24"]);
    s.neighbour(0, "10.0.0.2");
    let udp = connected(&mut s, 1);
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let _ = s.stack.connect(s.now, tcp, "10.0.0.2:80".parse().unwrap());
    s.pass(Duration::from_millis(1));
    answer(&mut s, 7, Flags::SYN | Flags::ACK);
    s.pass(Duration::from_millis(1));
    s.frames(0);
    let send = |s: &mut Script| s.stack.send(s.now, tcp, &[0; 536], &SendMeta::default()).unwrap();
    send(&mut s);
    s.pass(Duration::from_millis(1));
    answer(&mut s, 8, Flags::ACK);
    send(&mut s);
    s.pass(Duration::from_millis(1));
    let sent = s.frames(0).pop().unwrap()[34..].to_vec();
    s.input(0, &too_big(300, 6, &sent[..8]));
    assert_eq!((mtu(&s, udp), s.stack.tcp_info(tcp).unwrap().pmtu), (1500, 1500));
    s.pass(Duration::from_secs(2));
    assert_eq!((mtu(&s, udp), s.stack.tcp_info(tcp).unwrap().pmtu), (552, 552));
    // Less than the floor: routers are to fragment what is no smaller.
    assert!(s.sent(0).iter().all(|frame| !frame.contains("df")), "no DF");
}

#[test]
fn below_the_floor_routers_fragment() {
    let mut s = host();
    let id = connected(&mut s, 1);
    s.input(0, &too_big(300, 17, &udp_octets(1)));
    s.stack.take_error(id);
    assert_eq!(mtu(&s, id), 552);
    s.stack.send(s.now, id, &[0; 500], &SendMeta::default()).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 udp 1 > 9 len 500"]);
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let _ = s.stack.connect(s.now, tcp, "10.0.0.2:80".parse().unwrap());
    s.pass(Duration::from_millis(1));
    let sent = s.sent(0);
    assert!(sent[0].starts_with("10.0.0.1 > 10.0.0.2 tcp"), "{sent:?}");
}

#[test]
fn a_segment_larger_than_the_smallest_link_is_fragmented() {
    let mut s = host();
    s.stack.if_set_mtu(s.ifs[0], 68).unwrap();
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let _ = s.stack.connect(s.now, tcp, "10.0.0.2:80".parse().unwrap());
    s.pass(Duration::from_millis(1));
    answer(&mut s, 7, Flags::SYN | Flags::ACK);
    s.stack.send(s.now, tcp, &[0; 48], &SendMeta::default()).unwrap();
    s.pass(Duration::from_millis(1));
    let sent = s.sent(0);
    assert!(sent.iter().any(|f| f.contains("frag 0:48+")), "{sent:?}");
}

#[test]
fn a_datagram_that_is_too_large_for_us_is_in_the_error_queue() {
    let mut s = host();
    let id = connected(&mut s, 1);
    s.input(0, &too_big(1000, 17, &udp_octets(1)));
    s.stack.take_error(id);
    s.stack.set_option(s.now, id, SockOpt::MtuDiscover(MtuDiscover::Do)).unwrap();
    let send = |s: &mut Script, len| s.stack.send(s.now, id, &vec![0; len], &SendMeta::default());
    assert_eq!(send(&mut s, 1200), Err(SockError::MsgSize));
    let mut buf = [0; 9];
    let queue = |s: &mut Script, buf: &mut [u8]| s.stack.recv(s.now, id, buf, RecvFlags::ERRQUEUE);
    assert_eq!(queue(&mut s, &mut buf).err(), Some(SockError::WouldBlock), "not asked for");
    s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
    assert_eq!(send(&mut s, 1200), Err(SockError::MsgSize));
    let meta = queue(&mut s, &mut buf).unwrap();
    let error = meta.error.unwrap();
    assert_eq!((meta.len, meta.from), (0, Some("10.0.0.2:9".parse().unwrap())));
    assert_eq!((error.error, error.offender, error.mtu), (SockError::MsgSize, None, 1000));
    assert_eq!(s.stack.take_error(id), None, "the call has told it");
}

#[test]
fn a_prober_goes_by_the_mtu_of_the_interface() {
    let mut s = host();
    let id = connected(&mut s, 1);
    s.input(0, &too_big(1000, 17, &udp_octets(1)));
    s.stack.take_error(id);
    s.stack.set_option(s.now, id, SockOpt::MtuDiscover(MtuDiscover::Probe)).unwrap();
    s.stack.set_option(s.now, id, SockOpt::RecvErr(true)).unwrap();
    let send = |s: &mut Script, len| s.stack.send(s.now, id, &vec![0; len], &SendMeta::default());
    send(&mut s, 1472).unwrap();
    s.expect(0, &["10.0.0.1 > 10.0.0.2 df udp 1 > 9 len 1472"]);
    assert_eq!(send(&mut s, 1473), Err(SockError::MsgSize));
    let meta = s.stack.recv(s.now, id, &mut [], RecvFlags::ERRQUEUE).unwrap();
    assert_eq!(meta.error.unwrap().mtu, 1500);
}
