//! Urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI.

use crate::sockets::*;
use crate::verdict::compare;

const OOBINLINE: (u32, u32) = (1, 10);

#[test]
fn out_of_band() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"abc", OOB);
        t.wait(p.server, PRI);
        t.poll(p.server);
        t.ioctl(p.server, SIOCATMARK);
        t.recv(p.server, 10, OOB);
        t.poll(p.server);
        t.recv(p.server, 10, OOB);
        t.recv(p.server, 10, 0);
        t.ioctl(p.server, SIOCATMARK);
        t.poll(p.server);
        t.recv(p.server, 10, DONTWAIT);
    });
}

#[test]
fn the_stream_stops_at_the_mark() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"before", 0);
        t.send(p.client, b"!", OOB);
        t.send(p.client, b"after", 0);
        t.acked(p.client);
        t.ioctl(p.server, FIONREAD);
        t.ioctl(p.server, SIOCATMARK);
        t.recv(p.server, 100, 0);
        t.ioctl(p.server, SIOCATMARK);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 100, OOB);
        t.recv(p.server, 100, 0);
        t.ioctl(p.server, SIOCATMARK);
        t.poll(p.server);
    });
}

#[test]
fn the_mark_is_passed_unread() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"ab!", OOB);
        t.send(p.client, b"cd", 0);
        t.acked(p.client);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
        t.recv(p.server, 1, OOB);
    });
}

#[test]
fn at_the_very_beginning() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"!", OOB);
        t.wait(p.server, PRI);
        t.ioctl(p.server, SIOCATMARK);
        t.ioctl(p.server, FIONREAD);
        t.poll(p.server);
        t.recv(p.server, 10, DONTWAIT);
        t.ioctl(p.server, SIOCATMARK);
        t.recv(p.server, 1, OOB);
        t.poll(p.server);
    });
}

#[test]
fn peeked() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"x!", OOB);
        t.wait(p.server, PRI);
        t.recv(p.server, 1, OOB | PEEK);
        t.recv(p.server, 1, OOB | PEEK);
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 1, OOB | PEEK);
    });
}

#[test]
fn the_stream_peeked_to_the_mark() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"ab!", OOB);
        t.send(p.client, b"cd", 0);
        t.acked(p.client);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 2, 0);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn none_there() {
    compare(|t| {
        let p = t.pair();
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 1, OOB | DONTWAIT);
        t.recv(p.server, 0, OOB);
        t.send(p.client, b"x", 0);
        t.wait(p.server, IN);
        t.recv(p.server, 1, OOB);
        t.ioctl(p.server, SIOCATMARK);
        t.recv(p.server, 1, 0);
    });
}

#[test]
fn into_an_empty_buffer() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"!", OOB);
        t.wait(p.server, PRI);
        t.recv(p.server, 0, OOB);
        t.recv(p.server, 1, OOB);
    });
}

#[test]
fn a_second_one_replaces_it() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"a1", OOB);
        t.wait(p.server, PRI);
        t.send(p.client, b"b2", OOB);
        t.acked(p.client);
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, DONTWAIT);
    });
}

#[test]
fn one_after_the_other() {
    compare(|t| {
        let p = t.pair();
        for octet in [b"1", b"2", b"3"] {
            t.send(p.client, octet, OOB);
            t.wait(p.server, PRI);
            t.recv(p.server, 1, OOB);
        }
        t.recv(p.server, 10, DONTWAIT);
        t.poll(p.server);
    });
}

#[test]
fn in_line() {
    compare(|t| {
        let p = t.pair();
        t.set(p.server, OOBINLINE, 1);
        t.send(p.client, b"ab!", OOB);
        t.send(p.client, b"cd", 0);
        t.acked(p.client);
        t.poll(p.server);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 10, 0);
        t.ioctl(p.server, SIOCATMARK);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
        t.ioctl(p.server, SIOCATMARK);
        t.poll(p.server);
    });
}

#[test]
fn put_in_line_late() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"ab!", OOB);
        t.wait(p.server, PRI);
        t.set(p.server, OOBINLINE, 1);
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, DONTWAIT);
    });
}

#[test]
fn waitall_stops_at_the_mark() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"ab!", OOB);
        t.send(p.client, b"cd", 0);
        t.acked(p.client);
        t.recv(p.server, 4, WAITALL);
        t.recv(p.server, 4, DONTWAIT);
    });
}

#[test]
fn then_the_end() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"ab!", OOB);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 1, OOB);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 1, OOB);
        t.poll(p.server);
    });
}

#[test]
fn unread_at_close() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"!", OOB);
        t.wait(p.server, PRI);
        t.recv(p.server, 1, OOB);
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn of_nothing() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"", OOB);
        t.send(p.client, b"x", 0);
        t.wait(p.server, IN);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn after_shutdown() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.send(p.client, b"!", OOB);
        t.wait(p.server, RDHUP);
        t.recv(p.server, 1, OOB);
    });
}
