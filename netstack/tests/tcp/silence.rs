//! When the peer is silent: keepalive (RFC 9293 §3.8.4).

use crate::reach::*;
use crate::script::{Script, reno, run};

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

#[test]
fn the_user_timeout_counts_instead_of_the_probes() {
    // tcp(7), TCP_USER_TIMEOUT
    run(&format!(
        "{ESTABLISHED}
        set keepalive
        set keepidle 10
        set keepintvl 5
        set keepcnt 9
        set usertimeout 18
        +10 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        +5 > R. 1:1(0) ack 1
        error -> TimedOut"
    ));
}

/// A peer that answers each probe and opens no window: probes and answers for so many seconds.
fn refuse(s: &mut Script, seconds: u32) {
    s.play("lenient");
    for _ in 0..seconds {
        s.play("+1 < . 1:1(0) ack 1 win 0");
    }
}

#[test]
fn a_window_that_stays_shut_ends_what_no_program_holds() {
    // As Linux: the answers are signs of life, but nobody waits for the room.
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("< . 1:1(0) ack 1 win 0\nsend 100\nclose");
    refuse(&mut s, 100);
    s.play("sockets -> Listen FinWait1");
    refuse(&mut s, 400);
    s.play("sockets -> Listen");
}

#[test]
fn a_window_that_stays_shut_ends_at_the_user_timeout_or_never() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("set usertimeout 30\n< . 1:1(0) ack 1 win 0\nsend 100");
    refuse(&mut s, 29);
    s.play("state -> Established");
    refuse(&mut s, 30);
    s.play("state -> Closed\nerror -> TimedOut");
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("< . 1:1(0) ack 1 win 0\nsend 100");
    refuse(&mut s, 2000);
    s.play("state -> Established");
}

#[test]
fn timers_that_were_set_anew_do_not_pile_up() {
    // Each delayed acknowledgment comes before the keepalive timer, whose entry stays.
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("set keepalive\nlenient");
    for i in 0..2000 {
        s.play(&format!("+0.1 < P. {}:{}(10) ack 1\nrecv 100", 1 + 10 * i, 11 + 10 * i));
    }
    s.play("timers fewer 100 -> true");
}
