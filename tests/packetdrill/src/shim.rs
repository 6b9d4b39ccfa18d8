//! The calls of the table, in safe terms: octets in and out, results and error numbers.

use crate::epoll::{Epoll, Event, Op};
use crate::fds::{Entry, Fds, Kind};
use crate::flags::Flags;
use crate::node::{Node, Packet, StartError};
use crate::server::Server;
use netstack::time::{Duration, Instant};
use rumpclient::sockaddr::SockAddrBuf;
use rumpkern::syscall::{
    Errno, Fd, MsgFlags, PollFd, PollFlags, SendMeta, SockType, Sys, socket_abi, sockopt_abi,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets that one call moves at most: what a script asks for is a number, what it gets is less.
const MOST: usize = 16 << 20;

/// What a call received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// For the program's buffers; none if they were to be thrown away.
    pub(crate) octets: Vec<u8>,
    /// A datagram's sender.
    pub(crate) from: Option<SocketAddr>,
    /// What the call returns.
    pub(crate) ret: usize,
    /// `MSG_TRUNC`: a datagram was longer than the buffers.
    pub(crate) truncated: bool,
}

/// One instance, between `packetdrill_interface_init` and `free`.
#[derive(Debug)]
pub(crate) struct Shim {
    node: Arc<Node>,
    fds: Fds,
    server: Server,
}

impl Shim {
    /// A node as `flags` say.
    pub(crate) fn start(flags: Flags) -> Result<Shim, StartError> {
        let node = Arc::new(Node::start(flags)?);
        let server = Server::start(node.clone())?;
        Ok(Shim { node, fds: Fds::default(), server })
    }

    /// Where tools find the node.
    pub(crate) fn tools(&self) -> &str {
        self.server.name()
    }

    // ---- sockets ---------------------------------------------------------------------------------

    pub(crate) fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd, Errno> {
        let [domain, kind, protocol] = [domain, kind, protocol].map(|n| n as u32);
        let fd = self.node.call(async move |sys| socket_abi::socket(&sys, domain, kind, protocol))?;
        self.open(Kind::Socket(fd))
    }

