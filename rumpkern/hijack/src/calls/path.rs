//! Which file a call names, and whether it may be the node's.
//!
//! A path that is relative starts where the program's directory is; one of the node's view stands for the node's own of the same path.
//! A path with `..` behind a name is left to the host, which alone knows what the name is a link to.

use crate::process;
use crate::seccomp_unsafe::Call;
use crate::supervisor::Supervisor;

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

/// What the node says of a path: the file that comes with the answer, the host's by another path, or the host's by this one.
pub(super) const PASSED: u64 = 0;
pub(super) const ELSEWHERE: u64 = 1;

/// A file by its path from the root on.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) path: Vec<u8>,
    /// The program came to it from a directory of the view, which the host would follow.
    pub(super) in_view: bool,
}

/// The file that a call names by the descriptor of a directory and a path; `None`: it is the host's affair.
pub(super) fn named(sup: &Supervisor, call: &Call, start: u64, place: u64) -> Option<Named> {
    // What is no path fails natively.
    let path = sup.memory.string(call.tid, place, PATH_MAX).ok()?;
    let (path, in_view) = match path.first()? {
        b'/' => (path, false),
        _ => {
            let from = process::directory(call.tid, start as i32)?;
            let of_node = sup.in_view(&from);
            (join(of_node.map_or_else(|| from.clone(), <[u8]>::to_vec), &path), of_node.is_some())
        }
    };
    (in_view || may_be_the_nodes(&path, &sup.shown.files))
        .then(|| Named { path: own(path, call.tid), in_view })
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
