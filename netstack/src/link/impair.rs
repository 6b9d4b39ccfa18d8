//! The way of a frame over an impaired wire, one direction of it.
//!
//! In this order: the frame gets its number and its [`fate`](super::fate); it waits in the queue until
//! the wire's rate lets it go, and is on the wire as long as the rate says; there it is lost, or
//! spoiled, or arrives, perhaps twice, after the delay of its own. So a frame that is lost has taken
//! its time on the wire as any other, which netem and tbf in a row do not do.
//!
//! Frames that leave segmentation undone are cut before: what is lost is a segment.

use super::fate::{Chance, Correlated, Dice, Draw, Fates, Loss};
use super::jitter::Distribution;
use super::queue::{Dropped, Limits, Queue, QueueConfig, Waiting};
use crate::net::mbuf::Mbuf;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// What a wire does to frames.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpairConfig {
    /// How much later frames arrive.
    pub delay: Duration,
    /// How much the delay varies.
    pub jitter: Duration,
    /// How it does.
    pub distribution: Distribution,
    /// How much of the last frame's jitter is in the next one's, 0 to 1.
    pub delay_correlation: f64,
    /// Frames that do not arrive.
    pub loss: Loss,
    /// Frames that do not arrive, by their numbers, from 1.
    pub lose: Vec<u64>,
    /// Frames that arrive twice.
    pub duplicate: Chance,
    /// Frames that arrive without delay, ahead of those that are on their way.
    pub reorder: Chance,
    /// Frames with one bit turned.
    pub corrupt: Chance,
    /// Bits a second, Ethernet header included.
    pub rate: Option<u64>,
    /// Octets that may leave at once after a pause.
    pub burst: usize,
    /// How what waits for the rate is managed.
    pub queue: QueueConfig,
    /// Octets that wait for the rate, at most; `None`: as many as the frames have.
    pub queue_octets: Option<usize>,
    /// Frames that wait for the rate, at most; `None`: as many as `limit` says.
    pub queue_frames: Option<usize>,
    /// Frames that wait for the rate or are on their way, at most.
    pub limit: usize,
}

impl Default for ImpairConfig {
    fn default() -> ImpairConfig {
        ImpairConfig {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            distribution: Distribution::Uniform,
            delay_correlation: 0.0,
            loss: Loss::default(),
            lose: Vec::new(),
            duplicate: Chance::default(),
            reorder: Chance::default(),
            corrupt: Chance::default(),
            rate: None,
            burst: 0,
            queue: QueueConfig::Tail,
            queue_octets: None,
            queue_frames: None,
            limit: 1000,
        }
    }
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImpairCounters {
    /// Frames that came.
    pub frames: u64,
    /// Lost on the wire.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Arrived with a bit turned.
    pub corrupted: u64,
    /// Arrived ahead of others.
    pub reordered: u64,
    /// Found no room, or were put out of the queue by its manager.
    pub queue_drops: u64,
    /// Marked with Congestion Experienced.
    pub marked: u64,
}

impl ImpairCounters {
    /// The counters as (name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("impairFrames", self.frames),
            ("impairLost", self.lost),
            ("impairDuplicated", self.duplicated),
            ("impairCorrupted", self.corrupted),
            ("impairReordered", self.reordered),
            ("impairQueueDrops", self.queue_drops),
            ("impairMarked", self.marked),
        ]
        .into_iter()
    }
}

/// One direction of an impaired wire.
#[derive(Debug)]
pub struct Impair {
    config: ImpairConfig,
    dice: Dice,
    fates: Fates,
    jitter: Correlated,
    counters: ImpairCounters,
    queue: Queue,
    /// The frame that is on the wire, and when its last bit is.
    sending: Option<(Instant, Waiting)>,
    /// When the wire has sent all that it was given, were there no bursts.
    busy_until: Instant,
    /// Frames on their way, by arrival; equal times in the order of sending.
    flying: BTreeMap<(Instant, u64), Mbuf>,
    seq: u64,
    dropped: Dropped,
}

impl Impair {
    /// A wire that does `config`; `seed` decides what happens to which frame.
    pub fn new(config: ImpairConfig, seed: u64) -> Impair {
        let dice = Dice::new(seed);
        Impair {
            queue: Queue::new(config.queue, seed),
            config,
            dice,
            fates: Fates::new(dice),
            jitter: Correlated::default(),
            counters: ImpairCounters::default(),
            sending: None,
            busy_until: Instant::ZERO,
            flying: BTreeMap::new(),
            seq: 0,
            dropped: Vec::new(),
        }
    }

    /// Does something else from now on. Frames go on being counted; what waits, waits on, and what is
    /// on its way arrives when it would have.
    pub fn set_config(&mut self, now: Instant, config: ImpairConfig) {
        self.advance(now);
        if config.queue != self.config.queue {
            let before = self.dropped.len();
            let fresh = Queue::new(config.queue, self.dice.bits(0, Draw::State));
            let mut old = core::mem::replace(&mut self.queue, fresh);
            while let Some(w) = old.pop(now, &mut self.dropped, &mut self.counters.marked) {
                let marked = self.queue.push(w, limits(&config), &mut self.dropped);
                self.counters.marked += u64::from(marked);
            }
            self.counters.queue_drops += (self.dropped.len() - before) as u64;
        }
        self.config = config;
        self.send(now);
    }

