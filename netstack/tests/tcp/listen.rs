//! Listeners: the SYN queue and the accept queue as Linux has them.

use crate::reach::*;
use crate::script::{run, with};
use netstack::tcp::TcpConfig;

/// `backlog` 0: one connection waits.
const FULL: &str = "listen 80 0
    < S 0:0(0) win 1000 <mss 1000>
    > S. 0:0(0) ack 1
    < . 1:1(0) ack 1
    ";

#[test]
fn accept_gives_connections_in_the_order_in_which_they_were_made() {
    run("listen 80
        accept -> error WouldBlock
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1
        port 4001
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1 port 4001
        < . 1:1(0) ack 1
        port 4000
        < . 1:1(0) ack 1
        accept -> 4001
        accept -> 4000
        accept -> error WouldBlock");
}

#[test]
fn a_full_accept_queue_drops_syns() {
    run(&format!(
        "{FULL}
        port 4001
        < S 0:0(0) win 1000
        stat tcpListenOverflows -> 1
        accept -> 4000
        +1 < S 0:0(0) win 1000
        > S. 0:0(0) ack 1 port 4001"
    ));
}

#[test]
fn a_full_accept_queue_ignores_the_last_ack_until_there_is_room() {
    run("listen 80 0
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        port 4001
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1 port 4001
        < . 1:1(0) ack 1
        port 4000
        < . 1:1(0) ack 1
        sockets -> Listen SynReceived Established
        accept -> 4001
        +1 > S. 0:0(0) ack 1 port 4000
        < . 1:1(0) ack 1
        accept -> 4000");
}

#[test]
fn the_syn_queue_is_bounded() {
    with(
        TcpConfig { max_syn_backlog: 2, ..TcpConfig::default() },
        "listen 80
        lenient
        < S 0:0(0) win 1000
        port 4001
        < S 0:0(0) win 1000
        port 4002
        < S 0:0(0) win 1000
        stat tcpReqQFullDrop -> 1
        sockets -> Listen SynReceived SynReceived",
    );
}

#[test]
fn closing_the_listener_resets_what_waits_and_forgets_what_is_half_open() {
    run("listen 80
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        port 4001
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1 port 4001
        close listener
        > R. 1:1(0) ack 1 port 4000
        sockets -> none
        < . 1:1(0) ack 1
        > R 1:1(0) port 4001
        < S 0:0(0) win 1000
        > R. 0:0(0) ack 1 port 4001");
}

#[test]
fn accepted_connections_outlive_the_listener() {
    run(&format!(
        "{ESTABLISHED}close listener\n< P. 1:11(10) ack 1\n> . 1:1(0) ack 11\nrecv 10 -> 10 from 1"
    ));
}

#[test]
fn a_connection_that_was_reset_is_still_accepted() {
    run(&format!("{FULL}< R 1:1(0)\naccept -> 4000\nrecv 1 -> error ConnReset"));
}

#[test]
fn data_that_came_before_accept_is_there() {
    run(&format!(
        "{FULL}< P. 1:11(10) ack 1\n> . 1:1(0) ack 11\naccept -> 4000\nready -> READ|WRITE\nrecv 20 -> 10 from 1"
    ));
}

#[test]
fn children_inherit_the_listeners_options() {
    run("bind 10.0.0.1:80
        set nodelay
        set keepalive
        set keepidle 7
        close
        listen 80
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        accept
        +100 state -> Established");
}

#[test]
fn a_syn_that_carries_data_is_answered_without_it() {
    run("listen 80
        < S 0:10(10) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        accept
        recv 20 -> 10 from 1");
}

#[test]
fn listening_twice_changes_the_backlog_and_two_listeners_do_not_fit() {
    let mut h = crate::engine::host::Host::new("10.0.0.1", TcpConfig::default(), 7);
    let a = h.listener(80, 5);
    assert_eq!(h.tcp.listen(&mut h.ip, a, 9), Ok(()));
    assert_eq!(h.tcp.info(a).unwrap().send_queue, 9);
    let b = h.tcp.socket(netstack::socket::Family::Inet);
    let any = "0.0.0.0:80".parse().unwrap();
    assert_eq!(h.tcp.bind(&mut h.ip, b, any), Err(netstack::SockError::AddrInUse));
}
