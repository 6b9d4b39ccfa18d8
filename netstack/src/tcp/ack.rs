//! What an acceptable acknowledgment does: RFC 9293 §3.10.7.4 (fifth), RFC 5681 (fast retransmit
//! and recovery, limited transmit of RFC 3042), RFC 6675 and RFC 8985 (with selective
//! acknowledgments) or RFC 6582 (NewReno, without), RFC 6298 (the timer).
//!
//! The sender counts what is in the network (its *pipe*) as RFC 6675 does: in flight, less what is
//! taken for lost, less what has arrived; without blocks, one segment for each duplicate ACK. A new
//! segment may go while the pipe is smaller than the congestion window; so limited transmit and the
//! inflation of the window in fast recovery need no code of their own.

use super::cc::{AckInfo, Congestion, Repair, Window};
use super::prr::{Progress, Prr};
use super::rtx::Acked;
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::{Cx, Recovery, RtxTimer, Tcb};
use super::timestamp;
use crate::time::Duration;

impl Tcb {
    /// SND.UNA <= SEG.ACK <= SND.NXT or an old acknowledgment: takes it.
    pub(super) fn process_ack(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) {
        let window_moved = self.update_send_window(seg);
        let (flight, before, lost_before) = (self.flight(), self.window, self.rtx.lost());
        let octets = if seg.ack.gt(self.snd_una) { seg.ack.since(self.snd_una) } else { 0 };
        let mut acked = Acked::default();
        self.tally.last_ack_rx = cx.now;
        if octets > 0 {
            acked = self.take_acknowledged(cx, seg);
            self.probe_passed(cx);
        } else if seg.ack == self.snd_una && self.rtx_timer == RtxTimer::Persist {
            // A probe was answered: the peer is there. How long it has refused is remembered.
            self.retries = 0;
            if self.snd_wnd > 0 {
                self.stuck_since = None;
                self.stop_persist();
            }
        }
        let mut rtt = None;
        if self.sack {
            let late = self.rack.order.take_late();
            let duplicate = self.take_blocks(cx, seg, &mut acked);
            for late in [late, self.rack.order.take_late()].into_iter().flatten() {
                self.count_reordering(cx, late);
            }
            rtt = self.measure(cx, seg, &acked, octets);
            self.undo_if_spurious(cx, seg, &acked, duplicate, octets);
            self.take_echo(cx, seg, flight);
            let lost = self.detect_losses(cx);
            self.move_window_by_blocks(cx, seg, (octets, acked.octets), lost);
            self.probe_answered(cx, seg, duplicate, octets);
        } else if octets > 0 {
            rtt = self.measure(cx, seg, &acked, octets);
            self.take_echo(cx, seg, flight);
            self.move_window(cx, seg, octets);
        } else if seg.ack == self.snd_una && seg.len() == 0 && !window_moved && flight > 0 {
            // RFC 5681 §2: data in flight, no data in it, no SYN or FIN, the same ACK, the same window.
            self.take_echo(cx, seg, flight);
            self.duplicate_ack(cx);
        }
        self.tally.delivered = self.tally.delivered.wrapping_add(acked.segments);
        if self.state.is_synchronised() {
            let lost = self.rtx.lost().saturating_sub(lost_before);
            let info = AckInfo { rtt, lost, ..self.ack_info(cx, octets, acked.octets) };
            self.follow_model(&before, &info);
        }
        if octets > 0 {
            self.progress(cx);
        }
        // As Linux: MSG_MORE is of the call, and what comes in afterwards pushes as any other output does.
        self.more = false;
        self.wants_output |= self.rtx.lost() > 0 || self.unsent() > 0 || (self.fin_due() && !self.fin_sent());
    }

    /// Everything before SEG.ACK leaves the queue and the buffer.
    fn take_acknowledged(&mut self, cx: &Cx<'_>, seg: &Segment<'_>) -> Acked {
        let (arrival, headers) = (self.arrival(cx, seg), self.headers());
        let Tcb { rtx, rack, rate, sizes, .. } = self;
        let acked = rtx.ack(seg.ack, cx.now, |sent| {
            rack.delivered(sent, &arrival);
            rate.arrived(sent);
            sizes.arrived(sent, headers);
        });
        sizes.forget_before(seg.ack);
        self.snd_una = seg.ack;
        if seg.ack.gt(self.snd_buf_seq) {
            let octets = (seg.ack.since(self.snd_buf_seq) as usize).min(self.sndbuf.len());
            self.sndbuf.consume(octets);
            self.snd_buf_seq += octets as u32;
            self.octets_acked += octets as u64;
            self.buffer_emptied(cx.now);
        }
        if self.snd_up.is_some_and(|up| up.le(seg.ack)) {
            self.snd_up = None;
        }
        acked
    }

