//! TCP Fast Open between two of us: RFC 7413.

use crate::link::{Fate, Link, Peer, octets, put};
use netstack::socket::Family;
use netstack::tcp::{FastOpen, State, TcpConfig, TcpId, TcpOpt};
use netstack::{Instant, SockError};
use std::net::SocketAddr;

const REQUEST: usize = 900;

/// Both sides know Fast Open; `b` listens.
fn link() -> (Link, TcpId) {
    let fast_open = FastOpen::CLIENT | FastOpen::SERVER;
    let mut link = Link::new(TcpConfig { fast_open, ..TcpConfig::default() });
    let listener = link.hosts[1].listener(80, 50);
    let h = &mut link.hosts[1];
    h.tcp.set_option(&mut h.ip, listener, TcpOpt::FastOpen(50)).expect("a listener");
    (link, listener)
}

/// Sends a request by MSG_FASTOPEN, and returns when it was there, whole.
fn request(link: &mut Link, listener: TcpId) -> Instant {
    let to = SocketAddr::new(link.hosts[1].ip.addr, 80);
    let h = &mut link.hosts[0];
    let id = h.tcp.socket(Family::Inet);
    let data = octets(REQUEST, 3);
    let mut client = Peer::new(0, id, data.clone());
    match h.tcp.send_fast_open(&mut h.ip, id, &data, to) {
        Ok(n) => client.written = n,
        Err(e) => assert_eq!(e, SockError::InProgress),
    }
    let mut server: Option<Peer> = None;
    let mut there = None;
    link.run(1_000, |l| {
        // As on Linux, shutdown would end an attempt to connect.
        if l.state(0, id) != State::SynSent {
            client.turn(l);
        }
        match &mut server {
            Some(s) => s.turn(l),
            None => {
                let h = &mut l.hosts[1];
                server =
                    h.tcp.accept(&mut h.ip, listener).ok().map(|(id, _)| Peer::new(1, id, octets(700, 4)));
                if let Some(s) = &mut server {
                    s.turn(l);
                }
            }
        }
        if server.as_ref().is_some_and(|s| s.read.len() == REQUEST) {
            there = there.or(Some(l.now));
        }
        client.end.is_some() && server.as_ref().is_some_and(|s| s.end.is_some())
    });
    let server = server.expect("a connection");
    assert_eq!((client.end, server.end), (Some(Ok(())), Some(Ok(()))));
    assert!(server.read == data && client.read == octets(700, 4), "both streams arrived whole");
    there.expect("the request")
}

/// TCP_FASTOPEN_CONNECT: connect(2) is done at once, and what is written first goes with the SYN, whoever puts it into the buffer.
#[test]
fn a_connect_that_waits_for_data_takes_it_along() {
    let (mut link, listener) = link();
    request(&mut link, listener);
    let to = SocketAddr::new(link.hosts[1].ip.addr, 80);
    let data = octets(5000, 7);
    let h = &mut link.hosts[0];
    let id = h.tcp.socket(Family::Inet);
    h.tcp.set_option(&mut h.ip, id, TcpOpt::FastOpenConnect(true)).expect("a socket");
    assert_eq!(h.tcp.connect(&mut h.ip, id, to), Ok(()));
    let sent = h.tcp.send_with(&mut h.ip, id, data.len(), |a, b| put(&data, a, b)).expect("a cookie");
    assert!((500..1460).contains(&sent), "what a SYN takes: {sent}");
    let mut there = Vec::new();
    link.run(100, |l| {
        let h = &mut l.hosts[1];
        if let Ok((id, _)) = h.tcp.accept(&mut h.ip, listener) {
            let read = h.tcp.recv_with(&mut h.ip, id, |pieces| {
                there = pieces.concat();
                there.len()
            });
            assert_eq!(read, Ok(sent));
        }
        !there.is_empty()
    });
    assert_eq!(there, data[..sent]);
}

#[test]
fn the_second_request_arrives_a_round_trip_earlier() {
    let (mut link, listener) = link();
    for one_way in [3, 1] {
        let start = link.now;
        let there = request(&mut link, listener);
        assert_eq!(there.since(start), link.delay * one_way);
    }
    let (client, server) = (link.hosts[0].tcp.stats(), link.hosts[1].tcp.stats());
    assert_eq!((client.fast_open_active, server.fast_open_passive), (1, 1));
    assert_eq!((client.retrans_segs, server.retrans_segs), (0, 0));
}

#[test]
fn streams_are_whole_whichever_packet_is_lost_doubled_or_late() {
    for nth in 1..12 {
        for fate in [
            Fate { lost: true, ..Fate::default() },
            Fate { twice: true, ..Fate::default() },
            Fate { late_us: 3_000, ..Fate::default() },
        ] {
            let (mut link, listener) = link();
            request(&mut link, listener);
            let mut n = 0;
            link.fate = Box::new(move |_| {
                n += 1;
                if n == nth { fate } else { Fate::default() }
            });
            request(&mut link, listener);
        }
    }
}
