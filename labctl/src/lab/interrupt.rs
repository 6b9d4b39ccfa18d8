//! Ctrl-C, SIGTERM and SIGHUP as something to wait for, so that a verb that is stopped takes down what it began.
//!
//! The signals are blocked and read from a descriptor. Made before the first thread is, dropped at the verb's end.

use super::fault::Fault;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Signals kept away from their default action.
pub struct Interrupt {
    fd: SignalFd,
    before: SigSet,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The descriptor has something (or its other end is gone).
    Ready,
    /// The person wants an end.
    Interrupted,
    /// The time is over.
    Timeout,
}

impl Interrupt {
    /// From now on the signals wait here.
    ///
    /// # Errors
    /// The host gives no descriptor.
    pub fn catch() -> Result<Self, Fault> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))
            .map_err(Fault::os("catch signals"))?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(Fault::os("catch signals"))?;
        Ok(Self { fd, before })
    }

    /// Whether one has come. It is taken: the next one is asked for anew.
    pub fn pending(&self) -> bool {
        matches!(self.fd.read_signal(), Ok(Some(_)))
    }

    /// Waits until the descriptor can be read, a signal comes or the deadline passes.
    ///
    /// # Errors
    /// The host cannot wait.
    pub fn wait(&self, fd: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> Result<Woken, Fault> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = vec![PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN)];
            fds.extend(fd.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Woken::Timeout),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) if !fds[0].revents().is_empty() && self.pending() => return Ok(Woken::Interrupted),
                Ok(_) if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) => return Ok(Woken::Ready),
                Ok(_) => {}
                Err(error) => return Err(Fault::os("wait")(error)),
            }
        }
    }

    /// Sleeps; false if a signal cut it short.
    ///
    /// # Errors
    /// The host cannot wait.
    pub fn sleep(&self, time: Duration) -> Result<bool, Fault> {
        Ok(self.wait(None, Some(Instant::now() + time))? == Woken::Timeout)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
