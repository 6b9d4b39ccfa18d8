//! The built-in programs by IPv6, and on nodes of both families, in virtual time.

mod world;

use netstack::time::Duration;
use rumpkern::config::{Dad, HostConfig, InterfaceConfig, Ipv6Config, NodeConfig, RouteConfig};
use serde_json::Value;
use world::prog::{run, serve};
use world::{World, interface};

/// An interface with IPv6 that is there at once.
fn six(name: &str, bus: &str, mac: u8, addresses: &[&str]) -> InterfaceConfig {
    InterfaceConfig {
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ipv6: Some(Ipv6Config { dad: Dad::Off, ..Ipv6Config::default() }),
        ..interface(name, bus, mac, "192.0.2.1/32")
    }
}

fn host(name: &str, addresses: &[&str]) -> HostConfig {
    HostConfig { name: name.into(), addresses: addresses.iter().map(|text| text.parse().unwrap()).collect() }
}

fn add(
    world: &mut World,
    name: &str,
    interfaces: Vec<InterfaceConfig>,
    routes: &[(&str, &str)],
    hosts: &[HostConfig],
) {
    let route = |(to, via): &(&str, &str)| RouteConfig {
        to: to.parse().unwrap(),
        via: Some(via.parse().unwrap()),
        dev: None,
        metric: 0,
        proto: "static".into(),
    };
    world.add(NodeConfig {
        lab: "test".into(),
        node: name.into(),
        forward: interfaces.len() > 1,
        interfaces,
        routes: routes.iter().map(route).collect(),
        hosts: hosts.to_vec(),
        ..NodeConfig::default()
    });
}

/// Two hosts on one wire: h1 has both families, h2 both, h3 IPv4 only.
fn lan() -> World {
    let mut world = World::default();
    let hosts = [
        host("h1", &["fd00::1", "10.0.0.1"]),
        host("h2", &["fd00::2", "10.0.0.2"]),
        host("h3", &["10.0.0.3"]),
    ];
    add(&mut world, "h1", vec![six("eth0", "lan", 1, &["10.0.0.1/24", "fd00::1/64"])], &[], &hosts);
    add(
        &mut world,
        "h2",
        vec![six("eth0", "lan", 2, &["10.0.0.2/24", "fd00::2/64", "fe80::2/64"])],
        &[],
        &hosts,
    );
    add(&mut world, "h3", vec![interface("eth0", "lan", 3, "10.0.0.3/24")], &[], &hosts);
    world
}

/// h1, r1, r2, h2 in a row; r1 sends 2001:db8::/32 to r2, which knows no way.
fn chain() -> World {
    let mut world = World::default();
    let hosts = [
        host("h1", &["fd00:1::2"]),
        host("r1", &["fd00:1::1"]),
        host("r2", &["fd00:2::2"]),
        host("h2", &["fd00:3::2"]),
    ];
    add(&mut world, "h1", vec![six("eth0", "a", 1, &["fd00:1::2/64"])], &[("::/0", "fd00:1::1")], &hosts);
    let left = vec![six("eth0", "a", 2, &["fd00:1::1/64"]), six("eth1", "b", 3, &["fd00:2::1/64"])];
    add(&mut world, "r1", left, &[("fd00:3::/64", "fd00:2::2"), ("2001:db8::/32", "fd00:2::2")], &hosts);
    let right = vec![six("eth0", "b", 4, &["fd00:2::2/64"]), six("eth1", "c", 5, &["fd00:3::1/64"])];
    add(&mut world, "r2", right, &[("fd00:1::/64", "fd00:2::1")], &hosts);
    add(&mut world, "h2", vec![six("eth0", "c", 6, &["fd00:3::2/64"])], &[("::/0", "fd00:3::1")], &hosts);
    world
}

#[test]
fn ping_looks_like_ping() {
    let world = lan();
    let (text, json) = run(&world, 0, "ping -c 2 h2", 0);
    assert_eq!(
        text.out(),
        "PING h2 (fd00::2) 56 data bytes\n\
         64 bytes from h2 (fd00::2): icmp_seq=1 ttl=64 time=0.000000 ms\n\
         64 bytes from h2 (fd00::2): icmp_seq=2 ttl=64 time=0.000000 ms\n\
         \n--- h2 ping statistics ---\n\
         2 packets transmitted, 2 received, 0% packet loss, time 1000ms\n\
         rtt min/avg/max/mdev = 0.000000/0.000000/0.000000/0.000000 ms\n"
    );
    assert_eq!(json.json()["received"], 2);
    let (text, _) = run(&world, 0, "ping -4 -c 1 h2", 0);
    assert!(text.out().starts_with("PING h2 (10.0.0.2) 56(84) bytes of data.\n"), "{}", text.out());
    let (text, _) = run(&world, 0, "ping -6 -c 1 h3", 2);
    assert_eq!(text.err(), "ping: h3: Address family for hostname not supported\n");
}

#[test]
fn one_link_s_addresses_are_reached_by_its_interface() {
    let world = lan();
    for to in ["fe80::2%eth0", "fe80::2%2"] {
        let (text, _) = run(&world, 0, &format!("ping -c 1 {to}"), 0);
        let want = format!("PING {to} ({to}) 56 data bytes\n64 bytes from {to}: icmp_seq=1 ttl=64 ");
        assert!(text.out().starts_with(&want), "{}", text.out());
    }
    let _sink = serve(&world, 1, "tcpsink 5001", false);
    run(&world, 0, "tcpsource -n 10k fe80::2%eth0 5001", 0);
    let _httpd = serve(&world, 1, "httpd 80", false);
    run(&world, 0, "get http://[fe80::2%25eth0]/octets/100", 0);
}

