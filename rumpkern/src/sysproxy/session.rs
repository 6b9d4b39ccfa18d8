//! A session: one client, one process, its calls in flight.
//!
//! Two lwps of the kernel serve it: one reads frames, makes what need not wait, and starts an lwp of the client's
//! process for what does; the other sends the answers. The reader is the session's life: when it ends, the process does.

use super::call::{Answer, answer, failure, perform, refusal, room};
use super::passed::Passing;
use super::shared::{Met, Sessions};
use super::view::View;
use super::{LIMITS, OUT_HIGH};
use crate::kernel::Kernel;
use crate::listener::Place;
use crate::proc::KILLED;
use crate::remote::{Remote, receive_with};
use crate::syscall::{Errno, Sys};
use rumpclient::msg::{Body, Request};
use rumpclient::wire::{FrameError, FrameFlags, Header, MAX_FRAME, Sid, VERSION};
use rustix::net::{RecvFlags, Shutdown};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum End {
    #[error("the client left")]
    Left,
    #[error("the connection failed: {0}")]
    Host(rustix::io::Errno),
    #[error("a message of {len} octets is too long")]
    TooLong { len: usize },
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the client answers nothing that was asked")]
    NotAsked,
    #[error("the first frame is not HELLO")]
    NoHello,
    #[error("versions {low} to {high} are not spoken here")]
    Version { low: u16, high: u16 },
}

type Call = Pin<Box<dyn Future<Output = Answer>>>;

/// A call that waits.
#[derive(Default)]
struct InFlight {
    cancelled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Octets that it holds.
    octets: usize,
}

struct Session {
    remote: Remote,
    /// Answers to be sent.
    out: RefCell<VecDeque<Answer>>,
    out_octets: Cell<usize>,
    /// The sending lwp, while there is nothing to send.
    writer: RefCell<Option<Waker>>,
    /// The reading lwp, while answers fill `out`.
    reader: RefCell<Option<Waker>>,
    ended: Cell<bool>,
    calls: RefCell<BTreeMap<u64, Rc<InFlight>>>,
    /// Octets that calls in flight hold.
    octets: Cell<usize>,
    /// What the node's directories are, for clients that are processes of the host.
    view: Option<Rc<View>>,
    /// All of the node, and sockets of others that this one has met.
    sessions: Rc<Sessions>,
    met: Met,
    /// Given back when both lwps are done.
    _place: Option<Place>,
}

/// Serves a client over a connected, non-blocking `SOCK_SEQPACKET` socket.
pub fn attend(kernel: &Rc<Kernel>, client: OwnedFd) {
    begin(kernel, client, None, None, Rc::default());
}

/// The same, with its place among the node's sessions.
pub(super) fn begin(
    kernel: &Rc<Kernel>,
    client: OwnedFd,
    place: Option<Place>,
    view: Option<Rc<View>>,
    sessions: Rc<Sessions>,
) {
    // A node that is out of resources hangs up; the client sees that.
    let Ok(remote) = Remote::new(kernel, client) else { return };
    let session = Rc::new(Session {
        remote,
        out: RefCell::default(),
        out_octets: Cell::default(),
        writer: RefCell::default(),
        reader: RefCell::default(),
        ended: Cell::new(false),
        calls: RefCell::default(),
        octets: Cell::default(),
        view,
        sessions,
        met: Met::default(),
        _place: place,
    });
    let sending = session.clone();
    kernel.spawn_kernel(async move { sending.send_out().await });
    let kernel = kernel.clone();
    kernel.clone().spawn_kernel(async move {
        let mut client = String::new();
        let end = match session.hello(&kernel).await {
            Ok(sys) => {
                sys.process().name().clone_into(&mut client);
                let tell = Rc::downgrade(&session);
                let passing = Rc::new(Passing::new(
                    sys.clone(),
                    Box::new(move |event| {
                        if let Some(session) = tell.upgrade() {
                            session.push(event);
                        }
                    }),
                ));
                session.sessions.enter(&passing);
                let end = session.serve(&sys, &passing).await;
                session.end();
                passing.outlive().await;
                kernel.exit(sys.process(), KILLED);
                end
            }
            Err(end) => end,
        };
        session.end();
        if end != End::Left {
            let line = format_args!("sysproxy client {client:?}: {end}");
            kernel.user.borrow_mut().log(tracing::Level::WARN, line);
        }
    });
}

