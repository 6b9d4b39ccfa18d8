//! Selective acknowledgments, the receiver's side: RFC 2018 §3, §4 (which blocks), RFC 2883 (a duplicate
//! is reported in the first block, D-SACK). What the sender makes of them is told in `rtx` and `rack`.

use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::wire::tcp::SackBlocks;

/// Blocks that a header has room for, beside timestamps and without them.
const BLOCKS: (usize, usize) = (3, 4);
/// Octets of the option with `n` blocks, NOPs included.
fn option_len(n: usize) -> usize {
    4 + 8 * n
}

impl Tcb {
    /// `start..end` came a second time: the next acknowledgment says so.
    pub(super) fn report_duplicate(&mut self, start: SeqNum, end: SeqNum) {
        if self.sack && start.lt(end) {
            self.dsack = Some((start, end));
        }
    }

    /// The blocks of the next acknowledgment, as many as fit into `room` octets of options.
    pub(super) fn sack_blocks(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        if !self.sack || (self.dsack.is_none() && self.reass.is_empty()) {
            return blocks;
        }
        let most = if self.timestamps { BLOCKS.0 } else { BLOCKS.1 };
        let most = (1..=most).take_while(|&n| option_len(n) <= room).count();
        if most == 0 {
            return blocks;
        }
        let dsack = self.dsack.take();
        if let Some((start, end)) = dsack {
            blocks.push(start.0, end.0);
        }
        for (start, end) in self.reass.latest::<{ BLOCKS.1 }>(most - usize::from(dsack.is_some())) {
            blocks.push(start.0, end.0);
        }
        blocks
    }
}
