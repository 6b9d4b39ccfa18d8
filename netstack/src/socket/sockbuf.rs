//! Send and receive buffers of a stream: rings of octets that grow to their limit (BSD's `sockbuf`).
//!
//! A payload is copied once: from the program into the ring when sending, from the packet into the
//! ring when receiving, or not at all if it is large. Memory is taken when octets come, not when the
//! socket is made.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Octets in a ring. Grows by doubling; what limits it is its user's affair.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Length is zero or a power of two.
    buf: Vec<u8>,
    /// Where the first octet lies.
    head: usize,
}

impl Ring {
    const LEAST: usize = 4096;
    /// An empty ring above this many octets is worth giving back when nobody uses it.
    const LARGE: usize = 16 << 10;

    fn at(&self, offset: usize) -> usize {
        (self.head + offset) & (self.buf.len() - 1)
    }

    /// Room for `need` octets from the head on, of which the first `used` are kept.
    fn reserve(&mut self, used: usize, need: usize) {
        if need <= self.buf.len() {
            return;
        }
        let mut grown = vec![0; need.next_power_of_two().max(Self::LEAST)];
        if used > 0 {
            let (a, b) = self.slices(0, used);
            grown[..a.len()].copy_from_slice(a);
            grown[a.len()..used].copy_from_slice(b);
        }
        (self.buf, self.head) = (grown, 0);
    }

    /// `len` octets at `offset`, in one or two pieces. The ring is not empty.
    fn slices(&self, offset: usize, len: usize) -> (&[u8], &[u8]) {
        if len == 0 {
            return (&[], &[]);
        }
        let start = self.at(offset);
        let first = len.min(self.buf.len() - start);
        (&self.buf[start..start + first], &self.buf[..len - first])
    }

    /// The same, to be written.
    fn slices_mut(&mut self, offset: usize, len: usize) -> (&mut [u8], &mut [u8]) {
        if len == 0 {
            return (&mut [], &mut []);
        }
        let start = self.at(offset);
        let first = len.min(self.buf.len() - start);
        let (before, behind) = self.buf.split_at_mut(start);
        (&mut behind[..first], &mut before[..len - first])
    }

    fn write(&mut self, offset: usize, octets: &[u8]) {
        let (a, b) = self.slices_mut(offset, octets.len());
        let (first, rest) = octets.split_at(a.len());
        a.copy_from_slice(first);
        b.copy_from_slice(rest);
    }

    fn skip(&mut self, n: usize) {
        if n > 0 {
            self.head = self.at(n);
        }
    }
}

/// Octets on their way out: from the oldest that is not acknowledged to the newest written.
#[derive(Clone, Debug, Default)]
pub struct SendBuf {
    ring: Ring,
    len: usize,
    /// Octets it may hold.
    pub limit: usize,
}

impl SendBuf {
    /// An empty buffer of at most `limit` octets.
    pub fn new(limit: usize) -> SendBuf {
        SendBuf { ring: Ring::default(), len: 0, limit }
    }

    /// Octets in the buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets that may still be written.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.len)
    }

    /// Appends what fits; returns how much that was.
    pub fn push(&mut self, octets: &[u8]) -> usize {
        let n = octets.len().min(self.room());
        self.ring.reserve(self.len, self.len + n);
        self.ring.write(self.len, &octets[..n]);
        self.len += n;
        n
    }

    /// Appends what `fill` puts into room for at most `most` octets, in one or two pieces: it says how much that is.
    pub fn fill(&mut self, most: usize, fill: impl FnOnce(&mut [u8], &mut [u8]) -> usize) -> usize {
        let most = most.min(self.room());
        if most == 0 {
            return 0;
        }
        self.ring.reserve(self.len, self.len + most);
        let (a, b) = self.ring.slices_mut(self.len, most);
        let n = fill(a, b).min(most);
        self.len += n;
        n
    }

    /// `len` octets from `offset` on, in one or two pieces; less if there are less.
    pub fn slices(&self, offset: usize, len: usize) -> (&[u8], &[u8]) {
        let offset = offset.min(self.len);
        self.ring.slices(offset, len.min(self.len - offset))
    }

    /// Forgets the first `n` octets.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        self.ring.skip(n);
        self.len -= n;
        if self.len == 0 {
            self.ring.head = 0;
        }
    }

    /// Whether it is empty and holds much memory.
    pub fn is_wasteful(&self) -> bool {
        self.len == 0 && self.ring.buf.len() > Ring::LARGE
    }

    /// Forgets everything and gives the memory back.
    pub fn free(&mut self) {
        (self.ring, self.len) = (Ring::default(), 0);
    }
}

