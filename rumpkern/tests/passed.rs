//! Passed sockets, as whoever holds the program's end sees them: two live nodes, their octets through unix socket pairs.

mod lab;

use lab::{Lab, Node, wait_for};
use rumpclient::msg::{Ancillary, Request};
use rumpclient::sockaddr::{SockAddr, SockAddrBuf};
use rumpclient::wire::Op;
use rumpclient::{AcceptToken, Client, Completion, Errno, Sid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::IoSliceMut;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, recvmsg, sockopt,
};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

const DONTWAIT: u32 = 0x40;
const STREAM: u32 = 1;
const DGRAM: u32 = 2;
/// `MSG_OOB`
const OOB: u32 = 1;
/// `SOL_SOCKET`, `SO_ERROR`.
const SO_ERROR: (u32, u32) = (1, 4);

/// A program of a node: what a supervisor would be.
struct Program(Client);

/// A socket: the node's descriptor and the program's end.
struct Socket {
    sid: Sid,
    end: OwnedFd,
    door: Vec<u8>,
}

impl Program {
    fn on(node: &Node) -> Program {
        Program(Client::connect_as(node.dir.join("sysproxy"), "test").unwrap())
    }

    fn call(&mut self, sid: Sid, request: &Request<'_>) -> Completion {
        let req = self.0.submit(sid, request).unwrap();
        self.0.wait(req).unwrap()
    }

    fn ask(&mut self, socket: &Socket, request: &Request<'_>) -> Result<u64, Errno> {
        self.call(socket.sid, request).result
    }

    fn socket(&mut self, kind: u32) -> Socket {
        let answer = self.call(Sid::NONE, &Request::SocketPass { domain: 2, kind, protocol: 0 });
        let sid = Sid(answer.result.unwrap() as u32);
        let inode = answer.body().unwrap().inode.unwrap();
        let door = answer.body().unwrap().data.unwrap_or_default().to_vec();
        let end = answer.passed.unwrap();
        assert_eq!(rustix::fs::fstat(&end).unwrap().st_ino, inode);
        Socket { sid, end, door }
    }

    fn bind(&mut self, socket: &Socket, addr: &str) -> Result<u64, Errno> {
        let addr = SockAddrBuf::from(addr.parse::<SocketAddr>().unwrap());
        self.ask(socket, &Request::Bind { addr: addr.as_octets() })
    }

    fn connect(&mut self, socket: &Socket, addr: &str, flags: u32) -> Result<u64, Errno> {
        let addr = SockAddrBuf::from(addr.parse::<SocketAddr>().unwrap());
        if !socket.door.is_empty() {
            rumpclient::door::enter(&socket.end, &socket.door).unwrap();
        }
        self.ask(socket, &Request::Connect { addr: addr.as_octets(), flags })
    }

    fn listener(&mut self, addr: &str) -> Socket {
        let socket = self.socket(STREAM);
        self.bind(&socket, addr).unwrap();
        rumpclient::door::enter(&socket.end, &socket.door).unwrap();
        self.ask(&socket, &Request::Listen { backlog: 100 }).unwrap();
        socket
    }

    fn connected(&mut self, addr: &str) -> Socket {
        let socket = self.socket(STREAM);
        self.connect(&socket, addr, 0).unwrap();
        socket
    }

    /// SO_ERROR, as an errno's number.
    fn error(&mut self, socket: &Socket) -> i32 {
        let answer = self.call(
            socket.sid,
            &Request::GetSockOpt { level: SO_ERROR.0, name: SO_ERROR.1, len: 4, asked: &[] },
        );
        i32::from_le_bytes(answer.body().unwrap().data.unwrap().try_into().unwrap())
    }
}

