//! `conformance6 [FILE…]`: IPv6 against the cases of `tests/conformance6`, which has a table of them in its `README.md`.
//!
//! Each file of cases has a lab of its own, and all run at once: they wait more than they work. A case that passes in the table
//! must pass, one that fails must fail, and each has a row.
//!
//! Exit status: 0 as in the table, 1 something differs, 2 usage.
#![forbid(unsafe_code)]

use lab_tests::suites::{Outcome, Outcomes};
use lab_tests::{Place, User};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Files of cases, and the lab of each.
const FILES: &[(&str, &str)] = &[
    ("fragment_host", "host"),
    ("probe_host", "host"),
    ("router", "router"),
    ("dad_host", "dad"),
    ("routers_host", "host"),
    ("neighbours_host", "host"),
    ("redirect_host", "host"),
    ("header_host", "host"),
    ("icmp_host", "host"),
    ("pmtu_host", "host"),
    ("slaac_host", "host"),
    ("floods_host", "floods"),
];
const PYTHON: &str = "/usr/bin/python3.11";

/// What the table says of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Pass,
    Fail,
    /// There is none: the row says why.
    NotApplicable,
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| FILES.iter().any(|(file, _)| file == name);
    if !names.iter().all(known) {
        eprintln!("usage: conformance6 [FILE…]");
        return ExitCode::from(2);
    }
    let chosen = |file: &str| names.is_empty() || names.iter().any(|name| name == file);
    lab_tests::program("python3.11", "python3.11");
    let folder = lab_tests::root().join("tests/conformance6");
    let place = Place::new(User::Ordinary);
    prepare(&place, &folder);
    let began = Instant::now();
    let runs: Vec<(&str, Outcomes)> = std::thread::scope(|scope| {
        let place = &place;
        let files = FILES.iter().filter(|(file, _)| chosen(file));
        let started: Vec<_> =
            files.map(|(file, lab)| (*file, scope.spawn(move || run(place, file, lab)))).collect();
        started.into_iter().map(|(file, run)| (file, run.join().expect("a run"))).collect()
    });
    let table = rows(&std::fs::read_to_string(folder.join("README.md")).expect("the table"));
    let mut as_in_the_table = true;
    let mut differs = |what: String| {
        println!("    {what}");
        as_in_the_table = false;
    };
    let mut passed = 0;
    let mut ran = BTreeMap::new();
    for (file, outcomes) in &runs {
        if !outcomes.ended {
            differs(format!("{file} has not come to its end: {}", log(file).display()));
        }
        ran.extend(outcomes.iter());
    }
    for (case, outcome) in &ran {
        passed += usize::from(**outcome == Outcome::Ok);
        match (table.get(*case), outcome) {
            (Some(Row::Pass), Outcome::Ok) | (Some(Row::Fail), Outcome::Fail(_)) => {}
            (Some(row), outcome) => differs(format!("{case} {outcome}; the table says {row:?}")),
            (None, _) => differs(format!("{case} has no row in the table")),
        }
    }
    if names.is_empty() {
        let missing =
            |(case, row): &(&String, &Row)| **row != Row::NotApplicable && !ran.contains_key(case.as_str());
        for (case, _) in table.iter().filter(missing) {
            differs(format!("{case} did not run"));
        }
    }
    println!("conformance6: {passed} of {} cases pass; {} s", ran.len(), began.elapsed().as_secs());
    if as_in_the_table { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the rows of the table say: `| number | title | where it stands | pass, fail or n/a |`.
fn rows(text: &str) -> BTreeMap<String, Row> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let lines = text.lines().filter(|line| line.starts_with("| v6LC.") || line.starts_with("| flood."));
    let row = |line: &str| {
        let cells: Vec<String> = cells(line);
        let row = match cells.last().map(String::as_str) {
            Some("pass") => Row::Pass,
            Some(word) if word.starts_with("fail") => Row::Fail,
            Some(word) if word.starts_with("n/a") => Row::NotApplicable,
            _ => panic!("a row that says neither pass, fail nor n/a: {line}"),
        };
        (cells[0].clone(), row)
    };
    lines.map(row).collect()
}

/// Puts Scapy and the cases where everybody may read them.
fn prepare(place: &Place, folder: &Path) {
    let kept = lab_tests::built("conformance6").with_file_name("suites.sources");
    std::fs::create_dir_all(&kept).expect("a folder for sources");
    let from = kept.join("scapy");
    if !from.join("scapy/__init__.py").exists() {
        // Of an attempt that was broken off.
        let _ = std::fs::remove_dir_all(&from);
        let mut command = Command::new(lab_tests::root().join("tests/suites/obtain"));
        let status = command.arg("scapy").arg(&from).status().expect("obtain starts");
        assert!(status.success(), "tests/suites/obtain scapy: {status}");
    }
    let status = Command::new("cp").arg("-a").arg(&from).arg(place.path()).status().expect("cp starts");
    assert!(status.success(), "a copy of Scapy");
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "py") {
            std::fs::copy(&path, place.path().join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
}

/// Where a file's run is written down.
fn log(file: &str) -> PathBuf {
    let logs = lab_tests::built("conformance6").with_file_name("conformance6.log");
    std::fs::create_dir_all(&logs).expect("a folder for logs");
    logs.join(format!("{file}.log"))
}

/// Runs a file of cases in a lab that has the file's name.
fn run(place: &Place, file: &str, lab: &str) -> Outcomes {
    let folder = lab_tests::root().join("tests/conformance6");
    let text = std::fs::read_to_string(folder.join(format!("{lab}.lab.toml"))).expect("a topology");
    let name = file.replace('_', "-");
    let text = text.replace(&format!("name = \"{lab}\""), &format!("name = \"{name}\""));
    place.write(&format!("{name}.lab.toml"), &text);
    place.ok(&format!("up -t {name}.lab.toml"));
    let mut command = place.labctl(["--lab", &name, "exec", "tn", "--", PYTHON, "-s", "-B"]);
    command.arg(place.path().join(format!("{file}.py")));
    command.env("PYTHONPATH", place.path().join("scapy")).env("LAB", &name);
    let output = command.output().expect("labctl starts");
    place.ok(&format!("--lab {name} down"));
    std::fs::write(log(file), [&output.stdout[..], &output.stderr].concat()).expect("the log");
    Outcomes::parse(&String::from_utf8_lossy(&output.stdout))
}
