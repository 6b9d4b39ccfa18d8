//! OPEN, RFC 9293 §3.10.1, as sockets know it: an address, a listener, a connection, and back to none.
//! Errors and their order are Linux's.

use super::ecn::Ecn;
use super::fastopen::{self, FastOpen};
use super::seq::SeqNum;
use super::tcb::{Cx, Holder, Tcb, unspecified};
use super::{State, Tcp, TcpConfig, TcpId};
use crate::netinet::in_pcb::Binding;
use crate::netinet::{Flow, IpLayer, Path};
use crate::socket::sockbuf::SendBuf;
use crate::socket::{Family, SockError};
use crate::wire::tcp::PROTOCOL;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether `connect` is the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// A connection begins.
    Now,
    /// It was made since the first call.
    Before,
}

impl Tcp {
    /// A new socket.
    pub fn socket(&mut self, family: Family) -> TcpId {
        let tcb = Tcb::new(TcpId::NONE, family, &self.sh.config, self.sh.settings.clone());
        self.slab.insert(Box::new(tcb))
    }

    /// Gives the socket a local address and port; port 0: any. `Invalid`: it has one.
    /// `AddrNotAvailable`: not ours. `AddrInUse`: somebody else's.
    pub fn bind(&mut self, ip: &mut dyn IpLayer, id: TcpId, addr: SocketAddr) -> Result<(), SockError> {
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        if tcb.bound || tcb.state != State::Closed {
            return Err(SockError::Invalid);
        }
        if !addr_fits(tcb, addr.ip()) {
            // As Linux: one of IPv6 alone takes no mapped address.
            let mapped = tcb.family == Family::Inet6;
            return Err(if mapped { SockError::Invalid } else { SockError::AfNotSupported });
        }
        // A group's and everybody's address can be had, as on Linux, though no segment comes there.
        let many = addr.ip().is_multicast() || ip.is_broadcast(addr.ip());
        if !addr.ip().is_unspecified() && !many && !ip.is_local(addr.ip()) {
            return Err(SockError::AddrNotAvailable);
        }
        let mut binding = Binding {
            addr: addr.ip(),
            port: addr.port(),
            ifindex: tcb.set.bound_if,
            share: tcb.set.share,
            only_v6: tcb.set.only_v6,
        };
        if addr.port() == 0 {
            binding.port = self.pcbs.bind_any(id, binding, ip.random())?;
        } else {
            self.pcbs.bind(id, binding)?;
        }
        tcb.local = SocketAddr::new(addr.ip(), binding.port);
        (tcb.bound, tcb.port_chosen) = (true, addr.port() != 0);
        tcb.bound_addr = Some(addr.ip()).filter(|a| !a.is_unspecified());
        Ok(())
    }

    /// Passive OPEN. A second call changes the backlog.
    pub fn listen(&mut self, ip: &mut dyn IpLayer, id: TcpId, backlog: usize) -> Result<(), SockError> {
        let backlog = backlog.min(self.sh.config.max_backlog);
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        match (tcb.state, &mut tcb.listen) {
            (State::Listen, Some(listen)) => {
                listen.backlog = backlog;
                return Ok(());
            }
            (State::Closed, _) if !tcb.was_connected => {}
            _ => return Err(SockError::Invalid),
        }
        if !tcb.bound {
            let any = SocketAddr::new(tcb.bound_addr.unwrap_or_else(|| unspecified(tcb.family).ip()), 0);
            self.bind(ip, id, any)?;
        }
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        self.pcbs.listen(id, tcb.local.port())?;
        tcb.state = State::Listen;
        tcb.listen = Some(Box::new(super::listen::Listen { backlog, ..Default::default() }));
        Ok(())
    }

    /// Takes the next connection that is made, with the peer's address.
    pub fn accept(&mut self, _ip: &mut dyn IpLayer, id: TcpId) -> Result<(TcpId, SocketAddr), SockError> {
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        let listen = tcb.listen.as_mut().ok_or(SockError::Invalid)?;
        let child = listen.accepted.pop_front().ok_or(SockError::WouldBlock)?;
        let tcb = self.slab.get_mut(child).ok_or(SockError::ConnAborted)?;
        tcb.holder = Holder::Program;
        Ok((child, tcb.remote))
    }

