//! The retransmission queue: what was sent and is not acknowledged, segment by segment, with the
//! time of each (RFC 6298 §5; the records that RACK, RFC 8985, needs).
//!
//! The octets stay in the send buffer; a record is a range of sequence numbers, SYN and FIN
//! included.

use super::seq::SeqNum;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// One segment in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    /// When it was sent last.
    at: Instant,
    /// Whether that was not the first time: no measurement can be made of it (Karn).
    retransmitted: bool,
    /// Taken for lost, and not sent again since.
    lost: bool,
}

/// What an acknowledgment took from the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acked {
    /// Time of flight of the newest segment that was sent only once.
    pub(crate) rtt: Option<Duration>,
}

/// The queue, in the order of sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct RtxQueue {
    queue: VecDeque<Sent>,
    /// Octets of records that are `lost`.
    lost: u32,
}

impl RtxQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Octets taken for lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    /// When the oldest segment was sent last.
    pub(crate) fn head_sent(&self) -> Option<Instant> {
        self.queue.front().map(|s| s.at)
    }

    /// Records a segment sent for the first time.
    pub(crate) fn push(&mut self, start: SeqNum, end: SeqNum, now: Instant) {
        self.queue.push_back(Sent { start, end, at: now, retransmitted: false, lost: false });
    }

    /// Everything before `una` has arrived.
    pub(crate) fn ack(&mut self, una: SeqNum, now: Instant) -> Acked {
        let mut acked = Acked::default();
        while let Some(head) = self.queue.front_mut() {
            if head.end.le(una) {
                if !head.retransmitted {
                    acked.rtt = Some(now.since(head.at));
                }
                if head.lost {
                    self.lost -= head.end.since(head.start);
                }
                self.queue.pop_front();
            } else {
                if head.start.lt(una) {
                    if head.lost {
                        self.lost -= una.since(head.start);
                    }
                    head.start = una;
                }
                break;
            }
        }
        acked
    }

    /// Takes the oldest segment for lost.
    pub(crate) fn mark_head_lost(&mut self) {
        if let Some(head) = self.queue.front_mut()
            && !head.lost
        {
            head.lost = true;
            self.lost += head.end.since(head.start);
        }
    }

    /// Takes everything for lost (RFC 6298 §5.4 with RFC 5681's loss window).
    pub(crate) fn mark_all_lost(&mut self) {
        self.lost = 0;
        for s in &mut self.queue {
            s.lost = true;
            self.lost += s.end.since(s.start);
        }
    }

    /// Takes for lost what is longer than `mss`: it met a link that is too small for it.
    pub(crate) fn mark_longer_lost(&mut self, mss: u32) {
        for s in self.queue.iter_mut().filter(|s| !s.lost && s.end.since(s.start) > mss) {
            s.lost = true;
            self.lost += s.end.since(s.start);
        }
    }

    /// The first segment taken for lost; at most `mss` sequence numbers of it (the rest becomes a
    /// record of its own). The caller sends it and calls [`RtxQueue::sent_again`].
    pub(crate) fn next_lost(&mut self, mss: u32) -> Option<Sent> {
        if self.lost == 0 {
            return None;
        }
        let at = self.queue.iter().position(|s| s.lost)?;
        self.split(at, mss);
        Some(self.queue[at])
    }

    /// The record that begins at `start` was sent again.
    pub(crate) fn sent_again(&mut self, start: SeqNum, now: Instant) {
        let at = self.queue.partition_point(|s| s.start.lt(start));
        if let Some(s) = self.queue.get_mut(at)
            && s.start == start
        {
            if s.lost {
                self.lost -= s.end.since(s.start);
            }
            (s.lost, s.retransmitted, s.at) = (false, true, now);
        }
    }

    fn split(&mut self, at: usize, mss: u32) {
        let Some(s) = self.queue.get_mut(at) else { return };
        if s.end.since(s.start) > mss {
            let mut rest = *s;
            s.end = s.start + mss;
            rest.start = s.end;
            self.queue.insert(at + 1, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn karn_measures_only_what_was_sent_once() {
        let (mut q, t) = (RtxQueue::default(), Instant::from_millis);
        q.push(SeqNum(0), SeqNum(100), t(0));
        q.push(SeqNum(100), SeqNum(200), t(1));
        q.mark_head_lost();
        assert_eq!((q.lost(), q.next_lost(100).map(|s| s.start)), (100, Some(SeqNum(0))));
        q.sent_again(SeqNum(0), t(5));
        assert_eq!((q.lost(), q.next_lost(100).map(|s| s.start)), (0, None));
        assert_eq!(q.ack(SeqNum(100), t(9)).rtt, None);
        assert_eq!(q.ack(SeqNum(200), t(9)).rtt, Some(Duration::from_millis(8)));
        assert!(q.is_empty());
    }

    #[test]
    fn segments_too_long_for_the_path_are_cut() {
        let mut q = RtxQueue::default();
        q.push(SeqNum(0), SeqNum(1000), Instant::ZERO);
        q.push(SeqNum(1000), SeqNum(1400), Instant::ZERO);
        q.mark_longer_lost(400);
        let mut sent = Vec::new();
        while let Some(s) = q.next_lost(400) {
            sent.push((s.start.0, s.end.0));
            q.sent_again(s.start, Instant::ZERO);
        }
        assert_eq!(sent, [(0, 400), (400, 800), (800, 1000)]);
        q.mark_all_lost();
        assert_eq!(q.lost(), 1400);
        q.ack(SeqNum(500), Instant::ZERO);
        assert_eq!(q.lost(), 900);
    }
}
