//! The lock that serialises the writers of a bus: a futex word that survives its holder.
//!
//! The word is 0 when free, else `generation << 16 | slot + 1` of the holder's port, with bit 31 set when somebody sleeps for it.
//! A waiter spins a little, sleeps in the kernel for a bounded time, and then looks whether the holder lives: a dead one's lock is
//! taken over by one compare-and-swap (the generation makes sure that it is still that holder's), a stopped one's is
//! left alone, and the frame is dropped and counted; for one that lives and has no core just now (a busy machine, or killed and not yet
//! gone) the frame is kept and tried again. Nobody waits for ever, whatever the word says.
//!
//! Not a `pthread` robust mutex: that one keeps pointers in the shared memory, which anybody who may write the file could turn against us.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex;

use crate::layout::{Geometry, header, slot};
use crate::map_unsafe::Mapping;
use crate::owner::{Owner, State};

const WAITERS: u32 = 1 << 31;
/// Turns of spinning; a copy of 1514 octets takes less than ten, and a sleep costs ten microseconds.
const SPINS: u32 = 200;
/// One sleep before the holder is looked at.
const NAP: Duration = Duration::from_millis(1);
/// All sleeps of one try together.
const PATIENCE: Duration = Duration::from_millis(10);
/// A living holder that does not let go for this long counts as stopped.
const SLOW: Duration = Duration::from_secs(1);

/// The name of a port in the lock word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder(u32);

impl Holder {
    pub(crate) fn new(slot: u16, generation: u32) -> Holder {
        Holder((generation & 0x7fff) << 16 | (u32::from(slot) + 1))
    }
    fn slot(word: u32) -> Option<u32> {
        (word & 0xffff).checked_sub(1)
    }
    fn generation(word: u32) -> u32 {
        word >> 16 & 0x7fff
    }
}

/// How the lock was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was given back properly.
    Clean,
    /// Its holder died: what it was doing must be looked through.
    Over,
}

/// The lock cannot be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Its holder stands still.
    Stuck,
    /// Its holder lives: it will let go when it has a core.
    Slow,
}

/// What one port remembers about a holder that does not let go.
#[derive(Debug)]
pub(crate) struct Stuck {
    word: u32,
    /// When it was first seen, and last looked at.
    seen: Option<(Instant, Instant)>,
    why: Busy,
}

impl Default for Stuck {
    fn default() -> Stuck {
        Stuck { word: 0, seen: None, why: Busy::Stuck }
    }
}

impl Stuck {
    /// The holder of `word` did not let go.
    fn still(&mut self, word: u32, state: State) -> Busy {
        let now = Instant::now();
        // A pause between two looks: it has let go in between.
        let known = self.seen.filter(|(_, looked)| self.word == word && now - *looked < 10 * PATIENCE);
        let first = known.map_or(now, |(first, _)| first);
        let why = if state == State::Alive && now - first < SLOW { Busy::Slow } else { Busy::Stuck };
        *self = Stuck { word, seen: Some((first, now)), why };
        why
    }
}

fn word(map: &Mapping) -> &AtomicU32 {
    map.u32(header::LOCK)
}

/// Takes the lock.
#[inline]
pub(crate) fn acquire(
    map: &Mapping,
    geometry: Geometry,
    me: Holder,
    stuck: &mut Stuck,
) -> Result<Taken, Busy> {
    // SYNC POINT: lock. The Acquire of whoever takes it pairs with the Release in `release`.
    if word(map).compare_exchange(0, me.0, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return Ok(Taken::Clean);
    }
    contended(map, geometry, me, stuck)
}

