//! Packet sockets in Linux's numbers and layout (packet(7)): protocols, `struct sockaddr_ll`, the options of
//! `SOL_PACKET`, and the filters that any socket of datagrams may have.
//!
//! Not here: mapped rings, which are [`crate::sysproxy`]'s affair; PACKET_VNET_HDR and PACKET_MR_UNICAST are refused, and programs
//! of the extended kind (PACKET_FANOUT_DATA of PACKET_FANOUT_EBPF), of which there are none. Of SOCK_PACKET, the interface of Linux 2.0, there is what who sends needs: addresses that name an
//! interface.

use super::{Errno, Family, Fd, SockOpt, SockOptName, SockType, Sys};
use crate::ifs::flags::hardware;
use netstack::net::bpf::fanout::{Fanout, FanoutFlags, FanoutKind, RolloverStats};
use netstack::net::bpf::filter::{Insn, Program};
use netstack::net::{IfIndex, MacAddr};
use netstack::socket::{LinkAddr, Membership, PacketType, SocketInfo};
use netstack::wire::ethernet;

/// `AF_PACKET`
pub const AF_PACKET: u16 = 17;
/// `SOCK_PACKET`
pub const SOCK_PACKET: u32 = 10;
/// Octets of a `struct sockaddr` with an interface's name, with and without an EtherType behind it (`sockaddr_pkt`).
const SOCKADDR_PKT: usize = 18;
const SOCKADDR_NAME: usize = 16;
/// `SOL_PACKET`
pub const SOL_PACKET: u32 = 263;
/// Octets of a `struct sockaddr_ll`, and those before its link address.
pub const SOCKADDR_LL: usize = 20;
const LINK_ADDRESS: usize = 12;
/// Octets of an Ethernet address.
const MAC: usize = 6;
/// Octets of a `struct packet_mreq`, and of a `struct sock_filter`.
const MREQ: usize = 16;
const SOCK_FILTER: usize = 8;

/// Options of `SOL_PACKET`.
const ADD_MEMBERSHIP: u32 = 1;
const DROP_MEMBERSHIP: u32 = 2;
/// PACKET_STATISTICS
pub const STATISTICS: u32 = 6;
const AUXDATA: u32 = 8;
const FANOUT: u32 = 18;
const ROLLOVER_STATS: u32 = 21;
/// PACKET_FANOUT_DATA
pub const FANOUT_DATA: u32 = 22;
const IGNORE_OUTGOING: u32 = 23;
/// PACKET_COPY_THRESH, ORIGDEV, TIMESTAMP, QDISC_BYPASS: there is one way here, whatever is chosen.
const WITHOUT_EFFECT: [u32; 4] = [7, 9, 17, 20];

/// `PACKET_FANOUT_HASH` …
const FANOUT_KINDS: [(u8, FanoutKind); 8] = [
    (0, FanoutKind::Hash),
    (1, FanoutKind::LoadBalance),
    (2, FanoutKind::Cpu),
    (3, FanoutKind::Rollover),
    (4, FanoutKind::Random),
    (5, FanoutKind::Queue),
    (6, FanoutKind::Program),
    (7, FanoutKind::Extended),
];

/// Whether it is of AF_PACKET.
pub fn is_packet(kind: SockType) -> bool {
    match kind {
        SockType::Packet | SockType::PacketDgram => true,
        SockType::Stream | SockType::Dgram | SockType::Raw => false,
    }
}

