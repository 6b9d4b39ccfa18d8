//! Proportional rate reduction: RFC 9937 (which obsoletes RFC 6937), as Linux does it. In a recovery with selective
//! acknowledgments the sender sends in proportion to what arrives, so that the window comes down to the new threshold
//! within a round trip, and never by a burst or a silence.
//!
//! RFC 6937 let the sender choose how it comes back from below the threshold; since RFC 9937 §6.2 it is by slow start (SSRB)
//! where an acknowledgment makes progress and shows no further loss, else by as much as arrives (CRB).

use super::cc::Window;

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

/// What an acknowledgment in a recovery says besides that something has arrived (RFC 9937 §6.2's SafeACK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// SND.UNA has moved, and nothing more was found lost.
    Safe,
    /// It has not, or something was.
    Unsafe,
}

impl Progress {
    /// `octets` were acknowledged; whether something was found lost.
    pub(super) fn of(octets: u32, lost: bool) -> Progress {
        if octets > 0 && !lost { Progress::Safe } else { Progress::Unsafe }
    }
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
    pub(super) fn may_send(&mut self, delivered: u32, progress: Progress, pipe: u32, w: &Window) -> u32 {
        let Window { ssthresh, mss, .. } = *w;
        self.delivered += u64::from(delivered);
        let sndcnt = if pipe > ssthresh {
            // Proportional rate reduction
            (self.delivered * u64::from(ssthresh)).div_ceil(self.flight).saturating_sub(self.out)
        } else {
            // Conservative reduction bound, or slow start's
            let bound = self.delivered.saturating_sub(self.out).max(u64::from(delivered));
            let more = match progress {
                Progress::Safe => u64::from(mss),
                Progress::Unsafe => 0,
            };
            (bound + more).min(u64::from(ssthresh - pipe))
        };
        // The first retransmission goes at once.
        let least = if self.out == 0 { mss } else { 0 };
        u32::try_from(sndcnt).unwrap_or(u32::MAX).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Window = Window { cwnd: 20_000, ssthresh: 10_000, mss: 1000 };

    #[test]
    fn the_window_comes_down_by_half_in_a_round_trip() {
        // RFC 9937 §7's first example: twenty segments in flight, one lost, ssthresh ten. The first goes at once.
        let (mut prr, mut pipe, mut sent) = (Prr::begin(20_000), 19_000, Vec::new());
        for _ in 0..19 {
            pipe -= 1000;
            let n = prr.may_send(1000, Progress::Unsafe, pipe, &W) / 1000;
            prr.sent(n * 1000);
            pipe += n * 1000;
            sent.push(n);
        }
        assert_eq!(&sent[..8], [1, 0, 0, 1, 0, 1, 0, 1], "every second acknowledgment sends one");
        assert_eq!(pipe, 10_000);
    }

    #[test]
    fn below_the_threshold_it_grows_as_in_slow_start_when_that_is_safe() {
        for (progress, all) in [(Progress::Safe, 8_000), (Progress::Unsafe, 4_000)] {
            // Fifteen of twenty were lost: two for each that arrives, or one.
            let (mut prr, mut pipe) = (Prr::begin(20_000), 5_000);
            let mut sent = 0;
            for _ in 0..4 {
                pipe -= 1000;
                let n = prr.may_send(1000, progress, pipe, &W);
                prr.sent(n);
                pipe += n;
                sent += n;
            }
            assert_eq!((sent, pipe), (all, 1_000 + all), "{progress:?}");
        }
        let (mut prr, pipe) = (Prr::begin(20_000), 9_000);
        assert_eq!(prr.may_send(5_000, Progress::Safe, pipe, &W), 1_000, "no more than the threshold");
    }

    #[test]
    fn the_first_retransmission_waits_for_nothing() {
        let mut prr = Prr::begin(20_000);
        assert_eq!(prr.may_send(0, Progress::Unsafe, 19_000, &W), 1000);
        prr.sent(1000);
        assert_eq!(prr.may_send(0, Progress::Unsafe, 19_000, &W), 0);
    }

    #[test]
    fn progress_is_safe_when_nothing_more_is_lost() {
        assert_eq!(Progress::of(1, false), Progress::Safe);
        assert_eq!(Progress::of(0, false), Progress::Unsafe);
        assert_eq!(Progress::of(1, true), Progress::Unsafe);
    }
}
