//! Passed sockets: sockets of the node whose other end an unmodified program holds.
//!
//! The program gets one end of a pair of unix sockets ("the program's end"), the node keeps the other ("the near
//! end") and carries octets between it and its own socket. So reading, writing, polling, `sendfile`, `dup`, `fork` and
//! closing are the host's own affair; only what names addresses, options or connections comes as a call
//! ([`super::call`]). A stream's pair is `SOCK_STREAM`, all others are `SOCK_DGRAM`. A stream that is neither connected nor
//! listens has no near end yet: see [`door`].
//!
//! Nobody but the program keeps a descriptor of its end: else nobody would see that it is closed. Who holds it is
//! known from [`ends`].

mod bounds;
mod datagram;
mod door;
mod ends;
mod given;
mod ring;
mod stream;
mod taker;

use crate::proc::filedesc::Fd;
use crate::remote::Remote;
use crate::syscall::socket_abi::{self, NONBLOCK};
use crate::syscall::{Errno, MsgFlags, SockType, Sys};
use crate::sysproxy::call::event;
use crate::sysproxy::came::Came;
use bounds::Bounds;
use door::Door;
use ends::Ends;
use netstack::SocketId;
use netstack::time::{Duration, Instant};
use rumpclient::msg::Body;
use rumpclient::wire::Op;
use rustix::fs::{OFlags, fcntl_setfl, fstat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use taker::Taker;

/// How often the ends are looked at whose closing the host does not tell.
const SWEEP: Duration = Duration::from_secs(1);

/// The passed sockets of one session.
pub(super) struct Passing {
    sys: Sys,
    ends: Ends,
    sockets: RefCell<BTreeMap<Fd, Rc<Passed>>>,
    sweeping: Cell<bool>,
    /// Brings near ends the message that makes their parting an error, and is the peer of those that have none.
    herald: RefCell<Option<OwnedFd>>,
    /// Where streams' ends come in.
    door: RefCell<Option<Door>>,
    /// Memory that a datagram has passed through, for the next one.
    spare: Cell<Vec<u8>>,
    /// Tells the session's client something.
    tell: Box<dyn Fn(Vec<u8>)>,
}

/// One socket, and the node's end of its pair.
pub(super) struct Passed {
    fd: Fd,
    kind: SockType,
    socket: Option<SocketId>,
    /// Of the program's end.
    inode: u64,
    /// The program has given its end to another's.
    handed_on: Cell<bool>,
    near: RefCell<Option<Rc<Remote>>>,
    /// The name of the program's end, of datagram sockets and of streams that wait before the door.
    name: Vec<u8>,
    phase: Cell<Phase>,
    /// A connection from a listener's queue.
    comes_in: bool,
    /// The lwp that carries, and calls that wait for a connection.
    waiting: RefCell<Vec<Waker>>,
    /// Calls that wait for the connection: they are told how it ended.
    callers: Cell<u32>,
    /// Of streams.
    bounds: Bounds,
    taker: RefCell<Taker>,
    /// Of datagram sockets: what came with what was handed on lately.
    metas: RefCell<VecDeque<datagram::Meta>>,
    /// Of datagram sockets: an error that the program has not been told.
    error: Cell<Option<Errno>>,
    /// When the program sent last.
    sent: Cell<Instant>,
    /// The error shows at the program's end.
    raised: Cell<bool>,
    /// The program's end cannot send by itself.
    parted: Cell<bool>,
    /// The host does not tell when the program's end is closed.
    untold: Cell<bool>,
    /// Of packet sockets.
    ring: RefCell<ring::Ring>,
    /// Something has happened to it.
    ring_news: Cell<bool>,
}

/// Where a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A stream whose end waits before the door.
    Outside,
    /// A stream that is neither connected nor listens, though it was to.
    Idle,
    /// A handshake goes on.
    Connecting,
    /// Octets flow; datagram sockets are here at once.
    Carrying,
    /// A listener.
    Listening,
    /// It failed: the near end is closed, the program has not closed its own yet.
    Failed,
    /// The program has closed its end.
    Gone,
}

/// A program's end, to be sent to it.
pub(super) struct ProgramEnd {
    /// The node's descriptor.
    pub(super) fd: Fd,
    /// The end itself.
    pub(super) end: OwnedFd,
    /// Its inode.
    pub(super) inode: u64,
    /// The door that it waits before, if it does.
    pub(super) door: Option<Vec<u8>>,
}

impl Passing {
    pub(super) fn new(sys: Sys, tell: Box<dyn Fn(Vec<u8>)>) -> Passing {
        Passing {
            sys,
            ends: Ends::default(),
            sockets: RefCell::default(),
            sweeping: Cell::new(false),
            herald: RefCell::default(),
            door: RefCell::default(),
            spare: Cell::default(),
            tell,
        }
    }

    /// The process whose sockets they are.
    pub(super) fn sys(&self) -> &Sys {
        &self.sys
    }

    fn get(&self, fd: Fd) -> Option<Rc<Passed>> {
        self.sockets.borrow().get(&fd).cloned()
    }

