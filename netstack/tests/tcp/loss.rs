//! Losses: RFC 6298 (timeout, backoff, Karn), RFC 5681 and RFC 6582 (fast retransmit, NewReno),
//! RFC 3042 (limited transmit).

use crate::reach::*;
use crate::script::{Script, reno, run};

#[test]
fn the_timeout_doubles() {
    run(&format!(
        "{ESTABLISHED}
        send 100
        > P. 1:101(100) ack 1
        +0.3 > P. 1:101(100) ack 1
        +0.6 > P. 1:101(100) ack 1
        +1.2 > P. 1:101(100) ack 1
        +2.4 > P. 1:101(100) ack 1
        +0.1 < . 1:1(0) ack 101
        info rto -> 4800                # RFC 6298 §5: until there is a measurement
        send 100
        > P. 101:201(100) ack 1
        +0.1 < . 1:1(0) ack 201
        info rto -> 300
        +10 state -> Established"
    ));
}

#[test]
fn a_retransmission_is_not_measured() {
    // Karn: 0.4 s later the ACK may be of either.
    run(&format!(
        "{ESTABLISHED}
        info rtt -> 100
        send 100
        > P. 1:101(100) ack 1
        +0.3 > P. 1:101(100) ack 1
        +0.1 < . 1:1(0) ack 101
        info rtt -> 100"
    ));
}

#[test]
fn timestamps_measure_retransmissions_too() {
    run("listen 80
        < S 0:0(0) win 65535 <mss 1012,ts 5 0>
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 <ts 6 0>
        accept
        send 100
        > P. 1:101(100) ack 1 <ts 100 6>
        +0.3 > P. 1:101(100) ack 1 <ts 400 6>
        +0.1 < . 1:1(0) ack 101 <ts 7 400>
        info rtt -> 100");
}

#[test]
fn fifteen_timeouts_end_the_connection_after_924_seconds() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("send 1\n> P. 1:2(1) ack 1\nlenient\n+924 state -> Established\n+130 state -> Closed");
    s.play("recv 1 -> error TimedOut\nstat tcpAbortOnTimeout -> 1");
}

#[test]
fn the_user_timeout_ends_it_sooner() {
    run(&format!(
        "{ESTABLISHED}
        set usertimeout 1
        send 1
        > P. 1:2(1) ack 1
        +0.3 > P. 1:2(1) ack 1
        +0.6 > P. 1:2(1) ack 1
        +1.2 state -> Closed
        error -> TimedOut"
    ));
}

#[test]
fn after_a_timeout_one_segment_then_slow_start() {
    run(&format!(
        "{ESTABLISHED}
        send 4000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        > P. 3001:4001(1000) ack 1
        +0.3 > . 1:1001(1000) ack 1
        info cwnd -> 1000
        info ssthresh -> 2000
        +0.1 < . 1:1(0) ack 1001
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        +0.1 < . 1:1(0) ack 4001
        info inflight -> 0"
    ));
}

/// Ten segments in flight.
fn ten_in_flight(s: &mut Script) {
    s.play(ESTABLISHED);
    s.play("room 100\nsend 20000");
    for i in 0..10 {
        s.play(&format!("> . {}:{}(1000) ack 1", 1 + i * 1000, 1001 + i * 1000));
    }
}

#[test]
fn three_duplicates_retransmit() {
    let mut s = Script::new(reno());
    ten_in_flight(&mut s);
    s.play(
        "+0.1 < . 1:1(0) ack 1
        > . 10001:11001(1000) ack 1   # limited transmit
        < . 1:1(0) ack 1
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1        # fast retransmit
        info ssthresh -> 5000         # half of ten: limited transmit does not count
        info cwnd -> 5000
        stat tcpFastRetrans -> 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        > . 12001:13001(1000) ack 1   # four were left in flight of twelve
        +0.1 < . 1:1(0) ack 13001
        > . 13001:14001(1000) ack 1   # cwnd = min(ssthresh, max(FlightSize, SMSS) + SMSS)
        > . 14001:15001(1000) ack 1
        info cwnd -> 2000",
    );
    s.finish();
}

#[test]
fn a_partial_ack_retransmits_the_next_hole() {
    let mut s = Script::new(reno());
    ten_in_flight(&mut s);
    s.play(
        "+0.1 < . 1:1(0) ack 1
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1
        +0.1 < . 1:1(0) ack 3001
        > . 3001:4001(1000) ack 1
        +0.1 < . 1:1(0) ack 12001
        > . 12001:13001(1000) ack 1
        > . 13001:14001(1000) ack 1
        stat tcpFastRetrans -> 1",
    );
    s.finish();
}

#[test]
fn two_duplicates_do_not_retransmit() {
    let mut s = Script::new(reno());
    ten_in_flight(&mut s);
    s.play("lenient\n+0.1 < . 1:1(0) ack 1\n< . 1:1(0) ack 1\n+0.1 < . 1:1(0) ack 10001\nstat tcpRetransSegs -> 0");
}

#[test]
fn what_looks_like_a_duplicate_may_not_be_one() {
    for other in ["< P. 1:11(10) ack 1", "< . 1:1(0) ack 1 win 60000", "< . 1:1(0) ack 0"] {
        let mut s = Script::new(reno());
        ten_in_flight(&mut s);
        s.play("lenient\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1");
        s.play(other);
        s.play("stat tcpFastRetrans -> 0");
    }
}

#[test]
fn duplicates_after_a_timeout_start_no_second_recovery() {
    let mut s = Script::new(reno());
    ten_in_flight(&mut s);
    s.play("lenient\n+0.3 stat tcpTimeouts -> 1\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1");
    s.play("stat tcpFastRetrans -> 0\n+0.1 < . 1:1(0) ack 5001\n< . 1:1(0) ack 5001\n< . 1:1(0) ack 5001\n< . 1:1(0) ack 5001");
    s.play("stat tcpFastRetrans -> 0");
}

#[test]
fn syn_ack_is_retransmitted_five_times() {
    let mut s = Script::new(reno());
    s.play(SYN_RECEIVED);
    for wait in [1, 2, 4, 8, 16] {
        s.play(&format!("+{wait} > S. 0:0(0) ack 1"));
    }
    s.play("+31.999 sockets -> Listen SynReceived\n+0.001 sockets -> Listen");
    s.finish();
}

#[test]
fn a_reset_ends_all_retransmission() {
    run(&format!(
        "{ESTABLISHED}send 10\n> P. 1:11(10) ack 1\n< R. 1:1(0) ack 11\n+500 state -> Closed\ntimers -> none"
    ));
}

#[test]
fn what_waited_behind_a_retransmission_is_not_measured() {
    // Karn: the second segment arrived long ago, and is acknowledged only now.
    run(&format!(
        "{ESTABLISHED}
        send 2000
        > . 1:1001(1000) ack 1
        > P. 1001:2001(1000) ack 1
        +0.3 > . 1:1001(1000) ack 1
        +0.5 < . 1:1(0) ack 2001
        info rtt -> 100"
    ));
}
