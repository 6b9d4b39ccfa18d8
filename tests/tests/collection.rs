//! tcpdump's own test collection, 667 odd captures, replayed onto a bus with nodes on it: the nodes go on, and what went in comes out.
//! That it comes out octet for octet of a bus without nodes is `labctl/tests/tcpdump_collection.rs`.

use lab_tests::{Place, User, root};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const LAB: &str = r#"
name = "collection"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"], history = "64MiB" }
right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

/// The captures, where anybody may read them.
fn collection(place: &Place) -> Vec<PathBuf> {
    let script = root().join("tests/fetch-tcpdump-corpus");
    let output = Command::new(script).stderr(Stdio::inherit()).output().expect("the script runs");
    assert!(
        output.status.success(),
        "tcpdump's collection is missing; fetch it with: tests/fetch-tcpdump-corpus"
    );
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the collection")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng"))
        .collect();
    files.sort();
    assert!(files.len() >= 667);
    // As this place's user reads them: a copy in the working folder.
    let name = |path: &PathBuf| PathBuf::from(path.file_name().expect("a name"));
    for path in &files {
        std::fs::copy(path, place.path().join(name(path))).expect("a copy");
    }
    files.iter().map(name).collect()
}

/// Octets, as text, of the frames that the replay sent.
fn replayed(place: &Place, bus: &str) -> Vec<String> {
    let text = place.ok(&format!("dump {bus} --json"));
    let frames = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
    frames
        .filter(|frame| frame["sender"] == "replay:replay0")
        .map(|frame| frame["octets"].as_str().expect("octets").to_owned())
        .collect()
}

#[test]
fn nodes_survive_every_odd_frame_that_tcpdump_ever_met() {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", LAB);
    place.ok(&format!("-t {} up", lab.display()));
    place.ok("bus create bare.bus --history 64MiB");
    let files = collection(&place);
    let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    for chunk in files.chunks(64) {
        let files = chunk.join(" ");
        place.ok(&format!("replay {files} ./bare.bus"));
        place.ok(&format!("replay {files} left"));
        // Nobody crashed, hangs, or has forgotten its neighbours for good.
        place.ok("ping h1 h2 -c 1 -W 5");
    }
    let (bare, left) = (replayed(&place, "./bare.bus"), replayed(&place, "left"));
    assert!(bare.len() > 7900);
    assert!(bare == left, "{} frames of a bare bus, {} of one with nodes", bare.len(), left.len());
    place.ok("bus fsck *");
    place.ok("down");
    place.assert_clean();
}
