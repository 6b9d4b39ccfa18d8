//! A node's configuration, read and written: ip, ss, sysctl.

use lab_tests::exec::Lab;
use lab_tests::program;
use serde_json::Value;

#[test]
fn ip_reads_and_writes() {
    program("ip", "iproute2");
    let lab = Lab::across_a_router();
    let json = |node: &str, words: &str| -> Value {
        serde_json::from_str(&lab.ok(node, &format!("ip -j {words}"))).expect("ip prints JSON")
    };
    let addresses = json("r1", "-4 addr");
    let names: Vec<_> = addresses.as_array().expect("a list").iter().map(|i| &i["ifname"]).collect();
    assert_eq!(names, ["lo", "eth0", "eth1"]);
    assert_eq!(addresses[2]["addr_info"][0]["local"], "10.0.2.1");
    let way = json("h1", "route get 10.0.2.2");
    assert_eq!((&way[0]["gateway"], &way[0]["prefsrc"]), (&"10.0.1.1".into(), &"10.0.1.2".into()));

    // What is written holds for the node and all its programs.
    lab.ok("h2", "ip addr add 192.0.2.1/24 dev eth0");
    lab.ok("r1", "ip route add 192.0.2.0/24 via 10.0.2.2");
    assert!(lab.ok("h1", "ping -c 1 192.0.2.1").contains("1 received"));
    lab.ok("r1", "ip route replace 192.0.2.0/24 dev eth0");
    assert!(!lab.run("h1", "ping -c 1 -W 1 192.0.2.1").status.success());
    lab.ok("r1", "ip route del 192.0.2.0/24");
    assert!(!lab.ok("r1", "ip route").contains("192.0.2.0"));
    lab.ok("h1", "ip link set eth0 mtu 1400");
    assert_eq!(json("h1", "link show eth0")[0]["mtu"], 1400);
    lab.ok("h1", "ip link set eth0 down");
    assert!(!lab.run("h1", "ping -c 1 -W 1 10.0.2.2").status.success());
    lab.sh("h1", "ip link set eth0 up && ip route replace default via 10.0.1.1");
    assert!(lab.ok("h1", "ping -c 1 10.0.2.2").contains("1 received"));
    let neighbours = lab.ok("h1", "ip neigh");
    assert!(neighbours.contains("10.0.1.1 dev eth0 lladdr "), "{neighbours}");
    let denied = lab.run("h1", "ip route add 198.51.100.0/24 via 203.0.113.1");
    assert_eq!(denied.status.code(), Some(2), "{denied:?}");
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Nexthop has invalid gateway"), "{denied:?}");
}

#[test]
fn ss_shows_the_nodes_sockets() {
    program("ss", "iproute2");
    program("socat", "socat");
    let mut lab = Lab::across_a_router();
    lab.start_words("h2", &["socat", "-t", "60", "TCP-LISTEN:99,fork", "SYSTEM:cat"]);
    lab.start_words("h2", &["socat", "-t", "60", "UDP-RECVFROM:98,fork", "SYSTEM:cat"]);
    lab.receives("h2", "tcp", 99);
    lab.receives("h2", "udp", 98);
    lab.start_words("h1", &["socat", "TCP:h2:99", "SYSTEM:sleep 1000"]);
    lab.until("a connection", || lab.sockets("h1").iter().any(|socket| socket["state"] == "ESTAB"));
    let shown = |node: &str, words: &str| {
        let output = lab.run(node, words);
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listening = shown("h2", "ss -tanl");
    assert!(listening.contains("LISTEN") && listening.contains("0.0.0.0:99"), "{listening}");
    let established = shown("h1", "ss -tan state established");
    assert!(established.contains("10.0.2.2:99"), "{established}");
    let information = shown("h1", "ss -tine");
    assert!(information.contains("cubic") && information.contains("rto:"), "{information}");
    let filtered = shown("h2", "ss -Htan ( sport = :99 )");
    assert_eq!(filtered.lines().count(), 2, "{filtered}");
    assert_eq!(shown("h2", "ss -Htan ( sport = :97 )"), "");
    let datagrams = shown("h2", "ss -uan");
    assert!(datagrams.contains("0.0.0.0:98"), "{datagrams}");
    shown("h2", "ss -s");
    shown("h2", "ss -an");
}

#[test]
fn sysctl_reads_and_writes() {
    program("sysctl", "procps");
    let lab = Lab::across_a_router();
    assert_eq!(lab.ok("r1", "sysctl -n net.ipv4.ip_forward"), "1\n");
    lab.ok("r1", "sysctl -w net.ipv4.ip_forward=0");
    assert_eq!(lab.ok("r1", "cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    assert!(!lab.run("h1", "ping -c 1 -W 1 10.0.2.2").status.success());
    lab.sh("r1", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    assert!(lab.ok("h1", "ping -c 1 10.0.2.2").contains("1 received"));
    let unknown = lab.run("r1", "sysctl -w net.ipv4.no_such_thing=1");
    assert!(!unknown.status.success(), "{unknown:?}");
}
