//! What verbs say and do in a lab that runs.

use crate::place::Place;
use crate::says::Want::Refuses;
use crate::says::assert_says;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_measured_stream_tells_what_its_connection_was() {
    let place = Place::new();
    place.ok(&["up"]);
    let result: serde_json::Value =
        serde_json::from_str(&place.ok(&["perf", "tcp", "h1", "h2", "-t", "0.1", "--json"])).unwrap();
    for number in ["seconds", "octets", "bits_per_second", "retransmits", "mss"] {
        assert!(result[number].is_number(), "{number}: {result}");
    }
    assert!(result["octets"].as_u64() > Some(0), "{result}");
    assert_eq!(result["received"], result["octets"], "{result}");
    // What is left of an MTU of 1500 octets after IPv4, TCP and its timestamps.
    assert_eq!(result["mss"], 1448, "{result}");
    assert!(result["congestion_control"].as_str().is_some_and(|name| !name.is_empty()), "{result}");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn connections_are_counted_and_held_ones_are_weighed() {
    let place = Place::new();
    place.ok(&["up"]);
    let json = |words: &[&str]| {
        let words = [&["perf", "conn", "h1", "h2", "-t", "0.2", "--json"], words].concat();
        serde_json::from_str::<serde_json::Value>(&place.ok(&words)).unwrap()
    };
    let result = json(&["-P", "4"]);
    for number in ["seconds", "connections_per_second", "connections_per_cpu_second"] {
        assert!(result[number].as_f64() > Some(0.0), "{number}: {result}");
    }
    assert!(result["connections"].as_u64() > Some(0), "{result}");
    assert_eq!(result["failed"], 0, "{result}");
    for number in ["min", "avg", "p50", "p99", "max"] {
        assert!(result["connect_us"][number].as_f64() > Some(0.0), "{number}: {result}");
    }
    for end in ["from", "to"] {
        assert!(result["cpu_seconds"][end].as_f64() > Some(0.0), "{end}: {result}");
    }
    assert_eq!(result.get("held"), None, "{result}");

    // More than one port has room for.
    let result = json(&["--hold", "30000"]);
    assert_eq!((&result["connections"], &result["failed"]), (&30_000.into(), &0.into()), "{result}");
    for end in ["from", "to"] {
        // A socket is no less than its numbers, and no more than a page.
        let octets = result["held"]["octets_per_connection"][end].as_i64().unwrap();
        assert!((500..4096).contains(&octets), "{end}: {result}");
        assert!(result["held"]["cpu_seconds"][end].as_f64() >= Some(0.0), "{end}: {result}");
    }
    // Nothing is left of them where they came from, once the last resets have left; a close that crossed the other end's waits, as it must.
    let left = || -> Vec<serde_json::Value> {
        let sockets: Vec<serde_json::Value> =
            serde_json::from_str(&place.ok(&["show", "sockets", "h1", "--json"])).unwrap();
        sockets.into_iter().filter(|socket| socket["state"] != "TIME-WAIT").collect()
    };
    let end = Instant::now() + Duration::from_secs(20);
    while !left().is_empty() {
        assert!(Instant::now() < end, "{:?}", left());
    }
    let said = place.ok(&["perf", "conn", "h1", "h2", "-t", "0.1", "--hold", "50"]);
    let lines: Vec<&str> = said.lines().collect();
    let begins = [
        "50 connections in ",
        "connect p50/p99/max = ",
        "processor time: h1 ",
        "held for 0.1 s: processor time h1 ",
        "memory a connection: h1 ",
    ];
    assert_eq!(lines.len(), begins.len(), "{said}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{said}");
    }
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_wire_check_sees_what_a_bulk_transfer_pushed_out_of_the_ring() {
    const BULK: &str = r#"
name = "bulk"
node.a = {}
node.b = {}
bus.link = { subnet = "192.0.2.0/30", nodes = ["a", "b"], history = "1MiB" }
[[check]]
tcp = { from = "a", to = "b", send = "16MiB" }
[[check]]
name = "they were resolved"
wire = { bus = "link", filter = "arp", min = 2 }
[[check]]
name = "nobody was silent"
wire = { bus = "link", filter = "arp", count = 0 }
expect = "fail"
"#;
    let place = Place::new();
    fs::write(place.dir.path().join("bulk.lab.toml"), BULK).unwrap();
    let said = place.ok(&["test", "bulk.lab.toml"]);
    assert!(said.contains("3 passed"), "{said}");
    place.assert_clean();
}

#[test]
fn names_that_are_not_there_have_a_hint() {
    let place = Place::new();
    place.ok(&["up"]);
    for words in [
        &["ping", "h3", "h2"][..],
        &["ping", "h1", "h22"],
        &["link", "down", "h1:eth7"],
        &["stop", "r2"],
        &["show", "addr", "h"],
        &["sysctl", "h"],
        &["sysctl", "h1", "net.ipv4.tcp_sak"],
        &["sysctl", "h1", "kitchen"],
        &["sysctl", "h1", "net.ipv4.tcp_sack=maybe"],
        &["sysctl", "h1", "net.tcp.profile=rfc"],
    ] {
        assert_says(&place, words[0], &words[1..], Refuses(2));
    }
    // Nothing of it has happened.
    assert_eq!(place.pids().len(), 3);
}

#[test]
fn files_reach_their_node() {
    const FILES: &str = r#"
name = "files"
node.web = { files = { "/srv/index.html" = "www/index.html", "/etc/resolv.conf" = "resolv" } }
node.b = {}
bus.link = { subnet = "192.0.2.0/30", nodes = ["web", "b"] }
"#;
    let place = Place::new();
    let here = place.dir.path();
    fs::create_dir(here.join("www")).unwrap();
    for file in ["www/index.html", "resolv"] {
        fs::write(here.join(file), "x").unwrap();
    }
    fs::write(here.join("files.lab.toml"), FILES).unwrap();
    place.ok(&["-t", "files.lab.toml", "up"]);
    let config = |node: &str| -> serde_json::Value {
        let path = place.lab().with_file_name("files").join("node").join(node).join("config.json");
        serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))).unwrap()
    };
    // Wherever the node lives, the paths lead to them.
    let host = |file: &str| fs::canonicalize(here.join(file)).unwrap();
    let told = |path: &str| fs::canonicalize(config("web")["files"][path].as_str().unwrap()).unwrap();
    assert_eq!(told("/srv/index.html"), host("www/index.html"));
    assert_eq!(told("/etc/resolv.conf"), host("resolv"));
    assert!(config("b").get("files").is_none());
    place.ok(&["--lab", "files", "down"]);
    place.assert_clean();
}

