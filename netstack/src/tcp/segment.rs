//! A segment as the state machine sees it: RFC 9293 §3.3.1, "current segment variables".

use super::ecn;
use super::seq::SeqNum;
use crate::net::mbuf::Offload;
use crate::socket::sockbuf::RecvBuf;
use crate::wire::tcp::{Flags, Header, Options};
use std::sync::Arc;

/// What the IP layer hands up: octets from the TCP header on.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    pub(crate) octets: &'a [u8],
    /// Where they lie, if the receive buffer may keep it instead of a copy.
    memory: Option<&'a Arc<Vec<u8>>>,
    /// What is left undone: the checksum, or the parting of several segments.
    pub(crate) offload: Offload,
}

impl<'a> Arrived<'a> {
    /// Octets that others will use again.
    pub fn new(octets: &'a [u8], offload: Offload) -> Arrived<'a> {
        Arrived { octets, memory: None, offload }
    }

    /// What begins at `at` in memory that may be kept.
    pub fn kept(memory: &'a Arc<Vec<u8>>, at: usize, offload: Offload) -> Arrived<'a> {
        Arrived { octets: memory.get(at..).unwrap_or_default(), memory: Some(memory), offload }
    }

    /// How many segments it is on a wire.
    pub(crate) fn parts(&self) -> u32 {
        match self.offload.gso {
            Some(gso) => {
                let headers = usize::from(gso.header_len).saturating_sub(self.offload.csum_start.into());
                let payload = self.octets.len().saturating_sub(headers);
                payload.div_ceil(usize::from(gso.size.max(1))).max(1) as u32
            }
            None => 1,
        }
    }
}

/// SEG.SEQ, SEG.ACK, …
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) seq: SeqNum,
    pub(crate) ack: SeqNum,
    pub(crate) flags: Flags,
    /// As in the header, not scaled.
    pub(crate) wnd: u16,
    /// It came with a SYN, whose window is never scaled (RFC 7323 §2.2).
    of_syn: bool,
    /// Urgent pointer.
    pub(crate) up: u16,
    pub(crate) options: Options,
    /// The ECN field of the IP header that it came with.
    pub(crate) ecn: u8,
    pub(crate) payload: &'a [u8],
    /// How many segments it was before anybody put them together, and the payload of the largest.
    pub(crate) parts: u32,
    pub(crate) part: u32,
    /// The memory in which the payload lies and which the receive buffer may keep.
    memory: Option<&'a Arc<Vec<u8>>>,
}

impl<'a> Segment<'a> {
    /// `tos`: that of the IP header.
    pub(crate) fn new(header: &Header, payload: &'a [u8], arrived: &Arrived<'a>, tos: u8) -> Segment<'a> {
        Segment {
            seq: SeqNum(header.seq),
            ack: SeqNum(header.ack),
            flags: header.flags,
            wnd: header.window,
            of_syn: header.flags.contains(Flags::SYN),
            up: header.urgent,
            options: header.options,
            ecn: tos & ecn::MASK,
            payload,
            parts: arrived.parts(),
            part: arrived.offload.gso.map_or(u32::MAX, |gso| gso.size.into()).min(payload.len() as u32),
            memory: arrived.memory,
        }
    }

    /// Appends the payload to what can be read; large ones are kept where they lie.
    pub(crate) fn deliver(&self, to: &mut RecvBuf) {
        match self.memory {
            Some(memory) => {
                let at = self.payload.as_ptr() as usize - memory.as_ptr() as usize;
                to.push_shared(memory, at..at + self.payload.len());
            }
            None => to.push(self.payload),
        }
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.intersects(flag)
    }

    /// SEG.WND, octets.
    pub(crate) fn window(&self, shift: u8) -> u32 {
        u32::from(self.wnd) << if self.of_syn { 0 } else { shift }
    }

    /// SEG.LEN: octets of data, SYN and FIN included.
    pub(crate) fn len(&self) -> u32 {
        self.payload.len() as u32 + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }

    /// The sequence number after the segment.
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len()
    }

    /// Drops the first `n` numbers of the segment's sequence space.
    pub(crate) fn trim_front(&mut self, mut n: u32) {
        // The urgent pointer counts from SEG.SEQ, which is a SYN's if there is one.
        self.up = self.up.saturating_sub(n.min(u32::from(u16::MAX)) as u16);
        if n > 0 && self.has(Flags::SYN) {
            self.flags.remove(Flags::SYN);
            self.seq += 1;
            n -= 1;
        }
        let octets = (n as usize).min(self.payload.len());
        self.payload = &self.payload[octets..];
        self.seq += octets as u32;
        if n as usize > octets && self.has(Flags::FIN) {
            self.flags.remove(Flags::FIN);
            self.seq += 1;
        }
        if self.up == 0 {
            self.flags.remove(Flags::URG);
        }
    }

    /// Keeps what stands before `edge`.
    pub(crate) fn trim_back(&mut self, edge: SeqNum) {
        if self.end().gt(edge) {
            self.flags.remove(Flags::FIN);
            let room = if edge.gt(self.seq) { edge.since(self.seq) as usize } else { 0 };
            self.payload = &self.payload[..room.min(self.payload.len())];
        }
    }
}
