//! A packet in memory, with room in front for the headers that lower layers put there.
//!
//! One `Mbuf` is one contiguous packet (not BSD's chain): a frame that arrives is copied from the
//! bus into one, and a forwarded frame leaves in the same one. Buffers come from and go back to a
//! [`Pool`], so that the packet path does not allocate.

use crate::socket::SocketId;
use crate::wire::checksum::checksum;
use crate::wire::ethernet;

/// Octets kept free in front of a packet that a transport builds: Ethernet 14 + VLAN 4 + IPv6 40
/// with room for options and extension headers.
pub const HEADROOM: usize = 128;

/// Octets of the Ethernet header.
const ETHERNET: usize = ethernet::HEADER_LEN;

/// Virtio-net's offload metadata: what the sender left undone (checksum) and how the packet is to
/// be cut into segments. Offsets count from the first octet of the Ethernet frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where checksumming starts (the transport header); 0 with `csum_offset` 0: nothing to do.
    pub csum_start: u16,
    /// Where in the transport header the checksum stands.
    pub csum_offset: u16,
    /// How to cut; `None`: one packet.
    pub gso: Option<Gso>,
}

impl Offload {
    /// Whether the metadata of a frame of `len` octets point into it.
    pub fn is_sound(&self, len: usize) -> bool {
        let csum = usize::from(self.csum_start) + usize::from(self.csum_offset) + 2;
        let headers = ETHERNET..=len;
        let gso = self.gso.is_none_or(|g| g.size > 0 && headers.contains(&usize::from(g.header_len)));
        gso && (!self.is_partial() || (csum <= len && usize::from(self.csum_start) >= 34))
    }

    /// Whether the transport checksum is left to whoever needs it.
    pub fn is_partial(&self) -> bool {
        self.csum_start != 0
    }
}

/// Generic segmentation: the packet is several segments of at most `size` payload octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// What is cut.
    pub kind: GsoKind,
    /// Payload octets a segment.
    pub size: u16,
    /// Octets of all headers, Ethernet to transport.
    pub header_len: u16,
}

/// Kinds of segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams, either family.
    Udp,
}

/// One packet. The data is `buf[start..]`; everything before is headroom.
#[derive(Debug)]
pub struct Mbuf {
    buf: Vec<u8>,
    start: usize,
    /// Offload metadata, meaningful once the packet is a whole frame.
    pub offload: Offload,
    /// The socket whose send buffer pays for this packet until it leaves the stack.
    pub owner: Option<SocketId>,
    /// What it pays: octets of the send buffer, overhead included.
    pub charge: u32,
}

impl Mbuf {
    /// An empty packet with [`HEADROOM`] in front.
    pub fn new() -> Mbuf {
        Mbuf { buf: vec![0; HEADROOM], start: HEADROOM, offload: Offload::default(), owner: None, charge: 0 }
    }

    /// A packet holding a copy of `octets`, with [`HEADROOM`] in front.
    pub fn copy_of(octets: &[u8]) -> Mbuf {
        let mut m = Mbuf::new();
        m.extend(octets);
        m
    }

    /// Octets of the packet.
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether the packet has no octets.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The packet.
    pub fn data(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// The packet, to change in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..]
    }

    /// Appends `octets`.
    pub fn extend(&mut self, octets: &[u8]) {
        self.buf.extend_from_slice(octets);
    }

    /// Lets `fill` append octets: what is in the vector before must stay.
    pub fn append_with<R>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        fill(&mut self.buf)
    }

    /// The memory of the packet, and where in it the packet begins.
    pub(crate) fn into_memory(self) -> (Vec<u8>, usize) {
        (self.buf, self.start)
    }

    /// Appends `n` zero octets and returns them (to be filled by the caller).
    pub fn grow(&mut self, n: usize) -> &mut [u8] {
        let at = self.buf.len();
        self.buf.resize(at + n, 0);
        &mut self.buf[at..]
    }

    /// Puts `n` octets of header in front and returns them. Their former content is unspecified.
    pub fn prepend(&mut self, n: usize) -> &mut [u8] {
        if n > self.start {
            let more = n - self.start + HEADROOM;
            self.buf.splice(0..0, core::iter::repeat_n(0, more));
            self.start += more;
        }
        self.start -= n;
        &mut self.buf[self.start..self.start + n]
    }

    /// Drops up to `n` octets from the front (a parsed header).
    pub fn trim_front(&mut self, n: usize) {
        self.start += n.min(self.len());
    }

    /// Keeps the first `n` octets (drops Ethernet padding), and of a long frame's memory not much more.
    pub fn truncate(&mut self, n: usize) {
        if n < self.len() {
            self.buf.truncate(self.start + n);
            if self.buf.capacity() > Pool::LARGEST {
                self.buf.shrink_to_fit();
            }
        }
    }

    /// Octets of the longest IP packet that this IP packet of `len` octets becomes on a wire: if it is
    /// to be segmented later, only its segments need to fit.
    pub fn longest_segment(&self, len: usize) -> usize {
        match self.offload.gso {
            Some(g) => usize::from(g.header_len) + usize::from(g.size) - ETHERNET,
            None => len,
        }
    }

    /// Computes the checksum that offload metadata left undone. The metadata count from the first
    /// octet of the frame, of which `trimmed` octets are gone already.
    pub fn complete_checksum(&mut self, trimmed: usize) {
        let offload = core::mem::take(&mut self.offload);
        let start = usize::from(offload.csum_start).wrapping_sub(trimmed);
        let field = start.wrapping_add(usize::from(offload.csum_offset));
        if !offload.is_partial() || start > self.len() || field + 2 > self.len() {
            return;
        }
        // The field holds the pseudo header's sum, so that the sum over all is the whole's.
        let sum = match checksum(&self.data()[start..]) {
            // RFC 768: zero would mean "none".
            0 => 0xffff,
            s => s,
        };
        self.data_mut()[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Empties the packet for reuse; the memory stays.
    fn reset(&mut self) {
        self.buf.resize(HEADROOM, 0);
        self.start = HEADROOM;
        self.offload = Offload::default();
        self.owner = None;
        self.charge = 0;
    }
}

impl Default for Mbuf {
    fn default() -> Mbuf {
        Mbuf::new()
    }
}

/// Free buffers. Keeps at most `KEEP` of them; buffers that grew past `LARGEST` are let go.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Mbuf>,
}

impl Pool {
    /// Buffers kept for reuse: two bursts.
    const KEEP: usize = 256;
    /// Octets of capacity past which a buffer is not worth keeping.
    const LARGEST: usize = 4096;

    /// An empty packet.
    pub fn get(&mut self) -> Mbuf {
        self.free.pop().unwrap_or_default()
    }

    /// Gives a packet's memory back.
    pub fn put(&mut self, mut m: Mbuf) {
        if self.free.len() < Self::KEEP && m.buf.capacity() <= Self::LARGEST {
            m.reset();
            self.free.push(m);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is counted of a packet that waits is its length: it must not hold the memory of what was cut off.
    #[test]
    fn a_short_packet_in_a_long_frame_holds_no_long_memory() {
        let mut m = Mbuf::copy_of(&[7; 65_600]);
        m.trim_front(ETHERNET);
        m.truncate(29);
        assert_eq!(m.data(), [7; 29]);
        assert!(m.buf.capacity() <= Pool::LARGEST, "{} octets", m.buf.capacity());
    }
}
