//! Pacing: SO_MAX_PACING_RATE; what BBR asks for is in `bbr`.

use crate::reach::*;
use crate::script::run;

#[test]
fn a_burst_is_two_segments_at_least_and_the_first_follows_sooner() {
    // A megabyte a second: two milliseconds for two segments; who has been silent gets one of them back.
    run(&format!(
        "{ESTABLISHED}set pacing 1000000
        get pacing -> 1000000
        info pacing -> 1000000
        send 8000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        +0.001 > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        +0.002 > . 4001:5001(1000) ack 1
        > . 5001:6001(1000) ack 1
        +0.002 > . 6001:7001(1000) ack 1
        > P. 7001:8001(1000) ack 1
        +0.05 < . 1:1(0) ack 8001
        info inflight -> 0"
    ));
}

#[test]
fn acknowledgments_do_not_wait() {
    run(&format!(
        "{ESTABLISHED}set pacing 1000000
        send 4000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        < . 1:1001(1000) ack 1
        > . 2001:2001(0) ack 1001
        # Nor does an acknowledgment let anything go before its time.
        < . 1001:1001(0) ack 1001
        +0.001 > . 2001:3001(1000) ack 1001
        > P. 3001:4001(1000) ack 1001"
    ));
}

#[test]
fn retransmissions_are_paced_too() {
    run(&format!(
        "{ESTABLISHED_SACK}set pacing 1000000
        lenient
        send 10000
        +0.02 strict
        +0.1 < . 1:1(0) ack 1 <sack 6001:10001>
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        +0.001 > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        +0.002 > . 4001:5001(1000) ack 1"
    ));
}

#[test]
fn without_a_limit_nothing_waits() {
    run(&format!(
        "{ESTABLISHED}get pacing -> off
        info pacing -> none
        set pacing 1000000
        set pacing off
        send 5000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        > P. 4001:5001(1000) ack 1"
    ));
}

#[test]
fn what_waits_when_the_connection_ends_is_forgotten() {
    run(&format!(
        "{ESTABLISHED}set pacing 1000
        send 5000
        > . 1:1001(1000) ack 1
        < R 1:1(0)
        state -> Closed
        +10 sockets -> Listen Closed"
    ));
}

#[test]
fn another_rate_holds_at_once() {
    run(&format!(
        "{ESTABLISHED}set pacing 1000
        send 5000
        > . 1:1001(1000) ack 1
        +0.01 set pacing 1000000
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        set pacing off
        > . 3001:4001(1000) ack 1
        > P. 4001:5001(1000) ack 1"
    ));
}

#[test]
fn what_waits_for_its_time_is_not_taken_for_stuck() {
    // The timer that asks for a window would go off 300 ms after the acknowledgment.
    run(&format!(
        "{ESTABLISHED}set pacing 1000
        send 2000
        > . 1:1001(1000) ack 1
        +0.1 < . 1:1(0) ack 1001
        +0.4 > P. 1001:2001(1000) ack 1"
    ));
}
