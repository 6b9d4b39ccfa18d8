//! What happens when nothing happens: USER TIMEOUT, RETRANSMISSION TIMEOUT and TIME-WAIT TIMEOUT
//! of RFC 9293 §3.10.8, RFC 6298 §5, zero-window probes (§3.8.6.1), keepalive (§3.8.4), delayed
//! acknowledgments, and the heap of all connections' deadlines.
//!
//! A connection has one entry in the heap at most that counts. Timers that move to a later time,
//! as the retransmission timer does with each ACK, leave the heap alone: when the entry comes up
//! too early it is put back with the right time.

use super::State;
use super::TcpId;
use super::cc::Congestion;
use super::config::TcpConfig;
use super::slab::Slab;
use super::tcb::{Cx, Holder, Recovery, RtxTimer, Tcb};
use super::undo::Frto;
use crate::socket::SockError;
use crate::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How long an empty buffer keeps its memory: longer than a conversation's pause for breath.
const IDLE: Duration = Duration::from_secs(1);

/// Deadlines of all connections.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    heap: BinaryHeap<Reverse<(Instant, TcpId)>>,
}

impl Heap {
    /// Sees to it that `tcb` is looked at when its first timer is due.
    pub(super) fn schedule(&mut self, tcb: &mut Tcb) {
        if let Some(at) = tcb.deadline()
            && tcb.in_heap.is_none_or(|there| at < there)
        {
            tcb.in_heap = Some(at);
            self.heap.push(Reverse((at, tcb.id)));
        }
    }

    /// Throws out what does not count any more, if that has become the most of it: a timer that is set for an earlier time
    /// leaves its entry behind.
    pub(super) fn tidy(&mut self, slab: &Slab) {
        if self.heap.len() <= 4 * slab.len() + 64 {
            return;
        }
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.retain(|Reverse((at, id))| slab.get(*id).is_some_and(|tcb| tcb.in_heap == Some(*at)));
        entries.sort_unstable();
        entries.dedup();
        self.heap = entries.into();
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The next entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, TcpId)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// The earliest entry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

/// How long `retries` retransmissions take if the RTO begins at its least and doubles: what Linux
/// makes of `tcp_retries2` (15: 924.6 s).
pub(super) fn patience(config: &TcpConfig, retries: u8) -> Duration {
    (0..=u32::from(retries))
        .map(|i| config.rto_min.saturating_mul(1 << i.min(20)).min(config.rto_max))
        .fold(Duration::ZERO, Duration::saturating_add)
}

impl Tcb {
    /// Fires the timers that are due.
    pub(super) fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let due = |t: Option<Instant>| t.is_some_and(|at| at <= now);
        if due(self.t_wait) {
            self.t_wait = None;
            // TIME-WAIT TIMEOUT; and Linux's end of an orphan's FIN-WAIT-2
            return self.enter_closed(None);
        }
        if due(self.t_idle) {
            self.t_idle = None;
            self.free_idle_buffers();
        }
        if due(self.t_pace) {
            self.t_pace = None;
            self.wants_output = true;
        }
        if due(self.t_delack) {
            self.t_delack = None;
            // No answer came.
            self.interactive = false;
            cx.sh.stats.delayed_acks += 1;
            (self.ack_now, self.wants_output) = (true, true);
        }
        if due(self.t_reorder) {
            self.reorder_timeout(cx);
        }
        if due(self.t_probe) {
            self.t_probe = None;
            self.probe_timeout(cx);
        }
        if due(self.t_rtx) {
            self.t_rtx = None;
            match (self.rtx_timer, self.syn_in_flight()) {
                (RtxTimer::Retransmit, true) => self.syn_timeout(cx),
                (RtxTimer::Retransmit, false) => self.retransmission_timeout(cx),
                (RtxTimer::Persist, _) => self.persist_timeout(cx),
            }
        }
        if due(self.t_keep) {
            self.t_keep = None;
            self.keepalive_timeout(cx);
        }
    }

    /// A buffer has been emptied: if it is large, it is freed when the connection stays idle.
    pub(super) fn buffer_emptied(&mut self, now: Instant) {
        if self.sndbuf.is_wasteful() || self.rcvbuf.is_wasteful() {
            self.t_idle = Some(now + IDLE);
        }
    }

