//! Every diagnostic of the topology: a file that provokes it, and a snapshot of what is printed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use labctl::topology::diag::{Code, Diagnostics};
use labctl::topology::render::json_lines;
use labctl::topology::{load, load_str};

/// The files, in order. Paths are relative, so that snapshots are the same everywhere.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/diagnostics")
        .expect("tests run in the package's folder")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn faults(path: &std::path::Path) -> Diagnostics {
    match load(path) {
        Ok(lab) => lab.warnings,
        Err(faults) => faults,
    }
}

#[test]
fn what_is_printed_is_as_in_the_snapshots() {
    for path in files() {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name").to_owned();
        insta::assert_snapshot!(name, faults(&path));
    }
}

#[test]
fn every_code_has_a_file_of_its_name_that_provokes_it() {
    for code in Code::ALL {
        let path = PathBuf::from(format!("tests/diagnostics/{code}.toml"));
        let found: BTreeSet<Code> = faults(&path).items.iter().map(|diag| diag.code).collect();
        assert!(found.contains(code), "{} provokes {found:?}", path.display());
    }
    let known: BTreeSet<String> = Code::ALL.iter().map(|code| code.to_string()).collect();
    for path in files() {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
        assert!(known.contains(stem), "{} is named after no code", path.display());
    }
}

#[test]
fn json_has_a_line_a_fault_with_its_place() {
    let faults = load_str("x.lab.toml", "[node]\nh1 = {}\nh2 = { foward = true }\n").unwrap_err();
    let lines: Vec<serde_json::Value> =
        json_lines(&faults).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let unknown = lines.iter().find(|line| line["code"] == "unknown-key").expect("the typo");
    assert_eq!(unknown["file"], "x.lab.toml");
    assert_eq!((&unknown["line"], &unknown["column"]), (&3.into(), &8.into()));
    assert_eq!(unknown["message"], "unknown key \"foward\"");
    assert_eq!(unknown["hint"], "did you mean \"forward\"?");
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let faults = load(std::path::Path::new("tests/diagnostics/no-such.toml")).unwrap_err();
    assert_eq!(faults.items[0].code, Code::Unreadable);
    assert!(faults.to_string().contains("cannot read tests/diagnostics/no-such.toml"));
}

#[test]
fn an_event_s_faults_are_said_together() {
    let of = |row: &str| {
        load_str("x.lab.toml", &format!("node.r1 = {{}}\n[[event]]\n{row}\n")).unwrap_err().to_string()
    };
    let text = of("at = \"x\"\ndo = \"explode r1\"");
    assert!(text.contains("bad-unit") && text.contains("no event is called \"explode\""), "{text}");
    let text = of("do = \"stop r2\"");
    assert!(text.contains("an event needs \"at\"") && text.contains("r2"), "{text}");
    let text = of("at = \"1s\"\ndo = \"\"");
    assert!(
        text.contains("there is no command here") && text.contains("link down") && !text.contains("curl"),
        "{text}"
    );
}
