//! SEGMENT ARRIVES: RFC 9293 §3.10.7, its steps as functions in its order, with RFC 5961 (blind
//! attacks) and RFC 7323 §5 (PAWS) where they have their place. LISTEN is in `listen`.

use super::State;
use super::ecn;
use super::segment::Segment;
use super::tcb::{Cx, Holder, Tcb, Usage};
use crate::socket::{Ready, SockError};
use crate::time::Duration;
use crate::wire::tcp::Flags;
use std::ops::ControlFlow;

/// `Break`: the segment is done with, by this step.
pub(super) type Step = ControlFlow<()>;
const NEXT: Step = Step::Continue(());
const DONE: Step = Step::Break(());

/// Timestamps older than this say nothing (RFC 7323 §5.5).
const TS_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

impl Tcb {
    /// A segment for this connection; any state but CLOSED and LISTEN.
    pub(super) fn segment_arrives(&mut self, cx: &mut Cx<'_>, seg: Segment<'_>) {
        self.tally.segs_in = self.tally.segs_in.wrapping_add(seg.parts);
        if !seg.payload.is_empty() {
            self.tally.data_segs_in = self.tally.data_segs_in.wrapping_add(seg.parts);
            self.tally.last_data_rx = cx.now;
        }
        if self.predicted(cx, &seg) {
            cx.sh.stats.predicted += 1;
            return;
        }
        let _ = match self.state {
            State::Closed | State::Listen => DONE,
            State::SynSent => self.syn_sent(cx, seg),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => self.otherwise(cx, seg),
        };
    }

