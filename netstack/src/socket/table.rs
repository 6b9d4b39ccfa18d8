//! The table of sockets: names, what kind each is, and what datagrams wait in it.

use super::sockopt::Options;
use super::{Family, LinkAddr, Membership, PacketStats, QueuedError, Ready, SendMeta};
use super::{SockError, SockType, SocketId};
use crate::net::IfIndex;
use crate::net::bpf::fanout::RolloverStats;
use crate::net::mbuf::Mbuf;
use crate::net::multicast::SourceFilter;
use crate::netinet::Flow;
use crate::tcp::TcpId;
use crate::time::Instant;
use crate::wire::{be32, ipv6, udp};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UDP
    Udp,
    /// UDP-Lite
    UdpLite,
    /// ICMP echo by datagrams (Linux's ping socket); the "port" is the identifier.
    Ping,
    /// Raw IP.
    Raw,
    /// Frames.
    Packet,
}

impl Kind {
    /// Whether it is UDP, with the one checksum or the other.
    pub(crate) fn is_udp(self) -> bool {
        match self {
            Kind::Udp | Kind::UdpLite => true,
            Kind::Ping | Kind::Raw | Kind::Packet => false,
        }
    }

    /// A peer as what comes in tells it: an echo has but one identifier, the receiver's.
    pub(crate) fn demultiplexed(self, peer: SocketAddr) -> SocketAddr {
        if self == Kind::Ping { SocketAddr::new(peer.ip(), 0) } else { peer }
    }
}

/// A datagram that waits to be read.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) m: Mbuf,
    /// Where in `m` the program's data begin.
    pub(crate) at: usize,
    /// Octets of its data before a filter cut them.
    pub(crate) wire_len: usize,
    pub(crate) from: Option<SocketAddr>,
    pub(crate) local: Option<IpAddr>,
    pub(crate) ifindex: IfIndex,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) time: Instant,
    pub(crate) link: Option<LinkAddr>,
    pub(crate) error: Option<QueuedError>,
    /// No datagram, but news of the path to `from`: octets of the largest packet that it takes (IPV6_PATHMTU).
    pub(crate) path_mtu: Option<u32>,
}

impl Datagram {
    /// The extension headers before its transport header, with what names the first of them in front.
    pub(crate) fn headers(&self, kind: Kind) -> Option<Box<[u8]>> {
        let (header, chain) = self.ipv6(kind)?;
        (!chain.is_empty()).then(|| [&header[6..7], chain].concat().into())
    }

    /// Traffic class and flow label, unless both are 0.
    pub(crate) fn flow_info(&self, kind: Kind) -> Option<u32> {
        let (header, _) = self.ipv6(kind)?;
        Some(be32(header, 0) & 0x0fff_ffff).filter(|info| *info != 0)
    }

    /// IPv6's header, and what is between it and the transport's.
    fn ipv6(&self, kind: Kind) -> Option<(&[u8; ipv6::HEADER_LEN], &[u8])> {
        let transport = match kind {
            Kind::Udp | Kind::UdpLite => udp::HEADER_LEN,
            Kind::Ping | Kind::Raw | Kind::Packet => 0,
        };
        let is_ipv6 = self.error.is_none() && self.local.is_some_and(|addr| addr.is_ipv6());
        let octets = self.m.data().get(..self.at.checked_sub(transport)?)?;
        octets.split_first_chunk().filter(|_| is_ipv6)
    }
}

/// Octets counted for each datagram in a buffer besides its data: what keeping it costs.
pub(crate) const OVERHEAD: usize = 128;

/// Datagrams that wait, up to a limit in octets.
#[derive(Debug, Default)]
pub(crate) struct RecvQueue {
    queue: VecDeque<Datagram>,
    octets: usize,
    /// Datagrams that found no room.
    pub(crate) drops: u64,
}

impl RecvQueue {
    /// Takes a datagram, or gives its packet back if `limit` octets are full. One always fits.
    pub(crate) fn push(&mut self, d: Datagram, limit: usize) -> Result<(), Mbuf> {
        let cost = d.m.len() + OVERHEAD;
        if !self.queue.is_empty() && self.octets + cost > limit {
            self.drops += 1;
            return Err(d.m);
        }
        self.octets += cost;
        self.queue.push_back(d);
        Ok(())
    }

