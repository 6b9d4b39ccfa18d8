//! What a program sees of the stack: sockets, their readiness, options and errors.

pub mod flags;
pub mod sockbuf;

pub use flags::{RecvFlags, SendFlags};

use std::net::IpAddr;

/// Names a socket of one stack. The generation makes an id that outlives its socket harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    /// Slot in the socket table.
    pub index: u32,
    /// Counts the slot's former tenants.
    pub generation: u32,
}

bitflags::bitflags! {
    /// What an operation on the socket would find now; the bits of `poll(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Ready: u8 {
        /// Data, end of stream, or a connection to accept.
        const READ = 1;
        /// Room to send; connected.
        const WRITE = 2;
        /// An error waits (`SO_ERROR`).
        const ERROR = 4;
        /// Both directions are shut.
        const HUP = 8;
        /// The peer has shut its sending side.
        const RDHUP = 16;
        /// Urgent data.
        const PRI = 32;
    }
}

/// Why a socket operation failed. Each variant becomes one errno in exactly one table (rumpkern).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SockError {
    /// EAGAIN: the operation would block.
    #[error("operation would block")]
    WouldBlock,
    /// EINPROGRESS: a connection is being made.
    #[error("connection in progress")]
    InProgress,
    /// EALREADY: it is still being made.
    #[error("connection already in progress")]
    Already,
    /// EISCONN
    #[error("already connected")]
    IsConnected,
    /// ENOTCONN
    #[error("not connected")]
    NotConnected,
    /// EDESTADDRREQ
    #[error("destination address required")]
    DestAddrRequired,
    /// EADDRINUSE
    #[error("address in use")]
    AddrInUse,
    /// EADDRNOTAVAIL
    #[error("address not available")]
    AddrNotAvailable,
    /// EAFNOSUPPORT
    #[error("address family not supported")]
    AfNotSupported,
    /// EPROTONOSUPPORT
    #[error("protocol not supported")]
    ProtoNotSupported,
    /// ESOCKTNOSUPPORT
    #[error("socket type not supported")]
    TypeNotSupported,
    /// EOPNOTSUPP
    #[error("operation not supported on this socket")]
    OpNotSupported,
    /// ENOPROTOOPT
    #[error("protocol option not available")]
    NoProtoOpt,
    /// EINVAL
    #[error("invalid argument")]
    Invalid,
    /// EBADF: no such socket
    #[error("no such socket")]
    BadSocket,
    /// EMSGSIZE
    #[error("message too long")]
    MsgSize,
    /// ENOBUFS
    #[error("no buffer space")]
    NoBufs,
    /// EPIPE
    #[error("broken pipe")]
    Pipe,
    /// ECONNREFUSED
    #[error("connection refused")]
    ConnRefused,
    /// ECONNRESET
    #[error("connection reset by peer")]
    ConnReset,
    /// ECONNABORTED
    #[error("connection aborted")]
    ConnAborted,
    /// ETIMEDOUT
    #[error("connection timed out")]
    TimedOut,
    /// ENETUNREACH
    #[error("network unreachable")]
    NetUnreachable,
    /// EHOSTUNREACH
    #[error("no route to host")]
    HostUnreachable,
    /// ENETDOWN
    #[error("network is down")]
    NetDown,
    /// ENOPROTOOPT as an ICMP error: protocol unreachable
    #[error("protocol not available")]
    ProtoUnreachable,
    /// EACCES (a broadcast without SO_BROADCAST)
    #[error("permission denied")]
    Access,
    /// ENODEV
    #[error("no such interface")]
    NoDevice,
}

/// Address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// AF_INET
    Inet,
    /// AF_INET6
    Inet6,
}

impl Family {
    /// The family of `addr`.
    pub fn of(addr: IpAddr) -> Family {
        match addr {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        }
    }
}
