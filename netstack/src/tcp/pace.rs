//! Pacing: segments leave at a rate instead of all that the window takes at once. The rate is the congestion control's, or
//! the program's limit (SO_MAX_PACING_RATE); without either there is none, and nothing here is asked.
//!
//! As Linux's internal pacing (`sch_fq` and `tcp_output.c`): what a millisecond carries goes at once, so that a timer is
//! enough, and who was kept waiting by the timer may make up for half of it. Acknowledgments are not paced.

use super::tcb::Tcb;
use crate::time::{Duration, Instant};

/// A burst is what this time carries, in parts of a second ...
const BURSTS_PER_SECOND: u64 = 1024;
/// ... but no more than this many octets ...
const MAX_BURST: u32 = 65_536;
/// ... and two segments at least, or one below this rate (1.2 Mbit/s).
const SLOW: u64 = 150_000;

/// One connection's pace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// What the congestion control asks for, octets a second.
    pub(super) rate: Option<u64>,
    /// Nothing goes before this.
    next: Instant,
}

/// What may leave in one go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Octets a second; 0: no pacing.
    rate: u64,
    octets: u32,
}

/// Octets that leave together at `rate` octets a second.
pub(crate) fn burst(rate: u64, mss: u32) -> u32 {
    let least = if rate < SLOW { mss } else { mss.saturating_mul(2) };
    u32::try_from(rate / BURSTS_PER_SECOND).unwrap_or(u32::MAX).min(MAX_BURST).max(least)
}

/// How long `octets` take.
fn time(octets: u32, rate: u64) -> Duration {
    Duration::from_nanos(u64::from(octets) * 1_000_000_000 / rate.max(1))
}

impl Pace {
    /// What may leave now; `limit`: the program's rate.
    pub(super) fn allow(&mut self, limit: Option<u64>, now: Instant, mss: u32) -> Allowance {
        let rate = match (self.rate, limit) {
            (None, None) => return Allowance { rate: 0, octets: u32::MAX },
            (Some(a), Some(b)) => a.min(b),
            (Some(rate), None) | (None, Some(rate)) => rate,
        };
        if now < self.next {
            return Allowance { rate, octets: 0 };
        }
        let octets = burst(rate, mss);
        // A timer that came late, not a program that had nothing to say.
        self.next = self.next.max(now - time(octets, rate) / 2);
        Allowance { rate, octets }
    }

    /// Forgets what has left.
    pub(super) fn begin_anew(&mut self) {
        self.next = Instant::ZERO;
    }

    /// `octets` have left.
    pub(super) fn sent(&mut self, allowance: &mut Allowance, octets: u32) {
        if allowance.rate > 0 {
            allowance.octets = allowance.octets.saturating_sub(octets);
            self.next += time(octets, allowance.rate);
        }
    }
}

impl Allowance {
    /// What is left of it.
    pub(super) fn octets(&self) -> u32 {
        self.octets
    }

    /// Whether the rest has to wait.
    pub(super) fn is_spent(&self) -> bool {
        self.octets == 0
    }
}

impl Tcb {
    /// The rest of a burst waits for its time.
    pub(super) fn wait_for_pace(&mut self) {
        self.t_pace = Some(self.pace.next);
    }

    /// The rate that is kept, octets a second.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        [self.pace.rate, self.set.max_pacing_rate].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_millisecond_two_segments_at_least_and_64_kib_at_most() {
        assert_eq!(burst(12_500_000, 1448), 12_207);
        assert_eq!(burst(1_000_000, 1448), 2896);
        assert_eq!(burst(100_000, 1448), 1448);
        assert_eq!(burst(u64::MAX, 1448), 65_536);
        assert_eq!(burst(u64::MAX, 40_000), 80_000);
    }

    #[test]
    fn over_time_it_is_the_rate() {
        let (mut pace, mut now, mut sent) =
            (Pace { rate: Some(1_000_000), ..Pace::default() }, Instant::from_millis(5), 0);
        let begin = now;
        // A timer that is a little late each time
        while sent < 1_000_000 {
            let mut allowance = pace.allow(None, now, 1000);
            assert!(!allowance.is_spent());
            while !allowance.is_spent() {
                pace.sent(&mut allowance, 1000);
                sent += 1000;
            }
            assert!(pace.allow(None, now, 1000).is_spent());
            now = pace.next + Duration::from_micros(50);
        }
        let ms = now.since(begin).as_millis();
        assert!((998..=1001).contains(&ms), "{ms}");
    }

    #[test]
    fn a_silence_gives_no_more_than_half_a_burst() {
        let mut pace = Pace { rate: Some(1_000_000), ..Pace::default() };
        let now = Instant::from_millis(60_000);
        pace.sent(&mut pace.clone().allow(None, now, 1000), 2000);
        let mut allowance = pace.allow(None, now, 1000);
        pace.sent(&mut allowance, 2000);
        assert_eq!(pace.next.since(now), Duration::from_millis(1));
    }

    #[test]
    fn the_lower_rate_counts() {
        let mut pace = Pace::default();
        assert_eq!(pace.allow(None, Instant::ZERO, 1000).rate, 0);
        assert_eq!(pace.allow(Some(9), Instant::ZERO, 1000).rate, 9);
        pace.rate = Some(5);
        assert_eq!(pace.allow(Some(9), Instant::ZERO, 1000).rate, 5);
        assert_eq!(pace.allow(Some(2), Instant::ZERO, 1000).rate, 2);
    }
}
