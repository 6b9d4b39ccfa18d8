//! Who is to be woken when.
//!
//! A node stands in it at most once, at the earliest time that was asked for. At the same time the order is that of asking.

use super::NodeId;
use netstack::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// All that is to come.
#[derive(Debug, Default)]
pub struct Agenda {
    /// Time, number of the request, node. Those that are not in `next` have been overtaken.
    heap: BinaryHeap<Reverse<(Instant, u64, NodeId)>>,
    /// What holds for each node.
    next: Vec<Option<(Instant, u64)>>,
    requests: u64,
}

impl Agenda {
    /// The node is to be woken then, if not earlier.
    pub fn wake(&mut self, node: NodeId, at: Instant) {
        if self.next.len() <= node.0 {
            self.next.resize(node.0 + 1, None);
        }
        if self.next[node.0].is_none_or(|(before, _)| at < before) {
            self.requests += 1;
            self.next[node.0] = Some((at, self.requests));
            self.heap.push(Reverse((at, self.requests, node)));
        }
    }

    /// The node is not to be woken.
    pub fn forget(&mut self, node: NodeId) {
        if let Some(next) = self.next.get_mut(node.0) {
            *next = None;
        }
    }

    /// The time of the first one.
    pub fn first(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, request, node))) = self.heap.peek() {
            if self.next[node.0] == Some((at, request)) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// All of them, in their order.
    pub fn all(&self) -> Vec<(Instant, NodeId)> {
        let entries =
            self.next.iter().enumerate().filter_map(|(n, entry)| entry.map(|entry| (entry, NodeId(n))));
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        entries.into_iter().map(|((at, _), node)| (at, node)).collect()
    }

    /// Takes the first one.
    pub fn pop(&mut self) -> Option<(Instant, NodeId)> {
        self.first()?;
        let Reverse((at, _, node)) = self.heap.pop()?;
        self.next[node.0] = None;
        Some((at, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_holds_and_equals_come_in_the_order_of_asking() {
        let mut agenda = Agenda::default();
        let at = Instant::from_nanos;
        for (node, time) in [(0, 50), (1, 30), (0, 20), (2, 20), (1, 40), (3, 10)] {
            agenda.wake(NodeId(node), at(time));
        }
        agenda.forget(NodeId(3));
        assert_eq!(
            agenda.all().iter().map(|(at, node)| (at.as_nanos(), node.0)).collect::<Vec<_>>(),
            [(20, 0), (20, 2), (30, 1)]
        );
        assert_eq!(agenda.first(), Some(at(20)));
        let order: Vec<_> =
            std::iter::from_fn(|| agenda.pop()).map(|(at, node)| (at.as_nanos(), node.0)).collect();
        assert_eq!(order, [(20, 0), (20, 2), (30, 1)]);
        assert_eq!(agenda.first(), None);
    }
}