    fn free_idle_buffers(&mut self) {
        if self.sndbuf.is_wasteful() {
            self.sndbuf.free();
        }
        if self.rcvbuf.is_wasteful() {
            self.rcvbuf.free();
        }
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) {
        cx.sh.stats.abort_on_timeout += 1;
        if self.syn_in_flight() {
            cx.sh.stats.attempt_fails += 1;
        }
        self.enter_closed(Some(self.soft_error.unwrap_or(SockError::TimedOut)));
    }

    fn syn_timeout(&mut self, cx: &mut Cx<'_>) {
        let limit = match self.state {
            State::SynReceived if self.accept_deferred => {
                cx.sh.config.synack_retries.max(self.set.defer_accept)
            }
            State::SynReceived => cx.sh.config.synack_retries,
            _ => self.set.syn_retries,
        };
        if self.retries >= limit || self.out_of_patience(cx, None) {
            return self.give_up(cx);
        }
        cx.sh.stats.timeouts += 1;
        self.retries += 1;
        self.rtt.back_off();
        // The SYN-ACK has arrived. It is sent again at the end of the wait, for an acknowledgment that counts.
        if self.accept_deferred && self.retries < self.set.defer_accept {
            return self.start_rtx_timer(cx);
        }
        self.rtx.sent_again(self.iss, cx.now, self.rate.stamp());
        self.count_retransmission(cx, 0);
        self.send_syn(cx);
    }