const STACKS: &str = r#"
name = "stacks"
node.l = {}
node.f = { tcp = "freebsd", sysctl = { "net.inet.tcp.sack.enable" = false, "net.inet.tcp.cc.algorithm" = "reno" } }
bus.lan = { subnet = "192.0.2.0/24", nodes = ["l", "f"] }
"#;

#[test]
fn values_reach_the_node_and_are_told_and_changed() {
    let place = Place::new();
    fs::write(place.dir.path().join("stacks.lab.toml"), STACKS).unwrap();
    let ok = |words: &[&str]| place.ok(&[&["-t", "stacks.lab.toml"], words].concat());
    ok(&["up"]);
    assert_eq!(ok(&["sysctl", "l", "net.tcp.profile"]), "net.tcp.profile = linux\n");
    let all = ok(&["sysctl", "f"]);
    for line in
        ["net.tcp.profile = freebsd", "net.ipv4.tcp_sack = 0", "net.ipv4.tcp_congestion_control = reno"]
    {
        assert!(all.lines().any(|known| known == line), "{line}: {all}");
    }
    // Some of them changed on the way, in the order of the words.
    let some = ["net.inet.tcp.keepidle", "net.ipv4.tcp_keepalive_time = 60", "net.inet.tcp.keepidle"];
    let said =
        "net.inet.tcp.keepidle = 7200000\nnet.ipv4.tcp_keepalive_time = 60\nnet.inet.tcp.keepidle = 60000\n";
    assert_eq!(ok(&[&["sysctl", "f"][..], &some].concat()), said);
    assert_eq!(ok(&["sysctl", "-n", "f", "net.inet.tcp.keepidle"]), "60000\n");
    let json = |words: &[&str]| serde_json::from_str::<serde_json::Value>(&ok(words)).unwrap();
    let one = json(&["--json", "sysctl", "f", "net.inet.tcp.keepidle=90000"]);
    assert_eq!(one, serde_json::json!({"net.inet.tcp.keepidle": "90000"}));
    let all = json(&["--json", "sysctl", "f"]);
    assert_eq!(
        (&all["net.tcp.profile"], &all["net.ipv4.tcp_keepalive_time"]),
        (&"freebsd".into(), &"90".into())
    );
    // What came before a fault is done and said.
    let words = ["-t", "stacks.lab.toml", "sysctl", "f", "net.inet.tcp.keepcnt=3", "net.inet.tcp.kepcnt"];
    let output = place.run(&words);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "net.inet.tcp.keepcnt = 3\n");
    let said = "labctl: node `f`: no value is called net.inet.tcp.kepcnt\n  help: did you mean `net.inet.tcp.keepcnt`?\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    // A restart begins with what the topology says.
    ok(&["restart", "f"]);
    assert_eq!(ok(&["sysctl", "-n", "f", "net.inet.tcp.keepcnt", "net.inet.tcp.sack.enable"]), "8\n0\n");
    ok(&["down"]);
    place.assert_clean();
}

