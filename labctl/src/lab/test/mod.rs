//! `test`: a lab of its own for a topology, up, its checks, down — always down.
//!
//! A live lab (`live`) lives in a run root of its own below the user's, so that it disturbs nobody, and `gc` finds it should this
//! process be killed. One in virtual time (`simulated`) lives in this process; what a check asks of either is the same (`probe`). Checks run one after the other, so that none disturbs what another measures: by their `after`,
//! then in the order of the file; then the programs that were to end are waited for; what looks at wires and counters comes last, when all the traffic has been. The wires
//! themselves are read all the while.

mod attempt;
mod evidence;
pub mod explore;
pub mod fixture;
pub mod future;
mod live;
mod probe;
mod report;
mod root;
mod seeds;
mod simulated;
mod tally;
mod wires;

pub use self::report::{CheckReport, LabReport, junit, tap};
pub use self::root::sweep;
pub use self::seeds::run_seeds;

use self::attempt::Attempt;
use self::live::Live;
use self::probe::{Ended, Stage};
use self::root::TestRoot;
use self::simulated::Simulated;
use self::wires::Wires;
use super::events::Agenda;
use super::fault::Fault;
use super::interrupt::{Interrupt, Woken};
use super::rundir::LabDir;
use super::sim::{Cut, Sim};
use super::{launch, plan, stop, view};
use crate::topology::model::{Check, CheckKind, Keep, Lab, Mode, Outcome};
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
    /// The lab is up, after this time of the host; in virtual time it takes none (`None`).
    fn up(&mut self, lab: &Lab, took: Option<Duration>);
    /// A check was decided.
    fn checked(&mut self, check: &CheckReport);
}

/// Pauses between the tries of a check: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Starts the lab on this host, runs its checks, takes it down.
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
    let end = begin + options.timeout;
    launch::up(&dir, &plan, text, interrupt, Some(end), |ready| watcher.ready(ready, plan.nodes.len()))?;
    // From here on it is taken down whatever happens, a panic included.
    let running = Running { dir: &dir };
    let state = Arc::new(view::started(&dir)?);
    let wires = Wires::follow(&dir, &state, lab)?;
    watcher.up(lab, Some(begin.elapsed()));
    let ready = Instant::now();
    let agenda = Agenda::new(lab, seed);
    let mut stage = Live { lab, dir: &dir, state, wires, ready, interrupt, interrupted: false, agenda };
    let deadline = end.saturating_duration_since(ready);
    let report = LabReport::begin(lab, topology, Mode::Live, seed);
    let mut report =
        Scene { lab, stage: &mut stage, deadline: stop(lab, deadline) }.play(report, options, watcher)?;
    running.down()?;
    report.took = begin.elapsed();
    Ok(report)
}

/// The same in virtual time with this seed, in this process. `cut`: whether there is to be an end to everything.
///
/// # Errors
/// A node refuses its configuration, or the lab has what only a live one can have.
pub fn run_virtual(
    lab: &Lab,
    topology: &Path,
    seed: u64,
    options: &Options,
    cut: Cut<'_>,
    watcher: &mut dyn Watcher,
) -> Result<LabReport, Fault> {
    let plan = plan::plan_virtual(lab, topology, seed)?;
    let end = Instant::now() + options.timeout;
    let sim = Sim::up(lab, plan, Box::new(move || cut() || Instant::now() >= end))?;
    watcher.up(lab, None);
    let mut stage = Simulated::new(lab, sim).until_host(end);
    let report = LabReport::begin(lab, topology, Mode::Virtual, seed);
    let mut report = Scene { lab, stage: &mut stage, deadline: stop(lab, Duration::MAX) }
        .play(report, options, watcher)?;
    report.took = stage.now();
    Ok(report)
}

/// When the time of a test is over.
fn stop(lab: &Lab, deadline: Duration) -> Duration {
    lab.time.stop.map_or(deadline, |stop| stop.0.min(deadline))
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
struct Scene<'a, S> {
    lab: &'a Lab,
    stage: &'a mut S,
    /// The time of the test is over then.
    deadline: Duration,
}

