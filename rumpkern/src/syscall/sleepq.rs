//! Sleep queues: who waits for which socket to become ready.
//!
//! A sleeper stays in the queue until it is woken or gives up. Waking takes it out; the call tries
//! its operation again, and comes back if that still would block.

use netstack::{Ready, SocketId};
use std::cell::{Cell, RefCell};
use std::task::Waker;

/// Sleepers by socket.
#[derive(Debug, Default)]
pub struct SleepQueues {
    /// By socket index; few sockets have sleepers, and those have few.
    queues: RefCell<Vec<Vec<Sleeper>>>,
    last: Cell<u64>,
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
        let ticket = self.last.get() + 1;
        self.last.set(ticket);
        let mut queues = self.queues.borrow_mut();
        let index = socket.index as usize;
        if queues.len() <= index {
            queues.resize_with(index + 1, Vec::new);
        }
        let interest = interest | Ready::ERROR | Ready::HUP;
        queues[index].push(Sleeper { ticket, socket, interest, waker: waker.clone() });
        Ticket { socket, ticket }
    }

    /// Leaves the queue; harmless after having been woken.
    pub fn leave(&self, ticket: Ticket) {
        if let Some(queue) = self.queues.borrow_mut().get_mut(ticket.socket.index as usize) {
            queue.retain(|sleeper| sleeper.ticket != ticket.ticket);
        }
    }

    /// Wakes those who wait for one of `ready` on `socket`, in order of their arrival.
    pub fn wake(&self, socket: SocketId, ready: Ready) {
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(socket.index as usize) else { return };
        // Waking only puts an lwp into the run queue: nothing calls back in here.
        queue.retain(|sleeper| {
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
