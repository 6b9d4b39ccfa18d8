//! Segments that mean harm, or come from a confused peer: RFC 5961, full lists, windows that are not kept.

use crate::reach::*;
use crate::script::{run, with};
use netstack::tcp::TcpConfig;

#[test]
fn a_reset_is_judged_by_the_number_it_came_with() {
    // RFC 5961 §3.2: data before the expected number does not make it the expected one.
    run(&format!(
        "{ESTABLISHED}
        < P. 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < R 2:1402(1400)
        > . 1:1(0) ack 1001
        state -> Established"
    ));
}

#[test]
fn a_syn_that_overlaps_what_is_known_is_challenged() {
    // RFC 5961 §4.2
    run(&format!(
        "{ESTABLISHED}
        < P. 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < S 1:1401(1400)
        > . 1:1(0) ack 1001
        recv 2000 -> 1000 from 1
        state -> Established"
    ));
}

#[test]
fn syns_outside_of_the_window_are_answered_at_a_limited_rate() {
    run(&format!(
        "{ESTABLISHED}
        < S 1000000:1000000(0)
        > . 1:1(0) ack 1
        < S 1000000:1000000(0)
        < S 2000000:2000000(0)
        +0.5 < S 1000000:1000000(0)
        > . 1:1(0) ack 1"
    ));
}

#[test]
fn what_comes_in_its_turn_is_taken_however_many_holes_there_are() {
    with(
        TcpConfig { max_reass_ranges: 4, ..TcpConfig::default() },
        &format!(
            "{ESTABLISHED}
            < . 2001:3001(1000) ack 1
            > . 1:1(0) ack 1
            < . 4001:5001(1000) ack 1
            > . 1:1(0) ack 1
            < . 6001:7001(1000) ack 1
            > . 1:1(0) ack 1
            < . 8001:9001(1000) ack 1
            > . 1:1(0) ack 1
            < . 10001:11001(1000) ack 1
            > . 1:1(0) ack 1
            stat tcpOFODrop -> 1
            < . 1:1001(1000) ack 1
            > . 1:1(0) ack 1001
            < . 1001:2001(1000) ack 1
            > . 1:1(0) ack 3001"
        ),
    );
}

#[test]
fn data_in_a_syn_ack_beyond_the_window_is_cut() {
    run("set rcvbuf 2000
        set maxseg 1000
        connect -> error InProgress
        > S 0:0(0) win 2000
        < S. 0:3000(3000) ack 1
        > . 1:1(0) ack 2001 win 0
        recv 4000 -> 2000 from 1
        > . 1:1(0) ack 2001 win 2000
        # a number far off is still outside
        < R 100000:100000(0)
        state -> Established");
}
