//! Descriptors of the host, for lwps that serve somebody outside: control and sysproxy clients.
//!
//! A [`Remote`] owns a non-blocking host descriptor. Its operations are tried at once; when the
//! host says EAGAIN the lwp sleeps until an edge comes through [`crate::rumpuser::Rumpuser::wait`].
//! In virtual time there are no such descriptors, and no lwps that use them.

use crate::kernel::Kernel;
use crate::rumpuser::{Interest, Wake};
use netstack::time::Duration;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// How long to wait for what the host has too little of.
const SHORTAGE: Duration = Duration::from_millis(20);

/// Who watches what, by token.
#[derive(Debug, Default)]
pub(crate) struct Remotes {
    watched: RefCell<BTreeMap<u64, Rc<Watched>>>,
    last: Cell<u64>,
}

#[derive(Debug, Default)]
struct Watched {
    /// What the host is asked for.
    interest: Cell<Interest>,
    /// Edges that came, until the host says EAGAIN.
    ready: Cell<Interest>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

impl Remotes {
    /// Passes on what the host told. Edges of a descriptor that is gone are forgotten.
    pub(crate) fn wake(&self, wake: Wake) {
        let Wake::Remote(token, ready) = wake else { return };
        let Some(watched) = self.watched.borrow().get(&token).cloned() else { return };
        watched.ready.set(watched.ready.get() | ready);
        for (bit, waiting) in [(Interest::READ, &watched.reader), (Interest::WRITE, &watched.writer)] {
            if ready.contains(bit)
                && let Some(waker) = waiting.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }
}

/// A host descriptor that lwps read and write. At most one lwp waits for each direction.
#[derive(Debug)]
pub struct Remote {
    kernel: Rc<Kernel>,
    fd: OwnedFd,
    token: u64,
    watched: Rc<Watched>,
}

impl Remote {
    /// Takes over a descriptor, which must be non-blocking.
    pub fn new(kernel: &Rc<Kernel>, fd: OwnedFd) -> Result<Remote, Errno> {
        let remotes = &kernel.remotes;
        let token = remotes.last.get() + 1;
        kernel.user.borrow_mut().watch(fd.as_fd(), token, Interest::READ)?;
        remotes.last.set(token);
        let watched = Rc::new(Watched {
            interest: Cell::new(Interest::READ),
            ready: Cell::new(Interest::READ | Interest::WRITE),
            ..Watched::default()
        });
        remotes.watched.borrow_mut().insert(token, watched.clone());
        Ok(Remote { kernel: kernel.clone(), fd, token, watched })
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Whatever was read or not, the next operation is tried at once: who waited until now asked for something else.
    pub fn look_again(&self) {
        self.watched.ready.set(self.watched.ready.get() | Interest::READ | Interest::WRITE);
    }

    /// All that the host said there was has been read: the next operation waits for an edge, which whatever has come since makes. The
    /// end may have come in one with the last octets, and makes none.
    pub(crate) fn drained(&self) {
        let ready = self.watched.ready.get();
        if !ready.contains(Interest::END) {
            self.watched.ready.set(ready - Interest::READ);
        }
    }

    /// Tries `operation` when something may be read, until it does not say EAGAIN.
    pub async fn read_with<T>(
        &self,
        mut operation: impl FnMut(&OwnedFd) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        poll_fn(|cx| self.poll_with(cx, Interest::READ, &mut operation)).await
    }

    /// Tries `operation` when something may be written, until it does not say EAGAIN.
    pub async fn write_with<T>(
        &self,
        mut operation: impl FnMut(&OwnedFd) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        poll_fn(|cx| self.poll_with(cx, Interest::WRITE, &mut operation)).await
    }

    /// Sends a message, with a descriptor perhaps, as soon as there is room. What the host has too little of now it is asked for again:
    /// memory, and descriptors of one user that are on their way (ETOOMANYREFS).
    pub(crate) async fn send(&self, octets: &[u8], passed: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        loop {
            match self.write_with(|fd| send(fd, octets, passed)).await {
                Err(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => {
                    self.kernel.sleep_until(self.kernel.clock() + SHORTAGE).await;
                }
                sent => return sent,
            }
        }
    }

    /// [`Remote::read_with`] and [`Remote::write_with`] for those who wait for several things at once. `direction` is READ or WRITE.
    pub fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        direction: Interest,
        operation: &mut impl FnMut(&OwnedFd) -> Result<T, Errno>,
    ) -> Poll<Result<T, Errno>> {
        let watched = &self.watched;
        // A client that is quicker than the node does not starve the wires.
        std::task::ready!(self.kernel.quantum.poll_use(cx));
        while watched.ready.get().contains(direction) {
            match operation(&self.fd) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => watched.ready.set(watched.ready.get() - direction),
                done => {
                    if direction == Interest::WRITE {
                        self.ask(watched.interest.get() - Interest::WRITE)?;
                    }
                    return Poll::Ready(done);
                }
            }
        }
        let waiting = if direction == Interest::READ { &watched.reader } else { &watched.writer };
        *waiting.borrow_mut() = Some(cx.waker().clone());
        // Asking again re-arms the edge, so that nothing that came meanwhile is missed.
        self.ask(watched.interest.get() | direction)?;
        Poll::Pending
    }

    /// Room to write is asked for only while somebody waits for it: otherwise each read of the
    /// peer's would wake the node.
    fn ask(&self, interest: Interest) -> Result<(), Errno> {
        if self.watched.interest.replace(interest) != interest {
            self.kernel.user.borrow_mut().watch(self.fd.as_fd(), self.token, interest)?;
        }
        Ok(())
    }
}

fn send(socket: &OwnedFd, octets: &[u8], passed: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let Some(passed) = passed else { return rustix::net::send(socket, octets, flags).map(drop) };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [passed];
    control.push(SendAncillaryMessage::ScmRights(&passed));
    rustix::net::sendmsg(socket, &[IoSlice::new(octets)], &mut control, flags).map(drop)
}

/// Receives octets, how many is said, and the descriptor that came with them, close-on-exec.
pub(crate) fn receive_with(socket: &OwnedFd, octets: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(octets)], &mut control, flags)?;
    let passed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((received.bytes, passed))
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kernel.remotes.watched.borrow_mut().remove(&self.token);
        self.kernel.user.borrow_mut().unwatch(self.fd.as_fd());
    }
}