/// Takes a connection from a listener's end.
fn accept(listener: &OwnedFd) -> (Socket, SocketAddr) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut token = [0; AcceptToken::LEN];
    let mut iov = [IoSliceMut::new(&mut token)];
    let received = recvmsg(listener, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert_eq!(received.bytes, AcceptToken::LEN);
    let end = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let token = AcceptToken::decode(&token).unwrap();
    let peer = match SockAddr::decode(token.peer()).unwrap() {
        SockAddr::Inet(peer) => peer,
        SockAddr::Unspec => panic!("no peer"),
    };
    let end = end.unwrap();
    send(&end, &AcceptToken::MARK).unwrap();
    (Socket { sid: token.sid, end, door: Vec::new() }, peer)
}

fn events(fd: &OwnedFd) -> PollFlags {
    let mut fds = [PollFd::new(fd, PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP)];
    poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
    fds[0].revents()
}

fn until(fd: &OwnedFd, wanted: PollFlags) {
    wait_for(&format!("{wanted:?}"), || events(fd).contains(wanted));
}

fn send(fd: &OwnedFd, octets: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(fd, octets, SendFlags::NOSIGNAL)
}

fn recv(fd: &OwnedFd, most: usize) -> Result<Vec<u8>, Errno> {
    let mut octets = vec![0; most];
    let (len, _) = rustix::net::recv(fd, &mut octets[..], RecvFlags::empty())?;
    octets.truncate(len);
    Ok(octets)
}

/// Two programs on two nodes, and what must outlive them.
fn pair() -> (Program, Program, (Node, Node, Lab)) {
    let mut lab = Lab::default();
    let (h1, h2, _) = lab.pair();
    (Program::on(&h1), Program::on(&h2), (h1, h2, lab))
}

#[test]
fn a_connection_that_does_not_block_becomes_writable_when_it_stands() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.socket(STREAM);
    assert_eq!(events(&client.end), PollFlags::OUT | PollFlags::HUP);
    assert_eq!(p1.connect(&client, "10.0.0.2:80", DONTWAIT), Err(Errno::INPROGRESS));
    until(&client.end, PollFlags::OUT);
    // The node tells by itself, and who is who.
    let mut told = None;
    wait_for("the event", || {
        told = p1.0.complete().unwrap();
        told.is_some()
    });
    let told = told.unwrap();
    assert_eq!((told.op, told.sid), (Op::Connected as u16, client.sid));
    let body = told.body().unwrap();
    let name = |octets: Option<&[u8]>| match SockAddr::decode(octets.unwrap()).unwrap() {
        SockAddr::Inet(addr) => addr,
        SockAddr::Unspec => panic!("no address"),
    };
    assert_eq!(name(body.addr).to_string(), "10.0.0.2:80");
    assert_eq!(p1.error(&client), 0);
    let (server, peer) = accept(&listener.end);
    assert_eq!((peer.ip().to_string(), peer), ("10.0.0.1".into(), name(body.local)));
    // Who waits is answered, and no more.
    let waits = p1.socket(STREAM);
    assert_eq!(p1.connect(&waits, "10.0.0.2:80", 0), Ok(0));
    assert!(p1.0.complete().unwrap().is_none());

    send(&client.end, b"ask").unwrap();
    assert_eq!(recv(&server.end, 100).unwrap(), b"ask");
    // Half close: one direction ends, the other goes on.
    rustix::net::shutdown(&client.end, Shutdown::Write).unwrap();
    assert_eq!(recv(&server.end, 100).unwrap(), b"");
    assert!(!events(&server.end).contains(PollFlags::HUP));
    send(&server.end, b"answer").unwrap();
    assert_eq!(recv(&client.end, 100).unwrap(), b"answer");
    drop(server);
    assert_eq!(recv(&client.end, 100).unwrap(), b"", "a FIN is an end, not an error");
}

