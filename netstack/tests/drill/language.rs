//! The language itself: a script that is wrong fails, and says where; what is no script is an error
//! of its file and line.

use crate::engine::{Drill, reach_folder};
use libtest_mimic::Trial;

/// The tests of the language.
pub(crate) fn tests() -> Vec<Trial> {
    vec![
        Trial::test("language::what_is_wrong_fails", || Ok(what_is_wrong_fails()?)),
        Trial::test("language::what_is_right_passes", || Ok(what_is_right_passes()?)),
        Trial::test("language::what_is_no_script_is_told_with_its_line", || Ok(no_script()?)),
        Trial::test("language::a_report_shows_both_sides", || Ok(a_report_shows_both_sides()?)),
    ]
}

fn run(text: &str) -> Result<(), String> {
    Drill::parse("test.drill", text, reach_folder())?.run()
}

fn each(scripts: &[&str], fault: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let faults: Vec<String> = scripts.iter().filter_map(|script| fault(script)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn what_is_wrong_fails() -> Result<(), String> {
    const WRONG: [&str; 18] = [
        "< R 5:5(0)",                                                  // the challenge is not expected
        "> . 1:1(0) ack 1",                                            // nothing goes out
        "< R 5:5(0)\n> . 1:1(0) ack 2",                                // another ACK
        "< R 5:5(0)\n> . 1:1(0) ack 1 win 77",                         // another window
        "< R 5:5(0)\n> . 1:1(0) ack 1 <mss 9>",                        // other options
        "< R 5:5(0)\n> P. 1:1(0) ack 1",                               // other flags
        "< R 5:5(0)\n> . 0:0(0) ack 1",                                // another number
        "< R 5:5(0)\n> . 1:1(0) ack 1 urg 1",                          // no urgent pointer
        "< R 5:5(0)\n> . 1:1(0) ack 1 port 4001",                      // to another port
        "< R 5:5(0)\nport 4001\n> . 1:1(0) ack 1",                     // likewise
        "< R 5:5(0)\n> . 1:1(0) ack 1 tos 4",                          // another traffic class
        "< R 5:5(0)\n> [ect0] . 1:1(0) ack 1",                         // another mark
        "< R 5:5(0)\n+0.1 > . 1:1(0) ack 1",                           // another time
        "send 10\n> P. 1:11(10) ack 1\n+0.29~5ms > P. 1:11(10) ack 1", // beyond the tolerance
        "send 10\n> P. 1:11(10) ack 1\n+0.31~5ms > P. 1:11(10) ack 1", // likewise
        "send 10 -> 11\n> P. 1:11(10) ack 1",                          // another outcome
        "recv 10",                                                     // an error that is not expected
        "send 10\n> P. 1:11(10) ack 1\n+0.4 state -> Established",     // a retransmission is not expected
    ];
    each(&WRONG, |wrong| {
        let passed = run(&format!("reach established\n{wrong}")).is_ok();
        passed.then(|| format!("passed: {wrong}"))
    })
}

fn what_is_right_passes() -> Result<(), String> {
    const RIGHT: [&str; 7] = [
        "connect -> error InProgress\n> S 0:0(0)\ninfo congestion -> reno",
        "profile freebsd\nsysctl net.inet.tcp.initcwnd_segments 3\nreach established\ninfo cwnd -> 3000
         info congestion -> cubic",
        "reach established\n< R 5:5(0) # the challenge\n\n> . 1:1(0) ack 1",
        "tolerance 10ms\nreach established\nsend 10\n> P. 1:11(10) ack 1\n+0.29 > P. 1:11(10) ack 1
         +0.61 > P. 1:11(10) ack 1",
        "reach established\nsend 10\n> P. 1:11(10) ack 1\n+0.29~15ms > P. 1:11(10) ack 1",
        "reach established\nfor i 0..3\nfor k 0..2 by 1
         < P. {1+20*i+10*k}:{11+20*i+10*k}(10) ack 1\n> . 1:1(0) ack {10*k+20*i+11}\nend\nend
         recv 100 -> 60 from 1",
        "inet6\nlisten\n< S 0:0(0) <mss 1000>\n> S. 0:0(0) ack 1 <mss 1440>",
    ];
    each(&RIGHT, |right| run(right).err())
}

fn no_script() -> Result<(), String> {
    const NONE: [&str; 35] = [
        "< [ecn] S 0:0(0)",
        "profile plan9",
        "sysctl net.ipv4.tcp_nothing 1",
        "sysctl net.ipv4.tcp_sack perhaps",
        "sysctl net.tcp.profile linux",
        "listen\nsysctl net.ipv4.tcp_sack 0",
        "<",
        "< S",
        "< S 0",
        "< S 0:1(0)",
        "< X 0:0(0)",
        "< S 0:0(0) ack",
        "< S 0:0(0) ack one",
        "< S 0:0(0) win 65536",
        "< S 0:0(0) wind 5",
        "< S 0:0(0) <mss 5",
        "< S 0:0(0) <mss>",
        "< S 0:0(0) <mss 70000>",
        "< S 0:0(0) <hex 012>",
        "< S 0:0(0) <hex zz>",
        "+",
        "+x listen",
        "+-1 listen",
        "+1~5ms listen",
        "frobnicate",
        "send",
        "send ten",
        "set nodelay perhaps",
        "stat tcpNothing",
        "icmp toobig 1",
        "reach nowhere",
        "for i 0..3\nlisten",
        "for i 0\nend",
        "listen {i}",
        "listen\ntolerance 1ms",
    ];
    each(&NONE, |none| {
        let line = none.lines().count();
        match Drill::parse("test.drill", &format!("# a comment\n\n{none}"), reach_folder()) {
            Ok(_) => Some(format!("is a script: {none}")),
            // A loop without its end, or without a range, is told where it begins.
            Err(why)
                if why.starts_with(&format!(
                    "test.drill:{}: ",
                    if none.starts_with("for") { 3 } else { 2 + line }
                )) =>
            {
                None
            }
            Err(why) => Some(format!("{none}: {why}")),
        }
    })
}

fn a_report_shows_both_sides() -> Result<(), String> {
    let report = run("reach established\n\n< R 5:5(0)\n> . 1:1(0) ack 2 win 9\nsend 5").unwrap_err();
    let has = |line: &[&str]| report.lines().any(|l| line.iter().all(|part| l.contains(part)));
    let whole = report.starts_with("test.drill:4: ")
        && has(&["-- reach/established.drill"])
        && has(&["3", "0.100000", "< R 5:5(0)"])
        && has(&["==>", "4", "0.100000", "> . 1:1(0) ack 2 win 9", "| > . 1:1(0) ack 1 win 64240"])
        && has(&["differs: ack 2, seen 1"])
        && has(&["differs: win 9, seen 64240"])
        && !report.contains("send 5");
    if whole { Ok(()) } else { Err(report) }
}
