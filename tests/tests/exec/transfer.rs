//! Octets from one end to the other: nc, socat, iperf3, redis.

use lab_tests::exec::{H2, Lab, Running};
use lab_tests::family::{Family, in_url};
use lab_tests::{in_each_family, program};
use serde_json::Value;
use std::net::IpAddr;

in_each_family!(
    nc_sends_and_half_closes,
    socat_answers_on_what_was_half_closed,
    iperf3_measures_both_ways_with_many_streams_and_datagrams,
    redis_serves_many_clients,
);

fn nc_sends_and_half_closes(family: Family) {
    program("nc", "netcat-openbsd");
    let mut lab = Lab::across_a_router(family);
    for addr in family.addrs(H2) {
        let version = if addr.is_ipv6() { "-6" } else { "-4" };
        let server = lab.start_words("h2", &["sh", "-c", &format!("nc {version} -N -l -p 99 | tr a-z A-Z")]);
        lab.receives("h2", "tcp", 99);
        lab.fed("h1", &format!("nc {version} -N h2 99"), "hello\n");
        assert_eq!(lab.wait(&server), Some(0));
        assert_eq!(server.output(), "HELLO\n");

        let port = if addr.is_ipv6() { 56 } else { 54 };
        let server = lab.start("h2", &format!("nc {version} -u -l -p {port}"));
        lab.receives("h2", "udp", port);
        lab.fed("h1", &format!("nc -u -w1 {addr} {port}"), "a datagram\n");
        server.prints("a datagram\n");

        let open = lab.run("h1", &format!("nc -v -z -w2 {addr} 97-98"));
        assert!(!open.status.success(), "{open:?}");
        assert!(String::from_utf8_lossy(&open.stderr).contains("refused"), "{open:?}");
    }
}

fn socat_answers_on_what_was_half_closed(family: Family) {
    program("socat", "socat");
    let mut lab = Lab::across_a_router(family);
    for addr in family.addrs(H2) {
        let (v, port) = if addr.is_ipv6() { (6, 96) } else { (4, 94) };
        // The server sees the end of what was sent before it answers; the client hears it after it has closed its half.
        let listen = format!("TCP{v}-LISTEN:{port},fork,reuseaddr");
        lab.start_words("h2", &["socat", "-t", "60", &listen, "SYSTEM:sort"]);
        lab.receives("h2", "tcp", port);
        for to in ["h2".to_owned(), in_url(addr)] {
            let client = format!("socat -t 60 - TCP{v}:{to}:{port}");
            assert_eq!(lab.fed("h1", &client, "b\nc\na\n"), "a\nb\nc\n");
        }
        let receive = format!("UDP{v}-RECVFROM:{port},fork");
        lab.start_words("h2", &["socat", "-t", "60", &receive, "SYSTEM:tr a-z A-Z"]);
        lab.receives("h2", "udp", port);
        let send = format!("UDP{v}:h2:{port}");
        let client = lab.start_words("h1", &["socat", "-T", "60", "SYSTEM:echo one; cat >&2", &send]);
        client.prints("ONE\n");
    }
}

/// Runs iperf3's client; what it says of the test's end.
fn iperf3(lab: &mut Lab, server: &Running, to: IpAddr, flags: &str) -> Value {
    let words = format!("iperf3 -J -c {to} {flags}");
    let report: Value = serde_json::from_str(&lab.ok("h1", &words)).expect("JSON");
    assert!(report["error"].is_null(), "{words}: {report}\n{}", server.output());
    report["end"].clone()
}

fn iperf3_measures_both_ways_with_many_streams_and_datagrams(family: Family) {
    program("iperf3", "iperf3");
    let mut lab = Lab::across_a_router(family);
    let server = lab.start("h2", "iperf3 -s");
    lab.receives("h2", "tcp", 5201);
    let octets = |end: &Value, side: &str| end[side]["bytes"].as_f64().unwrap_or(0.0);
    for addr in family.addrs(H2) {
        for flags in ["-n 20M", "-n 20M -R", "-n 40M -P 8"] {
            let end = iperf3(&mut lab, &server, addr, flags);
            let (sent, received) = (octets(&end, "sum_sent"), octets(&end, "sum_received"));
            // What is still under way when the time is over nobody counts.
            assert!(sent >= 20e6 && received > 0.0 && received <= sent, "{flags}: {end}");
            let streams = end["streams"].as_array().expect("streams");
            assert!(streams.iter().all(|stream| octets(stream, "receiver") > 0.0), "{flags}: {end}");
        }
    }
    let addr = family.addr(H2);
    let end = iperf3(&mut lab, &server, addr, "-t 1 --bidir");
    for side in ["sum_received", "sum_received_bidir_reverse"] {
        assert!(octets(&end, side) > 0.0, "--bidir: {end}");
    }
    for flags in ["-u -b 10M -t 1", "-u -b 10M -t 1 -R", "-u -b 5M -l 64 -t 1"] {
        let sum = &iperf3(&mut lab, &server, addr, flags)["sum"];
        let (packets, lost) = (sum["packets"].as_u64().unwrap_or(0), sum["lost_packets"].as_u64());
        assert!(packets > 500 && lost.is_some_and(|lost| lost < packets), "{flags}: {sum}");
    }
}

fn redis_serves_many_clients(family: Family) {
    program("redis-server", "redis-server");
    program("redis-benchmark", "redis-tools");
    let mut lab = Lab::across_a_router(family);
    let v4 = if family.has_v4() { "0.0.0.0" } else { "" };
    let v6 = if family.has_v6() { "::" } else { "" };
    let server = format!("redis-server --port 6379 --bind {v4} {v6} --protected-mode no --save --dir .");
    lab.start("h2", &server);
    lab.receives("h2", "tcp", 6379);
    assert_eq!(lab.ok("h1", "redis-cli -h h2 set answer 42"), "OK\n");
    for addr in family.addrs(H2) {
        assert_eq!(lab.ok("h1", &format!("redis-cli -h {addr} get answer")), "42\n");
    }
    let bench = lab.ok("h1", "redis-benchmark -h h2 -t set,get -n 2000 -c 50 --csv");
    assert!(bench.contains("\"GET\"") && bench.contains("\"SET\""), "{bench}");
    let clients = lab.ok("h1", "redis-cli -h h2 info clients");
    assert!(clients.contains("connected_clients:1\r"), "closed connections are gone: {clients}");
}
