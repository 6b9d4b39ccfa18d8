//! Flow queueing with controlled delay: RFC 8290. Flows are told apart by a keyed hash of addresses,
//! protocol and ports; new ones are served first, all of them in turn, each managed by CoDel.

use super::codel::CoDel;
use super::queue::{CoDelConfig, Dropped, Fifo, Limits, Waiting};
use crate::time::Instant;
use crate::wire::{ethernet, ipv4, ipv6, ipv6_ext};
use siphasher::sip::SipHasher13;
use std::collections::VecDeque;
use std::hash::Hasher;

/// One flow's queue.
#[derive(Debug)]
struct Flow {
    fifo: Fifo,
    codel: CoDel,
    /// Octets it may still send in this turn.
    credit: i64,
    /// In one of the lists.
    listed: bool,
}

/// The queues of all flows.
#[derive(Debug)]
pub(super) struct FqCoDel {
    seed: u64,
    quantum: i64,
    flows: Vec<Flow>,
    new: VecDeque<usize>,
    old: VecDeque<usize>,
    frames: usize,
    octets: usize,
}

impl FqCoDel {
    pub(super) fn new(codel: CoDelConfig, flows: usize, quantum: usize, seed: u64) -> FqCoDel {
        let flow = || Flow { fifo: Fifo::default(), codel: CoDel::new(codel), credit: 0, listed: false };
        FqCoDel {
            seed,
            quantum: quantum.max(1) as i64,
            flows: (0..flows.max(1)).map(|_| flow()).collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
            frames: 0,
            octets: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.frames
    }

    pub(super) fn push(&mut self, w: Waiting, limits: Limits, dropped: &mut Dropped) {
        let at = (flow_hash(self.seed, w.frame.data()) % self.flows.len() as u64) as usize;
        self.frames += 1;
        self.octets += w.frame.len();
        let flow = &mut self.flows[at];
        flow.fifo.push(w);
        if !flow.listed {
            (flow.listed, flow.credit) = (true, self.quantum);
            self.new.push_back(at);
        }
        // §4.1.3: what is too much is taken from the flow that has most.
        while self.frames > limits.frames || (self.octets > limits.octets && self.frames > 1) {
            let Some(fattest) = self.flows.iter_mut().max_by_key(|f| f.fifo.octets()) else { return };
            let Some(w) = fattest.fifo.pop() else { return };
            self.frames -= 1;
            self.octets -= w.frame.len();
            dropped.push(w.frame);
        }
    }

    /// RFC 8290 §4.2.
    pub(super) fn pop(&mut self, now: Instant, dropped: &mut Dropped, marked: &mut u64) -> Option<Waiting> {
        loop {
            let from_new = !self.new.is_empty();
            let at = *self.new.front().or_else(|| self.old.front())?;
            let list = if from_new { &mut self.new } else { &mut self.old };
            let flow = &mut self.flows[at];
            if flow.credit <= 0 {
                flow.credit += self.quantum;
                list.pop_front();
                self.old.push_back(at);
                continue;
            }
            let (frames, octets) = (flow.fifo.len(), flow.fifo.octets());
            let w = flow.codel.pop(&mut flow.fifo, now, dropped, marked);
            self.frames -= frames - flow.fifo.len();
            self.octets -= octets - flow.fifo.octets();
            match w {
                Some(w) => {
                    flow.credit -= w.frame.len() as i64;
                    return Some(w);
                }
                None => {
                    list.pop_front();
                    // A new flow that is empty has its turn once more before it may be new again.
                    if from_new && !self.old.is_empty() {
                        self.old.push_back(at);
                    } else {
                        flow.listed = false;
                    }
                }
            }
        }
    }
}

/// Names the flow of a frame.
fn flow_hash(seed: u64, frame: &[u8]) -> u64 {
    let mut h = SipHasher13::new_with_keys(seed, u64::from_be_bytes(*b"fq-flows"));
    let Some(header) = ethernet::Header::parse(frame) else { return 0 };
    let packet = &frame[ethernet::HEADER_LEN..];
    let transport = match header.ethertype {
        ethernet::IPV4 => ipv4::Header::parse_quoted(packet).ok().map(|ip| {
            h.write(&packet[12..20]);
            h.write_u8(ip.protocol);
            (ip.protocol, if ip.is_fragment() { &[] } else { &packet[ip.header_len..] })
        }),
        ethernet::IPV6 => ipv6_ext::upper(packet).ok().map(|u| {
            h.write(&packet[8..ipv6::HEADER_LEN]);
            h.write_u8(u.protocol);
            (u.protocol, if u.fragment.is_some() { &[][..] } else { &packet[u.at..] })
        }),
        _ => None,
    };
    match transport {
        Some((ipv4::protocol::TCP | ipv4::protocol::UDP, t)) if t.len() >= 4 => h.write(&t[..4]),
        Some(_) => {}
        None => h.write(&frame[..ethernet::HEADER_LEN]),
    }
    h.finish()
}