impl Session {
    /// The client's first frame; afterwards it is a process.
    async fn hello(&self, kernel: &Rc<Kernel>) -> Result<Sys, End> {
        let (frame, _) = self.receive().await?;
        let (asked, octets) = Header::decode(&frame)?;
        let Ok(Request::Hello { versions: [low, high], name }) = Request::decode(&asked, octets) else {
            return Err(End::NoHello);
        };
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let fits = (low..=high).contains(&VERSION);
        let body = Body {
            versions: Some([VERSION, VERSION]),
            name: Some(kernel.node()),
            limits: Some(LIMITS),
            ..Body::default()
        };
        if !fits {
            // It is told what would fit, and then left.
            self.push(answer(&asked, -i64::from(Errno::EINVAL.number()), &body));
            return Err(End::Version { low, high });
        }
        let sys = kernel.attach_process(&name);
        self.push(answer(&asked, sys.getpid().0.into(), &body));
        Ok(sys)
    }

    /// Calls, until the client ends or breaks the protocol.
    async fn serve(self: &Rc<Self>, sys: &Sys, passing: &Rc<Passing>) -> End {
        loop {
            let (mut frame, mut passed) = match self.receive().await {
                Ok(received) => received,
                Err(end) => return end,
            };
            loop {
                self.out_below_limit().await;
                let rest = match Header::first(&frame) {
                    Ok(len) => frame.split_off(len),
                    Err(error) => return error.into(),
                };
                // A descriptor is the last frame's.
                let with = if rest.is_empty() { passed.take() } else { None };
                if let Err(end) = self.request(sys, passing, frame, with).await {
                    return end;
                }
                // Each call is one of the turn's, so that a flood leaves the wires their time.
                poll_fn(|cx| sys.kernel().quantum.poll_use(cx)).await;
                if rest.is_empty() {
                    break;
                }
                frame = rest;
            }
        }
    }

    /// The next message.
    async fn receive(&self) -> Result<(Vec<u8>, Option<OwnedFd>), End> {
        // Its length first: a frame costs the memory that it has, not that it might have.
        let peek = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        let none: &mut [u8] = &mut [];
        let len =
            self.remote.read_with(|fd| rustix::net::recv(fd, &mut *none, peek)).await.map_err(End::Host)?.1;
        match len {
            0 => return Err(End::Left),
            1..=MAX_FRAME => {}
            _ => return Err(End::TooLong { len }),
        }
        let mut frame = vec![0; len];
        let received = self.remote.read_with(|fd| receive_with(fd, &mut frame)).await;
        let (len, passed) = received.map_err(End::Host)?;
        frame.truncate(len);
        Ok((frame, passed))
    }

    /// Makes one call, or begins it.
    async fn request(
        self: &Rc<Self>,
        sys: &Sys,
        passing: &Rc<Passing>,
        mut frame: Vec<u8>,
        passed: Option<OwnedFd>,
    ) -> Result<(), End> {
        let (asked, octets) = Header::decode(&frame)?;
        if asked.flags.intersects(FrameFlags::REPLY | FrameFlags::EVENT) {
            return Err(End::NotAsked);
        }
        let held = match Request::decode(&asked, octets) {
            Err(error) => {
                self.reply(&asked, failure(&asked, refusal(&error)));
                return Ok(());
            }
            Ok(Request::Cancel { target }) => {
                let ret = if self.cancel(target) { 0 } else { -i64::from(Errno::ENOENT.number()) };
                self.reply(&asked, answer(&asked, ret, &Body::default()));
                return Ok(());
            }
            Ok(Request::Lookup { inode }) => {
                let found = self.sessions.find(passing, inode);
                let told = found.ok_or(Errno::ENOENT).and_then(|(of, fd)| {
                    let sid = if Rc::ptr_eq(&of, passing) { fd.0 } else { self.met.meet(&of, fd, inode)? };
                    of.tell(&asked, sid, fd)
                });
                self.reply(&asked, told.unwrap_or_else(|errno| failure(&asked, errno)));
                return Ok(());
            }
            Ok(request) => frame.len() + room(&request),
        };
        let refused = if self.calls.borrow().contains_key(&asked.req) {
            Some(Errno::EINVAL)
        } else if self.calls.borrow().len() >= LIMITS.calls as usize
            || self.octets.get() + held > LIMITS.octets as usize
        {
            Some(Errno::ENOBUFS)
        } else {
            None
        };
        if let Some(errno) = refused {
            self.reply(&asked, failure(&asked, errno));
            return Ok(());
        }
        let of_other = self.met.resolve(asked.sid);
        if let Some((_, fd)) = &of_other {
            Header::redirect(&mut frame, Sid(fd.0));
        }
        let passing = of_other.as_ref().map_or(passing, |(passing, _)| passing);
        let mut call: Call =
            Box::pin(perform(passing.sys().clone(), passing.clone(), self.view.clone(), frame, passed));
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        match first {
            Poll::Ready(answer) => self.reply(&asked, answer),
            Poll::Pending => self.wait(sys, asked, call, held),
        }
        Ok(())
    }

