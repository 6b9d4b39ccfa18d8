//! recv(2) of streams: the flags, empty buffers, how much comes at once.

use crate::sockets::*;
use crate::verdict::compare;

#[test]
fn a_stream_has_no_boundaries() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"one", 0);
        t.send(p.client, b"two", 0);
        t.send(p.client, b"three", 0);
        t.arrived(p.server, 11);
        t.recv(p.server, 4, 0);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 100, 0);
        t.ioctl(p.server, FIONREAD);
    });
}

#[test]
fn dontwait() {
    compare(|t| {
        let p = t.pair();
        t.recv(p.client, 10, DONTWAIT);
        t.recv(p.client, 10, DONTWAIT | PEEK);
        t.nonblocking(p.client, true);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 0, 0);
    });
}

#[test]
fn a_time_limit() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.client, (1, 20), &[[0; 8], 1000u64.to_ne_bytes()].concat());
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, WAITALL);
        t.send(p.server, b"12", 0);
        t.wait(p.client, IN);
        t.recv(p.client, 10, WAITALL);
    });
}

#[test]
fn peek() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"abcdef", 0);
        t.arrived(p.server, 6);
        t.recv(p.server, 3, PEEK);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 2, 0);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, PEEK | DONTWAIT);
    });
}

#[test]
fn peek_at_the_end() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"x", 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, PEEK);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn waitall() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"one", 0);
        t.send(p.client, b"two", 0);
        t.recv(p.server, 6, WAITALL);
        t.send(p.client, b"four", 0);
        t.shutdown(p.client, 1);
        t.recv(p.server, 100, WAITALL);
        t.recv(p.server, 100, WAITALL);
    });
}

#[test]
fn waitall_that_may_not_wait() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"one", 0);
        t.arrived(p.server, 3);
        t.recv(p.server, 6, WAITALL | DONTWAIT);
        t.recv(p.server, 6, WAITALL | DONTWAIT);
        t.nonblocking(p.server, true);
        t.send(p.client, b"two", 0);
        t.wait(p.server, IN);
        t.recv(p.server, 6, WAITALL);
    });
}

#[test]
fn waitall_peek() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"123456", 0);
        t.arrived(p.server, 6);
        t.recv(p.server, 6, WAITALL | PEEK);
        t.recv(p.server, 4, WAITALL | PEEK);
        t.recv(p.server, 6, WAITALL);
    });
}

#[test]
fn trunc_throws_away() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"abcdef", 0);
        t.arrived(p.server, 6);
        t.discard(p.server, 4, TRUNC);
        t.recv(p.server, 10, 0);
        t.send(p.client, b"ghi", 0);
        t.arrived(p.server, 3);
        t.discard(p.server, 100, TRUNC);
        t.discard(p.server, 100, TRUNC | DONTWAIT);
    });
}

#[test]
fn trunc_peek() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"abcdef", 0);
        t.arrived(p.server, 6);
        t.discard(p.server, 4, TRUNC | PEEK);
        t.discard(p.server, 100, TRUNC | PEEK);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn trunc_waitall() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"abc", 0);
        t.send(p.client, b"defg", 0);
        t.discard(p.server, 5, TRUNC | WAITALL);
        t.recv(p.server, 2, WAITALL);
    });
}

#[test]
fn an_empty_buffer() {
    compare(|t| {
        let p = t.pair();
        t.recv(p.server, 0, DONTWAIT);
        t.send(p.client, b"x", 0);
        t.wait(p.server, IN);
        t.recv(p.server, 0, 0);
        t.recv(p.server, 0, PEEK);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 1, 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.recv(p.server, 0, 0);
    });
}

#[test]
fn unknown_flags_are_ignored() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"x", 0x0800_0000);
        t.wait(p.server, IN);
        t.recv(p.server, 10, 0x0800_0000);
        // MSG_CMSG_CLOEXEC, MSG_DONTROUTE, MSG_CTRUNC
        t.send(p.client, b"y", 0);
        t.wait(p.server, IN);
        t.recv(p.server, 10, 0x4000_0000 | DONTROUTE | 0x8);
    });
}

#[test]
fn the_end_is_told_again_and_again() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"x", 0);
        t.close(p.client);
        t.wait(p.server, RDHUP);
        for flags in [0, 0, PEEK, WAITALL, DONTWAIT, TRUNC] {
            t.recv(p.server, 1, flags);
        }
    });
}

#[test]
fn fionread_does_not_count_the_end() {
    compare(|t| {
        let p = t.pair();
        t.ioctl(p.server, FIONREAD);
        t.send(p.client, b"12345", 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 2, 0);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 10, 0);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 10, 0);
        t.ioctl(p.server, FIONREAD);
    });
}

#[test]
fn much() {
    compare(|t| {
        let p = t.pair();
        for _ in 0..10 {
            t.send(p.client, &[b'x'; 6000], 0);
        }
        t.arrived(p.server, 60_000);
        t.ioctl(p.server, FIONREAD);
        t.recv(p.server, 65_000, PEEK);
        t.recv(p.server, 50_000, WAITALL);
        t.recv(p.server, 65_000, 0);
    });
}
