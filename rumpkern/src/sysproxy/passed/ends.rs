//! Which programs' ends are still open.
//!
//! An epoll instance keeps no reference to what it watches: an entry vanishes when the last descriptor is closed, in whichever
//! process, and `/proc/self/fdinfo` lists the entries. Nothing else of the host tells that a datagram socket's other end is closed, or
//! that a stream's is closed and not only shut in both directions.

use crate::proc::filedesc::Fd;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Ends in one epoll instance: a look at one reads them all.
const MOST: usize = 64;

/// The ends of one session.
#[derive(Default)]
pub(super) struct Ends {
    shards: RefCell<Vec<Shard>>,
    places: RefCell<BTreeMap<Fd, usize>>,
}

struct Shard {
    epoll: OwnedFd,
    ends: usize,
}

impl Ends {
    /// Watches the end of `fd`'s pair.
    pub(super) fn add(&self, fd: Fd, end: impl AsFd) -> Result<(), Errno> {
        let mut shards = self.shards.borrow_mut();
        let place = match shards.iter().position(|shard| shard.ends < MOST) {
            Some(place) => place,
            None => {
                shards.push(Shard { epoll: epoll::create(CreateFlags::CLOEXEC)?, ends: 0 });
                shards.len() - 1
            }
        };
        let shard = &mut shards[place];
        epoll::add(&shard.epoll, end, EventData::new_u64(fd.0.into()), EventFlags::empty())?;
        shard.ends += 1;
        self.places.borrow_mut().insert(fd, place);
        Ok(())
    }

    /// Its socket is closed.
    pub(super) fn forget(&self, fd: Fd) {
        if let Some(place) = self.places.borrow_mut().remove(&fd)
            && let Some(shard) = self.shards.borrow_mut().get_mut(place)
        {
            shard.ends -= 1;
        }
    }

    /// Whether the end of `fd`'s pair is open; so it is held if the host does not say.
    pub(super) fn is_open(&self, fd: Fd) -> bool {
        let place = self.places.borrow().get(&fd).copied();
        let shards = self.shards.borrow();
        let Some(shard) = place.and_then(|place| shards.get(place)) else { return false };
        shard.open().is_none_or(|open| open.contains(&fd))
    }

    /// Those of all that are closed and not forgotten.
    pub(super) fn gone(&self) -> Vec<Fd> {
        let shards = self.shards.borrow();
        let places = self.places.borrow();
        let mut gone = Vec::new();
        for (place, shard) in shards.iter().enumerate() {
            if shard.ends == 0 {
                continue;
            }
            let Some(open) = shard.open() else { continue };
            let here = places.iter().filter(|(_, at)| **at == place).map(|(fd, _)| *fd);
            gone.extend(here.filter(|fd| !open.contains(fd)));
        }
        gone
    }
}

impl Shard {
    /// The descriptors whose ends it still lists.
    fn open(&self) -> Option<Vec<Fd>> {
        let path = format!("/proc/self/fdinfo/{}", self.epoll.as_raw_fd());
        let text = std::fs::read_to_string(path).ok()?;
        // tfd:       12 events:       18 data:                3  pos:0 ino:… sdev:…
        let open = text.lines().filter(|line| line.starts_with("tfd:")).filter_map(|line| {
            let data = line.split("data:").nth(1)?.split_whitespace().next()?;
            Some(Fd(u32::from_str_radix(data, 16).ok()?))
        });
        Some(open.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn an_end_is_gone_with_its_last_descriptor() {
        let ends = Ends::default();
        let mut held = Vec::new();
        for n in 0..150 {
            let flags = SocketFlags::CLOEXEC;
            let (near, end) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
            ends.add(Fd(n), &end).unwrap();
            held.push((near, Some(end)));
        }
        assert_eq!(ends.gone(), []);
        let copy = held[70].1.as_ref().unwrap().try_clone().unwrap();
        for n in [3, 70, 149] {
            held[n].1 = None;
        }
        assert_eq!(ends.gone(), [Fd(3), Fd(149)]);
        assert!(ends.is_open(Fd(70)) && !ends.is_open(Fd(3)));
        drop(copy);
        assert!(!ends.is_open(Fd(70)));
        for fd in ends.gone() {
            ends.forget(fd);
        }
        assert_eq!(ends.gone(), []);
    }
}
