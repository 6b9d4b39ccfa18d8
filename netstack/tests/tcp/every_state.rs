//! Every kind of segment in every state: RFC 9293 §3.10.7, with RFC 5961.

use crate::reach::*;
use crate::script::{Script, run};
use netstack::tcp::TcpConfig;

/// A synchronised state, how to reach it, RCV.NXT and SND.NXT there.
struct Reached {
    state: &'static str,
    script: String,
    rcv: i64,
    snd: i64,
}

fn synchronised() -> Vec<Reached> {
    let at = |state, parts: &[&str], rcv, snd| Reached { state, script: parts.concat(), rcv, snd };
    vec![
        at("Established", &[ESTABLISHED], 1, 1),
        at("FinWait1", &[ESTABLISHED, FIN_WAIT_1], 1, 2),
        at("FinWait2", &[ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2], 1, 2),
        at("CloseWait", &[ESTABLISHED, CLOSE_WAIT], 2, 1),
        at("Closing", &[ESTABLISHED, FIN_WAIT_1, CLOSING], 2, 2),
        at("LastAck", &[ESTABLISHED, CLOSE_WAIT, LAST_ACK], 2, 2),
        at("TimeWait", &[ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT], 2, 2),
    ]
}

/// In each synchronised state: `segment` comes, `answer` (or nothing) goes out, `then` is the state.
/// `{r}`, `{r+N}`, `{s}`, `{s+N}` stand for RCV.NXT and SND.NXT with an offset.
fn in_each(
    segment: &str,
    answer: impl Fn(&str) -> &'static str,
    then: impl Fn(&'static str) -> &'static str,
) {
    for r in synchronised() {
        let fill = |s: &str| {
            let mut s = s.to_string();
            for (name, base) in [("r", r.rcv), ("s", r.snd)] {
                for n in [-70_000, -20, -10, -2, -1, 0, 1, 5, 6, 10, 15, 20, 100_000, 100_010i64] {
                    let key = if n == 0 { format!("{{{name}}}") } else { format!("{{{name}{n:+}}}") };
                    s = s.replace(&key, &(base + n).to_string());
                }
            }
            s
        };
        let mut s = Script::new(TcpConfig::default());
        s.play(&r.script);
        s.play(&format!("state -> {}", r.state));
        s.play(&fill(segment));
        s.play(&fill(answer(r.state)));
        s.play(&format!("state -> {}", then(r.state)));
        s.finish();
    }
}

const CHALLENGE: &str = "> . {s}:{s}(0) ack {r}";
fn challenge(_: &str) -> &'static str {
    CHALLENGE
}
fn silence(_: &str) -> &'static str {
    ""
}
fn same(state: &'static str) -> &'static str {
    state
}
/// States in which the peer's stream is open.
fn receives(state: &str) -> bool {
    matches!(state, "Established" | "FinWait1" | "FinWait2")
}

#[test]
fn rst_at_rcv_nxt_ends_the_connection() {
    in_each("< R {r}:{r}(0)", silence, |_| "Closed");
}

#[test]
fn rst_elsewhere_in_the_window_is_challenged() {
    in_each("< R {r+1}:{r+1}(0)", challenge, same);
}

#[test]
fn rst_outside_of_the_window_is_dropped() {
    in_each("< R {r-1}:{r-1}(0)", silence, same);
    in_each("< R {r+100000}:{r+100000}(0)", silence, same);
}

#[test]
fn rst_with_an_ack_is_no_different() {
    in_each("< R. {r}:{r}(0) ack {s}", silence, |_| "Closed");
    in_each("< R. {r+5}:{r+5}(0) ack {s}", challenge, same);
}

#[test]
fn syn_in_the_window_is_challenged() {
    // In TIME-WAIT a SYN with a higher number begins a new connection, whose numbers the script
    // shows relative to its own SYN.
    let answer = |s: &str| if s == "TimeWait" { "> S. 0:0(0) ack {r+6}" } else { CHALLENGE };
    let then = |s| if s == "TimeWait" { "Closed" } else { s };
    in_each("< S {r+5}:{r+5}(0) win 1000", answer, then);
    in_each("< S {r-1}:{r-1}(0) win 1000", challenge, same);
}

#[test]
fn syn_ack_in_the_window_is_challenged() {
    in_each("< S. {r+5}:{r+5}(0) ack {s}", challenge, same);
    in_each("< S. {r}:{r}(0) ack {s}", challenge, same);
}

#[test]
fn ack_of_what_was_never_sent_is_challenged() {
    in_each("< . {r}:{r}(0) ack {s+1}", challenge, same);
    in_each("< . {r}:{r}(0) ack {s+100000}", challenge, same);
}

#[test]
fn ack_from_long_ago_is_challenged() {
    in_each("< . {r}:{r}(0) ack {s-70000}", challenge, same);
}

#[test]
fn segment_without_ack_is_dropped() {
    in_each("< - {r}:{r+10}(10)", silence, same);
    in_each("< F {r}:{r}(0)", silence, same);
}

#[test]
fn old_data_is_acknowledged_again() {
    in_each("< P. {r-10}:{r}(10) ack {s}", challenge, same);
}

#[test]
fn data_beyond_the_window_is_answered_with_an_ack() {
    in_each("< P. {r+100000}:{r+100010}(10) ack {s}", challenge, same);
}

#[test]
fn data_in_order_is_taken_where_the_stream_is_open() {
    let answer = |s: &str| match s {
        "Established" => "> . {s}:{s}(0) ack {r+10}",
        // Our FIN is acknowledged by the same segment in FIN-WAIT-1.
        "FinWait1" | "FinWait2" => "> . {s}:{s}(0) ack {r+10}",
        _ => "",
    };
    let then = |s| match s {
        "FinWait1" => "FinWait2",
        "Closing" => "TimeWait",
        "LastAck" => "Closed",
        s => s,
    };
    in_each("< P. {r}:{r+10}(10) ack {s}", answer, then);
}

#[test]
fn data_before_its_turn_is_answered_at_once() {
    let answer = |s: &str| if receives(s) { "> . {s}:{s}(0) ack {r}" } else { "" };
    in_each("< P. {r+10}:{r+20}(10) ack {s-1}", answer, same);
}

#[test]
fn fin_in_order_moves_the_state() {
    let answer = |s: &str| if receives(s) { "> . {s}:{s}(0) ack {r+1}" } else { "" };
    let then = |s| match s {
        "Established" => "CloseWait",
        "FinWait1" => "Closing",
        "FinWait2" => "TimeWait",
        s => s,
    };
    in_each("< F. {r}:{r}(0) ack {s-1}", answer, then);
}

#[test]
fn fin_with_the_ack_of_ours_ends_both_directions() {
    let answer = |s: &str| if receives(s) { "> . {s}:{s}(0) ack {r+1}" } else { "" };
    let then = |s| match s {
        "Established" => "CloseWait",
        "FinWait1" | "FinWait2" | "Closing" => "TimeWait",
        "LastAck" => "Closed",
        s => s,
    };
    in_each("< F. {r}:{r}(0) ack {s}", answer, then);
}

#[test]
fn fin_before_its_turn_waits_for_the_data_before_it() {
    for r in synchronised().into_iter().filter(|r| receives(r.state)) {
        let then = match r.state {
            "Established" => "CloseWait",
            "FinWait1" => "Closing",
            _ => "TimeWait",
        };
        let (snd, ack) = (r.snd, r.snd - 1);
        run(&format!(
            "{}
            < F. 11:21(10) ack {ack}
            > . {snd}:{snd}(0) ack 1
            state -> {}
            < . 1:11(10) ack {ack}
            > . {snd}:{snd}(0) ack 22
            state -> {then}",
            r.script, r.state
        ));
    }
}

#[test]
fn urgent_octet_is_announced_where_the_stream_is_open() {
    for r in synchronised() {
        let (rcv, ack) = (r.rcv, r.snd - 1);
        let news = if receives(r.state) { "1 from 3" } else { "error Invalid" };
        let mut s = Script::new(TcpConfig::default());
        s.play(&r.script);
        s.play("lenient");
        s.play(&format!("< PU. {rcv}:{}(5) ack {ack} urg 3", rcv + 5));
        s.play(&format!("recv 1 oob -> {news}"));
    }
}

// ---- CLOSED, LISTEN, SYN-SENT, SYN-RECEIVED ----------------------------------------------------

#[test]
fn closed_resets_strangers_as_rfc_9293_says() {
    run("
        < S 0:0(0) win 1000
        > R. 0:0(0) ack 1
        < . 5:5(0) ack 77
        > R 77:77(0)
        < P. 5:15(10) ack 78
        > R 78:78(0)
        < F 5:15(10)
        > R. 0:0(0) ack 16
        < R 5:5(0)
        < R. 5:5(0) ack 9
        sockets -> none");
}

#[test]
fn listen_takes_syns_only() {
    let rows = [
        ("< R 0:0(0)", ""),
        ("< R. 0:0(0) ack 7", ""),
        ("< . 0:0(0) ack 7", "> R 7:7(0)"),
        ("< S. 0:0(0) ack 7", "> R 7:7(0)"),
        ("< F. 0:0(0) ack 7", "> R 7:7(0)"),
        ("< P. 0:9(9) ack 7", "> R 7:7(0)"),
        ("< - 0:9(9)", ""),
        ("< F 0:0(0)", ""),
        ("< SF 0:0(0)", ""),
    ];
    for (segment, answer) in rows {
        run(&format!("{LISTEN}{segment}\n{answer}\nsockets -> Listen"));
    }
}

#[test]
fn syn_sent_takes_its_syn_ack_and_little_else() {
    let rows = [
        // (segment, answer, state then, SO_ERROR)
        ("< S. 0:0(0) ack 1", "> . 1:1(0) ack 1", "Established", "none"),
        ("< S. 0:0(0) ack 0", "> R 0:0(0)", "SynSent", "none"),
        ("< S. 0:0(0) ack 2", "> R 2:2(0)", "SynSent", "none"),
        ("< . 0:0(0) ack 9", "> R 9:9(0)", "SynSent", "none"),
        ("< . 0:0(0) ack 1", "", "SynSent", "none"),
        ("< R 0:0(0)", "", "SynSent", "none"),
        ("< R. 0:0(0) ack 0", "", "SynSent", "none"),
        ("< R. 0:0(0) ack 2", "", "SynSent", "none"),
        ("< R. 0:0(0) ack 1", "", "Closed", "ConnRefused"),
        ("< F. 0:0(0) ack 1", "", "SynSent", "none"),
        ("< P. 0:9(9) ack 1", "", "SynSent", "none"),
        ("< S 0:0(0)", "> S. 0:0(0) ack 1", "SynReceived", "none"),
    ];
    for (segment, answer, state, error) in rows {
        run(&format!("{SYN_SENT}{segment}\n{answer}\nstate -> {state}\nerror -> {error}"));
    }
}

#[test]
fn syn_received_waits_for_the_ack_of_its_syn() {
    let rows = [
        // (segment, answer, all sockets then)
        ("< . 1:1(0) ack 1", "", "Listen Established"),
        ("< P. 1:11(10) ack 1", "> . 1:1(0) ack 11", "Listen Established"),
        ("< F. 1:1(0) ack 1", "> . 1:1(0) ack 2", "Listen CloseWait"),
        ("< . 1:1(0) ack 0", "> R 0:0(0)", "Listen SynReceived"),
        ("< . 1:1(0) ack 2", "> R 2:2(0)", "Listen SynReceived"),
        ("< S 0:0(0) win 65535 <mss 1000>", "> S. 0:0(0) ack 1", "Listen SynReceived"),
        ("< S 1:1(0)", "", "Listen"),
        ("< R 1:1(0)", "", "Listen"),
        ("< R 5:5(0)", "> . 1:1(0) ack 1", "Listen SynReceived"),
        ("< R 0:0(0)", "", "Listen SynReceived"),
        ("< - 1:11(10)", "", "Listen SynReceived"),
    ];
    for (segment, answer, sockets) in rows {
        run(&format!("{SYN_RECEIVED}{segment}\n{answer}\nsockets -> {sockets}"));
    }
}

#[test]
fn challenges_are_limited_in_rate() {
    run(&format!(
        "{ESTABLISHED}
        < R 5:5(0)
        > . 1:1(0) ack 1
        < R 6:6(0)
        < S 7:7(0)
        < . 1:1(0) ack 500
        +0.499 < R 5:5(0)
        +0.001 < R 5:5(0)
        > . 1:1(0) ack 1
        stat tcpChallengeACK -> 2
        stat tcpACKSkippedChallenge -> 4
        state -> Established"
    ));
}

#[test]
fn checksums_are_checked() {
    let mut h = crate::engine::host::Host::new("10.0.0.1", TcpConfig::default(), 7);
    h.listener(80, 5);
    let mut segment = [0u8; 20];
    let header = netstack::wire::tcp::Header {
        src_port: 4000,
        dst_port: 80,
        flags: netstack::wire::tcp::Flags::SYN,
        ..Default::default()
    };
    header.emit(&mut segment);
    h.input("10.0.0.9".parse().unwrap(), crate::engine::host::PLAIN, &segment);
    assert_eq!((h.tcp.stats().in_csum_errs, h.tcp.len(), h.output().len()), (1, 1, 0));
}
