//! Random early detection: Floyd and Jacobson 1993, as Linux's `red` does it, without its gentle mode.

use super::fate::unit;
use super::mark;
use super::queue::{Dropped, Fifo, Limits, Waiting};
use crate::time::Instant;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// How much a look at the queue weighs in its average: 1/512.
const WEIGHT: f64 = 1.0 / 512.0;
/// Nanoseconds that a frame takes, for the average of an idle queue to fade: a guess, as Linux's
/// default bandwidth of 10 Mbit/s and 1000 octets is one.
const TYPICAL_NS: f64 = 800_000.0;

/// A queue that drops before it is full.
#[derive(Debug)]
pub(super) struct Red {
    fifo: Fifo,
    min: f64,
    max: f64,
    probability: f64,
    ecn: bool,
    seed: u64,
    /// The average length in octets.
    average: f64,
    /// Frames since the last that was dropped early.
    count: i64,
    /// Empty since then.
    idle: Option<Instant>,
}

impl Red {
    pub(super) fn new(min: usize, max: usize, probability: f64, ecn: bool, seed: u64) -> Red {
        let (min, max) = (min as f64, max.max(min + 1) as f64);
        let fifo = Fifo::default();
        Red { fifo, min, max, probability, ecn, seed, average: 0.0, count: -1, idle: Some(Instant::ZERO) }
    }

    pub(super) fn len(&self) -> usize {
        self.fifo.len()
    }

    /// Takes a frame, or puts it into `dropped`; whether it was marked.
    pub(super) fn push(&mut self, mut w: Waiting, limits: Limits, dropped: &mut Dropped) -> bool {
        match self.idle.take() {
            Some(since) => {
                let frames = w.since.since(since).as_nanos() as f64 / TYPICAL_NS;
                self.average *= libm::pow(1.0 - WEIGHT, frames);
            }
            None => self.average += (self.fifo.octets() as f64 - self.average) * WEIGHT,
        }
        let (now, early) = (w.since, self.early(w.n));
        let marked = early && self.ecn && mark::congestion(&mut w.frame);
        if early && !marked {
            dropped.push(w.frame);
        } else {
            super::queue::tail(&mut self.fifo, w, limits, dropped);
        }
        if self.fifo.len() == 0 {
            self.idle = Some(now);
        }
        marked
    }

    /// Whether frame number `n` is to go though there is room.
    fn early(&mut self, n: u64) -> bool {
        if self.average < self.min {
            self.count = -1;
            return false;
        }
        if self.average >= self.max {
            self.count = 0;
            return true;
        }
        self.count += 1;
        let p = self.probability * (self.average - self.min) / (self.max - self.min);
        // Spread evenly over the frames between two drops.
        let spread = 1.0 - self.count as f64 * p;
        let mut h = SipHasher13::new_with_keys(self.seed, u64::from_be_bytes(*b"redearly"));
        h.write_u64(n);
        let drops = spread <= 0.0 || unit(h.finish()) < p / spread;
        if drops {
            self.count = 0;
        }
        drops
    }

    pub(super) fn pop(&mut self, now: Instant) -> Option<Waiting> {
        let w = self.fifo.pop();
        if self.fifo.len() == 0 && w.is_some() {
            self.idle = Some(now);
        }
        w
    }
}
