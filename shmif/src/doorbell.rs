//! How a sleeping node is woken: an octet into the FIFO whose path stands in its port's slot. One doorbell serves all ports of a process.
//!
//! Why a FIFO: of all that epoll can wait for and that has a name, ringing it costs least, half of what a datagram to a Unix socket does (no
//! look-up of the name, no buffer for each ring), and the kernel still wakes the sleeper *synchronously*, without preempting the waker. Watched
//! edge-triggered, every ring is an edge, whether or not the octets of earlier ones are still there; so a sleeper needs no system call
//! to take them, except [now and then](Doorbell::answered). A FIFO that is full all the same is emptied by whoever finds it so.
//!
//! Ringing for the dead is an error (EPIPE), and would be a signal: SIGPIPE must be ignored, as Rust programs do from the start.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::slot::Slot;

/// Room for rings that nobody has taken, octets: the least there is, and counted against the user's pipes.
const ROOM: usize = 4096;
/// Answers between two looks that take the octets.
const ANSWERS: u32 = 256;
/// Doorbells of other ports that one port keeps open; the rest are opened for each ring.
const KEPT: usize = 32;

/// A doorbell to sleep on: put it into epoll, edge-triggered, and say that it was [`answered`](Doorbell::answered) when it is readable. (Or
/// level-triggered, and [`drain`](Doorbell::drain) it.) The path goes when it is dropped.
#[derive(Debug)]
pub struct Doorbell {
    fifo: OwnedFd,
    path: PathBuf,
    answers: Cell<u32>,
}

impl Doorbell {
    /// Makes a doorbell. What a dead process left under this name is replaced.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Doorbell> {
        let path = std::path::absolute(path)?;
        let make = || rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        match make() {
            // A FIFO that nobody reads is a leftover.
            Err(Errno::EXIST) if open(&path, OFlags::WRONLY).is_err_and(|errno| errno == Errno::NXIO) => {
                std::fs::remove_file(&path)?;
                make()?;
            }
            other => other?,
        }
        // For both directions: it is never at its end, and never without a reader.
        let fifo = open(&path, OFlags::RDWR)?;
        // If the system does not want to, there is more room than needed.
        let _ = rustix::pipe::fcntl_setpipe_size(&fifo, ROOM);
        Ok(Doorbell { fifo, path, answers: Cell::new(0) })
    }

    /// What goes into [`PortConfig::doorbell`](crate::PortConfig::doorbell).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An edge was seen: takes the rings if it is time for it.
    #[inline]
    pub fn answered(&self) {
        self.answers.set(self.answers.get() + 1);
        if self.answers.get() >= ANSWERS {
            self.drain();
        }
    }

    /// Takes all rings; returns how many there were.
    pub fn drain(&self) -> usize {
        self.answers.set(0);
        empty(&self.fifo)
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens a FIFO, and nothing else: a slot may name anything.
fn open(path: &Path, how: OFlags) -> Result<OwnedFd, Errno> {
    let flags = how | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::Fifo => Ok(file),
        _ => Err(Errno::EXIST),
    }
}

/// Takes what a FIFO holds; returns how many octets that was.
fn empty(fifo: &OwnedFd) -> usize {
    let mut octets = [0u8; 512];
    let mut taken = 0;
    loop {
        match rustix::io::read(fifo, &mut octets) {
            Ok(n) => taken += n,
            Err(Errno::INTR) => continue,
            Err(_) => return taken,
        }
        // Rung faster than it can be emptied: it is readable, that is enough.
        if taken >= 4 * ROOM {
            return taken;
        }
    }
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

/// The doorbells of other ports: opened when first rung, and the last [`KEPT`] kept open.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    kept: Vec<Kept>,
    /// Which of them makes room for the next.
    next: usize,
}

#[derive(Debug)]
struct Kept {
    slot: u32,
    /// Of the slot's owner: the next one has another doorbell.
    generation: u32,
    fifo: OwnedFd,
}

impl Bells {
    /// Rings the doorbell of a port, if it has one; never blocks.
    pub(crate) fn ring(&mut self, slot: Slot<'_>) -> Rung {
        let (index, generation) = (slot.index, slot.generation());
        if let Some(at) = self.kept.iter().position(|kept| kept.slot == index) {
            if self.kept[at].generation == generation && ring(&self.kept[at].fifo).is_ok() {
                return Rung::Yes;
            }
            // Full, or nobody's any more, or another owner's: by its name again.
            self.kept.swap_remove(at);
        }
        let Some(path) = slot.doorbell() else { return Rung::Yes };
        match ring_by_name(&path) {
            Ok(fifo) => {
                let kept = Kept { slot: index, generation, fifo };
                if self.kept.len() < KEPT {
                    self.kept.push(kept);
                } else {
                    self.next = (self.next + 1) % KEPT;
                    self.kept[self.next] = kept;
                }
                Rung::Yes
            }
            Err(Errno::NOMEM | Errno::INTR | Errno::MFILE | Errno::NFILE) => Rung::Failed,
            Err(_) => Rung::Gone,
        }
    }
}

