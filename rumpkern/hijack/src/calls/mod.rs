//! The system calls that are looked at, one file a family.
//!
//! A call ends at once ([`Outcome`]), or when the node has answered ([`Supervisor::ask`]), or when the program's end of a socket has
//! something to read ([`Supervisor::wait_for`]).

mod accept;
mod list;
mod look;
mod message;
mod name;
mod open;
mod option;
mod path;
mod receive;
pub(crate) mod ring;
mod send;
pub(crate) mod shared;
mod socket;

use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rustix::io::Errno;

/// Largest address that a program may give (`sockaddr_storage`).
const MAX_ADDR: usize = 128;

/// Serves a call, or begins to.
pub(crate) fn serve(sup: &mut Supervisor, call: &Call) -> Outcome {
    sup.put_back(call);
    match dispatch(sup, call) {
        // The host's, or another session's.
        Outcome::Proceed => match shared::stranger(sup, call) {
            Some(inode) => shared::meet(sup, call, inode, dispatch),
            None => {
                shared::hand_on(sup, call);
                Outcome::Proceed
            }
        },
        done => done,
    }
}

fn dispatch(sup: &mut Supervisor, call: &Call) -> Outcome {
    match call.nr {
        libc::SYS_socket => socket::socket(sup, call),
        libc::SYS_bind => name::bind(sup, call),
        libc::SYS_connect => name::connect(sup, call),
        libc::SYS_getsockname => name::getsockname(sup, call),
        libc::SYS_getpeername => name::getpeername(sup, call),
        libc::SYS_listen => accept::listen(sup, call),
        libc::SYS_accept | libc::SYS_accept4 => accept::accept(sup, call),
        libc::SYS_setsockopt => option::setsockopt(sup, call),
        libc::SYS_getsockopt => option::getsockopt(sup, call),
        libc::SYS_ioctl => option::ioctl(sup, call),
        libc::SYS_sendto => send::sendto(sup, call),
        libc::SYS_sendmsg => send::sendmsg(sup, call),
        libc::SYS_sendmmsg => send::sendmmsg(sup, call),
        libc::SYS_recvfrom => receive::recvfrom(sup, call),
        libc::SYS_recvmsg => receive::recvmsg(sup, call),
        libc::SYS_recvmmsg => receive::recvmmsg(sup, call),
        libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 | libc::SYS_creat => open::open(sup, call),
        libc::SYS_write => open::write(sup, call),
        libc::SYS_stat | libc::SYS_lstat | libc::SYS_newfstatat | libc::SYS_statx => look::stat(sup, call),
        libc::SYS_access | libc::SYS_faccessat | libc::SYS_faccessat2 => look::access(sup, call),
        libc::SYS_readlink | libc::SYS_readlinkat => look::readlink(sup, call),
        libc::SYS_getxattr | libc::SYS_lgetxattr | libc::SYS_listxattr | libc::SYS_llistxattr => {
            look::attributes(sup, call)
        }
        libc::SYS_getdents64 => list::getdents(sup, call),
        libc::SYS_mmap => ring::mmap(sup, call),
        libc::SYS_select | libc::SYS_pselect6 => ring::select(sup, call),
        libc::SYS_uname => name::uname(sup, call),
        _ => Outcome::Proceed,
    }
}

impl Supervisor {
    /// A `struct sockaddr` of the program's.
    fn address(&self, call: &Call, address: u64, len: u64) -> Result<Vec<u8>, Errno> {
        // The length is an `int`; a negative one is none.
        match usize::try_from(len as i32) {
            Ok(len @ 0..=MAX_ADDR) => self.memory.take(call.tid, address, len),
            Ok(_) | Err(_) => Err(Errno::INVAL),
        }
    }

    /// Puts an address where the program wants it: what fits, and how long it is.
    fn put_address(&self, call: &Call, place: u64, len_place: u64, octets: &[u8]) -> Result<(), Errno> {
        let room = self.memory.number::<4>(call.tid, len_place)? as u32 as i32;
        let room = usize::try_from(room).map_err(|_| Errno::INVAL)?;
        self.memory.write(call.tid, place, &octets[..octets.len().min(room)])?;
        self.memory.write(call.tid, len_place, &(octets.len() as u32).to_le_bytes())
    }
}

/// The outcome of something that can fail at once.
fn outcome(done: Result<Outcome, Errno>) -> Outcome {
    done.unwrap_or_else(Outcome::Fail)
}
