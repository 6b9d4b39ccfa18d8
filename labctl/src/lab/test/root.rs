//! A run root for one `test`: `.test-PID-START` below the user's. Its name says whose it is, so that what a killed test
//! left can be told from what a running one uses.

use super::super::fault::Fault;
use super::super::process::{Identity, Life};
use super::super::rundir::{LabDir, RunRoot, remove_tree};
use super::super::stop;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = ".test-";

/// Removed with everything in it when it is dropped; no lab is in it any more then.
#[derive(Debug)]
pub(super) struct TestRoot {
    root: RunRoot,
}

impl TestRoot {
    pub(super) fn create() -> Result<Self, Fault> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = Identity::of(std::process::id().cast_signed()).map_or(0, |(id, _)| id.start);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{own}-{count}", std::process::id());
        let above = RunRoot::create()?;
        Ok(Self { root: RunRoot::create_at(&above.path().join(name))? })
    }

    pub(super) fn lab(&self, name: &str) -> LabDir {
        self.root.lab(name)
    }
}

impl Drop for TestRoot {
    fn drop(&mut self) {
        let _ = remove_tree(self.root.path());
    }
}

/// Ends what killed tests left below the user's run root. Returns their labs.
///
/// # Errors
/// The host refuses.
pub fn sweep(root: &RunRoot) -> Result<Vec<stop::Ended>, Fault> {
    let mut ended = Vec::new();
    for path in root.hidden(PREFIX)? {
        if owner(&path).is_some_and(|id| id.life() != Life::Dead) {
            continue;
        }
        if let Some(left) = RunRoot::open_at(&path)? {
            for result in stop::down_all(&left)? {
                ended.push(result?);
            }
        }
        remove_tree(&path)?;
    }
    Ok(ended)
}

fn owner(path: &Path) -> Option<Identity> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let mut parts = name.split('-');
    Some(Identity { pid: parts.next()?.parse().ok()?, start: parts.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_dead_test_is_swept_and_a_living_one_is_not() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        let own = Identity::of(std::process::id().cast_signed()).unwrap().0;
        let make = |start: u64| -> PathBuf {
            let path = root.path().join(format!("{PREFIX}{}-{start}-0", own.pid));
            RunRoot::create_at(&path).unwrap().lab("x").create().unwrap();
            path
        };
        let (mine, dead) = (make(own.start), make(own.start + 1));
        assert_eq!(sweep(&root).unwrap().len(), 1);
        assert!(mine.exists());
        assert!(!dead.exists());
    }
}
