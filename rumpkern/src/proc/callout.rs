//! Callouts: who sleeps until when.
//!
//! The stack has its own timers; these are the sleeps and time limits of system calls.

use netstack::time::Instant;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;

/// Sleepers in order of time, those of the same time in order of arrival.
#[derive(Debug, Default)]
pub struct Callouts {
    sleepers: RefCell<BTreeMap<Callout, Waker>>,
    last: Cell<u64>,
}

/// One sleeper's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callout {
    at: Instant,
    turn: u64,
}

impl Callouts {
    /// Wakes `waker` at `at`. Whoever is not woken must [`Callouts::stop`] it.
    pub fn start(&self, at: Instant, waker: Waker) -> Callout {
        self.last.set(self.last.get() + 1);
        let callout = Callout { at, turn: self.last.get() };
        self.sleepers.borrow_mut().insert(callout, waker);
        callout
    }

    /// Forgets a sleeper; harmless if it was woken.
    pub fn stop(&self, callout: Callout) {
        self.sleepers.borrow_mut().remove(&callout);
    }

    /// When the next sleeper must be woken.
    pub fn next(&self) -> Option<Instant> {
        self.sleepers.borrow().keys().next().map(|callout| callout.at)
    }

    /// Wakes all whose time has come.
    pub fn run(&self, now: Instant) {
        loop {
            let due = {
                let mut sleepers = self.sleepers.borrow_mut();
                match sleepers.first_entry() {
                    Some(first) if first.key().at <= now => first.remove(),
                    _ => break,
                }
            };
            due.wake();
        }
    }
}
