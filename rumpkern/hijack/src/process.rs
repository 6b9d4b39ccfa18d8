//! The program's descriptors, seen from outside: which socket a number is, and a copy of it.
//!
//! A socket is known by its inode, never by its number: that survives `dup`, `fork`, `exec` and being passed on.

use rustix::fs::{FileType, stat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

/// `PIDFD_THREAD` (Linux 6.9): any thread's number will do.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(0x80);
/// Threads whose descriptors are kept.
const MOST: usize = 256;

/// Descriptors of the program's threads.
#[derive(Debug, Default)]
pub(crate) struct Threads(BTreeMap<i32, OwnedFd>);

impl Threads {
    /// A copy of the thread's descriptor `fd`.
    pub(crate) fn copy(&mut self, tid: i32, fd: i32) -> Result<OwnedFd, Errno> {
        if let Some(pidfd) = self.0.get(&tid) {
            match pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty()) {
                // It has ended, and another has its number.
                Err(Errno::SRCH) => {}
                done => return done,
            }
        }
        let pidfd = open(tid)?;
        let copy = pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty());
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(tid, pidfd);
        copy
    }
}

fn open(tid: i32) -> Result<OwnedFd, Errno> {
    let pid = |number| Pid::from_raw(number).ok_or(Errno::SRCH);
    match pidfd_open(pid(tid)?, THREAD) {
        Err(Errno::INVAL) => {
            let status = std::fs::read_to_string(format!("/proc/{tid}/status")).map_err(|_| Errno::SRCH)?;
            let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
            pidfd_open(pid(group.unwrap_or(tid))?, PidfdFlags::empty())
        }
        done => done,
    }
}

/// The inode behind a thread's descriptor, if it is a socket.
pub(crate) fn socket_inode(tid: i32, fd: u64) -> Option<u64> {
    let fd = i32::try_from(fd as u32).ok()?;
    let stat = stat(format!("/proc/{tid}/fd/{fd}")).ok()?;
    FileType::from_raw_mode(stat.st_mode).is_socket().then_some(stat.st_ino)
}

/// The inode behind a thread's descriptor, whatever it is.
pub(crate) fn file_inode(tid: i32, fd: i32) -> Option<u64> {
    stat(format!("/proc/{tid}/fd/{fd}")).ok().map(|stat| stat.st_ino)
}

/// The first of these numbers that a thread has no descriptor of.
pub(crate) fn free(tid: i32, mut fds: RangeInclusive<i32>) -> Option<i32> {
    fds.find(|fd| file_inode(tid, *fd).is_none())
}

/// The directory that a thread's descriptor is, or where it stands (AT_FDCWD); `None`: it is none.
pub(crate) fn directory(tid: i32, fd: i32) -> Option<Vec<u8>> {
    let link = match fd {
        libc::AT_FDCWD => format!("/proc/{tid}/cwd"),
        fd => format!("/proc/{tid}/fd/{fd}"),
    };
    let path = rustix::fs::readlink(link, Vec::new()).ok()?.into_bytes();
    path.starts_with(b"/").then_some(path)
}

/// The process group and the session of a thread's process, as a shell's job control set them.
///
/// A group whose leader is outside of this PID namespace has no number in it (0): a container's first process
/// keeps the group and the session it was started in. proc(5) says so; getsid(2)'s wrapper in rustix cannot.
pub(crate) fn job(pid: i32) -> Option<Job> {
    job_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn job_of(stat: &str) -> Option<Job> {
    // The name before them may hold spaces and brackets: state, parent, group, session.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(2).map(|field| field.parse().ok());
    Some(Job { group: fields.next()??, session: fields.next()?? })
}

/// See [`job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) group: i32,
    pub(crate) session: i32,
}

/// Whether a process has mapped the file with this inode.
pub(crate) fn has_mapped(tid: i32, inode: u64) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{tid}/maps")).unwrap_or_default();
    maps.lines()
        .any(|line| line.split_whitespace().nth(4).and_then(|field| field.parse().ok()) == Some(inode))
}

/// Whether a thread's descriptor has O_NONBLOCK.
pub(crate) fn is_nonblocking(tid: i32, fd: u64) -> bool {
    has_flag(tid, fd, libc::O_NONBLOCK)
}

/// Whether it is closed by exec.
pub(crate) fn is_cloexec(tid: i32, fd: u64) -> bool {
    has_flag(tid, fd, libc::O_CLOEXEC)
}

fn has_flag(tid: i32, fd: u64, flag: i32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/{tid}/fdinfo/{}", fd as u32)).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & flag as u32 != 0)
}

/// Whether the host lets us fetch descriptors from another process: containers may refuse it.
pub(crate) fn fetching_works() -> bool {
    let Ok(pidfd) = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) else { return false };
    let own = std::os::fd::AsRawFd::as_raw_fd(&pidfd);
    pidfd_getfd(&pidfd, own, PidfdGetfdFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_whatever_the_program_is_called() {
        for (stat, group, session) in [
            ("7 (sh) S 1 7 5 34816 7 4194304", 7, 5),
            ("7 (a) S 9 9 9 (b) R 1 7 5 0 -1 4194304", 7, 5),
            // Begun outside of its PID namespace.
            ("1 (init) S 0 0 0 0 -1 4194560", 0, 0),
        ] {
            assert_eq!(job_of(stat), Some(Job { group, session }), "{stat}");
        }
        assert_eq!(job_of("7 (sh) S 1"), None);
        let own = job(rustix::process::getpid().as_raw_nonzero().get());
        assert!(own.is_some() && job(0).is_none());
    }
}
