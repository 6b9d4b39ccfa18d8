//! The steps of the ring's protocol between processes, each a function of a line or two, with its SYNC POINT named.
//!
//! Everything that two processes agree on without the lock is here, so that the loom model at the end checks the very code that
//! runs. What is *not* here: the lock itself (`lock.rs`), and who wants which frame (`interest.rs`).

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Writer, under the lock: everything before `to` is about to be overwritten.
///
/// SYNC POINT: lap. This Release fence, before the overwriting stores, pairs with the Acquire fence in [`intact`], after the
/// reader's loads: a reader that saw one overwritten octet also sees the tail that condemned it.
pub(crate) fn retire(tail: &AtomicU64, to: u64) {
    tail.store(to, Ordering::Relaxed);
    fence(Ordering::Release);
}

/// Reader: whether all that was copied from `pos` on was whole (SYNC POINT: lap, the Acquire side).
pub(crate) fn intact(tail: &AtomicU64, pos: u64) -> bool {
    fence(Ordering::Acquire);
    tail.load(Ordering::Relaxed) <= pos
}

/// Writer, under the lock: everything before `to` is complete.
///
/// SYNC POINT: publish. Pairs with the Acquire load in [`published`]. The same pair is used for the head of the bus and for
/// each port's "position behind the newest wanted record".
pub(crate) fn publish(word: &AtomicU64, to: u64) {
    word.store(to, Ordering::Release);
}

/// Reader: up to where records are complete (SYNC POINT: publish, the Acquire side).
pub(crate) fn published(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}

/// Announces a sleeper by storing `token` (not 0), then looks again: true = nothing came, sleep.
///
/// SYNC POINT: doze. This SeqCst fence, between the token and the second look, pairs with the one in [`announce`], between the news
/// and the look at the token: at least one side sees the other (Dekker).
pub(crate) fn doze(flag: &AtomicU32, token: u32, news: impl FnOnce() -> bool) -> bool {
    let sleeps = hold_up(flag, token, news);
    if !sleeps {
        awake(flag);
    }
    sleeps
}

/// As [`doze`], but the token stays whatever comes: for a word that several wait on, where taking one's own back might take another's. The worst
/// is a ring too many.
pub(crate) fn hold_up(flag: &AtomicU32, token: u32, news: impl FnOnce() -> bool) -> bool {
    flag.store(token, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    !news()
}

/// The sleeper is awake: nobody needs to ring.
///
/// SYNC POINT: rung. An exchange and not a store: it pairs with the Release of a [`rung`] that came before it, so that the zero of the old token
/// is never read after the next token was stored.
pub(crate) fn awake(flag: &AtomicU32) {
    flag.swap(0, Ordering::Acquire);
}

/// After the news is stored and before the first [`dozing`] (SYNC POINT: doze, the other side).
pub(crate) fn announce() {
    fence(Ordering::SeqCst);
}

/// The token of a sleeper, if there is one. Whoever gets it rings first and calls [`rung`] then: killed in between, the worst is
/// that the next one rings once more. The other order would lose the wake-up for ever.
pub(crate) fn dozing(flag: &AtomicU32) -> Option<u32> {
    match flag.load(Ordering::Relaxed) {
        0 => None,
        token => Some(token),
    }
}

/// The sleeper with this token has been rung. One that woke and sleeps again has another token and is left alone
/// (SYNC POINT: rung, the Release side).
pub(crate) fn rung(flag: &AtomicU32, token: u32) {
    let _ = flag.compare_exchange(token, 0, Ordering::Release, Ordering::Relaxed);
}

#[cfg(all(loom, test))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// A ring of two records of one word each: word = the position's number + 1.
    struct Ring {
        head: AtomicU64,
        tail: AtomicU64,
        data: [AtomicU64; 2],
    }

    impl Ring {
        fn new() -> Ring {
            Ring {
                head: AtomicU64::new(0),
                tail: AtomicU64::new(0),
                data: [AtomicU64::new(0), AtomicU64::new(0)],
            }
        }
        fn write(&self, pos: u64) {
            if pos >= 2 {
                retire(&self.tail, pos - 1);
            }
            self.data[(pos % 2) as usize].store(pos + 1, Ordering::Relaxed);
            publish(&self.head, pos + 1);
        }
    }

    #[test]
    fn a_reader_gets_each_record_whole_or_knows_that_it_was_overrun() {
        loom::model(|| {
            let ring = Arc::new(Ring::new());
            let writer = {
                let ring = ring.clone();
                thread::spawn(move || (0..4).for_each(|pos| ring.write(pos)))
            };
            let mut cursor = 0;
            for _ in 0..3 {
                if published(&ring.head) <= cursor {
                    thread::yield_now();
                    continue;
                }
                let word = ring.data[(cursor % 2) as usize].load(Ordering::Relaxed);
                if intact(&ring.tail, cursor) {
                    assert_eq!(word, cursor + 1, "a torn record passed for a whole one");
                    cursor += 1;
                } else {
                    cursor = ring.tail.load(Ordering::Relaxed);
                }
            }
            writer.join().unwrap();
        });
    }

    /// Doorbell: an octet stays in the FIFO until it is taken.
    #[test]
    fn a_sleeper_is_rung_for_news_that_it_did_not_see() {
        // Three preemptions reach every order of two writers' four steps against a sleeper's; unbounded it runs for hours.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let news = Arc::new(AtomicU64::new(0));
            let flag = Arc::new(AtomicU32::new(0));
            let bell = Arc::new(AtomicU64::new(0));
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let (news, flag, bell) = (news.clone(), flag.clone(), bell.clone());
                    thread::spawn(move || {
                        news.fetch_add(1, Ordering::Release);
                        announce();
                        if let Some(token) = dozing(&flag) {
                            bell.fetch_add(1, Ordering::AcqRel);
                            rung(&flag, token);
                        }
                    })
                })
                .collect();
            let mut seen = 0;
            let mut asleep = false;
            for token in 1..3 {
                seen = published(&news);
                asleep = doze(&flag, token, || published(&news) != seen);
                if asleep {
                    // Woken at once if a bell is there already.
                    if bell.swap(0, Ordering::AcqRel) == 0 {
                        break;
                    }
                    asleep = false;
                    awake(&flag);
                }
            }
            writers.into_iter().for_each(|w| w.join().unwrap());
            if asleep {
                let late = news.load(Ordering::Acquire) != seen;
                assert!(!late || bell.load(Ordering::Acquire) > 0, "asleep, news, and nobody rang");
            }
        });
    }

    /// The same pair the other way round: a writer waits for room, a reader moves its cursor.
    #[test]
    fn a_writer_that_waits_for_room_is_rung() {
        loom::model(|| {
            let cursor = Arc::new(AtomicU64::new(0));
            let held = Arc::new(AtomicU32::new(0));
            let bell = Arc::new(AtomicU64::new(0));
            let reader = {
                let (cursor, held, bell) = (cursor.clone(), held.clone(), bell.clone());
                thread::spawn(move || {
                    publish(&cursor, 1);
                    announce();
                    if let Some(token) = dozing(&held) {
                        bell.store(1, Ordering::Release);
                        rung(&held, token);
                    }
                })
            };
            let waits = published(&cursor) == 0 && hold_up(&held, 1, || published(&cursor) != 0);
            reader.join().unwrap();
            assert!(!waits || bell.load(Ordering::Acquire) == 1);
        });
    }
}
