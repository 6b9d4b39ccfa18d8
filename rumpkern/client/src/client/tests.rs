//! The client against a node that the test plays itself, frame by frame.

use super::*;
use crate::calls::{Domain, Kind};
use crate::msg::{self, Body};
use crate::wire::Op;
use rustix::net::{SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

/// The node's end of a session.
struct Node {
    fd: OwnedFd,
    frame: Vec<u8>,
}

impl Node {
    /// The next request.
    fn recv(&mut self) -> Option<(Header, usize)> {
        self.frame.resize(MAX_FRAME, 0);
        let (len, _) = rustix::net::recv(&self.fd, &mut self.frame[..], RecvFlags::empty()).ok()?;
        (len > 0).then(|| (Header::decode(&self.frame[..len]).expect("clients send frames").0, len))
    }

    fn reply(&self, to: &Header, ret: i64, body: &Body<'_>) {
        let mut frame = Vec::new();
        msg::encode(&Header { ret, flags: FrameFlags::REPLY, ..*to }, body, &mut frame);
        self.raw(&frame);
    }

    fn raw(&self, frame: &[u8]) {
        let _ = send(&self.fd, frame, SendFlags::NOSIGNAL);
    }

    fn greet(&mut self) {
        let (hello, _) = self.recv().expect("a greeting");
        assert_eq!(hello.op, Op::Hello as u16);
        let limits = Limits { descriptors: 8, calls: 4, octets: 4096 };
        let body = Body { versions: Some([1, 1]), name: Some("h1"), limits: Some(limits), ..Body::default() };
        self.reply(&hello, 17, &body);
    }
}

/// A client, and a thread that plays its node.
fn pair(play: impl FnOnce(Node) + Send + 'static) -> (Result<Client, ConnectError>, JoinHandle<()>) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket pair");
    let node = std::thread::spawn(move || play(Node { fd: theirs, frame: Vec::new() }));
    (Client::over(ours, "test"), node)
}

#[test]
fn the_greeting_settles_who_is_who() {
    let (client, node) = pair(|mut node| node.greet());
    let client = client.unwrap();
    assert_eq!((client.pid(), client.node(), client.limits().calls), (17, "h1", 4));
    node.join().unwrap();
}

#[test]
fn a_failed_call_is_an_errno() {
    let (client, node) = pair(|mut node| {
        node.greet();
        let (call, _) = node.recv().unwrap();
        assert_eq!(call.op, Op::Socket as u16);
        node.reply(&call, -97, &Body::default());
        let (call, _) = node.recv().unwrap();
        node.reply(&call, -100_000, &Body::default());
    });
    let mut client = client.unwrap();
    assert_eq!(client.socket(Domain::Other(5), Kind::Stream, 0), Err(CallError::Sys(Errno::AFNOSUPPORT)));
    assert_eq!(client.socket(Domain::Inet, Kind::Stream, 0).unwrap_err().errno(), Errno::PROTO);
    node.join().unwrap();
    assert_eq!(client.socket(Domain::Inet, Kind::Stream, 0), Err(CallError::Gone));
}

#[test]
fn answers_may_come_in_any_order() {
    let (client, node) = pair(|mut node| {
        node.greet();
        let calls: Vec<Header> = (0..4).map(|_| node.recv().unwrap().0).collect();
        for call in calls.iter().rev() {
            node.reply(call, call.sid.0.into(), &Body::default());
        }
    });
    let mut client = client.unwrap();
    let calls: Vec<ReqId> = (0..3).map(|sid| client.submit(Sid(sid), &Request::Close).unwrap()).collect();
    assert_eq!(client.call(Sid(3), &Request::Close).unwrap().0, 3);
    assert_eq!(client.wait(calls[1]).unwrap().result, Ok(1));
    node.join().unwrap();
    let mut rest = Vec::new();
    while let Ok(Some(completion)) = client.complete() {
        rest.push((completion.req, completion.result));
    }
    assert_eq!(rest, [(calls[2], Ok(2)), (calls[0], Ok(0))]);
    assert_eq!(client.complete().unwrap_err(), CallError::Gone);
}

#[test]
fn a_node_that_talks_nonsense_is_an_error() {
    for nonsense in [&[1, 2, 3][..], &[0xff; 64][..]] {
        let (client, node) = pair(move |mut node| {
            node.greet();
            node.recv().unwrap();
            node.raw(nonsense);
        });
        let error = client.unwrap().call(Sid(0), &Request::Close).unwrap_err();
        assert!(matches!(error, CallError::Frame(_)), "{error:?}");
        node.join().unwrap();
    }
    let (client, node) = pair(|mut node| {
        let (hello, _) = node.recv().unwrap();
        node.reply(&hello, 1, &Body { versions: Some([2, 2]), ..Body::default() });
    });
    assert!(matches!(client, Err(ConnectError::Version { theirs: 2 })));
    node.join().unwrap();
}

/// A payload longer than the buffer it was asked for must not be written beyond it.
#[test]
fn more_octets_than_asked_for_are_refused() {
    let (client, node) = pair(|mut node| {
        node.greet();
        let (call, _) = node.recv().unwrap();
        node.reply(&call, 100, &Body { data: Some(&[7; 100]), ..Body::default() });
    });
    let mut buf = [0; 10];
    assert_eq!(client.unwrap().recv(Sid(0), &mut buf, 0).unwrap_err().errno(), Errno::PROTO);
    node.join().unwrap();
}

/// Calls go on while the node's answers fill the socket and the node waits for them to be read.
#[test]
fn quiet_calls_go_once_in_front_of_the_next() {
    let (client, node) = pair(|mut node| {
        node.greet();
        let mut frame = vec![0; MAX_FRAME];
        for frames in [3, 1] {
            let (len, _) = rustix::net::recv(&node.fd, &mut frame[..], RecvFlags::empty()).unwrap();
            let (mut message, mut seen) = (&frame[..len], Vec::new());
            while !message.is_empty() {
                let (first, rest) = message.split_at(Header::first(message).unwrap());
                seen.push(Header::decode(first).unwrap().0);
                message = rest;
            }
            let last = seen.pop().unwrap();
            assert!(seen.len() + 1 == frames && seen.iter().all(|quiet| quiet.flags == FrameFlags::QUIET));
            assert_eq!((last.op, last.flags), (Op::GetPid as u16, FrameFlags::empty()));
            node.reply(&last, 17, &Body::default());
        }
    });
    let mut client = client.unwrap();
    let option = Request::SetSockOpt { level: 6, name: 1, value: &[1, 0, 0, 0] };
    client.quietly(Sid(1), &option);
    client.quietly(Sid(2), &option);
    for _ in 0..2 {
        assert_eq!(client.call(Sid::NONE, &Request::GetPid).unwrap().0, 17);
    }
    node.join().unwrap();
}

#[test]
fn a_full_connection_in_both_directions_does_not_lock() {
    const CALLS: usize = 2000;
    let (client, node) = pair(|mut node| {
        node.greet();
        for _ in 0..CALLS {
            let (call, _) = node.recv().unwrap();
            node.reply(&call, 0, &Body { data: Some(&[7; 4000]), ..Body::default() });
        }
    });
    let mut client = client.unwrap();
    let data = [3; 4000];
    let request = Request::SendMsg { data: &data, flags: 0, to: None, with: Default::default() };
    let mut sent = 0;
    let mut answered = 0;
    while answered < CALLS {
        if sent + 1 < CALLS && client.submit(Sid(0), &request).is_ok() {
            sent += 1;
        } else if sent + 1 == CALLS {
            client.call(Sid(0), &request).unwrap();
            (sent, answered) = (sent + 1, answered + 1);
        } else {
            while client.complete().unwrap().is_some() {
                answered += 1;
            }
        }
        while sent == CALLS && answered < CALLS {
            match client.complete().unwrap() {
                Some(_) => answered += 1,
                None => client.wait_for(PollFlags::IN).unwrap(),
            }
        }
    }
    node.join().unwrap();
}

#[test]
fn no_node_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n".repeat(120)).join("sysproxy");
    let error = Client::connect(&path).err().unwrap();
    assert!(matches!(error, ConnectError::Connect { source: Errno::NOENT, .. }), "{error:?}");
}

/// A socket whose path is longer than a socket address.
#[test]
fn a_long_path_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("n".repeat(150));
    std::fs::create_dir(&long).unwrap();
    let short = dir.path().join("s");
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(&short).unwrap()).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    std::fs::rename(&short, long.join("sysproxy")).unwrap();
    let node = std::thread::spawn(move || {
        Node { fd: rustix::net::accept(&listener).unwrap(), frame: Vec::new() }.greet();
    });
    assert_eq!(Client::connect(long.join("sysproxy")).unwrap().node(), "h1");
    node.join().unwrap();
}
