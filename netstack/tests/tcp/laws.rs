//! Laws: whatever the link does, a stream arrives whole and in order or both sides learn of its
//! end, and nothing is left; whatever octets come, nothing breaks.

use crate::engine::host::{Host, PLAIN, UNDONE};
use crate::link::{Fate, Link, Peer, octets};
use netstack::SockError;
use netstack::socket::{Family, RecvFlags, SendFlags};
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{Arrived, EcnMode, Profile, Shutdown, State, TcpConfig};
use netstack::time::Duration;
use netstack::wire::tcp::{self, Flags, Header, Options, Timestamps};
use proptest::prelude::*;
use std::net::IpAddr;

/// A link's temper: probabilities in 256ths, and a seed.
#[derive(Clone, Copy, Debug)]
struct Temper {
    loss: u8,
    twice: u8,
    late: u8,
    late_us: u64,
    seed: u64,
    /// The hosts leave segmentation undone.
    offloads: bool,
    /// The rest of the way does not do it either.
    whole: u8,
    marks: u8,
}

impl Temper {
    fn fate(self) -> Box<dyn FnMut(u64) -> Fate> {
        let mut x = self.seed | 1;
        Box::new(move |_| {
            let mut next = || {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                x
            };
            Fate {
                lost: (next() >> 40) as u8 <= self.loss && self.loss > 0,
                twice: (next() >> 40) as u8 <= self.twice && self.twice > 0,
                late_us: if (next() >> 40) as u8 <= self.late { next() % (self.late_us + 1) } else { 0 },
                whole: (next() >> 40) as u8 <= self.whole,
                marked: (next() >> 40) as u8 <= self.marks && self.marks > 0,
            }
        })
    }
}

fn temper(worst_loss: u8) -> impl Strategy<Value = Temper> {
    let late = (any::<u8>(), 0..20_000u64);
    (0..=worst_loss, 0..80u8, late, any::<u64>(), any::<bool>(), any::<u8>(), any::<u8>()).prop_map(
        |(loss, twice, (late, late_us), seed, offloads, whole, marks)| Temper {
            loss,
            twice,
            late,
            late_us,
            seed,
            offloads,
            whole,
            marks,
        },
    )
}

/// No socket holds more than its buffers say.
fn within_limits(link: &Link) {
    for info in link.hosts.iter().flat_map(|h| h.tcp.iter()).filter(|i| i.state != State::Listen) {
        assert!(info.recv_queue <= info.rcvbuf, "{info:?}");
        assert!(info.send_queue <= info.sndbuf, "{info:?}");
    }
}

