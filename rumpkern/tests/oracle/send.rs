//! send(2) of streams: the flags, nothing at all, a full buffer.

use crate::sockets::*;
use crate::verdict::compare;

#[test]
fn nothing() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"", 0);
        t.send(p.client, b"", DONTWAIT | MORE);
        t.ioctl(p.client, SIOCOUTQ);
        t.poll(p.server);
        t.shutdown(p.client, 1);
        t.send(p.client, b"", 0);
    });
}

#[test]
fn more() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"one ", MORE);
        t.send(p.client, b"two ", MORE);
        t.send(p.client, b"three", 0);
        t.recv(p.server, 13, WAITALL);
    });
}

#[test]
fn more_and_the_end() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"held", MORE);
        t.shutdown(p.client, 1);
        t.recv(p.server, 20, WAITALL);
    });
}

#[test]
fn cork() {
    compare(|t| {
        let p = t.pair();
        t.set(p.client, (6, 3), 1);
        t.send(p.client, b"one ", 0);
        t.send(p.client, b"two", 0);
        t.set(p.client, (6, 3), 0);
        t.arrived(p.server, 7);
        t.recv(p.server, 20, 0);
    });
}

#[test]
fn cork_and_close() {
    compare(|t| {
        let p = t.pair();
        t.set(p.client, (6, 3), 1);
        t.send(p.client, b"held", 0);
        t.close(p.client);
        t.recv(p.server, 20, WAITALL);
        t.recv(p.server, 20, 0);
    });
}

#[test]
fn flags_that_change_nothing() {
    compare(|t| {
        let p = t.pair();
        // MSG_DONTROUTE, MSG_EOR, MSG_CONFIRM, MSG_PEEK, MSG_WAITALL
        for flags in [DONTROUTE, 0x80, 0x800, PEEK, WAITALL] {
            t.send(p.client, b"x", flags);
        }
        t.arrived(p.server, 5);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn a_full_buffer() {
    compare(|t| {
        let p = t.pair();
        t.fill(p.client);
        t.send(p.client, b"x", DONTWAIT);
        t.nonblocking(p.client, true);
        t.send(p.client, b"x", 0);
        t.send(p.client, b"", 0);
    });
}

#[test]
fn a_full_buffer_and_a_time_limit() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.client, (1, 21), &[[0; 8], 1000u64.to_ne_bytes()].concat());
        t.fill(p.client);
        t.send(p.client, b"x", 0);
    });
}

#[test]
fn a_full_buffer_and_a_reset() {
    compare(|t| {
        let p = t.pair();
        t.fill(p.client);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.send(p.client, b"x", 0);
        t.send(p.client, b"x", 0);
    });
}

#[test]
fn what_is_not_acknowledged() {
    compare(|t| {
        let p = t.pair();
        t.ioctl(p.client, SIOCOUTQ);
        t.send(p.client, b"12345", 0);
        t.acked(p.client);
        t.ioctl(p.client, SIOCOUTQ);
        t.ioctl(p.server, FIONREAD);
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.ioctl(p.client, SIOCOUTQ);
    });
}

#[test]
fn both_directions_at_once() {
    compare(|t| {
        let p = t.pair();
        for n in 0..5u8 {
            t.send(p.client, &[b'a' + n], 0);
            t.send(p.server, &[b'A' + n], 0);
        }
        t.recv(p.client, 5, WAITALL);
        t.recv(p.server, 5, WAITALL);
    });
}
