//! Packet-level scripts: each file `GROUP/NAME.drill` is a test `GROUP::NAME`. The language and the
//! folders are described in `README.md` beside this file.

mod engine;
mod folders;
mod language;

use engine::{Drill, reach_folder};
use libtest_mimic::{Arguments, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drill"));
    let mut trials = Vec::new();
    for folder in folders::of_scripts(root) {
        for name in &folder.scripts {
            let path = root.join(&folder.name).join(format!("{name}.drill"));
            trials.push(Trial::test(format!("{}::{name}", folder.name), move || Ok(play(&path)?)));
        }
    }
    trials.extend(folders::tests(root));
    trials.extend(language::tests());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Plays one script.
fn play(path: &PathBuf) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    // As `reach` names them, from this folder on.
    let names: Vec<_> = path.iter().rev().take(2).map(|n| n.to_string_lossy()).collect();
    Drill::parse(&format!("{}/{}", names[1], names[0]), &text, reach_folder())?.run()
}
