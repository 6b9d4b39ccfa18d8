//! When the peer is silent: keepalive (RFC 9293 §3.8.4).

use crate::reach::*;
use crate::script::run;

#[test]
fn keepalive_probes_after_the_idle_time_and_gives_up() {
    run(&format!(
        "{ESTABLISHED}
        set keepalive
        set keepidle 10
        set keepintvl 5
        set keepcnt 3
        +10 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        +5 > R. 1:1(0) ack 1
        state -> Closed
        error -> TimedOut
        stat tcpKeepAlive -> 3"
    ));
}

#[test]
fn an_answer_starts_the_idle_time_anew() {
    run(&format!(
        "{ESTABLISHED}
        set keepalive
        set keepidle 10
        set keepintvl 5
        set keepcnt 1
        +10 > . 0:0(0) ack 1
        +1 < . 1:1(0) ack 1
        +10 > . 0:0(0) ack 1
        +1 < . 1:1(0) ack 1
        state -> Established"
    ));
}

#[test]
fn data_is_a_sign_of_life() {
    run(&format!(
        "{ESTABLISHED}
        set keepalive
        set keepidle 10
        +9 < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        +9.999 state -> Established
        +0.001 > . 0:0(0) ack 11"
    ));
}

#[test]
fn without_keepalive_a_connection_lasts_for_ever() {
    run(&format!("{ESTABLISHED}+1000000 state -> Established\ntimers -> none"));
}

#[test]
fn the_default_idle_time_is_two_hours() {
    run(&format!(
        "{ESTABLISHED}set keepalive\n+7199.9 state -> Established\n+0.1 > . 0:0(0) ack 1\n+75 > . 0:0(0) ack 1"
    ));
}

#[test]
fn while_data_is_in_flight_there_are_no_probes() {
    run(&format!(
        "{ESTABLISHED}
        set keepalive
        set keepidle 1
        +0.9 send 10
        > P. 1:11(10) ack 1
        lenient
        +20 stat tcpKeepAlive -> 0"
    ));
}
