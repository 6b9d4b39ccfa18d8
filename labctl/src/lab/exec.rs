//! Starting a host program on a node: the front of a supervisor (see the crate `rumphijack`).
//!
//! The front is `labctl` itself: it stands in the terminal's foreground with the program, is stopped when the program is, and ends with
//! its status. The supervisor is this program again, under another name: it must go on serving while the front is stopped, and
//! ends the program when the front is killed.

use super::fault::Fault;
use nix::sys::signal::{SigSet, Signal};
use rumphijack::Report;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal as Kill, kill_process, pidfd_open};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// This very program, also after its file was replaced.
const SELF: &str = "/proc/self/exe";

/// What Ctrl-C and Ctrl-Z send to the whole foreground group: the program takes them, the front follows it.
fn terminal_signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU])
}

/// The command that becomes the supervisor of `command` on the node whose socket is `sysproxy`; it reports to `report`.
pub fn supervisor(sysproxy: &Path, report: &Path, command: &[OsString]) -> Command {
    let mut supervisor = Command::new(SELF);
    supervisor.arg0(rumphijack::ARGV0).arg(sysproxy).arg(report).args(command);
    supervisor
}

/// Runs `command` in the foreground until it ends. The last thing that its supervisor reports.
///
/// # Errors
/// There can be no supervisor, or it ended without a word.
pub fn foreground(
    sysproxy: &Path,
    command: &[OsString],
    environment: &[(String, String)],
) -> Result<Report, Fault> {
    let os =
        |what: &'static str| move |error: rustix::io::Errno| Fault::os(what)(std::io::Error::from(error));
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(os("make a pipe"))?;
    // By this path the supervisor opens it: nothing needs to be inherited.
    let report = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd()));
    let _ = terminal_signals().thread_block();
    let mut supervisor = supervisor(sysproxy, &report, command);
    supervisor.envs(environment.iter().map(|(name, value)| (name, value)));
    let child = supervisor.spawn().map_err(Fault::os("start a program"))?;
    let ended = pidfd_open(pid_of(&child)?, PidfdFlags::empty()).map_err(os("start a program"))?;

    let mut lines = BufReader::new(std::fs::File::from(reader));
    loop {
        let mut fds = [PollFd::new(lines.get_ref(), PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(os("wait for a program")(error)),
        }
        if !fds[0].revents().contains(PollFlags::IN) {
            if fds[1].revents().contains(PollFlags::IN) {
                return Err(Fault::Exec("its supervisor ended without a word".to_owned()));
            }
            continue;
        }
        let mut line = String::new();
        lines.read_line(&mut line).map_err(Fault::os("read what became of a program"))?;
        match Report::parse(&line) {
            Some(Report::Stopped) => {
                let _ = kill_process(rustix::process::getpid(), Kill::STOP);
            }
            Some(report) => return Ok(report),
            None => return Err(Fault::Exec(format!("its supervisor says {line:?}"))),
        }
    }
}

fn pid_of(child: &Child) -> Result<Pid, Fault> {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(0))
        .ok_or_else(|| Fault::Exec("it has no process number".to_owned()))
}
