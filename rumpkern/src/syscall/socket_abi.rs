//! Calls on sockets with their arguments in Linux's numbers and layout: addresses, types with flags, `how`,
//! `fcntl`. As [`super::sockopt_abi`], for whoever has a program's octets at hand.

use super::packet_abi::{self, AF_PACKET, SOCK_PACKET};
use super::{Errno, Family, Fd, MsgFlags, Shutdown, SockType, Sys};
use crate::netlink::socket::AF_NETLINK;
use crate::netlink::{NlAddr, Protocol};
use rumpclient::sockaddr::{
    AF_INET, AF_INET6, SOCKADDR_IN, SOCKADDR_IN6_OLD, SockAddr, SockAddrBuf, SockAddrError,
};
use std::net::SocketAddr;

/// `SOCK_NONBLOCK` and `O_NONBLOCK`.
pub const NONBLOCK: u32 = 0o4000;
/// `SOCK_CLOEXEC`: nothing here sees an exec.
const CLOEXEC: u32 = 0o2_000_000;
/// `O_RDWR`: how sockets are open.
const RDWR: u32 = 2;
/// Numbers of types and of protocols end before these (`SOCK_MAX`, `IPPROTO_MAX`).
const SOCK_MAX: u32 = 11;
const IPPROTO_MAX: u32 = 263;
/// `FIONREAD`, `FIONBIO`, `SIOCOUTQ`, `SIOCATMARK`.
const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;
const SIOCOUTQ: u32 = 0x5411;
const SIOCATMARK: u32 = 0x8905;

/// socket(2)
pub fn socket(sys: &Sys, domain: u32, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let (kind, flags) = (kind & 0xf, kind & !0xf);
    if flags & !(NONBLOCK | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if u16::try_from(domain) == Ok(AF_NETLINK) {
        if !matches!(kind, 2 | 3) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        let fd = sys.netlink_socket(kind, Protocol::by_number(protocol)?)?;
        sys.set_nonblocking(fd, flags & NONBLOCK != 0)?;
        return Ok(fd);
    }
    if u16::try_from(domain) == Ok(AF_PACKET) || u16::try_from(domain) == Ok(AF_INET) && kind == SOCK_PACKET {
        let fd = packet_abi::socket(sys, kind, protocol)?;
        sys.set_nonblocking(fd, flags & NONBLOCK != 0)?;
        return Ok(fd);
    }
    let family = match u16::try_from(domain) {
        Ok(AF_INET) => Family::Inet,
        Ok(AF_INET6) => Family::Inet6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    if kind >= SOCK_MAX || protocol >= IPPROTO_MAX {
        return Err(Errno::EINVAL);
    }
    let protocol = u8::try_from(protocol).map_err(|_| Errno::EPROTONOSUPPORT)?;
    let kind = match kind {
        1 => SockType::Stream,
        2 => SockType::Dgram,
        3 => SockType::Raw,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    let fd = sys.socket(family, kind, protocol)?;
    sys.set_nonblocking(fd, flags & NONBLOCK != 0)?;
    Ok(fd)
}

/// A `struct sockaddr` for a socket of `family`: its length is looked at first.
pub fn address(family: Family, octets: &[u8]) -> Result<SocketAddr, Errno> {
    let least = match family {
        Family::Inet => SOCKADDR_IN,
        Family::Inet6 => SOCKADDR_IN6_OLD,
    };
    if octets.len() < least {
        return Err(Errno::EINVAL);
    }
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr)) if addr.is_ipv6() == (family == Family::Inet6) => Ok(addr),
        Ok(SockAddr::Inet(_) | SockAddr::Unspec)
        | Err(SockAddrError::Family { .. } | SockAddrError::Short { .. }) => Err(Errno::EAFNOSUPPORT),
    }
}

/// The same where old programs may leave the family out (AF_UNSPEC), which IPv6's know of.
fn address_of_any_family(family: Family, octets: &[u8]) -> Result<SocketAddr, Errno> {
    match (family, octets, SockAddr::decode(octets)) {
        (Family::Inet, [_, _, rest @ ..], Ok(SockAddr::Unspec)) => {
            address(family, &[&AF_INET.to_le_bytes()[..], rest].concat())
        }
        (Family::Inet | Family::Inet6, _, Ok(_) | Err(_)) => address(family, octets),
    }
}

/// An address of IPv4 that is as good as a mapped one: UDP's sockets of AF_INET6 take it as a peer's, unless they
/// are of IPv6 alone.
fn inet_peer(sys: &Sys, fd: Fd, family: Family, octets: &[u8]) -> Result<Option<SocketAddr>, Errno> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr @ SocketAddr::V4(_)))
            if family == Family::Inet6 && sys.socket_type(fd)? == SockType::Dgram =>
        {
            Ok(Some(addr))
        }
        Ok(_) | Err(_) => Ok(None),
    }
}

/// bind(2). AF_UNSPEC stands for AF_INET if the address is no particular one.
pub fn bind(sys: &Sys, fd: Fd, octets: &[u8]) -> Result<(), Errno> {
    if sys.netlink(fd).is_ok() {
        return sys.netlink_bind(fd, NlAddr::decode(octets)?);
    }
    // A bad descriptor before a bad address.
    if packet_abi::is_packet(sys.socket_type(fd)?) {
        return packet_abi::bind(sys, fd, octets);
    }
    let family = sys.family(fd)?;
    let addr = address_of_any_family(family, octets)?;
    sys.bind(fd, if addr.ip().is_unspecified() { addr } else { address(family, octets)? })
}

