//! mmap(2) of a packet socket: libpcap's ring, or one with frames to send.
//!
//! The socket that the program holds is a unix socket, which cannot be mapped. So for the time of this one call a memory file stands in
//! its place; the host maps that, and at the thread's next call that is looked at the socket is put back. Meanwhile who polls the
//! descriptor is told that it is readable, finds nothing in the ring and comes again; other calls by it fail. Programs bind the
//! socket or ask for its statistics right after they have mapped it.
//!
//! The node keeps a copy of a mapped socket's end, and so cannot see that the program closes it: [`Supervisor::sweep_rings`] does.

use crate::process;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use crate::tree;
use rumpclient::Sid;
use rumpclient::msg::Request;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

/// Octets of a page.
const PAGE: u64 = 4096;

/// Mapped sockets, and those in whose place something else stands.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    mapped: BTreeMap<u64, Sid>,
    swapped: Vec<Swapped>,
}

/// A descriptor that stands for another.
#[derive(Debug)]
struct Swapped {
    tid: i32,
    fd: i32,
    cloexec: bool,
    /// The socket.
    inode: u64,
    end: OwnedFd,
    /// The memory file.
    stands: u64,
}

pub(super) fn mmap(sup: &mut Supervisor, call: &Call) -> Outcome {
    let fd = call.args[4];
    let Some(inode) = process::socket_inode(call.tid, fd) else { return Outcome::Proceed };
    let Some(socket) = sup.sockets.get(inode).filter(|socket| socket.is_packet()) else {
        return Outcome::Proceed;
    };
    let sid = socket.sid;
    let end = match sup.end_at(call, fd, inode) {
        Ok(end) => end,
        Err(errno) => return Outcome::Fail(errno),
    };
    let copy = match end.try_clone() {
        Ok(copy) => copy,
        Err(_) => return Outcome::Fail(Errno::NFILE),
    };
    sup.ask_with(call, sid, &Request::RingPass, Some(copy.as_fd()), move |sup, call, answer| {
        if let Err(errno) = answer.result {
            return Outcome::Fail(errno);
        }
        let Some(memory) = answer.passed else { return Outcome::Fail(Errno::PROTO) };
        let Ok(stat) = rustix::fs::fstat(&memory) else { return Outcome::Fail(Errno::PROTO) };
        // All of it, or nothing.
        let [_, len, _, _, _, offset] = call.args;
        if (len.next_multiple_of(PAGE), offset) != (stat.st_size as u64, 0) {
            return Outcome::Fail(Errno::INVAL);
        }
        let cloexec = process::is_cloexec(call.tid, fd);
        let swapped = Swapped { tid: call.tid, fd: fd as i32, cloexec, inode, end, stands: stat.st_ino };
        match sup.listener.replace(call, swapped.fd, memory.as_fd(), cloexec) {
            Ok(()) => {
                sup.rings.swapped.push(swapped);
                sup.rings.mapped.insert(inode, sid);
                Outcome::Proceed
            }
            Err(errno) => Outcome::Fail(errno),
        }
    })
}

/// select(2) of reading alone: of a ring the node may not have seen yet that the program has emptied it. libpcap does not mind; who selects and then
/// reads without looking (nmap) would wait for ever.
pub(super) fn select(sup: &mut Supervisor, call: &Call) -> Outcome {
    if sup.rings.is_empty() {
        return Outcome::Proceed;
    }
    sup.ask(call, Sid::NONE, &Request::RingLook, |_, _, _| Outcome::Proceed)
}

impl Rings {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.mapped.is_empty()
    }
}

impl Supervisor {
    /// Puts sockets back in whose place memory files were mapped, before a call of the same process is served.
    pub(crate) fn put_back(&mut self, call: &Call) {
        let listener = &self.listener;
        self.rings.swapped.retain(|swapped| {
            // A thread that calls has done its mapping; another's may still be on the way.
            let mapped = || swapped.tid == call.tid || process::has_mapped(call.tid, swapped.stands);
            let stands = process::file_inode(call.tid, swapped.fd) == Some(swapped.stands);
            if !stands || !mapped() {
                return process::file_inode(swapped.tid, swapped.fd) == Some(swapped.stands);
            }
            // A call that is gone by now comes again.
            listener.replace(call, swapped.fd, swapped.end.as_fd(), swapped.cloexec).is_err()
        });
    }

    /// Closes mapped sockets that no process of the program holds any more.
    pub(crate) fn sweep_rings(&mut self) {
        if self.rings.is_empty() {
            return;
        }
        let held = tree::sockets();
        let Rings { mapped, swapped } = &mut self.rings;
        let sockets = &self.sockets;
        let node = &mut self.node;
        mapped.retain(|inode, sid| {
            if sockets.get(*inode).is_none() {
                return false;
            }
            let gone = !held.contains(inode) && !swapped.iter().any(|swapped| swapped.inode == *inode);
            // If it cannot be told now, it will be next time.
            !gone || node.submit(*sid, &Request::Close).is_err()
        });
    }
}
