//! What a program sees of the stack: sockets, their readiness, options and errors.

pub mod flags;
pub mod sockbuf;
pub mod sockopt;
pub mod sockopt6;
pub(crate) mod table;

pub use crate::tcp::Shutdown;
pub use flags::{RecvFlags, SendFlags};
pub use sockopt::{GroupSource, MtuDiscover, SockOpt, SockOptName};
pub use sockopt6::{SockOpt6, SockOpt6Name, SourceKind, StickyPktInfo};

use crate::net::{IfIndex, MacAddr};
use crate::tcp::TcpInfo;
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};

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
    /// EPROTO: a router or host found something wrong with the packet
    #[error("protocol error")]
    Proto,
    /// EHOSTDOWN: there is no such host
    #[error("host is down")]
    HostDown,
    /// ENONET: we are isolated
    #[error("machine is not on the network")]
    NoNet,
    /// EPERM: the socket's filter is locked
    #[error("operation not permitted")]
    NotPermitted,
    /// ENOENT: the socket has no filter
    #[error("no such filter")]
    NoFilter,
    /// ENXIO: no interface to send by
    #[error("no such device or address")]
    NoAddress,
    /// ENODEV
    #[error("no such interface")]
    NoDevice,
    /// ENOSPC: a group of packet sockets takes no more
    #[error("group is full")]
    NoSpace,
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

/// What kind of socket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SockType {
    /// SOCK_STREAM: TCP.
    Stream,
    /// SOCK_DGRAM: UDP, or ICMP echo (protocol 1).
    Dgram,
    /// SOCK_RAW: IP packets of one protocol.
    Raw,
    /// AF_PACKET, SOCK_RAW: whole frames.
    Packet,
    /// AF_PACKET, SOCK_DGRAM: frames without their Ethernet header.
    PacketDgram,
}

/// How a frame came to a packet socket (`sll_pkttype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// To us.
    Host,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another station (the interface is promiscuous).
    OtherHost,
    /// Sent by us.
    Outgoing,
}

impl PacketType {
    /// `PACKET_HOST` …, as Linux numbers them.
    pub fn number(self) -> u8 {
        match self {
            PacketType::Host => 0,
            PacketType::Broadcast => 1,
            PacketType::Multicast => 2,
            PacketType::OtherHost => 3,
            PacketType::Outgoing => 4,
        }
    }
}

/// Frames that a packet socket wants of an interface beside those that it would get (PACKET_ADD_MEMBERSHIP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// All (PACKET_MR_PROMISC).
    Promiscuous,
    /// All to groups (PACKET_MR_ALLMULTI).
    AllMulticast,
    /// All to this group (PACKET_MR_MULTICAST).
    Multicast(MacAddr),
}

/// What a packet socket has got (PACKET_STATISTICS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketStats {
    /// Frames that its filter let through, those dropped included.
    pub packets: u32,
    /// Frames that found no room.
    pub drops: u32,
}

/// Address of a packet socket (`sockaddr_ll`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddr {
    /// The interface.
    pub ifindex: IfIndex,
    /// EtherType, host order.
    pub ethertype: u16,
    /// Sender of a received frame, destination of a sent one.
    pub mac: MacAddr,
    /// How it came; ignored in sending.
    pub kind: PacketType,
}

/// How a datagram is to be sent. The default: to the connected peer, with the socket's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendMeta {
    /// Destination; `None`: the peer.
    pub to: Option<SocketAddr>,
    /// Flags of the call.
    pub flags: SendFlags,
    /// IP_PKTINFO: source address.
    pub src: Option<IpAddr>,
    /// IP_PKTINFO: interface.
    pub ifindex: Option<IfIndex>,
    /// IP_TTL for this datagram.
    pub ttl: Option<u8>,
    /// IP_TOS for this datagram.
    pub tos: Option<u8>,
    /// IPV6_FLOWINFO: the flow label for this datagram; 0: what it is without.
    pub flow_label: Option<u32>,
    /// IPV6_HOPOPTS, IPV6_DSTOPTS for this datagram, in the place of all that the socket has: what the first header
    /// is (a "next header"), and all of them, each naming the one behind it.
    pub headers: Option<Box<[u8]>>,
    /// Packet sockets: interface, EtherType, and (without the frame's header) destination.
    pub link: Option<LinkAddr>,
}

/// What was received besides the octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvMeta {
    /// Octets put into the buffer; 0 of a stream: its end.
    pub len: usize,
    /// Octets of the datagram, which may be more.
    pub full_len: usize,
    /// Octets that it had before the socket's filter cut it.
    pub wire_len: usize,
    /// Sender.
    pub from: Option<SocketAddr>,
    /// Address it was sent to (IP_PKTINFO).
    pub local: Option<IpAddr>,
    /// Interface it came in by; of a stream, none.
    pub ifindex: Option<IfIndex>,
    /// Time to live (IP_RECVTTL).
    pub ttl: u8,
    /// Type of service (IP_RECVTOS).
    pub tos: u8,
    /// When it came in (SO_TIMESTAMPNS).
    pub time: Instant,
    /// Packet sockets: where it came from.
    pub link: Option<LinkAddr>,
    /// Of the error queue (MSG_ERRQUEUE): what happened to what was sent to `from`.
    pub error: Option<QueuedError>,
    /// IPV6_PATHMTU: this is no datagram, but news of the path to `from`: octets of the largest packet that it takes.
    pub path_mtu: Option<u32>,
    /// IPv6's traffic class and flow label, as they stand in the header (28 bits), if the program wants them and there are any.
    pub flow_info: Option<u32>,
    /// IPv6's extension headers, if the program wants any: what the first one is (a "next header"), and all of them.
    pub headers: Option<Box<[u8]>>,
}

/// An entry of a socket's error queue (IP_RECVERR, `sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedError {
    /// What it means.
    pub error: SockError,
    /// Who says so; `None`: we ourselves.
    pub offender: Option<IpAddr>,
    /// ICMP type and code, 0 and 0 of a local error.
    pub wire: (u8, u8),
    /// Octets of the largest packet that passes, where the error is `MsgSize`.
    pub mtu: u32,
}

/// A socket, as shown.
#[derive(Clone, Debug)]
pub struct SocketInfo {
    /// Its name; none if no program holds it (TIME-WAIT, half-open).
    pub id: Option<SocketId>,
    /// Family.
    pub family: Family,
    /// Kind.
    pub ty: SockType,
    /// IP protocol.
    pub protocol: u8,
    /// Local address and port.
    pub local: Option<SocketAddr>,
    /// Peer.
    pub remote: Option<SocketAddr>,
    /// State, by the name that `ss` shows.
    pub state: &'static str,
    /// Octets that wait to be read.
    pub recv_queue: usize,
    /// Octets sent that have not left (datagrams), or are not acknowledged (streams).
    pub send_queue: usize,
    /// Datagrams that found no room.
    pub drops: u64,
    /// What TCP knows of it.
    pub tcp: Option<TcpInfo>,
}
