//! Numbered datagrams: what `udpsource` writes into them, what `udpsink` learns from them and reports back.
//!
//! ```text
//! datagram:  u64 number, from 0, in two parts | u64 time of sending, ns | padding       (big-endian)
//! end:       u64 how many were sent, likewise, with the top bit set
//! report:    u64 the end's first word | u64 × 6: received, lost, reordered, duplicated, octets, jitter ns
//! ```
//! The number's 48 bits stand around a magic number: 16 bits, [`MAGIC`], 32 bits. Without it some numbers look like the beginning of
//! other protocols' messages, and decoders call them malformed.
//!
//! Lost is what was sent and never came; reordered what came after a later one; duplicated what came again. A second
//! coming is recognised among the last [`WINDOW`] numbers.

use netstack::time::Instant;

/// Octets of the header of a datagram: the smallest `udpsource` sends. (A 64-octet frame has 18 for UDP's payload.)
pub(super) const HEADER: usize = 16;
/// Octets of a report.
pub(super) const REPORT: usize = 56;
/// Numbers behind the highest that are remembered one by one.
pub(super) const WINDOW: u64 = 4096;
/// The bit that marks an end.
const END: u64 = 1 << 63;
/// No DNS header has such flags, for one.
const MAGIC: u64 = 0x4c42;

/// A number of 47 bits with the magic one inside.
fn disguise(number: u64) -> u64 {
    (number >> 32 & 0x7fff) << 48 | MAGIC << 32 | number & 0xffff_ffff
}

/// And back; `None`: the magic number is not there.
fn reveal(word: u64) -> Option<u64> {
    (word >> 32 & 0xffff == MAGIC).then_some((word >> 48 & 0x7fff) << 32 | word & 0xffff_ffff)
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is number so-and-so, sent then.
    Number(u64, Instant),
    /// So many were sent.
    End(u64),
}

fn be(octets: &[u8]) -> Option<u64> {
    octets.first_chunk().map(|word| u64::from_be_bytes(*word))
}

impl Mark {
    /// Writes the mark to the front of `octets` (at least [`HEADER`] of them).
    pub(super) fn write(self, octets: &mut [u8]) {
        let (first, second) = match self {
            Mark::Number(number, time) => (disguise(number), time.as_nanos()),
            Mark::End(count) => (disguise(count) | END, 0),
        };
        octets[..8].copy_from_slice(&first.to_be_bytes());
        octets[8..HEADER].copy_from_slice(&second.to_be_bytes());
    }

    /// Reads a datagram's mark.
    pub(super) fn read(octets: &[u8]) -> Option<Mark> {
        let (first, second) = (be(octets)?, be(octets.get(8..)?)?);
        let number = reveal(first)?;
        Some(match first & END {
            0 => Mark::Number(number, Instant::from_nanos(second)),
            _ => Mark::End(number),
        })
    }
}

/// What a receiver knows of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Datagrams that came, duplicates included.
    pub(super) received: u64,
    /// Numbers that never came.
    pub(super) lost: u64,
    /// Datagrams that came after a later one.
    pub(super) reordered: u64,
    /// Datagrams that had come before.
    pub(super) duplicated: u64,
    /// Octets of payload that came.
    pub(super) octets: u64,
    /// Interarrival jitter, RFC 3550 §6.4.1, nanoseconds.
    pub(super) jitter: u64,
}

impl Report {
    /// The answer to the end of `sent` datagrams.
    pub(super) fn write(&self, sent: u64) -> [u8; REPORT] {
        let mut out = [0; REPORT];
        let end = disguise(sent) | END;
        let words =
            [end, self.received, self.lost, self.reordered, self.duplicated, self.octets, self.jitter];
        for (place, word) in out.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// Reads the answer to the end of `sent` datagrams.
    pub(super) fn read(octets: &[u8], sent: u64) -> Option<Report> {
        let octets: &[u8; REPORT] = octets.try_into().ok()?;
        let mut words = [0; 7];
        for (word, octets) in words.iter_mut().zip(octets.chunks_exact(8)) {
            *word = be(octets)?;
        }
        let [end, received, lost, reordered, duplicated, octets, jitter] = words;
        (end == disguise(sent) | END).then_some(Report {
            received,
            lost,
            reordered,
            duplicated,
            octets,
            jitter,
        })
    }
}

/// A receiver's memory of one flow.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    report: Report,
    /// The number after the highest.
    next: u64,
    /// Whether number n came, at bit n mod [`WINDOW`].
    window: Box<[u64; (WINDOW / 64) as usize]>,
    /// Times of sending and arrival of the last one.
    last: Option<(Instant, Instant)>,
    /// Jitter times 16.
    jitter: u64,
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker { report: Report::default(), next: 0, window: Box::new([0; 64]), last: None, jitter: 0 }
    }
}

