//! What `labctl` itself does, in three forms: every kind of check, the topologies that ship, and the verbs that name addresses.
//!
//! Checks run in virtual time, so that a form costs no more than its packets.

use lab_tests::family::{Family, Host, in_url};
use lab_tests::{Place, User, in_each_family, root};
use serde_json::Value;
use std::net::IpAddr;

in_each_family!(
    every_kind_of_check_holds_and_fails,
    links_and_routers_come_and_go,
    topologies_that_ship_hold,
    verbs_take_the_family_that_is_asked_for,
);

/// Two hosts, two routers between them.
const LAB: &str = r#"
name = "forms"
[node]
h1 = {}
r1 = { forward = true, loopback = ["10.255.0.1/32", "fd00:ff::1/128"] }
r2 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
core  = { subnet = "10.0.3.0/24", subnet6 = "fd00:3::/64", nodes = ["r1", "r2"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r2", "h2"] }
"#;
const H2: Host = Host(2, 2);
const R1: Host = Host(1, 1);
/// The second router, as the first one sees it.
const R2: Host = Host(3, 2);
const NOBODY: Host = Host(2, 99);

/// The forms of one family that a form is made of.
fn each(family: Family) -> impl Iterator<Item = Family> {
    let (v4, v6) = (family.has_v4().then_some(Family::V4), family.has_v6().then_some(Family::V6));
    v6.into_iter().chain(v4)
}

/// The word for a family of one in topologies.
fn word(one: Family) -> &'static str {
    if one.has_v6() { "ipv6" } else { "ipv4" }
}

/// Runs `labctl test --virtual`; the report.
fn tested(topology: &str) -> Value {
    let place = Place::new(User::Myself);
    place.write("forms.lab.toml", topology);
    let output = place.run("test --virtual --seed 7 --json forms.lab.toml");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Every check holds that there is.
fn hold(topology: &str) -> usize {
    let report = tested(topology);
    let checks = report["checks"].as_array().expect("checks");
    let bad: Vec<&Value> = checks.iter().filter(|check| check["ok"] != true).collect();
    assert!(bad.is_empty(), "{bad:#?}\n{topology}");
    checks.len()
}

/// Every kind of check, of one family: once as it holds, once (where it asks something of somebody) as it must fail.
fn checks_of(one: Family) -> String {
    let name = word(one);
    let (h2, r1, r2, nobody) = (one.addr(H2), one.addr(R1), one.addr(R2), one.addr(NOBODY));
    let (net, group, echo, expired, port) = match one.has_v6() {
        true => (
            "fd00:2::/64",
            "ip6",
            "icmp6[icmp6type] == icmp6-echo",
            "icmp6[icmp6type] == 3",
            "icmp6[icmp6type] == 1",
        ),
        false => (
            "10.0.2.0/24",
            "ip",
            "icmp[icmptype] == icmp-echo",
            "icmp[icmptype] == 11",
            "icmp[icmptype] == 3",
        ),
    };
    let counter = |name: &str| format!("{group}{name}");
    let mut text = String::new();
    let mut check = |what: &str, more: &str| {
        let called = format!("{what} {more}").replace('"', "'");
        text += &format!("[[check]]\nname = \"{called}\"\n{what}\n{more}\n");
    };
    let fails = "expect = \"fail\"";
    check(
        &format!(
            "ping = {{ from = \"h1\", to = \"h2\", count = 3, interval = \"10ms\", size = 1000, family = \"{name}\" }}"
        ),
        "",
    );
    check(&format!("ping = {{ from = \"h1\", to = \"{h2}\", size = 4000 }}"), "");
    check(
        &format!(
            "ping = {{ from = \"h2\", to = \"{}\" }}",
            if one.has_v6() { "fd00:ff::1" } else { "10.255.0.1" }
        ),
        "",
    );
    check(&format!("ping = {{ from = \"h1\", to = \"h2\", ttl = 3, family = \"{name}\" }}"), "");
    check(&format!("ping = {{ from = \"h1\", to = \"h2\", ttl = 2, family = \"{name}\" }}"), fails);
    check(&format!("ping = {{ from = \"h1\", to = \"{nobody}\" }}"), fails);
    check(
        &format!("trace = {{ from = \"h1\", to = \"h2\", via = [\"r1\", \"r2\"], family = \"{name}\" }}"),
        "",
    );
    check(&format!("trace = {{ from = \"h1\", to = \"{h2}\", via = [\"{r1}\", \"{r2}\"] }}"), "");
    check(&format!("trace = {{ from = \"h1\", to = \"{h2}\", via = [\"{r2}\", \"{r1}\"] }}"), fails);
    check(
        &format!(
            "tcp = {{ from = \"h1\", to = \"h2\", send = \"256KiB\", rate = \"1mbit\", family = \"{name}\" }}"
        ),
        "",
    );
    check(&format!("tcp = {{ from = \"h2\", to = \"{r1}\" }}"), "");
    check(&format!("tcp = {{ from = \"h1\", to = \"{h2}\", port = 99 }}"), fails);
    check(
        &format!("udp = {{ from = \"h1\", to = \"h2\", count = 5, size = 2000, family = \"{name}\" }}"),
        "",
    );
    check(&format!("udp = {{ from = \"h1\", to = \"{h2}\", port = 99 }}"), fails);
    check(
        &format!("http = {{ from = \"h1\", to = \"h2\", path = \"/octets/10000\", family = \"{name}\" }}"),
        "",
    );
    check(&format!("http = {{ from = \"h1\", to = \"{h2}\", path = \"/none\", status = 404 }}"), "");
    check(&format!("http = {{ from = \"h1\", url = \"http://{}:99/\" }}", in_url(h2)), fails);
    check(&format!("route = {{ node = \"h1\", to = \"default\", via = \"{r1}\", dev = \"eth0\" }}"), "");
    check(
        &format!("route = {{ node = \"r1\", to = \"{net}\", via = \"{r2}\", dev = \"eth1\", metric = 1 }}"),
        "",
    );
    check(&format!("route = {{ node = \"r1\", to = \"{net}\", via = \"{r1}\" }}"), fails);
    check(&format!("neigh = {{ node = \"h1\", to = \"{r1}\", dev = \"eth0\" }}"), "");
    check(&format!("neigh = {{ node = \"h1\", to = \"{h2}\" }}"), fails);
    check(&format!("counter = {{ node = \"r1\", name = \"{}\", min = 50 }}", counter("ForwDatagrams")), "");
    check(&format!("counter = {{ node = \"h1\", name = \"{}\", min = 2 }}", counter("FragCreates")), "");
    check(&format!("counter = {{ node = \"h1\", name = \"{}\", min = 2 }}", counter("ReasmOKs")), fails);
    check(
        &format!("wire = {{ bus = \"*\", filter = \"{echo} and src host h1 and dst host h2\", min = 9 }}"),
        "",
    );
    check(&format!("wire = {{ bus = \"left\", filter = \"{expired} and src host r1\", min = 1 }}"), "");
    check(&format!("wire = {{ bus = \"left\", filter = \"{port} and src host h2\", min = 1 }}"), "");
    check(
        &format!("wire = {{ bus = \"right\", filter = \"{group} and tcp and src host h1\", count = 0 }}"),
        fails,
    );
    text
}

fn every_kind_of_check_holds_and_fails(family: Family) {
    let mut text = family.topology(LAB);
    // Names stand for IPv6 where it is.
    let by = format!("via = [\"{}\", \"{}\"]", family.addr(R1), family.addr(R2));
    text += &format!("[[check]]\nname = \"names\"\ntrace = {{ from = \"h1\", to = \"h2\", {by} }}\n");
    for one in each(family) {
        text += &checks_of(one);
    }
    for (there, filter) in [(family.has_v4(), "arp or ip"), (family.has_v6(), "ip6")] {
        let count = if there { "min = 1" } else { "count = 0" };
        text += &format!(
            "[[check]]\nname = \"{filter}\"\nwire = {{ bus = \"*\", filter = \"{filter}\", {count} }}\n"
        );
    }
    assert_eq!(hold(&text), 3 + 29 * each(family).count());
}

/// A link goes, a router dies, and everything is there again.
fn links_and_routers_come_and_go(family: Family) {
    let lab = r#"
name = "forms"
[node]
a = {}
r1 = { forward = true }
b = {}
[bus]
west = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "a"] }
east = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "b"], impair = { delay = "5ms", loss = "1%" } }
"#;
    let mut text = family.topology(lab);
    for (at, what) in
        [("2s", "link down r1:eth0"), ("4s", "link up r1:eth0"), ("6s", "kill r1"), ("8s", "start r1")]
    {
        text += &format!("[[event]]\nat = \"{at}\"\ndo = \"{what}\"\n");
    }
    for one in each(family) {
        for (after, expect) in
            [("0s", "pass"), ("2100ms", "fail"), ("4s", "pass"), ("6100ms", "fail"), ("8s", "pass")]
        {
            let (name, within) = (word(one), if expect == "pass" { "within = \"1900ms\"\n" } else { "" });
            text += &format!(
                "[[check]]\nname = \"{name} after {after}\"\nafter = \"{after}\"\n{within}expect = \"{expect}\"\n\
                 ping = {{ from = \"a\", to = \"b\", family = \"{name}\" }}\n"
            );
        }
        text += &format!(
            "[[check]]\nname = \"{0} over a bad link\"\nafter = \"10s\"\n\
             tcp = {{ from = \"a\", to = \"b\", send = \"1MiB\", family = \"{0}\" }}\n",
            word(one)
        );
    }
    assert_eq!(hold(&text), 6 * each(family).count());
}

