//! Groups of packet sockets: which member gets a frame, and who may become one.

use crate::harness::*;
use crate::packet::{set, taken, tap};
use netstack::net::IfIndex;
use netstack::net::bpf::fanout::{Fanout, FanoutFlags, FanoutKind, RolloverStats};
use netstack::net::bpf::filter::{Insn, Program};
use netstack::socket::{PacketStats, PacketType, SendMeta, SockOpt, SockType};
use netstack::wire::ethernet;
use netstack::{SockError, SocketId};

fn fanout(id: u16, kind: FanoutKind) -> Fanout {
    Fanout { id, kind, flags: FanoutFlags::empty() }
}

/// `members` sockets of one group, which get what comes in of IPv4.
fn group(s: &mut Script, members: usize, fanout: Fanout) -> Vec<SocketId> {
    let join = |_| {
        let id = tap(s, SockType::Packet, None, ethernet::IPV4);
        s.stack.packet_join_fanout(id, fanout, 0).unwrap();
        id
    };
    (0..members).map(join).collect()
}

/// A datagram comes in, of this size.
fn input(s: &mut Script, from: u16, to: u16, octets: usize) {
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").udp(from, to, &vec![0; octets]));
}

/// How many frames each has got since.
fn got(s: &mut Script, ids: &[SocketId]) -> Vec<usize> {
    ids.iter().map(|id| taken(s, *id).len()).collect()
}

#[test]
fn each_frame_is_for_one_member_and_for_those_outside() {
    let mut s = Script::host();
    let outside = tap(&mut s, SockType::Packet, None, ethernet::IPV4);
    let members = group(&mut s, 3, fanout(7, FanoutKind::LoadBalance));
    for _ in 0..7 {
        input(&mut s, 5, 6, 5);
    }
    assert_eq!((got(&mut s, &members), got(&mut s, &[outside])), (vec![2, 3, 2], vec![7]));
    assert_eq!(s.stack.packet_stats(members[1]), Ok(PacketStats { packets: 3, drops: 0 }));
    // What a member's own filter does not want is nobody else's.
    let nothing = Program::new(&[Insn { code: 6, jt: 0, jf: 0, k: 0 }]).unwrap();
    set(&mut s, members[1], SockOpt::AttachFilter(nothing)).unwrap();
    for _ in 0..3 {
        input(&mut s, 5, 6, 5);
    }
    assert_eq!(got(&mut s, &members), [1, 0, 1]);
    // The last takes the place of one that goes.
    s.stack.close(s.now, members[0]).unwrap();
    for _ in 0..4 {
        input(&mut s, 5, 6, 5);
    }
    assert_eq!(got(&mut s, &members[2..]), [2]);
}

#[test]
fn both_directions_and_all_fragments_of_a_flow_go_to_one() {
    let mut s = Script::host();
    let members = group(&mut s, 4, fanout(7, FanoutKind::Hash));
    let ends = [("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.2")];
    let mut used = [false; 4];
    for port in 0..40 {
        // A router's: both directions come in.
        let ways = [(ends[0], port, 80), (ends[1], 80, port)];
        for ((src, dst), from, to) in ways.into_iter().chain(ways) {
            let from_wire = Ip::new(src, dst).at_mac(own_mac(1)).by_mac(peer_mac(2));
            s.input(0, &from_wire.udp(from, to, b"hello"));
        }
        let got = got(&mut s, &members);
        let one = got.iter().position(|n| *n == 4);
        used[one.unwrap_or_else(|| panic!("port {port}: {got:?}"))] = true;
    }
    assert_eq!(used, [true; 4]);
    for offset in 0..3 {
        s.input(
            0,
            &Ip::new("10.0.0.2", "10.0.0.1").fragment(9, offset * 8, true).udp(5, 6, &[offset as u8; 56]),
        );
    }
    assert!(got(&mut s, &members).contains(&3));
}

#[test]
fn a_program_chooses_and_without_one_the_first_has_all() {
    let mut s = Script::host();
    let members = group(&mut s, 3, fanout(7, FanoutKind::Program));
    let insn = |code, k| Insn { code, jt: 0, jf: 0, k };
    // ldh [36]; ret a: UDP's destination port.
    let by_port = || Program::new(&[insn(0x28, 36), insn(0x16, 0)]).unwrap();
    input(&mut s, 5, 1, 5);
    assert_eq!(got(&mut s, &members), [1, 0, 0]);
    s.stack.packet_fanout_program(members[2], by_port()).unwrap();
    for port in [1, 4, 5, 7] {
        input(&mut s, 5, port, 5);
    }
    assert_eq!(got(&mut s, &members), [0, 3, 1]);
    let other = group(&mut s, 1, fanout(8, FanoutKind::Cpu));
    assert_eq!(s.stack.packet_fanout_program(other[0], by_port()), Err(SockError::Invalid));
}

#[test]
fn the_other_kinds_choose_as_they_say() {
    let mut s = Script::host();
    let first = group(&mut s, 2, fanout(1, FanoutKind::Cpu));
    let queue = group(&mut s, 2, fanout(2, FanoutKind::Queue));
    let any = group(&mut s, 4, fanout(3, FanoutKind::Random));
    for _ in 0..200 {
        input(&mut s, 5, 6, 5);
    }
    assert_eq!((got(&mut s, &first), got(&mut s, &queue)), (vec![200, 0], vec![200, 0]));
    let any = got(&mut s, &any);
    assert!(any.iter().all(|n| *n > 20) && any.iter().sum::<usize>() == 200, "{any:?}");
}

