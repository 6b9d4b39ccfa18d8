//! One call: from a frame to the frame that answers it.

use crate::syscall::{
    Errno, Family, Fd, MsgFlags, PollFd, PollFlags, SendMeta, Shutdown, SockType, Sys, sockopt_abi,
};
use netstack::net::IfIndex;
use netstack::time::Duration;
use rumpclient::msg::{self, Body, PollEntries, PollEntry, Request, RequestError, tag};
use rumpclient::sockaddr::{self, SockAddr, SockAddrBuf, SockAddrError};
use rumpclient::wire::{DataFrame, FrameFlags, Header, MAX_DATA, Sid};
use std::net::{Ipv4Addr, SocketAddr};

/// `SOCK_NONBLOCK` and `O_NONBLOCK` of Linux.
const NONBLOCK: u32 = 0o4000;
/// `SOCK_CLOEXEC` of Linux; descriptors of a session see no exec.
const CLOEXEC: u32 = 0o2_000_000;
/// `O_RDWR` of Linux: how sockets are open.
const RDWR: u32 = 2;

/// The header of the answer to `asked`.
pub(super) fn answer_to(asked: &Header, ret: i64) -> Header {
    Header { flags: FrameFlags::REPLY, ret, ..*asked }
}

/// The answer to `asked` with these fields.
pub(super) fn answer(asked: &Header, ret: i64, body: &Body<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    msg::encode(&answer_to(asked, ret), body, &mut frame);
    frame
}

/// The answer to `asked` that it failed.
pub(super) fn failure(asked: &Header, errno: Errno) -> Vec<u8> {
    answer(asked, -i64::from(errno.number()), &Body::default())
}

/// What a request that cannot be read is answered with.
pub(super) fn refusal(error: &RequestError) -> Errno {
    match error {
        RequestError::Op { .. } => Errno::ENOSYS,
        RequestError::Body(_) => Errno::EINVAL,
    }
}

/// Octets of payload that the answer to `request` may hold.
pub(super) fn room(request: &Request<'_>) -> usize {
    match *request {
        Request::RecvMsg { len, .. } | Request::GetSockOpt { len, .. } => (len as usize).min(MAX_DATA),
        _ => 0,
    }
}

/// Makes the call in `frame`, which is one (the session has read it), and returns the answer.
pub(super) async fn perform(sys: Sys, frame: Vec<u8>) -> Vec<u8> {
    let Ok((asked, octets)) = Header::decode(&frame) else { return Vec::new() };
    let done = match Request::decode(&asked, octets) {
        Ok(request) => call(&sys, &asked, &request).await,
        Err(error) => Err(refusal(&error)),
    };
    done.unwrap_or_else(|errno| failure(&asked, errno))
}

/// An address in a request.
fn address(octets: &[u8]) -> Result<SocketAddr, Errno> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr)) => Ok(addr),
        Ok(SockAddr::Unspec) | Err(SockAddrError::Family { .. }) => Err(Errno::EAFNOSUPPORT),
        Err(SockAddrError::Short { .. }) => Err(Errno::EINVAL),
    }
}

