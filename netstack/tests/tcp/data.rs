//! Data: delivery in order, acknowledgments, Nagle, buffers, urgent data.

use crate::reach::*;
use crate::script::{Script, reno, run};

#[test]
fn data_is_read_as_it_came() {
    run(&format!(
        "{ESTABLISHED}
        recv 10 -> error WouldBlock
        < P. 1:101(100) ack 1
        > . 1:1(0) ack 101
        recv 60 peek -> 60 from 1
        recv 60 -> 60 from 1
        recv 60 -> 40 from 61
        recv 60 -> error WouldBlock"
    ));
}

#[test]
fn holes_are_filled_in_any_order() {
    run(&format!(
        "{ESTABLISHED}
        < . 2001:3001(1000) ack 1
        > . 1:1(0) ack 1
        < . 4001:5001(1000) ack 1
        > . 1:1(0) ack 1
        recv 10 -> error WouldBlock
        < . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        recv 9000 -> 1000 from 1
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 3001
        < . 3001:4001(1000) ack 1
        > . 1:1(0) ack 5001
        recv 9000 -> 4000 from 1001
        stat tcpOFOQueue -> 2"
    ));
}

#[test]
fn overlaps_are_cut() {
    run(&format!(
        "{ESTABLISHED}
        < . 1:501(500) ack 1
        > . 1:1(0) ack 501
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 501
        < . 301:1501(1200) ack 1
        > . 1:1(0) ack 2001
        < . 1:2501(2500) ack 1
        > . 1:1(0) ack 2501
        recv 9000 -> 2500 from 1"
    ));
}

#[test]
fn a_duplicate_is_acknowledged_at_once() {
    run(&format!(
        "{ESTABLISHED}
        < P. 1:101(100) ack 1
        > . 1:1(0) ack 101
        < P. 1:101(100) ack 1
        > . 1:1(0) ack 101
        < P. 1:101(100) ack 1
        > . 1:1(0) ack 101
        recv 500 -> 100 from 1"
    ));
}

/// A connection whose first segments, acknowledged at once, are over.
fn past_quick_acks(s: &mut Script) -> i64 {
    s.play(ESTABLISHED);
    let mut at = 1;
    for _ in 0..16 {
        s.play(&format!("< . {at}:{}(1000) ack 1\n> . 1:1(0) ack {}\nrecv 2000", at + 1000, at + 1000));
        at += 1000;
    }
    at
}

#[test]
fn every_second_full_segment_is_acknowledged() {
    let mut s = Script::new(reno());
    let at = past_quick_acks(&mut s);
    s.play(&format!(
        "< . {at}:{}(1000) ack 1
        +0.01 < . {}:{}(1000) ack 1
        > . 1:1(0) ack {}",
        at + 1000,
        at + 1000,
        at + 2000,
        at + 2000
    ));
    s.finish();
}

#[test]
fn a_single_segment_waits_40_ms() {
    let mut s = Script::new(reno());
    let at = past_quick_acks(&mut s);
    s.play(&format!(
        "< . {at}:{0}(1000) ack 1\n+0.04 > . 1:1(0) ack {0}\nstat tcpDelayedACKs -> 1",
        at + 1000
    ));
    s.finish();
}

#[test]
fn the_answer_carries_the_acknowledgment() {
    let mut s = Script::new(reno());
    let at = past_quick_acks(&mut s);
    s.play(&format!(
        "< . {at}:{0}(1000) ack 1\n+0.01 send 5\n> P. 1:6(5) ack {0}\n+0.1 < . {0}:{0}(0) ack 6",
        at + 1000
    ));
    s.finish();
}

#[test]
fn an_interactive_connection_delays_from_the_first_answer_on() {
    run(&format!(
        "{ESTABLISHED}
        room 0
        < P. 1:11(10) ack 1
        send 5
        room 10
        > P. 1:6(5) ack 11
        < P. 11:21(10) ack 6
        +0.04 > . 6:6(0) ack 21"
    ));
}

#[test]
fn a_burst_is_acknowledged_once() {
    // The interface is busy while the burst comes in, as when a driver hands up many frames.
    run(&format!(
        "{ESTABLISHED}
        room 0
        < . 1:1001(1000) ack 1
        < . 1001:2001(1000) ack 1
        < . 2001:3001(1000) ack 1
        < . 3001:4001(1000) ack 1
        room 10
        > . 1:1(0) ack 4001"
    ));
}

#[test]
fn nagle_holds_one_small_segment_in_flight() {
    run(&format!(
        "{ESTABLISHED}
        send 100
        > P. 1:101(100) ack 1
        send 100
        send 100
        +0.1 < . 1:1(0) ack 101
        > P. 101:301(200) ack 1"
    ));
}

#[test]
fn nagle_lets_full_segments_go() {
    run(&format!(
        "{ESTABLISHED}
        send 100
        > P. 1:101(100) ack 1
        send 1500
        > . 101:1101(1000) ack 1
        +0.1 < . 1:1(0) ack 101
        > P. 1101:1601(500) ack 1"
    ));
}

