//! NewReno's window: RFC 5681 §3.1 (slow start, congestion avoidance), equation 4.

use super::{AckInfo, CongestionControl, HyStart, Window};
use crate::time::Instant;

/// Congestion avoidance by counting octets (RFC 3465): one segment a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NewReno {
    /// Octets acknowledged since the window last grew.
    counted: u32,
    /// What ends the first slow start besides a loss.
    hystart: Option<HyStart>,
}

impl NewReno {
    pub(crate) fn new(hystart: Option<HyStart>) -> NewReno {
        NewReno { counted: 0, hystart }
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

    fn on_loss(&mut self, w: &Window, flight: u32, _now: Instant) -> u32 {
        self.counted = 0;
        // RFC 5681 equation 4
        (flight / 2).max(2 * w.mss)
    }

    fn on_timeout(&mut self) {
        self.counted = 0;
    }

    fn copy(&self) -> Box<dyn CongestionControl> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::tcp::seq::SeqNum;

    fn ack(acked: u32) -> AckInfo {
        let edge = SeqNum(0);
        AckInfo { acked, una: edge, nxt: edge, now: Instant::ZERO, rtt: None, srtt: None }
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
        assert_eq!(cc.on_loss(&w, 14_000, Instant::ZERO), 7_000);
        assert_eq!(cc.on_loss(&w, 1_000, Instant::ZERO), 2_000);
    }
}