    /// socket(2): the node's descriptor and the program's end.
    pub(super) fn socket(
        self: &Rc<Self>,
        domain: u32,
        kind: u32,
        protocol: u32,
    ) -> Result<ProgramEnd, Errno> {
        // Whether the program's end blocks is the host's affair.
        let make = || socket_abi::socket(&self.sys, domain, kind & !NONBLOCK, protocol);
        let fd = match make() {
            Err(Errno::EMFILE) if self.sweep() => make(),
            made => made,
        }?;
        let made = self.pass(fd, Phase::Outside, kind & NONBLOCK != 0);
        if made.is_err() {
            let _ = self.sys.close(fd);
        }
        made
    }

    /// Makes a pair for a socket of the node, and begins to carry.
    fn pass(self: &Rc<Self>, fd: Fd, phase: Phase, nonblocking: bool) -> Result<ProgramEnd, Errno> {
        let kind = self.sys.socket_type(fd)?;
        let stream = kind == SockType::Stream;
        let outside = stream && phase == Phase::Outside;
        let (near, end, mut name) = if outside {
            let (end, name) = door::named().map_err(host)?;
            (None, end, name)
        } else {
            let ty = if stream { SocketType::STREAM } else { SocketType::DGRAM };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (near, end) = socketpair(AddressFamily::UNIX, ty, flags, None).map_err(host)?;
            (Some(near), end, Vec::new())
        };
        let inode = fstat(&end).map_err(host)?.st_ino;
        if let Ok(id) = self.sys.socket_id(fd) {
            self.sys.kernel().set_socket_inode(id, inode);
        }
        match &near {
            Some(near) if !stream => name = datagram::prepare(near, &end).map_err(host)?,
            Some(_) | None => stream::prepare(&end, phase).map_err(host)?,
        }
        if !nonblocking {
            fcntl_setfl(&end, OFlags::empty()).map_err(host)?;
        }
        let near = near.map(|near| Remote::new(self.sys.kernel(), near)).transpose().map_err(host)?;
        let door = if outside { Some(self.door()?) } else { None };
        let passed = Rc::new(Passed {
            fd,
            kind,
            socket: self.sys.socket_id(fd).ok(),
            inode,
            handed_on: Cell::new(false),
            near: RefCell::new(near.map(Rc::new)),
            name,
            phase: Cell::new(if stream { phase } else { Phase::Carrying }),
            comes_in: stream && phase == Phase::Carrying,
            waiting: RefCell::default(),
            callers: Cell::new(0),
            bounds: Bounds::default(),
            taker: RefCell::default(),
            metas: RefCell::default(),
            error: Cell::new(None),
            sent: Cell::new(Instant::ZERO),
            raised: Cell::new(false),
            parted: Cell::new(false),
            untold: Cell::new(false),
            ring: RefCell::default(),
            ring_news: Cell::new(false),
        });
        if !stream {
            datagram::follow_peer(self, &passed).map_err(host)?;
        }
        // The last that can fail: what has failed leaves nothing behind.
        self.ends.add(fd, &end).map_err(host)?;
        self.sockets.borrow_mut().insert(fd, passed.clone());
        let passing = self.clone();
        self.sys.spawn(async move {
            if stream {
                stream::live(&passing, &passed).await;
            } else {
                passing.sweep_for(&passed);
                datagram::live(&passing, &passed).await;
            }
            passing.release(&passed);
        });
        Ok(ProgramEnd { fd, end, inode, door })
    }

    /// The door's name; it is opened when it is first needed.
    fn door(&self) -> Result<Vec<u8>, Errno> {
        let mut door = self.door.borrow_mut();
        let door = match &mut *door {
            Some(door) => door,
            none => none.insert(Door::open().map_err(host)?),
        };
        Ok(door.name().to_vec())
    }

    /// Before connect(2) and listen(2): lets in the ends that are at the door. EINVAL: that of `passed` is not among them.
    fn admit(&self, passed: &Passed) -> Result<(), Errno> {
        if passed.phase.get() != Phase::Outside {
            return Ok(());
        }
        let came = |door: &Door| door.next();
        while let Some((near, name)) = self.door.borrow().as_ref().and_then(came) {
            let sockets = self.sockets.borrow();
            let outside = |passed: &&Rc<Passed>| passed.phase.get() == Phase::Outside && passed.name == name;
            if let Some(met) = sockets.values().find(outside) {
                let near = Remote::new(self.sys.kernel(), near).map_err(host)?;
                met.near.replace(Some(Rc::new(near)));
                met.untold.set(false);
                met.enter(Phase::Idle);
            }
        }
        if passed.phase.get() == Phase::Outside { Err(Errno::EINVAL) } else { Ok(()) }
    }

    /// connect(2). A stream's handshake goes on by itself; who may block waits for its end.
    pub(super) async fn connect(self: &Rc<Self>, fd: Fd, addr: &[u8], flags: MsgFlags) -> Result<(), Errno> {
        match self.get(fd) {
            Some(passed) if passed.kind == SockType::Stream => {
                self.admit(&passed)?;
                stream::connect(self, &passed, addr, flags).await
            }
            passed => {
                let done = socket_abi::connect(&self.sys, fd, addr, flags).await;
                if let Some(passed) = passed {
                    datagram::follow_peer(self, &passed).map_err(host)?;
                }
                done
            }
        }
    }

