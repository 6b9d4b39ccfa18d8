//! Which processes are nodes, and how they are ended.
//!
//! A process is known by its pid *and* start time, so that a reused pid is never signalled. The nodes of a lab are found
//! by reading `/proc`: a process of ours whose `argv[0]` is `rumpkern` and whose one argument is a config path inside the
//! lab's directory. That needs no file that a `labctl` killed in the middle of `up` might not have written. A zombie has
//! no arguments any more and counts as dead; one that is in the middle of its exec has none yet, and is waited for.

use super::fault::Fault;
use super::rundir::LabDir;
use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first argument of every node's process.
pub const ARGV0: &str = "rumpkern";

/// How long a node may take to end after SIGTERM before it gets SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long the host may take to end what got SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How long all the processes that are in the middle of their exec are waited for, at one look.
pub(super) const EXEC_WAIT: Duration = Duration::from_millis(200);

/// One process, safe against reuse of its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The process number.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: ticks since the host booted.
    pub start: u64,
}

/// What the host says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs or sleeps.
    Running,
    /// SIGSTOP, or a debugger.
    Paused,
    /// No such process, or a zombie.
    Dead,
}

/// A node's process, as `/proc` shows it.
#[derive(Clone, Debug)]
pub struct NodeProcess {
    /// The process.
    pub id: Identity,
    /// Whether it runs.
    pub life: Life,
    /// Its argument.
    pub config: PathBuf,
}

impl NodeProcess {
    /// The node's name, if the process belongs to that lab.
    pub fn node_of(&self, lab: &LabDir) -> Option<&str> {
        let mut rest = self.config.strip_prefix(lab.nodes()).ok()?.components();
        let (node, file) = (rest.next()?, rest.next()?);
        (file.as_os_str() == "config.json" && rest.next().is_none()).then(|| node.as_os_str().to_str())?
    }
}

impl Identity {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<(Self, Life)> {
        let (start, life) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some((Self { pid, start }, life))
    }

    /// Whether it still lives.
    pub fn life(self) -> Life {
        match Self::of(self.pid) {
            Some((now, life)) if now == self => life,
            _ => Life::Dead,
        }
    }

    /// What a node's `pid` file says.
    pub fn from_pid_file(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, start) = text.trim_end().split_once(' ')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self { pid, start: start.parse().ok()? })
    }

    /// A descriptor of the process, if it still is the same.
    fn open(self) -> Option<OwnedFd> {
        let fd = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // First the descriptor, then the check: from here on it cannot become another process.
        (Self::of(self.pid)?.0 == self).then_some(fd)
    }
}

/// Start time and state of a `/proc/PID/stat` line. The command's name may hold spaces and parentheses.
fn parse_stat(line: &str) -> Option<(u64, Life)> {
    let mut fields = line[line.rfind(')')? + 1..].split_ascii_whitespace();
    let life = match fields.next()? {
        "T" | "t" => Life::Paused,
        "Z" | "X" | "x" => Life::Dead,
        _ => Life::Running,
    };
    // Field 3 was the state: 22 is the 19th after it.
    Some((fields.nth(18)?.parse().ok()?, life))
}

/// Every node's process of the current user below a directory: one lab's, or the run root's.
pub fn scan(below: &Path) -> Vec<NodeProcess> {
    let deadline = Instant::now() + EXEC_WAIT;
    let nodes = find(|process| {
        node_config(&arguments(process, deadline).ok()?).filter(|config| config.starts_with(below))
    });
    nodes.into_iter().map(|(id, life, config)| NodeProcess { id, life, config }).collect()
}

/// The living processes of the current user of which `known`, which is given their folders in `/proc`, knows something.
pub(super) fn find<T>(known: impl Fn(&Path) -> Option<T>) -> Vec<(Identity, Life, T)> {
    let own = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if !entry.metadata().is_ok_and(|meta| meta.uid() == own) {
            continue;
        }
        let Some(what) = known(&entry.path()) else { continue };
        if let Some((id, life)) = Identity::of(pid)
            && life != Life::Dead
        {
            found.push((id, life, what));
        }
    }
    found
}

