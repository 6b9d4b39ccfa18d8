//! Mapped rings of packet sockets (PACKET_RX_RING): the node puts frames into memory that the program reads. Those with frames to send
//! are in [`sending`]; a socket has one memory for both, what comes in first.
//!
//! That something is there shows as ever: the program's end of the pair is readable, because one message ([`TOKEN`]) lies in it.
//! The program polls for it, reads the ring and never the message; so the node keeps a copy of the end and takes the message back
//! when the program has given back all that it was given. Nothing tells the node of that: it looks, at first soon, then seldom, and
//! when it is told that the program is about to select(2).

mod layout;
mod memory_unsafe;
mod sending;

use super::{Passed, Passing};
use crate::remote::Remote;
use crate::syscall::packet_abi::{self, SOL_PACKET};
use crate::syscall::{Errno, Fd, SockType, Sys};
use layout::{BLOCK_HEADER, Frame, Shape, TIMED_OUT, USER, Version, Way};
use memory_unsafe::Memory;
use netstack::time::{Duration, Instant};
use rustix::net::{RecvFlags, SendFlags};
use sending::Sending;
use std::future::{pending, poll_fn};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;

/// Options of `SOL_PACKET` that rings have to do with.
const RX_RING: u32 = 5;
const VERSION: u32 = 10;
const RESERVE: u32 = 12;
const TX_RING: u32 = 13;
const LOSS: u32 = 14;
const TX_HAS_OFF: u32 = 19;

/// The message that makes the program's end readable.
const TOKEN: [u8; 1] = [0];
/// How soon after something was given to the program the node looks whether it was given back, and how seldom at last.
const FIRST_LOOK: Duration = Duration::from_micros(250);
const LAST_LOOK: Duration = Duration::from_millis(16);

/// A packet socket's ring, or what is said of it beforehand.
#[derive(Default)]
pub(super) struct Ring {
    version: Version,
    reserve: u32,
    filling: Option<Filling>,
    sending: Option<Sending>,
    /// PACKET_LOSS: what cannot be sent is passed over.
    loss: bool,
    /// PACKET_TX_HAS_OFF: frames that are to be sent say where they begin.
    own_places: bool,
    /// A copy of the program's end.
    end: Option<OwnedFd>,
    /// The token lies in it, as far as is known.
    shown: bool,
    look: Option<Look>,
    /// Frames for which there was no room, and how often a block had none: since this was last asked.
    drops: u32,
    freezes: u32,
    /// It has no room: the stack, which was told so, gives frames to others of the socket's group.
    full: bool,
}

/// When the node looks next.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    after: Duration,
}

/// A ring that is filled.
struct Filling {
    shape: Shape,
    memory: Rc<Memory>,
    /// Frames or blocks that were handed to the program, and that it has given back.
    handed: u64,
    back: u64,
    /// Of a block that is being filled.
    block: Option<Block>,
    /// The program has lost frames for want of room since.
    frozen: bool,
}

/// A block that is being filled.
struct Block {
    /// Octets used.
    used: usize,
    frames: u32,
    /// Where the last frame is.
    last: usize,
    times: [u64; 2],
    /// When it is handed on, full or not.
    until: Instant,
}

impl Ring {
    /// Sets one of the options that rings have to do with.
    fn set(&mut self, kind: SockType, name: u32, value: &[u8]) -> Result<(), Errno> {
        let word = || value.first_chunk().map(|word| u32::from_le_bytes(*word)).ok_or(Errno::EINVAL);
        let any = self.filling.is_some() || self.sending.is_some();
        match name {
            VERSION | RESERVE | LOSS | TX_HAS_OFF if any => return Err(Errno::EBUSY),
            VERSION => self.version = Version::by_number(word()?)?,
            RESERVE => self.reserve = word().ok().filter(|n| *n <= i32::MAX as u32).ok_or(Errno::EINVAL)?,
            LOSS => self.loss = word()? != 0,
            TX_HAS_OFF => self.own_places = word()? != 0,
            _ => {
                let way = if name == TX_RING { Way::Out } else { Way::In };
                let shape = Shape::read(self.version, way, kind, self.reserve as usize, value)?;
                let there = match way {
                    Way::In => self.filling.is_some(),
                    Way::Out => self.sending.is_some(),
                };
                if shape.is_some() && (there || self.end.is_some()) {
                    return Err(Errno::EBUSY);
                }
                self.shape(way, shape)?;
            }
        }
        Ok(())
    }

