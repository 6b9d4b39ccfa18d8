//! A netlink socket: its port, its groups, its options, and what waits to be read.
//!
//! The queue is bounded by SO_RCVBUF. What does not fit is lost, and the reader is told once, by ENOBUFS; from then until
//! the queue is empty nothing for a group gets in (netlink(7)). A dump stands behind the queue and moves into it in
//! pieces, one for each datagram that is read.

use crate::proc::Pid;
use crate::syscall::Errno;
use netstack::net::bpf::filter::{Program, View};
use rumpclient::sockaddr::MIN_ADDR;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// AF_NETLINK
pub const AF_NETLINK: u16 = 16;
/// Octets of a `sockaddr_nl`.
pub const SOCKADDR_NL: usize = 12;
/// Groups that a socket can join, from 1; NETLINK_ROUTE has some forty.
pub const GROUPS: u32 = 64;
/// Octets that a datagram costs besides its own.
const OVERHEAD: usize = 512;
/// Octets of a datagram of a dump, if the reader has shown no larger buffer: what fits glibc's (Linux's NLMSG_GOODSIZE).
const PIECE_MIN: usize = 3776;
/// … and however large the reader's buffer is.
const PIECE_MAX: usize = 32 << 10;
/// `rmem_default`, and the least and most that SO_RCVBUF gives.
const RCVBUF: usize = 212_992;
const RCVBUF_MIN: usize = 2304;
const RCVBUF_MAX: usize = 64 << 20;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// NETLINK_ROUTE
    Route,
    /// NETLINK_SOCK_DIAG
    SockDiag,
    /// NETLINK_AUDIT: nobody answers.
    Audit,
    /// NETLINK_KOBJECT_UEVENT: nothing ever happens.
    Uevent,
    /// NETLINK_GENERIC, without families.
    Generic,
}

impl Protocol {
    /// EPROTONOSUPPORT: a protocol that there is not.
    pub fn by_number(number: u32) -> Result<Protocol, Errno> {
        match number {
            0 => Ok(Protocol::Route),
            4 => Ok(Protocol::SockDiag),
            9 => Ok(Protocol::Audit),
            15 => Ok(Protocol::Uevent),
            16 => Ok(Protocol::Generic),
            _ => Err(Errno::EPROTONOSUPPORT),
        }
    }

    /// SO_PROTOCOL
    pub fn number(self) -> u32 {
        match self {
            Protocol::Route => 0,
            Protocol::SockDiag => 4,
            Protocol::Audit => 9,
            Protocol::Uevent => 15,
            Protocol::Generic => 16,
        }
    }
}

/// `struct sockaddr_nl`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NlAddr {
    /// `nl_pid`; 0 is the kernel.
    pub port: u32,
    /// `nl_groups`: the groups 1 to 32 as bits.
    pub groups: u32,
}

