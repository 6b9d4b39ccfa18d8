//! The doors of sockets. They never block: an operation that cannot go on says `WouldBlock`, and an
//! event tells when it can.

use super::Stack;
use crate::socket::sockopt::Options;
use crate::socket::table::{Entry, Kind, PacketBinding, RecvQueue, Socket};
use crate::socket::{
    Family, Ready, RecvFlags, RecvMeta, SendMeta, Shutdown, SockError, SockType, SocketId, SocketInfo,
};
use crate::time::Instant;
use crate::wire::ipv4::protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

impl Stack {
    /// A new socket. `protocol` 0 means the usual one of the type.
    pub fn socket(&mut self, family: Family, ty: SockType, protocol: u8) -> Result<SocketId, SockError> {
        let echo = match family {
            Family::Inet => protocol::ICMP,
            Family::Inet6 => protocol::ICMPV6,
        };
        let (kind, protocol) = match (ty, protocol) {
            (SockType::Dgram, 0 | protocol::UDP) => (Kind::Udp, protocol::UDP),
            (SockType::Dgram, protocol::UDPLITE) => (Kind::UdpLite, protocol::UDPLITE),
            (SockType::Dgram, p) if p == echo => (Kind::Ping, p),
            (SockType::Raw, 0) => return Err(SockError::ProtoNotSupported),
            (SockType::Raw, p) => (Kind::Raw, p),
            (SockType::Packet | SockType::PacketDgram, p) => (Kind::Packet, p),
            (SockType::Dgram, _) => return Err(SockError::ProtoNotSupported),
            (SockType::Stream, 0 | protocol::TCP) => {
                let tcp = self.tcp.socket(family);
                let opts = self.stream_options.clone();
                return Ok(self.stream_insert(family, tcp, opts));
            }
            (SockType::Stream, _) => return Err(SockError::ProtoNotSupported),
        };
        let config = &self.ip.config;
        let mut opts = Options::new(config.ttl, config.recv_buffer, config.send_buffer);
        opts.header_included = kind == Kind::Raw && protocol == protocol::RAW;
        opts.v6.header_included = opts.header_included;
        let any = match family {
            Family::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let id = self.sockets.insert(|id| {
            Entry::Datagram(Box::new(Socket {
                id,
                family,
                ty,
                protocol,
                kind,
                opts,
                local: SocketAddr::new(any, 0),
                bound: any,
                port_chosen: false,
                remote: None,
                packet: PacketBinding::default(),
                groups: Vec::new(),
                memberships: Vec::new(),
                error: None,
                rx: RecvQueue::default(),
                errors: RecvQueue::default(),
                tx_octets: 0,
                cork: None,
                shut_read: false,
                shut_write: false,
                pending: Ready::empty(),
            }))
        });
        match kind {
            Kind::Raw => self.raw.push(id),
            Kind::Packet => self.bpf.attach(id),
            Kind::Udp | Kind::UdpLite | Kind::Ping => {}
        }
        Ok(id)
    }

    /// Binds a socket to a local address; port 0 asks for a free one.
    pub fn bind(&mut self, now: Instant, id: SocketId, addr: SocketAddr) -> Result<(), SockError> {
        self.ip.now = now;
        self.bind_to_scope(id, addr)?;
        let addr = self.taken(id, addr)?;
        match self.sockets.entry(id)? {
            Entry::Datagram(_) => self.datagram_bind(id, addr),
            Entry::Stream(s) => self.tcp.bind(&mut self.ip, s.tcp, addr),
        }
    }

    /// Makes a stream socket wait for connections.
    pub fn listen(&mut self, now: Instant, id: SocketId, backlog: usize) -> Result<(), SockError> {
        self.ip.now = now;
        match self.sockets.entry(id)? {
            Entry::Datagram(_) => Err(SockError::OpNotSupported),
            Entry::Stream(s) => self.tcp.listen(&mut self.ip, s.tcp, backlog),
        }
    }

    /// Takes the next connection of a listening socket.
    pub fn accept(&mut self, now: Instant, id: SocketId) -> Result<(SocketId, SocketAddr), SockError> {
        self.ip.now = now;
        match self.sockets.entry(id)? {
            Entry::Datagram(_) => Err(SockError::OpNotSupported),
            Entry::Stream(_) => {
                let (new, peer) = self.stream_accept(id)?;
                Ok((new, self.told(new, peer)))
            }
        }
    }

    /// Connects a socket. A stream is `InProgress` at first; a datagram socket is only given a peer.
    pub fn connect(&mut self, now: Instant, id: SocketId, peer: SocketAddr) -> Result<(), SockError> {
        self.ip.now = now;
        self.bind_to_scope(id, peer)?;
        self.set_flow_label(id, peer)?;
        let peer = self.taken(id, peer)?;
        match self.sockets.entry(id)? {
            Entry::Datagram(_) => self.datagram_connect(id, peer),
            Entry::Stream(s) => {
                let done = self.tcp.connect(&mut self.ip, s.tcp, peer);
                self.after_tcp();
                done
            }
        }
    }

    /// Dissolves a connection: the socket is as before `connect`.
    pub fn disconnect(&mut self, now: Instant, id: SocketId) -> Result<(), SockError> {
        self.ip.now = now;
        match self.sockets.entry(id)? {
            Entry::Datagram(_) => {
                self.datagram_disconnect(id);
                Ok(())
            }
            Entry::Stream(s) => {
                let done = self.tcp.disconnect(&mut self.ip, s.tcp);
                self.after_tcp();
                done
            }
        }
    }

    /// Sends. Of a stream as much as there is room for, of a datagram all or nothing. Returns the
    /// octets taken.
    pub fn send(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        self.ip.now = now;
        let kind = match self.sockets.entry(id)? {
            Entry::Datagram(s) => s.kind,
            Entry::Stream(s) => {
                let tcp = s.tcp;
                return self.stream_send(id, tcp, data, meta);
            }
        };
        let meta = &self.taken_meta(id, meta)?;
        match kind {
            Kind::Udp | Kind::UdpLite => self.udp_send(id, data, meta),
            Kind::Ping => self.ping_send(id, data, meta),
            Kind::Raw if self.sockets.datagram(id)?.family == Family::Inet6 => self.raw6_send(id, data, meta),
            Kind::Raw => self.raw_send(id, data, meta),
            Kind::Packet => self.packet_send(id, data, meta),
        }
    }

    /// Receives into `buf`; a datagram's octets that do not fit are lost (`full_len` says how many
    /// there were).
    pub fn recv(
        &mut self,
        now: Instant,
        id: SocketId,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> Result<RecvMeta, SockError> {
        self.ip.now = now;
        let s = match self.sockets.entry(id)? {
            Entry::Datagram(s) => s,
            Entry::Stream(s) => {
                let tcp = s.tcp;
                return self.stream_recv(tcp, buf, flags);
            }
        };
        let queue = if flags.contains(RecvFlags::ERRQUEUE) {
            &mut s.errors
        } else {
            s.error.take().map_or(Ok(()), Err)?;
            &mut s.rx
        };
        let Some(d) = queue.front() else {
            return match s.shut_read {
                true if !flags.contains(RecvFlags::ERRQUEUE) => Ok(RecvMeta::end(now)),
                true | false => Err(SockError::WouldBlock),
            };
        };
        let data = &d.m.data()[d.at..];
        let len = data.len().min(buf.len());
        buf[..len].copy_from_slice(&data[..len]);
        let meta = RecvMeta {
            len,
            full_len: data.len(),
            wire_len: d.wire_len,
            from: d.from,
            local: d.local,
            ifindex: Some(d.ifindex),
            ttl: d.ttl,
            tos: d.tos,
            time: d.time,
            link: d.link,
            error: d.error,
            path_mtu: d.path_mtu,
            flow_info: s.opts.v6.recv_flow_info.then(|| d.flow_info(s.kind)).flatten(),
            headers: s.opts.v6.wants_headers().then(|| d.headers(s.kind)).flatten(),
        };
        if !flags.contains(RecvFlags::PEEK)
            && let Some(d) = queue.pop()
        {
            self.ip.free(d.m);
        }
        Ok(self.told_meta(id, meta))
    }

    /// Shuts one or both directions.
    pub fn shutdown(&mut self, now: Instant, id: SocketId, how: Shutdown) -> Result<(), SockError> {
        self.ip.now = now;
        let s = match self.sockets.entry(id)? {
            Entry::Datagram(s) => s,
            Entry::Stream(s) => {
                let done = self.tcp.shutdown(&mut self.ip, s.tcp, how);
                self.after_tcp();
                return done;
            }
        };
        s.shut_read |= matches!(how, Shutdown::Read | Shutdown::Both);
        s.shut_write |= matches!(how, Shutdown::Write | Shutdown::Both);
        let (ready, connected) = (s.ready(), s.remote.is_some());
        self.notify(id, ready);
        // As Linux: refused, and done all the same.
        if connected { Ok(()) } else { Err(SockError::NotConnected) }
    }

    /// Closes a socket; its name is no longer valid. A stream goes on closing by itself.
    pub fn close(&mut self, now: Instant, id: SocketId) -> Result<(), SockError> {
        self.ip.now = now;
        let mut s = match self.sockets.remove(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => s,
            Entry::Stream(s) => {
                self.stream_close(&s);
                return Ok(());
            }
        };
        while let Some(d) = s.rx.pop().or_else(|| s.errors.pop()) {
            self.ip.free(d.m);
        }
        for member in core::mem::take(&mut s.groups) {
            self.ip.group_update(member.ifindex, member.group, Some(&member.filter), None);
        }
        match s.kind {
            Kind::Udp | Kind::UdpLite | Kind::Ping => self.unregister(&s),
            Kind::Raw => self.raw.retain(|r| *r != id),
            Kind::Packet => {
                self.bpf.detach(id);
                for (ifindex, what) in core::mem::take(&mut s.memberships) {
                    self.widen(ifindex, what, -1);
                }
            }
        }
        Ok(())
    }

    /// What an operation would find now; nothing for a name that is not valid.
    pub fn ready(&self, id: SocketId) -> Ready {
        match self.sockets.get(id) {
            Some(Entry::Datagram(s)) => s.ready(),
            Some(Entry::Stream(s)) => self.tcp.ready(s.tcp),
            None => Ready::empty(),
        }
    }

    /// SO_ERROR: the error that waits, which is then gone.
    pub fn take_error(&mut self, id: SocketId) -> Option<SockError> {
        match self.sockets.entry(id).ok()? {
            Entry::Datagram(s) => s.error.take(),
            Entry::Stream(s) => self.tcp.take_error(s.tcp),
        }
    }

    /// Local address and port; unspecified and 0 if the socket has none yet.
    pub fn local_addr(&self, id: SocketId) -> Result<SocketAddr, SockError> {
        let local = match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => s.local,
            Entry::Stream(s) => self.tcp.local_addr(s.tcp)?,
        };
        Ok(self.told(id, local))
    }

    /// The peer.
    pub fn peer_addr(&self, id: SocketId) -> Result<SocketAddr, SockError> {
        let peer = match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            // As Linux: a peer without a port is none.
            Entry::Datagram(s) => {
                s.remote.filter(|r| r.port() != 0 || !s.kind.is_udp()).ok_or(SockError::NotConnected)?
            }
            Entry::Stream(s) => self.tcp.peer_addr(s.tcp)?,
        };
        Ok(self.told(id, peer))
    }

