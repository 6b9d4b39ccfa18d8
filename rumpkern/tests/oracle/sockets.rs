//! The socket calls that a case makes, in Linux's numbers and layouts, and how their results are named. Two kernels
//! implement them: the host's ([`crate::host_unsafe`]) and a node's ([`crate::node`]).

use rumpkern::syscall::Errno;
use std::net::SocketAddr;

/// A descriptor of one of the kernels.
pub type Fd = u32;

/// What a call returns, or its errno.
pub type Answer<T> = Result<T, i32>;

/// What recvmsg(2) returns beside the octets.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Its value: octets received, or with MSG_TRUNC those that there were.
    pub ret: usize,
    /// `msg_name`
    pub from: Option<SocketAddr>,
    /// `msg_flags` has MSG_TRUNC.
    pub truncated: bool,
}

/// One descriptor of a poll(2).
#[derive(Clone, Copy, Debug)]
pub struct Polled {
    pub fd: Fd,
    pub events: u16,
    pub revents: u16,
}

/// A process that has sockets.
pub trait Sockets {
    fn socket(&mut self, domain: u32, kind: u32, protocol: u32) -> Answer<Fd>;
    fn bind(&mut self, fd: Fd, addr: &[u8]) -> Answer<()>;
    fn listen(&mut self, fd: Fd, backlog: i32) -> Answer<()>;
    fn accept(&mut self, fd: Fd, flags: u32) -> Answer<(Fd, SocketAddr)>;
    fn connect(&mut self, fd: Fd, addr: &[u8]) -> Answer<()>;
    fn sendto(&mut self, fd: Fd, data: &[u8], flags: u32, to: Option<&[u8]>) -> Answer<usize>;
    fn recvmsg(&mut self, fd: Fd, buf: &mut [u8], flags: u32) -> Answer<Received>;
    fn shutdown(&mut self, fd: Fd, how: i32) -> Answer<()>;
    fn close(&mut self, fd: Fd) -> Answer<()>;
    fn dup(&mut self, fd: Fd) -> Answer<Fd>;
    fn getsockname(&mut self, fd: Fd) -> Answer<SocketAddr>;
    fn getpeername(&mut self, fd: Fd) -> Answer<SocketAddr>;
    fn setsockopt(&mut self, fd: Fd, level: u32, name: u32, value: &[u8]) -> Answer<()>;
    /// At most `len` octets of the value.
    fn getsockopt(&mut self, fd: Fd, level: u32, name: u32, held: &[u8]) -> Answer<Vec<u8>>;
    /// Waits at most `timeout` milliseconds.
    fn poll(&mut self, fds: &mut [Polled], timeout: i32) -> Answer<usize>;
    fn fcntl(&mut self, fd: Fd, command: u32, argument: u32) -> Answer<u32>;
    /// A request whose argument is a pointer to an `int`.
    fn ioctl(&mut self, fd: Fd, request: u32, argument: i32) -> Answer<i32>;
}

pub const AF_UNSPEC: u32 = 0;
pub const AF_INET: u32 = 2;
pub const STREAM: u32 = 1;
pub const DGRAM: u32 = 2;
pub const RAW: u32 = 3;
pub const NONBLOCK: u32 = 0o4000;
pub const CLOEXEC: u32 = 0o2_000_000;

pub const IN: u16 = 0x1;
pub const PRI: u16 = 0x2;
pub const OUT: u16 = 0x4;
pub const ERR: u16 = 0x8;
pub const HUP: u16 = 0x10;
pub const RDHUP: u16 = 0x2000;
/// What a case asks for when it asks for everything.
pub const ALL: u16 = IN | PRI | OUT | RDHUP;
const POLL: [(u16, &str); 11] = [
    (IN, "IN"),
    (PRI, "PRI"),
    (OUT, "OUT"),
    (ERR, "ERR"),
    (HUP, "HUP"),
    (0x20, "NVAL"),
    (0x40, "RDNORM"),
    (0x80, "RDBAND"),
    (0x100, "WRNORM"),
    (0x200, "WRBAND"),
    (RDHUP, "RDHUP"),
];

pub const OOB: u32 = 0x1;
pub const PEEK: u32 = 0x2;
pub const DONTROUTE: u32 = 0x4;
pub const TRUNC: u32 = 0x20;
pub const DONTWAIT: u32 = 0x40;
pub const WAITALL: u32 = 0x100;
pub const ERRQUEUE: u32 = 0x2000;
pub const MORE: u32 = 0x8000;
const MSG: [(u32, &str); 8] = [
    (OOB, "OOB"),
    (PEEK, "PEEK"),
    (DONTROUTE, "DONTROUTE"),
    (TRUNC, "TRUNC"),
    (DONTWAIT, "DONTWAIT"),
    (WAITALL, "WAITALL"),
    (ERRQUEUE, "ERRQUEUE"),
    (MORE, "MORE"),
];

pub const FIONREAD: u32 = 0x541b;
pub const FIONBIO: u32 = 0x5421;
pub const SIOCOUTQ: u32 = 0x5411;
pub const SIOCATMARK: u32 = 0x8905;

fn bits(value: u32, table: impl Iterator<Item = (u32, &'static str)>) -> String {
    let (mut rest, mut names) = (value, Vec::new());
    for (bit, name) in table {
        if value & bit != 0 {
            names.push(name.to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    if names.is_empty() { "0".into() } else { names.join("|") }
}

/// `IN|OUT`
pub fn poll_bits(value: u16) -> String {
    bits(value.into(), POLL.iter().map(|(bit, name)| (u32::from(*bit), *name)))
}

/// `PEEK|DONTWAIT`
pub fn msg_bits(value: u32) -> String {
    bits(value, MSG.iter().copied())
}

/// `EAGAIN`
pub fn errno_name(number: i32) -> String {
    let known = Errno::ALL.iter().find(|errno| errno.number() == number);
    known.map_or_else(|| format!("errno {number}"), |errno| errno.name().to_owned())
}
