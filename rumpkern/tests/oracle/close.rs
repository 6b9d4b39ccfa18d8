//! close(2) of a stream: the end, or a reset (unread data, SO_LINGER), as the peer sees it.

use crate::sockets::*;
use crate::verdict::compare;

const LINGER: (u32, u32) = (1, 13);
const LINGER_0: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn is_the_end() {
    compare(|t| {
        let p = t.pair();
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.error(p.client);
    });
}

#[test]
fn delivers_what_was_written() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"all of it", 0);
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.ioctl(p.client, FIONREAD);
        t.recv(p.client, 20, 0);
        t.recv(p.client, 20, 0);
    });
}

#[test]
fn with_unread_data_resets() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"unread", 0);
        t.wait(p.server, IN);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.send(p.client, b"x", 0);
        t.poll(p.client);
    });
}

#[test]
fn with_partly_read_data_resets() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"partly", 0);
        t.recv(p.server, 3, WAITALL);
        t.close(p.server);
        t.wait(p.client, 0);
        t.error(p.client);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn with_peeked_data_resets() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"seen", 0);
        t.recv(p.server, 10, PEEK);
        t.close(p.server);
        t.wait(p.client, 0);
        t.error(p.client);
    });
}

#[test]
fn with_unread_data_and_the_peers_end_resets() {
    compare(|t| {
        let p = t.pair();
        t.send(p.client, b"unread", 0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn what_was_written_before_the_reset_is_read() {
    compare(|t| {
        let p = t.pair();
        t.send(p.server, b"hello", 0);
        t.wait(p.client, IN);
        t.send(p.client, b"unread", 0);
        t.wait(p.server, IN);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.ioctl(p.client, FIONREAD);
        t.recv(p.client, 2, 0);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_0_resets() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, LINGER, &LINGER_0);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_0_after_shutdown() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, LINGER, &LINGER_0);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.error(p.client);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_0_after_the_peers_end() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.set_raw(p.server, LINGER, &LINGER_0);
        t.close(p.server);
        t.wait(p.client, 0);
        t.poll(p.client);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_0_after_both_ends() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, LINGER, &LINGER_0);
        t.shutdown(p.client, 1);
        t.wait(p.server, RDHUP);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.acked(p.server);
        t.close(p.server);
        t.poll(p.client);
        t.error(p.client);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_with_time_is_the_end() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, LINGER, &[1, 0, 0, 0, 5, 0, 0, 0]);
        t.send(p.server, b"kept", 0);
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_off_is_the_end() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.server, LINGER, &[0, 0, 0, 0, 5, 0, 0, 0]);
        t.get_raw(p.server, LINGER, 8);
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.recv(p.client, 10, 0);
    });
}

#[test]
fn linger_0_of_a_listener_harms_nobody() {
    compare(|t| {
        let (s, addr) = t.listener();
        t.set_raw(s, LINGER, &LINGER_0);
        let c = t.connected(addr);
        let a = t.accept(s).unwrap();
        t.get_raw(a, LINGER, 8);
        t.close(s);
        t.send(c, b"x", 0);
        t.recv(a, 10, 0);
    });
}

#[test]
fn sending_to_the_closed() {
    compare(|t| {
        let p = t.pair();
        t.close(p.server);
        t.wait(p.client, RDHUP);
        // The first is taken, and answered with a reset.
        t.send(p.client, b"one", 0);
        t.wait(p.client, HUP);
        t.poll(p.client);
        t.send(p.client, b"two", 0);
        t.send(p.client, b"three", 0);
        t.recv(p.client, 10, 0);
        t.error(p.client);
    });
}

#[test]
fn sending_to_the_closed_error_first() {
    compare(|t| {
        let p = t.pair();
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.send(p.client, b"one", 0);
        t.wait(p.client, HUP);
        t.error(p.client);
        t.error(p.client);
        t.recv(p.client, 10, 0);
        t.send(p.client, b"two", 0);
    });
}

#[test]
fn sending_to_the_closed_recv_first() {
    compare(|t| {
        let p = t.pair();
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.send(p.client, b"one", 0);
        t.wait(p.client, HUP);
        t.recv(p.client, 10, 0);
        t.recv(p.client, 10, 0);
        t.send(p.client, b"two", 0);
        t.error(p.client);
    });
}

#[test]
fn data_for_the_closed_that_had_shut() {
    compare(|t| {
        let p = t.pair();
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.recv(p.client, 10, 0);
        t.close(p.server);
        t.send(p.client, b"one", 0);
        t.wait(p.client, HUP);
        t.poll(p.client);
        t.send(p.client, b"two", 0);
    });
}

#[test]
fn of_both_at_once() {
    compare(|t| {
        let p = t.pair();
        let (client, server) = (t.own(p.client), t.own(p.server));
        t.close(p.client);
        t.close(p.server);
        let s = t.tcp();
        t.set(s, (1, 2), 1);
        t.bind(s, server);
        let s = t.tcp();
        t.set(s, (1, 2), 1);
        t.bind(s, client);
    });
}

#[test]
fn after_the_peers_is_quiet() {
    compare(|t| {
        let p = t.pair();
        let port = t.own(p.client);
        t.close(p.server);
        t.wait(p.client, RDHUP);
        t.close(p.client);
        // Nothing is left of the end that went last.
        let s = t.tcp();
        t.set(s, (1, 2), 1);
        t.bind(s, port);
    });
}
