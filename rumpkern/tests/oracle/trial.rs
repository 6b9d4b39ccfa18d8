//! One run of a case: the calls that it makes, and the transcript that they leave.
//!
//! A socket is shown by the order of its opening (`s1`), a port by the order of its appearance (`P1`), an error by its
//! name. A call that the case cannot do without (`tcp`, `pair`) is not shown and must succeed.

use crate::sockets::*;
use rumpclient::sockaddr::SockAddrBuf;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a condition may take to come true; only failures wait that long.
const BOUND: Duration = Duration::from_secs(20);

/// A socket of the case.
#[derive(Clone, Copy, Debug)]
pub struct Sock {
    fd: Fd,
    number: u32,
}

impl Sock {
    /// A descriptor that nobody opened.
    pub const NONE: Sock = Sock { fd: 999, number: 0 };
}

impl fmt::Display for Sock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.number)
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub client: Sock,
    pub server: Sock,
}

/// A running case.
pub struct Trial<'a> {
    sys: &'a mut dyn Sockets,
    lines: Vec<String>,
    sockets: u32,
    ports: Vec<u16>,
}

/// `127.0.0.1` and a port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// `0.0.0.0` and a port.
pub fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

fn octets(addr: SocketAddr) -> Vec<u8> {
    SockAddrBuf::from(addr).as_octets().to_vec()
}

/// Text as it is, of much only how much.
fn text(data: &[u8]) -> String {
    match data.len() {
        0..=64 => format!("\"{}\"", data.escape_ascii()),
        len => format!("{len} octets"),
    }
}

/// Octets with where they stand, without the zeros.
fn sparse(octets: &[u8]) -> String {
    let some = octets.iter().enumerate().filter(|(_, octet)| **octet != 0);
    let some: Vec<String> = some.map(|(at, octet)| format!("{at}:{octet}")).collect();
    format!("{} octets [{}]", octets.len(), some.join(" "))
}

fn plain<T: fmt::Display>(answer: Answer<T>) -> String {
    answer.map_or_else(errno_name, |value| value.to_string())
}

fn done(answer: Answer<()>) -> String {
    plain(answer.map(|()| "0"))
}

