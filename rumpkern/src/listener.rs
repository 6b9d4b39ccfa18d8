//! The doors of a node on the host: bound Unix sockets, and who may come in by them.
//!
//! [`crate::ctl`] and [`crate::sysproxy`] each have one. What a client says and gets is theirs.

use crate::ctl::with_short_path;
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

/// Clients that wait in the host's backlog.
const BACKLOG: i32 = 128;
/// How long after a failed accept the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A bound, listening socket. Its path goes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Binds a listening socket at `path`, which may be longer than a socket address. A leftover of a dead node is
    /// replaced: whoever may write the directory owns the lab.
    pub(crate) fn bind(path: &Path, kind: SocketType) -> io::Result<Listener> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, FLAGS, None)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        with_short_path(path, |short| Ok(rustix::net::bind(&socket, &SocketAddrUnix::new(short)?)?))?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Listener { socket, path: path.to_owned() })
    }

    /// Where it is bound.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets clients in for as long as the kernel lives, at most `most` at once: `begin` gets each, with its place.
    pub(crate) fn serve(
        &self,
        kernel: &Rc<Kernel>,
        most: usize,
        begin: impl Fn(&Rc<Kernel>, OwnedFd, Place) + 'static,
    ) -> Result<(), Errno> {
        let socket =
            self.socket.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let socket = Remote::new(kernel, socket)?;
        let weak = Rc::downgrade(kernel);
        kernel.spawn_kernel(async move {
            let places = Rc::new(Places::default());
            loop {
                places.below(most).await;
                let accepted = socket.read_with(|fd| rustix::net::accept_with(fd, FLAGS)).await;
                let Some(kernel) = weak.upgrade() else { return };
                match accepted {
                    Ok(client) if is_ours(&client) => begin(&kernel, client, Place::take(&places)),
                    Ok(_stranger) => {}
                    // Out of descriptors or memory: others will let go of theirs.
                    Err(_) => kernel.sleep_until(kernel.clock() + ACCEPT_PAUSE).await,
                }
            }
        });
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A lab belongs to one user; the directory's mode says so too, but sockets can be passed on.
fn is_ours(client: &OwnedFd) -> bool {
    let me = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(client).is_ok_and(|peer| peer.uid == me || peer.uid.is_root())
}

/// How many clients are in, and the accepting lwp if it waits for one to go.
#[derive(Debug, Default)]
struct Places {
    taken: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl Places {
    async fn below(&self, most: usize) {
        poll_fn(|cx| {
            if self.taken.get() < most {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// One client's place among them; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Rc<Places>);

impl Place {
    fn take(places: &Rc<Places>) -> Place {
        places.taken.set(places.taken.get() + 1);
        Place(places.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }
}
