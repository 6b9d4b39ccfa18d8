//! Starting a host program on a node: the front of a supervisor (see the crate `rumphijack`).
//!
//! In the foreground the front is `labctl` itself: it stands in the terminal's foreground with the program, is stopped when the program
//! is, and ends with its status. The supervisor is this program again, under another name: it must go on serving while the front
//! is stopped, and ends the program when the front is killed. On a node, it is the supervisor there that starts it. [`captured`] is the same without a terminal.

use super::fault::Fault;
use super::rundir::NodeDir;
use super::{own, supervisors};
use nix::sys::signal::{SigSet, Signal};
use rumphijack::Report;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal as Kill, kill_process, pidfd_open};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What Ctrl-C and Ctrl-Z send to the whole foreground group: the program takes them, the front follows it.
fn terminal_signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU])
}

/// The command that becomes the supervisor of `command` on a node; it reports to `report`.
pub fn supervisor(node: &NodeDir, report: &Path, command: &[OsString]) -> Command {
    let mut supervisor = Command::new(own::program());
    supervisor.arg0(rumphijack::ARGV0).arg(node.sysproxy()).arg(report).args(command);
    supervisor.envs(supervisors::environment(node));
    supervisor
}

fn os(what: &'static str) -> impl FnOnce(Errno) -> Fault {
    move |error| Fault::os(what)(std::io::Error::from(error))
}

/// What a supervisor reports, line by line.
struct Reports {
    pipe: File,
    /// What the supervisor's path leads to.
    _writer: OwnedFd,
    partial: Vec<u8>,
    /// Readable once the supervisor has ended.
    ended: OwnedFd,
}

impl Reports {
    /// Has `begin` start the supervisor of `command`: its process, and what is to be returned with the reports.
    fn start<T>(
        node: &NodeDir,
        command: &[OsString],
        begin: impl FnOnce(Command) -> Result<(Pid, T), Fault>,
    ) -> Result<(Reports, T), Fault> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(os("make a pipe"))?;
        // By this path the supervisor opens it: nothing needs to be inherited.
        let report = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd()));
        let (process, with) = begin(supervisor(node, &report, command))?;
        let ended = pidfd_open(process, PidfdFlags::empty()).map_err(os("start a program"))?;
        Ok((Reports { pipe: File::from(reader), _writer: writer, partial: Vec::new(), ended }, with))
    }

    /// Waits for a report, for something in `others`, or until the time is over. False: the supervisor has ended, all is said.
    fn wait(&self, others: &[&File], until: Option<Instant>) -> Result<bool, Fault> {
        let mut fds = vec![PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.ended, PollFlags::IN)];
        fds.extend(others.iter().map(|file| PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(os("wait for a program")(error)),
        }
        let says = fds[0].revents().contains(PollFlags::IN);
        Ok(says || !fds[1].revents().contains(PollFlags::IN))
    }

    /// Takes what there is to read; nothing, if there is nothing.
    fn read(&mut self) -> Result<(), Fault> {
        let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if fds[0].revents().contains(PollFlags::IN) {
            let mut room = [0; 4096];
            let count = self.pipe.read(&mut room).map_err(Fault::os("read what became of a program"))?;
            self.partial.extend_from_slice(&room[..count]);
        }
        Ok(())
    }

    /// The next report that has come.
    fn next(&mut self) -> Result<Option<Report>, Fault> {
        let Some(end) = self.partial.iter().position(|octet| *octet == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.partial.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        Report::parse(&line).map(Some).ok_or_else(|| Fault::Exec(format!("its supervisor says {line:?}")))
    }
}

/// Runs `command` in the foreground until it ends. The last thing that its supervisor reports.
///
/// # Errors
/// There can be no supervisor, or it ended without a word.
pub fn foreground(
    node: &NodeDir,
    command: &[OsString],
    environment: &[(String, OsString)],
) -> Result<Report, Fault> {
    let _ = terminal_signals().thread_block();
    let (mut reports, ()) = Reports::start(node, command, |mut supervisor| {
        supervisor.envs(environment.iter().map(|(name, value)| (name, value)));
        // Behind the filter of a program on a node there can be no supervisor: that program's own starts it.
        if std::env::var_os(supervisors::NODE_DIR).is_some()
            && let Some(process) = rumphijack::hand_over(&supervisor).map_err(os("start a program"))?
        {
            return Ok((numbered(process)?, ()));
        }
        let child = supervisor.spawn().map_err(Fault::os("start a program"))?;
        Ok((numbered(child.id())?, ()))
    })?;
    let mut program = None;
    loop {
        while let Some(report) = reports.next()? {
            match report {
                Report::Began(pid) => program = Pid::from_raw(pid),
                Report::Stopped => {
                    let _ = kill_process(rustix::process::getpid(), Kill::STOP);
                    // A shell is in a group of its own: who continues ours does not reach it.
                    if let Some(program) = program {
                        let _ = kill_process(program, Kill::CONT);
                    }
                }
                Report::Ended(_) | Report::NotExecuted { .. } | Report::NoNode(_) | Report::Refused(_) => {
                    return Ok(report);
                }
            }
        }
        if !reports.wait(&[], None)? {
            return Err(Fault::Exec("its supervisor ended without a word".to_owned()));
        }
        reports.read()?;
    }
}

