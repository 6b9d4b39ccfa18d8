//! getdents64(2) of a directory of the node's view, which is one of whatever file system the lab lies on.
//!
//! `.` and `..` come first, as in /proc and /sys: programs that list those count on it (sysctl(8) passes over the first two).

use super::outcome;
use crate::process;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rustix::fs::RawDir;
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// Octets of entries that are read at once, at most.
const MOST: usize = 32 * 1024;
/// Octets of a `struct linux_dirent64` before its name.
const HEADER: usize = 19;

pub(super) fn getdents(sup: &mut Supervisor, call: &Call) -> Outcome {
    let fd = call.args[0] as i32;
    let in_view = process::directory(call.tid, fd).is_some_and(|path| sup.in_view(&path).is_some());
    // Where descriptors cannot be fetched the host's order must do.
    match sup.copy(call, fd) {
        Ok(directory) if in_view => outcome(list(sup, call, &directory)),
        Ok(_) | Err(_) => Outcome::Proceed,
    }
}

fn list(sup: &Supervisor, call: &Call, directory: &std::os::fd::OwnedFd) -> Result<Outcome, Errno> {
    let room = (call.args[2] as u32 as usize).min(MOST);
    let mut buffer = vec![MaybeUninit::uninit(); room];
    let mut entries = RawDir::new(directory, &mut buffer);
    let (mut dots, mut others) = (Vec::new(), Vec::new());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let octets = if matches!(name, b"." | b"..") { &mut dots } else { &mut others };
        let len = (HEADER + name.len() + 1).next_multiple_of(8);
        let end = octets.len() + len;
        octets.extend_from_slice(&entry.ino().to_le_bytes());
        octets.extend_from_slice(&entry.next_entry_cookie().to_le_bytes());
        octets.extend_from_slice(&(len as u16).to_le_bytes());
        octets.push(kind(entry.file_type()));
        octets.extend_from_slice(name);
        octets.resize(end, 0);
        // What one call tells is read; the next is the program's.
        if entries.is_buffer_empty() {
            break;
        }
    }
    dots.extend(others);
    sup.memory.write(call.tid, call.args[1], &dots)?;
    Ok(Outcome::Value(dots.len() as i64))
}

/// `DT_DIR` …; the view has no others.
fn kind(kind: rustix::fs::FileType) -> u8 {
    match kind {
        rustix::fs::FileType::Directory => libc::DT_DIR,
        rustix::fs::FileType::Symlink => libc::DT_LNK,
        rustix::fs::FileType::RegularFile => libc::DT_REG,
        _ => libc::DT_UNKNOWN,
    }
}
