//! The program's processes: when the first ends and how, which are left, and how all of them are ended.
//!
//! The supervisor adopts what the program leaves behind (`PR_SET_CHILD_SUBREAPER`), so everything is its descendant.

use crate::supervisor::End;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal as Nix};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// How long processes may take to end when they are asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Pauses between looks at which processes are left, when they are to end.
const PAUSE: Duration = Duration::from_millis(20);

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
}

/// The signals that the supervisor takes as messages; the rest are the program's affair, whose group it shares.
pub(crate) fn signals() -> SigSet {
    SigSet::from_iter([
        Nix::SIGCHLD,
        Nix::SIGTERM,
        Nix::SIGINT,
        Nix::SIGQUIT,
        Nix::SIGHUP,
        Nix::SIGTSTP,
        Nix::SIGTTIN,
        Nix::SIGTTOU,
        Nix::SIGPIPE,
        Nix::SIGUSR1,
        Nix::SIGUSR2,
    ])
}

/// All of the program's processes.
pub(crate) struct Tree {
    first: Pid,
    signals: SignalFd,
    /// Told once how the first process ended, and each time it stops.
    told: Box<dyn FnMut(Change)>,
    ended: bool,
    ending: Option<Ending>,
}

/// The end of all processes, once it has begun.
struct Ending {
    begun: Instant,
    /// Those that have been asked to end.
    asked: BTreeSet<NonZeroI32>,
}

/// What happened to the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It ended.
    Ended(Status),
    /// It was stopped (SIGTSTP, SIGSTOP).
    Stopped,
}

impl Tree {
    /// `first` is a child of this process; [`signals`] are blocked.
    pub(crate) fn new(first: Pid, told: Box<dyn FnMut(Change)>) -> Result<Tree, Errno> {
        let signals = SignalFd::with_flags(&signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        let signals = signals.map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
        Ok(Tree { first, signals, told, ended: false, ending: None })
    }

    pub(crate) fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Reads the signals that came. `Some`: it is over.
    pub(crate) fn signalled(&mut self) -> Option<End> {
        let mut end = None;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Nix::try_from(signal.ssi_signo as i32) {
                Ok(Nix::SIGTERM) => self.begin_end(),
                Ok(Nix::SIGCHLD) if !self.reap() => end = Some(End::Done),
                // Ctrl-C and the like reach the program by itself.
                Ok(_) | Err(_) => {}
            }
        }
        end
    }

    /// Takes the ends of children; false: none is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((pid, status))) if pid == self.first => {
                    let change = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Change::Ended(Status::Exited(code)),
                        (None, Some(signal)) => Change::Ended(Status::Signalled(signal)),
                        (None, None) => Change::Stopped,
                    };
                    self.ended |= change != Change::Stopped;
                    (self.told)(change);
                }
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// From now on all processes are to end. Their calls are to be served until they have: a program may have much to do at its end.
    pub(crate) fn begin_end(&mut self) {
        self.ending.get_or_insert_with(|| Ending { begun: Instant::now(), asked: BTreeSet::new() });
    }

    /// Nobody reads how the program ends. If it has not, it is to; what it left behind is nobody's.
    pub(crate) fn unfollowed(&mut self) {
        if !self.ended {
            self.begin_end();
        }
    }

    /// When [`Tree::go_on`] is to be called next, if it is.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.ending.as_ref().map(|_| PAUSE)
    }

    /// Goes on ending processes, if that has begun: asks each, and after a while does not ask.
    pub(crate) fn go_on(&mut self) {
        let Some(ending) = &mut self.ending else { return };
        let over = ending.begun.elapsed() >= GRACE;
        for Process { pid, terminal } in descendants() {
            if over {
                let _ = kill_process(pid, Signal::KILL);
            } else if ending.asked.insert(pid.as_raw_nonzero()) {
                let _ = kill_process(pid, Signal::TERM);
                // An interactive shell goes only when its terminal does.
                if terminal {
                    let _ = kill_process(pid, Signal::HUP);
                }
                // One that is stopped would not hear it.
                let _ = kill_process(pid, Signal::CONT);
            }
        }
    }

    /// Ends all processes, whose calls nobody serves any more.
    pub(crate) fn end(&mut self) {
        self.begin_end();
        // First: how the program ended is to be told.
        while self.reap() {
            self.go_on();
            let mut fds = [rustix::event::PollFd::new(&self.signals, rustix::event::PollFlags::IN)];
            let pause = rustix::time::Timespec::try_from(PAUSE).ok();
            let _ = rustix::event::poll(&mut fds, pause.as_ref());
            while let Ok(Some(_)) = self.signals.read_signal() {}
        }
    }
}

/// The inodes of all sockets that the program's processes hold.
pub(crate) fn sockets() -> BTreeSet<u64> {
    let mut sockets = BTreeSet::new();
    for Process { pid, .. } in descendants() {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            sockets.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
        }
    }
    sockets
}

/// A process below this one.
struct Process {
    pid: Pid,
    /// It has one.
    terminal: bool,
}

/// Every process below this one.
fn descendants() -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?)) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The second field may hold anything, but ends at the last parenthesis: then state, parent, group, session, terminal.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        if let [state, parent, _, _, terminal, ..] = fields[..]
            && let Ok(parent) = parent.parse()
            && state != "Z"
        {
            children.entry(parent).or_default().push(Process { pid, terminal: terminal != "0" });
        }
    }
    let mut found = Vec::new();
    let mut next = vec![std::process::id() as i32];
    while let Some(parent) = next.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            next.push(child.pid.as_raw_nonzero().get());
            found.push(child);
        }
    }
    found
}