    /// RFC 2018 §5, RFC 2883 §5: marks what the blocks name. Returns whether they report a duplicate.
    fn take_blocks(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, acked: &mut Acked) -> bool {
        let (arrival, headers) = (self.arrival(cx, seg), self.headers());
        let blocks = seg.options.sack;
        let range = |at: usize| blocks.as_slice().get(at).map(|&(l, r)| (SeqNum(l), SeqNum(r)));
        // D-SACK: the first block lies below the acknowledgment, or inside of the second.
        let known = range(0).filter(|(left, right)| {
            let inside = range(1).is_some_and(|(l, r)| l.le(*left) && right.le(r));
            left.lt(*right) && (right.le(seg.ack) || inside)
        });
        // In their order in the stream: the newest comes first in the option, which is no reordering in the network.
        let mut news: [_; 4] = std::array::from_fn(|at| {
            let again = at == 0 && known.is_some();
            range(at).filter(|(l, r)| !again && l.lt(*r) && self.snd_una.le(*l) && r.le(self.snd_nxt))
        });
        news.sort_unstable_by_key(|block| block.map(|(left, _)| left.since(self.snd_una)));
        for block in news.into_iter().flatten() {
            let Tcb { rtx, rack, rate, sizes, .. } = self;
            rtx.sack(block, cx.now, acked, |sent| {
                rack.delivered(sent, &arrival);
                rate.arrived(sent);
                sizes.arrived(sent, headers);
            });
        }
        let recent = known.filter(|(_, right)| right.gt(self.snd_una - self.max_snd_wnd));
        let Some(duplicate) = recent else { return false };
        if let Some(copy) = self.rtx.copy_of_arrived(duplicate) {
            self.rack.order.is_late(copy);
        }
        cx.sh.stats.dsacks += 1;
        self.tally.dsack_dups += 1;
        self.rack.duplicate_seen(cx.sh.config.rack, duplicate.1, (self.snd_una, self.snd_nxt));
        true
    }

    /// Takes the round trip and the delivery rate. Returns the round trip.
    fn measure(&mut self, cx: &Cx<'_>, seg: &Segment<'_>, acked: &Acked, octets: u32) -> Option<Duration> {
        let echoed = || {
            // RFC 7323 §4: a timestamp tells which of the copies is acknowledged.
            let ts = seg.options.timestamps.filter(|ts| octets > 0 && self.timestamps && ts.ecr != 0)?;
            let ms = timestamp(cx.now, self.ts_offset).wrapping_sub(ts.ecr);
            (ms < 1 << 24).then(|| Duration::from_millis(u64::from(ms.max(1))))
        };
        let rtt = acked.rtt.or_else(echoed);
        if let Some(r) = rtt {
            self.rtt.sample(r);
            // RFC 6298 §5 (end): the doubled timeout stays until there is a measurement.
            self.rtt.reset_backoff();
        }
        self.rate.acknowledged(acked.octets, cx.now, self.rtt.min());
        rtt
    }

    /// New data was acknowledged.
    fn progress(&mut self, cx: &Cx<'_>) {
        (self.retries, self.stuck_since, self.soft_error) = (0, None, None);
        // Numbers that lie behind must not come round to lie before: they can be compared within half of the circle.
        self.snd_small = self.snd_small.latest(self.snd_una);
        self.pushed = self.pushed.latest(self.snd_una);
        self.recover = self.recover.latest(self.snd_una - 1);
        self.rack.forget_before(self.snd_una);
        self.records.retain(|end| end.gt(self.snd_una));
        // RFC 6298 §5.2, §5.3
        self.rtx_timer = RtxTimer::Retransmit;
        self.t_rtx = (self.flight() > 0).then(|| cx.now + self.rtt.rto(&cx.sh.config));
        self.schedule_probe(cx);
        self.grow_sndbuf(cx.sh.config.sndbuf.max);
        self.tell_writer();
        self.tally.progress(cx.now);
        if self.flight() == 0 {
            self.tally_waits(cx.now);
        }
    }

