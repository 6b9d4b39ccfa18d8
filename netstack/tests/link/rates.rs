//! Rates with bursts, and the ends of queues: against the token bucket's law and a model of the queue.

use crate::floor::{Random, frame, number};
use netstack::link::{Impair, ImpairConfig};
use netstack::time::{Duration, Instant};
use std::collections::VecDeque;

/// Frames that left.
struct Left {
    at: Instant,
    n: u64,
    octets: usize,
}

/// Sends frames at times and of lengths by chance, so that the wire is now idle, now overloaded; what left, and what was
/// sent, as time and octets.
fn traffic(config: &ImpairConfig, count: u64, mean_gap_ns: u64) -> (Vec<(Instant, usize)>, Vec<Left>) {
    let (mut wire, mut random) = (Impair::new(config.clone(), 1), Random(7));
    let (mut now, mut sent, mut left) = (Instant::ZERO, Vec::new(), Vec::new());
    let mut take = |wire: &mut Impair, until: Instant| {
        while let Some(at) = wire.next().filter(|at| *at <= until) {
            while let Some(m) = wire.pop(at) {
                left.push(Left { at, n: number(&m), octets: m.len() });
            }
        }
        while wire.take_dropped().is_some() {}
    };
    for n in 0..count {
        // Trains of frames, and pauses between them.
        let gap = match random.within(0, 20) {
            0 => random.within(0, 20 * mean_gap_ns),
            _ => random.within(0, mean_gap_ns),
        };
        now += Duration::from_nanos(gap);
        take(&mut wire, now);
        let octets = random.within(60, 1515) as usize;
        wire.push(now, frame(n, octets));
        sent.push((now, octets));
    }
    take(&mut wire, Instant::from_nanos(u64::MAX));
    (sent, left)
}

/// In every window from one departure to another no more octets leave than the rate allows, and a burst.
#[test]
fn no_window_holds_more_than_the_rate_and_one_burst() {
    for (rate, burst) in
        [(1_000_000_000, 0), (1_000_000_000, 15_000), (100_000_000, 6000), (8_000_000, 64_000)]
    {
        let config = ImpairConfig { rate: Some(rate), burst, limit: 100, ..ImpairConfig::default() };
        // On average the wire is asked for some more than it can.
        let (sent, left) = traffic(&config, 200_000, 787 * 8 * 1_000_000_000 / rate);
        assert!(left.len() > sent.len() / 2 && left.len() < sent.len(), "{} left", left.len());
        // Octets ahead of the rate's line; the least since the beginning is where the fullest window starts.
        let (mut octets, mut least, mut fullest, mut rounding) = (0.0, f64::MAX, f64::MIN, 0.0);
        for one in &left {
            octets += one.octets as f64;
            // The time of each frame is cut to whole nanoseconds.
            rounding += rate as f64 / 8e9;
            let ahead = octets - one.at.as_nanos() as f64 * rate as f64 / 8e9;
            fullest = f64::max(fullest, ahead - rounding - least);
            least = least.min(ahead);
        }
        assert!(fullest <= burst as f64 + 0.5, "{rate} bit/s, burst {burst}: {fullest} octets");
        // But for the frame behind which the window begins.
        assert!(fullest > burst as f64 - 1514.0 / 2.0, "a burst of {burst} is used: {fullest} octets");
    }
}

/// A wire that has something to send is never idle: the last of so many octets leaves when all of them had their time, but for
/// those of the burst.
#[test]
fn a_wire_with_work_is_never_idle() {
    for burst in [0, 10_000] {
        let rate = 80_000_000;
        let config = ImpairConfig { rate: Some(rate), burst, limit: 100_000, ..ImpairConfig::default() };
        let (mut wire, mut octets) = (Impair::new(config, 1), 0);
        for n in 0..50_000 {
            let len = 100 + (n as usize * 37) % 1400;
            octets += len as u64;
            wire.push(Instant::ZERO, frame(n, len));
        }
        let mut last = Instant::ZERO;
        while let Some(at) = wire.next() {
            while wire.pop(at).is_some() {}
            last = at;
        }
        // 100 ns an octet.
        assert_eq!(last.since(Instant::ZERO), Duration::from_nanos((octets - burst as u64) * 100));
    }
}

/// Which frames a queue takes that ends at so many octets and frames, as somebody would work it out by hand.
fn model(config: &ImpairConfig, sent: &[(Instant, usize)]) -> Vec<u64> {
    let (rate, most) = (config.rate.expect("a rate"), config.queue_octets.unwrap_or(usize::MAX));
    // Frames that wait: when their turn comes, and their octets.
    let mut waiting: VecDeque<(Instant, usize)> = VecDeque::new();
    let (mut free, mut taken) = (Instant::ZERO, Vec::new());
    for (n, (now, octets)) in sent.iter().enumerate() {
        while waiting.front().is_some_and(|(turn, _)| turn <= now) {
            waiting.pop_front();
        }
        let queued: usize = waiting.iter().map(|(_, octets)| octets).sum();
        if waiting.is_empty() || (queued + octets <= most && waiting.len() < config.limit) {
            let turn = free.max(*now);
            free = turn + Duration::from_nanos(*octets as u64 * 8_000_000_000 / rate);
            waiting.push_back((turn, *octets));
            taken.push(n as u64);
        }
    }
    taken
}

#[test]
fn a_queue_ends_at_its_octets_and_at_its_frames() {
    for (queue_octets, limit) in
        [(Some(4000), 1000), (Some(30_000), 1000), (None, 3), (None, 50), (Some(10_000), 9)]
    {
        let rate = 100_000_000;
        let config = ImpairConfig { rate: Some(rate), queue_octets, limit, ..ImpairConfig::default() };
        let (sent, left) = traffic(&config, 100_000, 787 * 80);
        let left: Vec<u64> = left.iter().map(|left| left.n).collect();
        assert!(left.len() < sent.len() * 95 / 100, "something is dropped");
        assert!(left == model(&config, &sent), "{queue_octets:?} octets, {limit} frames");
    }
}
