//! What stops a verb: one line that says what is so, one that says how to mend it, and the exit code that scripts rely on.
//!
//! All refusals about a lab's state and about the host are said here and nowhere else. Faults of a topology file are
//! not: they have places and carets, see [`crate::topology`].

use std::io;
use std::path::{Path, PathBuf};

/// Kinds of faults; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The work itself failed: 1.
    Failed,
    /// The command line or the topology asks for what is not there: 2.
    Usage,
    /// The lab's state forbids it: 3.
    State,
    /// The host refused (limits, permissions, space): 4.
    Host,
}

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No run directory of that name.
    #[error("lab `{lab}` is not running")]
    NotRunning {
        /// The lab's name.
        lab: String,
    },
    /// `up` of a lab that is up.
    #[error("lab `{lab}` is running already ({running} of {nodes} nodes)")]
    AlreadyRunning {
        /// The lab's name.
        lab: String,
        /// Nodes that live.
        running: usize,
        /// Nodes that it has.
        nodes: usize,
    },
    /// `labctl` ended in the middle of `up` or `down`.
    #[error("lab `{lab}` is half up: labctl ended before it was done")]
    HalfUp {
        /// The lab's name.
        lab: String,
    },
    /// Every node of the lab is dead.
    #[error("lab `{lab}` is dead: none of its {nodes} nodes lives")]
    Dead {
        /// The lab's name.
        lab: String,
        /// Nodes that it had.
        nodes: usize,
    },
    /// Another `labctl` holds the lab's lock.
    #[error("another labctl{} is changing lab `{lab}`", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Busy {
        /// The lab's name.
        lab: String,
        /// Who holds the lock, if it says.
        pid: Option<i32>,
    },
    /// No lab was named, no topology is here, and none runs.
    #[error("no lab is running, and there is no topology in this folder")]
    NoLab,
    /// No lab was named, no topology is here, and several run.
    #[error("several labs are running: {}", .labs.join(", "))]
    SeveralLabs {
        /// Their names.
        labs: Vec<String>,
    },
    /// A run directory that belongs to somebody else.
    #[error("{} belongs to user {uid}, not to you", .path.display())]
    NotYours {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// A run directory that others may enter.
    #[error("{} may be entered by others (mode {mode:04o})", .path.display())]
    LooseMode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something else stands where the run directory belongs.
    #[error("{} is not a directory (a symbolic link is not followed)", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A directory with other things in it stands where the lab's belongs.
    #[error("{} is not a lab's directory", .path.display())]
    NotALab {
        /// The directory.
        path: PathBuf,
    },
    /// A name that no node of the lab has.
    #[error("lab `{lab}` has no {kind} `{name}`")]
    NoSuch {
        /// The lab's name.
        lab: String,
        /// `node`, `bus`, `interface`, `address`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// A name that none of a node's values has.
    #[error("node `{node}`: {message}")]
    NoVariable {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// The node's words.
        message: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// Something that a node's value cannot become.
    #[error("node `{node}`: {message}")]
    BadVariable {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// The value's name.
        name: String,
        /// The node's words.
        message: String,
    },
    /// A node that is not running.
    #[error("node `{node}` of lab `{lab}` is {state}")]
    NodeNotRunning {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// `stopped`, `dead`.
        state: &'static str,
    },
    /// `start` of a node that runs.
    #[error("node `{node}` of lab `{lab}` is running already (pid {pid})")]
    NodeRunning {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// Its process.
        pid: i32,
    },
    /// A node whose process is stopped by a signal.
    #[error("node `{node}` of lab `{lab}` is paused (pid {pid} was sent SIGSTOP)")]
    NodePaused {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// Its process.
        pid: i32,
    },
    /// A node that lives and does not answer.
    #[error("node `{node}` does not answer: nothing in {seconds} s")]
    NoAnswer {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A node whose control socket nobody listens at.
    #[error("node `{node}` of lab `{lab}` cannot be reached: its control socket is gone")]
    NoSocket {
        /// The lab's name.
        lab: String,
        /// The node's name.
        node: String,
    },
    /// A program that was still at its work when its time was over. Its node is well.
    #[error("`{program}` on node `{node}` was not done in {seconds:.1} s")]
    Unfinished {
        /// The node's name.
        node: String,
        /// The program's name.
        program: String,
        /// How long was waited.
        seconds: f64,
    },
    /// A node that answered with an error, or closed the connection.
    #[error("node `{node}`: {message}")]
    Refused {
        /// The node's name.
        node: String,
        /// Its words.
        message: String,
    },
    /// Nodes that did not start.
    #[error("{}", failures_text(.failures, *.more))]
    NodesFailed {
        /// Their names, and their words or the end of their logs.
        failures: Vec<(String, String)>,
        /// How many more there are.
        more: usize,
    },
    /// Processes that outlived SIGKILL (in uninterruptible sleep).
    #[error("{count} processes of lab `{lab}` do not end (first: pid {pid})")]
    Unkillable {
        /// The lab's name.
        lab: String,
        /// How many.
        count: usize,
        /// One of them.
        pid: i32,
    },
    /// A hard limit that is too low.
    #[error("{nodes} nodes need {need} {what}, the hard limit here is {hard}")]
    Limit {
        /// Nodes asked for.
        nodes: usize,
        /// What is limited.
        what: &'static str,
        /// How much is needed.
        need: u64,
        /// The hard limit.
        hard: u64,
        /// How it is raised.
        mend: &'static str,
    },
    /// The file system of the run directory is too full.
    #[error("the buses need {} MiB, {} has {} MiB left", .need >> 20, .path.display(), .free >> 20)]
    Space {
        /// Octets needed.
        need: u64,
        /// Octets free.
        free: u64,
        /// Where.
        path: PathBuf,
    },
    /// What a lab in virtual time cannot have.
    #[error("{what} runs in live labs only, and this one is in virtual time")]
    LiveOnly {
        /// The program.
        what: String,
    },
    /// Nothing will ever happen again, and somebody waits for something.
    #[error("nothing will ever happen again, and {waiting}")]
    NoProgress {
        /// Who waits for what.
        waiting: String,
    },
    /// The command line contradicts itself or the lab.
    #[error("{0}")]
    Usage(String),
    /// A host program could not be run on a node.
    #[error("cannot run the program: {0}")]
    Exec(String),
    /// The host does not let programs be run on nodes.
    #[error("cannot run programs on nodes here: {why}")]
    NoPrograms {
        /// The host's words.
        why: String,
        /// What to do.
        mend: String,
    },
    /// A program of the topology that did not become what others rely on.
    #[error("program `{program}` on node `{node}` {what}{}", quoted(.said))]
    Program {
        /// The program's name.
        program: String,
        /// The node's name.
        node: String,
        /// `is not ready in 5s`, `exited 1 before it was ready`, …
        what: String,
        /// The last lines that it wrote.
        said: Vec<String>,
    },
    /// A verb that cannot be used in a program on a node.
    #[error("this is inside node `{node}`")]
    Inside {
        /// The node's name.
        node: String,
    },
    /// The person stopped it.
    #[error("interrupted")]
    Interrupted,
    /// The state file is not what labctl wrote.
    #[error("{} is damaged: {message}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A system call that failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl Fault {
    /// A failed system call on a path: `io("create", path)(error)`.
    pub fn io<E: Into<io::Error>>(what: &str, path: &Path) -> impl FnOnce(E) -> Self {
        let what = format!("cannot {what} {}", path.display());
        move |source| Self::Io { what, source: source.into() }
    }

    /// A failed system call without a path.
    pub fn os<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> Self {
        let what = format!("cannot {what}");
        move |source| Self::Io { what, source: source.into() }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotRunning { .. }
            | Self::AlreadyRunning { .. }
            | Self::HalfUp { .. }
            | Self::Dead { .. }
            | Self::Busy { .. }
            | Self::NoLab
            | Self::SeveralLabs { .. }
            | Self::NodeNotRunning { .. }
            | Self::NodeRunning { .. }
            | Self::NodePaused { .. }
            | Self::NoAnswer { .. }
            | Self::NoSocket { .. }
            | Self::Inside { .. }
            | Self::Damaged { .. } => Kind::State,
            Self::NoSuch { .. }
            | Self::NoVariable { .. }
            | Self::BadVariable { .. }
            | Self::LiveOnly { .. }
            | Self::Usage(_) => Kind::Usage,
            Self::NotYours { .. }
            | Self::LooseMode { .. }
            | Self::NotADirectory { .. }
            | Self::NotALab { .. }
            | Self::Unkillable { .. }
            | Self::Limit { .. }
            | Self::NoPrograms { .. }
            | Self::Space { .. } => Kind::Host,
            Self::NodesFailed { failures, .. } if failures.iter().any(|(_, message)| is_host(message)) => {
                Kind::Host
            }
            Self::Refused { .. }
            | Self::NodesFailed { .. }
            | Self::Unfinished { .. }
            | Self::NoProgress { .. }
            | Self::Exec(_)
            | Self::Program { .. }
            | Self::Interrupted => Kind::Failed,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::OutOfMemory => Kind::Host,
                _ => match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                    Some(
                        rustix::io::Errno::MFILE
                        | rustix::io::Errno::NFILE
                        | rustix::io::Errno::AGAIN
                        | rustix::io::Errno::PERM,
                    ) => Kind::Host,
                    _ => Kind::Failed,
                },
            },
        }
    }

    /// How to mend it, if one can say.
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            Self::NotRunning { lab } => {
                format!("start it: `labctl --lab {lab} up`, or see what runs: `labctl ps --all`")
            }
            Self::AlreadyRunning { lab, .. } => format!("stop it first: `labctl --lab {lab} down`"),
            Self::HalfUp { lab } => format!("clear it away: `labctl --lab {lab} down`"),
            Self::Dead { lab, .. } => {
                format!(
                    "`labctl --lab {lab} dump BUS` still reads its buses; `labctl --lab {lab} down`, then `labctl up`, begins anew"
                )
            }
            Self::Busy { .. } => "wait for it, or end it; then try again".into(),
            Self::NoLab => {
                "name one: `-t FILE` or `--lab NAME`; `labctl init` writes a first topology".into()
            }
            Self::SeveralLabs { .. } => "name one: `--lab NAME`".into(),
            Self::NotYours { .. } => "run as that user, or set LABCTL_DIR to a folder of your own".into(),
            Self::LooseMode { path, .. } => format!("chmod 700 {}", path.display()),
            Self::NotADirectory { .. } => "remove it, or set LABCTL_DIR to a folder of your own".into(),
            Self::NotALab { .. } => {
                "give the lab another name, or set LABCTL_DIR to a folder of its own".into()
            }
            Self::NoSuch { near: Some(near), .. } | Self::NoVariable { near: Some(near), .. } => {
                format!("did you mean `{near}`?")
            }
            Self::NoVariable { lab, node, near: None, .. } => {
                format!("see what there is: `labctl --lab {lab} sysctl {node}`")
            }
            Self::BadVariable { lab, node, name, .. } => {
                format!("see what it is: `labctl --lab {lab} sysctl {node} {name}`")
            }
            Self::NoSuch { lab, near: None, .. } => format!("see what there is: `labctl --lab {lab} ps`"),
            Self::NodeNotRunning { lab, node, .. } => format!("start it: `labctl --lab {lab} start {node}`"),
            Self::NodeRunning { lab, node, .. } => format!("begin anew: `labctl --lab {lab} restart {node}`"),
            Self::NodePaused { pid, .. } => format!("let it run: `kill -CONT {pid}`"),
            Self::NoAnswer { lab, node, .. } | Self::NoSocket { lab, node } => {
                format!("begin anew: `labctl --lab {lab} restart {node}`")
            }
            Self::Unkillable { .. } => "they sleep in the host kernel; look at `ps -o pid,stat,wchan`".into(),
            Self::Limit { mend, .. } => (*mend).into(),
            Self::Space { .. } => "smaller `history`, or LABCTL_DIR on a larger file system".into(),
            Self::NoPrograms { mend, .. } => mend.clone(),
            Self::Inside { .. } => "leave its shell first, or do it in another terminal".into(),
            Self::LiveOnly { .. } => "test it with --live".into(),
            Self::Damaged { path, .. } => {
                // The file is in the lab's directory, which has the lab's name.
                let lab = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
                format!("`labctl --lab {lab} down` clears the lab away all the same")
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "look at who may do that there (`ls -ld`), or set LABCTL_DIR to a folder of your own".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::WouldBlock => MORE_PROCESSES.into(),
            Self::NodesFailed { failures, .. }
                if failures.iter().any(|(_, message)| says(message, rustix::io::Errno::AGAIN)) =>
            {
                MORE_PROCESSES.into()
            }
            Self::NodesFailed { .. } if self.kind() == Kind::Host => {
                "`labctl doctor` says what this host allows".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or set LABCTL_DIR to a larger file system".into()
            }
            Self::NodesFailed { .. }
            | Self::Refused { .. }
            | Self::Unfinished { .. }
            | Self::NoProgress { .. }
            | Self::Usage(_)
            | Self::Exec(_)
            | Self::Program { .. }
            | Self::Interrupted
            | Self::Io { .. } => {
                return None;
            }
        })
    }
}

