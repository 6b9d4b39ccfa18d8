//! `down` and `gc`: ending labs, whatever state they are in.
//!
//! Nothing here needs what `up` would have written had it come to its end: the processes are found by their arguments,
//! the directory goes with everything in it.

use super::fault::Fault;
use super::lock::{LabLock, PATIENCE};
use super::process::{self, GRACE, How, Identity};
use super::rundir::{LabDir, RunRoot, remove_tree};
use super::state::{LabState, Phase};
use super::supervisors;
use super::view::{LabLife, Presence};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Rounds of looking for processes: one that is being spawned shows its arguments only after exec.
const ROUNDS: usize = 20;

/// What was ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ended {
    /// The lab.
    pub lab: String,
    /// Nodes that lived.
    pub processes: usize,
    /// Programs that ran on them.
    pub programs: usize,
}

/// Takes a lab down: its processes end, its directory goes.
///
/// # Errors
/// There is no such lab, another `labctl` is at it, it is another user's, or a process cannot be ended.
pub fn down(dir: &LabDir) -> Result<Ended, Fault> {
    supervisors::outside()?;
    match down_if_there(dir, PATIENCE)? {
        Some(ended) => Ok(ended),
        None => Err(Fault::NotRunning { lab: dir.name().to_owned() }),
    }
}

fn down_if_there(dir: &LabDir, patience: Duration) -> Result<Option<Ended>, Fault> {
    if !dir.exists()? {
        // The directory was removed by hand: the processes are still known by it.
        let programs = supervisors::end(dir, |_| true)?;
        let processes = end_below(dir.path(), dir.name(), BTreeSet::new())?;
        let ended = Ended { lab: dir.name().to_owned(), processes, programs };
        return Ok((processes + programs > 0).then_some(ended));
    }
    let Some(_lock) = LabLock::take(dir, patience)? else { return down_if_there(dir, patience) };
    end_locked(dir).map(Some)
}

fn end_locked(dir: &LabDir) -> Result<Ended, Fault> {
    let mut known = BTreeSet::new();
    if let Ok(Some(mut state)) = LabState::load(dir) {
        known.extend(
            state.nodes.iter().filter_map(|node| Identity::from_pid_file(&dir.node(&node.name).pid())),
        );
        state.phase = Phase::Stopping;
        // On a full disk the lab must come down all the same.
        let _ = state.save(dir);
    }
    // What runs on a node ends before it; what is left of that is looked for when there are fewer processes to look at.
    let mut programs = supervisors::end_supervisors(dir, |_| true)?;
    let mut processes = end_below(dir.path(), dir.name(), known)?;
    programs += supervisors::end(dir, |_| true)?;
    dir.remove()?;
    // One that was between fork and exec all the while finds no config and ends by itself; do not leave it to luck.
    processes += end_below(dir.path(), dir.name(), BTreeSet::new())?;
    Ok(Ended { lab: dir.name().to_owned(), processes, programs })
}

/// Ends every node's process below a directory, and those that are known besides, until none is found.
fn end_below(below: &Path, lab: &str, mut ids: BTreeSet<Identity>) -> Result<usize, Fault> {
    let mut ended = BTreeSet::new();
    for _ in 0..ROUNDS {
        ids.extend(process::scan(below).into_iter().map(|process| process.id));
        ids.retain(|id| id.life() != process::Life::Dead);
        if ids.is_empty() {
            return Ok(ended.len());
        }
        ended.extend(ids.iter().copied());
        let list: Vec<_> = std::mem::take(&mut ids).into_iter().collect();
        let left = process::end(&list, How::Clean(GRACE))?;
        if let Some(first) = left.first() {
            return Err(Fault::Unkillable { lab: lab.to_owned(), count: left.len(), pid: first.pid });
        }
    }
    Ok(ended.len())
}

