//! What a packet costs below the transports: checksum, forwarding, UDP in and out, echo.
//!
//! `cargo bench -p netstack --bench ip [-- --json]`. Each line is the best of several runs; the
//! yardstick beside the checksum is `memcpy`, beside forwarding a copy of the frame.

use netstack::net::ifnet::IfConfig;
use netstack::net::route::Route;
use netstack::net::{IfIndex, MacAddr};
use netstack::socket::{Family, SendMeta, SockType};
use netstack::stack::{Stack, StackConfig};
use netstack::time::Instant;
use netstack::wire::{checksum, ethernet, ipv4, udp};
use std::hint::black_box;
use std::net::Ipv4Addr;

/// Seconds of the machine's clock: a benchmark may look at it, the stack may not.
#[expect(clippy::disallowed_types, reason = "a benchmark measures real time")]
fn seconds(f: &mut dyn FnMut()) -> f64 {
    let begin = std::time::Instant::now();
    f();
    begin.elapsed().as_secs_f64()
}

/// Nanoseconds of one of `n` operations that `f` does; the best of seven.
fn each(n: usize, mut f: impl FnMut()) -> f64 {
    f();
    (0..7).map(|_| seconds(&mut f)).fold(f64::MAX, f64::min) * 1e9 / n as f64
}

const NOW: Instant = Instant::from_millis(1000);
const N: usize = 20_000;
/// Frames that a driver hands over before it pulls: a burst.
const BURST: usize = 64;

fn peer(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

/// A router between 10.0.0.0/24 and 10.0.1.0/24.
fn router(routes: u32, paths: u8) -> (Stack, IfIndex, IfIndex) {
    let mut s = Stack::new(StackConfig { forwarding: true, ..StackConfig::default() }, [3; 32]);
    let mut attach = |n: u8| {
        let mac = MacAddr([2, 0, 0, 0, 0, n]);
        let i = s.if_attach(IfConfig { name: format!("eth{n}"), mac, mtu: 1500 }).unwrap();
        s.if_set_up(NOW, i, true).unwrap();
        s.addr_add(NOW, i, format!("10.0.{n}.1/24").parse().unwrap()).unwrap();
        i
    };
    let (a, b) = (attach(0), attach(1));
    for n in 2..2 + paths {
        let addr = Ipv4Addr::new(10, 0, 1, n);
        s.neigh_add(NOW, b, addr.into(), peer(n)).unwrap();
        let to = "192.168.0.0/16".parse().unwrap();
        s.route_add(Route::via(to, addr.into())).unwrap();
    }
    s.neigh_add(NOW, a, Ipv4Addr::new(10, 0, 0, 2).into(), peer(2)).unwrap();
    for i in 0..routes {
        let net = ipnet::Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + (i << 8)), 24).unwrap();
        s.route_add(Route::via(net.into(), Ipv4Addr::new(10, 0, 1, 2).into())).unwrap();
    }
    (s, a, b)
}

/// A UDP frame of `len` octets, Ethernet header included.
fn frame(dst: Ipv4Addr, port: u16, len: usize) -> Vec<u8> {
    let mut f = vec![0; len];
    ethernet::Header { dst: MacAddr([2, 0, 0, 0, 0, 0]), src: peer(2), ethertype: ethernet::IPV4 }
        .emit(&mut f);
    let header = ipv4::Header {
        total_len: len - 14,
        ..ipv4::Header::new(Ipv4Addr::new(10, 0, 0, 2), dst, ipv4::protocol::UDP)
    };
    header.emit(&mut f[14..]);
    udp::Header { src: port, dst: 9, len: len - 34, checksum: 0 }.emit(&mut f[34..]);
    f
}

/// Forwards `N` frames of several flows in bursts.
fn forward(routes: u32, paths: u8, dst: Ipv4Addr, len: usize) -> f64 {
    let (mut s, a, b) = router(routes, paths);
    let frames: Vec<_> = (1..=16).map(|p| frame(dst, p, len)).collect();
    each(N, || {
        let mut i = 0;
        while i < N {
            for _ in 0..BURST {
                let mut m = s.rx_mbuf();
                m.extend(&frames[i % 16]);
                s.input(NOW, a, m);
                i += 1;
            }
            while let Some(m) = s.poll_transmit(NOW, b) {
                black_box(m.data());
                s.recycle(m);
            }
        }
    })
}

fn udp_out() -> f64 {
    let (mut s, a, _) = router(0, 1);
    let id = s.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.connect(NOW, id, "10.0.0.2:9".parse().unwrap()).unwrap();
    each(N, || {
        for _ in 0..N / BURST {
            for _ in 0..BURST {
                s.send(NOW, id, &[0; 64], &SendMeta::default()).unwrap();
            }
            while let Some(m) = s.poll_transmit(NOW, a) {
                s.recycle(m);
            }
        }
    })
}

fn udp_in() -> f64 {
    let (mut s, a, _) = router(0, 1);
    let id = s.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.bind(NOW, id, "0.0.0.0:9".parse().unwrap()).unwrap();
    let f = frame(Ipv4Addr::new(10, 0, 0, 1), 7, 106);
    let mut buf = [0; 2048];
    each(N, || {
        for _ in 0..N / BURST {
            for _ in 0..BURST {
                let mut m = s.rx_mbuf();
                m.extend(&f);
                s.input(NOW, a, m);
            }
            while s.recv(NOW, id, &mut buf, Default::default()).is_ok() {}
            while s.poll_event().is_some() {}
        }
    })
}

fn main() {
    let json = std::env::args().any(|a| a == "--json");
    let mut results: Vec<(&str, f64, &str)> = Vec::new();
    let data = vec![0x5a; 1480];
    let sum = each(N, || {
        (0..N).for_each(|_| {
            black_box(checksum::checksum(black_box(&data)));
        })
    });
    let mut to = vec![0; 1480];
    let copy = each(N, || (0..N).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&data))));
    results.push(("checksum_1480", 1480.0 / sum, "GB/s"));
    results.push(("memcpy_1480", 1480.0 / copy, "GB/s"));
    let near = Ipv4Addr::new(10, 0, 1, 2);
    results.push(("forward_64", forward(0, 1, near, 64), "ns"));
    results.push(("forward_1514", forward(0, 1, near, 1514), "ns"));
    results.push(("forward_64_1k_routes", forward(1000, 1, Ipv4Addr::new(20, 1, 2, 3), 64), "ns"));
    results.push(("forward_64_50k_routes", forward(50_000, 1, Ipv4Addr::new(20, 99, 2, 3), 64), "ns"));
    results.push(("forward_64_4_paths", forward(0, 4, Ipv4Addr::new(192, 168, 1, 1), 64), "ns"));
    results.push(("udp_send_64", udp_out(), "ns"));
    results.push(("udp_receive_64", udp_in(), "ns"));
    if json {
        let fields: Vec<_> = results.iter().map(|(n, v, _)| format!("\"{n}\":{v:.2}")).collect();
        println!("{{{}}}", fields.join(","));
    } else {
        results.iter().for_each(|(n, v, unit)| println!("{n:24} {v:8.1} {unit}"));
    }
}
