//! Sockets of datagrams: what comes for them, their addresses and their peers.

use super::Stack;
use crate::net::IfIndex;
use crate::net::bpf::filter::View;
use crate::net::mbuf::Mbuf;
use crate::netinet::in_pcb::{Binding, PcbTable, Share};
use crate::netinet::{IpLayer, IpRx};
use crate::socket::table::{Datagram, Kind, Socket};
use crate::socket::{Family, PacketType, Ready, SockError, SocketId};
use crate::stack::stats::Drop;
use crate::wire::{ethernet, udp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

impl Stack {
    /// Puts a datagram into a socket; false if there was no room, or no such socket.
    pub(crate) fn datagram_push(&mut self, id: SocketId, d: Datagram) -> bool {
        let Ok(s) = self.sockets.datagram(id) else {
            self.ip.discard(Drop::SocketClosed, d.m);
            return false;
        };
        let limit = s.opts.recv_buffer;
        match s.rx.push(d, limit) {
            Ok(()) => {
                self.notify(id, Ready::READ);
                true
            }
            Err(m) => {
                self.ip.discard(Drop::SocketBufferFull, m);
                false
            }
        }
    }

    /// A packet of IP's as the socket's filter wants it; `None`: not at all. A filter of UDP or ICMP begins at
    /// their header, one of raw sockets at IP's (SO_ATTACH_FILTER).
    pub(crate) fn datagram_filter(
        &mut self,
        id: SocketId,
        rx: &IpRx,
        mut m: Mbuf,
        at: usize,
    ) -> Option<Mbuf> {
        let Ok(s) = self.sockets.datagram(id) else { return Some(m) };
        let Some(filter) = s.opts.filter.clone() else { return Some(m) };
        // UDP's header stands before what the program reads, and is kept.
        let header = if s.kind.is_udp() { udp::HEADER_LEN } else { 0 };
        let data = at - header;
        let view = View {
            octets: m.data(),
            data,
            net: 0,
            link: None,
            protocol: if rx.src.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 },
            packet_type: PacketType::from(rx.cast).number(),
            ifindex: rx.ifindex.0,
            hatype: self.ip.ifs.get(rx.ifindex).map_or(0, |i| i.hatype()),
            random: self.ip.random() as u32,
        };
        match filter.run(&view) as usize {
            0 => {
                self.ip.discard(Drop::SocketFilter, m);
                None
            }
            wanted => {
                m.truncate(data + wanted.max(header));
                Some(m)
            }
        }
    }

    /// An error for a socket, which the next operation returns.
    pub(crate) fn socket_error(&mut self, id: SocketId, error: SockError) {
        if let Ok(s) = self.sockets.datagram(id) {
            s.error = Some(error);
            self.notify(id, Ready::ERROR | Ready::READ | Ready::WRITE);
        }
    }

    pub(crate) fn datagram_bind(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), SockError> {
        let s = self.sockets.datagram(id)?;
        if !s.takes_peer(addr.ip()) {
            let mapped = s.family == Family::Inet6;
            return Err(if mapped { SockError::Invalid } else { SockError::AfNotSupported });
        }
        if s.local.port() != 0 {
            return Err(SockError::Invalid);
        }
        if s.kind == Kind::Packet {
            return Err(SockError::Invalid);
        }
        let binding = Binding {
            ifindex: s.opts.device,
            share: Share { addr: s.opts.reuse_addr, port: s.opts.reuse_port },
            only_v6: s.opts.v6.only_v6,
            ..Binding::exclusive(addr.ip(), addr.port())
        };
        let kind = s.kind;
        if !self.may_bind_to(addr.ip()) {
            return Err(SockError::AddrNotAvailable);
        }
        let random = self.ip.random();
        let port = match (self.pcbs(kind), addr.port()) {
            (None, _) => 0,
            (Some(table), 0) => table.bind_any(id, binding, random)?,
            (Some(table), port) => table.bind(id, binding).map(|()| port)?,
        };
        let s = self.sockets.datagram(id)?;
        s.bound = addr.ip();
        s.port_chosen = addr.port() != 0;
        s.local = SocketAddr::new(addr.ip(), port);
        Ok(())
    }

    /// Ours, everybody's, or a group's.
    fn may_bind_to(&self, addr: IpAddr) -> bool {
        addr.is_unspecified() || addr.is_multicast() || self.ip.is_local(addr) || self.ip.is_broadcast(addr)
    }

    pub(super) fn datagram_connect(&mut self, id: SocketId, peer: SocketAddr) -> Result<(), SockError> {
        let s = self.sockets.datagram(id)?;
        if s.kind == Kind::Packet {
            return Err(SockError::OpNotSupported);
        }
        if !s.takes_peer(peer.ip()) {
            let mapped = s.family == Family::Inet6;
            return Err(if mapped { SockError::NetUnreachable } else { SockError::AfNotSupported });
        }
        let (device, bound) = (s.opts.device, s.bound);
        let peer = match peer.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), peer.port()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), peer.port()),
            IpAddr::V4(_) | IpAddr::V6(_) => peer,
        };
        let own = self.ip.own_source(bound)?.filter(|a| a.is_ipv4() == peer.is_ipv4());
        let src = self.ip.path(&s.flow(own, peer))?.src;
        let broadcast = s_broadcast(self, peer.ip(), device);
        let s = self.sockets.datagram(id)?;
        if broadcast && !s.opts.broadcast {
            return Err(SockError::Access);
        }
        self.datagram_forget_peer(id);
        let port = self.bound_port(id)?;
        let s = self.sockets.datagram(id)?;
        let share = Share { addr: s.opts.reuse_addr, port: s.opts.reuse_port };
        // The address that `bind` was given keeps receiving, also a group's that does not send.
        let local = SocketAddr::new(if bound.is_unspecified() { src } else { bound }, port);
        s.local = local;
        s.remote = Some(peer);
        let (kind, peer) = (s.kind, s.kind.demultiplexed(peer));
        self.pcbs(kind).map_or(Ok(()), |table| table.connect(id, local, peer, share))
    }

    /// Takes the peer away, and as Linux with it a port that the program did not choose.
    pub(super) fn datagram_disconnect(&mut self, id: SocketId) {
        self.datagram_forget_peer(id);
        let Ok(s) = self.sockets.datagram(id) else { return };
        if s.port_chosen {
            return;
        }
        let (kind, port) = (s.kind, s.local.port());
        let Some(table) = self.pcbs(kind) else { return };
        table.unbind(id, port);
        if let Ok(s) = self.sockets.datagram(id) {
            s.local.set_port(0);
        }
    }

    fn datagram_forget_peer(&mut self, id: SocketId) {
        let Ok(s) = self.sockets.datagram(id) else { return };
        let Some(remote) = s.remote.take() else { return };
        let (local, kind) = (s.local, s.kind);
        s.local.set_ip(s.bound);
        if let Some(table) = self.pcbs(kind) {
            table.disconnect(id, local, kind.demultiplexed(remote));
        }
    }

    /// Takes a socket that is no more out of the table of its protocol.
    pub(super) fn unregister(&mut self, s: &Socket) {
        let Some(table) = self.pcbs(s.kind) else { return };
        if let Some(remote) = s.remote {
            table.disconnect(s.id, s.local, s.kind.demultiplexed(remote));
        }
        table.unbind(s.id, s.local.port());
    }

    /// The table of a kind of sockets; those without ports have none.
    pub(crate) fn pcbs(&mut self, kind: Kind) -> Option<&mut PcbTable<SocketId>> {
        match kind {
            Kind::Udp => Some(&mut self.udp),
            Kind::UdpLite => Some(&mut self.udplite),
            Kind::Ping => Some(&mut self.ping),
            Kind::Raw | Kind::Packet => None,
        }
    }
}

/// Whether `dst` is everybody on a link.
fn s_broadcast(stack: &Stack, dst: IpAddr, device: Option<IfIndex>) -> bool {
    match dst {
        IpAddr::V4(d) => {
            stack.ip.way4(d, device, 0).is_ok_and(|w| w.kind == crate::netinet::ip::WayKind::Broadcast)
        }
        IpAddr::V6(_) => false,
    }
}
