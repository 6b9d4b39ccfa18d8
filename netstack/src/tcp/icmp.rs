//! ICMP errors about our segments: RFC 1122 §4.2.3.9, RFC 5927 (the sequence number must be one in
//! flight; hard errors are soft once the connection stands), RFC 1191 and RFC 8201 (path MTU).

use super::seq::SeqNum;
use super::tcb::{Cx, Tcb};
use super::{State, Tcp};
use crate::netinet::exceptions::MIN_PMTU;
use crate::netinet::{IcmpError, IcmpErrorKind, IpLayer, Severity};
use std::net::SocketAddr;

/// Octets of the largest packet that every path takes, for routers that do not say (RFC 1191 §5):
/// the smallest of the table that is worth having.
const FALLBACK_MTU: u32 = 576;

impl Tcp {
    /// An ICMP error; `quoted` is the beginning of the segment that it is about, 8 octets at least.
    /// Whether a connection has that segment in flight.
    pub fn icmp_error(&mut self, ip: &mut dyn IpLayer, error: &IcmpError, quoted: &[u8]) -> bool {
        let Some(head) = quoted.first_chunk::<8>() else {
            self.sh.stats.icmp_ignored += 1;
            return false;
        };
        let [s0, s1, d0, d1, q0, q1, q2, q3] = *head;
        let local = SocketAddr::new(error.src, u16::from_be_bytes([s0, s1]));
        let remote = SocketAddr::new(error.dst, u16::from_be_bytes([d0, d1]));
        let seq = SeqNum(u32::from_be_bytes([q0, q1, q2, q3]));
        let Some(id) = self.pcbs.lookup_connected(local, remote) else {
            self.sh.stats.icmp_ignored += 1;
            return false;
        };
        let taken = self.parts(ip, id).is_some_and(|(tcb, mut cx)| tcb.icmp(&mut cx, error.kind, seq));
        self.settle(id);
        taken
    }
}

impl Tcb {
    /// Whether the error is about a segment in flight.
    fn icmp(&mut self, cx: &mut Cx<'_>, kind: IcmpErrorKind, seq: SeqNum) -> bool {
        // RFC 5927 §4.1: SND.UNA =< SEG.SEQ < SND.NXT
        let in_flight = self.snd_una.le(seq) && seq.lt(self.snd_nxt);
        if !in_flight || matches!(self.state, State::Closed | State::Listen | State::TimeWait) {
            cx.sh.stats.icmp_ignored += 1;
            return false;
        }
        if let IcmpErrorKind::PacketTooBig { mtu } = kind {
            self.too_big(cx, mtu);
            return true;
        }
        let (error, severity) = kind.meaning();
        // RFC 1122 §4.2.3.9: a parameter problem does not abort.
        let hard = severity == Severity::Hard && kind != IcmpErrorKind::Parameter;
        if self.state == State::SynSent {
            // Linux ends a connection attempt on all of these, so that programs try the next address.
            cx.sh.stats.attempt_fails += 1;
            self.enter_closed(Some(error));
        } else if self.state == State::SynReceived && hard {
            cx.sh.stats.attempt_fails += 1;
            self.enter_closed(Some(error));
        } else {
            // RFC 5461, RFC 5927 §5: remembered only.
            self.soft_error = Some(error);
        }
        true
    }

    fn too_big(&mut self, cx: &mut Cx<'_>, mtu: u32) {
        let mtu = if mtu == 0 { FALLBACK_MTU.min(self.mtu) } else { mtu.max(MIN_PMTU) };
        // RFC 1191 §6.3: never larger. Below the floor segments are fragmented by others.
        if mtu >= self.mtu {
            return;
        }
        self.set_mtu(mtu, cx);
        if self.syn_in_flight() {
            return;
        }
        // RFC 1191 §6.5: sent again at once, not as a sign of congestion.
        (self.retries, self.stuck_since) = (0, None);
        self.wants_output = true;
    }
}
