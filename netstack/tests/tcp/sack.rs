//! Selective acknowledgments: RFC 2018 (what the receiver says), RFC 2883 (duplicates).

use crate::reach::*;
use crate::script::run;

fn sacking(text: &str) {
    run(&format!("{ESTABLISHED_SACK}{text}"));
}

#[test]
fn each_early_segment_is_reported_first() {
    // RFC 2018 §4: the first block holds the segment that caused the ACK, then those reported before.
    sacking(
        "< . 1001:2001(1000) ack 1
        > . 1:1(0) ack 1 <sack 1001:2001>
        < . 3001:4001(1000) ack 1
        > . 1:1(0) ack 1 <sack 3001:4001 1001:2001>
        < . 5001:6001(1000) ack 1
        > . 1:1(0) ack 1 <sack 5001:6001 3001:4001 1001:2001>
        < . 4001:5001(1000) ack 1
        > . 1:1(0) ack 1 <sack 3001:6001 1001:2001>
        < . 2001:3001(1000) ack 1
        > . 1:1(0) ack 1 <sack 1001:6001>
        < . 1:1001(1000) ack 1
        > . 1:1(0) ack 6001 <>",
    );
}

#[test]
fn there_is_room_for_four_blocks_or_three_beside_timestamps() {
    let early = |n: u32, tail: &str| format!("< . {}:{}(500) ack 1 {tail}\n", 1000 * n + 1, 1000 * n + 501);
    let mut plain = ESTABLISHED_SACK.to_owned();
    let mut stamped = "listen 80
        < S 0:0(0) win 65535 <mss 1000,sackOK,ts 5 0>
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 65535 <ts 6 0>
        accept -> 4000\n"
        .to_owned();
    plain += "lenient\n";
    stamped += "lenient\n";
    for n in 1..=5 {
        plain += &early(n, "");
        stamped += &early(n, "<ts 7 0>");
    }
    plain += "strict\n";
    stamped += "strict\n";
    plain += &early(6, "");
    stamped += &early(6, "<ts 8 0>");
    run(&format!("{plain}> . 1:1(0) ack 1 <sack 6001:6501 5001:5501 4001:4501 3001:3501>"));
    run(&format!("{stamped}> . 1:1(0) ack 1 <ts 100 6,sack 6001:6501 5001:5501 4001:4501>"));
}

#[test]
fn without_the_option_in_both_syns_there_are_no_blocks() {
    run(&format!("{ESTABLISHED}< . 1001:2001(1000) ack 1\n> . 1:1(0) ack 1 <>"));
}

#[test]
fn a_duplicate_is_reported_once() {
    // RFC 2883 §4.1: of data that was acknowledged
    sacking(
        "< . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001 <>
        < . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001 <sack 1:1001>
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 2001 <>",
    );
    // §4.2.2: of data beyond a hole; the second block is the one that holds it
    sacking(
        "< . 1001:2001(1000) ack 1
        > . 1:1(0) ack 1 <sack 1001:2001>
        < . 2001:3001(1000) ack 1
        > . 1:1(0) ack 1 <sack 1001:3001>
        < . 2001:3001(1000) ack 1
        > . 1:1(0) ack 1 <sack 2001:3001 1001:3001>",
    );
    // §4.3: in part
    sacking(
        "< . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < . 501:1501(1000) ack 1
        > . 1:1(0) ack 1501 <sack 501:1001>",
    );
}

#[test]
fn data_carries_blocks_if_they_fit() {
    sacking(
        "< . 1001:2001(1000) ack 1
        > . 1:1(0) ack 1
        send 100
        > P. 1:101(100) ack 1 <sack 1001:2001>
        < . 1001:1001(0) ack 101
        set nodelay
        send 1000
        > P. 101:1101(1000) ack 1 <>",
    );
}
