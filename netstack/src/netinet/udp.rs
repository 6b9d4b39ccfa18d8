//! UDP: RFC 768, 1122 §4.1, 8085; and what UDP-Lite ([`super::udplite`]) has of it, which is all but the checksum.
//!
//! A sender pays for its datagrams until they leave the stack (SO_SNDBUF), so that a fast one waits
//! for the wire instead of filling queues that drop.

use super::ip::{Ip, Way, WayKind};
use super::ip_options;
use super::protosw::Quote;
use super::udplite;
use super::{Cast, Flow, Fragment, IcmpError, IcmpErrorKind, IpLayer, IpRx, IpTx, Severity};
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::socket::sockopt::MtuDiscover;
use crate::socket::sockopt6::headers_of;
use crate::socket::table::{Cork, Datagram, Kind, Socket};
use crate::socket::{QueuedError, Ready, SendFlags, SendMeta, SockError, SocketId};
use crate::stack::Stack;
use crate::stack::stats::{Drop, UdpLiteStats, UdpStats};
use crate::wire::checksum::Sum;
use crate::wire::ipv4::{self, protocol};
use crate::wire::udp::{HEADER_LEN, Header};
use crate::wire::{ipv6, scope6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of data of the longest datagram over IPv4.
const MAX_DATA: usize = ipv4::MAX_LEN - ipv4::HEADER_LEN - HEADER_LEN;
/// What keeping a packet costs besides its octets, in the account of its sender.
const PACKET_COST: usize = 512;

/// A datagram for us; see [`super::protosw::ProtoSw::input`].
pub(crate) fn input(stack: &mut Stack, rx: &IpRx, mut m: Mbuf, header_len: usize) {
    let datagram = &m.data()[header_len..];
    let header = match Header::parse(datagram) {
        Ok(h) if h.dst != 0 => h,
        Ok(_) | Err(_) => {
            stack.udp_count(Kind::Udp, rx.src, Fate::Wrong);
            return stack.ip.discard(Drop::UdpMalformed, m);
        }
    };
    // A checksum of zero was not computed, which IPv6 does not allow (RFC 8200 §8.1); one left to the
    // receiver is not needed.
    if (header.checksum != 0 || rx.src.is_ipv6()) && !m.offload.is_partial() {
        let sum = Sum::pseudo_header(rx.src, rx.dst, protocol::UDP, header.len);
        if !sum.add(&datagram[..header.len]).is_valid() {
            stack.udp_count(Kind::Udp, rx.src, Fate::Wrong);
            return stack.ip.discard(Drop::UdpChecksum, m);
        }
    }
    let ports = (header.src, header.dst);
    m.truncate(header_len + header.len);
    stack.udp_arrived(&Arrived { kind: Kind::Udp, ports, covered: None, at: header_len + HEADER_LEN }, rx, m);
}

/// An ICMP error about a datagram of ours; see [`super::protosw::ProtoSw::error`].
pub(crate) fn error(stack: &mut Stack, error: &IcmpError, quoted: &[u8]) -> Quote {
    error_of(stack, Kind::Udp, error, quoted)
}

/// The same, of either kind of UDP.
pub(super) fn error_of(stack: &mut Stack, kind: Kind, error: &IcmpError, quoted: &[u8]) -> Quote {
    let (Some(&[a, b]), Some(&[c, d])) =
        (quoted.first_chunk::<2>(), quoted.get(2..4).and_then(<[u8]>::first_chunk))
    else {
        return Quote::Strange;
    };
    let local = SocketAddr::new(error.src, u16::from_be_bytes([a, b]));
    let remote = SocketAddr::new(error.dst, u16::from_be_bytes([c, d]));
    // Only a connected socket can know which of its datagrams is meant (RFC 1122 §4.1.3.3); others
    // find it in their error queue, if they asked for one.
    let table = stack.pcbs(kind);
    let Some(id) = table.and_then(|t| t.lookup(local, remote, error.ifindex)) else { return Quote::Strange };
    stack.datagram_error(id, error, remote, quoted.get(HEADER_LEN..).unwrap_or_default());
    stack.quote_of(id, error.dst)
}

/// A datagram whose header is sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Whether UDP's or UDP-Lite's.
    pub(super) kind: Kind,
    /// Source and destination.
    pub(super) ports: (u16, u16),
    /// Octets that its checksum covers, if that is not all.
    pub(super) covered: Option<u16>,
    /// Where its data begin in the packet.
    pub(super) at: usize,
}

