//! poll(2): which bits are there in which phase, and what is told unasked.

use crate::sockets::*;
use crate::trial::{Sock, loopback};
use crate::verdict::compare;

#[test]
fn new_and_bound() {
    compare(|t| {
        let s = t.tcp();
        t.poll(s);
        t.poll_for(s, IN);
        t.poll_for(s, 0);
        t.bind(s, loopback(0));
        t.poll(s);
    });
}

#[test]
fn connected() {
    compare(|t| {
        let p = t.pair();
        t.poll_all(&[p.client, p.server]);
        t.poll_for(p.client, IN);
        t.poll_for(p.client, 0);
    });
}

#[test]
fn data() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"12", 0);
        t.wait(p.server, IN);
        t.poll(p.server);
        t.recv(p.server, 1, 0);
        t.poll(p.server);
        t.recv(p.server, 1, 0);
        t.poll(p.server);
    });
}

#[test]
fn only_what_was_asked() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"x", 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        for events in [0, IN, OUT, PRI, RDHUP, IN | OUT, ERR, HUP] {
            t.poll_for(p.server, events);
        }
    });
}

#[test]
fn other_names_of_the_bits() {
    compare(|t| {
        let p = t.pair();
        // RDNORM, RDBAND, WRNORM, WRBAND
        let all = 0x40 | 0x80 | 0x100 | 0x200;
        t.poll_for(p.client, all);
        t.send(p.server, b"x", 0);
        t.wait(p.client, IN);
        t.poll_for(p.client, all);
        t.poll_for(p.client, 0x40);
        let (l, addr) = t.listener();
        t.connected(addr);
        t.wait(l, IN);
        t.poll_for(l, all);
        let (u, addr) = t.udp_bound();
        t.poll_for(u, all);
        t.send_to(u, b"x", 0, addr);
        t.wait(u, IN);
        t.poll_for(u, all);
    });
}

#[test]
fn waiting_for_the_other_names() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"x", 0);
        t.wait(p.client, 0x40);
        t.wait(p.client, 0x100);
    });
}

#[test]
fn the_peers_end() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.poll(p.client);
        t.recv(p.client, 1, 0);
        t.poll(p.client);
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.poll_all(&[p.client, p.server]);
    });
}

#[test]
fn our_own_end() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.poll(p.client);
        t.send(p.server, b"x", 0);
        t.wait(p.client, IN);
        t.poll(p.client);
    });
}

#[test]
fn a_full_buffer_is_not_writable() {
    compare(|t| {
        let p = t.pair();
        t.nonblocking(p.client, true);
        let n = t.fill(p.client);
        t.poll(p.client);
        t.send(p.client, b"x", 0);
        t.poll(p.server);
        // The peer reads: there is room again, and nothing was lost.
        t.drain(p.server, n);
        t.wait(p.client, OUT);
        t.acked(p.client);
        t.poll_all(&[p.client, p.server]);
    });
}

#[test]
fn a_full_buffer_that_is_shut() {
    compare(|t| {
        let p = t.pair();
        t.nonblocking(p.client, true);
        let n = t.fill(p.client);
        t.shutdown(p.client, 1);
        t.poll(p.client);
        t.send(p.client, b"x", 0);
        t.drain(p.server, n);
        t.wait(p.server, RDHUP);
        t.recv(p.server, 1, 0);
    });
}

#[test]
fn a_low_water_mark() {
    compare(|t| {
        let p = t.pair();
        t.set(p.server, (1, 18), 4);
        t.get(p.server, (1, 18));
        t.send(p.client, b"123", 0);
        t.arrived(p.server, 3);
        t.poll(p.server);
        t.send(p.client, b"4", 0);
        t.wait(p.server, IN);
        t.poll(p.server);
        t.recv(p.server, 1, 0);
        t.poll(p.server);
        t.set(p.server, (1, 18), 1);
        t.poll(p.server);
    });
}

#[test]
fn a_low_water_mark_and_the_end() {
    compare(|t| {
        let p = t.pair();
        t.set(p.server, (1, 18), 100);
        t.send(p.client, b"123", 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
    });
}

#[test]
fn who_is_not_there() {
    compare(|t| {
        let s = t.udp();
        t.poll_all(&[s, Sock::NONE, s]);
        t.poll_for(Sock::NONE, 0);
    });
}

#[test]
fn the_same_twice() {
    compare(|t| {
        let p = t.pair();
        t.poll_all(&[p.client, p.client]);
    });
}

#[test]
fn datagrams() {
    compare(|t| {
        let (a, addr) = t.udp_bound();
        let b = t.udp();
        t.poll_all(&[a, b]);
        t.send_to(b, b"x", 0, addr);
        t.wait(a, IN);
        t.poll(a);
        t.recv(a, 10, PEEK);
        t.poll(a);
        t.recv(a, 10, 0);
        t.poll(a);
        t.send_to(b, b"", 0, addr);
        t.wait(a, IN);
        t.poll(a);
    });
}
