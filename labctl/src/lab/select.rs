//! Which lab is meant: the one named, else the one that the topology names, else the only one that runs.

use super::fault::Fault;
use super::rundir::{LabDir, RunRoot};
use crate::topology::names::{LAB_NAME_MAX, is_name};
use std::path::Path;
use std::{fs, io};

/// The lab that `--lab` and the topology file (`-t`, or the one in the current folder) mean, whether it runs or not.
///
/// # Errors
/// Nothing names one, or too much does.
pub fn lab(root: Option<&RunRoot>, name: Option<&str>, topology: Option<&Path>) -> Result<LabDir, Fault> {
    let named = match (name, topology) {
        // It becomes a path: nothing that leaves the root may pass.
        (Some(name), _) if !is_name(name, LAB_NAME_MAX) => {
            return Err(Fault::Usage(format!("`{name}` cannot be the name of a lab")));
        }
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(file)) => Some(name_in(file)?),
        (None, None) => None,
    };
    match (root, named) {
        (Some(root), Some(name)) => Ok(root.lab(&name)),
        (None, Some(lab)) => Err(Fault::NotRunning { lab }),
        (None, None) => Err(Fault::NoLab),
        (Some(root), None) => {
            let mut labs = root.labs()?;
            match labs.len() {
                0 => Err(Fault::NoLab),
                1 => Ok(labs.remove(0)),
                _ => Err(Fault::SeveralLabs { labs: labs.iter().map(|lab| lab.name().to_owned()).collect() }),
            }
        }
    }
}

/// The lab's name in a topology file, whatever else is wrong with the file: a lab can be taken down while its file is
/// being edited.
fn name_in(file: &Path) -> Result<String, Fault> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::io("read", file)(error),
        _ => Fault::Usage(format!("cannot read {}: {error}", file.display())),
    })?;
    let written = toml::from_str::<toml::Table>(&text)
        .ok()
        .and_then(|table| table.get("name").and_then(|name| name.as_str().map(str::to_owned)));
    // A file that does not say is named by its own name: so is any file of that name.
    let name = written.or_else(|| {
        let lab = crate::topology::load_str(file.to_str()?, "[node]\nn = {}\n").ok()?;
        Some(lab.name)
    });
    name.filter(|name| is_name(name, LAB_NAME_MAX))
        .ok_or_else(|| Fault::Usage(format!("{} does not name a lab", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_comes_from_the_flag_the_file_or_the_only_lab() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        let file = tmp.path().join("x.lab.toml");
        let by = |name, topology| lab(Some(&root), name, topology).map(|lab| lab.name().to_owned());
        fs::write(&file, "name = \"hello\"\n[node]\nh1 = { what = 1 }\n").unwrap();
        assert_eq!(by(Some("a"), Some(&file)).unwrap(), "a");
        assert_eq!(by(None, Some(&file)).unwrap(), "hello");
        for text in ["[node]\nh1 = {}\n", "[node\n"] {
            fs::write(&file, text).unwrap();
            assert_eq!(by(None, Some(&file)).unwrap(), "x");
        }
        for bad in ["..", "a/b", "", ".gone-a-1", "A"] {
            assert!(matches!(by(Some(bad), None), Err(Fault::Usage(_))), "{bad}");
        }
        assert!(matches!(by(None, None), Err(Fault::NoLab)));
        root.lab("one").create().unwrap();
        assert_eq!(by(None, None).unwrap(), "one");
        root.lab("two").create().unwrap();
        match by(None, None) {
            Err(Fault::SeveralLabs { labs }) => assert_eq!(labs, ["one", "two"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_run_root_nothing_runs() {
        assert!(matches!(lab(None, Some("a"), None), Err(Fault::NotRunning { .. })));
        assert!(matches!(lab(None, Some(".."), None), Err(Fault::Usage(_))));
        assert!(matches!(lab(None, None, None), Err(Fault::NoLab)));
    }
}