/// What becomes of a datagram, as counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Delivered,
    NoPort,
    Wrong,
    Sent,
}

impl Fate {
    fn of_udp(self, stats: &mut UdpStats) -> &mut u64 {
        match self {
            Fate::Delivered => &mut stats.in_datagrams,
            Fate::NoPort => &mut stats.no_ports,
            Fate::Wrong => &mut stats.in_errors,
            Fate::Sent => &mut stats.out_datagrams,
        }
    }

    fn of_lite(self, stats: &mut UdpLiteStats) -> &mut u64 {
        match self {
            Fate::Delivered => &mut stats.in_datagrams,
            Fate::NoPort => &mut stats.no_ports,
            Fate::Wrong => &mut stats.in_errors,
            Fate::Sent => &mut stats.out_datagrams,
        }
    }
}

impl Stack {
    /// Finds the sockets that a datagram is for.
    pub(super) fn udp_arrived(&mut self, arrived: &Arrived, rx: &IpRx, m: Mbuf) {
        let Arrived { kind, ports: (src, dst), .. } = *arrived;
        let (local, remote) = (SocketAddr::new(rx.dst, dst), SocketAddr::new(rx.src, src));
        if rx.cast == Cast::Unicast {
            let table = self.pcbs(kind);
            return match table.and_then(|table| table.lookup(local, remote, rx.ifindex)) {
                Some(id) => self.udp_deliver(id, arrived, rx, m),
                None => {
                    self.udp_count(kind, rx.src, Fate::NoPort);
                    self.ip.port_unreachable(rx, &m);
                    self.ip.discard(Drop::UdpNoPort, m);
                }
            };
        }
        // RFC 1122 §4.1.3.5, and BSD: each socket that fits gets a copy.
        let mut everybody: Vec<SocketId> = match self.pcbs(kind) {
            Some(table) => table.lookup_all(local, remote, rx.ifindex).collect(),
            None => Vec::new(),
        };
        everybody.retain(|id| self.group_allows(*id, rx));
        if everybody.is_empty() {
            self.udp_count(kind, rx.src, Fate::NoPort);
            return self.ip.discard(Drop::UdpNoPort, m);
        }
        for id in everybody {
            let copy = self.ip.copy(m.data());
            self.udp_deliver(id, arrived, rx, copy);
        }
        self.ip.free(m);
    }

    /// Puts a datagram into a socket.
    fn udp_deliver(&mut self, id: SocketId, arrived: &Arrived, rx: &IpRx, m: Mbuf) {
        let from = SocketAddr::new(rx.src, arrived.ports.0);
        let wanted = self.sockets.datagram(id).is_ok_and(|s| udplite::is_covered(&s.opts, arrived.covered));
        let taken = match wanted {
            true => self.datagram_deliver(id, rx, Some(from), m, arrived.at),
            false => {
                self.ip.discard(Drop::UdpLiteCoverage, m);
                false
            }
        };
        self.udp_count(arrived.kind, rx.src, if taken { Fate::Delivered } else { Fate::Wrong });
    }

