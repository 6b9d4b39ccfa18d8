//! The one loop of a node, and its order.
//!
//! A turn is: frames in (a burst from each wire), timeouts, system calls (each lwp that is ready,
//! once), frames out (while the wires take them). Then the node waits: until the wires, a remote
//! client or the next deadline need it. Nothing ticks: an idle node does not wake.
//!
//! In virtual time [`turn`] and [`deadline`] are called by the scheduler of all kernels instead of [`run`].

use crate::kernel::Kernel;
use crate::netlink::monitor::Monitor;
use crate::rumpuser::Wake;
use netstack::stack::Event;
use netstack::time::{Duration, Instant};
use std::rc::Rc;

/// For how long a busy node does not look at remote clients and signals: a look costs it some
/// 0.3 us, and clients need not wait longer than for a sleeping one.
const BLIND: Duration = Duration::from_micros(200);

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
    let mut looked = kernel.clock();
    let mut time = None;
    while !kernel.is_stopping() {
        let until = match turn_at(kernel, time.take().unwrap_or_else(|| kernel.clock())) {
            Left::Work if kernel.now().since(looked) < BLIND => continue,
            Left::Work => Some(kernel.now()),
            Left::Nothing => deadline(kernel),
        };
        looked = kernel.now();
        time = kernel.user.borrow_mut().wait(until, &mut wakes);
        // Whoever polls has just looked at the clock: what came is not held up by another look.
        time.iter().for_each(|now| kernel.clock_is(*now));
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

/// One turn, now.
pub fn turn(kernel: &Rc<Kernel>) -> Left {
    turn_at(kernel, kernel.clock())
}

/// One turn, which begins at this time.
fn turn_at(kernel: &Rc<Kernel>, now: Instant) -> Left {
    let mut more = kernel.if_input(now);
    timeouts(kernel, now);
    events(kernel);
    if kernel.lwps.is_ready() {
        kernel.lwps.run(|| kernel.quantum.renew());
        events(kernel);
    }
    kernel.if_filters();
    // By the clock again: what came in during this turn must not leave before it came.
    more |= kernel.if_output(kernel.clock());
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

/// Wakes the calls that what happened lets go on, and tells routing sockets.
pub(crate) fn events(kernel: &Kernel) {
    let mut stack = kernel.stack.borrow_mut();
    let mut monitor = Monitor::new(kernel);
    while let Some(event) = stack.poll_event() {
        match event {
            Event::Socket { id, ready } => kernel.sleepers.wake(id, ready),
            Event::AddrConflict { ifindex, addr } => {
                let name = stack.interface(ifindex).map_or("?", |ifnet| &ifnet.name);
                let line = format_args!("{name}: somebody else uses {addr} too");
                kernel.user.borrow_mut().log(tracing::Level::WARN, line);
            }
            Event::Link { ifindex, up: _, carrier: _ } => monitor.link(&stack, ifindex),
            Event::LinkGone { ifindex } => monitor.link_gone(&stack, ifindex),
            Event::Addr { ifindex, addr, added } => monitor.addr(&stack, ifindex, addr, added),
            Event::Route { route, added } => monitor.route(&stack, route, added),
            Event::Neigh(neighbour) => monitor.neigh(&stack, &neighbour),
            Event::NeighGone(neighbour) => monitor.neigh_gone(&stack, &neighbour),
            Event::Resolvers { ifindex } => {
                let name = stack.interface(ifindex).map_or("?", |ifnet| &ifnet.name);
                let line = format_args!("{name}: a router told of other name servers");
                kernel.user.borrow_mut().log(tracing::Level::INFO, line);
            }
            Event::Overrun => monitor.overrun(&stack),
        }
    }
    monitor.finish(&stack);
}