impl NlAddr {
    /// Reads a `sockaddr_nl`. EINVAL: too short, or another family.
    pub fn decode(octets: &[u8]) -> Result<NlAddr, Errno> {
        let Some(octets) = octets.first_chunk::<SOCKADDR_NL>() else { return Err(Errno::EINVAL) };
        let word =
            |at: usize| u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        match u16::from_le_bytes([octets[0], octets[1]]) {
            AF_NETLINK => Ok(NlAddr { port: word(4), groups: word(8) }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its octets.
    pub fn encode(self) -> [u8; SOCKADDR_NL] {
        let mut octets = [0; SOCKADDR_NL];
        octets[..MIN_ADDR].copy_from_slice(&AF_NETLINK.to_le_bytes());
        octets[4..8].copy_from_slice(&self.port.to_le_bytes());
        octets[8..].copy_from_slice(&self.groups.to_le_bytes());
        octets
    }
}

bitflags::bitflags! {
    /// Options of SOL_NETLINK that are on or off.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Options: u32 {
        /// NETLINK_PKTINFO: what is received says by which group it came.
        const PKTINFO = 1 << 3;
        /// NETLINK_BROADCAST_ERROR
        const BROADCAST_ERROR = 1 << 4;
        /// NETLINK_NO_ENOBUFS: what is lost is lost in silence.
        const NO_ENOBUFS = 1 << 5;
        /// NETLINK_LISTEN_ALL_NSID: there is one.
        const LISTEN_ALL_NSID = 1 << 8;
        /// NETLINK_CAP_ACK: acknowledgments do not repeat the request.
        const CAP_ACK = 1 << 10;
        /// NETLINK_EXT_ACK: refusals say why.
        const EXT_ACK = 1 << 11;
        /// NETLINK_GET_STRICT_CHK: dumps are filtered by their headers.
        const STRICT = 1 << 12;
    }
}

/// A datagram, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Who sent it: the kernel has port 0; with the group, if it is one of the first 32, as a bit.
    pub from: NlAddr,
    /// The group it was for; 0: for this socket (NETLINK_PKTINFO).
    pub group: u32,
}

/// A netlink socket.
#[derive(Debug)]
pub struct Socket {
    process: Pid,
    kind: u32,
    protocol: Protocol,
    port: Cell<Option<u32>>,
    peer: Cell<NlAddr>,
    /// Bit `n - 1`: group `n`.
    groups: Cell<u64>,
    options: Cell<Options>,
    rcvbuf: Cell<usize>,
    sndbuf: Cell<usize>,
    queue: RefCell<Queue>,
    sleepers: RefCell<Vec<(u64, Waker)>>,
    last_ticket: Cell<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    datagrams: VecDeque<Received>,
    /// What they cost.
    octets: usize,
    /// Something was lost: nothing for groups until all is read.
    congested: bool,
    error: Option<Errno>,
    /// Messages of a dump that are not in `datagrams` yet; the last is its end.
    dump: VecDeque<Vec<u8>>,
    /// The reader's largest buffer so far.
    room: usize,
    /// What gets in, and how much of it (SO_ATTACH_FILTER), and whether that stays so.
    filter: Option<Program>,
    locked: bool,
}

impl Queue {
    fn push(&mut self, mut received: Received) {
        if let Some(filter) = &self.filter {
            match filter.run(&View::plain(&received.octets)) as usize {
                0 => return,
                wanted => received.octets.truncate(wanted),
            }
        }
        self.octets += received.octets.len() + OVERHEAD;
        self.datagrams.push_back(received);
    }

    fn pop(&mut self) -> Option<Received> {
        let received = self.datagrams.pop_front()?;
        self.octets -= received.octets.len() + OVERHEAD;
        if self.datagrams.is_empty() {
            self.congested = false;
        }
        Some(received)
    }

