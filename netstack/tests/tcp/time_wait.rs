//! TIME-WAIT: RFC 9293 §3.6.1, RFC 1337, RFC 6191.

use crate::reach::*;
use crate::script::{run, with};
use netstack::tcp::TcpConfig;

fn time_wait() -> String {
    [ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, "close\nsockets -> Listen TimeWait\n"].concat()
}

/// With timestamps; our clock has run for a second.
const TIME_WAIT_TS: &str = "listen 80
    < S 0:0(0) win 65535 <mss 1000,ts 500 0>
    > S. 0:0(0) ack 1
    < . 1:1(0) ack 1 <ts 500 0>
    accept
    close
    > F. 1:1(0) ack 1
    < F. 1:1(0) ack 2 <ts 600 0>
    > . 2:2(0) ack 2
    sockets -> Listen TimeWait
    ";

#[test]
fn syn_with_a_higher_number_begins_anew() {
    run(&format!(
        "{}
        < S 100:100(0) win 65535 <mss 1000>
        > S. 0:0(0) ack 101
        sockets -> Listen SynReceived
        < . 101:101(0) ack 1
        accept -> 4000
        stat tcpTWRecycled -> 1",
        time_wait()
    ));
}

#[test]
fn syn_with_a_lower_number_is_answered_with_an_ack() {
    run(&format!("{}< S -100:-100(0) win 65535\n> . 2:2(0) ack 2\nsockets -> Listen TimeWait", time_wait()));
}

#[test]
fn syn_with_a_newer_timestamp_begins_anew_whatever_its_number() {
    run(&format!(
        "{TIME_WAIT_TS}
        < S -100:-100(0) win 65535 <mss 1000,ts 601 0>
        > S. 0:0(0) ack -99
        sockets -> Listen SynReceived"
    ));
}

#[test]
fn syn_with_an_older_timestamp_does_not() {
    run(&format!(
        "{TIME_WAIT_TS}
        < S 100:100(0) win 65535 <mss 1000,ts 599 0>
        > . 2:2(0) ack 2
        sockets -> Listen TimeWait"
    ));
}

#[test]
fn without_a_listener_a_new_syn_does_not_end_it() {
    // RFC 1122 §4.2.2.13: only to accept the connection.
    run(&format!(
        "{}close listener\n< S 100:100(0) win 65535\n> . 2:2(0) ack 2\nsockets -> TimeWait",
        time_wait()
    ));
}

#[test]
fn rst_ends_time_wait_as_on_linux() {
    run(&format!("{}< R 2:2(0)\nsockets -> Listen", time_wait()));
}

#[test]
fn rst_does_not_with_rfc_1337() {
    with(
        TcpConfig { rfc1337: true, ..TcpConfig::default() },
        &format!("{}< R 2:2(0)\nsockets -> Listen TimeWait", time_wait()),
    );
}

#[test]
fn the_port_is_held() {
    run(&format!(
        "{}close listener
        socket
        bind 10.0.0.1:80 -> error AddrInUse
        +60 bind 10.0.0.1:80 -> ok",
        time_wait()
    ));
}
