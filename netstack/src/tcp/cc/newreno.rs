//! NewReno's window: RFC 5681 §3.1 (slow start, congestion avoidance), equation 4; RFC 8511.

use super::{AckInfo, Congestion, CongestionControl, HyStart, Window};
use crate::time::Instant;

/// β_loss and β_ecn (RFC 8511 §3.1), in hundredths.
const BETA_LOSS: u32 = 50;
/// See [`BETA_LOSS`].
const BETA_ECN: u32 = 80;

/// Congestion avoidance by counting octets (RFC 3465): one segment a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NewReno {
    /// Octets acknowledged since the window last grew.
    counted: u32,
    /// What ends the first slow start besides a loss.
    hystart: Option<HyStart>,
    /// A mark means a shorter queue than a loss does (RFC 8511).
    abe: bool,
}

impl NewReno {
    pub(crate) fn new(hystart: Option<HyStart>, abe: bool) -> NewReno {
        NewReno { counted: 0, hystart, abe }
    }
}

impl CongestionControl for NewReno {
    fn on_ack(&mut self, w: &mut Window, ack: &AckInfo) {
        let mut rest = ack.acked;
        if w.in_slow_start() {
            rest = match &mut self.hystart {
                Some(hystart) => hystart.slow_start(w, ack),
                None => w.slow_start(rest),
            };
        }
        // RFC 5681 §3.1: congestion avoidance
        self.counted = self.counted.saturating_add(rest);
        while self.counted >= w.cwnd {
            self.counted -= w.cwnd;
            w.cwnd = w.cwnd.saturating_add(w.mss);
        }
    }

    fn on_congestion(&mut self, w: &Window, flight: u32, why: Congestion, _now: Instant) -> u32 {
        self.counted = 0;
        let beta = match why {
            // RFC 8511 §3.1: in congestion avoidance only.
            Congestion::Mark if self.abe && !w.in_slow_start() => BETA_ECN,
            Congestion::Mark | Congestion::Loss => BETA_LOSS,
        };
        // RFC 5681 equation 4
        w.reduced(flight, beta)
    }

    fn on_timeout(&mut self) {
        self.counted = 0;
    }

    fn copy(&self) -> Option<Box<dyn CongestionControl>> {
        Some(Box::new(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::tcp::seq::SeqNum;

    fn ack(acked: u32) -> AckInfo {
        let edge = SeqNum(0);
        AckInfo {
            acked,
            una: edge,
            nxt: edge,
            now: Instant::ZERO,
            rtt: None,
            srtt: None,
            ..AckInfo::default()
        }
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let (mut cc, mut w) = (NewReno::default(), Window { cwnd: 10_000, ssthresh: 16_000, mss: 1000 });
        for _ in 0..10 {
            cc.on_ack(&mut w, &ack(1000));
        }
        assert_eq!(w.cwnd, 16_000, "slow start ends at ssthresh; 4000 octets count for avoidance");
        for _ in 0..12 {
            cc.on_ack(&mut w, &ack(1000));
        }
        assert_eq!(w.cwnd, 17_000);
        for _ in 0..16 {
            cc.on_ack(&mut w, &ack(1000));
        }
        assert_eq!(w.cwnd, 17_000);
        cc.on_ack(&mut w, &ack(1000));
        assert_eq!(w.cwnd, 18_000);
    }

    #[test]
    fn a_loss_halves_what_is_in_flight_but_leaves_two_segments() {
        let (mut cc, w) = (NewReno::default(), Window { cwnd: 20_000, ssthresh: u32::MAX, mss: 1000 });
        assert_eq!(cc.on_congestion(&w, 14_000, Congestion::Loss, Instant::ZERO), 7_000);
        assert_eq!(cc.on_congestion(&w, 1_000, Congestion::Loss, Instant::ZERO), 2_000);
    }
}
