//! Spurious recoveries: F-RTO (RFC 5682, with selective acknowledgments), Eifel detection by timestamps (RFC 3522) and by
//! D-SACK (RFC 3708). What arrives shows that nothing was lost: the windows go back to what they were (RFC 4015).

use super::cc::CongestionControl;
use super::rtx::Acked;
use super::segment::Segment;
use super::tcb::{Cx, Recovery, Tcb};
use super::timestamp;

/// What a recovery began with.
#[derive(Debug)]
pub(crate) struct Undo {
    /// `None`: the cut stays, whatever becomes of the losses.
    before: Option<Before>,
    /// Retransmissions, less those whose duplicate arrival was reported; those of an earlier recovery that are still under
    /// way included.
    again: u32,
    /// There was one.
    any: bool,
}

/// The window as it was.
#[derive(Debug)]
struct Before {
    cc: Option<Box<dyn CongestionControl>>,
    cwnd: u32,
    ssthresh: u32,
}

/// F-RTO's steps after a timeout (RFC 5682 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Frto {
    /// Not at work.
    #[default]
    Off,
    /// The first segment was sent again (step 1).
    First,
    /// Its acknowledgment came, new data goes instead of what is taken for lost (step 2b).
    News,
}

impl Tcb {
    /// A recovery begins: keeps what its end may give back. One that follows upon another keeps what that one began with.
    pub(super) fn remember_window(&mut self) {
        let (cwnd, ssthresh) = (self.window.cwnd, self.window.ssthresh);
        let before = Some(Before { cc: self.cc.copy(), cwnd, ssthresh });
        let again = self.rtx.segments().retransmitted;
        if !self.rtx.any_retransmitted() {
            self.retrans_stamp = None;
        }
        self.undo = Some(Box::new(Undo { before, again, any: again > 0 }));
    }

    /// The network has said that it is congested: that is no error of ours (RFC 3168).
    pub(super) fn keep_the_cut(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.before = None;
        }
    }

    /// Something was sent again.
    pub(super) fn sent_again(&mut self, cx: &Cx<'_>) {
        self.retrans_stamp.get_or_insert(timestamp(cx.now, self.ts_offset));
        if let Some(undo) = &mut self.undo {
            (undo.again, undo.any) = (undo.again.saturating_add(1), true);
        }
    }

    /// Whether an acknowledgment shows that the recovery was not needed; then it is over.
    pub(super) fn undo_if_spurious(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        acked: &Acked,
        duplicate: bool,
        octets: u32,
    ) {
        let original = self.frto_step(acked, octets);
        let Some(undo) = &mut self.undo else { return };
        if duplicate {
            undo.again = undo.again.saturating_sub(1);
        }
        let echo = seg.options.timestamps.filter(|ts| self.timestamps && ts.ecr != 0);
        let older = octets > 0
            && echo
                .zip(self.retrans_stamp)
                .is_some_and(|(ts, first)| (ts.ecr.wrapping_sub(first) as i32) < 0);
        let twice = duplicate && undo.again == 0;
        if !(original || (undo.any && (older || twice))) {
            return;
        }
        let Some(undo) = self.undo.take().map(|undo| *undo) else { return };
        // The hole was filled by what came late, and not by what was sent again.
        if older && matches!(self.recovery, Recovery::Fast { until } if seg.ack.lt(until)) {
            self.count_reordering(cx, seg.ack - octets);
        }
        cx.sh.stats.spurious_recoveries += 1;
        if let Some(before) = undo.before {
            if let Some(cc) = before.cc {
                self.cc = cc;
            }
            self.window.cwnd = self.window.cwnd.max(before.cwnd);
            self.window.ssthresh = self.window.ssthresh.max(before.ssthresh);
            self.ecn.cwr = false;
        } else if self.in_recovery() {
            self.window.cwnd = self.window.ssthresh;
        }
        if self.in_recovery() {
            self.recovery = Recovery::Open;
            self.rack.recovered();
        }
        (self.frto, self.retransmit_now) = (Frto::Off, false);
        self.rtx.unmark_lost();
    }

    /// The new data of step 2b waits, and none of it has gone (Nagle's algorithm, a silly window): nothing would come back that
    /// says more. True: conventional recovery goes on.
    pub(super) fn frto_has_no_news(&mut self) -> bool {
        let none = self.frto == Frto::News && self.recovery == Recovery::Timeout { until: self.snd_nxt };
        if none {
            self.frto = Frto::Off;
        }
        none
    }

    /// Goes on with F-RTO. True: data that was never sent again has arrived, so the timeout was spurious (step 3b).
    fn frto_step(&mut self, acked: &Acked, octets: u32) -> bool {
        let Recovery::Timeout { until } = self.recovery else {
            self.frto = Frto::Off;
            return false;
        };
        if self.frto == Frto::Off {
            return false;
        }
        if acked.original.is_some_and(|end| end.le(until)) {
            return true;
        }
        let news = self.unsent() > 0 && self.window_room() > 0;
        self.frto = match self.frto {
            Frto::First if octets > 0 && self.snd_una.lt(until) && news => Frto::News,
            // Nothing has arrived: the duplicate of an earlier ACK.
            Frto::First if octets == 0 && acked.octets == 0 => Frto::First,
            // Step 2a, 3a: conventional recovery
            Frto::Off | Frto::First | Frto::News => Frto::Off,
        };
        false
    }
}
