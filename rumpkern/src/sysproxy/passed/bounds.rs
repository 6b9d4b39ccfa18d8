//! SO_SNDBUF and SO_RCVBUF of streams bound the pair as well: else it would take 200 KiB more in each direction, whatever was said.

use super::{Passed, Passing, Phase};
use crate::proc::filedesc::Fd;
use crate::syscall::SockType;
use crate::sysproxy::call::SOL_SOCKET;
use rumpclient::pair::{SEND_BUFFER, send_buffer};
use rustix::net::sockopt;
use std::cell::Cell;
use std::os::fd::OwnedFd;

const SO_SNDBUF: u32 = 7;
const SO_RCVBUF: u32 = 8;
const SO_SNDBUFFORCE: u32 = 32;
const SO_RCVBUFFORCE: u32 = 33;

/// Octets of a near end's send buffer as setsockopt(2) has them, unless the program wants to receive less at once: as the host makes it.
const NEAR: usize = 106_496;
/// Of such a part of its send buffer may a host's buffer be that lingers at the program's end: it takes up to thrice as much memory as it
/// has octets, and the end is writable while a quarter of twice the size is in use.
const LINGERING: usize = 8;

/// What a program has said of a stream's buffers, or has not: as setsockopt(2) has them.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Of the program's end.
    send: Cell<Option<usize>>,
    /// Of the near end.
    receive: Cell<Option<usize>>,
}

impl Passing {
    /// After setsockopt(2). The program's end has been bounded by whoever tells of the call, or will be.
    pub(in crate::sysproxy) fn bound(&self, fd: Fd, level: u32, name: u32, value: &[u8]) {
        let Some(passed) = self.get(fd).filter(|passed| passed.kind == SockType::Stream) else { return };
        let Some(asked) = value.first_chunk().map(|word| u32::from_le_bytes(*word) as usize) else { return };
        match (level, name) {
            (SOL_SOCKET, SO_SNDBUF | SO_SNDBUFFORCE) => passed.bounds.send.set(Some(send_buffer(asked))),
            (SOL_SOCKET, SO_RCVBUF | SO_RCVBUFFORCE) => passed.bounds.receive.set(Some(asked.min(NEAR))),
            _ => return,
        }
        passed.keep_bounds();
    }
}

impl Passed {
    /// Bounds the pair of a connection that stands.
    pub(super) fn keep_bounds(&self) {
        let Some(near) = self.near().filter(|_| self.phase.get() == Phase::Carrying) else { return };
        if let Some(send) = self.bounds.send.get() {
            let most = if send < SEND_BUFFER { send / LINGERING } else { usize::MAX };
            self.taker.borrow_mut().lighten(most, near.fd());
        }
        if let Some(receive) = self.bounds.receive.get() {
            // What is refused is as it was.
            let _ = sockopt::set_socket_send_buffer_size(near.fd(), receive);
        }
    }

    /// A connection has what its listener was told. `end` is the program's.
    pub(super) fn inherit_bounds(&self, listener: &Passed, end: &OwnedFd) {
        self.bounds.send.set(listener.bounds.send.get());
        self.bounds.receive.set(listener.bounds.receive.get());
        if let Some(send) = self.bounds.send.get() {
            let _ = sockopt::set_socket_send_buffer_size(end, send);
        }
        self.keep_bounds();
    }
}
