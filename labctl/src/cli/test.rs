//! `labctl test [FILE…]`: each topology comes up in a place of its own, is checked, and goes down.

use super::{Exit, Failure, Global, Output};
use crate::lab::fault::Fault;
use crate::lab::interrupt::Interrupt;
use crate::lab::test::{self, CheckReport, LabReport, Options, Watcher};
use crate::topology::model::{Lab, Mode};
use crate::topology::render::plural;
use crate::ui::Progress;
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
    /// Run each so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
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
fn seed(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("0 stands for a random seed: leave --seed out for one".into()),
        Ok(seed) => Ok(seed),
        Err(error) => Err(format!("a seed is a number from 1 to {}: {error}", u64::MAX)),
    }
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    if args.virtual_time {
        let mend = Some("leave --virtual out for a live lab");
        return Err(Fault::NotYet { what: "virtual time (`--virtual`)".into(), mend }.into());
    }
    let Ok(timeout) = Duration::try_from_secs_f64(args.timeout) else {
        return Err(Failure::usage("--timeout is no time", None));
    };
    let options = Options { keep: args.keep, timeout, artifacts: args.captures.clone() };
    let files = if args.files.is_empty() { vec![global.topology_file()?] } else { args.files.clone() };
    let begin = Instant::now();
    let interrupt = Interrupt::catch()?;
    let mut tally = Tally { exit: Exit::Done, reports: Vec::new(), broken: Vec::new() };
    'files: for file in &files {
        for _ in 0..args.repeat {
            match one(&args, file, &options, &interrupt, global, out) {
                Ok(report) => {
                    let interrupted = report.interrupted;
                    tally.take(report);
                    if interrupted {
                        break 'files;
                    }
                }
                Err(failure) => {
                    out.failure(&failure);
                    tally.broken.push((file.clone(), failure.to_string()));
                    tally.exit = worse(tally.exit, failure.exit());
                    break;
                }
            }
        }
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, test::junit(&tally.reports, &tally.broken)).map_err(Fault::io("write", path))?;
    }
    summary(&tally, begin.elapsed(), global, out)?;
    Ok(tally.exit)
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

fn one(
    args: &Args,
    file: &Path,
    options: &Options,
    interrupt: &Interrupt,
    global: &Global,
    out: &mut Output,
) -> Result<LabReport, Failure> {
    let mut lab = crate::topology::load(file)?;
    out.flush()?;
    out.warnings(&lab.warnings);
    if args.live {
        lab.time.mode = Mode::Live;
    }
    if let Some(seed) = args.seed {
        lab.time.seed = seed;
    }
    let text = std::fs::read(file).map_err(Fault::io("read", file))?;
    let absolute = std::path::absolute(file).map_err(Fault::io("find", file))?;
    let mut teller = Teller { out, quiet: global.quiet || global.json, progress: None, gone: None };
    let report = test::run(&lab, &absolute, &text, options, interrupt, &mut teller)?;
    if let Some(failure) = teller.gone.take() {
        return Err(failure);
    }
    if global.json {
        out.json(&report.json())?;
    } else if let Some(kept) = &report.kept {
        out.say(format_args!("      captures of its buses: {}", kept.display()))?;
        if report.failed() > 0 {
            out.say(format_args!("      again: labctl test --seed {} {}", report.seed, file.display()))?;
        }
    }
    out.flush()?;
    Ok(report)
}

fn summary(tally: &Tally, took: Duration, global: &Global, out: &mut Output) -> Result<(), Failure> {
    if global.json {
        return Ok(());
    }
    let checks: usize = tally.reports.iter().map(|report| report.checks.len()).sum();
    let failed: usize = tally.reports.iter().map(LabReport::failed).sum();
    let labs = plural(tally.reports.len(), "lab");
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

    fn up(&mut self, lab: &Lab, took: Duration) {
        self.progress = None;
        if self.quiet {
            return;
        }
        let (nodes, buses) = (plural(lab.nodes.len(), "node"), plural(lab.buses.len(), "bus"));
        self.line(format_args!("{}: {nodes}, {buses}, up in {:.0} ms", lab.name, took.as_secs_f64() * 1000.0));
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
