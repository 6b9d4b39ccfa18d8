//! Memory that a node has freed and the host does not know of.
//!
//! glibc gives back the top of its heap alone. A packet that is kept anywhere below, and there is always
//! one, holds all that was freed before it: a node that had moved 11 GB for 17,000 connections kept 2.2 GB
//! of the host's memory for 6 MB of its own. So after a busy time a node looks how large it has become, and
//! gives back the pages that hold nothing.
#![allow(unsafe_code)]

use netstack::time::{Duration, Instant};

/// How often it is looked, at most.
const PERIOD: Duration = Duration::from_secs(1);
/// Sleeps that make a busy time.
const BUSY: u32 = 64;
/// Octets that the process may grow by before anything is done: what the next large packets will want.
const SPARE: u64 = 64 << 20;

/// When to look, and what there was.
#[derive(Debug, Default)]
pub(super) struct Memory {
    looked: Instant,
    /// Sleeps since then.
    sleeps: u32,
    /// Resident octets after the last time that pages were given back.
    floor: u64,
}

impl Memory {
    /// The node is about to sleep at `now`. Returns how long it may, if there will be something to look at.
    pub(super) fn before_sleep(&mut self, now: Instant) -> Option<Duration> {
        self.sleeps = self.sleeps.saturating_add(1);
        if self.sleeps < BUSY {
            return None;
        }
        let passed = now.since(self.looked);
        if passed < PERIOD {
            return Some(PERIOD - passed);
        }
        (self.looked, self.sleeps) = (now, 0);
        let resident = resident()?;
        if self.floor == 0 {
            self.floor = resident.min(SPARE);
        }
        if resident > self.floor + SPARE {
            give_back();
            self.floor = self::resident()?;
        }
        None
    }
}

/// Resident octets of the process.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn give_back() {
    // SAFETY: malloc_trim(3) takes no pointer and touches nothing that is allocated; it may be called at any
    // time from any thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(SPARE as usize / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_after_a_busy_time_and_no_more_than_once_a_second() {
        let mut memory = Memory::default();
        let at = |ms| Instant::from_millis(10_000 + ms);
        for i in 0..u64::from(BUSY) - 1 {
            assert_eq!(memory.before_sleep(at(i)), None);
        }
        assert_eq!((memory.before_sleep(at(100)), memory.sleeps), (None, 0));
        for _ in 0..BUSY - 1 {
            assert_eq!(memory.before_sleep(at(200)), None);
        }
        assert_eq!(memory.before_sleep(at(300)), Some(Duration::from_millis(800)));
        assert_eq!((memory.before_sleep(at(1100)), memory.sleeps), (None, 0));
    }

    /// Blocks that stay between those that go hold the heap's top; the pages between go back all the same.
    #[test]
    fn what_was_freed_below_something_that_stays_goes_back() {
        let blocks = (0..3000).map(|i| (vec![i as u8 | 1; 100_000], Box::new([i as u8; 64])));
        let (large, small): (Vec<_>, Vec<_>) = blocks.unzip();
        drop(large);
        let mut memory = Memory { floor: 1, sleeps: BUSY, ..Memory::default() };
        memory.before_sleep(Instant::from_millis(5000));
        assert!(memory.floor < 150 << 20, "{} octets for {} small blocks", memory.floor, small.len());
    }
}
