//! `labctl impair`, and what a topology lets happen on its wires.

use crate::place::{HELLO, Place};
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
