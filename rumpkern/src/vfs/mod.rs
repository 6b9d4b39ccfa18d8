//! The files of Linux by which a node shows itself to programs: `/proc/net`, `/proc/sys/net`, `/sys/class/net`,
//! `/etc/hosts` and its neighbours, and what the topology lays over them (`files`).
//!
//! Whoever runs a program on a node asks [`is_ours`] of a path that the program opens, which costs nothing, and
//! then the node: [`open`] for what there is to read, [`write`](fn@write) for what the program has written. What a
//! path means stands in `path`; each tree has its own file. Formats are Linux's, octet for octet (6.18), because
//! programs read them by column; what a node does not count or have is 0 there.
//!
//! Contents are those of the moment of opening. Links and directories are resolved by name alone; what is a link [`link`] tells, and
//! what may be done with a file [`mode`].

mod etc;
mod path;
mod proc_net;
mod proc_net_groups;
mod proc_net_inet6;
mod proc_net_sockets;
mod proc_net_stat;
mod sys_net;
mod sysctl;
mod sysctl6;
mod sysctl_groups;
mod sysctl_values;

use crate::kernel::Kernel;
use crate::syscall::Errno;
use path::Place;
use std::path::PathBuf;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A file with these contents.
    Octets(Vec<u8>),
    /// A file or directory of the host, which the topology puts there: whoever asks opens it.
    Host(PathBuf),
    /// A directory.
    Directory(Vec<Entry>),
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory (or a link to one) itself.
    pub directory: bool,
}

impl Entry {
    fn file(name: impl Into<String>) -> Entry {
        Entry { name: name.into(), directory: false }
    }

    fn directory(name: impl Into<String>) -> Entry {
        Entry { name: name.into(), directory: true }
    }
}

/// Whether a path is one that every node answers itself. The files that a topology adds are [`Kernel::files`].
pub fn is_ours(path: &[u8]) -> bool {
    path::may_lead(path) && path::normal(path).is_some_and(|path| Place::of(&path).is_some())
}

/// What stands at `path`, an absolute one. `None`: it is not the node's, the host's file is meant.
/// `ENOENT`: the node has no such file, whatever the host has.
pub fn open(kernel: &Kernel, path: &[u8]) -> Option<Result<Opened, Errno>> {
    let path = path::normal(path)?;
    if let Some(host) = etc::laid_over(kernel, &path) {
        return Some(Ok(Opened::Host(host)));
    }
    let read = match Place::of(&path)? {
        Place::ProcNet(below) => proc_net::open(kernel, below),
        Place::SysctlNet(below) => sysctl::open(kernel, below),
        Place::SysctlKernel(name) => sysctl::open_kernel(kernel, name),
        Place::SysNet(below) => sys_net::open(kernel, below),
        Place::Etc(name) => etc::open(kernel, name).map(|text| Opened::Octets(text.into_bytes())),
    };
    Some(read)
}

/// What is in the directory `path`; `None` as for [`open`]. `ENOTDIR`: it is a file.
pub fn list(kernel: &Kernel, path: &[u8]) -> Option<Result<Vec<Entry>, Errno>> {
    Some(open(kernel, path)?.and_then(|opened| match opened {
        Opened::Directory(entries) => Ok(entries),
        Opened::Octets(_) | Opened::Host(_) => Err(Errno::ENOTDIR),
    }))
}

/// Takes what a program has written to `path` in one call. `None`: the path is not the node's.
/// `EACCES`: it can only be read. `EINVAL`: it does not take such a value.
pub fn write(kernel: &Kernel, path: &[u8], octets: &[u8]) -> Option<Result<(), Errno>> {
    let path = path::normal(path)?;
    if etc::laid_over(kernel, &path).is_some() {
        return Some(Err(Errno::EACCES));
    }
    let place = Place::of(&path)?;
    // As in sysctl and sysfs: one number or word, and perhaps the end of its line.
    let text = core::str::from_utf8(octets).map_err(|_| Errno::EINVAL);
    let text = text.map(|text| text.trim_end_matches(['\n', '\0']));
    Some(text.and_then(|text| match place {
        Place::SysctlNet(below) => sysctl::write(kernel, below, text),
        Place::SysNet(below) => sys_net::write(kernel, below, text),
        Place::ProcNet(_) | Place::SysctlKernel(_) | Place::Etc(_) => Err(Errno::EACCES),
    }))
}

/// Where the link at `path` leads; `None`: there is none. As on Linux an interface's directory is below `/sys/devices`.
pub fn link(path: &[u8]) -> Option<String> {
    let path = path::normal(path)?;
    let name = path.strip_prefix("/sys/class/net/").filter(|name| !name.contains('/'))?;
    Some(format!("../../devices/virtual/net/{name}"))
}

/// The path of the same file or directory without links.
pub fn canonical(path: &[u8]) -> Option<String> {
    let path = path::normal(path)?;
    Some(match Place::of(&path) {
        Some(Place::SysNet(below)) if !below.is_empty() => format!("/sys/devices/virtual/net/{below}"),
        Some(Place::ProcNet("")) => "/proc/net".to_owned(),
        Some(Place::ProcNet(below)) => format!("/proc/net/{below}"),
        Some(Place::SysNet(_) | Place::SysctlNet(_) | Place::SysctlKernel(_) | Place::Etc(_)) | None => path,
    })
}

/// The permissions of the file at `path`, as Linux has them.
pub fn mode(path: &[u8]) -> u32 {
    let path = path::normal(path).unwrap_or_default();
    match Place::of(&path) {
        Some(Place::SysNet(below)) if !sys_net::is_writable(below) => 0o444,
        Some(Place::ProcNet(_) | Place::Etc(_)) => 0o444,
        Some(Place::SysNet(_) | Place::SysctlNet(_) | Place::SysctlKernel(_)) | None => 0o644,
    }
}

/// Whether the file at `path` is one of a disk's, which has a size and a time: of `/etc`.
pub fn is_text(path: &[u8]) -> bool {
    path::normal(path).is_some_and(|path| matches!(Place::of(&path), Some(Place::Etc(_))))
}

/// Files that say the same for as long as the node lives.
pub const LASTING: [&str; 2] = ["/etc/hostname", "/etc/nsswitch.conf"];

/// Octets that the file at `path` shows as its size, whatever it holds: a page in sysfs.
pub fn size(path: &[u8]) -> u64 {
    let path = path::normal(path).unwrap_or_default();
    if matches!(Place::of(&path), Some(Place::SysNet(_))) { 4096 } else { 0 }
}

/// A directory with the entries that `below` names in it, if it is the directory of one of `files`: each a path relative to it.
fn directory_of<'a>(files: impl Iterator<Item = &'a str>, below: &str) -> Result<Opened, Errno> {
    let mut entries: Vec<Entry> = Vec::new();
    for file in files {
        let rest = match below {
            "" => Some(file),
            _ => file.strip_prefix(below).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(rest) = rest else { continue };
        let entry = match rest.split_once('/') {
            Some((name, _)) => Entry::directory(name),
            None => Entry::file(rest),
        };
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    if entries.is_empty() { Err(Errno::ENOENT) } else { Ok(Opened::Directory(entries)) }
}
