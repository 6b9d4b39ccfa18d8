//! The node's `sysproxy` socket: who may come in.

use super::{SESSIONS, session};
use crate::kernel::Kernel;
use crate::remote::Remote;
use netstack::time::Duration;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A bound socket. Its path goes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Binds a listening socket at `path`, which may be longer than a socket address. A leftover of a dead node is
    /// replaced: whoever may write the directory owns the lab.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        crate::ctl::with_short_path(path, |short| {
            Ok(rustix::net::bind(&socket, &SocketAddrUnix::new(short)?)?)
        })?;
        rustix::net::listen(&socket, 128)?;
        Ok(Listener { socket, path: path.to_owned() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How long after a failed accept the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the socket for as long as the kernel lives.
pub fn serve(kernel: &Rc<Kernel>, listener: &Listener) -> Result<(), Errno> {
    let socket =
        listener.socket.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let socket = Remote::new(kernel, socket)?;
    let weak = Rc::downgrade(kernel);
    kernel.spawn_kernel(async move {
        let open = Rc::new(Open::default());
        loop {
            open.below_limit().await;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let accepted = socket.read_with(|fd| rustix::net::accept_with(fd, flags)).await;
            let Some(kernel) = weak.upgrade() else { return };
            match accepted {
                Ok(client) if is_ours(&client) => session::begin(&kernel, client, Some(Place::take(&open))),
                Ok(_stranger) => {}
                // Out of descriptors or memory: others will let go of theirs.
                Err(_) => kernel.sleep_until(kernel.clock() + ACCEPT_PAUSE).await,
            }
        }
    });
    Ok(())
}

/// A lab belongs to one user; the directory's mode says so too, but sockets can be passed on.
fn is_ours(client: &OwnedFd) -> bool {
    let me = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(client).is_ok_and(|peer| peer.uid == me || peer.uid.is_root())
}

/// How many sessions there are, and the accepting lwp if it waits for one to end.
#[derive(Debug, Default)]
struct Open {
    count: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl Open {
    async fn below_limit(&self) {
        poll_fn(|cx| {
            if self.count.get() < SESSIONS {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// One session's place among them; dropped with it.
#[derive(Debug)]
pub(super) struct Place(Rc<Open>);

impl Place {
    fn take(open: &Rc<Open>) -> Place {
        open.count.set(open.count.get() + 1);
        Place(open.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }
}
