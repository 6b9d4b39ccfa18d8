//! Who gets which frame, in which order, and what happens to those who are too slow: several ports in one process.
#![cfg(not(loom))]

use proptest::prelude::*;
use shmif::{Bus, BusConfig, Doorbell, DropReason, Followed, Offload, Port, PortConfig, Recv, Sent, TxFrame};

const BROADCAST: [u8; 6] = [0xff; 6];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 251];
const RING: usize = 512 << 10;

struct Lan {
    dir: tempfile::TempDir,
    bus: Bus,
}

fn lan() -> Lan {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut config = BusConfig::new("lab", "lan");
    config.history = RING as u64;
    let bus = Bus::create(dir.path().join("lan"), &config).expect("create");
    Lan { dir, bus }
}

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

impl Lan {
    fn port(&self, n: u8) -> Port {
        self.bus.attach(&PortConfig::new(format!("h{n}"), "eth0", mac(n))).expect("attach")
    }
}

fn frame(dst: [u8; 6], id: u32, len: usize) -> Vec<u8> {
    let mut f = vec![id as u8; len.max(18)];
    f[..6].copy_from_slice(&dst);
    f[14..18].copy_from_slice(&id.to_be_bytes());
    f
}

fn id(frame: &[u8]) -> u32 {
    u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]])
}

