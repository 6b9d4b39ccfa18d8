//! The lock that serialises the writers of a bus: a futex word that survives its holder.
//!
//! The word is 0 when free, else `generation << 16 | slot + 1` of the holder's port, with bit 31 set when somebody sleeps for it.
//! A waiter spins a little, sleeps in the kernel for a bounded time, and then looks whether the holder lives: a dead one's lock is
//! taken over by one compare-and-swap (the generation makes sure that it is still that holder's), a stopped one's is
//! left alone, and the frame is dropped and counted. Nobody waits for ever, whatever the word says.
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
/// All sleeps together.
const PATIENCE: Duration = Duration::from_millis(10);

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
pub(crate) struct Busy;

/// What one port remembers about a holder that stands still.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    word: u32,
    looked: Option<Instant>,
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
    // A holder that stood still when last looked at: no second wait for the same one, but a look now and then.
    let seen = lock.load(Ordering::Relaxed) & !WAITERS;
    if seen != 0 && seen == stuck.word && stuck.looked.is_some_and(|at| at.elapsed() < PATIENCE) {
        return Err(Busy);
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
                State::Stopped => {
                    *stuck = Stuck { word: seen & !WAITERS, looked: Some(Instant::now()) };
                    return Err(Busy);
                }
                State::Alive => {}
            }
        }
        if start.elapsed() >= PATIENCE {
            *stuck = Stuck { word: seen & !WAITERS, looked: Some(Instant::now()) };
            return Err(Busy);
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