    /// The congestion window with selective acknowledgments: RFC 6675 §5, where RFC 8985 finds the losses and RFC 9937 says how
    /// fast they are repaired. `octets` were acknowledged, `arrived` have arrived, and whether something was found lost.
    fn move_window_by_blocks(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        (octets, arrived): (u32, u32),
        lost: bool,
    ) {
        let progress = Progress::of(octets, lost);
        match self.recovery {
            Recovery::Open => {
                // What was too long for the path and is sent again in pieces was not lost to congestion.
                if lost && !self.probe_was_too_large(cx) {
                    self.enter_recovery(cx, arrived);
                    self.reduce(arrived, progress);
                } else if octets > 0 {
                    // What had arrived before has its part of the window already.
                    self.grow_window(cx, octets.min(arrived));
                }
            }
            Recovery::Cwr { .. } => {
                if lost {
                    self.enter_recovery(cx, arrived);
                }
                if arrived > 0 {
                    self.reduce(arrived, progress);
                }
            }
            Recovery::Fast { until } if seg.ack.ge(until) => {
                self.window.cwnd = self.window.ssthresh;
                self.recovery = Recovery::Open;
                self.rack.recovered();
            }
            Recovery::Fast { .. } if arrived == 0 => {}
            Recovery::Fast { .. } => self.reduce(arrived, progress),
            Recovery::Timeout { until } => {
                if octets > 0 {
                    self.usage.limited = true;
                    self.grow_window(cx, octets.min(arrived));
                }
                if seg.ack.ge(until) {
                    self.recovery = Recovery::Open;
                    self.rack.recovered();
                }
            }
        }
    }

    /// RFC 6675 §5 (4.1), (4.2); `arrived` octets have shown the loss.
    fn enter_recovery(&mut self, cx: &mut Cx<'_>, arrived: u32) {
        cx.sh.stats.sack_recoveries += 1;
        cx.sh.stats.fast_retrans += 1;
        self.remember_window();
        if matches!(self.recovery, Recovery::Cwr { .. }) {
            // The window is on its way down for this data.
            self.keep_the_cut();
        } else {
            self.cut(cx, self.flight_size(cx), Congestion::Loss);
            // RFC 9937 §6.1: what had arrived before will not be counted as delivered.
            self.prr = Prr::begin((self.flight() - self.rtx.sacked()).saturating_add(arrived));
        }
        self.recover = self.snd_nxt;
        self.recovery = Recovery::Fast { until: self.snd_nxt };
        self.forget_probe();
        self.retransmit_now = true;
    }

    /// FlightSize when congestion is found. Who used the whole window has a window in flight: what acknowledgments of the same
    /// burst have let out of it just now is not yet replaced. What limited transmit sent beyond it does not count (RFC 5681
    /// §3.2 step 2).
    pub(super) fn flight_size(&self, cx: &Cx<'_>) -> u32 {
        if self.cwnd_limited || cx.sh.config.cut_by_window {
            self.window.cwnd
        } else {
            self.flight().min(self.window.cwnd)
        }
    }

    /// The window of a recovery, after `arrived` octets more (RFC 9937 §6.2).
    fn reduce(&mut self, arrived: u32, progress: Progress) {
        let pipe = self.pipe();
        let sndcnt = self.prr.may_send(arrived, progress, pipe, &self.window);
        self.window.cwnd = pipe.saturating_add(sndcnt).max(self.window.mss);
    }

