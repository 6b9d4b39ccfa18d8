//! Windows: RFC 9293 §3.8.6 (zero window, silly windows), RFC 7323 §2; what the reader's pace does.

use crate::reach::*;
use crate::script::{Script, run};
use netstack::tcp::TcpConfig;

#[test]
fn a_zero_window_is_probed_with_growing_patience() {
    run(&format!(
        "{ESTABLISHED}
        < . 1:1(0) ack 1 win 0
        send 100
        +0.3 > . 0:0(0) ack 1
        < . 1:1(0) ack 1 win 0
        +0.6 > . 0:0(0) ack 1
        < . 1:1(0) ack 1 win 0
        +1.2 > . 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 1000
        > P. 1:101(100) ack 1
        stat tcpWinProbe -> 3"
    ));
}

#[test]
fn probes_that_are_answered_go_on_for_ever_and_others_end() {
    let mut s = Script::new(TcpConfig::default());
    s.play(ESTABLISHED);
    s.play("< . 1:1(0) ack 1 win 0\nsend 100\nlenient");
    for _ in 0..30 {
        s.play("+120 < . 1:1(0) ack 1 win 0");
    }
    s.play("state -> Established\n+2000 state -> Closed\nerror -> TimedOut");
}

#[test]
fn a_fin_waits_for_a_window_too() {
    run(&format!(
        "{ESTABLISHED}
        < . 1:1(0) ack 1 win 0
        shut wr
        +0.3 > . 0:0(0) ack 1
        < . 1:1(0) ack 1 win 10
        > F. 1:1(0) ack 1"
    ));
}

#[test]
fn the_sender_avoids_silly_windows() {
    // The window opens by a little: less than a segment and than half of the largest. After the
    // override timeout it is used all the same.
    run(&format!(
        "{ESTABLISHED}
        < . 1:1(0) ack 1 win 0
        send 3000
        +0.1 < . 1:1(0) ack 1 win 500
        +0.3 > . 1:501(500) ack 1
        +0.1 < . 1:1(0) ack 501 win 2000
        > . 501:1501(1000) ack 1
        > . 1501:2501(1000) ack 1"
    ));
}

#[test]
fn half_of_a_small_window_is_worth_sending() {
    run("listen 80
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 800
        accept
        send 3000
        > . 1:801(800) ack 1
        +0.1 < . 1:1(0) ack 801 win 800
        > . 801:1601(800) ack 1");
}

#[test]
fn the_peers_window_is_never_exceeded() {
    run(&format!(
        "{ESTABLISHED}
        < . 1:1(0) ack 1 win 2500
        send 5000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        +0.1 < . 1:1(0) ack 2001 win 2000
        > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1"
    ));
}

#[test]
fn an_old_segment_does_not_move_the_window() {
    run(&format!(
        "{ESTABLISHED}
        < P. 1:11(10) ack 1 win 5000
        > . 1:1(0) ack 11
        < . 5:5(0) ack 1 win 100
        > . 1:1(0) ack 11
        info sndwnd -> 5000"
    ));
}

#[test]
fn what_is_beyond_the_window_is_not_taken() {
    let mut s = Script::new(TcpConfig::default());
    s.play(ESTABLISHED);
    s.play("lenient");
    for at in (1..64_001).step_by(1000) {
        s.play(&format!("< . {at}:{}(1000) ack 1", at + 1000));
    }
    s.play("< . 64001:65537(1536) ack 1\nrecv 100000 peek -> 64240 from 1");
    s.play("< . 64241:65241(1000) ack 1\nrecv 100000 peek -> 64240 from 1");
}

#[test]
fn a_reader_that_makes_room_is_announced() {
    let mut s = Script::new(TcpConfig::default());
    s.play(ESTABLISHED);
    let mut at = 1;
    for _ in 0..32 {
        s.play(&format!(
            "room 0\n< . {at}:{}(1000) ack 1\n< . {}:{}(1000) ack 1\nroom 1",
            at + 1000,
            at + 1000,
            at + 2000
        ));
        at += 2000;
        let left = (65_536 - (at - 1)).min(65_536);
        let offered = if left > 64_240 { 64_240 } else { left };
        s.play(&format!("> . 1:1(0) ack {at} win {}", offered.min(64_240 - (at - 1)).max(0)));
    }
    // 64000 octets wait, 240 of the window are left: it is told when two segments are free, and
    // again when it has doubled.
    s.play("room 10\nrecv 1000 -> 1000 from 1\n> . 1:1(0) ack 64001 win 2536\nrecv 1000 -> 1000 from 1001");
    s.play("recv 62000 -> 62000 from 2001\n> . 1:1(0) ack 64001 win 65535");
    s.finish();
}

#[test]
fn data_into_a_closed_window_is_refused_with_an_ack() {
    let mut s = Script::new(TcpConfig::default());
    s.play("set rcvbuf 2000\nset maxseg 1000\nconnect -> error InProgress\n> S 0:0(0) win 2000");
    s.play("+0.1 < S. 0:0(0) ack 1 win 65535 <mss 1000>\n> . 1:1(0) ack 1 win 2000");
    s.play("< . 1:1001(1000) ack 1\n> . 1:1(0) ack 1001 win 1000\n< . 1001:2001(1000) ack 1\n> . 1:1(0) ack 2001 win 0");
    s.play("< . 2001:2002(1) ack 1\n> . 1:1(0) ack 2001 win 0");
    // An ACK and a reset are taken even so.
    s.play("send 10\n> P. 1:11(10) ack 2001 win 0\n< . 2001:2001(0) ack 11\ninfo inflight -> 0");
    s.play("recv 2000 -> 2000 from 1\n> . 11:11(0) ack 2001 win 2000");
    s.play("< R 2001:2001(0)\nstate -> Closed");
    s.finish();
}

#[test]
fn a_keepalive_or_probe_of_the_peer_is_answered() {
    run(&format!(
        "{ESTABLISHED}
        < . 0:0(0) ack 1
        > . 1:1(0) ack 1
        +1 < . 0:1(1) ack 1
        > . 1:1(0) ack 1"
    ));
}
