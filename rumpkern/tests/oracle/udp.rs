//! Datagrams: addresses, connections, ports that are shared, what is received and how much of it.

use crate::sockets::*;
use crate::trial::{any, loopback};
use crate::verdict::compare;
use std::net::SocketAddr;

const REUSEADDR: (u32, u32) = (1, 2);
const REUSEPORT: (u32, u32) = (1, 15);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn there_and_back() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"ping", 0, to);
        t.sockname(b);
        let back = loopback(t.own(b).port());
        t.recv(a, 10, 0);
        t.send_to(a, b"pong", 0, back);
        t.recv(b, 10, 0);
    });
}

#[test]
fn boundaries_are_kept() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"one", 0, to);
        t.send_to(b, b"", 0, to);
        t.send_to(b, b"three", 0, to);
        t.wait(a, IN);
        for _ in 0..3 {
            t.ioctl(a, FIONREAD);
            t.recv(a, 10, 0);
        }
        t.ioctl(a, FIONREAD);
        t.recv(a, 10, DONTWAIT);
    });
}

#[test]
fn a_short_buffer() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        for _ in 0..4 {
            t.send_to(b, b"0123456789", 0, to);
        }
        t.recv(a, 4, 0);
        t.recv(a, 4, TRUNC);
        t.recv(a, 4, TRUNC | PEEK);
        t.recv(a, 0, 0);
        t.recv(a, 10, TRUNC);
        t.recv(a, 10, DONTWAIT);
    });
}

#[test]
fn peek() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"first", 0, to);
        t.send_to(b, b"second", 0, to);
        t.recv(a, 10, PEEK);
        t.recv(a, 2, PEEK);
        t.recv(a, 10, 0);
        t.recv(a, 10, PEEK);
        t.recv(a, 10, 0);
        t.recv(a, 10, PEEK | DONTWAIT);
    });
}

#[test]
fn waitall_does_not_wait() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"x", 0, to);
        t.recv(a, 10, WAITALL);
        t.recv(a, 10, WAITALL | DONTWAIT);
    });
}

#[test]
fn nothing_in_it() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.connect(b, to);
        t.send(b, b"", 0);
        t.wait(a, IN);
        t.ioctl(a, FIONREAD);
        t.recv(a, 0, 0);
        t.poll(a);
    });
}

#[test]
fn without_an_address() {
    compare(|t| {
        let s = t.udp();
        t.send(s, b"x", 0);
        t.send(s, b"", 0);
        t.sockname(s);
        let (s, _) = t.udp_bound();
        t.send(s, b"x", 0);
    });
}

#[test]
fn connected() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let b = t.udp();
        t.connect(b, to);
        t.names(b);
        t.send(b, b"one", 0);
        t.recv(a, 10, 0);
        let from = t.own(b);
        t.send_to(a, b"two", 0, from);
        t.recv(b, 10, 0);
        t.poll(b);
    });
}

#[test]
fn connected_and_sent_elsewhere() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let (other, elsewhere) = t.udp_bound();
        let c = t.udp();
        t.connect(c, to);
        t.send_to(c, b"elsewhere", 0, elsewhere);
        t.recv(other, 20, 0);
        t.peername(c);
        t.send(c, b"home", 0);
        t.recv(a, 20, 0);
    });
}

#[test]
fn connected_hears_only_its_peer() {
    compare(|t| {
        let (a, at) = t.udp_bound();
        let (b, peer) = t.udp_bound();
        let (stranger, _) = t.udp_bound();
        t.connect(a, peer);
        t.send_to(stranger, b"strange", 0, at);
        t.send_to(b, b"known", 0, at);
        t.recv(a, 10, 0);
        t.recv(a, 10, DONTWAIT);
    });
}

#[test]
fn what_came_before_connecting_stays() {
    compare(|t| {
        let (a, at) = t.udp_bound();
        let (b, peer) = t.udp_bound();
        let (stranger, _) = t.udp_bound();
        t.send_to(stranger, b"early", 0, at);
        t.wait(a, IN);
        t.connect(a, peer);
        t.send_to(b, b"known", 0, at);
        t.recv(a, 10, 0);
        t.recv(a, 10, 0);
    });
}

