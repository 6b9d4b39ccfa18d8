//! connect(2) of streams: how it ends, how that is told, and what it is refused for.

use crate::sockets::*;
use crate::trial::{any, loopback};
use crate::verdict::compare;
use std::net::SocketAddr;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn blocking() {
    compare(|t| {
        let (_s, addr) = t.listener();
        let c = t.tcp();
        t.connect(c, addr);
        t.names(c);
        t.poll(c);
        t.connect(c, addr);
        t.error(c);
    });
}

#[test]
fn nonblocking() {
    compare(|t| {
        let (_s, addr) = t.listener();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.poll(c);
        t.error(c);
        t.connect(c, addr);
        t.connect(c, addr);
        t.names(c);
    });
}

#[test]
fn nonblocking_and_reset_before_it_was_told() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        let a = t.accept(s).unwrap();
        t.set_raw(a, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(a);
        t.wait(c, 0);
        t.connect(c, addr);
        t.poll(c);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.connect(c, addr);
        t.accept(s);
    });
}

#[test]
fn nonblocking_to_another_afterwards() {
    compare(|t| {
        let (_s, addr) = t.listener();
        let (_other, other) = t.listener();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.connect(c, other);
        t.connect(c, other);
        t.peername(c);
    });
}

#[test]
fn refused() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let c = t.tcp();
        t.connect(c, addr);
        t.error(c);
        t.names(c);
        t.poll(c);
        t.recv(c, 10, 0);
        t.send(c, b"x", 0);
    });
}

#[test]
fn refused_nonblocking_by_so_error() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.poll(c);
        t.names(c);
        t.error(c);
        t.poll(c);
        t.error(c);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.error(c);
    });
}

#[test]
fn refused_nonblocking_by_connect() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.connect(c, addr);
        t.error(c);
        t.poll(c);
        t.connect(c, addr);
    });
}

#[test]
fn refused_nonblocking_by_recv() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.recv(c, 10, 0);
        t.recv(c, 10, 0);
        t.error(c);
        t.connect(c, addr);
        t.connect(c, addr);
    });
}

#[test]
fn refused_nonblocking_by_send() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.wait(c, OUT);
        t.send(c, b"x", 0);
        t.send(c, b"x", 0);
        t.error(c);
    });
}

#[test]
fn again_after_a_refusal() {
    compare(|t| {
        let (_nobody, closed) = t.bound();
        let (s, open) = t.listener();
        let c = t.tcp();
        t.connect(c, closed);
        t.connect(c, open);
        t.accept(s);
        t.send(c, b"x", 0);
    });
}

#[test]
fn again_after_a_refusal_on_a_bound_port() {
    compare(|t| {
        let (_nobody, closed) = t.bound();
        let (s, open) = t.listener();
        let (c, _) = t.bound();
        t.sockname(c);
        t.connect(c, closed);
        t.sockname(c);
        t.bind(c, loopback(0));
        t.connect(c, open);
        t.names(c);
        t.accept(s);
    });
}

#[test]
fn in_progress() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 0);
        t.connected(addr);
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.connect(c, addr);
        t.poll(c);
        t.names(c);
        t.send(c, b"x", 0);
        t.send(c, b"", 0);
        t.recv(c, 10, 0);
        t.recv(c, 10, PEEK);
        t.recv(c, 10, OOB);
        t.get(c, (1, 30));
        t.close(c);
    });
}

#[test]
fn in_progress_shut_for_writing() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 0);
        t.connected(addr);
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.shutdown(c, 1);
        t.poll(c);
        t.error(c);
        t.names(c);
        t.connect(c, addr);
    });
}

#[test]
fn in_progress_dissolved() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 0);
        t.connected(addr);
        let c = t.tcp();
        t.nonblocking(c, true);
        t.connect(c, addr);
        t.connect_raw(c, &[0; 16]);
        t.poll(c);
        t.error(c);
        t.sockname(c);
        t.connect(c, addr);
    });
}

#[test]
fn a_time_limit() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 0);
        t.connected(addr);
        let c = t.tcp();
        t.set_raw(c, (1, 21), &[[0; 8], 1000u64.to_ne_bytes()].concat());
        t.connect(c, addr);
        t.connect(c, addr);
        t.poll(c);
    });
}

