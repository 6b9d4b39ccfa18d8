//! socket(2), close(2), dup(2), fcntl(2), and calls on what is not there.

use crate::sockets::*;
use crate::trial::{Sock, loopback};
use crate::verdict::compare;

#[test]
fn stream_by_protocol() {
    compare(|t| {
        for protocol in [0, 6, 17, 1, 255] {
            t.socket(AF_INET, STREAM, protocol);
        }
    });
}

#[test]
fn dgram_by_protocol() {
    compare(|t| {
        for protocol in [0, 17, 6] {
            t.socket(AF_INET, DGRAM, protocol);
        }
    });
}

#[test]
fn raw_needs_a_protocol() {
    compare(|t| {
        t.socket(AF_INET, RAW, 0);
    });
}

#[test]
fn types_that_are_none() {
    compare(|t| {
        for kind in [0, 4, 5, 6, 11, 15] {
            t.socket(AF_INET, kind, 0);
        }
    });
}

#[test]
fn flags_that_are_none() {
    compare(|t| {
        for flag in [0x10, 0x100, 0x4000_0000] {
            t.socket(AF_INET, STREAM | flag, 0);
        }
    });
}

#[test]
fn families_that_are_none() {
    compare(|t| {
        for family in [AF_UNSPEC, 46, 12_345, u32::MAX] {
            t.socket(family, STREAM, 0);
        }
    });
}

#[test]
fn protocols_that_are_none() {
    compare(|t| {
        for protocol in [263, 300, 65_536 + 6, u32::MAX] {
            t.socket(AF_INET, STREAM, protocol);
            t.socket(AF_INET, DGRAM, protocol);
        }
    });
}

#[test]
fn nonblocking_from_birth() {
    compare(|t| {
        for kind in [STREAM, STREAM | NONBLOCK, DGRAM | NONBLOCK | CLOEXEC] {
            let s = t.socket(AF_INET, kind, 0).unwrap();
            t.flags(s);
        }
    });
}

#[test]
fn nonblocking_by_fcntl() {
    compare(|t| {
        let s = t.udp();
        t.flags(s);
        t.nonblocking(s, true);
        t.flags(s);
        t.recv(s, 10, 0);
        t.nonblocking(s, false);
        t.flags(s);
    });
}

#[test]
fn nonblocking_by_ioctl() {
    compare(|t| {
        let s = t.tcp();
        t.ioctl_with(s, FIONBIO, 1);
        t.flags(s);
        t.ioctl_with(s, FIONBIO, 0);
        t.flags(s);
    });
}

#[test]
fn unknown_ioctl() {
    compare(|t| {
        let (tcp, udp) = (t.tcp(), t.udp());
        for s in [tcp, udp, Sock::NONE] {
            t.ioctl(s, 0x1234);
        }
    });
}

#[test]
fn duplicates_share_their_flags() {
    compare(|t| {
        let a = t.tcp();
        let b = t.dup(a).unwrap();
        t.nonblocking(b, true);
        t.flags(a);
        t.close(b);
        t.flags(a);
    });
}

#[test]
fn duplicates_share_the_connection() {
    compare(|t| {
        let p = t.pair();
        let copy = t.dup(p.client).unwrap();
        t.close(p.client);
        // The last one ends it.
        t.send(copy, b"still", 0);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
        t.close(copy);
        t.wait(p.server, RDHUP);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn nobody_is_there() {
    compare(|t| {
        let s = Sock::NONE;
        t.bind(s, loopback(0));
        t.listen(s, 1);
        t.accept(s);
        t.connect(s, loopback(1));
        t.send(s, b"x", 0);
        t.recv(s, 1, 0);
        t.shutdown(s, 1);
        t.names(s);
        t.set(s, (1, 2), 1);
        t.get(s, (1, 2));
        t.error(s);
        t.flags(s);
        t.ioctl(s, FIONREAD);
        t.poll(s);
        t.dup(s);
        t.close(s);
    });
}

#[test]
fn a_new_stream() {
    compare(|t| {
        let s = t.tcp();
        t.names(s);
        t.poll(s);
        t.recv(s, 10, 0);
        t.recv(s, 0, 0);
        t.recv(s, 10, PEEK);
        t.recv(s, 10, OOB);
        t.send(s, b"x", 0);
        t.send(s, b"", 0);
        t.accept(s);
        t.error(s);
        t.ioctl(s, FIONREAD);
        t.ioctl(s, SIOCOUTQ);
        t.ioctl(s, SIOCATMARK);
        t.shutdown(s, 1);
        t.poll(s);
    });
}

#[test]
fn a_new_datagram_socket() {
    compare(|t| {
        let s = t.udp();
        t.names(s);
        t.poll(s);
        t.recv(s, 10, DONTWAIT);
        t.send(s, b"x", 0);
        t.accept(s);
        t.listen(s, 1);
        t.error(s);
        t.ioctl(s, FIONREAD);
        t.ioctl(s, SIOCOUTQ);
        t.ioctl(s, SIOCATMARK);
        t.names(s);
    });
}
