//! The supervisors of host programs (see the crate `rumphijack`), and how they are ended with all that they look after.
//!
//! They are found as nodes are: a process of ours whose `argv[0]` is `rumphijack` and whose first argument is the socket of a node in
//! the lab's directory. What a supervisor that was killed outright has left is known by its environment, which every
//! program of a lab inherits; only a program that throws that away is not.

use super::fault::Fault;
use super::process::{self, EXEC_WAIT, How, Identity, Life};
use super::rundir::{LabDir, NodeDir};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a supervisor may take over the end of its programs: they have 2 s after SIGTERM themselves.
const GRACE: Duration = Duration::from_secs(4);

/// Variable of every program on a node: the directory of the node.
pub const NODE_DIR: &str = "LABCTL_NODE_DIR";

/// Variable of every program on a node: its name.
pub const NODE: &str = "LABCTL_NODE";

/// A supervisor, as `/proc` shows it.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The process.
    pub id: Identity,
    /// Whether it runs.
    pub life: Life,
    /// The socket of its node.
    sysproxy: PathBuf,
    /// Where it reports to.
    report: PathBuf,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Supervisor {
    /// The node's name, if it is one of that lab.
    pub fn node_of(&self, lab: &LabDir) -> Option<&str> {
        inside(&self.sysproxy, &lab.nodes(), "sysproxy")
    }

    /// The name of the topology's program that it runs; `None`: it was started by hand.
    pub fn program_of(&self, lab: &LabDir) -> Option<&str> {
        inside(&self.report, &lab.programs(), "report")
    }
}

/// The folder's name in `FOLDERS/NAME/FILE`.
fn inside<'p>(path: &'p Path, folders: &Path, file: &str) -> Option<&'p str> {
    let mut rest = path.strip_prefix(folders).ok()?.components();
    let (name, last) = (rest.next()?, rest.next()?);
    (last.as_os_str() == file && rest.next().is_none()).then(|| name.as_os_str().to_str())?
}

/// Every supervisor of the current user below a directory: one lab's, or the run root's.
pub fn scan(below: &Path) -> Vec<Supervisor> {
    let deadline = Instant::now() + EXEC_WAIT;
    let found = process::find(|folder| {
        parse(&process::arguments(folder, deadline).ok()?)
            .filter(|(sysproxy, ..)| sysproxy.starts_with(below))
    });
    let supervisor =
        |(id, life, (sysproxy, report, command))| Supervisor { id, life, sysproxy, report, command };
    found.into_iter().map(supervisor).collect()
}

/// `rumphijack SYSPROXY REPORT PROGRAM…`
fn parse(cmdline: &[u8]) -> Option<(PathBuf, PathBuf, Vec<OsString>)> {
    let mut args = cmdline.strip_suffix(b"\0")?.split(|octet| *octet == 0).map(|word| word.to_vec());
    if args.next()? != rumphijack::ARGV0.as_bytes() {
        return None;
    }
    let mut args = args.map(OsString::from_vec);
    let (sysproxy, report) = (PathBuf::from(args.next()?), PathBuf::from(args.next()?));
    let command: Vec<_> = args.collect();
    (sysproxy.is_absolute() && !command.is_empty()).then_some((sysproxy, report, command))
}

/// The directory of the node that a process belongs to, by its environment.
fn node_dir(process: &Path) -> Option<PathBuf> {
    let environment = fs::read(process.join("environ")).ok()?;
    let entries = environment.split(|octet| *octet == 0);
    let value =
        entries.filter_map(|entry| entry.strip_prefix(NODE_DIR.as_bytes())?.strip_prefix(b"=")).next()?;
    Some(PathBuf::from(OsStr::from_bytes(value)))
}

/// Programs, and what they left, of nodes below a directory that fit. Their supervisors are among them.
fn programs(below: &Path, fits: impl Fn(&Path) -> bool) -> Vec<Identity> {
    let own = std::process::id().cast_signed();
    let found = process::find(|folder| {
        node_dir(folder).filter(|node| node.starts_with(below) && *node != below && fits(node))
    });
    found.into_iter().map(|(id, ..)| id).filter(|id| id.pid != own).collect()
}

