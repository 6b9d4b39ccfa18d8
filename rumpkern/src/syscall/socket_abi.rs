//! Calls on sockets with their arguments in Linux's numbers and layout: addresses, types with flags, `how`,
//! `fcntl`. As [`super::sockopt_abi`], for whoever has a program's octets at hand.

use super::{Errno, Family, Fd, Shutdown, SockType, Sys};
use rumpclient::sockaddr::{AF_INET, AF_INET6, SockAddr, SockAddrError};
use std::net::{Ipv4Addr, SocketAddr};

/// `SOCK_NONBLOCK` and `O_NONBLOCK`.
pub const NONBLOCK: u32 = 0o4000;
/// `SOCK_CLOEXEC`: nothing here sees an exec.
const CLOEXEC: u32 = 0o2_000_000;
/// `O_RDWR`: how sockets are open.
const RDWR: u32 = 2;

/// socket(2)
pub fn socket(sys: &Sys, domain: u32, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let family = match u16::try_from(domain) {
        Ok(AF_INET) => Family::Inet,
        Ok(AF_INET6) => Family::Inet6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let protocol = u8::try_from(protocol).map_err(|_| Errno::EPROTONOSUPPORT)?;
    let (kind, nonblocking) = (kind & !(NONBLOCK | CLOEXEC), kind & NONBLOCK != 0);
    let kind = match kind {
        1 => SockType::Stream,
        2 => SockType::Dgram,
        3 => SockType::Raw,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    let fd = sys.socket(family, kind, protocol)?;
    sys.set_nonblocking(fd, nonblocking)?;
    Ok(fd)
}

/// The `struct sockaddr` of bind(2) and of a datagram's destination.
pub fn address(octets: &[u8]) -> Result<SocketAddr, Errno> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr)) => Ok(addr),
        Ok(SockAddr::Unspec) | Err(SockAddrError::Family { .. }) => Err(Errno::EAFNOSUPPORT),
        Err(SockAddrError::Short { .. }) => Err(Errno::EINVAL),
    }
}

/// That of connect(2): `AF_UNSPEC` dissolves a datagram socket's connection; the stack's word for it is no
/// address.
pub fn peer(octets: &[u8]) -> Result<SocketAddr, Errno> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Unspec) => Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
        Ok(SockAddr::Inet(_)) | Err(_) => address(octets),
    }
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

/// fcntl(2): `F_GETFL` and `F_SETFL`.
pub fn fcntl(sys: &Sys, fd: Fd, command: u32, argument: u32) -> Result<u32, Errno> {
    let flags = if sys.nonblocking(fd)? { RDWR | NONBLOCK } else { RDWR };
    match command {
        3 => Ok(flags),
        4 => sys.set_nonblocking(fd, argument & NONBLOCK != 0).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}
