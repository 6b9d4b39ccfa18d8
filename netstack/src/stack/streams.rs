//! The doors of stream sockets: from the table of sockets to TCP.

use super::Stack;
use crate::netinet::in_pcb::Share;
use crate::socket::sockopt::Options;
use crate::socket::table::{Entry, Stream};
use crate::socket::{
    Family, RecvFlags, RecvMeta, SendFlags, SendMeta, SockError, SockOpt, SockOpt6, SockOpt6Name,
    SockOptName, SockType, SocketId, SocketInfo, SourceKind,
};
use crate::tcp::{State, TcpConfig, TcpId, TcpInfo, TcpOpt, TcpOptName};
use crate::time::Instant;
use crate::wire::ipv4::protocol;
use std::net::SocketAddr;
use std::rc::Rc;

impl Stack {
    /// A name for a TCP socket.
    pub(super) fn stream_insert(&mut self, family: Family, tcp: TcpId, opts: Rc<Options>) -> SocketId {
        let stream = Stream { family, tcp, opts, pending: crate::socket::Ready::empty() };
        let id = self.sockets.insert(|_| Entry::Stream(Box::new(stream)));
        self.streams.insert(tcp, id);
        id
    }

    /// The next connection of a listener, which inherits its options.
    pub(super) fn stream_accept(&mut self, id: SocketId) -> Result<(SocketId, SocketAddr), SockError> {
        let Entry::Stream(s) = self.sockets.entry(id)? else { return Err(SockError::OpNotSupported) };
        let (new, peer) = self.tcp.accept(&mut self.ip, s.tcp)?;
        let (family, opts) = (s.family, s.opts.clone());
        Ok((self.stream_insert(family, new, opts), peer))
    }

    /// The program lets go; the connection ends by itself.
    pub(super) fn stream_close(&mut self, s: &Stream) {
        self.streams.remove(&s.tcp);
        self.tcp.close(&mut self.ip, s.tcp);
        self.after_tcp();
    }

    /// After a call into TCP: it may have something to send and to tell.
    pub(super) fn after_tcp(&mut self) {
        self.pump_due = true;
        self.settle();
    }

    /// TCP's events become ours.
    pub(super) fn settle_streams(&mut self) {
        let mut events = core::mem::take(&mut self.tcp_events);
        self.tcp.drain_events(&mut events);
        for (tcp, ready) in events.drain(..) {
            if let Some(&id) = self.streams.get(&tcp) {
                self.notify(id, ready);
            }
        }
        self.tcp_events = events;
    }

    /// Writes to a stream.
    pub(super) fn stream_send(
        &mut self,
        id: SocketId,
        tcp: TcpId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        let done = if meta.flags.contains(SendFlags::FASTOPEN) {
            // Without an address there is nobody to connect to, but perhaps a connection already.
            let to = match self.taken_meta(id, meta)?.to {
                Some(to) => Ok(to),
                None => self.tcp.peer_addr(tcp).or(Err(SockError::Invalid)),
            };
            to.and_then(|to| self.tcp.send_fast_open(&mut self.ip, tcp, data, to))
        } else {
            self.tcp.send(&mut self.ip, tcp, data, meta.flags)
        };
        self.after_tcp();
        done
    }

    /// Sends what `fill` puts into a stream's buffer, of which it is shown room for at most `most` octets, in one or two pieces; it says how many it
    /// put there. `OpNotSupported`: it is no stream.
    pub fn send_with(
        &mut self,
        now: Instant,
        id: SocketId,
        most: usize,
        fill: impl FnOnce(&mut [u8], &mut [u8]) -> usize,
    ) -> Result<usize, SockError> {
        self.ip.now = now;
        let Entry::Stream(s) = self.sockets.entry(id)? else { return Err(SockError::OpNotSupported) };
        let tcp = s.tcp;
        let done = self.tcp.send_with(&mut self.ip, tcp, most, fill);
        self.after_tcp();
        done
    }

    /// Shows `take` what can be read of a stream, in pieces as it lies; it says how many octets it takes. 0: the stream's end, if it was not
    /// asked. `OpNotSupported`: it is no stream.
    pub fn recv_with(
        &mut self,
        now: Instant,
        id: SocketId,
        take: impl FnOnce(&[&[u8]]) -> usize,
    ) -> Result<usize, SockError> {
        self.ip.now = now;
        let Entry::Stream(s) = self.sockets.entry(id)? else { return Err(SockError::OpNotSupported) };
        let tcp = s.tcp;
        let done = self.tcp.recv_with(&mut self.ip, tcp, take);
        self.after_tcp();
        done
    }

