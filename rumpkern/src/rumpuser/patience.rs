//! How to wait: poll or sleep?
//!
//! Being woken costs a node some microseconds on a busy core and tens of them on one that has gone
//! idle, and its waker a system call; polling costs the processor whatever else it could do. So a
//! node polls while its recent waits were short, and keeps accounts: a wait that polling ends earns
//! a wake-up, polling in vain costs its time, and so does each `sched_yield` in which somebody else
//! ran. When the debt reaches [`BEAR`], polling is given up for [`ABSTAIN`], which doubles each time.
//! A node whose last waits were long sleeps at once; a thousand idle nodes poll never.
//!
//! The debt is borne for that long because the host tends to run two nodes that wake each other on
//! one core, where polling only hinders, and moves one of them away only if it sees both running.

use std::time::Duration;

/// What being woken costs, all told.
const WAKE_UP: u64 = 25_000;
/// Waits shorter than this, on average, are worth polling: a peer that is asleep answers within it.
const SHORT: u64 = 4 * WAKE_UP;
/// Polling this long before each yield: a peer that polls too answers within it.
pub(crate) const BEFORE_YIELD: u64 = 3_000;
/// A yield that took longer let somebody run.
const YIELD: u64 = 2_500;
/// Debt at which polling is given up: some ticks of the host's scheduler.
const BEAR: u64 = 8_000_000;
/// For how long it is given up at first, and at most.
const ABSTAIN: (u64, u64) = (100_000_000, 10_000_000_000);
/// Waits in a row that ended while polling undisturbed, after which old debts are forgotten.
const PEACE: u32 = 256;

/// What a node knows about its waits. Times in nanoseconds.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Moving average of the lengths of the last waits, each counted as at most twice [`SHORT`].
    average: u64,
    /// No polling before this time.
    abstain_until: u64,
    /// How long the next surrender will last.
    penalty: u64,
    /// Time spent in vain, less what was earned.
    debt: u64,
    /// Undisturbed waits in a row.
    peace: u32,
    /// Waits that polling ended.
    pub(crate) polled: u64,
    /// Waits that slept.
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
        Patience {
            average: 2 * SHORT,
            abstain_until: 0,
            penalty: ABSTAIN.0,
            debt: 0,
            peace: 0,
            polled: 0,
            slept: 0,
        }
    }

    /// How long to poll before sleeping; `None`: not at all.
    pub(crate) fn budget(&self, now: u64) -> Option<Duration> {
        // Twice the usual, so that ordinary scatter does not end in a sleep.
        (self.average < SHORT && now >= self.abstain_until)
            .then(|| Duration::from_nanos((2 * self.average).clamp(2 * BEFORE_YIELD, SHORT)))
    }

    /// A wait has ended by something that came (not by a deadline) after `waited`.
    pub(crate) fn ended(&mut self, how: Ended, waited: u64) {
        match how {
            Ended::Polling => {
                self.polled += 1;
                self.debt = self.debt.saturating_sub(WAKE_UP);
            }
            Ended::Sleeping => self.slept += 1,
        }
        if how == Ended::Polling && waited <= BEFORE_YIELD {
            self.peace += 1;
            if self.peace == PEACE {
                (self.peace, self.debt, self.penalty) = (0, 0, ABSTAIN.0);
            }
        }
        self.average = (3 * self.average + waited.min(2 * SHORT)) / 4;
    }

    /// A yield took this long. Returns whether polling must end.
    pub(crate) fn yielded(&mut self, now: u64, took: u64) -> bool {
        took > YIELD && self.lose(now, took)
    }

    /// Polling for this long was in vain.
    pub(crate) fn failed(&mut self, now: u64, took: u64) {
        self.lose(now, took);
    }

    fn lose(&mut self, now: u64, took: u64) -> bool {
        self.peace = 0;
        self.debt += took;
        if self.debt < BEAR {
            return false;
        }
        self.abstain_until = now + self.penalty;
        self.penalty = (self.penalty * 2).min(ABSTAIN.1);
        self.debt = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_end_polling_and_short_ones_begin_it() {
        let mut patience = Patience::new();
        assert_eq!(patience.budget(0), None, "a new node sleeps");
        for _ in 0..10 {
            patience.ended(Ended::Sleeping, 40_000);
        }
        let budget = patience.budget(0).unwrap();
        assert!(budget > Duration::from_nanos(40_000), "long enough for a peer to wake: {budget:?}");
        for _ in 0..4 {
            patience.ended(Ended::Sleeping, 1_000_000_000);
        }
        assert_eq!(patience.budget(0), None, "a few long waits are enough");
    }

    #[test]
    fn a_wanted_processor_is_given_up_for_longer_and_longer() {
        let mut patience = Patience::new();
        let mut now = 0;
        let mut abstained = Vec::new();
        for _ in 0..10 {
            for _ in 0..20 {
                patience.ended(Ended::Polling, 5_000);
            }
            assert!(patience.budget(now).is_some());
            assert!(!patience.yielded(now, YIELD), "an empty yield is none");
            let mut borne = 0;
            while !patience.yielded(now, 100_000) {
                borne += 100_000;
            }
            assert!(borne < BEAR);
            let begin = now;
            while patience.budget(now).is_none() {
                now += 50_000_000;
            }
            abstained.push((now - begin) / ABSTAIN.0);
        }
        assert_eq!(abstained, [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]);
        for _ in 0..PEACE {
            patience.ended(Ended::Polling, 1_000);
        }
        assert_eq!(patience.penalty, ABSTAIN.0, "peace is made");
    }

    #[test]
    fn polling_in_vain_is_given_up_unless_it_also_pays() {
        // One wait in ten is met by polling, nine cost 50 us each: a loss.
        let mut losing = Patience::new();
        // Nine in ten are met: a gain.
        let mut gaining = Patience::new();
        for patience in [&mut losing, &mut gaining] {
            for _ in 0..20 {
                patience.ended(Ended::Sleeping, 30_000);
            }
        }
        for round in 0..10_000 {
            for (patience, hits) in [(&mut losing, 1), (&mut gaining, 9)] {
                match round % 10 < hits {
                    true => patience.ended(Ended::Polling, 5_000),
                    false => patience.failed(0, 50_000),
                }
            }
        }
        assert_eq!(losing.budget(0), None);
        assert!(gaining.budget(0).is_some());
    }
}
