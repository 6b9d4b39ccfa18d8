//! Data that came before its turn: RFC 9293 §3.4, §3.10.7.4 (seventh).
//!
//! The octets lie in the receive buffer already, at their place; this is the list of the ranges
//! that are filled. What is there first stays (a later copy that differs cannot change it), and
//! the number of ranges is bounded. The blocks of selective acknowledgments are made from it.

use super::seq::SeqNum;

/// One range: its first number, the one after its last, and when it last grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: SeqNum,
    end: SeqNum,
    touched: u64,
}

/// Ranges of sequence numbers beyond `rcv_nxt`, in order, apart from each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    ranges: Vec<Range>,
    /// Segments taken so far: the clock of `touched`.
    clock: u64,
}

/// The list is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Reassembly {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The `n` ranges that grew last, the latest first (RFC 2018 §4).
    pub(crate) fn latest<const N: usize>(&self, n: usize) -> impl Iterator<Item = (SeqNum, SeqNum)> {
        let mut found: [Option<Range>; N] = [None; N];
        for &range in &self.ranges {
            let at = found.iter().position(|f| f.is_none_or(|f| f.touched < range.touched));
            if let Some(at) = at {
                found[at..].rotate_right(1);
                found[at] = Some(range);
            }
        }
        found.into_iter().flatten().take(n).map(|range| (range.start, range.end))
    }

    /// The first part of `start..end` that is filled.
    pub(crate) fn known(&self, start: SeqNum, end: SeqNum) -> Option<(SeqNum, SeqNum)> {
        let range = self.ranges.get(self.ranges.partition_point(|r| r.end.le(start)))?;
        range.start.lt(end).then(|| (range.start.latest(start), range.end.earliest(end)))
    }

    pub(crate) fn clear(&mut self) {
        self.ranges = Vec::new();
    }

    /// Marks `start..end` as filled and calls `fill` for each part of it that was not. All numbers
    /// lie in one window.
    pub(crate) fn insert(
        &mut self,
        start: SeqNum,
        end: SeqNum,
        limit: usize,
        mut fill: impl FnMut(SeqNum, SeqNum),
    ) -> Result<(), Full> {
        if !start.lt(end) {
            return Ok(());
        }
        // Those that touch or overlap: from the first that does not end before `start` to the last
        // that does not begin after `end`.
        let first = self.ranges.partition_point(|r| r.end.lt(start));
        let last = self.ranges.partition_point(|r| r.start.le(end));
        if first == last && self.ranges.len() >= limit {
            return Err(Full);
        }
        let mut at = start;
        self.clock += 1;
        let mut merged = Range { start, end, touched: self.clock };
        for range in &self.ranges[first..last] {
            if at.lt(range.start) {
                fill(at, range.start.earliest(end));
            }
            at = at.latest(range.end);
            (merged.start, merged.end) = (merged.start.earliest(range.start), merged.end.latest(range.end));
        }
        if at.lt(end) {
            fill(at, end);
        }
        self.ranges.splice(first..last, [merged]);
        Ok(())
    }

    /// The stream has reached `rcv_nxt`: returns how far it goes on without a hole, and forgets
    /// what lies before.
    pub(crate) fn advance(&mut self, rcv_nxt: SeqNum) -> SeqNum {
        let reached = self.ranges.partition_point(|r| r.start.le(rcv_nxt));
        let end = self.ranges[..reached].iter().fold(rcv_nxt, |at, r| at.latest(r.end));
        self.ranges.drain(..reached);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a model: one flag an octet.
        #[test]
        fn equals_a_bitmap(base: u32, ops in prop::collection::vec((1u32..400, 1u32..60), 1..60)) {
            let base = SeqNum(base);
            let (mut r, mut filled) = (Reassembly::default(), [false; 512]);
            for (start, len) in ops {
                let mut new = Vec::new();
                r.insert(base + start, base + start + len, 1000, |a, b| new.push((a.since(base), b.since(base)))).unwrap();
                for (a, b) in new {
                    for at in a..b {
                        prop_assert!(!std::mem::replace(&mut filled[at as usize], true), "filled twice");
                    }
                }
                prop_assert!(filled[start as usize..(start + len) as usize].iter().all(|f| *f));
                let model: usize = filled.iter().filter(|f| **f).count();
                let ours: u32 = r.ranges.iter().map(|range| range.end.since(range.start)).sum();
                prop_assert_eq!(model, ours as usize);
                prop_assert!(r.ranges.windows(2).all(|w| w[0].end.lt(w[1].start)), "ranges stand apart");
                let (latest, _) = r.latest::<4>(4).next().expect("a range");
                prop_assert!(latest.le(base + start) && r.latest::<4>(4).count() == r.ranges.len().min(4));
            }
            let run = filled[1..].iter().take_while(|f| **f).count() as u32;
            prop_assert_eq!(r.advance(base + 1), base + 1 + run);
        }
    }

    #[test]
    fn the_number_of_ranges_is_bounded_but_known_ones_grow() {
        let mut r = Reassembly::default();
        for i in 0..4 {
            assert_eq!(r.insert(SeqNum(i * 10), SeqNum(i * 10 + 5), 4, |_, _| {}), Ok(()));
        }
        assert_eq!(r.insert(SeqNum(100), SeqNum(105), 4, |_, _| {}), Err(Full));
        assert_eq!(r.insert(SeqNum(5), SeqNum(10), 4, |_, _| {}), Ok(()));
        assert_eq!(r.ranges.len(), 3);
        let latest: Vec<_> = r.latest::<4>(2).map(|(a, b)| (a.0, b.0)).collect();
        assert_eq!(latest, [(0, 15), (30, 35)]);
    }
}
