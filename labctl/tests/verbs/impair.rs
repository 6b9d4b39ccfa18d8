//! `labctl impair`, and what a topology lets happen on its wires.

use crate::place::{HELLO, Place};
use crate::simulated::reports;
use std::fs;

#[test]
fn what_the_topology_says_happens_until_it_is_set_otherwise_and_after_a_reset() {
    let place = Place::new();
    let text =
        HELLO.replace("nodes = [\"r1\", \"h2\"]", "nodes = [\"r1\", \"h2\"], impair = \"transatlantic\"");
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    place.ok(&["up"]);
    let written = "delay 40ms jitter 500us";
    let shown = |of: &[&str]| place.ok(&[&["impair", "show"], of].concat());
    assert_eq!(shown(&[]), format!("r1:eth1@right  {written}\nh2:eth0@right  {written}\n"));
    let rtt = |place: &Place| {
        let answer = place.ok(&["ping", "h1", "h2", "-c", "1", "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["rtt_us"]["min"].as_f64().unwrap_or_else(|| panic!("{answer}"))
    };
    assert!(rtt(&place) > 70_000.0);

    place.ok(&["impair", "set", "h2:eth0", "loss", "100%"]);
    assert_eq!(shown(&["right"]), format!("r1:eth1@right  {written}\nh2:eth0@right  loss 100%\n"));
    let lost = place.run(&["ping", "h1", "h2", "-c", "1", "-W", "0.3"]);
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    let stats = place.ok(&["show", "stats", "h2"]);
    assert!(stats.lines().any(|line| line.trim().ends_with("impairLost")), "{stats}");

    place.ok(&["impair", "reset", "right"]);
    assert_eq!(shown(&[]), format!("r1:eth1@right  {written}\nh2:eth0@right  {written}\n"));
    assert!(rtt(&place) > 70_000.0);
    // A node that is started anew is as it was written.
    place.ok(&["impair", "set", "right", "delay", "1ms"]);
    place.ok(&["restart", "h2"]);
    assert_eq!(shown(&["right"]), format!("r1:eth1@right  delay 1ms\nh2:eth0@right  {written}\n"));
    let json: serde_json::Value = serde_json::from_str(&place.ok(&["impair", "show", "--json"])).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(4));
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn what_is_no_impairment_is_said_with_the_mend() {
    let place = Place::new();
    place.ok(&["up"]);
    for (words, says) in [
        (&["set", "left", "delay"][..], "\"delay\" needs a value"),
        (&["set", "left", "delay", "20"], "write it as"),
        (&["set", "left", "nonsense", "1"], "no impairment is called"),
        (&["set", "lef", "loss", "1%"], "no bus `lef`"),
        (&["set", "h9:eth0", "loss", "1%"], "no node `h9`"),
        (&["reset", "h1:eth7"], "eth7"),
    ] {
        let output = place.run(&[&["impair"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(2 | 3)) && said.contains(says), "{words:?}: {said}");
    }
    assert_eq!(place.ok(&["impair", "show"]), "");
}

/// Runs a topology's checks in virtual time; what did not hold, and what it said.
fn failures(place: &Place, text: &str) -> Vec<String> {
    std::fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{text}")).unwrap();
    let (_, reports) = reports(place, &["-t", "t.lab.toml", "--json", "test", "--virtual", "--seed", "1"]);
    let report = reports.first().unwrap_or_else(|| panic!("{:?}", place.run(&["check", "t.lab.toml"])));
    let checks = report["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    checks.iter().filter(|check| check["ok"] == false).map(|check| format!("{check:#}")).collect()
}

#[test]
fn frames_are_lost_by_number_by_what_they_are_and_by_length() {
    let place = Place::new();
    let failed = failures(
        &place,
        r#"
[node.h3]
if.eth0 = { bus = "third", ip = ["10.0.3.3/24"], impair = { drop = [{ filter = "tcp.flags.syn && !tcp.flags.ack", nth = 1 }] } }
[node.h4]
if.eth0 = { bus = "third", ip = ["10.0.3.4/24"], impair = { lose = 2, mtu = 1000 } }
[bus.third]
subnet = "10.0.3.0/24"
nodes = ["h3", "h4"]
[[check]]
name = "the first SYN is lost, the second is not"
tcp = { from = "h3", to = "h4", send = "1kB" }
[[check]]
counter = { node = "h3", name = "impairDropped", equals = 1 }
after = "2s"
[[check]]
counter = { node = "h3", name = "tcpRetransSegs", equals = 1 }
after = "2s"
[[check]]
name = "the second frame of h4 is lost"
after = "2s"
counter = { node = "h4", name = "impairLost", equals = 1 }
[[check]]
after = "3s"
ping = { from = "h4", to = "h3", size = 900 }
[[check]]
after = "3s"
ping = { from = "h4", to = "h3", size = 1000 }
expect = "fail"
[[check]]
after = "5s"
drops = { node = "h4", reason = "impairTooLong", count = 1 }
"#,
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn an_impairment_may_be_for_some_frames_only() {
    let place = Place::new();
    let failed = failures(
        &place,
        r#"
[[event]]
at = "0s"
do = ["impair", "set", "h1:eth0", "delay", "50ms", "loss", "100%", "only", "udp dst port 7 and dst h2"]
[[event]]
at = "0s"
do = "run h2 echo udp 7"
[[event]]
at = "0s"
do = "run h2 echo udp 8"
[[check]]
after = "1ms"
ping = { from = "h1", to = "h2", rtt = "1ms" }
[[check]]
after = "2ms"
udp = { from = "h1", to = "h2", port = 7 }
expect = "fail"
[[check]]
after = "30s"
udp = { from = "h1", to = "h2", port = 8 }
"#,
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn delays_are_spread_as_a_file_says() {
    let place = Place::new();
    std::fs::write(place.dir.path().join("measured.txt"), "# a line\n10ms\n10ms\n10ms\n50ms\n").unwrap();
    let failed = failures(
        &place,
        r#"
[[event]]
at = "0s"
do = "impair set h1:eth0 distribution measured.txt"
[[check]]
name = "half take ten"
after = "1ms"
ping = { from = "h1", to = "h2", count = 99, rtt = "10100us" }
[[check]]
name = "none takes less, some take fifty"
after = "2min"
throughput = { from = "h1", to = "h2", proto = "udp", rate = "1mbit", max = "1100kbit" }
"#,
    );
    assert!(failed.is_empty(), "{failed:#?}");
    std::fs::write(place.dir.path().join("bad.txt"), "10ms 10ms\n").unwrap();
    let text = HELLO.replace("\"h1\"] }", "\"h1\"], impair = { distribution = \"bad.txt\" } }");
    std::fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let output = place.run(&["check", "t.lab.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("bad-distribution") && said.contains("bad.txt: delays that do not differ"),
        "{said}"
    );
}

/// What decides is the lab's seed, the wire and the frame's number: not the clock.
#[test]
fn the_nth_frame_meets_the_same_fate_on_either_clock() {
    let place = Place::new();
    let text = format!("time.seed = 5\n{HELLO}");
    std::fs::write(place.dir.path().join("hello.lab.toml"), &text).unwrap();
    let set = "impair set h1:eth0 loss 30% loss_correlation 20% duplicate 10% corrupt 1%";
    let answers = |said: &str| -> Vec<String> {
        let seq = |line: &str| Some(line.split("icmp_seq=").nth(1)?.split(' ').next()?.to_owned());
        said.lines().filter(|line| line.contains("ttl=")).filter_map(seq).collect()
    };
    place.ok(&["up"]);
    // The neighbour is known before: its frames are not counted.
    place.ok(&["ping", "h1", "r1", "-c", "1"]);
    place.ok(&set.split(' ').collect::<Vec<_>>());
    let live = place.run(&["ping", "h1", "r1", "-c", "60", "-i", "0.01", "-W", "1"]);
    let live = answers(&String::from_utf8(live.stdout).unwrap());
    let mut child = place
        .command(&["sim"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let script = format!("run h1 ping -c 1 r1\n{set}\nrun h1 ping -c 60 -i 0.01 -W 1 r1\n");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let simulated = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let simulated = answers(simulated.split("PING").nth(2).unwrap());
    assert_eq!(live, simulated);
    assert!((20..60).contains(&live.len()), "{live:?}");
}
