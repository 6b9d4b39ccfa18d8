//! The octets of a bus file, format version 4: where every word lies, and what a record looks like.
//!
//! All numbers are in the byte order of the machine (the magic number tells). Words are naturally aligned.
//! Version 3 is NetBSD's own `shmif(4)` format; the two share the magic number and nothing else.
//!
//! | offset | octets | what |
//! |---|---|---|
//! | 0 | 4096 | header page |
//! | 4096 | `max_ports` x 1024 | port table (sparse until used) |
//! | next page | `ring` | the ring; a power of two |
//!
//! # Header page
//! | offset | width | word | written by |
//! |---|---|---|---|
//! | 0 | 4 | magic `0xca11d054` | creation |
//! | 4 | 4 | version, 4 | creation |
//! | 8 | 8 | length of the file, octets | creation |
//! | 16 | 8 | offset of the ring | creation |
//! | 24 | 8 | length of the ring | creation |
//! | 32 | 4 | number of port slots | creation |
//! | 36 | 4 | octets of a port slot, 1024 | creation |
//! | 40 | 8 | epoch, CLOCK_REALTIME ns | creation |
//! | 48 | 8 | epoch, CLOCK_MONOTONIC ns | creation |
//! | 64 | 64 | name of the lab, NUL-padded UTF-8 | creation |
//! | 128 | 64 | name of the bus | creation |
//! | 512 | 4 | lock: 0, or holder (see `lock.rs`) | writers |
//! | 576 | 8 | head: position behind the newest record | lock holder |
//! | 584 | 8 | sequence number of the next record | lock holder |
//! | 640 | 8 | tail: position of the oldest record remembered | lock holder |
//! | 704 | 4 | generation: changes when any port's interest changes | ports |
//! | 708 | 4 | high-water mark: slots ever used | attach |
//! | 768 | 4 | watch: a follower sleeps on this word | followers, writers |
//! | 832 | 8 | statistic: locks taken over from dead writers | lock holder |
//! | 840 | 8 | statistic: times that damaged history was dropped | lock holder |
//!
//! # Port slot
//! | offset | width | word | written by |
//! |---|---|---|---|
//! | 0 | 8 | owner: pid << 32 \| start time; 0 = free | attach, detach, reclaim |
//! | 8 | 4 | generation of the slot, counts attaches | attach |
//! | 12 | 4 | flags ([`PortFlags`]) | owner |
//! | 16 | 8 | MAC, big-endian in the low 48 bits | owner |
//! | 24 | 8 | head when the port was detached | detach, reclaim |
//! | 32 | 4 | number of multicast groups in use | owner |
//! | 64 | 8 | position of a wanted record that nothing wanted precedes unread | lock holder |
//! | 72 | 8 | position behind the newest wanted record: what the owner polls | lock holder |
//! | 80 | 8 | wanted records so far (stored before the word at 72) | lock holder |
//! | 88 | 8 | the same (stored after it: equal = both are of one moment) | lock holder |
//! | 96 | 8 | times that a writer overran this port | lock holder |
//! | 128 | 8 | cursor: everything before it is read | owner |
//! | 192 | 4 | sleep token: not 0 = ring the doorbell for a wanted frame | owner, writers |
//! | 196 | 4 | held: not 0 = a writer waits until this port has read | writers, owner |
//! | 200 | 4 | room: not 0 = this port waits, ring its doorbell when there is room | owner, readers |
//! | 256 | 8 x 8 | counters | owner |
//! | 384 | 64 | node | attach |
//! | 448 | 32 | interface | attach |
//! | 512 | 256 | path of the doorbell, NUL-padded | attach |
//! | 768 | 32 x 8 | multicast groups | owner |
//!
//! # Record
//! A position is a 64-bit count of octets ever written; its place is `position mod ring`. Records begin at multiples of
//! 64 and never wrap: what is left before the end of the ring is filled by a pad.
//! | offset | width | word |
//! |---|---|---|
//! | 0 | 4 | stamp: position / 64, low 32 bits, xor `0x5e90_57a4` |
//! | 4 | 4 | octets of the frame (or of padding) that follow this header |
//! | 8 | 8 | sequence number (no gaps) |
//! | 16 | 8 | time, ns since the epoch |
//! | 24 | 2 + 2 | sender: slot, low 16 bits of its generation |
//! | 28 | 1 | kind: 1 frame, 2 pad |
//! | 29 | 1 | reserved, 0 |
//! | 30 | 1 | `gso_type`: 0 none, 1 TCPv4, 3 UDP (L4), 4 TCPv6, as virtio numbers them but for UDP |
//! | 32 | 2 x 4 | `csum_start`, `csum_offset`, `gso_size`, `hdr_len` |
//! | 40 | 6 | destination MAC, so that skipping touches one cache line |
//! | 64 | | the frame, then nothing up to the next multiple of 64 |

