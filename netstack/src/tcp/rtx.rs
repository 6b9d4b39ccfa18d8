//! The retransmission queue: what was sent and is not acknowledged, segment by segment, with the
//! time of each (RFC 6298 §5), and what is known of each: the scoreboard of RFC 6675 §3, with the
//! records of RFC 8985 §5.
//!
//! The octets stay in the send buffer; a record is a range of sequence numbers, SYN and FIN
//! included.

use super::rack::sent_after;
use super::rate::Stamp;
use super::seq::SeqNum;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// One segment in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    /// When it was sent last.
    pub(super) at: Instant,
    /// Whether that was not the first time: no measurement can be made of it (Karn).
    pub(super) retransmitted: bool,
    /// Taken for lost, and not sent again since.
    lost: bool,
    /// Was taken for lost, and may still be.
    mended: bool,
    /// Has arrived, says a selective acknowledgment.
    sacked: bool,
    /// What was sent behind it did not leave together with it.
    ends_train: bool,
    /// What was known of the path then.
    pub(super) stamp: Stamp,
}

impl Sent {
    fn len(&self) -> u32 {
        self.end.since(self.start)
    }
}

/// What an acknowledgment says has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acked {
    /// Octets of which no acknowledgment had said so before (RFC 9937's DeliveredData).
    pub(crate) octets: u32,
    /// Segments of these.
    pub(crate) segments: u32,
    /// Time of flight of the newest segment that was sent only once.
    pub(crate) rtt: Option<Duration>,
    /// The end of the first segment that was sent only once.
    pub(crate) original: Option<SeqNum>,
}

impl Acked {
    fn add(&mut self, sent: &Sent, now: Instant) {
        self.octets += sent.len();
        self.segments += 1;
        if !sent.retransmitted {
            self.rtt = Some(now.since(sent.at));
            self.original.get_or_insert(sent.end);
        }
    }
}

/// Segments in flight, by what is known of them: `struct tcp_info` counts so. SYN and FIN included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Sent and not acknowledged.
    pub unacked: u32,
    /// Of these, arrived beyond a hole.
    pub sacked: u32,
    /// Taken for lost, whether sent again since or not, and not known to have arrived.
    pub lost: u32,
    /// Sent again, and not known to have arrived or to be lost again.
    pub retransmitted: u32,
}

/// The queue, in the order of sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct RtxQueue {
    queue: VecDeque<Sent>,
    /// Octets of records that are `lost`.
    lost: u32,
    /// Octets and number of records that are `sacked`.
    sacked: (u32, u32),
}

