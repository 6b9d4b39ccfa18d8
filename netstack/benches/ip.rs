//! What a packet costs below the transports, by IPv4 and by IPv6: checksum, forwarding, UDP in and out.
//!
//! `cargo bench -p netstack --bench ip [-- --json] [-- WORD …]`: the lines whose names hold one of the
//! words, or all. Each line is the best of several runs; the yardstick beside the checksum is `memcpy`,
//! beside IPv6 it is IPv4, turn by turn in the same run.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netstack::net::ifnet::IfConfig;
use netstack::net::neigh::Told;
use netstack::net::route::Route;
use netstack::net::{IfIndex, MacAddr};
use netstack::netinet6::in6_ifaddr::{Dad, Ipv6Config};
use netstack::socket::{Family, SendMeta, SockType};
use netstack::stack::{Stack, StackConfig};
use netstack::time::Instant;
use netstack::wire::{checksum, ethernet, ipv4, ipv6, udp};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// A host of the one subnet or the other: 10.N.0.0/16, fd00:N::/64.
fn addr(family: Family, n: u8, host: u16) -> IpAddr {
    let [high, low] = host.to_be_bytes();
    match family {
        Family::Inet => Ipv4Addr::new(10, n, high, low).into(),
        Family::Inet6 => Ipv6Addr::new(0xfd00, n.into(), 0, 0, 0, 0, 0, host).into(),
    }
}

/// What lies behind the second subnet: so many destinations.
fn far(family: Family, n: u32) -> IpNet {
    match family {
        Family::Inet => Ipv4Net::new_assert(Ipv4Addr::from(0x1400_0000 + (n << 8)), 24).into(),
        Family::Inet6 => {
            let bits = (0xfd01_0000u128 << 96) + (u128::from(n) << 64);
            Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 64).into()
        }
    }
}

/// A router between two subnets, with so many routes over the second to a first neighbour there, and with so many neighbours.
fn router(family: Family, routes: u32, neighbours: u16) -> (Stack, IfIndex, IfIndex) {
    let mut s = Stack::new(StackConfig { forwarding: true, ..StackConfig::default() }, [3; 32]);
    let mut attach = |n: u8| {
        let mac = MacAddr([2, 0, 0, 0, 0, n]);
        let i = s.if_attach(IfConfig { name: format!("eth{n}"), mac, mtu: 1500 }).unwrap();
        s.if_set_up(NOW, i, true).unwrap();
        let six = Ipv6Config { enabled: family == Family::Inet6, dad: Dad::Off, ..Ipv6Config::default() };
        s.if_set_ipv6(NOW, i, six).unwrap();
        let len = if family == Family::Inet { 16 } else { 64 };
        s.addr_add(NOW, i, IpNet::new_assert(addr(family, n, 1), len)).unwrap();
        while let Some(m) = s.poll_transmit(NOW, i) {
            s.recycle(m);
        }
        i
    };
    let (a, b) = (attach(0), attach(1));
    for n in 2..2 + neighbours {
        s.neigh_set(NOW, (b, addr(family, 1, n)), peer(n as u8), Told::Permanent, false).unwrap();
    }
    s.neigh_add(NOW, a, addr(family, 0, 2), peer(2)).unwrap();
    for n in 0..routes {
        s.route_add(Route::via(far(family, n), addr(family, 1, 2))).unwrap();
    }
    (s, a, b)
}

/// A UDP frame of `len` octets, Ethernet header included, from the first neighbour.
fn frame(dst: IpAddr, port: u16, len: usize) -> Vec<u8> {
    let mut f = vec![0; len];
    let at = match dst {
        IpAddr::V4(dst) => {
            let IpAddr::V4(src) = addr(Family::Inet, 0, 2) else { unreachable!("of IPv4") };
            let header =
                ipv4::Header { total_len: len - 14, ..ipv4::Header::new(src, dst, ipv4::protocol::UDP) };
            header.emit(&mut f[14..]);
            34
        }
        IpAddr::V6(dst) => {
            let IpAddr::V6(src) = addr(Family::Inet6, 0, 2) else { unreachable!("of IPv6") };
            let header =
                ipv6::Header { payload_len: len - 54, ..ipv6::Header::new(src, dst, ipv4::protocol::UDP) };
            header.emit(&mut f[14..]);
            54
        }
    };
    let ethertype = if dst.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 };
    ethernet::Header { dst: MacAddr([2, 0, 0, 0, 0, 0]), src: peer(2), ethertype }.emit(&mut f);
    udp::Header { src: port, dst: 9, len: len - at, checksum: 0 }.emit(&mut f[at..]);
    let sum =
        checksum::Sum::pseudo_header(addr_of(dst), dst, ipv4::protocol::UDP, len - at).add(&f[at..]).finish();
    f[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
    f
}

