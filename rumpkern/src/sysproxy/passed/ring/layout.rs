//! How rings are laid out: `struct tpacket_hdr` and its successors, as `linux/if_packet.h` has them.

use crate::syscall::packet_abi::SOCKADDR_LL;
use crate::syscall::{Errno, SockType, packet_abi};
use netstack::time::Duration;

/// PACKET_VERSION
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Version {
    /// `TPACKET_V1`
    #[default]
    V1,
    /// `TPACKET_V2`
    V2,
    /// `TPACKET_V3`: blocks of frames.
    V3,
}

/// `TP_STATUS_*`: it is the program's; frames were lost; the block was handed on before it was full; the time is software's.
pub(super) const USER: u32 = 1;
pub(super) const LOSING: u32 = 4;
pub(super) const TIMED_OUT: u32 = 1 << 5;
const SOFTWARE_TIME: u32 = 1 << 29;
/// Of rings to send with: it is the program's; it is to be sent; it cannot be.
pub(super) const AVAILABLE: u32 = 0;
pub(super) const SEND_REQUEST: u32 = 1;
pub(super) const WRONG_FORMAT: u32 = 4;

/// Octets of a `struct tpacket_block_desc`, and where in it the status is.
pub(super) const BLOCK_HEADER: usize = 48;
pub(super) const BLOCK_STATUS: usize = 8;
/// Octets of the longest header of a frame, and where in it TPACKET_V3 has the status.
pub(super) const FRAME_HEADER: usize = 48;
const FRAME_STATUS: usize = 20;
/// What frames and their parts are aligned to.
const ALIGN: usize = 16;
/// Octets that an Ethernet header is given room for.
const LINK_HEADER: usize = 16;
/// Octets of a page, of which blocks are made.
const PAGE: usize = 4096;
/// Octets of the largest ring: a program may have it smaller (ENOMEM).
const LARGEST: usize = 256 << 20;
/// When a block that is not full is handed on, if the program does not say.
const RETIRE: Duration = Duration::from_millis(8);

impl Version {
    pub(super) fn by_number(number: u32) -> Result<Version, Errno> {
        match number {
            0 => Ok(Version::V1),
            1 => Ok(Version::V2),
            2 => Ok(Version::V3),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Version::V1 => 0,
            Version::V2 => 1,
            Version::V3 => 2,
        }
    }

    /// Octets of its header of a frame.
    fn header(self) -> usize {
        match self {
            Version::V1 | Version::V2 => 32,
            Version::V3 => 48,
        }
    }

    /// The same with the address behind it (`TPACKET_HDRLEN`).
    fn header_and_address(self) -> usize {
        self.header() + SOCKADDR_LL
    }
}

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// PACKET_RX_RING
    In,
    /// PACKET_TX_RING
    Out,
}

/// A ring's measures, all of them checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) version: Version,
    way: Way,
    kind: SockType,
    reserve: usize,
    pub(super) block_size: usize,
    pub(super) blocks: usize,
    frame_size: usize,
    frames: usize,
    /// How long a block may wait to be filled.
    pub(super) retire: Duration,
    /// Octets of each block that are the program's own.
    pub(super) private: usize,
}

/// A frame for a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) octets: &'a [u8],
    /// Octets that it had.
    pub(super) wire_len: usize,
    pub(super) from: [u8; SOCKADDR_LL],
    /// Nanoseconds since the Unix epoch.
    pub(super) time: u64,
}

impl Shape {
    /// Reads a `struct tpacket_req`, or `tpacket_req3`; `None`: the ring is to go.
    pub(super) fn read(
        version: Version,
        way: Way,
        kind: SockType,
        reserve: usize,
        value: &[u8],
    ) -> Result<Option<Shape>, Errno> {
        let word = |n: usize| {
            let word = value.get(4 * n..).and_then(<[u8]>::first_chunk).ok_or(Errno::EINVAL);
            word.map(|word| u32::from_le_bytes(*word) as usize)
        };
        let [block_size, blocks, frame_size, frames] = [word(0)?, word(1)?, word(2)?, word(3)?];
        let (retire, private) = match (version, way) {
            (Version::V1 | Version::V2, Way::In | Way::Out) => (Duration::ZERO, 0),
            // There are no blocks to be sent.
            (Version::V3, Way::Out) => match [word(4)?, word(5)?, word(6)?] {
                [0, 0, 0] => (Duration::ZERO, 0),
                [..] => return Err(Errno::EINVAL),
            },
            (Version::V3, Way::In) => {
                word(6)?;
                let retire = match word(4)? {
                    0 => RETIRE,
                    ms => Duration::from_millis(ms as u64),
                };
                (retire, word(5)?.next_multiple_of(8))
            }
        };
        if blocks == 0 {
            return if frames == 0 { Ok(None) } else { Err(Errno::EINVAL) };
        }
        let shape =
            Shape { version, way, kind, reserve, block_size, blocks, frame_size, frames, retire, private };
        let least = version.header_and_address() + reserve;
        let sound = block_size > 0
            && block_size.is_multiple_of(PAGE)
            && frame_size >= least
            && frame_size.is_multiple_of(ALIGN)
            && frame_size <= block_size
            && (block_size / frame_size).checked_mul(blocks) == Some(frames)
            && (!shape.in_blocks() || BLOCK_HEADER + private + least <= block_size);
        match block_size.checked_mul(blocks) {
            _ if !sound => Err(Errno::EINVAL),
            Some(octets) if octets <= LARGEST => Ok(Some(shape)),
            Some(_) | None => Err(Errno::ENOMEM),
        }
    }

