//! The alarm: how a sleeping node is woken for a deadline that is far away.
//!
//! A deadline given to epoll starts a timer at each sleep and stops it at each wake-up, though it hardly ever comes to that. The alarm
//! stays set instead: it may ring too early, for a deadline that has moved on since, but never too late.

use netstack::time::{Duration, Instant};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Deadlines that are nearer are left to epoll: they are of those that change with every frame.
const FAR: Duration = Duration::from_millis(1);

/// Put it into epoll, edge-triggered; nothing needs to be read.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// CLOCK_MONOTONIC at the lab's epoch, nanoseconds.
    epoch: u64,
    /// When it will ring.
    set: Option<Instant>,
}

impl Alarm {
    pub(super) fn new(epoch: u64) -> Result<Alarm, Errno> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Alarm { timer, epoch, set: None })
    }

    /// Makes sure that it rings at `until` at the latest. False: that is too near, or the host refuses; epoll must wait by the clock.
    pub(super) fn covers(&mut self, now: Instant, until: Instant) -> bool {
        if until.since(now) < FAR {
            return false;
        }
        if self.set.is_some_and(|at| now < at && at <= until) {
            return true;
        }
        let at = until.as_nanos().saturating_add(self.epoch);
        let at = Timespec {
            tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (at % 1_000_000_000) as i64,
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once).is_ok();
        self.set = set.then_some(until);
        set
    }

    /// It has rung.
    pub(super) fn rang(&mut self) {
        self.set = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