/// Where frames for `dst` are from.
fn addr_of(dst: IpAddr) -> IpAddr {
    addr(if dst.is_ipv4() { Family::Inet } else { Family::Inet6 }, 0, 2)
}

/// Forwards `N` frames, one after the other of `frames`, in bursts.
fn forward((mut s, a, b): (Stack, IfIndex, IfIndex), frames: &[Vec<u8>]) -> f64 {
    each(N, || {
        let mut i = 0;
        while i < N {
            for _ in 0..BURST {
                let mut m = s.rx_mbuf();
                m.extend(&frames[i % frames.len()]);
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

/// Several flows to one destination.
fn flows(dst: IpAddr, len: usize) -> Vec<Vec<u8>> {
    (1..=16).map(|port| frame(dst, port, len)).collect()
}

fn udp_out(family: Family) -> f64 {
    let (mut s, a, _) = router(family, 0, 1);
    let id = s.socket(family, SockType::Dgram, 0).unwrap();
    s.connect(NOW, id, SocketAddr::new(addr(family, 0, 2), 9)).unwrap();
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

fn udp_in(family: Family) -> f64 {
    let (mut s, a, _) = router(family, 0, 1);
    let id = s.socket(family, SockType::Dgram, 0).unwrap();
    let any = if family == Family::Inet { "0.0.0.0:9" } else { "[::]:9" };
    s.bind(NOW, id, any.parse().unwrap()).unwrap();
    // 64 octets of data.
    let f = frame(addr(family, 0, 1), 7, if family == Family::Inet { 106 } else { 126 });
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

/// The n-th host behind the second subnet.
fn farther(family: Family, n: u32) -> IpAddr {
    match far(family, n).addr() {
        IpAddr::V4(net) => IpAddr::V4(Ipv4Addr::from(u32::from(net) + 3)),
        IpAddr::V6(net) => IpAddr::V6(Ipv6Addr::from_bits(net.to_bits() + 3)),
    }
}

/// Forwarding to so many neighbours, one after the other.
fn neighbours(family: Family, n: u16) -> f64 {
    let frames: Vec<_> = (2..2 + n).map(|host| frame(addr(family, 1, host), 1, 74)).collect();
    forward(router(family, 0, n), &frames)
}

/// A line's name, and what gives its figure for either family.
type Measure = (&'static str, fn(Family) -> f64);

const MEASURES: &[Measure] = &[
    // The least that holds the headers of either.
    ("forward_74", |f| forward(router(f, 0, 1), &flows(addr(f, 1, 2), 74))),
    ("forward_1514", |f| forward(router(f, 0, 1), &flows(addr(f, 1, 2), 1514))),
    ("forward_74_1k_routes", |f| forward(router(f, 1000, 1), &flows(farther(f, 258), 74))),
    ("forward_74_50k_routes", |f| forward(router(f, 50_000, 1), &flows(farther(f, 25_346), 74))),
    ("forward_74_1k_neighbours", |f| neighbours(f, 1000)),
    ("forward_74_10k_neighbours", |f| neighbours(f, 10_000)),
    ("udp_send_64", udp_out),
    ("udp_receive_64", udp_in),
];
/// Turns of the two families: neither always has the better moment.
const TURNS: usize = 3;

fn main() {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let json = flags.iter().any(|a| a == "--json");
    let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));
    let mut fields: Vec<(String, f64)> = Vec::new();
    let data = vec![0x5a; 1480];
    let mut to = vec![0; 1480];
    let mut sum = || {
        (0..N).for_each(|_| {
            black_box(checksum::checksum(black_box(&data)));
        })
    };
    let mut copy = || (0..N).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&data)));
    let octets: [(&str, &mut dyn FnMut()); 2] = [("checksum_1480", &mut sum), ("memcpy_1480", &mut copy)];
    for (name, f) in octets.into_iter().filter(|(name, _)| wanted(name)) {
        let rate = 1480.0 / each(N, f);
        fields.push((name.to_owned(), rate));
        if !json {
            println!("{name:28} {rate:8.1} GB/s");
        }
    }
    for (name, measure) in MEASURES.iter().filter(|(name, _)| wanted(name)) {
        let (mut four, mut six) = (f64::MAX, f64::MAX);
        for _ in 0..TURNS {
            four = four.min(measure(Family::Inet));
            six = six.min(measure(Family::Inet6));
        }
        fields.extend([(format!("{name}_v4"), four), (format!("{name}_v6"), six)]);
        if !json {
            println!("{name:28} {four:8.1} ns   IPv6 {six:8.1} ns   ratio {:.2}", six / four);
        }
    }
    if json {
        let fields: Vec<_> = fields.iter().map(|(n, v)| format!("\"{n}\":{v:.2}")).collect();
        println!("{{{}}}", fields.join(","));
    }
}