    /// RACK's reordering timer went off: what had time to come in order is lost.
    pub(super) fn reorder_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.detect_losses(cx) && !self.in_recovery() && !self.probe_was_too_large(cx) {
            self.enter_recovery(cx, 0);
            self.reduce(0, Progress::Unsafe);
        }
        self.wants_output |= self.rtx.lost() > 0;
    }

    /// SND.WND with SND.WL1, SND.WL2; whether it is another than before.
    pub(super) fn update_send_window(&mut self, seg: &Segment<'_>) -> bool {
        let fresh = self.snd_wl1.lt(seg.seq) || (self.snd_wl1 == seg.seq && self.snd_wl2.le(seg.ack));
        if !fresh || seg.ack.lt(self.snd_una) {
            return false;
        }
        let wnd = seg.window(self.snd_shift);
        let moved = wnd != self.snd_wnd;
        (self.snd_wnd, self.snd_wl1, self.snd_wl2) = (wnd, seg.seq, seg.ack);
        self.max_snd_wnd = self.max_snd_wnd.max(wnd);
        moved
    }

    /// The congestion window after `acked` new octets, without selective acknowledgments: RFC 6582.
    fn move_window(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, acked: u32) {
        match self.recovery {
            Recovery::Open => {
                self.dup_acks = 0;
                self.grow_window(cx, acked);
            }
            Recovery::Cwr { .. } => {
                self.dup_acks = 0;
                self.reduce(acked, Progress::Safe);
            }
            // RFC 6582 §3.2 step 3: full acknowledgment
            Recovery::Fast { until } if seg.ack.ge(until) => {
                let left = self.flight().max(self.window.mss).saturating_add(self.window.mss);
                self.window.cwnd = self.window.ssthresh.min(left);
                self.dup_acks = 0;
                self.recovery = Recovery::Open;
            }
            // RFC 6582 §3.2 step 3: partial acknowledgment. The next segment is missing too; those
            // that the duplicates had announced, but for one, are now counted by the ACK itself.
            Recovery::Fast { .. } => {
                let segments = acked.div_ceil(self.window.mss.max(1));
                self.dup_acks = self.dup_acks.saturating_sub(segments.saturating_sub(1));
                self.rtx.mark_head_lost();
                self.retransmit_now = true;
            }
            Recovery::Timeout { until } => {
                self.dup_acks = 0;
                self.usage.limited = true;
                self.grow_window(cx, acked);
                if seg.ack.ge(until) {
                    self.recovery = Recovery::Open;
                }
            }
        }
    }

    /// RFC 5681 §3.1, if the window was what limited the sender (RFC 7661's concern), or in slow start to twice of what the
    /// sender has used of it.
    fn grow_window(&mut self, cx: &Cx<'_>, acked: u32) {
        let used =
            self.window.in_slow_start() && self.window.cwnd < self.usage.most_in_flight.saturating_mul(2);
        let rtt = self.rtt.take_latest();
        let info = AckInfo { rtt, ..self.ack_info(cx, acked, acked) };
        if self.usage.limited || used {
            self.cc.on_ack(&mut self.window, &info);
        } else {
            self.cc.on_app_limited(&info);
        }
    }

    /// An acknowledgment of `acked` octets, by which `arrived` were news.
    fn ack_info(&self, cx: &Cx<'_>, acked: u32, arrived: u32) -> AckInfo {
        AckInfo {
            acked,
            una: self.snd_una,
            nxt: self.snd_nxt,
            now: cx.now,
            srtt: self.rtt.srtt(),
            arrived,
            pipe: self.pipe(),
            delivered: self.rate.delivered(),
            rate: self.rate.sample(),
            repair: match self.recovery {
                Recovery::Open | Recovery::Cwr { .. } => Repair::Nothing,
                Recovery::Fast { .. } => Repair::Fast,
                Recovery::Timeout { .. } => Repair::Timeout,
            },
            ..AckInfo::default()
        }
    }

    /// The window and the rate of an algorithm that goes by a model of the path.
    fn follow_model(&mut self, before: &Window, info: &AckInfo) {
        if let Some(cwnd) = self.cc.window_by_model(before, info) {
            self.window.cwnd = cwnd;
            self.pace.rate = self.cc.pacing_rate();
        }
    }

    fn duplicate_ack(&mut self, cx: &mut Cx<'_>) {
        match self.recovery {
            Recovery::Open | Recovery::Cwr { .. } => {
                self.dup_acks += 1;
                if self.recovery != Recovery::Open {
                    self.reduce(self.window.mss, Progress::Unsafe);
                }
                // RFC 6582 §3.2 step 2: only if the ACK covers more than `recover`.
                if self.dup_acks >= cx.sh.config.dup_threshold && self.snd_una.gt(self.recover) {
                    if self.probe_was_too_large(cx) {
                        self.recover = self.snd_nxt;
                        self.rtx.mark_head_lost();
                    } else {
                        self.enter_fast_recovery(cx);
                    }
                }
                self.wants_output = true;
            }
            Recovery::Fast { .. } => {
                self.dup_acks += 1;
                self.wants_output = true;
            }
            // What was sent before the timeout is taken for lost already.
            Recovery::Timeout { .. } => {}
        }
    }

    /// RFC 5681 §3.2 steps 2 and 3
    fn enter_fast_recovery(&mut self, cx: &mut Cx<'_>) {
        cx.sh.stats.fast_retrans += 1;
        if self.recovery == Recovery::Open {
            self.cut(cx, self.flight_size(cx), Congestion::Loss);
        }
        self.window.cwnd = self.window.ssthresh;
        self.recover = self.snd_nxt;
        self.recovery = Recovery::Fast { until: self.snd_nxt };
        self.rtx.mark_head_lost();
        self.retransmit_now = true;
    }

    /// The send buffer holds two windows: one in flight, one to follow (Linux's `tcp_sndbuf_expand`);
    /// four of a small window, as Linux counts more than the payload.
    pub(super) fn grow_sndbuf(&mut self, max: usize) {
        let window = self.window.cwnd as usize;
        let want = (4 * window).min(128 << 10).max(2 * window);
        if !self.set.sndbuf_fixed && want > self.sndbuf.limit {
            self.sndbuf.limit = want.min(max).max(self.sndbuf.limit);
        }
    }
}
