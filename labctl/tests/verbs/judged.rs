//! What checks look at beside single answers: how fast, how long until, in which order, what was thrown away.

use crate::place::{HELLO, Place};
use crate::simulated::reports;
use serde_json::Value;
use std::fs;

/// Runs checks of the hello lab in virtual time; each with whether it held and what it said.
fn said(place: &Place, text: &str) -> Vec<(bool, String)> {
    fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{text}")).unwrap();
    let (_, reports) = reports(place, &["-t", "t.lab.toml", "--json", "test", "--virtual", "--seed", "1"]);
    let said = |check: &Value| {
        (check["ok"].as_bool().unwrap(), format!("{}: {}", check["name"], check["detail"]).replace('"', ""))
    };
    reports[0]["checks"].as_array().unwrap().iter().map(said).collect()
}

/// Whether all were as they should be, and said so.
#[track_caller]
fn assert_said(said: &[(bool, String)], wanted: &[(bool, &str)]) {
    assert_eq!(said.len(), wanted.len(), "{said:#?}");
    for ((ok, text), (wanted, part)) in said.iter().zip(wanted) {
        assert!(ok == wanted && text.contains(part), "{text}\nwas to be {wanted} and say: {part}");
    }
}

#[test]
fn throughput_is_bounded_from_both_sides() {
    let place = Place::new();
    let said = said(
        &place,
        r#"
[[event]]
at = "0s"
do = "impair set right rate 20mbit"
[[check]]
throughput = { from = "h1", to = "h2", min = "17mbit", max = "20mbit" }
[[check]]
throughput = { from = "h1", to = "h2", min = "21mbit" }
[[check]]
throughput = { from = "h1", to = "h2", max = "10mbit" }
[[check]]
throughput = { from = "h1", to = "h2", proto = "udp", rate = "5mbit", time = "1s", min = "4.9mbit", max = "5.1mbit" }
[[check]]
throughput = { from = "h1", to = "h2", proto = "udp", rate = "50mbit", time = "1s", max = "20mbit", min = "15mbit" }
"#,
    );
    assert_said(
        &said,
        &[
            (true, "Mbit/s"),
            (false, "wanted at least 21.00 Mbit/s"),
            (false, "wanted at most 10.00 Mbit/s"),
            (true, "throughput udp h1 -> h2: "),
            (true, "Mbit/s"),
        ],
    );
}

#[test]
fn convergence_is_a_time_with_limits() {
    let place = Place::new();
    let said = said(
        &place,
        r#"
[[event]]
at = "1s"
do = "link flap r1:eth1 2s"
[[event]]
at = "10s"
do = "route del h1 default via 10.0.1.1"
[[event]]
at = "11s"
do = "route add h1 default via 10.0.1.1"
[[check]]
name = "comes back"
after = "1.1s"
convergence = { ping = { from = "h1", to = "h2" }, min = "1.8s", max = "3s" }
[[check]]
name = "too early"
after = "4s"
convergence = { ping = { from = "h1", to = "h2" }, min = "1s", max = "3s" }
[[check]]
name = "has a route"
after = "10s"
for = "1s"
convergence = { route = { node = "h1", to = "default" }, max = "2s" }
[[check]]
name = "never"
after = "20s"
convergence = { ping = { from = "h1", to = "10.0.2.99" }, max = "1s" }
"#,
    );
    // A ping every 10 ms; what was asked and not answered while the neighbour was looked for is no answer.
    assert_said(
        &said,
        &[
            (true, "comes back: after 1.9 s: 1 of "),
            (false, "already, wanted at least 1.0 s"),
            (true, "has a route: after 1.0 s: 0.0.0.0/0 via 10.0.1.1 dev eth0"),
            (false, "(tried for 1.0 s)"),
        ],
    );
}

#[test]
fn drops_are_told_by_their_reasons() {
    let place = Place::new();
    let said = said(
        &place,
        r#"
[[check]]
ping = { from = "h1", to = "h2", ttl = 1, count = 3, interval = "10ms" }
expect = "fail"
[[check]]
drops = { node = "h*" }
[[check]]
drops = { node = "r1" }
[[check]]
drops = { node = "r1", reason = "*Ttl*", count = 3 }
[[check]]
drops = { node = "*", reason = "reass*" }
"#,
    );
    assert_said(
        &said,
        &[
            (true, "0 of 3"),
            (true, "0 dropped"),
            (false, "3 dropped (ipTtlExceeded 3), wanted 0"),
            (true, "3 dropped (ipTtlExceeded 3)"),
            (true, "0 dropped"),
        ],
    );
}

#[test]
fn wires_are_judged_by_number_order_and_field() {
    let place = Place::new();
    let said = said(
        &place,
        r#"
[[check]]
tcp = { from = "h1", to = "h2", send = "10kB" }
[[check]]
wire = { bus = "*", filter = "tcp.flags.rst", never = true }
[[check]]
wire = { bus = "*", filter = "tcp.flags.syn && !tcp.flags.ack", never = true }
[[check]]
wire = { bus = "right", filter = "tcp", each = "ip.ttl == 63 || ip.src == h2" }
[[check]]
wire = { bus = "*", filter = "tcp", each = "ip.ttl == 64" }
[[check]]
wire = { bus = "*", order = ["arp", "tcp.flags.syn && !tcp.flags.ack", "tcp.flags.syn && tcp.flags.ack", "tcp.flags.fin"] }
[[check]]
wire = { bus = "*", order = ["tcp.flags.fin", "tcp.flags.syn"] }
"#,
    );
    assert_said(
        &said,
        &[
            (true, "10240 octets"),
            (true, "0 frames"),
            (false, "2 frames, wanted 0; the first at 0.0000"),
            (true, "frames"),
            (false, "on `right`: "),
            (true, "`tcp.flags.fin` at 0.0"),
            (false, "and then no `tcp.flags.syn`"),
        ],
    );
}
