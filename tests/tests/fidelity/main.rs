//! One file, two clocks: what happens in a live lab and in virtual time is the same.
//!
//! Each of the [`scenarios`] is tested by `labctl` twice, live and virtual, with the same seed; what its
//! buses remember is kept as pcapng and compared. What must agree, and how far:
//!
//! | what | tolerance |
//! |---|---|
//! | checks: which there are, and how each ends | none |
//! | packets of each flow that is no TCP (ARP, ICMP, UDP, neighbour discovery, fragments) | none |
//! | TCP connections: how many, and the order of each SYN, FIN, first RST, zero and open window, sent again or not | none |
//! | octets of each TCP stream | none |
//! | TCP segments with data, those that only acknowledge, and resets | what the scenario says |
//! | when a TCP event happens, since the connection's first segment | [`EARLY`], [`LATE`] |
//!
//! A live receiver takes all that lies on its bus at once and acknowledges it together, as one behind a network card
//! does; a wire of virtual time has a rate. So bulk goes over wires with a rate in both. Virtual time has every delay
//! and timer, and no work: a live event may hardly be earlier, and is as much later as a busy host makes it.
//! A host that lets a node wait for longer than a frame takes on its wire makes another live run, not another
//! truth: there are [`ATTEMPTS`], and one must agree in everything.
//!
//! With `FIDELITY_KEEP=FOLDER` what was captured stays there.

mod scenarios;
mod wire;

use lab_tests::{Place, User};
use scenarios::{Scenario, Segments};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use wire::Wire;

/// How much earlier than in virtual time a TCP event may be: what its wires take, and live ones do not.
const EARLY: Duration = Duration::from_millis(2);
/// The same as a share of the time since the first segment: where a wire has a rate.
const EARLY_PERCENT: u32 = 2;
/// How much later.
const LATE: Duration = Duration::from_secs(5);
const SEED: u64 = 42;
/// Live runs of a scenario, at most.
const ATTEMPTS: usize = 3;
/// All has been said before the lab goes down.
const SETTLED: &str = r#"
[[check]]
name = "all is said"
after = "4s"
counter = { node = "h1", name = "ipInReceives", min = 0 }
"#;

/// A run of a scenario.
struct Run {
    checks: Vec<(String, bool)>,
    wires: BTreeMap<String, Wire>,
    said: String,
}

/// Runs a file; what is captured lies in `captures` of the place.
fn run(place: &Place, file: &Path, mode: &str, captures: &str) -> Run {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name").trim_end_matches(".lab.toml");
    let words = format!("test --{mode} --seed {SEED} --keep --captures {captures} --json {}", file.display());
    let output = place.run(&words);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {said}"));
    let checks = report["checks"].as_array().expect("checks").iter();
    let checks =
        checks.map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), one["ok"] == true)).collect();
    let suffix = if mode == "live" { "1".to_owned() } else { format!("seed-{SEED}") };
    let folder = place.path().join(captures).join(format!("{name}-{suffix}"));
    let mut wires = BTreeMap::new();
    for entry in
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}: {said}", folder.display()))
    {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "pcapng") {
            wires.insert(path.file_stem().expect("a name").to_string_lossy().into_owned(), Wire::read(&path));
        }
    }
    Run { checks, wires, said }
}

/// Whether two counts of segments agree.
fn alike(live: u64, simulated: u64, segments: Segments) -> bool {
    match segments {
        Segments::Same => live == simulated,
        Segments::Within(percent) => live.abs_diff(simulated) * 100 <= percent * live.max(simulated).max(20),
    }
}