/// Opens a doorbell and rings it. A full one is emptied first, so that there is an edge to see.
fn ring_by_name(path: &Path) -> Result<OwnedFd, Errno> {
    let fifo = open(path, OFlags::WRONLY)?;
    if ring(&fifo) == Err(Errno::AGAIN) {
        empty(&open(path, OFlags::RDONLY)?);
        match ring(&fifo) {
            // Full again: others ring it just now.
            Ok(()) | Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(fifo)
}

fn ring(fifo: &OwnedFd) -> Result<(), Errno> {
    rustix::io::write(fifo, &[0]).map(|_| ())
}

/// The path of a doorbell as it stands in a slot; none if it is empty.
pub(crate) fn path(octets: &[u8]) -> Option<PathBuf> {
    (!octets.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bus, BusConfig, Port, PortConfig};
    use rustix::event::epoll;

    /// A doorbell in an epoll that sees its edges.
    fn watched(path: &Path) -> (Doorbell, OwnedFd) {
        let bell = Doorbell::bind(path).expect("bind");
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(1), flags).expect("add");
        (bell, epoll)
    }

    fn edges(epoll: &OwnedFd) -> usize {
        let mut room = [std::mem::MaybeUninit::uninit(); 4];
        epoll::wait(epoll, &mut room, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))
            .expect("epoll")
            .0
            .len()
    }

    #[test]
    fn every_ring_is_an_edge_taken_or_not() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("bell");
        let (bell, epoll) = watched(&path);
        let ringer = ring_by_name(&path).expect("ring");
        assert_eq!(edges(&epoll), 1);
        assert_eq!(edges(&epoll), 0);
        // More rings than a FIFO holds.
        for _ in 0..5 * ROOM {
            ring(&ringer).expect("ring");
            assert_eq!(edges(&epoll), 1);
            bell.answered();
        }
        assert!(bell.drain() <= ANSWERS as usize);
    }

    #[test]
    fn a_full_doorbell_still_rings() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("bell");
        let (bell, epoll) = watched(&path);
        let flood = open(&path, OFlags::WRONLY).expect("open");
        while rustix::io::write(&flood, &[7; 512]).is_ok() {}
        assert_eq!((edges(&epoll), edges(&epoll)), (1, 0));
        assert_eq!(ring(&flood), Err(Errno::AGAIN));
        ring_by_name(&path).expect("ring");
        assert_eq!(edges(&epoll), 1);
        assert_eq!(bell.drain(), 1);
    }

    #[test]
    fn a_doorbell_takes_the_place_of_a_dead_one_and_of_nothing_else() {
        let dir = tempfile::tempdir().expect("temporary folder");
        // Longer than the address of a socket could be.
        let folder = dir.path().join("x".repeat(100));
        std::fs::create_dir(&folder).expect("folder");
        let path = folder.join("y".repeat(40));
        let bell = Doorbell::bind(&path).expect("bind");
        ring_by_name(&path).expect("ring");
        assert_eq!(bell.drain(), 1);
        assert!(Doorbell::bind(&path).is_err(), "a live one is not taken away");
        drop(bell);
        assert!(!path.exists());
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a leftover");
        assert!(ring_by_name(&path).is_err());
        drop(Doorbell::bind(&path).expect("it is replaced"));
        std::fs::write(&path, "somebody's").expect("write");
        assert!(Doorbell::bind(&path).is_err());
        assert!(ring_by_name(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("read"), b"somebody's");
    }

    #[test]
    fn bells_follow_the_owners_of_their_slots() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bus = Bus::create(dir.path().join("bus"), &BusConfig::new("lab", "bus")).expect("create");
        let attach = |n: u8, bell: Option<&Doorbell>| -> Port {
            let doorbell = bell.map(|bell| bell.path().to_owned());
            let config = PortConfig { doorbell, ..PortConfig::new("n", "if", [2, 0, 0, 0, 0, n]) };
            bus.attach(&config).expect("attach")
        };
        let mut bells = Bells::default();
        let named: Vec<Doorbell> =
            (0..2 * KEPT).map(|n| Doorbell::bind(dir.path().join(n.to_string())).expect("bind")).collect();
        let mut ports: Vec<Port> =
            named.iter().enumerate().map(|(n, bell)| attach(n as u8, Some(bell))).collect();
        for round in 1..=3 {
            ports.iter().for_each(|port| assert_eq!(bells.ring(port.slot()), Rung::Yes));
            assert!(bells.kept.len() <= KEPT, "round {round}");
        }
        named.iter().for_each(|bell| assert_eq!(bell.drain(), 3));
        // Another owner in the last one's slot, with another bell.
        let last = ports.pop().expect("there are ports");
        let index = last.index;
        assert_eq!(bells.ring(last.slot()), Rung::Yes);
        drop(last);
        let other = Doorbell::bind(dir.path().join("other")).expect("bind");
        let port = attach(200, Some(&other));
        assert_eq!(port.index, index);
        assert_eq!(bells.ring(port.slot()), Rung::Yes);
        assert_eq!((other.drain(), named[2 * KEPT - 1].drain()), (1, 1));
        drop(other);
        assert_eq!(bells.ring(port.slot()), Rung::Gone);
        assert_eq!(bells.ring(attach(201, None).slot()), Rung::Yes, "one that polls needs none");
    }
}
