//! Reassembly of IP datagrams of either family: RFC 791 §3.2, 815, 1122 §3.3.2; RFC 8200 §4.5.
//!
//! Overlaps: RFC 5722, which Linux applies to IPv4 as well since 2018: a fragment that overlaps
//! another one, or contradicts the datagram's end, kills the whole datagram; an exact duplicate is
//! ignored. Memory is bounded in datagrams and octets; the oldest datagram goes first (RFC 3128 and
//! 8900 name the attacks).
//!
//! Headers are the families' affair: they say which [`Piece`] a packet is, and mend the header of
//! the whole.

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::stack::config::ReassConfig;
use crate::stack::stats::Drop;
use crate::time::Instant;
use crate::timer::{Timer, TimerKey, Timers};
use crate::wire::ipv4::{self, Header};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names a datagram under way; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReassId(u64);

/// What fragments of one datagram have in common (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) id: u32,
    /// IPv4 only: 0 of IPv6.
    pub(crate) protocol: u8,
}

/// Which part of its datagram a packet is: its last `len` octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) key: Key,
    /// Octets before it.
    pub(crate) offset: usize,
    pub(crate) len: usize,
    /// Whether more follow.
    pub(crate) more: bool,
    /// The ECN field of its packet.
    pub(crate) ecn: u8,
}

impl Piece {
    /// What the packet with header `h` is of its datagram. `None`: what cannot be (RFC 791: all but
    /// the last are of multiples of eight octets; the whole must fit a packet).
    pub(crate) fn of(h: &Header) -> Option<Piece> {
        let len = h.payload_len();
        let cut = h.more_fragments && !len.is_multiple_of(8);
        if cut || len == 0 || h.offset + len + ipv4::HEADER_LEN > ipv4::MAX_LEN {
            return None;
        }
        let (src, dst) = (IpAddr::V4(h.src), IpAddr::V4(h.dst));
        let key = Key { src, dst, id: h.id.into(), protocol: h.protocol };
        Some(Piece { key, offset: h.offset, len, more: h.more_fragments, ecn: h.tos & 3 })
    }
}

/// Octets counted for a fragment besides its data.
const OVERHEAD: usize = 256;

#[derive(Debug)]
struct Datagram {
    id: ReassId,
    timer: TimerKey,
    /// Whole IP packets by the offset of their payload; they never overlap.
    parts: BTreeMap<usize, (usize, Mbuf)>,
    /// Octets of payload that are here.
    have: usize,
    /// Octets of payload of the whole, once the last fragment has come.
    end: Option<usize>,
    /// What it counts against the limit.
    octets: usize,
    /// Where the latest fragment came in.
    ifindex: IfIndex,
    /// The ECN fields that were seen, a bit each.
    ecn: u8,
}

/// RFC 3168 §5.3: congestion that one fragment met, the whole has met; what no sender sets together
/// is refused (Linux's `ip_frag_ecn_table`). `seen`: a bit for each ECN field. The octets to set in
/// the first fragment's type of service.
fn combined_ecn(seen: u8) -> Option<u8> {
    const NOT_ECT: u8 = 1 << 0;
    const CE: u8 = 1 << 3;
    match seen {
        NOT_ECT => Some(0),
        _ if seen & NOT_ECT != 0 => None,
        _ if seen & CE != 0 => Some(3),
        _ => Some(0),
    }
}

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Reass {
    /// It waits for the rest.
    Waiting,
    /// The datagram is whole, behind the headers of its first fragment; these bits of ECN are to be
    /// set in it.
    Whole(Mbuf, u8),
    /// It was not accepted, and why.
    Dropped(Drop, Mbuf),
}

/// Datagrams under way.
#[derive(Debug)]
pub(crate) struct Reassembly {
    config: ReassConfig,
    next: u64,
    datagrams: BTreeMap<Key, Datagram>,
    /// In the order of their first fragments.
    ages: BTreeMap<ReassId, Key>,
    octets: usize,
    /// Given up since last asked, to be counted and freed.
    pub(crate) given_up: Vec<(Drop, Mbuf)>,
    /// Parts whose octets were copied into a whole, to be freed.
    pub(crate) used: Vec<Mbuf>,
    /// Of these, IPv4's and IPv6's.
    pub(crate) failures: [u64; 2],
}

impl Reassembly {
    pub(crate) fn new(config: ReassConfig) -> Reassembly {
        Reassembly {
            config,
            next: 0,
            datagrams: BTreeMap::new(),
            ages: BTreeMap::new(),
            octets: 0,
            given_up: Vec::new(),
            used: Vec::new(),
            failures: [0; 2],
        }
    }

