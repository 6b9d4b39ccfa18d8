//! A node's sockets: a process of its own, with no interface but `lo`, and one client of it.

use crate::sockets::{Answer, Fd, Polled, Received, Sockets};
use rumpclient::msg::{Ancillary, Body, PollEntries, PollEntry, Request};
use rumpclient::sockaddr::SockAddr;
use rumpclient::wire::Sid;
use rumpclient::{Client, Completion};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a call may take that the host answers; only failures wait that long.
const BOUND: Duration = Duration::from_secs(10);
/// MSG_NOSIGNAL: the host's side has it too.
const NOSIGNAL: u32 = 0x4000;

/// A running node and a process of it; dropping ends both.
pub struct Node {
    process: Child,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket_addr(octets: Option<&[u8]>) -> Option<SocketAddr> {
    match SockAddr::decode(octets?) {
        Ok(SockAddr::Inet(addr)) => Some(addr),
        Ok(SockAddr::Unspec) | Err(_) => None,
    }
}

fn body(completion: &Completion) -> Body<'_> {
    completion.body().expect("the node's answers make sense")
}

impl Node {
    pub fn start() -> Node {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = rumpkern::config::NodeConfig {
            lab: "oracle".into(),
            node: "h1".into(),
            dir: dir.path().into(),
            ..Default::default()
        };
        let path = dir.path().join("config.json");
        std::fs::write(&path, serde_json::to_vec(&config).expect("JSON")).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_rumpkern"))
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program stands beside the tests");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a readiness line");
        assert_eq!(line, "h1 ready\n");
        let client = Client::connect_as(dir.path().join("sysproxy"), "oracle").expect("the node serves");
        Node { process, client, _dir: dir }
    }

    /// Makes a call; one that does not return in time is a fault, where the host's does.
    fn call(&mut self, fd: Option<Fd>, request: &Request<'_>) -> (Answer<u64>, Completion) {
        let req = self.client.submit(fd.map_or(Sid::NONE, Sid), request).expect("the node takes calls");
        let end = Instant::now() + BOUND;
        loop {
            if let Some(done) = self.client.complete().expect("the node answers") {
                assert_eq!(done.req, req);
                return (done.result.map_err(|errno| errno.raw_os_error()), done);
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the node does not return from {request:?}");
            let left = rustix::event::Timespec { tv_sec: left.as_secs() as i64 + 1, tv_nsec: 0 };
            let mut fds = [rustix::event::PollFd::new(&self.client, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, Some(&left)).expect("poll");
        }
    }

    fn value(&mut self, fd: Fd, request: &Request<'_>) -> Answer<u32> {
        Ok(self.call(Some(fd), request).0? as u32)
    }

    fn addr(&mut self, fd: Fd, request: &Request<'_>) -> Answer<(u64, SocketAddr)> {
        let (ret, done) = self.call(Some(fd), request);
        ret.map(|ret| (ret, socket_addr(body(&done).addr).expect("an address is in the answer")))
    }
}

impl Sockets for Node {
    fn socket(&mut self, domain: u32, kind: u32, protocol: u32) -> Answer<Fd> {
        Ok(self.call(None, &Request::Socket { domain, kind, protocol }).0? as u32)
    }

    fn bind(&mut self, fd: Fd, addr: &[u8]) -> Answer<()> {
        self.value(fd, &Request::Bind { addr }).map(drop)
    }

    fn listen(&mut self, fd: Fd, backlog: i32) -> Answer<()> {
        self.value(fd, &Request::Listen { backlog: backlog.into() }).map(drop)
    }

    fn accept(&mut self, fd: Fd, flags: u32) -> Answer<(Fd, SocketAddr)> {
        self.addr(fd, &Request::Accept { flags }).map(|(new, addr)| (new as u32, addr))
    }

    fn connect(&mut self, fd: Fd, addr: &[u8]) -> Answer<()> {
        self.value(fd, &Request::Connect { addr, flags: 0 }).map(drop)
    }

    fn sendto(&mut self, fd: Fd, data: &[u8], flags: u32, to: Option<&[u8]>) -> Answer<usize> {
        let flags = flags | NOSIGNAL;
        let request = Request::SendMsg { data, flags, to, with: Ancillary::default() };
        self.value(fd, &request).map(|sent| sent as usize)
    }

    fn recvmsg(&mut self, fd: Fd, buf: &mut [u8], flags: u32) -> Answer<Received> {
        let (ret, done) = self.call(Some(fd), &Request::RecvMsg { len: buf.len() as u32, flags });
        let (ret, body) = (ret? as usize, body(&done));
        let data = body.data.unwrap_or_default();
        buf[..data.len()].copy_from_slice(data);
        let whole = body.len.map_or(ret, |len| len as usize);
        Ok(Received { ret, from: socket_addr(body.addr), truncated: whole > data.len() })
    }

    fn shutdown(&mut self, fd: Fd, how: i32) -> Answer<()> {
        self.value(fd, &Request::Shutdown { how: how.into() }).map(drop)
    }

    fn close(&mut self, fd: Fd) -> Answer<()> {
        self.value(fd, &Request::Close).map(drop)
    }

    fn dup(&mut self, fd: Fd) -> Answer<Fd> {
        self.value(fd, &Request::Dup)
    }

    fn getsockname(&mut self, fd: Fd) -> Answer<SocketAddr> {
        self.addr(fd, &Request::GetSockName).map(|(_, addr)| addr)
    }

    fn getpeername(&mut self, fd: Fd) -> Answer<SocketAddr> {
        self.addr(fd, &Request::GetPeerName).map(|(_, addr)| addr)
    }

    fn setsockopt(&mut self, fd: Fd, level: u32, name: u32, value: &[u8]) -> Answer<()> {
        self.value(fd, &Request::SetSockOpt { level, name, value }).map(drop)
    }

    fn getsockopt(&mut self, fd: Fd, level: u32, name: u32, held: &[u8]) -> Answer<Vec<u8>> {
        let request = Request::GetSockOpt { level, name, len: held.len() as u32, asked: held };
        let (ret, done) = self.call(Some(fd), &request);
        ret.map(|_| body(&done).data.unwrap_or_default().to_vec())
    }

    fn poll(&mut self, fds: &mut [Polled], timeout: i32) -> Answer<usize> {
        let mut buf = Vec::new();
        let asked = fds.iter().map(|fd| PollEntry { sid: Sid(fd.fd), events: fd.events, revents: 0 });
        let entries = PollEntries::encode(asked, &mut buf);
        let timeout = u64::try_from(timeout).ok().map(|ms| ms * 1_000_000);
        let (ret, done) = self.call(None, &Request::Poll { entries, timeout });
        let told = body(&done).pollfds;
        for (fd, entry) in fds.iter_mut().zip(told.iter().flat_map(|entries| entries.iter())) {
            fd.revents = entry.revents;
        }
        ret.map(|ready| ready as usize)
    }

    fn fcntl(&mut self, fd: Fd, command: u32, argument: u32) -> Answer<u32> {
        self.value(fd, &Request::Fcntl { command, argument })
    }

    fn ioctl(&mut self, fd: Fd, request: u32, argument: i32) -> Answer<i32> {
        self.value(fd, &Request::Ioctl { request, argument: argument as u32 }).map(|value| value as i32)
    }
}