    /// Counts something of a datagram from or to `peer`.
    pub(super) fn udp_count(&mut self, kind: Kind, peer: IpAddr, fate: Fate) {
        let stats = &mut self.ip.stats;
        match kind {
            Kind::UdpLite => {
                *fate.of_lite(&mut stats.udplite) += 1;
                if peer.is_ipv6() {
                    *fate.of_lite(&mut stats.udplite6) += 1;
                }
            }
            Kind::Udp | Kind::Ping | Kind::Raw | Kind::Packet => {
                *fate.of_udp(&mut stats.udp) += 1;
                if peer.is_ipv6() {
                    *fate.of_udp(&mut stats.udp6) += 1;
                }
            }
        }
    }

    /// Puts a packet into a socket of datagrams; false if it had no room.
    pub(crate) fn datagram_deliver(
        &mut self,
        id: SocketId,
        rx: &IpRx,
        from: Option<SocketAddr>,
        m: Mbuf,
        at: usize,
    ) -> bool {
        let wire_len = m.len() - at;
        let Some(m) = self.datagram_filter(id, rx, m, at) else { return true };
        let datagram = Datagram {
            m,
            at,
            wire_len,
            from,
            local: Some(rx.dst),
            ifindex: rx.ifindex,
            ttl: rx.ttl,
            tos: rx.tos,
            time: self.ip.now,
            link: None,
            error: None,
            path_mtu: None,
        };
        self.datagram_push(id, datagram)
    }

    /// Whether an error may be about a packet of the socket to `dst`. Without DF none can be too large.
    pub(crate) fn quote_of(&mut self, id: SocketId, dst: IpAddr) -> Quote {
        match self.sockets.datagram(id).map(|s| s.opts.mtu_discover(dst)) {
            Ok(_) if dst.is_ipv6() => Quote::Ours,
            Ok(MtuDiscover::Want | MtuDiscover::Do | MtuDiscover::Probe) => Quote::Ours,
            Ok(MtuDiscover::Dont | MtuDiscover::Interface | MtuDiscover::Omit) | Err(_) => Quote::Strange,
        }
    }

    /// An ICMP error for a connected socket of datagrams, or one that a local failure makes.
    /// Who has an error queue hears all of them; others, if they are connected, the hard ones.
    /// `remote` is where the packet went, `data` what it carried.
    pub(crate) fn datagram_error(
        &mut self,
        id: SocketId,
        error: &IcmpError,
        remote: SocketAddr,
        data: &[u8],
    ) {
        let (what, severity) = error.kind.meaning();
        // Our own floor has tried: nobody forged it.
        let sure = severity == Severity::Hard || error.from == error.src;
        let Ok(s) = self.sockets.datagram(id) else { return };
        let mtu = match error.kind {
            IcmpErrorKind::PacketTooBig { mtu } => match s.opts.mtu_discover(error.dst) {
                // Routers do not fragment IPv6: what is too large is lost.
                _ if error.dst.is_ipv6() => mtu,
                // Without DF no packet of ours was too large.
                MtuDiscover::Dont | MtuDiscover::Interface | MtuDiscover::Omit => return,
                MtuDiscover::Want | MtuDiscover::Do | MtuDiscover::Probe => mtu,
            },
            _ => 0,
        };
        if s.opts.recv_err(error.dst) {
            let queued = QueuedError { error: what, offender: Some(error.from), wire: error.wire, mtu };
            self.queue_error(id, queued, (error.src, error.ifindex), remote, data);
            return self.socket_error(id, what);
        }
        if s.remote.is_some() && sure {
            self.socket_error(id, what);
        }
    }

    /// Puts an error into a socket's queue, with the data that caused it.
    fn queue_error(
        &mut self,
        id: SocketId,
        queued: QueuedError,
        (local, ifindex): (IpAddr, IfIndex),
        to: SocketAddr,
        data: &[u8],
    ) {
        let m = self.ip.copy(data);
        let datagram = Datagram {
            m,
            at: 0,
            wire_len: data.len(),
            from: Some(to),
            local: Some(local),
            ifindex,
            ttl: 0,
            tos: 0,
            time: self.ip.now,
            link: None,
            error: Some(queued),
            path_mtu: None,
        };
        let Ok(s) = self.sockets.datagram(id) else { return };
        let limit = s.opts.recv_buffer;
        if let Err(m) = s.errors.push(datagram, limit) {
            self.ip.discard(Drop::SocketBufferFull, m);
        }
    }

