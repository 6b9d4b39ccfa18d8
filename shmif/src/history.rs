//! Reading without a port: what the ring remembers, and what is added to it. Nobody notices.

use std::time::{Duration, Instant};

use rustix::thread::futex;

use crate::bus::{Bus, Inner};
use crate::layout::{Kind, RECORD, RecordFault, RecordHeader, header};
use crate::map_unsafe::Access;
use crate::protocol;
use crate::recv::Record;
use crate::segment::{SegmentError, Segments};

/// A record and its frame, as they were on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// What the record says.
    pub record: Record,
    /// The frame, Ethernet header included. Longer than any MTU if [`Record::offload`] says so: see [`wire_frames`](Captured::wire_frames).
    pub frame: Vec<u8>,
}

impl Captured {
    /// Calls `each` with every frame that this record is on a real wire: segments within the MTU, with checksums. An ordinary record is one frame,
    /// octet for octet. Returns how many there were.
    pub fn wire_frames(&self, mut each: impl FnMut(&[u8])) -> Result<usize, SegmentError> {
        if self.record.offload.is_none() {
            each(&self.frame);
            return Ok(1);
        }
        let mut segments = Segments::new(self.frame.clone(), self.record.offload)?;
        let mut buf = vec![0; self.frame.len()];
        let mut n = 0;
        while let Some(len) = segments.next(&mut buf) {
            each(&buf[..len]);
            n += 1;
        }
        Ok(n)
    }
}

impl Inner {
    /// The header of the record at a position, of which `room` octets may be used. What is read may be overwritten meanwhile: see
    /// [`protocol::intact`].
    #[inline]
    pub(crate) fn record(&self, pos: u64, room: u64) -> Result<RecordHeader, RecordFault> {
        let mut octets = [0; RECORD];
        self.map.copy_out(self.geometry.ring_off() + self.geometry.place(pos & !63) as usize, &mut octets);
        RecordHeader::decode(&octets, pos, room, self.geometry.ring_len)
    }
}

/// One step of a passive reader.
enum Step {
    Frame(Captured),
    /// Records that were overwritten, or damaged, before they could be read.
    Lost(u64),
    End,
}

/// Where a passive reader is.
#[derive(Debug)]
struct Passive {
    bus: Bus,
    pos: u64,
    /// Number of the next record; the first one tells.
    seq: Option<u64>,
    damaged: u64,
}

impl Passive {
    /// The next frame before `end`.
    fn step(&mut self, end: u64) -> Step {
        let inner = &*self.bus.inner.clone();
        let tail = inner.map.u64(header::TAIL);
        while self.pos < end && !self.bus.is_broken() {
            let Ok(record) = inner.record(self.pos, end - self.pos) else {
                if protocol::intact(tail, self.pos) {
                    // Nothing behind a damaged record can be found.
                    self.pos = end;
                    self.seq = None;
                    self.damaged += 1;
                    return Step::Lost(1);
                }
                self.resync(end);
                continue;
            };
            let mut frame = vec![0; if record.kind == Kind::Frame { record.len } else { 0 }];
            inner.map.copy_out(
                inner.geometry.ring_off() + inner.geometry.place(self.pos) as usize + RECORD,
                &mut frame,
            );
            if !protocol::intact(tail, self.pos) {
                self.resync(end);
                continue;
            }
            if record.kind == Kind::Frame {
                let expected = self.seq.unwrap_or(record.seq);
                if record.seq > expected {
                    // The records in between were overwritten; this one comes next time.
                    self.seq = Some(record.seq);
                    return Step::Lost(record.seq - expected);
                }
                self.seq = Some(record.seq.wrapping_add(1));
                self.pos += record.total();
                return Step::Frame(Captured { record: Record::new(&record), frame });
            }
            self.pos += record.total();
        }
        Step::End
    }

    fn resync(&mut self, end: u64) {
        let inner = &self.bus.inner;
        let tail = protocol::published(inner.map.u64(header::TAIL));
        // Bounded: every turn goes forward.
        self.pos = tail.clamp(self.pos.saturating_add(64).min(end), end);
        if tail > self.pos || !tail.is_multiple_of(64) {
            self.pos = end;
        }
    }
}

