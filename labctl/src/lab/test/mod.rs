//! `test`: a lab of its own for a topology, up, its checks, down — always down.
//!
//! The lab lives in a run root of its own below the user's, so that it disturbs nobody, and `gc` finds it should this
//! process be killed. Checks run one after the other, so that none disturbs what another measures: by their `after`,
//! then in the order of the file; then the programs that were to end are waited for; what looks at wires and counters comes last, when all the traffic has been. The wires
//! themselves are read all the while.

mod attempt;
mod evidence;
mod report;
mod root;
mod wires;

pub use self::report::{CheckReport, LabReport, junit};
pub use self::root::sweep;

use self::attempt::{Attempt, Bench};
use self::root::TestRoot;
use self::wires::Wires;
use super::fault::{Fault, quoted};
use super::interrupt::{Interrupt, Woken};
use super::judge::{ending, judge};
use super::program::{self, Record};
use super::rundir::LabDir;
use super::session::{Manners, Session};
use super::state::LabState;
use super::{launch, plan, stop, view};
use crate::topology::model::{Check, CheckKind, Keep, Lab, Outcome, Program};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a test is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep what the buses remember also when all is well.
    pub keep: bool,
    /// The whole of one lab, up and down included, takes at most this long.
    pub timeout: Duration,
    /// The folder below which captures are kept.
    pub artifacts: PathBuf,
}

/// Who is told while it happens.
pub trait Watcher {
    /// So many nodes are ready.
    fn ready(&mut self, nodes: usize, of: usize);
    /// The lab is up.
    fn up(&mut self, lab: &Lab, took: Duration);
    /// A check was decided.
    fn checked(&mut self, check: &CheckReport);
}

/// Pauses between the tries of a check: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Starts the lab, runs its checks, takes it down.
///
/// # Errors
/// The lab cannot be started, or not be taken down. That a check failed is in the report.
pub fn run(
    lab: &Lab,
    topology: &Path,
    text: &[u8],
    options: &Options,
    interrupt: &Interrupt,
    watcher: &mut dyn Watcher,
) -> Result<LabReport, Fault> {
    let begin = Instant::now();
    let root = TestRoot::create()?;
    let dir = root.lab(&lab.name);
    let plan = plan::plan(lab, topology, &dir)?;
    let seed = plan.state.seed;
    let mut deadline = begin + options.timeout;
    launch::up(&dir, &plan, text, interrupt, Some(deadline), |ready| watcher.ready(ready, plan.nodes.len()))?;
    // From here on it is taken down whatever happens, a panic included.
    let running = Running { dir: &dir };
    let state = Arc::new(view::started(&dir)?);
    let wires = Wires::follow(&dir, &state, &lab.checks)?;
    watcher.up(lab, begin.elapsed());
    let ready = Instant::now();
    if let Some(stop) = lab.time.stop {
        deadline = deadline.min(ready + stop.0);
    }
    let mut scene = Scene { lab, dir: &dir, state, wires, ready, deadline, interrupt, interrupted: false };
    let mut checks = Vec::new();
    let (last, first): (Vec<_>, Vec<_>) = in_order(&lab.checks).into_iter().partition(|check| is_last(check));
    for check in first {
        let report = scene.check(check)?;
        watcher.checked(&report);
        checks.push(report);
    }
    // What programs send is part of all the traffic.
    for program in &lab.programs.values().collect::<Vec<_>>() {
        if let Some(report) = scene.program(program)? {
            watcher.checked(&report);
            checks.push(report);
        }
    }
    for check in last {
        let report = scene.check(check)?;
        watcher.checked(&report);
        checks.push(report);
    }
    let failed = checks.iter().any(|check| !check.ok);
    let keep = match lab.capture.keep {
        Keep::Always => true,
        Keep::OnFailure => failed || options.keep,
        Keep::Never => options.keep,
    };
    let kept = if keep { evidence::keep(&dir, &scene.state, lab, &options.artifacts)? } else { None };
    let interrupted = scene.interrupted;
    running.down()?;
    Ok(LabReport {
        lab: lab.name.clone(),
        topology: topology.to_owned(),
        seed,
        took: begin.elapsed(),
        checks,
        kept,
        interrupted,
    })
}

