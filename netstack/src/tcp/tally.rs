//! What a connection counts of itself for nobody but `TCP_INFO`: plain counters, and the time that it
//! was busy and what it waited for (Linux's `tcp_chrono`).

use super::tcb::Tcb;
use crate::time::{Duration, Instant};

/// Counters of one connection, by the fields of Linux's `struct tcp_info` without their prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Segments received.
    pub segs_in: u32,
    /// Segments sent, again included.
    pub segs_out: u32,
    /// Of those received, with data.
    pub data_segs_in: u32,
    /// Of those sent, with data.
    pub data_segs_out: u32,
    /// Octets of data sent, again included.
    pub bytes_sent: u64,
    /// Octets sent again.
    pub bytes_retrans: u64,
    /// Segments that have arrived, says the peer.
    pub delivered: u32,
    /// Duplicates that the peer has reported (RFC 2883).
    pub dsack_dups: u32,
    /// Segments that have arrived after ones sent later.
    pub reord_seen: u32,
    /// Segments received before their turn.
    pub rcv_ooopack: u32,
    /// Retransmission timeouts.
    pub total_rto: u16,
    /// Recoveries that began by one.
    pub total_rto_recoveries: u16,
    /// How long these took.
    pub total_rto_time: Duration,
    /// When the one that goes on began.
    pub rto_since: Option<Instant>,
    /// When data last came.
    pub last_data_rx: Instant,
    /// When an acknowledgment last came.
    pub last_ack_rx: Instant,
    /// What the sender waits for, and since when.
    pub waits: (Waits, Instant),
    /// How long it had something to do, as of then; the next two included.
    pub busy_time: Duration,
    /// How long it waited for the peer's window, as of then.
    pub rwnd_limited: Duration,
    /// How long it waited for a program that waited for room in the send buffer, as of then.
    pub sndbuf_limited: Duration,
}

/// What a sender waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// For the program: there is nothing to do.
    #[default]
    Idle,
    /// For the network.
    Network,
    /// For the peer's window.
    Window,
    /// For room in the send buffer.
    Buffer,
}

impl Tally {
    /// From now on it waits for this.
    fn wait_for(&mut self, now: Instant, what: Waits) {
        if self.waits.0 == what {
            return;
        }
        *self = Tally { waits: (what, now), ..self.at(now) };
    }

    /// With the times as of `now`.
    pub fn at(&self, now: Instant) -> Tally {
        let (what, since) = self.waits;
        let (mut tally, passed) = (*self, now.since(since));
        tally.waits.1 = now;
        match what {
            Waits::Idle => return tally,
            Waits::Network => {}
            Waits::Window => tally.rwnd_limited += passed,
            Waits::Buffer => tally.sndbuf_limited += passed,
        }
        tally.busy_time += passed;
        tally
    }

    /// A retransmission timeout.
    pub(super) fn timed_out(&mut self, now: Instant) {
        self.total_rto = self.total_rto.saturating_add(1);
        if self.rto_since.is_none() {
            self.rto_since = Some(now);
            self.total_rto_recoveries = self.total_rto_recoveries.saturating_add(1);
        }
    }

    /// Something new was acknowledged.
    pub(super) fn progress(&mut self, now: Instant) {
        if let Some(since) = self.rto_since.take() {
            self.total_rto_time += now.since(since);
        }
    }
}

impl Tcb {
    /// Looks at what the sender waits for now.
    pub(super) fn tally_waits(&mut self, now: Instant) {
        let (flight, unsent) = (self.flight(), self.unsent());
        let what = if flight == 0 && unsent == 0 {
            Waits::Idle
        } else if unsent > 0 && !self.cwnd_limited && self.window_room() < unsent.min(self.window.mss) {
            Waits::Window
        } else if unsent == 0 && self.no_space {
            Waits::Buffer
        } else {
            Waits::Network
        };
        self.tally.wait_for(now, what);
    }
}
