//! A thousand nodes, as an ordinary user within the default limits: they start, answer, and are gone without a trace.

use lab_tests::{Place, User, root};

fn thousand(topology: &str, pings: &[&str]) {
    let place = Place::new(User::Ordinary);
    let name = format!("{topology}.lab.toml");
    let text = std::fs::read_to_string(root().join("topologies").join(&name)).expect("a shipped topology");
    let file = place.write(&name, &text);
    // A login shell's soft limit of open files: who needs more raises it.
    let up = format!("ulimit -Sn 1024 && exec labctl -t {} up", file.display());
    let up = place.command("bash").args(["-c", &up]).output().expect("bash runs");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let ps = place.json(&format!("--lab {topology} ps"));
    let running = ps["nodes"].as_array().expect("nodes").iter().filter(|n| n["state"] == "running").count();
    assert_eq!(running, 1000);
    for ping in pings {
        place.ok(&format!("--lab {topology} ping {ping} -c 1"));
    }
    place.ok(&format!("--lab {topology} down"));
    place.assert_clean();
}

#[test]
fn on_five_hundred_links() {
    thousand("pairs1000", &["a1 b1", "b250 a250", "a500 b500"]);
}

#[test]
fn on_one_bus() {
    thousand("lan1000", &["h1 h1000", "h500 h2"]);
}
