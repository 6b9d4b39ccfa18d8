//! Nodes are killed at random moments while they send as fast as they can: everybody else goes on, and the bus is clean.

use lab_tests::{Place, User, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rumpkern::ctl::Client;
use shmif::Bus;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LAB: &str = r#"
name = "kill"
[node]
a = {}
b = {}
v = {}
[bus]
lan = { subnet = "10.0.0.0/24", nodes = ["a", "b", "v"] }
"#;

/// Long enough for any machine, short enough to end a broken run.
const BOUND: Duration = Duration::from_secs(20);

fn ctl(place: &Place, node: &str) -> PathBuf {
    place.lab_dir("kill").join("node").join(node).join("ctl")
}

fn bus(place: &Place) -> PathBuf {
    place.lab_dir("kill").join("bus").join("lan")
}

/// Frames that `node` has put on the bus in its present life.
fn frames_sent(path: &Path, node: &str, pid: i32) -> u64 {
    let bus = Bus::open_readonly(path).expect("the bus opens");
    let port = bus.ports().into_iter().find(|p| p.node == node && i64::from(p.pid) == i64::from(pid));
    port.map_or(0, |p| p.counters.tx_frames)
}

/// One ping from `a` to `b`: what it printed, if it failed.
fn ping(place: &Place) -> Result<(), String> {
    let mut a = Client::connect(&ctl(place, "a")).expect("a answers");
    a.set_timeout(Some(BOUND)).expect("a timeout");
    let words = ["ping", "-c", "1", "-W", "10", "10.0.0.2"].map(str::to_owned);
    let mut text = String::new();
    let status = a.run(&words, false, |out| text += &format!("{out:?}\n")).expect("ping runs");
    if status == 0 { Ok(()) } else { Err(text) }
}

/// The bus works for the living.
fn assert_alive(place: &Place, round: usize) {
    if let Err(text) = ping(place) {
        panic!("round {round}: a cannot reach b any more:\n{text}{}", place.ok("bus show lan"));
    }
}

/// `a` takes what `v` floods it with. Ends with the lab.
fn sink(place: &Place) {
    let path = ctl(place, "a");
    std::thread::spawn(move || {
        let mut a = Client::connect(&path).expect("a answers");
        let _ = a.run(&["udpsink", "9"].map(str::to_owned), true, |_| ());
    });
    wait_for("the sink to listen", BOUND, || {
        let sockets = place.json("show sockets a");
        let listens = |row: &serde_json::Value| row["local"].as_str().is_some_and(|l| l.ends_with(":9"));
        sockets.as_array()?.iter().any(listens).then_some(())
    });
}

/// `v` floods `a` until it is killed. The thread that asked for it ends when `v` does.
fn flood(place: &Place) -> std::thread::JoinHandle<()> {
    let path = ctl(place, "v");
    std::thread::spawn(move || {
        let mut v = Client::connect(&path).expect("v answers");
        let words = ["udpsource", "10.0.0.1", "9", "-t", "60", "-l", "1400"].map(str::to_owned);
        let _ = v.run(&words, true, |_| ());
    })
}

/// `LAB_KILLS`: how often; a thousand unless told otherwise.
fn kills() -> usize {
    std::env::var("LAB_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

#[test]
fn the_bus_survives_the_death_of_a_sender_at_any_moment() {
    let place = Place::new(User::Myself);
    let lab = place.write("lab.toml", LAB);
    place.ok(&format!("-t {} up", lab.display()));
    sink(&place);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0xca11_d054);
    for round in 0..kills() {
        let pid = place.pid("kill", "v");
        let flooding = flood(&place);
        wait_for("the flood to begin", BOUND, || (frames_sent(&bus(&place), "v", pid) > 50).then_some(()));
        let moment = Instant::now() + Duration::from_nanos(rng.random_range(0..200_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("v lives until it is killed");
        flooding.join().expect("the flood ends with its node");
        assert_alive(&place, round);
        place.ok("bus fsck lan");
        place.ok("start v");
    }
    assert_alive(&place, usize::MAX);
    place.ok("bus fsck lan");
    place.ok("down");
    place.assert_clean();
}

#[test]
fn a_stopped_node_stops_nobody_and_goes_on_when_continued() {
    let place = Place::new(User::Myself);
    let lab = place.write("lab.toml", LAB);
    place.ok(&format!("-t {} up", lab.display()));
    sink(&place);
    let pid = place.pid("kill", "v");
    let flooding = flood(&place);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for round in 0..30 {
        let before = frames_sent(&bus(&place), "v", pid);
        wait_for("the flood to go on", BOUND, || {
            (frames_sent(&bus(&place), "v", pid) > before + 50).then_some(())
        });
        let moment = Instant::now() + Duration::from_nanos(rng.random_range(0..200_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        // A writer is stopped, perhaps in its copy; and a reader, with pings of others passing by.
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("v lives");
        let perf = place.run("perf udp a b -t 0.05");
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("v lives");
        // Frames may be lost while v stands inside its copy; `perf` says so with 1. Nobody hangs or dies.
        assert!(matches!(perf.status.code(), Some(0 | 1)), "round {round}: {perf:?}");
        // What was lost may have been ARP's last try: that fails one ping, and the next one asks anew.
        wait_for("a to reach b again", BOUND, || ping(&place).ok());
    }
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("v lives");
    flooding.join().expect("the flood ends with its node");
    place.ok("bus fsck lan");
    place.ok("down");
    place.assert_clean();
}
