//! What the stack tells its owner, in the order in which it happened.

use crate::net::IfIndex;
use crate::net::neigh::{Change, Neighbour};
use crate::net::route::Route;
use crate::socket::table::{Entry, Sockets};
use crate::socket::{Ready, SocketId};
use crate::stack::Stack;
use ipnet::IpNet;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A socket became ready: bits newly set, or set again by new data or room.
    Socket {
        /// The socket.
        id: SocketId,
        /// The edges.
        ready: Ready,
    },
    /// An interface is new or has changed.
    Link {
        /// The interface.
        ifindex: IfIndex,
        /// Administratively up.
        up: bool,
        /// The wire is there.
        carrier: bool,
    },
    /// An interface is gone.
    LinkGone {
        /// The interface it was.
        ifindex: IfIndex,
    },
    /// An address came or went.
    Addr {
        /// On this interface.
        ifindex: IfIndex,
        /// The address and its prefix.
        addr: IpNet,
        /// Whether it came.
        added: bool,
    },
    /// A route came or went.
    Route {
        /// The route.
        route: Route,
        /// Whether it came.
        added: bool,
    },
    /// What is known of a neighbour changed.
    Neigh(Neighbour),
    /// Somebody had a neighbour forgotten; what was known of it. Those that go with their interface, or to make room,
    /// go in silence.
    NeighGone(Neighbour),
    /// Somebody else on the link uses an address of ours (RFC 5227, RFC 4862 §5.4).
    AddrConflict {
        /// The interface.
        ifindex: IfIndex,
        /// The address.
        addr: IpAddr,
    },
    /// Routers of an interface told of other name servers or search domains than before: `Stack::ra_servers`,
    /// `Stack::ra_domains`.
    Resolvers {
        /// The interface.
        ifindex: IfIndex,
    },
    /// Events were lost because nobody polled: ask for the tables anew.
    Overrun,
}

/// Events that wait.
#[derive(Debug)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    /// Events other than of sockets that may wait.
    limit: usize,
    others: usize,
}

impl Events {
    pub(super) fn new(limit: usize) -> Events {
        Events { queue: VecDeque::new(), limit, others: 0 }
    }

    pub(super) fn push(&mut self, event: Event) {
        if self.others < self.limit {
            self.others += 1;
            self.queue.push_back(if self.others == self.limit { Event::Overrun } else { event });
        }
    }

    /// The next event; a socket tells all its edges since it was queued at once.
    pub(super) fn pop(&mut self, sockets: &mut Sockets) -> Option<Event> {
        loop {
            match self.queue.pop_front()? {
                Event::Socket { id, .. } => {
                    let Ok(entry) = sockets.entry(id) else { continue };
                    let ready = core::mem::take(entry.pending());
                    if !ready.is_empty() {
                        return Some(Event::Socket { id, ready });
                    }
                }
                other => {
                    self.others -= 1;
                    return Some(other);
                }
            }
        }
    }
}

impl Entry {
    fn pending(&mut self) -> &mut Ready {
        match self {
            Entry::Datagram(s) => &mut s.pending,
            Entry::Stream(s) => &mut s.pending,
        }
    }
}

impl Stack {
    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The next event; `None` when all are told. Poll after each call that may have caused some.
    pub fn poll_event(&mut self) -> Option<Event> {
        for (ifindex, addr) in self.ip.conflicts.drain(..) {
            self.events.push(Event::AddrConflict { ifindex, addr });
        }
        for change in self.ip.neigh.changes.drain(..) {
            self.events.push(match change {
                Change::Is(n) => Event::Neigh(n),
                Change::Gone(n) => Event::NeighGone(n),
            });
        }
        self.events.pop(&mut self.sockets)
    }

    /// A socket has edges to tell.
    pub(crate) fn notify(&mut self, id: SocketId, ready: Ready) {
        let Ok(entry) = self.sockets.entry(id) else { return };
        let pending = entry.pending();
        if pending.is_empty() && !ready.is_empty() {
            self.events.queue.push_back(Event::Socket { id, ready });
        }
        *pending |= ready;
    }
}
