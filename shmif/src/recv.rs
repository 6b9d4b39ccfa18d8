//! Receiving: find the next wanted record, copy it, and only then look whether it was still whole.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use crate::layout::{Count, Kind, PortFlags, RECORD, RecordHeader, header, slot};
use crate::map_unsafe::Mapping;
use crate::offload::Offload;
use crate::port::{Port, PortId};
use crate::protocol;
use crate::segment::Segments;
use crate::slot::Slot;

/// A reader tells writers how far it is at least every this share of the ring.
const CURSOR_SHARE: u64 = 32;
/// After an overrun the reader goes on this share of the ring before the tail would catch it again.
const RESUME_SHARE: u64 = 8;
/// Tries to find a whole stretch of the ring after an overrun, before all that is there is given up.
const RESUME_TRIES: usize = 4;

/// What a record says beside its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Octets of the frame, Ethernet header included, FCS not.
    pub len: usize,
    /// Who sent it.
    pub sender: PortId,
    /// Number on this bus, from 0, without gaps. All segments of one record share it.
    pub seq: u64,
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// See there.
    pub flags: RecordFlags,
    /// What the sender left undone. None for segments: nothing is left.
    pub offload: Offload,
}

bitflags::bitflags! {
    /// Properties of a received record.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RecordFlags: u8 {
        /// Cut from a longer record, or its checksum filled in, on the way here.
        const SEGMENT = 1;
    }
}

impl Record {
    pub(crate) fn new(header: &RecordHeader) -> Record {
        Record {
            len: header.len,
            sender: header.sender,
            seq: header.seq,
            time_ns: header.time_ns,
            flags: RecordFlags::empty(),
            offload: header.offload,
        }
    }
}

/// What came of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recv {
    /// The first `len` octets of the buffer are a frame.
    Frame(Record),
    /// Nothing is there.
    Empty,
    /// This port was too slow: so many frames that it wanted are overwritten. What is left comes next.
    Overrun {
        /// Frames lost.
        lost: u64,
    },
    /// A frame was longer than the buffer; it is skipped and counted as an error.
    TooLong {
        /// Its length, octets.
        len: usize,
    },
    /// The file was truncated: nothing will ever come again.
    Broken,
}

/// Where a frame goes.
trait Destination {
    /// Copies `len` octets out of the mapping; false if there is no room for them.
    fn take(&mut self, map: &Mapping, at: usize, len: usize) -> bool;
    /// The last `len` octets were none of a frame.
    fn give_back(&mut self, len: usize);
    /// Lets `write` write `len` octets; false if there is no room for them: then it writes them to nowhere.
    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool;
}

impl Destination for [u8] {
    #[inline]
    fn take(&mut self, map: &Mapping, at: usize, len: usize) -> bool {
        let room = self.get_mut(..len);
        room.map(|room| map.copy_out(at, room)).is_some()
    }
    fn give_back(&mut self, _len: usize) {}
    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        write(self);
        len <= self.len()
    }
}

impl Destination for Vec<u8> {
    #[inline]
    fn take(&mut self, map: &Mapping, at: usize, len: usize) -> bool {
        map.append_out(at, len, self);
        true
    }
    fn give_back(&mut self, len: usize) {
        self.truncate(self.len() - len);
    }
    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let at = self.len();
        self.resize(at + len, 0);
        write(&mut self[at..]);
        true
    }
}

/// The receiving side of a port.
#[derive(Debug)]
pub(crate) struct Rx {
    /// Everything before is read.
    cursor: u64,
    /// Wanted records lie before this position.
    limit: u64,
    /// The cursor as writers see it.
    told: Cell<u64>,
    /// Wanted records that were received or are known to be lost.
    seen: u64,
    /// What is left of a record that is handed out as wire frames.
    segments: Option<(Segments, Record)>,
}

impl Rx {
    pub(crate) fn new(cursor: u64, seen: u64) -> Rx {
        Rx { cursor, limit: cursor, told: Cell::new(cursor), seen, segments: None }
    }
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }
    pub(crate) fn has_segments(&self) -> bool {
        self.segments.is_some()
    }
}

impl Port {
    /// Copies the next wanted frame into `buf`. Own frames and those that the port does not want are passed over. A record with offload metadata
    /// arrives as wire frames, one a call, unless the port takes [`offload`](crate::PortConfig::offload).
    pub fn recv(&mut self, buf: &mut [u8]) -> Recv {
        self.recv_to(buf)
    }