/// socket(2) of AF_PACKET; `protocol` is an EtherType in network order.
pub(crate) fn socket(sys: &Sys, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let kind = match kind {
        2 => SockType::PacketDgram,
        3 | SOCK_PACKET => SockType::Packet,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    let fd = sys.socket(Family::Inet, kind, 0)?;
    let bound = sys.bind_packet(fd, None, (protocol as u16).swap_bytes());
    if bound.is_err() {
        let _ = sys.close(fd);
    }
    bound.map(|()| fd)
}

/// What a `struct sockaddr_ll` says: interface, EtherType and link address, whose length is told.
fn decode(octets: &[u8]) -> Result<(u32, u16, MacAddr, u8), Errno> {
    let octets: &[u8; SOCKADDR_LL] = octets.first_chunk().ok_or(Errno::EINVAL)?;
    let ethertype = u16::from_be_bytes([octets[2], octets[3]]);
    let ifindex = u32::from_le_bytes([octets[4], octets[5], octets[6], octets[7]]);
    let mut mac = [0; MAC];
    mac.copy_from_slice(&octets[LINK_ADDRESS..][..MAC]);
    Ok((ifindex, ethertype, MacAddr(mac), octets[11]))
}

/// What a `struct sockaddr_pkt` says: an interface by its name, and an EtherType, 0 if it ends before that.
fn decode_name(sys: &Sys, octets: &[u8]) -> Result<(IfIndex, u16), Errno> {
    let name = octets.get(2..SOCKADDR_NAME).ok_or(Errno::EINVAL)?;
    let name = name.split(|octet| *octet == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
    let ifindex = sys.kernel().stack.borrow().if_by_name(name).ok_or(Errno::ENODEV)?;
    let ethertype =
        octets.get(SOCKADDR_NAME..SOCKADDR_PKT).map_or(0, |be| u16::from_be_bytes([be[0], be[1]]));
    Ok((ifindex, ethertype))
}

/// A `struct sockaddr_ll`, of an interface or of none.
fn encode(ifindex: u32, ethertype: u16, hatype: u16, kind: u8, mac: Option<MacAddr>) -> [u8; SOCKADDR_LL] {
    let mut octets = [0; SOCKADDR_LL];
    octets[..2].copy_from_slice(&AF_PACKET.to_le_bytes());
    octets[2..4].copy_from_slice(&ethertype.to_be_bytes());
    octets[4..8].copy_from_slice(&ifindex.to_le_bytes());
    octets[8..10].copy_from_slice(&hatype.to_le_bytes());
    octets[10] = kind;
    if let Some(mac) = mac {
        octets[11] = MAC as u8;
        octets[LINK_ADDRESS..][..MAC].copy_from_slice(&mac.0);
    }
    octets
}

/// Where a frame came from, as recvfrom(2) tells it.
pub fn source(sys: &Sys, link: &LinkAddr) -> [u8; SOCKADDR_LL] {
    let stack = sys.kernel().stack.borrow();
    let hatype = stack.interface(link.ifindex).map_or(0, hardware);
    encode(link.ifindex.0, link.ethertype, hatype, link.kind.number(), Some(link.mac))
}

/// bind(2). Interface 0: all. EtherType 0: as before.
pub(crate) fn bind(sys: &Sys, fd: Fd, octets: &[u8]) -> Result<(), Errno> {
    if octets.len() < SOCKADDR_LL {
        let (ifindex, _) = decode_name(sys, octets)?;
        return sys.bind_packet(fd, Some(ifindex), sys.packet_binding(fd)?.1);
    }
    let (ifindex, ethertype, ..) = decode(octets)?;
    if octets[..2] != AF_PACKET.to_le_bytes() {
        return Err(Errno::EINVAL);
    }
    let ethertype = if ethertype == 0 { sys.packet_binding(fd)?.1 } else { ethertype };
    sys.bind_packet(fd, (ifindex != 0).then_some(IfIndex(ifindex)), ethertype)
}

/// getsockname(2)
pub(crate) fn getsockname(sys: &Sys, fd: Fd) -> Result<Vec<u8>, Errno> {
    let (ifindex, ethertype) = sys.packet_binding(fd)?;
    let stack = sys.kernel().stack.borrow();
    let name = match ifindex.and_then(|ifindex| stack.interface(ifindex)) {
        Some(ifnet) => encode(ifnet.index.0, ethertype, hardware(ifnet), 0, Some(ifnet.mac)),
        None => encode(0, ethertype, 0, 0, None),
    };
    Ok(name[..LINK_ADDRESS + usize::from(name[11])].to_vec())
}

/// Where sendto(2) sends to: `None` if the socket is no packet socket, or no address is given.
pub fn destination(sys: &Sys, fd: Fd, octets: Option<&[u8]>) -> Result<Option<LinkAddr>, Errno> {
    let kind = sys.socket_type(fd)?;
    let (true, Some(octets)) = (is_packet(kind), octets) else { return Ok(None) };
    if octets.len() < SOCKADDR_LL && kind == SockType::Packet {
        let (ifindex, ethertype) = decode_name(sys, octets)?;
        let mac = MacAddr::default();
        return Ok(Some(LinkAddr { ifindex, ethertype, mac, kind: PacketType::Host }));
    }
    let (ifindex, ethertype, mac, len) = decode(octets)?;
    if octets.len() < LINK_ADDRESS + usize::from(len)
        || kind == SockType::PacketDgram && usize::from(len) < MAC
    {
        return Err(Errno::EINVAL);
    }
    Ok(Some(LinkAddr { ifindex: IfIndex(ifindex), ethertype, mac, kind: PacketType::Host }))
}

/// setsockopt(2) of `SOL_PACKET`.
pub(crate) fn set(sys: &Sys, fd: Fd, name: u32, value: &[u8]) -> Result<(), Errno> {
    let flag = || value.first_chunk().map(|word| u32::from_le_bytes(*word) != 0).ok_or(Errno::EINVAL);
    let option = match name {
        ADD_MEMBERSHIP | DROP_MEMBERSHIP => {
            let (ifindex, what) = membership(value)?;
            if name == ADD_MEMBERSHIP {
                SockOpt::PacketJoin(ifindex, what)
            } else {
                SockOpt::PacketLeave(ifindex, what)
            }
        }
        FANOUT => return join_fanout(sys, fd, value),
        FANOUT_DATA => {
            let kind = sys.packet_fanout(fd)?.ok_or(Errno::EINVAL)?.kind;
            // A descriptor, or instructions.
            return match kind {
                FanoutKind::Program => sys.packet_fanout_program(fd, filter(value)?),
                FanoutKind::Extended if value.len() == 4 => Err(no_program(value)),
                _ => Err(Errno::EINVAL),
            };
        }
        AUXDATA => SockOpt::AuxData(flag()?),
        IGNORE_OUTGOING => SockOpt::IgnoreOutgoing(flag()?),
        name if WITHOUT_EFFECT.contains(&name) => return flag().map(drop),
        _ => return Err(Errno::ENOPROTOOPT),
    };
    sys.setsockopt(fd, option)
}

/// A `struct fanout_args`, which may end before the number of members.
fn join_fanout(sys: &Sys, fd: Fd, value: &[u8]) -> Result<(), Errno> {
    let (args, members) = match value {
        [args @ .., m0, m1, m2, m3] if args.len() == 4 => (args, u32::from_le_bytes([*m0, *m1, *m2, *m3])),
        args => (args, 0),
    };
    let &[i0, i1, kind, flags] = args else { return Err(Errno::EINVAL) };
    let kind = FANOUT_KINDS.iter().find(|(number, _)| *number == kind).ok_or(Errno::EINVAL)?.1;
    let flags = FanoutFlags::from_bits_retain(flags);
    sys.packet_join_fanout(fd, Fanout { id: u16::from_le_bytes([i0, i1]), kind, flags }, members)
}

/// What a descriptor that is to be an extended program is: none at all, or another file.
fn no_program(value: &[u8]) -> Errno {
    let fd = value.first_chunk().map_or(-1, |word| i32::from_le_bytes(*word));
    if fd < 0 { Errno::EBADF } else { Errno::EINVAL }
}

/// A `struct packet_mreq`.
fn membership(value: &[u8]) -> Result<(IfIndex, Membership), Errno> {
    let octets: &[u8; MREQ] = value.first_chunk().ok_or(Errno::EINVAL)?;
    let ifindex = IfIndex(u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]));
    let mut mac = [0; MAC];
    mac.copy_from_slice(&octets[8..][..MAC]);
    let what = match (u16::from_le_bytes([octets[4], octets[5]]), octets[6]) {
        (0, 6) => Membership::Multicast(MacAddr(mac)),
        (1, _) => Membership::Promiscuous,
        (2, _) => Membership::AllMulticast,
        _ => return Err(Errno::EINVAL),
    };
    Ok((ifindex, what))
}