    /// What it does.
    pub fn config(&self) -> &ImpairConfig {
        &self.config
    }

    /// What became of frames so far.
    pub fn counters(&self) -> ImpairCounters {
        self.counters
    }

    /// Frames that wait for the rate or are on their way.
    pub fn len(&self) -> usize {
        self.queue.len() + self.flying.len() + usize::from(self.sending.is_some())
    }

    /// Whether nothing waits and nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A frame, which is cut to what fits the wire, begins its way.
    pub fn push(&mut self, now: Instant, frame: Mbuf) {
        self.advance(now);
        self.counters.frames += 1;
        let n = self.counters.frames;
        let fate = self.fates.of(n, &self.config);
        let w = Waiting { n, fate, since: now, frame };
        let before = self.dropped.len();
        if self.config.rate.is_some() {
            let marked = self.queue.push(w, limits(&self.config), &mut self.dropped);
            self.counters.marked += u64::from(marked);
        } else if self.len() < self.config.limit {
            return self.arrive(now, w);
        } else {
            self.dropped.push(w.frame);
        }
        self.counters.queue_drops += (self.dropped.len() - before) as u64;
        self.send(now);
    }

    /// When [`Impair::pop`] may have a frame, or the wire goes on to the next; `None`: never.
    pub fn next(&self) -> Option<Instant> {
        let sent = self.sending.as_ref().map(|(at, _)| *at);
        let arrives = self.flying.first_key_value().map(|((at, _), _)| *at);
        sent.into_iter().chain(arrives).min()
    }

    /// The next frame that arrives until `now`.
    pub fn pop(&mut self, now: Instant) -> Option<Mbuf> {
        self.advance(now);
        let entry = self.flying.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// A frame that will not arrive, for its memory.
    pub fn take_dropped(&mut self) -> Option<Mbuf> {
        self.dropped.pop()
    }

    /// The wire goes on until `now`.
    fn advance(&mut self, now: Instant) {
        while let Some((at, w)) = self.sending.take_if(|(at, _)| *at <= now) {
            self.arrive(at, w);
            self.send(at);
        }
    }

    /// Puts the next frame on the wire, if it is free.
    fn send(&mut self, now: Instant) {
        if self.sending.is_some() {
            return;
        }
        let before = self.dropped.len();
        let next = self.queue.pop(now, &mut self.dropped, &mut self.counters.marked);
        self.counters.queue_drops += (self.dropped.len() - before) as u64;
        let Some(w) = next else { return };
        let Some(rate) = self.config.rate.filter(|r| *r > 0) else {
            self.sending = Some((now, w));
            return;
        };
        let time = |octets: usize| {
            Duration::from_nanos(
                (octets as u128 * 8_000_000_000 / u128::from(rate)).min(u64::MAX.into()) as u64
            )
        };
        // A bucket of `burst` octets (GCRA): the wire may be ahead of its rate by so much.
        let ahead = time(self.config.burst);
        self.busy_until = self.busy_until.max(now) + time(w.frame.len());
        self.sending = Some((now.max(self.busy_until - ahead), w));
    }

    /// The last bit of a frame has left at `at`: it is lost, or arrives later.
    fn arrive(&mut self, at: Instant, w: Waiting) {
        let Waiting { n, fate, mut frame, .. } = w;
        if let Some(bit) = fate.spoiled {
            spoil(&mut frame, bit);
            self.counters.corrupted += 1;
        }
        if fate.twice {
            self.counters.duplicated += 1;
            let copy = Mbuf::copy_of(frame.data());
            let at = at + self.delay(n, Draw::DelayOfCopy, fate.ahead);
            self.fly(at, copy);
        }
        if fate.lost {
            self.counters.lost += 1;
            self.dropped.push(frame);
            return;
        }
        self.counters.reordered += u64::from(fate.ahead);
        let at = at + self.delay(n, Draw::Delay, fate.ahead);
        self.fly(at, frame);
    }

    fn fly(&mut self, at: Instant, frame: Mbuf) {
        self.seq += 1;
        self.flying.insert((at, self.seq), frame);
    }

    fn delay(&mut self, n: u64, draw: Draw, ahead: bool) -> Duration {
        let ImpairConfig { delay, jitter, delay_correlation, .. } = self.config;
        if ahead {
            return Duration::ZERO;
        }
        if jitter.is_zero() {
            return delay;
        }
        let value = self.config.distribution.value(self.dice.bits(n, draw));
        let value = match delay_correlation > 0.0 {
            true => self.jitter.next(value, delay_correlation),
            false => value,
        };
        let ns = delay.as_nanos() as f64 + jitter.as_nanos() as f64 * value;
        Duration::from_nanos(if ns > 0.0 { ns as u64 } else { 0 })
    }
}

fn limits(config: &ImpairConfig) -> Limits {
    let frames = config.queue_frames.map_or(config.limit, |frames| frames.min(config.limit));
    Limits { octets: config.queue_octets.unwrap_or(usize::MAX), frames }
}

/// Turns one bit of a frame.
fn spoil(frame: &mut Mbuf, bit: u64) {
    let octets = frame.data_mut();
    if !octets.is_empty() {
        let at = bit % (octets.len() as u64 * 8);
        octets[(at / 8) as usize] ^= 1 << (at % 8);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
