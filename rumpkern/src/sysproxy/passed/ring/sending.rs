//! Rings with frames to send (PACKET_TX_RING): the program lays frames out and says which are to go; any send(2) sends those.
//!
//! A frame is copied out of the ring when the stack takes it, and its room is the program's again at once: no room is ever on its way
//! (TP_STATUS_SENDING). Of the program's end poll(2) says that it is writable also while the ring is full.

use super::layout::{AVAILABLE, FRAME_HEADER, SEND_REQUEST, Shape, WRONG_FORMAT};
use super::memory_unsafe::Memory;
use super::{Passed, Passing};
use crate::syscall::{Errno, Fd, MsgFlags, SendMeta, packet_abi};
use std::rc::Rc;

/// A ring that is emptied.
pub(super) struct Sending {
    pub(super) shape: Shape,
    memory: Rc<Memory>,
    /// Where in the memory it begins.
    first: usize,
    /// Frames that were dealt with.
    done: u64,
}

/// The next frame of a ring.
enum Next {
    /// None is to be sent.
    Nothing,
    /// This one.
    Frame(Vec<u8>),
    /// One that is not as it should be.
    Wrong(Errno),
}

impl Sending {
    pub(super) fn new(shape: Shape, memory: Rc<Memory>, first: usize) -> Sending {
        Sending { shape, memory, first, done: 0 }
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    fn next(&self, own_places: bool) -> Next {
        if self.memory.load(self.first + self.shape.status(self.done)) != SEND_REQUEST {
            return Next::Nothing;
        }
        let slot = self.first + self.shape.slot(self.done);
        let mut header = [0; FRAME_HEADER];
        // The shortest header is shorter than the longest.
        let known = FRAME_HEADER.min(self.memory.len() - slot);
        self.memory.read(slot, &mut header[..known]);
        match self.shape.outgoing(&header, own_places) {
            Ok((at, len)) => {
                let mut octets = vec![0; len];
                self.memory.read(slot + at, &mut octets);
                Next::Frame(octets)
            }
            Err(errno) => Next::Wrong(errno),
        }
    }

    fn say(&self, status: u32) {
        self.memory.store(self.first + self.shape.status(self.done), status);
    }

    /// The room of the frame is the program's again.
    fn give_back(&mut self) {
        self.say(AVAILABLE);
        self.done += 1;
    }
}

impl Passing {
    /// Sends what waits in a packet socket's ring; how many octets that was. `None`: it has no such ring.
    pub(in super::super::super) async fn send_ring(
        &self,
        fd: Fd,
        flags: MsgFlags,
        meta: &SendMeta,
    ) -> Option<Result<usize, Errno>> {
        let passed = self.get(fd).filter(|passed| packet_abi::is_packet(passed.kind))?;
        passed.ring.borrow().sending.as_ref()?;
        Some(self.flush(&passed, flags, meta).await)
    }

    async fn flush(&self, passed: &Passed, flags: MsgFlags, meta: &SendMeta) -> Result<usize, Errno> {
        if meta.link.is_none() && self.sys.packet_binding(passed.fd)?.0.is_none() {
            return Err(Errno::ENXIO);
        }
        let mut sum = 0;
        loop {
            let next = {
                let ring = passed.ring.borrow();
                // It may be gone while the last frame went.
                let Some(sending) = &ring.sending else { return Ok(sum) };
                sending.next(ring.own_places)
            };
            let sent = match next {
                Next::Nothing => return Ok(sum),
                Next::Frame(octets) => self.sys.sendmsg(passed.fd, &octets, flags, meta.clone()).await,
                Next::Wrong(errno) => Err(errno),
            };
            let mut ring = passed.ring.borrow_mut();
            let passes = ring.loss;
            let Some(sending) = &mut ring.sending else { return Ok(sum) };
            match sent {
                Ok(octets) => {
                    sending.give_back();
                    sum += octets;
                }
                Err(Errno::EMSGSIZE | Errno::EINVAL) if passes => sending.give_back(),
                Err(errno @ (Errno::EMSGSIZE | Errno::EINVAL)) => {
                    sending.say(WRONG_FORMAT);
                    return Err(errno);
                }
                // There is no room for more.
                Err(Errno::EAGAIN) if sum > 0 => return Ok(sum),
                Err(errno) => return Err(errno),
            }
        }
    }
}
