//! `labctl test [FILE…]`: each topology comes up in a place of its own, is checked, and goes down.

mod explore;
mod watch;

use super::{Exit, Failure, Global, Output};
use crate::lab::fault::Fault;
use crate::lab::interrupt::Interrupt;
use crate::lab::plan;
use crate::lab::test::{self, CheckReport, LabReport, Options, Watcher};
use crate::topology::model::{Lab, Mode};
use crate::topology::render::plural;
use crate::ui::Progress;
use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topology files, instead of the one that -t names or that is found
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Processes and the host's clock (default)
    #[arg(long, conflicts_with = "virtual_time")]
    live: bool,
    /// All nodes in one process, in virtual time
    #[arg(long = "virtual")]
    virtual_time: bool,
    /// Seed of the lab's randomness
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
    /// Run each so many times; in virtual time with so many seeds, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Look for bad luck in virtual time: so many seeds, and faults of the topology's [[fault]]s with each; what makes a check fail is
    /// made as small as it may be
    #[arg(long, value_name = "N", conflicts_with_all = ["repeat", "live"], value_parser = clap::value_parser!(u32).range(1..))]
    explore: Option<u32>,
    /// Further [[event]]s, as --explore writes them
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Labs in virtual time at once, with --repeat and --explore (default: one a core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the results as the Test Anything Protocol has them
    #[arg(long, conflicts_with_all = ["json", "explore"])]
    tap: bool,
    /// Test again whenever a topology changes, until Ctrl-C
    #[arg(long, conflicts_with = "junit")]
    watch: bool,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Keep the captures of every bus also when all is well
    #[arg(long)]
    keep: bool,
    /// Folder for what is kept
    #[arg(long, value_name = "DIR", default_value = "labctl-captures")]
    captures: PathBuf,
    /// The whole of one lab takes at most so many seconds
    #[arg(long, value_name = "S", default_value_t = 300.0)]
    timeout: f64,
}

/// 0 stands for no seed in a topology: a run with it could not be repeated.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("0 stands for a random seed: leave --seed out for one".into()),
        Ok(seed) => Ok(seed),
        Err(error) => Err(format!("a seed is a number from 1 to {}: {error}", u64::MAX)),
    }
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let Ok(timeout) = Duration::try_from_secs_f64(args.timeout) else {
        return Err(Failure::usage("--timeout is no time", None));
    };
    let options = Options { keep: args.keep, timeout, artifacts: args.captures.clone() };
    let files = if args.files.is_empty() { vec![global.topology_file()?] } else { args.files.clone() };
    let interrupt = Interrupt::catch()?;
    let cx = Cx { args: &args, options: &options, interrupt: &interrupt, global };
    if args.watch {
        return watch::run(&files, &interrupt, || cx.all(&files, out));
    }
    Ok(cx.all(&files, out)?.0)
}

impl Cx<'_> {
    /// All files: what came of them, and whether the person ended it.
    fn all(&self, files: &[PathBuf], out: &mut Output) -> Result<(Exit, bool), Failure> {
        let begin = Instant::now();
        let mut tally = Tally { exit: Exit::Done, reports: Vec::new(), broken: Vec::new() };
        let ended = |tally: &Tally| tally.reports.last().is_some_and(|report| report.interrupted);
        for file in files {
            if let Err(failure) = self.file(file, &mut tally, out) {
                out.failure(&failure);
                tally.broken.push((file.clone(), failure.to_string()));
                tally.exit = worse(tally.exit, failure.exit());
            }
            if ended(&tally) {
                break;
            }
        }
        if let Some(path) = &self.args.junit {
            let xml = test::junit(&tally.reports, &tally.broken);
            std::fs::write(path, xml).map_err(Fault::io("write", path))?;
        }
        if self.args.tap {
            out.write_all(test::tap(&tally.reports, &tally.broken).as_bytes())?;
        } else {
            let repeated = self.args.repeat > 1 || self.args.explore.is_some();
            summary(&tally, repeated, begin.elapsed(), self.global, out)?;
        }
        out.flush()?;
        Ok((tally.exit, ended(&tally)))
    }
}

