//! Remote clients of a live node: its process, its socket, and clients that behave, misbehave and die.

use rumpclient::msg::{self, Request};
use rumpclient::wire::{FrameFlags, Header, MAX_DATA, MAX_FRAME};
use rumpclient::{CallError, Client, ConnectError, Domain, Errno, How, Kind, Polled, Sid};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long something may take that takes no time; only failures wait that long.
const BOUND: Duration = Duration::from_secs(20);
const POLLIN: u16 = 1;
const POLLOUT: u16 = 4;
const POLLNVAL: u16 = 0x20;

/// A node of its own process, with no interface but `lo`.
struct Node {
    dir: tempfile::TempDir,
    process: Child,
}

impl Node {
    fn start() -> Node {
        let dir = tempfile::tempdir().unwrap();
        let config = rumpkern::config::NodeConfig {
            lab: "test".into(),
            node: "h1".into(),
            dir: dir.path().into(),
            hosts: vec![rumpkern::config::HostConfig {
                name: "h2".into(),
                addresses: vec![[10, 0, 0, 2].into()],
            }],
            ..Default::default()
        };
        let path = dir.path().join("config.json");
        std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_rumpkern"))
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "h1 ready\n");
        Node { dir, process }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("sysproxy")
    }

    fn client(&self) -> Client {
        Client::connect_as(self.path(), "test").unwrap()
    }

    /// A connection on which nothing was said.
    fn raw(&self) -> Raw {
        let fd =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        rustix::net::connect(&fd, &SocketAddrUnix::new(self.path()).unwrap()).unwrap();
        rustix::net::sockopt::set_socket_timeout(&fd, rustix::net::sockopt::Timeout::Recv, Some(BOUND))
            .unwrap();
        Raw(fd)
    }

    /// The node is well and answers others.
    fn is_well(&mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "the node lives");
        let mut client = self.client();
        let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
        client.close(sid).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that may say anything.
struct Raw(OwnedFd);

impl Raw {
    fn send(&self, octets: &[u8]) {
        rustix::net::send(&self.0, octets, SendFlags::NOSIGNAL).unwrap();
    }

    fn request(&self, req: u64, sid: Sid, request: &Request<'_>) {
        let mut frame = Vec::new();
        request.encode(req, sid, &mut frame);
        self.send(&frame);
    }

    fn hello(&self) {
        self.request(1, Sid::NONE, &Request::Hello { versions: [1, 1], name: "raw" });
        assert!(self.answer().is_some_and(|(req, ret)| req == 1 && ret > 0));
    }

