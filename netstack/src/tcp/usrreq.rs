//! The calls of programs (BSD's `tcp_usrreq`): SEND, RECEIVE, CLOSE, ABORT and STATUS of RFC 9293
//! §3.10.2 to §3.10.6 as sockets know them; OPEN is in `open`. Errors and their order are Linux's.
//! No call blocks: `WouldBlock` and `InProgress` say that an event will come.

use super::fastopen::{self};
use super::info::TcpInfo;
use super::options::{Headers, TcpOpt, TcpOptName};
use super::output::Burst;
use super::tcb::{Cx, Holder, Tcb};
use super::{State, Tcp, TcpId};
use crate::netinet::IpLayer;
use crate::socket::{Ready, RecvFlags, SendFlags, SockError};
use crate::time::Duration;
use std::net::SocketAddr;
use std::rc::Rc;

/// Which directions `shutdown(2)` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SHUT_RD
    Read,
    /// SHUT_WR
    Write,
    /// SHUT_RDWR
    Both,
}

/// How data is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// By way of the buffer.
    Data,
    /// With the SYN, which has waited for it (TCP_FASTOPEN_CONNECT).
    Syn,
}

/// Pieces that a reader is shown at once, at most.
const PIECES: usize = 16;

impl Shutdown {
    fn reads(self) -> bool {
        matches!(self, Shutdown::Read | Shutdown::Both)
    }

    fn writes(self) -> bool {
        matches!(self, Shutdown::Write | Shutdown::Both)
    }
}