#[test]
fn a_refusal_is_told_and_the_socket_lives() {
    let (mut p1, mut p2, _world) = pair();
    let client = p1.socket(STREAM);
    assert_eq!(p1.connect(&client, "10.0.0.2:80", DONTWAIT), Err(Errno::INPROGRESS));
    until(&client.end, PollFlags::ERR | PollFlags::HUP);
    assert_eq!(p1.error(&client), Errno::CONNREFUSED.raw_os_error());
    assert_eq!(p1.error(&client), 0, "once");

    let blocking = p1.socket(STREAM);
    assert_eq!(p1.connect(&blocking, "10.0.0.2:80", 0), Err(Errno::CONNREFUSED));
    let listener = p2.listener("10.0.0.2:80");
    assert_eq!(p1.connect(&blocking, "10.0.0.2:80", 0), Ok(0), "a second attempt");
    let (server, _) = accept(&listener.end);
    send(&blocking.end, b"x").unwrap();
    assert_eq!(recv(&server.end, 10).unwrap(), b"x", "nothing of what filled the end is sent");
}

#[test]
fn a_reset_comes_after_what_was_sent_before_it() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    send(&server.end, b"last words").unwrap();
    until(&client.end, PollFlags::IN);
    let linger = [1u32.to_le_bytes(), 0u32.to_le_bytes()].concat();
    p2.ask(&server, &Request::SetSockOpt { level: 1, name: 13, value: &linger }).unwrap();
    drop(server);
    until(&client.end, PollFlags::HUP);
    assert_eq!(recv(&client.end, 100).unwrap(), b"last words");
    assert_eq!(recv(&client.end, 100), Err(Errno::CONNRESET));
    assert_eq!(send(&client.end, b"x"), Err(Errno::PIPE));
}

#[test]
fn closing_with_octets_unread_resets_the_peer() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    send(&client.end, b"never read").unwrap();
    until(&server.end, PollFlags::IN);
    drop(server);
    until(&client.end, PollFlags::HUP);
    assert_eq!(recv(&client.end, 100), Err(Errno::CONNRESET));
    assert_eq!(p1.error(&client), Errno::CONNRESET.raw_os_error());
}

#[test]
fn much_arrives_whole_and_in_order_whatever_the_pieces() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    let octets: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = octets.clone();
    let sender = std::thread::spawn(move || {
        let (mut rest, mut piece) = (&sent[..], 1);
        while !rest.is_empty() {
            let n = send(&client.end, &rest[..piece.min(rest.len())]).unwrap();
            rest = &rest[n..];
            piece = piece * 7 % 300_007 + 1;
        }
        rustix::net::shutdown(&client.end, Shutdown::Write).unwrap();
        client
    });
    let mut got = Vec::with_capacity(octets.len());
    let mut piece = 1;
    loop {
        let part = recv(&server.end, piece).unwrap();
        if part.is_empty() {
            break;
        }
        got.extend(part);
        piece = piece * 13 % 200_003 + 1;
    }
    assert!(got == octets, "{} of {} octets, or others", got.len(), octets.len());
    sender.join().unwrap();
}

/// No peer, no data: as a TCP socket, but for the number of the error.
#[test]
fn a_new_stream_has_no_peer() {
    let (mut p1, mut p2, _world) = pair();
    let socket = p1.socket(STREAM);
    assert_eq!(events(&socket.end), PollFlags::OUT | PollFlags::HUP);
    assert_eq!(rustix::net::send(&socket.end, b"x", SendFlags::NOSIGNAL), Err(Errno::NOTCONN));
    assert_eq!(recv(&socket.end, 1), Err(Errno::INVAL));
    // Whoever does not come in at the door is told, and can still.
    let addr = SockAddrBuf::from("10.0.0.2:80".parse::<SocketAddr>().unwrap());
    let connect = Request::Connect { addr: addr.as_octets(), flags: 0 };
    assert_eq!(p1.ask(&socket, &connect), Err(Errno::INVAL));
    let listener = p2.listener("10.0.0.2:80");
    assert_eq!(p1.connect(&socket, "10.0.0.2:80", 0), Ok(0));
    let (server, _) = accept(&listener.end);
    assert_eq!(send(&socket.end, b"x"), Ok(1));
    assert_eq!(recv(&server.end, 2).unwrap(), b"x");
}

