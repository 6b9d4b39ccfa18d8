//! How verbs end before their time, and what is left then: nothing but the evidence.

use crate::place::{HELLO, Place, kill};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Ctrl-C in the middle of `up` and of `test`: nothing is left.
#[test]
fn interrupted_is_taken_down() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str("[[check]]\nafter = \"60s\"\nping = { from = \"h1\", to = \"h2\" }\n");
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let child = place.command(&["test"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while nodes_below(&place.run) < 3 {
        assert!(std::time::Instant::now() < end, "the test does not start");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    kill(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    place.assert_clean();
}

/// Ctrl-C ends a ping with its summary, as that of a shell does.
#[test]
fn an_interrupted_ping_says_what_it_has_seen() {
    use std::io::{BufRead, BufReader, Read};
    let place = Place::new();
    place.ok(&["up"]);
    let words = ["ping", "h1", "h2", "-c", "1000000", "-i", "0.05"];
    let mut child = place.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("icmp_seq=2") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the ping ended by itself");
    }
    kill(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGINT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("packets transmitted") && rest.contains("rtt min/avg/max"), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn nodes_below(run: &Path) -> usize {
    let Ok(run) = run.canonicalize() else { return 0 };
    labctl::lab::process::scan(&run).len()
}

/// A test that was killed outright is swept by `gc`.
#[test]
fn a_killed_test_is_swept() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str("[[check]]\nafter = \"60s\"\nping = { from = \"h1\", to = \"h2\" }\n");
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let mut child = place.command(&["test"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while nodes_below(&place.run) < 3 {
        assert!(std::time::Instant::now() < end, "the test does not start");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // While it runs it is left alone.
    place.ok(&["gc"]);
    assert_eq!(nodes_below(&place.run), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    place.ok(&["gc"]);
    place.assert_clean();
}

#[test]
fn test_reports_failures_and_keeps_the_evidence() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str(
        r#"
[[check]]
ping = { from = "h1", to = "h2" }
[[check]]
name = "it must not arrive"
ping = { from = "h1", to = "h2", ttl = 1 }
expect = "fail"
[[check]]
name = "by way of nobody"
trace = { from = "h1", to = "h2", via = [] }
[[check]]
name = "no ping on any wire"
wire = { bus = "*", filter = "icmp", count = 0 }
[[check]]
tcp = { from = "h1", to = "h2" }
[[check]]
udp = { from = "h1", to = "h2" }
[[check]]
http = { from = "h1", to = "h2" }
[[check]]
route = { node = "h1", to = "0.0.0.0/0", via = "10.0.1.1" }
[[check]]
neigh = { node = "h1", to = "r1" }
[[check]]
counter = { bus = "left", name = "frames", min = 4 }
"#,
    );
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let output = place.run(&["test", "--json", "--junit", "out.xml", "--captures", "kept"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(8), Some(2)), "{report:#}");
    let failed: Vec<_> =
        report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failed[0]["name"], "by way of nobody");
    assert_eq!(failed[1]["name"], "no ping on any wire");
    let kept = place.dir.path().join(report["captures"].as_str().unwrap());
    assert!(kept.join("left.pcapng").exists() && kept.join("right.pcapng").exists());
    let xml = fs::read_to_string(place.dir.path().join("out.xml")).unwrap();
    assert!(xml.contains("tests=\"10\" failures=\"2\""), "{xml}");
    place.assert_clean();
}
