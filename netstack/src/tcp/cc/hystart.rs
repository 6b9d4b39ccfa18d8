//! HyStart++: RFC 9406. The first slow start ends when the round trip rises, before the queue of
//! the narrowest link overflows; a rise that does not last only slows it down for a while.
//!
//! Only the first slow start (§4.3): a later one ends at the threshold that the first has found.
//! L is infinite (§4.3 wants 8 of a sender that does not pace): receivers on a bus acknowledge a
//! burst of 64 segments at once, and the interface's queue spreads what follows.
//!
//! What the RFC asks for (§4.2, §4.3), and where it is: rounds end when what was SND.NXT at their begin is acknowledged
//! ([`HyStart::slow_start`]); 8 measurements before a judgment, an eighth of the round trip within 4 and 16 ms, back from
//! conservative slow start if the least round trip falls below its baseline ([`HyStart::measure`]); a quarter of the growth,
//! five rounds, the one in which it began included, then `ssthresh` is the window ([`HyStart::end_round`]); a loss or a mark
//! ends it by the threshold that it sets.
//!
//! Linux's CUBIC still has the older HyStart (delay, and trains of acknowledgments), which ends slow start at once and also
//! later ones.

use super::{AckInfo, Window};
use crate::tcp::seq::SeqNum;
use crate::time::Duration;

/// Least and largest rise of the round trip that counts.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// See [`MIN_RTT_THRESH`].
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// Between the two: this part of the round trip.
const MIN_RTT_DIVISOR: u32 = 8;
/// Measurements of a round before it is judged.
const N_RTT_SAMPLE: u32 = 8;
/// How much slower the window grows in conservative slow start.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// Rounds of conservative slow start, at most.
const CSS_ROUNDS: u32 = 5;

/// How the window grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// As ever.
    SlowStart,
    /// Conservative slow start (CSS): the round trip has risen to `baseline`, `rounds` ended since.
    Conservative { baseline: Duration, rounds: u32 },
}

/// One connection's slow start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyStart {
    phase: Phase,
    /// SND.NXT when the round began: it ends when this is acknowledged. `None`: before the first.
    window_end: Option<SeqNum>,
    /// Least round trip of the round before.
    last_min: Option<Duration>,
    /// Least round trip of this round, of so many.
    current_min: Option<Duration>,
    samples: u32,
}

impl Default for HyStart {
    fn default() -> HyStart {
        HyStart { phase: Phase::SlowStart, window_end: None, last_min: None, current_min: None, samples: 0 }
    }
}

impl HyStart {
    /// [`Window::slow_start`], which sets `ssthresh` when it is time for congestion avoidance.
    pub(crate) fn slow_start(&mut self, w: &mut Window, ack: &AckInfo) -> u32 {
        if w.ssthresh != u32::MAX {
            return w.slow_start(ack.acked);
        }
        let growth = match self.phase {
            Phase::SlowStart => ack.acked,
            Phase::Conservative { .. } => ack.acked / CSS_GROWTH_DIVISOR,
        };
        w.cwnd = w.cwnd.saturating_add(growth);
        self.measure(ack.rtt);
        // The first round is of what is in flight when its first ACK comes.
        if ack.una.ge(*self.window_end.get_or_insert(ack.nxt)) {
            self.end_round(w, ack.nxt);
        }
        0
    }

