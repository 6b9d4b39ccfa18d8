//! accept(2): its order, its flags, and connections to which something happened before.

use crate::sockets::*;
use crate::verdict::compare;

#[test]
fn first_come_first_served() {
    compare(|t| {
        let (s, addr) = t.listener();
        let clients = [t.connected(addr), t.connected(addr), t.connected(addr)];
        for c in clients {
            t.sockname(c);
        }
        for _ in clients {
            let a = t.accept(s).unwrap();
            t.names(a);
        }
    });
}

#[test]
fn nobody_came() {
    compare(|t| {
        let (s, _) = t.listener();
        t.nonblocking(s, true);
        t.accept(s);
        t.accept4(s, NONBLOCK);
    });
}

#[test]
fn a_time_limit() {
    compare(|t| {
        let (s, _) = t.listener();
        t.set_raw(s, (1, 20), &[[0; 8], 1000u64.to_ne_bytes()].concat());
        t.accept(s);
    });
}

#[test]
fn flags() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.nonblocking(s, true);
        for flags in [0, NONBLOCK, NONBLOCK | CLOEXEC] {
            t.connected(addr);
            t.wait(s, IN);
            let a = t.accept4(s, flags).unwrap();
            t.flags(a);
        }
    });
}

#[test]
fn flags_that_are_none() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.connected(addr);
        t.wait(s, IN);
        t.accept4(s, 1);
        t.accept4(s, 0x4000_0000);
        t.poll(s);
    });
}

#[test]
fn where_nobody_listens() {
    compare(|t| {
        let (bound, _) = t.bound();
        let p = t.pair();
        let udp = t.udp();
        for s in [bound, p.client, p.server, udp] {
            t.accept(s);
        }
    });
}

#[test]
fn data_came_before() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.send(c, b"early", 0);
        t.acked(c);
        let a = t.accept(s).unwrap();
        t.poll(a);
        t.recv(a, 10, 0);
    });
}

#[test]
fn the_end_came_before() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.send(c, b"bye", 0);
        t.shutdown(c, 1);
        t.acked(c);
        let a = t.accept(s).unwrap();
        t.poll(a);
        t.recv(a, 10, 0);
        t.recv(a, 10, 0);
        t.send(a, b"answer", 0);
        t.recv(c, 10, 0);
    });
}

#[test]
fn the_reset_came_before() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.wait(s, IN);
        t.set_raw(c, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(c);
        t.poll(s);
        let a = t.accept(s).unwrap();
        t.wait(a, 0);
        t.poll(a);
        t.names(a);
        t.recv(a, 10, 0);
        t.recv(a, 10, 0);
    });
}

#[test]
fn data_and_the_reset_came_before() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.send(c, b"last words", 0);
        t.acked(c);
        t.set_raw(c, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(c);
        let a = t.accept(s).unwrap();
        t.wait(a, 0);
        t.poll(a);
        t.recv(a, 20, 0);
        t.recv(a, 20, 0);
        t.recv(a, 20, 0);
        t.send(a, b"x", 0);
    });
}
