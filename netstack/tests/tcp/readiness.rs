//! What `poll(2)` says, and when `epoll` wakes up: as on Linux.

use crate::reach::*;
use crate::script::{Script, reno, run};

#[test]
fn in_each_state() {
    let cases: [(&[&str], &str); 12] = [
        (&["socket\n"], "WRITE|HUP"),
        (&[LISTEN], "none"),
        (&[SYN_SENT], "none"),
        (&[SYN_RECEIVED], "none"), // the listener
        (&[ESTABLISHED], "WRITE"),
        (&[ESTABLISHED, FIN_WAIT_1], "WRITE"),
        (&[ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2], "WRITE"),
        (&[ESTABLISHED, CLOSE_WAIT], "READ|WRITE|RDHUP"),
        (&[ESTABLISHED, FIN_WAIT_1, CLOSING], "READ|WRITE|HUP|RDHUP"),
        (&[ESTABLISHED, CLOSE_WAIT, LAST_ACK], "READ|WRITE|HUP|RDHUP"),
        (&[ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT], "READ|WRITE|HUP|RDHUP"),
        (&[ESTABLISHED, "< R 1:1(0)\n"], "READ|WRITE|ERROR|HUP|RDHUP"),
    ];
    for (path, ready) in cases {
        run(&format!("{}ready -> {ready}", path.concat()));
    }
}

#[test]
fn a_listener_is_readable_while_connections_wait() {
    run("listen 80
        events -> none
        < S 0:0(0) win 1000
        > S. 0:0(0) ack 1
        events -> none
        < . 1:1(0) ack 1
        events -> READ
        ready -> READ
        accept");
}

#[test]
fn each_arrival_is_an_edge() {
    run(&format!(
        "{ESTABLISHED}
        events -> none
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        events -> READ
        events -> none
        < P. 11:21(10) ack 1
        > . 1:1(0) ack 21
        events -> READ
        < F. 21:21(0) ack 1
        > . 1:1(0) ack 22
        events -> READ|RDHUP"
    ));
}

#[test]
fn data_before_its_turn_is_no_edge() {
    run(&format!("{ESTABLISHED}events -> none\n< P. 11:21(10) ack 1\n> . 1:1(0) ack 1\nevents -> none"));
}

#[test]
fn a_reset_is_an_edge_of_everything() {
    run(&format!("{ESTABLISHED}events -> none\n< R 1:1(0)\nevents -> READ|WRITE|ERROR|HUP|RDHUP"));
}

#[test]
fn the_low_water_mark_holds_readability_back() {
    run(&format!(
        "{ESTABLISHED}
        set rcvlowat 15
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        ready -> WRITE
        < P. 11:21(10) ack 1
        > . 1:1(0) ack 21
        ready -> READ|WRITE"
    ));
}

#[test]
fn a_buffer_made_smaller_tells_when_there_is_room() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("lenient\nroom 1000\nsend 20000\nevents\nset sndbuf 4608\nready -> none");
    for i in 1..=20 {
        s.play(&format!("+0.1 < . 1:1(0) ack {}", 1 + 1000 * i));
    }
    s.play("events -> WRITE");
}
