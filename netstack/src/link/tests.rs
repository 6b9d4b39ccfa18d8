//! What a wire does to frames, measured: rates, losses, delays, queues.

use super::*;
use crate::link::queue::CoDelConfig;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn frame(len: usize) -> Mbuf {
    Mbuf::copy_of(&vec![7; len])
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Everything that arrives until nothing is on its way, with its time.
fn drain(wire: &mut Impair) -> Vec<(Instant, Mbuf)> {
    let mut out = Vec::new();
    while let Some(now) = wire.next() {
        while let Some(m) = wire.pop(now) {
            out.push((now, m));
        }
    }
    out
}

#[test]
fn a_plain_delay_keeps_frames_in_order() {
    let mut wire = Impair::new(ImpairConfig { delay: 20 * MS, ..ImpairConfig::default() }, 1);
    for i in 0..10 {
        wire.push(at(100 + i), frame(60 + i as usize));
    }
    let seen: Vec<_> = drain(&mut wire).iter().map(|(t, m)| (t.as_millis(), m.len())).collect();
    assert_eq!(seen, (0..10).map(|i| (120 + i, 60 + i as usize)).collect::<Vec<_>>());
}

#[test]
fn a_rate_is_kept_to_the_bit_and_bursts_are_ahead_of_it() {
    let config = ImpairConfig { rate: Some(1_000_000), ..ImpairConfig::default() };
    let mut wire = Impair::new(config.clone(), 1);
    (0..100).for_each(|_| wire.push(at(0), frame(1250)));
    // 10 ms of a megabit each.
    let times: Vec<u64> = drain(&mut wire).iter().map(|(t, _)| t.as_millis()).collect();
    assert_eq!(times, (1..=100).map(|i| i * 10).collect::<Vec<_>>());
    let mut wire = Impair::new(ImpairConfig { burst: 5000, ..config }, 1);
    (0..10).for_each(|_| wire.push(at(0), frame(1250)));
    let times: Vec<u64> = drain(&mut wire).iter().map(|(t, _)| t.as_millis()).collect();
    assert_eq!(times, [0, 0, 0, 0, 10, 20, 30, 40, 50, 60]);
}

#[test]
fn a_queue_has_an_end() {
    let config = ImpairConfig { rate: Some(1_000_000), queue_octets: Some(3000), ..ImpairConfig::default() };
    let mut wire = Impair::new(config.clone(), 1);
    (0..10).for_each(|_| wire.push(at(0), frame(1000)));
    // One is on the wire, three wait.
    assert_eq!((drain(&mut wire).len(), wire.counters().queue_drops), (4, 6));
    assert!(wire.is_empty());
    // The same, counted in frames, however long they are; what is on its way has a limit of its own.
    let frames = ImpairConfig { queue_octets: None, queue_frames: Some(3), delay: 50 * MS, ..config };
    let mut wire = Impair::new(frames, 1);
    (0..10).for_each(|n| wire.push(at(0), frame(100 * (n + 1))));
    assert_eq!((drain(&mut wire).len(), wire.counters().queue_drops), (4, 6));
}

#[test]
fn what_a_new_queue_has_no_room_for_is_counted() {
    let config = ImpairConfig { rate: Some(1_000_000), ..ImpairConfig::default() };
    let mut wire = Impair::new(config.clone(), 1);
    (0..10).for_each(|_| wire.push(at(0), frame(1000)));
    let queue = QueueConfig::FqCoDel { codel: CoDelConfig::default(), flows: 16, quantum: 1514 };
    wire.set_config(at(0), ImpairConfig { queue, queue_frames: Some(3), ..config });
    assert_eq!((drain(&mut wire).len(), wire.counters().queue_drops), (4, 6));
}

#[test]
fn what_is_lost_has_taken_its_time() {
    let config = ImpairConfig { rate: Some(1_000_000), lose: vec![1, 3], ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 1);
    (0..4).for_each(|_| wire.push(at(0), frame(1250)));
    let times: Vec<u64> = drain(&mut wire).iter().map(|(t, _)| t.as_millis()).collect();
    assert_eq!(times, [20, 40]);
    assert_eq!(wire.counters().lost, 2);
}

/// How many of a million frames arrive is within three standard deviations of what is meant.
#[test]
fn losses_are_as_many_as_is_said() {
    let n = 1_000_000u64;
    let ge = Loss::GilbertElliott { p: 0.01, r: 0.3, h: 0.1, k: 0.999 };
    // Stationary: the share of the bad state is p / (p + r); its runs make the variance larger.
    let bad = 0.01 / 0.31;
    for (loss, p, spread) in [
        (Loss::Random(Chance::of(0.01)), 0.01, 1.0),
        (Loss::Random(Chance::of(0.3)), 0.3, 1.0),
        (ge, bad * 0.9 + (1.0 - bad) * 0.001, 3.0),
    ] {
        let mut wire = Impair::new(ImpairConfig { loss, ..ImpairConfig::default() }, 5);
        for i in 0..n {
            wire.push(at(i), frame(60));
            let _ = wire.pop(at(i));
            while wire.take_dropped().is_some() {}
        }
        let sigma = libm::sqrt(n as f64 * p * (1.0 - p)) * spread;
        let off = (wire.counters().lost as f64 - n as f64 * p).abs();
        assert!(
            off < 3.0 * sigma,
            "{loss:?}: {} of {n}, off by {off:.0} of {sigma:.0}",
            wire.counters().lost
        );
    }
}

#[test]
fn losses_of_the_bad_state_come_in_runs() {
    let ge = Loss::GilbertElliott { p: 0.01, r: 0.25, h: 0.0, k: 1.0 };
    let mut wire = Impair::new(ImpairConfig { loss: ge, ..ImpairConfig::default() }, 9);
    let (mut runs, mut lost, mut last) = (0u64, 0u64, false);
    for i in 0..200_000 {
        let before = wire.counters().lost;
        wire.push(at(i), frame(60));
        let now = wire.counters().lost > before;
        runs += u64::from(now && !last);
        lost += u64::from(now);
        last = now;
        let _ = wire.pop(at(i));
    }
    let mean = lost as f64 / runs as f64;
    assert!((3.8..4.2).contains(&mean), "runs of {mean}, meant 1 / r = 4");
}

#[test]
fn jitter_lets_frames_overtake_and_reordering_sends_some_ahead() {
    let config = ImpairConfig { delay: 10 * MS, jitter: 5 * MS, ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 3);
    (0..100).for_each(|i| wire.push(at(i), frame(60 + i as usize)));
    let lens: Vec<usize> = drain(&mut wire).iter().map(|(_, m)| m.len()).collect();
    assert!(!lens.is_sorted() && lens.len() == 100);
    let config = ImpairConfig { delay: 10 * MS, reorder: Chance::of(0.25), ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 3);
    (0..1000).for_each(|i| wire.push(at(i), frame(60)));
    let ahead = wire.counters().reordered;
    assert!((200..300).contains(&ahead), "{ahead}");
}

#[test]
fn copies_and_turned_bits() {
    let config =
        ImpairConfig { duplicate: Chance::of(1.0), corrupt: Chance::of(1.0), ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 3);
    wire.push(at(0), frame(60));
    let seen = drain(&mut wire);
    assert_eq!(seen.len(), 2);
    for (_, m) in seen {
        let turned: u32 = m.data().iter().map(|b| (b ^ 7).count_ones()).sum();
        assert_eq!(turned, 1);
    }
}

/// A flow that sends a frame each `gap_us` for ten seconds, where the wire takes one in 1000; the worst
/// wait of the last second.
fn overload(queue: QueueConfig, gap_us: u64) -> (Duration, ImpairCounters) {
    let config = ImpairConfig { rate: Some(10_000_000), queue, limit: 10_000, ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 4);
    let mut worst = Duration::ZERO;
    for i in 0..10_000_000 / gap_us {
        let now = Instant::from_nanos(i * gap_us * 1000);
        let mut m = frame(1250);
        m.data_mut()[14..22].copy_from_slice(&now.as_nanos().to_be_bytes());
        wire.push(now, m);
        while let Some(m) = wire.pop(now) {
            let sent = u64::from_be_bytes(m.data()[14..22].try_into().unwrap());
            if now >= at(9000) {
                worst = worst.max(now.since(Instant::from_nanos(sent)));
            }
        }
        while wire.take_dropped().is_some() {}
    }
    (worst, wire.counters())
}

#[test]
fn managed_queues_are_shorter_than_plain_ones() {
    let (tail, _) = overload(QueueConfig::Tail, 950);
    assert!(tail > 400 * MS, "{tail:?}");
    // Somebody who does not slow down: CoDel learns how often to drop.
    let (codel, counters) = overload(QueueConfig::CoDel(CoDelConfig::default()), 950);
    assert!(counters.queue_drops > 300, "{counters:?}");
    assert!(codel < 60 * MS, "{codel:?}");
    let red = QueueConfig::Red { min: 15_000, max: 45_000, probability: 0.1, ecn: false };
    let (red, counters) = overload(red, 500);
    assert!(red < 200 * MS && counters.queue_drops > 5_000, "{red:?} {counters:?}");
}

/// An IPv4 frame of a flow.
fn flow(port: u16, tos: u8) -> Mbuf {
    use crate::wire::{ethernet, ipv4};
    let addr = [192, 0, 2, 1].into();
    let header = ipv4::Header { tos, total_len: 1200, ..ipv4::Header::new(addr, addr, 17) };
    let mut octets = vec![0; 1214];
    octets[12..14].copy_from_slice(&ethernet::IPV4.to_be_bytes());
    header.emit(&mut octets[14..]);
    octets[34..36].copy_from_slice(&port.to_be_bytes());
    Mbuf::copy_of(&octets)
}

#[test]
fn a_flow_of_few_frames_does_not_wait_behind_one_of_many() {
    let queue = QueueConfig::FqCoDel { codel: CoDelConfig::default(), flows: 1024, quantum: 1514 };
    let config = ImpairConfig { rate: Some(10_000_000), queue, limit: 10_000, ..ImpairConfig::default() };
    let mut wire = Impair::new(config, 4);
    (0..500).for_each(|_| wire.push(at(0), flow(1, 0)));
    wire.push(at(0), flow(2, 0));
    let place = drain(&mut wire).iter().position(|(_, m)| m.data()[34..36] == [0, 2]).unwrap();
    assert!(place < 5, "behind {place} frames");
}

#[test]
fn what_speaks_ecn_is_marked_instead_of_dropped() {
    let codel = CoDelConfig::default();
    let config = ImpairConfig {
        rate: Some(10_000_000),
        queue: QueueConfig::CoDel(codel),
        limit: 10_000,
        ..ImpairConfig::default()
    };
    let mut wire = Impair::new(config, 4);
    for i in 0..2_000u64 {
        let now = Instant::from_nanos(i * 500_000);
        wire.push(now, flow(1, 2));
        while wire.pop(now).is_some() {}
    }
    let c = wire.counters();
    assert!(c.marked > 0 && c.queue_drops == 0, "{c:?}");
}

#[test]
fn a_change_at_run_time_loses_nothing() {
    let slow = ImpairConfig { rate: Some(1_000_000), delay: 50 * MS, ..ImpairConfig::default() };
    let mut wire = Impair::new(slow, 4);
    (0..10).for_each(|_| wire.push(at(0), frame(1250)));
    let fast = ImpairConfig { queue: QueueConfig::CoDel(CoDelConfig::default()), ..ImpairConfig::default() };
    wire.set_config(at(15), fast);
    let seen = drain(&mut wire);
    assert_eq!(seen.len(), 10);
    assert!(seen.last().unwrap().0 <= at(60), "{:?}", seen.last().unwrap().0);
}

proptest! {
    /// The n-th frame meets the same fate whenever it comes, and nothing is lost without being counted.
    #[test]
    fn fates_depend_on_the_number_alone(
        seed: u64, gaps in prop::collection::vec(0u64..50, 1..200), p in 0.0f64..0.5, dup in 0.0f64..0.5,
    ) {
        let config = ImpairConfig {
            loss: Loss::Random(Chance { p, correlation: 0.25 }),
            duplicate: Chance::of(dup),
            jitter: 3 * MS,
            delay: 2 * MS,
            ..ImpairConfig::default()
        };
        let run = |scale: u64| {
            let mut wire = Impair::new(config.clone(), seed);
            let mut now = 0;
            let mut out = Vec::new();
            for (i, gap) in gaps.iter().enumerate() {
                now += gap * scale;
                wire.push(at(now), frame(60 + i));
                while let Some(m) = wire.pop(at(now)) {
                    out.push(m.len());
                }
            }
            out.extend(drain(&mut wire).iter().map(|(_, m)| m.len()));
            out.sort_unstable();
            (out, wire.counters())
        };
        let (slow, fast) = (run(7), run(1));
        prop_assert_eq!(&slow, &fast);
        let c = slow.1;
        prop_assert_eq!(c.frames - c.lost + c.duplicated, slow.0.len() as u64);
    }
}
