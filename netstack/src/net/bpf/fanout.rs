//! Groups of packet sockets that share frames: each is for one member (PACKET_FANOUT of packet(7)).
//!
//! A group is made by its first member and has that one's binding, which all others must have as well. Not here: fragments are not put
//! together (PACKET_FANOUT_FLAG_DEFRAG), but those of a packet have one flow and so go to one member; of an EtherType or IP protocol
//! without flows all frames are one.

use super::filter::{Program, View};
use crate::net::IfIndex;
use crate::net::bpf::Bpf;
use crate::netinet::ip::Ip;
use crate::netinet::{IpLayer, protosw};
use crate::socket::table::{Kind, Sockets};
use crate::socket::{SockError, SocketId};
use crate::stack::Stack;
use crate::wire::ethernet::{self, Header};
use crate::wire::{ipv4, ipv6, ipv6_ext};
use std::net::IpAddr;
use std::rc::Rc;

/// Members of a group at most, if whoever makes it does not say.
const MEMBERS: u32 = 256;
/// The same, if it does (`PACKET_FANOUT_MAX`).
const MOST_MEMBERS: u32 = 1 << 16;

/// Which member gets a frame (`PACKET_FANOUT_HASH` …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanoutKind {
    /// By its flow: both directions go to one.
    Hash,
    /// One after the other.
    LoadBalance,
    /// By the processor that took it: there is one.
    Cpu,
    /// The first, until it has no room; then the next.
    Rollover,
    /// Anyone.
    Random,
    /// By the receiver's queue: there is one.
    Queue,
    /// What a filter's program says; the first while there is none.
    Program,
    /// What an extended program says, of which there are none: the first.
    Extended,
}

bitflags::bitflags! {
    /// `PACKET_FANOUT_FLAG_*`, the upper octet of the type.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FanoutFlags: u8 {
        /// If a member has no room the next that has gets the frame.
        const ROLLOVER = 0x10;
        /// A number that no other group has is wanted.
        const UNIQUE_ID = 0x20;
        /// What leaves is for no member.
        const IGNORE_OUTGOING = 0x40;
        /// Fragments go to one member.
        const DEFRAG = 0x80;
        /// Told again, whatever it means.
        const _ = !0;
    }
}

/// What a socket asks for, and is told: a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// Its number in this stack.
    pub id: u16,
    /// How it chooses.
    pub kind: FanoutKind,
    /// How else it does.
    pub flags: FanoutFlags,
}

/// What rolling over has led to, for one socket (`struct tpacket_rollover_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolloverStats {
    /// Frames of this socket's that another got.
    pub all: u64,
    /// Frames for which nobody had room.
    pub failed: u64,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    is: Fanout,
    pub(super) members: Vec<SocketId>,
    most: u32,
    /// What all of them are bound to.
    pub(super) ifindex: Option<IfIndex>,
    pub(super) ethertype: u16,
    /// Frames given out one after the other.
    turn: u32,
    program: Option<Rc<Program>>,
}

impl Group {
    pub(super) fn ignores_outgoing(&self) -> bool {
        self.is.flags.contains(FanoutFlags::IGNORE_OUTGOING)
    }

    /// The place of the member that gets a frame.
    fn choose(&mut self, ip: &mut Ip, view: &View<'_>) -> usize {
        let members = self.members.len() as u64;
        let scaled = |word: u32| ((u64::from(word) * members) >> 32) as usize;
        match self.is.kind {
            FanoutKind::Hash => scaled(flow(ip, view.octets) as u32),
            FanoutKind::LoadBalance => {
                self.turn = self.turn.wrapping_add(1);
                (u64::from(self.turn) % members) as usize
            }
            FanoutKind::Random => scaled(ip.random() as u32),
            FanoutKind::Program => {
                let said = self.program.as_ref().map_or(0, |program| program.run(view));
                (u64::from(said) % members) as usize
            }
            FanoutKind::Cpu | FanoutKind::Queue | FanoutKind::Rollover | FanoutKind::Extended => 0,
        }
    }

