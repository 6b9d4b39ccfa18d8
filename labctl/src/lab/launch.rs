//! `up`: from a plan to a lab whose every node said that it is ready.
//!
//! A node is this very program executed again as `rumpkern CONFIG`. Its standard output is one pipe that all of them
//! share: each writes one line, `NAME ready` or `NAME error MESSAGE`, and lets go of it; its standard error is its log.
//! So `up` waits on one descriptor, and a node that dies without a word ends the pipe instead of the patience.
//! Then come the topology's programs ([`program`]). Whatever goes wrong, everything that was started is ended and nothing stays on disk.

use super::fault::Fault;
use super::interrupt::{Interrupt, Woken};
use super::lock::LabLock;
use super::plan::Plan;
use super::process::{self, ARGV0, How, Identity};
use super::rundir::{LabDir, NodeDir};
use super::state::{BusState, Phase, write_whole};
use super::{limits, own, program, supervisors, view};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long no node at all may become ready before those that are missing are given up. A node takes milliseconds; a
/// host that is busy with other things may need a while.
const READY_WAIT: Duration = Duration::from_secs(20);

/// Octets of disk that a bus and a node take at birth: header pages, config, log.
const BIRTH_OCTETS: u64 = 64 << 10;

/// Failures that are shown; a thousand nodes fail for the same reason.
const SHOWN_FAILURES: usize = 5;

/// Starts a lab and waits until every node is ready, then its programs; these at most until `deadline`. `progress` is told
/// how many nodes are.
///
/// # Errors
/// The lab is there already, the host refuses, a node or a program fails, or the person interrupts; then nothing is left.
pub fn up(
    dir: &LabDir,
    plan: &Plan,
    topology_text: &[u8],
    interrupt: &Interrupt,
    deadline: Option<Instant>,
    mut progress: impl FnMut(usize),
) -> Result<(), Fault> {
    supervisors::outside()?;
    limits::raise_soft();
    limits::check(plan.nodes.len(), plan.nodes.iter().map(|node| node.interfaces.len()).max().unwrap_or(0))?;
    let _lock = claim(dir)?;
    let mut children = Vec::new();
    let result = write(dir, plan, topology_text)
        .and_then(|()| start_all(dir, plan, interrupt, &mut children, &mut progress))
        .and_then(|()| {
            program::start(dir, &plan.state.programs.iter().collect::<Vec<_>>(), interrupt, deadline)
        })
        .and_then(|()| {
            let mut state = plan.state.clone();
            state.phase = Phase::Up;
            state.save(dir)
        });
    result.inspect_err(|_| {
        let ids: Vec<_> = children
            .iter()
            .filter_map(|child| Identity::of(child.id().cast_signed()))
            .map(|(id, _)| id)
            .collect();
        // The first fault is the one to tell, also if clearing away fails too: `gc` finds what is left.
        let _ = supervisors::end(dir, |_| true);
        let _ = process::end(&ids, How::Clean(process::GRACE));
        let _ = dir.remove();
    })
}

/// Makes the lab's directory ours, or says why it cannot be.
fn claim(dir: &LabDir) -> Result<LabLock, Fault> {
    let lab = || dir.name().to_owned();
    loop {
        dir.create()?;
        let Some(lock) = LabLock::take(dir, Duration::ZERO)? else { continue };
        match view::Presence::of(dir)? {
            view::Presence::There(there) => {
                let nodes = there.state.nodes.len();
                return Err(match there.running() {
                    0 => Fault::Dead { lab: lab(), nodes },
                    running => Fault::AlreadyRunning { lab: lab(), running, nodes },
                });
            }
            view::Presence::Half { processes } => {
                let fresh = processes.is_empty() && !dir.state_file().exists() && !dir.nodes().exists();
                if !fresh {
                    return Err(Fault::HalfUp { lab: lab() });
                }
                return Ok(lock);
            }
            view::Presence::Absent => {}
        }
    }
}

