//! Profiles: what a peer sees of them.

use crate::script::with;
use netstack::tcp::{Profile, TcpConfig};

const SYN: &str = "connect -> error InProgress\n";

fn profile(profile: Profile, text: &str) {
    with(profile.config(), text);
}

#[test]
fn the_syn_of_each() {
    // The order of the options is a law of `wire::tcp`.
    profile(Profile::Linux, &format!("{SYN}> S 0:0(0) win 64240 <mss 1460,sackOK,ts 0 0,wscale 8>"));
    profile(Profile::FreeBsd, &format!("{SYN}> S 0:0(0) win 65535 <mss 1460,sackOK,ts 0 0,wscale 6>"));
    profile(Profile::Rfc, &format!("{SYN}> S 0:0(0) win 65535 <mss 1460,sackOK,ts 0 0,wscale 8>"));
}

#[test]
fn delayed_acknowledgments() {
    let script = |first: &str, delay: &str| {
        format!(
            "listen 80
            < S 0:0(0) win 65535 <mss 1000>
            > S. 0:0(0) ack 1
            +0.1 < . 1:1(0) ack 1 win 65535
            accept -> 4000
            < P. 1:101(100) ack 1
            {first}
            < P. 101:201(100) ack 1
            {delay} > . 1:1(0) ack 201"
        )
    };
    // Linux acknowledges the first segments of a connection at once.
    profile(Profile::Linux, &script("> . 1:1(0) ack 101", "+0"));
    profile(Profile::FreeBsd, &script("", "+0.1"));
    profile(Profile::Rfc, &script("", "+0.2"));
}

#[test]
fn least_timeouts() {
    let script = |rto: &str| {
        format!(
            "listen 80
            < S 0:0(0) win 65535 <mss 1000>
            > S. 0:0(0) ack 1
            +0.01 < . 1:1(0) ack 1 win 65535
            accept -> 4000
            send 100
            > P. 1:101(100) ack 1
            +0.01 < . 1:1(0) ack 101
            send 100
            > P. 101:201(100) ack 1
            {rto} > P. 101:201(100) ack 1"
        )
    };
    let config = |p: Profile| TcpConfig { sack: false, ..p.config() };
    // After twice 10 ms: SRTT 10 ms, RTTVAR 3.75 ms. Linux: 10 + 200 ms; FreeBSD: 10 + 15, at least
    // 30, and 200 ms; RFC 6298: one second.
    for (p, rto) in [(Profile::Linux, "+0.21"), (Profile::FreeBsd, "+0.23"), (Profile::Rfc, "+1")] {
        with(config(p), &script(rto));
    }
}

#[test]
fn initial_windows() {
    let script = |segments: usize| {
        let sent: String = (0..segments)
            .map(|i| format!("> . {}:{}(1000) ack 1\n", 1 + i * 1000, 1001 + i * 1000))
            .collect();
        format!(
            "listen 80
            < S 0:0(0) win 65535 <mss 1000>
            > S. 0:0(0) ack 1
            +0.1 < . 1:1(0) ack 1 win 65535
            accept -> 4000
            send 15000
            {sent}"
        )
    };
    profile(Profile::Linux, &script(10));
    profile(Profile::FreeBsd, &script(10));
    profile(Profile::Rfc, &script(4));
}

#[test]
fn small_segments_wait_by_nagles_rule_or_by_minshalls() {
    let script = |second: &str| {
        format!(
            "listen 80
            < S 0:0(0) win 65535 <mss 1000>
            > S. 0:0(0) ack 1
            +0.1 < . 1:1(0) ack 1 win 65535
            accept -> 4000
            send 1000
            > P. 1:1001(1000) ack 1
            send 100
            {second}
            +0.1 < . 1:1(0) ack 1001"
        )
    };
    // A full segment in flight holds a small one back by RFC 896, but not on Linux.
    profile(Profile::Linux, &script("> P. 1001:1101(100) ack 1"));
    let then = "> P. 1001:1101(100) ack 1";
    profile(Profile::FreeBsd, &format!("{}\n{then}", script("")));
    profile(Profile::Rfc, &format!("{}\n{then}", script("")));
}

#[test]
fn buffers_that_programs_ask_for() {
    let script = |window: &str| {
        format!(
            "set rcvbuf 20000
            connect -> error InProgress
            > S 0:0(0) win {window}"
        )
    };
    // Linux doubles what was asked for, rounds to segments, and keeps half for itself.
    profile(Profile::Linux, &script("18980"));
    profile(Profile::FreeBsd, &script("20000"));
}
