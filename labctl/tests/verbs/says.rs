//! What a verb says: its exit code, and if it refuses, one line and the mend.

use crate::place::Place;

/// What a verb says in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// It does its work.
    Does,
    /// It refuses with this code, one line and the mend.
    Refuses(i32),
    /// It has nothing to do with labs.
    Any,
}
use Want::{Any, Does, Refuses};

/// Runs a verb and sees that it says that.
pub(crate) fn assert_says(place: &Place, verb: &str, words: &[&str], want: Want) {
    if want == Any {
        return;
    }
    let mut all = vec![verb];
    all.extend(words);
    let output = place.run(&all);
    let code = output.status.code();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match want {
        Does => assert_eq!(code, Some(0), "{all:?}: {output:?}"),
        Refuses(exit) => {
            assert_eq!(code, Some(exit), "{all:?}: {output:?}");
            let lines: Vec<_> = said.lines().collect();
            assert!(lines.len() == 2, "{all:?} does not say it in a line and its mend: {said}");
            assert!(lines[0].starts_with("labctl: "), "{all:?}: {said}");
            assert!(lines[1].starts_with("  help: "), "{all:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        Any => {}
    }
}
