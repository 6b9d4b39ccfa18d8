//! Runs a case on both kernels and compares the transcripts.

use crate::deviations::DEVIATIONS;
use crate::host_unsafe::Host;
use crate::node::Node;
use crate::trial::Trial;
use std::fmt::Write;

/// Runs `case` on the host and on a node; panics with both transcripts side by side where they differ.
pub fn compare<F: Fn(&mut Trial<'_>)>(case: F) {
    let name = name_of(&case);
    let host = Trial::run(&mut Host::default(), &case);
    let node = Trial::run(&mut Node::start(), &case);
    assert!(!host.is_empty(), "{name} shows nothing");
    let deviation = DEVIATIONS.iter().find(|(case, _)| *case == name);
    match (host == node, deviation) {
        (true, None) => {}
        (false, None) => panic!("{name}: the node differs from the host\n{}", side_by_side(&host, &node)),
        (false, Some((_, reason))) => eprintln!("{name} differs: {reason}\n{}", side_by_side(&host, &node)),
        (true, Some(_)) => panic!("{name} agrees: its entry in deviations.rs is stale"),
    }
}

/// `module::function` of the test that holds the closure.
fn name_of<F>(_: &F) -> &'static str {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

/// Both columns; `!` marks the lines that differ.
fn side_by_side(host: &[String], node: &[String]) -> String {
    let width = host.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(20);
    let mut text = format!("  {:width$} | node\n", "host");
    for at in 0..host.len().max(node.len()) {
        let line = |column: &[String]| column.get(at).cloned().unwrap_or_default();
        let (left, right) = (line(host), line(node));
        let mark = if left == right { ' ' } else { '!' };
        let _ = writeln!(text, "{mark} {left:width$} | {right}");
    }
    text
}

/// An entry that names no case would never be found stale.
#[test]
fn deviations_name_cases() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    for (case, _) in DEVIATIONS {
        let (module, function) = case.split_once("::").expect("module::function");
        let source =
            std::fs::read_to_string(folder.join(module).with_extension("rs")).expect("a file of cases");
        assert!(source.contains(&format!("fn {function}()")), "no case {case}");
    }
}

#[test]
fn columns_stand_side_by_side() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let text = side_by_side(&lines("one two"), &lines("one three four"));
    assert_eq!(
        text.lines().map(str::trim_end).collect::<Vec<_>>(),
        [
            "  host                 | node",
            "  one                  | one",
            "! two                  | three",
            "!                      | four"
        ]
    );
}
