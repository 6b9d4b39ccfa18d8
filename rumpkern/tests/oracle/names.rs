//! getsockname(2) and getpeername(2) in every phase of a connection.

use crate::sockets::*;
use crate::trial::any;
use crate::verdict::compare;

const LINGER_0: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn of_a_bound_socket() {
    compare(|t| {
        let (s, _) = t.bound();
        t.names(s);
        let s = t.tcp();
        t.bind(s, any(0));
        t.names(s);
    });
}

#[test]
fn of_a_connection() {
    compare(|t| {
        let p = t.pair();
        t.names(p.client);
        t.names(p.server);
    });
}

#[test]
fn after_the_peers_end() {
    compare(|t| {
        let p = t.pair();
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.names(p.client);
        t.recv(p.client, 1, 0);
        t.names(p.client);
    });
}

#[test]
fn after_shutdown() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.names(p.client);
        t.acked(p.client);
        t.names(p.client);
        t.shutdown(p.client, 0);
        t.names(p.client);
        t.wait(p.server, RDHUP);
        t.names(p.server);
    });
}

#[test]
fn after_both_ends() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.acked(p.server);
        t.names(p.client);
        t.names(p.server);
    });
}

#[test]
fn after_a_reset() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, (1, 13), &LINGER_0);
        t.close(p.server);
        t.wait(p.client, 0);
        t.names(p.client);
        t.error(p.client);
        t.names(p.client);
    });
}