impl Tcp {
    /// Writes to the stream what the buffer takes and says how much that was. `WouldBlock`: nothing.
    /// `InProgress`: the SYN that waited for data could not take any.
    pub fn send(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, SockError> {
        let (tcb, _) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        if tcb.may_send()? == Sending::Syn {
            return self.send_deferred_syn(ip, id, data);
        }
        let n = tcb.sndbuf.push(&data[..data.len().min(tcb.may_write())]);
        if n < data.len() || !tcb.writable() {
            tcb.no_space = true;
        }
        if n == 0 && !data.is_empty() {
            return Err(SockError::WouldBlock);
        }
        if flags.contains(SendFlags::OOB) && n == data.len() && n > 0 {
            tcb.snd_up = Some(tcb.data_end());
        }
        tcb.unpushed = flags.contains(SendFlags::MORE) && n == data.len();
        tcb.more = tcb.unpushed;
        if flags.contains(SendFlags::EOR) && n == data.len() && n > 0 {
            tcb.records.push(tcb.data_end());
        }
        tcb.wants_output = true;
        self.settle(id);
        Ok(n)
    }

    /// Writes to the stream what `fill` puts into the buffer, which it is shown in one or two pieces of at most `most` octets together; it is
    /// not asked if there is no room. Otherwise as [`Tcp::send`].
    pub fn send_with(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        most: usize,
        fill: impl FnOnce(&mut [u8], &mut [u8]) -> usize,
    ) -> Result<usize, SockError> {
        let (tcb, cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        if tcb.may_send()? == Sending::Syn {
            let mut data = vec![0; most.min(tcb.fast_syn(&cx).1)];
            let n = if data.is_empty() { 0 } else { fill(&mut data, &mut []).min(data.len()) };
            return self.send_deferred_syn(ip, id, &data[..n]);
        }
        let may_write = tcb.may_write();
        let n = tcb.sndbuf.fill(most.min(may_write), fill);
        if n == 0 || !tcb.writable() {
            tcb.no_space = true;
        }
        if n == 0 {
            return Err(SockError::WouldBlock);
        }
        (tcb.unpushed, tcb.more) = (false, false);
        tcb.wants_output = true;
        self.settle(id);
        Ok(n)
    }

    /// The SYN that has waited for data.
    fn send_deferred_syn(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        data: &[u8],
    ) -> Result<usize, SockError> {
        let (tcb, mut cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        tcb.connecting = true;
        let sent = tcb.send_fast_syn(&mut cx, data);
        self.settle(id);
        if sent > 0 { Ok(sent) } else { Err(SockError::InProgress) }
    }

    /// Reads from the stream; 0: its end. `WouldBlock`: nothing is there.
    pub fn recv(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> Result<usize, SockError> {
        let (tcb, cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        if tcb.state == State::Listen {
            return Err(SockError::NotConnected);
        }
        if flags.contains(RecvFlags::OOB) {
            return tcb.read_urgent(buf, flags);
        }
        let n = tcb.read(buf, flags);
        if n > 0 {
            if !flags.contains(RecvFlags::PEEK) {
                tcb.after_read(cx.now, n, &cx.sh.config);
                self.settle(id);
            }
            return Ok(n);
        }
        if buf.is_empty() && tcb.readable() > 0 {
            return Ok(0);
        }
        tcb.nothing_to_read()
    }

    /// Shows `take` what can be read, in pieces as it lies, of which it takes as many octets as it says; it is not asked if there are none.
    /// Otherwise as [`Tcp::recv`].
    pub fn recv_with(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        take: impl FnOnce(&[&[u8]]) -> usize,
    ) -> Result<usize, SockError> {
        let (tcb, cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        if tcb.state == State::Listen {
            return Err(SockError::NotConnected);
        }
        let (offset, most) = tcb.span(usize::MAX);
        let mut pieces = [&[][..]; PIECES];
        let count = tcb.rcvbuf.pieces(offset, most, &mut pieces);
        if count == 0 {
            if offset > 0 {
                tcb.pass(offset);
            }
            return tcb.nothing_to_read();
        }
        let n = take(&pieces[..count]);
        if n > 0 {
            tcb.pass(offset + n);
            tcb.after_read(cx.now, n, &cx.sh.config);
            self.settle(id);
        }
        Ok(n)
    }

    /// Ends one direction or both. Ending the sending one sends a FIN behind what was written.
    pub fn shutdown(&mut self, ip: &mut dyn IpLayer, id: TcpId, how: Shutdown) -> Result<(), SockError> {
        let tcb = self.slab.get_mut(id).ok_or(SockError::BadSocket)?;
        match tcb.state {
            // As Linux: refused, and done all the same; in TIME-WAIT, too (RFC 9293 §3.10.4: "connection closing").
            State::Closed | State::TimeWait => {
                tcb.shut_read |= how.reads();
                tcb.shut_write |= how.writes();
                let news = tcb.ready();
                tcb.notify(news);
                self.settle(id);
                return Err(SockError::NotConnected);
            }
            State::Listen if !how.reads() => return Ok(()),
            State::Listen | State::SynSent => return self.disconnect(ip, id),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => {
                tcb.shut_read |= how.reads();
                if how.writes() {
                    tcb.shut_write = true;
                    tcb.queue_fin();
                }
                let news = tcb.ready();
                tcb.notify(news);
            }
        }
        self.settle(id);
        Ok(())
    }

    /// The program lets go of the socket. What was written is still delivered, unless data is
    /// unread or SO_LINGER says otherwise: then the connection is reset (RFC 9293 §3.6.1, RFC 2525 §2.17).
    pub fn close(&mut self, ip: &mut dyn IpLayer, id: TcpId) {
        if self.slab.get(id).is_some_and(|t| t.state == State::Listen) {
            self.close_listener(ip, id);
        }
        let Some((tcb, mut cx)) = self.parts(ip, id) else { return };
        tcb.holder = Holder::Nobody;
        tcb.shut_read = true;
        match tcb.state {
            State::Closed | State::Listen | State::SynSent => tcb.enter_closed(None),
            State::TimeWait => {}
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => tcb.close_connection(&mut cx),
        }
        tcb.rcvbuf.free();
        if !matches!(tcb.state, State::Closed | State::TimeWait) {
            tcb.orphan = true;
            self.sh.orphans += 1;
        }
        self.settle(id);
    }

    /// ABORT of RFC 9293 §3.10.5 from outside, as `tcpdrop(8)`: the peer is told by a RST, whoever holds
    /// the socket finds `ConnAborted`. A listener stays.
    pub fn abort(&mut self, ip: &mut dyn IpLayer, id: TcpId) {
        let Some((tcb, mut cx)) = self.parts(ip, id) else { return };
        match tcb.state {
            State::Closed | State::Listen => return,
            State::SynSent | State::TimeWait => {}
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => tcb.send_rst(&mut cx),
        }
        tcb.enter_closed(Some(SockError::ConnAborted));
        self.settle(id);
    }

    /// What an operation would find now.
    pub fn ready(&self, id: TcpId) -> Ready {
        self.slab.get(id).map_or(Ready::empty(), Tcb::ready)
    }

    /// SO_ERROR: tells and clears it.
    pub fn take_error(&mut self, id: TcpId) -> Option<SockError> {
        let tcb = self.slab.get_mut(id)?;
        tcb.error.take().or_else(|| tcb.soft_error.take())
    }

    /// Sets an option.
    pub fn set_option(&mut self, ip: &mut dyn IpLayer, id: TcpId, opt: TcpOpt) -> Result<(), SockError> {
        let (tcb, cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        tcb.set_option(cx.now, &cx.sh.config, opt)?;
        if tcb.bound {
            let (share, ifindex) = (tcb.set.share, tcb.set.bound_if);
            let port = tcb.local.port();
            self.pcbs.rebind(id, port, |b| (b.share, b.ifindex) = (share, ifindex));
        }
        self.settle(id);
        Ok(())
    }

    /// Sets IPv6's extension headers of each segment: what the first of all headers is, and they. They take their
    /// room of the segments (RFC 6691), not of what the peer is told that we take.
    pub(crate) fn set_headers(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        first: u8,
        chain: Box<[u8]>,
    ) -> Result<(), SockError> {
        let (tcb, cx) = self.parts(ip, id).ok_or(SockError::BadSocket)?;
        Rc::make_mut(&mut tcb.set).headers = Headers { first, chain };
        tcb.set_mtu(tcb.mtu, &cx);
        self.settle(id);
        Ok(())
    }

    /// Reads an option.
    pub fn option(&self, id: TcpId, name: TcpOptName) -> Result<TcpOpt, SockError> {
        self.slab.get(id).map(|t| t.option(name)).ok_or(SockError::BadSocket)
    }

    /// Local address; unspecified and port 0 before there is one.
    pub fn local_addr(&self, id: TcpId) -> Result<SocketAddr, SockError> {
        self.slab.get(id).map(|t| t.local).ok_or(SockError::BadSocket)
    }

    /// The peer's address. In TIME-WAIT there is none any more, as on Linux.
    pub fn peer_addr(&self, id: TcpId) -> Result<SocketAddr, SockError> {
        let tcb = self.slab.get(id).ok_or(SockError::BadSocket)?;
        match tcb.state {
            State::Closed | State::Listen | State::SynSent | State::TimeWait => Err(SockError::NotConnected),
            _ => Ok(tcb.remote),
        }
    }

    /// FIONREAD: octets that one call could read, which stops at urgent data. `Invalid`: it listens.
    pub fn readable(&self, id: TcpId) -> Result<usize, SockError> {
        let tcb = self.slab.get(id).ok_or(SockError::BadSocket)?;
        match (tcb.state, tcb.to_mark()) {
            (State::Listen, _) => Err(SockError::Invalid),
            (_, Some(n)) if !tcb.set.oob_inline => Ok(n),
            (_, Some(_) | None) => Ok(tcb.readable()),
        }
    }

    /// SIOCOUTQ: octets written and not acknowledged, the FIN counted as one. `Invalid`: it listens.
    pub fn unacknowledged(&self, id: TcpId) -> Result<usize, SockError> {
        let tcb = self.slab.get(id).ok_or(SockError::BadSocket)?;
        match tcb.state {
            State::Listen => Err(SockError::Invalid),
            State::Closed | State::SynSent | State::SynReceived => Ok(0),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => Ok(tcb.sndbuf.len() + usize::from(tcb.fin_due())),
        }
    }

    /// SIOCATMARK: the next octet to be read is the urgent one.
    pub fn at_mark(&self, id: TcpId) -> Result<bool, SockError> {
        self.slab.get(id).map(|t| t.to_mark() == Some(0)).ok_or(SockError::BadSocket)
    }

    /// TCP_INFO
    pub fn info(&self, id: TcpId) -> Result<TcpInfo, SockError> {
        self.slab.get(id).map(|t| t.info(&self.sh.config)).ok_or(SockError::BadSocket)
    }

    /// All sockets, those without a program included.
    pub fn iter(&self) -> impl Iterator<Item = TcpInfo> {
        self.slab.iter().map(|t| t.info(&self.sh.config))
    }
}

impl Tcb {
    /// CLOSE: no more data of ours.
    pub(super) fn queue_fin(&mut self) {
        match self.state {
            State::Established => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            // SYN-RECEIVED: when the connection is made (RFC 9293 §3.10.4).
            State::SynReceived
            | State::Closed
            | State::Listen
            | State::SynSent
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait => return,
        }
        self.more = false;
        self.wants_output = true;
    }

    fn close_connection(&mut self, cx: &mut Cx<'_>) {
        let unread = !self.rcvbuf.is_empty();
        let linger_0 = self.set.linger == Some(Duration::ZERO);
        let too_many = cx.sh.orphans >= cx.sh.config.max_orphans;
        if unread || linger_0 || too_many {
            if unread {
                cx.sh.stats.abort_on_close += 1;
            } else if too_many {
                cx.sh.stats.abort_on_memory += 1;
            }
            // As Linux, whose send(2) transmits at once: what may leave by now has left.
            while self.wants_output && self.output(cx) == Burst::More {}
            self.send_rst(cx);
            return self.enter_closed(None);
        }
        self.shut_write = true;
        if self.set.cork {
            Rc::make_mut(&mut self.set).cork = false;
        }
        if self.state == State::FinWait2 {
            self.t_wait = Some(cx.now + self.set.fin_wait_2);
        }
        self.queue_fin();
    }

    /// Whether and how data may be sent now.
    fn may_send(&mut self) -> Result<Sending, SockError> {
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        if self.fast_open == fastopen::Use::Deferred && !self.shut_write {
            return Ok(Sending::Syn);
        }
        if self.syn_in_flight() && !self.fast_open_transmits() && !self.shut_write {
            self.no_space = true;
            return Err(SockError::WouldBlock);
        }
        if self.shut_write || !(self.state.may_send() || self.fast_open_transmits()) {
            return Err(SockError::Pipe);
        }
        self.note_pause();
        Ok(Sending::Data)
    }

    /// What a program is told that finds nothing to read.
    fn nothing_to_read(&mut self) -> Result<usize, SockError> {
        if self.fin_received {
            return Ok(0);
        }
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        match self.state {
            _ if self.shut_read => Ok(0),
            State::Closed => Err(SockError::NotConnected),
            _ => Err(SockError::WouldBlock),
        }
    }

    /// Where a read of at most `most` octets begins, and how many it may have: up to the urgent mark, and behind the urgent octet unless
    /// that is in line.
    fn span(&self, most: usize) -> (usize, usize) {
        match self.to_mark() {
            Some(0) if !self.set.oob_inline => (1, most),
            Some(0) | None => (0, most),
            Some(n) => (0, most.min(n)),
        }
    }

    /// Takes what was read, and what was skipped, out of the buffer.
    fn pass(&mut self, n: usize) {
        let at_mark = self.to_mark() == Some(0);
        self.rcvbuf.consume(n);
        if at_mark {
            // Once it was passed it cannot be had out of band either.
            (self.rcv_up, self.urgent) = (None, None);
        }
    }

    /// Reads what [`Tcb::span`] says.
    fn read(&mut self, buf: &mut [u8], flags: RecvFlags) -> usize {
        let (offset, most) = self.span(buf.len());
        let n = if flags.contains(RecvFlags::TRUNC) {
            most.min(self.rcvbuf.len().saturating_sub(offset))
        } else {
            self.rcvbuf.peek(offset, &mut buf[..most])
        };
        if !flags.contains(RecvFlags::PEEK) && (n > 0 || offset > 0) {
            self.pass(offset + n);
        }
        n
    }

    /// MSG_OOB
    fn read_urgent(&mut self, buf: &mut [u8], flags: RecvFlags) -> Result<usize, SockError> {
        if self.set.oob_inline {
            return Err(SockError::Invalid);
        }
        let Some(octet) = self.urgent else {
            let announced = self.rcv_up.is_some_and(|up| up.ge(self.rcv_nxt));
            return Err(if announced { SockError::WouldBlock } else { SockError::Invalid });
        };
        if !flags.contains(RecvFlags::PEEK) {
            self.urgent = None;
        }
        match buf.first_mut() {
            Some(b) => {
                *b = octet;
                Ok(1)
            }
            None => Ok(0),
        }
    }
}
