//! One call: from a frame to the frame that answers it.

use super::came::Came;
use super::host_file;
use super::passed::Passing;
use super::view::View;
use crate::netlink::NlAddr;
use crate::syscall::socket_abi;
use crate::syscall::{
    Errno, Family, Fd, MsgFlags, PollFd, PollFlags, SendMeta, SockType, Sys, ioctl, packet_abi, sockopt_abi,
};
use crate::vfs;
use netstack::net::IfIndex;
use netstack::time::Duration;
use rumpclient::msg::{self, Body, PollEntries, PollEntry, Request, RequestError, tag};
use rumpclient::sockaddr::{self, SockAddr, SockAddrBuf};
use rumpclient::wire::{DataFrame, FrameFlags, FrameWriter, Header, MAX_DATA, Op, Sid};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub(super) const SOL_SOCKET: u32 = 1;
const SO_ERROR: u32 = 4;

/// A frame for the client, and perhaps a descriptor that goes with it.
pub(super) struct Answer {
    pub(super) frame: Vec<u8>,
    pub(super) passed: Option<OwnedFd>,
}

impl From<Vec<u8>> for Answer {
    fn from(frame: Vec<u8>) -> Answer {
        Answer { frame, passed: None }
    }
}

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

/// An event of a passed socket.
pub(super) fn event(op: Op, fd: Fd, body: &Body<'_>) -> Vec<u8> {
    let event = Header { op: op as u16, req: 0, sid: Sid(fd.0), flags: FrameFlags::EVENT, ret: 0 };
    let mut frame = Vec::new();
    msg::encode(&event, body, &mut frame);
    frame
}

/// Makes the call in `frame`, which is one (the session has read it), and returns the answer.
pub(super) async fn perform(
    sys: Sys,
    passing: Rc<Passing>,
    view: Option<Rc<View>>,
    frame: Vec<u8>,
    passed: Option<OwnedFd>,
) -> Answer {
    let Ok((asked, octets)) = Header::decode(&frame) else { return Vec::new().into() };
    let done = match Request::decode(&asked, octets) {
        Ok(Request::SocketPass { domain, kind, protocol }) => {
            socket_pass(&passing, &asked, domain, kind, protocol)
        }
        Ok(Request::RingPass) => passing
            .pass_ring(Fd(asked.sid.0), passed)
            .map(|memory| Answer { frame: answer(&asked, 0, &Body::default()), passed: Some(memory) }),
        Ok(Request::Open { path }) => host_file::open(&sys, view.as_deref(), &asked, path),
        Ok(Request::Look { path, follow }) => {
            host_file::look(&sys, view.as_deref(), &asked, path, follow != 0)
        }
        Ok(request) => call(&sys, &passing, &asked, &request).await.map(Answer::from),
        Err(error) => Err(refusal(&error)),
    };
    done.unwrap_or_else(|errno| failure(&asked, errno).into())
}

fn socket_pass(
    passing: &Rc<Passing>,
    asked: &Header,
    domain: u32,
    kind: u32,
    protocol: u32,
) -> Result<Answer, Errno> {
    let made = passing.socket(domain, kind, protocol)?;
    let body = Body { inode: Some(made.inode), data: made.door.as_deref(), ..Body::default() };
    Ok(Answer { frame: answer(asked, made.fd.0.into(), &body), passed: Some(made.end) })
}

