//! Lwps: calls in progress, as futures on a deterministic executor.
//!
//! The ready queue is first in, first out, and nothing but [`Waker::wake`] puts an lwp there: two
//! runs that are woken in the same order run in the same order. An lwp is in the queue at most once.
//! There are no priorities and no preemption; [`Quantum`] bounds how many system calls an lwp makes
//! before the others and the wires have their turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Names an lwp. The generation makes an id that outlives its lwp harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LwpId {
    index: u32,
    generation: u32,
}

type Body = Pin<Box<dyn Future<Output = ()>>>;

/// All lwps of one kernel.
#[derive(Default)]
pub struct Lwps {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    ready: Arc<RunQueue>,
    alive: Cell<usize>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    /// Absent while it runs.
    body: Option<Body>,
    /// Absent: the slot is free.
    waker: Option<Arc<LwpWaker>>,
}

/// The lwps that can go on, in the order in which they were woken. Wakers must be `Send` by their
/// type, hence the lock; nobody else ever holds it.
#[derive(Default)]
struct RunQueue(Mutex<VecDeque<LwpId>>);

impl RunQueue {
    fn push(&self, id: LwpId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    fn pop(&self) -> Option<LwpId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

struct LwpWaker {
    id: LwpId,
    queued: AtomicBool,
    queue: Arc<RunQueue>,
}

impl Wake for LwpWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Relaxed: one thread. The flag only keeps an lwp from standing in the queue twice.
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.queue.push(self.id);
        }
    }
}

impl Lwps {
    /// A new lwp, ready to run.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> LwpId {
        let mut slots = self.slots.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() as u32 - 1
        });
        let slot = &mut slots[index as usize];
        let id = LwpId { index, generation: slot.generation };
        let waker = Arc::new(LwpWaker { id, queued: AtomicBool::new(false), queue: self.ready.clone() });
        waker.wake_by_ref();
        slot.body = Some(Box::pin(future));
        slot.waker = Some(waker);
        self.alive.set(self.alive.get() + 1);
        id
    }

    /// Whether `id` has not ended yet.
    pub fn is_alive(&self, id: LwpId) -> bool {
        self.slots.borrow().get(id.index as usize).is_some_and(|slot| slot.holds(id))
    }

    /// How many have not ended.
    pub fn alive(&self) -> usize {
        self.alive.get()
    }

    /// Ends an lwp where it stands. It may end itself: its present poll is then its last.
    pub fn kill(&self, id: LwpId) {
        let body = {
            let mut slots = self.slots.borrow_mut();
            match slots.get_mut(id.index as usize).filter(|slot| slot.holds(id)) {
                Some(slot) => {
                    slot.waker = None;
                    slot.generation = slot.generation.wrapping_add(1);
                    self.free.borrow_mut().push(id.index);
                    self.alive.set(self.alive.get() - 1);
                    slot.body.take()
                }
                None => None,
            }
        };
        drop(body); // after the borrow: its drop may call back
    }

    /// Ends all lwps, the last slot first.
    pub fn kill_all(&self) {
        loop {
            let last = self.slots.borrow().iter().rev().find_map(|slot| Some(slot.waker.as_ref()?.id));
            let Some(id) = last else { break };
            self.kill(id);
        }
    }

    /// Whether some lwp can go on.
    pub fn is_ready(&self) -> bool {
        self.ready.len() > 0
    }

    /// Runs each lwp that is ready *now* once; those woken meanwhile wait for the next call.
    /// `before` is called ahead of each. Returns how many ran.
    pub fn run(&self, mut before: impl FnMut()) -> usize {
        let mut ran = 0;
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop() else { break };
            let taken = {
                let mut slots = self.slots.borrow_mut();
                let slot = slots.get_mut(id.index as usize).filter(|slot| slot.holds(id));
                slot.and_then(|slot| slot.body.take().zip(slot.waker.clone()))
            };
            let Some((mut body, lwp)) = taken else { continue }; // ended after it was woken
            lwp.queued.store(false, Ordering::Relaxed);
            before();
            ran += 1;
            let waker = Waker::from(lwp);
            match body.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => self.kill(id),
                Poll::Pending => {
                    let mut slots = self.slots.borrow_mut();
                    if let Some(slot) = slots.get_mut(id.index as usize).filter(|slot| slot.holds(id)) {
                        slot.body = Some(body);
                        continue;
                    }
                }
            }
            // `body` is dropped here, with nothing borrowed.
        }
        ran
    }
}