    fn rolls_over(&self) -> bool {
        self.is.kind == FanoutKind::Rollover || self.is.flags.contains(FanoutFlags::ROLLOVER)
    }

    /// The member that gets a frame.
    pub(super) fn member(&mut self, ip: &mut Ip, sockets: &mut Sockets, view: &View<'_>) -> SocketId {
        let chosen = self.choose(ip, view);
        let id = self.members[chosen];
        // A group that does nothing else stays where it has come to.
        let skipped = (self.is.kind != FanoutKind::Rollover).then_some(chosen);
        if !self.rolls_over() || skipped.is_some() && has_room(sockets, id) {
            return id;
        }
        // From where it led last: so a burst does not try those again that are full.
        let from = sockets.datagram(id).map_or(0, |s| s.packet.rolled_to).min(self.members.len() - 1);
        let mut round = (from..self.members.len()).chain(0..from);
        let to = round.find(|at| Some(*at) != skipped && has_room(sockets, self.members[*at]));
        if let Ok(s) = sockets.datagram(id) {
            match to {
                Some(at) => (s.packet.rolled_to, s.packet.rollover.all) = (at, s.packet.rollover.all + 1),
                None => s.packet.rollover.failed += 1,
            }
        }
        to.map_or(id, |at| self.members[at])
    }
}

/// Whether more than a quarter of a socket's buffer is free, and its ring takes more.
fn has_room(sockets: &mut Sockets, id: SocketId) -> bool {
    sockets.datagram(id).is_ok_and(|s| !s.packet.full && !s.rx.is_pressed(s.opts.recv_buffer))
}