    pub(crate) fn front(&self) -> Option<&Datagram> {
        self.queue.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Datagram> {
        let d = self.queue.pop_front()?;
        self.octets -= d.m.len() + OVERHEAD;
        Some(d)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether no more than a quarter of `limit` is left.
    pub(crate) fn is_pressed(&self, limit: usize) -> bool {
        self.octets >= limit - limit / 4
    }

    /// Octets of data that wait, without overhead.
    pub(crate) fn data_octets(&self) -> usize {
        self.queue.iter().map(|d| d.m.len() - d.at).sum()
    }
}

/// A socket of datagrams of any kind.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    pub(crate) family: Family,
    pub(crate) ty: SockType,
    pub(crate) protocol: u8,
    pub(crate) kind: Kind,
    pub(crate) opts: Options,
    /// Address and port, as bound or chosen; unspecified and 0 if not.
    pub(crate) local: SocketAddr,
    /// The address that `bind` was given; `connect` chooses one if it is unspecified.
    pub(crate) bound: IpAddr,
    /// The program chose the port; one that it did not goes with the peer.
    pub(crate) port_chosen: bool,
    pub(crate) remote: Option<SocketAddr>,
    /// Packet sockets: which interface and EtherType.
    pub(crate) packet: PacketBinding,
    pub(crate) groups: Vec<GroupMember>,
    /// Packet sockets: what more they want of interfaces, each as often as they said so.
    pub(crate) memberships: Vec<(IfIndex, Membership)>,
    pub(crate) error: Option<SockError>,
    pub(crate) rx: RecvQueue,
    /// Errors, each with the data that caused it (IP_RECVERR).
    pub(crate) errors: RecvQueue,
    /// Octets sent that have not left the stack.
    pub(crate) tx_octets: usize,
    pub(crate) cork: Option<Cork>,
    pub(crate) shut_read: bool,
    pub(crate) shut_write: bool,
    /// Readiness to tell; the socket is in the event queue while it is not empty.
    pub(crate) pending: Ready,
}

/// A group that a socket is in.
#[derive(Clone, Debug)]
pub(crate) struct GroupMember {
    pub(crate) group: IpAddr,
    pub(crate) ifindex: IfIndex,
    pub(crate) filter: SourceFilter,
    /// Sources were named: as on Linux the list's mode then stays, also if it is empty again.
    pub(crate) listed: bool,
}

/// What a packet socket hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketBinding {
    /// `None`: every interface.
    pub(crate) ifindex: Option<IfIndex>,
    /// 0: nothing yet.
    pub(crate) ethertype: u16,
    /// What came since it was last asked for.
    pub(crate) stats: PacketStats,
    /// Whoever takes its frames has no room for more.
    pub(crate) full: bool,
    /// Which member of its group got a frame of its last, for want of room.
    pub(crate) rolled_to: usize,
    /// What that has led to.
    pub(crate) rollover: RolloverStats,
}

impl Socket {
    /// What an operation would find now.
    pub(crate) fn ready(&self) -> Ready {
        let mut r = Ready::empty();
        r.set(Ready::READ, !self.rx.is_empty() || self.shut_read);
        // Linux's sock_writeable: half the buffer, so that a woken sender finds room for more than one.
        r.set(Ready::WRITE, self.tx_octets < self.opts.send_buffer.div_ceil(2));
        r.set(Ready::ERROR, self.error.is_some() || !self.errors.is_empty());
        r.set(Ready::RDHUP, self.shut_read);
        r.set(Ready::HUP, self.shut_read && self.shut_write);
        r
    }

    /// Whether it can speak with `peer`: of its family, or by IPv4 from a socket of AF_INET6.
    pub(crate) fn takes_peer(&self, peer: IpAddr) -> bool {
        match (self.family, peer) {
            (Family::Inet, IpAddr::V4(_)) | (Family::Inet6, IpAddr::V6(_)) => true,
            (Family::Inet6, IpAddr::V4(_)) => !self.opts.v6.only_v6,
            (Family::Inet, IpAddr::V6(_)) => false,
        }
    }

    /// The flow of its packets to `dst`.
    pub(crate) fn flow(&self, src: Option<IpAddr>, dst: SocketAddr) -> Flow {
        let (bound, public) = (self.opts.device, self.opts.v6.prefers_public());
        Flow { protocol: self.protocol, src, src_port: self.local.port(), dst, bound, public }
    }

    /// The error that waits, which ends the operation at hand.
    pub(crate) fn check_error(&mut self) -> Result<(), SockError> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// A datagram that more calls will continue (MSG_MORE).
#[derive(Debug)]
pub(crate) struct Cork {
    /// How the first call wanted it sent.
    pub(crate) meta: SendMeta,
    pub(crate) data: Vec<u8>,
}

/// Sockets by name.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    slots: Vec<(u32, Option<Entry>)>,
    free: Vec<u32>,
}

/// What a name stands for.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A socket of datagrams.
    Datagram(Box<Socket>),
    /// A stream; TCP has the rest of it.
    Stream(Box<Stream>),
}

/// A TCP socket, as the table knows it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) family: Family,
    pub(crate) tcp: TcpId,
    /// Values of options on which TCP does not act; streams that have set none share the defaults.
    pub(crate) opts: Rc<Options>,
    pub(crate) pending: Ready,
}

impl Sockets {
    /// Puts in what `make` makes of the name.
    pub(crate) fn insert(&mut self, make: impl FnOnce(SocketId) -> Entry) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let id = SocketId { index, generation: slot.0 };
        slot.1 = Some(make(id));
        id
    }

    pub(crate) fn entry(&mut self, id: SocketId) -> Result<&mut Entry, SockError> {
        match self.slots.get_mut(id.index as usize) {
            Some((generation, Some(e))) if *generation == id.generation => Ok(e),
            Some(_) | None => Err(SockError::BadSocket),
        }
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Entry> {
        match self.slots.get(id.index as usize) {
            Some((generation, Some(e))) if *generation == id.generation => Some(e),
            Some(_) | None => None,
        }
    }

    /// The socket of datagrams with this name.
    pub(crate) fn datagram(&mut self, id: SocketId) -> Result<&mut Socket, SockError> {
        match self.entry(id)? {
            Entry::Datagram(s) => Ok(s),
            Entry::Stream(_) => Err(SockError::OpNotSupported),
        }
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Entry> {
        let slot = self.slots.get_mut(id.index as usize).filter(|s| s.0 == id.generation)?;
        let gone = slot.1.take()?;
        slot.0 = slot.0.wrapping_add(1);
        self.free.push(id.index);
        Some(gone)
    }

    /// All, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|(_, e)| e.as_ref())
    }
}
