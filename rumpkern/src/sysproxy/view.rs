//! The view: the directories of a node's own files ([`crate::vfs`]) as real ones, beside the node's sockets.
//!
//! A program that lists a directory gets a descriptor of one of these, and reads it as any other; one that asks what a file is is told
//! what stands here in its place, so that both agree about inode numbers. Files are empty here, of the right size and permissions: who
//! opens one to read it gets its contents elsewhere; those of `/etc` are whole, and as old as what they say. A directory is made to be what the node has, whenever somebody looks; what programs
//! may do to it is undone then.

use crate::kernel::Kernel;
use crate::vfs::{self, Entry, Opened};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Permissions of a directory.
const DIRECTORY: u32 = 0o755;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct View {
    root: String,
}

impl View {
    /// The view of the node whose socket is at `sysproxy`; `None`: its directory has no path to be told by.
    pub(super) fn beside(sysproxy: &Path) -> Option<View> {
        let root = fs::canonicalize(sysproxy.parent()?).ok()?.join("view");
        // What another node has left there, of the same name.
        let _ = fs::remove_dir_all(&root);
        Some(View { root: root.into_os_string().into_string().ok()? })
    }

    /// Its own path: what is below it stands for the same path from `/` on.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The directory `path`, open to be read.
    pub(super) fn directory(&self, kernel: &Kernel, path: &[u8]) -> io::Result<OwnedFd> {
        let path = vfs::canonical(path).ok_or(io::ErrorKind::InvalidInput)?;
        self.renew(kernel, &path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.at(&path), flags, Mode::empty())?)
    }

    /// What stands at `path`, as a descriptor that only names it.
    pub(super) fn name(&self, kernel: &Kernel, path: &[u8], follow: bool) -> io::Result<OwnedFd> {
        let path = match vfs::link(path) {
            Some(target) if !follow => {
                format!("/sys/class/net/{}", target.rsplit('/').next().unwrap_or_default())
            }
            Some(_) | None => vfs::canonical(path).ok_or(io::ErrorKind::InvalidInput)?,
        };
        let parent = Path::new(&path).parent().and_then(Path::to_str).unwrap_or("/");
        match vfs::list(kernel, path.as_bytes()) {
            _ if vfs::is_text(path.as_bytes()) => {
                let Some(Ok(Opened::Octets(octets))) = vfs::open(kernel, path.as_bytes()) else {
                    return Err(io::ErrorKind::NotFound.into());
                };
                self.make_text(&path, &octets)?;
            }
            Some(Ok(_)) if vfs::link(path.as_bytes()).is_none() => self.renew(kernel, &path)?,
            Some(_) if vfs::is_ours(parent.as_bytes()) => self.renew(kernel, parent)?,
            Some(_) | None => {
                self.make_directory(parent)?;
                make_file(&self.at(&path), &path)?;
            }
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.at(&path), flags, Mode::empty())?)
    }

    /// The file `path` with these contents, open to be read.
    pub(super) fn text(&self, path: &[u8], octets: &[u8]) -> io::Result<OwnedFd> {
        let path = vfs::canonical(path).ok_or(io::ErrorKind::InvalidInput)?;
        let at = self.make_text(&path, octets)?;
        Ok(rustix::fs::open(at, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Makes that file. Who has an older one open keeps it.
    fn make_text(&self, path: &str, octets: &[u8]) -> io::Result<PathBuf> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = self.make_directory(directory)?.join(name);
        let stands = fs::symlink_metadata(&at).is_ok_and(|there| there.is_file());
        if !stands || fs::read(&at)? != octets {
            let new = at.with_file_name(format!("{name}.new"));
            let _ = fs::remove_file(&new);
            fs::write(&new, octets)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(vfs::mode(path.as_bytes())))?;
            fs::rename(&new, &at)?;
        }
        Ok(at)
    }

    fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.root))
    }

    /// Makes the directory `path` and those above it.
    fn make_directory(&self, path: &str) -> io::Result<PathBuf> {
        let mut at = PathBuf::from(&self.root);
        make_directory(&at)?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at.push(part);
            make_directory(&at)?;
        }
        Ok(at)
    }

    /// Makes the directory `path` hold what the node's does.
    fn renew(&self, kernel: &Kernel, path: &str) -> io::Result<()> {
        let entries = vfs::list(kernel, path.as_bytes()).and_then(Result::ok).unwrap_or_default();
        let here = self.make_directory(path)?;
        let mut strangers = BTreeSet::new();
        for there in fs::read_dir(&here)? {
            strangers.insert(there?.file_name());
        }
        for Entry { name, directory } in &entries {
            if strangers.remove(std::ffi::OsStr::new(name)) {
                continue;
            }
            let (at, of_node) = (here.join(name), format!("{path}/{name}"));
            match vfs::link(of_node.as_bytes()) {
                Some(target) => symlink(target, at)?,
                None if *directory => make_directory(&at)?,
                None => make_file(&at, &of_node)?,
            }
        }
        for stranger in strangers {
            let at = here.join(stranger);
            let gone =
                if at.is_symlink() || !at.is_dir() { fs::remove_file(at) } else { fs::remove_dir_all(at) };
            gone?;
        }
        Ok(())
    }
}

/// Makes a directory, whatever the process's umask says, and whatever else is there: what a link leads to is not the view's.
fn make_directory(at: &Path) -> io::Result<()> {
    match fs::symlink_metadata(at) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(at)?,
        Err(_) => {}
    }
    DirBuilder::new().mode(DIRECTORY).create(at)?;
    fs::set_permissions(at, fs::Permissions::from_mode(DIRECTORY))
}

/// Makes what stands for the node's file `path`.
fn make_file(at: &Path, path: &str) -> io::Result<()> {
    if at.exists() {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(at)?;
    file.set_len(vfs::size(path.as_bytes()))?;
    file.set_permissions(fs::Permissions::from_mode(vfs::mode(path.as_bytes())))
}
