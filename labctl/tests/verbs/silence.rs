//! What does not answer: stopped processes, closed doors, paths that lose everything. It is said in time, and of whom.

use crate::place::{Place, kill};
use crate::says::Want::Refuses;
use crate::says::assert_says;
use std::fs;

#[test]
fn a_stopped_process_holds_nobody_up() {
    let place = Place::new();
    place.ok(&["up"]);
    let pids = place.pids();
    for pid in &pids {
        kill(*pid, nix::sys::signal::Signal::SIGSTOP);
    }
    use labctl::lab::process::{Identity, Life};
    while pids.iter().any(|pid| Identity::of(*pid).unwrap().1 != Life::Paused) {
        std::thread::yield_now();
    }
    assert!(place.ok(&["ps"]).contains("paused"));
    for verb in [
        &["ping", "h1", "h2"][..],
        &["trace", "h1", "h2"],
        &["perf", "udp", "h1", "h2"],
        &["show", "addr", "h1"],
        &["sysctl", "h1"],
    ] {
        assert_says(&place, verb[0], &verb[1..], Refuses(3));
    }
    assert_says(&place, "link", &["down", "h1:eth0"], Refuses(3));
    place.ok(&["restart", "h1"]);
    assert!(place.ok(&["show", "route", "h1"]).contains("default via 10.0.1.1"));
    place.ok(&["down"]);
    place.assert_clean();
}

/// SYNs that nobody answers: the node that asks is well, and is not to be started anew.
#[test]
fn a_connection_that_is_not_answered_is_not_a_silent_node() {
    let place = Place::new();
    place.ok(&["up"]);
    // Neighbours are known: nobody says that there is no way.
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["stop", "r1"]);
    std::thread::scope(|scope| {
        for measure in ["tcp", "rtt"] {
            let place = &place;
            scope.spawn(move || {
                let output = place.run(&["perf", measure, "h1", "h2", "-t", "0.1"]);
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{measure}: {said}");
                assert!(
                    said.contains("cannot connect to h2 (10.0.2.2): no answer in 10"),
                    "{measure}: {said}"
                );
                assert!(!said.contains("restart"), "{measure}: {said}");
            });
        }
    });
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn datagrams_that_are_all_lost_are_a_result() {
    let place = Place::new();
    place.ok(&["up"]);
    let said = place.ok(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100"]);
    assert_eq!(said.matches("(0.000%)").count(), 1, "{said}");
    place.ok(&["stop", "r1"]);
    let output = place.run(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("datagrams were lost"), "{output:?}");
    let output = place.run(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["packets"].as_u64() > Some(0), "{result}");
    assert_eq!((&result["lost"], &result["received"]), (&result["packets"], &0.into()), "{result}");
    assert_eq!(result["loss_percent"], 100.0, "{result}");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_check_of_tcp_that_nobody_answers_fails_in_its_time() {
    let place = Place::new();
    let text = r#"
name = "silent"
node.a = { routes = [ { to = "203.0.113.0/24", via = "192.0.2.2" } ] }
node.b = {}
bus.link = { subnet = "192.0.2.0/30", nodes = ["a", "b"] }
[[check]]
name = "nothing comes back"
tcp = { from = "a", to = "203.0.113.1", port = 80 }
within = "300ms"
expect = "fail"
[[check]]
name = "nothing comes"
tcp = { from = "a", to = "203.0.113.1", port = 80 }
within = "300ms"
"#;
    fs::write(place.dir.path().join("silent.lab.toml"), text).unwrap();
    let output = place.run(&["test", "--json", "silent.lab.toml"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(
        (report["checks"][0]["ok"].as_bool(), report["checks"][1]["ok"].as_bool()),
        (Some(true), Some(false))
    );
    for check in report["checks"].as_array().unwrap() {
        let detail = check["detail"].as_str().unwrap();
        assert!(detail.contains("no answer in "), "{report:#}");
    }
    place.assert_clean();
}

#[test]
fn a_node_without_its_control_socket_is_named_with_its_lab() {
    let place = Place::new();
    place.ok(&["--lab", "other", "up"]);
    fs::remove_file(place.run.join("other/node/h1/ctl")).unwrap();
    for words in [&["ping", "h1", "h2"][..], &["perf", "tcp", "h1", "h2"], &["show", "route", "h1"]] {
        let all: Vec<&str> = ["--lab", "other"].iter().chain(words).copied().collect();
        let output = place.run(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{all:?}: {said}");
        assert!(said.contains("`labctl --lab other restart h1`"), "{all:?}: {said}");
    }
    place.ok(&["--lab", "other", "restart", "h1"]);
    place.ok(&["--lab", "other", "ping", "h1", "h2", "-c", "1"]);
    place.ok(&["--lab", "other", "down"]);
    place.assert_clean();
}