#[test]
fn an_urgent_octet_shows_in_its_place() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    send(&client.end, b"ab").unwrap();
    until(&server.end, PollFlags::IN);
    let with = Ancillary::default();
    assert_eq!(p1.ask(&client, &Request::SendMsg { data: b"!", flags: OOB, to: None, with }), Ok(1));
    send(&client.end, b"cd").unwrap();
    wait_for("POLLPRI", || {
        let mut fds = [PollFd::new(&server.end, PollFlags::PRI)];
        poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    });
    let mut octet = [0; 2];
    assert_eq!(recv(&server.end, 10).unwrap(), b"ab", "reading stops before it");
    assert_eq!(rustix::net::recv(&server.end, &mut octet, RecvFlags::OOB).map(|(octets, _)| octets), Ok(1));
    assert_eq!(&octet, b"!\0");
    assert_eq!(recv(&server.end, 10).unwrap(), b"cd");
}

#[test]
fn a_file_that_is_spliced_leaves_the_end_writable() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    let file = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let len = 1 << 20;
    rustix::fs::ftruncate(&file, len as u64).unwrap();
    rustix::io::ioctl_fionbio(&server.end, true).unwrap();
    let (mut sent, mut received) = (0, 0);
    while received < len {
        if sent < len {
            until(&server.end, PollFlags::OUT);
            match rustix::fs::sendfile(&server.end, &file, None, len - sent) {
                Ok(octets) => sent += octets,
                Err(Errno::AGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        }
        until(&client.end, PollFlags::IN);
        received += recv(&client.end, 1 << 16).unwrap().len();
    }
}

#[test]
fn connections_wait_for_whoever_holds_the_listener() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let shared = listener.end.try_clone().unwrap();
    let clients: Vec<Socket> = (0..30).map(|_| p1.connected("10.0.0.2:80")).collect();
    let mut servers = Vec::new();
    for n in 0..20 {
        servers.push(accept(if n % 2 == 0 { &listener.end } else { &shared }));
    }
    for (client, (server, _)) in clients.iter().zip(&servers) {
        send(&client.end, b"x").unwrap();
        assert_eq!(recv(&server.end, 10).unwrap(), b"x");
    }
    drop(listener);
    assert_eq!(events(&clients[25].end), PollFlags::OUT, "still somebody's");
    drop(shared);
    // Nobody will take them any more.
    for client in &clients[20..] {
        until(&client.end, PollFlags::HUP);
    }
    let late = p1.socket(STREAM);
    assert_eq!(p1.connect(&late, "10.0.0.2:80", 0), Err(Errno::CONNREFUSED));
}

/// Receives a datagram and its stamp.
fn stamped(end: &OwnedFd) -> (Vec<u8>, u64) {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags};
    use std::os::fd::AsRawFd;
    let (mut octets, mut control) = (vec![0; 2000], nix::cmsg_space!(libc::timespec));
    let mut iov = [std::io::IoSliceMut::new(&mut octets)];
    let received =
        nix::sys::socket::recvmsg::<()>(end.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::empty());
    let received = received.unwrap();
    let stamp = received.cmsgs().unwrap().find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
        }
        _ => None,
    });
    let len = received.bytes;
    octets.truncate(len);
    (octets, stamp.unwrap())
}

