//! What an accepted connection inherits from its listener.

use crate::sockets::*;
use crate::trial::Trial;
use crate::verdict::compare;

/// Accepts a connection of a listener that `prepare` has set up.
fn accepted(t: &mut Trial<'_>, prepare: impl Fn(&mut Trial<'_>, crate::trial::Sock)) -> crate::trial::Sock {
    let (l, addr) = t.listener();
    prepare(t, l);
    t.connected(addr);
    t.accept(l).unwrap()
}

#[test]
fn flags_of_the_socket() {
    compare(|t| {
        let names = [2, 5, 6, 9, 10, 15];
        let a = accepted(t, |t, l| names.iter().for_each(|name| t.set(l, (1, *name), 1)));
        names.iter().for_each(|name| t.get(a, (1, *name)));
    });
}

#[test]
fn linger() {
    compare(|t| {
        let a = accepted(t, |t, l| t.set_raw(l, (1, 13), &[1, 0, 0, 0, 9, 0, 0, 0]));
        t.get_raw(a, (1, 13), 8);
    });
}

#[test]
fn buffers() {
    compare(|t| {
        let a = accepted(t, |t, l| {
            t.set(l, (1, 7), 30_000);
            t.set(l, (1, 8), 40_000);
            t.set(l, (1, 18), 7);
        });
        for name in [7, 8, 18] {
            t.get(a, (1, name));
        }
    });
}

#[test]
fn time_limits() {
    compare(|t| {
        let limit = [2i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
        let a = accepted(t, |t, l| {
            t.set_raw(l, (1, 20), &limit);
            t.set_raw(l, (1, 21), &limit);
        });
        t.get_raw(a, (1, 20), 16);
        t.get_raw(a, (1, 21), 16);
    });
}

#[test]
fn options_of_tcp() {
    compare(|t| {
        let options = [(1, 1), (3, 1), (4, 77), (5, 7), (6, 3), (7, 4), (8, 11), (18, 1500)];
        let a = accepted(t, |t, l| options.iter().for_each(|(name, value)| t.set(l, (6, *name), *value)));
        options.iter().for_each(|(name, _)| t.get(a, (6, *name)));
    });
}

#[test]
fn congestion_control() {
    compare(|t| {
        let a = accepted(t, |t, l| t.set_raw(l, (6, 13), b"reno"));
        t.get_raw(a, (6, 13), 16);
    });
}

#[test]
fn options_of_ip() {
    compare(|t| {
        let a = accepted(t, |t, l| {
            t.set(l, (0, 1), 0x10);
            t.set(l, (0, 2), 9);
        });
        t.get(a, (0, 1));
        t.get(a, (0, 2));
    });
}

#[test]
fn not_the_descriptors_flags() {
    compare(|t| {
        let (l, addr) = t.listener();
        t.nonblocking(l, true);
        t.connected(addr);
        t.wait(l, IN);
        let a = t.accept(l).unwrap();
        t.flags(a);
    });
}

#[test]
fn not_what_was_set_later() {
    compare(|t| {
        let (l, addr) = t.listener();
        t.connected(addr);
        t.wait(l, IN);
        t.set(l, (6, 1), 1);
        t.set(l, (1, 9), 1);
        let a = t.accept(l).unwrap();
        t.get(a, (6, 1));
        t.get(a, (1, 9));
        t.get(a, (1, 30));
    });
}
