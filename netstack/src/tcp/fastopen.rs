//! TCP Fast Open: RFC 7413. Data in the SYN reaches the program before the handshake ends, for peers
//! that show a cookie from an earlier connection.
//!
//! Here: the server's cookies, the client's cache of them, and what a connection does otherwise because
//! of it. How the option looks is in `wire::tcp`; when a listener takes it, in `listen`.
//!
//! The experimental option (kind 254) of before the RFC is answered in kind; a client asks by the RFC's.
//!
//! Not here: keys that change with time (§4.1.2: a cookie is good as long as its key is).

use super::isn::IsnGenerator;
use super::segment::Segment;
use super::tcb::{Cx, Holder, Tcb};
use super::{State, TcpId};
use crate::time::{Duration, Instant};
use crate::wire::tcp::FastOpenCookie;
use siphasher::sip::SipHasher24;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::net::IpAddr;

bitflags::bitflags! {
    /// What of Fast Open is in use: Linux's `tcp_fastopen`, with its numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FastOpen: u32 {
        /// Programs may send data in a SYN.
        const CLIENT = 0x1;
        /// Listeners that ask for it take data in a SYN.
        const SERVER = 0x2;
        /// ... and send it without a cookie (only where the network is one's own).
        const CLIENT_NO_COOKIE = 0x4;
        /// ... and take it without a cookie.
        const SERVER_NO_COOKIE = 0x200;
        /// All listeners take it, as many as their backlog.
        const ALL_LISTENERS = 0x400;
    }
}

/// What cookies are made of: `tcp_fastopen_key`, TCP_FASTOPEN_KEY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u8; 16]);

impl Key {
    fn halves(self) -> (u64, u64) {
        let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| self.0[at + n]));
        (half(0), half(8))
    }

    /// Of four numbers in hexadecimal with `-` between them, as `tcp_fastopen_key` has them; what follows after a comma
    /// (the key of before) is not looked at.
    pub fn parse(text: &str) -> Option<Key> {
        let mut numbers = text.split(',').next()?.trim().split('-');
        let mut octets = [0; 16];
        for four in octets.chunks_exact_mut(4) {
            four.copy_from_slice(&u32::from_str_radix(numbers.next()?, 16).ok()?.to_le_bytes());
        }
        numbers.next().is_none().then_some(Key(octets))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, four) in self.0.chunks_exact(4).enumerate() {
            let number = u32::from_le_bytes(std::array::from_fn(|n| four[n]));
            write!(f, "{}{number:08x}", if at > 0 { "-" } else { "" })?;
        }
        Ok(())
    }
}

/// What Fast Open makes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing, or no more.
    No,
    /// Its SYN brought a good cookie to this listener: the program has it while the handshake goes on.
    Passive(TcpId),
    /// `connect` has returned; the SYN waits for data to take along (TCP_FASTOPEN_CONNECT).
    Deferred,
    /// Our SYN named the option, with data or without.
    Active,
}

/// Why the data of a SYN did not get through, by the names and numbers of Linux's `tcp_fastopen_client_fail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FastOpenFail {
    /// TFO_STATUS_UNSPEC: it did, or it was not tried, or another reason.
    #[default]
    Unspecified = 0,
    /// TFO_COOKIE_UNAVAILABLE: there was no cookie; it was asked for.
    NoCookie = 1,
    /// TFO_DATA_NOT_ACKED: the SYN-ACK did not acknowledge it.
    NotAcked = 2,
    /// TFO_SYN_RETRANSMITTED: nor did it when the SYN was sent again, without data.
    SynRetransmitted = 3,
}

/// Connections that were reset before the handshake ended count for so long (§5.1): their SYNs were
/// somebody else's.
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// A listener's connections whose handshake goes on (§5.1's PendingFastOpenRequests).
#[derive(Debug, Default)]
pub(super) struct Pending {
    open: usize,
    /// Until when those that were reset count; the first to end is in front.
    reset: VecDeque<Instant>,
}

