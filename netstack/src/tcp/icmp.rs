//! ICMP errors about our segments: RFC 1122 §4.2.3.9, RFC 5927 (the sequence number must be one in
//! flight; hard errors are soft once the connection stands). What they say of the path's MTU is `pmtu`'s.

use super::seq::SeqNum;
use super::tcb::{Cx, Tcb};
use super::{State, Tcp};
use crate::netinet::{IcmpError, IcmpErrorKind, IpLayer, Severity};
use std::net::SocketAddr;

impl Tcp {
    /// An ICMP error; `quoted` is the beginning of the segment that it is about, 8 octets at least.
    /// Whether a connection has that segment in flight, and believes what is said of the path.
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
    /// Whether the error is about a segment in flight, and is believed.
    fn icmp(&mut self, cx: &mut Cx<'_>, kind: IcmpErrorKind, seq: SeqNum) -> bool {
        // RFC 5927 §4.1: SND.UNA =< SEG.SEQ < SND.NXT
        let in_flight = self.snd_una.le(seq) && seq.lt(self.snd_nxt);
        if !in_flight || matches!(self.state, State::Closed | State::Listen | State::TimeWait) {
            cx.sh.stats.icmp_ignored += 1;
            return false;
        }
        if let IcmpErrorKind::PacketTooBig { mtu } = kind {
            return self.too_big(cx, mtu, seq);
        }
        let (error, severity) = kind.meaning();
        // RFC 1122 §4.2.3.9: a parameter problem does not abort.
        let hard = severity == Severity::Hard && kind != IcmpErrorKind::Parameter;
        if self.state == State::SynSent {
            // Linux ends a connection attempt on all of these, so that programs try the next address.
            cx.sh.stats.attempt_fails += 1;
            self.enter_closed(Some(error));
        } else if self.state == State::SynReceived && (hard || self.fast_open_waits()) {
            cx.sh.stats.attempt_fails += 1;
            self.enter_closed(Some(error));
        } else {
            // RFC 5461, RFC 5927 §5: remembered only.
            self.soft_error = Some(error);
        }
        true
    }
}
