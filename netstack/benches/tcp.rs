//! How fast is TCP alone? Two of them back to back in one thread, over a floor that only queues
//! packets; one stream, MTU 1500, so that a full segment carries 1448 octets.
//!
//! `cargo bench -p netstack --bench tcp [-- --json]` prints Gbit/s and nanoseconds a data segment,
//! acknowledgments included, for both sides together and for each, and the yardstick: copying the
//! same payload the four times that sockets copy it.

#![expect(clippy::disallowed_types, reason = "a benchmark looks at the clock")]

use netstack::net::IfIndex;
use netstack::net::mbuf::{Mbuf, Pool};
use netstack::netinet::{Cast, Flow, IpLayer, IpRx, IpTx, Path};
use netstack::socket::{Family, RecvFlags, SendFlags};
use netstack::tcp::{Arrived, Tcp, TcpConfig, TcpId};
use netstack::time::Duration as Span;
use netstack::{Instant, SockError};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant as Clock};

struct Floor {
    now: Instant,
    addr: IpAddr,
    sent: VecDeque<Mbuf>,
    pool: Pool,
}

impl IpLayer for Floor {
    fn now(&self) -> Instant {
        self.now
    }
    fn random(&mut self) -> u64 {
        4
    }
    fn path(&self, flow: &Flow) -> Result<Path, SockError> {
        Ok(Path { src: flow.src.unwrap_or(self.addr), ifindex: IfIndex(2), mtu: 1500, link_mtu: 1500 })
    }
    fn is_local(&self, addr: IpAddr) -> bool {
        addr == self.addr
    }
    fn mbuf(&mut self) -> Mbuf {
        self.pool.get()
    }
    fn output(&mut self, _: &IpTx, m: Mbuf) -> Result<(), SockError> {
        self.sent.push_back(m);
        Ok(())
    }
    fn tx_room(&self, _: IfIndex) -> usize {
        64usize.saturating_sub(self.sent.len())
    }
}

struct Host {
    tcp: Tcp,
    ip: Floor,
    busy: Duration,
}

impl Host {
    fn new(addr: &str, seed: u8) -> Host {
        let addr = addr.parse().expect("an address");
        let ip =
            Floor { now: Instant::from_millis(1000), addr, sent: VecDeque::new(), pool: Pool::default() };
        Host { tcp: Tcp::new(TcpConfig::default(), [seed; 32]), ip, busy: Duration::ZERO }
    }

    /// Runs `f` on the clock.
    fn timed<T>(&mut self, f: impl FnOnce(&mut Host) -> T) -> T {
        let t = Clock::now();
        let out = f(self);
        self.busy += t.elapsed();
        out
    }

    /// Moves what `self` has sent into `to`, as one burst.
    fn deliver(&mut self, to: &mut Host) -> usize {
        let n = self.ip.sent.len();
        let rx = IpRx {
            src: self.ip.addr,
            dst: to.ip.addr,
            ttl: 64,
            tos: 0,
            ifindex: IfIndex(2),
            cast: Cast::Unicast,
            fragmented: false,
        };
        while let Some(m) = self.ip.sent.pop_front() {
            to.tcp.input(&mut to.ip, &rx, Arrived::new(m.data(), m.offload));
            self.ip.pool.put(m);
        }
        n
    }
}

fn connect(a: &mut Host, b: &mut Host) -> (TcpId, TcpId) {
    let to = SocketAddr::new(b.ip.addr, 80);
    let listener = b.tcp.socket(Family::Inet);
    b.tcp.bind(&mut b.ip, listener, to).expect("a free port");
    b.tcp.listen(&mut b.ip, listener, 1).expect("nobody listens");
    let client = a.tcp.socket(Family::Inet);
    assert_eq!(a.tcp.connect(&mut a.ip, client, to), Err(SockError::InProgress));
    loop {
        a.tcp.pump(&mut a.ip);
        a.deliver(b);
        b.tcp.pump(&mut b.ip);
        b.deliver(a);
        if let Ok((server, _)) = b.tcp.accept(&mut b.ip, listener) {
            return (client, server);
        }
    }
}