use crate::PortId;
use crate::offload::{GsoType, Offload};

/// First word of every bus file (the same as NetBSD's `shmif`).
pub const MAGIC: u32 = 0xca11_d054;
/// Version of this format.
pub const VERSION: u32 = 4;
/// Longest frame that a bus carries, octets: 64 KiB of IP packet and some link headers.
pub const MAX_FRAME: usize = 65_600;
/// Shortest frame: an Ethernet header, octets.
pub const MIN_FRAME: usize = 14;
/// Smallest ring, octets: a few of the longest records.
pub const MIN_RING: u64 = 512 << 10;
/// Largest ring, octets.
pub const MAX_RING: u64 = 64 << 30;
/// Default ring, octets: some 2,700 full-size frames, small enough to stay in a cache.
pub const DEFAULT_RING: u64 = 4 << 20;
/// Most port slots of a bus.
pub const MAX_PORTS: u32 = 65_535;
/// Default number of port slots (the table is sparse: an unused slot costs nothing).
pub const DEFAULT_PORTS: u32 = 4096;

/// Records are aligned to this many octets, a cache line.
pub(crate) const ALIGN: u64 = 64;
/// Octets of a record's header.
pub(crate) const RECORD: usize = 64;
/// Octets of the header page.
pub(crate) const HEADER: usize = 4096;
/// Octets of a port slot.
pub(crate) const SLOT: usize = 1024;
/// Multicast groups that a port can name; one more and it hears all multicast.
pub(crate) const GROUPS: usize = 32;
/// Longest lab, bus and node name, octets.
pub(crate) const NAME: usize = 64;
/// Longest interface name, octets.
pub(crate) const INTERFACE: usize = 32;
/// Longest doorbell path, octets.
pub(crate) const DOORBELL: usize = 256;
/// Positions stay below this, so that sums of a position and a length never overflow.
pub(crate) const POS_LIMIT: u64 = 1 << 62;

/// Offsets in the header page.
pub(crate) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 4;
    pub(crate) const FILE_LEN: usize = 8;
    pub(crate) const RING_OFF: usize = 16;
    pub(crate) const RING_LEN: usize = 24;
    pub(crate) const MAX_PORTS: usize = 32;
    pub(crate) const SLOT_LEN: usize = 36;
    pub(crate) const EPOCH_UNIX: usize = 40;
    pub(crate) const EPOCH_MONO: usize = 48;
    pub(crate) const LAB: usize = 64;
    pub(crate) const NAME: usize = 128;
    pub(crate) const LOCK: usize = 512;
    pub(crate) const HEAD: usize = 576;
    pub(crate) const NEXT_SEQ: usize = 584;
    pub(crate) const TAIL: usize = 640;
    pub(crate) const GENERATION: usize = 704;
    pub(crate) const HIGH_WATER: usize = 708;
    pub(crate) const WATCH: usize = 768;
    pub(crate) const RECOVERIES: usize = 832;
    pub(crate) const REPAIRS: usize = 840;
}

/// Offsets in a port slot.
pub(crate) mod slot {
    pub(crate) const OWNER: usize = 0;
    pub(crate) const GENERATION: usize = 8;
    pub(crate) const FLAGS: usize = 12;
    pub(crate) const MAC: usize = 16;
    pub(crate) const FREED_AT: usize = 24;
    pub(crate) const GROUP_COUNT: usize = 32;
    pub(crate) const WANTED_FIRST: usize = 64;
    pub(crate) const WANTED_LAST: usize = 72;
    pub(crate) const WANTED_BEFORE: usize = 80;
    pub(crate) const WANTED_AFTER: usize = 88;
    pub(crate) const OVERRUNS: usize = 96;
    pub(crate) const CURSOR: usize = 128;
    pub(crate) const SLEEP: usize = 192;
    pub(crate) const HELD: usize = 196;
    pub(crate) const ROOM: usize = 200;
    pub(crate) const COUNTERS: usize = 256;
    pub(crate) const NODE: usize = 384;
    pub(crate) const INTERFACE: usize = 448;
    pub(crate) const DOORBELL: usize = 512;
    pub(crate) const GROUPS: usize = 768;
}

/// The counters of a port, in the order in which its slot holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    RxFrames,
    RxOctets,
    RxLost,
    RxErrors,
    TxFrames,
    TxOctets,
    TxDropped,
    TxWaits,
}

bitflags::bitflags! {
    /// What a port is and wants.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct PortFlags: u32 {
        /// The port takes part; without it nothing is delivered.
        const UP = 1;
        /// Every frame is wanted.
        const PROMISCUOUS = 2;
        /// Every multicast frame is wanted.
        const ALL_MULTICAST = 4;
        /// Every frame is wanted, but nobody ever waits for this port.
        const MONITOR = 8;
        /// Records with offload metadata are taken as they are.
        const OFFLOAD = 16;
    }
}

