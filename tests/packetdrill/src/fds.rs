//! Descriptors: the numbers that packetdrill has, which must be the host's own, and what is behind them.
//!
//! Each is an eventfd (a pipe's end is the host's pipe): packetdrill closes what a script leaves open by
//! libc's `close`, and reads options by libc's `getsockopt`. [`is_ours`] tells those that this process's
//! symbols of these names (`interpose_unsafe`) must not pass on; it takes no lock, because everybody's
//! `close` asks it.

use crate::epoll::Epoll;
use rumpkern::syscall::{Errno, Fd};
use rustix::event::EventfdFlags;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Numbers that can be ours: those below.
const NUMBERS: usize = 65_536;
/// One bit a number. Relaxed: a bit says who is asked; that one has locks of his own.
static OURS: [AtomicU64; NUMBERS / 64] = [const { AtomicU64::new(0) }; NUMBERS / 64];

/// Whether a descriptor of this process is one of ours.
pub(crate) fn is_ours(fd: RawFd) -> bool {
    place(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

fn place(fd: RawFd) -> Option<(&'static AtomicU64, u64)> {
    let n = usize::try_from(fd).ok()?;
    Some((OURS.get(n / 64)?, 1 << (n % 64)))
}

/// What a descriptor is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A socket of the kernel's.
    Socket(Fd),
    /// An epoll set.
    Epoll(Arc<Mutex<Epoll>>),
    /// An end of a pipe of the host's.
    Pipe,
}

/// An open descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) host: Arc<OwnedFd>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Fds {
    all: Mutex<BTreeMap<RawFd, Entry>>,
}

impl Fds {
    /// A new descriptor for `kind`, and what its number was before, if that was closed behind our back.
    pub(crate) fn open(&self, kind: Kind) -> Result<(RawFd, Option<Kind>), Errno> {
        let host = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(|_| Errno::EMFILE)?;
        self.adopt(kind, host)
    }

    /// The same with a descriptor of the host's that is there already.
    pub(crate) fn adopt(&self, kind: Kind, host: OwnedFd) -> Result<(RawFd, Option<Kind>), Errno> {
        let number = host.as_raw_fd();
        let (word, bit) = place(number).ok_or(Errno::EMFILE)?;
        let stale = self.lock().insert(number, Entry { kind, host: Arc::new(host) });
        word.fetch_or(bit, Ordering::Relaxed);
        Ok((number, stale.map(forget)))
    }

    /// What is behind a number.
    pub(crate) fn get(&self, fd: RawFd) -> Result<Entry, Errno> {
        self.lock().get(&fd).cloned().ok_or(Errno::EBADF)
    }

    /// The socket behind a number.
    pub(crate) fn socket(&self, fd: RawFd) -> Result<Fd, Errno> {
        match self.get(fd)?.kind {
            Kind::Socket(fd) => Ok(fd),
            Kind::Epoll(_) | Kind::Pipe => Err(Errno::ENOTSOCK),
        }
    }

    /// The epoll sets.
    pub(crate) fn epolls(&self) -> Vec<Arc<Mutex<Epoll>>> {
        let set = |entry: &Entry| match &entry.kind {
            Kind::Epoll(set) => Some(set.clone()),
            Kind::Socket(_) | Kind::Pipe => None,
        };
        self.lock().values().filter_map(set).collect()
    }

    /// Takes a number away; the host's descriptor is closed with the entry.
    pub(crate) fn close(&self, fd: RawFd) -> Result<Entry, Errno> {
        let entry = self.lock().remove(&fd).ok_or(Errno::EBADF)?;
        self.not_ours(fd);
        Ok(entry)
    }

    /// Takes all away.
    pub(crate) fn close_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        for fd in all.keys() {
            self.not_ours(*fd);
        }
    }

    fn not_ours(&self, fd: RawFd) {
        if let Some((word, bit)) = place(fd) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RawFd, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry's descriptor was closed by somebody else, and its number is another's now: it must not be
/// closed again.
fn forget(entry: Entry) -> Kind {
    if let Some(host) = Arc::into_inner(entry.host) {
        let _ = host.into_raw_fd();
    }
    entry.kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_ours_while_it_is_open() {
        let fds = Fds::default();
        let (a, stale) = fds.open(Kind::Socket(Fd(7))).unwrap();
        assert!(is_ours(a) && stale.is_none() && !is_ours(-1) && !is_ours(1));
        assert_eq!(fds.socket(a), Ok(Fd(7)));
        let entry = fds.close(a).unwrap();
        assert!(!is_ours(a));
        assert_eq!(fds.socket(a), Err(Errno::EBADF));
        drop(entry);
        let (b, _) = fds.open(Kind::Pipe).unwrap();
        assert_eq!((fds.socket(b), b), (Err(Errno::ENOTSOCK), a));
        fds.close_all();
        assert!(!is_ours(b));
    }
}