    /// The next answer's request and result; `None` at the end of the session.
    fn answer(&self) -> Option<(u64, i64)> {
        let mut frame = vec![0; MAX_FRAME];
        match rustix::net::recv(&self.0, &mut frame[..], RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET) => None,
            Ok((len, _)) => {
                let (header, octets) = Header::decode(&frame[..len]).unwrap();
                msg::Body::decode(octets).unwrap();
                Some((header.req, header.ret))
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// Tries until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_session_is_a_process() {
    let node = Node::start();
    let (mut one, two) = (node.client(), node.client());
    assert_eq!((one.node(), one.limits()), ("h1", rumpkern::sysproxy::LIMITS));
    assert_ne!(one.pid(), two.pid());
    let pid = u64::from(one.pid());
    assert_eq!(one.call(Sid::NONE, &Request::GetPid).unwrap().0, pid);
    assert_eq!(one.resolve("h2").unwrap(), addr("10.0.0.2:0").ip());
    assert_eq!(one.resolve("nobody"), Err(CallError::Sys(Errno::NOENT)));
    assert_eq!(one.close(Sid(7)), Err(CallError::Sys(Errno::BADF)));
    assert_eq!(one.socket(Domain::Other(40), Kind::Raw, 0), Err(CallError::Sys(Errno::AFNOSUPPORT)));
}

#[test]
fn datagrams_between_two_clients() {
    let node = Node::start();
    let (mut one, mut two) = (node.client(), node.client());
    let a = one.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    one.bind(a, addr("127.0.0.1:7")).unwrap();
    assert_eq!(one.local_addr(a).unwrap(), addr("127.0.0.1:7"));
    let b = two.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    let data: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
    assert_eq!(two.send_to(b, &data, 0, addr("127.0.0.1:7")).unwrap(), data.len());
    let mut buffer = vec![0; MAX_DATA];
    let received = one.recv_msg(a, &mut buffer, 0).unwrap();
    assert_eq!((&buffer[..received.len], received.full_len), (&data[..], data.len()));
    assert_eq!(
        (received.local.map(|addr| addr.ip()), received.ttl),
        (Some(addr("127.0.0.1:0").ip()), Some(64))
    );
    // Only a part is asked for: the rest is gone, and with MSG_TRUNC its length is told.
    two.send_to(b, b"0123456789", 0, addr("127.0.0.1:7")).unwrap();
    let (ret, body) = one.call(a, &Request::RecvMsg { len: 4, flags: 0x20 }).unwrap();
    assert_eq!((ret, body.data, body.len), (10, Some(&b"0123"[..]), Some(10)));
    assert_eq!(one.recv(a, &mut buffer, 0x40), Err(CallError::Sys(Errno::AGAIN)));
    one.connect_to(a, received.from.unwrap()).unwrap();
    assert_eq!(one.peer_addr(a).unwrap(), received.from.unwrap());
    assert_eq!(one.send(a, b"back", 0).unwrap(), 4);
    assert_eq!(two.recv(b, &mut buffer, 0).unwrap(), 4);
    // connect(2) with AF_UNSPEC
    one.call(a, &Request::Connect { addr: &[0, 0], flags: 0 }).unwrap();
    assert_eq!(one.peer_addr(a), Err(CallError::Sys(Errno::NOTCONN)));
}

#[test]
fn streams_between_two_clients() {
    let node = Node::start();
    let (mut server, mut client) = (node.client(), node.client());
    let listener = server.socket(Domain::Inet, Kind::Stream, 0).unwrap();
    server.bind(listener, addr("0.0.0.0:80")).unwrap();
    server.listen(listener, 5).unwrap();
    let waiting = server.submit(listener, &Request::Accept { flags: 0 }).unwrap();
    assert!(server.complete().unwrap().is_none(), "nobody has come");
    let sid = client.socket(Domain::Inet, Kind::Stream, 0).unwrap();
    client.connect_to(sid, addr("127.0.0.1:80")).unwrap();
    let accepted = Sid(server.wait(waiting).unwrap().result.unwrap() as u32);
    assert_eq!(server.peer_addr(accepted).unwrap(), client.local_addr(sid).unwrap());

    // More than buffers hold, so that both sides must wait for each other.
    const OCTETS: usize = 20 << 20;
    let writer = std::thread::spawn(move || {
        let data: Vec<u8> = (0..OCTETS).map(|n| (n % 251) as u8).collect();
        let mut sent = 0;
        while sent < data.len() {
            sent += client.send(sid, &data[sent..], 0).unwrap();
        }
        client.shutdown(sid, How::Write).unwrap();
        client
    });
    let (mut got, mut buffer) = (0, vec![0; MAX_DATA]);
    loop {
        let n = server.recv(accepted, &mut buffer, 0).unwrap();
        if n == 0 {
            break;
        }
        assert!(buffer[..n].iter().enumerate().all(|(at, octet)| *octet == ((got + at) % 251) as u8));
        got += n;
    }
    assert_eq!(got, OCTETS);
    drop(writer.join().unwrap());
    // The client is gone; what it left is closed, and the port takes the next one.
    server.close(accepted).unwrap();
    server.close(listener).unwrap();
    assert_eq!(server.close(listener), Err(CallError::Sys(Errno::BADF)));
}

#[test]
fn options_are_those_of_linux() {
    let node = Node::start();
    let mut client = node.client();
    let sid = client.socket(Domain::Inet, Kind::Stream, 0).unwrap();
    let int = |value: i32| value.to_le_bytes();
    // SO_TYPE, SO_PROTOCOL, SO_DOMAIN, SO_ACCEPTCONN, SO_ERROR
    for (name, value) in [(3, 1), (38, 6), (39, 2), (30, 0), (4, 0)] {
        assert_eq!(client.option(sid, 1, name, 4).unwrap(), int(value), "{name}");
    }
    // SO_REUSEADDR, SO_KEEPALIVE; IP_TOS, IP_TTL; TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPCNT, TCP_USER_TIMEOUT
    for (level, name, value) in
        [(1, 2, 1), (1, 9, 1), (0, 1, 16), (0, 2, 9), (6, 1, 1), (6, 4, 77), (6, 6, 3), (6, 18, 1500)]
    {
        client.set_option(sid, level, name, &int(value)).unwrap();
        assert_eq!(client.option(sid, level, name, 4).unwrap(), int(value), "{level} {name}");
    }
    // SO_RCVTIMEO: a receive that would wait ends with EAGAIN.
    let udp = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    let timeval = [0i64.to_le_bytes(), 5000i64.to_le_bytes()].concat();
    client.set_option(udp, 1, 20, &timeval).unwrap();
    assert_eq!(client.option(udp, 1, 20, 16).unwrap(), timeval);
    assert_eq!(client.recv(udp, &mut [0; 9], 0), Err(CallError::Sys(Errno::AGAIN)));
    // SO_RCVBUF: twice what was asked for is shown.
    for sid in [sid, udp] {
        client.set_option(sid, 1, 8, &int(100_000)).unwrap();
        assert_eq!(client.option(sid, 1, 8, 4).unwrap(), int(200_000));
    }
    for (level, name, value, errno) in [
        (1, 2, &[][..], Errno::INVAL),
        (0, 2, &int(300), Errno::INVAL),
        (1, 25, b"nosuch\0", Errno::NODEV),
        (1, 20, &[0; 7], Errno::INVAL),
        (6, 4, &int(0), Errno::INVAL),
        (99, 1, &int(1), Errno::NOPROTOOPT),
    ] {
        assert_eq!(client.set_option(sid, level, name, value), Err(CallError::Sys(errno)), "{level} {name}");
    }
    assert_eq!(client.option(Sid(99), 99, 1, 4), Err(CallError::Sys(Errno::BADF)));
    // fcntl: O_NONBLOCK beside O_RDWR
    assert_eq!(client.fcntl(udp, 3, 0).unwrap(), 2);
    client.fcntl(udp, 4, 0o4000).unwrap();
    assert_eq!(client.fcntl(udp, 3, 0).unwrap(), 0o4002);
    assert_eq!(client.fcntl(udp, 99, 0), Err(CallError::Sys(Errno::INVAL)));
}

#[test]
fn poll_tells_and_waits() {
    let node = Node::start();
    let mut client = node.client();
    let [a, b] = [1000, 1001].map(|port| {
        let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
        client.bind(sid, SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        sid
    });
    let ask = |sid, events| Polled { sid, events, revents: 0 };
    let mut fds = [ask(a, POLLIN), ask(b, POLLIN | POLLOUT), ask(Sid(99), POLLIN)];
    assert_eq!(client.poll(&mut fds, None).unwrap(), 2);
    assert_eq!(fds.map(|fd| fd.revents), [0, POLLOUT, POLLNVAL]);
    assert_eq!(client.poll(&mut [ask(a, POLLIN)], Some(Duration::from_millis(5))).unwrap(), 0);
    assert_eq!(client.poll(&mut [], Some(Duration::ZERO)).unwrap(), 0);
    client.send_to(b, b"x", 0, addr("127.0.0.1:1000")).unwrap();
    assert_eq!(client.poll(&mut fds[..1], None).unwrap(), 1);
    assert_eq!(fds[0].revents, POLLIN);
}

#[test]
fn calls_are_cancelled() {
    let node = Node::start();
    let mut client = node.client();
    let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    client.bind(sid, addr("127.0.0.1:1000")).unwrap();
    let call = client.submit(sid, &Request::RecvMsg { len: 10, flags: 0 }).unwrap();
    let cancel = client.cancel(call).unwrap();
    assert_eq!(client.wait(call).unwrap().result, Err(Errno::INTR));
    assert_eq!(client.wait(cancel).unwrap().result, Ok(0));
    let again = client.cancel(call).unwrap();
    assert_eq!(client.wait(again).unwrap().result, Err(Errno::NOENT));
    // Closing under a call that sleeps ends it too.
    let call = client.submit(sid, &Request::RecvMsg { len: 10, flags: 0 }).unwrap();
    client.close(sid).unwrap();
    assert_eq!(client.wait(call).unwrap().result, Err(Errno::BADF));
}

#[test]
fn a_dead_client_s_sockets_are_closed() {
    let mut node = Node::start();
    let mut survivor = node.client();
    for _ in 0..20 {
        let mut client = node.client();
        let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
        client.bind(sid, addr("127.0.0.1:1000")).unwrap();
        client.submit(sid, &Request::RecvMsg { len: MAX_DATA as u32, flags: 0 }).unwrap();
        client
            .submit(
                sid,
                &Request::Poll { entries: msg::PollEntries::encode([], &mut Vec::new()), timeout: None },
            )
            .unwrap();
        let taken = survivor.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
        assert_eq!(survivor.bind(taken, addr("127.0.0.1:1000")), Err(CallError::Sys(Errno::ADDRINUSE)));
        drop(client); // in the middle of two calls
        wait_until("the port is free again", || survivor.bind(taken, addr("127.0.0.1:1000")).is_ok());
        survivor.close(taken).unwrap();
    }
    node.is_well();
}

#[test]
fn nonsense_ends_only_its_own_session() {
    let mut node = Node::start();
    let good = {
        let mut frame = Vec::new();
        Request::GetPid.encode(2, Sid::NONE, &mut frame);
        frame
    };
    let changed = |at: usize, octet: u8| {
        let mut frame = good.clone();
        frame[at] = octet;
        frame
    };
    let hostile: [Vec<u8>; 7] = [
        vec![0],
        vec![0xff; 64],
        good[..31].to_vec(),
        changed(0, 33),            // another length than the message's
        changed(4, 9),             // another version
        changed(20, 1),            // a reply to nothing
        vec![0; MAX_FRAME + 1000], // longer than any frame
    ];
    for octets in &hostile {
        let (greeted, silent) = (node.raw(), node.raw());
        greeted.hello();
        greeted.send(octets);
        silent.send(octets);
        assert_eq!(
            (greeted.answer(), silent.answer()),
            (None, None),
            "{:?}",
            &octets[..octets.len().min(32)]
        );
    }
    let first = node.raw();
    first.send(&good);
    assert_eq!(first.answer(), None, "the first frame must be HELLO");
    let future = node.raw();
    future.request(1, Sid::NONE, &Request::Hello { versions: [7, 9], name: "future" });
    assert_eq!(future.answer(), Some((1, -22)));
    assert_eq!(future.answer(), None);
    assert!(matches!(Client::connect(node.dir.path().join("nothing")), Err(ConnectError::Connect { .. })));
    node.is_well();
}

#[test]
fn a_message_carries_frames_in_order_and_quiet_ones_are_not_answered() {
    let mut node = Node::start();
    let raw = node.raw();
    raw.hello();
    raw.request(2, Sid::NONE, &Request::Socket { domain: 2, kind: 1, protocol: 0 });
    let Some((2, sid)) = raw.answer() else { panic!("no socket") };
    let sid = Sid(sid as u32);
    let option = |value: &'static [u8]| Request::SetSockOpt { level: 6, name: 4, value };
    let mut message = Vec::new();
    option(&[60, 0, 0, 0]).encode_as(FrameFlags::QUIET, 3, sid, &mut message);
    // Refused, and nobody hears of it; nor of one that there is not.
    option(&[0; 4]).encode_as(FrameFlags::QUIET, 4, sid, &mut message);
    let unknown = message.len() + 6;
    Request::GetPid.encode_as(FrameFlags::QUIET, 5, Sid::NONE, &mut message);
    message[unknown..unknown + 2].copy_from_slice(&0xffffu16.to_le_bytes());
    Request::GetSockOpt { level: 6, name: 4, len: 4, asked: &[] }.encode(6, sid, &mut message);
    Request::Shutdown { how: 9 }.encode(7, sid, &mut message);
    raw.send(&message);
    assert_eq!(raw.answer(), Some((6, 0)), "TCP_KEEPIDLE");
    assert_eq!(raw.answer(), Some((7, -22)));
    // What follows a frame must be one.
    message.push(0);
    raw.send(&message);
    assert_eq!((raw.answer(), raw.answer(), raw.answer()), (Some((6, 0)), Some((7, -22)), None));
    node.is_well();
}

#[test]
fn what_makes_no_sense_is_answered() {
    let node = Node::start();
    let raw = node.raw();
    raw.hello();
    let mut frame = Vec::new();
    Request::GetPid.encode(5, Sid::NONE, &mut frame);
    for (op, errno) in [(0x0000u16, -38), (0x0082, -38), (0xffff, -38), (0x0011, -22), (0x0001, -22)] {
        frame[6..8].copy_from_slice(&op.to_le_bytes());
        raw.send(&frame);
        assert_eq!(raw.answer(), Some((5, errno)), "{op:#x}");
    }
    // A field that reaches beyond the frame.
    let mut frame = Vec::new();
    Request::Bind { addr: &[2, 0, 0, 0] }.encode(6, Sid(0), &mut frame);
    frame[36] = 200;
    raw.send(&frame);
    assert_eq!(raw.answer(), Some((6, -22)));
    raw.request(7, Sid(0), &Request::Shutdown { how: 9 });
    assert_eq!(raw.answer(), Some((7, -9)), "a bad descriptor comes before a bad argument");
}

#[test]
fn a_session_has_limits() {
    let mut node = Node::start();
    let limits = rumpkern::sysproxy::LIMITS;
    let mut client = node.client();
    let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    client.bind(sid, addr("127.0.0.1:1000")).unwrap();
    // Octets: each call holds room for its answer.
    let holding = Request::RecvMsg { len: MAX_DATA as u32, flags: 0 };
    let most = limits.octets as usize / MAX_DATA;
    let calls: Vec<_> = (0..=most).map(|_| client.submit(sid, &holding).unwrap()).collect();
    assert_eq!(client.wait(*calls.last().unwrap()).unwrap().result, Err(Errno::NOBUFS));
    for call in &calls[..most - 1] {
        client.cancel(*call).unwrap();
        assert_eq!(client.wait(*call).unwrap().result, Err(Errno::INTR));
    }
    // Calls: small ones, until there are too many.
    let mut client = node.client();
    let sid = client.socket(Domain::Inet, Kind::Dgram, 0).unwrap();
    client.bind(sid, addr("127.0.0.1:1001")).unwrap();
    let small = Request::RecvMsg { len: 1, flags: 0 };
    let calls: Vec<_> = (0..limits.calls).map(|_| client.submit(sid, &small).unwrap()).collect();
    assert_eq!(client.call(sid, &small).unwrap_err(), CallError::Sys(Errno::NOBUFS));
    // What need not wait fits no more either, but everything can be cancelled.
    for call in calls {
        client.cancel(call).unwrap();
        assert_eq!(client.wait(call).unwrap().result, Err(Errno::INTR));
    }
    // Descriptors.
    let mut open = 1;
    let error = loop {
        match client.dup(sid) {
            Ok(_) => open += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error, open), (CallError::Sys(Errno::MFILE), limits.descriptors));
    node.is_well();
}

/// As many polls as a client may have, each about one socket as often as it may ask: its end costs the node no time.
#[test]
fn a_client_leaves_with_many_polls_of_one_socket() {
    let mut node = Node::start();
    let raw = node.raw();
    raw.hello();
    raw.request(2, Sid::NONE, &Request::Socket { domain: 2, kind: 2, protocol: 0 });
    let Some((2, sid)) = raw.answer() else { panic!("a socket") };
    let sid = Sid(sid as u32);
    let here = rumpclient::sockaddr::SockAddrBuf::from(addr("127.0.0.1:5"));
    raw.request(3, sid, &Request::Bind { addr: here.as_octets() });
    assert_eq!(raw.answer(), Some((3, 0)));
    let entry = msg::PollEntry { sid, events: POLLIN, revents: 0 };
    let mut buf = Vec::new();
    let entries = msg::PollEntries::encode(std::iter::repeat_n(entry, 1024), &mut buf);
    for req in 10..260 {
        raw.request(req, Sid::NONE, &Request::Poll { entries, timeout: None });
    }
    node.is_well();
    drop(raw);
    node.is_well();
    node.is_well();
}

/// A client that asks and never reads: the node stops reading from it, serves others, and answers all when it reads.
#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut node = Node::start();
    let raw = node.raw();
    raw.hello();
    let mut frame = Vec::new();
    let mut sent = 0u64;
    let mut silent_since = Instant::now();
    // Until the node has taken nothing more for a while.
    while silent_since.elapsed() < Duration::from_millis(300) {
        frame.clear();
        Request::GetPid.encode(100 + sent, Sid::NONE, &mut frame);
        match rustix::net::send(&raw.0, &frame, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => (sent, silent_since) = (sent + 1, Instant::now()),
            Err(Errno::AGAIN) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent > 1000 && sent < 1_000_000, "{sent}");
    node.is_well();
    for req in 0..sent {
        assert_eq!(raw.answer().map(|(req, _)| req), Some(100 + req));
    }
    raw.request(7, Sid(0), &Request::Close);
    assert_eq!(raw.answer(), Some((7, -9)));
    // Another of the kind, which dies so.
    let raw = node.raw();
    raw.hello();
    while rustix::net::send(&raw.0, &frame, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok() {}
    drop(raw);
    node.is_well();
}

/// Hundreds of clients come and go; more than the node serves at once wait, and are served.
#[test]
fn many_clients() {
    let mut node = Node::start();
    for _ in 0..3 {
        let clients: Vec<Client> = (0..200).map(|_| node.client()).collect();
        assert!(clients.windows(2).all(|pair| pair[0].pid() < pair[1].pid()));
    }
    node.is_well();
}