#[test]
fn connected_again() {
    compare(|t| {
        let (_a, one) = t.udp_bound();
        let (_b, two) = t.udp_bound();
        let s = t.udp();
        t.connect(s, one);
        t.names(s);
        t.connect(s, two);
        t.names(s);
        t.connect(s, two);
    });
}

#[test]
fn dissolved() {
    compare(|t| {
        let (a, to) = t.udp_bound();
        let s = t.udp();
        t.connect(s, to);
        t.sockname(s);
        t.connect_raw(s, &[0; 16]);
        t.names(s);
        t.send(s, b"x", 0);
        t.send_to(s, b"y", 0, to);
        t.recv(a, 10, 0);
    });
}

#[test]
fn dissolved_keeps_the_bound_port() {
    compare(|t| {
        let (_a, to) = t.udp_bound();
        let (s, _) = t.udp_bound();
        t.sockname(s);
        t.connect(s, to);
        t.names(s);
        t.connect_raw(s, &[0; 2]);
        t.names(s);
        t.connect_raw(s, &[0; 2]);
        t.names(s);
    });
}

#[test]
fn bound_everywhere_and_connected() {
    compare(|t| {
        let (_a, to) = t.udp_bound();
        let s = t.udp();
        t.bind(s, any(0));
        t.sockname(s);
        t.connect(s, to);
        t.names(s);
        t.connect_raw(s, &[0; 16]);
        t.names(s);
    });
}

#[test]
fn to_port_0() {
    compare(|t| {
        let s = t.udp();
        t.send_to(s, b"x", 0, loopback(0));
        t.connect(s, loopback(0));
        t.names(s);
        t.send(s, b"x", 0);
    });
}

#[test]
fn to_everywhere_is_to_oneself() {
    compare(|t| {
        let (a, at) = t.udp_bound();
        let b = t.udp();
        t.send_to(b, b"x", 0, any(at.port()));
        t.recv(a, 10, 0);
        t.connect(b, any(at.port()));
        t.names(b);
    });
}

#[test]
fn to_oneself() {
    compare(|t| {
        let (a, at) = t.udp_bound();
        t.send_to(a, b"note", 0, at);
        t.recv(a, 10, 0);
        t.connect(a, at);
        t.send(a, b"more", 0);
        t.recv(a, 10, 0);
        t.names(a);
    });
}

#[test]
fn bound_twice() {
    compare(|t| {
        let (s, _) = t.udp_bound();
        t.bind(s, loopback(0));
        let s = t.udp();
        t.bind(s, any(0));
        t.bind(s, any(0));
    });
}

#[test]
fn bound_after_sending() {
    compare(|t| {
        let (_a, to) = t.udp_bound();
        let s = t.udp();
        t.send_to(s, b"x", 0, to);
        t.bind(s, loopback(0));
        let s = t.udp();
        t.connect(s, to);
        t.bind(s, loopback(0));
    });
}

#[test]
fn a_port_in_use() {
    compare(|t| {
        let (_first, taken) = t.udp_bound();
        let s = t.udp();
        t.bind(s, taken);
        t.bind(s, any(taken.port()));
        t.bind(s, addr(&format!("127.0.0.2:{}", taken.port())));
    });
}

#[test]
fn a_port_that_was_given_back() {
    compare(|t| {
        let (first, taken) = t.udp_bound();
        t.close(first);
        let s = t.udp();
        t.bind(s, taken);
    });
}

#[test]
fn ports_shared_by_reuseaddr() {
    compare(|t| {
        for (old, new) in [(0, 1), (1, 0), (1, 1)] {
            let a = t.udp();
            t.set(a, REUSEADDR, old);
            t.bind(a, loopback(0));
            let taken = t.own(a);
            let b = t.udp();
            t.set(b, REUSEADDR, new);
            t.bind(b, taken);
        }
    });
}