/// Where things lie in one file: computed from two numbers, checked once at open, never read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) ring_len: u64,
    pub(crate) max_ports: u32,
}

impl Geometry {
    pub(crate) fn ring_off(self) -> usize {
        (HEADER + self.max_ports as usize * SLOT).next_multiple_of(4096)
    }
    pub(crate) fn file_len(self) -> u64 {
        self.ring_off() as u64 + self.ring_len
    }
    /// Offset of a slot in the file.
    pub(crate) fn slot(self, index: u32) -> usize {
        debug_assert!(index < self.max_ports);
        HEADER + index as usize * SLOT
    }
    /// Place of a position in the ring, octets from the start of the ring.
    pub(crate) fn place(self, pos: u64) -> u64 {
        pos & (self.ring_len - 1)
    }
}

/// Octets that a frame of `len` octets takes in the ring, header included.
pub(crate) const fn record_len(len: usize) -> u64 {
    RECORD as u64 + (len as u64).next_multiple_of(ALIGN)
}

/// What a record's header says, after checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) len: usize,
    pub(crate) seq: u64,
    pub(crate) time_ns: u64,
    pub(crate) sender: PortId,
    pub(crate) offload: Offload,
    /// Destination MAC, big-endian in the low 48 bits.
    pub(crate) dst: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Frame,
    Pad,
}

/// What is wrong with a record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The stamp does not belong to the position.
    #[error("stamp {found:#010x} where {expected:#010x} belongs")]
    Stamp {
        /// What lies there.
        found: u32,
        /// What the position asks for.
        expected: u32,
    },
    /// Neither a frame nor a pad.
    #[error("kind {0}, neither frame nor pad")]
    Kind(u8),
    /// A frame shorter or longer than a bus carries.
    #[error("length of {0} octets")]
    Length(u32),
    /// The record runs past the end of the ring or past the head.
    #[error("{0} octets run past the end of the ring or the head")]
    Extent(u64),
    /// A segmentation type that nobody knows.
    #[error("segmentation type {0}")]
    GsoType(u8),
}

fn stamp(pos: u64) -> u32 {
    ((pos / ALIGN) as u32) ^ 0x5e90_57a4
}

impl RecordHeader {
    /// Octets from this record's position to the next one's.
    pub(crate) fn total(&self) -> u64 {
        record_len(self.len)
    }

    pub(crate) fn encode(&self, pos: u64) -> [u8; RECORD] {
        let mut b = [0; RECORD];
        b[0..4].copy_from_slice(&stamp(pos).to_ne_bytes());
        b[4..8].copy_from_slice(&(self.len as u32).to_ne_bytes());
        b[8..16].copy_from_slice(&self.seq.to_ne_bytes());
        b[16..24].copy_from_slice(&self.time_ns.to_ne_bytes());
        b[24..26].copy_from_slice(&self.sender.slot().to_ne_bytes());
        b[26..28].copy_from_slice(&self.sender.generation().to_ne_bytes());
        b[28] = match self.kind {
            Kind::Frame => 1,
            Kind::Pad => 2,
        };
        b[30] = self.offload.gso_type.code();
        b[32..34].copy_from_slice(&self.offload.csum_start.to_ne_bytes());
        b[34..36].copy_from_slice(&self.offload.csum_offset.to_ne_bytes());
        b[36..38].copy_from_slice(&self.offload.gso_size.to_ne_bytes());
        b[38..40].copy_from_slice(&self.offload.hdr_len.to_ne_bytes());
        b[40..46].copy_from_slice(&self.dst.to_be_bytes()[2..]);
        b
    }

    /// Reads the header of the record at `pos`, of which `room` octets may be used (up to the head).
    pub(crate) fn decode(
        b: &[u8; RECORD],
        pos: u64,
        room: u64,
        ring_len: u64,
    ) -> Result<RecordHeader, RecordFault> {
        let u16_at = |i: usize| u16::from_ne_bytes([b[i], b[i + 1]]);
        let u32_at = |i: usize| u32::from_ne_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        let u64_at = |i: usize| u64::from(u32_at(i)) | u64::from(u32_at(i + 4)) << 32;
        let (found, expected) = (u32_at(0), stamp(pos));
        if found != expected {
            return Err(RecordFault::Stamp { found, expected });
        }
        let len32 = u32_at(4);
        let kind = match b[28] {
            1 if (MIN_FRAME..=MAX_FRAME).contains(&(len32 as usize)) => Kind::Frame,
            2 if u64::from(len32) % ALIGN == 0 && len32 as usize <= MAX_FRAME + RECORD => Kind::Pad,
            1 | 2 => return Err(RecordFault::Length(len32)),
            other => return Err(RecordFault::Kind(other)),
        };
        let gso_type = GsoType::from_code(b[30]).ok_or(RecordFault::GsoType(b[30]))?;
        let header = RecordHeader {
            kind,
            len: len32 as usize,
            seq: u64_at(8),
            time_ns: u64_at(16),
            sender: PortId::new(u16_at(24), u16_at(26)),
            offload: Offload {
                csum_start: u16_at(32),
                csum_offset: u16_at(34),
                gso_type,
                gso_size: u16_at(36),
                hdr_len: u16_at(38),
            },
            dst: mac_word(&[b[40], b[41], b[42], b[43], b[44], b[45]]),
        };
        let total = header.total();
        if total > room || (pos & (ring_len - 1)) + total > ring_len {
            return Err(RecordFault::Extent(total));
        }
        Ok(header)
    }
}