    /// Octets of the whole.
    pub(super) fn len(&self) -> usize {
        self.block_size * self.blocks
    }

    /// Whether blocks of frames change hands, rather than frames.
    fn in_blocks(&self) -> bool {
        (self.version, self.way) == (Version::V3, Way::In)
    }

    /// What changes hands one by one: frames, or blocks.
    pub(super) fn slots(&self) -> usize {
        if self.in_blocks() { self.blocks } else { self.frames }
    }

    /// Where the `nth` of these begins, counted without end.
    pub(super) fn slot(&self, nth: u64) -> usize {
        let nth = (nth % self.slots() as u64) as usize;
        if self.in_blocks() {
            return nth * self.block_size;
        }
        let a_block = self.block_size / self.frame_size;
        nth / a_block * self.block_size + nth % a_block * self.frame_size
    }

    /// Where the word is that says whose it is.
    pub(super) fn status(&self, nth: u64) -> usize {
        self.slot(nth)
            + match (self.version, self.way) {
                (Version::V1 | Version::V2, Way::In | Way::Out) => 0,
                (Version::V3, Way::In) => BLOCK_STATUS,
                (Version::V3, Way::Out) => FRAME_STATUS,
            }
    }

    /// Where the octets are that a program wants to be sent, and how many, by the header of a frame's room; `own_place`: it says itself
    /// where they begin (PACKET_TX_HAS_OFF).
    pub(super) fn outgoing(
        &self,
        header: &[u8; FRAME_HEADER],
        own_place: bool,
    ) -> Result<(usize, usize), Errno> {
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (len, places) = match self.version {
            Version::V1 => (word(8), 16),
            Version::V2 => (word(4), 12),
            // Frames of a chain are not sent.
            Version::V3 if word(0) != 0 => return Err(Errno::EINVAL),
            Version::V3 => (word(16), 24),
        };
        let (len, first) = (len as usize, self.version.header());
        let last = self.frame_size.checked_sub(len).filter(|last| *last >= first).ok_or(Errno::EMSGSIZE)?;
        if !own_place {
            return Ok((first, len));
        }
        // `tp_mac`, and `tp_net` behind it.
        let at = half(if self.kind == SockType::PacketDgram { places + 2 } else { places });
        if (first..=last).contains(&at) { Ok((at, len)) } else { Err(Errno::EINVAL) }
    }

    /// Where in a frame's room its octets and its network header begin (`tp_mac`, `tp_net`).
    fn offsets(&self) -> (usize, usize) {
        let head = self.version.header_and_address();
        match packet_abi::header_len(self.kind) {
            0 => {
                let net = head.next_multiple_of(ALIGN) + LINK_HEADER + self.reserve;
                (net, net)
            }
            link => {
                let net = (head + link.max(LINK_HEADER)).next_multiple_of(ALIGN) + self.reserve;
                (net - link, net)
            }
        }
    }

    /// Octets that one frame may use.
    fn room(&self) -> usize {
        match self.version {
            Version::V1 | Version::V2 => self.frame_size,
            Version::V3 => self.block_size - BLOCK_HEADER - self.private,
        }
    }

    /// A frame as it is laid out, cut to what there is room for; its status is the first word to be set, or (V3) in it.
    pub(super) fn lay_out(&self, frame: &Frame<'_>, losing: bool) -> Vec<u8> {
        let (mac, net) = self.offsets();
        let kept = frame.octets.len().min(self.room().saturating_sub(mac));
        let (seconds, nanos) = ((frame.time / 1_000_000_000) as u32, (frame.time % 1_000_000_000) as u32);
        let status = USER | SOFTWARE_TIME | if losing { LOSING } else { 0 };
        let mut octets = vec![0; mac + kept];
        let mut put = |at: usize, word: u32| octets[at..at + 4].copy_from_slice(&word.to_le_bytes());
        let places = (mac as u32 & 0xffff) | (net as u32) << 16;
        let (kept32, wire_len) = (kept as u32, frame.wire_len as u32);
        match self.version {
            Version::V1 => [(8, wire_len), (12, kept32), (16, places), (20, seconds), (24, nanos / 1000)]
                .map(|(at, word)| put(at, word)),
            Version::V2 => [(4, wire_len), (8, kept32), (12, places), (16, seconds), (20, nanos)]
                .map(|(at, word)| put(at, word)),
            Version::V3 => {
                put(20, status);
                [(4, seconds), (8, nanos), (12, kept32), (16, wire_len), (24, places)]
                    .map(|(at, word)| put(at, word))
            }
        };
        octets[self.version.header()..][..SOCKADDR_LL].copy_from_slice(&frame.from);
        octets[mac..].copy_from_slice(&frame.octets[..kept]);
        octets
    }

    /// The status of a frame that is laid out (V1, V2).
    pub(super) fn frame_status(losing: bool) -> u32 {
        USER | SOFTWARE_TIME | if losing { LOSING } else { 0 }
    }
}