    /// RFC 6298 §5.4 to §5.6, RFC 5681 §3.1
    fn retransmission_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.rtx.is_empty() {
            return;
        }
        if self.stuck_since.is_none() {
            self.stuck_since = self.rtx.head_sent();
        }
        let retries = match self.holder {
            Holder::Nobody => cx.sh.config.orphan_retries,
            Holder::Program | Holder::SynQueue(_) | Holder::AcceptQueue(_) => cx.sh.config.retries2,
        };
        // A peer that took back its window, and answers, is not dead (RFC 9293 §3.8.6.1). A program may wait for it.
        let refuses = self.snd_wnd == 0
            && cx.now.since(self.last_rx) < cx.sh.config.rto_max
            && self.holder == Holder::Program
            && self.set.user_timeout.is_zero();
        if self.out_of_patience(cx, Some(patience(&cx.sh.config, retries))) && !refuses {
            return self.give_up(cx);
        }
        cx.sh.stats.timeouts += 1;
        self.tally.timed_out(cx.now);
        self.honour_claim(cx);
        match self.recovery {
            Recovery::Open => {
                self.remember_window();
                self.cut(cx, self.flight_at_timeout(cx), Congestion::Loss);
                self.cc.on_timeout();
            }
            // The threshold came down for this window of data (RFC 3168 §6.1.2).
            Recovery::Cwr { .. } => {
                self.remember_window();
                self.keep_the_cut();
                self.cc.on_timeout();
            }
            // RFC 5681 §3.1: ssthresh is held when the same segment times out again.
            Recovery::Timeout { .. } if self.retries > 0 => {}
            // The window was cut for this data.
            Recovery::Fast { .. } if cx.sh.config.cut_by_window => self.cc.on_timeout(),
            Recovery::Fast { .. } | Recovery::Timeout { .. } => {
                self.cut(cx, self.flight_at_timeout(cx), Congestion::Loss);
                self.cc.on_timeout();
            }
        }
        // RFC 5682 §3.1 step 1
        self.frto = if self.sack { Frto::First } else { Frto::Off };
        self.dup_acks = 0;
        self.forget_probe();
        self.recover = self.snd_nxt;
        self.recovery = Recovery::Timeout { until: self.snd_nxt };
        self.rtx.mark_lost_on_timeout(cx.now, self.sack.then(|| self.rack.rtt()));
        // The loss window is one segment, beside what is not lost: as on Linux.
        self.window.cwnd = self.pipe().saturating_add(self.window.mss);
        self.retransmit_now = true;
        self.retries = self.retries.saturating_add(1);
        self.rtt.back_off();
        if self.retries == cx.sh.config.retries1 {
            // RFC 1122 §4.2.3.5 R1: negative advice to IP
            self.path_changed(cx);
        }
        if self.retries >= cx.sh.config.retries1 {
            self.suspect_black_hole(cx);
        }
        self.start_rtx_timer(cx);
        self.wants_output = true;
    }

    /// FlightSize when the timer goes off (RFC 5681 §3.1).
    fn flight_at_timeout(&self, cx: &Cx<'_>) -> u32 {
        if cx.sh.config.cut_by_window { self.window.cwnd } else { self.flight() }
    }

    /// RFC 9293 §3.8.3: whether the peer was silent for the user's timeout, or `otherwise`.
    fn out_of_patience(&mut self, cx: &Cx<'_>, otherwise: Option<Duration>) -> bool {
        let user = self.set.user_timeout;
        let limit = if user.is_zero() { otherwise } else { Some(user) };
        let since = *self.stuck_since.get_or_insert(cx.now);
        limit.is_some_and(|limit| cx.now.since(since) >= limit)
    }

    /// RFC 9293 §3.8.6.1; the probe is Linux's, an old sequence number that the peer must answer.
    fn persist_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.flight() > 0 || !self.state.transmits() {
            return;
        }
        // It may have been our own interface that took nothing: there may be another way now.
        self.path_changed(cx);
        if self.send_forced(cx) {
            return;
        }
        let limit = match self.holder {
            Holder::Nobody => cx.sh.config.orphan_retries,
            Holder::Program | Holder::SynQueue(_) | Holder::AcceptQueue(_) => cx.sh.config.retries2,
        };
        // An answer is a sign of life, but nobody waits for ever for the room to send what no program holds any more (as Linux).
        let forlorn = self.holder == Holder::Nobody && self.rtt.rto(&cx.sh.config) >= cx.sh.config.rto_max;
        if self.retries >= limit || forlorn || self.out_of_patience(cx, None) {
            return self.give_up(cx);
        }
        cx.sh.stats.window_probes += 1;
        self.retries += 1;
        self.rtt.back_off();
        let seq = self.snd_una - 1;
        self.send_ack_at(cx, seq);
        self.t_rtx = Some(cx.now + self.rtt.rto(&cx.sh.config));
    }

    /// The window is open again.
    pub(super) fn stop_persist(&mut self) {
        self.t_rtx = None;
        self.rtx_timer = RtxTimer::Retransmit;
        self.rtt.reset_backoff();
        self.wants_output = true;
    }

    /// Sets the keepalive timer if the program asked for it.
    pub(super) fn restart_keepalive(&mut self, now: Instant) {
        let lives = self.state.is_synchronised() && self.state != State::TimeWait;
        self.keep_probes = 0;
        self.t_keep = (self.set.keepalive && lives).then(|| (self.last_rx + self.set.keep_idle).max(now));
    }

    /// RFC 9293 §3.8.4
    fn keepalive_timeout(&mut self, cx: &mut Cx<'_>) {
        if !self.set.keepalive || !self.state.is_synchronised() || self.state == State::TimeWait {
            return;
        }
        // Data under way is its own probe.
        if self.flight() > 0 || self.unsent() > 0 {
            self.t_keep = Some(cx.now + self.set.keep_idle);
            return;
        }
        let due = self.last_rx + self.set.keep_idle;
        // TCP_USER_TIMEOUT counts instead of the probes (tcp(7)).
        let user = self.set.user_timeout;
        let silent = if user.is_zero() {
            self.keep_probes >= self.set.keep_count
        } else {
            self.keep_probes > 0 && cx.now.since(self.last_rx) >= user
        };
        if cx.now < due {
            self.t_keep = Some(due);
        } else if silent {
            self.send_rst(cx);
            self.give_up(cx);
        } else {
            self.keep_probes += 1;
            cx.sh.stats.keepalives += 1;
            let seq = self.snd_nxt - 1;
            self.send_ack_at(cx, seq);
            self.t_keep = Some(cx.now + self.set.keep_interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_retries_are_linux_924_seconds() {
        assert_eq!(patience(&TcpConfig::default(), 15), Duration::from_millis(924_600));
    }
}