#[cold]
fn contended(map: &Mapping, geometry: Geometry, me: Holder, stuck: &mut Stuck) -> Result<Taken, Busy> {
    let lock = word(map);
    for _ in 0..SPINS {
        if lock.load(Ordering::Relaxed) == 0
            && lock.compare_exchange(0, me.0, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return Ok(Taken::Clean);
        }
        std::hint::spin_loop();
    }
    // A holder that did not let go when last looked at: no second wait for the same one, but a look now and then.
    let seen = lock.load(Ordering::Relaxed) & !WAITERS;
    if seen != 0 && seen == stuck.word && stuck.seen.is_some_and(|(_, at)| at.elapsed() < PATIENCE) {
        return Err(stuck.why);
    }
    let start = Instant::now();
    let nap = futex::Timespec { tv_sec: 0, tv_nsec: NAP.as_nanos() as _ };
    loop {
        let seen = lock.load(Ordering::Relaxed);
        if seen == 0 {
            // Others may sleep too, so the bit goes along.
            if lock.compare_exchange(0, me.0 | WAITERS, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Ok(Taken::Clean);
            }
            continue;
        }
        let asleep = seen | WAITERS;
        if seen != asleep
            && lock.compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        let woken = futex::wait(lock, futex::Flags::empty(), asleep, Some(&nap));
        let unchanged = lock.load(Ordering::Relaxed) & !WAITERS == seen & !WAITERS;
        if unchanged && woken == Err(rustix::io::Errno::TIMEDOUT) {
            match holder_state(map, geometry, seen) {
                State::Dead => {
                    let now = lock.load(Ordering::Relaxed);
                    if now & !WAITERS == seen & !WAITERS
                        && lock
                            .compare_exchange(now, me.0 | WAITERS, Ordering::Acquire, Ordering::Relaxed)
                            .is_ok()
                    {
                        return Ok(Taken::Over);
                    }
                    continue;
                }
                State::Stopped => return Err(stuck.still(seen & !WAITERS, State::Stopped)),
                State::Alive => {}
            }
        }
        if start.elapsed() >= PATIENCE {
            return Err(stuck.still(seen & !WAITERS, State::Alive));
        }
    }
}

/// Gives the lock back.
#[inline]
pub(crate) fn release(map: &Mapping) {
    let lock = word(map);
    // SYNC POINT: lock. Pairs with the Acquire in `acquire`.
    if lock.swap(0, Ordering::Release) & WAITERS != 0 {
        let _ = futex::wake(lock, futex::Flags::empty(), 1);
    }
}

/// The holder's state; a word that names no port which could hold it names a dead one.
pub(crate) fn holder_state(map: &Mapping, geometry: Geometry, word: u32) -> State {
    match Holder::slot(word) {
        Some(index) if index < geometry.max_ports => {
            let at = geometry.slot(index);
            let owner = Owner::from_word(map.u64(at + slot::OWNER).load(Ordering::Acquire));
            let generation = map.u32(at + slot::GENERATION).load(Ordering::Relaxed);
            if owner == Owner::NOBODY || generation & 0x7fff != Holder::generation(word) {
                State::Dead
            } else {
                owner.state()
            }
        }
        Some(_) | None => State::Dead,
    }
}

/// The slot that the lock names now, if it is held.
pub(crate) fn held_by(map: &Mapping) -> Option<(u32, u32)> {
    let seen = word(map).load(Ordering::Relaxed);
    (seen & !WAITERS != 0).then(|| (seen, Holder::slot(seen).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bus, BusConfig, DropReason, Offload, PortConfig, Sent};

    #[test]
    fn a_frame_waits_for_a_slow_writer_and_not_for_ever() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bus = Bus::create(dir.path().join("bus"), &BusConfig::new("lab", "bus")).expect("create");
        let attach = |n| bus.attach(&PortConfig::new("n", "if", [2, 0, 0, 0, 0, n])).expect("attach");
        let (slow, mut other) = (attach(1), attach(2));
        let inner = &bus.inner;
        let taken = acquire(&inner.map, inner.geometry, slow.holder, &mut Stuck::default());
        assert_eq!(taken, Ok(Taken::Clean));
        let frame = [0xff; 60];
        let begin = Instant::now();
        let mut waits = 0;
        // It is us who hold the lock, and we live.
        while let Sent::Wait { until_ns } = other.send(5, &frame, Offload::NONE) {
            assert_eq!(until_ns, 5 + 10_000_000);
            waits += 1;
            std::thread::yield_now();
        }
        assert!(waits > 1 && begin.elapsed() >= SLOW, "{waits}");
        assert_eq!(other.send(5, &frame, Offload::NONE), Sent::Dropped(DropReason::LockBusy));
        release(&inner.map);
        assert_eq!(other.send(5, &frame, Offload::NONE), Sent::Ok);
    }
}
