//! Where labs live on disk: the run root and the directory of one lab.
//!
//! `$LABCTL_DIR`, else `$XDG_RUNTIME_DIR/labctl`, else `/tmp/labctl-$UID`. The root is 0700 and the user's own, or it is
//! refused: in `/tmp` anybody may have put something under our name first. Nothing on the way into a lab follows a
//! symbolic link that somebody else could have laid.

use super::fault::Fault;
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// How the directories of labs that are being removed begin. No lab may: names begin with a letter or digit.
const GONE: &str = ".gone-";

/// Everything that a lab's directory may hold.
const ENTRIES: &[&str] = &[
    "lock",
    "lab.json",
    "lab.json.new",
    "hosts.json",
    "hosts.json.new",
    "topology.toml",
    "topology.toml.new",
    "cores",
    "bus",
    "node",
    "program",
];

/// The directory that holds all labs of one user.
#[derive(Clone, Debug)]
pub struct RunRoot {
    path: PathBuf,
}

impl RunRoot {
    /// Where the environment puts it. Touches nothing.
    pub fn locate() -> PathBuf {
        let uid = rustix::process::geteuid().as_raw();
        if let Some(dir) = env::var_os("LABCTL_DIR").filter(|dir| !dir.is_empty()) {
            return PathBuf::from(dir);
        }
        // `su` and `sudo` leave the other user's behind: only a directory of one's own counts.
        if let Some(dir) = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)
            && dir.is_absolute()
            && fs::metadata(&dir)
                .is_ok_and(|meta| meta.is_dir() && std::os::unix::fs::MetadataExt::uid(&meta) == uid)
        {
            return dir.join("labctl");
        }
        PathBuf::from(format!("/tmp/labctl-{uid}"))
    }

    /// The root of the environment, made if it is missing.
    ///
    /// # Errors
    /// Another user's, open to others, or not a directory: each is the host's refusal.
    pub fn create() -> Result<Self, Fault> {
        Self::create_at(&Self::locate())
    }

    /// The same, at a given place.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_at(path: &Path) -> Result<Self, Fault> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(Fault::io("create", parent))?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Fault::io("create", path)(error)),
        }
        Self::open_at(path)?.ok_or_else(|| Fault::io("open", path)(io::Error::from(io::ErrorKind::NotFound)))
    }

    /// The root of the environment if there is one.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn open() -> Result<Option<Self>, Fault> {
        Self::open_at(&Self::locate())
    }

    /// The same, at a given place.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn open_at(path: &Path) -> Result<Option<Self>, Fault> {
        let Some(_) = open_own_dir(path)? else { return Ok(None) };
        // Processes are known by the path in their arguments: it must be the same whoever asks.
        let path = path.canonicalize().map_err(Fault::io("open", path))?;
        Ok(Some(Self { path }))
    }

    /// Absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the lab of that name lives, whether it does or not.
    pub fn lab(&self, name: &str) -> LabDir {
        LabDir { path: self.path.join(name), name: name.to_owned() }
    }

    /// The labs that have a directory here, by name.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn labs(&self) -> Result<Vec<LabDir>, Fault> {
        let mut names = self.entries(|name| !name.starts_with('.'))?;
        names.sort();
        Ok(names.iter().map(|name| self.lab(name)).filter(LabDir::holds_a_lab).collect())
    }

    /// What a `labctl` that died left of directories it was removing.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, Fault> {
        self.hidden(GONE)
    }

    /// Directories that are no labs, by how their names begin.
    ///
    /// # Errors
    /// The root cannot be read.
    pub(crate) fn hidden(&self, prefix: &str) -> Result<Vec<PathBuf>, Fault> {
        Ok(self.entries(|name| name.starts_with(prefix))?.iter().map(|name| self.path.join(name)).collect())
    }

    fn entries(&self, keep: impl Fn(&str) -> bool) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(Fault::io("read", &self.path))? {
            let entry = entry.map_err(Fault::io("read", &self.path))?;
            if let Ok(name) = entry.file_name().into_string()
                && keep(&name)
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The directory of one lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabDir {
    path: PathBuf,
    name: String,
}

impl LabDir {
    /// Of a lab in virtual time: paths that name its parts. Nothing is there.
    pub fn nowhere(name: &str) -> LabDir {
        LabDir { path: Path::new("/virtual").join(name), name: name.to_owned() }
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory is there, and is ours.
    ///
    /// # Errors
    /// Another user's, open to others, not a directory, or not a lab's.
    pub fn exists(&self) -> Result<bool, Fault> {
        if open_own_dir(&self.path)?.is_none() {
            return Ok(false);
        }
        match self.holds_a_lab() {
            true => Ok(true),
            false if !self.path.exists() => Ok(false),
            false => Err(Fault::NotALab { path: self.path.clone() }),
        }
    }

    /// Whether everything in the directory is a lab's. LABCTL_DIR may name a folder with other things in it, and what is
    /// not a lab must never be taken down.
    fn holds_a_lab(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.path) else { return false };
        let mut names =
            entries.map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()));
        names.all(|name| name.is_some_and(|name| ENTRIES.contains(&name.as_str())))
    }

    /// Makes the directory, 0700. A directory that is there already is checked and kept: the lock decides whose it is.
    ///
    /// # Errors
    /// As [`RunRoot::create`].
    pub fn create(&self) -> Result<(), Fault> {
        match fs::DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.exists()?;
                Ok(())
            }
            Err(error) => Err(Fault::io("create", &self.path)(error)),
        }
    }

    /// `lab.json`: what was started.
    pub fn state_file(&self) -> PathBuf {
        self.path.join("lab.json")
    }

    /// `topology.toml`: a copy of what was started.
    pub fn topology_copy(&self) -> PathBuf {
        self.path.join("topology.toml")
    }

    /// `hosts.json`: the names that the nodes resolve.
    pub fn hosts(&self) -> PathBuf {
        self.path.join("hosts.json")
    }

    /// `bus/`.
    pub fn buses(&self) -> PathBuf {
        self.path.join("bus")
    }

    /// `bus/NAME`: the bus file.
    pub fn bus(&self, name: &str) -> PathBuf {
        self.buses().join(name)
    }

    /// `node/`.
    pub fn nodes(&self) -> PathBuf {
        self.path.join("node")
    }

    /// The directory of one node.
    pub fn node(&self, name: &str) -> NodeDir {
        NodeDir { path: self.nodes().join(name) }
    }

    /// `program/`.
    pub fn programs(&self) -> PathBuf {
        self.path.join("program")
    }

    /// The directory of one of the topology's programs.
    pub fn program(&self, name: &str) -> ProgramDir {
        ProgramDir { path: self.programs().join(name) }
    }

    /// Takes everything away. The directory is renamed first, so that nobody finds half of it, and so that a `labctl`
    /// that dies in the middle leaves only something that `gc` knows.
    ///
    /// # Errors
    /// The host refuses a removal.
    pub fn remove(&self) -> Result<(), Fault> {
        let pid = std::process::id();
        let Some(root) = self.path.parent() else { return Ok(()) };
        let gone = root.join(format!("{GONE}{}-{pid}", self.name));
        if gone.exists() {
            remove_tree(&gone)?;
        }
        match fs::rename(&self.path, &gone) {
            Ok(()) => remove_tree(&gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Fault::io("remove", &self.path)(error)),
        }
    }
}

