//! The connection to a node: frames out, frames in, many calls at once.
//!
//! [`Client::submit`] and [`Client::complete`] never block; the descriptor ([`AsFd`]) goes into the caller's event
//! loop, readable when a completion waits. [`Client::wait`] and the typed calls (`calls.rs`) block on one call and
//! keep the completions of others for `complete`. One thread; a client is a process of the node, and dropping it ends
//! that process with all its sockets.

use crate::msg::{Body, Limits, Request};
use crate::wire::{BodyError, FrameError, FrameFlags, Header, MAX_FRAME, Sid, VERSION};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, send,
    sendmsg, socket_with,
};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Names a call of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReqId(pub u64);

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Its socket could not be connected to: ENOENT and ECONNREFUSED mean that no node runs there.
    #[error("no node at {}", path.display())]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: Errno,
    },
    /// It answers, but the greeting failed.
    #[error("the node refused the greeting")]
    Hello(#[source] CallError),
    /// It settled on a version that this side does not speak.
    #[error("the node speaks sysproxy {theirs}, this program {VERSION}")]
    Version {
        /// The node's choice.
        theirs: u16,
    },
}

/// Why a call has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call failed on the node.
    #[error("{0}")]
    Sys(Errno),
    /// The node has closed the connection.
    #[error("the node is gone")]
    Gone,
    /// The connection to the node failed.
    #[error("connection to the node: {0}")]
    Io(Errno),
    /// The node sent what is no frame.
    #[error("bad frame from the node: {0}")]
    Frame(#[from] FrameError),
    /// The node sent fields that are none.
    #[error("bad reply from the node: {0}")]
    Body(#[from] BodyError),
}

impl CallError {
    /// The nearest errno: the call's own, EPIPE if the node is gone, EPROTO if it cannot be understood.
    pub fn errno(self) -> Errno {
        match self {
            CallError::Sys(errno) | CallError::Io(errno) => errno,
            CallError::Gone => Errno::PIPE,
            CallError::Frame(_) | CallError::Body(_) => Errno::PROTO,
        }
    }
}

/// An answered call, or an event.
#[derive(Debug)]
pub struct Completion {
    /// Which call; 0 of an event.
    pub req: ReqId,
    /// The operation's number, as the node echoes it.
    pub op: u16,
    /// The descriptor on the node that it concerns.
    pub sid: Sid,
    /// What the call returns.
    pub result: Result<u64, Errno>,
    /// The descriptor that came with it, close-on-exec.
    pub passed: Option<OwnedFd>,
    fields: Vec<u8>,
}

impl Completion {
    /// The fields of the answer.
    pub fn body(&self) -> Result<Body<'_>, BodyError> {
        Body::decode(&self.fields)
    }
}

/// `ret` of a reply; what is no errno becomes EPROTO.
fn result(ret: i64) -> Result<u64, Errno> {
    u64::try_from(ret).map_err(|_| match ret.checked_neg() {
        Some(errno @ 1..=4095) => Errno::from_raw_os_error(errno as i32),
        Some(_) | None => Errno::PROTO,
    })
}

