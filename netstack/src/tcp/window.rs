//! The receive window: RFC 9293 §3.8.6.2.2 (silly window avoidance), RFC 7323 §2 (scaling), and
//! the growth of the receive buffer with the speed of its reader (dynamic right-sizing, as Linux).

use super::config::{SynWindow, TcpConfig};
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::time::{Duration, Instant};

/// Measurements for the growth of the receive buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tuning {
    /// The round trip as the receiver sees it: how long it takes until the octet before an edge that
    /// was offered comes in. It is never less than the path's.
    rtt: Option<Duration>,
    /// The edge that is waited for, and when it was offered.
    edge: Option<(SeqNum, Instant)>,
    /// Octets read by the program since `measured_at`.
    copied: usize,
    measured_at: Instant,
    /// Most octets read in a round trip.
    most: usize,
}

impl Tuning {
    /// The round trip as the receiver sees it.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Most octets that the program has read in one.
    pub(super) fn most(&self) -> usize {
        self.most
    }
}

impl Tcb {
    /// Largest window that the buffer allows: the rest is for what the memory costs.
    pub(super) fn rcv_space(&self) -> u32 {
        let size = self.rcvbuf_size as u32;
        let space = match self.set.adv_win_scale {
            0 => size,
            scale => size - (size >> scale.min(31)),
        };
        space.min(self.set.window_clamp)
    }

    /// RCV.WND: what was offered and not used up.
    pub(super) fn offered(&self) -> u32 {
        if self.rcv_adv.gt(self.rcv_nxt) { self.rcv_adv.since(self.rcv_nxt) } else { 0 }
    }

    /// The window of a SYN: not scaled.
    pub(super) fn syn_window(&mut self, kind: SynWindow) -> u16 {
        let space = self.rcv_space();
        let mss = u32::from(self.adv_mss).max(1);
        let window = match kind {
            SynWindow::WholeSegments if space > mss => space / mss * mss,
            SynWindow::WholeSegments | SynWindow::Whole => space,
        }
        .min(u32::from(u16::MAX));
        self.rcv_adv = self.rcv_adv.latest(self.rcv_nxt + window);
        window as u16
    }

    /// The shift count for windows up to the largest that the buffer may reach.
    pub(super) fn wanted_shift(&self, config: &TcpConfig) -> u8 {
        let largest =
            if self.set.rcvbuf_fixed { self.rcvbuf_size } else { config.rcvbuf.max.max(self.rcvbuf_size) };
        (0..14).find(|shift| largest >> shift <= usize::from(u16::MAX)).unwrap_or(14)
    }

    /// The window to offer: moves its right edge only by steps worth a segment, and never left.
    fn wanted_window(&self) -> u32 {
        let (offered, space) = (self.offered(), self.rcv_space());
        let free = space.saturating_sub(self.rcvbuf.len() as u32);
        // RFC 9293 §3.8.6.2.2: RCV.BUFF - RCV.USER - RCV.WND >= min(Fr * RCV.BUFF, Eff.snd.MSS)
        let step = (space / 2).min(u32::from(self.adv_mss)).max(1);
        if free.saturating_sub(offered) >= step { free } else { offered }
    }

    /// The window field of the next segment; what it says is offered from now on.
    pub(super) fn choose_window(&mut self, now: Instant) -> u16 {
        let wanted = self.wanted_window();
        let (shift, free) = (self.rcv_shift, self.rcv_space().saturating_sub(self.rcvbuf.len() as u32));
        let up = wanted.div_ceil(1 << shift);
        // RFC 7323 §2.4: the rounding must not take back what was offered, if there is memory for it.
        let field = if up << shift <= free.max(wanted & !((1 << shift) - 1)) { up } else { wanted >> shift };
        let field = field.min(u32::from(u16::MAX));
        let edge = self.rcv_nxt + (field << shift);
        if edge.gt(self.rcv_adv) {
            self.rcv_adv = edge;
            self.tune.edge.get_or_insert((edge, now));
        }
        field as u16
    }

    /// Whether the reader has made so much room that the peer should know: the window was less than
    /// half and has doubled, by two segments or half of the buffer.
    fn window_update_due(&self) -> bool {
        // What the field cannot say is no news.
        let most = u32::from(u16::MAX) << self.rcv_shift;
        let (offered, wanted) = (self.offered(), self.wanted_window().min(most));
        let space = self.rcv_space().min(most);
        let step = (space / 2).min(2 * self.rcv_mss.min(u32::from(self.adv_mss)));
        offered.saturating_mul(2) <= space
            && wanted >= offered.saturating_mul(2)
            && wanted.saturating_sub(offered) >= step.max(1)
    }

    /// The connection is made.
    pub(super) fn start_tuning(&mut self, now: Instant) {
        self.tune = Tuning {
            rtt: None,
            edge: None,
            copied: 0,
            measured_at: now,
            most: (10 * usize::from(self.adv_mss)).min(self.rcv_space() as usize),
        };
    }

    /// Data came in.
    pub(super) fn measure_window(&mut self, now: Instant) {
        if let Some((edge, offered)) = self.tune.edge
            && self.rcv_nxt.ge(edge)
        {
            let r = now.since(offered);
            self.tune.rtt = Some(self.tune.rtt.map_or(r, |old| if r < old { r } else { (old * 7 + r) / 8 }));
            self.tune.edge = None;
        }
    }

    /// The program has read `n` octets: grow the buffer so that it can read as fast again as it
    /// did in the last round trip, and tell the peer of the room.
    pub(super) fn after_read(&mut self, now: Instant, n: usize, config: &TcpConfig) {
        self.tune.copied += n;
        self.buffer_emptied(now);
        let rtt = match (self.rtt.srtt(), self.tune.rtt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if rtt.is_some_and(|rtt| now.since(self.tune.measured_at) >= rtt) {
            if self.tune.copied > self.tune.most {
                self.tune.most = self.tune.copied;
                let want = 2 * (2 * self.tune.copied + 16 * usize::from(self.adv_mss));
                if !self.set.rcvbuf_fixed && want > self.rcvbuf_size {
                    self.rcvbuf_size = want.min(config.rcvbuf.max).max(self.rcvbuf_size);
                }
            }
            self.tune.copied = 0;
            self.tune.measured_at = now;
        }
        let unanswered = self.pushes > 1 || self.pushes == 1 && !self.interactive;
        let at_end = config.ack_on_read && self.t_delack.is_some() && self.rcvbuf.is_empty();
        if self.state.may_receive() && (at_end && unanswered || self.window_update_due()) {
            self.ack_now = true;
            self.wants_output = true;
        }
    }
}
