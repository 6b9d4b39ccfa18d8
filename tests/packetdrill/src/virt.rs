//! Virtual time, and the order of things.
//!
//! Time stands still while somebody computes. It moves when a thread *waits*: in `usleep`, for a packet, in
//! a call of the main thread's that blocks, or when it looks at the clock and sees what it has seen before
//! (then for one microsecond, so that who spins arrives). It goes from one deadline of the kernel's to the
//! next, and no further than somebody waits for. Two rules make that repeatable:
//! - A call of another thread that blocks does not move time: the main thread will.
//! - When such a call has returned, time waits for that thread to look at the clock (packetdrill does, to
//!   know when the call ended), or to ask anything else; at most [`GRACE`] of the host's time, in case it
//!   never does.
//!
//! Whoever waits longer than the flags' `patience`, or when nothing can ever happen again, is told to give
//! up.

use crate::host::Host;
use crate::node::{Caller, Packet, Request, Work};
use netstack::time::{Duration, Instant};
use rumpkern::evloop::{self, Left};
use rumpkern::syscall::Errno;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::task::{Poll, Waker};
use std::thread::ThreadId;

/// See the head.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// A call in progress, on the kernel's thread.
pub(crate) struct Call {
    from: Caller,
    ended: Rc<RefCell<Vec<Caller>>>,
    given_up: Rc<GivenUp>,
}