    /// Sends one datagram, or (MSG_MORE) begins or continues it.
    pub(crate) fn udp_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        // As BSD and Linux: no urgent datagrams.
        if meta.flags.contains(SendFlags::OOB) {
            return Err(SockError::OpNotSupported);
        }
        // Before all else the socket gets a port, also if nothing is sent.
        self.bound_port(id)?;
        let s = self.sockets.datagram(id)?;
        // A datagram that was begun goes where its first part was to go.
        let meta = s
            .cork
            .as_ref()
            .map_or_else(|| meta.clone(), |c| SendMeta { flags: meta.flags, ..c.meta.clone() });
        let begun = s.cork.as_ref().map_or(0, |c| c.data.len());
        let out = match begun + data.len() <= MAX_DATA {
            true => self.datagram_out(id, &meta),
            false => Err(SockError::MsgSize),
        };
        let out = match out {
            // Nobody has port 0, but as on Linux only an address given here is looked at.
            Ok(out) if meta.to.is_none_or(|to| to.port() != 0) => out,
            Err(SockError::WouldBlock) => return Err(SockError::WouldBlock),
            // As Linux: an error ends the datagram that was begun.
            other => {
                self.sockets.datagram(id)?.cork = None;
                return Err(other.err().unwrap_or(SockError::Invalid));
            }
        };
        let s = self.sockets.datagram(id)?;
        if meta.flags.contains(SendFlags::MORE) {
            let first = SendMeta { to: Some(out.remote), ..meta };
            let cork = s.cork.get_or_insert_with(|| Cork { meta: first, data: Vec::new() });
            cork.data.extend_from_slice(data);
            return Ok(data.len());
        }
        let (kind, coverage, local_port, cork) =
            (s.kind, s.opts.send_coverage, s.local.port(), s.cork.take());
        let mut m = self.ip.pool.get();
        m.extend(&cork.map_or(Vec::new(), |c| c.data));
        m.extend(data);
        let ports = (local_port, out.remote.port());
        match kind {
            Kind::UdpLite => udplite::prepend_header(&mut m, ports, &out.tx, coverage),
            Kind::Udp | Kind::Ping | Kind::Raw | Kind::Packet => prepend_header(&mut m, ports, &out.tx),
        }
        self.udp_count(kind, out.tx.dst, Fate::Sent);
        self.datagram_output(id, &out, m)?;
        Ok(data.len())
    }
}

/// Puts UDP's header before data.
fn prepend_header(m: &mut Mbuf, (src, dst): (u16, u16), tx: &IpTx) {
    let len = HEADER_LEN + m.len();
    Header { src, dst, len, checksum: 0 }.emit(m.prepend(HEADER_LEN));
    let sum = Sum::pseudo_header(tx.src, tx.dst, protocol::UDP, len).add(m.data()).finish();
    m.data_mut()[6..8].copy_from_slice(&never_zero(sum).to_be_bytes());
}

/// RFC 768: a computed zero is sent as all ones.
pub(super) fn never_zero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

/// How a datagram leaves.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) remote: SocketAddr,
    pub(crate) way: Way,
    pub(crate) tx: IpTx,
    /// IPv6's extension headers of this one alone, if it has any: what the first of all is, and they.
    pub(crate) headers: Option<(u8, Vec<u8>)>,
    pub(crate) mtu_discover: MtuDiscover,
}