/// The arguments of a process. In the middle of an exec it has a program but no arguments yet; a zombie, and a thread of
/// the kernel, has neither.
pub(super) fn arguments(process: &Path, deadline: Instant) -> std::io::Result<Vec<u8>> {
    loop {
        let cmdline = fs::read(process.join("cmdline"))?;
        if !cmdline.is_empty() || fs::read_link(process.join("exe")).is_err() || Instant::now() >= deadline {
            return Ok(cmdline);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The config path of a node's command line: exactly `rumpkern PATH`.
fn node_config(cmdline: &[u8]) -> Option<PathBuf> {
    let mut args = cmdline.strip_suffix(b"\0")?.split(|octet| *octet == 0);
    let (name, config) = (args.next()?, args.next()?);
    let config = Path::new(OsStr::from_bytes(config));
    (name == ARGV0.as_bytes() && args.next().is_none() && config.is_absolute()).then(|| config.to_owned())
}

/// The processes of a lab by node. Two of one node (a `start` that was killed) are both there.
pub fn of_lab(lab: &LabDir) -> BTreeMap<String, Vec<NodeProcess>> {
    let mut nodes: BTreeMap<String, Vec<NodeProcess>> = BTreeMap::new();
    for process in scan(lab.path()) {
        if let Some(node) = process.node_of(lab) {
            nodes.entry(node.to_owned()).or_default().push(process);
        }
    }
    nodes
}

/// How processes are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// SIGTERM, and SIGKILL to what is still there after the grace.
    Clean(Duration),
    /// SIGKILL at once.
    Kill,
}

/// Ends processes and waits until they are gone. Zombies of ours are reaped. Returns those that even SIGKILL does not end.
///
/// # Errors
/// The host gives no descriptors.
pub fn end(processes: &[Identity], how: How) -> Result<Vec<Identity>, Fault> {
    let room = usize::try_from(super::limits::soft_nofile().saturating_sub(64)).unwrap_or(usize::MAX).max(16);
    let mut left = Vec::new();
    for batch in processes.chunks(room) {
        left.extend(end_batch(batch, how)?);
    }
    Ok(left)
}

/// Stops a process (SIGSTOP) or lets it go on (SIGCONT).
///
/// # Errors
/// The host refuses.
pub fn pause(process: Identity, paused: bool) -> Result<(), Fault> {
    let signal = if paused { Signal::STOP } else { Signal::CONT };
    match process.open() {
        Some(fd) => {
            rustix::process::pidfd_send_signal(fd, signal).map_err(Fault::os("signal a process"))?;
        }
        // It is gone, and what is done to the dead is done.
        None => return Ok(()),
    }
    // A signal is taken when its receiver comes to it: whoever pauses a node and sends to it next sends to one that is paused.
    let deadline = Instant::now() + EXEC_WAIT;
    while paused && process.life() == Life::Running && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Waits until processes are gone that are about to be: one that got SIGKILL shows no arguments any more, but holds its
/// sockets until it is a zombie. Returns those that are still there.
///
/// # Errors
/// The host gives no descriptors.
pub fn await_end(processes: &[Identity], patience: Duration) -> Result<Vec<Identity>, Fault> {
    let (epoll, mut alive) = watch(processes)?;
    wait_gone(&epoll, &mut alive, patience)?;
    Ok(alive.into_values().map(|(id, _)| id).collect())
}

/// Processes by their keys in an epoll.
type Alive = BTreeMap<u64, (Identity, OwnedFd)>;

/// Those of the processes that live, to be waited for.
fn watch(processes: &[Identity]) -> Result<(OwnedFd, Alive), Fault> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Fault::os("wait for processes"))?;
    let mut alive = Alive::new();
    for (key, id) in (0_u64..).zip(processes) {
        if let Some(fd) = id.open() {
            epoll::add(&epoll, &fd, epoll::EventData::new_u64(key), epoll::EventFlags::IN)
                .map_err(Fault::os("wait for processes"))?;
            alive.insert(key, (*id, fd));
        }
    }
    Ok((epoll, alive))
}

fn end_batch(batch: &[Identity], how: How) -> Result<Vec<Identity>, Fault> {
    let (epoll, mut alive) = watch(batch)?;
    if let How::Clean(grace) = how {
        for (_, fd) in alive.values() {
            // A stopped process acts on SIGTERM only when it is continued.
            let _ = rustix::process::pidfd_send_signal(fd, Signal::TERM);
            let _ = rustix::process::pidfd_send_signal(fd, Signal::CONT);
        }
        wait_gone(&epoll, &mut alive, grace)?;
    }
    for (_, fd) in alive.values() {
        let _ = rustix::process::pidfd_send_signal(fd, Signal::KILL);
    }
    wait_gone(&epoll, &mut alive, KILL_WAIT)?;
    Ok(alive.into_values().map(|(id, _)| id).collect())
}

fn wait_gone(epoll: &OwnedFd, alive: &mut Alive, patience: Duration) -> Result<(), Fault> {
    let deadline = Instant::now() + patience;
    let mut events = Vec::with_capacity(256);
    while !alive.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let timeout = rustix::event::Timespec::try_from(left).map_err(|_| Fault::Usage("bad wait".into()))?;
        events.clear();
        match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(Fault::os("wait for processes")(error)),
        }
        for event in &events {
            if let Some((_, fd)) = alive.remove(&event.data.u64()) {
                // A child of ours (`up` that failed, `test`) is reaped; anybody else's gives ECHILD.
                let _ = rustix::process::waitid(
                    WaitId::PidFd(fd.as_fd()),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    fn sleeper(arg0: &str, script: &str) -> Child {
        Command::new("/bin/sh")
            .arg0(arg0)
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn id(child: &Child) -> Identity {
        Identity::of(child.id().cast_signed()).unwrap().0
    }

    #[test]
    fn stat_lines_with_strange_names() {
        let tail = "S 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2";
        assert_eq!(parse_stat(&format!("12 (a b) c) ) {tail}")), Some((987_654, Life::Running)));
        assert_eq!(parse_stat(&format!("12 (x) {}", tail.replacen('S', "T", 1))).unwrap().1, Life::Paused);
        assert_eq!(parse_stat(&format!("12 (x) {}", tail.replacen('S', "Z", 1))).unwrap().1, Life::Dead);
        for bad in ["", "12", "12 (x", "12 (x) S", "12 (x) S 1 2 3 0 -1 1 1 0 0 0 0 0 0 0 20 0 1 0 nine"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_node_s_command_line_is_one() {
        let yes = b"rumpkern\0/run/a/node/h1/config.json\0";
        assert_eq!(node_config(yes).unwrap(), Path::new("/run/a/node/h1/config.json"));
        for no in [
            &b""[..],
            b"rumpkern\0",
            b"rumpkern\0relative/config.json\0",
            b"rumpkern\0/a\0/b\0",
            b"vi\0/run/a/node/h1/config.json\0",
            b"rumpkern\0/a",
        ] {
            assert_eq!(node_config(no), None);
        }
    }

    #[test]
    fn a_config_belongs_to_one_lab_only() {
        let root = tempfile::tempdir().unwrap();
        let root = super::super::rundir::RunRoot::create_at(&root.path().join("run")).unwrap();
        let process =
            |config: PathBuf| NodeProcess { id: Identity { pid: 2, start: 0 }, life: Life::Running, config };
        let lab = root.lab("ab");
        assert_eq!(process(lab.node("h1").config()).node_of(&lab), Some("h1"));
        assert_eq!(process(lab.node("h1").config()).node_of(&root.lab("a")), None);
        assert_eq!(process(lab.node("h1").path().join("x/config.json")).node_of(&lab), None);
        assert_eq!(process(lab.path().join("config.json")).node_of(&lab), None);
    }

    #[test]
    fn a_pid_file_is_read_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for (text, want) in [
            ("12 99\n", Some(Identity { pid: 12, start: 99 })),
            ("12\n", None),
            ("-1 4\n", None),
            ("0 4\n", None),
            ("1 4\n", None),
            ("x y\n", None),
            ("", None),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Identity::from_pid_file(&path), want, "{text:?}");
        }
        assert_eq!(Identity::from_pid_file(&dir.path().join("none")), None);
    }

    #[test]
    fn ends_the_willing_the_stubborn_and_the_stopped() {
        let mut children = [
            sleeper("a", "exec sleep 100"),
            sleeper("b", "trap '' TERM; echo; exec sleep 100"),
            sleeper("c", "exec sleep 100"),
        ];
        // The trap is set once the line is there.
        let mut octet = [0];
        std::io::Read::read_exact(children[1].stdout.as_mut().unwrap(), &mut octet).unwrap();
        let ids: Vec<_> = children.iter().map(id).collect();
        rustix::process::kill_process(Pid::from_raw(ids[2].pid).unwrap(), Signal::STOP).unwrap();
        while ids[2].life() != Life::Paused {
            std::thread::yield_now();
        }
        let left = end(&ids, How::Clean(Duration::from_millis(300))).unwrap();
        assert_eq!(left, []);
        for (child, id) in children.iter_mut().zip(ids) {
            assert_eq!(id.life(), Life::Dead);
            // Reaped already: there is nothing left to wait for.
            assert!(child.try_wait().is_err());
        }
    }

    #[test]
    fn a_reused_pid_is_left_alone() {
        let mut child = sleeper("a", "exec sleep 100");
        let real = id(&child);
        let other = Identity { start: real.start + 1, ..real };
        assert_eq!(other.life(), Life::Dead);
        assert_eq!(end(&[other], How::Kill).unwrap(), []);
        assert_eq!(real.life(), Life::Running);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