/// connect(2): AF_UNSPEC dissolves the connection. With MSG_DONTWAIT it does not block.
pub async fn connect(sys: &Sys, fd: Fd, octets: &[u8], flags: MsgFlags) -> Result<(), Errno> {
    if sys.netlink(fd).is_ok() {
        let addr = match SockAddr::decode(octets) {
            Ok(SockAddr::Unspec) => NlAddr::default(),
            Ok(SockAddr::Inet(_)) | Err(_) => NlAddr::decode(octets)?,
        };
        return sys.netlink_connect(fd, addr);
    }
    if packet_abi::is_packet(sys.socket_type(fd)?) {
        return Err(Errno::EOPNOTSUPP);
    }
    match SockAddr::decode(octets) {
        Ok(SockAddr::Unspec) => sys.disconnect(fd),
        Ok(SockAddr::Inet(_)) | Err(_) => {
            let family = sys.family(fd)?;
            let addr = match inet_peer(sys, fd, family, octets)? {
                Some(addr) => addr,
                None => address(family, octets)?,
            };
            sys.connect_with(fd, addr, flags).await
        }
    }
}

/// Where sendto(2) sends to. A stream has its peer; nobody looks at another address. Of packet sockets see
/// [`packet_abi::destination`].
pub fn destination(sys: &Sys, fd: Fd, octets: Option<&[u8]>) -> Result<Option<SocketAddr>, Errno> {
    match sys.socket_type(fd)? {
        SockType::Stream | SockType::Packet | SockType::PacketDgram => Ok(None),
        SockType::Dgram | SockType::Raw => {
            let Some(octets) = octets else { return Ok(None) };
            let family = sys.family(fd)?;
            match (family, SockAddr::decode(octets)) {
                // As none: to the peer.
                (Family::Inet6, Ok(SockAddr::Unspec)) => Ok(None),
                (Family::Inet | Family::Inet6, Ok(_) | Err(_)) => match inet_peer(sys, fd, family, octets)? {
                    Some(addr) => Ok(Some(addr)),
                    None => address_of_any_family(family, octets).map(Some),
                },
            }
        }
    }
}

/// getsockname(2): the octets of the address.
pub fn getsockname(sys: &Sys, fd: Fd) -> Result<Vec<u8>, Errno> {
    match sys.netlink(fd) {
        Ok(socket) => Ok(socket.name().encode().to_vec()),
        Err(_) if packet_abi::is_packet(sys.socket_type(fd)?) => packet_abi::getsockname(sys, fd),
        Err(_) => Ok(SockAddrBuf::from(sys.getsockname(fd)?).as_octets().to_vec()),
    }
}

/// getpeername(2): the octets of the address.
pub fn getpeername(sys: &Sys, fd: Fd) -> Result<Vec<u8>, Errno> {
    match sys.netlink(fd) {
        Ok(socket) => Ok(socket.peer().encode().to_vec()),
        Err(_) if packet_abi::is_packet(sys.socket_type(fd)?) => Err(Errno::EOPNOTSUPP),
        Err(_) => Ok(SockAddrBuf::from(sys.getpeername(fd)?).as_octets().to_vec()),
    }
}

/// The flags of accept4(2): whether the new descriptor is non-blocking.
pub fn accept_flags(sys: &Sys, fd: Fd, flags: u32) -> Result<bool, Errno> {
    sys.socket_type(fd)?;
    if flags & !(NONBLOCK | CLOEXEC) != 0 { Err(Errno::EINVAL) } else { Ok(flags & NONBLOCK != 0) }
}

/// The backlog of listen(2): negative means as many as there may be, as on Linux.
pub fn backlog(backlog: i64) -> usize {
    usize::try_from(backlog).unwrap_or(usize::MAX)
}

/// `SHUT_RD` …
pub fn how(how: i64) -> Result<Shutdown, Errno> {
    match how {
        0 => Ok(Shutdown::Read),
        1 => Ok(Shutdown::Write),
        2 => Ok(Shutdown::Both),
        _ => Err(Errno::EINVAL),
    }
}

/// shutdown(2)
pub fn shutdown(sys: &Sys, fd: Fd, direction: i64) -> Result<(), Errno> {
    sys.socket_type(fd)?;
    sys.shutdown(fd, how(direction)?)
}

/// ioctl(2) of an `int`: its value after the call, where `argument` is that before. ENOTTY: another request.
pub fn ioctl(sys: &Sys, fd: Fd, request: u32, argument: u32) -> Result<u32, Errno> {
    let octets = |n: usize| Ok(u32::try_from(n).unwrap_or(i32::MAX as u32));
    match request {
        FIONREAD => octets(sys.readable_octets(fd)?),
        SIOCOUTQ => octets(sys.unsent_octets(fd)?),
        SIOCATMARK => match sys.socket_type(fd)? {
            SockType::Stream => Ok(sys.at_mark(fd)?.into()),
            SockType::Dgram | SockType::Raw | SockType::Packet | SockType::PacketDgram => Err(Errno::ENOTTY),
        },
        FIONBIO => sys.set_nonblocking(fd, argument != 0).map(|()| argument),
        _ => {
            sys.nonblocking(fd)?; // a bad descriptor before a bad request
            Err(Errno::ENOTTY)
        }
    }
}

/// fcntl(2): `F_GETFL` and `F_SETFL`.
pub fn fcntl(sys: &Sys, fd: Fd, command: u32, argument: u32) -> Result<u32, Errno> {
    let flags = if sys.nonblocking(fd)? { RDWR | NONBLOCK } else { RDWR };
    match command {
        3 => Ok(flags),
        4 => sys.set_nonblocking(fd, argument & NONBLOCK != 0).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}
