//! The search for bad luck, and the ways in which results are told.

use crate::place::{HELLO, Place};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// A lab that holds whatever happens to its wires, and not without its router.
const FAULTS: &str = r#"
[[fault]]
do = "link flap r1:eth1 1s"
before = "10s"
times = 3
[[fault]]
do = "impair set left loss 20%"
before = "10s"
[[fault]]
do = "kill r1"
before = "10s"
chance = "20%"
times = 2
[[check]]
name = "in the end"
after = "12s"
within = "10s"
ping = { from = "h1", to = "h2" }
"#;

fn place(text: &str) -> Place {
    let place = Place::new();
    fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{text}")).unwrap();
    place
}

#[test]
fn what_makes_it_fail_is_found_made_small_and_repeated() {
    let place = place(FAULTS);
    let words = ["test", "--virtual", "--explore", "200", "--seed", "5", "t.lab.toml"];
    let output = place.run(&words);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the fewest with which it fails, 1 event of "), "{said}");
    let report: Value = {
        let json = place.run(&[&["--json"], &words[..]].concat()).stdout;
        serde_json::from_slice(&json).unwrap()
    };
    let schedule = report["schedule"].as_array().unwrap();
    assert_eq!(schedule.len(), 1, "{report:#}");
    assert_eq!(schedule[0]["do"], "kill r1");
    // A second is a round time.
    assert_eq!(schedule[0]["at_ms"].as_f64().unwrap() % 1000.0, 0.0, "{report:#}");
    let again = said.lines().find_map(|line| line.trim().strip_prefix("again: labctl ")).unwrap();
    let output = place.run(&again.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAIL") && said.contains("--events"), "{said}");
    // Whoever runs it with other threads finds the same.
    let alone = place.run(&[&words[..], &["--jobs", "1"]].concat());
    assert!(String::from_utf8(alone.stdout).unwrap().contains(again));
}

#[test]
fn what_holds_is_said_to_hold() {
    let place = place(&FAULTS.replace("kill r1", "impair set right delay 5ms"));
    let said = place.ok(&["test", "--virtual", "--explore", "50", "--seed", "5", "t.lab.toml"]);
    assert!(said.contains("hello: 50 of 50 schedules hold, seeds 5 to 54"), "{said}");
    let output = place.run(&["test", "--explore", "5", "t.lab.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("help: add --virtual"), "{said}");
}

#[test]
fn results_as_the_test_anything_protocol_has_them() {
    let place = place(
        "[[check]]\nping = { from = \"h1\", to = \"h2\" }\n[[check]]\nname = \"issue #1\"\nping = { from = \"h1\", to = \"10.0.2.99\" }\n",
    );
    let output = place.run(&["test", "--virtual", "--tap", "t.lab.toml", "none.lab.toml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["TAP version 14", "ok 1 - hello: ping h1 -> h2", "not ok 2 - hello: issue \\#1"]);
    assert_eq!(lines[3..5], ["  ---", "  message: \"0 of 1 answered\""]);
    assert_eq!(lines[6..8], ["  ...", "not ok 3 - none.lab.toml: up"]);
    assert_eq!(lines.last(), Some(&"1..3"));
}

#[test]
fn a_test_is_run_again_when_its_topology_changes() {
    let check = "[[check]]\nping = { from = \"h1\", to = \"h2\" }\n";
    let place = place(check);
    let mut child = place
        .command(&["test", "--virtual", "--watch", "t.lab.toml"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut summary = || lines.by_ref().map(Result::unwrap).find(|line| line.contains(" passed")).unwrap();
    assert!(summary().starts_with("ok: 1 lab, 1 passed"));
    let path = place.dir.path().join("t.lab.toml");
    fs::write(&path, format!("{HELLO}{check}{check}")).unwrap();
    assert!(summary().starts_with("ok: 1 lab, 2 passed"));
    // As editors do: another file takes the name.
    let other = place.dir.path().join("other");
    fs::write(&other, format!("{HELLO}{check}[[check]]\nping = {{ from = \"h1\", to = \"10.0.2.9\" }}\n"))
        .unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(summary().starts_with("FAILED: 1 lab, 1 passed, 1 failed"));
    // It waits for more of a change when Ctrl-C comes.
    fs::write(&other, "").unwrap();
    crate::place::kill(child.id().cast_signed(), nix::sys::signal::Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
