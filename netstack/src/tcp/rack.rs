//! RACK-TLP: RFC 8985. With selective acknowledgments losses are found by time: a segment is lost when one that was sent
//! later has arrived, and the network has had time to put them in order. A tail of which nobody reports anything is
//! probed before the retransmission timeout.
//!
//! What is done about a loss stands in `ack`.
//!
//! What the RFC asks for, and where it is: §6.2 steps 1 to 3, [`Rack::delivered`] (the least round trip is `rtt`'s); step 4,
//! [`Rack::duplicate_seen`], [`Rack::recovered`], [`Tcb::reordering_window`] (MUST be bounded, SHOULD be by SRTT); step 5,
//! [`Tcb::detect_losses`] and the timer, [`Tcb::reorder_timeout`]; §6.3, `RtxQueue::mark_lost_on_timeout`; §7.2,
//! [`Tcb::schedule_probe`] (not in recovery, not while blocks are reported, no later than the timeout); §7.3,
//! [`Tcb::probe_timeout`] (MUST NOT be without the end of the one before; new data if there is some and the window takes it);
//! §7.4, [`Tcb::probe_answered`] (a loss that only the probe has seen MUST be answered as congestion).
//!
//! Where Linux is not the RFC's in values that a peer can see, [`RackRules`] chooses. Where it is in both profiles as on Linux:
//! RACK.rtt is that of the last segment in the order of the stream that an acknowledgment names, not of the one sent last
//! (§6.2 step 2), and a timeout's patience (§6.3) is without the reordering window.

use super::cc::Congestion;
use super::ecn::Sending;
use super::rtx::Sent;
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::{Cx, Recovery, Tcb};
use super::timestamp;
use crate::time::{Duration, Instant};

/// Recoveries for which a reordering window that was too small stays wide (RFC 8985 §6.2, step 4).
const PERSIST: u8 = 16;
/// TLP.max_ack_delay: how long a peer may delay the acknowledgment of a segment alone in flight (§7.2).
const ACK_DELAY: Duration = Duration::from_millis(200);
/// PTO before the first measurement (§7.2).
const FIRST_PTO: Duration = Duration::from_secs(1);

/// Two rules in which Linux is not as RFC 8985 wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RackRules {
    /// Linux: a duplicate that is reported widens the reordering window only if reordering was seen before, and not if it is
    /// a tail loss probe's; a probe may follow upon another though no round trip was measured since.
    Linux,
    /// Every such duplicate does (§6.2 step 4); a probe needs a new measurement (§7.3).
    Rfc,
}

/// What one connection knows of the order of its deliveries.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts, RACK.end_seq: of the segments that have arrived, when the one sent last was sent, and its end.
    newest: Option<(Instant, SeqNum)>,
    /// RACK.rtt: that one's time of flight.
    rtt: Duration,
    /// RACK.fack: the highest number that has arrived.
    fack: Option<SeqNum>,
    pub(super) order: Order,
    /// RACK.reo_wnd_mult, RACK.reo_wnd_persist
    mult: u8,
    persist: u8,
    /// RACK.dsack_round: one widening a round trip.
    round: Option<SeqNum>,
    /// The probe that is under way.
    probe: Option<Probe>,
    /// Round trips measured when the last one was sent.
    measured: u32,
}

/// How far segments were seen to be displaced (Linux's `tcp_check_sack_reordering`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// RACK.reordering_seen, and how often: once an acknowledgment for what it acknowledges, and once for its blocks.
    pub(super) seen: u32,
    /// Segments by which one was displaced at most; what is taken for granted if it was less.
    pub(super) degree: u32,
    /// The first segment that is now found to have arrived after a later one.
    late: Option<SeqNum>,
}

impl Order {
    /// A segment has arrived after others that were sent later: one that began at `start`.
    pub(super) fn is_late(&mut self, start: SeqNum) {
        self.late = Some(self.late.map_or(start, |late| late.earliest(start)));
    }

    /// What was late since the last call.
    pub(super) fn take_late(&mut self) -> Option<SeqNum> {
        self.late.take()
    }
}

