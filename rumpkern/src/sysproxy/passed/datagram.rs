//! Passed datagram sockets: UDP, ICMP, raw and packet sockets, netlink.
//!
//! A datagram is a message of the pair, and nothing but its octets is in it, so that plain `read` and `write` work. Who sent it is
//! asked for later, by whoever intercepts `recvfrom` and `recvmsg`: the program's end stamps what it is given with the time
//! (SO_TIMESTAMPNS), and the node remembers between which two times it handed each datagram on.
//!
//! An error of the socket (ICMP says that nobody is there) shows as POLLERR at the program's end: see [`raise`].
//!
//! A unix socket refuses a message of anybody but its peer. So the near end is the program's peer as long as plain `write` has somebody
//! to send to, and turns to the session's herald when not ([`part`]): `write` fails then, with EPERM for EDESTADDRREQ.

use super::{Passed, Passing, Phase, door, first, ring};
use crate::remote::Remote;
use crate::syscall::{Errno, MsgFlags, SendMeta, SockOpt, SockOptName, SockType};
use crate::sysproxy::came::Came;
use netstack::socket::{SockOpt6, SockOpt6Name};
use netstack::time::Duration;
use netstack::{Ready, SocketId, Stack};
use nix::sys::socket::sockopt::ReceiveTimestampns;
use rumpclient::pair::SEND_BUFFER;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno as HostErrno, ioctl_fionread};
use rustix::net::{
    AddressFamily, RecvFlags as HostRecv, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;

/// Octets of the largest datagram, or message of netlink.
const LARGEST: usize = 256 * 1024;
/// Datagrams that are remembered: more than a pair can hold.
const REMEMBERED: usize = 1024;

/// A program that has sent nothing for so long is not in the middle of a burst.
const BURST_GAP: Duration = Duration::from_millis(3);

/// What came with a datagram that was handed on between two times (nanoseconds since the Unix epoch).
pub(super) struct Meta {
    after: u64,
    before: u64,
    came: Came,
}

/// Makes a new pair what a datagram socket's pair is; the name of the program's end.
pub(super) fn prepare(near: &OwnedFd, end: &OwnedFd) -> Result<Vec<u8>, HostErrno> {
    for fd in [near, end] {
        sockopt::set_socket_send_buffer_size(fd, SEND_BUFFER)?;
        // A name, of the host's choice: who is parted is joined by it.
        rustix::net::bind(fd, &SocketAddrUnix::new_unnamed())?;
    }
    nix::sys::socket::setsockopt(end, ReceiveTimestampns, &true)
        .map_err(|errno| HostErrno::from_raw_os_error(errno as i32))?;
    door::abstract_name(rustix::net::getsockname(end)?).ok_or(HostErrno::PROTO)
}

/// The name of the program's end.
fn end_of(passed: &Passed) -> Result<SocketAddrUnix, HostErrno> {
    SocketAddrUnix::new_abstract_name(&passed.name)
}

/// A socket of a session that belongs to none of the pairs, with a name.
fn herald(herald: &mut Option<OwnedFd>) -> Result<&OwnedFd, HostErrno> {
    match herald {
        Some(herald) => Ok(herald),
        none => {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let new = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
            rustix::net::bind(&new, &SocketAddrUnix::new_unnamed())?;
            Ok(none.insert(new))
        }
    }
}

/// Parts a near end from the program's, which can send nothing by itself then, and still receives.
fn part(near: &OwnedFd, herald_of: &RefCell<Option<OwnedFd>>) -> Result<(), HostErrno> {
    rustix::net::connect(near, &rustix::net::getsockname(herald(&mut herald_of.borrow_mut())?)?)
}

/// After connect(2) and in the beginning: whether plain write(2) has somebody to send to. Of packet sockets and netlink it always has.
pub(super) fn follow_peer(passing: &Passing, passed: &Passed) -> Result<(), HostErrno> {
    let Some(near) = passed.near().filter(|_| passed.kind == SockType::Dgram && passed.socket.is_some())
    else {
        return Ok(());
    };
    let alone = passing.sys.getpeername(passed.fd).is_err();
    match (passed.parted.get(), alone) {
        // What the program has sent before is still its old peer's: parting would lose it.
        (false, true) if ioctl_fionread(near.fd())? == 0 => part(near.fd(), &passing.herald)?,
        (true, false) => rustix::net::connect(near.fd(), &end_of(passed)?)?,
        _ => return Ok(()),
    }
    passed.parted.set(alone);
    Ok(())
}

/// A datagram socket, until the program has closed it.
pub(super) async fn live(passing: &Rc<Passing>, passed: &Rc<Passed>) {
    let (Some(near), Ok(end)) = (passed.near(), end_of(passed)) else { return };
    let gone = async {
        passed.leaves(Phase::Carrying).await;
    };
    let to_program = async {
        loop {
            // Memory is taken when there is something to be put into it: there may be thousands of sockets that wait.
            if let Some(socket) = passed.socket {
                passing.sys.kernel().socket_ready(socket, Ready::READ).await;
            }
            let mut buffer = passing.buffer();
            let handed_on = hand_on(passing, passed, &near, &end, &mut buffer).await;
            passing.put_back(buffer);
            if handed_on.is_break() {
                return;
            }
        }
    };
    let to_node = async {
        // The host gives memory that is never touched only when it is.
        let mut buffer = Vec::with_capacity(LARGEST);
        loop {
            buffer.clear();
            let received = near
                .read_with(|near| rustix::net::recv(near, spare_capacity(&mut buffer), HostRecv::DONTWAIT));
            if received.await.is_err() {
                return;
            }
            passed.sent.set(passing.sys.now());
            let to_peer = SendMeta::default();
            // Of a packet socket with a ring any message means what lies there.
            let sent = match passing.send_ring(passed.fd, MsgFlags::empty(), &to_peer).await {
                Some(sent) => sent,
                None => passing.sys.sendmsg(passed.fd, &buffer, MsgFlags::empty(), to_peer).await,
            };
            match sent {
                Ok(_) => {}
                Err(Errno::EBADF) => return,
                Err(errno) => passed.failed(errno),
            }
        }
    };
    let errors = async {
        let Some(socket) = passed.socket else { return pending().await };
        let kernel = passing.sys.kernel();
        loop {
            if !kernel.socket_ready(socket, Ready::empty()).await.contains(Ready::ERROR) {
                return pending().await; // shut in both directions
            }
            if let Some(error) = kernel.stack.borrow_mut().take_error(socket) {
                passed.failed(error.into());
            }
            // A native send would fail with the end's own error number, but for a raw socket's, which is looked at. Who looks into the
            // error queue sends in bursts, then polls.
            while passed.kind != SockType::Raw && looks_into_errors(&kernel.stack.borrow(), socket) {
                let quiet = passed.sent.get() + BURST_GAP;
                if quiet <= kernel.clock() {
                    break;
                }
                passing.sys.sleep_until(quiet).await;
            }
            raise_once(passing, passed, &near);
            passed.told().await;
        }
    };
    let ring = ring::tend(passing, passed, &near);
    first(first(gone, errors), first(first(to_program, to_node), ring)).await;
}

/// Hands on the next datagram; Break: one of the two sockets is closed.
async fn hand_on(
    passing: &Passing,
    passed: &Passed,
    near: &Remote,
    end: &SocketAddrUnix,
    buffer: &mut [u8],
) -> ControlFlow<()> {
    let came = match Came::receive(&passing.sys, passed.fd, buffer, 0, MsgFlags::empty()).await {
        Ok(came) => came,
        Err(Errno::EBADF) => return ControlFlow::Break(()),
        Err(errno) => {
            passed.failed(errno);
            raise_once(passing, passed, near);
            return ControlFlow::Continue(());
        }
    };
    let octets = &buffer[..came.meta.len];
    if let Some(from) = came.link() {
        let age = passing.sys.kernel().clock().since(came.meta.time);
        let time = unix_now().saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(0));
        if passed.put_in_ring(&passing.sys, octets, came.meta.wire_len, from, time) {
            return ControlFlow::Continue(());
        }
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut after = 0;
    let sent = near.write_with(|near| {
        after = unix_now();
        match passed.parted.get() {
            false => rustix::net::send(near, octets, flags),
            true => rustix::net::sendto(near, octets, flags, end),
        }
    });
    let sent = sent.await;
    passed.remember(Meta { after, before: unix_now(), came });
    match sent {
        Err(HostErrno::CONNREFUSED) => ControlFlow::Break(()),
        Ok(_) | Err(_) => ControlFlow::Continue(()),
    }
}

/// IP_RECVERR or IPV6_RECVERR.
pub(super) fn looks_into_errors(stack: &Stack, socket: SocketId) -> bool {
    stack.option(socket, SockOptName::RecvErr) == Ok(SockOpt::RecvErr(true))
        || stack.option(socket, SockOptName::V6(SockOpt6Name::RecvErr))
            == Ok(SockOpt::V6(SockOpt6::RecvErr(true)))
}

/// Shows the program that there is an error, unless it shows already.
fn raise_once(passing: &Passing, passed: &Passed, near: &Remote) {
    if !passed.raised.replace(true) {
        // Without it the program learns of the error by its next call.
        let _ = raise(near.fd(), passed, &passing.herald);
    }
}

/// Puts an error on the other end of the pair: POLLERR, and ECONNRESET for who reads or writes natively.
///
/// The host does that to a datagram socket whose peer turns away from it with messages unread. So the near end is parted from the
/// program's, gets a message from the herald, and is joined, parted and joined again.
fn raise(near: &OwnedFd, passed: &Passed, herald_of: &RefCell<Option<OwnedFd>>) -> Result<(), HostErrno> {
    let (name, end) = (rustix::net::getsockname(near)?, end_of(passed)?);
    rustix::net::connect_unspec(near)?;
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = rustix::net::sendto(herald(&mut herald_of.borrow_mut())?, &[0], flags, &name);
    rustix::net::connect(near, &end)?;
    rustix::net::connect_unspec(near)?;
    match passed.parted.get() {
        false => rustix::net::connect(near, &end)?,
        true => part(near, herald_of)?,
    }
    sent.map(drop)
}

impl Passing {
    /// Memory for the largest datagram.
    fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.spare.take();
        buffer.resize(LARGEST, 0);
        buffer
    }

    /// It is not used now.
    fn put_back(&self, buffer: Vec<u8>) {
        self.spare.set(buffer);
    }
}

