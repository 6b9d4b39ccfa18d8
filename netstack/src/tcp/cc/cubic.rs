//! CUBIC: RFC 9438. After a loss the window follows a cubic curve of time that is flat where the
//! loss was, and is at least what Reno's would be.
//!
//! Windows are octets where the RFC has segments, times are seconds. The arithmetic is that of
//! IEEE 754's basic operations only, so that runs repeat on every machine.
//!
//! What the RFC asks for, and where it is:
//!
//! | § | | here |
//! |---|---|---|
//! | 4.2 | MUST NOT grow, nor count time, while the program limits the sender | `ack` asks, [`Cubic::on_app_limited`] |
//! | 4.2 | target between the window and one and a half | [`Cubic::avoid_congestion`] |
//! | 4.3 | SHOULD be W_est where that is larger; α SHOULD be 1 from cwnd_prior on | the same |
//! | 4.4, 4.5 | MUST grow by (target - cwnd) / cwnd for each segment | the same, by octets |
//! | 4.6 | MUST reduce at once, MAY by PRR; β SHOULD be 0.7 | `ack`, `prr`; [`Cubic::on_congestion`] |
//! | 4.7 | fast convergence SHOULD be | [`Cubic::on_congestion`] |
//! | 4.8 | a timeout: K 0, W_max and W_est of the congestion avoidance that begins | [`Cubic::on_timeout`] |
//! | 4.9 | spurious losses SHOULD be undone | `undo` puts back a copy from before the loss |
//! | 4.10 | MUST have a slow start; MAY leave the first by HyStart++ | `hystart` |
//! | 5.1 | C SHOULD be 0.4 | [`C`] |
//!
//! As on Linux, and otherwise than in the RFC: slow start ends where the window reaches the threshold, not beyond it (§4.10); a
//! mark leaves two segments, not one (§4.6). As in the RFC, and otherwise than on Linux: β of what is in flight, not of the
//! window (§4.6); the state of the curve comes back after a spurious loss (§4.9). A mark of ECN is a loss (§4.6), or less by
//! RFC 8511.

use super::{AckInfo, Congestion, CongestionControl, HyStart, Window};
use crate::time::{Duration, Instant};

/// Segments a second cubed (§5.1).
const C: f64 = 0.4;
/// β_cubic (§4.6), in hundredths.
const BETA_LOSS: u32 = 70;
const BETA: f64 = BETA_LOSS as f64 / 100.0;
/// β_ecn (RFC 8511 §3.1), in hundredths.
const BETA_ECN: u32 = 85;
/// α_cubic (§4.3): with β, on average the window of Reno.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// One connection's state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cubic {
    hystart: HyStart,
    /// W_max: where the curve is flat. 0 while there was no loss, and after a timeout (§4.8, §4.10).
    w_max: f64,
    /// The window when `ssthresh` was set last.
    cwnd_prior: f64,
    /// The congestion avoidance that is going on.
    epoch: Option<Epoch>,
    /// A mark means a shorter queue than a loss does (RFC 8511).
    abe: bool,
}

impl CongestionControl for Cubic {
    fn on_ack(&mut self, w: &mut Window, ack: &AckInfo) {
        let mut rest = ack.acked;
        if w.in_slow_start() {
            let first = w.ssthresh == u32::MAX;
            self.epoch = None;
            rest = self.hystart.slow_start(w, ack);
            // §4.10: HyStart++ has ended it.
            if first && !w.in_slow_start() {
                self.cwnd_prior = f64::from(w.cwnd);
            }
        }
        if rest > 0 {
            self.avoid_congestion(w, rest, ack);
        }
    }

    fn on_app_limited(&mut self, ack: &AckInfo) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start += ack.now.since(epoch.seen);
            epoch.see(ack);
        }
    }

    fn on_congestion(&mut self, w: &Window, flight: u32, why: Congestion, _now: Instant) -> u32 {
        let cwnd = f64::from(w.cwnd);
        // §4.7: fast convergence. Someone else needs room: turn flat earlier.
        self.w_max = if cwnd < self.w_max { cwnd * (1.0 + BETA) / 2.0 } else { cwnd };
        self.cwnd_prior = cwnd;
        self.epoch = None;
        // §4.6
        w.reduced(
            flight,
            match why {
                Congestion::Mark if self.abe && !w.in_slow_start() => BETA_ECN,
                Congestion::Mark | Congestion::Loss => BETA_LOSS,
            },
        )
    }

    fn on_timeout(&mut self) {
        // §4.8: K = 0, W_max is what the window will be when congestion avoidance begins.
        self.w_max = 0.0;
        self.epoch = None;
    }

    fn copy(&self) -> Option<Box<dyn CongestionControl>> {
        Some(Box::new(*self))
    }
}

