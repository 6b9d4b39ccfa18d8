//! Octets from one end to the other: nc, socat, iperf3, redis.

use lab_tests::exec::{Lab, Running};
use lab_tests::program;
use serde_json::Value;

#[test]
fn nc_sends_and_half_closes() {
    program("nc", "netcat-openbsd");
    let mut lab = Lab::across_a_router();
    let server = lab.start_words("h2", &["sh", "-c", "nc -N -l -p 99 | tr a-z A-Z"]);
    lab.receives("h2", "tcp", 99);
    lab.fed("h1", "nc -N h2 99", "hello\n");
    assert_eq!(lab.wait(&server), Some(0));
    assert_eq!(server.output(), "HELLO\n");

    let server = lab.start("h2", "nc -u -l -p 53");
    lab.receives("h2", "udp", 53);
    lab.fed("h1", "nc -u -w1 10.0.2.2 53", "a datagram\n");
    server.prints("a datagram\n");

    let open = lab.run("h1", "nc -v -z -w2 10.0.2.2 98-100");
    assert!(!open.status.success(), "{open:?}");
    assert!(String::from_utf8_lossy(&open.stderr).contains("refused"), "{open:?}");
}

#[test]
fn socat_answers_on_what_was_half_closed() {
    program("socat", "socat");
    let mut lab = Lab::across_a_router();
    // The server sees the end of what was sent before it answers; the client hears it after it has closed its half.
    lab.start_words("h2", &["socat", "-t", "60", "TCP-LISTEN:99,fork,reuseaddr", "SYSTEM:sort"]);
    lab.receives("h2", "tcp", 99);
    for _ in 0..3 {
        assert_eq!(lab.fed("h1", "socat -t 60 - TCP:h2:99", "b\nc\na\n"), "a\nb\nc\n");
    }
    lab.start_words("h2", &["socat", "-t", "60", "UDP-RECVFROM:99,fork", "SYSTEM:tr a-z A-Z"]);
    lab.receives("h2", "udp", 99);
    let client = lab.start_words("h1", &["socat", "-T", "60", "SYSTEM:echo one; cat >&2", "UDP:h2:99"]);
    client.prints("ONE\n");
}

/// Runs iperf3's client; what it says of the test's end.
fn iperf3(lab: &mut Lab, server: &Running, flags: &str) -> Value {
    let words = format!("iperf3 -J -c 10.0.2.2 {flags}");
    let report: Value = serde_json::from_str(&lab.ok("h1", &words)).expect("JSON");
    assert!(report["error"].is_null(), "{words}: {report}\n{}", server.output());
    report["end"].clone()
}

#[test]
fn iperf3_measures_both_ways_with_many_streams_and_datagrams() {
    program("iperf3", "iperf3");
    let mut lab = Lab::across_a_router();
    let server = lab.start("h2", "iperf3 -s");
    lab.receives("h2", "tcp", 5201);
    let octets = |end: &Value, side: &str| end[side]["bytes"].as_f64().unwrap_or(0.0);
    for flags in ["-n 20M", "-n 20M -R", "-n 40M -P 8"] {
        let end = iperf3(&mut lab, &server, flags);
        let (sent, received) = (octets(&end, "sum_sent"), octets(&end, "sum_received"));
        // What is still under way when the time is over nobody counts.
        assert!(sent >= 20e6 && received > 0.0 && received <= sent, "{flags}: {end}");
        let streams = end["streams"].as_array().expect("streams");
        assert!(streams.iter().all(|stream| octets(stream, "receiver") > 0.0), "{flags}: {end}");
    }
    let end = iperf3(&mut lab, &server, "-t 1 --bidir");
    for side in ["sum_received", "sum_received_bidir_reverse"] {
        assert!(octets(&end, side) > 0.0, "--bidir: {end}");
    }
    for flags in ["-u -b 10M -t 1", "-u -b 10M -t 1 -R", "-u -b 5M -l 64 -t 1"] {
        let sum = &iperf3(&mut lab, &server, flags)["sum"];
        let (packets, lost) = (sum["packets"].as_u64().unwrap_or(0), sum["lost_packets"].as_u64());
        assert!(packets > 500 && lost.is_some_and(|lost| lost < packets), "{flags}: {sum}");
    }
}

#[test]
fn redis_serves_many_clients() {
    program("redis-server", "redis-server");
    program("redis-benchmark", "redis-tools");
    let mut lab = Lab::across_a_router();
    lab.start("h2", "redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save --dir .");
    lab.receives("h2", "tcp", 6379);
    assert_eq!(lab.ok("h1", "redis-cli -h h2 set answer 42"), "OK\n");
    assert_eq!(lab.ok("h1", "redis-cli -h h2 get answer"), "42\n");
    let bench = lab.ok("h1", "redis-benchmark -h h2 -t set,get -n 2000 -c 50 --csv");
    assert!(bench.contains("\"GET\"") && bench.contains("\"SET\""), "{bench}");
    let clients = lab.ok("h1", "redis-cli -h h2 info clients");
    assert!(clients.contains("connected_clients:1\r"), "closed connections are gone: {clients}");
}
