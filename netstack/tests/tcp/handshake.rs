//! Making connections: RFC 9293 §3.5, options of the SYN, simultaneous open, retries, refusal.

use crate::reach::*;
use crate::script::{run, with};
use netstack::tcp::TcpConfig;

#[test]
fn syn_carries_linux_options() {
    run("connect -> error InProgress
        > S 0:0(0) win 64240 <mss 1460,sackOK,ts 0 0,nop,wscale 8>
        connect -> error Already
        +0.01 < S. 0:0(0) ack 1 win 65000 <mss 1400,ts 700 0,nop,wscale 5>
        > . 1:1(0) ack 1 win 251 <ts 10 700>
        info mss -> 1388
        info rtt -> 10
        info sndwnd -> 65000
        connect -> ok
        connect -> error IsConnected");
}

#[test]
fn syn_ack_offers_what_the_syn_offered() {
    let rows = [
        ("<mss 1000,nop,nop,ts 5 0,nop,wscale 3>", "<mss 1460,ts 0 5,wscale 8>"),
        ("<mss 1000,nop,wscale 3>", "<mss 1460,wscale 8>"),
        ("<mss 1000,ts 5 0>", "<mss 1460,ts 0 5>"),
        ("<sackOK>", "<mss 1460,sackOK>"),
        ("<mss 1000,sackOK,ts 5 0,nop,wscale 3>", "<mss 1460,sackOK,ts 0 5,wscale 8>"),
        ("<mss 1000,sackOK,nop,wscale 3>", "<mss 1460,sackOK,wscale 8>"),
        ("<>", "<mss 1460>"),
    ];
    for (theirs, ours) in rows {
        run(&format!("listen 80\n< S 0:0(0) win 60000 {theirs}\n> S. 0:0(0) ack 1 win 64240 {ours}"));
    }
}

#[test]
fn no_mss_means_536_and_a_tiny_one_is_not_believed() {
    for (mss, used) in [("<>", 536), ("<mss 1>", 48), ("<mss 9000>", 1460)] {
        run(&format!(
            "listen 80
            < S 0:0(0) win 60000 {mss}
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            accept
            info mss -> {used}"
        ));
    }
}

#[test]
fn maxseg_limits_what_is_offered() {
    run("set maxseg 900
        connect -> error InProgress
        > S 0:0(0) <mss 900,sackOK,ts 0 0,wscale 8>
        < S. 0:0(0) ack 1 <mss 1400>
        > . 1:1(0) ack 1
        info mss -> 900");
}

#[test]
fn without_scaling_timestamps_and_selective_acknowledgments() {
    with(
        TcpConfig { window_scaling: false, timestamps: false, sack: false, ..TcpConfig::default() },
        "connect -> error InProgress
        > S 0:0(0) win 64240 <mss 1460>
        < S. 0:0(0) ack 1 win 60000 <mss 1400,sackOK,ts 700 0,wscale 5>
        > . 1:1(0) ack 1 <>
        < . 1:1(0) ack 1 win 1000
        info sndwnd -> 1000",
    );
}

#[test]
fn a_scale_above_14_counts_as_14() {
    run("listen 80
        < S 0:0(0) win 65535 <mss 1000,wscale 200>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 2
        accept
        info sndwnd -> 32768");
}

#[test]
fn the_window_of_a_syn_is_not_scaled() {
    run("connect -> error InProgress
        > S 0:0(0)
        < S. 0:0(0) ack 1 win 100 <mss 1000,wscale 7>
        > . 1:1(0) ack 1
        info sndwnd -> 100");
}

#[test]
fn simultaneous_open() {
    run(&format!(
        "{SYN_SENT}
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        state -> SynReceived
        < S. 0:0(0) ack 1 win 1000
        > . 1:1(0) ack 1
        state -> Established
        connect -> ok
        send 10 -> 10
        > P. 1:11(10) ack 1"
    ));
}

#[test]
fn simultaneous_open_ends_with_the_plain_ack_too() {
    run(&format!(
        "{SYN_SENT}
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 1000
        state -> Established"
    ));
}

#[test]
fn syn_is_sent_seven_times_in_127_seconds() {
    run("connect -> error InProgress
        > S 0:0(0)
        +1 > S 0:0(0)
        +2 > S 0:0(0)
        +4 > S 0:0(0)
        +8 > S 0:0(0)
        +16 > S 0:0(0)
        +32 > S 0:0(0)
        state -> SynSent
        +63.999 state -> SynSent
        +0.001 state -> Closed
        connect -> error TimedOut
        ready -> READ|WRITE|HUP|RDHUP");
}

#[test]
fn syn_count_can_be_set() {
    run("set syncnt 1
        connect -> error InProgress
        > S 0:0(0)
        +1 > S 0:0(0)
        +2 error -> TimedOut");
}

#[test]
fn refused() {
    run(&format!(
        "{SYN_SENT}
        ready -> none
        < R. 0:0(0) ack 1
        ready -> READ|WRITE|ERROR|HUP|RDHUP
        error -> ConnRefused
        error -> none
        timers -> some
        +2 timers -> none"
    ));
}

#[test]
fn a_refused_socket_may_try_again() {
    run(&format!(
        "{SYN_SENT}
        < R. 0:0(0) ack 1
        connect -> error ConnRefused
        connect -> error InProgress
        > S 0:0(0)
        < S. 0:0(0) ack 1 <mss 1000>
        > . 1:1(0) ack 1
        connect -> ok"
    ));
}

#[test]
fn rst_to_a_half_open_simultaneous_connection_refuses_it() {
    run(&format!(
        "{SYN_SENT}
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        < R 1:1(0)
        state -> Closed
        error -> ConnRefused"
    ));
}

#[test]
fn closing_a_connection_that_is_not_made_forgets_it() {
    run(&format!("{SYN_SENT}close\nsockets -> none\n< S. 0:0(0) ack 1\n> R 1:1(0)"));
}

#[test]
fn data_may_come_with_the_syn_ack() {
    run(&format!(
        "{SYN_SENT}
        < S. 0:10(10) ack 1 win 1000 <mss 1000>
        > . 1:1(0) ack 11
        recv 100 -> 10 from 1"
    ));
}

#[test]
fn calls_on_a_socket_that_is_not_connected() {
    run("socket
        send 10 -> error Pipe
        recv 10 -> error NotConnected
        shut wr -> error NotConnected
        ready -> WRITE|HUP
        bind 10.0.0.77:80 -> error AddrNotAvailable
        bind 10.0.0.1:80 -> ok
        bind 10.0.0.1:81 -> error Invalid
        connect 224.0.0.1:80 -> error NetUnreachable
        connect 203.0.113.1:80 -> error NetUnreachable
        connect [2001:db8::1]:80 -> error AfNotSupported");
}

#[test]
fn while_connecting_nothing_can_be_sent_or_read() {
    run(&format!(
        "{SYN_SENT}
        send 10 -> error WouldBlock
        recv 10 -> error WouldBlock
        events -> none
        < S. 0:0(0) ack 1 <mss 1000>
        > . 1:1(0) ack 1
        events -> WRITE"
    ));
}

#[test]
fn a_lossy_handshake_begins_with_one_segment() {
    run(&format!(
        "{SYN_SENT}
        +1 > S 0:0(0)
        +2 > S 0:0(0)
        < S. 0:0(0) ack 1 win 65535 <mss 1000>
        > . 1:1(0) ack 1
        info cwnd -> 1000"
    ));
}

#[test]
fn the_window_of_a_crossing_syn_ack_is_not_scaled() {
    // RFC 7323 §2.2
    run(&format!(
        "{SYN_SENT}
        < S 0:0(0) win 1000 <mss 1000,wscale 7>
        > S. 0:0(0) ack 1
        < S. 0:0(0) ack 1 win 1000
        > . 1:1(0) ack 1
        info sndwnd -> 1000
        < . 1:1(0) ack 1 win 1000
        info sndwnd -> 128000"
    ));
}

#[test]
fn a_syn_in_the_window_of_a_crossing_open_is_challenged() {
    // RFC 9293 §3.10.7.4, fourth: only a passive open returns to LISTEN.
    run(&format!(
        "{SYN_SENT}
        < S 0:0(0) win 1000 <mss 1000>
        > S. 0:0(0) ack 1
        < S 5:5(0) win 1000
        > . 1:1(0) ack 1
        state -> SynReceived"
    ));
}
