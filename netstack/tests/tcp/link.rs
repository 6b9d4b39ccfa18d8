//! Two hosts on a link that loses, delays, doubles and reorders as told; whole connections over it.

use crate::engine::host::{Arrival, Host, PLAIN};
use netstack::net::mbuf::Mbuf;
use netstack::socket::{Family, RecvFlags, SendFlags};
use netstack::tcp::{Shutdown, State, TcpConfig, TcpId};
use netstack::time::Duration;
use netstack::wire::tcp::{self, Flags, Header};
use netstack::{Instant, SockError};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What the link does to one packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) lost: bool,
    pub(crate) twice: bool,
    /// Beyond the link's delay, microseconds.
    pub(crate) late_us: u64,
    /// Segments that left in one packet stay together.
    pub(crate) whole: bool,
    /// Marked instead of lost (RFC 3168), if it may be.
    pub(crate) marked: bool,
}

/// What flies.
enum Flying {
    /// With its type of service.
    Segment(u8, Vec<u8>),
    Whole(Vec<u8>),
}

/// The segments that a packet is on a wire.
fn wire_segments(src: IpAddr, dst: IpAddr, m: &Mbuf) -> Vec<Vec<u8>> {
    let (header, payload) = Header::parse(m.data()).expect("our own segments are well formed");
    let size = m.offload.gso.map_or(usize::MAX, |g| usize::from(g.size));
    let mut parts: Vec<&[u8]> = payload.chunks(size.min(payload.len().max(1))).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    let last = parts.len() - 1;
    let cut = |(i, part): (usize, &&[u8])| {
        let mut flags = header.flags;
        if i < last {
            flags.remove(Flags::FIN | Flags::PSH);
        }
        if i > 0 {
            flags.remove(Flags::CWR);
        }
        let seq = header.seq.wrapping_add((i * size.min(payload.len())) as u32);
        let mut octets = m.data()[..m.len() - payload.len()].to_vec();
        octets[4..8].copy_from_slice(&seq.to_be_bytes());
        octets[13] = flags.bits();
        octets[tcp::CHECKSUM_AT..tcp::CHECKSUM_AT + 2].fill(0);
        octets.extend_from_slice(part);
        tcp::fill_checksum(src, dst, &mut octets);
        octets
    };
    parts.iter().enumerate().map(cut).collect()
}

/// Two hosts, `a` and `b`, and the packets between them.
pub(crate) struct Link {
    pub(crate) hosts: [Host; 2],
    pub(crate) now: Instant,
    pub(crate) delay: Duration,
    flying: BTreeMap<(Instant, u64), (usize, Flying)>,
    count: u64,
    /// Packets of more octets are lost, and nobody says so.
    pub(crate) swallows: Option<usize>,
    /// Says what happens to the nth packet.
    pub(crate) fate: Box<dyn FnMut(u64) -> Fate>,
}

impl Link {
    pub(crate) fn new(config: TcpConfig) -> Link {
        let hosts = [Host::new("10.0.0.1", config.clone(), 1), Host::new("10.0.0.2", config, 2)];
        let now = hosts[0].ip.now;
        Link {
            hosts,
            now,
            delay: Duration::from_micros(500),
            flying: BTreeMap::new(),
            count: 0,
            swallows: None,
            fate: Box::new(|_| Fate::default()),
        }
    }

    fn launch(&mut self, from: usize) -> bool {
        let packets = self.hosts[from].output();
        let any = !packets.is_empty();
        let (src, dst) = (self.hosts[from].ip.addr, self.hosts[1 - from].ip.addr);
        for (tx, m) in packets {
            if tx.dst != dst {
                // There is nobody else.
                self.hosts[from].ip.pool.put(m);
                continue;
            }
            let fate = (self.fate)(self.count + 1);
            if fate.whole && m.offload.is_partial() {
                self.fly(from, fate, || Flying::Whole(m.data().to_vec()));
            } else {
                for (i, segment) in wire_segments(src, dst, &m).into_iter().enumerate() {
                    if self.swallows.is_some_and(|most| 20 + segment.len() > most) {
                        continue;
                    }
                    let fate = if i == 0 { fate } else { (self.fate)(self.count + 1) };
                    let tos = if fate.marked && tx.tos & 3 != 0 { tx.tos | 3 } else { tx.tos };
                    self.fly(from, fate, || Flying::Segment(tos, segment.clone()));
                }
            }
            self.hosts[from].ip.pool.put(m);
        }
        any
    }

    fn fly(&mut self, from: usize, fate: Fate, what: impl Fn() -> Flying) {
        self.count += 1;
        let copies = match (fate.lost, fate.twice) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        for copy in 0..copies {
            let at = self.now + self.delay + Duration::from_micros(fate.late_us + copy * 130);
            self.flying.insert((at, self.count * 2 + copy), (1 - from, what()));
        }
    }

