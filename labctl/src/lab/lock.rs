//! One `labctl` at a time changes a lab: an advisory lock on `lock` in its directory.
//!
//! The file goes away with the directory, so a lock counts only if the path still names the file that was locked.
//! A `labctl` that is killed loses the lock with its last descriptor; nothing has to be cleaned. The last may be in a
//! child that it was just spawning: that has a copy until its exec. So whoever has the lock knows that nothing of the one
//! before is still to come.

use super::fault::Fault;
use super::process::{Identity, Life};
use super::rundir::LabDir;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// How long a verb waits for another one: `ps` and `up` of a small lab are done long before.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long a holder that was killed may take to be gone, and to be seen to be.
const LAST_BREATH: Duration = Duration::from_millis(300);

/// The right to change one lab, until it is dropped.
#[derive(Debug)]
pub struct LabLock {
    _file: File,
}

impl LabLock {
    /// Takes the lock, waiting at most `patience`. `None` if the lab's directory is not there.
    ///
    /// # Errors
    /// Another `labctl` holds it, or the file cannot be made.
    pub fn take(lab: &LabDir, patience: Duration) -> Result<Option<Self>, Fault> {
        Self::acquire(lab, |_| patience)
    }

    /// Takes the lock of a lab that nobody is at. A holder that lives is given a moment, in case it is being killed; the
    /// children of a dead one are waited for.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_left(lab: &LabDir) -> Result<Option<Self>, Fault> {
        Self::acquire(lab, |holder| match holder {
            Some(id) if id.life() != Life::Dead => LAST_BREATH,
            // Nobody's yet or any more: whoever just took it says so in a moment.
            _ => PATIENCE,
        })
    }

    /// `patience` says how long a holder may be waited for, all in all.
    fn acquire(lab: &LabDir, patience: impl Fn(Option<Identity>) -> Duration) -> Result<Option<Self>, Fault> {
        let path = lab.path().join("lock");
        let begin = Instant::now();
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
                Ok(fd) => File::from(fd),
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(error) => return Err(Fault::io("open", &path)(error)),
            };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let ours = file.metadata().map_err(Fault::io("look at", &path))?;
                    match std::fs::symlink_metadata(&path) {
                        Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                            // For whoever finds the lock taken.
                            let text = Identity::of(std::process::id().cast_signed())
                                .map_or_else(String::new, |(own, _)| format!("{} {}\n", own.pid, own.start));
                            let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
                            return Ok(Some(Self { _file: file }));
                        }
                        // Removed, perhaps made anew, while we waited: look again.
                        _ => continue,
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = Identity::from_pid_file(&path);
                    if begin.elapsed() >= patience(holder) {
                        let pid = holder.map(|id| id.pid);
                        return Err(Fault::Busy { lab: lab.name().to_owned(), pid });
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Fault::io("lock", &path)(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rundir::RunRoot;
    use super::*;

    #[test]
    fn one_at_a_time_and_the_holder_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let lab = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("a");
        assert!(LabLock::take(&lab, Duration::ZERO).unwrap().is_none());
        lab.create().unwrap();
        let held = LabLock::take(&lab, Duration::ZERO).unwrap().unwrap();
        match LabLock::take(&lab, Duration::ZERO) {
            Err(Fault::Busy { pid, .. }) => assert_eq!(pid, Some(std::process::id().cast_signed())),
            other => panic!("{other:?}"),
        }
        drop(held);
        assert!(LabLock::take(&lab, Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn the_children_of_a_dead_holder_are_waited_for_and_the_living_are_not() {
        let tmp = tempfile::tempdir().unwrap();
        let lab = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("a");
        lab.create().unwrap();
        let held = LabLock::take_left(&lab).unwrap().unwrap();
        assert!(matches!(LabLock::take_left(&lab), Err(Fault::Busy { pid: Some(_), .. })));
        // Now it is that of a process whose pid is ours by chance.
        let (own, _) = Identity::of(std::process::id().cast_signed()).unwrap();
        std::fs::write(lab.path().join("lock"), format!("{} {}\n", own.pid, own.start + 1)).unwrap();
        let exec = std::thread::spawn(move || {
            std::thread::sleep(LAST_BREATH + Duration::from_millis(50));
            drop(held);
        });
        assert!(LabLock::take_left(&lab).unwrap().is_some());
        exec.join().unwrap();
    }

    #[test]
    fn a_lock_on_a_removed_lab_is_worth_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        let lab = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("a");
        lab.create().unwrap();
        let old = LabLock::take(&lab, Duration::ZERO).unwrap();
        lab.remove().unwrap();
        lab.create().unwrap();
        assert!(LabLock::take(&lab, Duration::ZERO).unwrap().is_some());
        drop(old);
    }
}