    /// The next piece of the dump gets into the queue.
    fn refill(&mut self, rcvbuf: usize) {
        if self.octets > rcvbuf / 2 {
            return;
        }
        let most = self.room.clamp(PIECE_MIN, PIECE_MAX);
        // A piece that the filter does not want makes room for the next.
        while let Some(mut octets) = self.dump.pop_front() {
            while let Some(next) = self.dump.front()
                && octets.len() + next.len() <= most
            {
                octets.extend_from_slice(next);
                self.dump.pop_front();
            }
            self.push(Received { octets, from: NlAddr::default(), group: 0 });
            if !self.datagrams.is_empty() {
                break;
            }
        }
    }
}

impl Socket {
    pub(super) fn new(process: Pid, kind: u32, protocol: Protocol) -> Socket {
        Socket {
            process,
            kind,
            protocol,
            port: Cell::new(None),
            peer: Cell::default(),
            groups: Cell::new(0),
            options: Cell::default(),
            rcvbuf: Cell::new(RCVBUF),
            sndbuf: Cell::new(RCVBUF),
            queue: RefCell::default(),
            sleepers: RefCell::default(),
            last_ticket: Cell::new(0),
        }
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// SO_TYPE: SOCK_RAW (3) or SOCK_DGRAM (2).
    pub fn kind(&self) -> u32 {
        self.kind
    }

    pub(super) fn process(&self) -> Pid {
        self.process
    }

    /// Its port (`nl_pid`), once it has one.
    pub fn port(&self) -> Option<u32> {
        self.port.get()
    }

    pub(super) fn set_port(&self, port: u32) {
        self.port.set(Some(port));
    }

    /// getsockname(2)
    pub fn name(&self) -> NlAddr {
        NlAddr { port: self.port.get().unwrap_or(0), groups: self.groups.get() as u32 }
    }

    /// getpeername(2): the kernel, unless it was connected to somebody else.
    pub fn peer(&self) -> NlAddr {
        self.peer.get()
    }

    pub(super) fn set_peer(&self, peer: NlAddr) {
        self.peer.set(peer);
    }

    /// Takes the first 32 groups from an address; the others stay as they are.
    pub(super) fn set_groups(&self, first: u32) {
        self.groups.set(self.groups.get() & !u64::from(u32::MAX) | u64::from(first));
    }

    /// NETLINK_ADD_MEMBERSHIP and NETLINK_DROP_MEMBERSHIP. EINVAL: there is no such group.
    pub fn set_member(&self, group: u32, member: bool) -> Result<(), Errno> {
        if !(1..=GROUPS).contains(&group) {
            return Err(Errno::EINVAL);
        }
        let bit = 1 << (group - 1);
        self.groups.set(if member { self.groups.get() | bit } else { self.groups.get() & !bit });
        Ok(())
    }

    /// The groups that it is in: bit `n - 1` is group `n`.
    pub fn groups(&self) -> u64 {
        self.groups.get()
    }

    pub(super) fn hears(&self, protocol: Protocol, group: u32) -> bool {
        self.protocol == protocol && self.groups.get() & 1 << (group - 1) != 0
    }

    /// The options that are on.
    pub fn options(&self) -> Options {
        self.options.get()
    }

    /// Sets or clears options.
    pub fn set_option(&self, option: Options, on: bool) {
        let mut options = self.options.get();
        options.set(option, on);
        self.options.set(options);
        if option == Options::NO_ENOBUFS && on {
            let mut queue = self.queue.borrow_mut();
            (queue.congested, queue.error) = (false, None);
        }
    }

    /// SO_RCVBUF, as it is read back: twice what was asked for.
    pub fn receive_buffer(&self) -> usize {
        self.rcvbuf.get()
    }

    /// SO_RCVBUF and SO_RCVBUFFORCE.
    pub fn set_receive_buffer(&self, octets: usize) {
        self.rcvbuf.set(octets.saturating_mul(2).clamp(RCVBUF_MIN, RCVBUF_MAX));
    }

    /// SO_SNDBUF, as it is read back.
    pub fn send_buffer(&self) -> usize {
        self.sndbuf.get()
    }

    /// SO_SNDBUF and SO_SNDBUFFORCE.
    pub fn set_send_buffer(&self, octets: usize) {
        self.sndbuf.set(octets.saturating_mul(2).clamp(2 * RCVBUF_MIN, RCVBUF_MAX));
    }

    /// SO_ATTACH_FILTER, SO_DETACH_FILTER. EPERM: it is locked, ENOENT: there is none.
    pub(crate) fn set_filter(&self, filter: Option<Program>) -> Result<(), Errno> {
        let mut queue = self.queue.borrow_mut();
        match (queue.locked, &queue.filter, &filter) {
            (true, _, _) => Err(Errno::EPERM),
            (false, None, None) => Err(Errno::ENOENT),
            (false, _, _) => {
                queue.filter = filter;
                Ok(())
            }
        }
    }

    pub(crate) fn filter(&self) -> Option<Program> {
        self.queue.borrow().filter.clone()
    }

    /// SO_LOCK_FILTER, which nobody takes back.
    pub(crate) fn lock_filter(&self, on: bool) -> Result<(), Errno> {
        let mut queue = self.queue.borrow_mut();
        if queue.locked && !on {
            return Err(Errno::EPERM);
        }
        queue.locked = on;
        Ok(())
    }

    pub(crate) fn filter_locked(&self) -> bool {
        self.queue.borrow().locked
    }

    // ---- in ------------------------------------------------------------------------------------

    /// Puts a datagram into the queue, or tells the reader that one was lost.
    pub(super) fn deliver(&self, octets: Vec<u8>, from: NlAddr, group: u32) {
        let mut queue = self.queue.borrow_mut();
        let fits = queue.octets <= self.rcvbuf.get() && !(queue.congested && group != 0);
        if fits {
            let bit = if (1..=32).contains(&group) { 1 << (group - 1) } else { 0 };
            queue.push(Received { octets, from: NlAddr { groups: bit, ..from }, group });
        } else {
            drop(queue);
            return self.overrun();
        }
        drop(queue);
        self.wake();
    }

    /// Something for this socket was lost.
    pub(super) fn overrun(&self) {
        let mut queue = self.queue.borrow_mut();
        if self.options.get().contains(Options::NO_ENOBUFS) || core::mem::replace(&mut queue.congested, true)
        {
            return;
        }
        queue.error = Some(Errno::ENOBUFS);
        drop(queue);
        self.wake();
    }

    /// Begins a dump. EBUSY: one is under way.
    pub(super) fn dump(&self, messages: VecDeque<Vec<u8>>) -> Result<(), Errno> {
        let mut queue = self.queue.borrow_mut();
        if !queue.dump.is_empty() {
            return Err(Errno::EBUSY);
        }
        queue.dump = messages;
        queue.refill(self.rcvbuf.get());
        drop(queue);
        self.wake();
        Ok(())
    }

    // ---- out -----------------------------------------------------------------------------------

    /// The next datagram; EAGAIN: there is none, ENOBUFS: some were lost. `room` is the reader's buffer: dumps come in
    /// larger pieces to who shows a larger one. A datagram is never cut here.
    pub fn recv(&self, room: usize) -> Result<Received, Errno> {
        let mut queue = self.queue.borrow_mut();
        if let Some(error) = queue.error.take() {
            return Err(error);
        }
        queue.room = queue.room.max(room);
        let received = queue.pop().ok_or(Errno::EAGAIN)?;
        queue.refill(self.rcvbuf.get());
        Ok(received)
    }

    /// What [`Socket::recv`] would return next, which stays (MSG_PEEK). A peek does not show the reader's buffer.
    pub fn peek(&self) -> Result<Received, Errno> {
        let mut queue = self.queue.borrow_mut();
        match queue.error.take() {
            Some(error) => Err(error),
            None => queue.datagrams.front().cloned().ok_or(Errno::EAGAIN),
        }
    }

    /// Octets of the next datagram (FIONREAD).
    pub fn readable_octets(&self) -> usize {
        self.queue.borrow().datagrams.front().map_or(0, |next| next.octets.len())
    }

    /// Whether [`Socket::recv`] has something to say.
    pub fn is_readable(&self) -> bool {
        let queue = self.queue.borrow();
        !queue.datagrams.is_empty() || queue.error.is_some()
    }

    /// Whether an error waits.
    pub fn has_error(&self) -> bool {
        self.queue.borrow().error.is_some()
    }

    /// SO_ERROR: the error that waits, which is then gone.
    pub fn take_error(&self) -> Option<Errno> {
        self.queue.borrow_mut().error.take()
    }

    // ---- sleepers ------------------------------------------------------------------------------

    /// Waits until [`Socket::is_readable`]. It never returns once the socket is closed.
    pub async fn wait_readable(&self) {
        let mut place = Place { socket: self, ticket: None };
        poll_fn(|cx| {
            if self.is_readable() {
                return Poll::Ready(());
            }
            place.leave();
            place.ticket = Some(self.sleep(cx.waker()));
            Poll::Pending
        })
        .await;
    }

    /// Wakes `waker` when there is something to read. Whoever is not woken must [`Socket::leave`].
    pub(crate) fn sleep(&self, waker: &Waker) -> u64 {
        self.last_ticket.set(self.last_ticket.get() + 1);
        self.sleepers.borrow_mut().push((self.last_ticket.get(), waker.clone()));
        self.last_ticket.get()
    }

    /// Sleeps no longer; harmless after having been woken.
    pub(crate) fn leave(&self, ticket: u64) {
        self.sleepers.borrow_mut().retain(|(other, _)| *other != ticket);
    }

    pub(super) fn wake(&self) {
        for (_, waker) in self.sleepers.take() {
            waker.wake();
        }
    }
}

/// A sleeper's place, which it leaves when it goes.
struct Place<'a> {
    socket: &'a Socket,
    ticket: Option<u64>,
}

impl Place<'_> {
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.socket.leave(ticket);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
