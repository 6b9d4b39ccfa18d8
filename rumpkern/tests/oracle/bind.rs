//! bind(2) of streams: what is refused, and who shares a port with whom.

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
fn twice() {
    compare(|t| {
        let s = t.tcp();
        t.bind(s, loopback(0));
        t.bind(s, loopback(0));
        t.bind(s, any(0));
        t.sockname(s);
    });
}

#[test]
fn after_connect() {
    compare(|t| {
        let p = t.pair();
        t.bind(p.client, loopback(0));
        t.bind(p.server, loopback(0));
    });
}

#[test]
fn not_ours() {
    compare(|t| {
        let s = t.tcp();
        t.bind(s, addr("192.0.2.1:0"));
        t.bind(s, addr("8.8.8.8:0"));
        t.names(s);
        t.bind(s, loopback(0));
    });
}

#[test]
fn groups_and_everybody() {
    compare(|t| {
        for text in ["224.0.0.1:0", "255.255.255.255:0", "127.255.255.255:0"] {
            let s = t.tcp();
            t.bind(s, addr(text));
            t.sockname(s);
        }
    });
}

#[test]
fn all_of_127() {
    compare(|t| {
        for text in ["127.0.0.2:0", "127.1.2.3:0", "127.255.255.254:0"] {
            let s = t.tcp();
            t.bind(s, addr(text));
            t.sockname(s);
        }
    });
}

#[test]
fn addresses_that_are_none() {
    compare(|t| {
        let s = t.tcp();
        t.bind_raw(s, &[2, 0]);
        t.bind_raw(s, &[2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        t.bind_raw(s, &[1, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.bind_raw(s, &[10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.bind_raw(s, &[0, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        t.bind(s, addr("[::1]:0"));
        t.names(s);
    });
}

#[test]
fn unspec_means_any_address() {
    compare(|t| {
        let s = t.tcp();
        t.bind_raw(s, &[0; 16]);
        t.bind_raw(s, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let u = t.udp();
        t.bind_raw(u, &[0; 16]);
        t.bind_raw(u, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn longer_addresses() {
    compare(|t| {
        let s = t.tcp();
        t.bind_raw(s, &[2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9]);
        t.sockname(s);
    });
}

#[test]
fn a_port_in_use() {
    compare(|t| {
        let (_, taken) = t.bound();
        let s = t.tcp();
        t.bind(s, taken);
        t.bind(s, any(taken.port()));
        t.bind(s, addr(&format!("127.0.0.2:{}", taken.port())));
        t.sockname(s);
    });
}

#[test]
fn a_port_in_use_everywhere() {
    compare(|t| {
        let first = t.tcp();
        t.bind(first, any(0));
        let taken = t.own(first).port();
        let s = t.tcp();
        t.bind(s, loopback(taken));
        t.bind(s, any(taken));
    });
}

#[test]
fn a_port_that_was_given_back() {
    compare(|t| {
        let (first, taken) = t.bound();
        t.close(first);
        let s = t.tcp();
        t.bind(s, taken);
    });
}

#[test]
fn reuseaddr_of_one() {
    compare(|t| {
        for (old, new) in [(0, 1), (1, 0), (1, 1)] {
            let a = t.tcp();
            t.set(a, REUSEADDR, old);
            t.bind(a, loopback(0));
            let taken = t.own(a);
            let b = t.tcp();
            t.set(b, REUSEADDR, new);
            t.bind(b, taken);
        }
    });
}

#[test]
fn reuseaddr_set_late() {
    compare(|t| {
        let (a, taken) = t.bound();
        let b = t.tcp();
        t.set(b, REUSEADDR, 1);
        t.bind(b, taken);
        t.set(a, REUSEADDR, 1);
        t.bind(b, taken);
    });
}

#[test]
fn reuseaddr_and_a_listener() {
    compare(|t| {
        let (s, taken) = t.bound();
        t.set(s, REUSEADDR, 1);
        t.listen(s, 1);
        let b = t.tcp();
        t.set(b, REUSEADDR, 1);
        t.bind(b, taken);
        t.bind(b, any(taken.port()));
    });
}

#[test]
fn only_one_of_two_listens() {
    compare(|t| {
        let socks = [t.tcp(), t.tcp()];
        for s in socks {
            t.set(s, REUSEADDR, 1);
        }
        t.bind(socks[0], loopback(0));
        let port = t.own(socks[0]);
        t.bind(socks[1], port);
        for s in socks {
            t.listen(s, 1);
        }
        t.close(socks[0]);
        t.listen(socks[1], 1);
    });
}

#[test]
fn reuseport_of_one() {
    compare(|t| {
        for (old, new) in [(0, 1), (1, 0), (1, 1)] {
            let a = t.tcp();
            t.set(a, REUSEPORT, old);
            t.bind(a, loopback(0));
            let taken = t.own(a);
            let b = t.tcp();
            t.set(b, REUSEPORT, new);
            t.bind(b, taken);
        }
    });
}

#[test]
fn reuseport_listens_twice() {
    compare(|t| {
        let socks = [t.tcp(), t.tcp()];
        for s in socks {
            t.set(s, REUSEPORT, 1);
        }
        t.bind(socks[0], loopback(0));
        let port = t.own(socks[0]);
        t.bind(socks[1], port);
        for s in socks {
            t.listen(s, 1);
        }
        let c = t.tcp();
        t.connect(c, port);
    });
}

#[test]
fn reuseaddr_here_reuseport_there() {
    compare(|t| {
        let a = t.tcp();
        t.set(a, REUSEADDR, 1);
        t.bind(a, loopback(0));
        let taken = t.own(a);
        let b = t.tcp();
        t.set(b, REUSEPORT, 1);
        t.bind(b, taken);
    });
}

#[test]
fn over_an_accepted_connection() {
    compare(|t| {
        for reuse in [0, 1] {
            let s = t.tcp();
            t.set(s, REUSEADDR, reuse);
            t.bind(s, loopback(0));
            let addr = t.own(s);
            t.listen(s, 1);
            t.connected(addr);
            t.accept(s);
            t.close(s);
            let again = t.tcp();
            t.bind(again, addr);
            t.set(again, REUSEADDR, 1);
            t.bind(again, addr);
            t.listen(again, 1);
        }
    });
}

#[test]
fn over_time_wait() {
    compare(|t| {
        for reuse in [0, 1] {
            let s = t.tcp();
            t.set(s, REUSEADDR, reuse);
            t.bind(s, loopback(0));
            let addr = t.own(s);
            t.listen(s, 1);
            let c = t.connected(addr);
            let a = t.accept(s).unwrap();
            t.close(s);
            // The server's end goes first, and waits.
            t.close(a);
            t.wait(c, RDHUP);
            t.shutdown(c, 1);
            t.wait(c, HUP);
            t.acked(c);
            let again = t.tcp();
            t.bind(again, addr);
            t.set(again, REUSEADDR, 1);
            t.bind(again, addr);
            t.listen(again, 1);
        }
    });
}

#[test]
fn over_a_connecting_socket() {
    compare(|t| {
        let p = t.pair();
        let port = t.own(p.client);
        let s = t.tcp();
        t.bind(s, port);
        t.set(s, REUSEADDR, 1);
        t.bind(s, port);
        t.bind(s, any(port.port()));
    });
}

#[test]
fn streams_and_datagrams_are_apart() {
    compare(|t| {
        let (_, taken) = t.bound();
        let u = t.udp();
        t.bind(u, taken);
        t.sockname(u);
    });
}