impl<S: Stage> Scene<'_, S> {
    /// All checks, the programs that were to end, and what is kept of them.
    fn play(
        mut self,
        mut report: LabReport,
        options: &Options,
        watcher: &mut dyn Watcher,
    ) -> Result<LabReport, Fault> {
        let lab = self.lab;
        let mut add = |check: CheckReport| {
            watcher.checked(&check);
            report.checks.push(check);
        };
        let (last, first): (Vec<_>, Vec<_>) =
            in_order(&lab.checks).into_iter().partition(|check| is_last(check));
        for check in first {
            add(self.check(check)?);
        }
        // What programs send is part of all the traffic.
        for program in lab.programs.values() {
            self.stage.program(program, self.deadline)?.into_iter().for_each(&mut add);
        }
        for check in last {
            add(self.check(check)?);
        }
        report.events = self.stage.events();
        for event in report.events.iter().filter(|event| event.at.is_some() && event.fault.is_some()) {
            let check = CheckReport::of_event(event);
            watcher.checked(&check);
            report.checks.push(check);
        }
        report.took = self.stage.now();
        report.interrupted = self.stage.ended() == Some(Ended::Interrupted);
        let failed = report.failed() > 0;
        let keep = match lab.capture.keep {
            Keep::Always => true,
            Keep::OnFailure => failed || options.keep,
            Keep::Never => options.keep,
        };
        if keep {
            let folder = self.stage.keep(lab, &options.artifacts)?;
            evidence::report(&folder, &report.json())?;
            report.kept = Some(folder);
        }
        Ok(report)
    }

    /// Decides one check. What goes wrong on the way is a check that failed, unless the host refuses.
    fn check(&mut self, check: &Check) -> Result<CheckReport, Fault> {
        let report = |ok, took: Duration, detail| CheckReport {
            name: check.name.clone(),
            kind: check.kind.key(),
            ok,
            took,
            detail,
        };
        if let Some(after) = check.after {
            self.stage.pass(after.0.min(self.deadline))?;
        }
        if let Some(ended) = self.stage.ended() {
            return Ok(report(false, Duration::ZERO, format!("not run: {}", ended.as_str())));
        }
        let begin = self.stage.now();
        if begin >= self.deadline {
            return Ok(report(false, Duration::ZERO, "not run: the time of the test was over".into()));
        }
        let convergence = match &check.kind {
            CheckKind::Convergence { min, max, .. } => Some((min.map_or(Duration::ZERO, |min| min.0), max.0)),
            _ => None,
        };
        let longest = convergence.map(|(_, max)| max).or(check.within.map(|within| within.0));
        let until = longest.map(|longest| begin + longest);
        let within = until.unwrap_or(begin);
        let mut held: Option<Duration> = None;
        let mut pause = PAUSE.0;
        let mut said = None;
        loop {
            let Verdict { ok, detail, cut } =
                self.attempt(check, if held.is_none() { until } else { None })?;
            // A try that was cut short says less than the one before it.
            let detail = if cut { said.take().unwrap_or(detail) } else { detail };
            let now = self.stage.now();
            let took = now - begin;
            if let Some(ended) = self.stage.ended() {
                return Ok(report(false, took, ended.as_str().into()));
            }
            if ok {
                let since = *held.get_or_insert(now);
                if let Some((min, _)) = convergence
                    && since - begin < min
                {
                    let (found, wanted) = (seconds(since - begin), seconds(min));
                    return Ok(report(
                        false,
                        took,
                        format!("after {found} already, wanted at least {wanted}: {detail}"),
                    ));
                }
                match (check.hold, convergence) {
                    (Some(hold), _) if now - since < hold.0 => {}
                    (_, None) => return Ok(report(true, took, detail)),
                    (_, Some(_)) => {
                        let detail = format!("after {}: {detail}", seconds(since - begin));
                        return Ok(report(true, since - begin, detail));
                    }
                }
            } else {
                if let Some(since) = held {
                    let detail = format!("held for {} only: {detail}", seconds(now - since));
                    return Ok(report(false, took, detail));
                }
                if now >= within || now >= self.deadline {
                    let tried =
                        longest.map_or(String::new(), |longest| format!(" (tried for {})", seconds(longest)));
                    return Ok(report(false, took, format!("{detail}{tried}")));
                }
            }
            if now >= self.deadline {
                return Ok(report(false, took, "the time of the test was over".into()));
            }
            said = Some(detail);
            self.stage.pass(now + pause)?;
            // What is measured is looked at often.
            if convergence.is_none() {
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }

    /// One try; `until` bounds it.
    fn attempt(&mut self, check: &Check, until: Option<Duration>) -> Result<Verdict, Fault> {
        let (attempt, woken) = self.stage.attempt(check, until, self.deadline)?;
        Ok(match woken {
            Woken::Timeout => Verdict::new(false, "the time of the test was over".into()),
            Woken::Ready | Woken::Interrupted => Verdict::of(attempt, check.expect),
        })
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
    check.after.is_none()
        && matches!(check.kind, CheckKind::Wire { .. } | CheckKind::Counter { .. } | CheckKind::Drops { .. })
}

fn in_order(checks: &[Check]) -> Vec<&Check> {
    let mut order: Vec<&Check> = checks.iter().collect();
    order.sort_by_key(|check| (is_last(check), check.after.map_or(Duration::ZERO, |after| after.0)));
    order
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