async fn call(
    sys: &Sys,
    passing: &Rc<Passing>,
    asked: &Header,
    request: &Request<'_>,
) -> Result<Vec<u8>, Errno> {
    let fd = Fd(asked.sid.0);
    let value = |ret: i64| Ok(answer(asked, ret, &Body::default()));
    let with_address = |ret: i64, addr: SocketAddr| {
        let addr = SockAddrBuf::from(addr);
        Ok(answer(asked, ret, &Body { addr: Some(addr.as_octets()), ..Body::default() }))
    };
    match *request {
        // The session sees to these.
        Request::Hello { .. } | Request::Cancel { .. } | Request::Lookup { .. } => Err(Errno::EINVAL),
        Request::Socket { domain, kind, protocol } => {
            socket_abi::socket(sys, domain, kind, protocol).and_then(|fd| value(fd.0.into()))
        }
        Request::Bind { addr } => {
            passing.bind(fd, addr)?;
            value(0)
        }
        Request::Listen { backlog } => {
            passing.listen(fd, socket_abi::backlog(backlog))?;
            value(0)
        }
        Request::Accept { flags } => {
            let nonblocking = socket_abi::accept_flags(sys, fd, flags)?;
            let (new, peer) = sys.accept(fd).await?;
            sys.set_nonblocking(new, nonblocking)?;
            with_address(new.0.into(), peer)
        }
        Request::Connect { addr, flags } => {
            passing.connect(fd, addr, MsgFlags::from_bits_truncate(flags)).await?;
            Ok(connected(sys, asked, &Body::default()))
        }
        Request::SendMsg { data, flags: _, to, with: _ } if sys.netlink(fd).is_ok() => {
            let to = to.map(NlAddr::decode).transpose()?;
            value(sys.netlink_send(fd, data, to)? as i64)
        }
        Request::SendMsg { data, flags, to, with } => {
            let meta = SendMeta {
                to: socket_abi::destination(sys, fd, to)?,
                src: with.local.map(source).transpose()?,
                ifindex: with.ifindex.map(IfIndex),
                ttl: with.ttl,
                tos: with.tos,
                flow_label: with.flow_info,
                headers: with.headers.map(Into::into),
                link: packet_abi::destination(sys, fd, to)?,
                ..SendMeta::default()
            };
            if let Some(errno) = passing.take_error_of_send(fd) {
                return Err(errno);
            }
            let flags = MsgFlags::from_bits_truncate(flags);
            if let Some(sent) = passing.send_ring(fd, flags, &meta).await {
                return value(sent? as i64);
            }
            if flags.contains(MsgFlags::FASTOPEN) {
                passing.connects(fd)?;
            }
            let sent = sys.sendmsg(fd, data, flags, meta).await;
            if flags.contains(MsgFlags::FASTOPEN) {
                passing.connecting(fd);
            }
            value(sent? as i64)
        }
        Request::RecvMsg { len, flags } => {
            let received = receive(sys, asked, len, flags).await;
            passing.looked_at_errors(fd);
            received
        }
        Request::Shutdown { how } => {
            socket_abi::shutdown(sys, fd, how)?;
            value(0)
        }
        Request::Close => {
            if !passing.close(fd) {
                sys.close(fd)?;
            }
            value(0)
        }
        Request::Dup => value(sys.dup(fd)?.0.into()),
        Request::GetSockName => {
            let addr = socket_abi::getsockname(sys, fd)?;
            Ok(answer(asked, 0, &Body { addr: Some(&addr), ..Body::default() }))
        }
        Request::GetPeerName => {
            let addr = socket_abi::getpeername(sys, fd)?;
            Ok(answer(asked, 0, &Body { addr: Some(&addr), ..Body::default() }))
        }
        Request::SetSockOpt { level, name, value: octets } => {
            match passing.set_ring(fd, level, name, octets) {
                Some(done) => done?,
                None => {
                    sockopt_abi::set(sys, fd, level, name, octets)?;
                    passing.bound(fd, level, name, octets);
                }
            }
            value(0)
        }
        Request::GetSockOpt { level, name, len, asked: value } => {
            let waiting = if (level, name) == (SOL_SOCKET, SO_ERROR) { passing.take_error(fd) } else { None };
            let octets = match waiting {
                Some(errno) => errno.number().to_le_bytes()[..len.min(4) as usize].to_vec(),
                None => match passing.ring_option(fd, level, name) {
                    Some(octets) => octets.map(|mut octets| {
                        octets.truncate(len as usize);
                        octets
                    })?,
                    None => sockopt_abi::get_within(sys, fd, level, name, len as usize, value)?,
                },
            };
            let body = Body { data: Some(&octets), ..Body::default() };
            if (level, name) == (SOL_SOCKET, SO_ERROR) && octets.iter().all(|octet| *octet == 0) {
                return Ok(connected(sys, asked, &body));
            }
            Ok(answer(asked, 0, &body))
        }
        Request::Fcntl { command, argument } => value(socket_abi::fcntl(sys, fd, command, argument)?.into()),
        Request::Ioctl { request, argument } => value(socket_abi::ioctl(sys, fd, request, argument)?.into()),
        Request::Poll { entries, timeout } => poll(sys, asked, entries, timeout).await,
        Request::GetPid => value(sys.getpid().0.into()),
        Request::Meta { time } => {
            let came = passing.came(fd, time)?;
            let mut frame = Vec::new();
            let mut writer = FrameWriter::new(&mut frame);
            came.fields(|body| body.encode(&mut writer));
            writer.finish(&answer_to(asked, 0));
            Ok(frame)
        }
        Request::WriteFile { path, octets } => {
            vfs::write(sys.kernel(), path.as_bytes(), octets).ok_or(Errno::ENOENT)??;
            value(octets.len() as i64)
        }
        Request::HandOn => {
            passing.hand_on(fd)?;
            value(0)
        }
        Request::RingLook => {
            passing.look_at_rings();
            value(0)
        }
        // `perform` has seen to these.
        Request::SocketPass { .. } | Request::RingPass | Request::Open { .. } | Request::Look { .. } => {
            Err(Errno::EINVAL)
        }
        Request::StructIoctl { request, split, octets } => struct_ioctl(sys, asked, request, split, octets),
        Request::Resolve { name } => {
            let first = sys.resolve(name)?.first().copied().ok_or(Errno::ENOENT)?;
            let addr = sockaddr::encode_ip(first);
            Ok(answer(asked, 0, &Body { addr: Some(addr.as_octets()), ..Body::default() }))
        }
    }
}

