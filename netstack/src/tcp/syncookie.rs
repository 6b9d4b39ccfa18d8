//! SYN cookies: RFC 4987 §3.6, appendix A. When a listener's SYN queue is full, what must be known of
//! a half-open connection travels in the sequence number of the SYN-ACK and comes back in the
//! acknowledgment; nothing is kept.
//!
//! The number holds the minute in its upper octet, the peer's MSS as an index in the lowest two bits,
//! and in the others a keyed hash of all this and the ends; a keyed hash of the ends and the peer's
//! first number hides it. What else the SYN offered fits the low six bits of our timestamp, as on Linux,
//! if the peer sends timestamps; a peer without them gets none of it.
//!
//! Lost with the queue: retransmission of the SYN-ACK, data in the SYN, the round trip of the handshake.

use super::isn::IsnGenerator;
use super::seq::SeqNum;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{Options, Timestamps};
use std::hash::Hasher;
use std::net::SocketAddr;

/// When listeners answer with cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynCookies {
    /// Never: SYNs beyond the queue are dropped.
    Never,
    /// When the SYN queue is full.
    WhenFull,
    /// Always: there are no half-open connections.
    Always,
}

/// A listener that sent no cookie for so long believes none: two minutes that count and the rest of a third.
pub(super) const LIFETIME: Duration = Duration::from_secs(120);

/// How many minutes a cookie is believed, that in which it was made included.
const MINUTES: u32 = 2;

/// What an index of the cookie stands for, in octets: what hosts send, most often Ethernet's with and
/// without PPPoE or a tunnel. A smaller MSS becomes the first.
const MSS: ([u16; 4], [u16; 4]) = ([536, 1300, 1440, 1460], [1220, 1420, 1440, 8940]);

/// Low bits of a timestamp that carry options.
const OPTION_BITS: u32 = 6;
/// Of these: the peer's shift count; 15, which is none, says that it does not scale.
const SCALE: u32 = 0xf;
/// The peer takes selective acknowledgments.
const SACK: u32 = 1 << 4;
/// Both speak of congestion.
const ECN: u32 = 1 << 5;

fn mss_table(remote: SocketAddr) -> [u16; 4] {
    if remote.is_ipv4() { MSS.0 } else { MSS.1 }
}

fn minute(now: Instant) -> u32 {
    (now.as_nanos() / 60_000_000_000) as u32
}

impl IsnGenerator {
    /// The sequence number that answers a SYN with the number `irs` and this MSS.
    pub(super) fn cookie(
        &self,
        now: Instant,
        (local, remote): (SocketAddr, SocketAddr),
        irs: SeqNum,
        mss: u16,
    ) -> SeqNum {
        let index = mss_table(remote).iter().rposition(|known| *known <= mss).unwrap_or(0) as u32;
        let proof = self.proof(local, remote, minute(now), index);
        SeqNum(self.cookie_base(local, remote, irs).wrapping_add(proof))
    }

    /// The MSS that a cookie tells, if it is one of ours of these minutes.
    pub(super) fn mss_of_cookie(
        &self,
        now: Instant,
        (local, remote): (SocketAddr, SocketAddr),
        irs: SeqNum,
        cookie: SeqNum,
    ) -> Option<u16> {
        let rest = cookie.0.wrapping_sub(self.cookie_base(local, remote, irs));
        let age = minute(now).wrapping_sub(rest >> 24) & 0xff;
        if age >= MINUTES {
            return None;
        }
        let index = rest & 3;
        let proof = self.proof(local, remote, minute(now).wrapping_sub(age), index);
        (rest == proof).then(|| mss_table(remote)[index as usize])
    }

    fn cookie_base(&self, local: SocketAddr, remote: SocketAddr, irs: SeqNum) -> u32 {
        let mut h = self.f(2, local, remote);
        h.write_u32(irs.0);
        h.finish() as u32
    }

    fn proof(&self, local: SocketAddr, remote: SocketAddr, minute: u32, index: u32) -> u32 {
        let mut h = self.f(3, local, remote);
        h.write_u32(minute << 2 | index);
        let hash = h.finish() as u32;
        minute << 24 | (hash & 0x003f_ffff) << 2 | index
    }
}

/// The timestamp nearest to `clock`, and not after it, that carries what a SYN offered and we take.
pub(super) fn timestamp_of_options(clock: u32, scale: Option<u8>, sack: bool, ecn: bool) -> u32 {
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    let options = scale.map_or(SCALE, u32::from) | bit(sack, SACK) | bit(ecn, ECN);
    let ts = (clock >> OPTION_BITS << OPTION_BITS) | options;
    if ts > clock { ts.wrapping_sub(1 << OPTION_BITS) } else { ts }
}

/// The options of the SYN again, and whether ECN was agreed: `mss` from the cookie, the others from the
/// timestamp that the peer echoes, which `offset` has been added to.
pub(super) fn options_of_timestamp(mss: u16, ts: Option<Timestamps>, offset: u32) -> (Options, bool) {
    let mut options = Options { mss: Some(mss), timestamps: ts, ..Options::default() };
    if let Some(ts) = ts {
        let bits = ts.ecr.wrapping_sub(offset);
        options.window_scale = Some(bits & SCALE).filter(|s| *s != SCALE).map(|s| s as u8);
        options.sack_permitted = bits & SACK != 0;
        return (options, bits & ECN != 0);
    }
    (options, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_into_a_timestamp_comes_out(
            clock: u32,
            scale in prop::option::of(0u8..=14),
            flags: (bool, bool),
            offset: u32,
        ) {
            let ts = timestamp_of_options(clock, scale, flags.0, flags.1);
            prop_assert!(clock.wrapping_sub(ts) < 1 << OPTION_BITS, "no older than its bits");
            let echo = Some(Timestamps { val: 1, ecr: ts.wrapping_add(offset) });
            let (options, ecn) = options_of_timestamp(1460, echo, offset);
            prop_assert_eq!((options.window_scale, options.sack_permitted, ecn), (scale, flags.0, flags.1));
        }

        #[test]
        fn a_cookie_tells_the_mss_for_one_minute_at_least(secs in 0u64..10_000_000, irs: u32, mss: u16) {
            let g = IsnGenerator::new((1, 2));
            let ends = ("10.0.0.1:80".parse().unwrap(), "10.0.0.9:4000".parse().unwrap());
            let now = Instant::ZERO + Duration::from_secs(secs);
            let cookie = g.cookie(now, ends, SeqNum(irs), mss);
            let after = |s| g.mss_of_cookie(now + Duration::from_secs(s), ends, SeqNum(irs), cookie);
            let known = MSS.0.into_iter().rfind(|m| *m <= mss).unwrap_or(536);
            prop_assert_eq!((after(0), after(60)), (Some(known), Some(known)));
            prop_assert_eq!(after(120), None);
            prop_assert_eq!(g.mss_of_cookie(now, ends, SeqNum(irs) + 1, cookie), None);
            prop_assert_eq!(g.mss_of_cookie(now, ends, SeqNum(irs), cookie + 1), None);
        }
    }
}