/// Takes every lab of the root down. A fault of one does not keep the others up.
///
/// # Errors
/// The root cannot be read.
pub fn down_all(root: &RunRoot) -> Result<Vec<Result<Ended, Fault>>, Fault> {
    supervisors::outside()?;
    Ok(root.labs()?.iter().filter_map(|dir| down_if_there(dir, PATIENCE).transpose()).collect())
}

/// What `gc` did, and what kept it from doing more.
#[derive(Debug, Default)]
pub struct Sweep {
    /// What it did.
    pub swept: Swept,
    /// Why some labs were left: they are another user's, or the host refused.
    pub faults: Vec<Fault>,
}

/// What `gc` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Labs that were dead or half up, now gone.
    pub labs: Vec<Ended>,
    /// Node processes without a lab, now ended.
    pub orphans: usize,
    /// Programs and their supervisors whose node has no directory any more, now ended.
    pub programs: usize,
    /// Directories that a killed `down` left, now gone.
    pub leftovers: usize,
    /// Labs that another `labctl` is at, left alone.
    pub busy: Vec<String>,
}

/// Removes what no `labctl` will: labs whose every node is dead, labs that are half made and that nobody is making,
/// processes whose lab is gone. Labs that live are left alone. A fault of one does not keep the others.
///
/// # Errors
/// The root cannot be read.
pub fn gc(root: &RunRoot) -> Result<Sweep, Fault> {
    let Sweep { mut swept, mut faults } = Sweep::default();
    for dir in &root.labs()? {
        match reap(dir) {
            Ok(ended) => swept.labs.extend(ended),
            Err(Fault::Busy { .. }) => swept.busy.push(dir.name().to_owned()),
            Err(fault) => faults.push(fault),
        }
    }
    match super::test::sweep(root) {
        Ok(ended) => swept.labs.extend(ended),
        Err(fault) => faults.push(fault),
    }
    for path in root.leftovers()? {
        match remove_tree(&path) {
            Ok(()) => swept.leftovers += 1,
            Err(fault) => faults.push(fault),
        }
    }
    let orphans: Vec<_> = process::scan(root.path())
        .into_iter()
        .filter(|process| !process.config.exists())
        .map(|process| process.id)
        .collect();
    swept.orphans = orphans.len();
    let left = process::end(&orphans, How::Clean(GRACE))?;
    if let Some(first) = left.first() {
        faults.push(Fault::Unkillable { lab: "(none)".into(), count: left.len(), pid: first.pid });
    }
    match supervisors::end_orphans(root.path()) {
        Ok(programs) => swept.programs = programs,
        Err(fault) => faults.push(fault),
    }
    Ok(Sweep { swept, faults })
}

/// Takes a lab down that no `labctl` is at and of which nothing lives that should.
fn reap(dir: &LabDir) -> Result<Option<Ended>, Fault> {
    // Whose it is comes first: nothing is made in the directory of another user, a lock neither.
    if !dir.exists()? {
        return Ok(None);
    }
    let Some(_lock) = LabLock::take_left(dir)? else { return Ok(None) };
    // Looked at only now: a lab that `up` is making is not half made.
    let reap = match Presence::of(dir) {
        Ok(Presence::Absent) => false,
        Ok(Presence::Half { .. }) | Err(Fault::Damaged { .. }) => true,
        Ok(Presence::There(view)) => view.lab_life() == LabLife::Dead,
        Err(fault) => return Err(fault),
    };
    if reap { end_locked(dir).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_lab_that_is_not_ours_is_left_untouched_and_keeps_no_other() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        for name in ["a", "b", "c"] {
            root.lab(name).create().unwrap();
        }
        let foreign = root.lab("b");
        std::fs::set_permissions(foreign.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let Sweep { swept, faults } = gc(&root).unwrap();
        let gone: Vec<_> = swept.labs.iter().map(|ended| ended.lab.as_str()).collect();
        assert_eq!(gone, ["a", "c"]);
        assert!(matches!(&faults[..], [Fault::LooseMode { .. }]), "{faults:?}");
        assert_eq!(std::fs::read_dir(foreign.path()).unwrap().count(), 0);
    }
}
