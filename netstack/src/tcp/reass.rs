//! Data that came before its turn: RFC 9293 §3.4, §3.10.7.4 (seventh).
//!
//! The octets lie in the receive buffer already, at their place; this is the list of the ranges
//! that are filled. What is there first stays (a later copy that differs cannot change it), and
//! the number of ranges is bounded. RFC 2018's blocks will be made from it.

use super::seq::SeqNum;

/// Ranges of sequence numbers beyond `rcv_nxt`, in order, apart from each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reassembly {
    ranges: Vec<(SeqNum, SeqNum)>,
}

/// The list is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Reassembly {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, in order.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> &[(SeqNum, SeqNum)] {
        &self.ranges
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
        let first = self.ranges.partition_point(|r| r.1.lt(start));
        let last = self.ranges.partition_point(|r| r.0.le(end));
        if first == last && self.ranges.len() >= limit {
            return Err(Full);
        }
        let mut at = start;
        let mut merged = (start, end);
        for &(left, right) in &self.ranges[first..last] {
            if at.lt(left) {
                fill(at, left.earliest(end));
            }
            at = at.latest(right);
            merged = (merged.0.earliest(left), merged.1.latest(right));
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
        let reached = self.ranges.partition_point(|r| r.0.le(rcv_nxt));
        let end = self.ranges[..reached].iter().fold(rcv_nxt, |at, r| at.latest(r.1));
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
                let ours: u32 = r.ranges().iter().map(|(a, b)| b.since(*a)).sum();
                prop_assert_eq!(model, ours as usize);
                prop_assert!(r.ranges().windows(2).all(|w| w[0].1.lt(w[1].0)), "ranges stand apart");
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
        assert_eq!(r.ranges().len(), 3);
    }
}