/// Both sides send `n` octets and close. Returns how each ended.
fn exchange(config: TcpConfig, temper: Temper, n: [usize; 2]) -> [Option<Result<(), SockError>>; 2] {
    let mut link = Link::new(config);
    link.fate = temper.fate();
    link.hosts.iter_mut().for_each(|h| h.ip.offloads = temper.offloads);
    let listener = link.hosts[1].listener(80, 5);
    let client = link.connect(80);
    let mut a = Peer::new(0, client, octets(n[0], 1));
    let mut b: Option<Peer> = None;
    link.run(2_000_000, |l| {
        within_limits(l);
        a.turn(l);
        if b.is_none() {
            let h = &mut l.hosts[1];
            b = h.tcp.accept(&mut h.ip, listener).ok().map(|(id, _)| Peer::new(1, id, octets(n[1], 2)));
        }
        if let Some(b) = &mut b {
            b.turn(l);
        }
        a.end.is_some() && b.as_ref().is_none_or(|b| b.end.is_some())
    });
    if a.end == Some(Ok(())) {
        assert!(a.read == octets(n[1], 2), "what the client read is what the server wrote");
    }
    let mut ends = [a.end, None];
    let h = &mut link.hosts[0];
    h.tcp.close(&mut h.ip, client);
    if let Some(b) = b {
        if b.end == Some(Ok(())) {
            assert!(b.read == octets(n[0], 1), "what the server read is what the client wrote");
        }
        assert!(octets(n[0], 1).starts_with(&b.read), "and never anything else");
        ends[1] = b.end;
        let h = &mut link.hosts[1];
        h.tcp.close(&mut h.ip, b.id);
    }
    let h = &mut link.hosts[1];
    h.tcp.close(&mut h.ip, listener);
    // The rest, TIME-WAIT included, comes to its end by itself.
    let mut steps = 0;
    while link.step() {
        steps += 1;
        assert!(steps < 1_000_000, "it never ends");
    }
    for h in &link.hosts {
        assert!(h.tcp.is_empty(), "left over: {:?}", h.tcp.iter().collect::<Vec<_>>());
        assert_eq!(h.tcp.poll_timeout(), None);
        assert!(!h.tcp.wants_pump());
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn streams_arrive_whole(t in temper(60), a in 1usize..120_000, b in 0usize..60_000) {
        let ends = exchange(TcpConfig::default(), t, [a, b]);
        // A loss of a quarter is nothing that fifteen retries do not stand.
        prop_assert_eq!(ends[0], Some(Ok(())));
        prop_assert!(matches!(ends[1], Some(Ok(())) | Some(Err(SockError::ConnReset | SockError::TimedOut))), "{:?}", ends);
    }

    #[test]
    fn or_their_end_is_told(t in temper(230), a in 1usize..20_000) {
        let _ = exchange(TcpConfig::default(), t, [a, a / 2]);
    }

    #[test]
    fn without_options_too(t in temper(40), a in 1usize..60_000) {
        let config = TcpConfig { timestamps: false, window_scaling: false, max_reass_ranges: 4, ..TcpConfig::default() };
        let ends = exchange(config, t, [a, 1000]);
        prop_assert_eq!(ends[0], Some(Ok(())));
    }

    #[test]
    fn whatever_moves_the_window(
        t in temper(40),
        a in 1usize..120_000,
        congestion_control in prop::sample::select(Algorithm::ALL),
        abe in any::<bool>(),
    ) {
        let config = TcpConfig { congestion_control, abe, ecn: EcnMode::Request, ..TcpConfig::default() };
        let ends = exchange(config, t, [a, 1000]);
        prop_assert_eq!(ends[0], Some(Ok(())));
    }
}

/// A step of the wildest peer and the wildest program.
#[derive(Clone, Debug)]
enum Wild {
    Segment {
        flags: u8,
        seq: i32,
        ack: i32,
        len: u16,
        window: u16,
        urgent: u16,
        ts: Option<(u32, u32)>,
        port: u8,
    },
    Octets(Vec<u8>),
    Send(u16),
    Recv(u16),
    Shut(u8),
    Close,
    Accept,
    Wait(u32),
    Room(u8),
    TooBig(u16),
}

fn wild() -> impl Strategy<Value = Wild> {
    let near = prop_oneof![4 => -3i32..4, 2 => -3000i32..3000, 1 => any::<i32>()];
    let flags = prop_oneof![3 => Just(0x10u8), 2 => Just(0x02u8), 1 => Just(0x11u8), 1 => Just(0x04u8), 3 => any::<u8>()];
    let segment = (
        flags,
        near.clone(),
        near,
        0u16..1500,
        any::<u16>(),
        any::<u16>(),
        any::<Option<(u32, u32)>>(),
        0u8..3,
    )
        .prop_map(|(flags, seq, ack, len, window, urgent, ts, port)| Wild::Segment {
            flags,
            seq,
            ack,
            len,
            window,
            urgent,
            ts,
            port,
        });
    prop_oneof![
        12 => segment,
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Wild::Octets),
        3 => any::<u16>().prop_map(Wild::Send),
        3 => any::<u16>().prop_map(Wild::Recv),
        1 => (0u8..3).prop_map(Wild::Shut),
        1 => Just(Wild::Close),
        2 => Just(Wild::Accept),
        2 => (0u32..100_000).prop_map(Wild::Wait),
        1 => (0u8..4).prop_map(Wild::Room),
        1 => any::<u16>().prop_map(Wild::TooBig),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_nothing_breaks(
        profile in prop::sample::select(Profile::ALL),
        steps in prop::collection::vec(wild(), 1..120),
    ) {
        let mut h = Host::new("10.0.0.1", profile.config(), 3);
        let them: IpAddr = "10.0.0.9".parse().unwrap();
        let listener = h.listener(80, 2);
        let mut sockets = Vec::new();
        let client = h.tcp.socket(Family::Inet);
        let _ = h.tcp.connect(&mut h.ip, client, "10.0.0.9:4002".parse().unwrap());
        sockets.push(client);
        // The last segment that went to each port: what comes is near it.
        let mut last = [Header::default(); 3];
        for step in steps {
            match step {
                Wild::Segment { flags, seq, ack, len, window, urgent, ts, port } => {
                    let seen = last[usize::from(port)];
                    let header = Header {
                        src_port: 4000 + u16::from(port),
                        dst_port: if seen.src_port == 0 { 80 } else { seen.src_port },
                        seq: seen.ack.wrapping_add(seq as u32),
                        ack: seen.seq.wrapping_add(1).wrapping_add(ack as u32),
                        flags: Flags::from_bits_retain(flags),
                        window,
                        urgent,
                        options: Options { timestamps: ts.map(|(val, ecr)| Timestamps { val, ecr }), mss: Some(window), ..Options::default() },
                    };
                    let mut segment = vec![0; header.len()];
                    header.emit(&mut segment);
                    segment.resize(header.len() + usize::from(len), 9);
                    tcp::fill_checksum(them, h.ip.addr, &mut segment);
                    h.input(them, PLAIN, &segment);
                }
                Wild::Octets(octets) => h.input(them, PLAIN, &octets),
                Wild::Send(n) => for id in &sockets {
                    let flags = if n % 7 == 0 { SendFlags::OOB } else { SendFlags::empty() };
                    let _ = match n % 2 {
                        0 => h.tcp.send(&mut h.ip, *id, &vec![1; usize::from(n)], flags),
                        _ => h.tcp.send_with(&mut h.ip, *id, usize::from(n), |a, b| a.len() + b.len()),
                    };
                },
                Wild::Recv(n) => for id in &sockets {
                    let flags = if n % 7 == 0 { RecvFlags::OOB } else { RecvFlags::empty() };
                    let _ = match n % 2 {
                        0 => h.tcp.recv(&mut h.ip, *id, &mut vec![1; usize::from(n)], flags),
                        _ => h.tcp.recv_with(&mut h.ip, *id, |pieces| pieces[0].len().min(usize::from(n))),
                    };
                },
                Wild::Shut(n) => for id in &sockets {
                    let _ = h.tcp.shutdown(&mut h.ip, *id, [Shutdown::Read, Shutdown::Write, Shutdown::Both][usize::from(n)]);
                },
                Wild::Close => if let Some(id) = sockets.pop() {
                    h.tcp.close(&mut h.ip, id);
                },
                Wild::Accept => if let Ok((id, _)) = h.tcp.accept(&mut h.ip, listener) {
                    sockets.push(id);
                },
                Wild::Wait(ms) => {
                    h.ip.now += Duration::from_millis(ms.into());
                    h.tcp.handle_timeout(&mut h.ip);
                }
                Wild::Room(n) => h.ip.room = usize::from(n) * 10,
                Wild::TooBig(mtu) => {
                    let seen = last[0];
                    let mut quoted = vec![0; seen.len()];
                    seen.emit(&mut quoted);
                    let error = netstack::netinet::IcmpError {
                        kind: netstack::netinet::IcmpErrorKind::PacketTooBig { mtu: mtu.into() },
                        from: them, src: h.ip.addr, dst: them, ifindex: crate::engine::host::IF,
                        wire: (3, 4),
                    };
                    h.tcp.icmp_error(&mut h.ip, &error, &quoted);
                }
            }
            for (_, m) in h.output() {
                let (header, _) = Header::parse(m.data()).expect("what we send is well formed");
                prop_assert!(tcp::checksum_is_valid(h.ip.addr, them, m.data()));
                if let Some(slot) = header.dst_port.checked_sub(4000).and_then(|i| last.get_mut(usize::from(i))) {
                    *slot = header;
                }
                h.ip.pool.put(m);
            }
            for id in &sockets {
                let _ = (h.tcp.ready(*id), h.tcp.info(*id));
            }
        }
        // When the programs have gone and the peer is silent, everything ends.
        h.ip.room = 1_000_000;
        for id in sockets {
            h.tcp.close(&mut h.ip, id);
        }
        h.tcp.close(&mut h.ip, listener);
        for _ in 0..10_000 {
            h.output();
            let Some(at) = h.tcp.poll_timeout() else { break };
            h.ip.now = h.ip.now.max(at);
            h.tcp.handle_timeout(&mut h.ip);
        }
        prop_assert!(h.tcp.is_empty(), "left over: {:?}", h.tcp.iter().collect::<Vec<_>>());
        prop_assert!(!h.tcp.wants_pump());
    }
}

#[test]
fn a_hundred_thousand_connections_idle_cheaply() {
    let mut h = Host::new("10.0.0.1", TcpConfig { max_syn_backlog: 10, ..TcpConfig::default() }, 3);
    let listener = h.listener(80, 4096);
    let mut accepted = Vec::new();
    for n in 0..100_000u32 {
        let them = IpAddr::from([10, 1, (n >> 14) as u8, (n >> 6) as u8]);
        let src_port = 1000 + (n & 63) as u16;
        let segment = |flags, seq, ack| {
            let header =
                Header { src_port, dst_port: 80, seq, ack, flags, window: 1000, ..Header::default() };
            let mut octets = vec![0; header.len()];
            header.emit(&mut octets);
            octets
        };
        let rx = netstack::netinet::IpRx {
            src: them,
            dst: h.ip.addr,
            ttl: 1,
            tos: 0,
            ifindex: crate::engine::host::IF,
            cast: netstack::netinet::Cast::Unicast,
            fragmented: false,
        };
        h.tcp.input(&mut h.ip, &rx, Arrived::new(&segment(Flags::SYN, 7, 0), UNDONE));
        let syn_ack = h.output().pop().expect("a SYN-ACK").1;
        let isn = Header::parse(syn_ack.data()).expect("a segment").0.seq;
        h.tcp.input(&mut h.ip, &rx, Arrived::new(&segment(Flags::ACK, 8, isn.wrapping_add(1)), UNDONE));
        accepted.push(h.tcp.accept(&mut h.ip, listener).expect("a connection").0);
    }
    assert_eq!(h.tcp.len(), 100_001);
    h.output();
    // The timers of the handshakes are gone, lazily; then nothing is due and nothing wants to be sent.
    h.ip.now += Duration::from_secs(10);
    h.tcp.handle_timeout(&mut h.ip);
    assert_eq!((h.tcp.poll_timeout(), h.tcp.wants_pump()), (None, false));
    for id in accepted {
        h.tcp.close(&mut h.ip, id);
    }
}