    /// Reads from a stream.
    pub(super) fn stream_recv(
        &mut self,
        tcp: TcpId,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> Result<RecvMeta, SockError> {
        if flags.contains(RecvFlags::ERRQUEUE) {
            // A stream has none, and what it has is not read this way.
            return Err(SockError::WouldBlock);
        }
        let len = self.tcp.recv(&mut self.ip, tcp, buf, flags)?;
        self.after_tcp();
        // The urgent octet is all there is of its kind, and may find no room.
        let full_len = if flags.contains(RecvFlags::OOB) { 1 } else { len };
        Ok(RecvMeta { len, full_len, ..RecvMeta::end(self.ip.now) })
    }

    /// Sets an option of a stream.
    pub(super) fn stream_set_option(&mut self, id: SocketId, opt: SockOpt) -> Result<(), SockError> {
        let max = self.ip.config.max_buffer;
        let Entry::Stream(s) = self.sockets.entry(id)? else { return Err(SockError::OpNotSupported) };
        let tcp = s.tcp;
        let opt = match opt {
            SockOpt::Tcp(opt) => opt,
            SockOpt::ReuseAddr(addr) => TcpOpt::Reuse(Share { addr, ..self.stream_share(tcp)? }),
            SockOpt::ReusePort(port) => TcpOpt::Reuse(Share { port, ..self.stream_share(tcp)? }),
            SockOpt::KeepAlive(v) => TcpOpt::KeepAlive(v),
            SockOpt::Linger(v) => TcpOpt::Linger(v),
            SockOpt::OobInline(v) => TcpOpt::OobInline(v),
            SockOpt::RecvBuffer(v) => TcpOpt::RcvBuf(v),
            SockOpt::SendBuffer(v) => TcpOpt::SndBuf(v),
            SockOpt::RecvLowat(v) => TcpOpt::RcvLowat(v),
            SockOpt::BindToDevice(v) => TcpOpt::BindToDevice(v),
            SockOpt::Ttl(v) => TcpOpt::Ttl(v),
            SockOpt::Tos(v) | SockOpt::V6(SockOpt6::TrafficClass(v)) => TcpOpt::Tos(v),
            SockOpt::V6(SockOpt6::V6Only(v)) => TcpOpt::V6Only(v),
            SockOpt::V6(SockOpt6::PreferSource(v)) => {
                Rc::make_mut(&mut s.opts).set(opt, max)?;
                TcpOpt::PublicSource(v == Some(SourceKind::Public))
            }
            SockOpt::V6(SockOpt6::UnicastHops(v)) => TcpOpt::Ttl(v.unwrap_or(self.ip.config.ttl)),
            SockOpt::V6(v @ (SockOpt6::HopOptions(_) | SockOpt6::DstOptions(_))) => {
                let opts = Rc::make_mut(&mut s.opts);
                opts.set(SockOpt::V6(v), max)?;
                let (first, chain) = opts.v6.headers(protocol::TCP);
                let done = self.tcp.set_headers(&mut self.ip, tcp, first, chain.into());
                self.after_tcp();
                return done;
            }
            SockOpt::V6(v @ SockOpt6::AutoFlowLabel(_)) => {
                Rc::make_mut(&mut s.opts).set(SockOpt::V6(v), max)?;
                return self.stream_set_label(id);
            }
            other => return Rc::make_mut(&mut s.opts).set(other, max),
        };
        let done = self.tcp.set_option(&mut self.ip, tcp, opt);
        self.after_tcp();
        done
    }

    /// What a stream sends has the label that its options say.
    pub(super) fn stream_set_label(&mut self, id: SocketId) -> Result<(), SockError> {
        let Entry::Stream(s) = self.sockets.entry(id)? else { return Err(SockError::OpNotSupported) };
        let (tcp, label) = (s.tcp, s.opts.v6.label(s.opts.v6.flow_label));
        self.tcp.set_option(&mut self.ip, tcp, TcpOpt::FlowLabel(label))
    }

    fn stream_share(&self, tcp: TcpId) -> Result<Share, SockError> {
        match self.tcp.option(tcp, TcpOptName::Reuse)? {
            TcpOpt::Reuse(share) => Ok(share),
            _ => Ok(Share::default()),
        }
    }

    /// Reads an option of a stream.
    pub(super) fn stream_option(&self, s: &Stream, name: SockOptName) -> Result<SockOpt, SockError> {
        let share = || self.stream_share(s.tcp);
        let asked6 = matches!(name, SockOptName::V6(_));
        let name = match name {
            SockOptName::ReuseAddr => return Ok(SockOpt::ReuseAddr(share()?.addr)),
            SockOptName::ReusePort => return Ok(SockOpt::ReusePort(share()?.port)),
            SockOptName::Mtu => return s.opts.get(name, Some(self.tcp.info(s.tcp)?.pmtu)),
            SockOptName::Tcp(n) => return self.tcp.option(s.tcp, n).map(SockOpt::Tcp),
            SockOptName::KeepAlive => TcpOptName::KeepAlive,
            SockOptName::Linger => TcpOptName::Linger,
            SockOptName::OobInline => TcpOptName::OobInline,
            SockOptName::RecvBuffer => TcpOptName::RcvBuf,
            SockOptName::SendBuffer => TcpOptName::SndBuf,
            SockOptName::RecvLowat => TcpOptName::RcvLowat,
            SockOptName::BindToDevice => TcpOptName::BindToDevice,
            SockOptName::Ttl => TcpOptName::Ttl,
            SockOptName::Tos => TcpOptName::Tos,
            SockOptName::V6(SockOpt6Name::V6Only) => TcpOptName::V6Only,
            SockOptName::V6(SockOpt6Name::UnicastHops) => TcpOptName::Ttl,
            SockOptName::V6(SockOpt6Name::TrafficClass) => TcpOptName::Tos,
            SockOptName::V6(SockOpt6Name::Mtu) => {
                return s.opts.get(name, Some(self.tcp.info(s.tcp)?.pmtu));
            }
            other => return s.opts.get(other, None),
        };
        Ok(match self.tcp.option(s.tcp, name)? {
            TcpOpt::KeepAlive(v) => SockOpt::KeepAlive(v),
            TcpOpt::Linger(v) => SockOpt::Linger(v),
            TcpOpt::OobInline(v) => SockOpt::OobInline(v),
            TcpOpt::RcvBuf(v) => SockOpt::RecvBuffer(v),
            TcpOpt::SndBuf(v) => SockOpt::SendBuffer(v),
            TcpOpt::RcvLowat(v) => SockOpt::RecvLowat(v),
            TcpOpt::BindToDevice(v) => SockOpt::BindToDevice(v),
            TcpOpt::Ttl(v) if asked6 => SockOpt::V6(SockOpt6::UnicastHops(Some(v))),
            TcpOpt::Ttl(v) => SockOpt::Ttl(v),
            TcpOpt::Tos(v) if asked6 => SockOpt::V6(SockOpt6::TrafficClass(v)),
            TcpOpt::Tos(v) => SockOpt::Tos(v),
            TcpOpt::V6Only(v) => SockOpt::V6(SockOpt6::V6Only(v)),
            other => SockOpt::Tcp(other),
        })
    }

    /// TCP's numbers as they are.
    pub fn tcp_config(&self) -> &TcpConfig {
        self.tcp.config()
    }

    /// Changes TCP's numbers; sockets keep what they have taken over for themselves. The time to live is
    /// the stack's.
    pub fn set_tcp_config(&mut self, config: TcpConfig) {
        for table in [&mut self.udp, &mut self.udplite] {
            table.ephemeral = config.ephemeral_ports.0..=config.ephemeral_ports.1;
        }
        self.tcp.set_config(TcpConfig { ttl: self.ip.config.ttl, ..config });
    }

    /// Ends the connection between these two ends as `tcpdrop(8)` does; whether there is one.
    pub fn tcp_drop(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> bool {
        self.ip.now = now;
        let lives = |info: &TcpInfo| !matches!(info.state, State::Closed | State::Listen);
        let found = self.tcp.iter().find(|info| (info.local, info.remote) == (local, remote) && lives(info));
        let Some(TcpInfo { id, .. }) = found else { return false };
        self.tcp.abort(&mut self.ip, id);
        self.after_tcp();
        true
    }

    /// TCP_INFO
    pub fn tcp_info(&self, id: SocketId) -> Result<TcpInfo, SockError> {
        match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Stream(s) => self.tcp.info(s.tcp),
            Entry::Datagram(_) => Err(SockError::OpNotSupported),
        }
    }

    /// SIOCATMARK: whether the next octet to be read is the urgent one.
    pub fn at_mark(&self, id: SocketId) -> Result<bool, SockError> {
        match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Stream(s) => self.tcp.at_mark(s.tcp),
            Entry::Datagram(_) => Err(SockError::OpNotSupported),
        }
    }

    /// All TCP sockets, as shown, those that no program holds any more included.
    pub(super) fn stream_infos(&self) -> impl Iterator<Item = SocketInfo> + '_ {
        self.tcp.iter().map(|info| SocketInfo {
            id: self.streams.get(&info.id).copied(),
            family: Family::of(info.local.ip()),
            ty: SockType::Stream,
            protocol: protocol::TCP,
            local: Some(info.local),
            remote: Some(info.remote).filter(|r| r.port() != 0),
            state: state_name(info.state),
            recv_queue: info.recv_queue,
            send_queue: info.send_queue,
            drops: 0,
            tcp: Some(info),
        })
    }
}

/// The names that `ss` shows.
fn state_name(state: State) -> &'static str {
    match state {
        State::Closed => "UNCONN",
        State::Listen => "LISTEN",
        State::SynSent => "SYN-SENT",
        State::SynReceived => "SYN-RECV",
        State::Established => "ESTAB",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::CloseWait => "CLOSE-WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST-ACK",
        State::TimeWait => "TIME-WAIT",
    }
}
