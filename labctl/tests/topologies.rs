//! The topologies that ship, what is derived from them, and laws of what is derived.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use labctl::topology::model::{Lab, Origin};
use labctl::topology::{load, load_str, show};
use proptest::prelude::*;

fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("../topologies")
        .expect("the folder of topologies")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.to_str().is_some_and(|name| name.ends_with(".lab.toml")))
        .collect();
    files.push("tests/topologies/explicit.lab.toml".into());
    files.push("tests/topologies/six.lab.toml".into());
    files.sort();
    files
}

fn lab(path: &Path) -> Lab {
    load(path).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn what_ships_is_in_order_and_says_what_must_hold() {
    let files = shipped();
    assert!(files.len() >= 12, "{files:?}");
    for path in files {
        let lab = lab(&path);
        assert!(lab.warnings.is_empty(), "{}", lab.warnings);
        assert!(!lab.checks.is_empty(), "{} checks nothing", path.display());
        laws(&lab);
    }
}

#[test]
fn the_scaffold_of_init_is_in_order() {
    let lab =
        load_str("new.lab.toml", labctl::cli::init::SCAFFOLD).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(lab.nodes.len(), 3);
    // What is commented out is right, too: whoever takes the marks away must not be told off.
    let (head, rest) = labctl::cli::init::SCAFFOLD.split_once("[node]").expect("nodes");
    let all: String = rest
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) => format!("{key}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let lab =
        load_str("new.lab.toml", &format!("{head}[node]{all}")).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((lab.nodes.len(), lab.programs.len(), lab.events.len()), (6, 1, 1));
}

#[test]
fn the_derived_model_is_as_in_the_snapshots() {
    for path in shipped() {
        let lab = lab(&path);
        let mut text = show::text(&lab);
        if text.len() > 20_000 {
            // The large ones: their head and their tail say enough.
            let lines: Vec<&str> = text.lines().collect();
            let (head, tail) = (&lines[..40], &lines[lines.len() - 40..]);
            text = format!("{}\n[{} lines]\n{}\n", head.join("\n"), lines.len() - 80, tail.join("\n"));
        }
        insta::assert_snapshot!(format!("model-{}", lab.name), text);
    }
}

#[test]
fn what_no_host_could_hold_is_refused() {
    let programs: String =
        (0..1001).map(|n| format!("p{n} = {{ node = \"r1\", cmd = \"x\", after = \"p{n}\" }}\n")).collect();
    for text in [
        "node.h = { count = 10000 }\nbus.l = { count = 10000, nodes = [\"*\"] }\n".to_owned(),
        "node.r = { count = 2000, forward = true }\n\
         bus.l = { count = 1999, nodes = [\"r{i}\", \"r{i+1}\"], pool = \"10.0.0.0/8\" }\n"
            .to_owned(),
        "node.h = { count = [9, 9999] }\n".to_owned(),
        format!("node.r1 = {{}}\nbus.l = {{ nodes = [\"r1\"] }}\n[program]\n{programs}"),
    ] {
        let Err(faults) = load_str("large.lab.toml", &text) else { panic!("taken: {:.80}", text) };
        assert!(
            faults.items.iter().any(|diag| diag.code == labctl::topology::diag::Code::TooMany),
            "{faults}"
        );
    }
}

#[test]
fn the_json_of_a_lab_has_the_units_of_the_file() {
    let json = serde_json::to_value(lab(Path::new("tests/topologies/explicit.lab.toml"))).expect("JSON");
    assert_eq!(json["buses"]["wan1"]["impair"]["delay"], "20ms");
    assert_eq!(json["buses"]["lan"]["history"], "16MiB");
    assert_eq!(json["nodes"]["r1"]["interfaces"][0]["mac"], "02:00:00:00:00:01");
    assert_eq!(json["programs"]["web"]["ready"]["when"]["tcp"], 8080);
    assert_eq!(json["checks"][1]["kind"]["wire"]["bound"]["max"], 0);
}

/// Laws of every lab: names, addresses, MACs, next hops, loops.
fn laws(lab: &Lab) {
    let mut addrs: BTreeMap<IpAddr, (&str, &str)> = BTreeMap::new();
    let mut macs = BTreeSet::new();
    for node in lab.nodes.values() {
        let mut names = BTreeSet::new();
        for interface in &node.interfaces {
            assert!(names.insert(&interface.name), "{}: two {}", node.name, interface.name);
            assert!(macs.insert(interface.mac), "{} twice", interface.mac);
            assert!(interface.mac.is_unicast());
            let bus = &lab.buses[&interface.bus];
            assert!(bus.members.iter().any(|m| m.node == node.name && m.interface == interface.name));
            for net in &interface.addrs {
                let twice = addrs.insert(net.addr(), (&node.name, &interface.bus));
                assert!(twice.is_none(), "{net} on {} and on {twice:?}", node.name);
            }
        }
        for route in &node.routes {
            let out = node.interface(&route.dev).expect("the route's interface");
            if let Some(via) = route.via {
                let on_link = |via: IpAddr| matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
                assert!(
                    on_link(via) || out.addrs.iter().any(|net| net.contains(&via)),
                    "{}: {via} by {}",
                    node.name,
                    route.dev
                );
            }
        }
    }
    for (addr, (_, bus)) in &addrs {
        let net = lab.buses[*bus].subnets.iter().find(|net| net.contains(addr));
        assert!(net.is_some() || lab.buses[*bus].subnets.is_empty(), "{addr} is in no subnet of {bus}");
    }
    walk(lab, &addrs);
}

/// Distance of each node from a destination, by the shape of the lab alone, as the derivation must find it.
fn distances(lab: &Lab, to: IpNet) -> BTreeMap<&str, u32> {
    let mut distance = BTreeMap::new();
    let mut queue = VecDeque::new();
    for node in lab.nodes.values() {
        let on = node.interfaces.iter().flat_map(|i| &i.addrs).any(|net| net.trunc() == to && node.forward);
        if on || node.loopback.iter().any(|net| net.trunc() == to) {
            distance.insert(node.name.as_str(), 0);
            queue.push_back(node.name.as_str());
        }
    }
    while let Some(name) = queue.pop_front() {
        let next = distance[name] + 1;
        for interface in &lab.nodes[name].interfaces {
            for member in &lab.buses[&interface.bus].members {
                if lab.nodes[&member.node].forward && !distance.contains_key(member.node.as_str()) {
                    distance.insert(&member.node, next);
                    queue.push_back(&member.node);
                }
            }
        }
    }
    distance
}

/// Every derived route is of the shortest distance, and each of its next hops is nearer by one: so no packet
/// walks in a circle. Every router that can reach a destination has a route to it.
fn walk(lab: &Lab, owners: &BTreeMap<IpAddr, (&str, &str)>) {
    let mut derived: BTreeMap<IpNet, BTreeSet<&str>> = BTreeMap::new();
    let mut known: BTreeMap<IpNet, BTreeMap<&str, u32>> = BTreeMap::new();
    for node in lab.nodes.values().filter(|node| node.forward) {
        for route in node.routes.iter().filter(|route| route.origin == Origin::Derived) {
            let distance = known.entry(route.to).or_insert_with(|| distances(lab, route.to));
            let via = route.via.expect("a derived route has a next hop");
            let (next, _) = owners[&via];
            assert_eq!(distance[node.name.as_str()], route.metric, "{} to {}", node.name, route.to);
            assert_eq!(distance[next] + 1, route.metric, "{} to {} over {next}", node.name, route.to);
            derived.entry(route.to).or_default().insert(&node.name);
        }
    }
    for (to, nodes) in derived {
        for (name, distance) in &known[&to] {
            let written = lab.nodes[*name].routes.iter().any(|r| r.to == to && r.origin == Origin::Written);
            assert!(*distance == 0 || written || nodes.contains(name), "{name} has no route to {to}");
        }
    }
}

/// A random lab: routers and hosts thrown onto buses.
fn random_lab() -> impl Strategy<Value = String> {
    let buses = prop::collection::vec(prop::collection::btree_set(0usize..12, 1..5), 1..10);
    let form = prop::sample::select(&[(true, false), (false, true), (true, true)][..]);
    (buses, prop::collection::vec(any::<bool>(), 12), form, any::<bool>()).prop_map(
        |(buses, forward, (four, six), loopback)| {
            let mut text = String::from("[node]\n");
            for (n, forward) in forward.iter().enumerate() {
                let four = four.then(|| format!("\"10.255.0.{}\"", n + 1));
                let six = six.then(|| format!("\"fd00:ff::{:x}\"", n + 1));
                let all: Vec<String> = four.into_iter().chain(six).collect();
                let lo = if loopback { format!(", loopback = [{}]", all.join(", ")) } else { String::new() };
                text.push_str(&format!("n{n} = {{ forward = {forward}{lo} }}\n"));
            }
            let four = if four { ", pool = \"10.0.0.0/16\"" } else { "" };
            let six = if six { ", pool6 = \"fd00::/48\"" } else { "" };
            text.push_str("[bus]\n");
            for (b, members) in buses.iter().enumerate() {
                let names: Vec<String> = members.iter().map(|n| format!("\"n{n}\"")).collect();
                text.push_str(&format!("b{b} = {{ nodes = [{}]{four}{six} }}\n", names.join(", ")));
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_labs_obey_the_laws(text in random_lab()) {
        let lab = load_str("random.lab.toml", &text);
        prop_assert!(lab.is_ok(), "{}\n{}", text, lab.unwrap_err());
        laws(&lab.unwrap());
    }

    #[test]
    fn two_readings_are_the_same(text in random_lab()) {
        let show = || load_str("random.lab.toml", &text).map(|lab| show::text(&lab)).map_err(|e| e.to_string());
        prop_assert_eq!(show(), show());
    }

    /// Any text: an answer, never a panic; and the answer can be printed.
    #[test]
    fn no_text_panics(text in "(\\PC|\n){0,200}") {
        say(&text);
    }

    /// A good file with pieces cut out, doubled and changed.
    #[test]
    fn no_mutation_panics(
        which in 0usize..64,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, piece()), 1..6),
    ) {
        let files: Vec<PathBuf> = shipped().into_iter().filter(|p| !p.to_string_lossy().contains("000")).collect();
        let mut text = std::fs::read_to_string(&files[which % files.len()]).expect("a topology");
        for (at, cut, put) in edits {
            let at = floor(&text, at.index(text.len() + 1));
            let end = floor(&text, at + cut);
            text.replace_range(at..end.max(at), &put);
        }
        say(&text);
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What is put in: pieces of the language, and noise.
fn piece() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "",
        "\"",
        "{",
        "}",
        "[",
        "]",
        "=",
        ",",
        "\n",
        "count = 3",
        "{i}",
        "{k-9}",
        "each = \"*\"",
        "pool = \"::/0\"",
        "prefix = 128",
        "subnet = \"0.0.0.0/0\"",
        "10.0.0.0/8",
        "*",
        "-1",
        "1e400",
        "inf",
        "0x10",
        "é",
        "\u{0}",
        "r1",
        "[[check]]\n",
        "[bus.x]\n",
        "if.eth0 = { bus = \"left\" }\n",
        "99999999999999999999",
        "1979-05-27",
        "''' ",
    ];
    prop_oneof![prop::sample::select(WORDS).prop_map(str::to_owned), "\\PC{0,6}"]
}

fn say(text: &str) {
    match load_str("any.lab.toml", text) {
        Ok(lab) => drop(show::text(&lab)),
        Err(faults) => {
            let printed = faults.to_string();
            assert!(faults.items.iter().take(50).all(|diag| printed.contains(diag.code.as_str())));
            drop(labctl::topology::render::json_lines(&faults));
        }
    }
}
