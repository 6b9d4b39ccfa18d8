//! Labs of both families: which one a name stands for, and what is of one link.

use crate::place::Place;
use serde_json::Value;
use std::fs;

/// h1 and h2 have both families, h3 has IPv4 only.
const BOTH: &str = r#"
name = "hello"
[node]
h1 = {}
r1 = { forward = true, if.eth0 = { bus = "left", ra = { interval = "1s", preference = "high" } } }
h2 = {}
h3 = { if.eth0 = { bus = "right", ip = "10.0.2.77" } }
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
[[check]]
ping = { from = ["h1", "h2", "h3"], to = ["r1", "h1", "h2", "h3"] }
[[check]]
ping = { from = "four1", to = "four2" }
[[check]]
trace = { from = "h1", to = "h2", via = ["r1"], family = "ipv4" }
[[check]]
trace = { from = "h1", to = "h2", via = ["fd00:1::1"] }
[[check]]
tcp = { from = "h1", to = "h2" }
[[check]]
udp = { from = "h1", to = "h2" }
[[check]]
http = { from = "h1", to = "h2", path = "/octets/10000", family = "ipv6" }
[[check]]
neigh = { node = "h1", to = "r1", dev = "eth0" }
[[check]]
route = { node = "h1", to = "default", via = "fd00:1::1" }
[[check]]
wire = { bus = "left", filter = "ipv6.src == h1 and icmp6[icmp6type] == icmp6-echo", min = 1 }
[[check]]
name = "advertised: a high preference, a prefix"
wire = { bus = "left", filter = "icmp6[icmp6type] == icmp6-routeradvert and ip6[45] & 0x18 == 0x08 and ip6[56] == 3", min = 1 }
within = "5s"
[[check]]
name = "not advertised"
wire = { bus = "right", filter = "icmp6[icmp6type] == icmp6-routeradvert", count = 0 }
[[check]]
name = "nothing of IPv6 from who has none"
wire = { bus = "plain", filter = "ip6", count = 0 }
[node.four]
count = 2
if.eth0 = { bus = "plain", ip = "10.9.0.{i}/24" }
[bus.plain]
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.dir.path().join("hello.lab.toml"), BOTH).unwrap();
    place
}