#[test]
fn a_datagram_is_told_by_its_stamp() {
    let (mut p1, mut p2, _world) = pair();
    let server = p2.socket(DGRAM);
    p2.bind(&server, "10.0.0.2:53").unwrap();
    let clients: Vec<Socket> = (0..8)
        .map(|n| {
            let client = p1.socket(DGRAM);
            p1.bind(&client, &format!("10.0.0.1:{}", 1000 + n)).unwrap();
            p1.connect(&client, "10.0.0.2:53", 0).unwrap();
            client
        })
        .collect();
    for round in 0..50 {
        for (n, client) in clients.iter().enumerate() {
            assert_eq!(send(&client.end, &[round, n as u8]), Ok(2));
        }
        for _ in &clients {
            let (octets, stamp) = stamped(&server.end);
            let answer = p2.call(server.sid, &Request::Meta { time: stamp });
            let body = answer.body().unwrap();
            let from = SockAddr::decode(body.addr.unwrap()).unwrap();
            let expected = SocketAddr::from(([10, 0, 0, 1], 1000 + u16::from(octets[1])));
            assert_eq!(from, SockAddr::Inet(expected));
            assert_eq!((octets[0], body.ttl), (round, Some(64)));
        }
    }
}

#[test]
fn an_icmp_error_shows_and_the_socket_lives() {
    let (mut p1, mut p2, _world) = pair();
    let client = p1.socket(DGRAM);
    p1.bind(&client, "10.0.0.1:1000").unwrap();
    p1.connect(&client, "10.0.0.2:53", 0).unwrap();
    for _ in 0..3 {
        send(&client.end, b"anybody?").unwrap();
        until(&client.end, PollFlags::ERR);
        assert_eq!(p1.error(&client), Errno::CONNREFUSED.raw_os_error());
        assert_eq!(
            sockopt::socket_error(&client.end),
            Ok(Err(Errno::CONNRESET)),
            "the end's own, cleared by that"
        );
        assert!(!events(&client.end).contains(PollFlags::ERR));
    }
    let server = p2.socket(DGRAM);
    p2.bind(&server, "10.0.0.2:53").unwrap();
    p2.connect(&server, "10.0.0.1:1000", 0).unwrap();
    send(&client.end, b"now?").unwrap();
    assert_eq!(recv(&server.end, 100).unwrap(), b"now?");
    send(&server.end, b"yes").unwrap();
    assert_eq!(recv(&client.end, 100).unwrap(), b"yes");
}

#[test]
fn an_address_is_free_when_its_socket_is_closed() {
    let (mut p1, _p2, _world) = pair();
    for kind in [DGRAM, STREAM, DGRAM] {
        let socket = p1.socket(kind);
        p1.bind(&socket, "10.0.0.1:7000").unwrap();
        let other = p1.socket(kind);
        assert_eq!(p1.bind(&other, "10.0.0.1:7000"), Err(Errno::ADDRINUSE));
        drop(socket);
        assert_eq!(p1.bind(&other, "10.0.0.1:7000"), Ok(0));
    }
}

#[test]
fn sockets_that_wait_take_little_memory() {
    let (mut p1, _p2, world) = pair();
    for _ in 0..3 {
        let sockets: Vec<Socket> = (0..400).map(|_| p1.socket(DGRAM)).collect();
        p1.bind(&sockets[0], "10.0.0.1:7000").unwrap();
        drop(sockets);
        // The address is wanted: so the node looks which are closed.
        let other = p1.socket(DGRAM);
        p1.bind(&other, "10.0.0.1:7000").unwrap();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.0.child.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim_end_matches("kB").trim().parse().unwrap();
    assert!(kib < 64 * 1024, "{kib} KiB of memory after 400 sockets at a time");
}

#[test]
fn a_session_that_ends_takes_its_sockets_with_it() {
    let (mut p1, mut p2, _world) = pair();
    let listener = p2.listener("10.0.0.2:80");
    let client = p1.connected("10.0.0.2:80");
    let (server, _) = accept(&listener.end);
    drop(p1);
    assert_eq!(recv(&client.end, 1), Err(Errno::CONNRESET), "nobody carries for it");
    assert_eq!(recv(&server.end, 1).unwrap_or_default(), b"", "its peer sees the end");
}