/// Starts `command` and leaves it to itself; it ends with its node. What it writes goes to the end of `log`.
///
/// # Errors
/// There can be no supervisor, or no log.
pub fn detached(node: &NodeDir, command: &[OsString], log: &Path) -> Result<(), Fault> {
    let file = File::options().append(true).create(true).open(log).map_err(Fault::io("open", log))?;
    let other = file.try_clone().map_err(Fault::io("open", log))?;
    let mut supervisor = supervisor(node, Path::new("/dev/null"), command);
    supervisor.stdin(Stdio::null()).stdout(file).stderr(other).process_group(0);
    supervisor.spawn().map(drop).map_err(Fault::os("start a program"))
}

/// What a program did that nobody watched.
#[derive(Debug, Default)]
pub struct Captured {
    /// How it ended; `None`: it was still at its work when it had to end.
    pub report: Option<Report>,
    /// What it wrote to its standard output, and is text.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// How often is asked whether there is to be an end.
const TICK: Duration = Duration::from_millis(20);

/// Octets of a stream that are kept; what a program writes beyond them is read and forgotten.
const KEPT: usize = 16 << 20;

/// Runs `command` to its end, at most until `until` or until `cut` says so. What it leaves behind is ended, too.
///
/// # Errors
/// There can be no supervisor, or it ended without a word.
pub fn captured(
    node: &NodeDir,
    command: &[OsString],
    until: Option<Instant>,
    cut: impl Fn() -> bool,
) -> Result<Captured, Fault> {
    let (mut reports, mut child) = Reports::start(node, command, |mut supervisor| {
        supervisor.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = supervisor.spawn().map_err(Fault::os("start a program"))?;
        Ok((numbered(child.id())?, child))
    })?;
    let nonblocking = |fd: OwnedFd| {
        rustix::io::ioctl_fionbio(&fd, true).map_err(os("read what a program writes"))?;
        Ok(Some(File::from(fd)))
    };
    let mut streams = [
        child.stdout.take().map_or(Ok(None), |pipe| nonblocking(pipe.into()))?,
        child.stderr.take().map_or(Ok(None), |pipe| nonblocking(pipe.into()))?,
    ];
    let mut texts = [Vec::new(), Vec::new()];
    let mut last = None;
    while last.is_none() {
        if cut() || until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let open: Vec<&File> = streams.iter().flatten().collect();
        let tick = Instant::now() + TICK;
        let goes_on = reports.wait(&open, Some(until.map_or(tick, |until| until.min(tick))))?;
        reports.read()?;
        while let Some(report) = reports.next()? {
            match report {
                Report::Began(_) | Report::Stopped => {}
                Report::Ended(_) | Report::NotExecuted { .. } | Report::NoNode(_) | Report::Refused(_) => {
                    last = Some(report);
                }
            }
        }
        // After the report: what was written before the end is there.
        for (stream, text) in streams.iter_mut().zip(&mut texts) {
            if stream.as_mut().is_some_and(|stream| drain(stream, text)) {
                *stream = None;
            }
        }
        if !goes_on && last.is_none() {
            return Err(Fault::Exec("its supervisor ended without a word".to_owned()));
        }
    }
    let _ = numbered(child.id()).map(|pid| kill_process(pid, Kill::TERM));
    let _ = child.wait();
    let [stdout, stderr] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(Captured { report: last, stdout, stderr })
}

/// Reads what there is; true: there will be no more.
fn drain(stream: &mut File, text: &mut Vec<u8>) -> bool {
    let mut room = [0; 65536];
    loop {
        match stream.read(&mut room) {
            Ok(0) => return true,
            Ok(count) => {
                let kept = count.min(KEPT - text.len());
                text.extend_from_slice(&room[..kept]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

fn numbered(process: u32) -> Result<Pid, Fault> {
    Pid::from_raw(i32::try_from(process).unwrap_or(0))
        .ok_or_else(|| Fault::Exec("it has no process number".to_owned()))
}