    /// One step: sends all that can be sent, then moves time to the next arrival or timeout and
    /// lets it happen. `false`: nothing will ever happen again.
    pub(crate) fn step(&mut self) -> bool {
        while self.launch(0) | self.launch(1) {}
        let arrival = self.flying.keys().next().map(|k| k.0);
        let timeout = self.hosts.iter().filter_map(|h| h.tcp.poll_timeout()).min();
        let Some(next) = [arrival, timeout].into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        for h in &mut self.hosts {
            h.ip.now = self.now;
        }
        for h in &mut self.hosts {
            h.tcp.handle_timeout(&mut h.ip);
        }
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, flying) = entry.remove();
            let from = self.hosts[1 - to].ip.addr;
            match flying {
                Flying::Segment(tos, octets) => self.hosts[to].input(from, Arrival { tos, ..PLAIN }, &octets),
                Flying::Whole(octets) => {
                    self.hosts[to].input(from, Arrival { undone: true, ..PLAIN }, &octets);
                }
            }
        }
        true
    }

    /// A segment comes in to `host` from somebody else.
    pub(crate) fn intrude(&mut self, host: usize, from: IpAddr, segment: &[u8]) {
        self.hosts[host].input(from, PLAIN, segment);
    }

    /// Steps until `done` or nothing is left to happen; at most `limit` steps.
    pub(crate) fn run(&mut self, limit: usize, mut done: impl FnMut(&mut Link) -> bool) -> bool {
        for _ in 0..limit {
            if done(self) {
                return true;
            }
            if !self.step() {
                return done(self);
            }
        }
        panic!("no end after {limit} steps");
    }

    pub(crate) fn connect(&mut self, port: u16) -> TcpId {
        let to = SocketAddr::new(self.hosts[1].ip.addr, port);
        let h = &mut self.hosts[0];
        let id = h.tcp.socket(Family::Inet);
        assert_eq!(h.tcp.connect(&mut h.ip, id, to), Err(SockError::InProgress));
        id
    }

    pub(crate) fn state(&self, host: usize, id: TcpId) -> State {
        self.hosts[host].tcp.info(id).expect("a socket").state
    }
}

/// A program that writes `data` and then ends its stream, and reads until the other's end.
pub(crate) struct Peer {
    pub(crate) host: usize,
    pub(crate) id: TcpId,
    pub(crate) data: Vec<u8>,
    pub(crate) written: usize,
    pub(crate) read: Vec<u8>,
    pub(crate) shut: bool,
    pub(crate) end: Option<Result<(), SockError>>,
    /// Each is made in both ways, in turn: the one that copies, and the one that is shown the buffer.
    calls: usize,
}

impl Peer {
    pub(crate) fn new(host: usize, id: TcpId, data: Vec<u8>) -> Peer {
        Peer { host, id, data, written: 0, read: Vec::new(), shut: false, end: None, calls: 0 }
    }

    /// Does what can be done now.
    pub(crate) fn turn(&mut self, link: &mut Link) {
        let h = &mut link.hosts[self.host];
        while self.written < self.data.len() {
            let left = &self.data[self.written..];
            self.calls += 1;
            let sent = match self.calls % 2 {
                0 => h.tcp.send(&mut h.ip, self.id, left, SendFlags::empty()),
                _ => h.tcp.send_with(&mut h.ip, self.id, left.len(), |a, b| put(left, a, b)),
            };
            match sent {
                Ok(n) => self.written += n,
                Err(SockError::WouldBlock) => break,
                Err(e) => return self.end = self.end.or(Some(Err(e))),
            }
        }
        if self.written == self.data.len() && !self.shut {
            self.shut = h.tcp.shutdown(&mut h.ip, self.id, Shutdown::Write).is_ok();
        }
        let mut buf = [0; 10_000];
        while self.end.is_none() {
            let read = &mut self.read;
            self.calls += 1;
            let received = match self.calls % 2 {
                0 => h
                    .tcp
                    .recv(&mut h.ip, self.id, &mut buf, RecvFlags::empty())
                    .inspect(|n| read.extend(&buf[..*n])),
                _ => h.tcp.recv_with(&mut h.ip, self.id, |pieces| {
                    // Not always all of it.
                    read.extend(pieces[0]);
                    pieces[0].len()
                }),
            };
            match received {
                Ok(0) => self.end = Some(Ok(())),
                Ok(_) => {}
                Err(SockError::WouldBlock) => break,
                Err(e) => self.end = Some(Err(e)),
            }
        }
    }
}

pub(crate) fn octets(n: usize, seed: u32) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

