//! Which error wins when a call is wrong in more than one way, and calls for the wrong kind of socket.

use crate::sockets::*;
use crate::trial::{Sock, loopback};
use crate::verdict::compare;

#[test]
fn bad_descriptor_wins() {
    compare(|t| {
        t.bind_raw(Sock::NONE, &[2, 0]);
        t.connect_raw(Sock::NONE, &[1, 0]);
        t.shutdown(Sock::NONE, 77);
        t.set_raw(Sock::NONE, (99, 99), &[]);
        t.get_raw(Sock::NONE, (99, 99), 0);
        t.accept4(Sock::NONE, 1);
        t.send_to_raw(Sock::NONE, b"x", &[1, 0]);
    });
}

#[test]
fn bad_flags_of_accept_win() {
    compare(|t| {
        let s = t.tcp();
        t.accept4(s, 1);
        let u = t.udp();
        t.accept4(u, 1);
    });
}

#[test]
fn unknown_option_or_short_value() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, (1, 999), &[]);
        t.set_raw(s, (6, 999), &[]);
        t.set_raw(s, (0, 999), &[]);
        t.set_raw(s, (99, 1), &[]);
        t.get_raw(s, (1, 999), 0);
        t.get_raw(s, (6, 999), 0);
        t.get_raw(s, (99, 1), 0);
    });
}

#[test]
fn urgent_data_of_datagrams() {
    compare(|t| {
        let (a, addr) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"x", OOB, addr);
        t.recv(a, 1, OOB | DONTWAIT);
        t.ioctl(a, SIOCATMARK);
    });
}

#[test]
fn error_queue_of_a_stream() {
    compare(|t| {
        let p = t.pair();
        t.recv(p.client, 10, ERRQUEUE);
        t.send(p.server, b"x", 0);
        t.wait(p.client, IN);
        t.recv(p.client, 10, ERRQUEUE);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn a_streams_address_is_not_looked_at() {
    compare(|t| {
        let p = t.pair();
        t.send_to(p.client, b"one", 0, loopback(1));
        t.send_to_raw(p.client, b"two", &[1, 0, 0, 0]);
        t.arrived(p.server, 6);
        t.recv(p.server, 10, 0);
        let s = t.tcp();
        t.send_to(s, b"x", 0, loopback(1));
    });
}

#[test]
fn options_of_the_other_protocol() {
    compare(|t| {
        let (tcp, udp) = (t.tcp(), t.udp());
        t.get(udp, (6, 1));
        t.set(udp, (6, 1), 1);
        t.get(tcp, (17, 1));
        t.set(tcp, (17, 1), 1);
    });
}
