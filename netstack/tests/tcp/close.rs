//! Ending connections: RFC 9293 §3.6, half close, simultaneous close, resets, orphans.

use crate::reach::*;
use crate::script::{run, with};
use netstack::tcp::TcpConfig;

#[test]
fn active_close() {
    run(&format!(
        "{ESTABLISHED}
        close
        > F. 1:1(0) ack 1
        < . 1:1(0) ack 2
        sockets -> Listen FinWait2
        +1 < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        sockets -> Listen TimeWait
        +59.999 sockets -> Listen TimeWait
        +0.001 sockets -> Listen"
    ));
}

#[test]
fn passive_close() {
    run(&format!(
        "{ESTABLISHED}
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        recv 10 -> eof
        close
        > F. 1:1(0) ack 2
        sockets -> Listen LastAck
        < . 2:2(0) ack 2
        sockets -> Listen"
    ));
}

#[test]
fn simultaneous_close() {
    run(&format!(
        "{ESTABLISHED}
        close
        > F. 1:1(0) ack 1
        < F. 1:1(0) ack 1
        > . 2:2(0) ack 2
        sockets -> Listen Closing
        < . 2:2(0) ack 2
        sockets -> Listen TimeWait"
    ));
}

#[test]
fn half_close_lets_the_other_side_go_on() {
    run(&format!(
        "{ESTABLISHED}
        send 5
        > P. 1:6(5) ack 1
        shut wr
        > F. 6:6(0) ack 1
        send 1 -> error Pipe
        < . 1:1001(1000) ack 7
        > . 7:7(0) ack 1001
        recv 2000 -> 1000 from 1
        < F. 1001:1001(0) ack 7
        > . 7:7(0) ack 1002
        recv 10 -> eof
        state -> TimeWait"
    ));
}

#[test]
fn half_close_by_the_peer_lets_us_go_on() {
    run(&format!(
        "{ESTABLISHED}
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        recv 1 -> eof
        send 100
        > P. 1:101(100) ack 2
        < . 2:2(0) ack 101
        shut wr
        > F. 101:101(0) ack 2
        < . 2:2(0) ack 102
        state -> Closed"
    ));
}

#[test]
fn fin_follows_the_data() {
    run(&format!(
        "{ESTABLISHED}
        set nodelay
        send 2500
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:2501(500) ack 1
        close
        > F. 2501:2501(0) ack 1
        < . 1:1(0) ack 2502
        sockets -> Listen FinWait2"
    ));
}

#[test]
fn fin_rides_on_the_last_segment() {
    run(&format!(
        "{ESTABLISHED}
        room 0
        send 1500
        close
        room 10
        > . 1:1001(1000) ack 1
        > FP. 1001:1501(500) ack 1"
    ));
}

#[test]
fn fin_is_retransmitted() {
    run(&format!(
        "{ESTABLISHED}
        +0.1 close
        > F. 1:1(0) ack 1
        +0.3 > F. 1:1(0) ack 1
        +0.6 > F. 1:1(0) ack 1
        < . 1:1(0) ack 2
        sockets -> Listen FinWait2"
    ));
}

#[test]
fn closing_with_unread_data_resets() {
    run(&format!(
        "{ESTABLISHED}
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        close
        > R. 1:1(0) ack 11
        sockets -> Listen
        stat tcpAbortOnClose -> 1"
    ));
}

#[test]
fn linger_zero_resets() {
    run(&format!(
        "{ESTABLISHED}
        set linger 0
        send 10
        > P. 1:11(10) ack 1
        close
        > R. 11:11(0) ack 1
        sockets -> Listen"
    ));
}

#[test]
fn an_abort_from_outside_tells_both_sides() {
    run(&format!(
        "{ESTABLISHED}
        send 10
        > P. 1:11(10) ack 1
        abort
        > R. 11:11(0) ack 1
        recv 10 -> error ConnAborted
        send 10 -> error Pipe
        close
        sockets -> Listen"
    ));
}

