//! stat(2), access(2), readlink(2) and their kin, of files that the node has of its own: answered by what stands in their place in the
//! node's view.

use super::path::{ELSEWHERE, Named, PASSED, named};
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::Request;
use rustix::fs::{Access, AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const HERE: u64 = libc::AT_FDCWD as u64;

/// Asks for what stands at a path, named by a descriptor, and goes on with that.
fn look(
    sup: &mut Supervisor,
    call: &Call,
    (start, place): (u64, u64),
    follow: bool,
    then: impl FnOnce(&mut Supervisor, &Call, &OwnedFd) -> Result<Outcome, Errno> + 'static,
) -> Outcome {
    let Some(Named { path, in_view }) = named(sup, call, start, place) else { return Outcome::Proceed };
    // As everywhere, a slash behind it follows a link.
    let follow = follow || path.ends_with(b"/");
    if let Some(standing) = sup.shown.standing(&path)
        && let Ok(found) = of_host(&standing, follow)
    {
        return then(sup, call, &found).unwrap_or_else(Outcome::Fail);
    }
    let asked = path.clone();
    let request = Request::Look { path: &asked, follow: follow.into() };
    sup.ask(call, Sid::NONE, &request, move |sup, call, answer| {
        let found = match answer.result {
            Ok(PASSED) => match answer.passed {
                Some(found) => Ok(found),
                None => return Outcome::Proceed,
            },
            Ok(ELSEWHERE) => of_host(answer.body().unwrap_or_default().data.unwrap_or_default(), follow),
            Ok(_) if in_view => of_host(&path, follow),
            Ok(_) => return Outcome::Proceed,
            Err(errno) => Err(errno),
        };
        found.and_then(|found| then(sup, call, &found)).unwrap_or_else(Outcome::Fail)
    })
}

/// What the host has at `path`, as a descriptor that only names it.
fn of_host(path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
    let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    rustix::fs::open(OsStr::from_bytes(path), OFlags::PATH | OFlags::CLOEXEC | nofollow, Mode::empty())
}

/// stat(2), lstat(2), newfstatat(2) and statx(2).
pub(super) fn stat(sup: &mut Supervisor, call: &Call) -> Outcome {
    let args = call.args;
    let followed = |flags: u64| flags as i32 & libc::AT_SYMLINK_NOFOLLOW == 0;
    let (file, follow) = match call.nr {
        libc::SYS_stat => ((HERE, args[0]), true),
        libc::SYS_lstat => ((HERE, args[0]), false),
        libc::SYS_newfstatat => ((args[0], args[1]), followed(args[3])),
        _ => ((args[0], args[1]), followed(args[2])),
    };
    look(sup, call, file, follow, move |sup, call, found| {
        let (place, octets) = match call.nr {
            libc::SYS_statx => {
                let wanted = StatxFlags::from_bits_retain(args[3] as u32 & !libc::STATX__RESERVED as u32);
                (args[4], of_statx(&rustix::fs::statx(found, "", AtFlags::EMPTY_PATH, wanted)?))
            }
            libc::SYS_newfstatat => (args[2], of_stat(&rustix::fs::fstat(found)?)),
            _ => (args[1], of_stat(&rustix::fs::fstat(found)?)),
        };
        sup.memory.write(call.tid, place, &octets)?;
        Ok(Outcome::Value(0))
    })
}

/// `struct stat` of x86-64.
fn of_stat(stat: &rustix::fs::Stat) -> Vec<u8> {
    let mut octets = Vec::with_capacity(144);
    octets.extend([stat.st_dev, stat.st_ino, stat.st_nlink].iter().flat_map(|word| word.to_le_bytes()));
    octets.extend([stat.st_mode, stat.st_uid, stat.st_gid, 0].iter().flat_map(|word| word.to_le_bytes()));
    octets.extend(stat.st_rdev.to_le_bytes());
    octets.extend([stat.st_size, stat.st_blksize, stat.st_blocks].iter().flat_map(|word| word.to_le_bytes()));
    for (seconds, nanoseconds) in [
        (stat.st_atime, stat.st_atime_nsec),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    ] {
        octets.extend(seconds.to_le_bytes());
        octets.extend(nanoseconds.to_le_bytes());
    }
    octets.resize(144, 0);
    octets
}

/// `struct statx`
fn of_statx(stat: &rustix::fs::Statx) -> Vec<u8> {
    let mut octets = Vec::with_capacity(256);
    octets.extend([stat.stx_mask, stat.stx_blksize].iter().flat_map(|word| word.to_le_bytes()));
    octets.extend(stat.stx_attributes.bits().to_le_bytes());
    octets.extend([stat.stx_nlink, stat.stx_uid, stat.stx_gid].iter().flat_map(|word| word.to_le_bytes()));
    octets.extend([stat.stx_mode, 0].iter().flat_map(|word| word.to_le_bytes()));
    let words = [stat.stx_ino, stat.stx_size, stat.stx_blocks, stat.stx_attributes_mask.bits()];
    octets.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    for time in [stat.stx_atime, stat.stx_btime, stat.stx_ctime, stat.stx_mtime] {
        octets.extend(time.tv_sec.to_le_bytes());
        octets.extend(time.tv_nsec.to_le_bytes());
        octets.extend([0; 4]);
    }
    let devices = [stat.stx_rdev_major, stat.stx_rdev_minor, stat.stx_dev_major, stat.stx_dev_minor];
    octets.extend(devices.iter().flat_map(|word| word.to_le_bytes()));
    octets.extend(stat.stx_mnt_id.to_le_bytes());
    octets.resize(256, 0);
    octets
}

/// access(2), faccessat(2) and faccessat2(2).
pub(super) fn access(sup: &mut Supervisor, call: &Call) -> Outcome {
    let args = call.args;
    let (file, mode, flags) = match call.nr {
        libc::SYS_access => ((HERE, args[0]), args[1], 0),
        libc::SYS_faccessat => ((args[0], args[1]), args[2], 0),
        _ => ((args[0], args[1]), args[2], args[3] as i32),
    };
    if flags & libc::AT_EMPTY_PATH != 0 {
        return Outcome::Proceed;
    }
    look(sup, call, file, flags & libc::AT_SYMLINK_NOFOLLOW == 0, move |_, _, found| {
        let wanted = Access::from_bits_retain(mode as u32);
        rustix::fs::access(format!("/proc/self/fd/{}", found.as_raw_fd()), wanted)?;
        Ok(Outcome::Value(0))
    })
}

/// readlink(2) and readlinkat(2).
pub(super) fn readlink(sup: &mut Supervisor, call: &Call) -> Outcome {
    let args = call.args;
    let (file, place, room) = match call.nr {
        libc::SYS_readlink => ((HERE, args[0]), args[1], args[2]),
        _ => ((args[0], args[1]), args[2], args[3]),
    };
    look(sup, call, file, false, move |sup, call, found| {
        // The room is an `int`.
        let room = usize::try_from(room as i32).ok().filter(|room| *room > 0).ok_or(Errno::INVAL)?;
        // Of what is no link the host says that there is none.
        let target = rustix::fs::readlinkat(found, "", Vec::new()).map_err(|errno| match errno {
            Errno::NOENT => Errno::INVAL,
            other => other,
        })?;
        let target = target.as_bytes();
        let told = &target[..target.len().min(room)];
        sup.memory.write(call.tid, place, told)?;
        Ok(Outcome::Value(told.len() as i64))
    })
}

/// getxattr(2), listxattr(2) and what does not follow links: there are none.
pub(super) fn attributes(sup: &mut Supervisor, call: &Call) -> Outcome {
    let (follow, lists) = match call.nr {
        libc::SYS_getxattr => (true, false),
        libc::SYS_lgetxattr => (false, false),
        libc::SYS_listxattr => (true, true),
        _ => (false, true),
    };
    look(sup, call, (HERE, call.args[0]), follow, move |_, _, _| match lists {
        true => Ok(Outcome::Value(0)),
        false => Err(Errno::OPNOTSUPP),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The structures are as the host lays them out: told of one file by both calls.
    #[test]
    fn the_structures_are_the_hosts() {
        let file = rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap();
        let stat = of_stat(&rustix::fs::fstat(&file).unwrap());
        let all = StatxFlags::BASIC_STATS;
        let statx = of_statx(&rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, all).unwrap());
        assert_eq!((stat.len(), statx.len()), (144, 256));
        assert_eq!(stat[8..16], statx[32..40], "the inode");
        assert_eq!(stat[24..26], statx[28..30], "the mode");
        assert_eq!(stat[28..36], statx[20..28], "the owner");
        assert_eq!(stat[48..56], statx[40..48], "the size");
        assert_eq!(stat[88..96], statx[112..120], "when it was changed");
    }
}
