//! The system calls of sockets, blocking, with Rust's types.

use crate::client::{CallError, Client};
use crate::msg::{Ancillary, PollEntries, PollEntry, Request, tag};
use crate::sockaddr::{AF_INET, AF_INET6, SockAddr, SockAddrBuf};
use crate::wire::{BodyError, MAX_DATA, Sid};
use rustix::io::Errno;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Domain of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// AF_INET
    Inet,
    /// AF_INET6
    Inet6,
    /// Another, by Linux's number.
    Other(u16),
}

impl Domain {
    /// Linux's number.
    pub fn number(self) -> u32 {
        match self {
            Domain::Inet => AF_INET.into(),
            Domain::Inet6 => AF_INET6.into(),
            Domain::Other(number) => number.into(),
        }
    }
}

/// Type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// SOCK_STREAM
    Stream = 1,
    /// SOCK_DGRAM
    Dgram = 2,
    /// SOCK_RAW
    Raw = 3,
}

/// Which directions `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum How {
    /// SHUT_RD
    Read = 0,
    /// SHUT_WR
    Write = 1,
    /// SHUT_RDWR
    Both = 2,
}

/// What `recv_msg` received, beside the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Octets put into the buffer.
    pub len: usize,
    /// Octets that the datagram had.
    pub full_len: usize,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// To which of the node's addresses.
    pub local: Option<SocketAddr>,
    /// The interface it came in by.
    pub ifindex: Option<u32>,
    /// Its remaining hops.
    pub ttl: Option<u8>,
    /// DSCP and ECN.
    pub tos: Option<u8>,
    /// When, nanoseconds since the lab's epoch.
    pub time: Option<u64>,
}

/// One descriptor of a `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// The descriptor.
    pub sid: Sid,
    /// `POLLIN` and the like.
    pub events: u16,
    /// Set by `poll`.
    pub revents: u16,
}

/// Reads the address of an answer.
fn address(octets: Option<&[u8]>) -> Result<SocketAddr, CallError> {
    let octets = octets.ok_or(BodyError::Missing { tag: tag::ADDR })?;
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr)) => Ok(addr),
        Ok(SockAddr::Unspec) | Err(_) => {
            Err(BodyError::Malformed { tag: tag::ADDR, len: octets.len() }.into())
        }
    }
}

/// A descriptor in `ret`.
fn descriptor(ret: u64) -> Result<Sid, CallError> {
    u32::try_from(ret).map(Sid).map_err(|_| CallError::Sys(Errno::PROTO))
}

impl Client {
    /// socket(2)
    pub fn socket(&mut self, domain: Domain, kind: Kind, protocol: u8) -> Result<Sid, CallError> {
        let request =
            Request::Socket { domain: domain.number(), kind: kind as u32, protocol: protocol.into() };
        descriptor(self.call(Sid::NONE, &request)?.0)
    }

    /// bind(2)
    pub fn bind(&mut self, sid: Sid, addr: SocketAddr) -> Result<(), CallError> {
        self.call(sid, &Request::Bind { addr: SockAddrBuf::from(addr).as_octets() })?;
        Ok(())
    }

    /// listen(2)
    pub fn listen(&mut self, sid: Sid, backlog: u32) -> Result<(), CallError> {
        self.call(sid, &Request::Listen { backlog: backlog.into() })?;
        Ok(())
    }

    /// accept(2)
    pub fn accept(&mut self, sid: Sid) -> Result<(Sid, SocketAddr), CallError> {
        let (new, body) = self.call(sid, &Request::Accept { flags: 0 })?;
        Ok((descriptor(new)?, address(body.addr)?))
    }

    /// connect(2); a stream's returns when the connection stands.
    pub fn connect_to(&mut self, sid: Sid, addr: SocketAddr) -> Result<(), CallError> {
        self.call(sid, &Request::Connect { addr: SockAddrBuf::from(addr).as_octets(), flags: 0 })?;
        Ok(())
    }

    /// send(2); of a stream, at most 64 KiB go at once.
    pub fn send(&mut self, sid: Sid, data: &[u8], flags: u32) -> Result<usize, CallError> {
        self.send_msg(sid, data, flags, None, Ancillary::default())
    }

    /// sendto(2)
    pub fn send_to(&mut self, sid: Sid, data: &[u8], flags: u32, to: SocketAddr) -> Result<usize, CallError> {
        self.send_msg(sid, data, flags, Some(to), Ancillary::default())
    }

    /// sendmsg(2)
    pub fn send_msg(
        &mut self,
        sid: Sid,
        data: &[u8],
        flags: u32,
        to: Option<SocketAddr>,
        with: Ancillary<'_>,
    ) -> Result<usize, CallError> {
        let to = to.map(SockAddrBuf::from);
        let data = &data[..data.len().min(MAX_DATA)];
        let request = Request::SendMsg { data, flags, to: to.as_ref().map(SockAddrBuf::as_octets), with };
        let (sent, _) = self.call(sid, &request)?;
        Ok((sent as usize).min(data.len()))
    }