    /// Active OPEN: sends a SYN and returns `InProgress`; the socket becomes writable when the
    /// connection is made, with an error pending if it is not. Called again it tells the outcome.
    /// With TCP_FASTOPEN_CONNECT and a cookie the SYN waits for data; then it is `Ok` at once.
    pub fn connect(&mut self, ip: &mut dyn IpLayer, id: TcpId, to: SocketAddr) -> Result<(), SockError> {
        if self.begin_connect(ip, id, to)? == Begun::Before {
            return Ok(());
        }
        let mut done = Err(SockError::InProgress);
        if let Some((tcb, mut cx)) = self.parts(ip, id) {
            tcb.connecting = true;
            let fast = tcb.set.fast_open_connect && cx.sh.config.fast_open.contains(FastOpen::CLIENT);
            if fast && tcb.may_fast_open(&cx) {
                tcb.fast_open = fastopen::Use::Deferred;
                tcb.connecting = false;
                // There is nothing yet that anybody could acknowledge.
                tcb.snd_nxt = tcb.iss;
                done = Ok(());
            } else if fast {
                tcb.send_fast_syn(&mut cx, &[]);
            } else {
                tcb.rtx.push(tcb.iss, tcb.iss + 1, cx.now, tcb.rate.stamp());
                cx.sh.stats.active_opens += 1;
                tcb.send_syn(&mut cx);
            }
        }
        self.settle(id);
        done
    }

    /// MSG_FASTOPEN: connects, and the SYN takes along as much of `data` as it can: returns how much, or
    /// `InProgress` if nothing (RFC 7413: there was no cookie; it is asked for).
    pub fn send_fast_open(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        data: &[u8],
        to: SocketAddr,
    ) -> Result<usize, SockError> {
        if !self.sh.config.fast_open.contains(FastOpen::CLIENT) {
            return Err(SockError::OpNotSupported);
        }
        if self.begin_connect(ip, id, to)? == Begun::Before {
            return Err(SockError::IsConnected);
        }
        let mut sent = 0;
        if let Some((tcb, mut cx)) = self.parts(ip, id) {
            tcb.connecting = true;
            sent = tcb.send_fast_syn(&mut cx, data);
        }
        self.settle(id);
        if sent > 0 { Ok(sent) } else { Err(SockError::InProgress) }
    }

    /// The ends of a new connection, in SYN-SENT; no SYN is sent.
    fn begin_connect(&mut self, ip: &mut dyn IpLayer, id: TcpId, to: SocketAddr) -> Result<Begun, SockError> {
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        match tcb.state {
            State::Closed => {
                if tcb.connecting {
                    let error = tcb.error.take().unwrap_or(SockError::ConnAborted);
                    tcb.forget_connection();
                    return Err(error);
                }
                if tcb.was_connected {
                    return Err(SockError::IsConnected);
                }
            }
            State::SynSent if tcb.fast_open == fastopen::Use::Deferred => return Err(SockError::IsConnected),
            State::SynSent | State::SynReceived => return Err(SockError::Already),
            State::Listen => return Err(SockError::IsConnected),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => {
                let first = std::mem::take(&mut tcb.connecting);
                return if first { Ok(Begun::Before) } else { Err(SockError::IsConnected) };
            }
        }
        if !addr_fits(tcb, to.ip()) {
            return Err(SockError::AfNotSupported);
        }
        let to = SocketAddr::new(destination(to.ip())?, to.port());
        // RFC 1122 §4.2.3.10: a connection has one peer.
        if ip.is_broadcast(to.ip()) {
            return Err(SockError::NetUnreachable);
        }
        let src = tcb.bound_addr;
        let (bound, public) = (tcb.set.bound_if, tcb.set.public_source);
        let flow = Flow { protocol: PROTOCOL, src, src_port: 0, dst: to, bound, public };
        let path = ip.path(&flow)?;
        let bound_port = tcb.bound.then(|| tcb.local.port());
        let (now, slab, config) = (ip.now(), &self.slab, &self.sh.config);
        let free = |old: TcpId| slab.get(old).is_some_and(|old| old.may_be_taken_over(now, config));
        let port = match bound_port {
            Some(port) => port,
            None => self.pcbs.ephemeral(path.src, to, free)?,
        };
        let local = SocketAddr::new(src.unwrap_or(path.src), port);
        // Of equal paths the ports choose one, too.
        let path = ip.path(&Flow { src: Some(local.ip()), src_port: port, ..flow })?;
        let old = self.pcbs.lookup_connected(local, to).filter(|old| free(*old));
        let isn = old.and_then(|old| self.take_over(old));
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        self.pcbs.connect(id, local, to, tcb.set.share)?;
        tcb.renew(&self.sh.config);
        tcb.in_table = true;
        if let Some((tcb, mut cx)) = self.parts(ip, id) {
            tcb.begin(&mut cx, local, to, &path);
            if let Some(isn) = isn {
                tcb.start_at(isn);
            }
            tcb.state = State::SynSent;
        }
        Ok(Begun::Now)
    }

    /// A connection in TIME-WAIT makes place for another with its ends, which begins at the number returned.
    fn take_over(&mut self, old: TcpId) -> Option<SeqNum> {
        let tcb = self.slab.get_mut(old)?;
        let isn = tcb.after_all_windows();
        tcb.enter_closed(None);
        self.sh.stats.time_waits_taken_over += 1;
        self.settle(old);
        Some(isn)
    }

