//! Passed streams: connecting, listening, carrying octets, and how each end of a connection shows at the other.
//!
//! An end that has come in at the door is full of octets that mean nothing ([`FILLER`]) until it is connected: it is not writable,
//! as a socket that connects is not. One octet that was dealt with always stays unread in the near end: closing that end then is a
//! reset for the program, where a shutdown is the peer's FIN.
//!
//! Whoever accepts a connection puts one octet into its end ([`AcceptToken`]): one that goes without it was never accepted, and is reset.

use super::{Passed, Passing, Phase, SEND_BUFFER, first};
use crate::remote::{Remote, send_with};
use crate::syscall::{Errno, MsgFlags, SockOpt, socket_abi};
use crate::sysproxy::call::event;
use netstack::socket::{RecvFlags, SendMeta, Shutdown};
use netstack::time::Duration;
use netstack::{Ready, SockError, SocketId};
use rumpclient::door::FILLER;
use rumpclient::msg::Body;
use rumpclient::sockaddr::SockAddrBuf;
use rumpclient::wire::Op;
use rumpclient::{AcceptToken, Sid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno as HostErrno, ioctl_fionread};
use rustix::net::{RecvFlags as HostRecv, SendFlags, sockopt};
use std::future::pending;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Octets that are thrown away at once: the host's buffers are of this size.
const SINK: usize = 32 * 1024;
/// Connections that wait in a listener's near end: as many as fit into the smallest send buffer.
const TOKENS: usize = 0;

/// How carrying ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The program closed its end; `unread`: with octets in it.
    Closed { unread: bool },
    /// The connection failed.
    Reset,
}

/// Makes a new end what a stream's end is in the beginning. What is connected has its retained octet.
pub(super) fn prepare(end: &OwnedFd, phase: Phase) -> Result<(), HostErrno> {
    sockopt::set_socket_send_buffer_size(end, SEND_BUFFER)?;
    if phase == Phase::Carrying {
        rustix::net::send(end, &[0], SendFlags::DONTWAIT)?;
    }
    Ok(())
}

/// A stream, from its socket(2) or accept(2) until the program has closed it.
pub(super) async fn live(passing: &Rc<Passing>, passed: &Rc<Passed>) {
    loop {
        let phase = passed.phase.get();
        if phase == Phase::Outside {
            // Only the sweep sees it go.
            passing.sweep_for(passed);
            passed.leaves(phase).await;
            continue;
        }
        let Some(near) = passed.near() else {
            // Only the sweep sees the program's end go.
            passed.leaves(Phase::Failed).await;
            return;
        };
        match phase {
            Phase::Outside | Phase::Idle | Phase::Connecting => {
                let left = async {
                    passed.leaves(phase).await;
                    false
                };
                if first(hung_up(&near), left).await {
                    return;
                }
            }
            Phase::Carrying => match carry(passing, passed, &near).await {
                End::Closed { unread } => {
                    if unread {
                        // What Linux does when octets are lost by a close.
                        let reset = SockOpt::Linger(Some(Duration::ZERO));
                        let _ = passing.sys.setsockopt(passed.fd, reset);
                    }
                    return;
                }
                End::Reset => fail(passing, passed),
            },
            Phase::Listening => {
                let closed = async {
                    hung_up(&near).await;
                };
                first(closed, listen(passing, passed, &near)).await;
                return;
            }
            Phase::Failed => fail(passing, passed),
            Phase::Gone => return,
        }
    }
}

/// Closes the near end: the program reads what it has, then ECONNRESET.
fn fail(passing: &Rc<Passing>, passed: &Passed) {
    passed.near.take();
    passed.enter(Phase::Failed);
    passing.sweep_for(passed);
}

