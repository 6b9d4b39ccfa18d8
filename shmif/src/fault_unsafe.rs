//! Points between the steps of a writer where a test can stop or kill the process: one relaxed load each when nothing is armed.
//!
//! The claim that a writer killed *anywhere* costs at most its own frame is only as good as the anywheres that were tried.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

/// A place between two steps of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Point {
    /// The lock is taken, nothing else has happened.
    Locked = 1,
    /// The oldest records are given up, nothing is written over them yet.
    TailAdvanced = 2,
    /// The header and half of the frame are copied.
    HalfCopied = 3,
    /// Everything is copied, nobody has been told.
    Copied = 4,
    /// The head is moved, the ports that want the frame do not know yet.
    Published = 5,
    /// The ports know, the lock is still held.
    Delivered = 6,
    /// The lock is free, nobody has been rung.
    Unlocked = 7,
    /// A sleeper has been rung and still counts as asleep.
    Rung = 8,
}

impl Point {
    /// All of them, in the order of a send.
    pub const ALL: [Point; 8] = [
        Point::Locked,
        Point::TailAdvanced,
        Point::HalfCopied,
        Point::Copied,
        Point::Published,
        Point::Delivered,
        Point::Unlocked,
        Point::Rung,
    ];
}

/// What happens to the process there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGSTOP; it goes on after SIGCONT, and the point is disarmed.
    Stop,
}

static POINT: AtomicU32 = AtomicU32::new(0);
static COUNTDOWN: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicU32 = AtomicU32::new(0);

/// Arms one point of this process: the action strikes when it is passed for the `nth` time from now (1 = the next time).
pub fn arm(point: Point, action: Action, nth: u32) {
    STOP.store(u32::from(action == Action::Stop), Ordering::Relaxed);
    COUNTDOWN.store(nth.max(1), Ordering::Relaxed);
    POINT.store(point as u32, Ordering::Release);
}

/// Whether this point is armed.
#[inline(always)]
pub(crate) fn armed(point: Point) -> bool {
    POINT.load(Ordering::Relaxed) == point as u32
}

/// Passes a point.
#[inline(always)]
pub(crate) fn reach(point: Point) {
    if armed(point) {
        strike();
    }
}

#[cold]
fn strike() {
    if COUNTDOWN.fetch_sub(1, Ordering::Relaxed) > 1 {
        return;
    }
    POINT.store(0, Ordering::Relaxed);
    let signal = if STOP.load(Ordering::Relaxed) == 1 { libc::SIGSTOP } else { libc::SIGKILL };
    // To this thread and not to the process: another thread might take the signal a moment later.
    // SAFETY: no pointers; neither signal can be handled.
    unsafe { libc::raise(signal) };
}