/// The directory of one node: the names are a contract with `rumpkern`.
#[derive(Clone, Debug)]
pub struct NodeDir {
    path: PathBuf,
}

impl NodeDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the node is started from; its path is the process's one argument.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// The control socket.
    pub fn ctl(&self) -> PathBuf {
        self.path.join("ctl")
    }

    /// The socket for remote clients.
    pub fn sysproxy(&self) -> PathBuf {
        self.path.join("sysproxy")
    }

    /// Everything the node said.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// What programs wrote that events started.
    pub fn events_log(&self) -> PathBuf {
        self.path.join("events.log")
    }

    /// `PID STARTTIME`, written by the node.
    pub fn pid(&self) -> PathBuf {
        self.path.join("pid")
    }
}

/// The directory of one of the topology's programs.
#[derive(Clone, Debug)]
pub struct ProgramDir {
    path: PathBuf,
}

impl ProgramDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that it wrote, if nobody asks where it wrote what.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// What it wrote to its standard output, if it is to be judged by that.
    pub fn stdout(&self) -> PathBuf {
        self.path.join("stdout")
    }

    /// What it wrote to its standard error then.
    pub fn stderr(&self) -> PathBuf {
        self.path.join("stderr")
    }

    /// What became of it: see `rumphijack::Report`.
    pub fn report(&self) -> PathBuf {
        self.path.join("report")
    }
}

