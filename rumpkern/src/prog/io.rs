//! What every program does: write, complain, resolve names, receive with a deadline.

use super::args::Usage;
use crate::syscall::{Errno, Family, Fd, MsgFlags, PollFd, PollFlags, RecvMeta, SockType, Sys};
use netstack::time::{Duration, Instant};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::task::{Poll, Waker};

/// Standard output.
const STDOUT: Fd = Fd(1);
/// Standard error.
const STDERR: Fd = Fd(2);

/// Where a program runs.
pub(super) struct Cx {
    /// Its system calls.
    pub(super) sys: Sys,
    /// Whether the result is to be a JSON object.
    pub(super) json: bool,
    /// The program's name.
    pub(super) name: &'static str,
    /// The one family that it shall use, if one was asked for.
    pub(super) family: Option<Family>,
}

/// Why a program ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fail {
    /// Its exit status.
    pub(super) status: i32,
    /// What it says about that.
    pub(super) message: String,
}

impl Fail {
    /// The work failed.
    pub(super) fn new(message: impl Into<String>) -> Fail {
        Fail { status: 1, message: message.into() }
    }

    /// The same with another status.
    pub(super) fn status(self, status: i32) -> Fail {
        Fail { status, ..self }
    }
}

/// Says which call failed.
pub(super) trait Context<T> {
    /// `call: Text of the error`.
    fn context(self, call: &str) -> Result<T, Fail>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn context(self, call: &str) -> Result<T, Fail> {
        self.map_err(|errno| Fail::new(format!("{call}: {errno}")))
    }
}

impl Cx {
    /// Writes to the standard output. That nobody reads it is no reason to stop: the run is cancelled with its reader.
    pub(super) async fn out(&self, text: &str) {
        self.out_octets(text.as_bytes()).await;
    }

    /// The same with octets.
    pub(super) async fn out_octets(&self, octets: &[u8]) {
        let _ = self.sys.write_all(STDOUT, octets).await;
    }

    /// Writes a line of text for people; nothing if JSON is wanted.
    pub(super) async fn say(&self, line: &str) {
        if !self.json {
            self.out(&format!("{line}\n")).await;
        }
    }

    /// Writes the result: `json` or `text`, as was asked for.
    pub(super) async fn result(&self, json: serde_json::Value, text: &str) {
        let line = if self.json { json.to_string() } else { text.to_owned() };
        self.out(&format!("{line}\n")).await;
    }

    /// Writes to the standard error, under the program's name.
    pub(super) async fn complain(&self, text: &str) {
        let _ = self.sys.write_all(STDERR, format!("{}: {text}\n", self.name).as_bytes()).await;
    }

    /// Port `port` of the first address of a name, or of an address, perhaps on one link (`fe80::1%eth0`); of the family that
    /// was asked for.
    pub(super) fn peer(&self, name: &str, port: u16) -> Result<SocketAddr, Fail> {
        let fail = |why: &str| Fail::new(format!("{name}: {why}")).status(2);
        let fits = |address: &IpAddr| self.family.is_none_or(|family| family == Family::of(*address));
        let addresses = match self.scoped(name, port) {
            Some(on_link) => vec![on_link],
            None => self
                .sys
                .resolve(name)
                .unwrap_or_default()
                .into_iter()
                .map(|a| SocketAddr::new(a, port))
                .collect(),
        };
        // In the words of getaddrinfo(3).
        match addresses.iter().find(|address| fits(&address.ip())) {
            Some(address) => Ok(*address),
            None if addresses.is_empty() => Err(fail("Name or service not known")),
            None => Err(fail("Address family for hostname not supported")),
        }
    }

    /// `fe80::1%eth0`, or `%2`: an address on the link of an interface.
    fn scoped(&self, text: &str, port: u16) -> Option<SocketAddr> {
        let (address, zone) = text.split_once('%')?;
        let zone = self.sys.if_nametoindex(zone).or_else(|| zone.parse().ok().filter(|index| *index > 0))?;
        Some(SocketAddrV6::new(address.parse().ok()?, port, 0, zone).into())
    }