/// getsockopt(2) of `SOL_PACKET`.
pub(crate) fn get(sys: &Sys, fd: Fd, name: u32) -> Result<Vec<u8>, Errno> {
    let int = |on: bool| Ok(u32::from(on).to_le_bytes().to_vec());
    match name {
        STATISTICS => {
            let stats = sys.packet_stats(fd)?;
            Ok([stats.packets.to_le_bytes(), stats.drops.to_le_bytes()].concat())
        }
        AUXDATA => int(sys.getsockopt(fd, SockOptName::AuxData)? == SockOpt::AuxData(true)),
        IGNORE_OUTGOING => {
            int(sys.getsockopt(fd, SockOptName::IgnoreOutgoing)? == SockOpt::IgnoreOutgoing(true))
        }
        FANOUT => {
            let told = sys.packet_fanout(fd)?.map_or(0, |fanout| {
                let number =
                    FANOUT_KINDS.iter().find(|(_, kind)| *kind == fanout.kind).map_or(0, |kind| kind.0);
                u32::from(fanout.id) | u32::from(number) << 16 | u32::from(fanout.flags.bits()) << 24
            });
            Ok(told.to_le_bytes().to_vec())
        }
        ROLLOVER_STATS => {
            let RolloverStats { all, failed } = sys.packet_rollover(fd)?;
            // Of those in the middle, which were of a flow that fills its socket, none are known.
            Ok([all, 0, failed].iter().flat_map(|count| count.to_le_bytes()).collect())
        }
        name if WITHOUT_EFFECT.contains(&name) => int(false),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// The program that SO_ATTACH_FILTER is given: the instructions that a `struct sock_fprog` points to.
pub(crate) fn filter(value: &[u8]) -> Result<Program, Errno> {
    let (insns, []) = value.as_chunks::<SOCK_FILTER>() else { return Err(Errno::EINVAL) };
    let insns: Vec<Insn> = insns
        .iter()
        .map(|[c0, c1, jt, jf, k @ ..]| Insn {
            code: u16::from_le_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_le_bytes(*k),
        })
        .collect();
    Program::new(&insns).map_err(|_| Errno::EINVAL)
}

/// Why SO_ATTACH_BPF and SO_ATTACH_REUSEPORT_EBPF fail: a node has no extended programs, as for a user without privileges.
pub(crate) fn extended_filter(sys: &Sys, fd: Fd, value: &[u8]) -> Result<Errno, Errno> {
    let locked = sys.getsockopt(fd, SockOptName::LockFilter)? == SockOpt::LockFilter(true);
    match value.len() {
        4 if locked => Ok(Errno::EPERM),
        4 => Ok(no_program(value)),
        _ => Ok(Errno::EINVAL),
    }
}

/// SO_GET_FILTER: the instructions.
pub(crate) fn told(program: Option<&Program>) -> Vec<u8> {
    let insns = program.map(Program::insns).unwrap_or_default();
    insns
        .iter()
        .flat_map(|insn| {
            let [c0, c1] = insn.code.to_le_bytes();
            let [k0, k1, k2, k3] = insn.k.to_le_bytes();
            [c0, c1, insn.jt, insn.jf, k0, k1, k2, k3]
        })
        .collect()
}

/// SO_DOMAIN
pub(crate) fn domain(info: &SocketInfo) -> i32 {
    match info.family {
        _ if is_packet(info.ty) => AF_PACKET.into(),
        Family::Inet => 2,
        Family::Inet6 => 10,
    }
}

/// Octets before what a program of this kind reads of a frame: where its network header is (`tp_net`).
pub fn header_len(kind: SockType) -> usize {
    if kind == SockType::Packet { ethernet::HEADER_LEN } else { 0 }
}