    /// [`recv`](Port::recv) that appends the frame to `buf`, however long it is. Nothing is appended if it is not a frame that comes.
    pub fn recv_append(&mut self, buf: &mut Vec<u8>) -> Recv {
        self.recv_to(buf)
    }

    #[inline]
    fn recv_to<D: Destination + ?Sized>(&mut self, buf: &mut D) -> Recv {
        if self.rx.segments.is_some()
            && let Some(frame) = self.next_segment(buf)
        {
            return frame;
        }
        loop {
            if self.bus.is_broken() {
                return Recv::Broken;
            }
            if self.rx.cursor >= self.rx.limit && !self.refill() {
                return Recv::Empty;
            }
            let inner = &self.bus.inner;
            let pos = self.rx.cursor;
            let tail = inner.map.u64(header::TAIL);
            let record = match inner.record(pos, self.rx.limit - pos) {
                Ok(record) => record,
                Err(_) if !protocol::intact(tail, pos) => return self.overrun(),
                Err(_) => {
                    // Somebody has scribbled over the ring: nothing before the limit can be found.
                    self.slot().add(Count::RxErrors, 1);
                    self.rx.cursor = self.rx.limit;
                    continue;
                }
            };
            let wanted = record.kind == Kind::Frame
                && self.filter.wants(record.dst)
                && record.sender.slot() != self.index as u16;
            if !wanted {
                if !protocol::intact(tail, pos) {
                    return self.overrun();
                }
                self.advance(record.total());
                continue;
            }
            let at = inner.geometry.ring_off() + inner.geometry.place(pos) as usize + RECORD;
            let mut meta = Record::new(&record);
            let cut = !record.offload.is_none() && !self.filter.flags.contains(PortFlags::OFFLOAD);
            if cut {
                let mut whole = vec![0; record.len];
                inner.map.copy_out(at, &mut whole);
                if !protocol::intact(tail, pos) {
                    return self.overrun();
                }
                self.rx.seen = self.rx.seen.wrapping_add(1);
                self.advance(record.total());
                meta.offload = Offload::NONE;
                meta.flags = RecordFlags::SEGMENT;
                match Segments::new(whole, record.offload) {
                    Ok(segments) => self.rx.segments = Some((segments, meta)),
                    Err(_) => self.slot().add(Count::RxErrors, 1),
                }
                match self.next_segment(buf) {
                    Some(frame) => return frame,
                    None => continue,
                }
            }
            let fits = buf.take(&inner.map, at, record.len);
            if !protocol::intact(tail, pos) {
                buf.give_back(record.len);
                return self.overrun();
            }
            self.rx.seen = self.rx.seen.wrapping_add(1);
            self.advance(record.total());
            return self.hand_out(meta, fits);
        }
    }

    fn hand_out(&self, meta: Record, fits: bool) -> Recv {
        let slot = self.slot();
        if !fits {
            slot.add(Count::RxErrors, 1);
            return Recv::TooLong { len: meta.len };
        }
        slot.add(Count::RxFrames, 1);
        slot.add(Count::RxOctets, meta.len as u64);
        Recv::Frame(meta)
    }

    fn next_segment<D: Destination + ?Sized>(&mut self, buf: &mut D) -> Option<Recv> {
        let (mut segments, mut meta) = self.rx.segments.take()?;
        let len = segments.next_len()?;
        meta.len = len;
        let fits = buf.fill(len, |octets| segments.next(octets));
        if !segments.is_done() {
            self.rx.segments = Some((segments, meta));
        }
        Some(self.hand_out(meta, fits))
    }

    #[inline]
    fn advance(&mut self, total: u64) {
        self.rx.cursor += total;
        if self.rx.cursor - self.rx.told.get().min(self.rx.cursor)
            >= self.bus.inner.geometry.ring_len / CURSOR_SHARE
        {
            self.give_room();
        }
    }

    /// Looks for more; false if there is nothing.
    fn refill(&mut self) -> bool {
        let slot = Slot::new(&self.bus.inner, self.index);
        // SYNC POINT: publish.
        let limit = protocol::published(slot.u64(slot::WANTED_LAST));
        if limit > self.rx.cursor {
            // Everything that was wanted before this position has been read, says a writer that saw our cursor.
            let first = slot.u64(slot::WANTED_FIRST).load(Ordering::Relaxed);
            if first > self.rx.cursor && first < limit {
                self.rx.cursor = first;
            }
            self.rx.limit = limit;
            return true;
        }
        if limit < self.rx.cursor {
            // Cannot be, unless somebody has turned the bus back: go with it.
            let head = protocol::published(self.bus.inner.map.u64(header::HEAD));
            if head < self.rx.cursor {
                slot.add(Count::RxErrors, 1);
                self.rx.cursor = head;
                self.rx.limit = head;
            }
        }
        // All is read, so all that was wanted is accounted for; what a killed writer counted and did not deliver is forgotten here.
        if slot.u64(slot::WANTED_AFTER).load(Ordering::Relaxed) != self.rx.seen
            && let Some((last, count)) = wanted(slot)
            && last == self.rx.cursor
        {
            self.rx.seen = count;
        }
        self.give_room();
        false
    }