#[test]
fn connect_transfer_close() {
    let mut link = Link::new(TcpConfig::default());
    let listener = link.hosts[1].listener(80, 5);
    let client = link.connect(80);
    assert!(link.run(100, |l| l.state(0, client) == State::Established));
    link.step();
    let h = &mut link.hosts[1];
    let (server, from) = h.tcp.accept(&mut h.ip, listener).expect("a connection");
    assert_eq!(from.ip().to_string(), "10.0.0.1");
    let mut a = Peer::new(0, client, octets(3_000_000, 1));
    let mut b = Peer::new(1, server, octets(1_000_000, 2));
    link.run(100_000, |l| {
        a.turn(l);
        b.turn(l);
        a.end.is_some() && b.end.is_some()
    });
    assert_eq!((a.end, b.end), (Some(Ok(())), Some(Ok(()))));
    assert!(a.read == b.data && b.read == a.data, "both streams arrived whole");
    assert_eq!(link.hosts[0].tcp.stats().retrans_segs, 0);
    for (host, id) in [(0, client), (1, server), (1, listener)] {
        let h = &mut link.hosts[host];
        h.tcp.close(&mut h.ip, id);
    }
    while link.step() {}
    assert!(link.hosts.iter().all(|h| h.tcp.is_empty() && h.tcp.poll_timeout().is_none()), "nothing is left");
}

#[test]
fn many_connections_share_a_narrow_interface() {
    let mut link = Link::new(TcpConfig::default());
    for h in &mut link.hosts {
        h.ip.room = 7;
    }
    let listener = link.hosts[1].listener(80, 1000);
    let clients: Vec<TcpId> = (0..300).map(|_| link.connect(80)).collect();
    let mut peers: Vec<Peer> = clients.iter().map(|id| Peer::new(0, *id, octets(20_000, 1))).collect();
    link.run(100_000, |l| {
        let h = &mut l.hosts[1];
        while let Ok((id, _)) = h.tcp.accept(&mut h.ip, listener) {
            peers.push(Peer::new(1, id, octets(3_000, 2)));
        }
        peers.iter_mut().for_each(|p| p.turn(l));
        peers.len() == 600 && peers.iter().all(|p| p.end.is_some())
    });
    assert!(peers.iter().all(|p| p.end == Some(Ok(()))));
    assert!(peers[..300].iter().all(|p| p.read == octets(3_000, 2)));
    assert!(peers[300..].iter().all(|p| p.read == octets(20_000, 1)));
    assert_eq!(link.hosts[0].tcp.stats().retrans_segs, 0, "nobody waits so long that a timer goes off");
}

/// Sends `n` octets over a link with this one-way delay; returns Mbit/s in virtual time, and the link.
fn bulk(delay: Duration, n: usize) -> (f64, Link) {
    let mut link = Link::new(TcpConfig::default());
    link.delay = delay;
    for h in &mut link.hosts {
        h.ip.room = 100_000;
    }
    let listener = link.hosts[1].listener(80, 1);
    let client = link.connect(80);
    let mut a = Peer::new(0, client, octets(n, 1));
    let mut b: Option<Peer> = None;
    let start = link.now;
    link.run(1_000_000, |l| {
        a.turn(l);
        match &mut b {
            Some(b) => b.turn(l),
            None => {
                let h = &mut l.hosts[1];
                b = h.tcp.accept(&mut h.ip, listener).ok().map(|(id, _)| Peer::new(1, id, Vec::new()));
            }
        }
        b.as_ref().is_some_and(|b| b.end.is_some())
    });
    let seconds = link.now.since(start).as_secs_f64();
    assert!(b.is_some_and(|b| b.read == octets(n, 1)), "whole");
    (n as f64 * 8.0 / seconds / 1e6, link)
}

#[test]
fn buffers_grow_until_the_path_is_full_or_their_limit_is_reached() {
    // 50 ms: 64 KiB windows would carry 10 Mbit/s. The limits (3 MiB of window, 4 MiB to send)
    // carry 500, less the slow start.
    let (rate, link) = bulk(Duration::from_millis(25), 60_000_000);
    let info: Vec<_> = link.hosts.iter().flat_map(|h| h.tcp.iter()).collect();
    assert!(rate > 250.0, "{rate} Mbit/s; {info:#?}");
    assert_eq!(link.hosts[0].tcp.stats().retrans_segs, 0);
    // 1 ms
    let (rate, _) = bulk(Duration::from_micros(500), 60_000_000);
    assert!(rate > 8_000.0, "{rate} Mbit/s");
}

#[test]
fn buffers_of_a_slow_conversation_stay_small() {
    let (_, link) = bulk(Duration::from_millis(25), 40_000);
    let sizes: Vec<usize> = link.hosts.iter().flat_map(|h| h.tcp.iter()).map(|i| i.rcvbuf).collect();
    assert!(sizes.iter().all(|s| *s <= 300_000), "{sizes:?}");
}

/// Puts what fits of `octets` into two pieces of memory; how much that was.
pub(crate) fn put(octets: &[u8], a: &mut [u8], b: &mut [u8]) -> usize {
    let n = octets.len().min(a.len() + b.len());
    let (first, rest) = octets[..n].split_at(n.min(a.len()));
    a[..first.len()].copy_from_slice(first);
    b[..rest.len()].copy_from_slice(rest);
    n
}