    /// Makes a ring, or takes it away (`None`): what the other has stays as it is.
    fn shape(&mut self, way: Way, shape: Option<Shape>) -> Result<(), Errno> {
        let filled = self.filling.as_ref().map(|filling| filling.shape);
        let sent = self.sending.as_ref().map(|sending| sending.shape);
        let (filled, sent) = match way {
            Way::In => (shape, sent),
            Way::Out => (filled, shape),
        };
        let first = filled.map_or(0, |shape| shape.len());
        let len = first + sent.map_or(0, |shape| shape.len());
        if len == 0 || shape.is_none() && self.end.is_some() {
            // What is mapped stays so.
            match way {
                Way::In => self.filling = None,
                Way::Out => self.sending = None,
            }
            if len == 0 {
                self.end = None;
            }
            return Ok(());
        }
        let memory = Rc::new(Memory::new(len).map_err(|_| Errno::ENOMEM)?);
        self.sending = sent.map(|shape| Sending::new(shape, memory.clone(), first));
        match (&mut self.filling, filled) {
            (Some(filling), Some(_)) if way == Way::Out => {
                let mut octets = vec![0; first];
                filling.memory.read(0, &mut octets);
                memory.write(0, &octets);
                filling.memory = memory;
            }
            (filling, filled) => *filling = filled.map(|shape| Filling::new(shape, memory)),
        }
        Ok(())
    }

    /// Puts a frame in. Whether somebody must look after the ring.
    fn put(&mut self, frame: &Frame<'_>, now: Instant) -> bool {
        let losing = self.drops > 0;
        let Some(filling) = &mut self.filling else { return false };
        let (handed, waits) = (filling.handed, filling.block.is_some());
        let taken = match filling.shape.version {
            Version::V1 | Version::V2 => filling.put_frame(frame, losing),
            Version::V3 => filling.put_in_block(frame, losing, now),
        };
        if !taken {
            self.drops += 1;
            self.freezes += u32::from(!std::mem::replace(&mut filling.frozen, true));
        } else {
            filling.frozen = false;
        }
        filling.block.is_some() != waits || filling.handed != handed && !self.shown
    }

    /// Whether that it has room, or none, is news.
    fn fills(&mut self) -> Option<bool> {
        let full =
            self.filling.as_ref().is_some_and(|filling| filling.block.is_none() && !filling.has_room());
        (std::mem::replace(&mut self.full, full) != full).then_some(full)
    }

    /// When there is something to do next.
    fn due(&self) -> Option<Instant> {
        let block = self.filling.as_ref().and_then(|filling| filling.block.as_ref());
        block.map(|block| block.until).into_iter().chain(self.look.map(|look| look.at)).min()
    }

    /// Does what is due, and shows at the program's end (`near` is the other) whether there is something to read.
    fn tick(&mut self, now: Instant, near: &OwnedFd) {
        let unread = match &mut self.filling {
            None => false,
            Some(filling) => {
                if filling.block.as_ref().is_some_and(|block| block.until <= now) {
                    filling.hand_on(TIMED_OUT);
                }
                let back = filling.back;
                filling.count_back();
                if filling.back != back {
                    self.look = None;
                }
                filling.back != filling.handed
            }
        };
        let Some(end) = &self.end else { return };
        if !unread {
            if std::mem::take(&mut self.shown) {
                while rustix::net::recv(end, &mut [0; 1][..], RecvFlags::DONTWAIT).is_ok() {}
            }
            self.look = None;
            return;
        }
        let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        // The program may have read it after all.
        if !self.shown || rustix::net::recv(end, &mut [0; 1][..], peek).is_err() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            self.shown = rustix::net::send(near, &TOKEN, flags).is_ok();
            self.look = None;
        }
        let after = match self.look {
            Some(look) if look.at > now => return,
            Some(look) => (look.after * 2).min(LAST_LOOK),
            None => FIRST_LOOK,
        };
        self.look = Some(Look { at: now + after, after });
    }
}