impl<'a> Trial<'a> {
    /// Runs `case` on a kernel and returns its transcript.
    pub fn run(sys: &'a mut dyn Sockets, case: &dyn Fn(&mut Trial<'_>)) -> Vec<String> {
        let mut trial = Trial { sys, lines: Vec::new(), sockets: 0, ports: Vec::new() };
        case(&mut trial);
        trial.lines
    }

    /// A line of the transcript.
    pub fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn addr(&mut self, addr: SocketAddr) -> String {
        let port = addr.port();
        if port == 0 {
            return format!("{}:0", addr.ip());
        }
        let known = self.ports.iter().position(|known| *known == port);
        let at = known.unwrap_or_else(|| {
            self.ports.push(port);
            self.ports.len() - 1
        });
        format!("{}:P{}", addr.ip(), at + 1)
    }

    fn sock(&mut self, fd: Fd) -> Sock {
        self.sockets += 1;
        Sock { fd, number: self.sockets }
    }

    // ---- what a case needs to begin ------------------------------------------------------------

    /// A TCP socket.
    pub fn tcp(&mut self) -> Sock {
        let fd = self.sys.socket(AF_INET, STREAM, 0).expect("socket");
        self.sock(fd)
    }

    /// A UDP socket.
    pub fn udp(&mut self) -> Sock {
        let fd = self.sys.socket(AF_INET, DGRAM, 0).expect("socket");
        self.sock(fd)
    }

    /// A UDP socket bound to a port of 127.0.0.1, and its address.
    pub fn udp_bound(&mut self) -> (Sock, SocketAddr) {
        let s = self.udp();
        self.sys.bind(s.fd, &octets(loopback(0))).expect("bind");
        (s, self.own(s))
    }

    /// A TCP socket bound to a port of 127.0.0.1, and its address: connecting to it is refused.
    pub fn bound(&mut self) -> (Sock, SocketAddr) {
        let s = self.tcp();
        self.sys.bind(s.fd, &octets(loopback(0))).expect("bind");
        (s, self.own(s))
    }

    /// A listening socket on 127.0.0.1, and its address.
    pub fn listener(&mut self) -> (Sock, SocketAddr) {
        let (s, addr) = self.bound();
        self.sys.listen(s.fd, 8).expect("listen");
        (s, addr)
    }

    /// A socket that is connected to `addr`.
    pub fn connected(&mut self, addr: SocketAddr) -> Sock {
        let s = self.tcp();
        self.sys.connect(s.fd, &octets(addr)).expect("connect");
        s
    }

    /// A connection; what made it is closed.
    pub fn pair(&mut self) -> Pair {
        self.pair_with(|_, _| {})
    }

    /// The same; `prepare` does something to the client before it connects.
    pub fn pair_with(&mut self, prepare: impl FnOnce(&mut Trial<'a>, Sock)) -> Pair {
        let (listener, addr) = self.listener();
        let client = self.tcp();
        prepare(self, client);
        self.sys.connect(client.fd, &octets(addr)).expect("connect");
        let (fd, _) = self.sys.accept(listener.fd, 0).expect("accept");
        let server = self.sock(fd);
        self.sys.close(listener.fd).expect("close");
        Pair { client, server }
    }

    /// The socket's own address.
    pub fn own(&mut self, s: Sock) -> SocketAddr {
        self.sys.getsockname(s.fd).expect("getsockname")
    }

    // ---- waiting -------------------------------------------------------------------------------

    /// Waits until one of `events` (or ERR, or HUP) is there, and says which of `events`.
    pub fn wait(&mut self, s: Sock, events: u16) {
        let mut fds = [Polled { fd: s.fd, events, revents: 0 }];
        let ready = self.sys.poll(&mut fds, BOUND.as_millis() as i32);
        let line = ready.map(|_| poll_bits(fds[0].revents & events));
        self.say(format!("wait({s}, {}) = {}", poll_bits(events), plain(line)));
    }

    /// Waits until the peer has acknowledged all that was sent, a FIN included.
    pub fn acked(&mut self, s: Sock) {
        self.wait_ioctl(s, SIOCOUTQ, 0, "acked");
    }

    /// Waits until `n` octets can be read.
    pub fn arrived(&mut self, s: Sock, n: i32) {
        self.wait_ioctl(s, FIONREAD, n, "arrived");
    }

    fn wait_ioctl(&mut self, s: Sock, request: u32, wanted: i32, what: &str) {
        let end = Instant::now() + BOUND;
        while self.sys.ioctl(s.fd, request, 0) != Ok(wanted) {
            if Instant::now() > end {
                let is = plain(self.sys.ioctl(s.fd, request, 0));
                self.say(format!("{what}({s}) = {is}, never {wanted}"));
                return;
            }
            std::thread::yield_now();
        }
    }

    // ---- calls, shown --------------------------------------------------------------------------

    /// socket(2)
    pub fn socket(&mut self, domain: u32, kind: u32, protocol: u32) -> Option<Sock> {
        let answer = self.sys.socket(domain, kind, protocol).map(|fd| self.sock(fd));
        let (base, mut flags) = (kind & 0xf, String::new());
        for (bit, name) in [(NONBLOCK, "|NONBLOCK"), (CLOEXEC, "|CLOEXEC")] {
            if kind & bit != 0 {
                flags.push_str(name);
            }
        }
        match kind & !(0xf | NONBLOCK | CLOEXEC) {
            0 => {}
            rest => flags.push_str(&format!("|{rest:#x}")),
        }
        self.say(format!("socket({domain}, {base}{flags}, {protocol}) = {}", plain(answer)));
        answer.ok()
    }

    /// bind(2)
    pub fn bind(&mut self, s: Sock, addr: SocketAddr) {
        let answer = self.sys.bind(s.fd, &octets(addr));
        let addr = self.addr(addr);
        self.say(format!("bind({s}, {addr}) = {}", done(answer)));
    }

    /// bind(2) with any octets for an address.
    pub fn bind_raw(&mut self, s: Sock, addr: &[u8]) {
        let answer = self.sys.bind(s.fd, addr);
        self.say(format!("bind({s}, {addr:?}) = {}", done(answer)));
    }

    /// listen(2)
    pub fn listen(&mut self, s: Sock, backlog: i32) {
        let answer = self.sys.listen(s.fd, backlog);
        self.say(format!("listen({s}, {backlog}) = {}", done(answer)));
    }

    /// accept(2)
    pub fn accept(&mut self, s: Sock) -> Option<Sock> {
        self.accept4(s, 0)
    }

    /// accept4(2)
    pub fn accept4(&mut self, s: Sock, flags: u32) -> Option<Sock> {
        let answer = self.sys.accept(s.fd, flags).map(|(fd, peer)| (self.sock(fd), peer));
        let flags = if flags == 0 { String::new() } else { format!(", {flags:#x}") };
        let line = match answer {
            Ok((new, peer)) => format!("{new} from {}", self.addr(peer)),
            Err(errno) => errno_name(errno),
        };
        self.say(format!("accept({s}{flags}) = {line}"));
        answer.ok().map(|(new, _)| new)
    }

    /// connect(2)
    pub fn connect(&mut self, s: Sock, addr: SocketAddr) {
        let answer = self.sys.connect(s.fd, &octets(addr));
        let addr = self.addr(addr);
        self.say(format!("connect({s}, {addr}) = {}", done(answer)));
    }

    /// connect(2) with any octets for an address.
    pub fn connect_raw(&mut self, s: Sock, addr: &[u8]) {
        let answer = self.sys.connect(s.fd, addr);
        self.say(format!("connect({s}, {addr:?}) = {}", done(answer)));
    }

    /// send(2)
    pub fn send(&mut self, s: Sock, data: &[u8], flags: u32) {
        let answer = self.sys.sendto(s.fd, data, flags, None);
        self.say(format!("send({s}, {}, {}) = {}", text(data), msg_bits(flags), plain(answer)));
    }

    /// sendto(2)
    pub fn send_to(&mut self, s: Sock, data: &[u8], flags: u32, to: SocketAddr) {
        let answer = self.sys.sendto(s.fd, data, flags, Some(&octets(to)));
        let to = self.addr(to);
        self.say(format!("sendto({s}, {}, {}, {to}) = {}", text(data), msg_bits(flags), plain(answer)));
    }

    /// sendto(2) with any octets for an address.
    pub fn send_to_raw(&mut self, s: Sock, data: &[u8], to: &[u8]) {
        let answer = self.sys.sendto(s.fd, data, 0, Some(to));
        self.say(format!("sendto({s}, {}, 0, {to:?}) = {}", text(data), plain(answer)));
    }

    /// The same for an address that holds a port, which is not shown.
    pub fn send_to_raw_port(&mut self, s: Sock, data: &[u8], to: &[u8]) {
        let answer = self.sys.sendto(s.fd, data, 0, Some(to));
        self.say(format!("sendto({s}, {}, 0, {:?} + port) = {}", text(data), &to[..2], plain(answer)));
    }

    /// Sends until the kernel takes no more, with MSG_DONTWAIT; shows only how it ended.
    pub fn fill(&mut self, s: Sock) -> usize {
        let (chunk, mut sent) = (vec![b'x'; 32768], 0);
        loop {
            match self.sys.sendto(s.fd, &chunk, DONTWAIT, None) {
                Ok(n) => sent += n,
                Err(errno) => {
                    self.say(format!("fill({s}) = {}", errno_name(errno)));
                    return sent;
                }
            }
        }
    }

    /// Receives `n` octets and throws them away; shows only how it ended.
    pub fn drain(&mut self, s: Sock, n: usize) {
        let (mut buf, mut got) = (vec![0; 32768], 0);
        let answer = loop {
            let most = buf.len().min(n - got);
            match self.sys.recvmsg(s.fd, &mut buf[..most], 0) {
                Ok(received) if received.ret == 0 => break Ok("end"),
                Ok(received) => got += received.ret,
                Err(errno) => break Err(errno),
            }
            if got == n {
                break Ok("all");
            }
        };
        self.say(format!("drain({s}) = {}", plain(answer)));
    }

    /// recvmsg(2), of at most `len` octets.
    pub fn recv(&mut self, s: Sock, len: usize, flags: u32) {
        let mut buf = vec![0; len];
        let answer = self.sys.recvmsg(s.fd, &mut buf, flags);
        let line = match answer {
            Ok(Received { ret, from, truncated }) => {
                let from = from.map_or(String::new(), |from| format!(" from {}", self.addr(from)));
                let truncated = if truncated { " truncated" } else { "" };
                format!("{ret} {}{from}{truncated}", text(&buf[..ret.min(len)]))
            }
            Err(errno) => errno_name(errno),
        };
        self.say(format!("recv({s}, {len}, {}) = {line}", msg_bits(flags)));
    }

    /// recvmsg(2) with flags that leave the octets undefined: only what it returns is shown.
    pub fn discard(&mut self, s: Sock, len: usize, flags: u32) {
        let mut buf = vec![0; len];
        let answer = self.sys.recvmsg(s.fd, &mut buf, flags).map(|received| received.ret);
        self.say(format!("recv({s}, {len}, {}) = {}", msg_bits(flags), plain(answer)));
    }

    /// shutdown(2)
    pub fn shutdown(&mut self, s: Sock, how: i32) {
        let answer = self.sys.shutdown(s.fd, how);
        let how =
            ["SHUT_RD", "SHUT_WR", "SHUT_RDWR"].get(how as usize).map_or(how.to_string(), |n| (*n).into());
        self.say(format!("shutdown({s}, {how}) = {}", done(answer)));
    }

    /// close(2)
    pub fn close(&mut self, s: Sock) {
        let answer = self.sys.close(s.fd);
        self.say(format!("close({s}) = {}", done(answer)));
    }

    /// dup(2)
    pub fn dup(&mut self, s: Sock) -> Option<Sock> {
        let answer = self.sys.dup(s.fd).map(|fd| self.sock(fd));
        self.say(format!("dup({s}) = {}", plain(answer)));
        answer.ok()
    }

    /// getsockname(2)
    pub fn sockname(&mut self, s: Sock) {
        let answer = self.sys.getsockname(s.fd).map(|addr| self.addr(addr));
        self.say(format!("getsockname({s}) = {}", plain(answer)));
    }

    /// getpeername(2)
    pub fn peername(&mut self, s: Sock) {
        let answer = self.sys.getpeername(s.fd).map(|addr| self.addr(addr));
        self.say(format!("getpeername({s}) = {}", plain(answer)));
    }

    /// Both.
    pub fn names(&mut self, s: Sock) {
        self.sockname(s);
        self.peername(s);
    }

    /// poll(2) that only looks.
    pub fn poll_for(&mut self, s: Sock, events: u16) {
        let mut fds = [Polled { fd: s.fd, events, revents: 0 }];
        let answer = self.sys.poll(&mut fds, 0).map(|_| poll_bits(fds[0].revents));
        self.say(format!("poll({s}, {}) = {}", poll_bits(events), plain(answer)));
    }

    /// poll(2) for everything, that only looks.
    pub fn poll(&mut self, s: Sock) {
        self.poll_for(s, ALL);
    }

    /// poll(2) of many, for everything, that only looks.
    pub fn poll_all(&mut self, all: &[Sock]) {
        let mut fds: Vec<Polled> = all.iter().map(|s| Polled { fd: s.fd, events: ALL, revents: 0 }).collect();
        let answer = self.sys.poll(&mut fds, 0);
        let told: Vec<String> = fds.iter().map(|fd| poll_bits(fd.revents)).collect();
        self.say(format!("poll = {} [{}]", plain(answer), told.join(", ")));
    }

    /// setsockopt(2) with an `int`.
    pub fn set(&mut self, s: Sock, (level, name): (u32, u32), value: i32) {
        let answer = self.sys.setsockopt(s.fd, level, name, &value.to_ne_bytes());
        self.say(format!("setsockopt({s}, {level}, {name}, {value}) = {}", done(answer)));
    }

    /// setsockopt(2) with any octets.
    pub fn set_raw(&mut self, s: Sock, (level, name): (u32, u32), value: &[u8]) {
        let answer = self.sys.setsockopt(s.fd, level, name, value);
        self.say(format!("setsockopt({s}, {level}, {name}, {value:?}) = {}", done(answer)));
    }

    /// getsockopt(2) of an `int`.
    pub fn get(&mut self, s: Sock, (level, name): (u32, u32)) {
        let answer = self.sys.getsockopt(s.fd, level, name, &[0; 4]).map(|value| {
            match <[u8; 4]>::try_from(&value[..]) {
                Ok(int) => i32::from_ne_bytes(int).to_string(),
                Err(_) => format!("{value:?}"),
            }
        });
        self.say(format!("getsockopt({s}, {level}, {name}) = {}", plain(answer)));
    }

    /// getsockopt(2) into `len` octets.
    pub fn get_raw(&mut self, s: Sock, (level, name): (u32, u32), len: usize) {
        let answer = self.sys.getsockopt(s.fd, level, name, &vec![0; len]).map(|value| format!("{value:?}"));
        self.say(format!("getsockopt({s}, {level}, {name}, {len}) = {}", plain(answer)));
    }

    /// setsockopt(2) with octets that are long, and mostly zeros.
    pub fn set_long(&mut self, s: Sock, (level, name): (u32, u32), value: &[u8]) {
        let answer = self.sys.setsockopt(s.fd, level, name, value);
        self.say(format!("setsockopt({s}, {level}, {name}, {}) = {}", sparse(value), done(answer)));
    }

    /// getsockopt(2) into octets that say what is asked for.
    pub fn get_asked(&mut self, s: Sock, (level, name): (u32, u32), held: &[u8]) {
        let answer = self.sys.getsockopt(s.fd, level, name, held).map(|value| sparse(&value));
        self.say(format!("getsockopt({s}, {level}, {name}, {}) = {}", sparse(held), plain(answer)));
    }

    /// SO_ERROR, by name.
    pub fn error(&mut self, s: Sock) {
        let answer = self.sys.getsockopt(s.fd, 1, 4, &[0; 4]).map(|value| {
            match value.first_chunk().map(|int| i32::from_ne_bytes(*int)) {
                Some(0) | None => "none".to_owned(),
                Some(number) => errno_name(number),
            }
        });
        self.say(format!("SO_ERROR({s}) = {}", plain(answer)));
    }

    /// O_NONBLOCK by fcntl(2).
    pub fn nonblocking(&mut self, s: Sock, on: bool) {
        let answer = self.sys.fcntl(s.fd, 4, if on { NONBLOCK } else { 0 });
        self.say(format!("fcntl({s}, F_SETFL, {on}) = {}", plain(answer)));
    }

    /// fcntl(2) with F_GETFL.
    pub fn flags(&mut self, s: Sock) {
        let answer = self.sys.fcntl(s.fd, 3, 0).map(|flags| format!("{flags:#o}"));
        self.say(format!("fcntl({s}, F_GETFL) = {}", plain(answer)));
    }

    /// ioctl(2) of an `int`.
    pub fn ioctl(&mut self, s: Sock, request: u32) {
        self.ioctl_with(s, request, 0);
    }

    /// ioctl(2) of an `int` that has a value.
    pub fn ioctl_with(&mut self, s: Sock, request: u32, argument: i32) {
        let answer = self.sys.ioctl(s.fd, request, argument);
        let name = match request {
            FIONREAD => "FIONREAD".into(),
            FIONBIO => "FIONBIO".into(),
            SIOCOUTQ => "SIOCOUTQ".into(),
            SIOCATMARK => "SIOCATMARK".into(),
            other => format!("{other:#x}"),
        };
        self.say(format!("ioctl({s}, {name}, {argument}) = {}", plain(answer)));
    }
}