/// Removes a tree that others may be removing too.
///
/// # Errors
/// The host refuses.
pub fn remove_tree(path: &Path) -> Result<(), Fault> {
    // A node that ends late may still write its last file into a directory that is being emptied.
    for _ in 0..8 {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => return Ok(()),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(Fault::io("remove", path)(error)),
        }
    }
    fs::remove_dir_all(path).map_err(Fault::io("remove", path))
}

/// Opens a directory without following a link at its end, and checks that it is ours alone.
fn open_own_dir(path: &Path) -> Result<Option<OwnedFd>, Fault> {
    // A slash at the end would make the kernel follow the link after all.
    let path: PathBuf = path.components().collect();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            return Err(Fault::NotADirectory { path });
        }
        Err(error @ rustix::io::Errno::ACCESS) => {
            // 0700 of another user cannot be opened, but its owner can be named.
            let own = rustix::process::geteuid().as_raw();
            return Err(match rustix::fs::lstat(&path) {
                Ok(stat) if stat.st_uid != own => Fault::NotYours { path, uid: stat.st_uid },
                _ => Fault::io("open", &path)(error),
            });
        }
        Err(error) => return Err(Fault::io("open", &path)(error)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(Fault::io("look at", &path))?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Fault::NotYours { path, uid: stat.st_uid });
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(Fault::LooseMode { path, mode: stat.st_mode & 0o7777 });
    }
    Ok(Some(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_root_is_made_private_and_found_again() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a/b/run");
        assert!(RunRoot::open_at(&path).unwrap().is_none());
        let root = RunRoot::create_at(&path).unwrap();
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(RunRoot::open_at(&path).unwrap().is_some());
        assert!(root.labs().unwrap().is_empty());
    }

    #[test]
    fn a_link_laid_in_tmp_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let (target, link) = (tmp.path().join("target"), tmp.path().join("link"));
        fs::DirBuilder::new().mode(0o700).create(&target).unwrap();
        symlink(&target, &link).unwrap();
        for path in [link.clone(), link.join("")] {
            let fault = RunRoot::create_at(&path).unwrap_err();
            assert!(matches!(fault, Fault::NotADirectory { .. }), "{fault}");
            assert_eq!(fault.kind(), super::super::fault::Kind::Host);
        }
        // A dangling one too: mkdir does not follow it.
        let dangling = tmp.path().join("dangling");
        symlink(tmp.path().join("nowhere"), &dangling).unwrap();
        assert!(matches!(RunRoot::create_at(&dangling), Err(Fault::NotADirectory { .. })));
    }

    #[test]
    fn a_root_open_to_others_is_refused_with_the_mend() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("run");
        fs::DirBuilder::new().mode(0o755).create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let fault = RunRoot::open_at(&path).unwrap_err();
        assert!(matches!(fault, Fault::LooseMode { mode: 0o750, .. }), "{fault}");
        assert_eq!(fault.mend().unwrap(), format!("chmod 700 {}", path.display()));
    }

    #[test]
    fn a_file_in_the_way_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("run");
        fs::write(&path, "").unwrap();
        assert!(matches!(RunRoot::create_at(&path), Err(Fault::NotADirectory { .. })));
    }

    #[test]
    fn removal_leaves_nothing_and_can_be_repeated() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        let lab = root.lab("hello");
        lab.create().unwrap();
        fs::create_dir_all(lab.node("h1").path()).unwrap();
        fs::write(lab.node("h1").log(), "x").unwrap();
        assert_eq!(root.labs().unwrap(), std::slice::from_ref(&lab));
        lab.remove().unwrap();
        lab.remove().unwrap();
        assert!(!lab.exists().unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_other_things_is_never_a_lab() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        let lab = root.lab("documents");
        lab.create().unwrap();
        assert_eq!(root.labs().unwrap().len(), 1); // empty: a killed `up` may have left it
        fs::write(lab.path().join("lock"), "").unwrap();
        fs::write(lab.path().join("thesis.tex"), "").unwrap();
        assert!(root.labs().unwrap().is_empty());
        assert!(matches!(lab.exists(), Err(Fault::NotALab { .. })));
        assert!(matches!(lab.create(), Err(Fault::NotALab { .. })));
    }

    #[test]
    fn what_a_killed_removal_left_is_known() {
        let tmp = tempfile::tempdir().unwrap();
        let root = RunRoot::create_at(&tmp.path().join("run")).unwrap();
        let left = root.path().join(".gone-hello-123");
        fs::create_dir(&left).unwrap();
        assert!(root.labs().unwrap().is_empty());
        assert_eq!(root.leftovers().unwrap(), [left]);
    }
}
