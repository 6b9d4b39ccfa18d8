//! From a record with offload metadata to frames that may stand on a real wire: segments within the MTU, valid checksums.
//!
//! TCP segmentation: sequence numbers and IPv4 identifications count on, FIN and PSH only on the last segment, CWR only on the first (RFC 3168
//! §6.1.2, as Linux's and virtio's TSO do). UDP: each segment a datagram (Linux `UDP_SEGMENT`). Checksums: RFC 1071; of segments they are made anew from the
//! pseudo-header; of a whole frame, completed from the partial sum that the sender left. IPv6 routing headers are not looked into: the
//! destination in the fixed header is taken for the final one.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::offload::{GsoType, Offload};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88a8];
const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Why a record cannot be made into wire frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The checksum, or the transport header, lies outside the frame.
    #[error("offload metadata points outside a frame of {len} octets")]
    Outside {
        /// Octets of the frame.
        len: usize,
    },
    /// Segments of no octets.
    #[error("segments of 0 octets")]
    NoSize,
    /// Not the network protocol that the metadata speaks of.
    #[error("EtherType {0:#06x} does not fit the segmentation type")]
    EtherType(u16),
    /// A header that contradicts itself.
    #[error("malformed {0} header")]
    Header(&'static str),
}

impl Offload {
    /// Whether the metadata can be about a frame of `len` octets.
    pub(crate) fn fits(&self, len: usize) -> bool {
        let start = usize::from(self.csum_start);
        let csum = self.csum_offset == 0 || start + usize::from(self.csum_offset) + 2 <= len;
        let gso = self.gso_type == GsoType::None || (self.gso_size > 0 && start >= 34 && start + 8 <= len);
        csum && gso
    }
}

/// The network layer of a frame that is to be cut.
#[derive(Clone, Copy, Debug)]
enum Net {
    V4 { at: usize, id: u16 },
    V6 { at: usize },
}

/// How a frame is cut.
#[derive(Clone, Copy, Debug)]
struct Plan {
    net: Net,
    /// Offset of the transport header.
    l4: usize,
    /// Octets of all headers.
    headers: usize,
    /// Payload octets a segment.
    size: usize,
    udp: bool,
    /// Sequence number of the first octet.
    seq: u32,
    flags: u8,
}

/// A record on its way to the wire: an iterator that fills one buffer after the other.
#[derive(Debug)]
pub struct Segments {
    frame: Vec<u8>,
    plan: Option<Plan>,
    /// Payload octets handed out.
    done: usize,
    index: u16,
    finished: bool,
}

impl Segments {
    /// Takes a frame as it stands in a record, and its metadata.
    pub fn new(mut frame: Vec<u8>, offload: Offload) -> Result<Segments, SegmentError> {
        let len = frame.len();
        if !offload.fits(len) {
            return Err(if offload.gso_type != GsoType::None && offload.gso_size == 0 {
                SegmentError::NoSize
            } else {
                SegmentError::Outside { len }
            });
        }
        let plan = match offload.gso_type {
            GsoType::None => {
                complete(&mut frame, offload);
                None
            }
            GsoType::TcpV4 | GsoType::TcpV6 | GsoType::Udp => Some(plan(&frame, offload)?),
        };
        Ok(Segments { frame, plan, done: 0, index: 0, finished: false })
    }

    /// Whether all has been handed out.
    pub fn is_done(&self) -> bool {
        self.finished
    }

    /// Octets of the next frame.
    pub(crate) fn next_len(&self) -> Option<usize> {
        let len = match self.plan {
            None => self.frame.len(),
            Some(plan) => plan.headers + plan.size.min(self.frame.len() - plan.headers - self.done),
        };
        (!self.finished).then_some(len)
    }

    /// Puts the next frame into `buf`; returns its length, which is more than the buffer's if it did not fit (then it is skipped), or `None`
    /// after the last.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, buf: &mut [u8]) -> Option<usize> {
        if self.finished {
            return None;
        }
        let Some(plan) = self.plan else {
            self.finished = true;
            if let Some(buf) = buf.get_mut(..self.frame.len()) {
                buf.copy_from_slice(&self.frame);
            }
            return Some(self.frame.len());
        };
        let total = self.frame.len() - plan.headers;
        let n = plan.size.min(total - self.done);
        let last = self.done + n == total;
        let len = plan.headers + n;
        if let Some(out) = buf.get_mut(..len) {
            out[..plan.headers].copy_from_slice(&self.frame[..plan.headers]);
            out[plan.headers..].copy_from_slice(&self.frame[plan.headers + self.done..][..n]);
            plan.finish(out, self.done, self.index, last);
        }
        self.done += n;
        self.index = self.index.wrapping_add(1);
        self.finished = last;
        Some(len)
    }
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn put16(b: &mut [u8], at: usize, v: u16) {
    b[at..at + 2].copy_from_slice(&v.to_be_bytes());
}