#[test]
fn to_everywhere_is_to_oneself() {
    compare(|t| {
        let s = t.tcp();
        t.bind(s, any(0));
        t.listen(s, 1);
        let port = t.own(s).port();
        let c = t.tcp();
        t.connect(c, any(port));
        t.names(c);
        t.accept(s);
    });
}

#[test]
fn to_port_0() {
    compare(|t| {
        let c = t.tcp();
        t.connect(c, loopback(0));
        t.names(c);
    });
}

#[test]
fn to_many() {
    compare(|t| {
        let c = t.tcp();
        t.connect(c, addr("255.255.255.255:9"));
        t.connect(c, addr("224.0.0.1:9"));
        t.names(c);
        t.poll(c);
    });
}

#[test]
fn addresses_that_are_none() {
    compare(|t| {
        let c = t.tcp();
        t.connect_raw(c, &[2, 0]);
        t.connect_raw(c, &[2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        t.connect_raw(c, &[1, 0, b'/', 0]);
        t.connect_raw(c, &[10, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.connect(c, addr("[::1]:9"));
        t.names(c);
    });
}

#[test]
fn to_unspec_when_new() {
    compare(|t| {
        let c = t.tcp();
        t.connect_raw(c, &[0; 16]);
        t.connect_raw(c, &[0; 2]);
        t.poll(c);
    });
}

#[test]
fn dissolving_resets() {
    compare(|t| {
        let p = t.pair();
        t.connect_raw(p.client, &[0; 16]);
        t.names(p.client);
        t.poll(p.client);
        t.error(p.client);
        t.wait(p.server, 0);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn dissolved_and_connected_again() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        let first = t.accept(s).unwrap();
        t.send(first, b"old", 0);
        t.wait(c, IN);
        t.connect_raw(c, &[0; 16]);
        t.recv(c, 10, 0);
        t.connect(c, addr);
        let second = t.accept(s).unwrap();
        t.send(second, b"new", 0);
        t.recv(c, 10, 0);
        t.peername(c);
    });
}

#[test]
fn a_listener_dissolved() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.connect_raw(s, &[0; 16]);
        t.sockname(s);
        t.get(s, (1, 30));
        let c = t.tcp();
        t.connect(c, addr);
        t.poll(s);
    });
}

#[test]
fn to_oneself() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.connect(s, addr);
        t.names(s);
        t.poll(s);
        t.send(s, b"echo", 0);
        t.wait(s, IN);
        t.recv(s, 10, 0);
        t.shutdown(s, 1);
        t.wait(s, RDHUP);
        t.recv(s, 10, 0);
        t.poll(s);
    });
}

#[test]
fn to_oneself_nonblocking() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.nonblocking(s, true);
        t.connect(s, addr);
        t.wait(s, OUT);
        t.error(s);
        t.names(s);
        t.connect(s, addr);
        t.connect(s, addr);
    });
}

#[test]
fn from_a_bound_port() {
    compare(|t| {
        let (s, addr) = t.listener();
        let (c, _) = t.bound();
        t.sockname(c);
        t.connect(c, addr);
        t.names(c);
        t.accept(s);
    });
}

#[test]
fn from_another_loopback_address() {
    compare(|t| {
        let (s, to) = t.listener();
        let c = t.tcp();
        t.bind(c, addr("127.0.0.2:0"));
        t.connect(c, to);
        t.names(c);
        t.accept(s);
    });
}

#[test]
fn the_same_ends_twice() {
    compare(|t| {
        let (_s, to) = t.listener();
        let (a, from) = t.bound();
        t.set(a, (1, 2), 1);
        t.connect(a, to);
        let b = t.tcp();
        t.set(b, (1, 2), 1);
        t.bind(b, from);
        t.connect(b, to);
        t.names(b);
    });
}

#[test]
fn a_socket_that_was_connected() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        let a = t.accept(s).unwrap();
        t.shutdown(c, 1);
        t.wait(a, RDHUP);
        t.close(a);
        t.wait(c, RDHUP);
        t.wait(c, HUP);
        t.connect(c, addr);
        t.listen(c, 1);
        t.names(c);
    });
}

#[test]
fn bound_again_in_time_wait() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.close(p.server);
        t.wait(p.client, HUP);
        t.bind(p.client, loopback(0));
    });
}