    /// Tells writers how far this port is, and rings those that wait for it.
    pub(crate) fn give_room(&self) {
        if self.rx.told.get() == self.rx.cursor {
            return;
        }
        self.rx.told.set(self.rx.cursor);
        let slot = self.slot();
        // SYNC POINT: room. Pairs with the Acquire of the cursor in `Slot::hold`.
        protocol::publish(slot.u64(slot::CURSOR), self.rx.cursor);
        protocol::announce();
        if let Some(token) = protocol::dozing(slot.u32(slot::HELD)) {
            self.ring_waiters();
            protocol::rung(slot.u32(slot::HELD), token);
        }
    }

    #[cold]
    fn ring_waiters(&self) {
        for index in (0..self.bus.high_water()).filter(|&index| index != self.index) {
            let slot = Slot::new(&self.bus.inner, index);
            if let Some(token) = protocol::dozing(slot.u32(slot::ROOM)) {
                self.bells.borrow_mut().ring(slot);
                protocol::rung(slot.u32(slot::ROOM), token);
            }
        }
    }

    /// What stood at the cursor is overwritten: finds the next record that is safe for a while, and counts what is lost.
    #[cold]
    fn overrun(&mut self) -> Recv {
        let slot = Slot::new(&self.bus.inner, self.index);
        let mut found = None;
        for _ in 0..RESUME_TRIES {
            let Some((last, count)) = wanted(slot) else { continue };
            if let Some((resume, pending)) = self.walk(last) {
                found = Some((resume, last.max(resume), count.wrapping_sub(pending)));
                break;
            }
        }
        let (resume, limit, gone) = found.unwrap_or_else(|| {
            let last = protocol::published(slot.u64(slot::WANTED_LAST));
            (last, last, slot.u64(slot::WANTED_AFTER).load(Ordering::Relaxed))
        });
        // More than were ever wanted cannot be lost, and less than none neither: the words may be anybody's.
        let lost = match gone.wrapping_sub(self.rx.seen) {
            lost if lost < 1 << 62 => lost,
            _ => 0,
        };
        self.rx.seen = self.rx.seen.wrapping_add(lost);
        self.rx.cursor = resume;
        self.rx.limit = limit;
        slot.add(Count::RxLost, lost);
        self.give_room();
        Recv::Overrun { lost }
    }

    /// From the tail to `last`: where to go on, and how many wanted records lie behind that. `None` if it was overwritten meanwhile.
    fn walk(&self, last: u64) -> Option<(u64, u64)> {
        let inner = &self.bus.inner;
        let tail = inner.map.u64(header::TAIL);
        let mut pos = tail.load(Ordering::Acquire);
        let safe = pos.saturating_add(inner.geometry.ring_len / RESUME_SHARE);
        let (mut resume, mut pending) = (None, 0);
        while pos < last {
            let record = inner.record(pos, last - pos).ok()?;
            if !protocol::intact(tail, pos) {
                return None;
            }
            if pos >= safe {
                resume.get_or_insert(pos);
                if record.kind == Kind::Frame
                    && self.filter.wants(record.dst)
                    && record.sender.slot() != self.index as u16
                {
                    pending += 1;
                }
            }
            pos += record.total();
        }
        Some((resume.unwrap_or(last), pending))
    }
}

/// Position behind the newest wanted record and number of wanted records, of one moment.
fn wanted(slot: Slot<'_>) -> Option<(u64, u64)> {
    for _ in 0..100 {
        // SYNC POINT: wanted. The writer stores before, last (Release), after (Release); equal means nothing in between.
        let after = slot.u64(slot::WANTED_AFTER).load(Ordering::Acquire);
        let last = slot.u64(slot::WANTED_LAST).load(Ordering::Acquire);
        if slot.u64(slot::WANTED_BEFORE).load(Ordering::Relaxed) == after {
            return Some((last, after));
        }
        std::hint::spin_loop();
    }
    None
}