    /// Octets that wait to be read (FIONREAD): of datagrams, the next one's.
    pub fn readable_octets(&self, id: SocketId) -> Result<usize, SockError> {
        match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => Ok(s.rx.front().map_or(0, |d| d.m.len() - d.at)),
            Entry::Stream(s) => self.tcp.readable(s.tcp),
        }
    }

    /// Octets that were sent and have not left (datagrams) or are not acknowledged (streams; SIOCOUTQ).
    pub fn unsent_octets(&self, id: SocketId) -> Result<usize, SockError> {
        match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => Ok(s.tx_octets),
            Entry::Stream(s) => self.tcp.unacknowledged(s.tcp),
        }
    }

    /// All sockets, as shown.
    pub fn sockets(&self) -> impl Iterator<Item = SocketInfo> + '_ {
        let datagrams = self.sockets.iter().filter_map(|e| match e {
            Entry::Stream(_) => None,
            Entry::Datagram(s) => Some(SocketInfo {
                id: Some(s.id),
                family: s.family,
                ty: s.ty,
                protocol: s.protocol,
                local: Some(s.local),
                remote: s.remote,
                state: if s.remote.is_some() { "ESTAB" } else { "UNCONN" },
                recv_queue: s.rx.data_octets(),
                send_queue: s.tx_octets,
                drops: s.rx.drops,
                tcp: None,
            }),
        });
        datagrams.chain(self.stream_infos()).map(SocketInfo::shown)
    }

    /// Everything counted so far, apart from each interface's own counters.
    pub fn stats(&self) -> super::Stats {
        let mut stats = self.ip.stats.clone();
        stats.arp.evictions = self.ip.neigh.evictions;
        stats.tcp = self.tcp.stats().clone();
        stats.tcp.curr_estab = self.tcp.established();
        stats.sum_up();
        stats
    }
}

impl RecvMeta {
    /// The end of what a peer sends.
    pub fn end(time: Instant) -> RecvMeta {
        RecvMeta {
            len: 0,
            full_len: 0,
            wire_len: 0,
            from: None,
            local: None,
            ifindex: None,
            ttl: 0,
            tos: 0,
            time,
            link: None,
            error: None,
            path_mtu: None,
            flow_info: None,
            headers: None,
        }
    }
}