/// Time that this thread was on a CPU, as the kernel counts it: what others do on the machine does not show.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn main() {
    let json = std::env::args().any(|a| a == "--json");
    let total: usize = 6 << 30;
    let (mut a, mut b) = (Host::new("10.0.0.1", 1), Host::new("10.0.0.2", 2));
    let (client, server) = connect(&mut a, &mut b);
    let (chunk, mut buf) = (vec![7u8; 64 << 10], vec![0u8; 64 << 10]);
    let (mut written, mut read, mut rounds) = (0, 0, 0u64);
    let (start, cpu) = (Clock::now(), cpu_time());
    while read < total {
        rounds += 1;
        // The link has a round trip of 20 us.
        a.ip.now += Span::from_micros(10);
        b.ip.now += Span::from_micros(10);
        a.timed(|a| {
            while written < total {
                match a.tcp.send(
                    &mut a.ip,
                    client,
                    &chunk[..chunk.len().min(total - written)],
                    SendFlags::empty(),
                ) {
                    Ok(n) => written += n,
                    Err(SockError::WouldBlock) => break,
                    Err(e) => panic!("send: {e}"),
                }
            }
            a.tcp.pump(&mut a.ip);
        });
        let t = Clock::now();
        a.deliver(&mut b);
        b.tcp.pump(&mut b.ip);
        loop {
            match b.tcp.recv(&mut b.ip, server, &mut buf, RecvFlags::empty()) {
                Ok(n) => read += n,
                Err(SockError::WouldBlock) => break,
                Err(e) => panic!("recv: {e}"),
            }
        }
        b.tcp.pump(&mut b.ip);
        b.busy += t.elapsed();
        let t = Clock::now();
        b.deliver(&mut a);
        a.busy += t.elapsed();
        if a.tcp.poll_timeout().is_some_and(|at| at <= a.ip.now) {
            a.tcp.handle_timeout(&mut a.ip);
        }
        if b.tcp.poll_timeout().is_some_and(|at| at <= b.ip.now) {
            b.tcp.handle_timeout(&mut b.ip);
        }
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), (cpu_time() - cpu).as_nanos() as f64);
    let (info, sent, acks) =
        (a.tcp.info(client).expect("open"), a.tcp.stats().out_segs, b.tcp.stats().out_segs);
    let ns = |d: Duration| d.as_nanos() as f64 / sent as f64;
    let gbits = total as f64 * 8.0 / seconds / 1e9;

    // The yardstick: program to ring, ring to packet, packet to ring, ring to program.
    let (src, mut dst) = (vec![1u8; 1448], vec![0u8; 1448]);
    let t = Clock::now();
    for _ in 0..1_000_000 {
        for _ in 0..4 {
            dst.copy_from_slice(std::hint::black_box(&src));
            std::hint::black_box(&mut dst);
        }
    }
    let copies = t.elapsed().as_nanos() as f64 / 1e6;

    if json {
        println!(
            "{{\"octets\":{total},\"seconds\":{seconds:.3},\"gbit_per_second\":{gbits:.2},\"segments\":{sent},\"acks\":{acks},\
             \"ns_per_segment\":{:.1},\"cpu_ns_per_segment\":{:.1},\"ns_sender\":{:.1},\"ns_receiver\":{:.1},\"ns_copies\":{copies:.1},\"cwnd\":{},\"rcv_wnd\":{},\"mss\":{}}}",
            seconds * 1e9 / sent as f64,
            cpu / sent as f64,
            ns(a.busy),
            ns(b.busy),
            info.cwnd,
            info.snd_wnd,
            info.snd_mss,
        );
    } else {
        println!("one stream, mss {}: {gbits:.1} Gbit/s for both sides on one core", info.snd_mss);
        println!("{sent} data segments, {acks} segments back, in {rounds} rounds");
        println!(
            "{:.0} ns a data segment, ACKs included, {:.0} of them on the CPU; sender {:.0}, receiver {:.0}; four copies of its payload take {copies:.0}",
            seconds * 1e9 / sent as f64,
            cpu / sent as f64,
            ns(a.busy),
            ns(b.busy)
        );
    }
}