#[test]
fn names_stand_for_ipv6_where_both_ends_have_it() {
    let place = place();
    place.ok(&["up"]);
    let first = |words: &[&str]| {
        let words = [&["ping", "-c", "1"], words].concat();
        place.ok(&words).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(first(&["h1", "h2"]), "PING fd00:2::2 (fd00:2::2) 56 data bytes");
    assert_eq!(first(&["h1", "h2", "-4"]), "PING 10.0.2.2 (10.0.2.2) 56(84) bytes of data.");
    assert_eq!(first(&["h1", "h3"]), "PING 10.0.2.77 (10.0.2.77) 56(84) bytes of data.");
    // Though it is on a bus that speaks IPv6, h3 has no address of it.
    assert_eq!(first(&["h3", "h1"]), "PING 10.0.1.2 (10.0.1.2) 56(84) bytes of data.");
    let refused = |words: &[&str]| {
        let output = place.run(&[&["ping", "-c", "1"], words].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["h1", "h3", "-6"]).contains("`h3` has no IPv6 address"));
    assert!(refused(&["h1", "10.0.1.1", "-6"]).contains("`10.0.1.1` is no IPv6 address"));
    assert!(refused(&["h1", "fe80::1"]).contains("`fe80::1%eth0`"));

    let trace: Value = serde_json::from_str(&place.ok(&["trace", "h1", "h2", "--json"])).unwrap();
    assert_eq!((&trace["reached"], &trace["address"]), (&true.into(), &"fd00:2::2".into()));
    let perf: Value =
        serde_json::from_str(&place.ok(&["perf", "tcp", "h1", "h2", "-t", "0.1", "--json"])).unwrap();
    // What is left of an MTU of 1500 octets after IPv6, TCP and its timestamps.
    assert_eq!(perf["mss"], 1428, "{perf}");
    let perf: Value =
        serde_json::from_str(&place.ok(&["perf", "tcp", "h1", "h2", "-4", "-t", "0.1", "--json"])).unwrap();
    assert_eq!(perf["mss"], 1448, "{perf}");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn addresses_of_one_link_are_shown_and_reached() {
    let place = place();
    place.ok(&["up"]);
    let rows: Vec<Value> = serde_json::from_str(&place.ok(&["show", "addr", "r1", "-6", "--json"])).unwrap();
    assert!(
        rows.iter().all(|row| row["address"].as_str().is_some_and(|text| text.contains(':'))),
        "{rows:?}"
    );
    let of_link =
        rows.iter().find(|row| row["if"] == "eth0" && row["scope"] == "link").expect("a link-local address");
    let address = of_link["address"].as_str().unwrap().split('/').next().unwrap();
    let zoned = format!("{address}%eth0");
    let out = place.ok(&["ping", "-c", "1", "h1", &zoned]);
    assert!(
        out.starts_with(&format!("PING {zoned} ({zoned}) 56 data bytes\n64 bytes from {zoned}: ")),
        "{out}"
    );
    let neighbours = place.ok(&["show", "neigh", "h1", "-6"]);
    assert!(
        neighbours.lines().any(|line| line.starts_with(&format!("{address} dev eth0 lladdr "))),
        "{neighbours}"
    );
    let routes = place.ok(&["show", "route", "h1", "-6"]);
    assert!(routes.starts_with("default via fd00:1::1 dev eth0 "), "{routes}");
    let routes = place.ok(&["show", "route", "h1", "-4"]);
    assert!(!routes.contains(':') && routes.starts_with("default via 10.0.1.1 dev eth0 "), "{routes}");
    let output = place.run(&["show", "stats", "h1", "-6"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let hosts = place.ok(&["exec", "h1", "--", "cat", "/etc/hosts"]);
    assert!(
        hosts.contains("\nfd00:2::2\th2\n10.0.2.2\th2\n") && hosts.contains("\n10.0.2.77\th3\n"),
        "{hosts}"
    );
    place.ok(&["down"]);
    place.assert_clean();
}

/// An address that is being tried is no address yet: whoever needs it waits.
#[test]
fn addresses_that_are_being_tried_are_waited_for() {
    let place = Place::new();
    let text = r#"
        name = "hello"
        [node]
        h1 = { if.eth0 = { bus = "lan", dad = "on" } }
        h2 = { if.eth0 = { bus = "lan", dad = "off", privacy = "eui64" } }
        [bus]
        lan = { subnet6 = "fd00::/64" }
    "#;
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    place.ok(&["up"]);
    place.ok(&["ping", "h2", "h1", "-c", "1"]);
    let addr = place.ok(&["show", "addr", "h1", "-6"]);
    assert!(addr.contains("inet6 fd00::1/64\n") && !addr.contains("tentative"), "{addr}");
    place.ok(&["down"]);
    place.assert_clean();
}

/// What a router of the topology advertises is learnt: whoever needs it waits, and names stand for it.
#[test]
fn addresses_that_are_advertised_are_waited_for() {
    let place = Place::new();
    let text = r#"
        name = "hello"
        [node]
        r1 = { forward = true, if.eth0 = { bus = "lan", ra = {} } }
        h1 = { if.eth0 = { bus = "lan", address = "slaac", privacy = "eui64", mac = "02:00:00:00:00:11" } }
        [bus]
        lan = { subnet = "10.0.0.0/24", subnet6 = "fd00::/64" }
    "#;
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    place.ok(&["up"]);
    let out = place.ok(&["ping", "r1", "h1", "-c", "1"]);
    assert!(out.starts_with("PING fd00::ff:fe00:11 (fd00::ff:fe00:11) "), "{out}");
    let out = place.ok(&["ping", "h1", "r1", "-c", "1"]);
    assert!(out.starts_with("PING fd00::1 (fd00::1) "), "{out}");
    let addr = place.ok(&["show", "addr", "h1", "-6"]);
    assert!(addr.contains("    inet6 fd00::ff:fe00:11/64 dynamic"), "{addr}");
    let routes = place.ok(&["show", "route", "h1", "-6"]);
    assert!(
        routes.lines().any(|line| line.starts_with("default via fe80::") && line.contains(" proto ra ")),
        "{routes}"
    );
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn checks_are_of_both_families() {
    let place = place();
    let report: Value = serde_json::from_str(&place.ok(&["test", "--json"])).unwrap();
    assert_eq!((&report["failed"], &report["passed"]), (&0.into(), &21.into()), "{report:#}");
}
