//! Proportional rate reduction: RFC 6937. In a recovery with selective acknowledgments the sender sends in proportion to
//! what arrives, so that the window comes down to the new threshold within a round trip, and never by a burst or a silence.

/// The account of one recovery, octets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prr {
    /// prr_delivered
    delivered: u64,
    /// prr_out
    out: u64,
    /// RecoverFS: what was in flight when it began.
    flight: u64,
}

impl Prr {
    /// A recovery begins with so many octets in flight.
    pub(super) fn begin(flight: u32) -> Prr {
        Prr { delivered: 0, out: 0, flight: u64::from(flight.max(1)) }
    }

    /// So many octets were sent.
    pub(super) fn sent(&mut self, octets: u32) {
        self.out += u64::from(octets);
    }

    /// So many octets have arrived, says an acknowledgment; `pipe` are still under way. Returns how many may be sent now (sndcnt).
    pub(super) fn may_send(&mut self, delivered: u32, pipe: u32, ssthresh: u32, mss: u32) -> u32 {
        self.delivered += u64::from(delivered);
        let sndcnt = if pipe > ssthresh {
            // Proportional rate reduction
            (self.delivered * u64::from(ssthresh)).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            // Slow start reduction bound
            let bound = self.delivered.saturating_sub(self.out).max(u64::from(delivered)) + u64::from(mss);
            bound.min(u64::from(ssthresh - pipe))
        };
        u32::try_from(sndcnt).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_comes_down_by_half_in_a_round_trip() {
        // RFC 6937 §5's first example: twenty segments in flight, one lost, ssthresh ten.
        let (mut prr, mut pipe, mut sent) = (Prr::begin(20_000), 19_000, Vec::new());
        for _ in 0..19 {
            pipe -= 1000;
            let n = prr.may_send(1000, pipe, 10_000, 1000) / 1000;
            prr.sent(n * 1000);
            pipe += n * 1000;
            sent.push(n);
        }
        assert_eq!(&sent[..8], [0, 1, 0, 1, 0, 1, 0, 1], "every second acknowledgment sends one");
        assert_eq!(pipe, 10_000);
    }

    #[test]
    fn below_the_threshold_it_grows_as_in_slow_start() {
        // Fifteen of twenty were lost: two for each that arrives.
        let (mut prr, mut pipe) = (Prr::begin(20_000), 5_000);
        let mut sent = 0;
        for _ in 0..4 {
            pipe -= 1000;
            let n = prr.may_send(1000, pipe, 10_000, 1000);
            prr.sent(n);
            pipe += n;
            sent += n;
        }
        assert_eq!((sent, pipe), (8_000, 9_000));
        assert!(prr.may_send(5_000, pipe, 10_000, 1000) <= 1000);
    }
}
