//! The door of a node: where a passed stream's program end is connected before its connect(2) or listen(2).
//!
//! Until then it is a unix socket without a peer, and so what it should be to whoever reads, writes or polls it. The node gives the
//! door's name, which is of the abstract kind, in its answer to SOCKET_PASS, and knows an end that comes in by its name.

use crate::pair::SEND_BUFFER;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrUnix, sockopt};
use std::os::fd::AsFd;

/// Octets that mean nothing, which keep an end from being writable until it is connected: it is while less than a quarter of its
/// send buffer is in use.
pub const FILLER: usize = 128 * 1024;
static NOTHING: [u8; FILLER] = [0; FILLER];

/// Connects a stream's program end to its node, and makes it unwritable. One that is connected already is left as it is.
pub fn enter(end: impl AsFd, door: &[u8]) -> Result<(), Errno> {
    match rustix::net::connect(&end, &SocketAddrUnix::new_abstract_name(door)?) {
        Ok(()) => fill(end),
        Err(Errno::ISCONN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn fill(end: impl AsFd) -> Result<(), Errno> {
    // The host gives back twice what it was given.
    let size = sockopt::socket_send_buffer_size(&end)? / 2;
    if size < SEND_BUFFER {
        sockopt::set_socket_send_buffer_size(&end, SEND_BUFFER)?;
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut left = FILLER - 1;
    while left > 0 {
        left -= rustix::net::send(&end, &NOTHING[..left], flags)?;
    }
    // The one that stays has a buffer of its own, a small one.
    rustix::net::send(&end, &NOTHING[..1], flags)?;
    if size < SEND_BUFFER {
        sockopt::set_socket_send_buffer_size(&end, size)?;
    }
    Ok(())
}