/// An answer that may end a stream's connect(2). With it go the names of both ends of the connection, if there is one, which need not be
/// asked for then.
fn connected(sys: &Sys, asked: &Header, body: &Body<'_>) -> Vec<u8> {
    let fd = Fd(asked.sid.0);
    let stream = matches!(sys.socket_type(fd), Ok(SockType::Stream));
    match (socket_abi::getsockname(sys, fd), socket_abi::getpeername(sys, fd)) {
        (Ok(own), Ok(peer)) if stream => {
            answer(asked, 0, &Body { addr: Some(&peer), local: Some(&own), ..*body })
        }
        _ => answer(asked, 0, body),
    }
}

/// Where a datagram shall come from, of whatever family.
fn source(octets: &[u8]) -> Result<IpAddr, Errno> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(addr)) => Ok(addr.ip()),
        Ok(SockAddr::Unspec) | Err(_) => Err(Errno::EINVAL),
    }
}

async fn receive(sys: &Sys, asked: &Header, len: u32, flags: u32) -> Result<Vec<u8>, Errno> {
    let mut frame = DataFrame::new(tag::DATA, (len as usize).min(MAX_DATA));
    let flags = MsgFlags::from_bits_truncate(flags);
    let room = frame.room().len();
    let came = Came::receive(sys, Fd(asked.sid.0), frame.room(), room, flags).await?;
    // As recvmsg(2): the datagram's whole length only if asked for.
    let ret = if flags.contains(MsgFlags::TRUNC) { came.meta.full_len } else { came.meta.len };
    let header = answer_to(asked, ret as i64);
    // How long ago it came: an error may have waited to be looked for.
    let age = i64::try_from(sys.kernel().clock().since(came.meta.time).as_nanos()).unwrap_or(i64::MAX);
    Ok(came.fields(|rest| {
        let told = Body { arg: Some(age), ..*rest };
        frame.finish(came.meta.len, &header, |writer| told.encode(writer))
    }))
}

/// ioctl(2) of a structure, which may point to more: that is asked for if it is read, and comes behind the structure.
fn struct_ioctl(
    sys: &Sys,
    asked: &Header,
    request: u32,
    split: u32,
    octets: &[u8],
) -> Result<Vec<u8>, Errno> {
    let kernel = sys.kernel();
    let inet6 = sys.family(Fd(asked.sid.0)) == Ok(Family::Inet6);
    let of = if inet6 { ioctl::Of::Inet6 } else { ioctl::Of::Other };
    let need = ioctl::argument(of, request).ok_or(Errno::ENOTTY)?;
    let split = if split == 0 { octets.len() } else { split as usize };
    let (arg, more) = octets.split_at_checked(split).ok_or(Errno::EINVAL)?;
    let mut arg = arg.get(..need).ok_or(Errno::EFAULT)?.to_vec();
    let beyond = ioctl::beyond(of, request, &arg);
    let mut more = match beyond {
        Some(beyond) if beyond.fresh => Some(vec![0; beyond.len.min(MAX_DATA - need)]),
        Some(beyond) if more.is_empty() => {
            let wanted =
                Body { target: Some(beyond.pointer), len: u32::try_from(beyond.len).ok(), ..Body::default() };
            return Ok(answer(asked, 0, &wanted));
        }
        Some(_) => Some(more.to_vec()),
        None => None,
    };
    let ret = ioctl::ioctl(kernel, of, request, &mut arg, more.as_mut())?;
    if let Some(more) = more.filter(|_| beyond.is_some_and(|beyond| beyond.back)) {
        arg.extend(more);
    }
    arg.truncate(MAX_DATA);
    let target = beyond.map(|beyond| beyond.pointer);
    Ok(answer(
        asked,
        ret.into(),
        &Body { data: Some(&arg), target, len: u32::try_from(need).ok(), ..Body::default() },
    ))
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