#[test]
fn minshall_lets_the_tail_of_a_large_write_go() {
    run(&format!("{ESTABLISHED}send 1500\n> . 1:1001(1000) ack 1\n> P. 1001:1501(500) ack 1"));
}

#[test]
fn nodelay_lets_everything_go() {
    run(&format!(
        "{ESTABLISHED}
        set nodelay
        send 10
        > P. 1:11(10) ack 1
        send 10
        > P. 11:21(10) ack 1"
    ));
}

#[test]
fn nodelay_set_later_pushes_what_waits() {
    run(&format!(
        "{ESTABLISHED}
        send 10
        > P. 1:11(10) ack 1
        send 10
        set nodelay
        > P. 11:21(10) ack 1"
    ));
}

#[test]
fn cork_holds_small_segments_until_it_is_pulled() {
    run(&format!(
        "{ESTABLISHED}
        set cork on
        send 600
        send 600
        > . 1:1001(1000) ack 1
        set cork off
        > P. 1001:1201(200) ack 1"
    ));
}

#[test]
fn more_is_a_cork_for_one_call() {
    run(&format!("{ESTABLISHED}send 10 more\nsend 10\n> P. 1:21(20) ack 1"));
}

#[test]
fn a_forgotten_cork_gives_way() {
    run(&format!("{ESTABLISHED}set cork on\nsend 10\n+0.3 > P. 1:11(10) ack 1"));
}

#[test]
fn the_send_buffer_is_bounded_and_tells_of_room() {
    run(&format!(
        "{ESTABLISHED}
        set sndbuf 4000
        room 0
        events -> WRITE
        send 20000 -> 8000
        send 1 -> error WouldBlock
        ready -> none
        room 10
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        > . 4001:5001(1000) ack 1
        > . 5001:6001(1000) ack 1
        > . 6001:7001(1000) ack 1
        > P. 7001:8001(1000) ack 1
        +0.1 < . 1:1(0) ack 1001
        events -> none
        +0.1 < . 1:1(0) ack 4001
        events -> WRITE
        ready -> WRITE"
    ));
}

#[test]
fn the_initial_window_is_ten_segments_and_grows() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("room 100\nsend 30000 -> 30000");
    for i in 0..10 {
        s.play(&format!("> . {}:{}(1000) ack 1", 1 + i * 1000, 1001 + i * 1000));
    }
    s.play("info cwnd -> 10000\n+0.1 < . 1:1(0) ack 2001");
    for i in 10..14 {
        s.play(&format!("> . {}:{}(1000) ack 1", 1 + i * 1000, 1001 + i * 1000));
    }
    s.play("info cwnd -> 12000");
    s.finish();
}

#[test]
fn an_idle_connection_begins_again() {
    let mut s = Script::new(reno());
    s.play(ESTABLISHED);
    s.play("lenient\nroom 1000\nsend 20000\n+0.1 < . 1:1(0) ack 10001\n+0.1 < . 1:1(0) ack 20001\ninfo cwnd -> 20000");
    s.play("+10 send 1000\ninfo cwnd -> 10000");
}

#[test]
fn the_interface_is_asked_before_each_burst() {
    run(&format!(
        "{ESTABLISHED}
        room 2
        send 4000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        room 10
        > . 2001:3001(1000) ack 1
        > P. 3001:4001(1000) ack 1"
    ));
}

#[test]
fn urgent_data_comes_out_of_band() {
    run(&format!(
        "{ESTABLISHED}
        < PU. 1:6(5) ack 1 urg 3
        > . 1:1(0) ack 6
        ready -> READ|WRITE|PRI
        recv 10 -> 2 from 1
        recv 1 oob -> 1 from 3
        recv 1 oob -> error Invalid
        recv 10 -> 2 from 4
        ready -> WRITE"
    ));
}

#[test]
fn urgent_data_in_line() {
    run(&format!(
        "{ESTABLISHED}
        set oobinline
        < PU. 1:6(5) ack 1 urg 3
        > . 1:1(0) ack 6
        recv 1 oob -> error Invalid
        recv 10 -> 2 from 1
        recv 10 -> 3 from 3"
    ));
}

#[test]
fn urgent_data_is_announced_before_it_comes() {
    run(&format!(
        "{ESTABLISHED}
        < U. 1:1(0) ack 1 urg 10
        recv 1 oob -> error WouldBlock
        < P. 1:11(10) ack 1
        > . 1:1(0) ack 11
        recv 1 oob -> 1 from 10"
    ));
}

#[test]
fn urgent_data_is_sent_with_a_pointer_behind_it() {
    run(&format!(
        "{ESTABLISHED}
        send 3 oob
        > PU. 1:4(3) ack 1 urg 3
        < . 1:1(0) ack 4
        send 3
        > P. 4:7(3) ack 1"
    ));
}
