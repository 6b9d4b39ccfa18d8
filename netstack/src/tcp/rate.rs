//! The delivery rate: draft-cheng-iccrg-delivery-rate-estimation-02. How fast the network carried what an acknowledgment is
//! about: the octets that arrived while a segment was under way, by the longer of the times in which they were sent and in
//! which they were acknowledged.
//!
//! Octets where the draft has packets. What the program left unused of the path is marked (§3.4): such a sample is a lower bound.

use super::rtx::Sent;
use super::tcb::Tcb;
use crate::time::{Duration, Instant};

/// What was known when a segment was sent (§3.1: P.delivered, P.delivered_time, P.first_sent_time, P.is_app_limited).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    app_limited: bool,
}

/// A measurement (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Octets that had arrived in all when the segment was sent.
    pub(crate) prior_delivered: u64,
    /// Octets that have arrived since.
    pub(crate) delivered: u64,
    /// In what time.
    pub(crate) interval: Duration,
    /// The program had nothing to send at that time.
    pub(crate) app_limited: bool,
}

impl Sample {
    /// Octets a second.
    pub(crate) fn rate(&self) -> u64 {
        let ns = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        u64::try_from(u128::from(self.delivered) * 1_000_000_000 / u128::from(ns)).unwrap_or(u64::MAX)
    }
}

/// One connection's account (§3.1: C.delivered, C.delivered_time, C.first_sent_time, C.app_limited).
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    /// Where `delivered` will be when the pause of the program is behind us.
    app_limited: Option<u64>,
    /// Of the segments that this acknowledgment is about, the one that was sent last: when, and what was known then.
    newest: Option<(Instant, Stamp)>,
    /// What the last acknowledgment has measured.
    sample: Option<Sample>,
}

impl Rate {
    /// For a segment that is sent now.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            app_limited: self.app_limited.is_some(),
        }
    }

    /// Nothing was in flight: the time before does not count (§3.2).
    pub(super) fn restart(&mut self, now: Instant) {
        (self.first_sent, self.delivered_at) = (now, now);
    }

    /// A segment has arrived, says an acknowledgment (§3.3, UpdateRateSample).
    pub(super) fn arrived(&mut self, sent: &Sent) {
        if self.newest.is_none_or(|(at, stamp)| (sent.at, sent.stamp.delivered) >= (at, stamp.delivered)) {
            self.newest = Some((sent.at, sent.stamp));
        }
    }

    /// That was all: `octets` have arrived (§3.3, GenerateRateSample).
    pub(super) fn acknowledged(&mut self, octets: u32, now: Instant, min_rtt: Option<Duration>) {
        self.sample = None;
        if octets == 0 {
            return;
        }
        self.delivered += u64::from(octets);
        self.delivered_at = now;
        self.app_limited = self.app_limited.filter(|until| self.delivered <= *until);
        let Some((at, stamp)) = self.newest.take() else { return };
        self.first_sent = at;
        let interval = at.since(stamp.first_sent).max(now.since(stamp.delivered_at));
        // What is faster than any round trip was said twice: the copy was taken for the original.
        if interval.is_zero() || min_rtt.is_some_and(|min| interval < min) {
            return;
        }
        self.sample = Some(Sample {
            prior_delivered: stamp.delivered,
            delivered: self.delivered - stamp.delivered,
            interval,
            app_limited: stamp.app_limited,
        });
    }

    /// What the last acknowledgment has measured.
    pub(super) fn sample(&self) -> Option<Sample> {
        self.sample
    }

    /// Octets that have arrived in all.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }
}