/// A MAC as a number: big-endian in the low 48 bits.
pub(crate) fn mac_word(mac: &[u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]])
}

/// The reverse of [`mac_word`].
pub(crate) fn mac_octets(word: u64) -> [u8; 6] {
    let b = word.to_be_bytes();
    [b[2], b[3], b[4], b[5], b[6], b[7]]
}

/// Whether a destination is a group address (IEEE 802: least significant bit of the first octet).
pub(crate) fn is_group(dst: u64) -> bool {
    dst >> 40 & 1 == 1
}

/// ff:ff:ff:ff:ff:ff as a number.
pub(crate) const BROADCAST: u64 = 0xffff_ffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_comes_back_as_it_went_in(
            pos in 0..(1u64 << 40), len in MIN_FRAME..=MAX_FRAME, seq: u64, time_ns: u64, slot: u16, generation: u16,
            words: [u16; 4], dst in 0..=BROADCAST,
        ) {
            let pos = pos * ALIGN;
            let offload = Offload { csum_start: words[0], csum_offset: words[1], gso_type: GsoType::Udp, gso_size: words[2], hdr_len: words[3] };
            let h = RecordHeader { kind: Kind::Frame, len, seq, time_ns, sender: PortId::new(slot, generation), offload, dst };
            let back = RecordHeader::decode(&h.encode(pos), pos, u64::MAX, 1 << 62);
            prop_assert_eq!(back, Ok(h));
            // A header of another position, or of another lap of the ring, is none.
            prop_assert!(RecordHeader::decode(&h.encode(pos), pos + ALIGN, u64::MAX, 1 << 62).is_err());
        }

        #[test]
        fn any_octets_decode_to_something_inside_the_ring_or_to_an_error(mut b in prop::array::uniform32(any::<u8>()), pos in 0u64..1 << 30, fix: bool) {
            let pos = pos * ALIGN;
            if fix { b[0..4].copy_from_slice(&stamp(pos).to_ne_bytes()); b[28] %= 3; b[6] = 0; b[7] = 0; }
            let mut whole = [0; RECORD];
            whole[..32].copy_from_slice(&b);
            if let Ok(h) = RecordHeader::decode(&whole, pos, 1 << 20, MIN_RING) {
                prop_assert!(h.total() <= 1 << 20 && pos % MIN_RING + h.total() <= MIN_RING && h.total() % ALIGN == 0 && h.total() >= ALIGN);
            }
        }
    }

    #[test]
    fn no_two_words_of_the_format_overlap() {
        use header as h;
        let mut words = [
            (h::LOCK, 4),
            (h::HEAD, 8),
            (h::NEXT_SEQ, 8),
            (h::TAIL, 8),
            (h::GENERATION, 4),
            (h::HIGH_WATER, 4),
            (h::WATCH, 4),
            (h::RECOVERIES, 8),
            (h::REPAIRS, 8),
            (h::LAB, NAME),
            (h::NAME, NAME),
            (h::EPOCH_MONO, 8),
        ];
        words.sort();
        assert!(words.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0));
        let mut words = [
            (slot::OWNER, 8),
            (slot::GENERATION, 4),
            (slot::FLAGS, 4),
            (slot::MAC, 8),
            (slot::FREED_AT, 8),
            (slot::GROUP_COUNT, 4),
            (slot::WANTED_FIRST, 8),
            (slot::WANTED_LAST, 8),
            (slot::WANTED_BEFORE, 8),
            (slot::WANTED_AFTER, 8),
            (slot::OVERRUNS, 8),
            (slot::CURSOR, 8),
            (slot::SLEEP, 4),
            (slot::HELD, 4),
            (slot::ROOM, 4),
            (slot::COUNTERS, 64),
            (slot::NODE, NAME),
            (slot::INTERFACE, INTERFACE),
            (slot::DOORBELL, DOORBELL),
            (slot::GROUPS, GROUPS * 8),
        ];
        words.sort();
        assert!(words.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0));
        assert_eq!(words.last().map(|w| w.0 + w.1), Some(SLOT));
    }
}