#[derive(Default)]
struct GivenUp {
    is: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Call {
    /// EINTR if the call is given up.
    pub(crate) async fn or_given_up<T>(
        &self,
        body: impl Future<Output = Result<T, Errno>>,
    ) -> Result<T, Errno> {
        let mut body = pin!(body);
        poll_fn(|cx| {
            if self.given_up.is.get() {
                return Poll::Ready(Err(Errno::EINTR));
            }
            *self.given_up.waker.borrow_mut() = Some(cx.waker().clone());
            body.as_mut().poll(cx)
        })
        .await
    }

    /// Tells that it has ended.
    pub(crate) fn end(&self) {
        self.ended.borrow_mut().push(self.from);
    }
}

impl GivenUp {
    fn give_up(&self) {
        self.is.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Somebody who waits, and lets time move.
struct Waiter {
    from: Caller,
    until: Instant,
    what: What,
}

enum What {
    Time(SyncSender<()>),
    Look(SyncSender<Instant>),
    Packet(SyncSender<Option<Packet>>),
    /// A call of the main thread's.
    Call(Rc<GivenUp>),
}

/// The loop of the kernel's thread.
pub(crate) struct Loop {
    host: Host,
    queue: Receiver<Request>,
    main: ThreadId,
    patience: Duration,
    waiters: Vec<Waiter>,
    /// Callers whose calls have ended since the last look.
    ended: Rc<RefCell<Vec<Caller>>>,
    /// What the clock was when each caller looked last.
    looks: Vec<(Caller, Instant)>,
    /// Other threads that have got an answer and have not come back.
    awaited: Vec<ThreadId>,
}

impl Loop {
    pub(crate) fn new(host: Host, patience: Duration, main: ThreadId, queue: Receiver<Request>) -> Loop {
        Loop {
            host,
            queue,
            main,
            patience,
            waiters: Vec::new(),
            ended: Rc::default(),
            looks: Vec::new(),
            awaited: Vec::new(),
        }
    }

    /// What a caller is told that looks at the clock; `None`: what it was told before.
    fn look(&mut self, from: Caller) -> Option<Instant> {
        let now = self.host.tun.now.get();
        match self.looks.iter_mut().find(|(caller, _)| *caller == from) {
            Some((_, last)) if *last == now => return None,
            Some((_, last)) => *last = now,
            None => self.looks.push((from, now)),
        }
        Some(now)
    }

    /// Answers until the end is asked for.
    pub(crate) fn run(mut self) {
        loop {
            self.settle();
            // What has been asked comes before time moves.
            let request = match (self.waiters.is_empty(), self.awaited.is_empty()) {
                (true, _) => self.queue.recv().map(Some).map_err(|_| ()),
                (false, true) => match self.queue.try_recv() {
                    Ok(request) => Ok(Some(request)),
                    Err(TryRecvError::Empty) => Ok(None),
                    Err(TryRecvError::Disconnected) => Err(()),
                },
                (false, false) => match self.queue.recv_timeout(GRACE) {
                    Ok(request) => Ok(Some(request)),
                    Err(RecvTimeoutError::Timeout) => Ok(None),
                    Err(RecvTimeoutError::Disconnected) => Err(()),
                },
            };
            match request {
                Ok(Some(Request { work: Work::End, .. })) | Err(()) => break,
                Ok(Some(request)) => self.take(request),
                Ok(None) if self.awaited.is_empty() => self.advance(),
                // It does not come back.
                Ok(None) => self.awaited.clear(),
            }
        }
        self.host.kernel.shutdown();
    }

    fn take(&mut self, request: Request) {
        let from = request.from;
        if let Caller::Thread(thread) = from {
            self.awaited.retain(|awaited| *awaited != thread);
        }
        let now = self.host.tun.now.get();
        match request.work {
            Work::Call(make) => {
                let given_up = Rc::<GivenUp>::default();
                if from == Caller::Thread(self.main) {
                    let until = now + self.patience;
                    self.waiters.push(Waiter { from, until, what: What::Call(given_up.clone()) });
                }
                make(&self.host.sys, Call { from, ended: self.ended.clone(), given_up });
            }
            Work::Ask(what) => what(&self.host),
            Work::Sleep(time, reply) => {
                self.waiters.push(Waiter { from, until: now + time, what: What::Time(reply) });
            }
            Work::Look(reply) => match self.look(from) {
                Some(now) => drop(reply.send(now)),
                None => {
                    let until = now + Duration::from_micros(1);
                    self.waiters.push(Waiter { from, until, what: What::Look(reply) });
                }
            },
            Work::Packet(reply) => {
                let until = now + self.patience;
                self.waiters.push(Waiter { from, until, what: What::Packet(reply) });
            }
            Work::End => {}
        }
    }

    /// Lets everything happen that happens now, and tells those who have waited for it.
    fn settle(&mut self) {
        while evloop::turn(&self.host.kernel) == Left::Work || !self.host.tun.is_idle() {}
        for caller in self.ended.take() {
            match caller {
                Caller::Thread(thread) if thread == self.main => {
                    self.waiters.retain(|w| w.from != caller || !matches!(w.what, What::Call(_)));
                }
                Caller::Thread(thread) => self.awaited.push(thread),
                Caller::Tool => {}
            }
        }
        // Those who wait for time wait for whoever has just been woken, too.
        let now = self.host.tun.now.get();
        let held = !self.awaited.is_empty();
        let tun = self.host.tun.clone();
        let mut given_up = false;
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain(|waiter| {
            let due = waiter.until <= now && !held;
            match &waiter.what {
                What::Time(reply) if due => drop(reply.send(())),
                What::Look(reply) if due => drop(reply.send(self.look(waiter.from).unwrap_or(now))),
                What::Packet(reply) => match tun.receive() {
                    Some(packet) => drop(reply.send(Some(packet))),
                    None if due => drop(reply.send(None)),
                    None => return true,
                },
                What::Call(call) if due => {
                    call.give_up();
                    given_up = true;
                }
                What::Time(_) | What::Look(_) | What::Call(_) => return true,
            }
            false
        });
        self.waiters = waiters;
        if given_up {
            self.settle();
        }
    }

    /// Moves time to the next deadline, of the kernel's or of who waits.
    fn advance(&mut self) {
        let now = self.host.tun.now.get();
        let waiters = self.waiters.iter().map(|waiter| waiter.until).min();
        let next = match (waiters, evloop::deadline(&self.host.kernel)) {
            (Some(waiter), Some(kernel)) => waiter.min(kernel),
            (Some(_), None) => self.next_without_deadlines(),
            (None, _) => return,
        };
        // A deadline that is past and cannot be met would stop time.
        self.host.tun.now.set(next.max(now + Duration::from_nanos(1)));
    }

    /// Nothing will happen by itself: who waits for time gets it, the others shall not wait for their
    /// patience.
    fn next_without_deadlines(&mut self) -> Instant {
        let now = self.host.tun.now.get();
        let sleeps = |waiter: &&Waiter| matches!(waiter.what, What::Time(_) | What::Look(_));
        if let Some(until) = self.waiters.iter().filter(sleeps).map(|waiter| waiter.until).min() {
            return until;
        }
        for waiter in &mut self.waiters {
            waiter.until = now;
        }
        now
    }
}
