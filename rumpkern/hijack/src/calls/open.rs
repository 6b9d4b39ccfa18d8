//! open(2), openat(2), openat2(2) and creat(2) of files and directories that the node has of its own.
//!
//! What is read is a memory file of the moment, or a directory of the node's view; what is written goes through a pipe
//! ([`crate::written`]), if the file takes anything.

use super::outcome;
use super::path::{ELSEWHERE, Named, PASSED, named};
use crate::filter;
use crate::process;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::Request;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Where files can be written.
const WRITABLE: [&[u8]; 3] = [b"/proc/sys/net/", b"/sys/class/net/", b"/sys/devices/virtual/net/"];

pub(super) fn open(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((named, flags)) = arguments(sup, call) else { return Outcome::Proceed };
    let Named { path, in_view } = named;
    let flags = OFlags::from_bits_retain(flags as u32);
    let (cloexec, only_named) = (flags.contains(OFlags::CLOEXEC), flags.contains(OFlags::PATH));
    let access = flags & OFlags::ACCMODE;
    if access == OFlags::RDONLY
        && !flags.contains(OFlags::CREATE)
        && let Some(standing) = sup.shown.standing(&path)
        && let opened @ Outcome::Descriptor(..) = of_host(&standing, flags)
    {
        return opened;
    }
    let asked = path.clone();
    let request = match only_named {
        true => Request::Look { path: &asked, follow: (!flags.contains(OFlags::NOFOLLOW)).into() },
        false => Request::Open { path: &asked },
    };
    sup.ask(call, Sid::NONE, &request, move |sup, call, answer| match answer.result {
        Ok(PASSED) if only_named => answer.passed.map_or(Outcome::Proceed, |file| only_reads(&file, flags)),
        Ok(PASSED) => {
            let Some(file) = answer.passed else { return Outcome::Proceed };
            match (is_directory(&file), access) {
                (false, _) if flags.contains(OFlags::DIRECTORY) => Outcome::Fail(Errno::NOTDIR),
                (true, access) if access != OFlags::RDONLY => Outcome::Fail(Errno::ISDIR),
                (false, OFlags::WRONLY) if WRITABLE.iter().any(|place| path.starts_with(place)) => {
                    outcome(to_write(sup, call, path, cloexec))
                }
                (false, access) if access != OFlags::RDONLY => Outcome::Fail(Errno::ACCESS),
                _ => Outcome::Descriptor(file, cloexec),
            }
        }
        Ok(ELSEWHERE) if access != OFlags::RDONLY && !only_named => Outcome::Fail(Errno::ACCESS),
        Ok(ELSEWHERE) => of_host(answer.body().unwrap_or_default().data.unwrap_or_default(), flags),
        Ok(_) if in_view && access != OFlags::RDONLY && !only_named => Outcome::Fail(Errno::ACCESS),
        Ok(_) if in_view => of_host(&path, flags),
        Ok(_) => Outcome::Proceed,
        // Nothing can be made there.
        Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => Outcome::Fail(Errno::ACCESS),
        Err(errno) => Outcome::Fail(errno),
    })
}

/// O_PATH: a descriptor that only names a file cannot be given to the program (the host does not add one); it gets one to read.
fn only_reads(file: &OwnedFd, flags: OFlags) -> Outcome {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    of_host(path.as_bytes(), OFlags::RDONLY | flags & (OFlags::DIRECTORY | OFlags::CLOEXEC))
}

/// A file of the host by another path than the program's.
fn of_host(path: &[u8], flags: OFlags) -> Outcome {
    let flags = flags - OFlags::PATH;
    match rustix::fs::open(OsStr::from_bytes(path), flags | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => Outcome::Descriptor(file, flags.contains(OFlags::CLOEXEC)),
        Err(errno) => Outcome::Fail(errno),
    }
}

fn is_directory(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// The file and the flags.
fn arguments(sup: &Supervisor, call: &Call) -> Option<(Named, u64)> {
    let args = call.args;
    let here = libc::AT_FDCWD as u64;
    let (start, place, flags) = match call.nr {
        libc::SYS_open => (here, args[0], args[1]),
        libc::SYS_creat => (here, args[0], (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64),
        // `struct open_how` begins with them.
        libc::SYS_openat2 => (args[0], args[1], sup.memory.number::<8>(call.tid, args[2]).ok()?),
        _ => (args[0], args[1], args[2]),
    };
    Some((named(sup, call, start, place)?, flags))
}

fn to_write(sup: &mut Supervisor, call: &Call, path: Vec<u8>, cloexec: bool) -> Result<Outcome, Errno> {
    let path = String::from_utf8(path).map_err(|_| Errno::NOENT)?;
    let file = sup.written.open(path)?;
    Ok(match process::free(call.tid, filter::WRITTEN) {
        Some(number) => Outcome::DescriptorAt(file, cloexec, number),
        None => Outcome::Descriptor(file, cloexec),
    })
}

/// write(2) of a value to such a file.
pub(super) fn write(sup: &mut Supervisor, call: &Call) -> Outcome {
    let [fd, place, len, ..] = call.args;
    let Some(path) = sup.written.path_of(call, fd).map(str::to_owned) else { return Outcome::Proceed };
    if len == 0 {
        return Outcome::Value(0);
    }
    // More than a page no value has.
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(PIPE_BUF);
    outcome(sup.memory.take(call.tid, place, len).map(|octets| {
        let request = Request::WriteFile { path: &path, octets: &octets };
        sup.ask(call, Sid::NONE, &request, |_, _, answer| answer.result.into())
    }))
}
