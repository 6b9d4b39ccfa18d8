//! Reassembly of IPv4 datagrams: RFC 791 §3.2, 815, 1122 §3.3.2.
//!
//! Overlaps: RFC 5722's lesson, as Linux applies it to IPv4 since 2018: a fragment that overlaps
//! another one, or contradicts the datagram's end, kills the whole datagram; an exact duplicate is
//! ignored. Memory is bounded in datagrams and octets; the oldest datagram goes first (RFC 3128 and
//! 8900 name the attacks).

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::stack::config::ReassConfig;
use crate::stack::stats::Drop;
use crate::time::Instant;
use crate::timer::{Timer, TimerKey, Timers};
use crate::wire::ipv4::{self, Header};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Names a datagram under way; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReassId(u64);

/// What fragments of one datagram have in common (RFC 791).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    protocol: u8,
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
    /// The datagram is whole.
    Whole(Mbuf),
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
    pub(crate) failures: u64,
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
            failures: 0,
        }
    }

    /// A fragment: `m` is the whole IP packet with header `h`.
    pub(crate) fn input(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        h: &Header,
        m: Mbuf,
        timers: &mut Timers,
    ) -> Reass {
        let (begin, len) = (h.offset, h.payload_len());
        let end = begin + len;
        // RFC 791: all but the last are of multiples of eight octets; the whole must fit a packet.
        let cut = h.more_fragments && (len % 8 != 0 || len == 0);
        if cut || len == 0 || end + ipv4::HEADER_LEN > ipv4::MAX_LEN {
            return Reass::Dropped(Drop::ReassMalformed, m);
        }
        let key = Key { src: h.src, dst: h.dst, id: h.id, protocol: h.protocol };
        if !self.datagrams.contains_key(&key) {
            self.next += 1;
            let id = ReassId(self.next);
            let timer = timers.arm(now + self.config.timeout, Timer::Reass(id));
            let parts = BTreeMap::new();
            let fresh = Datagram { id, timer, parts, have: 0, end: None, octets: 0, ifindex, ecn: 0 };
            self.datagrams.insert(key, fresh);
            self.ages.insert(id, key);
        }
        let Some(d) = self.datagrams.get_mut(&key) else { return Reass::Waiting };
        if let Some((l, _)) = d.parts.get(&begin)
            && *l == len
            && h.more_fragments != (d.end == Some(end))
        {
            return Reass::Dropped(Drop::ReassDuplicate, m);
        }
        let before = d.parts.range(..end).next_back();
        let overlaps = before.is_some_and(|(at, (l, _))| at + l > begin);
        let contradicts = match (d.end, h.more_fragments) {
            (Some(e), true) => end > e,
            (Some(e), false) => end != e,
            (None, true) => false,
            (None, false) => d.parts.last_key_value().is_some_and(|(at, (l, _))| at + l > end),
        };
        if overlaps || contradicts {
            self.give_up(key, Drop::ReassOverlap, timers);
            return Reass::Dropped(Drop::ReassOverlap, m);
        }
        if !h.more_fragments {
            d.end = Some(end);
        }
        d.have += len;
        d.ifindex = ifindex;
        d.ecn |= 1 << (h.tos & 3);
        let cost = m.len() + OVERHEAD;
        d.octets += cost;
        self.octets += cost;
        d.parts.insert(begin, (len, m));
        if d.end == Some(d.have) {
            return match self.whole(key, timers) {
                Some(m) => Reass::Whole(m),
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
    fn whole(&mut self, key: Key, timers: &mut Timers) -> Option<Mbuf> {
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
        let header = Header::parse_quoted(whole.data()).ok()?;
        let header = Header {
            total_len: whole.len(),
            tos: header.tos | ecn,
            more_fragments: false,
            dont_fragment: false,
            ..header
        };
        // The first fragment's header may be longer than the others': check the whole again.
        if header.total_len > ipv4::MAX_LEN {
            self.failures += 1;
            self.given_up.push((Drop::ReassMalformed, whole));
            return None;
        }
        header.emit(whole.data_mut());
        Some(whole)
    }

    fn give_up(&mut self, key: Key, why: Drop, timers: &mut Timers) {
        if let Some(d) = self.take(key, timers) {
            self.failures += 1;
            self.given_up.extend(d.parts.into_values().map(|(_, m)| (why, m)));
        }
    }

    /// The datagram's time is over. Returns its first fragment, if that had come: the sender is to
    /// hear of it (RFC 1122 §3.3.2).
    pub(crate) fn timeout(&mut self, id: ReassId, timers: &mut Timers) -> Option<(IfIndex, Mbuf)> {
        let key = *self.ages.get(&id)?;
        let mut d = self.take(key, timers)?;
        self.failures += 1;
        let first = d.parts.remove(&0).map(|(_, m)| (d.ifindex, m));
        self.given_up.extend(d.parts.into_values().map(|(_, m)| (Drop::ReassTimeout, m)));
        first
    }
}