    pub(crate) fn bind(&self, fd: RawFd, address: &[u8]) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        let family = self.node.call(async move |sys| sys.family(fd))?;
        let address = socket_abi::address(family, address)?;
        if let IpAddr::V4(addr) = address.ip() {
            // The address is packetdrill's invention.
            self.node.ask(move |host| host.learn(addr))?;
        }
        self.node.call(async move |sys| sys.bind(fd, address))
    }

    pub(crate) fn listen(&self, fd: RawFd, backlog: i32) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        self.node.call(async move |sys| sys.listen(fd, socket_abi::backlog(backlog.into())))
    }

    pub(crate) fn accept(&self, fd: RawFd) -> Result<(RawFd, SockAddrBuf), Errno> {
        let socket = self.fds.socket(fd)?;
        let accepted = self.node.call(async move |sys: Sys| sys.accept(socket).await);
        let (new, peer) = self.noticing(fd, PollFlags::IN, accepted)?;
        Ok((self.open(Kind::Socket(new))?, peer.into()))
    }

    pub(crate) fn connect(&self, fd: RawFd, address: &[u8]) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        let address = address.to_vec();
        self.node.call(async move |sys: Sys| socket_abi::connect(&sys, fd, &address, MsgFlags::empty()).await)
    }

    pub(crate) fn shutdown(&self, fd: RawFd, how: i32) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        self.node.call(async move |sys| sys.shutdown(fd, socket_abi::how(how.into())?))
    }

    /// Sends; a stream takes no notice of `to`, as Linux's, but with MSG_FASTOPEN.
    pub(crate) fn send(
        &self,
        fd: RawFd,
        octets: Vec<u8>,
        flags: i32,
        to: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        let entry = self.fds.get(fd)?;
        let Kind::Socket(socket) = entry.kind else { return write_pipe(&entry, &octets) };
        let (flags, asked) = (MsgFlags::from_bits_truncate(flags as u32), octets.len());
        let to = to.map(<[u8]>::to_vec);
        let sent = self.node.call(async move |sys: Sys| {
            let stream = sys.socket_type(socket)? == SockType::Stream;
            let named = !stream || flags.contains(MsgFlags::FASTOPEN);
            let family = sys.family(socket)?;
            let to = to.filter(|_| named).map(|to| socket_abi::address(family, &to)).transpose()?;
            let meta = SendMeta { to, ..SendMeta::default() };
            send_all(&sys, socket, &octets, flags, &meta, stream).await
        });
        if sent.is_ok_and(|sent| sent < asked) {
            self.fell(fd, PollFlags::OUT);
        }
        self.noticing(fd, PollFlags::OUT, sent)
    }

    /// Receives up to `len` octets.
    pub(crate) fn recv(&self, fd: RawFd, len: usize, flags: i32) -> Result<Received, Errno> {
        let entry = self.fds.get(fd)?;
        let Kind::Socket(socket) = entry.kind else { return read_pipe(&entry, len) };
        let mut flags = MsgFlags::from_bits_truncate(flags as u32);
        // Looking for errors never blocks.
        flags.set(MsgFlags::DONTWAIT, flags.intersects(MsgFlags::DONTWAIT | MsgFlags::ERRQUEUE));
        let received = self.node.call(async move |sys: Sys| {
            let mut octets = vec![0; len.min(MOST)];
            let meta = sys.recvmsg(socket, &mut octets, flags).await?;
            let stream = sys.socket_type(socket)? == SockType::Stream;
            let whole = flags.contains(MsgFlags::TRUNC);
            // Of a stream, MSG_TRUNC throws the octets away.
            octets.truncate(if stream && whole { 0 } else { meta.len });
            let ret = if whole { meta.full_len } else { meta.len };
            Ok(Received { octets, from: meta.from, ret, truncated: !stream && meta.full_len > meta.len })
        });
        self.noticing(fd, PollFlags::IN, received)
    }

    // ---- options ---------------------------------------------------------------------------------

    pub(crate) fn getsockopt(&self, fd: RawFd, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        let fd = self.fds.socket(fd)?;
        self.node.call(async move |sys| sockopt_abi::get(&sys, fd, level as u32, name as u32))
    }

    pub(crate) fn setsockopt(&self, fd: RawFd, level: i32, name: i32, value: Vec<u8>) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        self.node.call(async move |sys| sockopt_abi::set(&sys, fd, level as u32, name as u32, &value))
    }

    /// F_GETFD and F_SETFD, which mean nothing here, and what sockets know.
    pub(crate) fn fcntl(&self, fd: RawFd, command: i32, argument: usize) -> Result<i32, Errno> {
        let entry = self.fds.get(fd)?;
        match (entry.kind, command) {
            (_, 1 | 2) => Ok(0),
            (Kind::Socket(fd), _) => {
                let done = async move |sys| socket_abi::fcntl(&sys, fd, command as u32, argument as u32);
                self.node.call(done).map(|flags| flags as i32)
            }
            (Kind::Epoll(_) | Kind::Pipe, _) => Err(Errno::EINVAL),
        }
    }

    /// The value that an `ioctl` tells: `SIOCINQ`, `SIOCOUTQ`, `SIOCOUTQNSD`, `SIOCATMARK`.
    pub(crate) fn ioctl(&self, fd: RawFd, request: u64) -> Result<i32, Errno> {
        let fd = self.fds.socket(fd)?;
        let told = async move |sys: Sys| match request {
            0x541b => Ok(sys.readable_octets(fd)?),
            0x5411 => Ok(sys.tcp_info(fd)?.send_queue),
            0x894b => Ok(sys.tcp_info(fd)?.unsent),
            0x8905 => Ok(usize::from(sys.at_mark(fd)?)),
            _ => Err(Errno::EINVAL),
        };
        self.node.call(told).map(|n| i32::try_from(n).unwrap_or(i32::MAX))
    }

    /// `FIONBIO`
    pub(crate) fn set_nonblocking(&self, fd: RawFd, nonblocking: bool) -> Result<(), Errno> {
        let fd = self.fds.socket(fd)?;
        self.node.call(async move |sys| sys.set_nonblocking(fd, nonblocking))
    }

    // ---- descriptors -----------------------------------------------------------------------------

    pub(crate) fn close(&self, fd: RawFd) -> Result<(), Errno> {
        let entry = self.fds.close(fd)?;
        for set in self.fds.epolls() {
            lock(&set).forget(fd);
        }
        self.close_kind(entry.kind)
    }

    /// A pipe of the host's that does not block: nobody else could fill it.
    pub(crate) fn pipe(&self) -> Result<[RawFd; 2], Errno> {
        use rustix::pipe::{PipeFlags, pipe_with};
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (reader, writer) = pipe_with(flags).map_err(|_| Errno::EMFILE)?;
        Ok([self.adopt(Kind::Pipe, reader)?, self.adopt(Kind::Pipe, writer)?])
    }

    /// Moves octets between a socket and a pipe.
    pub(crate) fn splice(&self, from: RawFd, to: RawFd, len: usize, flags: u32) -> Result<usize, Errno> {
        /// `SPLICE_F_NONBLOCK`, `SPLICE_F_MORE`
        const NONBLOCK: u32 = 2;
        const MORE: u32 = 4;
        let (source, sink) = (self.fds.get(from)?, self.fds.get(to)?);
        let wait = if flags & NONBLOCK != 0 { MsgFlags::DONTWAIT } else { MsgFlags::empty() };
        match (&source.kind, &sink.kind) {
            (Kind::Socket(_), Kind::Pipe) => {
                // Only what the pipe has taken is taken from the socket.
                let peek = (wait | MsgFlags::PEEK).bits() as i32;
                let octets = self.recv(from, len.min(PIPE), peek)?.octets;
                let written = if octets.is_empty() { 0 } else { write_pipe(&sink, &octets)? };
                let take = (wait | MsgFlags::TRUNC).bits() as i32;
                if written > 0 { Ok(self.recv(from, written, take)?.ret) } else { Ok(0) }
            }
            (Kind::Pipe, Kind::Socket(_)) => {
                let octets = read_pipe(&source, len.min(PIPE))?.octets;
                let more = if flags & MORE != 0 { MsgFlags::MORE } else { MsgFlags::empty() };
                if octets.is_empty() {
                    return Ok(0);
                }
                self.send(to, octets, (wait | more).bits() as i32, None)
            }
            (Kind::Socket(_) | Kind::Epoll(_) | Kind::Pipe, _) => Err(Errno::EINVAL),
        }
    }

    fn open(&self, kind: Kind) -> Result<RawFd, Errno> {
        let fallback = kind.clone();
        match self.fds.open(kind) {
            Ok((fd, stale)) => {
                if let Some(stale) = stale {
                    self.close_kind(stale)?;
                }
                Ok(fd)
            }
            Err(error) => {
                self.close_kind(fallback)?;
                Err(error)
            }
        }
    }

    fn adopt(&self, kind: Kind, host: OwnedFd) -> Result<RawFd, Errno> {
        let (fd, stale) = self.fds.adopt(kind, host)?;
        if let Some(stale) = stale {
            self.close_kind(stale)?;
        }
        Ok(fd)
    }

    fn close_kind(&self, kind: Kind) -> Result<(), Errno> {
        match kind {
            Kind::Socket(fd) => self.node.call(async move |sys| sys.close(fd)),
            Kind::Epoll(_) | Kind::Pipe => Ok(()),
        }
    }

    // ---- readiness -------------------------------------------------------------------------------

    /// poll(2), over (descriptor, events): what is so of each. `None`: for ever.
    pub(crate) fn poll(&self, fds: &[(RawFd, u16)], timeout: Option<Duration>) -> Result<Vec<u16>, Errno> {
        // What is no socket gets a number that nothing has: POLLNVAL.
        let number = |fd| self.fds.socket(fd).unwrap_or(Fd(u32::MAX));
        let asked = |&(fd, events): &(RawFd, u16)| {
            (fd >= 0).then(|| PollFd::new(number(fd), PollFlags::from_bits_truncate(events)))
        };
        let polls: Vec<Option<PollFd>> = fds.iter().map(asked).collect();
        let mut looked: Vec<PollFd> = polls.iter().flatten().copied().collect();
        let looked = self.node.call(async move |sys: Sys| {
            sys.poll(&mut looked, timeout).await?;
            Ok(looked)
        })?;
        let mut looked = looked.iter().map(|poll| poll.revents.bits());
        Ok(polls.iter().map(|poll| poll.and_then(|_| looked.next()).unwrap_or(0)).collect())
    }

    pub(crate) fn epoll_create(&self) -> Result<RawFd, Errno> {
        self.open(Kind::Epoll(Arc::default()))
    }

    pub(crate) fn epoll_ctl(&self, set: RawFd, op: i32, fd: RawFd, event: Event) -> Result<(), Errno> {
        let set = self.set(set)?;
        let socket = match self.fds.get(fd)?.kind {
            Kind::Socket(socket) => socket,
            Kind::Epoll(_) | Kind::Pipe => return Err(Errno::EPERM),
        };
        lock(&set).control(Op::of(op)?, fd, socket, event)
    }

    pub(crate) fn epoll_wait(
        &self,
        set: RawFd,
        room: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<Event>, Errno> {
        let set = self.set(set)?;
        if room == 0 {
            return Err(Errno::EINVAL);
        }
        self.node.call(async move |sys: Sys| {
            let until = timeout.map(|timeout| sys.now() + timeout);
            loop {
                let mut all = lock(&set).all();
                sys.poll(&mut all, Some(Duration::ZERO)).await?;
                let events = lock(&set).events(&all, room);
                let left = until.map(|until: Instant| until.since(sys.now()));
                if !events.is_empty() || left.is_some_and(|left| left.is_zero()) {
                    return Ok(events);
                }
                let mut polls = lock(&set).polls();
                sys.poll(&mut polls, left).await?;
            }
        })
    }

    fn set(&self, fd: RawFd) -> Result<Arc<Mutex<Epoll>>, Errno> {
        match self.fds.get(fd)?.kind {
            Kind::Epoll(set) => Ok(set),
            Kind::Socket(_) | Kind::Pipe => Err(Errno::EINVAL),
        }
    }

    fn fell(&self, fd: RawFd, what: PollFlags) {
        for set in self.fds.epolls() {
            lock(&set).fell(fd, what);
        }
    }

    /// Tells the epoll sets when a call has met the absence of what it needs.
    fn noticing<T>(&self, fd: RawFd, what: PollFlags, done: Result<T, Errno>) -> Result<T, Errno> {
        if done.as_ref().is_err_and(|error| *error == Errno::EAGAIN) {
            self.fell(fd, what);
        }
        done
    }

    // ---- the wire, and time ----------------------------------------------------------------------

    pub(crate) fn netdev_send(&self, packet: Vec<u8>) -> Result<(), Errno> {
        self.node.ask(move |host| host.inject(&packet))
    }

    pub(crate) fn netdev_receive(&self) -> Result<Option<Packet>, Errno> {
        self.node.receive()
    }

    pub(crate) fn usleep(&self, micros: u64) -> Result<(), Errno> {
        self.node.sleep(Duration::from_micros(micros))
    }

    pub(crate) fn now(&self) -> Result<Instant, Errno> {
        self.node.now()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.fds.close_all();
    }
}