    /// A fragment: `m` is the whole packet.
    pub(crate) fn input(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        piece: &Piece,
        m: Mbuf,
        timers: &mut Timers,
    ) -> Reass {
        let Piece { key, offset: begin, len, more, ecn } = *piece;
        let end = begin + len;
        if !self.datagrams.contains_key(&key) {
            self.next += 1;
            let id = ReassId(self.next);
            let timer = timers.arm(now + self.config.timeout(key.src), Timer::Reass(id));
            let parts = BTreeMap::new();
            let fresh = Datagram { id, timer, parts, have: 0, end: None, octets: 0, ifindex, ecn: 0 };
            self.datagrams.insert(key, fresh);
            self.ages.insert(id, key);
        }
        let Some(d) = self.datagrams.get_mut(&key) else { return Reass::Waiting };
        if let Some((l, _)) = d.parts.get(&begin)
            && *l == len
            && more != (d.end == Some(end))
        {
            return Reass::Dropped(Drop::ReassDuplicate, m);
        }
        let before = d.parts.range(..end).next_back();
        let overlaps = before.is_some_and(|(at, (l, _))| at + l > begin);
        let contradicts = match (d.end, more) {
            (Some(e), true) => end > e,
            (Some(e), false) => end != e,
            (None, true) => false,
            (None, false) => d.parts.last_key_value().is_some_and(|(at, (l, _))| at + l > end),
        };
        if overlaps || contradicts {
            self.give_up(key, Drop::ReassOverlap, timers);
            return Reass::Dropped(Drop::ReassOverlap, m);
        }
        if !more {
            d.end = Some(end);
        }
        d.have += len;
        d.ifindex = ifindex;
        d.ecn |= 1 << ecn;
        let cost = m.len() + OVERHEAD;
        d.octets += cost;
        self.octets += cost;
        d.parts.insert(begin, (len, m));
        if d.end == Some(d.have) {
            return match self.whole(key, timers) {
                Some((m, ecn)) => Reass::Whole(m, ecn),
                None => Reass::Waiting,
            };
        }
        while self.octets > self.config.octets || self.datagrams.len() > self.config.datagrams {
            let Some((_, &oldest)) = self.ages.first_key_value() else { break };
            self.give_up(oldest, Drop::ReassLimit, timers);
        }
        Reass::Waiting
    }

    fn take(&mut self, key: Key, timers: &mut Timers) -> Option<Datagram> {
        let d = self.datagrams.remove(&key)?;
        self.ages.remove(&d.id);
        self.octets -= d.octets;
        timers.disarm(Some(d.timer));
        Some(d)
    }

    /// Puts a complete datagram together, into its first fragment.
    fn whole(&mut self, key: Key, timers: &mut Timers) -> Option<(Mbuf, u8)> {
        let Some(ecn) = combined_ecn(self.datagrams.get(&key)?.ecn) else {
            self.give_up(key, Drop::ReassEcn, timers);
            return None;
        };
        let d = self.take(key, timers)?;
        let mut parts = d.parts.into_values();
        let (_, mut whole) = parts.next()?;
        for (len, part) in parts {
            let data = part.data();
            whole.extend(&data[data.len() - len..]);
            self.used.push(part);
        }
        Some((whole, ecn))
    }

    fn failed(&mut self, src: IpAddr) {
        self.failures[usize::from(src.is_ipv6())] += 1;
    }

    /// The headers of the whole turned out not to fit it: it is given up after all.
    pub(crate) fn refuse(&mut self, src: IpAddr, whole: Mbuf) {
        self.failed(src);
        self.given_up.push((Drop::ReassMalformed, whole));
    }

    fn give_up(&mut self, key: Key, why: Drop, timers: &mut Timers) {
        if let Some(d) = self.take(key, timers) {
            self.failed(key.src);
            self.given_up.extend(d.parts.into_values().map(|(_, m)| (why, m)));
        }
    }

    /// The datagram's time is over. Returns its first fragment, if that had come: the sender is to
    /// hear of it (RFC 1122 §3.3.2).
    pub(crate) fn timeout(&mut self, id: ReassId, timers: &mut Timers) -> Option<(IfIndex, Mbuf)> {
        let key = *self.ages.get(&id)?;
        let mut d = self.take(key, timers)?;
        self.failed(key.src);
        let first = d.parts.remove(&0).map(|(_, m)| (d.ifindex, m));
        self.given_up.extend(d.parts.into_values().map(|(_, m)| (Drop::ReassTimeout, m)));
        first
    }
}

/// Mends the header of a whole IPv4 datagram. `false`: the first fragment's header is longer than
/// the others' were, so that the whole is longer than a packet can be.
pub(crate) fn mend_header(whole: &mut Mbuf, ecn: u8) -> bool {
    let Ok(header) = Header::parse_quoted(whole.data()) else { return false };
    let header = Header {
        total_len: whole.len(),
        tos: header.tos | ecn,
        more_fragments: false,
        dont_fragment: false,
        ..header
    };
    let fits = header.total_len <= ipv4::MAX_LEN;
    if fits {
        header.emit(whole.data_mut());
    }
    fits
}