/// The flow of a frame, the same in both directions.
fn flow(ip: &Ip, frame: &[u8]) -> u64 {
    let Some(header) = Header::parse(frame) else { return 0 };
    let packet = &frame[ethernet::HEADER_LEN..];
    let (src, dst, protocol, transport): (IpAddr, IpAddr, u8, &[u8]) = match header.ethertype {
        ethernet::IPV4 => match ipv4::Header::parse_quoted(packet) {
            Ok(h) => {
                let whole = if h.is_fragment() { &[] } else { &packet[h.header_len.min(packet.len())..] };
                (h.src.into(), h.dst.into(), h.protocol, whole)
            }
            Err(_) => return 0,
        },
        ethernet::IPV6 => match (ipv6::Header::parse_quoted(packet), ipv6_ext::upper(packet)) {
            (Ok(h), Ok(upper)) => {
                let whole = if upper.fragment.is_some() { &[] } else { &packet[upper.at..] };
                (h.src.into(), h.dst.into(), upper.protocol, whole)
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => return 0,
        },
        _ => return 0,
    };
    let port = |at: usize| match transport.get(at..at + 2) {
        Some(octets) if protosw::has_ports(dst, protocol) => u32::from(octets[0]) << 8 | u32::from(octets[1]),
        Some(_) | None => 0,
    };
    let ends = [(src, port(0)), (dst, port(2))];
    let [(low, low_port), (high, high_port)] = if ends[0] <= ends[1] { ends } else { [ends[1], ends[0]] };
    ip.key.flow(low, high, protocol, low_port << 16 | high_port)
}

impl Bpf {
    /// A number that no group has.
    fn new_id(&self) -> Option<u16> {
        (0..=u16::MAX).find(|id| self.groups.iter().all(|group| group.is.id != *id))
    }

    /// A socket is no longer a member of its group, which ends with its last one.
    pub(super) fn leave(&mut self, id: SocketId) {
        for group in &mut self.groups {
            if let Some(at) = group.members.iter().position(|member| *member == id) {
                group.members.swap_remove(at);
            }
        }
        self.groups.retain(|group| !group.members.is_empty());
    }
}

impl Stack {
    /// Makes a packet socket a member of a group, and the group if there is none of that number (PACKET_FANOUT); `most`: how many
    /// members it may have, 0: as the group has it.
    ///
    /// # Errors
    /// `Already`: it is a member of one. `Invalid`: the group is of another kind or binding, or the socket has none. `NoSpace`: the
    /// group is full.
    pub fn packet_join_fanout(&mut self, id: SocketId, fanout: Fanout, most: u32) -> Result<(), SockError> {
        let Fanout { id: number, kind, mut flags } = fanout;
        if kind == FanoutKind::Rollover && flags.contains(FanoutFlags::ROLLOVER) {
            return Err(SockError::Invalid);
        }
        let (ifindex, ethertype) = self.packet_binding(id)?;
        if self.packet_fanout(id)?.is_some() {
            return Err(SockError::Already);
        }
        let mut number = number;
        if flags.contains(FanoutFlags::UNIQUE_ID) {
            if number != 0 {
                return Err(SockError::Invalid);
            }
            number = self.bpf.new_id().ok_or(SockError::NoBufs)?;
            flags -= FanoutFlags::UNIQUE_ID;
        }
        let fresh = Group {
            is: Fanout { id: number, kind, flags },
            members: vec![id],
            most: if most == 0 { MEMBERS } else { most },
            ifindex,
            ethertype,
            turn: 0,
            program: None,
        };
        match self.bpf.groups.iter_mut().find(|group| group.is.id == number) {
            _ if ethertype == 0 => return Err(SockError::Invalid),
            None if most > MOST_MEMBERS => return Err(SockError::Invalid),
            None => self.bpf.groups.push(fresh),
            Some(group)
                if group.is != fresh.is
                    || (group.ifindex, group.ethertype) != (ifindex, ethertype)
                    || most != 0 && group.most != most =>
            {
                return Err(SockError::Invalid);
            }
            Some(group) if group.members.len() as u64 >= u64::from(group.most) => {
                return Err(SockError::NoSpace);
            }
            Some(group) => group.members.push(id),
        }
        Ok(())
    }

    /// The group that a packet socket is a member of.
    pub fn packet_fanout(&mut self, id: SocketId) -> Result<Option<Fanout>, SockError> {
        if self.sockets.datagram(id)?.kind != Kind::Packet {
            return Err(SockError::OpNotSupported);
        }
        Ok(self.bpf.groups.iter().find(|group| group.members.contains(&id)).map(|group| group.is))
    }

    /// Gives the group of a packet socket the program that chooses (PACKET_FANOUT_DATA).
    ///
    /// # Errors
    /// `Invalid`: it is a member of none, or of one that has no program.
    pub fn packet_fanout_program(&mut self, id: SocketId, program: Program) -> Result<(), SockError> {
        let group = self.bpf.groups.iter_mut().find(|group| group.members.contains(&id));
        let group = group.filter(|group| group.is.kind == FanoutKind::Program).ok_or(SockError::Invalid)?;
        group.program = Some(Rc::new(program));
        Ok(())
    }

    /// What rolling over has led to (PACKET_ROLLOVER_STATS).
    ///
    /// # Errors
    /// `Invalid`: its group does not roll over, or there is none.
    pub fn packet_rollover(&mut self, id: SocketId) -> Result<RolloverStats, SockError> {
        let group = self.bpf.groups.iter().find(|group| group.members.contains(&id));
        group.filter(|group| group.rolls_over()).ok_or(SockError::Invalid)?;
        Ok(self.sockets.datagram(id)?.packet.rollover)
    }

    /// Whoever takes a packet socket's frames has no room for more, or has some again: a group of it that rolls over heeds that.
    pub fn packet_set_full(&mut self, id: SocketId, full: bool) {
        if let Ok(s) = self.sockets.datagram(id) {
            s.packet.full = full;
        }
    }
}
