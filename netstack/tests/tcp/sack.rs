//! Selective acknowledgments: RFC 2018 (what the receiver says), RFC 2883 (duplicates), and what the
//! sender makes of them: RFC 6675, RFC 8985 (RACK-TLP), RFC 6937 (PRR).

use crate::reach::*;
use crate::script::{Script, reno, run};

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
fn what_is_known_of_the_segments_in_flight_is_shown() {
    sacking(
        "send 14000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        > . 4001:5001(1000) ack 1
        > . 5001:6001(1000) ack 1
        > . 6001:7001(1000) ack 1
        > . 7001:8001(1000) ack 1
        > . 8001:9001(1000) ack 1
        > . 9001:10001(1000) ack 1
        info unsent -> 4000
        info segments -> 10 0 0 0
        info castate -> Open
        +0.1 < . 1:1(0) ack 1 <sack 2001:3001>
        > . 10001:11001(1000) ack 1
        info segments -> 11 1 0 0
        info castate -> Disorder
        lenient
        < . 1:1(0) ack 1 <sack 2001:5001>
        info castate -> Recovery
        info segments -> 11 3 1 1",
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

// ---- the sender ------------------------------------------------------------------------------------

/// Ten segments of 1000 octets in flight, a round trip of 100 ms.
fn ten_in_flight() -> Script {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play("room 1000\nsend 40000");
    for i in 0..10 {
        s.play(&format!("> . {}:{}(1000) ack 1", 1 + i * 1000, 1001 + i * 1000));
    }
    s
}

#[test]
fn three_segments_beyond_a_hole_mean_a_loss() {
    let mut s = ten_in_flight();
    s.play(
        "+0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1   # what has left makes room
        < . 1:1(0) ack 1 <sack 1001:3001>
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1        # and nothing that has arrived is sent again
        info ssthresh -> 5000
        stat tcpSackRecovery -> 1
        < . 1:1(0) ack 1 <sack 1001:5001>
        < . 1:1(0) ack 1 <sack 1001:6001>
        < . 1:1(0) ack 1 <sack 1001:7001>
        < . 1:1(0) ack 1 <sack 1001:8001>
        < . 1:1(0) ack 1 <sack 1001:9001>
        > . 12001:13001(1000) ack 1   # PRR: five are in flight, and stay
        +0.1 < . 1:1(0) ack 12001
        > . 13001:14001(1000) ack 1
        > . 14001:15001(1000) ack 1
        > . 15001:16001(1000) ack 1
        > . 16001:17001(1000) ack 1
        info cwnd -> 5000
        stat tcpRetransSegs -> 1",
    );
    s.finish();
}

#[test]
fn several_holes_are_mended_in_one_round_trip() {
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 3001:4001>
        < . 1:1(0) ack 1 <sack 5001:6001 3001:4001>
        strict
        < . 1:1(0) ack 1 <sack 7001:8001 5001:6001 3001:4001>
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1 <sack 9001:10001 7001:8001 5001:6001 3001:4001>
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        stat tcpTimeouts -> 0",
    );
    s.finish();
}

#[test]
fn one_early_segment_is_given_time_to_be_overtaken() {
    // RFC 8985 §6.2: a quarter of the least round trip.
    let mut s = ten_in_flight();
    s.play(
        "+0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        +0.025 > . 1:1001(1000) ack 1
        stat tcpSackRecovery -> 1",
    );
    s.finish();
    // It came in time: nothing was lost, and the network is known to reorder.
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        +0.02 < . 1:1(0) ack 2001
        +0.01 stat tcpRetransSegs -> 0
        # three are no loss any more, until their time is over
        < . 1:1(0) ack 2001 <sack 3001:4001>
        < . 1:1(0) ack 2001 <sack 3001:5001>
        < . 1:1(0) ack 2001 <sack 3001:6001>
        +0.01 stat tcpRetransSegs -> 0
        +0.03 stat tcpRetransSegs -> 1",
    );
}

#[test]
fn a_retransmission_that_is_lost_is_found_by_time() {
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 1001:4001>
        stat tcpRetransSegs -> 1
        # sent after the retransmission, and arrived
        +0.1 < . 1:1(0) ack 1 <sack 1001:10001>
        +0.01 < . 1:1(0) ack 1 <sack 1001:13001>
        stat tcpRetransSegs -> 2
        stat tcpTimeouts -> 0",
    );
}

#[test]
fn a_tail_is_probed_before_the_timeout() {
    // RFC 8985 §7: two round trips; a segment alone waits for a delayed acknowledgment, but not beyond the timeout.
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play(
        "send 3000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:3001(1000) ack 1
        +0.2 > P. 2001:3001(1000) ack 1
        stat tcpLossProbes -> 1
        +0.1 < . 1:1(0) ack 1 <sack 2001:3001>
        > . 1:1001(1000) ack 1      # sent two round trips before the probe
        > . 1001:2001(1000) ack 1
        +0.1 < . 1:1(0) ack 3001
        stat tcpTimeouts -> 0",
    );
    s.finish();
}

#[test]
fn a_probe_sends_news_if_there_are_any() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play(
        "send 1000
        > P. 1:1001(1000) ack 1
        send 10 more
        +0.3 > P. 1001:1011(10) ack 1     # the timeout's time, as two round trips and a delayed ACK would be later
        < . 1:1(0) ack 1011
        stat tcpLossProbes -> 1
        stat tcpRetransSegs -> 0",
    );
    s.finish();
}