impl Tracker {
    /// Takes datagram `number` of `octets` octets, sent and arrived then.
    pub(super) fn take(&mut self, number: u64, octets: usize, sent: Instant, arrived: Instant) {
        self.report.received += 1;
        self.report.octets += octets as u64;
        if number >= self.next {
            match number - self.next {
                0 => self.set(number, false),
                jump @ 1..WINDOW => (0..=jump).for_each(|n| self.set(self.next + n, false)),
                _ => self.window.fill(0),
            }
            self.set(number, true);
            self.next = number + 1;
        } else if self.next - number <= WINDOW && self.window[slot(number)] & bit(number) != 0 {
            self.report.duplicated += 1;
        } else {
            self.report.reordered += 1;
            if self.next - number <= WINDOW {
                self.set(number, true);
            }
        }
        if let Some((last_sent, last_arrived)) = self.last {
            let gap = |now: Instant, then: Instant| now.as_nanos().wrapping_sub(then.as_nanos()) as i64;
            let d = gap(arrived, last_arrived).wrapping_sub(gap(sent, last_sent)).unsigned_abs();
            // RFC 3550 appendix A.8: J += (|D| - J) / 16, scaled by 16.
            self.jitter = (self.jitter - self.jitter.saturating_add(8) / 16).saturating_add(d);
        }
        self.last = Some((sent, arrived));
    }

    fn set(&mut self, number: u64, came: bool) {
        let word = &mut self.window[slot(number)];
        *word = if came { *word | bit(number) } else { *word & !bit(number) };
    }

    /// The report so far; `sent` is how many there were, if that is known.
    pub(super) fn report(&self, sent: Option<u64>) -> Report {
        let unique = self.report.received - self.report.duplicated;
        let lost = sent.unwrap_or(0).max(self.next).saturating_sub(unique);
        Report { lost, jitter: self.jitter / 16, ..self.report }
    }
}

fn slot(number: u64) -> usize {
    (number % WINDOW / 64) as usize
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const T: Instant = Instant::ZERO;

    proptest! {
        /// Any order with jumps inside the window agrees with a set that remembers all.
        #[test]
        fn agrees_with_a_set(steps in vec((0u64..600, any::<bool>()), 0..300)) {
            let mut tracker = Tracker::default();
            let (mut seen, mut reordered, mut duplicated) = (BTreeSet::new(), 0, 0);
            let mut base: u64 = 0;
            for (step, back) in &steps {
                let number = if *back { base.saturating_sub(*step) } else { base + step };
                let highest = seen.last().copied();
                if !seen.insert(number) {
                    duplicated += 1;
                } else if highest.is_some_and(|highest| number < highest) {
                    reordered += 1;
                }
                base = base.max(number);
                tracker.take(number, 1, T, T);
            }
            let sent = seen.last().map_or(0, |highest| highest + 1) + 5;
            let report = tracker.report(Some(sent));
            prop_assert_eq!(report, Report {
                received: steps.len() as u64,
                lost: sent - seen.len() as u64,
                reordered,
                duplicated,
                octets: steps.len() as u64,
                jitter: 0,
            });
            prop_assert_eq!(Report::read(&report.write(sent), sent), Some(report));
            prop_assert_eq!(Report::read(&report.write(sent), sent + 1), None);
        }

        #[test]
        fn any_datagrams_are_taken(datagrams in vec(vec(any::<u8>(), 0..40), 0..40), numbers in vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..40)) {
            let mut tracker = Tracker::default();
            for datagram in &datagrams {
                let _ = (Mark::read(datagram), Report::read(datagram, 0));
            }
            for (number, sent, arrived) in numbers {
                tracker.take(number & !END, 1, Instant::from_nanos(sent), Instant::from_nanos(arrived));
            }
            let _ = tracker.report(None);
        }
    }

    #[test]
    fn marks_survive() {
        let mut octets = [0; HEADER];
        for mark in [Mark::Number(7, Instant::from_nanos(9)), Mark::End(12)] {
            mark.write(&mut octets);
            assert_eq!(Mark::read(&octets), Some(mark));
        }
        assert_eq!(Mark::read(&octets[..15]), None);
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let mut tracker = Tracker::default();
        for n in 0..200 {
            // Every second one is a millisecond late: |D| is 1 ms each time, and so becomes J.
            let arrived = Instant::from_millis(n * 10 + n % 2);
            tracker.take(n, 1, Instant::from_millis(n * 10), arrived);
        }
        let jitter = tracker.report(None).jitter;
        assert!(jitter.abs_diff(1_000_000) < 1000, "{jitter}");
    }
}