/// A process of a node, held by this program.
pub struct Client {
    fd: OwnedFd,
    next: u64,
    /// The message being sent; kept for its memory.
    out: Vec<u8>,
    /// Quiet calls for the next message.
    quiet: Vec<u8>,
    /// The frame last received, and the descriptor that came with it.
    frame: Box<[u8]>,
    passed: Option<OwnedFd>,
    /// Completions that arrived while another was waited for.
    kept: VecDeque<Completion>,
    pid: u32,
    node: String,
    limits: Limits,
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Client {
    /// Connects to the `sysproxy` socket of a node and becomes a process of it, named as this program.
    pub fn connect(path: impl AsRef<Path>) -> Result<Client, ConnectError> {
        let name = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Client::connect_as(path, &name)
    }

    /// The same under another name (at most 255 octets count).
    pub fn connect_as(path: impl AsRef<Path>, name: &str) -> Result<Client, ConnectError> {
        let path = path.as_ref();
        let fd = connect_seqpacket(path)
            .map_err(|source| ConnectError::Connect { path: path.to_owned(), source })?;
        Client::over(fd, name)
    }

    /// Greets a node over a connected `SOCK_SEQPACKET` socket.
    pub fn over(fd: OwnedFd, name: &str) -> Result<Client, ConnectError> {
        let mut client = Client {
            fd,
            next: 1,
            out: Vec::new(),
            quiet: Vec::new(),
            frame: vec![0; MAX_FRAME].into_boxed_slice(),
            passed: None,
            kept: VecDeque::new(),
            pid: 0,
            node: String::new(),
            limits: Limits { descriptors: 0, calls: 0, octets: 0 },
        };
        let mut end = name.len().min(crate::wire::MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let hello = Request::Hello { versions: [VERSION, VERSION], name: &name[..end] };
        let (pid, body) = client.call(Sid::NONE, &hello).map_err(ConnectError::Hello)?;
        let theirs = body.versions.map_or(VERSION, |[_, high]| high);
        let (node, limits) = (body.name.unwrap_or_default().to_owned(), body.limits);
        if theirs != VERSION {
            return Err(ConnectError::Version { theirs });
        }
        client.pid = u32::try_from(pid).unwrap_or(0);
        client.node = node;
        client.limits = limits.unwrap_or(client.limits);
        Ok(client)
    }

    /// The number of this process on the node.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What the node grants this process.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Begins a call without waiting. `CallError::Io(EAGAIN)`: the node has not read earlier calls yet; try again
    /// when the descriptor is writable.
    pub fn submit(&mut self, sid: Sid, request: &Request<'_>) -> Result<ReqId, CallError> {
        let req = self.write_frame(sid, request);
        self.send_frame()?;
        Ok(req)
    }

    /// The same, with a descriptor for the node.
    pub fn submit_with(
        &mut self,
        sid: Sid,
        request: &Request<'_>,
        passed: BorrowedFd<'_>,
    ) -> Result<ReqId, CallError> {
        let req = self.write_frame(sid, request);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let passed = [passed];
        control.push(SendAncillaryMessage::ScmRights(&passed));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(&self.fd, &[IoSlice::new(&self.out)], &mut control, flags) {
            Ok(_) => {
                self.quiet.clear();
                Ok(req)
            }
            Err(Errno::PIPE | Errno::CONNRESET) => Err(CallError::Gone),
            Err(errno) => Err(CallError::Io(errno)),
        }
    }

    /// A call in front of the next one, in the same message, whose answer nobody wants: an option that cannot be refused, say.
    pub fn quietly(&mut self, sid: Sid, request: &Request<'_>) {
        request.encode_as(FrameFlags::QUIET, self.next, sid, &mut self.quiet);
        self.next += 1;
    }

    /// Takes the next completion, if one is there; never blocks.
    pub fn complete(&mut self) -> Result<Option<Completion>, CallError> {
        if let Some(kept) = self.kept.pop_front() {
            return Ok(Some(kept));
        }
        match self.receive()? {
            Some((header, len)) => Ok(Some(self.completion(&header, len))),
            None => Ok(None),
        }
    }

    /// Takes the answers that have come, without waiting, and keeps them for [`Client::complete`]: the node reads no
    /// further calls while its answers lie unread.
    pub fn keep_answers(&mut self) -> Result<(), CallError> {
        while let Some((header, len)) = self.receive()? {
            let completion = self.completion(&header, len);
            self.kept.push_back(completion);
        }
        Ok(())
    }

    /// Blocks until the call `req` is answered.
    pub fn wait(&mut self, req: ReqId) -> Result<Completion, CallError> {
        if let Some(at) = self.kept.iter().position(|kept| kept.req == req) {
            return Ok(self.kept.remove(at).expect("position is within"));
        }
        let (header, len) = self.await_reply(req)?;
        Ok(self.completion(&header, len))
    }

    /// Asks the node to end a call that blocks; the call is then answered with EINTR, or with its result if that was
    /// faster. The answer to the cancel itself is a completion of its own.
    pub fn cancel(&mut self, call: ReqId) -> Result<ReqId, CallError> {
        self.submit(Sid::NONE, &Request::Cancel { target: call.0 })
    }

    /// One call from beginning to end: what it returns, and the fields of the answer.
    pub fn call(&mut self, sid: Sid, request: &Request<'_>) -> Result<(u64, Body<'_>), CallError> {
        let req = self.write_frame(sid, request);
        loop {
            match self.send_frame() {
                Ok(()) => break,
                // The node reads nothing while its answers lie unread: take them meanwhile.
                Err(CallError::Io(Errno::AGAIN)) => {
                    self.wait_for(PollFlags::IN | PollFlags::OUT)?;
                    self.keep_answers()?;
                }
                Err(error) => return Err(error),
            }
        }
        let (header, len) = self.await_reply(req)?;
        let ret = result(header.ret).map_err(CallError::Sys)?;
        Ok((ret, Body::decode(&self.frame[crate::wire::HEADER..len])?))
    }

    fn write_frame(&mut self, sid: Sid, request: &Request<'_>) -> ReqId {
        let req = ReqId(self.next);
        self.next += 1;
        self.out.clone_from(&self.quiet);
        request.encode(req.0, sid, &mut self.out);
        req
    }

    fn send_frame(&mut self) -> Result<(), CallError> {
        loop {
            match send(&self.fd, &self.out, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => {
                    self.quiet.clear();
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(CallError::Gone),
                Err(errno) => return Err(CallError::Io(errno)),
            }
        }
    }

    /// The next answer or event in `frame`, with its length.
    fn receive(&mut self) -> Result<Option<(Header, usize)>, CallError> {
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut iov = [IoSliceMut::new(&mut self.frame)];
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC | RecvFlags::CMSG_CLOEXEC;
            match recvmsg(&self.fd, &mut iov, &mut control, flags) {
                Ok(message) if message.bytes == 0 => return Err(CallError::Gone),
                Err(Errno::CONNRESET) => return Err(CallError::Gone),
                Ok(message) if message.flags.contains(ReturnFlags::TRUNC) => {
                    let len = self.frame.len();
                    return Err(FrameError::Length { said: message.bytes as u32, len }.into());
                }
                Ok(message) => {
                    self.passed = control.drain().find_map(|message| match message {
                        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                        _ => None,
                    });
                    let (header, _) = Header::decode(&self.frame[..message.bytes])?;
                    if header.flags.intersects(FrameFlags::REPLY | FrameFlags::EVENT) {
                        return Ok(Some((header, message.bytes)));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(CallError::Io(errno)),
            }
        }
    }

    fn completion(&mut self, header: &Header, len: usize) -> Completion {
        Completion {
            req: ReqId(header.req),
            op: header.op,
            sid: header.sid,
            result: result(header.ret),
            passed: self.passed.take(),
            fields: self.frame[crate::wire::HEADER..len].to_vec(),
        }
    }

    fn await_reply(&mut self, req: ReqId) -> Result<(Header, usize), CallError> {
        loop {
            match self.receive()? {
                Some((header, len)) if header.req == req.0 && header.flags.contains(FrameFlags::REPLY) => {
                    return Ok((header, len));
                }
                Some((header, len)) => {
                    let completion = self.completion(&header, len);
                    self.kept.push_back(completion);
                }
                None => self.wait_for(PollFlags::IN)?,
            }
        }
    }

    fn wait_for(&self, events: PollFlags) -> Result<(), CallError> {
        loop {
            match poll(&mut [PollFd::new(&self.fd, events)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(CallError::Io(errno)),
            }
        }
    }
}

/// Connects to a unix socket whose path may be longer than an address holds (107 octets).
fn connect_seqpacket(path: &Path) -> rustix::io::Result<OwnedFd> {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    match SocketAddrUnix::new(path) {
        Ok(addr) => connect(&fd, &addr)?,
        Err(_) => {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
            let dir =
                rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            connect(&fd, &SocketAddrUnix::new(&short)?)?;
        }
    }
    Ok(fd)
}

#[cfg(test)]
mod tests;
