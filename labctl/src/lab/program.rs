//! The topology's programs: started in their order, waited for, and what became of them.
//!
//! Each has a supervisor in the background and a directory in the lab's: what it wrote, and the supervisor's report. Whether it is
//! ready its node is asked, or its log is read; nothing is connected to.

use super::exec;
use super::fault::Fault;
use super::interrupt::Interrupt;
use super::judge::{SHOWN_LINES, ending, judge, last_lines};
use super::node;
use super::process::{Identity, Life};
use super::rundir::{LabDir, ProgramDir};
use super::state::LabState;
use super::supervisors;
use crate::topology::model::{Program, ReadyWhen};
use rumphijack::{Report, Status};
use rumpkern::ctl::proto::Table;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a program may take to begin, which takes milliseconds.
const BEGIN_WAIT: Duration = Duration::from_secs(20);

/// Pauses between looks at what programs do: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Octets of a log's end in which its last lines are looked for.
const TAIL: u64 = 16 << 10;

/// Starts programs, each after those that it names, and waits until all are ready; those with an end to be expected are waited for
/// if others come after them. Programs that are named and not among these count as ready.
///
/// # Errors
/// One does not begin, is not ready in time or ends before it is; the person interrupts, or `deadline` passes.
pub fn start(
    dir: &LabDir,
    programs: &[&Program],
    interrupt: &Interrupt,
    deadline: Option<Instant>,
) -> Result<(), Fault> {
    let mut runs: Vec<Run<'_>> = programs.iter().map(|program| Run::new(dir, program)).collect();
    let mut pause = PAUSE.0;
    while runs.iter().any(|run| !run.is_ready()) {
        let before: Vec<Stage> = runs.iter().map(|run| run.stage).collect();
        for index in 0..runs.len() {
            let program = runs[index].program;
            let is_relied_on =
                |name: &String| runs.iter().all(|other| other.program.name != *name || other.is_relied_on());
            let goes_on = match runs[index].stage {
                Stage::Waiting => program.after.iter().all(is_relied_on),
                Stage::Begun => true,
                // How it ends is of interest to those that come after it.
                Stage::Ready => runs.iter().any(|other| other.program.after.contains(&program.name)),
                Stage::Done => false,
            };
            if goes_on {
                runs[index].go_on()?;
            }
        }
        if before.iter().zip(&runs).any(|(before, run)| *before != run.stage) {
            pause = PAUSE.0;
            continue;
        }
        if let Some(slow) = runs.iter().find(|run| !run.is_ready())
            && deadline.is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(slow.fault("is not ready, and the time is over".into()));
        }
        if !interrupt.sleep(pause)? {
            return Err(Fault::Interrupted);
        }
        pause = (pause * 2).min(PAUSE.1);
    }
    Ok(())
}

/// How far a program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// For others.
    Waiting,
    /// Its supervisor is started.
    Begun,
    /// Its sign was seen.
    Ready,
    /// It has ended as it was to.
    Done,
}

/// A program that is being started.
struct Run<'a> {
    lab: &'a LabDir,
    dir: ProgramDir,
    program: &'a Program,
    stage: Stage,
    supervisor: Option<Identity>,
    begin: Instant,
    /// Octets of its log that are of earlier runs.
    said_before: u64,
}

impl<'a> Run<'a> {
    fn new(lab: &'a LabDir, program: &'a Program) -> Self {
        let (dir, begin) = (lab.program(&program.name), Instant::now());
        Self { lab, dir, program, stage: Stage::Waiting, supervisor: None, begin, said_before: 0 }
    }

    fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Done)
    }

    /// Whether programs after it may begin.
    fn is_relied_on(&self) -> bool {
        match self.stage {
            Stage::Waiting | Stage::Begun => false,
            Stage::Ready => self.program.expect.is_none(),
            Stage::Done => true,
        }
    }

    fn go_on(&mut self) -> Result<(), Fault> {
        match self.stage {
            Stage::Waiting => {
                self.spawn()?;
                self.stage = Stage::Begun;
            }
            Stage::Begun => self.await_ready()?,
            Stage::Ready => {
                if let (Some(expect), Some(report)) = (&self.program.expect, Record::of(&self.dir).ended) {
                    let (stdout, stderr) = output(&self.dir);
                    judge(expect, &report, &stdout, &stderr).map_err(|what| Fault::Program {
                        program: self.program.name.clone(),
                        node: self.program.node.clone(),
                        what,
                        said: Vec::new(),
                    })?;
                    self.stage = Stage::Done;
                }
            }
            Stage::Done => {}
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<(), Fault> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.dir.path())
            .map_err(Fault::io("create", self.dir.path()))?;
        open(&self.dir.report(), Begin::Anew)?;
        let (stdout, stderr) = if is_judged_by_text(self.program) {
            (open(&self.dir.stdout(), Begin::Anew)?, open(&self.dir.stderr(), Begin::Anew)?)
        } else {
            let log = open(&self.dir.log(), Begin::AtTheEnd)?;
            self.said_before = log.metadata().map_or(0, |meta| meta.len());
            let other = log.try_clone().map_err(Fault::io("open", &self.dir.log()))?;
            (log, other)
        };
        let command: Vec<OsString> = self.program.cmd.iter().map(Into::into).collect();
        let mut supervisor =
            exec::supervisor(&self.lab.node(&self.program.node), &self.dir.report(), &command);
        supervisor.envs(&self.program.env).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        if let Some(dir) = &self.program.dir {
            supervisor.current_dir(dir);
        }
        let child = supervisor.spawn().map_err(Fault::os("start a program"))?;
        self.supervisor = Identity::of(child.id().cast_signed()).map(|(id, _)| id);
        self.begin = Instant::now();
        Ok(())
    }

    fn await_ready(&mut self) -> Result<(), Fault> {
        // In this order: one that ends in the middle of it is seen to be ready, or to have ended.
        let gone = self.supervisor.is_none_or(|id| id.life() == Life::Dead);
        let record = Record::of(&self.dir);
        let sign = match &self.program.ready {
            None => record.pid.is_some(),
            Some(ready) => record.pid.is_some() && self.shows(&ready.when)?,
        };
        if sign {
            self.stage = Stage::Ready;
            return Ok(());
        }
        match &record.ended {
            // What it left behind may still become ready.
            Some(Report::Ended(Status::Exited(0))) if !gone => {}
            Some(Report::Refused(why)) => return Err(super::doctor::no_programs(why)),
            Some(report @ Report::Ended(_)) => {
                return Err(self.fault(format!("{} before it was ready", ending(report))));
            }
            Some(report) => return Err(self.fault(ending(report))),
            None if gone => return Err(self.fault("has no supervisor any more".into())),
            None => {}
        }
        let (within, slow) = match &self.program.ready {
            Some(ready) => {
                (ready.within.0, format!("is not ready in {}: {}", ready.within, wanted(&ready.when)))
            }
            None => (BEGIN_WAIT, "does not begin".into()),
        };
        if self.begin.elapsed() >= within { Err(self.fault(slow)) } else { Ok(()) }
    }

    /// Whether the sign is there that others may rely on it.
    fn shows(&self, sign: &ReadyWhen) -> Result<bool, Fault> {
        let (proto, port) = match sign {
            ReadyWhen::Tcp(port) => ("tcp", *port),
            ReadyWhen::Udp(port) => ("udp", *port),
            ReadyWhen::Log(pattern) => return Ok(self.wrote(pattern)),
        };
        let name = &self.program.node;
        let rows = node::open(self.lab, name)?
            .show(Table::Sockets)
            .map_err(|error| node::fault(self.lab.name(), name, error))?;
        let local = |row: &serde_json::Value| row["local"].as_str()?.rsplit(':').next()?.parse::<u16>().ok();
        Ok(rows.iter().any(|row| {
            row["proto"] == proto
                && local(row) == Some(port)
                && (proto == "udp" || row["state"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("listen")))
        }))
    }

    /// Whether a line of what it wrote matches.
    fn wrote(&self, pattern: &str) -> bool {
        let Ok(pattern) = regex::Regex::new(pattern) else { return false };
        [(self.dir.log(), self.said_before), (self.dir.stdout(), 0), (self.dir.stderr(), 0)]
            .into_iter()
            .any(|(path, from)| text_from(&path, from).lines().any(|line| pattern.is_match(line)))
    }

    fn fault(&self, what: String) -> Fault {
        Fault::Program {
            program: self.program.name.clone(),
            node: self.program.node.clone(),
            what,
            said: last_words(&self.dir),
        }
    }
}

/// The sign that was waited for, in words.
fn wanted(sign: &ReadyWhen) -> String {
    match sign {
        ReadyWhen::Tcp(port) => format!("nothing listens on TCP port {port}"),
        ReadyWhen::Udp(port) => format!("nothing has UDP port {port}"),
        ReadyWhen::Log(pattern) => format!("it wrote no line that matches {pattern:?}"),
    }
}

/// Whether standard output and error have to be told apart.
fn is_judged_by_text(program: &Program) -> bool {
    program.expect.as_ref().is_some_and(|expect| !expect.stdout.is_any() || !expect.stderr.is_any())
}

/// Where a file is written from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Anew,
    AtTheEnd,
}

fn open(path: &Path, begin: Begin) -> Result<File, Fault> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(Fault::io("open", path))?;
    if begin == Begin::Anew {
        file.set_len(0).map_err(Fault::io("write", path))?;
    }
    Ok(file)
}

/// What a program's supervisor has reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The program's process, once it began.
    pub pid: Option<i32>,
    /// How it ended, or why it did not begin.
    pub ended: Option<Report>,
}

