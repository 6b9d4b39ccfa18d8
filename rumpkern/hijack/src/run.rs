//! The life of a supervisor, from its command line to the end of the last process.
//!
//! It is started as `rumphijack SYSPROXY REPORT PROGRAM…`: the path of the node's socket, and that of a file, FIFO or
//! `/proc/PID/fd/N` to which it writes a [`Report`] a line. The last line says how the program ended, or why it never began; the
//! supervisor may live on, with what the program left behind.
//!
//! A report that is a FIFO has a reader: the supervisor ends with whoever started it or reads that, in whose group and terminal the program is. One
//! that is a file has none: the supervisor and the program are a session of their own.

use crate::launch_unsafe::{LaunchError, Program, launch};
use crate::loader;
use crate::supervisor::{End, Shown, Supervisor};
use crate::tree::{self, Change, Status, Tree};
use nix::sys::signal::SigSet;
use rumpclient::{Client, ConnectError};
use rustix::fs::{Access, FileType};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `argv[0]` must be for a program to become a supervisor.
pub const ARGV0: &str = "rumphijack";

/// What a supervisor says, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The program has begun, and is this process.
    Began(i32),
    /// The program was stopped by a signal; it may go on.
    Stopped,
    /// The program has ended.
    Ended(Status),
    /// The program did not begin: there is no such file (127), or it cannot be executed (126).
    NotExecuted {
        /// The exit status that a shell gives it.
        code: u8,
        /// Why.
        why: String,
    },
    /// The node cannot be reached, or is gone.
    NoNode(String),
    /// The host refuses what the supervisor needs.
    Refused(String),
}

impl Report {
    /// Reads a line; `None`: it is none.
    pub fn parse(line: &str) -> Option<Report> {
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        Some(match word {
            "began" => Report::Began(rest.parse().ok()?),
            "stopped" => Report::Stopped,
            "exited" => Report::Ended(Status::Exited(rest.parse().ok()?)),
            "signalled" => Report::Ended(Status::Signalled(rest.parse().ok()?)),
            "not-executed" => {
                let (code, why) = rest.split_once(' ')?;
                Report::NotExecuted { code: code.parse().ok()?, why: why.to_owned() }
            }
            "no-node" => Report::NoNode(rest.to_owned()),
            "refused" => Report::Refused(rest.to_owned()),
            _ => return None,
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Report::Began(pid) => write!(f, "began {pid}"),
            Report::Stopped => f.write_str("stopped"),
            Report::Ended(Status::Exited(code)) => write!(f, "exited {code}"),
            Report::Ended(Status::Signalled(signal)) => write!(f, "signalled {signal}"),
            Report::NotExecuted { code, why } => write!(f, "not-executed {code} {why}"),
            Report::NoNode(why) => write!(f, "no-node {why}"),
            Report::Refused(why) => write!(f, "refused {why}"),
        }
    }
}

/// Becomes a supervisor if the program was started as one; otherwise returns `None` at once. Call it first thing in `main`.
pub fn main_from_args() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    if Path::new(&name).file_name() != Some(OsStr::new(ARGV0)) {
        return None;
    }
    let args: Vec<OsString> = args.collect();
    let [sysproxy, report, command @ ..] = &args[..] else { return Some(usage()) };
    if command.is_empty() {
        return Some(usage());
    }
    let Ok(report) = OpenOptions::new().append(true).open(report) else { return Some(ExitCode::from(125)) };
    Some(match supervise(Path::new(sysproxy), &report, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&report, &why);
            ExitCode::from(125)
        }
    })
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: rumphijack SYSPROXY REPORT PROGRAM [ARGUMENT]...\n\nRuns a program on a node; `labctl exec` starts it."
    );
    ExitCode::from(2)
}

fn say(mut report: &File, what: &Report) {
    // In one write: several may write to one file. If nobody listens there is nobody to tell.
    let _ = report.write_all(format!("{what}\n").as_bytes());
}

fn supervise(sysproxy: &Path, report: &File, command: &[OsString]) -> Result<(), Report> {
    let refused = |what: &'static str| move |errno: Errno| Report::Refused(format!("{what}: {errno}"));
    if is_followed(report) {
        let begun_by = parent_id();
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(refused("prctl"))?;
        if parent_id() != begun_by {
            return Ok(()); // whoever started us is gone already
        }
    } else {
        // No terminal's signals reach us. It fails only where that is so already.
        let _ = rustix::process::setsid();
    }
    // Otherwise the host shows what the link to ourselves is called.
    let _ = rustix::thread::set_name(c"rumphijack");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(refused("prctl"))?;
    let before = SigSet::thread_get_mask().map_err(|errno| Report::Refused(errno.to_string()))?;
    tree::signals().thread_block().map_err(|errno| Report::Refused(errno.to_string()))?;
    let name = Path::new(&command[0]).file_name().unwrap_or(&command[0]).to_string_lossy();
    let mut node = Client::connect_as(sysproxy, &name).map_err(|error| Report::NoNode(reason(&error)))?;
    let asked = Shown::ask(&mut node);
    let loader = loader::opens();
    let shown = Shown::answered(&mut node, asked);
    // A library may be among the files of the topology.
    let loader = if shown.files.is_empty() { loader } else { Vec::new() };

    // What the program starts with: none of our signals is blocked.
    let mut mask = before;
    for signal in &tree::signals() {
        mask.remove(signal);
    }
    let (first, listener) = start(command, &mask, &loader)?;
    memory_is_ours(first)?;
    say(report, &Report::Began(first.as_raw_nonzero().get()));
    let told = report.try_clone().map_err(|error| Report::Refused(error.to_string()))?;
    let mut tree = Tree::new(
        first,
        Box::new(move |change| match change {
            Change::Stopped => say(&told, &Report::Stopped),
            Change::Ended(status) => {
                // What it left behind lives on, whoever started us does not matter any more, and nobody waits for our output.
                let _ = rustix::process::set_parent_process_death_signal(None);
                let_go_of_output();
                say(&told, &Report::Ended(status));
            }
        }),
    )
    .map_err(refused("signalfd"))?;
    let mut supervisor = Supervisor::new(listener, node, shown).map_err(refused("epoll"))?;
    if is_followed(report) {
        supervisor.follow(report).map_err(refused("epoll"))?;
    }
    match supervisor.run(&mut tree).map_err(refused("seccomp"))? {
        End::Done => {}
        End::NodeGone => {
            say(report, &Report::NoNode(format!("the node is gone; {name} was ended")));
            // Calls fail from now on, rather than to be waited for.
            drop(supervisor);
            tree.end();
        }
    }
    Ok(())
}