async fn call(sys: &Sys, asked: &Header, request: &Request<'_>) -> Result<Vec<u8>, Errno> {
    let fd = Fd(asked.sid.0);
    let value = |ret: i64| Ok(answer(asked, ret, &Body::default()));
    let with_address = |ret: i64, addr: SocketAddr| {
        let addr = SockAddrBuf::from(addr);
        Ok(answer(asked, ret, &Body { addr: Some(addr.as_octets()), ..Body::default() }))
    };
    match *request {
        // The session sees to these.
        Request::Hello { .. } | Request::Cancel { .. } => Err(Errno::EINVAL),
        Request::Socket { domain, kind, protocol } => {
            socket(sys, domain, kind, protocol).and_then(|fd| value(fd.0.into()))
        }
        Request::Bind { addr } => {
            sys.bind(fd, address(addr)?)?;
            value(0)
        }
        Request::Listen { backlog } => {
            // As Linux: negative means as many as there may be.
            sys.listen(fd, usize::try_from(backlog).unwrap_or(usize::MAX))?;
            value(0)
        }
        Request::Accept { flags } => {
            let (new, peer) = sys.accept(fd).await?;
            if flags & NONBLOCK != 0 {
                sys.set_nonblocking(new, true)?;
            }
            with_address(new.0.into(), peer)
        }
        Request::Connect { addr } => {
            // AF_UNSPEC dissolves a datagram socket's connection; the stack's word for it is no address.
            let peer = match SockAddr::decode(addr) {
                Ok(SockAddr::Unspec) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
                Ok(SockAddr::Inet(_)) | Err(_) => address(addr)?,
            };
            sys.connect(fd, peer).await?;
            value(0)
        }
        Request::SendMsg { data, flags, to, with } => {
            let meta = SendMeta {
                to: to.map(address).transpose()?,
                src: with.local.map(address).transpose()?.map(|addr| addr.ip()),
                ifindex: with.ifindex.map(IfIndex),
                ttl: with.ttl,
                tos: with.tos,
                ..SendMeta::default()
            };
            let sent = sys.sendmsg(fd, data, MsgFlags::from_bits_truncate(flags), &meta).await?;
            value(sent as i64)
        }
        Request::RecvMsg { len, flags } => receive(sys, asked, len, flags).await,
        Request::Shutdown { how } => {
            let how = match how {
                0 => Shutdown::Read,
                1 => Shutdown::Write,
                2 => Shutdown::Both,
                _ => return Err(Errno::EINVAL),
            };
            sys.shutdown(fd, how)?;
            value(0)
        }
        Request::Close => {
            sys.close(fd)?;
            value(0)
        }
        Request::Dup => value(sys.dup(fd)?.0.into()),
        Request::GetSockName => with_address(0, sys.getsockname(fd)?),
        Request::GetPeerName => with_address(0, sys.getpeername(fd)?),
        Request::SetSockOpt { level, name, value: octets } => {
            sockopt_abi::set(sys, fd, level, name, octets)?;
            value(0)
        }
        Request::GetSockOpt { level, name, len } => {
            let octets = sockopt_abi::get(sys, fd, level, name)?;
            let data = &octets[..octets.len().min(len as usize)];
            Ok(answer(asked, 0, &Body { data: Some(data), ..Body::default() }))
        }
        Request::Fcntl { command, argument } => {
            let flags = if sys.nonblocking(fd)? { RDWR | NONBLOCK } else { RDWR };
            match command {
                3 => value(flags.into()),
                4 => {
                    sys.set_nonblocking(fd, argument & NONBLOCK != 0)?;
                    value(0)
                }
                _ => Err(Errno::EINVAL),
            }
        }
        Request::Poll { entries, timeout } => poll(sys, asked, entries, timeout).await,
        Request::GetPid => value(sys.getpid().0.into()),
        Request::Resolve { name } => {
            let first = sys.resolve(name)?.first().copied().ok_or(Errno::ENOENT)?;
            let addr = sockaddr::encode_ip(first);
            Ok(answer(asked, 0, &Body { addr: Some(addr.as_octets()), ..Body::default() }))
        }
    }
}

fn socket(sys: &Sys, domain: u32, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let family = match u16::try_from(domain) {
        Ok(sockaddr::AF_INET) => Family::Inet,
        Ok(sockaddr::AF_INET6) => Family::Inet6,
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

async fn receive(sys: &Sys, asked: &Header, len: u32, flags: u32) -> Result<Vec<u8>, Errno> {
    let mut frame = DataFrame::new(tag::DATA, (len as usize).min(MAX_DATA));
    let flags = MsgFlags::from_bits_truncate(flags);
    let meta = sys.recvmsg(Fd(asked.sid.0), frame.room(), flags).await?;
    // As recvmsg(2): the datagram's whole length only if asked for.
    let ret = if flags.contains(MsgFlags::TRUNC) { meta.full_len } else { meta.len };
    let (from, local) = (meta.from.map(SockAddrBuf::from), meta.local.map(sockaddr::encode_ip));
    let rest = Body {
        addr: from.as_ref().map(SockAddrBuf::as_octets),
        local: local.as_ref().map(SockAddrBuf::as_octets),
        len: u32::try_from(meta.full_len).ok(),
        ifindex: meta.ifindex.map(|index| index.0),
        ttl: Some(meta.ttl),
        tos: Some(meta.tos),
        time: Some(meta.time.as_nanos()),
        ..Body::default()
    };
    Ok(frame.finish(meta.len, &answer_to(asked, ret as i64), |writer| rest.encode(writer)))
}

async fn poll(
    sys: &Sys,
    asked: &Header,
    entries: PollEntries<'_>,
    timeout: Option<u64>,
) -> Result<Vec<u8>, Errno> {
    let events = |bits| PollFlags::from_bits_truncate(bits);
    let mut fds: Vec<PollFd> =
        entries.iter().map(|entry| PollFd::new(Fd(entry.sid.0), events(entry.events))).collect();
    let ready = sys.poll(&mut fds, timeout.map(Duration::from_nanos)).await?;
    let told = fds.iter().zip(entries.iter()).map(|(fd, entry)| PollEntry {
        sid: Sid(fd.fd.0),
        events: entry.events,
        revents: fd.revents.bits(),
    });
    let mut buf = Vec::new();
    let entries = PollEntries::encode(told, &mut buf);
    Ok(answer(asked, ready as i64, &Body { pollfds: Some(entries), ..Body::default() }))
}