#[test]
fn ping_says_why_not() {
    let world = chain();
    let said = |command: &str| run(&world, 0, command, 1).0.out();
    let text = said("ping -c 1 -t 1 h2");
    assert!(text.contains("\nFrom fd00:1::1 icmp_seq=1 Time exceeded: Hop limit\n"), "{text}");
    assert!(text.contains("1 packets transmitted, 0 received, +1 errors, 100% packet loss"), "{text}");
    let text = said("ping -c 1 2001:db8::1");
    assert!(text.contains("\nFrom fd00:2::2 icmp_seq=1 Destination unreachable: No route\n"), "{text}");
    let text = said("ping -c 1 fd00:3::99");
    assert!(
        text.contains("\nFrom fd00:2::2 icmp_seq=1 Destination unreachable: Address unreachable\n"),
        "{text}"
    );
    // Our own stack finds no neighbour: it is us who says so.
    let text = said("ping -c 1 fd00:1::99");
    assert!(
        text.contains("\nFrom fd00:1::2 icmp_seq=1 Destination unreachable: Address unreachable\n"),
        "{text}"
    );
}

#[test]
fn traceroute_shows_the_way() {
    let world = chain();
    let (text, json) = run(&world, 0, "traceroute h2", 0);
    let zero = "0.000000 ms";
    assert_eq!(
        text.out(),
        format!(
            "traceroute to h2 (fd00:3::2), 30 hops max, 80 byte packets\n \
             1  r1 (fd00:1::1)  {zero}  {zero}  {zero}\n \
             2  r2 (fd00:2::2)  {zero}  {zero}  {zero}\n \
             3  h2 (fd00:3::2)  {zero}  {zero}  {zero}\n"
        )
    );
    let json = json.json();
    assert_eq!((&json["reached"], json["hops"].as_array().unwrap().len()), (&true.into(), 3));
    assert_eq!(json["hops"][1]["probes"][2]["from"], "fd00:2::2");
    let (text, _) = run(&world, 0, "traceroute -n -q 1 2001:db8::1 100", 0);
    assert!(text.out().contains(" 100 byte packets\n"), "{}", text.out());
    assert!(text.out().ends_with("  fd00:2::2  0.000000 ms !N\n"), "{}", text.out());
    let (text, _) = run(&world, 0, "traceroute -n -q 1 fd00:3::99", 0);
    assert!(text.out().ends_with(" ms !H\n"), "{}", text.out());
}

/// A server takes clients of either family on one socket, unless it is told to be of one.
#[test]
fn servers_are_of_both_families() {
    let world = lan();
    let sink = serve(&world, 1, "tcpsink 5001", false);
    let _echo = serve(&world, 1, "echo udp 7", false);
    let udp = serve(&world, 1, "udpsink 7000", false);
    let _httpd = serve(&world, 1, "httpd 80", false);
    let mut seen = 0;
    for (client, option) in [(0, ""), (0, "-4 "), (2, "")] {
        let (text, json) = run(&world, client, &format!("tcpsource {option}-n 1M h2 5001"), 0);
        let mss = if text.out().contains("[fd00::2]") { 1428 } else { 1448 };
        assert_eq!(
            (&json.json()["octets"], &json.json()["mss"]),
            (&(1 << 20).into(), &mss.into()),
            "{}",
            text.out()
        );
        let (_, json) = run(&world, client, &format!("rtt {option}-c 10 udp h2 7"), 0);
        assert_eq!(json.json()["received"], 10);
        let (_, json) = run(&world, client, &format!("udpsource {option}-n 100 -r 1000 h2 7000"), 0);
        assert_eq!((&json.json()["received"], &json.json()["lost"]), (&100.into(), &0.into()));
        let (_, json) = run(&world, client, &format!("get {option}http://h2/octets/1000"), 0);
        assert_eq!((&json.json()["status"], &json.json()["octets"]), (&200.into(), &1000.into()));
        world.settle();
        let want = match (client, option) {
            (0, "") => "[fd00::1]:",
            (0, _) => "10.0.0.1:",
            _ => "10.0.0.3:",
        };
        for text in [sink.out(), udp.out()] {
            let lines: Vec<_> = text.lines().skip(seen).collect();
            assert!(lines.len() == 2 && lines.iter().all(|line| line.starts_with(want)), "{lines:?}, {want}");
        }
        seen += 2;
    }
    let four = serve(&world, 1, "tcpsink -4 5002", false);
    assert_eq!(four.err(), "tcpsink: listening on port 5002\n");
    let (text, _) = run(&world, 0, "tcpsource -n 1k h2 5002", 1);
    assert_eq!(text.err(), "tcpsource: connect to [fd00::2]:5002: Connection refused\n");
}

#[test]
fn connections_of_many() {
    let world = lan();
    let _sink = serve(&world, 1, "connsink -p 4 6000", false);
    let (_, json) = run(&world, 0, "connsource -n 200 -P 8 h2 6000-6003", 0);
    assert_eq!((&json.json()["connections"], &json.json()["failed"]), (&200.into(), &0.into()));
}

/// What is too large for the link goes in fragments, both ways.
#[test]
fn large_echoes_come_back() {
    let world = lan();
    let begin = world.now();
    let (_, json) = run(&world, 0, "ping -c 2 -i 0.1 -s 20000 h2", 0);
    assert_eq!((&json.json()["received"], &json.json()["errors"]), (&2.into(), &Value::from(0)));
    assert!(world.now().since(begin) < Duration::from_secs(2));
}
