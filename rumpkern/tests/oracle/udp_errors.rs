//! Datagrams that do not arrive: ICMP errors, sizes, broadcasts, shutdown.

use crate::sockets::*;
use crate::trial::{Trial, any, loopback};
use crate::verdict::compare;
use std::net::SocketAddr;

/// An address that nobody else can take and where nobody hears us: its socket listens to another peer.
fn deaf(t: &mut Trial<'_>) -> SocketAddr {
    let (_peer, elsewhere) = t.udp_bound();
    let (s, at) = t.udp_bound();
    t.connect(s, elsewhere);
    at
}

#[test]
fn refused_when_connected() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"x", 0);
        t.wait(s, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        t.poll(s);
        t.recv(s, 10, DONTWAIT);
    });
}

#[test]
fn refused_and_taken_by_so_error() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"x", 0);
        t.wait(s, 0);
        t.error(s);
        t.error(s);
        t.poll(s);
        t.recv(s, 10, DONTWAIT);
    });
}

#[test]
fn refused_and_taken_by_send() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"one", 0);
        t.wait(s, 0);
        t.send(s, b"two", 0);
        t.poll_for(s, IN);
        t.send(s, b"three", 0);
        t.wait(s, 0);
        t.error(s);
    });
}

#[test]
fn refused_and_taken_by_peek() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"one", 0);
        t.wait(s, 0);
        t.recv(s, 10, PEEK);
        t.recv(s, 10, PEEK | DONTWAIT);
    });
}

#[test]
fn refused_and_dissolved() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"one", 0);
        t.wait(s, 0);
        t.connect_raw(s, &[0; 16]);
        t.error(s);
    });
}

#[test]
fn refused_and_connected_elsewhere() {
    compare(|t| {
        let nobody = deaf(t);
        let (a, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, nobody);
        t.send(s, b"one", 0);
        t.wait(s, 0);
        t.connect(s, to);
        t.error(s);
        t.send(s, b"two", 0);
        t.recv(a, 10, 0);
    });
}

#[test]
fn data_and_an_error() {
    compare(|t| {
        let (peer, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, to);
        let at = t.own(s);
        t.send_to(peer, b"before", 0, at);
        t.wait(s, IN);
        t.close(peer);
        t.send(s, b"x", 0);
        t.wait(s, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        t.recv(s, 10, 0);
    });
}

#[test]
fn unconnected_hears_of_nothing() {
    compare(|t| {
        let nobody = deaf(t);
        let (a, to) = t.udp_bound();
        let s = t.udp();
        t.send_to(s, b"x", 0, nobody);
        t.send_to(s, b"y", 0, to);
        t.recv(a, 10, 0);
        t.error(s);
        t.poll(s);
    });
}

#[test]
fn unconnected_that_asks_for_errors() {
    compare(|t| {
        let nobody = deaf(t);
        let s = t.udp();
        t.set(s, (0, 11), 1);
        t.get(s, (0, 11));
        t.send_to(s, b"x", 0, nobody);
        t.wait(s, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        t.poll(s);
        t.recv(s, 10, ERRQUEUE);
        t.poll(s);
        t.recv(s, 10, ERRQUEUE);
    });
}

#[test]
fn too_long() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let s = t.udp();
        t.set(s, (1, 7), 400_000);
        t.set(a, (1, 8), 400_000);
        for len in [65_507, 65_508, 65_535] {
            t.send_to(s, &vec![b'x'; len], 0, to);
        }
        t.recv(a, 65_535, 0);
        t.poll(a);
        t.error(s);
    });
}

#[test]
fn broadcasts_need_permission() {
    compare(|t| {
        let s = t.udp();
        let everybody: SocketAddr = "127.255.255.255:9".parse().unwrap();
        t.send_to(s, b"x", 0, everybody);
        t.connect(s, everybody);
        t.peername(s);
        t.set(s, (1, 6), 1);
        t.connect(s, everybody);
        t.peername(s);
    });
}

#[test]
fn a_broadcast_comes_once() {
    compare(|t| {
        let a = t.udp();
        t.bind(a, any(0));
        let port = t.own(a).port();
        let s = t.udp();
        t.set(s, (1, 6), 1);
        t.send_to(s, b"all", 0, SocketAddr::from(([127, 255, 255, 255], port)));
        t.recv(a, 10, 0);
        t.recv(a, 10, DONTWAIT);
        let narrow = t.udp();
        t.bind(narrow, loopback(0));
        let port = t.own(narrow).port();
        t.send_to(s, b"all", 0, SocketAddr::from(([127, 255, 255, 255], port)));
        t.poll(narrow);
    });
}

#[test]
fn shutdown_needs_a_peer() {
    compare(|t| {
        let s = t.udp();
        t.shutdown(s, 9);
        t.shutdown(s, 1);
        t.poll(s);
        t.send_to(s, b"x", 0, loopback(9));
        let s = t.udp();
        t.shutdown(s, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        let s = t.udp();
        t.shutdown(s, 2);
        t.poll(s);
    });
}

#[test]
fn shut_for_reading() {
    compare(|t| {
        let (peer, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, to);
        let at = t.own(s);
        t.shutdown(s, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        t.send_to(peer, b"late", 0, at);
        t.arrived(s, 4);
        t.recv(s, 10, 0);
        t.recv(s, 10, 0);
        t.send(s, b"goes", 0);
        t.recv(peer, 10, 0);
    });
}

#[test]
fn shut_for_writing() {
    compare(|t| {
        let (peer, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, to);
        let at = t.own(s);
        t.shutdown(s, 1);
        t.poll(s);
        t.send(s, b"x", 0);
        t.send_to(peer, b"comes", 0, at);
        t.recv(s, 10, 0);
        t.recv(s, 10, DONTWAIT);
    });
}

#[test]
fn shut_both_ways() {
    compare(|t| {
        let (_peer, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, to);
        t.shutdown(s, 2);
        t.poll(s);
        t.recv(s, 10, 0);
        t.send(s, b"x", 0);
        t.names(s);
        t.connect(s, to);
        t.send(s, b"x", 0);
    });
}

#[test]
fn more_makes_one_of_two() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let s = t.udp();
        t.send_to(s, b"one ", MORE, to);
        t.poll(a);
        t.send_to(s, b"two", 0, to);
        t.recv(a, 20, 0);
        t.recv(a, 20, DONTWAIT);
    });
}

#[test]
fn flags_that_change_nothing() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let s = t.udp();
        for flags in [DONTROUTE, DONTWAIT, 0x80, 0x800, PEEK, WAITALL] {
            t.send_to(s, b"x", flags, to);
            t.recv(a, 10, 0);
        }
    });
}

#[test]
fn a_time_limit() {
    compare(|t| {
        let (s, _) = t.udp_bound();
        t.set_raw(s, (1, 20), &[[0; 8], 1000u64.to_ne_bytes()].concat());
        t.recv(s, 10, 0);
        t.recv(s, 10, PEEK);
    });
}
