//! What leaves the bus for Wireshark: whole, with valid checksums, right names and times; also from a lab that is dead.

use lab_tests::{Place, User, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shmif::Bus;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const LAB: &str = r#"
name = "wire"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

/// Rows of fields from tshark, with every checksum verified.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new(program("tshark", "tshark"));
    command.arg("-r").arg(file).args(["-n", "-T", "fields"]);
    for check in ["ip", "tcp", "udp"] {
        command.arg("-o").arg(format!("{check}.check_checksum:TRUE"));
    }
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|l| l.split('\t').map(str::to_owned).collect()).collect()
}

/// What must hold of any capture of ours.
fn assert_sound(file: &Path) {
    let faults = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 \
                  || icmp.checksum.status == 0 || _ws.short";
    let bad = tshark(file, faults, &["frame.number", "_ws.col.Info"]);
    assert!(bad.is_empty(), "tshark finds faults: {bad:?}");
}

fn traffic(place: &Place) {
    // The floods first, because a bus remembers only its last megabytes.
    place.ok("perf udp h1 h2 -t 0.05");
    place.ok("perf tcp h1 h2 -t 0.1");
    place.ok("perf udp h1 h2 -t 0.1 -r 2000");
    place.ok("trace h1 h2");
    place.ok("ping h1 h2 -c 3 -i 0.01");
}

/// The pings of `traffic` by h1, between these times, under the names of their bus and their sender; and both kinds of bulk.
fn assert_named_and_timed(file: &Path, (before, after): (f64, f64)) {
    // 10.0.1.1 is r1, 10.0.1.2 h1: in the order of the bus's list. Both speak, and their names stand in the file.
    let fields = ["frame.time_epoch", "ip.src", "ip.dst", "frame.interface_name", "frame.comment"];
    let pings = tshark(file, "icmp.type == 8", &fields);
    assert_eq!(pings.len(), 3, "{pings:?}");
    for row in &pings {
        let time: f64 = row[0].parse().expect("a time");
        assert!(before <= time && time <= after, "{before} <= {time} <= {after}");
        assert_eq!((row[1].as_str(), row[2].as_str()), ("10.0.1.2", "10.0.2.2"));
        assert!(row[3].contains("left"), "interface {:?} does not name the bus", row[3]);
        assert!(row[3].contains("h1") || row[4].contains("h1"), "nothing names the sender in {row:?}");
    }
    let long = tshark(file, "frame.len > 1514", &["frame.number"]);
    assert!(long.is_empty(), "{} frames no Ethernet carries", long.len());
    for bulk in ["tcp.len > 1000", "udp && !icmp"] {
        assert!(tshark(file, bulk, &["frame.number"]).len() > 20, "{bulk}");
    }
    let times = tshark(file, "", &["frame.time_epoch"]);
    let times: Vec<f64> = times.iter().map(|r| r[0].parse().expect("a time")).collect();
    assert!(times.is_sorted(), "the records are in total order");
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970").as_secs_f64()
}

#[test]
fn a_dump_is_sound_named_and_timed() {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", LAB);
    let before = unix_seconds();
    place.ok(&format!("-t {} up", lab.display()));
    traffic(&place);
    place.ok("dump left -w left.pcapng");
    let file = place.path().join("left.pcapng");
    assert_sound(&file);
    assert_named_and_timed(&file, (before, unix_seconds()));
    place.ok("down");
    place.assert_clean();
}

#[test]
fn a_lab_whose_nodes_were_all_killed_still_shows_its_wires() {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", LAB);
    let before = unix_seconds();
    place.ok(&format!("-t {} up", lab.display()));
    traffic(&place);
    place.ok("dump left -w alive.pcapng");
    // What was bulk left its sender, and the router, whole.
    for bus in ["left", "right"] {
        let bus = Bus::open_readonly(place.lab_dir("wire").join("bus").join(bus)).expect("a bus");
        let longest = bus.history().map(|record| record.frame.len()).max();
        assert!(longest > Some(10_000), "longest record: {longest:?}");
    }
    for node in ["h1", "r1", "h2"] {
        kill(Pid::from_raw(place.pid("wire", node)), Signal::SIGKILL).expect("a node to kill");
    }
    place.ok("dump left -w dead.pcapng");
    assert_sound(&place.path().join("dead.pcapng"));
    assert_named_and_timed(&place.path().join("dead.pcapng"), (before, unix_seconds()));
    let fields = ["frame.time_epoch", "eth.src", "eth.dst", "frame.len"];
    let alive = tshark(&place.path().join("alive.pcapng"), "", &fields);
    let dead = tshark(&place.path().join("dead.pcapng"), "", &fields);
    assert!(!alive.is_empty());
    assert_eq!(alive.last(), dead[..alive.len().min(dead.len())].last(), "death takes nothing from the bus");
    place.ok("bus fsck left");
    place.ok("down");
    place.assert_clean();
}