/// Whether somebody reads the report as it is written.
fn is_followed(report: &File) -> bool {
    rustix::fs::fstat(report).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_fifo())
}

/// Yama (2 and 3) keeps the memory of a program even from those who started it.
fn memory_is_ours(program: Pid) -> Result<(), Report> {
    match File::open(format!("/proc/{}/mem", program.as_raw_nonzero())) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && scope() > 1 => {
            let _ = kill_process(program, Signal::KILL);
            let why = format!("the memory of programs cannot be read (ptrace_scope is {})", scope());
            Err(Report::Refused(why))
        }
        // One that nobody may read is a program's own affair, and one that has ended is no trouble.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Yama's `ptrace_scope`; 0 where it is not there.
fn scope() -> u8 {
    let text = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Starts the program; a file that is no program is a script of the shell's, as everywhere.
fn start(
    command: &[OsString],
    mask: &SigSet,
    loader: &[u32],
) -> Result<(Pid, crate::seccomp_unsafe::Listener), Report> {
    let cannot = |code, why: Errno| Report::NotExecuted { code, why: why.to_string() };
    let path =
        find(&command[0]).map_err(|errno| cannot(if errno == Errno::NOENT { 127 } else { 126 }, errno))?;
    let text = |text: OsString| CString::new(text.into_vec());
    let environment = || {
        std::env::vars_os().map(|(mut entry, value)| {
            entry.push("=");
            entry.push(value);
            text(entry)
        })
    };
    let program = |path: &Path, argv: Vec<OsString>| -> Result<Program, std::ffi::NulError> {
        Ok(Program {
            path: text(path.as_os_str().to_owned())?,
            argv: argv.into_iter().map(text).collect::<Result<_, _>>()?,
            envp: environment().collect::<Result<_, _>>()?,
        })
    };
    let launched = |program: Result<Program, std::ffi::NulError>| {
        let program = program.map_err(|_| LaunchError::Exec(Errno::INVAL))?;
        launch(&program, mask.as_ref(), loader)
    };
    let mut done = launched(program(&path, command.to_vec()));
    if let Err(LaunchError::Exec(Errno::NOEXEC)) = done {
        let mut argv = vec![OsString::from("sh"), path.clone().into_os_string()];
        argv.extend_from_slice(&command[1..]);
        done = launched(program(Path::new("/bin/sh"), argv));
    }
    done.map_err(|error| match error {
        LaunchError::Exec(errno) => cannot(if errno == Errno::NOENT { 127 } else { 126 }, errno),
        LaunchError::Clone(_) | LaunchError::Filter(_) => Report::Refused(error.to_string()),
    })
}

/// Where a shell would find the program.
fn find(name: &OsStr) -> Result<PathBuf, Errno> {
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    let mut error = Errno::NOENT;
    for directory in std::env::split_paths(&path) {
        let file = directory.join(name);
        if name.is_empty() || !file.is_file() {
            continue;
        }
        match rustix::fs::access(&file, Access::EXEC_OK) {
            Ok(()) => return Ok(file),
            Err(errno) => error = errno,
        }
    }
    Err(error)
}

/// Whoever reads our output to its end shall find it.
fn let_go_of_output() {
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

fn reason(error: &ConnectError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_written() {
        let reports = [
            Report::Began(7),
            Report::Stopped,
            Report::Ended(Status::Exited(3)),
            Report::Ended(Status::Signalled(9)),
            Report::NotExecuted { code: 127, why: "No such file or directory (os error 2)".into() },
            Report::NoNode("no node at /x".into()),
            Report::Refused("seccomp: Operation not permitted".into()),
        ];
        for report in reports {
            assert_eq!(Report::parse(&format!("{report}\n")), Some(report));
        }
        for line in ["", "exited", "exited x", "gone 3", "not-executed 127"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert_eq!(find(OsStr::new("./x y")), Ok(PathBuf::from("./x y")));
        assert!(find(OsStr::new("sh")).is_ok_and(|path| path.ends_with("sh")));
        assert_eq!(find(OsStr::new("no-such-program")), Err(Errno::NOENT));
        assert_eq!(find(OsStr::new("")), Err(Errno::NOENT));
    }
}