impl Cubic {
    pub(crate) fn new(abe: bool) -> Cubic {
        Cubic { abe, ..Cubic::default() }
    }

    /// §4.2 to §4.5, for `acked` octets.
    fn avoid_congestion(&mut self, w: &mut Window, acked: u32, ack: &AckInfo) {
        let epoch = self.epoch.get_or_insert_with(|| {
            self.w_max = self.w_max.max(f64::from(w.cwnd));
            Epoch::begin(self.w_max, w, ack.now)
        });
        epoch.skip_idle(ack);
        epoch.see(ack);
        let cwnd = f64::from(w.cwnd);
        // An ACK is of no more than the window.
        let share = f64::from(acked.min(w.cwnd)) / cwnd.max(1.0);

        // §4.3: Reno's window, which grows as Reno's does once it is where the loss was.
        let alpha = if epoch.w_est >= self.cwnd_prior { 1.0 } else { ALPHA };
        epoch.w_est += alpha * f64::from(w.mss) * share;

        let t = ack.now.since(epoch.start);
        let next = if epoch.curve.at(t) < epoch.w_est {
            epoch.w_est.max(cwnd)
        } else {
            // §4.4, §4.5: one round trip to get from here to there.
            let target = epoch.curve.at(t.saturating_add(ack.srtt.unwrap_or_default()));
            let target = target.clamp(cwnd, 1.5 * cwnd);
            cwnd + epoch.fraction + (target - cwnd) * share
        };
        // No less than before, no more than 2^32 - 1.
        w.cwnd = next as u32;
        epoch.fraction = next.fract();
    }
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// t_epoch, later by the times that do not count.
    start: Instant,
    curve: Curve,
    /// W_est: the window that Reno would have.
    w_est: f64,
    /// The part of an octet that the window has grown besides.
    fraction: f64,
    /// When an acknowledgment came last.
    seen: Instant,
    /// It left nothing in flight.
    drained: bool,
}

impl Epoch {
    fn begin(w_max: f64, w: &Window, now: Instant) -> Epoch {
        let cwnd = f64::from(w.cwnd);
        let curve = Curve::new(w_max, cwnd, w.mss);
        Epoch { start: now, curve, w_est: cwnd, fraction: 0.0, seen: now, drained: false }
    }

    /// §5.8: between an ACK that left nothing in flight and the next one, only the round trip counts.
    fn skip_idle(&mut self, ack: &AckInfo) {
        if self.drained {
            let under_way = ack.rtt.or(ack.srtt).unwrap_or_default();
            self.start += ack.now.since(self.seen).saturating_sub(under_way);
        }
    }

    fn see(&mut self, ack: &AckInfo) {
        (self.seen, self.drained) = (ack.now, ack.una == ack.nxt);
    }
}

/// W_cubic (§4.2, equation 1).
#[derive(Clone, Copy, Debug)]
struct Curve {
    /// C, octets a second cubed.
    c: f64,
    /// K, seconds (equation 2).
    k: f64,
    /// W_max, octets.
    w_max: f64,
}

impl Curve {
    /// The curve from `cwnd`, at time 0, over `w_max`.
    fn new(w_max: f64, cwnd: f64, mss: u32) -> Curve {
        let c = C * f64::from(mss.max(1));
        Curve { c, k: cube_root((w_max - cwnd) / c), w_max }
    }

    /// Octets at time `t`.
    fn at(&self, t: Duration) -> f64 {
        let d = t.as_secs_f64() - self.k;
        self.c * (d * d * d) + self.w_max
    }
}

/// Cube root of what is not negative. `f64::cbrt` may differ from one platform to the next.
fn cube_root(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    // A third of the exponent is within some percent (Kahan); Newton's method does the rest.
    let mut root = f64::from_bits(x.to_bits() / 3 + (0x2a9f_7893 << 32));
    for _ in 0..4 {
        root -= (root * root * root - x) / (3.0 * root * root);
    }
    root
}

#[cfg(test)]
mod tests;
