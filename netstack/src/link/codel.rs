//! Controlled delay: RFC 8289. A queue in which frames have waited longer than the target for a whole
//! interval drops (or marks) one, and then another the sooner the longer that lasts.

use super::mark;
use super::queue::{CoDelConfig, Dropped, Fifo, Waiting};
use crate::time::{Duration, Instant};

/// A queue of so few octets is never too long: one full frame.
const MAX_PACKET: usize = 1514;

/// The state of one queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoDel {
    config: CoDelConfig,
    /// When the queue will have been above the target for an interval.
    first_above: Option<Instant>,
    /// The time of the next drop.
    drop_next: Instant,
    dropping: bool,
    count: u32,
    last_count: u32,
}

impl CoDel {
    pub(super) fn new(config: CoDelConfig) -> CoDel {
        CoDel {
            config,
            first_above: None,
            drop_next: Instant::ZERO,
            dropping: false,
            count: 0,
            last_count: 0,
        }
    }

    /// RFC 8289 §5.4: whether the frame at the head has waited so long that one may go.
    fn too_long(&mut self, w: Option<&Waiting>, left: usize, now: Instant) -> bool {
        let Some(w) = w else {
            self.first_above = None;
            return false;
        };
        if now.since(w.since) < self.config.target || left <= MAX_PACKET {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now + self.config.interval);
                false
            }
            Some(at) => now >= at,
        }
    }

    /// The time of the next drop after one at `at`: sooner with the square root of how many there were.
    fn control_law(&self, at: Instant) -> Instant {
        let root = libm::sqrt(f64::from(self.count.max(1)));
        at + Duration::from_nanos((self.config.interval.as_nanos() as f64 / root) as u64)
    }

    /// The next frame of `fifo`.
    pub(super) fn pop(
        &mut self,
        fifo: &mut Fifo,
        now: Instant,
        dropped: &mut Dropped,
        marked: &mut u64,
    ) -> Option<Waiting> {
        let mut w = fifo.pop();
        let mut too_long = self.too_long(w.as_ref(), fifo.octets(), now);
        if self.dropping {
            if !too_long {
                self.dropping = false;
            }
            while self.dropping && now >= self.drop_next {
                self.count += 1;
                let (kept, marks) = self.punish(w, fifo, dropped, marked);
                w = kept;
                if marks {
                    self.drop_next = self.control_law(self.drop_next);
                    return w;
                }
                too_long = self.too_long(w.as_ref(), fifo.octets(), now);
                match too_long {
                    true => self.drop_next = self.control_law(self.drop_next),
                    false => self.dropping = false,
                }
            }
        } else if too_long {
            let (kept, marks) = self.punish(w, fifo, dropped, marked);
            w = kept;
            if !marks {
                // Only its look at the clock counts here.
                self.too_long(w.as_ref(), fifo.octets(), now);
            }
            self.dropping = true;
            // §5.5: soon after the last time, it goes on where it was.
            let recent = now.since(self.drop_next) < self.config.interval * 16;
            let delta = self.count.saturating_sub(self.last_count);
            self.count = if recent && delta > 1 { delta } else { 1 };
            self.drop_next = self.control_law(now);
            self.last_count = self.count;
        }
        w
    }

    /// Marks the frame, or drops it and takes the next; whether it was marked.
    fn punish(
        &self,
        w: Option<Waiting>,
        fifo: &mut Fifo,
        dropped: &mut Dropped,
        marked: &mut u64,
    ) -> (Option<Waiting>, bool) {
        let Some(mut w) = w else { return (None, false) };
        if self.config.ecn && mark::congestion(&mut w.frame) {
            *marked += 1;
            return (Some(w), true);
        }
        dropped.push(w.frame);
        (fifo.pop(), false)
    }
}