/// Reads the headers of a frame that is to be cut. All offsets that come out are inside the frame.
fn plan(frame: &[u8], offload: Offload) -> Result<Plan, SegmentError> {
    let outside = SegmentError::Outside { len: frame.len() };
    let l4 = usize::from(offload.csum_start);
    let mut at = 14;
    let mut ethertype = be16(frame, 12);
    while ETHERTYPE_VLAN.contains(&ethertype) {
        if at + 4 > frame.len() {
            return Err(outside);
        }
        ethertype = be16(frame, at + 2);
        at += 4;
    }
    let net = match (ethertype, offload.gso_type) {
        (ETHERTYPE_IPV4, GsoType::TcpV4 | GsoType::Udp) => {
            if at + 20 > l4 || frame[at] >> 4 != 4 || at + usize::from(frame[at] & 15) * 4 != l4 {
                return Err(SegmentError::Header("IPv4"));
            }
            Net::V4 { at, id: be16(frame, at + 4) }
        }
        (ETHERTYPE_IPV6, GsoType::TcpV6 | GsoType::Udp) => {
            if at + 40 > l4 || frame[at] >> 4 != 6 {
                return Err(SegmentError::Header("IPv6"));
            }
            Net::V6 { at }
        }
        (other, _) => return Err(SegmentError::EtherType(other)),
    };
    let udp = offload.gso_type == GsoType::Udp;
    let (header, seq, flags) = if udp {
        (8, 0, 0)
    } else {
        if l4 + 20 > frame.len() {
            return Err(outside);
        }
        let header = usize::from(frame[l4 + 12] >> 4) * 4;
        if header < 20 {
            return Err(SegmentError::Header("TCP"));
        }
        (
            header,
            u32::from_be_bytes([frame[l4 + 4], frame[l4 + 5], frame[l4 + 6], frame[l4 + 7]]),
            frame[l4 + 13],
        )
    };
    if l4 + header > frame.len() {
        return Err(outside);
    }
    Ok(Plan { net, l4, headers: l4 + header, size: usize::from(offload.gso_size), udp, seq, flags })
}

impl Plan {
    /// Makes the headers of a segment true: `done` payload octets went before it.
    fn finish(&self, out: &mut [u8], done: usize, index: u16, last: bool) {
        let l4_len = out.len() - self.l4;
        let protocol = if self.udp { UDP } else { TCP };
        let pseudo = match self.net {
            Net::V4 { at, id } => {
                let total = (out.len() - at) as u16;
                put16(out, at + 2, total);
                put16(out, at + 4, id.wrapping_add(index));
                put16(out, at + 10, 0);
                let sum = checksum(0, &out[at..self.l4]);
                put16(out, at + 10, sum);
                pseudo_v4(&out[at + 12..at + 20], protocol, l4_len)
            }
            Net::V6 { at } => {
                put16(out, at + 4, (out.len() - at - 40) as u16);
                pseudo_v6(&out[at + 8..at + 40], protocol, l4_len)
            }
        };
        let at = if self.udp {
            put16(out, self.l4 + 4, l4_len as u16);
            self.l4 + 6
        } else {
            let seq = self.seq.wrapping_add(done as u32);
            out[self.l4 + 4..self.l4 + 8].copy_from_slice(&seq.to_be_bytes());
            let mut flags = self.flags;
            if !last {
                flags &= !(FIN | PSH);
            }
            if index > 0 {
                flags &= !CWR;
            }
            out[self.l4 + 13] = flags;
            self.l4 + 16
        };
        put16(out, at, 0);
        let sum = checksum(pseudo, &out[self.l4..]);
        // RFC 768: an all-zero checksum means none, so zero is sent as all ones.
        put16(out, at, if self.udp && sum == 0 { 0xffff } else { sum });
    }
}

/// Completes the checksum of a frame that needs nothing else (virtio 1.2, 5.1.6.2): the field holds the sum of the pseudo-header.
fn complete(frame: &mut [u8], offload: Offload) {
    if offload.csum_offset == 0 {
        return;
    }
    let start = usize::from(offload.csum_start);
    let sum = checksum(0, &frame[start..]);
    let sum = if offload.csum_offset == 6 && sum == 0 { 0xffff } else { sum };
    put16(frame, start + usize::from(offload.csum_offset), sum);
}

/// Internet checksum (RFC 1071) of some octets, on top of a partial sum.
fn checksum(partial: u64, octets: &[u8]) -> u16 {
    let mut sum = partial;
    let mut words = octets.chunks_exact(4);
    for word in &mut words {
        sum += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut rest = [0; 4];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    sum += u64::from(u32::from_be_bytes(rest));
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn octets_sum(octets: &[u8]) -> u64 {
    octets.chunks_exact(2).map(|w| u64::from(u16::from_be_bytes([w[0], w[1]]))).sum()
}

fn pseudo_v4(addresses: &[u8], protocol: u8, len: usize) -> u64 {
    octets_sum(addresses) + u64::from(protocol) + len as u64
}

fn pseudo_v6(addresses: &[u8], protocol: u8, len: usize) -> u64 {
    octets_sum(addresses) + u64::from(protocol) + len as u64
}

/// The partial sum that a sender puts into the checksum field of a frame whose checksum it leaves to others: folded, not complemented.
/// `len` counts the octets from the transport header to the end.
pub fn partial_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: usize) -> u16 {
    !checksum(octets_sum(&source.octets()) + pseudo_v4(&destination.octets(), protocol, len), &[])
}

/// As [`partial_v4`], for IPv6 (RFC 8200 §8.1).
pub fn partial_v6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, len: usize) -> u16 {
    !checksum(octets_sum(&source.octets()) + pseudo_v6(&destination.octets(), protocol, len), &[])
}

#[cfg(test)]
#[path = "segment/tests.rs"]
mod tests;
