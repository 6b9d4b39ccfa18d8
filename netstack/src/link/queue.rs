//! Frames that wait for a wire's rate.

use super::codel::CoDel;
use super::fate::Fate;
use super::fq_codel::FqCoDel;
use super::red::Red;
use crate::net::mbuf::Mbuf;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// How a queue is managed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum QueueConfig {
    /// First in, first out; what does not fit is lost.
    #[default]
    Tail,
    /// Random early detection (Floyd and Jacobson 1993, Linux's `red`).
    Red {
        /// Octets below which nothing is dropped.
        min: usize,
        /// Octets from which everything is.
        max: usize,
        /// How likely a frame is dropped shortly before.
        probability: f64,
        /// Mark instead, where the transport speaks ECN.
        ecn: bool,
    },
    /// Controlled delay (RFC 8289).
    CoDel(CoDelConfig),
    /// The same for each of many flows, which are served in turn (RFC 8290).
    FqCoDel {
        /// How each is managed.
        codel: CoDelConfig,
        /// Flows that are told apart.
        flows: usize,
        /// Octets of a turn.
        quantum: usize,
    },
}

/// Constants of CoDel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDelConfig {
    /// How long frames may wait.
    pub target: Duration,
    /// For how long they may wait longer: a round trip.
    pub interval: Duration,
    /// Mark instead, where the transport speaks ECN.
    pub ecn: bool,
}

impl Default for CoDelConfig {
    fn default() -> CoDelConfig {
        CoDelConfig { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true }
    }
}

/// Largest queues, in octets and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) octets: usize,
    pub(super) frames: usize,
}

/// A frame that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number.
    pub(super) n: u64,
    /// What will happen to it on the wire.
    pub(super) fate: Fate,
    pub(super) since: Instant,
    pub(super) frame: Mbuf,
}

/// First in, first out.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    frames: VecDeque<Waiting>,
    octets: usize,
}

impl Fifo {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn push(&mut self, w: Waiting) {
        self.octets += w.frame.len();
        self.frames.push_back(w);
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let w = self.frames.pop_front()?;
        self.octets -= w.frame.len();
        Some(w)
    }

    pub(super) fn fits(&self, more: usize, limits: Limits) -> bool {
        // A frame longer than the queue waits alone.
        self.frames.is_empty() || (self.octets + more <= limits.octets && self.frames.len() < limits.frames)
    }
}

/// Frames that a queue did away with.
pub(super) type Dropped = Vec<Mbuf>;

/// The queue of a wire.
#[derive(Debug)]
pub(super) enum Queue {
    Tail(Fifo),
    Red(Box<Red>),
    CoDel(Box<(Fifo, CoDel)>),
    FqCoDel(Box<FqCoDel>),
}

impl Queue {
    pub(super) fn new(config: QueueConfig, seed: u64) -> Queue {
        match config {
            QueueConfig::Tail => Queue::Tail(Fifo::default()),
            QueueConfig::Red { min, max, probability, ecn } => {
                Queue::Red(Box::new(Red::new(min, max, probability, ecn, seed)))
            }
            QueueConfig::CoDel(c) => Queue::CoDel(Box::new((Fifo::default(), CoDel::new(c)))),
            QueueConfig::FqCoDel { codel, flows, quantum } => {
                Queue::FqCoDel(Box::new(FqCoDel::new(codel, flows, quantum, seed)))
            }
        }
    }

    /// Takes a frame; what has to go for it is put into `dropped`. Returns whether a frame was marked.
    pub(super) fn push(&mut self, w: Waiting, limits: Limits, dropped: &mut Dropped) -> bool {
        match self {
            Queue::Tail(fifo) => {
                tail(fifo, w, limits, dropped);
                false
            }
            Queue::Red(red) => red.push(w, limits, dropped),
            Queue::CoDel(both) => {
                tail(&mut both.0, w, limits, dropped);
                false
            }
            Queue::FqCoDel(fq) => {
                fq.push(w, limits, dropped);
                false
            }
        }
    }

    /// The next frame, at `now`; what a manager thinks waited too long is put into `dropped`, or
    /// marked and counted in `marked`.
    pub(super) fn pop(&mut self, now: Instant, dropped: &mut Dropped, marked: &mut u64) -> Option<Waiting> {
        match self {
            Queue::Tail(fifo) => fifo.pop(),
            Queue::Red(red) => red.pop(now),
            Queue::CoDel(both) => {
                let (fifo, codel) = &mut **both;
                codel.pop(fifo, now, dropped, marked)
            }
            Queue::FqCoDel(fq) => fq.pop(now, dropped, marked),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Queue::Tail(fifo) => fifo.len(),
            Queue::Red(red) => red.len(),
            Queue::CoDel(both) => both.0.len(),
            Queue::FqCoDel(fq) => fq.len(),
        }
    }
}

/// What does not fit is lost.
pub(super) fn tail(fifo: &mut Fifo, w: Waiting, limits: Limits, dropped: &mut Dropped) {
    match fifo.fits(w.frame.len(), limits) {
        true => fifo.push(w),
        false => dropped.push(w.frame),
    }
}