    /// A socket on port `port` of all addresses: of both families, where the node has both and none was asked for.
    pub(super) fn bound(&self, kind: SockType, port: u16) -> Result<Fd, Fail> {
        let six = match self.family {
            Some(Family::Inet) => Err(Errno::EAFNOSUPPORT),
            Some(Family::Inet6) | None => self.sys.socket(Family::Inet6, kind, 0),
        };
        let (socket, any) = match six {
            Err(Errno::EAFNOSUPPORT) if self.family != Some(Family::Inet6) => {
                (self.sys.socket(Family::Inet, kind, 0), IpAddr::from(Ipv4Addr::UNSPECIFIED))
            }
            other => (other, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        let fd = socket.context("socket")?;
        self.sys.bind(fd, SocketAddr::new(any, port)).context(&format!("bind to port {port}"))?;
        Ok(fd)
    }

    /// Receives until `until`; `None` if nothing came.
    pub(super) async fn recv_until(
        &self,
        fd: Fd,
        buf: &mut [u8],
        until: Instant,
    ) -> Result<Option<RecvMeta>, Errno> {
        loop {
            match self.sys.recvmsg(fd, buf, MsgFlags::DONTWAIT).await {
                Err(Errno::EAGAIN) => {}
                done => return done.map(Some),
            }
            let left = until.since(self.sys.now());
            let mut fds = [PollFd::new(fd, PollFlags::IN)];
            if left.is_zero() || self.sys.poll(&mut fds, Some(left)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// What `work` comes to, if that is before `until`.
    pub(super) async fn before<T>(&self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut alarm) = (pin!(work), pin!(self.sys.sleep_until(until)));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => alarm.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Connects, within a time if one is given.
    pub(super) async fn connect(
        &self,
        fd: Fd,
        to: SocketAddr,
        patience: Option<Duration>,
    ) -> Result<(), Fail> {
        let doing = format!("connect to {to}");
        let connected = self.sys.connect(fd, to);
        match patience {
            None => connected.await.context(&doing),
            Some(patience) => match self.before(self.sys.now() + patience, connected).await {
                Some(connected) => connected.context(&doing),
                None => Err(Fail::new(format!("{doing}: no answer in {patience:?}"))),
            },
        }
    }

    /// What `work` comes to, unless somebody interrupts the program (Ctrl-C) before.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut interrupt) = (pin!(work), pin!(self.sys.process().interrupted()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => interrupt.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Sends all of `octets` on a stream.
    pub(super) async fn send_all(&self, fd: Fd, mut octets: &[u8]) -> Result<(), Errno> {
        while !octets.is_empty() {
            let sent = self.sys.send(fd, octets, MsgFlags::empty()).await?;
            octets = &octets[sent..];
        }
        Ok(())
    }
}

/// A peer as people write it: without the mark by which a socket of both families has an IPv4 address.
pub(super) fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), peer.port()),
        IpAddr::V6(_) => peer,
    }
}

/// Lwps that are done, counted for one that waits.
#[derive(Debug, Default)]
pub(super) struct Count {
    count: Cell<u64>,
    waiting: RefCell<Option<Waker>>,
}

impl Count {
    /// One more is done.
    pub(super) fn add_one(&self) {
        self.count.set(self.count.get() + 1);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until `count` are done.
    pub(super) async fn reach(&self, count: u64) {
        poll_fn(|cx| {
            if self.count.get() >= count {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// SOCK_STREAM
    Tcp,
    /// SOCK_DGRAM
    Udp,
}

impl Transport {
    /// Reads `tcp` or `udp`.
    pub(super) fn parse(text: &str) -> Result<Transport, Usage> {
        match text {
            "tcp" => Ok(Transport::Tcp),
            "udp" => Ok(Transport::Udp),
            other => Err(Usage(format!("'{other}' is neither tcp nor udp"))),
        }
    }
}
