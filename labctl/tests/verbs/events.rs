//! What happens to a lab while it runs: events on either clock, and the same by hand.

use crate::place::{HELLO, Place};
use crate::simulated::reports;
use serde_json::Value;
use std::fs;

/// What happens to a wire and to a router, and when it is seen.
const FAILOVER: &str = r#"
[[event]]
at = "300ms"
do = "link down r1:eth1"
[[event]]
at = "600ms"
do = "link up r1:eth1"
[[event]]
at = "900ms"
do = "kill r1"
[[event]]
at = "1200ms"
do = "start r1"
[[check]]
name = "at first"
ping = { from = "h1", to = "h2" }
[[check]]
name = "while the link is down"
after = "310ms"
ping = { from = "h1", to = "h2", count = 1 }
expect = "fail"
[[check]]
name = "when it is up again"
after = "610ms"
within = "250ms"
ping = { from = "h1", to = "h2", count = 1 }
[[check]]
name = "while the router is dead"
after = "910ms"
within = "100ms"
ping = { from = "h1", to = "r1", count = 1 }
expect = "fail"
[[check]]
name = "when it is back"
after = "1210ms"
within = "20s"
ping = { from = "h1", to = "h2", count = 1 }
"#;

#[test]
fn events_happen_on_either_clock() {
    let place = Place::new();
    // The virtual one's checks end exactly where they are due; on a busy host the live one's may begin late, so it has longer phases.
    let slow = |text: &str| {
        let mut text = text.to_owned();
        for (fast, slow) in [
            ("1210ms", "14s"),
            ("1200ms", "13s"),
            ("910ms", "11s"),
            ("900ms", "10s"),
            ("610ms", "6s"),
            ("600ms", "5500ms"),
            ("310ms", "1s"),
            ("300ms", "800ms"),
            ("250ms", "3s"),
        ] {
            text = text.replace(&format!("\"{fast}\""), &format!("\"{slow}\""));
        }
        text
    };
    for (how, text) in [("--virtual", FAILOVER.to_owned()), ("--live", slow(FAILOVER))] {
        fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{text}")).unwrap();
        let (status, reports) = reports(&place, &["-t", "t.lab.toml", "--json", "test", how]);
        let report = &reports[0];
        assert_eq!((status, report["passed"].as_u64()), (Some(0), Some(5)), "{how}: {report:#}");
        let events: Vec<_> = report["events"].as_array().unwrap().iter().map(|event| &event["do"]).collect();
        assert_eq!(events, ["link down r1:eth1", "link up r1:eth1", "kill r1", "start r1"], "{how}");
    }
    place.assert_clean();
}

#[test]
fn an_event_that_cannot_happen_is_a_failure() {
    let place = Place::new();
    let text = format!(
        "{HELLO}[[event]]\nat = \"1s\"\ndo = \"start r1\"\n[[check]]\nafter = \"2s\"\nping = {{ from = \"h1\", to = \"h2\" }}\n"
    );
    fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let (status, reports) = reports(&place, &["-t", "t.lab.toml", "--json", "test", "--virtual"]);
    let check = &reports[0]["checks"][1];
    assert_eq!((status, &check["name"], &check["ok"]), (Some(1), &"event start r1".into(), &false.into()));
    assert!(check["detail"].as_str().unwrap().contains("running already"), "{check}");
}

/// Every act that works on either clock, each with what is seen of it.
const ACTS: &str = r#"
[[event]]
at = "1s"
do = "partition left h1"
[[check]]
after = "1.1s"
ping = { from = "h1", to = "r1" }
expect = "fail"
[[event]]
at = "3s"
do = "partition left"
[[check]]
after = "3.1s"
ping = { from = "h1", to = "h2" }
[[event]]
at = "5s"
do = "route del h1 default via 10.0.1.1"
[[check]]
after = "5.1s"
ping = { from = "h1", to = "h2" }
expect = "fail"
[[event]]
at = "7s"
do = "route add h1 10.0.2.0/24 via 10.0.1.1 metric 7"
[[check]]
after = "7.1s"
route = { node = "h1", to = "10.0.2.0/24", via = "10.0.1.1", metric = 7 }
[[check]]
ping = { from = "h1", to = "h2" }
after = "7.2s"
[[event]]
at = "9s"
do = "addr add h2:eth0 10.0.2.77/24"
[[check]]
after = "9.1s"
ping = { from = "h1", to = "10.0.2.77" }
[[event]]
at = "11s"
do = "addr del h2:eth0 10.0.2.77/24"
[[check]]
after = "11.1s"
ping = { from = "h1", to = "10.0.2.77" }
expect = "fail"
[[event]]
at = "15s"
do = "pause r1"
[[check]]
after = "15.1s"
ping = { from = "h1", to = "h2" }
expect = "fail"
[[event]]
at = "20s"
do = "resume r1"
[[check]]
after = "20.1s"
ping = { from = "h1", to = "h2" }
[[event]]
at = "25s"
do = "run h2 echo udp 7"
[[check]]
after = "25.1s"
udp = { from = "h1", to = "h2", port = 7 }
[[event]]
at = "30s"
do = "link flap r1:eth0 1s"
times = 2
every = "5s"
[[check]]
after = "30.1s"
ping = { from = "h1", to = "h2" }
expect = "fail"
[[check]]
after = "33s"
ping = { from = "h1", to = "h2" }
[[check]]
after = "35.1s"
ping = { from = "h1", to = "h2" }
expect = "fail"
[[check]]
after = "38s"
ping = { from = "h1", to = "h2" }
"#;

