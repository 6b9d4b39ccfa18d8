//! listen(2): when it may be called, what a listening socket refuses, its backlog, its end.

use crate::sockets::*;
use crate::trial::{any, loopback};
use crate::verdict::compare;

#[test]
fn unbound() {
    compare(|t| {
        let s = t.tcp();
        t.listen(s, 1);
        t.names(s);
        let addr = t.own(s);
        let c = t.tcp();
        t.connect(c, loopback(addr.port()));
        t.names(c);
        t.accept(s);
    });
}

#[test]
fn twice() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 1);
        t.listen(s, 5);
        t.get(s, (1, 30));
        let c = t.tcp();
        t.connect(c, addr);
    });
}

#[test]
fn any_backlog() {
    compare(|t| {
        for backlog in [-1, 0, 1, i32::MAX, i32::MIN] {
            let s = t.tcp();
            t.listen(s, backlog);
        }
    });
}

#[test]
fn on_a_connection() {
    compare(|t| {
        let p = t.pair();
        t.listen(p.client, 1);
        t.listen(p.server, 1);
        t.shutdown(p.client, 1);
        t.listen(p.client, 1);
    });
}

#[test]
fn on_a_broken_connection() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, (1, 13), &[1, 0, 0, 0, 0, 0, 0, 0]);
        t.close(p.server);
        t.wait(p.client, 0);
        t.listen(p.client, 1);
    });
}

#[test]
fn after_a_refused_connect() {
    compare(|t| {
        let (_nobody, addr) = t.bound();
        let s = t.tcp();
        t.connect(s, addr);
        t.listen(s, 1);
        t.names(s);
    });
}

#[test]
fn while_connecting() {
    compare(|t| {
        let (l, addr) = t.bound();
        t.listen(l, 0);
        t.connected(addr);
        let s = t.tcp();
        t.nonblocking(s, true);
        t.connect(s, addr);
        t.listen(s, 1);
        t.bind(s, loopback(0));
    });
}

#[test]
fn on_datagrams() {
    compare(|t| {
        let (s, _) = t.udp_bound();
        t.listen(s, 1);
        t.get(s, (1, 30));
    });
}

#[test]
fn refuses_all_but_accept() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.recv(s, 10, 0);
        t.recv(s, 10, PEEK);
        t.recv(s, 10, OOB);
        t.recv(s, 0, 0);
        t.send(s, b"x", 0);
        t.connect(s, addr);
        t.bind(s, any(0));
        t.peername(s);
        t.ioctl(s, FIONREAD);
        t.ioctl(s, SIOCOUTQ);
        t.ioctl(s, SIOCATMARK);
        t.error(s);
        t.poll(s);
    });
}

#[test]
fn is_readable_with_connections() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.poll(s);
        let (a, b) = (t.connected(addr), t.connected(addr));
        t.wait(s, IN);
        t.poll(s);
        t.accept(s);
        t.poll(s);
        t.accept(s);
        t.poll(s);
        t.poll_all(&[a, b, s]);
    });
}

#[test]
fn shut_for_writing() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.shutdown(s, 1);
        t.poll(s);
        let c = t.tcp();
        t.connect(c, addr);
        t.accept(s);
    });
}

#[test]
fn shut_for_reading() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.shutdown(s, 0);
        t.poll(s);
        t.accept(s);
        t.get(s, (1, 30));
        t.sockname(s);
        let c = t.tcp();
        t.connect(c, addr);
    });
}

#[test]
fn shut_and_listening_again() {
    compare(|t| {
        let (s, _) = t.listener();
        t.shutdown(s, 2);
        t.sockname(s);
        t.listen(s, 1);
        t.sockname(s);
        let addr = loopback(t.own(s).port());
        let c = t.tcp();
        t.connect(c, addr);
        t.poll(s);
        t.accept(s);
    });
}

#[test]
fn its_end_resets_who_waits() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.wait(s, IN);
        t.close(s);
        t.wait(c, 0);
        t.poll(c);
        t.recv(c, 10, 0);
        t.recv(c, 10, 0);
    });
}

#[test]
fn its_shutdown_resets_who_waits() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        t.wait(s, IN);
        t.shutdown(s, 0);
        t.wait(c, 0);
        t.poll(c);
        t.error(c);
        t.error(c);
    });
}

#[test]
fn its_end_leaves_the_accepted() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.connected(addr);
        let a = t.accept(s).unwrap();
        t.close(s);
        t.send(c, b"on", 0);
        t.recv(a, 10, 0);
        t.poll(c);
        let late = t.tcp();
        t.connect(late, addr);
    });
}

#[test]
fn a_full_backlog_keeps_connects_waiting() {
    compare(|t| {
        let (s, addr) = t.bound();
        t.listen(s, 0);
        t.connected(addr);
        let late = t.tcp();
        t.nonblocking(late, true);
        t.connect(late, addr);
        t.poll(late);
        t.connect(late, addr);
        t.error(late);
        t.names(late);
        t.recv(late, 10, 0);
        t.send(late, b"x", 0);
        t.ioctl(late, FIONREAD);
        t.ioctl(late, SIOCOUTQ);
        // The SYN is sent again after a second.
        t.accept(s);
        t.wait(late, OUT);
        t.connect(late, addr);
        t.accept(s);
    });
}