#[test]
fn data_after_close_resets() {
    for prefix in ["close\n> F. 1:1(0) ack 1\n", "close\n> F. 1:1(0) ack 1\n< . 1:1(0) ack 2\n"] {
        run(&format!(
            "{ESTABLISHED}{prefix}
            < P. 1:11(10) ack 2
            > R. 2:2(0) ack 1
            sockets -> Listen
            stat tcpAbortOnData -> 1"
        ));
    }
}

#[test]
fn data_after_both_directions_were_shut_resets() {
    run(&format!(
        "{ESTABLISHED}
        shut both
        > F. 1:1(0) ack 1
        < P. 1:11(10) ack 2
        > R. 2:2(0) ack 1
        state -> Closed
        error -> ConnReset"
    ));
}

#[test]
fn shutting_the_reading_side_alone_still_reads() {
    run(&format!(
        "{ESTABLISHED}
        shut rd
        recv 1 -> eof
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        recv 20 -> 10 from 1
        state -> Established"
    ));
}

#[test]
fn an_orphan_stays_60_seconds_in_fin_wait_2() {
    run(&format!(
        "{ESTABLISHED}
        close
        > F. 1:1(0) ack 1
        < . 1:1(0) ack 2
        +59.999 sockets -> Listen FinWait2
        +0.001 sockets -> Listen
        < F. 1:1(0) ack 2
        > R 2:2(0)"
    ));
}

#[test]
fn a_program_may_stay_in_fin_wait_2_for_ever() {
    run(&format!(
        "{ESTABLISHED}{FIN_WAIT_1}{FIN_WAIT_2}+86400 state -> FinWait2\nclose\n+60 sockets -> Listen"
    ));
}

#[test]
fn an_orphan_gives_up_sooner() {
    // Eight retries instead of fifteen: 102.2 s.
    run(&format!(
        "{ESTABLISHED}
        +0.1 send 10
        > P. 1:11(10) ack 1
        close
        > F. 11:11(0) ack 1
        lenient
        +100 sockets -> Listen FinWait1
        +120 sockets -> Listen"
    ));
}

#[test]
fn too_many_orphans_are_reset() {
    with(
        TcpConfig { max_orphans: 1, ..TcpConfig::default() },
        &format!(
            "{ESTABLISHED}
            close
            > F. 1:1(0) ack 1
            port 4001
            < S 0:0(0) win 65535 <mss 1000>
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            accept -> 4001
            close
            > R. 1:1(0) ack 1 port 4001
            port 4000
            < F. 1:1(0) ack 2
            > . 2:2(0) ack 2
            stat tcpAbortOnMemory -> 1"
        ),
    );
}

#[test]
fn reset_by_the_peer_is_told_after_the_data() {
    run(&format!(
        "{ESTABLISHED}
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        < R. 11:11(0) ack 1
        ready -> READ|WRITE|ERROR|HUP|RDHUP
        recv 20 -> 10 from 1
        recv 20 -> error ConnReset
        recv 20 -> eof
        send 1 -> error Pipe"
    ));
}

#[test]
fn reset_after_the_peers_fin_is_a_broken_pipe() {
    run(&format!(
        "{ESTABLISHED}{CLOSE_WAIT}< R 2:2(0)\nrecv 1 -> eof\nsend 1 -> error Pipe\nsend 1 -> error Pipe"
    ));
}

#[test]
fn a_lost_last_ack_is_sent_again() {
    run(&format!(
        "{ESTABLISHED}{FIN_WAIT_1}{FIN_WAIT_2}{TIME_WAIT}
        +1 < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        +59.5 state -> TimeWait
        +0.5 state -> Closed"
    ));
}

#[test]
fn shut_wr_twice_sends_one_fin() {
    run(&format!("{ESTABLISHED}{FIN_WAIT_1}shut wr -> ok\n{FIN_WAIT_2}shut both -> ok\nstate -> FinWait2"));
}
