//! AF_NETLINK: routing sockets and socket diagnostics, as Linux's programs expect them (netlink(7),
//! rtnetlink(7), sock_diag(7)).
//!
//! | file | what |
//! |---|---|
//! | `socket` | a socket: port, groups, options, the bounded queue, dumps in pieces |
//! | `message` | requests out of a datagram; payloads, acknowledgments and refusals into one |
//! | `rtnl` | NETLINK_ROUTE: which message is whose |
//! | `link`, `addr`, `route`, `route_change`, `neigh`, `rule`, `tables` | its families of messages |
//! | `monitor` | what the stack tells, for the groups |
//! | `diag` | NETLINK_SOCK_DIAG |
//!
//! A request is answered before `send` returns: the answers wait in the socket's queue. A dump is taken at one moment
//! and cut into datagrams as it is read, so it is never interrupted (NLM_F_DUMP_INTR). The codecs are those of
//! netlink-packet-route; what they lack is put beside theirs by number.
//!
//! Programs on a node are its root: nothing is refused for want of privilege.
//!
//! Not here: other tables than `main` and `local`, rules, links that programs create, metrics of routes (RTA_METRICS),
//! nexthop objects, queueing disciplines. They are refused, or there are none, as on a Linux without them.

mod addr;
pub(crate) mod addr6;
mod diag;
mod link;
mod message;
pub(crate) mod monitor;
mod neigh;
mod route;
mod route_change;
mod rtnl;
mod rule;
pub mod socket;
mod tables;

pub use socket::{NlAddr, Protocol, Received, Socket};

use crate::kernel::Kernel;
use crate::proc::Pid;
use crate::syscall::Errno;
use message::{Answer, By, Payload, Refusal, Request};
use netstack::net::IfIndex;
use netstack::time::Instant;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

/// The netlink sockets of a kernel, and what only their programs know of it.
#[derive(Debug, Default)]
pub(crate) struct Netlink {
    sockets: RefCell<Vec<Rc<Socket>>>,
    /// The last port that was chosen because a process's number was taken.
    last_port: Cell<u32>,
    /// What programs said of addresses and the stack does not need.
    labels: RefCell<BTreeMap<(IfIndex, IpAddr), addr::Label>>,
    /// Whose request it is that makes the stack tell what it tells.
    by: Cell<Option<By>>,
}

impl Netlink {
    /// The socket of `protocol` with this port.
    fn by_port(&self, protocol: Protocol, port: u32) -> Option<Rc<Socket>> {
        let sockets = self.sockets.borrow();
        sockets.iter().find(|socket| socket.protocol() == protocol && socket.port() == Some(port)).cloned()
    }

    /// A free port: the process's number, else one that no process has (Linux's are negative too).
    fn free_port(&self, protocol: Protocol, process: Pid) -> u32 {
        if self.by_port(protocol, process.0).is_none() {
            return process.0;
        }
        loop {
            let port = self.last_port.get().checked_sub(1).filter(|port| *port > i32::MAX as u32);
            let port = port.unwrap_or(FIRST_PORT);
            self.last_port.set(port);
            if self.by_port(protocol, port).is_none() {
                return port;
            }
        }
    }

    /// Whether somebody listens to this group of NETLINK_ROUTE.
    fn is_heard(&self, group: u32) -> bool {
        self.sockets.borrow().iter().any(|socket| socket.hears(Protocol::Route, group))
    }

    /// A message for all of a group. Whoever caused it is told as the others are, unless its request asks for an echo:
    /// that it gets in any case, and once.
    fn multicast(&self, group: u32, payload: &Payload, flags: u16, by: Option<By>) {
        let (port, seq) = by.map_or((0, 0), |by| (by.port, by.seq));
        let echo = by.filter(|by| by.echo).map(|by| by.port);
        let octets = payload.framed(flags, seq, port);
        for socket in self.sockets.borrow().iter().filter(|socket| socket.hears(Protocol::Route, group)) {
            if echo.is_none() || socket.port() != echo {
                socket.deliver(octets.clone(), NlAddr::default(), group);
            }
        }
        if let Some(socket) = echo.and_then(|port| self.by_port(Protocol::Route, port)) {
            socket.deliver(octets, NlAddr::default(), 0);
        }
    }
}

