//! Explicit congestion notification: RFC 3168 §6.1, as Linux does it. A router that is about to lose a
//! packet of a connection that agreed marks it instead (CE); the receiver says so on all its
//! acknowledgments (ECE) until the sender says that it has cut its window (CWR).
//!
//! The mark is set on data that is sent for the first time and on nothing else (§6.1.4 to §6.1.6).
//! How deep the window is cut is the affair of `cc` (RFC 8511). Not here: ECN of control packets (RFC
//! 5562), more than one echo a round trip (AccECN), and §6.1.2's timer for a window of one segment: as
//! on Linux a threshold is two segments at least.

use super::State;
use super::cc::Congestion;
use super::prr::Prr;
use super::segment::Segment;
use super::tcb::{Cx, Recovery, Tcb};
use crate::wire::tcp::Flags;

/// The ECN field, in the type of service.
pub(super) const MASK: u8 = 0b11;
/// The sender does not know of ECN.
pub(super) const NOT_ECT: u8 = 0b00;
/// It does.
const ECT_0: u8 = 0b10;
/// The packet has met congestion.
pub(super) const CE: u8 = 0b11;

/// Whether connections use ECN. The numbers are those of Linux's `tcp_ecn` and FreeBSD's `net.inet.tcp.ecn.enable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnMode {
    /// 0: never.
    Off,
    /// 1: asks for it, and accepts it.
    Request,
    /// 2: accepts it when asked.
    Accept,
}

impl EcnMode {
    /// 0, 1, 2
    pub const fn number(self) -> u8 {
        match self {
            EcnMode::Off => 0,
            EcnMode::Request => 1,
            EcnMode::Accept => 2,
        }
    }

    /// The mode of that number.
    pub const fn by_number(n: u8) -> Option<EcnMode> {
        match n {
            0 => Some(EcnMode::Off),
            1 => Some(EcnMode::Request),
            2 => Some(EcnMode::Accept),
            _ => None,
        }
    }
}

/// ECN of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ecn {
    /// Asked for (before the peer's SYN) or in use, in both directions.
    pub(crate) on: bool,
    /// CE has come: ECE goes on all acknowledgments until CWR comes.
    pub(super) echo: bool,
    /// The window was cut: CWR goes on the next new data.
    pub(super) cwr: bool,
}

/// Whether a segment's octets were on the way before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// They were not.
    First,
    /// They were not, and the segment is the last one of several that leave together.
    Train,
    /// They were not, and nothing but a timer let them go.
    Forced,
    /// They were: a mark on them could be forged (§6.1.5).
    Again,
    /// They were, and the segment is the last one of several that leave together.
    TrainAgain,
}

impl Ecn {
    /// Before there is a SYN of the peer.
    pub(super) fn asked(mode: EcnMode) -> Ecn {
        Ecn { on: mode == EcnMode::Request, ..Ecn::default() }
    }
}

impl Tcb {
    /// What our SYN says of ECN (§6.1.1). One that was not answered goes without: something on the way may throw away what it
    /// does not know (§6.1.1.1). What the answer to the first one says still counts.
    pub(super) fn syn_ecn(&self, cx: &Cx<'_>) -> Flags {
        match self.state {
            _ if !self.ecn.on => Flags::empty(),
            State::SynReceived => Flags::ECE,
            _ if self.retries > 0 && cx.sh.config.ecn_fallback => Flags::empty(),
            _ => Flags::ECE | Flags::CWR,
        }
    }

    /// What the peer's SYN says of ECN.
    pub(super) fn take_syn_ecn(&mut self, cx: &mut Cx<'_>, syn: &Segment<'_>) {
        let ecn = syn.flags & (Flags::ECE | Flags::CWR);
        self.ecn.on = if self.state == State::SynReceived {
            // A SYN that bears the mark itself was tampered with (Linux).
            cx.sh.config.ecn != EcnMode::Off && ecn == Flags::ECE | Flags::CWR && syn.ecn == NOT_ECT
        } else if syn.has(Flags::ACK) {
            // Both flags together are an echo of the question, by someone who did not understand it.
            self.ecn.on && ecn == Flags::ECE
        } else {
            self.ecn.on && ecn == Flags::ECE | Flags::CWR
        };
        cx.sh.stats.ecn_agreed += u64::from(self.ecn.on);
    }

    // ---- the receiver ---------------------------------------------------------------------------

    /// Data that is taken came with its mark (§6.1.3).
    pub(super) fn take_mark(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) {
        if !self.ecn.on {
            return;
        }
        if seg.has(Flags::CWR) {
            self.ecn.echo = false;
            // The sender's window may be so small that it has nothing more to send (Linux).
            self.quick_acks = self.quick_acks.max(1);
        }
        if seg.ecn == CE {
            cx.sh.stats.ecn_ce += 1;
            if !self.ecn.echo {
                self.ecn.echo = true;
                self.quick_acks = self.quick_acks.max(2);
            }
        }
    }

    // ---- the sender -----------------------------------------------------------------------------

    /// The ECN field and the flags of a segment with `len` octets of data.
    pub(super) fn mark(&mut self, sending: Sending, len: usize) -> (u8, Flags) {
        if !self.ecn.on || matches!(sending, Sending::Again | Sending::TrainAgain) || len == 0 {
            return (NOT_ECT, Flags::empty());
        }
        let cwr = std::mem::take(&mut self.ecn.cwr);
        (ECT_0, if cwr { Flags::CWR } else { Flags::empty() })
    }

    /// What an acknowledgment says of marks. `flight` octets were in flight before it (§6.1.2).
    pub(super) fn take_echo(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, flight: u32) {
        if !self.ecn.on {
            return;
        }
        // The segment that bears CWR is the first behind `until`: ACKs up to there still echo the old mark.
        if let Recovery::Cwr { until } = self.recovery
            && seg.ack.gt(until)
        {
            self.window.cwnd = self.window.ssthresh;
            self.recovery = Recovery::Open;
        }
        if !seg.has(Flags::ECE) || seg.has(Flags::SYN) {
            return;
        }
        match self.recovery {
            Recovery::Open => {
                cx.sh.stats.ecn_cuts += 1;
                self.cut(cx, self.flight_size(cx), Congestion::Mark);
                self.undo = None;
                self.recovery = Recovery::Cwr { until: self.snd_nxt };
                self.prr = Prr::begin(flight);
            }
            // Once a window of data.
            Recovery::Cwr { .. } => {}
            // The losses may turn out to be none. The congestion does not.
            Recovery::Fast { .. } | Recovery::Timeout { .. } => self.keep_the_cut(),
        }
    }

    /// The network is congested: the threshold comes down, and the peer hears of it.
    pub(super) fn cut(&mut self, cx: &Cx<'_>, flight: u32, why: Congestion) {
        self.window.ssthresh = self.cc.on_congestion(&self.window, flight, why, cx.now);
        self.ecn.cwr = self.ecn.on;
    }
}