/// Ends the supervisors of a lab's nodes that fit, and everything that ran on these. Returns how many supervisors there were.
///
/// # Errors
/// A process does not end.
pub fn end(lab: &LabDir, fits: impl Fn(&str) -> bool) -> Result<usize, Fault> {
    let ended = end_supervisors(lab, &fits)?;
    let of_it = |node: &Path| node.file_name().and_then(OsStr::to_str).is_some_and(&fits);
    finish(lab.name(), &programs(&lab.nodes(), of_it))?;
    Ok(ended)
}

/// The same without what supervisors have left that were killed outright.
///
/// # Errors
/// A process does not end.
pub fn end_supervisors(lab: &LabDir, fits: impl Fn(&str) -> bool) -> Result<usize, Fault> {
    let ids: Vec<_> = scan(lab.path())
        .into_iter()
        .filter(|supervisor| supervisor.node_of(lab).is_some_and(&fits))
        .map(|supervisor| supervisor.id)
        .collect();
    finish(lab.name(), &ids)?;
    Ok(ids.len())
}

/// Waits until the supervisors of nodes that were killed have ended with all that ran there, and ends what does not.
///
/// # Errors
/// A process does not end.
pub fn follow(lab: &LabDir, nodes: &[String]) -> Result<(), Fault> {
    let of_them = |node: &str| nodes.iter().any(|name| name == node);
    let ids: Vec<_> = scan(lab.path())
        .into_iter()
        .filter(|supervisor| supervisor.life == Life::Running && supervisor.node_of(lab).is_some_and(of_them))
        .map(|supervisor| supervisor.id)
        .collect();
    process::await_end(&ids, GRACE)?;
    end(lab, of_them).map(drop)
}

/// Ends what ran on nodes below the run root whose directory is gone. Returns how many processes there were.
///
/// # Errors
/// The host gives no descriptors.
pub fn end_orphans(root: &Path) -> Result<usize, Fault> {
    let orphans = programs(root, |node| !node.exists());
    finish("(none)", &orphans)?;
    Ok(orphans.len())
}

fn finish(lab: &str, ids: &[Identity]) -> Result<(), Fault> {
    let left = process::end(ids, How::Clean(GRACE))?;
    match left.first() {
        Some(first) => Err(Fault::Unkillable { lab: lab.to_owned(), count: left.len(), pid: first.pid }),
        None => Ok(()),
    }
}

/// Refuses what cannot be done from inside a node: it would end itself, or be one of the node's programs.
///
/// # Errors
/// This process is a program on a node.
pub fn outside() -> Result<(), Fault> {
    match std::env::var(NODE) {
        Ok(node) if std::env::var_os(NODE_DIR).is_some_and(|dir| Path::new(&dir).exists()) => {
            Err(Fault::Inside { node })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The variables that tell a program where it is.
pub(super) fn environment(node: &NodeDir) -> [(&'static str, OsString); 2] {
    let name = node.path().file_name().unwrap_or_default().to_owned();
    [(NODE, name), (NODE_DIR, node.path().into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_supervisor_s_command_line_is_one() {
        let (sysproxy, report, command) =
            parse(b"rumphijack\0/r/l/node/h1/sysproxy\0/proc/7/fd/3\0ls\0-l\0").unwrap();
        assert_eq!((sysproxy, report), ("/r/l/node/h1/sysproxy".into(), "/proc/7/fd/3".into()));
        assert_eq!(command, ["ls", "-l"]);
        for no in [
            &b""[..],
            b"rumphijack\0",
            b"rumphijack\0/r/l/node/h1/sysproxy\0/x\0",
            b"rumphijack\0node/h1/sysproxy\0/x\0ls\0",
            b"vi\0/r/l/node/h1/sysproxy\0/x\0ls\0",
            b"rumphijack\0/r/l/node/h1/sysproxy\0/x\0ls",
        ] {
            assert!(parse(no).is_none(), "{no:?}");
        }
    }

    #[test]
    fn a_path_names_its_node_and_program() {
        let nodes = Path::new("/r/l/node");
        assert_eq!(inside(Path::new("/r/l/node/h1/sysproxy"), nodes, "sysproxy"), Some("h1"));
        for no in
            ["/r/l/node/h1/ctl", "/r/l/node/sysproxy", "/r/l/node/h1/x/sysproxy", "/r/ll/node/h1/sysproxy"]
        {
            assert_eq!(inside(Path::new(no), nodes, "sysproxy"), None, "{no}");
        }
    }
}
