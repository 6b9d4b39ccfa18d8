//! One TCP stream between two whole stacks in one thread: Ethernet, IP and TCP of both sides, MTU
//! 1500, and one copy of each frame between them as a bus would make.
//!
//! `cargo bench -p netstack --bench tcp_stack [-- --json]` prints Gbit/s and nanoseconds a data
//! segment for both sides together, and for each.

#![expect(clippy::disallowed_types, reason = "a benchmark looks at the clock")]

mod pair;

use netstack::socket::{Family, RecvFlags, SendMeta, SockType};
use netstack::time::Duration as Span;
use netstack::{Instant, SockError};
use pair::{Node, cpu_time};
use std::time::{Duration, Instant as Clock};

fn main() {
    let json = std::env::args().any(|a| a == "--json");
    let total: usize = 4 << 30;
    let mut now = Instant::from_millis(1000);
    let (mut a, mut b, mut burst) = (Node::new(1, now), Node::new(2, now), Vec::new());
    let listener = b.stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
    b.stack.bind(now, listener, "0.0.0.0:80".parse().expect("an address")).expect("a free port");
    b.stack.listen(now, listener, 1).expect("nobody listens");
    let client = a.stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
    let to = "10.0.0.2:80".parse().expect("an address");
    assert_eq!(a.stack.connect(now, client, to), Err(SockError::InProgress));
    let server = loop {
        now += Span::from_micros(10);
        a.deliver(&mut b, now, &mut burst);
        b.deliver(&mut a, now, &mut burst);
        if let Ok((server, _)) = b.stack.accept(now, listener) {
            break server;
        }
    };
    let (chunk, mut buf, meta) = (vec![7u8; 64 << 10], vec![0u8; 64 << 10], SendMeta::default());
    let (mut written, mut read) = (0, 0);
    (a.busy, b.busy) = (Duration::ZERO, Duration::ZERO);
    let (start, cpu) = (Clock::now(), cpu_time());
    while read < total {
        now += Span::from_micros(20);
        let t = Clock::now();
        while written < total {
            match a.stack.send(now, client, &chunk[..chunk.len().min(total - written)], &meta) {
                Ok(n) => written += n,
                Err(SockError::WouldBlock) => break,
                Err(e) => panic!("send: {e}"),
            }
        }
        a.busy += t.elapsed();
        a.deliver(&mut b, now, &mut burst);
        let t = Clock::now();
        loop {
            match b.stack.recv(now, server, &mut buf, RecvFlags::empty()) {
                Ok(r) => read += r.len,
                Err(SockError::WouldBlock) => break,
                Err(e) => panic!("recv: {e}"),
            }
        }
        b.busy += t.elapsed();
        b.deliver(&mut a, now, &mut burst);
        for n in [&mut a, &mut b] {
            while n.stack.poll_event().is_some() {}
            if n.stack.poll_timeout().is_some_and(|at| at <= now) {
                n.stack.handle_timeout(now);
            }
        }
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), (cpu_time() - cpu).as_nanos() as f64);
    let info = a.stack.tcp_info(client).expect("open");
    let (segments, acks) = (a.stack.stats().tcp.out_segs, b.stack.stats().tcp.out_segs);
    let ns = |d: Duration| d.as_nanos() as f64 / segments as f64;
    let gbits = total as f64 * 8.0 / seconds / 1e9;
    if json {
        println!(
            "{{\"octets\":{total},\"seconds\":{seconds:.3},\"gbit_per_second\":{gbits:.2},\"segments\":{segments},\"acks\":{acks},\
             \"ns_per_segment\":{:.1},\"cpu_ns_per_segment\":{:.1},\"ns_sender\":{:.1},\"ns_receiver\":{:.1},\"retransmits\":{}}}",
            seconds * 1e9 / segments as f64,
            cpu / segments as f64,
            ns(a.busy),
            ns(b.busy),
            info.total_retrans,
        );
    } else {
        println!(
            "one stream through two stacks, mss {}: {gbits:.1} Gbit/s for both sides on one core",
            info.snd_mss
        );
        println!("{segments} data segments, {acks} segments back, {} retransmitted", info.total_retrans);
        println!(
            "{:.0} ns a data segment, {:.0} of them on the CPU; sender {:.0}, receiver {:.0}",
            seconds * 1e9 / segments as f64,
            cpu / segments as f64,
            ns(a.busy),
            ns(b.busy)
        );
    }
}