    /// RFC 9406 §4.2: the round trip of this round against the last one's.
    fn measure(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.current_min = Some(self.current_min.map_or(rtt, |min| min.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        let Some(current) = self.current_min.filter(|_| self.samples >= N_RTT_SAMPLE) else { return };
        match (self.phase, self.last_min) {
            (Phase::SlowStart, Some(last)) if current >= last.saturating_add(threshold(last)) => {
                self.phase = Phase::Conservative { baseline: current, rounds: 0 };
            }
            // It fell again: the rise was jitter.
            (Phase::Conservative { baseline, .. }, _) if current < baseline => self.phase = Phase::SlowStart,
            (Phase::SlowStart | Phase::Conservative { .. }, _) => {}
        }
    }

    /// RFC 9406 §4.2: the next round begins; the part of a round in which CSS began counts as one.
    fn end_round(&mut self, w: &mut Window, nxt: SeqNum) {
        self.window_end = Some(nxt);
        (self.last_min, self.current_min, self.samples) = (self.current_min, None, 0);
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            *rounds += 1;
            if *rounds >= CSS_ROUNDS {
                w.ssthresh = w.cwnd;
            }
        }
    }
}

/// RttThresh
fn threshold(last: Duration) -> Duration {
    (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    const MSS: u32 = 1000;

    /// A sender that is never without data, and its window.
    struct Sender {
        hystart: HyStart,
        w: Window,
        una: SeqNum,
        nxt: SeqNum,
    }

    impl Sender {
        fn new() -> Sender {
            let w = Window { cwnd: 10 * MSS, ssthresh: u32::MAX, mss: MSS };
            // The first round crosses the end of the circle.
            let una = SeqNum(u32::MAX - 3000);
            Sender { hystart: HyStart::default(), w, una, nxt: una + w.cwnd }
        }

        /// One segment is acknowledged.
        fn ack(&mut self, ms: u64) {
            self.una += MSS;
            let rtt = Some(Duration::from_millis(ms));
            let ack = AckInfo {
                acked: MSS,
                una: self.una,
                nxt: self.nxt,
                now: Instant::ZERO,
                rtt,
                srtt: rtt,
                ..AckInfo::default()
            };
            self.hystart.slow_start(&mut self.w, &ack);
            self.nxt = self.una + self.w.cwnd / MSS * MSS;
        }

        /// One round. Returns how many octets the window grows for a hundred that are acknowledged.
        fn round(&mut self, ms: u64) -> u32 {
            let end = self.hystart.window_end.unwrap_or(self.nxt);
            let (una, cwnd) = (self.una, self.w.cwnd);
            while self.una.lt(end) && self.w.in_slow_start() {
                self.ack(ms);
            }
            (self.w.cwnd - cwnd) * 100 / self.una.since(una)
        }

        fn is_conservative(&self) -> bool {
            matches!(self.hystart.phase, Phase::Conservative { .. })
        }
    }

    #[test]
    fn a_steady_round_trip_doubles_the_window_for_ever() {
        let mut s = Sender::new();
        assert!((0..10).all(|_| s.round(50) == 100));
        assert!(s.w.cwnd > 5_000 * MSS && s.w.ssthresh == u32::MAX, "{:?}", s.w);
    }

    #[test]
    fn a_round_trip_that_rises_ends_slow_start_after_five_slow_rounds() {
        let mut s = Sender::new();
        s.round(50);
        s.round(50);
        // 50 ms / 8 = 6.25 ms
        assert_eq!(s.round(56), 100, "not yet");
        // 56 ms + 7 ms: the eighth ACK shows it.
        assert!((25..50).contains(&s.round(63)));
        assert!(s.is_conservative());
        for round in 2..=5 {
            assert!(s.w.in_slow_start(), "round {round}");
            assert_eq!(s.round(70), 25, "round {round}");
        }
        assert_eq!(s.w.ssthresh, s.w.cwnd, "on to congestion avoidance");
    }

    #[test]
    fn a_rise_that_does_not_last_is_forgotten() {
        let mut s = Sender::new();
        s.round(50);
        s.round(60);
        assert!(s.is_conservative());
        s.round(60);
        assert!(s.is_conservative(), "as long as it is no less than when it rose");
        s.round(59);
        assert!(!s.is_conservative());
        assert_eq!(s.round(59), 100);
        assert_eq!(s.w.ssthresh, u32::MAX);
    }

    #[test]
    fn the_threshold_is_an_eighth_of_4_to_16_ms() {
        for (rtt, rise) in [(1, 4), (32, 4), (64, 8), (128, 16), (1000, 16)] {
            assert_eq!(threshold(Duration::from_millis(rtt)), Duration::from_millis(rise));
            for (ms, found) in [(rtt + rise - 1, false), (rtt + rise, true)] {
                let mut s = Sender::new();
                s.round(rtt);
                s.round(ms);
                assert_eq!(s.is_conservative(), found, "{rtt} ms, then {ms} ms");
            }
        }
    }

    #[test]
    fn seven_measurements_prove_nothing() {
        let mut s = Sender::new();
        s.round(50);
        (0..7).for_each(|_| s.ack(500));
        assert!(!s.is_conservative());
        s.ack(500);
        assert!(s.is_conservative());
    }

    #[test]
    fn later_slow_starts_end_at_the_threshold() {
        let mut s = Sender::new();
        s.w.ssthresh = 12_500;
        s.ack(50);
        s.ack(50);
        assert_eq!(s.w.cwnd, 12_000);
        let ack = AckInfo {
            acked: MSS,
            una: s.nxt,
            nxt: s.nxt,
            now: Instant::ZERO,
            rtt: None,
            srtt: None,
            ..AckInfo::default()
        };
        assert_eq!((s.hystart.slow_start(&mut s.w, &ack), s.w.cwnd), (500, 12_500));
    }
}