    /// Dissolves what `connect` or `listen` made (Linux's `tcp_disconnect`): the socket is as new, but for its options
    /// and the address that the program gave it.
    pub fn disconnect(&mut self, ip: &mut dyn IpLayer, id: TcpId) -> Result<(), SockError> {
        let state = self.slab.get(id).ok_or(SockError::BadSocket)?.state;
        if state == State::Listen {
            self.close_listener(ip, id);
        }
        let Some((tcb, mut cx)) = self.parts(ip, id) else { return Ok(()) };
        match state {
            State::Closed => {}
            State::Listen | State::Closing | State::LastAck | State::TimeWait => tcb.enter_closed(None),
            State::SynSent => tcb.enter_closed(Some(SockError::ConnReset)),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait => {
                tcb.send_rst(&mut cx);
                tcb.enter_closed(Some(SockError::ConnReset));
            }
        }
        let (listened, port) = (state == State::Listen, tcb.local.port());
        if listened {
            self.pcbs.unlisten(id, port);
        }
        self.settle(id);
        if let Some(tcb) = self.slab.get_mut(id) {
            tcb.forget_connection();
        }
        Ok(())
    }
}

/// Whether a socket can have this address at one of its ends.
fn addr_fits(tcb: &Tcb, addr: IpAddr) -> bool {
    match (tcb.family, addr) {
        (Family::Inet, IpAddr::V4(_)) | (Family::Inet6, IpAddr::V6(_)) => true,
        (Family::Inet6, IpAddr::V4(_)) => !tcb.set.only_v6,
        (Family::Inet, IpAddr::V6(_)) => false,
    }
}

/// Where a connection to `addr` goes: nowhere if it is a group's; home if it is unspecified (as BSD and Linux).
fn destination(addr: IpAddr) -> Result<IpAddr, SockError> {
    match addr {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ok(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ok(Ipv6Addr::LOCALHOST.into()),
        a if a.is_multicast() => Err(SockError::NetUnreachable),
        a => Ok(a),
    }
}

impl Tcb {
    /// Forgets a failed attempt, for another one: what the program set stays.
    fn renew(&mut self, config: &TcpConfig) {
        let fresh = Tcb::new(self.id, self.family, config, self.set.clone());
        let old = std::mem::replace(self, fresh);
        self.sndbuf = SendBuf::new(old.sndbuf.limit);
        self.rcvbuf_size = old.rcvbuf_size;
        (self.cc_algorithm, self.cc) = (old.cc_algorithm, old.cc);
        (self.local, self.bound, self.port_chosen) = (old.local, old.bound, old.port_chosen);
        self.bound_addr = old.bound_addr;
        // A program that shut the socket before it was connected finds it so.
        (self.shut_read, self.shut_write) = (old.shut_read, old.shut_write);
        (self.in_ready, self.in_heap, self.events) = (old.in_ready, old.in_heap, old.events);
    }

    /// What was connected is so no more, and the next attempt may go another way. The port is still shown.
    fn forget_connection(&mut self) {
        (self.connecting, self.was_connected, self.fin_received) = (false, false, false);
        (self.fast_open, self.fast_open_fail) = (fastopen::Use::No, fastopen::FastOpenFail::Unspecified);
        (self.shut_read, self.shut_write) = (false, false);
        (self.rcv_up, self.urgent) = (None, None);
        self.rcvbuf.free();
        let any = unspecified(self.family);
        self.local.set_ip(self.bound_addr.unwrap_or(any.ip()));
        self.remote = any;
    }

    /// A connection between these ends begins: what is known before the peer's SYN.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, local: SocketAddr, remote: SocketAddr, path: &Path) {
        (self.local, self.remote) = (local, remote);
        (self.ifindex, self.mtu) = (path.ifindex, path.mtu);
        let config = &cx.sh.config;
        // RFC 6691 §5.4: what we take has nothing to do with what the path takes in the other direction.
        let largest =
            path.link_mtu.saturating_sub(self.fixed_ip_header_len() + 20).min(u32::from(u16::MAX)) as u16;
        self.adv_mss = self.set.max_seg.map_or(largest, |m| m.min(largest)).max(config.min_mss);
        (self.timestamps, self.scaling) = (config.timestamps, config.window_scaling);
        self.sack = config.sack;
        self.ecn = Ecn::asked(config.ecn);
        self.rcv_shift = if self.scaling { self.wanted_shift(config) } else { 0 };
        self.ts_offset = cx.sh.isn.timestamp_offset(local, remote);
        self.rate.restart(cx.now);
        self.start_at(cx.sh.isn.isn(cx.now, local, remote));
    }

    /// Sets the initial send sequence number.
    pub(super) fn start_at(&mut self, iss: SeqNum) {
        (self.iss, self.snd_una, self.snd_nxt) = (iss, iss, iss + 1);
        (self.snd_buf_seq, self.snd_small, self.recover) = (iss + 1, iss, iss);
        self.pushed = iss;
    }
}