/// What came of all files.
struct Tally {
    exit: Exit,
    reports: Vec<LabReport>,
    broken: Vec<(PathBuf, String)>,
}

impl Tally {
    fn take(&mut self, report: LabReport) {
        if report.failed() > 0 || report.interrupted {
            self.exit = worse(self.exit, Exit::Failed);
        }
        self.reports.push(report);
    }
}

/// The code that tells most: what the host refused, then faulty topologies, then checks that failed.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit| match exit {
        Exit::Done => 0,
        Exit::Failed | Exit::Program(_) => 1,
        Exit::Usage => 2,
        Exit::State => 3,
        Exit::Host => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// What all files have in common.
struct Cx<'a> {
    args: &'a Args,
    options: &'a Options,
    interrupt: &'a Interrupt,
    global: &'a Global,
}

impl Cx<'_> {
    /// Whether nobody is told while it happens.
    fn is_quiet(&self) -> bool {
        self.global.quiet || self.global.json || self.args.tap
    }

    /// All runs of one file.
    fn file(&self, file: &Path, tally: &mut Tally, out: &mut Output) -> Result<(), Failure> {
        let mut lab = match &self.args.events {
            None => crate::topology::load(file)?,
            Some(path) => {
                let events = std::fs::read_to_string(path).map_err(Fault::io("read", path))?;
                crate::topology::load_with(file, &events)?
            }
        };
        out.flush()?;
        out.warnings(&lab.warnings);
        match (self.args.live, self.args.virtual_time) {
            (true, _) => lab.time.mode = Mode::Live,
            (false, true) => lab.time.mode = Mode::Virtual,
            (false, false) => {}
        }
        if let Some(seed) = self.args.seed {
            lab.time.seed = seed;
        }
        let path = std::path::absolute(file).map_err(Fault::io("find", file))?;
        if let Some(count) = self.args.explore {
            if lab.time.mode != Mode::Virtual {
                let message = "bad luck is looked for in virtual time";
                return Err(Failure::usage(message, "add --virtual".to_owned()));
            }
            return explore::run(self, &lab, &path, file, count, tally, out);
        }
        if lab.time.mode == Mode::Virtual && self.args.repeat > 1 {
            return self.seeds(&lab, &path, file, tally, out);
        }
        for _ in 0..self.args.repeat {
            let report = self.one(&lab, &path, out)?;
            self.say(&report, file, out)?;
            let interrupted = report.interrupted;
            tally.take(report);
            if interrupted {
                break;
            }
        }
        Ok(())
    }

    /// One run, told while it happens.
    fn one(&self, lab: &Lab, path: &Path, out: &mut Output) -> Result<LabReport, Failure> {
        let quiet = self.is_quiet();
        let mut teller = Teller { out, quiet, progress: None, gone: None };
        let report = match lab.time.mode {
            Mode::Live => {
                let text = std::fs::read(path).map_err(Fault::io("read", path))?;
                test::run(lab, path, &text, self.options, self.interrupt, &mut teller)?
            }
            Mode::Virtual => {
                let cut = Box::new(|| self.interrupt.pending());
                test::run_virtual(lab, path, plan::seed(lab), self.options, cut, &mut teller)?
            }
        };
        teller.gone.take().map_or(Ok(report), Err)
    }

    /// Many seeds in virtual time, some at once; they are told in their order, whichever is done first.
    fn seeds(
        &self,
        lab: &Lab,
        path: &Path,
        file: &Path,
        tally: &mut Tally,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let progress = Progress::new(&lab.name, self.args.repeat as usize, self.global.quiet);
        let first = plan::seed(lab);
        let jobs = self.args.jobs.map_or_else(cores, usize::from);
        let mut told = 0;
        let each = |report: LabReport| {
            told += 1;
            progress.set(told);
            if report.failed() > 0 && !self.global.json && !self.args.tap {
                for check in report.checks.iter().filter(|check| !check.ok) {
                    out.say(format_args!("FAIL  seed {}: {}: {}", report.seed, check.name, check.detail))?;
                }
            }
            self.say(&report, file, out)?;
            tally.take(report);
            Ok(())
        };
        let lab = |_| Cow::Borrowed(lab);
        test::run_seeds(&lab, path, first, self.args.repeat, jobs, self.options, self.interrupt, each)
    }

    fn say(&self, report: &LabReport, file: &Path, out: &mut Output) -> Result<(), Failure> {
        if self.global.json {
            out.json(&report.json())?;
            return Ok(out.flush()?);
        }
        if self.args.tap {
            return Ok(());
        }
        for event in report.events.iter().filter(|event| event.at.is_none()) {
            let lacks = event.fault.as_deref().unwrap_or("the test was over");
            out.say(format_args!("      event did not happen: {}: {lacks}", event.words))?;
        }
        if let Some(kept) = &report.kept {
            out.say(format_args!("      captures of its buses: {}", kept.display()))?;
            if report.failed() > 0 {
                let how = if report.mode == Mode::Virtual { " --virtual" } else { "" };
                let events = self.args.events.as_ref();
                let events = events.map_or(String::new(), |path| format!(" --events {}", path.display()));
                let seed = report.seed;
                out.say(format_args!(
                    "      again: labctl test{how} --seed {seed}{events} {}",
                    file.display()
                ))?;
            }
        }
        Ok(out.flush()?)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn summary(
    tally: &Tally,
    repeated: bool,
    took: Duration,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    if global.json {
        return Ok(());
    }
    let checks: usize = tally.reports.iter().map(|report| report.checks.len()).sum();
    let failed: usize = tally.reports.iter().map(LabReport::failed).sum();
    let labs = plural(tally.reports.len(), if repeated { "run" } else { "lab" });
    let mut line = format!("{}: {labs}, {} passed", verdict(tally.exit), checks - failed);
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    if !tally.broken.is_empty() {
        line.push_str(&format!(", {} not started", tally.broken.len()));
    }
    out.say(format_args!("{line}, {:.2} s", took.as_secs_f64()))
}

fn verdict(exit: Exit) -> &'static str {
    if exit == Exit::Done { "ok" } else { "FAILED" }
}

