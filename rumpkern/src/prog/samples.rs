//! Round-trip times: extremes, mean, deviation, percentiles, in memory of fixed size.

use netstack::time::Duration;
use serde_json::{Value, json};

/// Samples kept for percentiles.
const KEPT: usize = 1 << 14;

/// Measured times. Count, extremes, mean and deviation are of all of them; percentiles of at most 16,384 kept at
/// equal distances: when these are full, every second one goes and from then on every second one comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    squares: u128,
    kept: Vec<u64>,
    /// Binary logarithm of how many samples one kept stands for.
    thinning: u32,
}

impl Samples {
    /// Takes a time.
    pub(super) fn add(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.min = if self.count == 0 { ns } else { self.min.min(ns) };
        self.max = self.max.max(ns);
        self.sum += u128::from(ns);
        self.squares = self.squares.saturating_add(u128::from(ns) * u128::from(ns));
        if self.count & ((1 << self.thinning) - 1) == 0 {
            if self.kept.len() == KEPT {
                let mut at = 0;
                self.kept.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.thinning += 1;
            }
            if self.count & ((1 << self.thinning) - 1) == 0 {
                self.kept.push(ns);
            }
        }
        self.count += 1;
    }

    /// How many were taken.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The longest, nanoseconds.
    pub(super) fn max(&self) -> u64 {
        self.max
    }

    /// The mean, nanoseconds; 0 of nothing.
    pub(super) fn mean(&self) -> u64 {
        (self.sum / u128::from(self.count.max(1))) as u64
    }

    /// The standard deviation, nanoseconds.
    pub(super) fn deviation(&self) -> u64 {
        let n = self.count.max(1) as f64;
        let mean = self.sum as f64 / n;
        (self.squares as f64 / n - mean * mean).max(0.0).sqrt() as u64
    }

    /// The smallest kept time that `percent` of all do not exceed (nearest rank), nanoseconds.
    pub(super) fn percentile(&self, percent: u32) -> u64 {
        let mut kept = self.kept.clone();
        kept.sort_unstable();
        let rank = (kept.len() * percent as usize).div_ceil(100).max(1);
        kept.get(rank - 1).copied().unwrap_or(0)
    }

    /// `rtt_us` of the JSON outputs: microseconds with fractions; null if there are no samples.
    pub(super) fn rtt_us(&self) -> Value {
        if self.count == 0 {
            return Value::Null;
        }
        let us = |ns: u64| ns as f64 / 1000.0;
        json!({
            "min": us(self.min),
            "avg": us(self.mean()),
            "p50": us(self.percentile(50)),
            "p99": us(self.percentile(99)),
            "max": us(self.max),
        })
    }

    /// `min/avg/max/mdev` as ping's summary has them.
    pub(super) fn summary(&self) -> String {
        let [min, avg, max, mdev] = [self.min, self.mean(), self.max, self.deviation()].map(ms);
        format!("rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")
    }
}

/// Nanoseconds as a person reads milliseconds: exact below one, to the microsecond above.
pub(super) fn ms(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("0.{ns:06}"),
        _ => format!("{}.{:03}", ns / 1_000_000, ns / 1000 % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_exact() {
        assert_eq!(
            [0, 4_512, 999_999, 1_234_567, 2_000_000_001].map(ms),
            ["0.000000", "0.004512", "0.999999", "1.234", "2000.000"]
        );
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(Samples::default().rtt_us(), Value::Null);
        assert_eq!(Samples::default().percentile(99), 0);
    }

    #[test]
    fn memory_is_bounded_and_percentiles_stay_true() {
        let mut samples = Samples::default();
        for ns in 0..1_000_000u64 {
            samples.add(Duration::from_nanos(ns * 7919 % 1_000_000)); // a permutation
        }
        assert!(samples.kept.len() <= KEPT);
        assert_eq!((samples.count(), samples.min, samples.max), (1_000_000, 0, 999_999));
        for percent in [1, 50, 90, 99] {
            let true_value = u64::from(percent) * 10_000;
            assert!(
                samples.percentile(percent).abs_diff(true_value) < 10_000,
                "{percent}: {}",
                samples.percentile(percent)
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(times in proptest::collection::vec(0u64..10_000_000_000, 1..200), percent in 1u32..=100) {
            let mut samples = Samples::default();
            times.iter().for_each(|&ns| samples.add(Duration::from_nanos(ns)));
            let mut sorted = times.clone();
            sorted.sort_unstable();
            prop_assert_eq!((samples.min, samples.max), (sorted[0], sorted[sorted.len() - 1]));
            let value = samples.percentile(percent);
            let below = sorted.iter().filter(|&&ns| ns <= value).count();
            prop_assert!(below * 100 >= sorted.len() * percent as usize);
            prop_assert!(sorted.iter().filter(|&&ns| ns < value).count() * 100 < sorted.len() * percent as usize);
        }

        #[test]
        fn any_times_are_taken(times in proptest::collection::vec(any::<u64>(), 0..50)) {
            let mut samples = Samples::default();
            times.iter().for_each(|&ns| samples.add(Duration::from_nanos(ns)));
            let _ = (samples.summary(), samples.rtt_us());
        }
    }
}
