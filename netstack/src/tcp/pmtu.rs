//! Whether an ICMP error's word about the path MTU is believed: RFC 1191 and RFC 8201, RFC 5927 §7.2.
//!
//! Whoever can guess a connection's numbers can forge such an error and have it send small segments. By RFC 5927
//! §7.2 a sender remembers how large its largest packets were that have been sent, and that have arrived. A message that
//! the largest packet sent is no larger than the claimed MTU is about nothing (it is dropped); if nothing so large has
//! arrived yet, the network is believed at once (*Initial Path-MTU Discovery*: the handshake, the first full segment, the
//! first ones after the MTU was lowered or raised). Otherwise (*Path-MTU Update*) the message waits until its
//! segment times out (MAXSEGRTO is 1), and is forgotten when its segment arrives. NetBSD and OpenBSD do so; Linux and
//! FreeBSD believe what names a segment in flight. Which of the two is a value of the profile: [`PmtuClaims`].
//!
//! Not here: the sequence number's check (`icmp`), and sizes that are found without ICMP (`plpmtud`).

use super::rtx::Sent;
use super::seq::SeqNum;
use super::tcb::{Cx, Tcb};
use crate::netinet::exceptions::MIN_PMTU;

/// Octets of the largest packet that every path takes, for routers that do not say (RFC 1191 §5):
/// the smallest of the table that is worth having.
const FALLBACK_MTU: u32 = 576;

/// When an ICMP error's word about the path MTU counts, given that it names a segment in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PmtuClaims {
    /// At once (Linux, FreeBSD).
    AtOnce,
    /// Against packets as large that have arrived only when the segment times out (RFC 5927 §7.2).
    OnTimeout,
}

/// What is known of packet sizes, in octets of IP packets, since the path's MTU was last lowered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// maxsizesent
    sent: u32,
    /// maxsizeacked; 0 stands for the least that every path takes.
    acked: u32,
    /// The message that waits.
    pending: Option<Claim>,
}

/// claimedmtu, claimedtcpseq
#[derive(Clone, Copy, Debug)]
struct Claim {
    mtu: u32,
    seq: SeqNum,
}

impl Sizes {
    /// A packet of so many octets goes out.
    pub(super) fn sent(&mut self, octets: u32) {
        self.sent = self.sent.max(octets);
    }

    /// A segment has arrived, with so many octets of headers: what was said of it is not true.
    pub(super) fn arrived(&mut self, segment: &Sent, headers: u32) {
        let packet = segment.end.since(segment.start) + headers;
        // A FIN has a number, but no octet.
        self.acked = self.acked.max(packet.min(self.sent));
        self.pending = self.pending.filter(|c| c.seq.lt(segment.start) || c.seq.ge(segment.end));
    }

    /// Everything before `una` has arrived.
    pub(super) fn forget_before(&mut self, una: SeqNum) {
        self.pending = self.pending.filter(|claim| claim.seq.ge(una));
    }

    /// The path takes no more than `mtu`.
    pub(super) fn lowered(&mut self, mtu: u32) {
        *self = Sizes { sent: self.sent.min(mtu), ..Sizes::default() };
    }
}

impl Tcb {
    /// An error says that the path takes packets of `mtu` octets (0: it does not say), about the segment in flight that
    /// has `seq`. Whether that is believed now.
    pub(super) fn too_big(&mut self, cx: &mut Cx<'_>, mtu: u32, seq: SeqNum) -> bool {
        let told = if mtu == 0 { FALLBACK_MTU.min(self.mtu) } else { mtu };
        let mtu = told.max(MIN_PMTU);
        match cx.sh.config.pmtu_claims {
            PmtuClaims::AtOnce => {}
            PmtuClaims::OnTimeout if mtu >= self.sizes.sent => {
                cx.sh.stats.icmp_ignored += 1;
                return false;
            }
            PmtuClaims::OnTimeout if mtu >= self.sizes.acked => {}
            PmtuClaims::OnTimeout => {
                // Of several, the one about the oldest segment: it is the first that can time out.
                if self.sizes.pending.is_none_or(|there| seq.le(there.seq)) {
                    self.sizes.pending = Some(Claim { mtu: told, seq });
                }
                return false;
            }
        }
        // RFC 1191 §6.3: never larger. Below the floor segments are fragmented by others.
        if mtu >= self.mtu {
            return true;
        }
        self.set_mtu(mtu, cx);
        if !self.syn_in_flight() {
            // RFC 1191 §6.5: sent again at once, not as a sign of congestion.
            (self.retries, self.stuck_since) = (0, None);
            self.wants_output = true;
        }
        true
    }

    /// The oldest segment has timed out: if a message about it waits, it is true.
    pub(super) fn honour_claim(&mut self, cx: &mut Cx<'_>) {
        let head = self.snd_una + self.rtx.head_len();
        let Some(claim) = self.sizes.pending.filter(|claim| claim.seq.lt(head)) else { return };
        self.sizes.pending = None;
        // Other flows to that destination go the same way, and it is asked again after repeated timeouts.
        cx.ip.learn_mtu(self.remote.ip(), claim.mtu);
        let mtu = claim.mtu.max(MIN_PMTU);
        if mtu < self.mtu {
            self.set_mtu(mtu, cx);
        }
    }
}
