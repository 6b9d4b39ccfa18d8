//! How the tool is linked: at a fixed address, and with its C library in it. It begins twice for a program on a node, and once for each
//! node: what the dynamic loader does each time counts.
//!
//! A position-independent executable has some 20,000 words to which its address is added. That costs 0.4 ms, and writes to 380 KiB
//! that every node would otherwise share with all others. What it buys, an unpredictable address of the code, is of use against
//! faults of memory, which safe code has not; stack and heap keep theirs.
//!
//! To find, map and bind three libraries costs 0.8 ms. `-C target-feature=+crt-static` would do without them, but has to be said of all that is
//! built, macros included, which cannot be. So here the names under which the linker looks for shared libraries lead to
//! archives. Where the host has none (on Fedora they are in `glibc-static`) they stay shared.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What std and the crates ask the linker for, and the archive that has it.
const LIBRARIES: [(&str, &str); 7] = [
    ("libc.so", "libc.a"),
    ("libm.so", "libm.a"),
    ("libgcc_s.so", "libgcc_eh.a"),
    ("libdl.so", "libdl.a"),
    ("libpthread.so", "libpthread.a"),
    ("librt.so", "librt.a"),
    ("libutil.so", "libutil.a"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    if var("CARGO_CFG_TARGET_OS") != "linux" || var("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-no-pie");
    let folder = PathBuf::from(var("OUT_DIR")).join("libraries");
    if var("HOST") == var("TARGET") && archives_in(&folder).is_some() {
        println!("cargo:rustc-link-arg-bins=-static");
        println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
    }
}

/// Makes the folder in which the archives have the names of shared libraries; `None`: one of them is missing.
fn archives_in(folder: &Path) -> Option<()> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).ok()?;
    for (name, archive) in LIBRARIES {
        let found = Command::new("cc").arg(format!("-print-file-name={archive}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
        // What it has not found it says again.
        path.is_absolute().then(|| symlink(path, folder.join(name)))?.ok()?;
    }
    Some(())
}