#[test]
fn nodes_come_and_go_and_the_rest_lives_on() {
    let place = Place::new();
    place.ok(&["up"]);
    let state_of = |name: &str| {
        let ps: serde_json::Value = serde_json::from_str(&place.ok(&["ps", "--json"])).unwrap();
        let nodes = ps["nodes"].as_array().unwrap().clone();
        let node = nodes.into_iter().find(|node| node["name"] == name).unwrap();
        (ps["state"].as_str().unwrap().to_owned(), node["state"].as_str().unwrap().to_owned())
    };
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["stop", "r1"]);
    assert_eq!(state_of("r1"), ("up".into(), "stopped".into()));
    assert!(!place.run(&["ping", "h1", "h2", "-c", "1", "-W", "0.1"]).status.success());
    place.ok(&["start", "r1"]);
    assert_says(&place, "start", &["r1"], Refuses(3));
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["kill", "r1"]);
    assert_eq!(state_of("r1"), ("half up".into(), "dead".into()));
    // That it is to be stopped now does not unmake its death.
    place.ok(&["stop", "r1"]);
    assert_eq!(state_of("r1"), ("half up".into(), "dead".into()));
    place.ok(&["restart", "r1", "h2"]);
    assert_eq!(state_of("r1"), ("up".into(), "running".into()));
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn labs_beside_each_other_are_told_apart() {
    let place = Place::new();
    let folder = place.dir.path().join("empty");
    fs::create_dir(&folder).unwrap();
    place.ok(&["--lab", "a", "up"]);
    place.ok(&["--lab", "b", "up"]);
    let elsewhere = |words: &[&str]| place.command(words).current_dir(&folder).output().unwrap();
    let list = String::from_utf8(elsewhere(&["ps"]).stdout).unwrap();
    assert!(list.contains("a  ") && list.contains("b  ") && list.contains("3/3"), "{list}");
    let output = elsewhere(&["ping", "h1", "h2"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("a, b"));
    place.ok(&["--lab", "a", "down"]);
    // Now there is only one.
    assert!(elsewhere(&["ping", "h1", "h2", "-c", "1"]).status.success());
    place.ok(&["down", "--all"]);
    place.assert_clean();
}
