//! The program that becomes a node, or the supervisor of a program on one, when it is executed under their
//! names: this very one, so that all are of one version; in a process that is not `labctl`, as that of a
//! test, the `labctl` that it has named.

use std::path::PathBuf;
use std::sync::OnceLock;

/// This program, also after its file was replaced (by a build): the kernel still has it.
const SELF: &str = "/proc/self/exe";

static NAMED: OnceLock<PathBuf> = OnceLock::new();

/// From now on that `labctl` is executed; the first that is named counts.
pub(super) fn name(labctl: PathBuf) {
    let _ = NAMED.set(labctl);
}

/// What is executed.
pub(super) fn program() -> PathBuf {
    let own = || std::env::current_exe().ok().filter(|path| path.exists());
    NAMED.get().cloned().or_else(own).unwrap_or_else(|| PathBuf::from(SELF))
}