/// TLP.end_seq, TLP.is_retrans
#[derive(Clone, Copy, Debug)]
struct Probe {
    end: SeqNum,
    again: bool,
}

impl Rack {
    /// `degree`: by how many segments one may be displaced without being missed.
    pub(super) fn new(degree: u32) -> Rack {
        Rack {
            newest: None,
            rtt: Duration::ZERO,
            fack: None,
            order: Order { seen: 0, degree, late: None },
            mult: 1,
            persist: PERSIST,
            round: None,
            probe: None,
            measured: 0,
        }
    }
}

/// What an acknowledgment says about time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) now: Instant,
    /// Least round trip seen.
    pub(super) min_rtt: Option<Duration>,
    /// How old the segment is that the echoed timestamp names.
    pub(super) echo_age: Option<Duration>,
}

impl Rack {
    /// A segment has arrived, says an acknowledgment (RFC 8985 §6.2, steps 2 and 3).
    pub(super) fn delivered(&mut self, sent: &Sent, arrival: &Arrival) {
        // Step 3
        if !sent.retransmitted && self.fack.is_some_and(|fack| sent.end.lt(fack)) {
            self.order.is_late(sent.start);
        }
        self.fack = Some(self.fack.map_or(sent.end, |fack| fack.latest(sent.end)));
        // Step 2
        let rtt = arrival.now.since(sent.at);
        if sent.retransmitted {
            // It may be the original that has arrived.
            let older = arrival.echo_age.is_some_and(|age| age > rtt + Duration::from_millis(1));
            if older || arrival.min_rtt.is_some_and(|min| rtt < min) {
                return;
            }
        }
        self.rtt = rtt;
        if self.newest.is_none_or(|newest| sent_after((sent.at, sent.end), newest)) {
            self.newest = Some((sent.at, sent.end));
        }
    }

    /// RACK.rtt
    pub(super) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// A segment that ended at `end` came twice, says D-SACK: the window was too small (step 4).
    pub(super) fn duplicate_seen(&mut self, rules: RackRules, end: SeqNum, (una, nxt): (SeqNum, SeqNum)) {
        let counts = match rules {
            RackRules::Linux => self.order.seen > 0 && self.probe.is_none_or(|probe| probe.end != end),
            RackRules::Rfc => true,
        };
        if counts && self.round.is_none_or(|round| una.ge(round)) {
            self.round = Some(nxt);
            self.mult = self.mult.saturating_add(1);
            self.persist = PERSIST;
        }
    }

    /// Numbers before `una` mean nothing any more.
    pub(super) fn forget_before(&mut self, una: SeqNum) {
        self.round = self.round.filter(|round| round.gt(una));
        self.fack = self.fack.map(|fack| fack.latest(una));
    }

    /// A recovery has ended.
    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            (self.mult, self.persist) = (1, PERSIST);
        }
    }
}

/// RACK_sent_after
pub(super) fn sent_after(a: (Instant, SeqNum), b: (Instant, SeqNum)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1.gt(b.1))
}

impl Tcb {
    /// RACK_detect_loss (RFC 8985 §6.2, steps 4 and 5): marks what is lost, and sets the timer for what may be. Returns whether
    /// something was.
    pub(super) fn detect_losses(&mut self, cx: &Cx<'_>) -> bool {
        self.t_reorder = None;
        let Some(newest) = self.rack.newest else { return false };
        let patience = self.rack.rtt + self.reordering_window(cx);
        let before = self.rtx.lost();
        self.t_reorder = self.rtx.mark_lost_before(cx.now, newest, patience);
        self.rtx.lost() > before
    }

    /// RACK_update_reo_wnd
    fn reordering_window(&self, cx: &Cx<'_>) -> Duration {
        let sure = self.in_recovery() || self.rtx.sacked_segments() >= cx.sh.config.dup_threshold;
        if self.rack.order.seen == 0 && sure {
            return Duration::ZERO;
        }
        let (Some(min), Some(srtt)) = (self.rtt.min(), self.rtt.srtt()) else { return Duration::ZERO };
        (min / 4 * u32::from(self.rack.mult)).min(srtt)
    }