    /// Lets a call go on by itself.
    fn wait(self: &Rc<Self>, sys: &Sys, asked: Header, mut call: Call, octets: usize) {
        let flight = Rc::new(InFlight { octets, ..InFlight::default() });
        self.calls.borrow_mut().insert(asked.req, flight.clone());
        self.octets.set(self.octets.get() + octets);
        let session = self.clone();
        sys.spawn(async move {
            let answer = poll_fn(|cx| {
                if flight.cancelled.get() {
                    return Poll::Ready(failure(&asked, Errno::EINTR).into());
                }
                flight.waker.replace(Some(cx.waker().clone()));
                call.as_mut().poll(cx)
            })
            .await;
            drop(call);
            session.calls.borrow_mut().remove(&asked.req);
            session.octets.set(session.octets.get() - flight.octets);
            session.reply(&asked, answer);
        });
    }

    /// Ends a call that waits; false if there is none of that name.
    fn cancel(&self, target: u64) -> bool {
        let calls = self.calls.borrow();
        let Some(flight) = calls.get(&target) else { return false };
        flight.cancelled.set(true);
        if let Some(waker) = flight.waker.take() {
            waker.wake();
        }
        true
    }

    fn reply(&self, asked: &Header, answer: impl Into<Answer>) {
        if !asked.flags.contains(FrameFlags::QUIET) {
            self.push(answer);
        }
    }

    fn push(&self, answer: impl Into<Answer>) {
        if !self.ended.get() {
            let answer = answer.into();
            self.out_octets.set(self.out_octets.get() + answer.frame.len());
            self.out.borrow_mut().push_back(answer);
            wake(&self.writer);
        }
    }

    async fn out_below_limit(&self) {
        poll_fn(|cx| match self.out_octets.get() < OUT_HIGH {
            true => Poll::Ready(()),
            false => sleep(&self.reader, cx),
        })
        .await;
    }

    /// Sends answers in order until the session has ended and all are sent, or the client is gone.
    async fn send_out(&self) {
        loop {
            let next = poll_fn(|cx| match self.out.borrow_mut().pop_front() {
                Some(answer) => Poll::Ready(Some(answer)),
                None if self.ended.get() => Poll::Ready(None),
                None => sleep(&self.writer, cx),
            });
            let Some(answer) = next.await else { break };
            let passed = answer.passed.as_ref().map(AsFd::as_fd);
            if self.remote.send(&answer.frame, passed).await.is_err() {
                break;
            }
            self.out_octets.set(self.out_octets.get() - answer.frame.len());
            if self.out_octets.get() < OUT_HIGH {
                wake(&self.reader);
            }
        }
        self.ended.set(true);
        self.out.take();
        self.out_octets.set(0);
        // The reader finds the end of the connection, and so the session's.
        let _ = rustix::net::shutdown(self.remote.fd(), Shutdown::Both);
        wake(&self.reader);
    }

    /// Nothing more is asked; what is to be said is said by the sending lwp.
    fn end(&self) {
        self.ended.set(true);
        self.calls.borrow_mut().clear();
        wake(&self.writer);
    }
}

fn sleep<T>(place: &RefCell<Option<Waker>>, cx: &Context<'_>) -> Poll<T> {
    place.replace(Some(cx.waker().clone()));
    Poll::Pending
}

fn wake(place: &RefCell<Option<Waker>>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}