    /// recv(2): the octets received; 0 at the end of a stream.
    pub fn recv(&mut self, sid: Sid, buf: &mut [u8], flags: u32) -> Result<usize, CallError> {
        Ok(self.recv_msg(sid, buf, flags)?.len)
    }

    /// recvfrom, recvmsg(2)
    pub fn recv_msg(&mut self, sid: Sid, buf: &mut [u8], flags: u32) -> Result<Received, CallError> {
        let len = buf.len().min(MAX_DATA) as u32;
        let (_, body) = self.call(sid, &Request::RecvMsg { len, flags })?;
        let data = body.data.unwrap_or_default();
        let place =
            buf.get_mut(..data.len()).ok_or(BodyError::Malformed { tag: tag::DATA, len: data.len() })?;
        place.copy_from_slice(data);
        let optional = |octets: Option<&[u8]>| octets.map(|_| address(octets)).transpose();
        Ok(Received {
            len: data.len(),
            full_len: body.len.map_or(data.len(), |len| len as usize),
            from: optional(body.addr)?,
            local: optional(body.local)?,
            ifindex: body.ifindex,
            ttl: body.ttl,
            tos: body.tos,
            time: body.time,
        })
    }

    /// shutdown(2)
    pub fn shutdown(&mut self, sid: Sid, how: How) -> Result<(), CallError> {
        self.call(sid, &Request::Shutdown { how: how as i64 })?;
        Ok(())
    }

    /// close(2)
    pub fn close(&mut self, sid: Sid) -> Result<(), CallError> {
        self.call(sid, &Request::Close)?;
        Ok(())
    }

    /// dup(2)
    pub fn dup(&mut self, sid: Sid) -> Result<Sid, CallError> {
        descriptor(self.call(sid, &Request::Dup)?.0)
    }

    /// getsockname(2)
    pub fn local_addr(&mut self, sid: Sid) -> Result<SocketAddr, CallError> {
        address(self.call(sid, &Request::GetSockName)?.1.addr)
    }

    /// getpeername(2)
    pub fn peer_addr(&mut self, sid: Sid) -> Result<SocketAddr, CallError> {
        address(self.call(sid, &Request::GetPeerName)?.1.addr)
    }

    /// setsockopt(2), in Linux's numbers and layout.
    pub fn set_option(&mut self, sid: Sid, level: u32, name: u32, value: &[u8]) -> Result<(), CallError> {
        self.call(sid, &Request::SetSockOpt { level, name, value })?;
        Ok(())
    }

    /// getsockopt(2): at most `len` octets of the value.
    pub fn option(&mut self, sid: Sid, level: u32, name: u32, len: usize) -> Result<Vec<u8>, CallError> {
        let len = len.min(MAX_DATA) as u32;
        let (_, body) = self.call(sid, &Request::GetSockOpt { level, name, len, asked: &[] })?;
        Ok(body.data.unwrap_or_default().to_vec())
    }

    /// fcntl(2) with F_GETFL and F_SETFL: O_NONBLOCK.
    pub fn fcntl(&mut self, sid: Sid, command: u32, argument: u32) -> Result<u64, CallError> {
        Ok(self.call(sid, &Request::Fcntl { command, argument })?.0)
    }

    /// ioctl(2) of an `int`: FIONREAD, FIONBIO, SIOCOUTQ, SIOCATMARK. `argument` is its value before, the result that after.
    pub fn ioctl(&mut self, sid: Sid, request: u32, argument: u32) -> Result<u64, CallError> {
        Ok(self.call(sid, &Request::Ioctl { request, argument })?.0)
    }

    /// poll(2): the number of ready descriptors; 0 if `timeout` passed first. At most 1024 descriptors.
    pub fn poll(&mut self, fds: &mut [Polled], timeout: Option<Duration>) -> Result<usize, CallError> {
        if fds.len() > crate::wire::MAX_POLL {
            return Err(CallError::Sys(Errno::INVAL));
        }
        let mut buf = Vec::new();
        let asked = fds.iter().map(|fd| PollEntry { sid: fd.sid, events: fd.events, revents: 0 });
        let entries = PollEntries::encode(asked, &mut buf);
        let timeout = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        let (ready, body) = self.call(Sid::NONE, &Request::Poll { entries, timeout })?;
        let answer = body.pollfds.ok_or(BodyError::Missing { tag: tag::POLLFDS })?;
        for (fd, entry) in fds.iter_mut().zip(answer.iter()) {
            fd.revents = entry.revents;
        }
        Ok((ready as usize).min(fds.len()))
    }

    /// The address of a host, as the node's programs resolve it.
    pub fn resolve(&mut self, name: &str) -> Result<IpAddr, CallError> {
        Ok(address(self.call(Sid::NONE, &Request::Resolve { name })?.1.addr)?.ip())
    }
}
