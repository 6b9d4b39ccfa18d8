//! Sockets.

use super::block::Blocking;
use super::{Errno, Family, Fd, MsgFlags, RecvMeta, SendMeta, Shutdown, SockType, Sys};
use crate::proc::filedesc::{File, Kind};
use netstack::net::IfIndex;
use netstack::net::bpf::fanout::{Fanout, RolloverStats};
use netstack::net::bpf::filter::Program;
use netstack::socket::{PacketStats, SendFlags};
use netstack::tcp::State;
use netstack::{Ready, SockError};
use std::net::SocketAddr;
use std::rc::Rc;

impl Sys {
    /// A new socket. `protocol` 0: the type's usual one.
    pub fn socket(&self, family: Family, kind: SockType, protocol: u8) -> Result<Fd, Errno> {
        let id = self.kernel.stack.borrow_mut().socket(family, kind, protocol)?;
        self.open(Kind::Socket(id, kind))
    }

    /// Gives a socket its local address; port 0: any free one.
    pub fn bind(&self, fd: Fd, address: SocketAddr) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().bind(self.kernel.now(), id, address)?)
    }

    /// Gives a packet socket its interface (`None`: all) and its EtherType (0: none).
    pub fn bind_packet(&self, fd: Fd, ifindex: Option<IfIndex>, ethertype: u16) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().bind_packet(id, ifindex, ethertype)?)
    }

    /// Those of a packet socket.
    pub fn packet_binding(&self, fd: Fd) -> Result<(Option<IfIndex>, u16), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_binding(id)?)
    }

    /// PACKET_STATISTICS: what a packet socket has got since this was last asked.
    pub fn packet_stats(&self, fd: Fd) -> Result<PacketStats, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_stats(id)?)
    }

    /// PACKET_FANOUT: makes a packet socket a member of a group of at most `most` (0: as the group has it).
    pub fn packet_join_fanout(&self, fd: Fd, fanout: Fanout, most: u32) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_join_fanout(id, fanout, most)?)
    }

    /// The group that a packet socket is a member of.
    pub fn packet_fanout(&self, fd: Fd) -> Result<Option<Fanout>, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_fanout(id)?)
    }

    /// PACKET_FANOUT_DATA: the program by which that group chooses.
    pub fn packet_fanout_program(&self, fd: Fd, program: Program) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_fanout_program(id, program)?)
    }

    /// PACKET_ROLLOVER_STATS
    pub fn packet_rollover(&self, fd: Fd) -> Result<RolloverStats, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().packet_rollover(id)?)
    }

    /// Lets connections come in; up to `backlog` wait to be accepted.
    pub fn listen(&self, fd: Fd, backlog: usize) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().listen(self.kernel.now(), id, backlog)?)
    }

    /// Connects. Blocks until that is done or has failed; EINPROGRESS if it may not block: then
    /// poll for OUT and ask [`Sys::take_error`].
    pub async fn connect(&self, fd: Fd, address: SocketAddr) -> Result<(), Errno> {
        self.connect_with(fd, address, MsgFlags::empty()).await
    }

    /// The same, with MSG_DONTWAIT for whoever must not block now.
    pub(crate) async fn connect_with(
        &self,
        fd: Fd,
        address: SocketAddr,
        flags: MsgFlags,
    ) -> Result<(), Errno> {
        let (file, id) = self.socket_of(fd)?;
        let mut begun = None;
        let blocking = self.blocking(&file, Ready::WRITE, flags);
        let connected = self.block(&file, id, blocking, |stack, now| {
            if begun.is_none() {
                return match stack.connect(now, id, address) {
                    Err(SockError::InProgress) if !blocking.never => {
                        begun = Some(Errno::EINPROGRESS);
                        Err(SockError::WouldBlock)
                    }
                    // Somebody else's connect is under way: a blocking one waits with it, as on Linux.
                    Err(SockError::Already) if !blocking.never => {
                        begun = Some(Errno::EALREADY);
                        Err(SockError::WouldBlock)
                    }
                    done => done,
                };
            }
            // Asked again, the stack says how it ended, and the next attempt is a new one.
            match stack.ready(id).intersects(Ready::WRITE | Ready::HUP | Ready::ERROR) {
                true => match stack.connect(now, id, address) {
                    Err(SockError::Already | SockError::InProgress) => Err(SockError::WouldBlock),
                    done => done,
                },
                false => Err(SockError::WouldBlock),
            }
        });
        match (connected.await, begun) {
            // The time limit ran out while the handshake goes on.
            (Err(Errno::EAGAIN), Some(still)) => Err(still),
            (done, _) => done,
        }
    }

    /// Dissolves a connection (connect(2) with AF_UNSPEC): the socket is as new, but for its options.
    pub fn disconnect(&self, fd: Fd) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().disconnect(self.kernel.now(), id)?)
    }

    /// Takes the next connection that has come in: its descriptor and the peer's address.
    pub async fn accept(&self, fd: Fd) -> Result<(Fd, SocketAddr), Errno> {
        let (file, id) = self.socket_of(fd)?;
        let blocking = self.blocking(&file, Ready::READ, MsgFlags::empty());
        let (new, peer) = self.block(&file, id, blocking, |stack, now| stack.accept(now, id)).await?;
        let fd = self.open(Kind::Socket(new, SockType::Stream))?;
        let (accepted, _) = self.socket_of(fd)?;
        accepted.rcvtimeo.set(file.rcvtimeo.get());
        accepted.sndtimeo.set(file.sndtimeo.get());
        Ok((fd, peer))
    }

    /// Sends on a connected socket; a stream may take less than all.
    pub async fn send(&self, fd: Fd, octets: &[u8], flags: MsgFlags) -> Result<usize, Errno> {
        self.sendmsg(fd, octets, flags, SendMeta::default()).await
    }

    /// Sends a datagram to `to`.
    pub async fn sendto(
        &self,
        fd: Fd,
        octets: &[u8],
        flags: MsgFlags,
        to: SocketAddr,
    ) -> Result<usize, Errno> {
        self.sendmsg(fd, octets, flags, SendMeta { to: Some(to), ..SendMeta::default() }).await
    }

    /// Sends with all that can be said about it.
    pub async fn sendmsg(
        &self,
        fd: Fd,
        octets: &[u8],
        flags: MsgFlags,
        mut meta: SendMeta,
    ) -> Result<usize, Errno> {
        let file = self.socket_file(fd)?;
        let Kind::Socket(id, _) = file.kind else {
            return if meta.to.is_some() { Err(Errno::EINVAL) } else { self.netlink_send(fd, octets, None) };
        };
        let blocking = self.blocking(&file, Ready::WRITE, flags);
        meta.flags |= flags.to_send();
        let send = self.block(&file, id, blocking, |stack, now| match stack.send(now, id, octets, &meta) {
            // A SYN went without data (MSG_FASTOPEN, TCP_FASTOPEN_CONNECT): the data follows the handshake.
            Err(SockError::InProgress) if !blocking.never => {
                meta.flags.remove(SendFlags::FASTOPEN);
                Err(SockError::WouldBlock)
            }
            done => done,
        });
        let sent = send.await?;
        if !blocking.never && flags.contains(MsgFlags::FASTOPEN) {
            // It is connect(2), too: what the SYN took along is told when the handshake is over.
            let made = self.block(&file, id, blocking, |stack, _| {
                let state = stack.tcp_info(id)?.state;
                if state == State::SynSent {
                    return Err(SockError::WouldBlock);
                }
                let error = if state == State::Closed { stack.take_error(id) } else { None };
                error.map_or(Ok(()), Err)
            });
            made.await?;
        }
        Ok(sent)
    }

    /// Receives; 0 octets: the peer has ended the stream.
    pub async fn recv(&self, fd: Fd, buffer: &mut [u8], flags: MsgFlags) -> Result<usize, Errno> {
        Ok(self.recvmsg(fd, buffer, flags).await?.len)
    }

    /// Receives, and says from whom.
    pub async fn recvfrom(
        &self,
        fd: Fd,
        buffer: &mut [u8],
        flags: MsgFlags,
    ) -> Result<(usize, Option<SocketAddr>), Errno> {
        let meta = self.recvmsg(fd, buffer, flags).await?;
        Ok((meta.len, meta.from))
    }

    /// Receives, with all that is known about it.
    pub async fn recvmsg(&self, fd: Fd, buffer: &mut [u8], flags: MsgFlags) -> Result<RecvMeta, Errno> {
        let file = self.socket_file(fd)?;
        let Kind::Socket(id, kind) = file.kind else {
            // The buffer may be a carrier's, larger than that of whom it carries for.
            let received = self.netlink_recv(fd, 0, flags).await?.octets;
            let len = received.len().min(buffer.len());
            buffer[..len].copy_from_slice(&received[..len]);
            return Ok(RecvMeta { len, full_len: received.len(), ..RecvMeta::end(self.kernel.now()) });
        };
        let blocking = self.blocking(&file, Ready::READ, flags);
        let whole =
            kind == SockType::Stream && flags.contains(MsgFlags::WAITALL) && !flags.contains(MsgFlags::PEEK);
        let flags = flags.to_recv();
        let receive = self.block(&file, id, blocking, |stack, now| stack.recv(now, id, buffer, flags));
        let mut meta = receive.await?;
        while whole && meta.len < buffer.len() {
            let rest = &mut buffer[meta.len..];
            let more = self.block(&file, id, blocking, |stack, now| {
                // An error waits for the next call: what has come is told first, as on Linux.
                let failed = stack.ready(id).contains(Ready::ERROR) && stack.readable_octets(id) == Ok(0);
                // Urgent data ends it too.
                if failed || stack.at_mark(id) == Ok(true) {
                    Ok(0)
                } else {
                    stack.recv(now, id, rest, flags).map(|more| more.len)
                }
            });
            match more.await {
                Ok(more) if more > 0 => meta.len += more,
                // The end, or a limit.
                Ok(_) | Err(_) => break,
            }
        }
        meta.full_len = meta.full_len.max(meta.len);
        Ok(meta)
    }

    /// FIONREAD: octets that wait to be read; of datagrams, those of the next.
    pub fn readable_octets(&self, fd: Fd) -> Result<usize, Errno> {
        if let Ok(socket) = self.netlink(fd) {
            return Ok(socket.readable_octets());
        }
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().readable_octets(id)?)
    }

    /// SIOCOUTQ: octets that were sent and, of a stream, are not acknowledged (its end counts as one), of datagrams,
    /// have not left.
    pub fn unsent_octets(&self, fd: Fd) -> Result<usize, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().unsent_octets(id)?)
    }

    /// SO_TYPE
    pub fn socket_type(&self, fd: Fd) -> Result<SockType, Errno> {
        match &self.file(fd)?.kind {
            Kind::Socket(_, kind) => Ok(*kind),
            Kind::Netlink(socket) if socket.kind() == 2 => Ok(SockType::Dgram),
            Kind::Netlink(_) => Ok(SockType::Raw),
            Kind::Sink(_) | Kind::Null => Err(Errno::ENOTSOCK),
        }
    }

    /// The family of a socket of the stack.
    pub fn family(&self, fd: Fd) -> Result<Family, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().family(id)?)
    }

    /// Shuts one direction or both.
    pub fn shutdown(&self, fd: Fd, how: Shutdown) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().shutdown(self.kernel.now(), id, how)?)
    }

    /// The socket's own address.
    pub fn getsockname(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().local_addr(id)?)
    }

    /// The peer's address.
    pub fn getpeername(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().peer_addr(id)?)
    }

    /// SO_ERROR: the error that waits, which is thereby taken.
    pub fn take_error(&self, fd: Fd) -> Result<Option<Errno>, Errno> {
        if let Ok(socket) = self.netlink(fd) {
            return Ok(socket.take_error());
        }
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().take_error(id).map(Errno::from))
    }

    pub(super) fn blocking(&self, file: &Rc<File>, interest: Ready, flags: MsgFlags) -> Blocking {
        let limit = if interest == Ready::READ { &file.rcvtimeo } else { &file.sndtimeo };
        Blocking {
            interest,
            // The error queue is only looked into.
            never: file.nonblocking.get() || flags.intersects(MsgFlags::DONTWAIT | MsgFlags::ERRQUEUE),
            until: limit.get().map(|limit| self.kernel.clock() + limit),
        }
    }
}
