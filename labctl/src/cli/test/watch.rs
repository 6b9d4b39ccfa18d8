//! `labctl test --watch`: again whenever a topology changes.

use crate::cli::{Exit, Failure};
use crate::lab::fault::Fault;
use crate::lab::interrupt::{Interrupt, Woken};
use rustix::fs::inotify;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Editors write in several steps: what comes within this time is one change.
const QUIET: Duration = Duration::from_millis(50);

/// Runs `test` now, and each time one of the files has another content, until Ctrl-C; `test` says too whether that came.
pub(super) fn run(
    files: &[PathBuf],
    interrupt: &Interrupt,
    mut test: impl FnMut() -> Result<(Exit, bool), Failure>,
) -> Result<Exit, Failure> {
    let changes = watch(files)?;
    loop {
        let before = contents(files);
        let (exit, interrupted) = test()?;
        if interrupted || interrupt.pending() {
            return Ok(exit);
        }
        while contents(files) == before {
            if interrupt.wait(Some(changes.as_fd()), None)? == Woken::Interrupted || !interrupt.sleep(QUIET)? {
                return Ok(exit);
            }
            drain(&changes);
        }
    }
}

/// Tells of changes in the folders of the files: an editor may write another file and give it the name.
fn watch(files: &[PathBuf]) -> Result<OwnedFd, Fault> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let changes = inotify::init(flags).map_err(Fault::os("watch files"))?;
    let folder = |file: &PathBuf| match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let what = inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE;
    for folder in files.iter().map(folder).collect::<BTreeSet<_>>() {
        inotify::add_watch(&changes, &folder, what).map_err(Fault::io("watch", &folder))?;
    }
    Ok(changes)
}

fn drain(changes: &OwnedFd) {
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(changes, &mut room);
    while reader.next().is_ok() {}
}

/// What the files hold; one that is not there holds nothing.
fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}