/// A lab that must come down.
struct Running<'a> {
    dir: &'a LabDir,
}

impl Running<'_> {
    fn down(self) -> Result<(), Fault> {
        let dir = self.dir;
        std::mem::forget(self);
        stop::down(dir).map(drop)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = stop::down(self.dir);
    }
}

/// What every check needs to know.
struct Scene<'a> {
    lab: &'a Lab,
    dir: &'a LabDir,
    state: Arc<LabState>,
    wires: Wires,
    ready: Instant,
    deadline: Instant,
    interrupt: &'a Interrupt,
    interrupted: bool,
}

impl Scene<'_> {
    /// Decides one check. What goes wrong on the way is a check that failed, unless the host refuses.
    fn check(&mut self, check: &Check) -> Result<CheckReport, Fault> {
        let report = |ok, took: Duration, detail| CheckReport {
            name: check.name.clone(),
            kind: kind_name(&check.kind),
            ok,
            took,
            detail,
        };
        if let Some(after) = check.after
            && !self.interrupted
        {
            let wake = (self.ready + after.0).min(self.deadline);
            self.interrupted |= self.interrupt.wait(None, Some(wake))? == Woken::Interrupted;
        }
        if self.interrupted {
            return Ok(report(false, Duration::ZERO, "not run: interrupted".into()));
        }
        let begin = Instant::now();
        if begin >= self.deadline {
            return Ok(report(false, Duration::ZERO, "not run: the time of the test was over".into()));
        }
        let until = check.within.map(|within| begin + within.0);
        let within = until.unwrap_or(begin);
        let mut held: Option<Instant> = None;
        let mut pause = PAUSE.0;
        let mut said = None;
        loop {
            let Verdict { ok, detail, cut } =
                self.attempt(check, if held.is_none() { until } else { None })?;
            // A try that was cut short says less than the one before it.
            let detail = if cut { said.take().unwrap_or(detail) } else { detail };
            let now = Instant::now();
            let took = now - begin;
            if self.interrupted {
                return Ok(report(false, took, "interrupted".into()));
            }
            if ok {
                let since = *held.get_or_insert(now);
                match check.hold {
                    Some(hold) if now - since < hold.0 => {}
                    _ => return Ok(report(true, took, detail)),
                }
            } else {
                if let Some(since) = held {
                    let detail = format!("held for {} only: {detail}", seconds(now - since));
                    return Ok(report(false, took, detail));
                }
                if now >= within || now >= self.deadline {
                    let tried = check
                        .within
                        .map_or(String::new(), |within| format!(" (tried for {})", seconds(within.0)));
                    return Ok(report(false, took, format!("{detail}{tried}")));
                }
            }
            if now >= self.deadline {
                return Ok(report(false, took, "the time of the test was over".into()));
            }
            said = Some(detail);
            self.interrupted |= !self.interrupt.sleep(pause)?;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// How a program ended that was to end; that one has ended which might have run as long as the lab.
    fn program(&mut self, program: &Program) -> Result<Option<CheckReport>, Fault> {
        let dir = self.dir.program(&program.name);
        let begin = Instant::now();
        let report = |ok, detail| {
            let name = format!("program {}", program.name);
            Some(CheckReport { name, kind: "program", ok, took: begin.elapsed(), detail })
        };
        let mut ended = Record::of(&dir).ended;
        let Some(expect) = &program.expect else {
            return Ok(match ended {
                None => None,
                Some(how @ rumphijack::Report::Ended(rumphijack::Status::Exited(0))) => {
                    report(true, ending(&how))
                }
                Some(how) => {
                    let said = quoted(&program::last_words(&dir));
                    report(false, format!("{} before the lab's end{said}", ending(&how)))
                }
            });
        };
        let mut pause = PAUSE.0;
        while ended.is_none() && !self.interrupted && Instant::now() < self.deadline {
            self.interrupted |= !self.interrupt.sleep(pause)?;
            pause = (pause * 2).min(PAUSE.1);
            ended = Record::of(&dir).ended;
        }
        let Some(ended) = ended else {
            let why = if self.interrupted {
                "interrupted"
            } else {
                "it had not ended when the time of the test was over"
            };
            return Ok(report(false, format!("{why}{}", quoted(&program::last_words(&dir)))));
        };
        let (stdout, stderr) = program::output(&dir);
        let judged = judge(expect, &ended, &stdout, &stderr);
        Ok(report(judged.is_ok(), judged.unwrap_or_else(|said| said)))
    }

    /// One try; `until` bounds it.
    fn attempt(&mut self, check: &Check, until: Option<Instant>) -> Result<Verdict, Fault> {
        let session = Session::new(self.dir.clone(), Arc::clone(&self.state));
        let (attempt, woken) = session.attend(self.interrupt, Some(self.deadline), Manners::Cut, || {
            Bench { lab: self.lab, session: &session, wires: &self.wires, until }.attempt(check)
        })?;
        match woken {
            Woken::Ready => {}
            Woken::Interrupted => self.interrupted = true,
            Woken::Timeout => return Ok(Verdict::new(false, "the time of the test was over".into())),
        }
        Ok(Verdict::of(attempt, check.expect))
    }
}

/// Whether a check holds as it is expected to, and what to say.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    ok: bool,
    detail: String,
    /// The try had no time to say more.
    cut: bool,
}