impl Pending {
    /// Whether there is room for one more, of `limit`.
    pub(super) fn has_room(&mut self, now: Instant, limit: usize) -> bool {
        while self.reset.front().is_some_and(|until| *until <= now) {
            self.reset.pop_front();
        }
        self.open + self.reset.len() < limit
    }

    pub(super) fn begin(&mut self) {
        self.open += 1;
    }

    /// A handshake has ended; `reset`: by a reset that came in then.
    pub(super) fn end(&mut self, reset: Option<Instant>) {
        self.open = self.open.saturating_sub(1);
        self.reset.extend(reset.map(|at| at + RESET_COUNTS));
    }
}

/// What a client may do at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing is known: ask for a cookie.
    Nothing,
    /// The cookie, and the peer's MSS.
    Cookie(FastOpenCookie, u16),
    /// Such SYNs get lost on the way (§4.1.3.1): leave it.
    Blackhole,
}

/// What is remembered of a destination.
#[derive(Clone, Copy, Debug)]
struct Entry {
    cookie: FastOpenCookie,
    mss: u16,
    /// SYNs with data that were lost in a row, and when the last was.
    losses: u32,
    lost_at: Instant,
    seq: u64,
}

/// Destinations that are remembered; the oldest goes.
const CACHE: usize = 1024;

/// The client's cookies (§4.1.3).
#[derive(Debug, Default)]
pub(super) struct Cache {
    by_dst: BTreeMap<IpAddr, Entry>,
    by_age: BTreeMap<u64, IpAddr>,
    seq: u64,
}

impl Cache {
    fn get(&self, dst: IpAddr, now: Instant) -> Known {
        let Some(e) = self.by_dst.get(&dst) else { return Known::Nothing };
        // Linux: twice as long with each loss after the first.
        let patience = Duration::from_secs(60 << e.losses.min(16));
        if e.losses > 1 && now.since(e.lost_at) < patience {
            return Known::Blackhole;
        }
        Known::Cookie(e.cookie, e.mss)
    }

    /// The peer has answered: with a new cookie or without, and with its MSS.
    fn learn(&mut self, dst: IpAddr, cookie: Option<FastOpenCookie>, mss: u16, lost: Option<Instant>) {
        let old = self.by_dst.get(&dst).copied();
        let Some(cookie) = cookie.or(old.map(|e| e.cookie)) else { return };
        match old {
            Some(old) => {
                self.by_age.remove(&old.seq);
            }
            None if self.by_dst.len() >= CACHE => {
                if let Some((_, oldest)) = self.by_age.pop_first() {
                    self.by_dst.remove(&oldest);
                }
            }
            None => {}
        }
        let losses = if lost.is_some() { old.map_or(0, |e| e.losses) + 1 } else { 0 };
        self.seq += 1;
        let entry = Entry { cookie, mss, losses, lost_at: lost.unwrap_or(Instant::ZERO), seq: self.seq };
        self.by_dst.insert(dst, entry);
        self.by_age.insert(self.seq, dst);
    }
}

impl IsnGenerator {
    /// The cookie for a client's address (§4.1.2): Linux's, so that servers with the same key know each other's. Without
    /// a key it is the stack's own secret.
    pub(super) fn fast_open_cookie(&self, local: IpAddr, remote: IpAddr, key: Option<Key>) -> FastOpenCookie {
        let (a, b) = key.map_or_else(|| self.fast_open_key(), Key::halves);
        let mut h = SipHasher24::new_with_keys(a, b);
        for end in [remote, local] {
            match end {
                IpAddr::V4(a) => h.write(&a.octets()),
                IpAddr::V6(a) => h.write(&a.octets()),
            }
        }
        FastOpenCookie::from(h.finish().to_le_bytes())
    }
}

impl Tcb {
    /// Whether it transmits though the handshake goes on (§4.2.2: after the SYN-ACK).
    pub(super) fn fast_open_transmits(&self) -> bool {
        self.state == State::SynReceived && matches!(self.fast_open, Use::Passive(_))
    }

