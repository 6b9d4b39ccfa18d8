//! open(2), openat(2), openat2(2) and creat(2) of files that the node has of its own, by whatever path: one that is relative starts where the
//! program's directory is. A path with `..` behind a name is left to the host, which alone knows what the name is a link to.
//!
//! What is read is a memory file of the moment; what is written goes through a pipe ([`crate::written`]), if the file takes anything.

use super::outcome;
use crate::process;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::Request;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// `PATH_MAX`
const PATH_MAX: usize = 4096;

/// Where a node's own files are; those below them that it has not are the host's.
const PLACES: [&str; 6] = [
    "/sys/class/net",
    "/sys/devices/virtual/net",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
];

/// Where files can be written.
const WRITABLE: [&[u8]; 3] = [b"/proc/sys/net/", b"/sys/class/net/", b"/sys/devices/virtual/net/"];

/// What the node says of a path.
const PASSED: u64 = 0;
const ELSEWHERE: u64 = 1;

pub(super) fn open(sup: &mut Supervisor, call: &Call) -> Outcome {
    // What is no path fails natively.
    let Some((path, flags)) = arguments(sup, call) else { return Outcome::Proceed };
    if flags as i32 & (libc::O_DIRECTORY | libc::O_PATH) != 0 {
        return Outcome::Proceed;
    }
    if !may_be_the_nodes(&path, &sup.files) {
        return Outcome::Proceed;
    }
    let path = own(path, call.tid);
    let cloexec = flags as i32 & libc::O_CLOEXEC != 0;
    let writes = flags as i32 & libc::O_ACCMODE;
    let asked = path.clone();
    sup.ask(call, Sid::NONE, &Request::Open { path: &asked }, move |sup, _, answer| match answer.result {
        Ok(PASSED) if writes == libc::O_WRONLY && WRITABLE.iter().any(|place| path.starts_with(place)) => {
            outcome(write(sup, path, cloexec))
        }
        Ok(PASSED | ELSEWHERE) if writes != libc::O_RDONLY => Outcome::Fail(Errno::ACCESS),
        Ok(PASSED) => answer.passed.map_or(Outcome::Proceed, |file| Outcome::Descriptor(file, cloexec)),
        Ok(ELSEWHERE) => {
            let path = answer.body().unwrap_or_default().data.unwrap_or_default();
            let flags = OFlags::from_bits_retain(flags as u32) | OFlags::CLOEXEC;
            match rustix::fs::open(OsStr::from_bytes(path), flags, Mode::empty()) {
                Ok(file) => Outcome::Descriptor(file, cloexec),
                Err(errno) => Outcome::Fail(errno),
            }
        }
        Ok(_) => Outcome::Proceed,
        Err(errno) => Outcome::Fail(errno),
    })
}

/// The path, from the root on, and the flags.
fn arguments(sup: &Supervisor, call: &Call) -> Option<(Vec<u8>, u64)> {
    let args = call.args;
    let here = libc::AT_FDCWD as u64;
    let (start, place, flags) = match call.nr {
        libc::SYS_open => (here, args[0], args[1]),
        libc::SYS_creat => (here, args[0], (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64),
        // `struct open_how` begins with them.
        libc::SYS_openat2 => (args[0], args[1], sup.memory.number::<8>(call.tid, args[2]).ok()?),
        _ => (args[0], args[1], args[2]),
    };
    let path = sup.memory.string(call.tid, place, PATH_MAX).ok()?;
    let path = match path.first()? {
        b'/' => path,
        _ => join(process::directory(call.tid, start as i32)?, &path),
    };
    Some((path, flags))
}

/// `path` from the directory `from` on, which is one without links.
fn join(mut from: Vec<u8>, path: &[u8]) -> Vec<u8> {
    let mut leading = true;
    for part in path.split(|octet| *octet == b'/') {
        match part {
            b"" | b"." => {}
            b".." if leading => from.truncate(from.iter().rposition(|octet| *octet == b'/').unwrap_or(0)),
            name => {
                leading = false;
                if from.last() != Some(&b'/') {
                    from.push(b'/');
                }
                from.extend_from_slice(name);
            }
        }
    }
    from
}

fn write(sup: &mut Supervisor, path: Vec<u8>, cloexec: bool) -> Result<Outcome, Errno> {
    let path = String::from_utf8(path).map_err(|_| Errno::NOENT)?;
    Ok(Outcome::Descriptor(sup.written.open(path)?, cloexec))
}

/// A look that costs nothing: most paths are the host's.
fn may_be_the_nodes(path: &[u8], files: &[Vec<u8>]) -> bool {
    let below = |place: &[u8]| path.starts_with(place);
    match path.strip_prefix(b"/proc/") {
        Some(rest) => rest.windows(3).any(|part| part == b"net") || rest.starts_with(b"sys/kernel/"),
        None => PLACES.iter().any(|place| below(place.as_bytes())) || files.iter().any(|file| below(file)),
    }
}

/// `/proc/self` is the program's, which the node does not know: any number will do.
fn own(path: Vec<u8>, tid: i32) -> Vec<u8> {
    match path.strip_prefix(b"/proc/thread-self/") {
        Some(rest) => [format!("/proc/{tid}/").as_bytes(), rest].concat(),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_a_directory() {
        let cases = [
            ("/proc/7/net", "dev", "/proc/7/net/dev"),
            ("/", "etc//hosts", "/etc/hosts"),
            ("/etc", "./hosts", "/etc/hosts"),
            ("/etc/ssl", "../hosts", "/etc/hosts"),
            ("/srv", "../../etc/hosts", "/etc/hosts"),
            ("/srv", "link/../hosts", "/srv/link/../hosts"),
        ];
        for (from, path, expected) in cases {
            let joined = join(from.as_bytes().to_vec(), path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&joined), expected);
        }
    }

    #[test]
    fn most_paths_are_the_hosts() {
        let files = [b"/srv/www".to_vec()];
        for path in [
            "/proc/net/tcp",
            "/proc/self/net/dev",
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/kernel/hostname",
        ] {
            assert!(may_be_the_nodes(path.as_bytes(), &files), "{path}");
        }
        for path in ["/etc/hosts", "/sys/class/net/eth0/mtu", "/srv/www/index.html"] {
            assert!(may_be_the_nodes(path.as_bytes(), &files), "{path}");
        }
        for path in ["/etc/passwd", "/proc/self/maps", "/usr/lib/libc.so.6", "hosts", "/srv/other", ""] {
            assert!(!may_be_the_nodes(path.as_bytes(), &files), "{path}");
        }
    }
}
