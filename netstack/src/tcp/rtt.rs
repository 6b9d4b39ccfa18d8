//! The round trip and the retransmission timeout: RFC 6298.

use super::config::{RtoFloor, TcpConfig};
use crate::time::Duration;

/// The timeout when data is sent and the handshake gave no measurement, as its SYN was lost (RFC 6298 §5.7).
const AFTER_SYN_LOSS: Duration = Duration::from_secs(3);

/// Estimates of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// SRTT and RTTVAR, from the first measurement on.
    smooth: Option<(Duration, Duration)>,
    /// Least seen.
    min: Duration,
    /// The last measurement, until it is taken.
    latest: Option<Duration>,
    /// How many there were; it begins anew some time.
    samples: u32,
    /// How often the timeout was doubled since the last progress.
    backoff: u8,
    /// The SYN was sent again.
    syn_lost: bool,
}

impl Rtt {
    pub(crate) fn new() -> Rtt {
        Rtt { smooth: None, min: Duration::MAX, latest: None, samples: 0, backoff: 0, syn_lost: false }
    }

    /// Takes a measurement R' (RFC 6298 §2.2, §2.3).
    pub(crate) fn sample(&mut self, r: Duration) {
        // A clock that did not move still means that time has passed.
        let r = r.max(Duration::from_micros(1));
        self.min = self.min.min(r);
        (self.latest, self.samples) = (Some(r), self.samples.wrapping_add(1));
        self.smooth = Some(match self.smooth {
            None => (r, r / 2),
            Some((srtt, var)) => ((srtt * 7 + r) / 8, (var * 3 + srtt.abs_diff(r)) / 4),
        });
    }

    /// How many measurements there were.
    pub(crate) fn samples(&self) -> u32 {
        self.samples
    }

    /// SRTT.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.smooth.map(|(srtt, _)| srtt)
    }

    /// RTTVAR.
    pub(crate) fn var(&self) -> Option<Duration> {
        self.smooth.map(|(_, var)| var)
    }

    /// Least measurement.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.smooth.map(|_| self.min)
    }

    /// The last measurement, if it was made since the last call: each counts once (RFC 9406 §4.2).
    pub(crate) fn take_latest(&mut self) -> Option<Duration> {
        self.latest.take()
    }

    /// The timeout as of now, backed off.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let base = match self.smooth {
            None if self.syn_lost => config.rto_initial.max(AFTER_SYN_LOSS),
            None => config.rto_initial,
            Some((srtt, var)) => {
                let measured = match config.rto_floor {
                    RtoFloor::Variance => srtt + (var * 4).max(config.rto_min),
                    RtoFloor::Sum => (srtt + var * 4).max(config.rto_min),
                };
                measured + config.rto_slop
            }
        };
        base.saturating_mul(1 << u32::from(self.backoff.min(20))).min(config.rto_max)
    }

    /// How often it was doubled since the last progress.
    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    /// RFC 6298 §5.5: the timeout doubles.
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// RFC 6298 §5.7: the connection is made, and its SYN was sent more than once.
    pub(crate) fn made_after_syn_loss(&mut self) {
        (self.syn_lost, self.backoff) = (true, 0);
    }

    /// There was progress.
    pub(crate) fn reset_backoff(&mut self) {
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rto_follows_rfc_6298_with_linux_floor() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new();
        assert_eq!(rtt.rto(&config), Duration::from_secs(1));
        rtt.sample(Duration::from_millis(100));
        assert_eq!(rtt.rto(&config), Duration::from_millis(300), "R + max(200, 4 * R/2)");
        rtt.sample(Duration::from_millis(500));
        // SRTT 150, RTTVAR (3 * 50 + 400) / 4 = 137.5
        assert_eq!(rtt.rto(&config), Duration::from_millis(700));
        rtt.back_off();
        assert_eq!(rtt.rto(&config), Duration::from_millis(1400));
        for _ in 0..100 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(&config), Duration::from_secs(120));
        rtt.reset_backoff();
        assert_eq!(rtt.rto(&config), Duration::from_millis(700));
        assert_eq!(rtt.min(), Some(Duration::from_millis(100)));
        assert_eq!((rtt.take_latest(), rtt.take_latest()), (Some(Duration::from_millis(500)), None));
    }
}