/// Octets that came in: those in order, to be read, and behind them parts that came early.
///
/// Large parts that come in order, while nothing lies in the ring, are kept in the memory in which they came.
#[derive(Clone, Debug, Default)]
pub struct RecvBuf {
    /// Before the ring.
    shared: VecDeque<Part>,
    /// Octets in `shared`.
    shared_len: usize,
    ring: Ring,
    /// Octets in order in the ring.
    len: usize,
    /// Octets from the ring's head to the end of the last early part.
    extent: usize,
}

/// A part of memory that others may hold, too.
#[derive(Clone, Debug)]
struct Part {
    memory: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Part {
    fn octets(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

impl RecvBuf {
    /// Octets that are kept where they came, at most, but for one part.
    const SHARED_MAX: usize = 4 << 20;

    /// Octets that can be read.
    pub fn len(&self) -> usize {
        self.shared_len + self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends octets that are in order.
    pub fn push(&mut self, octets: &[u8]) {
        self.place(0, octets);
        self.advance(octets.len());
    }

    /// Appends octets that are in order and lie in `range` of `memory`.
    pub fn push_shared(&mut self, memory: &Arc<Vec<u8>>, range: Range<usize>) {
        // A part must not hold much more memory than it has octets, and a reader that lags behind gets a
        // ring, which is one piece of memory, and not many that come and go.
        let wasteful = range.len() < memory.capacity() / 2 || self.shared_len >= Self::SHARED_MAX;
        if self.extent > 0 || wasteful {
            return self.push(memory.get(range).unwrap_or_default());
        }
        self.shared_len += range.len();
        self.shared.push_back(Part { memory: Arc::clone(memory), range });
    }

    /// Writes octets that came early: `offset` octets behind the end of those in order.
    pub fn place(&mut self, offset: usize, octets: &[u8]) {
        let end = self.len + offset + octets.len();
        self.ring.reserve(self.extent, end);
        self.ring.write(self.len + offset, octets);
        self.extent = self.extent.max(end);
    }

    /// The next `n` octets, placed before, are in order now.
    pub fn advance(&mut self, n: usize) {
        debug_assert!(self.len + n <= self.extent, "only what was placed can be in order");
        self.len += n;
    }

    /// Copies up to `out.len()` octets, from `offset` on, without taking them.
    pub fn peek(&self, mut offset: usize, out: &mut [u8]) -> usize {
        let mut done = 0;
        for part in &self.shared {
            let octets = part.octets();
            let here = octets.get(offset..).unwrap_or_default();
            let n = here.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&here[..n]);
            done += n;
            offset = offset.saturating_sub(octets.len());
            if done == out.len() {
                return done;
            }
        }
        let n = (out.len() - done).min(self.len.saturating_sub(offset));
        if n > 0 {
            let (a, b) = self.ring.slices(offset, n);
            let out = &mut out[done..];
            out[..a.len()].copy_from_slice(a);
            out[a.len()..n].copy_from_slice(b);
        }
        done + n
    }

    /// At most `most` octets from `offset` on, in pieces as they lie: as many as fit, and how many those are.
    pub fn pieces<'a>(&'a self, mut offset: usize, mut most: usize, out: &mut [&'a [u8]]) -> usize {
        let (a, b) = self.ring.slices(0, self.len);
        let all = self.shared.iter().map(Part::octets).chain([a, b]);
        let mut pieces = 0;
        for octets in all {
            if pieces == out.len() || most == 0 {
                break;
            }
            let here = octets.get(offset..).unwrap_or_default();
            offset = offset.saturating_sub(octets.len());
            if !here.is_empty() {
                out[pieces] = &here[..here.len().min(most)];
                most -= out[pieces].len();
                pieces += 1;
            }
        }
        pieces
    }

    /// Takes the first `n` octets away.
    pub fn consume(&mut self, mut n: usize) {
        while n > 0
            && let Some(part) = self.shared.front_mut()
        {
            let taken = n.min(part.range.len());
            part.range.start += taken;
            self.shared_len -= taken;
            n -= taken;
            if part.range.is_empty() {
                self.shared.pop_front();
            }
        }
        let n = n.min(self.len);
        self.ring.skip(n);
        self.len -= n;
        self.extent -= n;
        if self.extent == 0 {
            // A buffer that is read as fast as it fills stays in the cache.
            self.ring.head = 0;
        }
    }

    /// Whether it is empty, early parts included, and holds much memory.
    pub fn is_wasteful(&self) -> bool {
        self.is_empty() && self.extent == 0 && self.ring.buf.len() > Ring::LARGE
    }

    /// Forgets everything and gives the memory back.
    pub fn free(&mut self) {
        *self = RecvBuf::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn send_buffer_equals_a_queue(ops in prop::collection::vec((any::<bool>(), 0usize..9000), 1..60)) {
            let (mut b, mut model, mut next) = (SendBuf::new(20_000), VecDeque::new(), 0u8);
            for (write, n) in ops {
                if write {
                    let octets: Vec<u8> = (0..n).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect();
                    let room = n.min(20_000 - model.len());
                    let taken = match n % 2 {
                        0 => b.push(&octets),
                        // As much as a program has by now, which may be less.
                        _ => b.fill(n, |x, y| {
                            assert_eq!(x.len() + y.len(), room);
                            let n = room - n % 3 * room / 5;
                            let first = n.min(x.len());
                            x[..first].copy_from_slice(&octets[..first]);
                            y[..n - first].copy_from_slice(&octets[first..n]);
                            n
                        }),
                    };
                    prop_assert_eq!(taken, if n % 2 == 0 { room } else { room - n % 3 * room / 5 });
                    model.extend(&octets[..taken]);
                } else {
                    b.consume(n);
                    model.drain(..n.min(model.len()));
                }
                prop_assert_eq!(b.len(), model.len());
                let (x, y) = b.slices(n / 3, 1448);
                let want: Vec<u8> = model.iter().skip(n / 3).take(1448).copied().collect();
                prop_assert_eq!([x, y].concat(), want);
            }
        }

        #[test]
        fn receive_buffer_equals_a_stream(ops in prop::collection::vec((0u8..9, 0usize..3000, 1usize..3000), 1..60)) {
            let stream: Vec<u8> = (0..400_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let (mut b, mut read, mut end) = (RecvBuf::default(), 0, 0);
            for (op, offset, n) in ops {
                match op {
                    0 => { b.push(&stream[end..end + n]); end += n; }
                    4 => { b.push_shared(&Arc::new(stream[end..end + n].to_vec()), 0..n); end += n; }
                    5 => {
                        // A small part of much memory is copied.
                        let held = Arc::new(vec![0; 100_000]);
                        b.push_shared(&held, 0..0);
                        prop_assert_eq!(Arc::strong_count(&held), 1);
                    }
                    1 => {
                        // Early, then the hole is filled.
                        b.place(offset, &stream[end + offset..end + offset + n]);
                        b.place(0, &stream[end..end + offset]);
                        b.advance(offset + n);
                        end += offset + n;
                    }
                    _ => {
                        let mut out = vec![0; n];
                        let got = b.peek(0, &mut out);
                        prop_assert_eq!(&out[..got], &stream[read..read + got]);
                        let mut pieces = [&[][..]; 64];
                        let (skipped, count) = (offset.min(got), b.pieces(offset.min(got), got - offset.min(got), &mut pieces));
                        prop_assert_eq!(pieces[..count].concat(), &stream[read + skipped..read + got]);
                        prop_assert!(pieces[..count].iter().all(|piece| !piece.is_empty()));
                        if got > 0 {
                            prop_assert_eq!(b.pieces(0, got, &mut pieces[..1]), 1);
                        }
                        b.consume(got);
                        read += got;
                    }
                }
                prop_assert_eq!(b.len(), end - read);
            }
        }
    }
}