impl Tcb {
    /// The program writes. §3.4: it was a pause if there was less than a segment to send, though the window would have taken it.
    pub(super) fn note_pause(&mut self) {
        if self.unsent() < self.window.mss && self.rtx.lost() == 0 {
            let pipe = self.pipe();
            if pipe < self.window.cwnd {
                self.rate.app_limited = Some(self.rate.delivered + u64::from(pipe));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::rtx::RtxQueue;
    use crate::tcp::seq::SeqNum;

    /// Segments of 1000 octets by number, and what became of them.
    struct Path {
        rate: Rate,
        queue: RtxQueue,
    }

    impl Path {
        fn new() -> Path {
            let mut rate = Rate::default();
            rate.restart(Instant::from_millis(0));
            Path { rate, queue: RtxQueue::default() }
        }

        fn send(&mut self, n: u32, ms: u64) {
            let stamp = self.rate.stamp();
            self.queue.push(SeqNum(n * 1000), SeqNum(n * 1000 + 1000), Instant::from_millis(ms), stamp);
        }

        /// Everything before segment `n` has arrived.
        fn ack(&mut self, n: u32, ms: u64) -> Option<Sample> {
            let now = Instant::from_millis(ms);
            let rate = &mut self.rate;
            let acked = self.queue.ack(SeqNum(n * 1000), now, |sent| rate.arrived(sent));
            self.rate.acknowledged(acked.octets, now, Some(Duration::from_millis(100)));
            self.rate.sample()
        }
    }

    #[test]
    fn the_rate_is_what_arrived_while_the_segment_was_under_way() {
        let mut p = Path::new();
        (0..4).for_each(|n| p.send(n, 0));
        // The path takes 10 ms for each.
        assert_eq!(p.ack(1, 100).map(|s| (s.delivered, s.rate())), Some((1000, 10_000)));
        for n in 1..4 {
            p.send(n + 3, 90 + 10 * u64::from(n));
            p.ack(n + 1, 100 + 10 * u64::from(n));
        }
        // Sent at 100 ms, when 1000 had arrived; since then 4000 in 110 ms.
        let s = p.ack(5, 210).expect("a sample");
        assert_eq!((s.prior_delivered, s.delivered, s.interval), (1000, 4000, Duration::from_millis(110)));
        assert_eq!(s.rate(), 36_363);
    }

    #[test]
    fn acknowledgments_that_come_together_do_not_make_the_path_faster() {
        let mut p = Path::new();
        for n in 0..10 {
            p.send(n, 10 * u64::from(n));
        }
        // All at once, but they were sent over 90 ms, and the first stamp is of time 0.
        let s = p.ack(10, 190).expect("a sample");
        assert_eq!((s.delivered, s.interval), (10_000, Duration::from_millis(190)));
        for n in 10..20 {
            p.send(n, 100 + 10 * u64::from(n));
        }
        // Sent from 200 to 290 ms; the acknowledgments took from 190 to 390.
        let s = p.ack(20, 390).expect("a sample");
        assert_eq!((s.delivered, s.interval), (10_000, Duration::from_millis(200)));
    }

    #[test]
    fn acknowledgments_that_were_held_up_do_not_make_the_path_faster() {
        let mut p = Path::new();
        for n in 0..10 {
            p.send(n, 10 * u64::from(n));
        }
        // 50 ms late, and the rest behind them: 6000 octets in the 100 ms that follow, but they were sent over 150.
        p.ack(5, 190);
        p.send(10, 190);
        p.ack(10, 191);
        let s = p.ack(11, 290).expect("a sample");
        assert_eq!((s.delivered, s.interval), (6000, Duration::from_millis(150)));
    }

    #[test]
    fn a_sample_shorter_than_any_round_trip_is_none() {
        let mut p = Path::new();
        p.send(0, 0);
        assert_eq!(p.ack(1, 99), None);
        p.rate.restart(Instant::from_millis(200));
        p.send(1, 200);
        assert!(p.ack(2, 300).is_some());
        assert_eq!(p.ack(2, 301), None, "nothing has arrived");
    }

    #[test]
    fn a_pause_of_the_program_marks_what_is_sent_until_it_is_behind() {
        let mut p = Path::new();
        p.send(0, 0);
        p.rate.app_limited = Some(1000);
        p.send(1, 50);
        assert_eq!(p.ack(1, 100).map(|s| s.app_limited), Some(false), "it was sent before");
        p.send(2, 100);
        assert_eq!(p.ack(2, 150).map(|s| s.app_limited), Some(true));
        p.send(3, 160);
        assert_eq!(p.ack(3, 250).map(|s| s.app_limited), Some(true));
        assert_eq!(p.ack(4, 300).map(|s| s.app_limited), Some(false));
    }
}