/// Prints while it happens.
struct Teller<'a> {
    out: &'a mut Output,
    quiet: bool,
    progress: Option<Progress>,
    gone: Option<Failure>,
}

impl Teller<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let told = self.out.say(line).and_then(|()| Ok(self.out.flush()?));
        if let Err(failure) = told {
            self.gone.get_or_insert(failure);
        }
    }
}

impl Watcher for Teller<'_> {
    fn ready(&mut self, nodes: usize, of: usize) {
        let quiet = self.quiet;
        self.progress.get_or_insert_with(|| Progress::new("starting", of, quiet)).set(nodes);
    }

    fn up(&mut self, lab: &Lab, took: Option<Duration>) {
        self.progress = None;
        if self.quiet {
            return;
        }
        let (nodes, buses) = (plural(lab.nodes.len(), "node"), plural(lab.buses.len(), "bus"));
        let how = took.map_or("in virtual time".to_owned(), |took| format!("up in {:.0} ms", took.as_secs_f64() * 1000.0));
        self.line(format_args!("{}: {nodes}, {buses}, {how}", lab.name));
    }

    fn checked(&mut self, check: &CheckReport) {
        if self.quiet {
            return;
        }
        let colour = self.out.colour() && std::io::stdout().is_terminal();
        let word = match (check.ok, colour) {
            (true, false) => "ok  ",
            (false, false) => "FAIL",
            (true, true) => "\x1b[32mok  \x1b[0m",
            (false, true) => "\x1b[31mFAIL\x1b[0m",
        };
        let took = check.took.as_secs_f64() * 1000.0;
        self.line(format_args!("{word}  {:>8.1} ms  {}: {}", took, check.name, check.detail));
    }
}
