//! After a reset: each call as the first one that meets it, and as a later one.

use crate::sockets::*;
use crate::trial::{Pair, Trial, loopback};
use crate::verdict::compare;

/// A connection whose client was reset.
fn reset(t: &mut Trial<'_>) -> Pair {
    let p = t.pair();
    t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
    t.close(p.server);
    t.wait(p.client, 0);
    p
}

#[test]
fn poll_tells_until_it_is_taken() {
    compare(|t| {
        let s = reset(t).client;
        t.poll(s);
        t.poll_for(s, 0);
        t.error(s);
        t.poll(s);
        t.poll_for(s, 0);
    });
}

#[test]
fn recv_first() {
    compare(|t| {
        let s = reset(t).client;
        t.recv(s, 10, 0);
        t.poll(s);
        t.recv(s, 10, 0);
        t.error(s);
        t.send(s, b"x", 0);
    });
}

#[test]
fn peek_first() {
    compare(|t| {
        let s = reset(t).client;
        t.recv(s, 10, PEEK);
        t.recv(s, 10, PEEK);
        t.recv(s, 10, 0);
    });
}

#[test]
fn recv_of_nothing_first() {
    compare(|t| {
        let s = reset(t).client;
        t.recv(s, 0, 0);
        t.recv(s, 10, 0);
    });
}

#[test]
fn urgent_first() {
    compare(|t| {
        let s = reset(t).client;
        t.recv(s, 1, OOB);
        t.recv(s, 10, 0);
        t.recv(s, 1, OOB);
    });
}

#[test]
fn send_first() {
    compare(|t| {
        let s = reset(t).client;
        t.send(s, b"x", 0);
        t.poll(s);
        t.send(s, b"x", 0);
        t.recv(s, 10, 0);
        t.error(s);
    });
}

#[test]
fn send_of_nothing_first() {
    compare(|t| {
        let s = reset(t).client;
        t.send(s, b"", 0);
        t.send(s, b"", 0);
    });
}

#[test]
fn so_error_first() {
    compare(|t| {
        let s = reset(t).client;
        t.error(s);
        t.error(s);
        t.recv(s, 10, 0);
        t.send(s, b"x", 0);
        t.recv(s, 10, 0);
    });
}

#[test]
fn shutdown_first() {
    compare(|t| {
        let s = reset(t).client;
        t.shutdown(s, 1);
        t.shutdown(s, 2);
        t.error(s);
    });
}

#[test]
fn connect_first() {
    compare(|t| {
        let s = reset(t).client;
        let (_l, addr) = t.listener();
        t.connect(s, addr);
        t.connect(s, addr);
        t.error(s);
    });
}

#[test]
fn connect_first_of_an_accepted_one() {
    compare(|t| {
        let p = t.pair();
        let (_l, addr) = t.listener();
        t.set_raw(p.client, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(p.client);
        t.wait(p.server, 0);
        t.connect(p.server, addr);
        t.error(p.server);
        t.connect(p.server, addr);
    });
}

#[test]
fn dissolve_and_connect() {
    compare(|t| {
        let s = reset(t).client;
        let (l, addr) = t.listener();
        t.connect_raw(s, &[0; 16]);
        t.error(s);
        t.connect(s, addr);
        t.names(s);
        let a = t.accept(l).unwrap();
        t.send(s, b"new life", 0);
        t.recv(a, 10, 0);
    });
}

#[test]
fn the_rest_of_the_calls() {
    compare(|t| {
        let s = reset(t).client;
        t.names(s);
        t.bind(s, loopback(0));
        t.accept(s);
        t.ioctl(s, FIONREAD);
        t.ioctl(s, SIOCATMARK);
        t.set(s, (6, 1), 1);
        t.get(s, (6, 1));
        t.get(s, (1, 30));
        t.flags(s);
        t.error(s);
    });
}

#[test]
fn seen_through_a_duplicate() {
    compare(|t| {
        let s = reset(t).client;
        let copy = t.dup(s).unwrap();
        t.error(copy);
        t.error(s);
        t.close(s);
        t.recv(copy, 10, 0);
        t.poll(copy);
    });
}

#[test]
fn data_is_read_first() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"before the storm", 0);
        t.wait(p.client, IN);
        t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(p.server);
        t.wait(p.client, 0);
        t.recv(p.client, 6, PEEK);
        t.recv(p.client, 6, 0);
        t.recv(p.client, 50, WAITALL);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn data_is_read_after_the_error_was_taken() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"kept", 0);
        t.wait(p.client, IN);
        t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(p.server);
        t.wait(p.client, 0);
        t.error(p.client);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.poll(p.client);
    });
}

#[test]
fn after_the_peers_end_is_epipe() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.close(p.server);
        t.wait(p.client, HUP);
        t.poll(p.client);
        t.send(p.client, b"x", 0);
        t.send(p.client, b"x", 0);
        t.error(p.client);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn after_our_own_end() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.wait(p.server, RDHUP);
        t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.send(p.client, b"x", 0);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}
