//! Passed streams: connecting, listening, carrying octets, and how each end of a connection shows at the other.
//!
//! An end that has come in at the door is full of octets that mean nothing ([`FILLER`]) until it is connected: it is not writable,
//! as a socket that connects is not. One octet that was dealt with always stays unread in the near end: closing that end then is a
//! reset for the program, where a shutdown is the peer's FIN. (Not always, where its send buffer is small: see [`super::taker`].)
//!
//! Whoever accepts a connection puts one octet into its end ([`AcceptToken`]): one that goes without it was never accepted, and is reset.

use super::taker::{Found, Taker, polled};
use super::{Passed, Passing, Phase, first};
use crate::remote::Remote;
use crate::syscall::{Errno, MsgFlags, SockOpt, socket_abi};
use crate::sysproxy::call::event;
use netstack::socket::{RecvFlags, Shutdown};
use netstack::time::Duration;
use netstack::{Ready, SockError, SocketId};
use rumpclient::door::FILLER;
use rumpclient::msg::Body;
use rumpclient::pair::SEND_BUFFER;
use rumpclient::sockaddr::SockAddrBuf;
use rumpclient::wire::Op;
use rumpclient::{AcceptToken, Sid};
use rustix::event::PollFlags;
use rustix::io::Errno as HostErrno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sockopt};
use std::future::pending;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Pieces of memory that are handed on at once, at most.
const VECTOR: usize = 16;
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
                if let Some(new) = passing.get(fd) {
                    new.inherit_bounds(passed, &made.end);
                }
                let peer = SockAddrBuf::from(peer);
                let token = AcceptToken::new(Sid(fd.0), made.inode, peer.as_octets()).encode();
                // Only a listener that is closed refuses.
                if near.send(&token, Some(made.end.as_fd())).await.is_err() {
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

/// Carries octets in both directions until one of them ends the connection.
async fn carry(passing: &Rc<Passing>, passed: &Rc<Passed>, near: &Remote) -> End {
    let Some(socket) = passed.socket else { return End::Reset };
    passed.keep_bounds();
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
        // From where they lie.
        let handed_on = near.write_with(|near| {
            let mut refused = None;
            let received = kernel.stack.borrow_mut().recv_with(kernel.now(), socket, |pieces| {
                send_pieces(near, pieces).unwrap_or_else(|error| {
                    refused = Some(error);
                    0
                })
            });
            refused.map_or(Ok(received), Err)
        });
        match handed_on.await {
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            // An urgent octet that others come before.
            Ok(Err(SockError::WouldBlock)) => interest = Ready::READ,
            Ok(Err(_)) => return End::Reset,
            Err(_) => {
                // The program reads no more: it has shut this direction, or closed.
                let _ = kernel.stack.borrow_mut().shutdown(kernel.now(), socket, Shutdown::Read);
                return pending().await;
            }
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

/// Sends as much as the host takes now.
fn send_pieces(near: &OwnedFd, pieces: &[&[u8]]) -> Result<usize, HostErrno> {
    let mut vector = [IoSlice::new(&[]); VECTOR];
    let count = pieces.len().min(VECTOR);
    for (place, piece) in vector.iter_mut().zip(pieces) {
        *place = IoSlice::new(piece);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(near, &vector[..count], &mut SendAncillaryBuffer::default(), flags)
}

/// From the program to the socket.
async fn to_node(passing: &Rc<Passing>, passed: &Passed, socket: SocketId, near: &Remote) -> End {
    let kernel = passing.sys.kernel();
    let mut unaccepted = passed.comes_in;
    loop {
        let waiting = match near.read_with(|near| passed.taker.borrow_mut().look(near)).await {
            Ok(Found::Octets(waiting)) => waiting,
            Ok(Found::Shut) => {
                let _ = kernel.stack.borrow_mut().shutdown(kernel.now(), socket, Shutdown::Write);
                continue;
            }
            Ok(Found::HungUp) => {
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
        if unaccepted {
            // The first octet is whoever accepted the connection.
            let taken = passed.taker.borrow_mut().take(near.fd(), waiting, &mut [0], &mut []);
            match taken {
                Ok(octets) => unaccepted = octets == 0,
                Err(_) => return End::Closed { unread: true },
            }
            continue;
        }
        let taken = take(passing, &mut passed.taker.borrow_mut(), near.fd(), waiting, socket);
        match taken {
            Ok(true) if passed.taker.borrow().took_all() => near.drained(),
            Ok(true) => {}
            Ok(false) => {
                kernel.socket_ready(socket, Ready::WRITE).await;
                kernel.turn().await;
            }
            Err(end) => return end,
        }
    }
}

/// Takes octets into the socket's buffer; false: there is no room for any.
fn take(
    passing: &Passing,
    taker: &mut Taker,
    near: &OwnedFd,
    waiting: usize,
    socket: SocketId,
) -> Result<bool, End> {
    let kernel = passing.sys.kernel();
    let mut stack = kernel.stack.borrow_mut();
    // An error that waits is SO_ERROR's: sending would take it.
    if stack.ready(socket).contains(Ready::ERROR) {
        return Err(End::Reset);
    }
    let mut refused = None;
    let taken = stack.send_with(kernel.now(), socket, taker.new_of(waiting), |a, b| {
        taker.take(near, waiting, a, b).unwrap_or_else(|error| {
            refused = Some(error);
            0
        })
    });
    match (refused, taken) {
        (Some(_), _) => Err(End::Closed { unread: true }),
        (None, Ok(_)) => Ok(true),
        (None, Err(SockError::WouldBlock | SockError::InProgress)) => Ok(false),
        (None, Err(_)) => Err(End::Reset),
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