    /// bind(2). Somebody who has closed a socket may use its address at once.
    pub(super) fn bind(self: &Rc<Self>, fd: Fd, addr: &[u8]) -> Result<(), Errno> {
        match socket_abi::bind(&self.sys, fd, addr) {
            Err(Errno::EADDRINUSE) if self.sweep() => socket_abi::bind(&self.sys, fd, addr),
            done => done,
        }
    }

    /// listen(2)
    pub(super) fn listen(&self, fd: Fd, backlog: usize) -> Result<(), Errno> {
        let passed = self.get(fd);
        if let Some(passed) = passed.as_ref().filter(|passed| passed.kind == SockType::Stream) {
            self.admit(passed)?;
        }
        self.sys.listen(fd, backlog)?;
        if let Some(passed) = passed.filter(|passed| passed.phase.get() == Phase::Idle) {
            passed.enter(Phase::Listening);
        }
        Ok(())
    }

    /// The error that waits on a datagram socket: the next call tells it.
    pub(super) fn take_error(&self, fd: Fd) -> Option<Errno> {
        let passed = self.get(fd)?;
        let error = passed.take_error()?;
        passed.has_told();
        Some(error)
    }

    /// The same for a call that sends. A raw socket's that looks into the error queue goes on, though Linux would tell it: who sends probes
    /// in a burst (traceroute) would lose most of them here, where answers come within microseconds.
    pub(super) fn take_error_of_send(&self, fd: Fd) -> Option<Errno> {
        let raw = self.get(fd).filter(|passed| passed.kind == SockType::Raw);
        let Some((passed, socket)) = raw.and_then(|passed| passed.socket.map(|socket| (passed, socket)))
        else {
            return self.take_error(fd);
        };
        let stack = &self.sys.kernel().stack;
        if !datagram::looks_into_errors(&stack.borrow(), socket) {
            return self.take_error(fd);
        }
        passed.take_error();
        stack.borrow_mut().take_error(socket);
        None
    }

    /// A call has looked into the error queue.
    pub(super) fn looked_at_errors(&self, fd: Fd) {
        if let Some(passed) = self.get(fd) {
            passed.has_told();
        }
    }

    /// What came with the datagram that the program's end received at `stamp` (nanoseconds since the Unix epoch).
    pub(super) fn came(&self, fd: Fd, stamp: u64) -> Result<Came, Errno> {
        self.get(fd).and_then(|passed| passed.came(stamp)).ok_or(Errno::ENOENT)
    }

    /// The program has closed its end, says who knows; false: it is no passed socket.
    pub(super) fn close(&self, fd: Fd) -> bool {
        let Some(passed) = self.get(fd) else { return false };
        passed.enter(Phase::Gone);
        self.release(&passed);
        true
    }

    /// Looks for ends that are gone; whether there were any.
    fn sweep(&self) -> bool {
        let mut gone = self.ends.gone();
        gone.retain(|fd| self.get(*fd).is_some());
        for fd in &gone {
            // At once: whoever asks wants the address.
            if let Some(passed) = self.get(*fd) {
                passed.enter(Phase::Gone);
                self.release(&passed);
            }
        }
        !gone.is_empty()
    }

    /// Nobody tells when this one's end is closed: ends are looked at each second for as long as there are such.
    fn sweep_for(self: &Rc<Self>, passed: &Passed) {
        passed.untold.set(true);
        if self.sweeping.replace(true) {
            return;
        }
        let passing = self.clone();
        self.sys.spawn(async move {
            loop {
                passing.sys.sleep(SWEEP).await;
                passing.sweep();
                if !passing.sockets.borrow().values().any(|passed| passed.untold.get()) {
                    break;
                }
            }
            passing.sweeping.set(false);
        });
    }

    /// Closes a socket whose program's end is closed.
    fn release(&self, passed: &Rc<Passed>) {
        let known = self.sockets.borrow_mut().remove(&passed.fd);
        if known.is_some() {
            passed.near.take();
            self.ends.forget(passed.fd);
            let _ = self.sys.close(passed.fd);
            (self.tell)(event(Op::Closed, passed.fd, &Body::default()));
        }
    }
}

impl Passed {
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.wake();
    }

    fn wake(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until the phase is another.
    async fn leaves(&self, phase: Phase) -> Phase {
        poll_fn(|cx| match self.phase.get() {
            now if now != phase => Poll::Ready(now),
            _ => {
                self.wait(cx);
                Poll::Pending
            }
        })
        .await
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }

    /// The near end, unless it is closed.
    fn near(&self) -> Option<Rc<Remote>> {
        self.near.borrow().clone()
    }
}

/// What the host refused the node, as the program shall see it.
fn host(error: rustix::io::Errno) -> Errno {
    match error {
        rustix::io::Errno::MFILE | rustix::io::Errno::NFILE => Errno::EMFILE,
        _ => Errno::ENOBUFS,
    }
}

/// The first of two to be done.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        done => done,
    })
    .await
}
