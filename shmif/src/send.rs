//! Sending: lock, make room, copy, publish, tell those who want it, unlock, ring.

use std::sync::atomic::Ordering;

use rustix::thread::futex;

use crate::bus::{Bus, Inner};
use crate::doorbell::{Bells, Rung};
use crate::fault::{self, Point};
use crate::interest::Interest;
use crate::layout::{
    ALIGN, Count, Kind, MAX_FRAME, MIN_FRAME, POS_LIMIT, RECORD, RecordHeader, header, mac_word, record_len,
    slot,
};
use crate::lock::{self, Busy, Stuck, Taken};
use crate::offload::Offload;
use crate::owner::State;
use crate::port::{Port, PortId};
use crate::protocol;
use crate::slot::Slot;

/// How long a writer waits for live readers that are behind, unless told otherwise: long against a scheduler's slice under load,
/// short against TCP's timers.
pub const DEFAULT_PAUSE_NS: u64 = 10_000_000;

/// When a frame is tried again that met a writer which lives and does not let go.
const SLOW_RETRY_NS: u64 = 10_000_000;
/// Most octets of one batch, as a share of the ring: bounds how long the lock is held.
const BATCH_SHARE: u64 = 16;
/// Most frames of one batch.
const BATCH_FRAMES: usize = 64;
/// The tail is moved by at least this share of the ring, so that readers seldom find its cache line changed.
const TAIL_SHARE: u64 = 64;

/// A frame to send, from the Ethernet header to the end of the payload, without FCS.
#[derive(Clone, Copy, Debug)]
pub struct TxFrame<'a> {
    /// Its octets.
    pub data: &'a [u8],
    /// What is left to do with it.
    pub offload: Offload,
}

/// What has become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on the bus.
    Ok,
    /// A live reader that wants what would be overwritten is behind. Keep the frame and try again when the doorbell rings, at `until_ns` at
    /// the latest: from then on the reader is overrun instead. Or another writer is in the midst of its frame and has lost its core: it
    /// will be done soon.
    Wait {
        /// Nanoseconds since the epoch, as `now_ns`.
        until_ns: u64,
    },
    /// It is lost, and counted.
    Dropped(DropReason),
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Shorter than an Ethernet header.
    TooShort,
    /// Longer than [`MAX_FRAME`](crate::MAX_FRAME).
    TooLong,
    /// The offload metadata points outside the frame, or makes no sense.
    BadOffload,
    /// A writer that is stopped (or does not get to run) holds the lock.
    LockBusy,
    /// The file was truncated.
    Broken,
}

/// The sending side of a port.
#[derive(Debug)]
pub(crate) struct Tx {
    interest: Interest,
    stuck: Stuck,
    /// Nothing that anybody waits for lies before this position.
    hold: u64,
    /// When the wait that is going on began.
    since: Option<u64>,
    /// The slot says that this port waits for room.
    asked: bool,
    pause_ns: u64,
    /// Counts waits, so that each has a token of its own.
    waits: u16,
    /// Who got something of the batch.
    touched: Vec<Touched>,
    /// Highest position seen: what a damaged header is mended with.
    seen: u64,
}

impl Default for Tx {
    fn default() -> Tx {
        Tx {
            interest: Interest::default(),
            stuck: Stuck::default(),
            hold: 0,
            since: None,
            asked: false,
            pause_ns: DEFAULT_PAUSE_NS,
            waits: 0,
            touched: Vec::new(),
            seen: 0,
        }
    }
}

/// One port that wants something of a batch.
#[derive(Clone, Copy, Debug)]
struct Touched {
    index: u32,
    first: u64,
    last: u64,
    frames: u64,
}

/// The ring's counters while the lock is held.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// Where the next record goes; published at the end of the batch.
    head: u64,
    /// What is published.
    start: u64,
    tail: u64,
    seq: u64,
}

impl Port {
    /// Sends one frame at `now_ns` (nanoseconds since the bus's epoch). Never blocks, but for the bounded wait for the lock.
    pub fn send(&mut self, now_ns: u64, frame: &[u8], offload: Offload) -> Sent {
        self.send_batch(now_ns, &[TxFrame { data: frame, offload }]).1
    }

