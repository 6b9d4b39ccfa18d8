//! Many TCP connections between two whole stacks in one thread: how many are opened and closed in a
//! second, what an idle one weighs, and what a hundred thousand of them cost one that talks.
//!
//! `cargo bench -p netstack --bench connections [-- --json]`. All figures are for both sides on one
//! core; memory is what the process has more of, allocator included, by the two sockets of a connection.

#![expect(clippy::disallowed_types, reason = "a benchmark looks at the clock")]

mod pair;

use netstack::socket::{Family, RecvFlags, SendMeta, Shutdown, SockType};
use netstack::time::Duration as Span;
use netstack::{Instant, Mbuf, SockError, SocketId};
use pair::{Node, cpu_time};
use std::net::SocketAddr;
use std::time::Instant as Clock;

/// Ports that are listened on: each gives 28,232 connections between two addresses.
const LISTENERS: u16 = 5;
const IDLE: usize = 100_000;
const SHORT: usize = 100_000;
/// Octets of the stream that talks beside the idle ones.
const BULK: usize = 1 << 30;
const CHUNK: usize = 64 << 10;

struct World {
    client: Node,
    server: Node,
    now: Instant,
    burst: Vec<Mbuf>,
    listeners: Vec<SocketId>,
    opened: usize,
}

impl World {
    fn new() -> World {
        let now = Instant::from_millis(1000);
        let (client, mut server) = (Node::new(1, now), Node::new(2, now));
        let listeners = (0..LISTENERS).map(|i| {
            let s = server.stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
            server.stack.bind(now, s, SocketAddr::from(([0, 0, 0, 0], 80 + i))).expect("a free port");
            server.stack.listen(now, s, 4096).expect("nobody listens");
            s
        });
        let listeners = listeners.collect();
        World { client, server, now, burst: Vec::new(), listeners, opened: 0 }
    }

    /// Frames both ways until there are none; events are thrown away.
    fn settle(&mut self) {
        loop {
            let there = self.client.deliver(&mut self.server, self.now, &mut self.burst);
            let back = self.server.deliver(&mut self.client, self.now, &mut self.burst);
            if there + back == 0 {
                break;
            }
        }
        for node in [&mut self.client, &mut self.server] {
            while node.stack.poll_event().is_some() {}
            if node.stack.poll_timeout().is_some_and(|at| at <= self.now) {
                node.stack.handle_timeout(self.now);
            }
        }
    }

    /// A connection: its two sockets.
    fn open(&mut self) -> (SocketId, SocketId) {
        let which = self.opened % usize::from(LISTENERS);
        self.opened += 1;
        let to = SocketAddr::from(([10, 0, 0, 2], 80 + which as u16));
        let c = self.client.stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
        assert_eq!(self.client.stack.connect(self.now, c, to), Err(SockError::InProgress));
        self.settle();
        let (s, _) = self.server.stack.accept(self.now, self.listeners[which]).expect("a connection");
        (c, s)
    }

    /// Ends it: the server first, whose TIME-WAIT gives way to a new connection (RFC 6191).
    fn close(&mut self, (c, s): (SocketId, SocketId)) {
        let _ = self.server.stack.close(self.now, s);
        self.settle();
        let _ = self.client.stack.close(self.now, c);
        self.settle();
    }

    /// Nanoseconds of processor a kilobyte of a stream.
    fn bulk(&mut self) -> f64 {
        let (c, s) = self.open();
        let (chunk, mut buf, meta) = (vec![7u8; CHUNK], vec![0u8; CHUNK], SendMeta::default());
        let (mut written, mut read) = (0, 0);
        let cpu = cpu_time();
        while read < BULK {
            self.now += Span::from_micros(20);
            while written < BULK {
                match self.client.stack.send(self.now, c, &chunk, &meta) {
                    Ok(n) => written += n,
                    Err(SockError::WouldBlock) => break,
                    Err(e) => panic!("send: {e}"),
                }
            }
            self.settle();
            while let Ok(r) = self.server.stack.recv(self.now, s, &mut buf, RecvFlags::empty())
                && r.len > 0
            {
                read += r.len;
            }
        }
        let spent = cpu_time() - cpu;
        self.close((c, s));
        spent.as_nanos() as f64 / (BULK as f64 / 1000.0)
    }
}

/// Octets of memory that this process has for itself.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) << 10
}

fn main() {
    let json = std::env::args().any(|a| a == "--json");
    let mut world = World::new();
    // A few, to come to rest.
    for _ in 0..1000 {
        let ends = world.open();
        world.close(ends);
    }
    let (began, cpu) = (Clock::now(), cpu_time());
    for _ in 0..SHORT {
        world.now += Span::from_micros(20);
        let ends = world.open();
        world.close(ends);
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    // TIME-WAIT ends.
    world.now += Span::from_secs(61);
    world.settle();
    let alone = world.bulk();
    world.now += Span::from_secs(61);
    world.settle();
    let before = memory();
    let idle: Vec<_> = (0..IDLE).map(|_| world.open()).collect();
    let octets = (memory() - before) as f64 / (2 * IDLE) as f64;
    let among = world.bulk();
    // Nothing is due of those that sleep.
    let due = world.client.stack.poll_timeout();
    assert!(due.is_none_or(|at| at > world.now), "an idle connection has no timer");
    for ends in idle {
        let _ = world.client.stack.shutdown(world.now, ends.0, Shutdown::Both);
        world.close(ends);
    }
    let (per_second, on_cpu) = (SHORT as f64 / wall, SHORT as f64 / cpu);
    if json {
        println!(
            "{{\"opened_and_closed_per_second\":{per_second:.0},\"per_second_of_cpu\":{on_cpu:.0},\"idle\":{IDLE},\"octets_a_socket\":{octets:.0},\
             \"cpu_ns_per_kilobyte_alone\":{alone:.1},\"cpu_ns_per_kilobyte_among_idle\":{among:.1}}}"
        );
    } else {
        println!(
            "opened and closed: {per_second:.0} connections a second, {on_cpu:.0} a second of processor; aim 100,000"
        );
        println!("{IDLE} idle ones: {octets:.0} octets a socket; aim 2048");
        println!(
            "a stream takes {alone:.0} ns of processor a kilobyte alone, {among:.0} among them: ratio {:.2}",
            among / alone
        );
    }
}