impl Stack {
    /// Where a datagram of socket `id` goes and from where; `WouldBlock` if its send buffer is full.
    pub(crate) fn datagram_out(&mut self, id: SocketId, meta: &SendMeta) -> Result<Out, SockError> {
        let s = self.sockets.datagram(id)?;
        s.check_error()?;
        if s.shut_write {
            return Err(SockError::Pipe);
        }
        if s.tx_octets >= s.opts.send_buffer {
            return Err(SockError::WouldBlock);
        }
        let remote = meta.to.or(s.remote).ok_or(SockError::DestAddrRequired)?;
        // The way may hang on the port.
        let src_port = self.bound_port(id)?;
        let s = self.sockets.datagram(id)?;
        // Linux: the unspecified address is ourselves.
        let dst = match remote.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            a => a,
        };
        if !s.takes_peer(dst) {
            return Err(SockError::NetUnreachable);
        }
        let multicast_if = s.opts.multicast_if(dst).filter(|_| dst.is_multicast());
        let bound = scope6::zone_ip(dst).or(meta.ifindex).or(s.opts.device).or(multicast_if);
        let own = match meta.src {
            Some(a) if a.is_unspecified() => None,
            Some(a) if self.ip.is_local(a) => Some(a),
            Some(_) => return Err(SockError::Invalid),
            None => self.ip.own_source(s.local.ip())?,
        };
        let own = own.filter(|a| a.is_ipv4() == dst.is_ipv4());
        let protocol = s.protocol;
        let remote = SocketAddr::new(dst, remote.port());
        let public = s.opts.v6.prefers_public();
        let flow = Flow { protocol, src: own, src_port, dst: remote, bound, public };
        let mut way = self.ip.way_of(&flow)?;
        let ttl = match dst {
            IpAddr::V6(_) if !dst.is_multicast() && s.opts.v6.unicast_hops.is_none() => {
                self.ip.hop_limit6(way.ifindex)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => s.opts.hops(dst),
        };
        match way.kind {
            WayKind::Broadcast if !s.opts.broadcast => return Err(SockError::Access),
            WayKind::Multicast if !s.opts.multicast_loop(dst) => way.kind = WayKind::MulticastOthers,
            WayKind::Local
            | WayKind::Unicast
            | WayKind::Broadcast
            | WayKind::Multicast
            | WayKind::MulticastOthers => {}
        }
        // MSG_DONTROUTE, SO_DONTROUTE: neighbours only.
        let by_gateway = way.kind == WayKind::Unicast && scope6::clear_ip(way.next) != scope6::clear_ip(dst);
        if (meta.flags.contains(SendFlags::DONTROUTE) || s.opts.dont_route) && by_gateway {
            return Err(SockError::NetUnreachable);
        }
        let src = own.or(way.src).ok_or(SockError::AddrNotAvailable)?;
        Ip::check_source(src, &way)?;
        let tx = IpTx {
            src,
            dst,
            protocol,
            ttl: meta.ttl.unwrap_or(ttl),
            tos: meta.tos.unwrap_or(s.opts.traffic_class(dst)),
            fragment: Fragment::May,
            bound,
            label: s.opts.v6.label(meta.flow_label.unwrap_or(s.opts.v6.flow_label)),
        };
        let headers = meta.headers.as_deref().filter(|_| dst.is_ipv6());
        let headers = headers.map(|told| headers_of(told, protocol)).transpose()?;
        let mtu_discover = s.opts.mtu_discover(dst);
        Ok(Out { remote, way, tx, headers, mtu_discover })
    }