impl Verdict {
    fn new(ok: bool, detail: String) -> Self {
        Self { ok, detail, cut: false }
    }

    fn of(attempt: Attempt, expect: Outcome) -> Self {
        match (attempt, expect) {
            (Attempt::Holds(detail), Outcome::Pass)
            | (Attempt::Fails(detail) | Attempt::Unfinished(detail), Outcome::Fail) => {
                Self::new(true, detail)
            }
            (Attempt::Fails(detail), Outcome::Pass) => Self::new(false, detail),
            (Attempt::Unfinished(detail), Outcome::Pass) => Self { ok: false, detail, cut: true },
            (Attempt::Holds(detail), Outcome::Fail) => {
                Self::new(false, format!("{detail}, and it was not to"))
            }
            // It could not be tried: that is not the failure that was expected.
            (Attempt::Broken(detail), _) => Self::new(false, detail),
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        time if time < 1.0 => format!("{:.0} ms", time * 1000.0),
        time => format!("{time:.1} s"),
    }
}

/// Checks that look back over all the traffic, if nothing says when.
fn is_last(check: &Check) -> bool {
    check.after.is_none() && matches!(check.kind, CheckKind::Wire { .. } | CheckKind::Counter { .. })
}

fn in_order(checks: &[Check]) -> Vec<&Check> {
    let mut order: Vec<&Check> = checks.iter().collect();
    order.sort_by_key(|check| (is_last(check), check.after.map_or(Duration::ZERO, |after| after.0)));
    order
}

fn kind_name(kind: &CheckKind) -> &'static str {
    match kind {
        CheckKind::Ping { .. } => "ping",
        CheckKind::Trace { .. } => "trace",
        CheckKind::Tcp { .. } => "tcp",
        CheckKind::Udp { .. } => "udp",
        CheckKind::Http { .. } => "http",
        CheckKind::Route { .. } => "route",
        CheckKind::Neigh { .. } => "neigh",
        CheckKind::Counter { .. } => "counter",
        CheckKind::Wire { .. } => "wire",
        CheckKind::Cmd { .. } => "cmd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_network_is_a_failure_and_a_broken_lab_is_not() {
        let of = |attempt: fn(String) -> Attempt, expect| {
            let Verdict { ok, cut, .. } = Verdict::of(attempt("x".into()), expect);
            (ok, cut)
        };
        assert_eq!(of(Attempt::Unfinished, Outcome::Fail), (true, false));
        assert_eq!(of(Attempt::Unfinished, Outcome::Pass), (false, true));
        assert_eq!(of(Attempt::Fails, Outcome::Fail), (true, false));
        assert_eq!(of(Attempt::Broken, Outcome::Fail), (false, false));
        assert_eq!(of(Attempt::Broken, Outcome::Pass), (false, false));
    }
}
