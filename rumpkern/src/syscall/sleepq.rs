//! Sleep queues: who waits for which socket to become ready.
//!
//! A sleeper stays in the queue until it is woken or gives up. Waking takes it out; the call tries
//! its operation again, and comes back if that still would block.
//!
//! A hundred thousand sockets have a few sleepers: all of them lie in one slab, where each names the
//! next of its socket, and a socket on which nobody sleeps costs one number.

use netstack::{Ready, SocketId};
use std::cell::RefCell;
use std::task::Waker;

/// Sleepers by socket.
#[derive(Debug, Default)]
pub struct SleepQueues(RefCell<Queues>);

#[derive(Debug, Default)]
struct Queues {
    /// Where a socket's first sleeper lies, by the socket's index.
    first: Vec<Place>,
    sleepers: Vec<Slot>,
    /// Slots without a sleeper.
    free: Vec<Place>,
    last: u64,
}

/// A place in the slab; [`NOBODY`]: none.
type Place = u32;
const NOBODY: Place = Place::MAX;

#[derive(Debug)]
struct Slot {
    next: Place,
    /// Absent: the slot is free.
    sleeper: Option<Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    ticket: u64,
    socket: SocketId,
    interest: Ready,
    waker: Waker,
}

/// One sleeper's place.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    socket: SocketId,
    ticket: u64,
}

impl SleepQueues {
    /// Wakes `waker` when `socket` becomes ready for `interest` (or has an error, or hangs up).
    pub fn sleep(&self, socket: SocketId, interest: Ready, waker: &Waker) -> Ticket {
        let queues = &mut *self.0.borrow_mut();
        queues.last += 1;
        let ticket = queues.last;
        let interest = interest | Ready::ERROR | Ready::HUP;
        queues.push(Sleeper { ticket, socket, interest, waker: waker.clone() });
        Ticket { socket, ticket }
    }

    /// Leaves the queue; harmless after having been woken.
    pub fn leave(&self, ticket: Ticket) {
        self.0.borrow_mut().retain(ticket.socket.index, |sleeper| sleeper.ticket != ticket.ticket);
    }

    /// Wakes those who wait for one of `ready` on `socket`, in order of their arrival.
    pub fn wake(&self, socket: SocketId, ready: Ready) {
        // Waking only puts an lwp into the run queue: nothing calls back in here.
        self.0.borrow_mut().retain(socket.index, |sleeper| {
            let hit = sleeper.socket == socket && sleeper.interest.intersects(ready);
            if hit {
                sleeper.waker.wake_by_ref();
            }
            !hit
        });
    }

    /// Wakes everybody who waits on `socket`: it is gone.
    pub fn wake_all(&self, socket: SocketId) {
        self.wake(socket, Ready::all());
    }
}

impl Queues {
    /// The last of its socket's queue.
    fn push(&mut self, sleeper: Sleeper) {
        let index = sleeper.socket.index as usize;
        if self.first.len() <= index {
            self.first.resize(index + 1, NOBODY);
        }
        let slot = Slot { next: NOBODY, sleeper: Some(sleeper) };
        let place = match self.free.pop() {
            Some(place) => {
                self.sleepers[place as usize] = slot;
                place
            }
            None => {
                self.sleepers.push(slot);
                self.sleepers.len() as Place - 1
            }
        };
        match self.first[index] {
            NOBODY => self.first[index] = place,
            first => {
                let mut last = first as usize;
                while self.sleepers[last].next != NOBODY {
                    last = self.sleepers[last].next as usize;
                }
                self.sleepers[last].next = place;
            }
        }
    }

    /// Looks at the sleepers of the socket with this index in their order; those that do not stay are gone.
    fn retain(&mut self, index: u32, mut stays: impl FnMut(&Sleeper) -> bool) {
        let Some(&first) = self.first.get(index as usize) else { return };
        let (mut before, mut place) = (NOBODY, first);
        while place != NOBODY {
            let slot = &mut self.sleepers[place as usize];
            let next = slot.next;
            if slot.sleeper.as_ref().is_some_and(&mut stays) {
                before = place;
            } else {
                slot.sleeper = None;
                self.free.push(place);
                match before {
                    NOBODY => self.first[index as usize] = next,
                    before => self.sleepers[before as usize].next = next,
                }
            }
            place = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    struct Noted(usize, Arc<Mutex<Vec<usize>>>);

    impl Wake for Noted {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    proptest! {
        /// Against a list of all sleepers in the order of their arrival.
        #[test]
        fn wakes_in_order_who_waits_and_nobody_else(
            script in prop::collection::vec((0u8..4, 0u32..3, 0usize..8), 0..100),
        ) {
            let (queues, woken) = (SleepQueues::default(), Arc::new(Mutex::new(Vec::new())));
            let mut model: BTreeMap<usize, (Ticket, SocketId, Ready)> = BTreeMap::new();
            for (n, (what, index, which)) in script.into_iter().enumerate() {
                let socket = SocketId { index, generation: which as u32 / 4 };
                let ready = [Ready::READ, Ready::WRITE][which % 2];
                match what {
                    0 | 1 => {
                        let waker = Waker::from(Arc::new(Noted(n, woken.clone())));
                        model.insert(n, (queues.sleep(socket, ready, &waker), socket, ready));
                    }
                    2 => {
                        let hit = |s: &(Ticket, SocketId, Ready)| (s.1, s.2) == (socket, ready);
                        let hits = model.iter().filter(|(_, s)| hit(s));
                        let expected: Vec<usize> = hits.map(|(n, _)| *n).collect();
                        queues.wake(socket, ready);
                        prop_assert_eq!(&std::mem::take(&mut *woken.lock().unwrap()), &expected);
                        model.retain(|_, sleeper| !hit(sleeper));
                    }
                    _ => {
                        let one = model.keys().nth(which).copied();
                        if let Some((ticket, ..)) = one.and_then(|one| model.remove(&one)) {
                            queues.leave(ticket);
                            queues.leave(ticket); // harmless
                        }
                    }
                }
                let inner = queues.0.borrow();
                prop_assert_eq!(inner.sleepers.len() - inner.free.len(), model.len());
            }
        }
    }
}