fn failures_text(failures: &[(String, String)], more: usize) -> String {
    let mut lines: Vec<_> =
        failures.iter().map(|(node, message)| format!("node `{node}` did not start: {message}")).collect();
    if more > 0 {
        lines.push(format!("and {more} more nodes did not start"));
    }
    lines.join("\n")
}

/// What a program said, indented below what is said of it.
pub(crate) fn quoted(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  | {line}")).collect()
}

/// EAGAIN, where processes and threads are made.
const MORE_PROCESSES: &str = "the host gives no more processes or threads: raise `ulimit -u`, or end some";

/// Whether a text tells of that error of the system.
fn says(message: &str, errno: rustix::io::Errno) -> bool {
    message.contains(&format!("(os error {})", errno.raw_os_error()))
}

/// Whether a node's last words are the host's refusal: it knows the errors only by their text.
fn is_host(message: &str) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC, Errno::ACCESS, Errno::PERM, Errno::AGAIN]
        .into_iter()
        .any(|errno| says(message, errno))
}

/// The name nearest to `name`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(name.len().max(candidate.len()) / 3))
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_refuses_has_a_mend() {
        use rustix::io::Errno;
        for (errno, part) in
            [(Errno::ACCESS, "LABCTL_DIR"), (Errno::AGAIN, "ulimit -u"), (Errno::NOSPC, "space")]
        {
            let fault = Fault::os("start a process")(io::Error::from(errno));
            assert_eq!(fault.kind(), Kind::Host, "{fault}");
            assert!(fault.mend().is_some_and(|mend| mend.contains(part)), "{fault}: {:?}", fault.mend());
            let failures = vec![("h1".to_owned(), format!("attach: {}", io::Error::from(errno)))];
            let fault = Fault::NodesFailed { failures, more: 0 };
            assert!(fault.kind() == Kind::Host && fault.mend().is_some(), "{fault}");
        }
    }

    #[test]
    fn mends_name_the_lab() {
        let of = |fault: Fault| fault.mend().unwrap_or_default();
        let (lab, node) = ("x".to_owned(), "h1".to_owned());
        let silent = Fault::NoAnswer { lab: lab.clone(), node: node.clone(), seconds: 5 };
        assert_eq!(of(silent), "begin anew: `labctl --lab x restart h1`");
        let gone = Fault::NoSocket { lab: lab.clone(), node };
        assert_eq!(
            (gone.kind(), of(gone)),
            (Kind::State, "begin anew: `labctl --lab x restart h1`".to_owned())
        );
        let damaged = Fault::Damaged { path: "/run/x/lab.json".into(), message: "bad".into() };
        assert!(of(damaged).contains("--lab x down"));
        assert!(of(Fault::NotRunning { lab }).contains("labctl ps --all"));
    }
}
