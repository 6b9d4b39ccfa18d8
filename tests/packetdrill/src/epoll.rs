//! epoll(7) over poll(2).
//!
//! Edges (`EPOLLET`) are found by comparison: a readiness is told when it is there and was not at the last
//! look, or when a call on the socket has met its absence (EAGAIN, a short write) since. A second edge
//! without a fall in between (more data behind data that is not read) is not told.

use rumpkern::syscall::{Errno, Fd, PollFd, PollFlags};
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// `EPOLLONESHOT`, `EPOLLET`.
const ONESHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;

/// What epoll_ctl does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Delete,
    Modify,
}

impl Op {
    /// `EPOLL_CTL_ADD` …
    pub(crate) fn of(op: i32) -> Result<Op, Errno> {
        match op {
            1 => Ok(Op::Add),
            2 => Ok(Op::Delete),
            3 => Ok(Op::Modify),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// One set.
#[derive(Debug, Default)]
pub(crate) struct Epoll {
    interest: BTreeMap<RawFd, Interest>,
}

#[derive(Clone, Copy, Debug)]
struct Interest {
    socket: Fd,
    events: u32,
    data: u64,
    /// What was there at the last look.
    seen: PollFlags,
    /// EPOLLONESHOT has fired.
    spent: bool,
}

impl Interest {
    fn wanted(&self) -> PollFlags {
        PollFlags::from_bits_truncate(self.events as u16)
    }

    /// What to wait for: nothing that was told already, if only edges count.
    fn poll(&self) -> Option<PollFd> {
        if self.spent {
            return None;
        }
        let known = if self.events & EDGE != 0 { self.seen } else { PollFlags::empty() };
        // Errors and hang-ups are told by themselves; once told, they would end every wait at once.
        let ends = PollFlags::ERR | PollFlags::HUP;
        (!known.intersects(ends)).then(|| PollFd::new(self.socket, self.wanted() - known))
    }
}

/// Events and the program's word: `struct epoll_event`.
pub(crate) type Event = (u32, u64);

impl Epoll {
    /// epoll_ctl(2)
    pub(crate) fn control(&mut self, op: Op, fd: RawFd, socket: Fd, event: Event) -> Result<(), Errno> {
        let interest =
            Interest { socket, events: event.0, data: event.1, seen: PollFlags::empty(), spent: false };
        match (op, self.interest.contains_key(&fd)) {
            (Op::Add, true) => Err(Errno::EEXIST),
            (Op::Modify | Op::Delete, false) => Err(Errno::ENOENT),
            (Op::Add | Op::Modify, _) => {
                self.interest.insert(fd, interest);
                Ok(())
            }
            (Op::Delete, true) => {
                self.interest.remove(&fd);
                Ok(())
            }
        }
    }

    /// A descriptor was closed.
    pub(crate) fn forget(&mut self, fd: RawFd) {
        self.interest.remove(&fd);
    }

    /// A call on the socket found that it is not ready.
    pub(crate) fn fell(&mut self, fd: RawFd, what: PollFlags) {
        if let Some(interest) = self.interest.get_mut(&fd) {
            interest.seen -= what;
        }
    }

    /// What to look at before a wait, all that is asked for.
    pub(crate) fn all(&self) -> Vec<PollFd> {
        self.interest.values().map(|i| PollFd::new(i.socket, i.wanted())).collect()
    }

    /// What to wait for.
    pub(crate) fn polls(&self) -> Vec<PollFd> {
        self.interest.values().filter_map(Interest::poll).collect()
    }

    /// Takes in what a look has shown; up to `room` events come of it.
    pub(crate) fn events(&mut self, looked: &[PollFd], room: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for interest in self.interest.values_mut() {
            let Some(now) = looked.iter().find(|poll| poll.fd == interest.socket) else { continue };
            let edge = interest.events & EDGE != 0;
            let news = if edge { now.revents - interest.seen } else { now.revents };
            if news.is_empty() || interest.spent || events.len() == room {
                // What has gone away may come again.
                interest.seen &= now.revents;
                continue;
            }
            interest.seen = now.revents;
            interest.spent = interest.events & ONESHOT != 0;
            // As Linux: an edge tells all that is there.
            events.push((now.revents.bits().into(), interest.data));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: u32 = 1;
    const OUT: u32 = 4;

    fn look(ready: u32) -> Vec<PollFd> {
        vec![PollFd {
            revents: PollFlags::from_bits_truncate(ready as u16),
            ..PollFd::new(Fd(9), PollFlags::all())
        }]
    }

    #[test]
    fn levels_edges_and_single_shots() {
        let mut set = Epoll::default();
        assert_eq!(set.control(Op::Modify, 3, Fd(9), (IN, 5)), Err(Errno::ENOENT));
        set.control(Op::Add, 3, Fd(9), (IN | OUT, 5)).unwrap();
        assert_eq!(set.control(Op::Add, 3, Fd(9), (IN, 5)), Err(Errno::EEXIST));
        assert_eq!(set.events(&look(OUT), 8), [(OUT, 5)]);
        assert_eq!(set.events(&look(OUT), 8), [(OUT, 5)], "a level");

        set.control(Op::Modify, 3, Fd(9), (IN | OUT | EDGE, 6)).unwrap();
        assert_eq!(set.events(&look(OUT), 8), [(OUT, 6)]);
        assert_eq!(set.events(&look(OUT), 8), [], "an edge");
        assert_eq!(set.polls()[0].events, PollFlags::IN);
        assert_eq!(set.events(&look(IN | OUT), 8), [(IN | OUT, 6)]);
        assert_eq!(set.events(&look(OUT), 8), []);
        assert_eq!(set.events(&look(IN | OUT), 8), [(IN | OUT, 6)], "it had fallen");
        set.fell(3, PollFlags::OUT);
        assert_eq!(set.events(&look(IN | OUT), 8), [(IN | OUT, 6)], "a call had met the fall");

        set.control(Op::Modify, 3, Fd(9), (IN | ONESHOT, 7)).unwrap();
        assert_eq!(set.events(&look(IN), 8), [(IN, 7)]);
        assert_eq!((set.events(&look(IN), 8), set.polls().len()), (vec![], 0));
        set.control(Op::Delete, 3, Fd(9), (0, 0)).unwrap();
        assert_eq!(set.control(Op::Delete, 3, Fd(9), (0, 0)), Err(Errno::ENOENT));
    }
}