impl Filling {
    fn new(shape: Shape, memory: Rc<Memory>) -> Filling {
        if shape.version == Version::V3 {
            for nth in 0..shape.blocks as u64 {
                memory.write(shape.slot(nth), &shape.version.number().to_le_bytes());
                memory.write(shape.slot(nth) + 4, &(BLOCK_HEADER as u32).to_le_bytes());
            }
        }
        Filling { shape, memory, handed: 0, back: 0, block: None, frozen: false }
    }

    /// Whether the next frame or block is ours.
    fn has_room(&self) -> bool {
        self.memory.load(self.shape.status(self.handed)) & USER == 0
    }

    /// Sees what the program has given back.
    fn count_back(&mut self) {
        while self.back != self.handed && self.memory.load(self.shape.status(self.back)) & USER == 0 {
            self.back += 1;
        }
    }

    fn put_frame(&mut self, frame: &Frame<'_>, losing: bool) -> bool {
        if !self.has_room() {
            return false;
        }
        let (octets, at) = (self.shape.lay_out(frame, losing), self.shape.slot(self.handed));
        self.memory.write(at + 4, &octets[4..]);
        self.memory.store(at, Shape::frame_status(losing));
        self.handed += 1;
        true
    }

    fn put_in_block(&mut self, frame: &Frame<'_>, losing: bool, now: Instant) -> bool {
        let mut octets = self.shape.lay_out(frame, losing);
        let len = octets.len().next_multiple_of(8);
        if self.block.as_ref().is_some_and(|block| block.used + len > self.shape.block_size) {
            self.hand_on(0);
        }
        let first = BLOCK_HEADER + self.shape.private;
        if self.block.is_none() && !self.has_room() {
            return false;
        }
        let block = self.block.get_or_insert(Block {
            used: first,
            frames: 0,
            last: first,
            times: [frame.time; 2],
            until: now + self.shape.retire,
        });
        octets[..4].copy_from_slice(&(len as u32).to_le_bytes());
        block.last = block.used;
        block.used += len;
        block.frames += 1;
        block.times[1] = frame.time;
        self.memory.write(self.shape.slot(self.handed) + block.last, &octets);
        true
    }

    /// Hands the block that is being filled to the program.
    fn hand_on(&mut self, status: u32) {
        let Some(block) = self.block.take() else { return };
        let at = self.shape.slot(self.handed);
        // The last frame has none behind it.
        self.memory.write(at + block.last, &[0; 4]);
        let first = (BLOCK_HEADER + self.shape.private) as u32;
        let mut header = Vec::with_capacity(BLOCK_HEADER);
        for word in [block.frames, first, block.used as u32] {
            header.extend(word.to_le_bytes());
        }
        header.extend((self.handed + 1).to_le_bytes());
        for time in block.times {
            header.extend(((time / 1_000_000_000) as u32).to_le_bytes());
            header.extend(((time % 1_000_000_000) as u32).to_le_bytes());
        }
        self.memory.write(self.shape.status(self.handed) + 4, &header);
        self.memory.store(self.shape.status(self.handed), USER | status);
        self.handed += 1;
    }
}

impl Passing {
    /// setsockopt(2) of what rings have to do with; `None`: it is something else.
    pub(in super::super) fn set_ring(
        &self,
        fd: Fd,
        level: u32,
        name: u32,
        value: &[u8],
    ) -> Option<Result<(), Errno>> {
        let passed =
            self.get(fd).filter(|passed| level == SOL_PACKET && packet_abi::is_packet(passed.kind))?;
        match name {
            RX_RING | TX_RING | VERSION | RESERVE | LOSS | TX_HAS_OFF => {
                Some(passed.ring.borrow_mut().set(passed.kind, name, value))
            }
            _ => None,
        }
    }