    /// Whether the program has not accepted it yet, and the handshake goes on.
    pub(super) fn fast_open_waits(&self) -> bool {
        self.fast_open_transmits() && matches!(self.holder, Holder::AcceptQueue(_))
    }

    /// Takes the data of the SYN that the connection begins with: RFC 9293 §3.10.7.2 has it queued. The
    /// program sees it when it has the connection.
    pub(super) fn take_syn_data(&mut self, cx: &mut Cx<'_>, syn: &Segment<'_>) {
        self.syn_window(cx.sh.config.syn_window);
        let mut rest = *syn;
        rest.trim_front(1);
        rest.trim_back(self.rcv_adv);
        if !rest.payload.is_empty() {
            self.rcvbuf.push(rest.payload);
            self.data_in_order(cx, rest.payload.len() as u32, &rest);
        }
    }

    /// Whether a SYN to this peer could take data along.
    pub(super) fn may_fast_open(&self, cx: &Cx<'_>) -> bool {
        match cx.sh.fast_open.get(self.remote.ip(), cx.now) {
            Known::Cookie(..) => true,
            Known::Nothing => self.needs_no_cookie(cx),
            Known::Blackhole => false,
        }
    }

    fn needs_no_cookie(&self, cx: &Cx<'_>) -> bool {
        self.set.fast_open_no_cookie || cx.sh.config.fast_open.contains(FastOpen::CLIENT_NO_COOKIE)
    }

    /// The cookie for the first SYN of SYN-SENT, and how much data it takes: §4.2.1, §4.2.2.
    pub(super) fn fast_syn(&mut self, cx: &Cx<'_>) -> (Option<FastOpenCookie>, usize) {
        let (cookie, mss) = match cx.sh.fast_open.get(self.remote.ip(), cx.now) {
            Known::Cookie(cookie, mss) => (Some(cookie), Some(mss)),
            // Payload before the peer has said its MSS: RFC 9293 §3.7.1.
            Known::Nothing if self.needs_no_cookie(cx) => (None, Some(self.peer_mss)),
            Known::Nothing => {
                self.fast_open_fail = FastOpenFail::NoCookie;
                (Some(FastOpenCookie::REQUEST), None)
            }
            Known::Blackhole => (None, None),
        };
        let path = self.mtu.saturating_sub(self.ip_header_len() + 20);
        // A SYN may be full of options.
        let ours = self.set.max_seg.unwrap_or(u16::MAX);
        let room = mss.map_or(0, |mss| u32::from(mss.min(ours)).min(path).saturating_sub(40)) as usize;
        (cookie, room)
    }

    /// Sends that SYN with as much of `data` as it takes. Returns how much.
    pub(super) fn send_fast_syn(&mut self, cx: &mut Cx<'_>, data: &[u8]) -> usize {
        let (cookie, room) = self.fast_syn(cx);
        let n = self.sndbuf.push(&data[..data.len().min(room)]);
        self.fast_open = if cookie.is_some() || n > 0 { Use::Active } else { Use::No };
        self.rtx.push(self.iss, self.iss + 1, cx.now, self.rate.stamp());
        self.snd_nxt = self.iss + 1 + n as u32;
        if n > 0 {
            self.rtx.push(self.iss + 1, self.snd_nxt, cx.now, self.rate.stamp());
        }
        cx.sh.stats.active_opens += 1;
        self.send_syn_with(cx, cookie, n);
        n
    }

    /// SYN-SENT, and the peer's SYN comes before there is data for ours, which goes without now.
    pub(super) fn deferred_syn_is_due(&mut self, cx: &mut Cx<'_>) {
        if self.fast_open == Use::Deferred {
            self.fast_open = Use::No;
            self.snd_nxt = self.iss + 1;
            self.rtx.push(self.iss, self.snd_nxt, cx.now, self.rate.stamp());
            cx.sh.stats.active_opens += 1;
        }
    }

