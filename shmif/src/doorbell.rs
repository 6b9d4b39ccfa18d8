//! How a sleeping node is woken: an empty datagram to the Unix socket whose path stands in its port's slot.
//!
//! Why a datagram: the kernel wakes its receiver *synchronously* (on the waker's core, without preempting it), which costs a tenth of what
//! a FIFO or an eventfd does here. One doorbell serves all ports of a process. A full queue means that it has been rung already.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// Longest path that fits into a socket address (`sun_path` less its NUL).
const SUN_PATH: usize = 107;
/// Folders of long paths that are kept open.
const FOLDERS: usize = 64;

/// A bound doorbell: put it into epoll, [`drain`](Doorbell::drain) it when it is readable. The path goes when it is dropped.
#[derive(Debug)]
pub struct Doorbell {
    socket: OwnedFd,
    path: PathBuf,
}

impl Doorbell {
    /// Binds a doorbell. What a dead process left under this name is replaced. Paths may be longer than a socket address.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Doorbell> {
        let path = std::path::absolute(path)?;
        let socket = socket()?;
        let (address, _folder) = address(&path)?;
        match rustix::net::bind(&socket, &address) {
            Err(Errno::ADDRINUSE) => {
                // A bound socket that somebody still has open takes a connection; a leftover refuses it.
                if rustix::net::connect(&self::socket()?, &address) != Err(Errno::CONNREFUSED) {
                    return Err(Errno::ADDRINUSE.into());
                }
                std::fs::remove_file(&path)?;
                rustix::net::bind(&socket, &address)?;
            }
            other => other?,
        }
        Ok(Doorbell { socket, path })
    }

    /// What goes into [`PortConfig::doorbell`](crate::PortConfig::doorbell).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all rings; returns how many there were.
    pub fn drain(&self) -> usize {
        let mut n = 0;
        let mut octet = [0u8; 1];
        while let Ok(_) | Err(Errno::INTR) = rustix::net::recv(&self.socket, &mut octet, RecvFlags::DONTWAIT)
        {
            n += 1;
        }
        n
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?)
}

/// The address of a path, and the folder that must stay open while it is used if the path is a long one.
fn address(path: &Path) -> io::Result<(SocketAddrUnix, Option<OwnedFd>)> {
    if path.as_os_str().len() <= SUN_PATH {
        return Ok((SocketAddrUnix::new(path)?, None));
    }
    let (folder, name) = split(path)?;
    let folder = open_folder(folder)?;
    let address = SocketAddrUnix::new(through(&folder, name))?;
    Ok((address, Some(folder)))
}

fn split(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(Errno::INVAL.into()),
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn through(folder: &OwnedFd, name: &std::ffi::OsStr) -> PathBuf {
    use std::os::fd::AsRawFd;
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

/// Where a port can be rung; made once from the path in its slot.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    short: Option<SocketAddrUnix>,
    long: Option<PathBuf>,
}

/// What came of ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// The sleeper will wake.
    Yes,
    /// There is nobody behind the path.
    Gone,
    /// The system could not just now (no memory, no descriptors).
    Failed,
}

impl Bell {
    /// The bell of a path as it stands in a slot; none if it is empty.
    pub(crate) fn new(path: &[u8]) -> Option<Bell> {
        if path.is_empty() {
            return None;
        }
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        if path.as_os_str().as_bytes().len() <= SUN_PATH {
            return Some(Bell { short: SocketAddrUnix::new(&path).ok(), long: None });
        }
        Some(Bell { short: None, long: Some(path) })
    }

    /// Rings; never blocks.
    pub(crate) fn ring(&self) -> Rung {
        static RINGER: OnceLock<Option<OwnedFd>> = OnceLock::new();
        let Some(socket) = RINGER.get_or_init(|| socket().ok()) else { return Rung::Failed };
        let sent = match (&self.short, &self.long) {
            (Some(address), _) => send(socket, address),
            (None, Some(path)) => ring_long(socket, path),
            (None, None) => Err(Errno::INVAL),
        };
        match sent {
            // A full queue: it has been rung and will look.
            Ok(_) | Err(Errno::AGAIN) => Rung::Yes,
            Err(Errno::NOBUFS | Errno::NOMEM | Errno::INTR | Errno::MFILE | Errno::NFILE) => Rung::Failed,
            Err(_) => Rung::Gone,
        }
    }
}

fn send(socket: &OwnedFd, address: &SocketAddrUnix) -> Result<usize, Errno> {
    rustix::net::sendto(socket, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL, address)
}

fn ring_long(socket: &OwnedFd, path: &Path) -> Result<usize, Errno> {
    static OPEN: OnceLock<Mutex<HashMap<PathBuf, OwnedFd>>> = OnceLock::new();
    let errno = |e: io::Error| Errno::from_io_error(&e).unwrap_or(Errno::INVAL);
    let (folder, name) = split(path).map_err(errno)?;
    let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !open.contains_key(folder) {
        if open.len() >= FOLDERS {
            open.clear();
        }
        open.insert(folder.to_owned(), open_folder(folder).map_err(errno)?);
    }
    let Some(folder) = open.get(folder) else { return Err(Errno::INVAL) };
    send(socket, &SocketAddrUnix::new(through(folder, name))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doorbell_rings_counts_and_goes() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let short = dir.path().join("bell");
        let long = dir.path().join("x".repeat(100));
        std::fs::create_dir(&long).expect("folder");
        for path in [short, long.join("y".repeat(40))] {
            let bell = Doorbell::bind(&path).expect("bind");
            assert_eq!(bell.drain(), 0);
            let ring = Bell::new(path.as_os_str().as_bytes()).expect("a path");
            assert_eq!(ring.ring(), Rung::Yes);
            assert_eq!(ring.ring(), Rung::Yes);
            assert_eq!(bell.drain(), 2);
            for _ in 0..100 {
                assert_eq!(ring.ring(), Rung::Yes, "a full queue is as good as rung");
            }
            assert!(bell.drain() > 0);
            assert!(Doorbell::bind(&path).is_err(), "a live one is not taken away");
            drop(bell);
            assert!(!path.exists());
            assert_eq!(ring.ring(), Rung::Gone);
            // A leftover of the dead is replaced.
            let leftover = Doorbell::bind(&path).expect("bind");
            let Doorbell { socket, .. } = &leftover;
            let keep = socket.try_clone().expect("dup");
            std::mem::forget(leftover);
            assert!(Doorbell::bind(&path).is_err());
            drop(keep);
        }
        assert!(Bell::new(b"").is_none());
        assert_eq!(Bell::new(b"/nowhere/at/all").map(|b| b.ring()), Some(Rung::Gone));
    }
}
