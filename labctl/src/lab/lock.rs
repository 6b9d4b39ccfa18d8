//! One `labctl` at a time changes a lab: an advisory lock on `lock` in its directory.
//!
//! The file goes away with the directory, so a lock counts only if the path still names the file that was locked.
//! A `labctl` that is killed loses the lock with its last descriptor; nothing has to be cleaned.

use super::fault::Fault;
use super::rundir::LabDir;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// How long a verb waits for another one: `ps` and `up` of a small lab are done long before.
pub const PATIENCE: Duration = Duration::from_secs(5);

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
        let path = lab.path().join("lock");
        let deadline = Instant::now() + patience;
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
                            // Only a courtesy to whoever finds the lock taken.
                            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                            return Ok(Some(Self { _file: file }));
                        }
                        // Removed, perhaps made anew, while we waited: look again.
                        _ => continue,
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let mut text = String::new();
                    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
                    return Err(Fault::Busy { lab: lab.name().to_owned(), pid: text.trim().parse().ok() });
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