/// Everything that must be on disk before the first node.
fn write(dir: &LabDir, plan: &Plan, topology_text: &[u8]) -> Result<(), Fault> {
    // First of all: a `labctl` killed from here on has left a lab that says it is half up.
    plan.state.save(dir)?;
    let count = u64::try_from(plan.nodes.len() + plan.state.buses.len()).unwrap_or(u64::MAX);
    let need = count.saturating_mul(BIRTH_OCTETS);
    if let Some(free) = limits::free_octets(dir.path())
        && free < need
    {
        return Err(Fault::Space { need, free, path: dir.path().to_owned() });
    }
    write_whole(&dir.topology_copy(), topology_text)?;
    write_whole(&dir.hosts(), &json(&plan.hosts, &dir.hosts())?)?;
    for folder in [dir.buses(), dir.nodes()] {
        make_dir(&folder)?;
    }
    for bus in &plan.state.buses {
        create_bus(dir, plan, bus)?;
    }
    for config in &plan.nodes {
        let node = dir.node(&config.node);
        make_dir(node.path())?;
        let text = json(config, &node.config())?;
        // Not renamed into place: nobody reads it before the node is spawned.
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(node.config())
            .and_then(|mut file| io::Write::write_all(&mut file, &text))
            .map_err(Fault::io("write", &node.config()))?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize, path: &Path) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::io("write", path)(io::Error::from(error)))
}

fn create_bus(dir: &LabDir, plan: &Plan, bus: &BusState) -> Result<(), Fault> {
    let path = dir.bus(&bus.name);
    let mut config = shmif::BusConfig::new(&plan.state.lab, &bus.name);
    config.epoch = shmif::Epoch { unix_ns: plan.state.epoch.unix_ns, mono_ns: plan.state.epoch.mono_ns };
    config.history = bus.history;
    shmif::Bus::create(&path, &config).map(drop).map_err(|error| match error {
        shmif::CreateError::Io { doing, source, .. } => Fault::io(doing, &path)(source),
        other => Fault::io("create", &path)(io::Error::other(other)),
    })
}

fn make_dir(path: &Path) -> Result<(), Fault> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(Fault::io("create", path))
}

fn start_all(
    dir: &LabDir,
    plan: &Plan,
    interrupt: &Interrupt,
    children: &mut Vec<Child>,
    progress: &mut impl FnMut(usize),
) -> Result<(), Fault> {
    let names: Vec<&str> = plan.nodes.iter().map(|node| node.node.as_str()).collect();
    start_nodes(dir, &names, interrupt, children, progress)
}

/// Spawns nodes whose configs are written and waits until each is ready.
///
/// # Errors
/// One cannot be spawned, fails, or is not ready in time; `children` holds what lives.
pub fn start_nodes(
    dir: &LabDir,
    names: &[&str],
    interrupt: &Interrupt,
    children: &mut Vec<Child>,
    progress: &mut impl FnMut(usize),
) -> Result<(), Fault> {
    let program = own::program();
    let (ready, end) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Fault::os("make a pipe"))?;
    rustix::io::ioctl_fionbio(&ready, true).map_err(Fault::os("make a pipe"))?;
    let stop = AtomicBool::new(false);
    // A spawn is mostly exec, done by the child while its parent waits: two at once keep two processors busy.
    let half = names.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        let spawners: Vec<_> = names
            .chunks(half)
            .map(|names| {
                let (program, stop) = (&program, &stop);
                let end = end.try_clone();
                let spawn_all = move || -> (Vec<Child>, Result<(), Fault>) {
                    let mut spawned = Vec::with_capacity(names.len());
                    let result = end.map_err(Fault::os("make a pipe")).and_then(|end| {
                        for name in names {
                            if stop.load(Ordering::Relaxed) {
                                break;
                            }
                            spawned.push(spawn(program, &dir.node(name), &end)?);
                        }
                        Ok(())
                    });
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    (spawned, result)
                };
                std::thread::Builder::new().spawn_scoped(scope, spawn_all)
            })
            .collect();
        drop(end);
        let mut waiting = Readiness::new(names);
        let waited = waiting.wait(&ready, interrupt, progress);
        stop.store(true, Ordering::Relaxed);
        let mut spawned = Ok(());
        for spawner in spawners {
            let result = match spawner {
                Ok(spawner) => {
                    let Ok((started, result)) = spawner.join() else { continue };
                    children.extend(started);
                    result
                }
                Err(error) => Err(Fault::os("start a thread")(error)),
            };
            spawned = spawned.and(result);
        }
        spawned?;
        match waited? {
            Ended::AllReady => Ok(()),
            Ended::Interrupted => Err(Fault::Interrupted),
            Ended::TooLate => Err(waiting.fault(dir, "not ready in time")),
            Ended::Failed => Err(waiting.fault(dir, "it ended without a word")),
        }
    })
}