#[test]
fn who_has_no_room_is_passed_over() {
    let mut s = Script::host();
    let full = |s: &mut Script, id| set(s, id, SockOpt::RecvBuffer(2048)).unwrap();
    let members = group(&mut s, 3, fanout(7, FanoutKind::Rollover));
    members.iter().for_each(|id| full(&mut s, *id));
    for _ in 0..5 {
        input(&mut s, 5, 6, 900);
    }
    assert_eq!(got(&mut s, &members), [3, 2, 0], "each until a quarter is left");
    input(&mut s, 5, 6, 900);
    assert_eq!(got(&mut s, &members), [0, 1, 0], "it stays where it has come to");
    s.stack.packet_set_full(members[1], true);
    input(&mut s, 5, 6, 900);
    assert_eq!(got(&mut s, &members), [0, 0, 1], "a ring without room is as bad");

    let flags = FanoutFlags::ROLLOVER;
    let members = group(&mut s, 2, Fanout { flags, ..fanout(8, FanoutKind::Cpu) });
    members.iter().for_each(|id| full(&mut s, *id));
    for _ in 0..8 {
        input(&mut s, 5, 6, 900);
    }
    // The last two found nobody with room: the first has it until it is full.
    assert_eq!(s.stack.packet_rollover(members[0]), Ok(RolloverStats { all: 3, failed: 2 }));
    assert_eq!(s.stack.packet_rollover(members[1]), Ok(RolloverStats::default()));
    assert_eq!(got(&mut s, &members), [3, 3]);
    assert_eq!(s.stack.packet_stats(members[0]), Ok(PacketStats { packets: 5, drops: 2 }));
}

#[test]
fn what_leaves_is_for_no_member_of_the_senders_group() {
    let mut s = Script::host();
    let mut all = |id, flags| -> Vec<SocketId> {
        let join = |_| {
            let member = tap(&mut s, SockType::Packet, None, ethernet::ALL);
            let fanout = Fanout { id, kind: FanoutKind::LoadBalance, flags };
            s.stack.packet_join_fanout(member, fanout, 0).unwrap();
            member
        };
        (0..2).map(join).collect()
    };
    let (senders, others) = (all(1, FanoutFlags::empty()), all(2, FanoutFlags::empty()));
    let deaf = all(3, FanoutFlags::IGNORE_OUTGOING);
    let link = netstack::socket::LinkAddr {
        ifindex: s.ifs[0],
        ethertype: 0,
        mac: own_mac(1),
        kind: PacketType::Host,
    };
    let meta = SendMeta { link: Some(link), ..SendMeta::default() };
    s.stack.send(s.now, senders[0], &[0; 60], &meta).unwrap();
    s.frames(0);
    assert_eq!(got(&mut s, &senders), [0, 0]);
    assert_eq!(got(&mut s, &others).iter().sum::<usize>(), 1);
    assert_eq!(got(&mut s, &deaf), [0, 0]);
}

#[test]
fn who_does_not_fit_is_refused() {
    let mut s = Script::host();
    let hash = fanout(7, FanoutKind::Hash);
    let member = group(&mut s, 1, hash)[0];
    let mut join = |ifindex, ethertype, fanout: Fanout, most| {
        let id = tap(&mut s, SockType::PacketDgram, ifindex, ethertype);
        s.stack.packet_join_fanout(id, fanout, most).map(|()| s.stack.packet_fanout(id).unwrap().unwrap())
    };
    let (here, ip, flags) = (Some(IfIndex(2)), ethernet::IPV4, FanoutFlags::DEFRAG);
    assert_eq!(join(None, ip, hash, 0), Ok(hash));
    for (ifindex, ethertype, fanout, most) in [
        (None, ip, fanout(7, FanoutKind::Cpu), 0),
        (None, ip, Fanout { flags, ..hash }, 0),
        (None, ip, hash, 3),
        (None, ethernet::ALL, hash, 0),
        (here, ip, hash, 0),
        (None, 0, fanout(9, FanoutKind::Cpu), 0),
        (None, ip, fanout(9, FanoutKind::Cpu), 65_537),
        (None, ip, Fanout { flags: FanoutFlags::ROLLOVER, ..fanout(9, FanoutKind::Rollover) }, 0),
        (None, ip, Fanout { flags: FanoutFlags::UNIQUE_ID, ..hash }, 0),
    ] {
        let refused = join(ifindex, ethertype, fanout, most);
        assert_eq!(refused, Err(SockError::Invalid), "{ifindex:?} {ethertype} {fanout:?} {most}");
    }
    let unique = Fanout { flags: FanoutFlags::UNIQUE_ID, ..fanout(0, FanoutKind::Hash) };
    assert_eq!(join(None, ip, unique, 0), Ok(fanout(0, FanoutKind::Hash)));
    assert_eq!(join(None, ip, unique, 0), Ok(fanout(1, FanoutKind::Hash)));
    let two = fanout(9, FanoutKind::Random);
    assert_eq!([2, 2, 0, 2].map(|most| join(here, ip, two, most).err()), {
        [None, None, Some(SockError::NoSpace), Some(SockError::NoSpace)]
    });

    assert_eq!(s.stack.packet_join_fanout(member, hash, 0), Err(SockError::Already));
    assert_eq!(s.stack.bind_packet(member, here, ip), Err(SockError::Invalid));
    assert_eq!(s.stack.packet_rollover(member), Err(SockError::Invalid));
    let udp = s.stack.socket(netstack::socket::Family::Inet, SockType::Dgram, 0).unwrap();
    assert_eq!(s.stack.packet_join_fanout(udp, hash, 0), Err(SockError::OpNotSupported));
}
