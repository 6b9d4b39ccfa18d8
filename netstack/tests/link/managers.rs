//! Managed queues in outline: how long frames wait behind a queue that never empties, and who is served.

use crate::floor::{frame, number, within_3_sigma};
use netstack::Mbuf;
use netstack::link::queue::CoDelConfig;
use netstack::link::{Impair, ImpairConfig, QueueConfig};
use netstack::time::{Duration, Instant};
use netstack::wire::{ethernet, ipv4};
use std::collections::BTreeMap;

/// 1250 octets take a millisecond.
const RATE: u64 = 10_000_000;
const LEN: usize = 1250;
const MS: Duration = Duration::from_millis(1);

fn wire(queue: QueueConfig, delay: Duration) -> Impair {
    let config = ImpairConfig { rate: Some(RATE), queue, delay, limit: 200, ..ImpairConfig::default() };
    Impair::new(config, 4)
}

/// So many that a loss makes the queue shorter, not empty.
const SENDERS: f64 = 4.0;

/// What came of senders.
#[derive(Debug)]
struct Ran {
    /// Mean time in the queue.
    waited: Duration,
    /// Share of the rate.
    used: f64,
}

/// Senders as of TCP, counted as one in [`SENDERS`]: each adds a frame to its window each round trip, and halves it for a loss;
/// for sixty seconds, of which the last forty count. The round trip is 40 ms.
fn window_senders(queue: QueueConfig) -> Ran {
    let (mut wire, half) = (wire(queue, 20 * MS), 20 * MS);
    let end = Instant::from_millis(60_000);
    let begin = Instant::from_millis(20_000);
    // When news of frames reaches the sender: their number, and whether they arrived.
    let mut news: BTreeMap<(Instant, u64), bool> = BTreeMap::new();
    let mut sent_at = Vec::new();
    let (mut window, mut flying) = (SENDERS, 0u64);
    let (mut now, mut waited, mut arrived) = (Instant::ZERO, Duration::ZERO, 0u32);
    while now < end {
        while flying < window as u64 {
            wire.push(now, frame(sent_at.len() as u64, LEN));
            sent_at.push(now);
            flying += 1;
        }
        while let Some(m) = wire.pop(now) {
            let n = number(&m);
            news.insert((now + half, n), true);
            if now >= begin {
                arrived += 1;
                waited += now.since(sent_at[n as usize]) - half - MS;
            }
        }
        while let Some(m) = wire.take_dropped() {
            news.insert((now + 2 * half, number(&m)), false);
        }
        while let Some(entry) = news.first_entry().filter(|entry| entry.key().0 <= now) {
            let came = entry.remove();
            flying -= 1;
            match came {
                true => window += SENDERS / window,
                false => window = f64::max(window * (1.0 - 0.5 / SENDERS), SENDERS),
            }
        }
        if flying >= window as u64 {
            let next = wire.next().into_iter().chain(news.first_key_value().map(|((at, _), _)| *at)).min();
            now = next.expect("something is under way").max(now);
        }
    }
    let used = f64::from(arrived) * MS.as_secs_f64() / end.since(begin).as_secs_f64();
    Ran { waited: waited / arrived, used }
}

#[test]
fn codel_holds_the_wait_near_its_target_and_a_plain_queue_fills() {
    let tail = window_senders(QueueConfig::Tail);
    assert!(tail.waited > 100 * MS && tail.used > 0.99, "{tail:?}");
    for target in [5, 20] {
        let codel = CoDelConfig { target: target * MS, ..CoDelConfig::default() };
        let fq = QueueConfig::FqCoDel { codel, flows: 1024, quantum: 1514 };
        for queue in [QueueConfig::CoDel(codel), fq] {
            let ran = window_senders(queue);
            let near = target * MS / 2..target * MS * 2;
            assert!(near.contains(&ran.waited) && ran.used > 0.99, "{target} ms: {ran:?}");
        }
    }
}

/// A frame each `gap` for so many; how long those of the second half waited on average, and the share of frames that did
/// not arrive.
fn constant(queue: QueueConfig, gap: Duration, frames: u32) -> (Duration, f64) {
    let mut wire = wire(queue, Duration::ZERO);
    let (mut waited, mut seen, mut arrived) = (Duration::ZERO, 0, 0u32);
    for n in 0..frames {
        let now = Instant::ZERO + gap * n;
        while let Some(at) = wire.next().filter(|at| *at <= now) {
            while let Some(m) = wire.pop(at) {
                let sent = Instant::ZERO + gap * number(&m) as u32;
                arrived += 1;
                if n > frames / 2 {
                    seen += 1;
                    waited += at.since(sent) - MS;
                }
            }
        }
        wire.push(now, frame(u64::from(n), LEN));
        while wire.take_dropped().is_some() {}
    }
    (waited / seen, 1.0 - f64::from(arrived) / f64::from(frames))
}