/// Iterator over the records that a ring remembers, oldest first, up to the newest at the moment of its making. See [`Bus::history`].
#[derive(Debug)]
pub struct History {
    passive: Passive,
    end: u64,
    lost: u64,
}

impl History {
    pub(crate) fn new(bus: Bus) -> History {
        let word = |off| protocol::published(bus.inner.map.u64(off));
        let (head, tail) = (word(header::HEAD), word(header::TAIL));
        // A header that says nonsense remembers nothing.
        let sane =
            (head | tail).is_multiple_of(64) && tail <= head && head - tail <= bus.inner.geometry.ring_len;
        let (pos, end) = if sane { (tail, head) } else { (0, 0) };
        History { passive: Passive { bus, pos, seq: None, damaged: 0 }, end, lost: 0 }
    }

    /// Records that were overwritten while they were being read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Times that a damaged record ended the reading.
    pub fn damaged(&self) -> u64 {
        self.passive.damaged
    }
}

impl Iterator for History {
    type Item = Captured;

    fn next(&mut self) -> Option<Captured> {
        loop {
            match self.passive.step(self.end) {
                Step::Frame(captured) => return Some(captured),
                Step::Lost(n) => self.lost = self.lost.saturating_add(n),
                Step::End => return None,
            }
        }
    }
}

/// What a follower finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next record.
    Frame(Captured),
    /// The follower was too slow: so many records are gone.
    Lost(u64),
    /// Nothing new.
    Empty,
}

/// Follows a bus passively. See [`Bus::follow`].
#[derive(Debug)]
pub struct Follow {
    passive: Passive,
    end: u64,
}

impl Follow {
    pub(crate) fn new(bus: Bus) -> Follow {
        let head = protocol::published(bus.inner.map.u64(header::HEAD));
        let seq = protocol::published(bus.inner.map.u64(header::NEXT_SEQ));
        // Between the two loads more may have come; then the first record tells where the numbers stand.
        let quiet = protocol::published(bus.inner.map.u64(header::HEAD)) == head;
        Follow { passive: Passive { bus, pos: head, seq: quiet.then_some(seq), damaged: 0 }, end: head }
    }

    /// From the oldest record that is remembered, and on.
    pub fn from_oldest(mut self) -> Follow {
        let History { passive, end, .. } = History::new(self.passive.bus.clone());
        self.passive = passive;
        self.end = end;
        self
    }

    /// The next record, at once.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Followed {
        loop {
            match self.passive.step(self.end) {
                Step::Frame(captured) => return Followed::Frame(captured),
                Step::Lost(n) => return Followed::Lost(n),
                Step::End => {}
            }
            let head = self.head();
            if head == self.end {
                return Followed::Empty;
            }
            // A head that went back, or is nonsense: start anew there.
            if head < self.end || !head.is_multiple_of(64) {
                self.passive.pos = head & !63;
                self.passive.seq = None;
            }
            self.end = head & !63;
            if self.passive.bus.is_broken() {
                return Followed::Empty;
            }
        }
    }

    /// Waits until there is something new, at most for `timeout`; whether there is. A signal ends it early. On a bus that was opened for reading
    /// only it looks every millisecond, otherwise writers wake it.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let start = Instant::now();
        let watch = self.passive.bus.inner.map.u32(header::WATCH);
        loop {
            if self.head() != self.end || self.passive.pos < self.end {
                return true;
            }
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            if self.passive.bus.inner.map.access() == Access::Read || self.passive.bus.is_broken() {
                std::thread::sleep(left.min(Duration::from_millis(1)));
                continue;
            }
            if protocol::doze(watch, 1, || self.head() != self.end) {
                // Bounded: a writer may die between taking the token and waking.
                let nap = left.min(Duration::from_millis(50));
                let nap = futex::Timespec { tv_sec: 0, tv_nsec: nap.as_nanos() as _ };
                if futex::wait(watch, futex::Flags::empty(), 1, Some(&nap)) == Err(rustix::io::Errno::INTR) {
                    return self.head() != self.end;
                }
            }
        }
    }

    fn head(&self) -> u64 {
        protocol::published(self.passive.bus.inner.map.u64(header::HEAD))
    }
}