#[test]
fn a_loss_that_only_the_probe_has_seen_halves_the_window() {
    // RFC 8985 §7.4: the last of three was lost, its copy acknowledged.
    let tail = "send 3000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:3001(1000) ack 1
        +0.1 < . 1:1(0) ack 2001
        info cwnd -> 10000\n";
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play(tail);
    s.play(
        "+0.3 > P. 2001:3001(1000) ack 1
        send 1000
        > P. 3001:4001(1000) ack 1
        +0.1 < . 1:1(0) ack 4001
        info cwnd -> 5000
        stat tcpLossProbeRecovery -> 1",
    );
    s.finish();
    // The original had arrived, says D-SACK.
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play(tail);
    s.play(
        "+0.3 > P. 2001:3001(1000) ack 1
        +0.1 < . 1:1(0) ack 3001 <sack 2001:3001>
        send 1000
        > P. 3001:4001(1000) ack 1
        +0.1 < . 1:1(0) ack 4001
        stat tcpDSACKRecv -> 1
        stat tcpLossProbeRecovery -> 0",
    );
    s.finish();
}

#[test]
fn a_timeout_spares_what_has_arrived_unless_the_peer_reneges() {
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 1001:3001>
        strict
        +0.025 > . 1:1001(1000) ack 1
        lenient
        +0.3 stat tcpTimeouts -> 1
        +0.1 strict
        < . 1:1(0) ack 3001
        > . 12001:13001(1000) ack 1     # F-RTO: news first
        > . 13001:14001(1000) ack 1
        > . 14001:15001(1000) ack 1
        > . 15001:16001(1000) ack 1
        < . 1:1(0) ack 3001 <sack 12001:13001>
        > . 3001:4001(1000) ack 1",
    );
    // RFC 2018 §8
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 1001:3001>
        +0.01 < . 1:1(0) ack 1001
        +0.32 stat tcpTimeouts -> 1
        < . 1:1(0) ack 2001
        strict
        < . 1:1(0) ack 2001 <sack 12001:13001>
        > . 2001:3001(1000) ack 1",
    );
}

#[test]
fn blocks_that_cannot_be_are_ignored() {
    for nonsense in [
        "0:1",          // the SYN
        "5000:5000",    // empty
        "6001:5001",    // turned round
        "1001:900001",  // never sent
        "1:500",        // a crumb
        "1501:1999",    // a crumb in the middle
        "99999:100999", // beyond
    ] {
        let mut s = ten_in_flight();
        s.play(&format!("+0.01 < . 1:1(0) ack 1 <sack {nonsense}>\ninfo inflight -> 10000"));
        s.play("+0.01 < . 1:1(0) ack 1\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1");
        s.finish();
    }
}

// ---- recoveries that were not needed ---------------------------------------------------------------

#[test]
fn a_timeout_is_spurious_if_what_was_sent_once_arrives() {
    // RFC 5682 §3.1: a delay spike. The ACKs of the originals come after the timeout.
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.5 stat tcpTimeouts -> 1      # after a probe with news
        info cwnd -> 1000
        strict
        < . 1:1(0) ack 1001
        > . 11001:12001(1000) ack 1     # step 2b: news
        > . 12001:13001(1000) ack 1
        < . 1:1(0) ack 2001
        stat tcpSpuriousRtx -> 1        # step 3b
        info cwnd -> 11000              # and in slow start again
        info inflight -> 11000",
    );
}

#[test]
fn a_timeout_is_real_if_nothing_else_arrives() {
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.5 stat tcpTimeouts -> 1
        strict
        +0.1 < . 1:1(0) ack 1001
        > . 11001:12001(1000) ack 1
        > . 12001:13001(1000) ack 1
        +0.1 < . 1:1(0) ack 1001 <sack 11001:12001>
        > . 1001:2001(1000) ack 1       # step 3a
        stat tcpSpuriousRtx -> 0",
    );
}

#[test]
fn an_old_timestamp_tells_that_the_original_arrived() {
    // RFC 3522
    let mut s = Script::new(reno());
    s.play(
        "listen 80
        < S 0:0(0) win 65535 <mss 1012,sackOK,ts 5 0>
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 65535 <ts 6 0>
        accept -> 4000
        lenient
        room 1000
        send 10000
        +0.1 < . 1:1(0) ack 1 <ts 7 100,sack 1001:4001>
        stat tcpSackRecovery -> 1
        stat tcpRetransSegs -> 1
        +0.01 < . 1:1(0) ack 4001 <ts 8 100>
        stat tcpSpuriousRtx -> 1
        info cwnd -> 14000",
    );
}

#[test]
fn duplicates_of_all_retransmissions_undo_the_recovery() {
    // RFC 3708
    let mut s = ten_in_flight();
    s.play(
        "lenient
        +0.1 < . 1:1(0) ack 1 <sack 1001:4001>
        stat tcpRetransSegs -> 1
        +0.01 < . 1:1(0) ack 4001
        stat tcpSpuriousRtx -> 0
        +0.09 < . 1:1(0) ack 4001 <sack 1:1001>
        stat tcpSpuriousRtx -> 1
        info cwnd -> 10000",
    );
}

#[test]
fn a_smaller_path_is_no_congestion() {
    // RFC 1191 §6.5
    let mut s = ten_in_flight();
    s.play(
        "lenient
        icmp toobig 1 640
        +0.1 < . 1:1(0) ack 601
        info mss -> 600
        stat tcpSackRecovery -> 0
        info ssthresh -> none",
    );
}

#[test]
fn the_first_acknowledgment_of_a_probe_is_no_duplicate() {
    // RFC 8985 §7.4: the loss that the probe has repaired shows when more is acknowledged.
    let mut s = Script::new(reno());
    s.play(ESTABLISHED_SACK);
    s.play(
        "lenient
        send 3000
        +0.1 < . 1:1(0) ack 2001
        +0.3 < . 1:1(0) ack 3001
        stat tcpLossProbes -> 1
        send 1000
        +0.1 < . 1:1(0) ack 4001
        stat tcpLossProbeRecovery -> 1",
    );
}