/// connect(2)
pub(super) async fn connect(
    passing: &Rc<Passing>,
    passed: &Rc<Passed>,
    addr: &[u8],
    flags: MsgFlags,
) -> Result<(), Errno> {
    let sys = &passing.sys;
    let try_now = || socket_abi::connect(sys, passed.fd, addr, flags | MsgFlags::DONTWAIT);
    let mut caller = None;
    loop {
        match try_now().await {
            Ok(()) => {
                connected(passed);
                return Ok(());
            }
            Err(errno @ (Errno::EINPROGRESS | Errno::EALREADY)) => {
                follow(passing, passed);
                if flags.contains(MsgFlags::DONTWAIT) {
                    return Err(errno);
                }
                caller.get_or_insert_with(|| Caller::new(passed));
                passed.leaves(Phase::Connecting).await;
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// A call that waits for a connection and will tell the program how it ended.
struct Caller<'p>(&'p Passed);

impl<'p> Caller<'p> {
    fn new(passed: &'p Passed) -> Caller<'p> {
        passed.callers.set(passed.callers.get() + 1);
        Caller(passed)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.callers.set(self.0.callers.get() - 1);
    }
}

/// Follows a handshake to its end, if nobody does yet.
pub(super) fn follow(passing: &Rc<Passing>, passed: &Rc<Passed>) {
    let (Phase::Idle, Some(socket)) = (passed.phase.get(), passed.socket) else { return };
    passed.enter(Phase::Connecting);
    let (passing, passed) = (passing.clone(), passed.clone());
    passing.sys.clone().spawn(async move {
        let ready = passing.sys.kernel().socket_ready(socket, Ready::WRITE).await;
        if passed.phase.get() != Phase::Connecting {
            return;
        }
        if !ready.intersects(Ready::ERROR | Ready::HUP) {
            if passed.callers.get() == 0 {
                passing.tell_connected(&passed);
            }
            connected(&passed);
        } else if passed.callers.get() > 0 {
            // The call tells; the socket may be connected anew.
            passed.enter(Phase::Idle);
        } else {
            fail(&passing, &passed);
        }
    });
}

/// The connection stands: the program's end becomes writable.
fn connected(passed: &Passed) {
    if !matches!(passed.phase.get(), Phase::Idle | Phase::Connecting) {
        return;
    }
    if let Some(near) = passed.near() {
        let mut left = FILLER - 1;
        let mut sink = [MaybeUninit::uninit(); SINK];
        while left > 0 {
            let most = left.min(sink.len());
            match rustix::io::read(near.fd(), &mut sink[..most]) {
                Ok((octets, _)) if !octets.is_empty() => left -= octets.len(),
                Ok(_) | Err(_) => break,
            }
        }
    }
    passed.enter(Phase::Carrying);
}

/// Hands on the connections that come in, each as a token with a program's end.
async fn listen(passing: &Rc<Passing>, passed: &Rc<Passed>, near: &Remote) {
    let _ = sockopt::set_socket_send_buffer_size(near.fd(), TOKENS);
    let sys = &passing.sys;
    loop {
        match sys.accept(passed.fd).await {
            Ok((fd, peer)) => {
                let Ok(made) = passing.pass(fd, Phase::Carrying, false) else {
                    let _ = sys.close(fd);
                    continue;
                };
                let peer = SockAddrBuf::from(peer);
                let token = AcceptToken::new(Sid(fd.0), made.inode, peer.as_octets()).encode();
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let sent = near.write_with(|near| send_with(near, &token, made.end.as_fd(), flags)).await;
                if sent.is_err() {
                    return;
                }
            }
            // The connection broke before it could be taken, or the node is short of something.
            Err(Errno::ECONNABORTED) => {}
            Err(Errno::EMFILE | Errno::ENOBUFS) => sys.sleep(Duration::from_millis(100)).await,
            // It no longer listens: shut down.
            Err(_) => {
                let _ = rustix::net::shutdown(near.fd(), rustix::net::Shutdown::Write);
                pending::<()>().await;
            }
        }
    }
}

/// Resolves when both directions of the near end are shut, or the program's end is closed.
async fn hung_up(near: &Remote) -> bool {
    let hung = near.read_with(|near| match polled(near, PollFlags::empty())?.contains(PollFlags::HUP) {
        true => Ok(()),
        false => Err(HostErrno::AGAIN),
    });
    let _ = hung.await;
    true
}

fn polled(fd: &OwnedFd, events: PollFlags) -> Result<PollFlags, HostErrno> {
    let mut fds = [PollFd::new(fd, events)];
    poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(fds[0].revents())
}

/// Carries octets in both directions until one of them ends the connection.
async fn carry(passing: &Rc<Passing>, passed: &Rc<Passed>, near: &Remote) -> End {
    let Some(socket) = passed.socket else { return End::Reset };
    // Octets that came as soon as there was room are no news any more to whoever waited for the end to hang up.
    near.look_again();
    let gone = async {
        passed.leaves(Phase::Carrying).await;
        End::Closed { unread: false }
    };
    let carried = first(to_program(passing, socket, near), to_node(passing, passed, socket, near));
    first(carried, gone).await
}

/// From the socket to the program.
async fn to_program(passing: &Passing, socket: SocketId, near: &Remote) -> End {
    let kernel = passing.sys.kernel();
    let mut interest = Ready::READ | Ready::PRI;
    loop {
        let ready = kernel.socket_ready(socket, interest).await;
        kernel.turn().await;
        interest = Ready::READ | Ready::PRI;
        if ready.contains(Ready::PRI) && kernel.stack.borrow().at_mark(socket) == Ok(true) {
            carry_urgent(passing, socket, near).await;
            continue;
        }
        if ready.contains(Ready::ERROR) && kernel.stack.borrow().readable_octets(socket).unwrap_or(0) == 0 {
            return End::Reset;
        }
        let mut scratch = passing.scratch();
        let received = kernel.stack.borrow_mut().recv(kernel.now(), socket, &mut scratch, RecvFlags::empty());
        let (sent, rest) = match &received {
            Ok(meta) if meta.len > 0 => send_what_fits(near.fd(), &scratch[..meta.len]),
            Ok(_) | Err(_) => (Ok(()), Vec::new()),
        };
        passing.give_back(scratch);
        match received {
            Ok(meta) if meta.len == 0 => break,
            Ok(_) => {}
            // An urgent octet that others come before.
            Err(SockError::WouldBlock) => {
                interest = Ready::READ;
                continue;
            }
            Err(_) => return End::Reset,
        }
        let sent = match sent {
            Ok(()) => send_all(near, &rest).await,
            failed => failed,
        };
        if sent.is_err() {
            // The program reads no more: it has shut this direction, or closed.
            let _ = kernel.stack.borrow_mut().shutdown(kernel.now(), socket, Shutdown::Read);
            return pending().await;
        }
    }
    // The peer's FIN. What follows can only be the end of the connection, or a reset.
    let _ = rustix::net::shutdown(near.fd(), rustix::net::Shutdown::Write);
    if kernel.socket_ready(socket, Ready::empty()).await.contains(Ready::ERROR) {
        return End::Reset;
    }
    // Both directions are shut, in order: nothing more will happen here.
    pending().await
}

/// Hands on the urgent octet, all octets before it being handed on. Unix sockets have urgent data as TCP has it, and POLLPRI.
async fn carry_urgent(passing: &Passing, socket: SocketId, near: &Remote) {
    let kernel = passing.sys.kernel();
    let mut octet = [0];
    let received = kernel.stack.borrow_mut().recv(kernel.now(), socket, &mut octet, RecvFlags::OOB);
    if received.is_ok() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::OOB;
        // A host without such data loses it, as a program does that does not look for it.
        let _ = near.write_with(|near| rustix::net::send(near, &octet, flags)).await;
    }
}

/// Sends as much as the host takes now, and returns the rest.
fn send_what_fits(near: &OwnedFd, octets: &[u8]) -> (Result<(), HostErrno>, Vec<u8>) {
    let mut sent = 0;
    while sent < octets.len() {
        match rustix::net::send(near, &octets[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) => sent += n,
            Err(HostErrno::INTR) => {}
            Err(HostErrno::AGAIN) => break,
            Err(error) => return (Err(error), Vec::new()),
        }
    }
    (Ok(()), octets[sent..].to_vec())
}

async fn send_all(near: &Remote, mut octets: &[u8]) -> Result<(), HostErrno> {
    while !octets.is_empty() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = near.write_with(|near| rustix::net::send(near, octets, flags)).await?;
        octets = &octets[sent..];
    }
    Ok(())
}

/// From the program to the socket.
async fn to_node(passing: &Rc<Passing>, passed: &Passed, socket: SocketId, near: &Remote) -> End {
    let kernel = passing.sys.kernel();
    let mut taker = Taker { old: 1, shut: false };
    let mut unaccepted = passed.comes_in;
    loop {
        let taken = near.read_with(|near| {
            let mut scratch = passing.scratch();
            match taker.take(near, &mut scratch) {
                Ok(taken) => Ok((taken, scratch)),
                Err(error) => {
                    passing.give_back(scratch);
                    Err(error)
                }
            }
        });
        let (new, scratch) = match taken.await {
            Ok((Taken::Octets(mut new), scratch)) => {
                if std::mem::take(&mut unaccepted) {
                    new.start += 1;
                }
                (new, scratch)
            }
            Ok((Taken::Shut, scratch)) => {
                passing.give_back(scratch);
                let _ = kernel.stack.borrow_mut().shutdown(kernel.now(), socket, Shutdown::Write);
                continue;
            }
            Ok((Taken::HungUp, scratch)) => {
                passing.give_back(scratch);
                if !passing.ends.is_open(passed.fd) {
                    return End::Closed { unread: unaccepted };
                }
                // Shut in both directions; the sweep tells when it is closed.
                let _ = kernel.stack.borrow_mut().shutdown(kernel.now(), socket, Shutdown::Both);
                passing.sweep_for(passed);
                return pending().await;
            }
            Err(_) => return End::Closed { unread: true },
        };
        let sent = send_to(passing, socket, &scratch[new.clone()]);
        let rest = sent.map(|octets| scratch[new.start + octets..new.end].to_vec());
        passing.give_back(scratch);
        let Ok(mut rest) = rest else { return End::Reset };
        while !rest.is_empty() {
            kernel.socket_ready(socket, Ready::WRITE).await;
            kernel.turn().await;
            match send_to(passing, socket, &rest) {
                Ok(octets) => rest.drain(..octets),
                Err(Broken) => return End::Reset,
            };
        }
    }
}

/// The connection takes nothing more.
struct Broken;

/// Gives the socket what it takes now.
fn send_to(passing: &Passing, socket: SocketId, octets: &[u8]) -> Result<usize, Broken> {
    let kernel = passing.sys.kernel();
    let mut stack = kernel.stack.borrow_mut();
    // An error that waits is SO_ERROR's: sending would take it.
    if stack.ready(socket).contains(Ready::ERROR) {
        return Err(Broken);
    }
    match stack.send(kernel.now(), socket, octets, &SendMeta::default()) {
        Ok(octets) => Ok(octets),
        Err(SockError::WouldBlock) => Ok(0),
        Err(_) => Err(Broken),
    }
}

enum Taken {
    /// New octets, there in the buffer.
    Octets(Range<usize>),
    /// The program has shut its sending direction.
    Shut,
    /// Both directions are shut, or the program's end is closed.
    HungUp,
}

/// Takes octets from a near end, all but one.
struct Taker {
    /// Octets at the head of its queue that were dealt with: 0 or 1.
    old: usize,
    shut: bool,
}

impl Taker {
    fn take(&mut self, near: &OwnedFd, buffer: &mut [u8]) -> Result<Taken, HostErrno> {
        // What is polled first is older than what is counted: octets before the end are not missed.
        let state = polled(near, PollFlags::IN | PollFlags::RDHUP)?;
        let waiting = usize::try_from(ioctl_fionread(near)?).unwrap_or(0);
        if waiting > self.old {
            return self.take_octets(near, waiting, buffer).map(Taken::Octets);
        }
        if state.contains(PollFlags::ERR) {
            // The program closed its end with octets unread.
            return Err(HostErrno::CONNRESET);
        }
        if state.contains(PollFlags::HUP) {
            return Ok(Taken::HungUp);
        }
        if state.contains(PollFlags::RDHUP) && !self.shut {
            self.shut = true;
            return Ok(Taken::Shut);
        }
        Err(HostErrno::AGAIN)
    }

    fn take_octets(
        &mut self,
        near: &OwnedFd,
        waiting: usize,
        buffer: &mut [u8],
    ) -> Result<Range<usize>, HostErrno> {
        let most = (waiting - 1).min(buffer.len() - 1);
        let (mut begin, mut end) = (0, 0);
        if most > 0 {
            end = rustix::net::recv(near, &mut buffer[..most], HostRecv::DONTWAIT)?.0;
            begin = self.old.min(end);
            self.old = 0;
        }
        if most == waiting - 1 {
            // The last one is looked at and left.
            let flags = HostRecv::DONTWAIT | HostRecv::PEEK;
            let (octets, _) = rustix::net::recv(near, &mut buffer[end..end + 1], flags)?;
            end += octets;
            self.old = octets;
        }
        Ok(begin..end)
    }
}

impl Passing {
    /// Names the ends of a connection, before the program finds that it stands: it need not ask then.
    fn tell_connected(&self, passed: &Passed) {
        let names =
            (socket_abi::getsockname(&self.sys, passed.fd), socket_abi::getpeername(&self.sys, passed.fd));
        if let (Ok(own), Ok(peer)) = names {
            let body = Body { local: Some(&own), addr: Some(&peer), ..Body::default() };
            (self.tell)(event(Op::Connected, passed.fd, &body));
        }
    }

    /// Before a send that connects (MSG_FASTOPEN).
    pub(in crate::sysproxy) fn connects(&self, fd: crate::syscall::Fd) -> Result<(), Errno> {
        match self.get(fd).filter(|passed| passed.kind == crate::syscall::SockType::Stream) {
            Some(passed) => self.admit(&passed),
            None => Ok(()),
        }
    }

    /// After a send that connects (MSG_FASTOPEN).
    pub(in crate::sysproxy) fn connecting(self: &Rc<Self>, fd: crate::syscall::Fd) {
        if let Some(passed) = self.get(fd).filter(|passed| passed.kind == crate::syscall::SockType::Stream) {
            follow(self, &passed);
        }
    }
}