/// What differs on a bus.
fn differences(live: &Wire, simulated: &Wire, scenario: &Scenario) -> String {
    let mut text = String::new();
    let flows = live.packets.keys().chain(simulated.packets.keys());
    let mut flows: Vec<_> =
        flows.filter(|flow| !scenario.random.is_some_and(|part| flow.contains(part))).collect();
    flows.sort();
    flows.dedup();
    for flow in flows {
        let count = |wire: &Wire| wire.packets.get(flow).copied().unwrap_or_default();
        if count(live) != count(simulated) {
            let _ = writeln!(text, "{flow}: {} live, {} virtual", count(live), count(simulated));
        }
    }
    if live.connections.len() != simulated.connections.len() {
        let _ = writeln!(
            text,
            "{} connections live, {} virtual",
            live.connections.len(),
            simulated.connections.len()
        );
    }
    for (n, (live, simulated)) in live.connections.iter().zip(&simulated.connections).enumerate() {
        let order = |of: &[(String, Duration)]| {
            of.iter().map(|(event, _)| event.clone()).collect::<Vec<_>>().join(", ")
        };
        let (events, others) = (order(&live.events), order(&simulated.events));
        if events != others {
            let _ = writeln!(text, "connection {n}: {events} live, {others} virtual");
            continue;
        }
        for ((event, at), (_, virtually)) in live.events.iter().zip(&simulated.events) {
            let early = EARLY + *virtually * EARLY_PERCENT / 100;
            if *at + early < *virtually || *at > *virtually + LATE {
                let _ = writeln!(text, "connection {n}: {event} after {at:?} live, {virtually:?} virtual");
            }
        }
        for (from, (live, simulated)) in
            ["client", "server"].iter().zip(live.sent.iter().zip(&simulated.sent))
        {
            let same = live.octets == simulated.octets
                && alike(live.data, simulated.data, scenario.segments)
                && alike(live.acks, simulated.acks, scenario.segments)
                && alike(live.resets, simulated.resets, scenario.segments);
            if !same {
                let _ =
                    writeln!(text, "connection {n}, from its {from}: {live:?} live, {simulated:?} virtual");
            }
        }
    }
    text
}

/// What differs between a live run and the virtual one.
fn disagreement(scenario: &Scenario, live: &Run, simulated: &Run) -> String {
    let mut text = String::new();
    if live.checks != simulated.checks || live.checks.iter().any(|(_, ok)| !ok) {
        let _ = writeln!(text, "checks: live {}\nvirtual {}", live.said, simulated.said);
    }
    assert_eq!(live.wires.keys().collect::<Vec<_>>(), simulated.wires.keys().collect::<Vec<_>>());
    let mut seen = 0;
    for (bus, wire) in &live.wires {
        seen += wire.packets.len() + wire.connections.len();
        let differences = differences(wire, &simulated.wires[bus], scenario);
        for line in differences.lines() {
            let _ = writeln!(text, "on {bus}: {line}");
        }
    }
    assert!(seen > 0, "nothing was captured");
    text
}

/// Keeps what was captured, if it is asked for.
fn keep(place: &Place, captures: &str) {
    if let Some(folder) = std::env::var_os("FIDELITY_KEEP") {
        let to = Path::new(&folder).join(captures);
        std::fs::create_dir_all(&to).expect("a folder");
        let copied =
            std::process::Command::new("cp").arg("-rT").arg(place.path().join(captures)).arg(&to).status();
        assert!(copied.expect("cp runs").success());
    }
}

fn compare(scenario: &Scenario) -> String {
    let place = Place::new(User::Myself);
    let text = format!("name = \"{}\"\n{}{SETTLED}", scenario.name, scenario.topology);
    let file = place.write(&format!("{}.lab.toml", scenario.name), &text);
    let simulated = run(&place, &file, "virtual", "virtual");
    keep(&place, "virtual");
    let mut text = String::new();
    for attempt in 1..=ATTEMPTS {
        let captures = format!("live-{attempt}");
        let live = run(&place, &file, "live", &captures);
        keep(&place, &captures);
        let differences = disagreement(scenario, &live, &simulated);
        if differences.is_empty() {
            text.clear();
            break;
        }
        let _ = writeln!(text, "attempt {attempt}:\n{differences}");
    }
    place.assert_clean();
    text
}

/// Makes a test of each scenario.
macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let differences = compare(&scenarios::$name());
            assert!(differences.is_empty(), "live and virtual time differ:\n{differences}");
        })*
    };
}
scenarios::all!(tests);