    /// Sends the transport packet `m` of socket `id`, which pays for it.
    pub(crate) fn datagram_output(&mut self, id: SocketId, out: &Out, mut m: Mbuf) -> Result<(), SockError> {
        let s = self.sockets.datagram(id)?;
        let mut protocol = out.tx.protocol;
        if out.tx.dst.is_ipv6() {
            let (first, headers) = match &out.headers {
                Some((first, headers)) => (*first, headers.as_slice().into()),
                None => s.opts.v6.headers(protocol),
            };
            m.prepend(headers.len()).copy_from_slice(&headers);
            protocol = first;
        }
        let charge = m.len() + PACKET_COST;
        s.tx_octets += charge;
        m.owner = Some(id);
        m.charge = charge as u32;
        let mtu = match out.mtu_discover {
            MtuDiscover::Dont | MtuDiscover::Want | MtuDiscover::Do => out.way.mtu,
            // Who looks for the path MTU himself is not told what others found.
            MtuDiscover::Probe | MtuDiscover::Interface | MtuDiscover::Omit => out.way.link_mtu,
        };
        let way = Way { mtu, ..out.way };
        let header_len = match out.tx.dst {
            IpAddr::V4(_) => ipv4::HEADER_LEN + s.opts.ip_options.len(),
            IpAddr::V6(_) => ipv6::HEADER_LEN,
        };
        let fits = header_len + m.len() <= mtu as usize;
        let fragment = match out.mtu_discover {
            MtuDiscover::Interface if !fits => {
                self.local_too_big(id, out, mtu);
                self.ip.free(m);
                self.settle();
                return Err(SockError::MsgSize);
            }
            MtuDiscover::Dont | MtuDiscover::Interface | MtuDiscover::Omit => Fragment::May,
            MtuDiscover::Want if fits => out.way.fragment,
            MtuDiscover::Want => Fragment::May,
            MtuDiscover::Do | MtuDiscover::Probe => Fragment::Dont,
        };
        let tx = IpTx { fragment, protocol, ..out.tx };
        let sent = match (tx.src, tx.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut options = s.opts.ip_options.clone();
                ip_options::record_in(&self.ip, src, &mut options);
                self.ip.stats.ip.out_requests += 1;
                self.ip.ip_output_by(&way, &tx, src, dst, &options, m)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                self.ip.stats.ip6.out_requests += 1;
                self.ip.ip6_output_by(&way, &tx, src, dst, m)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                self.ip.free(m);
                Err(SockError::NetUnreachable)
            }
        };
        if sent == Err(SockError::MsgSize) {
            self.local_too_big(id, out, mtu);
        }
        self.settle();
        sent
    }

    /// Linux's `ip_local_error`: who has an error queue finds the MTU there (tracepath lives on it). Who fragments by himself
    /// and has asked for it, reads it in the place of a datagram (RFC 3542 §11.3).
    pub(crate) fn local_too_big(&mut self, id: SocketId, out: &Out, mtu: u32) {
        let asks = |s: &mut Socket| out.tx.dst.is_ipv6() && s.opts.v6.dont_frag && s.opts.v6.recv_path_mtu;
        if self.sockets.datagram(id).is_ok_and(asks) {
            let news = Datagram {
                m: self.ip.pool.get(),
                at: 0,
                wire_len: 0,
                from: Some(SocketAddr::new(out.tx.dst, 0)),
                local: Some(out.tx.src),
                ifindex: out.way.ifindex,
                ttl: 0,
                tos: 0,
                time: self.ip.now,
                link: None,
                error: None,
                path_mtu: Some(mtu),
            };
            self.datagram_push(id, news);
        }
        if self.sockets.datagram(id).is_ok_and(|s| s.opts.recv_err(out.tx.dst)) {
            let queued = QueuedError { error: SockError::MsgSize, offender: None, wire: (0, 0), mtu };
            self.queue_error(id, queued, (out.tx.src, out.way.ifindex), out.remote, &[]);
            self.notify(id, Ready::ERROR);
        }
    }

    /// The local port (or identifier) of a socket of datagrams, which gets one if it has none.
    pub(crate) fn bound_port(&mut self, id: SocketId) -> Result<u16, SockError> {
        let s = self.sockets.datagram(id)?;
        match (s.local.port(), s.kind) {
            (0, Kind::Udp | Kind::UdpLite | Kind::Ping) => {
                let any = SocketAddr::new(s.local.ip(), 0);
                self.datagram_bind(id, any)?;
                Ok(self.sockets.datagram(id)?.local.port())
            }
            (port, Kind::Udp | Kind::UdpLite | Kind::Ping | Kind::Raw | Kind::Packet) => Ok(port),
        }
    }
}
