//! Streams through the doors of the stack: over the loopback interface.

use crate::link::octets;
use netstack::socket::{Family, RecvFlags, SendMeta, SockOpt, SockType};
use netstack::stack::{Stack, StackConfig};
use netstack::tcp::Shutdown;
use netstack::time::Duration;
use netstack::{Instant, SockError};

#[test]
fn a_stream_to_ourselves() {
    let mut stack = Stack::new(StackConfig::default(), [5; 32]);
    let mut now = Instant::from_millis(1000);
    let listener = stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
    stack.bind(now, listener, "127.0.0.1:80".parse().unwrap()).expect("a free port");
    stack.listen(now, listener, 5).expect("nobody listens");
    let client = stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket");
    assert_eq!(stack.connect(now, client, "127.0.0.1:80".parse().unwrap()), Err(SockError::InProgress));
    let data = octets(20_000_000, 3);
    let (mut server, mut written, mut read, mut shut) = (None, 0, Vec::new(), false);
    let mut buf = vec![0; 100_000];
    for round in 0.. {
        assert!(round < 100_000, "it stands still: {:?}", stack.sockets().collect::<Vec<_>>());
        while let Some(at) = stack.poll_timeout().filter(|at| *at <= now) {
            stack.handle_timeout(at.max(now));
        }
        while stack.poll_event().is_some() {}
        while written < data.len() {
            match stack.send(now, client, &data[written..], &SendMeta::default()) {
                Ok(n) => written += n,
                Err(SockError::WouldBlock) => break,
                Err(e) => panic!("send: {e}"),
            }
        }
        if written == data.len() && !shut {
            stack.shutdown(now, client, Shutdown::Write).expect("connected");
            shut = true;
        }
        server = server.or_else(|| stack.accept(now, listener).ok().map(|(id, _)| id));
        if let Some(server) = server {
            match stack.recv(now, server, &mut buf, RecvFlags::empty()) {
                Ok(r) if r.len == 0 => break,
                Ok(r) => read.extend_from_slice(&buf[..r.len]),
                Err(SockError::WouldBlock) => {}
                Err(e) => panic!("recv: {e}"),
            }
        }
        now += Duration::from_micros(20);
    }
    assert!(read == data, "whole and in order");
    assert_eq!(stack.stats().tcp.retrans_segs, 0);
    for id in [client, listener].into_iter().chain(server) {
        stack.close(now, id).expect("a socket");
    }
    while let Some(at) = stack.poll_timeout() {
        now = now.max(at);
        stack.handle_timeout(now);
    }
    assert_eq!(stack.sockets().count(), 0, "nothing is left");
}

/// As on Linux, whose send(2) transmits before it returns.
#[test]
fn what_was_sent_is_not_lost_by_a_reset_right_behind_it() {
    let mut stack = Stack::new(StackConfig::default(), [5; 32]);
    let now = Instant::from_millis(1000);
    let run = |stack: &mut Stack| {
        while let Some(at) = stack.poll_timeout().filter(|at| *at <= now) {
            stack.handle_timeout(at.max(now));
        }
        while stack.poll_event().is_some() {}
    };
    let [listener, client] =
        [(); 2].map(|()| stack.socket(Family::Inet, SockType::Stream, 0).expect("a socket"));
    stack.bind(now, listener, "127.0.0.1:80".parse().unwrap()).expect("a free port");
    stack.listen(now, listener, 5).expect("nobody listens");
    assert_eq!(stack.connect(now, client, "127.0.0.1:80".parse().unwrap()), Err(SockError::InProgress));
    run(&mut stack);
    let (server, _) = stack.accept(now, listener).expect("a connection");
    stack.set_option(now, client, SockOpt::Linger(Some(Duration::ZERO))).expect("an option");
    assert_eq!(stack.send(now, client, b"last words", &SendMeta::default()), Ok(10));
    stack.close(now, client).expect("a socket");
    run(&mut stack);
    let mut buf = [0; 100];
    let mut recv = || stack.recv(now, server, &mut buf, RecvFlags::empty()).map(|meta| meta.len);
    assert_eq!(recv(), Ok(10));
    assert_eq!(recv(), Err(SockError::ConnReset));
}