/// The first port that is no process's.
const FIRST_PORT: u32 = -4097_i32 as u32;

impl Kernel {
    /// A new socket of process `process`; `kind` is SOCK_RAW or SOCK_DGRAM, which are the same.
    pub(crate) fn netlink_socket(&self, process: Pid, kind: u32, protocol: Protocol) -> Rc<Socket> {
        // What has happened is no news for it.
        crate::evloop::events(self);
        let socket = Rc::new(Socket::new(process, kind, protocol));
        self.netlink.sockets.borrow_mut().push(socket.clone());
        socket
    }

    /// The last descriptor is gone.
    pub(crate) fn netlink_close(&self, socket: &Rc<Socket>) {
        self.netlink.sockets.borrow_mut().retain(|other| !Rc::ptr_eq(other, socket));
        socket.wake();
    }

    /// bind(2). EINVAL: it has another port already; EADDRINUSE: somebody else has this one.
    pub(crate) fn netlink_bind(&self, socket: &Rc<Socket>, addr: NlAddr) -> Result<(), Errno> {
        match (socket.port(), addr.port) {
            (Some(port), asked) if port != asked => return Err(Errno::EINVAL),
            (Some(_), _) => {}
            (None, 0) => self.netlink_autobind(socket),
            (None, asked) if self.netlink.by_port(socket.protocol(), asked).is_some() => {
                return Err(Errno::EADDRINUSE);
            }
            (None, asked) => socket.set_port(asked),
        }
        socket.set_groups(addr.groups);
        Ok(())
    }

    fn netlink_autobind(&self, socket: &Socket) {
        if socket.port().is_none() {
            socket.set_port(self.netlink.free_port(socket.protocol(), socket.process()));
        }
    }

    /// connect(2): where `send` without an address goes; the kernel, if `addr` is zero.
    pub(crate) fn netlink_connect(&self, socket: &Rc<Socket>, addr: NlAddr) {
        self.netlink_autobind(socket);
        socket.set_peer(addr);
    }

    /// A datagram of requests to the kernel, or of anything to another socket's port. ECONNREFUSED: nobody is there.
    pub(crate) fn netlink_send(
        &self,
        socket: &Rc<Socket>,
        octets: &[u8],
        to: Option<NlAddr>,
    ) -> Result<usize, Errno> {
        self.netlink_autobind(socket);
        if octets.len() > socket.send_buffer() {
            return Err(Errno::EMSGSIZE);
        }
        let to = to.unwrap_or_else(|| socket.peer());
        if to.port != 0 {
            let peer = self.netlink.by_port(socket.protocol(), to.port).ok_or(Errno::ECONNREFUSED)?;
            peer.deliver(octets.to_vec(), socket.name(), 0);
            return Ok(octets.len());
        }
        let handle: fn(&Kernel, &Socket, &Request<'_>) -> Result<Answer, Refusal> = match socket.protocol() {
            Protocol::Route => rtnl::handle,
            Protocol::SockDiag => diag::handle,
            // CTRL_CMD_GETFAMILY finds none: there are no families.
            Protocol::Generic => |_, _, _| Err(Errno::ENOENT.into()),
            Protocol::Audit | Protocol::Uevent => return Err(Errno::ECONNREFUSED),
        };
        for request in message::requests(octets) {
            let answered =
                if request.is_request() { handle(self, socket, &request) } else { Ok(Answer::Done) };
            message::answer(socket, &request, answered);
        }
        Ok(octets.len())
    }

    /// Makes a change of the stack on behalf of a request: what the stack tells about it carries the asker's port.
    fn netlink_change<T>(&self, by: By, change: impl FnOnce(&mut netstack::Stack, Instant) -> T) -> T {
        let now = self.clock();
        crate::evloop::events(self);
        let done = change(&mut self.stack.borrow_mut(), now);
        self.if_filters_changed();
        self.netlink.by.set(Some(by));
        crate::evloop::events(self);
        self.netlink.by.set(None);
        done
    }
}