    /// Header prediction: the next data in order, or an acknowledgment without data, of a
    /// connection to which nothing else happens. Does what the steps would do.
    fn predicted(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> bool {
        let plain = seg.flags - Flags::PSH == Flags::ACK;
        if self.state != State::Established
            || !plain
            || seg.seq != self.rcv_nxt
            || !seg.options.sack.as_slice().is_empty()
            || self.timestamps != seg.options.timestamps.is_some()
        {
            return false;
        }
        let old = |val: u32| (val.wrapping_sub(self.ts_recent) as i32) < 0;
        if seg.options.timestamps.is_some_and(|ts| old(ts.val)) {
            return false;
        }
        if seg.payload.is_empty() {
            if seg.ack.le(self.snd_una) || seg.ack.gt(self.snd_nxt) || self.in_recovery() {
                return false;
            }
        } else {
            let fits = seg.payload.len() as u32 <= self.offered();
            let plain = seg.ecn != ecn::CE && self.reass.is_empty();
            let unmoved = seg.ack == self.snd_una && seg.window(self.snd_shift) == self.snd_wnd;
            if !fits || !unmoved || !plain || self.early_fin.is_some() || self.rcv_up.is_some() {
                return false;
            }
            self.take_timestamp(cx, seg);
            self.last_rx = cx.now;
            self.keep_probes = 0;
            self.snd_wl1 = seg.seq;
            seg.deliver(&mut self.rcvbuf);
            self.data_in_order(cx, seg.payload.len() as u32, seg);
            return true;
        }
        self.take_timestamp(cx, seg);
        self.last_rx = cx.now;
        self.keep_probes = 0;
        self.process_ack(cx, seg);
        true
    }

    // ---- RFC 9293 §3.10.7.3: SYN-SENT ----------------------------------------------------------

    fn syn_sent(&mut self, cx: &mut Cx<'_>, seg: Segment<'_>) -> Step {
        // First, check the ACK bit
        let ack = seg.has(Flags::ACK);
        if ack && (seg.ack.le(self.iss) || seg.ack.gt(self.snd_nxt)) {
            if !seg.has(Flags::RST) {
                self.send_rst_at(cx, seg.ack);
            }
            return DONE;
        }
        // Second, check the RST bit
        if seg.has(Flags::RST) {
            if ack {
                cx.sh.stats.attempt_fails += 1;
                self.enter_closed(Some(SockError::ConnRefused));
            }
            return DONE;
        }
        // Third, security: not used. Fourth, check the SYN bit
        if !seg.has(Flags::SYN) {
            // Fifth: neither SYN nor RST
            cx.sh.stats.no_ack += 1;
            return DONE;
        }
        self.take_syn(cx, &seg);
        if !ack {
            // Simultaneous open
            self.deferred_syn_is_due(cx);
            self.state = State::SynReceived;
            self.send_syn(cx);
            return DONE;
        }
        self.snd_wnd = u32::from(seg.wnd);
        self.process_ack(cx, &seg);
        // The window of a SYN is never scaled (RFC 7323 §2.2).
        self.snd_wnd = u32::from(seg.wnd);
        (self.max_snd_wnd, self.snd_wl1, self.snd_wl2) = (self.snd_wnd, seg.seq, seg.ack);
        self.establish(cx);
        self.fast_open_answered(cx, &seg);
        self.ack_now = true;
        self.wants_output = true;
        // Continue at the sixth step below with what came along
        let mut rest = seg;
        rest.trim_front(1);
        rest.trim_back(self.rcv_adv);
        self.sixth_urg(&rest);
        self.seventh_text(cx, &mut rest)?;
        self.eighth_fin(cx, &rest)
    }

    /// RCV.NXT, IRS and the options of the peer's SYN.
    pub(super) fn take_syn(&mut self, cx: &mut Cx<'_>, syn: &Segment<'_>) {
        let config = &cx.sh.config;
        // What our own SYN offered, if it was sent before.
        let offered = self.offered();
        (self.irs, self.rcv_nxt, self.last_ack_sent) = (syn.seq, syn.seq + 1, syn.seq);
        self.rcv_adv = self.rcv_nxt + offered;
        let default = if self.remote.is_ipv4() { config.default_mss.0 } else { config.default_mss.1 };
        self.peer_mss = syn.options.mss.unwrap_or(default).max(config.min_mss);
        match (self.scaling, syn.options.window_scale) {
            (true, Some(shift)) => self.snd_shift = shift.min(14),
            (true, None) | (false, _) => (self.scaling, self.snd_shift, self.rcv_shift) = (false, 0, 0),
        }
        match (self.timestamps, syn.options.timestamps) {
            (true, Some(ts)) => (self.ts_recent, self.ts_recent_at) = (ts.val, cx.now),
            (true, None) | (false, _) => self.timestamps = false,
        }
        self.sack &= syn.options.sack_permitted;
        self.take_syn_ecn(cx, syn);
        let config = &cx.sh.config;
        self.update_mss(config.min_mss);
        self.rcv_mss = u32::from(self.adv_mss).min(u32::from(default));
    }

    /// Enters ESTABLISHED.
    pub(super) fn establish(&mut self, cx: &mut Cx<'_>) {
        if !self.fast_open_transmits() {
            self.start_transfer(cx);
        }
        self.state = State::Established;
        self.was_connected = true;
        self.retries = 0;
        if self.total_retrans > 0 {
            self.rtt.made_after_syn_loss();
        }
        (self.last_rx, self.tally.last_data_rx) = (cx.now, cx.now);
        self.restart_keepalive(cx.now);
        self.notify(Ready::WRITE);
        self.wants_output = true;
        // Closed before it was made (RFC 9293 §3.10.4).
        if self.shut_write {
            self.queue_fin();
        }
    }

    /// Data may flow: the windows and buffers that it begins with.
    pub(super) fn start_transfer(&mut self, cx: &mut Cx<'_>) {
        self.start_search(cx);
        // RFC 5681 §3.1: a SYN that was lost says that the path is loaded.
        let mss = self.window.mss;
        self.window.cwnd = if self.total_retrans > 1 { mss } else { cx.sh.config.initial_window.octets(mss) };
        (self.cwnd_limited, self.usage) = (false, Usage::default());
        self.grow_sndbuf(cx.sh.config.sndbuf.max);
        self.start_tuning(cx.now);
    }

    // ---- RFC 9293 §3.10.7.4: other states ------------------------------------------------------

    fn otherwise(&mut self, cx: &mut Cx<'_>, mut seg: Segment<'_>) -> Step {
        self.first_sequence_number(cx, &mut seg)?;
        self.second_rst(cx, &seg)?;
        // Third, check security: not used
        self.fourth_syn(cx, &seg)?;
        self.fifth_ack(cx, &seg)?;
        self.sixth_urg(&seg);
        self.seventh_text(cx, &mut seg)?;
        self.eighth_fin(cx, &seg)
    }

    /// First, check sequence number (after PAWS, RFC 7323 §5.3), and trim the segment to the window.
    fn first_sequence_number(&mut self, cx: &mut Cx<'_>, seg: &mut Segment<'_>) -> Step {
        if let (true, Some(ts)) = (self.timestamps, seg.options.timestamps) {
            let old = (ts.val.wrapping_sub(self.ts_recent) as i32) < 0
                && cx.now.since(self.ts_recent_at) < TS_LIFETIME;
            if old && !seg.has(Flags::RST) {
                cx.sh.stats.paws += 1;
                self.answer_unacceptable(cx, seg);
                return DONE;
            }
        }
        if self.state == State::SynReceived
            && seg.has(Flags::SYN)
            && seg.seq == self.irs
            && !seg.has(Flags::RST)
        {
            if !seg.has(Flags::ACK) {
                // The peer's SYN again: our SYN-ACK was lost.
                if self.challenge_allowed(cx) {
                    self.send_syn(cx);
                }
                return DONE;
            }
            // Simultaneous open: the SYN-ACK that crossed ours. Its SYN is known, its ACK is news, and nobody waits for an
            // answer (RFC 9293 figure 7). A passive open has sent no SYN that one could answer.
            if !matches!(self.holder, Holder::SynQueue(_)) {
                seg.trim_front(1);
            }
        }
        let window = self.offered();
        let (len, inside) = (seg.len(), |n| super::seq::SeqNum::within(n, self.rcv_nxt, window));
        let acceptable = match (len, window) {
            (0, 0) => seg.seq == self.rcv_nxt,
            (0, _) => inside(seg.seq) || seg.seq == self.rcv_nxt,
            // All is refused but valid ACKs and RSTs, which the trimming below keeps.
            (_, 0) => seg.seq == self.rcv_nxt,
            (_, _) => inside(seg.seq) || inside(seg.end() - 1),
        };
        if !acceptable {
            cx.sh.stats.outside_window += 1;
            if !seg.payload.is_empty() && seg.seq.lt(self.rcv_nxt) {
                self.report_duplicate(seg.seq, seg.end().earliest(self.rcv_nxt));
            }
            if !seg.has(Flags::RST) {
                if self.state == State::TimeWait && seg.has(Flags::FIN) {
                    self.t_wait = Some(cx.now + cx.sh.config.time_wait);
                }
                self.answer_unacceptable(cx, seg);
            }
            return DONE;
        }
        self.last_rx = cx.now;
        self.keep_probes = 0;
        // Before it is trimmed: what counts is the number that it came with.
        if self.ack_is_credible(seg) && !seg.has(Flags::RST) {
            self.take_timestamp(cx, seg);
        }
        if window == 0 && len > 0 {
            self.ack_now = true;
            self.wants_output = true;
        }
        // RFC 5961 §3.2, §4.2: RST and SYN are judged by the number that they came with.
        if seg.has(Flags::RST | Flags::SYN) {
            return NEXT;
        }
        if seg.seq.lt(self.rcv_nxt) {
            self.report_duplicate(seg.seq, self.rcv_nxt);
            seg.trim_front(self.rcv_nxt.since(seg.seq));
            // Part of it came before: its sender should know.
            self.ack_now = true;
            self.wants_output = true;
        }
        seg.trim_back(self.rcv_adv);
        NEXT
    }

    /// RFC 7323 §4.3 (2): the timestamp to echo. Not of one who cannot name a credible ACK: all that the true peer sends
    /// would be older.
    fn take_timestamp(&mut self, cx: &Cx<'_>, seg: &Segment<'_>) {
        if let (true, Some(ts)) = (self.timestamps, seg.options.timestamps)
            && seg.seq.le(self.last_ack_sent)
            && ((ts.val.wrapping_sub(self.ts_recent) as i32) >= 0
                || cx.now.since(self.ts_recent_at) >= TS_LIFETIME)
        {
            (self.ts_recent, self.ts_recent_at) = (ts.val, cx.now);
        }
    }

    /// RFC 5961 §5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT; in SYN-RECEIVED the ACK must be of our SYN.
    pub(super) fn ack_is_credible(&self, seg: &Segment<'_>) -> bool {
        let syn_received = self.state == State::SynReceived;
        let oldest = if syn_received { self.snd_una + 1 } else { self.snd_una - self.max_snd_wnd };
        seg.has(Flags::ACK) && oldest.le(seg.ack) && seg.ack.le(self.snd_nxt)
    }

    /// An unacceptable segment is answered with an ACK; those without data at a limited rate, or
    /// two confused ends answer each other for ever.
    fn answer_unacceptable(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) {
        if !seg.payload.is_empty() || seg.has(Flags::FIN) || self.challenge_allowed(cx) {
            self.send_ack(cx);
        }
    }

    /// Second, check the RST bit: RFC 5961 §3.2
    fn second_rst(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Step {
        if !seg.has(Flags::RST) {
            return NEXT;
        }
        if seg.seq != self.rcv_nxt {
            self.challenge_ack(cx);
            return DONE;
        }
        match self.state {
            State::Closed | State::Listen | State::SynSent => {}
            State::SynReceived => {
                cx.sh.stats.attempt_fails += 1;
                let held = self.fast_open_transmits();
                self.enter_closed(Some(if held { SockError::ConnReset } else { SockError::ConnRefused }));
            }
            State::Established | State::FinWait1 | State::FinWait2 => {
                cx.sh.stats.estab_resets += u64::from(self.state == State::Established);
                self.enter_closed(Some(SockError::ConnReset));
            }
            State::CloseWait => {
                cx.sh.stats.estab_resets += 1;
                self.enter_closed(Some(SockError::Pipe));
            }
            State::Closing | State::LastAck => self.enter_closed(Some(SockError::ConnReset)),
            // RFC 1337 §3 (F1), if it is wanted
            State::TimeWait if cx.sh.config.rfc1337 => {}
            State::TimeWait => self.enter_closed(None),
        }
        DONE
    }

    /// Fourth, check the SYN bit: RFC 5961 §4.2
    fn fourth_syn(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Step {
        if !seg.has(Flags::SYN) {
            return NEXT;
        }
        if matches!(self.holder, Holder::SynQueue(_)) {
            // RFC 9293: a passive open returns to LISTEN.
            cx.sh.stats.attempt_fails += 1;
            self.enter_closed(Some(SockError::ConnReset));
        } else {
            self.challenge_ack(cx);
        }
        DONE
    }

    /// Fifth, check the ACK field
    fn fifth_ack(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Step {
        if !seg.has(Flags::ACK) {
            cx.sh.stats.no_ack += 1;
            return DONE;
        }
        if self.state == State::SynReceived {
            if !self.ack_is_credible(seg) {
                self.send_rst_at(cx, seg.ack);
                return DONE;
            }
            (self.snd_wnd, self.snd_wl1, self.snd_wl2) = (seg.window(self.snd_shift), seg.seq, seg.ack);
            self.max_snd_wnd = self.snd_wnd;
            self.process_ack(cx, seg);
            self.establish(cx);
            return NEXT;
        }
        if !self.ack_is_credible(seg) {
            cx.sh.stats.bad_ack += 1;
            self.challenge_ack(cx);
            return DONE;
        }
        self.process_ack(cx, seg);
        let fin_acked = self.fin_due() && self.snd_una.gt(self.data_end());
        match self.state {
            State::FinWait1 if fin_acked => {
                self.state = State::FinWait2;
                if self.holder == Holder::Nobody {
                    self.t_wait = Some(cx.now + self.set.fin_wait_2);
                }
                // Linux: the sending side is shut for good.
                self.notify(Ready::WRITE);
            }
            State::Closing if fin_acked => {
                self.enter_time_wait(cx);
                return DONE;
            }
            State::LastAck if fin_acked => {
                self.enter_closed(None);
                return DONE;
            }
            State::Closed
            | State::Listen
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => {}
        }
        NEXT
    }

    /// Eighth, check the FIN bit. A FIN before its turn waits with the data before it.
    pub(super) fn eighth_fin(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Step {
        if self.state == State::Closed {
            return DONE;
        }
        if seg.has(Flags::FIN) {
            self.early_fin = Some(seg.end() - 1);
        }
        if self.early_fin != Some(self.rcv_nxt) {
            // RFC 5681 §4.2: out of order, so at once; what came with text was acknowledged with it.
            if seg.has(Flags::FIN) && seg.payload.is_empty() && self.state.may_receive() {
                self.send_ack(cx);
            }
            return DONE;
        }
        self.early_fin = None;
        match self.state {
            State::Closed | State::Listen | State::SynSent => return DONE,
            State::SynReceived | State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(cx),
            // A second FIN: it cannot be new.
            State::CloseWait | State::Closing | State::LastAck => return DONE,
            State::TimeWait => {
                self.t_wait = Some(cx.now + cx.sh.config.time_wait);
                return DONE;
            }
        }
        // RFC 9293: advance RCV.NXT over the FIN, and send an acknowledgment for it
        self.rcv_nxt += 1;
        self.rcv_adv = self.rcv_adv.latest(self.rcv_nxt);
        (self.ack_now, self.wants_output) = (true, true);
        (self.fin_received, self.shut_read) = (true, true);
        // Nothing comes after it: there is nothing to report any more.
        self.reass.clear();
        self.dsack = None;
        self.notify(Ready::READ | Ready::RDHUP);
        DONE
    }

    /// RFC 5961 §3.2, §4.2, §5.2: an ACK that the true peer answers in a way that settles the matter.
    pub(super) fn challenge_ack(&mut self, cx: &mut Cx<'_>) {
        if self.challenge_allowed(cx) {
            cx.sh.stats.challenge_acks += 1;
            self.send_ack(cx);
        } else {
            cx.sh.stats.challenge_acks_limited += 1;
        }
    }

    /// RFC 5961 §7, for each connection apart (a common limit would tell attackers of others).
    fn challenge_allowed(&mut self, cx: &Cx<'_>) -> bool {
        let allowed = self.challenged_at.is_none_or(|at| cx.now.since(at) >= cx.sh.config.challenge_interval);
        if allowed {
            self.challenged_at = Some(cx.now);
        }
        allowed
    }
}