    /// The segment at `late` has arrived after later ones: by how many it was displaced (Linux counts the full segments
    /// up to the highest number that has arrived).
    pub(super) fn count_reordering(&mut self, cx: &Cx<'_>, late: SeqNum) {
        let Some(fack) = self.rack.fack.map(|fack| fack.latest(self.snd_una)).filter(|fack| late.lt(*fack))
        else {
            return;
        };
        let degree = fack.since(late).div_ceil(self.window.mss.max(1)).min(cx.sh.config.max_reordering);
        self.rack.order.degree = self.rack.order.degree.max(degree);
        self.rack.order.seen = self.rack.order.seen.saturating_add(1);
    }

    /// When the echoed timestamp was sent.
    pub(super) fn arrival(&self, cx: &Cx<'_>, seg: &Segment<'_>) -> Arrival {
        let echo = seg.options.timestamps.filter(|ts| self.timestamps && ts.ecr != 0);
        let age = echo.map(|ts| timestamp(cx.now, self.ts_offset).wrapping_sub(ts.ecr));
        Arrival {
            now: cx.now,
            min_rtt: self.rtt.min(),
            echo_age: age.map(|ms| Duration::from_millis(u64::from(ms))),
        }
    }

    // ---- RFC 8985 §7: the tail loss probe -------------------------------------------------------

    /// §7.2: sets the timer, or takes it away.
    pub(super) fn schedule_probe(&mut self, cx: &Cx<'_>) {
        let open = !self.in_recovery() && self.rtx.sacked_segments() == 0;
        if !self.sack || !open || self.rack.probe.is_some() || self.flight() == 0 || self.syn_in_flight() {
            self.t_probe = None;
            return;
        }
        let mut pto = self.rtt.srtt().map_or(FIRST_PTO, |srtt| srtt * 2);
        pto += if self.flight() <= self.window.mss { ACK_DELAY } else { cx.sh.config.probe_slack };
        let at = cx.now + pto;
        // No later than the timeout that it is to save.
        self.t_probe = Some(self.t_rtx.map_or(at, |rto| at.min(rto)));
    }

    /// §7.3
    pub(super) fn probe_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.in_recovery() || self.flight() == 0 {
            return;
        }
        // The second condition of §7.3; the first is that none is under way.
        if cx.sh.config.rack == RackRules::Rfc && self.rtt.samples() == self.rack.measured {
            return;
        }
        self.rack.measured = self.rtt.samples();
        cx.sh.stats.loss_probes += 1;
        let again = !self.send_forced(cx);
        if again {
            let Some((start, end)) = self.rtx.last(self.window.mss) else { return };
            self.rtx.sent_again(start, cx.now, self.rate.stamp());
            self.count_retransmission(cx, end.since(start));
            self.send_data(cx, start, end, Sending::Again);
        }
        self.rack.probe = Some(Probe { end: self.snd_nxt, again });
        self.t_rtx = Some(cx.now + self.rtt.rto(&cx.sh.config));
    }

    /// §7.4: whether the probe has repaired a loss that nobody else has seen.
    pub(super) fn probe_answered(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        duplicate: bool,
        octets: u32,
    ) {
        let Some(probe) = self.rack.probe.filter(|probe| seg.ack.ge(probe.end)) else { return };
        let blocks = !seg.options.sack.as_slice().is_empty();
        let repaired = probe.again && !duplicate && seg.ack.gt(probe.end);
        // The original and the probe are each acknowledged: a second ACK of the same number comes, or a D-SACK.
        let second = octets == 0 && seg.ack == probe.end && seg.len() == 0 && !blocks;
        let harmless = !probe.again || duplicate || second;
        if repaired && self.recovery == Recovery::Open {
            cx.sh.stats.loss_probe_recoveries += 1;
            // What was in flight is acknowledged: the window stands for it, as on Linux.
            self.cut(cx, self.window.cwnd, Congestion::Loss);
            self.window.cwnd = self.window.ssthresh;
        }
        if repaired || harmless {
            self.rack.probe = None;
        }
    }

    /// A timeout or a recovery takes over.
    pub(super) fn forget_probe(&mut self) {
        (self.rack.probe, self.t_probe, self.t_reorder) = (None, None, None);
    }
}
