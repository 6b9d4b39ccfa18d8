//! What holds for the folders of scripts: each says what it tests, and those about an event have a
//! script for every state of RFC 9293.

use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::path::Path;

/// The states of RFC 9293 §3.3.2 as names of scripts begin.
const STATES: [&str; 11] = [
    "closed",
    "listen",
    "syn-sent",
    "syn-received",
    "established",
    "fin-wait-1",
    "fin-wait-2",
    "close-wait",
    "closing",
    "last-ack",
    "time-wait",
];

/// In these nothing is known of the peer's numbers, so that variants of a segment may be one.
const WITHOUT_NUMBERS: [&str; 3] = ["closed", "listen", "syn-sent"];

/// Folders about one event: `STATE-VARIANT.drill`, or `STATE.drill` if there is one variant only.
const EVENTS: [&str; 22] = [
    "urg",
    "ack",
    "broadcast",
    "call-abort",
    "call-close",
    "call-connect",
    "call-listen",
    "call-recv",
    "call-send",
    "call-shutdown",
    "checksum",
    "data",
    "fin",
    "keepalive",
    "malformed",
    "no-ack",
    "poll",
    "rst",
    "syn",
    "syn-ack",
    "time-passes",
    "unreachable",
];

/// A folder and its scripts, both in order.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) scripts: BTreeSet<String>,
}

/// All folders that hold scripts.
pub(crate) fn of_scripts(root: &Path) -> Vec<Folder> {
    let entries = |path: &Path| {
        let dir = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut names: Vec<String> =
            dir.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let mut folders = Vec::new();
    for name in entries(root).into_iter().filter(|name| root.join(name).is_dir()) {
        let scripts: BTreeSet<String> = entries(&root.join(&name))
            .iter()
            .filter_map(|file| file.strip_suffix(".drill").map(str::to_owned))
            .collect();
        if !scripts.is_empty() {
            folders.push(Folder { name, scripts });
        }
    }
    folders
}

/// The tests of the folders themselves.
pub(crate) fn tests(root: &'static Path) -> Vec<Trial> {
    vec![
        Trial::test("folders::each_says_what_it_tests", move || Ok(readmes(root)?)),
        Trial::test("folders::each_script_begins_with_its_reason", move || Ok(reasons(root)?)),
        Trial::test("folders::events_cover_every_state", move || Ok(events(root)?)),
        Trial::test("folders::a_missing_state_is_found", || Ok(a_gap_is_found()?)),
    ]
}

fn told(faults: Vec<String>) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// A README with the RFC's name, and a line for each folder in the one above.
fn readmes(root: &Path) -> Result<(), String> {
    let read = |path: &Path| std::fs::read_to_string(path.join("README.md")).unwrap_or_default();
    let all = read(root);
    let mut faults = Vec::new();
    for folder in of_scripts(root) {
        if !read(&root.join(&folder.name)).contains("RFC ") {
            faults.push(format!("{}: its README does not name the RFC under test", folder.name));
        }
        if !all.contains(&format!("[`{0}`]({0}/README.md)", folder.name)) {
            faults.push(format!("{}: README.md does not list it", folder.name));
        }
    }
    told(faults)
}

/// A comment at the head: the rule that the script is about.
fn reasons(root: &Path) -> Result<(), String> {
    let mut faults = Vec::new();
    for folder in of_scripts(root) {
        for name in &folder.scripts {
            let path = root.join(&folder.name).join(format!("{name}.drill"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if !text.lines().next().is_some_and(|first| first.starts_with("# ") && first.len() > 5) {
                faults.push(format!("{}/{name}.drill does not begin with what it is about", folder.name));
            }
        }
    }
    told(faults)
}

/// The state that a script's name begins with, and its variant.
fn state_and_variant(script: &str) -> Option<(&'static str, &str)> {
    STATES.iter().find_map(|state| match script.strip_prefix(state)? {
        "" => Some((*state, "")),
        rest => rest.strip_prefix('-').map(|variant| (*state, variant)),
    })
}

/// The cells of event × state that a folder lacks.
fn missing(folder: &Folder) -> Vec<String> {
    let mut faults = Vec::new();
    let known: Vec<_> = folder.scripts.iter().map(|s| (s, state_and_variant(s))).collect();
    for (script, _) in known.iter().filter(|(_, known)| known.is_none()) {
        faults.push(format!("{}/{script}.drill: its name begins with no state", folder.name));
    }
    let cells: BTreeSet<_> = known.into_iter().filter_map(|(_, known)| known).collect();
    for state in STATES {
        if !cells.iter().any(|(s, _)| *s == state) {
            faults.push(format!("{}: nothing about {state}", folder.name));
        }
    }
    let with_numbers = |state: &&str| !WITHOUT_NUMBERS.contains(state);
    let variants: BTreeSet<_> =
        cells.iter().filter(|(state, _)| with_numbers(state)).map(|(_, variant)| variant).collect();
    for variant in variants {
        for state in STATES.into_iter().filter(with_numbers) {
            if !cells.contains(&(state, *variant)) {
                faults.push(format!("{}: no {state}-{variant}.drill", folder.name));
            }
        }
    }
    faults
}

fn events(root: &Path) -> Result<(), String> {
    let folders = of_scripts(root);
    let mut faults = Vec::new();
    for event in EVENTS {
        match folders.iter().find(|f| f.name == event) {
            Some(folder) => faults.extend(missing(folder)),
            None => faults.push(format!("{event}: no such folder")),
        }
    }
    told(faults)
}

fn a_gap_is_found() -> Result<(), String> {
    let folder = |names: &[String]| Folder { name: "x".into(), scripts: names.iter().cloned().collect() };
    let whole: Vec<String> = STATES.iter().flat_map(|s| [format!("{s}-a"), format!("{s}-b")]).collect();
    let mut faults = missing(&folder(&whole));
    for gap in 0..whole.len() {
        let mut names = whole.clone();
        let gone = names.remove(gap);
        let found = missing(&folder(&names));
        // Of the states without numbers one variant is enough.
        let needed = !WITHOUT_NUMBERS.iter().any(|s| gone.starts_with(s));
        if found.is_empty() == needed {
            faults.push(format!("without {gone}: {found:?}"));
        }
    }
    let without_listen: Vec<_> = whole.iter().filter(|n| !n.starts_with("listen")).cloned().collect();
    if missing(&folder(&without_listen)).is_empty() || missing(&folder(&["nowhere".into()])).is_empty() {
        faults.push("a state without any script is not found".into());
    }
    told(faults)
}
