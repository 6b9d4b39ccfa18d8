//! A path with a bottleneck, and a stream that never ends over it: two hosts, in virtual time.
//!
//! Data goes through a queue that is served at a rate, then takes the delay; acknowledgments take the
//! delay alone. What is lost is lost in front of the queue.

use crate::engine::host::{Arrival, Host, PLAIN};
use netstack::Instant;
use netstack::net::mbuf::Mbuf;
use netstack::socket::{Family, RecvFlags, SendFlags};
use netstack::tcp::{BufferSizes, TcpConfig, TcpId, TcpInfo};
use netstack::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What a path is like.
pub(crate) struct Path {
    /// There and back.
    pub(crate) rtt: Duration,
    /// Octets of IP packets a second; `None`: as fast as it is fed.
    pub(crate) rate: Option<u64>,
    /// Packets that wait at most.
    pub(crate) queue: usize,
    /// A packet that finds so many waiting is marked if it may be.
    pub(crate) mark: Option<usize>,
    /// Whether the nth packet with data is lost, from 0 on.
    pub(crate) lost: Box<dyn FnMut(u64) -> bool>,
}

/// Octets of IP and TCP header with timestamps.
const HEADERS: usize = 52;

/// A stream over a path.
pub(crate) struct Stream {
    pub(crate) hosts: [Host; 2],
    path: Path,
    pub(crate) now: Instant,
    sender: TcpId,
    receiver: Option<TcpId>,
    listener: TcpId,
    data: VecDeque<(Instant, u8, Mbuf)>,
    acks: VecDeque<(Instant, u8, Mbuf)>,
    /// When those that wait in the queue will have left it.
    waiting: VecDeque<Instant>,
    count: u64,
    chunk: Vec<u8>,
    room: Vec<u8>,
    /// Octets that the receiver has read.
    pub(crate) read: u64,
    /// Packets with data that the queue had no room for.
    pub(crate) overflows: u64,
}

impl Stream {
    /// `config`: of both ends, but for the buffers, which limit nothing.
    pub(crate) fn new(config: TcpConfig, path: Path) -> Stream {
        let config = TcpConfig {
            rcvbuf: BufferSizes { min: 2304, default: 32 << 20, max: 32 << 20 },
            sndbuf: BufferSizes { min: 4608, default: 16_384, max: 32 << 20 },
            ..config
        };
        let mut hosts = [Host::new("10.0.0.1", config.clone(), 1), Host::new("10.0.0.2", config, 2)];
        hosts.iter_mut().for_each(|h| h.ip.room = usize::MAX);
        let listener = hosts[1].listener(80, 1);
        let to = SocketAddr::new(hosts[1].ip.addr, 80);
        let h = &mut hosts[0];
        let sender = h.tcp.socket(Family::Inet);
        let _ = h.tcp.connect(&mut h.ip, sender, to);
        Stream {
            now: hosts[0].ip.now,
            hosts,
            path,
            sender,
            receiver: None,
            listener,
            data: VecDeque::new(),
            acks: VecDeque::new(),
            waiting: VecDeque::new(),
            count: 0,
            chunk: vec![b'x'; 1 << 16],
            room: vec![0; 1 << 18],
            read: 0,
            overflows: 0,
        }
    }

    /// The bottleneck is served at another rate from now on.
    pub(crate) fn set_rate(&mut self, rate: u64) {
        self.path.rate = Some(rate);
    }

    /// The sender's TCP_INFO.
    pub(crate) fn info(&self) -> TcpInfo {
        self.hosts[0].tcp.info(self.sender).expect("a socket")
    }

    /// Goes on for so long. Returns the octets that were read in that time.
    pub(crate) fn run(&mut self, time: Duration) -> u64 {
        let (end, before) = (self.now + time, self.read);
        while self.now < end {
            self.programs();
            self.step(end);
        }
        self.read - before
    }

    /// Payload, Mbit/s, in so long.
    pub(crate) fn goodput(&mut self, time: Duration) -> f64 {
        self.run(time) as f64 * 8.0 / time.as_secs_f64() / 1e6
    }

    fn programs(&mut self) {
        let [a, b] = &mut self.hosts;
        while a.tcp.send(&mut a.ip, self.sender, &self.chunk, SendFlags::empty()) == Ok(self.chunk.len()) {}
        if self.receiver.is_none() {
            self.receiver = b.tcp.accept(&mut b.ip, self.listener).ok().map(|(id, _)| id);
        }
        if let Some(id) = self.receiver {
            while let Ok(n) = b.tcp.recv(&mut b.ip, id, &mut self.room, RecvFlags::empty()) {
                self.read += n as u64;
            }
        }
    }

    fn step(&mut self, end: Instant) {
        let half = self.path.rtt / 2;
        for (tx, m) in self.hosts[0].output() {
            self.enqueue(tx.tos, m);
        }
        for (tx, m) in self.hosts[1].output() {
            self.acks.push_back((self.now + half, tx.tos, m));
        }
        let arrival = |q: &VecDeque<(Instant, u8, Mbuf)>| q.front().map(|p| p.0);
        let timeouts = self.hosts.iter().filter_map(|h| h.tcp.poll_timeout());
        let next = timeouts.chain(arrival(&self.data)).chain(arrival(&self.acks)).min();
        self.now = next.unwrap_or(end).max(self.now).min(end);
        for h in &mut self.hosts {
            h.ip.now = self.now;
            h.tcp.handle_timeout(&mut h.ip);
        }
        for to in [1, 0] {
            let from = self.hosts[1 - to].ip.addr;
            let queue = if to == 1 { &mut self.data } else { &mut self.acks };
            while queue.front().is_some_and(|p| p.0 <= self.now) {
                let Some((_, tos, m)) = queue.pop_front() else { break };
                self.hosts[to].input(from, Arrival { tos, ..PLAIN }, m.data());
                self.hosts[1 - to].ip.pool.put(m);
            }
        }
    }

    fn enqueue(&mut self, mut tos: u8, m: Mbuf) {
        let mut leaves = self.now;
        let len = m.len() + 20;
        if len > HEADERS {
            self.count += 1;
            if (self.path.lost)(self.count - 1) {
                return self.hosts[0].ip.pool.put(m);
            }
        }
        if let Some(rate) = self.path.rate {
            while self.waiting.front().is_some_and(|at| *at <= self.now) {
                self.waiting.pop_front();
            }
            if self.waiting.len() > self.path.queue {
                self.overflows += 1;
                return self.hosts[0].ip.pool.put(m);
            }
            if self.path.mark.is_some_and(|n| self.waiting.len() >= n) && tos & 3 != 0 {
                tos |= 3;
            }
            let begins = self.waiting.back().copied().unwrap_or(self.now);
            leaves = begins + Duration::from_nanos(len as u64 * 1_000_000_000 / rate);
            self.waiting.push_back(leaves);
        }
        self.data.push_back((leaves + self.path.rtt / 2, tos, m));
    }
}