fn spawn(program: &Path, node: &NodeDir, ready: &OwnedFd) -> Result<Child, Fault> {
    let log = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(node.log())
        .map_err(Fault::io("open", &node.log()))?;
    let ready = ready.try_clone().map_err(Fault::os("make a pipe"))?;
    Command::new(program)
        .arg0(ARGV0)
        .arg(node.config())
        .stdin(Stdio::null())
        .stdout(ready)
        .stderr(log)
        .spawn()
        .map_err(Fault::os("start a process"))
}

/// Who is ready, and who said why not.
struct Readiness<'a> {
    waiting: BTreeMap<&'a str, ()>,
    failed: Vec<(String, String)>,
    partial: Vec<u8>,
    total: usize,
}

enum Ended {
    AllReady,
    Failed,
    TooLate,
    Interrupted,
}

impl<'a> Readiness<'a> {
    fn new(names: &[&'a str]) -> Self {
        Self {
            waiting: names.iter().map(|name| (*name, ())).collect(),
            failed: Vec::new(),
            partial: Vec::new(),
            total: names.len(),
        }
    }

    fn wait(
        &mut self,
        ready: &OwnedFd,
        interrupt: &Interrupt,
        progress: &mut impl FnMut(usize),
    ) -> Result<Ended, Fault> {
        let mut pipe = fs::File::from(ready.try_clone().map_err(Fault::os("make a pipe"))?);
        let mut chunk = [0; 4096];
        while !self.waiting.is_empty() {
            match interrupt.wait(Some(ready.as_fd()), Some(Instant::now() + READY_WAIT))? {
                Woken::Ready => {}
                Woken::Interrupted => return Ok(Ended::Interrupted),
                Woken::Timeout => return Ok(Ended::TooLate),
            }
            match pipe.read(&mut chunk) {
                // Everybody let go of it: those who have not spoken never will.
                Ok(0) => return Ok(Ended::Failed),
                Ok(count) => self.take(&chunk[..count]),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(Fault::os("read from the nodes")(error)),
            }
            progress(self.total - self.waiting.len());
            if !self.failed.is_empty() {
                return Ok(Ended::Failed);
            }
        }
        Ok(Ended::AllReady)
    }

    fn take(&mut self, octets: &[u8]) {
        self.partial.extend_from_slice(octets);
        while let Some(end) = self.partial.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let Some((name, rest)) = line.trim_end().split_once(' ') else { continue };
            if rest == "ready" {
                self.waiting.remove(name);
            } else if let Some(message) = rest.strip_prefix("error ") {
                self.waiting.remove(name);
                self.failed.push((name.to_owned(), message.to_owned()));
            }
        }
    }

    /// What to tell of those that failed, or else of those that are missing.
    fn fault(&self, dir: &LabDir, silent: &str) -> Fault {
        let mut failures = self.failed.clone();
        if failures.is_empty() {
            failures.extend(self.waiting.keys().map(|name| {
                let last = last_line(&dir.node(name).log());
                ((*name).to_owned(), last.unwrap_or_else(|| silent.to_owned()))
            }));
        }
        let more = failures.len().saturating_sub(SHOWN_FAILURES);
        failures.truncate(SHOWN_FAILURES);
        Fault::NodesFailed { failures, more }
    }
}

/// The last line of a log, from its last 4 KiB.
pub fn last_line(path: &Path) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    io::Seek::seek(&mut file, io::SeekFrom::Start(length.saturating_sub(4096))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::rundir::RunRoot;
    use super::*;

    #[test]
    fn ready_lines_in_any_pieces() {
        let mut readiness = Readiness::new(&["h1", "h2", "r1"]);
        for piece in ["h1 rea", "dy\nr1 ready", "\n\nnonsense\nx ready\n"] {
            readiness.take(piece.as_bytes());
        }
        assert_eq!(readiness.waiting.keys().collect::<Vec<_>>(), [&"h2"]);
        assert_eq!(readiness.failed, []);
        readiness.take(b"h2 error cannot attach eth0: no such bus\n");
        assert_eq!(readiness.failed, [("h2".to_owned(), "cannot attach eth0: no such bus".to_owned())]);
    }

    #[test]
    fn a_node_that_is_silent_is_quoted_from_its_log() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("a");
        dir.create().unwrap();
        fs::create_dir_all(dir.node("h1").path()).unwrap();
        fs::write(dir.node("h1").log(), "first\nthread 'main' panicked\n\n").unwrap();
        let text = Readiness::new(&["h1", "h2"]).fault(&dir, "not ready in time").to_string();
        assert!(text.contains("`h1`") && text.contains("thread 'main' panicked"), "{text}");
        assert!(text.contains("`h2`") && text.contains("not ready in time"), "{text}");
    }
}
