//! Descriptor tables: small numbers to open files.
//!
//! An open file ([`File`]) is shared by its duplicates, flags included, as POSIX has it; the last
//! one that is closed closes what is behind it. A new descriptor is the lowest free number.

use crate::netlink;
use crate::syscall::Errno;
use netstack::SocketId;
use netstack::socket::SockType;
use netstack::time::Duration;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub u32);

/// Descriptors a process may have: enough for a hundred thousand connections.
pub const OPEN_MAX: usize = 1 << 17;

/// An open file.
#[derive(Debug)]
pub struct File {
    /// What is behind it.
    pub(crate) kind: Kind,
    /// O_NONBLOCK
    pub(crate) nonblocking: Cell<bool>,
    /// SO_RCVTIMEO, of sockets.
    pub(crate) rcvtimeo: Cell<Option<Duration>>,
    /// SO_SNDTIMEO, of sockets.
    pub(crate) sndtimeo: Cell<Option<Duration>>,
    /// Descriptors that name it. At none it is closed: calls that still sleep on it end with EBADF.
    pub(crate) descriptors: Cell<u32>,
}

/// Kinds of open files.
pub enum Kind {
    /// A socket of the stack, and its type.
    Socket(SocketId, SockType),
    /// A routing socket, or one for diagnostics.
    Netlink(Rc<netlink::Socket>),
    /// Somewhere to write text to: a program's standard output and error.
    Sink(Rc<dyn Sink>),
    /// Nothing to read, everything written vanishes.
    Null,
}

/// Takes what a program writes.
pub trait Sink {
    /// Takes some of `octets` and says how many; `Pending` (with the waker kept) while it is full.
    fn poll_write(&self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize, Errno>>;
}

impl core::fmt::Debug for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Kind::Socket(id, ty) => write!(f, "{ty:?}({}.{})", id.index, id.generation),
            Kind::Netlink(socket) => write!(f, "{:?}({:?})", socket.protocol(), socket.port()),
            Kind::Sink(_) => f.write_str("Sink"),
            Kind::Null => f.write_str("Null"),
        }
    }
}

impl File {
    /// A file with all flags clear.
    pub(crate) fn new(kind: Kind) -> File {
        File {
            kind,
            nonblocking: Cell::new(false),
            rcvtimeo: Cell::new(None),
            sndtimeo: Cell::new(None),
            descriptors: Cell::new(0),
        }
    }
}

/// One process's table.
#[derive(Debug, Default)]
pub struct Filedesc {
    slots: Vec<Option<Rc<File>>>,
    /// Free numbers below the highest that is open.
    holes: BTreeSet<u32>,
}

impl Filedesc {
    /// Gives `file` the lowest free number.
    pub fn open(&mut self, file: Rc<File>) -> Result<Fd, Errno> {
        if self.holes.is_empty() && self.slots.len() == OPEN_MAX {
            return Err(Errno::EMFILE);
        }
        file.descriptors.set(file.descriptors.get() + 1);
        let number = match self.holes.pop_first() {
            Some(hole) => {
                self.slots[hole as usize] = Some(file);
                hole
            }
            None => {
                self.slots.push(Some(file));
                self.slots.len() as u32 - 1
            }
        };
        Ok(Fd(number))
    }

    /// The file behind a descriptor.
    pub fn get(&self, fd: Fd) -> Result<&Rc<File>, Errno> {
        self.slots.get(fd.0 as usize).and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    /// Frees a descriptor. If the file has no other, the caller must close what is behind it.
    pub fn close(&mut self, fd: Fd) -> Result<Rc<File>, Errno> {
        let file = self.slots.get_mut(fd.0 as usize).and_then(Option::take).ok_or(Errno::EBADF)?;
        file.descriptors.set(file.descriptors.get() - 1);
        self.holes.insert(fd.0);
        while let Some(None) = self.slots.last() {
            self.slots.pop();
            self.holes.remove(&(self.slots.len() as u32));
        }
        Ok(file)
    }

    /// Frees all descriptors, the lowest first.
    pub(crate) fn close_all(&mut self) -> impl Iterator<Item = Rc<File>> + use<> {
        self.holes.clear();
        let files = std::mem::take(&mut self.slots).into_iter().flatten();
        files.inspect(|file| file.descriptors.set(file.descriptors.get() - 1))
    }

    /// How many descriptors are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.holes.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a model: the lowest free number, shared files, EBADF for all else, EMFILE at the limit.
        #[test]
        fn behaves_as_posix_says(script in prop::collection::vec((0u8..3, 0u32..12), 0..200)) {
            let mut table = Filedesc::default();
            let mut model: BTreeMap<u32, Rc<File>> = BTreeMap::new();
            for (what, n) in script {
                let fd = Fd(n);
                match what {
                    0 => {
                        let file = Rc::new(File::new(Kind::Null));
                        let lowest = (0..).find(|n| !model.contains_key(n)).unwrap();
                        prop_assert_eq!(table.open(file.clone()), Ok(Fd(lowest)));
                        model.insert(lowest, file);
                    }
                    1 => match (table.get(fd).cloned(), model.get(&n).cloned()) {
                        (Ok(file), Some(expected)) => {
                            prop_assert!(Rc::ptr_eq(&file, &expected));
                            let lowest = (0..).find(|n| !model.contains_key(n)).unwrap();
                            prop_assert_eq!(table.open(file.clone()), Ok(Fd(lowest)));
                            model.insert(lowest, file);
                        }
                        (got, None) => prop_assert_eq!(got.err(), Some(Errno::EBADF)),
                        (got, expected) => prop_assert!(false, "{got:?} {expected:?}"),
                    },
                    _ => prop_assert_eq!(table.close(fd).is_ok(), model.remove(&n).is_some()),
                }
                prop_assert_eq!(table.len(), model.len());
                for file in model.values() {
                    let names = model.values().filter(|other| Rc::ptr_eq(file, other)).count();
                    prop_assert_eq!(file.descriptors.get() as usize, names);
                }
            }
        }
    }

    #[test]
    fn has_a_limit() {
        let mut table = Filedesc::default();
        let file = Rc::new(File::new(Kind::Null));
        for _ in 0..OPEN_MAX {
            table.open(file.clone()).unwrap();
        }
        assert_eq!(table.open(file).unwrap_err(), Errno::EMFILE);
        table.close(Fd(500)).unwrap();
        assert_eq!(table.open(Rc::new(File::new(Kind::Null))), Ok(Fd(500)));
    }
}
