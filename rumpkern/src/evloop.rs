//! The one loop of a node, and its order.
//!
//! A turn is: frames in (a burst from each wire), timeouts, system calls (each lwp that is ready,
//! once), frames out (while the wires take them). Then the node waits: until the wires, a remote
//! client or the next deadline need it. Nothing ticks: an idle node does not wake.
//!
//! In virtual time [`turn`] and [`deadline`] are called by the scheduler of all kernels instead of [`run`].

use crate::kernel::Kernel;
use crate::rumpuser::Wake;
use netstack::stack::Event;
use netstack::time::Instant;
use std::rc::Rc;

/// Turns in a row without looking at remote clients and signals: at 64 frames a turn, a look costs
/// a busy router less than 1 %, and a client waits less than a millisecond.
const TURNS_BLIND: u32 = 32;

/// What a turn left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Work: take another turn.
    Work,
    /// Nothing before [`deadline`], unless somebody wakes the node.
    Nothing,
}

/// Runs the node until it is told to stop.
pub fn run(kernel: &Rc<Kernel>) {
    let mut wakes = Vec::new();
    let mut blind = 0;
    while !kernel.is_stopping() {
        let until = match turn(kernel) {
            Left::Work if blind < TURNS_BLIND => {
                blind += 1;
                continue;
            }
            Left::Work => Some(kernel.now()),
            Left::Nothing => deadline(kernel),
        };
        blind = 0;
        kernel.user.borrow_mut().wait(until, &mut wakes);
        for wake in wakes.drain(..) {
            match wake {
                Wake::Remote(..) => kernel.remotes.wake(wake),
                Wake::Stop => kernel.stop(),
            }
        }
    }
    // Whoever told it gets its answer.
    for _ in 0..LAST_TURNS {
        if turn(kernel) == Left::Nothing {
            break;
        }
    }
}

/// Turns that a node takes after it was told to stop, for what is ready to be said.
const LAST_TURNS: usize = 64;

/// One turn.
pub fn turn(kernel: &Rc<Kernel>) -> Left {
    let now = kernel.clock();
    let mut more = kernel.if_input(now);
    timeouts(kernel, now);
    events(kernel);
    if kernel.lwps.is_ready() {
        kernel.lwps.run(|| kernel.quantum.renew());
        events(kernel);
    }
    kernel.if_filters();
    more |= kernel.if_output(kernel.now());
    // What left the stack may have made room for senders.
    events(kernel);
    if more || kernel.lwps.is_ready() { Left::Work } else { Left::Nothing }
}

/// When the node must take its next turn though nobody wakes it; `None`: never.
pub fn deadline(kernel: &Kernel) -> Option<Instant> {
    let stack = kernel.stack.borrow_mut().poll_timeout();
    [stack, kernel.callouts.next(), kernel.if_retry()].into_iter().flatten().min()
}

fn timeouts(kernel: &Kernel, now: Instant) {
    let mut stack = kernel.stack.borrow_mut();
    if stack.poll_timeout().is_some_and(|at| at <= now) {
        stack.handle_timeout(now);
    }
    kernel.callouts.run(now);
}

/// Wakes the calls that what happened lets go on.
fn events(kernel: &Kernel) {
    let mut stack = kernel.stack.borrow_mut();
    while let Some(event) = stack.poll_event() {
        if let Event::Socket { id, ready } = event {
            kernel.sleepers.wake(id, ready);
        }
    }
}