    /// SYN-SENT, and the peer has answered our option (§4.2.1: the cookie is kept; §4.2.2: what it did not
    /// take of the data is sent again at once).
    pub(super) fn fast_open_answered(&mut self, cx: &mut Cx<'_>, syn_ack: &Segment<'_>) {
        if std::mem::replace(&mut self.fast_open, Use::No) != Use::Active {
            return;
        }
        let with_data = self.snd_nxt != self.iss + 1;
        // Since sent again without option and data: it was these that did not come through, perhaps.
        let lost = (with_data && self.total_retrans > 0).then_some(cx.now);
        let cookie = syn_ack.options.fast_open.filter(|c| !c.is_request());
        cx.sh.fast_open.learn(self.remote.ip(), cookie, self.peer_mss, lost);
        if !with_data {
            return;
        }
        if self.rtx.is_empty() {
            cx.sh.stats.fast_open_active += 1;
            self.syn_data_acked = true;
            // It was one segment.
            self.tally.delivered = self.tally.delivered.saturating_sub(1);
        } else {
            cx.sh.stats.fast_open_active_fails += 1;
            self.fast_open_fail = match self.total_retrans {
                0 => FastOpenFail::NotAcked,
                1.. => FastOpenFail::SynRetransmitted,
            };
            self.rtx.mark_all_lost();
            self.wants_output = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(n: u8) -> FastOpenCookie {
        FastOpenCookie::from([n; 8])
    }

    #[test]
    fn the_cache_is_bounded_and_the_oldest_goes() {
        let mut cache = Cache::default();
        let addr = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..CACHE as u32 {
            cache.learn(addr(n), Some(cookie(1)), 1000, None);
        }
        // What is heard of again is young again.
        cache.learn(addr(0), None, 1200, None);
        cache.learn(addr(5000), Some(cookie(2)), 1000, None);
        assert_eq!(cache.get(addr(0), Instant::ZERO), Known::Cookie(cookie(1), 1200));
        assert_eq!(cache.get(addr(1), Instant::ZERO), Known::Nothing);
        assert_eq!((cache.by_dst.len(), cache.by_age.len()), (CACHE, CACHE));
    }

    #[test]
    fn a_key_makes_the_cookies_of_linux() {
        let key = Key::parse("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4").unwrap();
        assert_eq!(key.to_string(), "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
        assert_eq!(Key::parse(" 1-2-3-4,5-6-7-8").map(|key| key.0[..5].to_vec()), Some(vec![1, 0, 0, 0, 2]));
        for bad in ["", "1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-100000000"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
        let isn = IsnGenerator::new((1, 2));
        let (ours, theirs) = (IpAddr::from([192, 168, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        let cookie = isn.fast_open_cookie(ours, theirs, Some(key));
        assert_eq!(cookie.as_slice(), [0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb]);
        assert_ne!(isn.fast_open_cookie(ours, theirs, None), cookie);
        assert_ne!(isn.fast_open_cookie(ours, ours, Some(key)), cookie);
    }

    #[test]
    fn losses_in_a_row_are_a_blackhole_for_a_while() {
        let (mut cache, dst) = (Cache::default(), IpAddr::from([10, 0, 0, 9]));
        let t = |s| Instant::ZERO + Duration::from_secs(s);
        cache.learn(dst, Some(cookie(1)), 1000, Some(t(10)));
        assert_eq!(cache.get(dst, t(11)), Known::Cookie(cookie(1), 1000));
        cache.learn(dst, None, 1000, Some(t(20)));
        assert_eq!(cache.get(dst, t(259)), Known::Blackhole);
        assert_eq!(cache.get(dst, t(260)), Known::Cookie(cookie(1), 1000));
        cache.learn(dst, None, 1000, None);
        assert_eq!(cache.get(dst, t(30)), Known::Cookie(cookie(1), 1000));
    }
}
