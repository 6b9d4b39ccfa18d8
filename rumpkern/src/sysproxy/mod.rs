//! Remote clients: system calls of processes outside.
//!
//! A client connects to the node's `sysproxy` socket (`SOCK_SEQPACKET`, one frame a message; the wire is
//! [`rumpclient::wire`], the vocabulary [`rumpclient::msg`]) and is a process of the kernel from its HELLO until its
//! connection ends, however it ends: then its calls are dropped and its sockets closed. Calls in flight run side by
//! side, as those of a program's threads do; what need not wait is done and answered in order.
//!
//! A client is not trusted. Every length is checked, what a session may hold is bounded ([`LIMITS`]), and a client that
//! does not read its answers is not read from either. What is no frame ends the session; a frame whose fields make no
//! sense is answered with EINVAL, an unknown operation with ENOSYS.
//!
//! Sockets of unmodified programs are `passed`: their octets take another way than calls, and they may come to programs of other
//! sessions (`shared`).

mod call;
mod came;
mod host_file;
mod passed;
mod session;
mod shared;
mod view;

pub use session::attend;

use crate::kernel::Kernel;
use crate::listener::Listener;
use crate::proc::filedesc::OPEN_MAX;
use rumpclient::msg::Limits;
use rustix::net::SocketType;
use shared::Sessions;
use std::path::Path;
use std::rc::Rc;
use view::View;

/// What a session may hold at once. More calls or octets fail with ENOBUFS, more descriptors with EMFILE.
pub const LIMITS: Limits = Limits { descriptors: OPEN_MAX as u32, calls: 256, octets: 4 << 20 };
/// Octets of answers that wait to be sent past which no further call is read.
const OUT_HIGH: usize = 1 << 20;
/// Sessions of a node; more wait in the host's backlog.
const SESSIONS: usize = 256;

/// Binds the socket for remote clients at `path`.
pub fn listen(path: &Path) -> std::io::Result<Listener> {
    Listener::bind(path, SocketType::SEQPACKET)
}

/// Serves it for as long as the kernel lives.
pub fn serve(kernel: &Rc<Kernel>, listener: &Listener) -> Result<(), rustix::io::Errno> {
    let view = View::beside(listener.path()).map(Rc::new);
    let sessions = Rc::new(Sessions::default());
    listener.serve(kernel, SESSIONS, move |kernel, client, place| {
        session::begin(kernel, client, Some(place), view.clone(), sessions.clone());
    })
}
