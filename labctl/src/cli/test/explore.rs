//! `labctl test --virtual --explore N`: seeds and faults, until one makes a check fail.

use super::{Cx, Tally, cores};
use crate::cli::{Failure, Output};
use crate::lab::fault::Fault;
use crate::lab::plan;
use crate::lab::test::explore::{self, Found};
use crate::lab::test::{self, LabReport};
use crate::topology::model::{Keep, Lab};
use crate::topology::render::plural;
use crate::ui::Progress;
use serde_json::json;
use std::borrow::Cow;
use std::path::Path;

/// Why no more seeds are run.
enum Enough {
    Failed(Box<LabReport>),
    Fault(Fault),
}

impl From<Fault> for Enough {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) fn run(
    cx: &Cx<'_>,
    lab: &Lab,
    path: &Path,
    file: &Path,
    count: u32,
    tally: &mut Tally,
    out: &mut Output,
) -> Result<(), Failure> {
    if lab.faults.is_empty() && !cx.is_quiet() {
        out.say(format_args!("{}: no [[fault]] says what may happen: only seeds are tried", lab.name))?;
    }
    let progress = Progress::new(&lab.name, count as usize, cx.is_quiet());
    // The evidence is that of the smallest schedule.
    let mut quiet = lab.clone();
    quiet.capture.keep = Keep::Never;
    let drawn = |seed| Cow::Owned(explore::with_events(&quiet, &explore::schedule(&quiet, seed)));
    let mut tried = 0;
    let each = |mut report: LabReport| {
        tried += 1;
        progress.set(tried);
        explore::forgive(lab, &mut report);
        match report.failed() > 0 && !report.interrupted {
            true => Err(Enough::Failed(Box::new(report))),
            false => {
                tally.take(report);
                Ok(())
            }
        }
    };
    let jobs = cx.args.jobs.map_or_else(cores, usize::from);
    let first = plan::seed(lab);
    let ended = test::run_seeds(&drawn, path, first, count, jobs, cx.options, cx.interrupt, each);
    drop(progress);
    let failed = match ended {
        Ok(()) => {
            let mut line = format!("{}: {tried} of {} hold", lab.name, plural(count as usize, "schedule"));
            if let Some(last) = u64::from(tried as u32).checked_sub(1) {
                line.push_str(&format!(", seeds {first} to {}", first.wrapping_add(last)));
            }
            if cx.global.json {
                return out.json(&json!({ "lab": lab.name, "schedules": tried, "failed": 0 }));
            }
            return out.say(format_args!("{line}"));
        }
        Err(Enough::Fault(fault)) => return Err(fault.into()),
        Err(Enough::Failed(report)) => report,
    };
    let found = explore::shrink(lab, path, &failed, cx.options, &|| cx.interrupt.pending())?;
    tell(cx, &found, tried, file, out)?;
    tally.take(found.report);
    Ok(())
}

/// What makes a check fail, and how to see it again.
fn tell(cx: &Cx<'_>, found: &Found, tried: usize, file: &Path, out: &mut Output) -> Result<(), Failure> {
    let Found { report, schedule, drawn, runs } = found;
    let events = report.kept.as_ref().map(|folder| folder.join("events.toml"));
    if let Some(path) = &events {
        std::fs::write(path, explore::toml(schedule)).map_err(Fault::io("write", path))?;
    }
    if cx.global.json {
        let mut json = report.json();
        let happens = |event: &crate::topology::model::Event| {
            json!({ "at_ms": event.at.0.as_secs_f64() * 1e3, "do": event.words.join(" ") })
        };
        json["schedule"] = schedule.iter().map(happens).collect();
        json["schedules"] = json!(tried);
        return out.json(&json);
    }
    for check in report.checks.iter().filter(|check| !check.ok) {
        out.say(format_args!("FAIL  seed {}: {}: {}", report.seed, check.name, check.detail))?;
    }
    match schedule.is_empty() {
        true => out.say(format_args!("      with the seed alone: {drawn} events had no part in it ({runs} runs)"))?,
        false => {
            let smallest = plural(schedule.len(), "event");
            out.say(format_args!("      the fewest with which it fails, {smallest} of {drawn} ({runs} runs):"))?;
        }
    }
    for event in schedule {
        out.say(format_args!("        {:>8}  {}", event.at.to_string(), event.words.join(" ")))?;
    }
    if let (Some(kept), Some(events)) = (&report.kept, &events) {
        out.say(format_args!("      captures of its buses: {}", kept.display()))?;
        let (seed, events, file) = (report.seed, events.display(), file.display());
        out.say(format_args!("      again: labctl test --virtual --seed {seed} --events {events} {file}"))?;
    }
    Ok(())
}
