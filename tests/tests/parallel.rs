//! A hundred labs of one ordinary user at once, of one file under different names: each works as if it were
//! alone, and what is done to one, no other feels.

use lab_tests::{Place, User, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

const LABS: usize = 100;
/// Verbs under way at a time.
const AT_ONCE: usize = 8;
/// Octets before the data of an echo request: Ethernet, IPv4, ICMP.
const HEADERS: u64 = 14 + 20 + 8;

/// Does something for each lab, several at a time.
fn each(labs: impl IntoIterator<Item = usize>, work: impl Fn(usize) + Sync) {
    let labs: Vec<usize> = labs.into_iter().collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(lab) = labs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(*lab);
                }
            });
        }
    });
}

/// What nodes run in each lab that there is.
fn running(place: &Place) -> BTreeMap<String, BTreeSet<i64>> {
    let pids = |lab: &Value| {
        let nodes = lab["nodes"].as_array().expect("nodes");
        nodes
            .iter()
            .filter(|node| node["state"] == "running")
            .filter_map(|node| node["pid"].as_i64())
            .collect()
    };
    let text = place.ok("ps --all --json");
    let labs = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
    labs.map(|lab| (lab["lab"].as_str().expect("its name").to_owned(), pids(&lab))).collect()
}

/// Lengths of the frames of echo requests and replies on both buses.
fn echoes(place: &Place, lab: usize) -> Vec<u64> {
    let text = place.ok(&format!("--lab lab-{lab} dump * icmp --json"));
    let length = |line: &str| serde_json::from_str::<Value>(line).expect("a frame")["length"].as_u64();
    text.lines().map(|line| length(line).expect("its length")).collect()
}

#[test]
fn a_hundred_labs_do_not_touch_each_other() {
    let place = Place::new(User::Ordinary);
    let hello =
        std::fs::read_to_string(root().join("topologies/hello.lab.toml")).expect("a shipped topology");
    let file = place.write("hello.lab.toml", &hello).display().to_string();
    let lab = |n: usize, words: &str| format!("--lab lab-{n} {words}");
    let reaches = |n: usize, size: usize| {
        let words = lab(n, &format!("ping h1 h2 -c 3 -i 0.01 -W 2 -s {size} --json"));
        let report: Value = serde_json::from_slice(&place.run(&words).stdout).expect("a report");
        report["received"].as_u64().expect("a count")
    };

    each(0..LABS, |n| drop(place.ok(&format!("-t {file} --lab lab-{n} up"))));
    let all = running(&place);
    assert_eq!(all.len(), LABS);
    let pids: BTreeSet<_> = all.values().flatten().collect();
    assert_eq!(pids.len(), 3 * LABS, "each node is a process of its own");

    // Every lab speaks in octets of its own number.
    each(0..LABS, |n| {
        assert_eq!(reaches(n, 100 + n), 3, "lab-{n}");
        assert_eq!(echoes(&place, n), vec![HEADERS + 100 + n as u64; 12], "lab-{n}");
        let sent = place.json(&lab(n, "perf tcp h2 h1 -t 0.05"));
        assert!(sent["received"].as_u64() > Some(0), "lab-{n}: {sent}");
    });

    // A third loses its router, a third a cable; a third is left alone.
    each(0..LABS, |n| match n % 3 {
        0 => drop(place.ok(&lab(n, "kill r1"))),
        1 => drop(place.ok(&lab(n, "link down r1:eth1"))),
        _ => {}
    });
    each(0..LABS, |n| assert_eq!(reaches(n, 8), if n % 3 == 2 { 3 } else { 0 }, "lab-{n}"));
    let alive = |n: usize| if n.is_multiple_of(3) { 2 } else { 3 };
    let now = running(&place);
    (0..LABS).for_each(|n| assert_eq!(now[&format!("lab-{n}")].len(), alive(n), "lab-{n}"));

    // Meanwhile, tests of the same file have labs of their own, all of one name.
    each(0..AT_ONCE, |_| drop(place.ok(&format!("test {file}"))));

    each((0..LABS).filter(|n| n % 2 == 1), |n| drop(place.ok(&lab(n, "down"))));
    let even: Vec<_> = (0..LABS).step_by(2).collect();
    let left = running(&place);
    assert_eq!(
        left.keys().cloned().collect::<BTreeSet<_>>(),
        even.iter().map(|n| format!("lab-{n}")).collect()
    );
    each(even.iter().copied(), |n| {
        place.ok(&lab(n, "restart r1"));
        assert_eq!(reaches(n, 8), 3, "lab-{n}");
    });
    each(even, |n| drop(place.ok(&lab(n, "down"))));
    place.assert_clean();
}