impl Passed {
    fn remember(&self, meta: Meta) {
        let mut metas = self.metas.borrow_mut();
        if metas.len() == REMEMBERED {
            metas.pop_front();
        }
        metas.push_back(meta);
    }

    /// What came with the datagram that was stamped with `stamp`. Those handed on before it are forgotten: a queue is read in order.
    pub(super) fn came(&self, stamp: u64) -> Option<Came> {
        let mut metas = self.metas.borrow_mut();
        let at = metas.iter().position(|meta| (meta.after..=meta.before).contains(&stamp))?;
        metas.drain(..at);
        // It may have been only looked at (MSG_PEEK).
        metas.front().map(|meta| meta.came.clone())
    }

    /// An error that no call of the program's has told yet.
    fn failed(&self, errno: Errno) {
        self.error.set(Some(errno));
    }

    /// The error that waits, which is thereby told.
    pub(super) fn take_error(&self) -> Option<Errno> {
        self.error.take()
    }

    /// A call has told an error, or looked into the error queue: what is left there shows anew.
    pub(super) fn has_told(&self) {
        if self.raised.replace(false) {
            self.wake();
        }
    }

    /// Waits for that.
    async fn told(&self) {
        poll_fn(|cx| match self.raised.get() {
            false => Poll::Ready(()),
            true => {
                self.wait(cx);
                Poll::Pending
            }
        })
        .await;
    }
}

fn unix_now() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
