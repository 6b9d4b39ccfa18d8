//! Files of the node ([`crate::vfs`]) for programs of the host: what one reads is a memory file of the moment's contents, or one of
//! the [`View`], as directories are.

use super::call::{Answer, answer};
use super::view::View;
use crate::kernel::Kernel;
use crate::syscall::{Errno, Sys};
use crate::vfs::{self, Opened};
use rumpclient::msg::Body;
use rumpclient::wire::Header;
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the program gets: the file that comes with the answer, the host's by another path, or the host's by this one.
const PASSED: i64 = 0;
const ELSEWHERE: i64 = 1;
const HOST: i64 = 2;

/// open(2), read-only. Of no path: which paths the topology lays over the host's, and where the view is.
pub(super) fn open(sys: &Sys, view: Option<&View>, asked: &Header, path: &[u8]) -> Result<Answer, Errno> {
    let kernel = sys.kernel();
    if path.is_empty() {
        let mut paths = Vec::new();
        for path in kernel.files().keys() {
            paths.extend_from_slice(path.as_bytes());
            paths.push(0);
        }
        let lasting = view.map(|view| lasting(kernel, view)).unwrap_or_default();
        let name = view.map(View::root);
        let body = Body { data: Some(&paths), name, lasting: Some(&lasting), ..Body::default() };
        return Ok(answer(asked, 0, &body).into());
    }
    match vfs::open(kernel, path).transpose()? {
        Some(Opened::Octets(octets)) if vfs::is_text(path) && view.is_some() => {
            passed_on(asked, view.map(|view| view.text(path, &octets)))
        }
        Some(Opened::Octets(octets)) => {
            let passed = Some(memory_file(path, &octets).map_err(|_| Errno::EMFILE)?);
            Ok(Answer { frame: answer(asked, PASSED, &Body::default()), passed })
        }
        Some(Opened::Host(host)) => Ok(elsewhere(asked, &host)),
        Some(Opened::Directory(_)) => passed_on(asked, view.map(|view| view.directory(kernel, path))),
        None => Ok(answer(asked, HOST, &Body::default()).into()),
    }
}

/// The files that stay as they are, each with a NUL behind it: they stand in the view from now on, and need not be asked for.
fn lasting(kernel: &Kernel, view: &View) -> Vec<u8> {
    let mut paths = Vec::new();
    for path in vfs::LASTING {
        // One that the topology lays over is the host's.
        if let Some(Ok(Opened::Octets(octets))) = vfs::open(kernel, path.as_bytes())
            && view.text(path.as_bytes(), &octets).is_ok()
        {
            paths.extend_from_slice(path.as_bytes());
            paths.push(0);
        }
    }
    paths
}

/// What stands at a path, for stat(2) and its kin; not `follow`: a link itself.
pub(super) fn look(
    sys: &Sys,
    view: Option<&View>,
    asked: &Header,
    path: &[u8],
    follow: bool,
) -> Result<Answer, Errno> {
    match vfs::open(sys.kernel(), path) {
        // A file may be there, though it cannot be read now.
        Some(Err(Errno::ENOENT)) => Err(Errno::ENOENT),
        Some(Ok(Opened::Host(host))) => Ok(elsewhere(asked, &host)),
        Some(_) => passed_on(asked, view.map(|view| view.name(sys.kernel(), path, follow))),
        None => Ok(answer(asked, HOST, &Body::default()).into()),
    }
}

fn elsewhere(asked: &Header, host: &Path) -> Answer {
    let data = Some(host.as_os_str().as_bytes());
    answer(asked, ELSEWHERE, &Body { data, ..Body::default() }).into()
}

/// What the view has; without one the host's is meant.
fn passed_on(asked: &Header, found: Option<std::io::Result<OwnedFd>>) -> Result<Answer, Errno> {
    match found {
        Some(found) => {
            let passed = Some(found.map_err(|_| Errno::EIO)?);
            Ok(Answer { frame: answer(asked, PASSED, &Body::default()), passed })
        }
        None => Ok(answer(asked, HOST, &Body::default()).into()),
    }
}

fn memory_file(path: &[u8], mut octets: &[u8]) -> Result<OwnedFd, rustix::io::Errno> {
    let name = path.rsplit(|octet| *octet == b'/').next().unwrap_or_default();
    let file = memfd_create(name, MemfdFlags::CLOEXEC)?;
    while !octets.is_empty() {
        let written = rustix::io::write(&file, octets)?;
        octets = &octets[written..];
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