    /// getsockopt(2) of the same, and what was counted.
    pub(in super::super) fn ring_option(
        &self,
        fd: Fd,
        level: u32,
        name: u32,
    ) -> Option<Result<Vec<u8>, Errno>> {
        let passed =
            self.get(fd).filter(|passed| level == SOL_PACKET && packet_abi::is_packet(passed.kind))?;
        let mut ring = passed.ring.borrow_mut();
        match name {
            VERSION => Some(Ok(ring.version.number().to_le_bytes().to_vec())),
            RESERVE => Some(Ok(ring.reserve.to_le_bytes().to_vec())),
            LOSS => Some(Ok(u32::from(ring.loss).to_le_bytes().to_vec())),
            TX_HAS_OFF => Some(Ok(u32::from(ring.own_places).to_le_bytes().to_vec())),
            packet_abi::STATISTICS => Some(self.sys.packet_stats(fd).map(|stats| {
                let (drops, freezes) = (std::mem::take(&mut ring.drops), std::mem::take(&mut ring.freezes));
                let mut octets = [stats.packets.to_le_bytes(), (stats.drops + drops).to_le_bytes()].concat();
                if ring.version == Version::V3 {
                    octets.extend(freezes.to_le_bytes());
                }
                octets
            })),
            _ => None,
        }
    }

    /// The program is about to ask which of its ends are readable, and trusts the answer.
    pub(in super::super) fn look_at_rings(&self) {
        let now = self.sys.kernel().clock();
        for passed in self.sockets.borrow().values().filter(|passed| packet_abi::is_packet(passed.kind)) {
            if let Some(near) = passed.near() {
                passed.ring.borrow_mut().tick(now, near.fd());
                passed.tell_room(&self.sys);
            }
        }
    }

    /// mmap(2): the memory of the ring, for a copy of the program's end.
    pub(in super::super) fn pass_ring(&self, fd: Fd, end: Option<OwnedFd>) -> Result<OwnedFd, Errno> {
        let passed = self.get(fd).ok_or(Errno::EBADF)?;
        let mut ring = passed.ring.borrow_mut();
        let memory = match (&ring.filling, &ring.sending) {
            (Some(filling), _) => &filling.memory,
            (None, Some(sending)) => sending.memory(),
            (None, None) => return Err(Errno::EINVAL),
        };
        let memory = memory.file().try_clone().map_err(|_| Errno::EMFILE)?;
        ring.end = Some(end.ok_or(Errno::EINVAL)?);
        drop(ring);
        passed.ring_news.set(true);
        passed.wake();
        Ok(memory)
    }
}

impl Passed {
    /// Puts what was received into the ring; false: there is none.
    pub(super) fn put_in_ring(
        &self,
        sys: &Sys,
        frame: &[u8],
        wire_len: usize,
        from: [u8; 20],
        time: u64,
    ) -> bool {
        let mut ring = self.ring.borrow_mut();
        if ring.filling.is_none() {
            return false;
        }
        let news = ring.put(&Frame { octets: frame, wire_len, from, time }, sys.now());
        drop(ring);
        self.tell_room(sys);
        if news {
            self.ring_news.set(true);
            self.wake();
        }
        true
    }

    /// Tells the stack whether the ring has room, if that is news.
    fn tell_room(&self, sys: &Sys) {
        if let (Some(full), Some(socket)) = (self.ring.borrow_mut().fills(), self.socket) {
            sys.kernel().stack.borrow_mut().packet_set_full(socket, full);
        }
    }
}

/// Looks after a packet socket's ring for as long as the socket lives.
pub(super) async fn tend(passing: &Rc<Passing>, passed: &Rc<Passed>, near: &Remote) {
    if !packet_abi::is_packet(passed.kind) {
        return pending().await;
    }
    loop {
        let due = passed.ring.borrow().due();
        let news = poll_fn(|cx| match passed.ring_news.replace(false) {
            true => Poll::Ready(()),
            false => {
                passed.wait(cx);
                Poll::Pending
            }
        });
        let time = async {
            match due {
                Some(at) => passing.sys.sleep_until(at).await,
                None => pending().await,
            }
        };
        super::first(news, time).await;
        let now = passing.sys.kernel().clock();
        passed.ring.borrow_mut().tick(now, near.fd());
        passed.tell_room(&passing.sys);
    }
}

#[cfg(test)]
mod tests;