fn topologies_that_ship_hold(family: Family) {
    for name in ["hello", "two-hosts", "lan5", "chain10", "ring", "dumbbell", "clos", "stacks"] {
        let file = root().join(format!("topologies/{name}.lab.toml"));
        let text = std::fs::read_to_string(file).expect("a topology that ships");
        let mut text = family.of_ipv4(&text);
        let other = if family.has_v6() { "ip and tcp" } else { "ip6" };
        text += &format!(
            "[[check]]\nname = \"nothing else\"\nwire = {{ bus = \"*\", filter = \"{other}\", count = 0 }}\n"
        );
        assert!(hold(&text) > 2, "{name}");
    }
}

fn verbs_take_the_family_that_is_asked_for(family: Family) {
    let place = Place::new(User::Myself);
    place.write("lab.toml", &family.topology(LAB));
    place.ok("up");
    let first = family.addr(H2).to_string();
    let trace = |how: &str| place.json(&format!("trace h1 h2 {how}"))["address"].clone();
    assert_eq!(trace(""), first);
    assert!(place.ok("ping h1 h2 -c 1").starts_with(&format!("PING {first} ")));
    let is_of = |one: Family, text: &str| {
        let host = text.trim_start_matches('[').split(['/', ']', '%']).next().unwrap_or(text);
        let host =
            host.parse::<IpAddr>().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()));
        host.map(|addr| addr.is_ipv6()) == Some(one.has_v6())
    };
    for one in [Family::V4, Family::V6] {
        let (flag, h2) = (if one.has_v6() { "-6" } else { "-4" }, one.addr(H2).to_string());
        if !each(family).any(|there| there == one) {
            for verb in ["ping h1 h2 -c 1", "trace h1 h2", "perf tcp h1 h2 -t 0.05"] {
                let refused = place.run(&format!("{verb} {flag}"));
                assert_eq!(refused.status.code(), Some(2), "{verb} {flag}: {refused:?}");
            }
            continue;
        }
        assert!(place.ok(&format!("ping h1 h2 -c 1 {flag}")).starts_with(&format!("PING {h2} ")));
        assert_eq!(trace(flag), h2);
        let perf = |what: &str| place.json(&format!("perf {what} h1 h2 -t 0.05 {flag}"));
        // What is left of an MTU of 1500 octets after IP, TCP and its timestamps.
        assert_eq!(perf("tcp")["mss"], if one.has_v6() { 1428 } else { 1448 });
        assert!(perf("udp -r 1000")["received"].as_u64() > Some(0));
        assert!(perf("rtt")["rtt_us"]["p50"].as_f64() > Some(0.0));
        assert!(perf("rtt --udp")["rtt_us"]["p50"].as_f64() > Some(0.0));
        assert!(perf("conn")["connections"].as_u64() > Some(0));
        for (table, key) in [("addr", "address"), ("neigh", "address"), ("sockets", "local")] {
            let rows = place.json(&format!("show {table} r1 {flag}"));
            let rows = rows.as_array().expect("rows").clone();
            assert!(table == "sockets" || !rows.is_empty(), "{table}");
            assert!(rows.iter().all(|row| is_of(one, row[key].as_str().expect("an address"))), "{rows:?}");
        }
        let routes = place.json(&format!("show route h1 {flag}"));
        let (all, via) = (if one.has_v6() { "::/0" } else { "0.0.0.0/0" }, one.addr(R1).to_string());
        let routes = routes.as_array().expect("rows").clone();
        assert!(routes.iter().any(|row| row["to"] == all && row["via"] == via.as_str()), "{routes:?}");
    }
    place.ok("down");
    place.assert_clean();
}