/// Everything that a port has now; an overrun is noted as its negative.
fn all(port: &mut Port) -> Vec<i64> {
    let mut buf = vec![0; 70_000];
    let mut got = Vec::new();
    loop {
        match port.recv(&mut buf) {
            Recv::Frame(r) => got.push(i64::from(id(&buf[..r.len]))),
            Recv::Overrun { lost } => got.push(-(lost as i64)),
            Recv::Empty => return got,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_gets_what_it_asks_for_and_not_its_own() {
    let lan = lan();
    let mut a = lan.port(1);
    let mut b = lan.port(2);
    let mut c = lan.port(3);
    let mut bridge = lan
        .bus
        .attach(&PortConfig { promiscuous: true, ..PortConfig::new("br", "p0", mac(4)) })
        .expect("attach");
    let mut monitor = lan
        .bus
        .attach(&PortConfig { monitor: true, ..PortConfig::new("mon", "p0", mac(5)) })
        .expect("attach");
    c.set_multicast(&[GROUP]);
    let mut send = |dst, n| assert_eq!(a.send(0, &frame(dst, n, 60), Offload::NONE), Sent::Ok);
    send(mac(2), 1);
    send(mac(3), 2);
    send(BROADCAST, 3);
    send(GROUP, 4);
    send(mac(99), 5);
    send(mac(1), 6);
    assert_eq!(all(&mut b), [1, 3]);
    assert_eq!(all(&mut c), [2, 3, 4]);
    assert_eq!(all(&mut bridge), [1, 2, 3, 4, 5, 6]);
    assert_eq!(all(&mut monitor), [1, 2, 3, 4, 5, 6]);
    assert_eq!(all(&mut a), []);
    // Wishes change.
    b.set_up(false);
    c.set_multicast(&[]);
    assert!(bridge.set_mac(mac(44)) && !bridge.set_mac(GROUP));
    bridge.set_promiscuous(false);
    let mut send = |dst, n| assert_eq!(a.send(0, &frame(dst, n, 60), Offload::NONE), Sent::Ok);
    send(BROADCAST, 7);
    send(GROUP, 8);
    send(mac(4), 9);
    send(mac(44), 10);
    assert_eq!((all(&mut b), all(&mut c), all(&mut bridge)), (vec![], vec![7], vec![7, 10]));
    // More groups than a slot holds are all groups.
    let many: Vec<[u8; 6]> = (0..100).map(|n| [1, 0, 0x5e, 1, 1, n]).collect();
    c.set_multicast(&many);
    assert_eq!(a.send(0, &frame(GROUP, 11, 60), Offload::NONE), Sent::Ok);
    assert_eq!(a.send(0, &frame(many[99], 12, 60), Offload::NONE), Sent::Ok);
    assert_eq!(all(&mut c), [11, 12]);
    assert!(lan.bus.fsck().is_clean());
}

#[test]
fn the_bus_remembers_in_order_with_names_and_times() {
    let lan = lan();
    let mut a = lan.port(1);
    let b = lan.port(2);
    let mut follow = lan.bus.follow();
    for n in 0..10_000u32 {
        assert_eq!(
            a.send(u64::from(n) * 10, &frame(mac(77), n, 100 + n as usize % 1400), Offload::NONE),
            Sent::Ok
        );
    }
    let history: Vec<_> = lan.bus.history().collect();
    assert!(history.len() > 300 && history.len() < 10_000);
    for (captured, n) in history.iter().zip(10_000 - history.len() as u32..) {
        assert_eq!(
            (id(&captured.frame), captured.record.seq, captured.record.time_ns),
            (n, u64::from(n), u64::from(n) * 10)
        );
        assert_eq!((captured.record.sender, captured.frame.len()), (a.id(), 100 + n as usize % 1400));
    }
    // The follower was lapped and says by how much.
    let Followed::Lost(lost) = follow.next() else { panic!("not lapped") };
    assert_eq!(lost + history.len() as u64, 10_000);
    for captured in history {
        assert_eq!(follow.next(), Followed::Frame(captured));
    }
    assert_eq!(follow.next(), Followed::Empty);
    assert!(!follow.wait(std::time::Duration::from_millis(1)));

    let (id_a, id_b) = (a.id(), b.id());
    drop((a, b));
    let names = |bus: &Bus| bus.ports().into_iter().map(|p| (p.id, p.node, p.attached)).collect::<Vec<_>>();
    let remembered = [(id_a, "h1".to_owned(), false), (id_b, "h2".to_owned(), false)];
    assert_eq!(names(&lan.bus), remembered, "detached, but their records may be there");
    // A copy of the file says the same to whoever reads it.
    let copy = lan.dir.path().join("copy");
    std::fs::copy(lan.bus.path(), &copy).expect("copy");
    let dead = Bus::open_readonly(&copy).expect("open the copy");
    assert_eq!(names(&dead), remembered);
    assert_eq!(dead.history().count(), lan.bus.history().count());
    assert!(dead.attach(&PortConfig::default()).is_err());
    assert!(dead.fsck().is_clean());
    // A newcomer does not take a remembered name.
    let c = lan.port(3);
    assert_eq!(names(&lan.bus)[2], (c.id(), "h3".to_owned(), true));
}

#[test]
fn a_slow_reader_is_waited_for_and_then_overrun_and_the_sum_is_right() {
    let lan = lan();
    let bell = Doorbell::bind(lan.dir.path().join("bell")).expect("bind");
    let mut a = lan
        .bus
        .attach(&PortConfig {
            doorbell: Some(bell.path().to_owned()),
            ..PortConfig::new("h1", "eth0", mac(1))
        })
        .expect("attach");
    let mut b = lan.port(2);
    let idle = lan.port(3);
    let mut sent = 0u32;
    let mut fill = |a: &mut Port, now| loop {
        match a.send(now, &frame(mac(2), sent, 1514), Offload::NONE) {
            Sent::Ok => sent += 1,
            other => return (sent, other),
        }
    };
    let (before, waits) = fill(&mut a, 1000);
    assert_eq!(waits, Sent::Wait { until_ns: 1000 + shmif::DEFAULT_PAUSE_NS });
    assert!(before as usize >= RING / 1600 - 8, "nobody waits before the ring is full");
    assert_eq!(
        a.send(5000, &frame(mac(2), 0, 1514), Offload::NONE),
        waits,
        "the wait is counted from the first refusal"
    );
    // The reader takes some: the writer is rung, nothing is lost.
    let mut buf = [0; 2000];
    for n in 0..100 {
        let Recv::Frame(r) = b.recv(&mut buf) else { panic!("frame {n}") };
        assert_eq!(id(&buf[..r.len]), n);
    }
    assert!(bell.drain() > 0, "there is room and nobody said so");
    let (after, _) = fill(&mut a, 6000);
    assert!(after >= before + 70);
    // It stops reading: after the pause it is overrun.
    for now in [6000, 6000 + shmif::DEFAULT_PAUSE_NS - 1] {
        assert!(matches!(a.send(now, &frame(mac(2), 0, 1514), Offload::NONE), Sent::Wait { .. }));
    }
    assert_eq!(b.counters().overruns, 0);
    let late = 6000 + shmif::DEFAULT_PAUSE_NS;
    let mut total = after;
    for _ in 0..1000 {
        assert_eq!(
            a.send(late, &frame(mac(2), total, 1514), Offload::NONE),
            Sent::Ok,
            "an overrun reader is not waited for again"
        );
        total += 1;
    }
    assert_eq!((b.counters().overruns, idle.counters().overruns), (1, 0));
    let got = all(&mut b);
    assert!(got[0] < 0, "told first");
    let lost = -got[0];
    assert_eq!(
        100 + lost + got.len() as i64 - 1,
        i64::from(total),
        "lost and received are all that was sent"
    );
    assert_eq!(*got.last().expect("some"), i64::from(total) - 1);
    assert!(got[1..].windows(2).all(|w| w[1] == w[0] + 1), "what is left is in order");
    assert_eq!(b.counters().rx_lost, lost as u64);
    assert!(
        b.counters().rx_frames == 100 + got.len() as u64 - 1 && a.counters().tx_frames == u64::from(total)
    );
    // And it is a reader like others again.
    assert!(matches!(fill(&mut a, late).1, Sent::Wait { .. }));
    assert!(lan.bus.fsck().is_clean());
}

#[test]
fn a_monitor_and_an_idle_port_hold_nobody_up() {
    let lan = lan();
    let mut a = lan.port(1);
    let mut idle = lan.port(2);
    let mut monitor = lan
        .bus
        .attach(&PortConfig { monitor: true, ..PortConfig::new("mon", "p0", mac(5)) })
        .expect("attach");
    assert_eq!(a.send(0, &frame(mac(2), 0, 60), Offload::NONE), Sent::Ok);
    assert_eq!(all(&mut idle), [0]);
    for n in 1..5000 {
        assert_eq!(a.send(0, &frame(mac(9), n, 1514), Offload::NONE), Sent::Ok);
    }
    assert_eq!(a.send(0, &frame(mac(2), 5000, 60), Offload::NONE), Sent::Ok);
    assert_eq!(all(&mut idle), [5000], "nothing that it wanted is lost, so it lost nothing");
    let got = all(&mut monitor);
    assert_eq!(-got[0] + got.len() as i64 - 1, 5001);
}

#[test]
fn a_sleeper_is_rung_once_and_only_for_what_it_wants() {
    let lan = lan();
    let bell = Doorbell::bind(lan.dir.path().join("bell")).expect("bind");
    let with_bell = |n| PortConfig {
        doorbell: Some(bell.path().to_owned()),
        ..PortConfig::new(format!("h{n}"), "eth0", mac(n))
    };
    let mut a = lan.port(1);
    let mut b = lan.bus.attach(&with_bell(2)).expect("attach");
    a.send(0, &frame(mac(2), 1, 60), Offload::NONE);
    assert!(!b.prepare_sleep(), "something is there already");
    assert_eq!(all(&mut b), [1]);
    assert_eq!(bell.drain(), 0, "nobody sleeps");
    assert!(b.prepare_sleep());
    a.send(0, &frame(mac(9), 2, 60), Offload::NONE);
    assert_eq!(bell.drain(), 0, "not its frame");
    let batch: Vec<Vec<u8>> = (3..200).map(|n| frame(mac(2), n, 60)).collect();
    let batch: Vec<TxFrame<'_>> = batch.iter().map(|data| TxFrame { data, offload: Offload::NONE }).collect();
    assert_eq!(a.send_batch(0, &batch), (197, Sent::Ok));
    assert_eq!(bell.drain(), 1, "rung once for all");
    b.awake();
    assert_eq!(all(&mut b).len(), 197);
    assert!(b.prepare_sleep());
    b.awake();
    a.send(0, &frame(mac(2), 1, 60), Offload::NONE);
    assert_eq!(bell.drain(), 0);
}

#[test]
fn what_cannot_be_sent_is_dropped_and_counted_and_the_rest_of_a_batch_can_go_on() {
    let lan = lan();
    let (mut a, mut b) = (lan.port(1), lan.port(2));
    let good = frame(mac(2), 7, 60);
    let long = vec![0; shmif::MAX_FRAME + 1];
    let bad = Offload { csum_start: 50, csum_offset: 16, ..Offload::NONE };
    assert_eq!(a.send(0, &good[..13], Offload::NONE), Sent::Dropped(DropReason::TooShort));
    assert_eq!(a.send(0, &long, Offload::NONE), Sent::Dropped(DropReason::TooLong));
    assert_eq!(a.send(0, &good, bad), Sent::Dropped(DropReason::BadOffload));
    let none = Offload::NONE;
    let batch = [
        TxFrame { data: &good, offload: none },
        TxFrame { data: &long, offload: none },
        TxFrame { data: &good, offload: none },
    ];
    assert_eq!(a.send_batch(0, &batch), (2, Sent::Dropped(DropReason::TooLong)));
    assert_eq!(a.send_batch(0, &batch[2..]), (1, Sent::Ok));
    assert_eq!(a.counters().tx_dropped, 4);
    assert_eq!(b.recv(&mut [0; 59]), Recv::TooLong { len: 60 });
    assert_eq!(all(&mut b), [7]);
    assert_eq!(b.counters().rx_errors, 1);
    // The longest frame fits, also round the end of the ring.
    for n in 0..40 {
        assert_eq!(a.send(0, &frame(mac(2), n, shmif::MAX_FRAME), none), Sent::Ok);
        assert_eq!(all(&mut b), [i64::from(n)]);
    }
}

#[test]
fn a_reader_that_gets_on_slowly_is_never_overrun() {
    let lan = lan();
    let (mut a, mut b) = (lan.port(1), lan.port(2));
    let data = frame(mac(2), 1, 1514);
    let batch = [TxFrame { data: &data, offload: Offload::NONE }; 32];
    let mut buf = [0; 2000];
    let (mut now, mut sent, mut got) = (0, 0, 0);
    // Every millisecond some frames are read: less than is offered, for 100 times the pause.
    while now < 100 * shmif::DEFAULT_PAUSE_NS {
        sent += a.send_batch(now, &batch).0;
        for _ in 0..20 {
            match b.recv(&mut buf) {
                Recv::Frame(_) => got += 1,
                Recv::Empty => break,
                other => panic!("{other:?}"),
            }
        }
        now += 1_000_000;
    }
    got += all(&mut b).len();
    assert_eq!((sent, b.counters().overruns, b.counters().rx_lost), (got, 0, 0));
    assert!(a.counters().tx_waits > 10, "it did wait");
}

#[test]
fn a_follower_is_woken() {
    let lan = lan();
    let mut a = lan.port(1);
    for bus in [lan.bus.clone(), Bus::open_readonly(lan.bus.path()).expect("open")] {
        let mut follow = bus.follow();
        let waiter = std::thread::spawn(move || {
            let woken = follow.wait(std::time::Duration::from_secs(20));
            (woken, follow.next())
        });
        let mut sent = 0;
        while !waiter.is_finished() {
            assert_eq!(a.send(0, &frame(mac(9), sent, 60), Offload::NONE), Sent::Ok);
            sent += 1;
            std::thread::yield_now();
        }
        let (woken, found) = waiter.join().expect("no panic");
        assert!(woken && matches!(found, Followed::Frame(_) | Followed::Lost(_)));
    }
}

/// A TCP segment of 5000 octets with its checksum left open.
fn bulk() -> (Vec<u8>, Offload) {
    let mut f = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2(mac(1), mac(2))
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(1, 2, 3, 4);
    builder.write(&mut f, &[9; 5000]).expect("write");
    let partial = shmif::segment::partial_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6, f.len() - 34);
    f[50..52].copy_from_slice(&partial.to_be_bytes());
    (
        f,
        Offload {
            csum_start: 34,
            csum_offset: 16,
            gso_type: shmif::GsoType::TcpV4,
            gso_size: 1460,
            hdr_len: 54,
        },
    )
}

#[test]
fn a_bulk_record_arrives_whole_or_as_wire_frames_as_the_port_likes() {
    let lan = lan();
    let mut a = lan.port(1);
    let mut b = lan
        .bus
        .attach(&PortConfig { offload: true, ..PortConfig::new("b", "eth0", mac(2)) })
        .expect("attach");
    let mut c = lan
        .bus
        .attach(&PortConfig { promiscuous: true, ..PortConfig::new("c", "eth0", mac(3)) })
        .expect("attach");
    let (bulk, offload) = bulk();
    for _ in 0..2 {
        assert_eq!(a.send(0, &bulk, offload), Sent::Ok);
        let mut buf = vec![0; 70_000];
        let Recv::Frame(whole) = b.recv(&mut buf) else { panic!("nothing came") };
        assert_eq!((&buf[..whole.len], whole.offload), (&bulk[..], offload));
        let mut wire = Vec::new();
        while let Recv::Frame(r) = c.recv(&mut buf[..1514]) {
            assert!(r.offload.is_none() && r.flags == shmif::RecordFlags::SEGMENT && r.seq == whole.seq);
            wire.push(buf[..r.len].to_vec());
        }
        assert_eq!(wire.iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1514, 1514, 54 + 620]);
        let captured = lan.bus.history().last().expect("remembered");
        assert_eq!((&captured.frame, captured.record.offload), (&bulk, offload));
        let mut same = Vec::new();
        assert_eq!(captured.wire_frames(|f| same.push(f.to_vec())), Ok(4));
        assert_eq!(same, wire);
        // Unfinished segments keep the port awake.
        assert_eq!(a.send(0, &bulk, offload), Sent::Ok);
        assert!(matches!(c.recv(&mut buf), Recv::Frame(_)) && !c.prepare_sleep());
        while matches!(c.recv(&mut buf), Recv::Frame(_)) {}
        assert!(c.prepare_sleep());
        assert!(matches!(b.recv(&mut buf), Recv::Frame(_)));
    }
    assert_eq!((c.counters().rx_frames, b.counters().rx_frames), (16, 4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The law of the bus: every port receives, in order, exactly what was sent to it by others less what it was told it lost.
    #[test]
    fn received_and_lost_are_all_that_was_sent(
        script in prop::collection::vec((0..4usize, 0..5u8, 20..9000usize, prop::bool::weighted(0.03)), 1..1500), patient: bool,
    ) {
        let lan = lan();
        let mut ports: Vec<Port> = (0..4).map(|n| lan.port(n)).collect();
        if !patient { ports.iter_mut().for_each(|p| p.set_pause(0)); }
        let mut expected = vec![Vec::new(); 4];
        let mut got = vec![Vec::new(); 4];
        let mut lost = [0; 4];
        let mut take = |ports: &mut Vec<Port>, i: usize| {
            for n in all(&mut ports[i]) { if n < 0 { lost[i] -= n } else { got[i].push(n) } }
        };
        for (n, (from, to, len, read)) in script.into_iter().enumerate() {
            let dst = if to == 4 { BROADCAST } else { mac(to) };
            match ports[from].send(0, &frame(dst, n as u32, len), Offload::NONE) {
                Sent::Ok => for i in (0..4).filter(|&i| i != from && (to == 4 || i == usize::from(to))) { expected[i].push(n as i64) },
                Sent::Wait { .. } if patient => (0..4).for_each(|i| take(&mut ports, i)),
                other => prop_assert!(false, "{other:?}"),
            }
            if read { take(&mut ports, from) }
        }
        (0..4).for_each(|i| take(&mut ports, i));
        for i in 0..4 {
            prop_assert_eq!(got[i].len() as i64 + lost[i], expected[i].len() as i64);
            prop_assert!(!patient || lost[i] == 0);
            let mut rest = expected[i].iter();
            prop_assert!(got[i].iter().all(|n| rest.any(|e| e == n)), "in order, nothing invented");
        }
        let report = lan.bus.fsck();
        prop_assert!(report.findings.is_empty(), "{report}");
    }
}
