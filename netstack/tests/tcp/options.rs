//! Timestamps and PAWS: RFC 7323.

use crate::script::run;

/// Established with timestamps; the peer's clock stands at 1000, ours at 100.
const WITH_TS: &str = "listen 80
    < S 0:0(0) win 65535 <mss 1012,ts 1000 0>
    > S. 0:0(0) ack 1 <mss 1460,ts 0 1000>
    +0.1 < . 1:1(0) ack 1 <ts 1000 0>
    accept
    ";

#[test]
fn every_segment_carries_timestamps_and_echoes() {
    run(&format!(
        "{WITH_TS}
        info mss -> 1000
        send 10
        > P. 1:11(10) ack 1 <ts 100 1000>
        +0.05 < P. 1:11(10) ack 11 <ts 1050 100>
        > . 11:11(0) ack 11 <ts 150 1050>"
    ));
}

#[test]
fn the_echo_is_of_the_segment_that_moved_the_window() {
    // RFC 7323 §4.3: of a segment after a hole the timestamp is not taken.
    run(&format!(
        "{WITH_TS}
        < . 1001:2001(1000) ack 1 <ts 1100 0>
        > . 1:1(0) ack 1 <ts 100 1000>
        < . 1:1001(1000) ack 1 <ts 1200 0>
        > . 1:1(0) ack 2001 <ts 100 1200>"
    ));
}

#[test]
fn paws_drops_what_is_older() {
    run(&format!(
        "{WITH_TS}
        < P. 1:11(10) ack 1 <ts 999 0>
        > . 1:1(0) ack 1
        recv 10 -> error WouldBlock
        stat tcpPAWSEstab -> 1
        < P. 1:11(10) ack 1 <ts 1000 0>
        > . 1:1(0) ack 11
        recv 10 -> 10 from 1"
    ));
}

#[test]
fn paws_spares_resets() {
    run(&format!("{WITH_TS}< R 1:1(0) <ts 5 0>\nstate -> Closed"));
}

#[test]
fn paws_forgets_after_24_days() {
    run(&format!("{WITH_TS}+2073600 < P. 1:11(10) ack 1 <ts 5 0>\n> . 1:1(0) ack 11\nrecv 10 -> 10 from 1"));
}

#[test]
fn the_timestamp_clock_may_turn_over() {
    run("listen 80
        < S 0:0(0) win 65535 <mss 1012,ts 4294967290 0>
        > S. 0:0(0) ack 1 <mss 1460,ts 0 4294967290>
        +0.1 < . 1:1(0) ack 1 <ts 4294967295 0>
        accept
        < P. 1:11(10) ack 1 <ts 3 0>
        > . 1:1(0) ack 11 <ts 100 3>");
}

#[test]
fn a_segment_without_timestamp_is_still_taken_as_on_linux() {
    run(&format!("{WITH_TS}< P. 1:11(10) ack 1\n> . 1:1(0) ack 11 <ts 100 1000>\nrecv 10 -> 10 from 1"));
}

#[test]
fn windows_are_scaled_both_ways() {
    run("listen 80
        < S 0:0(0) win 65535 <mss 1000,wscale 4>
        > S. 0:0(0) ack 1 win 64240 <mss 1460,wscale 8>
        +0.1 < . 1:1(0) ack 1 win 1000
        accept
        info sndwnd -> 16000
        < . 1:1001(1000) ack 1 win 1000
        > . 1:1(0) ack 1001 win 248");
}