/// A sender of which one frame in 21 is too much: so many are dropped if the average queue lies where RED drops so many. As its
/// drops are spread evenly it drops about twice p, the probability there (Floyd and Jacobson 1993, section 7: the number of
/// frames from one to the next is spread evenly over 1 to 1/p).
#[test]
fn red_holds_the_queue_where_it_drops_what_is_too_much() {
    let (min, max, probability) = (20_000, 120_000, 0.1);
    let red = QueueConfig::Red { min, max, probability, ecn: false };
    let (waited, lost) = constant(red, MS * 20 / 21, 200_000);
    let meant = 1.0 / 21.0;
    assert!((lost / meant - 1.0).abs() < 0.05, "{lost} lost, {meant} meant");
    let p = 1.0 / (2.0 / meant - 1.0);
    let octets = min as f64 + (max - min) as f64 * p / probability;
    let queue = waited.as_secs_f64() * RATE as f64 / 8.0;
    assert!((queue / octets - 1.0).abs() < 0.15, "a queue of {queue} octets, {octets} meant");
}

#[test]
fn red_drops_nothing_from_short_queues_and_no_more_than_it_is_asked_for() {
    let red = QueueConfig::Red { min: 20_000, max: 120_000, probability: 0.1, ecn: false };
    let (_, lost) = constant(red, MS * 21 / 20, 20_000);
    assert!(lost < 0.001, "{lost}");
}

/// A frame of a flow, with its number behind the headers.
fn of_flow(flow: u16, n: u64, octets: usize, tos: u8) -> Mbuf {
    let addr = [192, 0, 2, 1].into();
    let total_len = octets - ethernet::HEADER_LEN;
    let header = ipv4::Header { tos, total_len, ..ipv4::Header::new(addr, addr, ipv4::protocol::UDP) };
    let mut m = frame(0, octets);
    let data = m.data_mut();
    data[12..14].copy_from_slice(&ethernet::IPV4.to_be_bytes());
    header.emit(&mut data[14..]);
    data[34..36].copy_from_slice(&flow.to_be_bytes());
    data[42..50].copy_from_slice(&n.to_be_bytes());
    m
}

fn flow_of(m: &Mbuf) -> u16 {
    u16::from_be_bytes([m.data()[34], m.data()[35]])
}

const FQ: QueueConfig = QueueConfig::FqCoDel {
    codel: CoDelConfig { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true },
    flows: 1024,
    quantum: 1514,
};

/// Flows that send so many frames of so many octets in ten milliseconds each, where the wire has room for ten of 1250; for each
/// flow the octets that arrived in twenty seconds, and the longest wait.
fn flows(offered: &[(u64, usize)], tos: u8) -> (Vec<(usize, Duration)>, Impair) {
    let mut wire = wire(FQ, Duration::ZERO);
    let mut seen = vec![(0, Duration::ZERO); offered.len()];
    for turn in 0..2000u64 {
        for tenth in 0..10 {
            let now = Instant::from_millis(turn * 10 + tenth);
            while let Some(at) = wire.next().filter(|at| *at <= now) {
                while let Some(m) = wire.pop(at) {
                    let sent = u64::from_be_bytes(m.data()[42..50].try_into().expect("eight octets"));
                    let flow = &mut seen[usize::from(flow_of(&m))];
                    flow.0 += m.len();
                    flow.1 = flow.1.max(at.since(Instant::from_nanos(sent)));
                }
            }
            for (flow, (frames, octets)) in offered.iter().enumerate() {
                for _ in (0..*frames).filter(|i| i % 10 == tenth) {
                    wire.push(now, of_flow(flow as u16, now.as_nanos(), *octets, tos));
                }
            }
            while wire.take_dropped().is_some() {}
        }
    }
    (seen, wire)
}

#[test]
fn flows_that_ask_for_too_much_get_the_same_whatever_they_send() {
    let (seen, _) = flows(&[(4, 1250), (8, 1250), (30, 500), (16, 1500)], 0);
    let mean = seen.iter().map(|(octets, _)| *octets).sum::<usize>() as f64 / 4.0;
    assert!(mean > 0.99 * RATE as f64 / 8.0 * 20.0 / 4.0, "the wire is busy: {mean}");
    for (octets, _) in &seen {
        within_3_sigma("octets of a flow", *octets as f64, mean, mean * 0.01);
    }
}

#[test]
fn a_flow_that_asks_for_little_waits_for_one_turn_of_the_others() {
    let (seen, _) = flows(&[(1, 200), (20, 1250), (20, 1250)], 0);
    assert_eq!(seen[0].0, 200 * 2000, "nothing of it is dropped");
    // The frame that is on the wire, its own time, and no more.
    assert!(seen[0].1 <= 2 * MS, "waited for {:?}", seen[0].1);
}

#[test]
fn a_flow_that_speaks_ecn_is_marked_until_there_is_no_room() {
    // A tenth too much, of ECN-capable frames: they go on until the queue is full.
    let (seen, wire) = flows(&[(11, 1250)], 2);
    let counters = wire.counters();
    assert!(counters.marked > 100 && seen[0].0 > 0, "{counters:?}");
    let (_, wire) = flows(&[(11, 1250)], 0);
    assert_eq!(wire.counters().marked, 0, "others are not");
    assert!(wire.counters().queue_drops > 100);
}