impl Slot {
    fn holds(&self, id: LwpId) -> bool {
        self.waker.is_some() && self.generation == id.generation
    }
}

impl core::fmt::Debug for Lwps {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lwps").field("alive", &self.alive()).field("ready", &self.ready.len()).finish()
    }
}

/// What is left of an lwp's turn, in system calls.
#[derive(Debug, Default)]
pub struct Quantum(Cell<u32>);

impl Quantum {
    /// System calls a turn: as many as frames in a burst, so that a sender fills one.
    pub const CALLS: u32 = 64;

    /// A new turn begins.
    pub fn renew(&self) {
        self.0.set(Self::CALLS);
    }

    /// Uses up one call. At the end of the turn the lwp goes to the back of the ready queue.
    pub fn poll_use(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.get() {
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            left => {
                self.0.set(left - 1);
                Poll::Ready(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use std::rc::Rc;

    type Log = Rc<RefCell<Vec<u32>>>;

    fn steps(n: u32, count: u32, log: Log) -> impl Future<Output = ()> {
        let mut left = count;
        poll_fn(move |cx| {
            log.borrow_mut().push(n);
            left = left.saturating_sub(1);
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref(); // twice is once
            Poll::Pending
        })
    }

    proptest! {
        #[test]
        fn runs_round_robin_and_ends(counts in prop::collection::vec(1u32..6, 0..12)) {
            let (lwps, log) = (Lwps::default(), Log::default());
            for (n, &count) in counts.iter().enumerate() {
                lwps.spawn(steps(n as u32, count, log.clone()));
            }
            while lwps.is_ready() { lwps.run(|| ()); }
            let mut expected = Vec::new();
            for round in 0..6 {
                expected.extend((0..counts.len() as u32).filter(|&n| counts[n as usize] > round));
            }
            prop_assert_eq!(&*log.borrow(), &expected);
            prop_assert_eq!(lwps.alive(), 0);
        }

        /// Any order of spawning, waking, killing and running: nothing runs after its end, slots are reused.
        #[test]
        fn killed_lwps_never_run(script in prop::collection::vec((0u8..4, 0usize..8), 0..200)) {
            let (lwps, log) = (Lwps::default(), Log::default());
            let mut live: Vec<(LwpId, u32)> = Vec::new();
            let mut next = 0;
            for (what, which) in script {
                match what {
                    0 if live.len() < 8 => {
                        live.push((lwps.spawn(steps(next, u32::MAX, log.clone())), next));
                        next += 1;
                    }
                    1 if !live.is_empty() => {
                        let (id, _) = live.remove(which % live.len());
                        lwps.kill(id);
                        prop_assert!(!lwps.is_alive(id));
                        lwps.kill(id); // harmless
                    }
                    _ => {
                        log.borrow_mut().clear();
                        lwps.run(|| ());
                        let mut ran = log.borrow().clone();
                        ran.sort_unstable();
                        let mut expected: Vec<u32> = live.iter().map(|&(_, n)| n).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(ran, expected);
                    }
                }
                prop_assert_eq!(lwps.alive(), live.len());
                prop_assert!(lwps.slots.borrow().len() <= 8);
            }
        }
    }

    #[test]
    fn all_end_at_once_also_those_that_others_keep() {
        let lwps = Lwps::default();
        let kept = Rc::new(());
        for _ in 0..5 {
            let kept = kept.clone();
            lwps.spawn(async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
        }
        lwps.run(|| ());
        lwps.kill_all();
        assert_eq!((lwps.alive(), Rc::strong_count(&kept)), (0, 1));
    }

    #[test]
    fn an_lwp_may_end_itself() {
        let lwps = Rc::new(Lwps::default());
        let me = Rc::new(Cell::new(None));
        let (inner, id) = (lwps.clone(), me.clone());
        me.set(Some(lwps.spawn(async move {
            inner.kill(id.get().unwrap());
            poll_fn::<(), _>(|cx| {
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            unreachable!("it is dead");
        })));
        for _ in 0..3 {
            lwps.run(|| ());
        }
        assert_eq!(lwps.alive(), 0);
    }
}