impl RtxQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Octets taken for lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    /// Octets that have arrived beyond a hole.
    pub(crate) fn sacked(&self) -> u32 {
        self.sacked.0
    }

    /// Segments of these.
    pub(crate) fn sacked_segments(&self) -> u32 {
        self.sacked.1
    }

    /// All of them, counted; looks at each.
    pub(crate) fn segments(&self) -> Segments {
        let mut segments = Segments::default();
        for sent in &self.queue {
            segments.unacked += 1;
            segments.sacked += u32::from(sent.sacked);
            segments.lost += u32::from(sent.lost || (sent.mended && !sent.sacked));
            segments.retransmitted += u32::from(sent.retransmitted && !sent.sacked && !sent.lost);
        }
        segments
    }

    /// Whether anything that is not known to have arrived was sent more than once.
    pub(crate) fn any_retransmitted(&self) -> bool {
        self.queue.iter().any(|s| s.retransmitted && !s.sacked)
    }

    /// When the oldest segment was sent last.
    pub(crate) fn head_sent(&self) -> Option<Instant> {
        self.queue.front().map(|s| s.at)
    }

    /// Numbers of the oldest segment.
    pub(crate) fn head_len(&self) -> u32 {
        self.queue.front().map_or(0, Sent::len)
    }

    /// Records a segment sent for the first time.
    pub(crate) fn push(&mut self, start: SeqNum, end: SeqNum, now: Instant, stamp: Stamp) {
        if self.queue.capacity() == 0 {
            // The SYN: of connections that then lie idle it remains the only one.
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(Sent {
            start,
            end,
            at: now,
            retransmitted: false,
            lost: false,
            mended: false,
            sacked: false,
            ends_train: false,
            stamp,
        });
    }

    /// Everything before `una` has arrived. `each` is told of the segments of which that is news.
    pub(crate) fn ack(&mut self, una: SeqNum, now: Instant, mut each: impl FnMut(&Sent)) -> Acked {
        let mut acked = Acked::default();
        let mut retransmitted = false;
        while let Some(head) = self.queue.front_mut() {
            if head.end.le(una) {
                retransmitted |= head.retransmitted;
                if head.lost {
                    self.lost -= head.len();
                }
                if head.sacked {
                    self.sacked = (self.sacked.0 - head.len(), self.sacked.1 - 1);
                } else {
                    acked.add(head, now);
                    each(head);
                }
                self.queue.pop_front();
            } else {
                if head.start.lt(una) {
                    let part = una.since(head.start);
                    if head.lost {
                        self.lost -= part;
                    }
                    if head.sacked {
                        self.sacked.0 -= part;
                    } else {
                        acked.octets += part;
                    }
                    head.start = una;
                }
                break;
            }
        }
        if retransmitted {
            // Those that were sent once may have waited behind it (Karn).
            acked.rtt = None;
        }
        acked
    }

    /// `left..right` has arrived (RFC 2018 §5). A segment of which only a part lies there has not: nobody should be able to cut
    /// the queue into crumbs.
    pub(crate) fn sack(
        &mut self,
        (left, right): (SeqNum, SeqNum),
        now: Instant,
        acked: &mut Acked,
        mut each: impl FnMut(&Sent),
    ) {
        let first = self.queue.partition_point(|s| s.start.lt(left));
        for s in self.queue.range_mut(first..).take_while(|s| s.end.le(right)) {
            if s.sacked {
                continue;
            }
            if s.lost {
                s.lost = false;
                self.lost -= s.len();
            }
            s.sacked = true;
            self.sacked = (self.sacked.0 + s.len(), self.sacked.1 + 1);
            acked.add(s, now);
            each(s);
        }
    }

    /// Of what the D-SACK `left..right` says has come twice: the first segment that had arrived and was sent again, so
    /// that it was its original that came first, later than others.
    pub(crate) fn copy_of_arrived(&self, (left, right): (SeqNum, SeqNum)) -> Option<SeqNum> {
        let first = self.queue.partition_point(|s| s.start.lt(left));
        let mut within = self.queue.range(first..).take_while(|s| s.end.le(right));
        within.find(|s| s.sacked && s.retransmitted).map(|s| s.start)
    }

    /// RACK_detect_loss (RFC 8985 §6.2, step 5): a segment sent before `newest` is lost when it has been under way for `patience`.
    /// Returns when the last of those that are not will be.
    pub(crate) fn mark_lost_before(
        &mut self,
        now: Instant,
        newest: (Instant, SeqNum),
        patience: Duration,
    ) -> Option<Instant> {
        let mut next = None;
        for s in &mut self.queue {
            if s.sacked || s.lost {
                continue;
            }
            if !sent_after(newest, (s.at, s.end)) {
                if s.retransmitted {
                    continue;
                }
                // Those behind it that were sent once were sent later.
                break;
            }
            let due = s.at + patience;
            if due <= now {
                s.lost = true;
                self.lost += s.len();
            } else {
                next = next.max(Some(due));
            }
        }
        next
    }

    /// Takes the oldest segment for lost.
    pub(crate) fn mark_head_lost(&mut self) {
        if let Some(head) = self.queue.front_mut()
            && !head.lost
        {
            head.lost = true;
            self.lost += head.len();
        }
    }

    /// Takes everything for lost that has not arrived (RFC 6298 §5.4 with RFC 5681's loss window).
    pub(crate) fn mark_all_lost(&mut self) {
        self.mark_lost_on_timeout(Instant::ZERO, None);
    }

    /// The same for the oldest segment, and for those that were sent `patience` ago or earlier (RFC 8985 §6.3).
    pub(crate) fn mark_lost_on_timeout(&mut self, now: Instant, patience: Option<Duration>) {
        // RFC 2018 §8: a receiver that has the oldest and does not acknowledge it has thrown it away, and may have all.
        let reneged = self.queue.front().is_some_and(|head| head.sacked);
        if reneged {
            self.sacked = (0, 0);
        }
        let (mut oldest, mut lost) = (true, 0);
        for s in &mut self.queue {
            let recent = !oldest && !reneged && patience.is_some_and(|patience| s.at + patience > now);
            oldest = false;
            s.sacked &= !reneged;
            s.lost = !s.sacked && (s.lost || !recent);
            if s.lost {
                lost += s.len();
            }
        }
        self.lost = lost;
    }

    /// Nothing was lost after all.
    pub(crate) fn unmark_lost(&mut self) {
        self.lost = 0;
        self.queue.iter_mut().for_each(|s| (s.lost, s.mended) = (false, false));
    }

    /// The last segment that has not arrived, at most `mss` of it.
    pub(crate) fn last(&mut self, mss: u32) -> Option<(SeqNum, SeqNum)> {
        let at = self.queue.iter().rposition(|s| !s.sacked)?;
        self.split(at, mss);
        Some((self.queue[at].start, self.queue[at].end))
    }

    /// Takes for lost what is longer than `mss`: it met a link that is too small for it.
    pub(crate) fn mark_longer_lost(&mut self, mss: u32) {
        for s in self.queue.iter_mut().filter(|s| !s.lost && !s.sacked && s.len() > mss) {
            s.lost = true;
            self.lost += s.len();
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

    /// What is sent next does not leave together with what was recorded last.
    pub(crate) fn end_train(&mut self) {
        if let Some(last) = self.queue.back_mut() {
            last.ends_train = true;
        }
    }

    /// Of the lost records that had left together, those from the one that begins at `start` on, `most` of them: where they
    /// end, and how many they are.
    pub(crate) fn lost_train(&self, start: SeqNum, most: usize) -> (SeqNum, usize) {
        let at = self.queue.partition_point(|s| s.start.lt(start));
        let (mut end, mut count) = (start, 0);
        for sent in self.queue.iter().skip(at).take(most).take_while(|s| s.lost) {
            (end, count) = (sent.end, count + 1);
            if sent.ends_train {
                break;
            }
        }
        (end, count)
    }

    /// The record that begins at `start` was sent again.
    pub(crate) fn sent_again(&mut self, start: SeqNum, now: Instant, stamp: Stamp) {
        let at = self.queue.partition_point(|s| s.start.lt(start));
        if let Some(s) = self.queue.get_mut(at)
            && s.start == start
        {
            if s.lost {
                self.lost -= s.len();
                s.mended = true;
            }
            (s.lost, s.retransmitted, s.at, s.stamp) = (false, true, now, stamp);
        }
    }

    fn split(&mut self, at: usize, mss: u32) {
        let Some(s) = self.queue.get_mut(at) else { return };
        if s.len() > mss {
            let mut rest = *s;
            s.end = s.start + mss;
            rest.start = s.end;
            s.ends_train = false;
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
        q.push(SeqNum(0), SeqNum(100), t(0), Stamp::default());
        q.push(SeqNum(100), SeqNum(200), t(1), Stamp::default());
        q.mark_head_lost();
        assert_eq!((q.lost(), q.next_lost(100).map(|s| s.start)), (100, Some(SeqNum(0))));
        q.sent_again(SeqNum(0), t(5), Stamp::default());
        assert_eq!((q.lost(), q.next_lost(100).map(|s| s.start)), (0, None));
        assert_eq!(q.ack(SeqNum(100), t(9), |_| {}).rtt, None);
        assert_eq!(q.ack(SeqNum(200), t(9), |_| {}).rtt, Some(Duration::from_millis(8)));
        assert!(q.is_empty());
    }

    #[test]
    fn segments_too_long_for_the_path_are_cut() {
        let mut q = RtxQueue::default();
        q.push(SeqNum(0), SeqNum(1000), Instant::ZERO, Stamp::default());
        q.push(SeqNum(1000), SeqNum(1400), Instant::ZERO, Stamp::default());
        q.mark_longer_lost(400);
        let mut sent = Vec::new();
        while let Some(s) = q.next_lost(400) {
            sent.push((s.start.0, s.end.0));
            q.sent_again(s.start, Instant::ZERO, Stamp::default());
        }
        assert_eq!(sent, [(0, 400), (400, 800), (800, 1000)]);
        q.mark_all_lost();
        assert_eq!(q.lost(), 1400);
        q.ack(SeqNum(500), Instant::ZERO, |_| {});
        assert_eq!(q.lost(), 900);
    }
}