#[test]
fn every_act_does_what_it_says() {
    let place = Place::new();
    fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{ACTS}")).unwrap();
    let (status, reports) = reports(&place, &["-t", "t.lab.toml", "--json", "test", "--virtual"]);
    let report = &reports[0];
    assert_eq!((status, report["failed"].as_u64()), (Some(0), Some(0)), "{report:#}");
    let happened: Vec<_> = report["events"].as_array().unwrap().iter().map(|e| &e["at_ms"]).collect();
    assert_eq!(happened.len(), 13, "{happened:?}");
    assert_eq!(happened[9..], [&30e3.into(), &31e3.into(), &35e3.into(), &36e3.into()] as [&Value; 4]);
}

/// A router that dies once it has been asked for; and something that never comes.
const WHEN: &str = r#"
[[event]]
when = { wire = { bus = "right", filter = "icmp.type == 0" } }
do = "kill r1"
[[event]]
when = { route = { node = "h1", to = "10.77.0.0/16" } }
do = "kill h2"
[[check]]
ping = { from = "h1", to = "h2" }
[[check]]
name = "then it is gone"
within = "20s"
ping = { from = "h1", to = "r1" }
expect = "fail"
"#;

#[test]
fn an_event_waits_for_what_it_is_to_wait_for() {
    let place = Place::new();
    fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{WHEN}")).unwrap();
    for how in ["--virtual", "--live"] {
        let (status, reports) = reports(&place, &["-t", "t.lab.toml", "--json", "test", how]);
        let report = &reports[0];
        assert_eq!((status, report["failed"].as_u64()), (Some(0), Some(0)), "{how}: {report:#}");
        let [kill, never] = &report["events"].as_array().unwrap()[..] else { panic!("{report:#}") };
        assert!(kill["at_ms"].is_number() && kill["fault"].is_null(), "{kill}");
        assert!(never["at_ms"].is_null(), "{never}");
        assert!(never["fault"].as_str().unwrap().contains("no route to 10.77.0.0/16"), "{never}");
        // In virtual time it is as soon as it is so: at the first answer on its way.
        if how == "--virtual" {
            assert!(kill["at_ms"].as_f64().unwrap() < 1.5, "{kill}");
        }
    }
    let said = place.run(&["-t", "t.lab.toml", "test", "--virtual"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("event did not happen: kill h2: h1 has no route to 10.77.0.0/16"), "{said}");
    place.assert_clean();
}

#[test]
fn the_same_by_hand() {
    let place = Place::new();
    place.ok(&["up"]);
    let ping = |to: &str| place.run(&["ping", "h1", to, "-c", "1", "-W", "1"]).status.success();
    assert!(ping("h2"));
    place.ok(&["partition", "left", "h1"]);
    assert!(!ping("h2"));
    place.ok(&["partition", "left"]);
    assert!(ping("h2"));
    place.ok(&["route", "del", "h1", "default", "via", "10.0.1.1"]);
    assert!(!ping("h2"));
    place.ok(&["route", "add", "h1", "default", "via", "10.0.1.1"]);
    place.ok(&["addr", "add", "h2:eth0", "10.0.2.77/24"]);
    assert!(ping("10.0.2.77"));
    place.ok(&["pause", "r1"]);
    let state = |node: usize| {
        let ps: Value = serde_json::from_str(&place.ok(&["--json", "ps"])).unwrap();
        ps["nodes"][node]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(["running", "paused", "running"].map(str::to_owned), [0, 1, 2].map(state));
    assert!(!ping("h2"));
    place.ok(&["resume", "r1"]);
    assert!(ping("h2"));
    place.ok(&["link", "flap", "r1:eth0", "--for", "0.01"]);
    assert!(ping("h2"));
    let run = place.ok(&["run", "h1", "ping", "-c", "1", "h2"]);
    assert!(run.contains("1 received"), "{run}");
    for (words, says) in [
        (&["run", "h1", "pong"][..], "they are: "),
        (&["partition", "left", "h1,r1", "h1"], "named twice"),
        (&["partition", "middle"], "no bus `middle`"),
        (&["route", "add", "h1", "10.9.0.0/16"], "a gateway"),
        (&["pause", "h9"], "h9"),
    ] {
        let output = place.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{words:?}: {said}");
    }
    // A paused node goes down like any other.
    place.ok(&["pause", "h2"]);
    place.ok(&["down"]);
    place.assert_clean();
}
