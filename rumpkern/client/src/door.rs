//! The door of a node: where a passed stream's program end is connected before its connect(2) or listen(2).
//!
//! Until then it is a unix socket without a peer, and so what it should be to whoever reads, writes or polls it. The node gives the
//! door's name, which is of the abstract kind, in its answer to SOCKET_PASS, and knows an end that comes in by its name.

use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrUnix};
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
    let mut left = FILLER;
    while left > 0 {
        left -= rustix::net::send(&end, &NOTHING[..left], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    }
    Ok(())
}
