//! poll(2).

use super::block::Asleep;
use super::{Errno, Fd, PollFlags, SockType, Sys};
use crate::proc::filedesc::Kind;
use netstack::time::Duration;
use netstack::{Ready, SocketId};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

/// What is asked of, and told about, one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollFd {
    /// The descriptor.
    pub fd: Fd,
    /// What is asked.
    pub events: PollFlags,
    /// What is so.
    pub revents: PollFlags,
}

impl PollFd {
    /// Asks for `events` of `fd`.
    pub fn new(fd: Fd, events: PollFlags) -> PollFd {
        PollFd { fd, events, revents: PollFlags::empty() }
    }
}

impl Sys {
    /// Waits until one of `fds` is ready or `timeout` has passed (`None`: for ever; zero: only looks).
    /// Returns how many are ready.
    pub async fn poll(&self, fds: &mut [PollFd], timeout: Option<Duration>) -> Result<usize, Errno> {
        self.kernel.turn().await;
        let until = timeout.map(|timeout| self.now() + timeout);
        let mut asleep = Asleep::new(&self.kernel);
        poll_fn(|cx| {
            asleep.wake();
            let ready = fds
                .iter_mut()
                .map(|poll| {
                    poll.revents = self.look(*poll);
                    usize::from(!poll.revents.is_empty())
                })
                .sum::<usize>();
            if ready > 0 || until.is_some_and(|until| until <= self.kernel.clock()) {
                return Poll::Ready(Ok(ready));
            }
            let asked = fds.iter().filter_map(|poll| {
                let (_, socket) = self.socket_of(poll.fd).ok()?;
                Some((socket, wanted(poll.events)))
            });
            for (socket, interest) in places(asked) {
                asleep.on(socket, interest, cx);
            }
            for socket in fds.iter().filter_map(|poll| self.netlink(poll.fd).ok()) {
                asleep.on_netlink(&socket, cx);
            }
            if let Some(until) = until {
                asleep.until(until, cx);
            }
            Poll::Pending
        })
        .await
    }

    fn look(&self, poll: PollFd) -> PollFlags {
        match self.file(poll.fd) {
            Err(_) => PollFlags::NVAL,
            Ok(file) => match &file.kind {
                &Kind::Socket(id, ty) => {
                    let always = PollFlags::ERR | PollFlags::HUP;
                    let mut told = told(self.kernel.stack.borrow().ready(id));
                    // As Linux: streams know no bands.
                    told.set(PollFlags::WRBAND, ty != SockType::Stream && told.contains(PollFlags::OUT));
                    told & (poll.events | always)
                }
                Kind::Netlink(socket) => {
                    // Requests are answered at once: there is always room for one.
                    let out = PollFlags::OUT | PollFlags::WRNORM | PollFlags::WRBAND;
                    let mut told = poll.events & out;
                    let readable = PollFlags::IN | PollFlags::RDNORM;
                    told |= if socket.is_readable() { poll.events & readable } else { PollFlags::empty() };
                    told.set(PollFlags::ERR, socket.has_error());
                    told
                }
                Kind::Sink(_) | Kind::Null => poll.events & (PollFlags::IN | PollFlags::OUT),
            },
        }
    }
}

/// Where to sleep: one place a socket, however often it is asked about. Leaving a place takes as long as the
/// socket has others.
fn places(asked: impl Iterator<Item = (SocketId, Ready)>) -> BTreeMap<SocketId, Ready> {
    let mut places = BTreeMap::new();
    for (socket, interest) in asked {
        *places.entry(socket).or_insert(Ready::empty()) |= interest;
    }
    places
}

const BITS: [(PollFlags, Ready); 8] = [
    (PollFlags::IN, Ready::READ),
    (PollFlags::RDNORM, Ready::READ),
    (PollFlags::PRI, Ready::PRI),
    (PollFlags::OUT, Ready::WRITE),
    (PollFlags::WRNORM, Ready::WRITE),
    (PollFlags::ERR, Ready::ERROR),
    (PollFlags::HUP, Ready::HUP),
    (PollFlags::RDHUP, Ready::RDHUP),
];

fn wanted(events: PollFlags) -> Ready {
    let mut wanted: Ready =
        BITS.iter().filter(|(flag, _)| events.contains(*flag)).map(|(_, ready)| *ready).collect();
    wanted.set(Ready::WRITE, events.intersects(PollFlags::OUT | PollFlags::WRNORM | PollFlags::WRBAND));
    wanted
}

fn told(ready: Ready) -> PollFlags {
    BITS.iter().filter(|(_, bit)| ready.contains(*bit)).map(|(flag, _)| *flag).collect()
}