    /// Sends frames in order with one lock, one publication and one ring for up to 64 of them. Returns how many are done with (sent, or
    /// dropped: then that is the last of them), and what has become of the last one or, if it is [`Sent::Wait`], of the next.
    pub fn send_batch(&mut self, now_ns: u64, frames: &[TxFrame<'_>]) -> (usize, Sent) {
        let mut done = 0;
        while done < frames.len() {
            let (n, sent) = self.send_some(now_ns, &frames[done..]);
            done += n;
            if sent != Sent::Ok {
                if let Sent::Dropped(_) = sent {
                    done += 1;
                    self.slot().add(Count::TxDropped, 1);
                }
                return (done, sent);
            }
        }
        (done, Sent::Ok)
    }

    /// For how long live readers are waited for, nanoseconds; 0 = not at all. Default [`DEFAULT_PAUSE_NS`].
    pub fn set_pause(&mut self, ns: u64) {
        self.tx.pause_ns = ns;
    }

    fn send_some(&mut self, now_ns: u64, frames: &[TxFrame<'_>]) -> (usize, Sent) {
        let id = self.id();
        let Port { bus, tx, bells, index, holder, .. } = self;
        let inner = &*bus.inner;
        if inner.map.is_broken() {
            return (0, Sent::Dropped(DropReason::Broken));
        }
        tx.interest.refresh(bus, *index);
        let taken = match lock::acquire(&inner.map, inner.geometry, *holder, &mut tx.stuck) {
            Ok(taken) => taken,
            Err(Busy::Slow) => return (0, Sent::Wait { until_ns: now_ns.saturating_add(SLOW_RETRY_NS) }),
            Err(Busy::Stuck) => return (0, Sent::Dropped(DropReason::LockBusy)),
        };
        fault::reach(Point::Locked);
        let mut ring = tx.open_ring(inner, taken);
        let most = inner.geometry.ring_len / BATCH_SHARE;
        let (mut n, mut octets, mut sent) = (0, 0, Sent::Ok);
        tx.touched.clear();
        for frame in frames.iter().take(BATCH_FRAMES) {
            sent = tx.place(bus, id, &mut ring, now_ns, frame);
            if sent != Sent::Ok {
                break;
            }
            n += 1;
            octets += frame.data.len() as u64;
            if ring.head - ring.start >= most {
                break;
            }
        }
        if n > 0 {
            fault::reach(Point::Copied);
            inner.map.u64(header::NEXT_SEQ).store(ring.seq, Ordering::Relaxed);
            protocol::publish(inner.map.u64(header::HEAD), ring.head);
            tx.seen = ring.head;
            fault::reach(Point::Published);
            tx.deliver(inner);
            fault::reach(Point::Delivered);
        }
        lock::release(&inner.map);
        if n > 0 {
            fault::reach(Point::Unlocked);
            tx.wake(bus, bells.get_mut());
            let slot = Slot::new(inner, *index);
            slot.add(Count::TxFrames, n as u64);
            slot.add(Count::TxOctets, octets);
            if tx.asked && sent == Sent::Ok {
                tx.asked = false;
                slot.u32(slot::ROOM).store(0, Ordering::Relaxed);
            }
        }
        (n, sent)
    }
}

impl Tx {
    /// Reads the counters, and mends them if a dead writer or anybody else left them in disorder.
    fn open_ring(&mut self, inner: &Inner, taken: Taken) -> Cursor {
        let map = &inner.map;
        let head = map.u64(header::HEAD).load(Ordering::Relaxed);
        let tail = map.u64(header::TAIL).load(Ordering::Relaxed);
        let seq = map.u64(header::NEXT_SEQ).load(Ordering::Relaxed);
        if taken == Taken::Clean && in_order(inner, head, tail) {
            return Cursor { head, start: head, tail, seq };
        }
        self.mend(inner, taken, head, tail, seq)
    }

    /// Walks all that is remembered; what is whole stays, otherwise history begins anew at the head.
    #[cold]
    fn mend(&mut self, inner: &Inner, taken: Taken, head: u64, tail: u64, seq: u64) -> Cursor {
        let head = if head.is_multiple_of(ALIGN) && head < POS_LIMIT { head } else { self.seen };
        let mut whole = in_order(inner, head, tail);
        let (mut pos, mut next_seq) = (tail, None);
        while whole && pos < head {
            match inner.record(pos, head - pos) {
                Ok(record) => {
                    if record.kind == Kind::Frame {
                        next_seq = Some(record.seq.wrapping_add(1));
                    }
                    pos += record.total();
                }
                Err(_) => whole = false,
            }
        }
        let bump = |off| {
            let word = inner.map.u64(off);
            word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        };
        if taken == Taken::Over {
            bump(header::RECOVERIES);
        }
        let tail = if whole {
            tail
        } else {
            bump(header::REPAIRS);
            protocol::retire(inner.map.u64(header::TAIL), head);
            head
        };
        protocol::publish(inner.map.u64(header::HEAD), head);
        let seq = next_seq.unwrap_or(seq);
        inner.map.u64(header::NEXT_SEQ).store(seq, Ordering::Relaxed);
        self.hold = 0;
        Cursor { head, start: head, tail, seq }
    }

    /// Puts one frame behind the head, unpublished, and notes who wants it.
    fn place(
        &mut self,
        bus: &Bus,
        sender: PortId,
        ring: &mut Cursor,
        now_ns: u64,
        frame: &TxFrame<'_>,
    ) -> Sent {
        let len = frame.data.len();
        if len < MIN_FRAME {
            return Sent::Dropped(DropReason::TooShort);
        }
        if len > MAX_FRAME {
            return Sent::Dropped(DropReason::TooLong);
        }
        if !frame.offload.is_none() && !frame.offload.fits(len) {
            return Sent::Dropped(DropReason::BadOffload);
        }
        let geometry = bus.inner.geometry;
        let total = record_len(len);
        let left = geometry.ring_len - geometry.place(ring.head);
        let pad = if total > left { left } else { 0 };
        if ring.head + pad + total - ring.tail > geometry.ring_len
            && let Err(until_ns) = self.make_room(bus, sender, ring, pad + total, now_ns)
        {
            return Sent::Wait { until_ns };
        }
        let map = &bus.inner.map;
        let ring_off = geometry.ring_off();
        if pad > 0 {
            let filler = RecordHeader {
                kind: Kind::Pad,
                len: pad as usize - RECORD,
                seq: ring.seq,
                time_ns: now_ns,
                sender,
                offload: Offload::NONE,
                dst: 0,
            };
            map.copy_in(ring_off + geometry.place(ring.head) as usize, &filler.encode(ring.head));
            ring.head += pad;
        }
        let pos = ring.head;
        let data = frame.data;
        let dst = mac_word(&[data[0], data[1], data[2], data[3], data[4], data[5]]);
        let record = RecordHeader {
            kind: Kind::Frame,
            len,
            seq: ring.seq,
            time_ns: now_ns,
            sender,
            offload: frame.offload,
            dst,
        };
        let at = ring_off + geometry.place(pos) as usize;
        map.copy_in(at, &record.encode(pos));
        if fault::armed(Point::HalfCopied) {
            map.copy_in(at + RECORD, &data[..len / 2]);
            fault::reach(Point::HalfCopied);
        }
        map.copy_in(at + RECORD, data);
        ring.head += total;
        ring.seq = ring.seq.wrapping_add(1);
        // Readers make room, however slowly: the next wait is another one.
        self.since = None;
        let end = ring.head;
        let Tx { interest, touched, .. } = self;
        interest.each(dst, |index| {
            // Runs of frames to the same port are the rule, so look at the last ones first.
            match touched.iter_mut().rev().find(|t| t.index == index) {
                Some(t) => {
                    t.last = end;
                    t.frames += 1;
                }
                None => touched.push(Touched { index, first: pos, last: end, frames: 1 }),
            }
        });
        Sent::Ok
    }

    /// Moves the tail until `need` octets fit, unless a live and interested reader is in the way: then the error says until when to wait.
    #[cold]
    fn make_room(
        &mut self,
        bus: &Bus,
        me: PortId,
        ring: &mut Cursor,
        need: u64,
        now_ns: u64,
    ) -> Result<(), u64> {
        let inner = &*bus.inner;
        let me = u32::from(me.slot());
        let ring_len = inner.geometry.ring_len;
        // The least that has to go, and what goes with it if nobody minds.
        let least = ring.head + need - ring_len;
        let goal = (least + ring_len / TAIL_SHARE).min(ring.start);
        if least > self.hold {
            self.hold = self.scan(inner, me, ring.tail, ring.start);
            if least > self.hold {
                self.blocked(bus, me, least, ring, now_ns)?;
            }
        }
        let mut pos = ring.tail;
        while pos < goal {
            let Ok(record) = inner.record(pos, ring.start - pos) else {
                // Somebody has scribbled over the ring: there is no finding the next record.
                let repairs = inner.map.u64(header::REPAIRS);
                repairs.store(repairs.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                pos = ring.start;
                break;
            };
            let next = pos + record.total();
            if next > self.hold && pos >= least {
                break;
            }
            pos = next;
        }
        ring.tail = pos;
        protocol::retire(inner.map.u64(header::TAIL), pos);
        fault::reach(Point::TailAdvanced);
        Ok(())
    }

    /// The least position at or behind `floor` that anybody waits for. Ports that want nothing now can only want what comes after `head`.
    fn scan(&self, inner: &Inner, me: u32, floor: u64, head: u64) -> u64 {
        let holds = self.interest.holding().iter().chain([&me]);
        holds.filter_map(|&index| Slot::new(inner, index).hold(floor)).fold(head, u64::min)
    }

    /// Readers are in the way of `least`. Dead and stopped ones are passed over at once; live ones are waited for, up to the pause; then they
    /// are passed over too, and that is counted.
    fn blocked(&mut self, bus: &Bus, me: u32, least: u64, ring: &Cursor, now_ns: u64) -> Result<(), u64> {
        let holding: Vec<u32> = self.interest.holding().iter().copied().chain([me]).collect();
        let behind = || {
            holding
                .iter()
                .map(|&index| Slot::new(&bus.inner, index))
                .filter(|slot| slot.hold(ring.tail).is_some_and(|hold| hold < least))
        };
        let patient = match self.since {
            // Looked up once a wait: it costs microseconds.
            None => {
                behind()
                    .filter(|slot| match slot.owner().state() {
                        State::Alive => true,
                        State::Stopped => false,
                        State::Dead => {
                            bus.reclaim_slot(slot.index);
                            false
                        }
                    })
                    .count()
                    > 0
            }
            Some(since) => now_ns < since.saturating_add(self.pause_ns),
        };
        if patient && self.pause_ns > 0 {
            let since = *self.since.get_or_insert_with(|| {
                self.waits = self.waits.wrapping_add(1);
                now_ns
            });
            self.asked = true;
            Slot::new(&bus.inner, me).u32(slot::ROOM).store(1, Ordering::Relaxed);
            let token = me << 16 | u32::from(self.waits) | 1 << 15;
            let wait = behind().any(|slot| {
                let reads = || slot.hold(ring.tail).is_none_or(|hold| hold >= least);
                protocol::hold_up(slot.u32(slot::HELD), token, reads)
            });
            if wait {
                if now_ns == since {
                    Slot::new(&bus.inner, me).add(Count::TxWaits, 1);
                }
                return Err(since.saturating_add(self.pause_ns));
            }
        } else {
            for slot in behind() {
                let overruns = slot.u64(slot::OVERRUNS);
                overruns.store(overruns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            self.since = None;
        }
        self.hold = self.scan(&bus.inner, me, least, ring.start);
        Ok(())
    }

    /// Tells the ports that want something of the batch where it is.
    fn deliver(&self, inner: &Inner) {
        for t in &self.touched {
            let slot = Slot::new(inner, t.index);
            let last = slot.u64(slot::WANTED_LAST);
            let before = last.load(Ordering::Relaxed);
            // Other records lie between, and all that was wanted is read: the reader may jump to this one. (Without a gap there is
            // nothing to jump over, and the reader's line is left alone.)
            if before != t.first && slot.u64(slot::CURSOR).load(Ordering::Acquire) >= before {
                slot.u64(slot::WANTED_FIRST).store(t.first, Ordering::Relaxed);
            }
            let count = slot.u64(slot::WANTED_BEFORE).load(Ordering::Relaxed).wrapping_add(t.frames);
            slot.u64(slot::WANTED_BEFORE).store(count, Ordering::Relaxed);
            protocol::publish(last, t.last);
            slot.u64(slot::WANTED_AFTER).store(count, Ordering::Release);
        }
    }

    /// Rings those who got something and sleep.
    fn wake(&mut self, bus: &Bus, bells: &mut Bells) {
        protocol::announce();
        for i in 0..self.touched.len() {
            let index = self.touched[i].index;
            let slot = Slot::new(&bus.inner, index);
            let Some(token) = protocol::dozing(slot.u32(slot::SLEEP)) else { continue };
            match bells.ring(slot) {
                Rung::Yes => {}
                Rung::Gone => _ = bus.reclaim_slot(index),
                // Still asleep: the next frame rings again.
                Rung::Failed => continue,
            }
            fault::reach(Point::Rung);
            protocol::rung(slot.u32(slot::SLEEP), token);
        }
        let watch = bus.inner.map.u32(header::WATCH);
        if let Some(token) = protocol::dozing(watch) {
            protocol::rung(watch, token);
            let _ = futex::wake(watch, futex::Flags::empty(), i32::MAX as u32);
        }
    }
}

fn in_order(inner: &Inner, head: u64, tail: u64) -> bool {
    (head | tail).is_multiple_of(ALIGN)
        && tail <= head
        && head < POS_LIMIT
        && head - tail <= inner.geometry.ring_len
}
