//! Outcomes of calls whose callers were interrupted before they heard of them.
//!
//! A signal takes a thread out of a call that waits for its answer. The supervisor may have done the call by then: the host
//! makes the thread ask again when the handler is done (SA_RESTART), or the program does on EINTR. Who asks for the same thing
//! again gets what came of it the first time: a second bind(2) would fail, a second sendto(2) send twice, and what was
//! accepted or received would be lost. Who asks for anything else has given up.
//!
//! What this cannot see: a signal that takes the thread out between the supervisor's answer and its own waking up. The host
//! then takes the answer and makes the call again all the same; under a timer of 10 kHz one call of some thousands.

use crate::seccomp_unsafe::Call;
use crate::supervisor::Outcome;
use std::collections::BTreeMap;

/// By the thread that is to hear of it.
#[derive(Default)]
pub(crate) struct Undelivered(BTreeMap<i32, (Call, Outcome)>);

impl Undelivered {
    /// Keeps what came of a call that nobody waits for any more.
    pub(crate) fn keep(&mut self, call: &Call, outcome: Outcome) {
        match outcome {
            Outcome::Value(_) | Outcome::Fail(_) | Outcome::Descriptor(..) | Outcome::DescriptorAt(..) => {
                self.0.insert(call.tid, (*call, outcome));
            }
            // The host does it again, or nothing is done yet.
            Outcome::Proceed | Outcome::Pending => {}
        }
    }

    /// What came of `call` when it was made before.
    pub(crate) fn take(&mut self, call: &Call) -> Option<Outcome> {
        // Most programs never come here.
        if self.0.is_empty() {
            return None;
        }
        let (before, outcome) = self.0.remove(&call.tid)?;
        ((before.nr, before.args) == (call.nr, call.args)).then_some(outcome)
    }

    /// Forgets what threads that have ended would have heard.
    pub(crate) fn sweep(&mut self) {
        self.0.retain(|tid, _| std::path::Path::new(&format!("/proc/{tid}")).exists());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_gets_it_once_and_another_one_forgets_it() {
        let call = |tid, nr, arg| Call { id: 0, tid, nr, args: [arg, 0, 0, 0, 0, 0] };
        let mut kept = Undelivered::default();
        kept.keep(&call(7, 49, 3), Outcome::Value(0));
        kept.keep(&call(8, 49, 3), Outcome::Value(5));
        kept.keep(&call(9, 49, 3), Outcome::Proceed);
        assert!(kept.take(&call(9, 49, 3)).is_none());
        assert!(matches!(kept.take(&call(7, 49, 3)), Some(Outcome::Value(0))));
        assert!(kept.take(&call(7, 49, 3)).is_none());
        assert!(kept.take(&call(8, 44, 3)).is_none());
        assert!(kept.take(&call(8, 49, 3)).is_none());
        // No thread has that number.
        kept.keep(&call(i32::MAX, 49, 3), Outcome::Value(0));
        kept.sweep();
        assert!(kept.0.is_empty());
    }
}