#[test]
fn ports_shared_by_reuseport() {
    compare(|t| {
        for (old, new) in [(0, 1), (1, 0), (1, 1)] {
            let a = t.udp();
            t.set(a, REUSEPORT, old);
            t.bind(a, loopback(0));
            let taken = t.own(a);
            let b = t.udp();
            t.set(b, REUSEPORT, new);
            t.bind(b, taken);
        }
    });
}

#[test]
fn the_more_particular_receives() {
    compare(|t| {
        let [wide, narrow] = [t.udp(), t.udp()];
        for s in [wide, narrow] {
            t.set(s, REUSEADDR, 1);
        }
        t.bind(wide, any(0));
        let port = t.own(wide).port();
        t.bind(narrow, loopback(port));
        let c = t.udp();
        t.send_to(c, b"x", 0, loopback(port));
        t.wait(narrow, IN);
        t.poll_all(&[wide, narrow]);
        t.close(narrow);
        t.send_to(c, b"y", 0, loopback(port));
        t.recv(wide, 10, 0);
    });
}

#[test]
fn the_connected_receives_before_the_bound() {
    compare(|t| {
        let (peer, to) = t.udp_bound();
        let [a, b] = [t.udp(), t.udp()];
        for s in [a, b] {
            t.set(s, REUSEADDR, 1);
        }
        t.bind(a, loopback(0));
        let at = t.own(a);
        t.bind(b, at);
        t.connect(a, to);
        t.send_to(peer, b"x", 0, at);
        t.wait(a, IN);
        t.poll_all(&[a, b]);
    });
}

#[test]
fn not_ours_to_bind() {
    compare(|t| {
        let s = t.udp();
        t.bind(s, addr("192.0.2.1:0"));
        t.bind(s, addr("[::1]:0"));
        t.bind_raw(s, &[2, 0]);
        t.bind_raw(s, &[1, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.names(s);
    });
}

#[test]
fn groups_to_bind() {
    compare(|t| {
        for text in ["224.0.0.1:0", "255.255.255.255:0", "127.255.255.255:0"] {
            let s = t.udp();
            t.bind(s, addr(text));
            t.sockname(s);
        }
    });
}

#[test]
fn addresses_that_are_none() {
    compare(|t| {
        let s = t.udp();
        t.send_to_raw(s, b"x", &[2, 0]);
        t.send_to_raw(s, b"x", &[1, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.send_to_raw(s, b"x", &[10, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.connect_raw(s, &[2, 0, 0, 9]);
        t.connect_raw(s, &[1, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.peername(s);
    });
}

#[test]
fn unspec_as_a_family_to_send_to() {
    compare(|t| {
        let (a, at) = t.udp_bound();
        let s = t.udp();
        let [high, low] = at.port().to_be_bytes();
        t.send_to_raw_port(s, b"x", &[0, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.poll_for(a, OUT);
    });
}

/// UDP-Lite goes by the same calls.
#[test]
fn with_a_checksum_of_the_beginning() {
    compare(|t| {
        let [a, b] = [(); 2].map(|()| t.socket(2, 2, 136).expect("UDP-Lite"));
        t.get(a, (1, 38));
        t.bind(a, loopback(0));
        let to = t.own(a);
        t.send_to(b, b"all of it", 0, to);
        t.recv(a, 20, 0);
        t.set(b, (136, 10), 12);
        t.send_to(b, b"a part of it", 0, to);
        t.recv(a, 20, 0);
        // Long enough now, and then not.
        for least in [12, 13, 0] {
            t.set(a, (136, 11), least);
            t.send_to(b, b"a part of it", 0, to);
            t.recv(a, 20, DONTWAIT);
        }
        t.send_to(b, b"four", 0, to);
        t.recv(a, 20, 0);
        t.connect(b, to);
        t.close(a);
        t.send(b, b"nobody", 0);
        t.error(b);
    });
}
