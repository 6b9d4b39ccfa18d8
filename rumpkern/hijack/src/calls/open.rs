//! open(2) and openat(2) of files that the node has of its own. Only absolute paths are looked at.
//!
//! What is read is a memory file of the moment; what is written goes through a pipe ([`crate::written`]), if the file takes anything.

use super::outcome;
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
    let (place, flags) =
        if call.nr == libc::SYS_open { (call.args[0], call.args[1]) } else { (call.args[1], call.args[2]) };
    // What is no path fails natively.
    let Ok(path) = sup.memory.string(call.tid, place, PATH_MAX) else { return Outcome::Proceed };
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
