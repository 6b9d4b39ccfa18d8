//! ICMP errors: RFC 1122 §4.2.3.9, RFC 5927, RFC 1191.

use crate::reach::*;
use crate::script::{Script, run};
use netstack::tcp::TcpConfig;

#[test]
fn errors_end_an_attempt_to_connect() {
    for (kind, error) in [("port", "ConnRefused"), ("host", "HostUnreachable"), ("net", "NetUnreachable")] {
        run(&format!(
            "{SYN_SENT}
            icmp {kind} 0
            state -> Closed
            ready -> READ|WRITE|ERROR|HUP|RDHUP
            connect -> error {error}"
        ));
    }
}

#[test]
fn errors_do_not_end_a_connection_but_are_told_when_it_times_out() {
    let mut s = Script::new(TcpConfig::default());
    s.play(ESTABLISHED);
    s.play("send 10\n> P. 1:11(10) ack 1\nicmp port 1\nicmp host 1\nstate -> Established\nlenient");
    s.play("+2000 state -> Closed\nrecv 1 -> error HostUnreachable");
}

#[test]
fn progress_forgets_soft_errors() {
    let mut s = Script::new(TcpConfig::default());
    s.play(ESTABLISHED);
    s.play("send 10\n> P. 1:11(10) ack 1\nicmp host 1\n< . 1:1(0) ack 11\nlenient\nsend 10");
    s.play("+2000 state -> Closed\nrecv 1 -> error TimedOut");
}

#[test]
fn the_sequence_number_must_be_one_in_flight() {
    for seq in [-1, 1, 1000] {
        run(&format!("{SYN_SENT}icmp port {seq}\nstate -> SynSent\nstat tcpLockDroppedIcmps -> 1"));
    }
    run(&format!("{ESTABLISHED}icmp toobig 1 500\ninfo mss -> 1000\nstat tcpLockDroppedIcmps -> 1"));
}

#[test]
fn a_smaller_path_cuts_the_segments_and_sends_them_again() {
    run(&format!(
        "{ESTABLISHED}
        set nodelay
        send 1500
        > . 1:1001(1000) ack 1
        > P. 1001:1501(500) ack 1
        icmp toobig 1 640
        > . 1:601(600) ack 1
        > . 601:1001(400) ack 1
        info mss -> 600
        info cwnd -> 10000
        +0.1 < . 1:1(0) ack 1501
        send 1000
        > . 1501:2101(600) ack 1
        > P. 2101:2501(400) ack 1"
    ));
}

#[test]
fn a_larger_mtu_or_none_is_not_believed() {
    run(&format!(
        "{ESTABLISHED}
        send 1000
        > P. 1:1001(1000) ack 1
        icmp toobig 1 9000
        info mss -> 1000
        icmp toobig 1 0
        > . 1:537(536) ack 1
        > P. 537:1001(464) ack 1
        info mss -> 536
        lenient
        icmp toobig 1 20
        info mss -> 512"
    ));
}

#[test]
fn an_error_ends_a_half_open_connection_only_if_it_is_hard() {
    run(&format!("{SYN_RECEIVED}icmp host 0\nsockets -> Listen SynReceived\nicmp port 0\nsockets -> Listen"));
}
