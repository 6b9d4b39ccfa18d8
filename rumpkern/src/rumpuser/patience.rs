//! How to wait: poll or sleep?
//!
//! Being woken costs a node some 10 to 15 us and its waker a system call; polling costs the
//! processor whatever it could do instead. So a node polls only while it pays: its recent waits were
//! shorter than a wake-up, and nobody else wants its processor. Both are measured, never configured:
//! the length of each wait, and how long a `sched_yield` took (longer than a system call: somebody ran).
//! A node whose last waits were long sleeps at once; a thousand idle nodes poll never.

use std::time::Duration;

/// What being woken costs, all told: polling longer than this for one frame is a loss.
const WAKE_UP: u64 = 25_000;
/// Polling this long before the first yield: a peer that polls too answers within it.
pub(crate) const BEFORE_YIELD: u64 = 3_000;
/// A yield that took longer let somebody run.
const YIELD: u64 = 2_500;
/// Waits without polling after somebody wanted the processor; doubled each time, up to the larger.
const ABSTAIN: (u32, u32) = (64, 65_536);

/// What a node knows about its waits. Times in nanoseconds.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Moving average of the lengths of the last waits, each counted as at most 4 wake-ups.
    average: u64,
    /// Waits to come without polling.
    abstain: u32,
    /// How many the next conflict will cost.
    penalty: u32,
    /// Waits that polling ended, and waits that slept.
    pub(crate) polled: u64,
    pub(crate) slept: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Something came while polling.
    Polling,
    /// It took a sleep.
    Sleeping,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience { average: 4 * WAKE_UP, abstain: 0, penalty: ABSTAIN.0, polled: 0, slept: 0 }
    }

    /// How long to poll before sleeping; `None`: not at all.
    pub(crate) fn budget(&mut self) -> Option<Duration> {
        if self.abstain > 0 {
            self.abstain -= 1;
            return None;
        }
        // Twice the usual, so that ordinary scatter does not end in a sleep.
        (self.average < WAKE_UP)
            .then(|| Duration::from_nanos((2 * self.average).clamp(BEFORE_YIELD, WAKE_UP)))
    }

    /// A wait has ended, by something that came (not by a deadline).
    pub(crate) fn ended(&mut self, how: Ended, waited: u64) {
        match how {
            Ended::Polling => {
                self.polled += 1;
                // A long run of waits that polling ended is forgiven an old conflict.
                if self.polled.is_multiple_of(256) {
                    self.penalty = (self.penalty / 2).max(ABSTAIN.0);
                }
            }
            Ended::Sleeping => self.slept += 1,
        }
        self.average = (3 * self.average + waited.min(4 * WAKE_UP)) / 4;
    }

    /// A yield took this long. Returns whether polling must end.
    pub(crate) fn yielded(&mut self, took: u64) -> bool {
        let conflict = took > YIELD;
        if conflict {
            self.abstain = self.penalty;
            self.penalty = (self.penalty * 2).min(ABSTAIN.1);
        }
        conflict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_end_polling_and_short_ones_begin_it() {
        let mut patience = Patience::new();
        assert_eq!(patience.budget(), None, "a new node sleeps");
        for _ in 0..10 {
            patience.ended(Ended::Sleeping, 12_000);
        }
        assert!(patience.budget().is_some());
        for _ in 0..2 {
            patience.ended(Ended::Sleeping, 1_000_000_000);
        }
        assert_eq!(patience.budget(), None, "two long waits are enough");
    }

    #[test]
    fn a_wanted_processor_is_given_up_for_longer_and_longer() {
        let mut patience = Patience::new();
        let mut abstained = Vec::new();
        for _ in 0..4 {
            for _ in 0..20 {
                patience.ended(Ended::Polling, 1_000);
            }
            assert!(!patience.yielded(500));
            assert!(patience.budget().is_some());
            assert!(patience.yielded(100_000));
            let mut waits = 0;
            while patience.budget().is_none() {
                waits += 1;
            }
            abstained.push(waits);
        }
        assert_eq!(abstained, [64, 128, 256, 512]);
    }
}