/// Octets that a pipe of the host's holds.
const PIPE: usize = 65_536;

fn lock(set: &Mutex<Epoll>) -> MutexGuard<'_, Epoll> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream's send that blocks returns when all is written, as on Linux; what was written counts if then
/// comes an error.
async fn send_all(
    sys: &Sys,
    fd: Fd,
    octets: &[u8],
    flags: MsgFlags,
    meta: &SendMeta,
    stream: bool,
) -> Result<usize, Errno> {
    let mut sent = sys.sendmsg(fd, octets, flags, meta.clone()).await?;
    let once = !stream || flags.contains(MsgFlags::DONTWAIT) || sys.nonblocking(fd)?;
    // What a SYN did not take follows the handshake.
    let (flags, meta) =
        (flags - MsgFlags::FASTOPEN, SendMeta { to: meta.to.filter(|_| !stream), ..meta.clone() });
    while !once && sent < octets.len() {
        match sys.sendmsg(fd, &octets[sent..], flags, meta.clone()).await {
            Ok(more) => sent += more,
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn write_pipe(entry: &Entry, octets: &[u8]) -> Result<usize, Errno> {
    match entry.kind {
        Kind::Pipe => rustix::io::write(&*entry.host, octets).map_err(of_host),
        Kind::Socket(_) | Kind::Epoll(_) => Err(Errno::EINVAL),
    }
}

fn read_pipe(entry: &Entry, len: usize) -> Result<Received, Errno> {
    match entry.kind {
        Kind::Pipe => {
            let mut octets = vec![0; len.min(MOST)];
            let n = rustix::io::read(&*entry.host, &mut octets).map_err(of_host)?;
            octets.truncate(n);
            Ok(Received { octets, ret: n, ..Received::default() })
        }
        Kind::Socket(_) | Kind::Epoll(_) => Err(Errno::EINVAL),
    }
}

fn of_host(error: rustix::io::Errno) -> Errno {
    let known = Errno::ALL.iter().find(|errno| errno.number() == error.raw_os_error());
    known.copied().unwrap_or(Errno::EIO)
}
