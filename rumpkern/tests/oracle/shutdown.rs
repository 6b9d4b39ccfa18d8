//! shutdown(2): each direction alone, both, twice, and what passes afterwards.

use crate::sockets::*;
use crate::verdict::compare;

#[test]
fn for_writing() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"last", 0);
        t.shutdown(p.client, 1);
        t.poll_for(p.client, OUT);
        t.send(p.client, b"x", 0);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, 0);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
    });
}

#[test]
fn the_other_direction_goes_on() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.send(p.server, b"answer", 0);
        t.wait(p.client, IN);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, DONTWAIT);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.recv(p.client, 10, 0);
        t.acked(p.server);
        t.poll_all(&[p.client, p.server]);
    });
}

#[test]
fn for_reading() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.send(p.client, b"goes", 0);
        t.wait(p.server, IN);
        t.recv(p.server, 10, 0);
        t.poll(p.server);
    });
}

#[test]
fn for_reading_with_data() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"before", 0);
        t.wait(p.client, IN);
        t.shutdown(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 3, 0);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn for_reading_and_data_comes() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 0);
        t.send(p.server, b"after", 0);
        t.acked(p.server);
        t.ioctl(p.client, FIONREAD);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.poll_all(&[p.client, p.server]);
    });
}

#[test]
fn for_reading_then_close() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 0);
        t.close(p.client);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn both_at_once() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 2);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.send(p.client, b"x", 0);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn both_and_data_comes() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 2);
        t.wait(p.server, RDHUP);
        t.send(p.server, b"too late", 0);
        t.wait(p.server, 0);
        t.poll(p.server);
        t.error(p.server);
        t.recv(p.server, 10, 0);
        t.send(p.server, b"x", 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.error(p.client);
    });
}

#[test]
fn one_after_the_other() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 0);
        t.shutdown(p.client, 1);
        t.poll(p.client);
        t.wait(p.server, RDHUP);
        t.poll(p.server);
    });
}

#[test]
fn twice() {
    compare(|t| {
        let p = t.pair();
        for how in [1, 1, 0, 0, 2, 2] {
            t.shutdown(p.client, how);
        }
        t.wait(p.server, RDHUP);
        for how in [1, 1] {
            t.shutdown(p.server, how);
        }
    });
}

#[test]
fn after_the_peers_end() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.shutdown(p.client, 0);
        t.poll(p.client);
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.poll(p.client);
        t.shutdown(p.client, 1);
        t.shutdown(p.client, 2);
        t.error(p.client);
    });
}

#[test]
fn both_ends_at_once() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.wait(p.server, RDHUP);
        t.recv(p.client, 10, 0);
        t.recv(p.server, 10, 0);
        t.acked(p.client);
        t.acked(p.server);
        t.poll_all(&[p.client, p.server]);
        t.send(p.client, b"x", 0);
        t.shutdown(p.client, 1);
        t.shutdown(p.server, 1);
    });
}

#[test]
fn directions_that_are_none() {
    compare(|t| {
        let p = t.pair();
        for how in [-1, 3, 4, 1000] {
            t.shutdown(p.client, how);
        }
        t.poll(p.client);
        let s = t.tcp();
        t.shutdown(s, 3);
    });
}

#[test]
fn where_nothing_is_connected() {
    compare(|t| {
        let fresh = t.tcp();
        let (bound, _) = t.bound();
        for s in [fresh, bound] {
            for how in [0, 1, 2] {
                t.shutdown(s, how);
            }
            t.poll(s);
            t.recv(s, 10, 0);
            t.send(s, b"x", 0);
        }
    });
}

#[test]
fn before_connect() {
    compare(|t| {
        let (s, addr) = t.listener();
        let c = t.tcp();
        t.shutdown(c, 2);
        t.connect(c, addr);
        t.poll(c);
        t.send(c, b"x", 0);
        t.accept(s);
    });
}

#[test]
fn data_in_both_directions_then_both_ends() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"to server", 0);
        t.send(p.server, b"to client", 0);
        t.shutdown(p.client, 1);
        t.shutdown(p.server, 1);
        for s in [p.client, p.server] {
            t.wait(s, RDHUP);
            t.recv(s, 4, 0);
            t.recv(s, 20, 0);
            t.recv(s, 20, 0);
        }
    });
}
