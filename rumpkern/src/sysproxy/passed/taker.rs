//! Taking what a program has sent from the near end of its stream.
//!
//! One octet that was dealt with stays unread: see [`super::stream`]. The host's buffer that it came in counts as in use until it is read,
//! whole; a program whose send buffer is small would never find room again beside a large one.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno as HostErrno, ioctl_fionread};
use rustix::net::RecvFlags as HostRecv;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

/// What there is at a near end.
pub(super) enum Found {
    /// So many octets, and among them new ones.
    Octets(usize),
    /// The program has shut its sending direction.
    Shut,
    /// Both directions are shut, or the program's end is closed.
    HungUp,
}

/// Takes octets from a near end, all but one.
#[derive(Debug)]
pub(super) struct Taker {
    /// Octets at the head of its queue that were dealt with: 0 or 1.
    old: usize,
    shut: bool,
    /// Octets that were taken since there was last nothing more: a buffer of the host's has no more of them.
    run: usize,
    /// Octets that the buffer of the old one may have had.
    weight: usize,
    /// Octets that it may have: else the old one is taken as well, or the program would wait for room.
    most: usize,
}

impl Default for Taker {
    /// Of a new pair, in which there is one octet by itself.
    fn default() -> Taker {
        Taker { old: 1, shut: false, run: 0, weight: 1, most: usize::MAX }
    }
}

impl Taker {
    /// What there is; EAGAIN: nothing.
    pub(super) fn look(&mut self, near: &OwnedFd) -> Result<Found, HostErrno> {
        let new = || {
            let waiting = usize::try_from(ioctl_fionread(near)?).unwrap_or(0);
            Ok((waiting > self.old).then_some(Found::Octets(waiting)))
        };
        if let Some(octets) = new()? {
            return Ok(octets);
        }
        let state = polled(near, PollFlags::RDHUP)?;
        if state.is_empty() {
            return Err(HostErrno::AGAIN);
        }
        // Octets that came since are before the end.
        if let Some(octets) = new()? {
            return Ok(octets);
        }
        if state.contains(PollFlags::ERR) {
            // The program closed its end with octets unread.
            return Err(HostErrno::CONNRESET);
        }
        if state.contains(PollFlags::HUP) {
            return Ok(Found::HungUp);
        }
        if state.contains(PollFlags::RDHUP) && !self.shut {
            self.shut = true;
            return Ok(Found::Shut);
        }
        Err(HostErrno::AGAIN)
    }

    /// Whether the last [`Taker::take`] took all that was waiting then.
    pub(super) fn took_all(&self) -> bool {
        self.run == 0
    }

    /// How many of the `waiting` octets are new.
    pub(super) fn new_of(&self, waiting: usize) -> usize {
        waiting - self.old
    }

    /// From now on an octet that stays has a buffer of at most so many.
    pub(super) fn lighten(&mut self, most: usize, near: &OwnedFd) {
        self.most = most;
        if self.old == 1 && self.weight > most && rustix::io::read(near, &mut [0]).is_ok() {
            self.old = 0;
        }
    }

    /// Takes new ones of the `waiting` octets into two pieces of memory, as many as there is room for, and says how many that were.
    pub(super) fn take(
        &mut self,
        near: &OwnedFd,
        waiting: usize,
        a: &mut [u8],
        b: &mut [u8],
    ) -> Result<usize, HostErrno> {
        let new = self.new_of(waiting).min(a.len() + b.len());
        let all = self.old + new == waiting;
        self.run += new;
        // The last one is looked at and left.
        let stays = all && self.run <= self.most;
        let gone = new - usize::from(stays);
        let mut taken = 0;
        if self.old + gone > 0 {
            let mut sink = [0];
            let first = gone.min(a.len());
            let (old, (a, b)) = (&mut sink[..self.old], (&mut a[..first], &mut b[..gone - first]));
            let read = rustix::io::readv(near, &mut [old, a, b].map(IoSliceMut::new))?;
            taken = read.saturating_sub(self.old);
            self.old -= self.old.min(read);
        }
        if all {
            self.weight = std::mem::take(&mut self.run);
        }
        if stays {
            let place = if taken < a.len() { &mut a[taken..] } else { &mut b[taken - a.len()..] };
            let flags = HostRecv::DONTWAIT | HostRecv::PEEK;
            let (octets, _) = rustix::net::recv(near, &mut place[..1], flags)?;
            taken += octets;
            self.old += octets;
        }
        Ok(taken)
    }
}

/// What the host says of a descriptor now.
pub(super) fn polled(fd: &OwnedFd, events: PollFlags) -> Result<PollFlags, HostErrno> {
    let mut fds = [PollFd::new(fd, events)];
    poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(fds[0].revents())
}
