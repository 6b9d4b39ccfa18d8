//! The door of a session: where programs' ends of streams come in ([`rumpclient::door`]).
//!
//! An end that waits before the door has a name of the host's choice, and nobody else can have it: so it is known.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, getpeername, getsockname,
    listen, socket_with,
};
use std::os::fd::OwnedFd;

/// A listening unix socket with a name.
pub(super) struct Door {
    listener: OwnedFd,
    name: Vec<u8>,
}

/// Ends that may wait to be let in; the host bounds it further (`somaxconn`).
const BACKLOG: i32 = 4096;

impl Door {
    pub(super) fn open() -> Result<Door, Errno> {
        let (listener, name) = named()?;
        listen(&listener, BACKLOG)?;
        Ok(Door { listener, name })
    }

    /// What programs' ends connect to, in the abstract namespace.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The next near end that has come about, with the name of the other one.
    pub(super) fn next(&self) -> Option<(OwnedFd, Vec<u8>)> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let near = match accept_with(&self.listener, flags) {
                Ok(near) => near,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(_) => return None,
            };
            // One without a name is a stranger's.
            if let Some(name) = getpeername(&near).ok().flatten().and_then(abstract_name) {
                return Some((near, name));
            }
        }
    }
}

/// A new stream socket with a name: a program's end before it is connected.
pub(super) fn named() -> Result<(OwnedFd, Vec<u8>), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new_unnamed())?;
    let name = abstract_name(getsockname(&socket)?).ok_or(Errno::PROTO)?;
    Ok((socket, name))
}

/// What a unix socket's address is in the abstract namespace.
pub(super) fn abstract_name(addr: impl TryInto<SocketAddrUnix>) -> Option<Vec<u8>> {
    addr.try_into().ok()?.abstract_name().map(<[u8]>::to_vec)
}
