//! Blocking: how an operation that would block becomes a call that sleeps.

use super::{Errno, Sys};
use crate::kernel::Kernel;
use crate::netlink;
use crate::proc::callout::Callout;
use crate::proc::filedesc::File;
use crate::syscall::sleepq::Ticket;
use netstack::time::Instant;
use netstack::{Ready, SockError, SocketId, Stack};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How an operation on a socket blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// What must be there for the operation to go on.
    pub(super) interest: Ready,
    /// O_NONBLOCK or MSG_DONTWAIT: do not.
    pub(super) never: bool,
    /// When to give up, with EAGAIN (SO_RCVTIMEO, SO_SNDTIMEO).
    pub(super) until: Option<Instant>,
}

/// The places where a call sleeps. It leaves them when it is done, also when it is cancelled.
pub(super) struct Asleep<'k> {
    kernel: &'k Kernel,
    tickets: Vec<Ticket>,
    netlink: Vec<(Rc<netlink::Socket>, u64)>,
    callout: Option<Callout>,
}

impl<'k> Asleep<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Asleep<'k> {
        Asleep { kernel, tickets: Vec::new(), netlink: Vec::new(), callout: None }
    }

    /// Sleeps until `socket` is ready for `interest` too.
    pub(super) fn on(&mut self, socket: SocketId, interest: Ready, cx: &Context<'_>) {
        self.tickets.push(self.kernel.sleepers.sleep(socket, interest, cx.waker()));
    }

    /// Sleeps until `socket` has something to read too.
    pub(super) fn on_netlink(&mut self, socket: &Rc<netlink::Socket>, cx: &Context<'_>) {
        self.netlink.push((socket.clone(), socket.sleep(cx.waker())));
    }

    /// Sleeps until `at` at the latest.
    pub(super) fn until(&mut self, at: Instant, cx: &Context<'_>) {
        self.callout = Some(self.kernel.callouts.start(at, cx.waker().clone()));
    }

    /// Is awake again.
    pub(super) fn wake(&mut self) {
        for ticket in self.tickets.drain(..) {
            self.kernel.sleepers.leave(ticket);
        }
        for (socket, ticket) in self.netlink.drain(..) {
            socket.leave(ticket);
        }
        if let Some(callout) = self.callout.take() {
            self.kernel.callouts.stop(callout);
        }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.wake();
    }
}

impl Kernel {
    /// Waits until `socket` is ready for `interest`, has an error, or both its directions are shut.
    pub(crate) async fn socket_ready(&self, socket: SocketId, interest: Ready) -> Ready {
        let mut asleep = Asleep::new(self);
        poll_fn(|cx| {
            asleep.wake();
            let ready = self.stack.borrow().ready(socket);
            if ready.intersects(interest | Ready::ERROR | Ready::HUP) {
                return Poll::Ready(ready);
            }
            asleep.on(socket, interest, cx);
            Poll::Pending
        })
        .await
    }
}

impl Sys {
    /// Tries `operation` until it does not block. EAGAIN if it may not or may no longer sleep,
    /// EBADF if the last descriptor was closed under the sleeper.
    pub(super) async fn block<T>(
        &self,
        file: &Rc<File>,
        socket: SocketId,
        blocking: Blocking,
        mut operation: impl FnMut(&mut Stack, Instant) -> Result<T, SockError>,
    ) -> Result<T, Errno> {
        self.kernel.turn().await;
        let kernel = &*self.kernel;
        let mut asleep = Asleep::new(kernel);
        poll_fn(|cx| {
            asleep.wake();
            if file.descriptors.get() == 0 {
                return Poll::Ready(Err(Errno::EBADF));
            }
            let now = kernel.now();
            match operation(&mut kernel.stack.borrow_mut(), now) {
                Err(SockError::WouldBlock) => {}
                done => return Poll::Ready(done.map_err(Errno::from)),
            }
            if blocking.never || blocking.until.is_some_and(|until| until <= kernel.clock()) {
                return Poll::Ready(Err(Errno::EAGAIN));
            }
            asleep.on(socket, blocking.interest, cx);
            if let Some(until) = blocking.until {
                asleep.until(until, cx);
            }
            Poll::Pending
        })
        .await
    }
}