impl Record {
    /// As it is now.
    pub fn of(dir: &ProgramDir) -> Record {
        let text = fs::read_to_string(dir.report()).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut record = Record::default();
        for report in whole.lines().filter_map(Report::parse) {
            match report {
                Report::Began(pid) => record.pid = Some(pid),
                Report::Stopped => {}
                Report::Ended(_) | Report::NotExecuted { .. } | Report::Refused(_) => {
                    record.ended = Some(report)
                }
                // Then it is ended, which is not how it ended.
                Report::NoNode(_) => record.ended = record.ended.or(Some(report)),
            }
        }
        record
    }
}

/// What a program wrote, standard output and error; of one that is not judged by them both as they came.
pub fn output(dir: &ProgramDir) -> (String, String) {
    if dir.log().exists() {
        return (text_from(&dir.log(), 0), String::new());
    }
    (text_from(&dir.stdout(), 0), text_from(&dir.stderr(), 0))
}

/// The last lines that a program wrote.
pub fn last_words(dir: &ProgramDir) -> Vec<String> {
    let mut lines = Vec::new();
    for path in [dir.log(), dir.stdout(), dir.stderr()] {
        let length = fs::metadata(&path).map_or(0, |meta| meta.len());
        lines.extend(last_lines(&text_from(&path, length.saturating_sub(TAIL)), SHOWN_LINES));
    }
    lines
}

fn text_from(path: &Path, from: u64) -> String {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut octets)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&octets).into_owned(),
        Err(_) => String::new(),
    }
}

/// What a program does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs.
    Running,
    /// It has ended, and what it left behind runs.
    Background,
    /// It has ended, or never began.
    Ended(Report),
    /// Its supervisor is gone without a word.
    Dead,
}

impl Doing {
    /// In one word, or two.
    pub const fn word(&self) -> &'static str {
        match self {
            Doing::Running => "running",
            Doing::Background => "background",
            Doing::Ended(Report::Ended(Status::Exited(_))) => "exited",
            Doing::Ended(Report::Ended(Status::Signalled(_))) => "signalled",
            Doing::Ended(Report::NotExecuted { .. }) => "not executed",
            Doing::Ended(_) | Doing::Dead => "dead",
        }
    }
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())?;
        match self {
            Doing::Ended(Report::Ended(Status::Exited(code))) => write!(f, " {code}"),
            Doing::Ended(Report::Ended(Status::Signalled(signal))) => write!(f, " {signal}"),
            Doing::Running | Doing::Background | Doing::Ended(_) | Doing::Dead => Ok(()),
        }
    }
}

/// A program on a node, as `ps` shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name in the topology; of one that was started by hand its own.
    pub name: String,
    /// Whether the topology has it.
    pub in_topology: bool,
    /// Its node.
    pub node: String,
    /// What it does.
    pub doing: Doing,
    /// Its process; of one that was started by hand its supervisor's.
    pub pid: Option<i32>,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// The programs of a lab: those of the topology, then those that were started by hand and live.
pub fn list(dir: &LabDir, state: &LabState) -> Vec<Shown> {
    let live = supervisors::scan(dir.path());
    let of_topology = state.programs.iter().map(|program| {
        let record = Record::of(&dir.program(&program.name));
        let lives = live.iter().any(|one| one.program_of(dir) == Some(&program.name));
        let doing = match (record.ended, lives) {
            (None, true) => Doing::Running,
            (Some(_), true) => Doing::Background,
            (Some(report), false) => Doing::Ended(report),
            (None, false) => Doing::Dead,
        };
        Shown {
            name: program.name.clone(),
            in_topology: true,
            node: program.node.clone(),
            pid: record.pid.filter(|_| doing == Doing::Running),
            doing,
            command: program.cmd.clone(),
        }
    });
    let by_hand = live.iter().filter(|one| one.program_of(dir).is_none()).filter_map(|one| {
        let command: Vec<_> = one.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let name = Path::new(&command[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let node = one.node_of(dir)?.to_owned();
        let (in_topology, doing, pid) = (false, Doing::Running, Some(one.id.pid));
        Some(Shown { name, in_topology, node, doing, pid, command })
    });
    of_topology.chain(by_hand).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rundir::RunRoot;
    use super::*;

    #[test]
    fn a_record_is_what_was_said_last_and_whole() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("a").program("web");
        fs::create_dir_all(dir.path()).unwrap();
        assert_eq!(Record::of(&dir), Record::default());
        let exited = Some(Report::Ended(Status::Exited(3)));
        let gone = Some(Report::NoNode("it is gone".into()));
        for (text, pid, ended) in [
            ("began 7\n", Some(7), None),
            ("began 7\nstopped\nexited 3\n", Some(7), exited.clone()),
            ("began 7\nexited 3", Some(7), None),
            (
                "began 7\nno-node it is gone\nsignalled 15\n",
                Some(7),
                Some(Report::Ended(Status::Signalled(15))),
            ),
            ("began 7\nexited 3\nno-node it is gone\n", Some(7), exited),
            ("no-node it is gone\n", None, gone),
        ] {
            fs::write(dir.report(), text).unwrap();
            assert_eq!(Record::of(&dir), Record { pid, ended }, "{text:?}");
        }
    }
}
