//! The search for bad luck: faults drawn for each seed, and of those that make a check fail the fewest that do.
//!
//! What may happen is in the topology's `[[fault]]`s. A seed decides which of them happen, and when: [`schedule`] is a function of
//! both. A schedule that fails is made smaller while it still fails so ([`shrink`]: delta debugging, Zeller and Hildebrandt 2002), then
//! its times are made rounder.

use super::seeds::Nobody;
use super::{CheckReport, LabReport, Options, run_virtual};
use crate::lab::fault::Fault;
use crate::topology::model::{Act, Duration, Event, Keep, Lab};
use siphasher::sip::SipHasher13;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::path::Path;

/// What was found of one seed that fails.
#[derive(Debug)]
pub struct Found {
    /// What came of the smallest schedule.
    pub report: LabReport,
    /// That schedule.
    pub schedule: Vec<Event>,
    /// How many events were drawn.
    pub drawn: usize,
    /// How often the lab was run to find it.
    pub runs: usize,
}

/// What happens with this seed of what may happen, in the order of its times.
pub fn schedule(lab: &Lab, seed: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for (number, fault) in lab.faults.iter().enumerate() {
        for time in 0..fault.times {
            let draw = |what: u8| {
                let mut hasher = SipHasher13::new_with_keys(seed, u64::from_be_bytes(*b"explored"));
                hasher.write(&(number as u64).to_le_bytes());
                hasher.write(&time.to_le_bytes());
                hasher.write(&[what]);
                // 53 bits: as many as a fraction holds.
                (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
            };
            if draw(0) < fault.chance.0 {
                let (after, before) = (fault.after.0.as_millis() as f64, fault.before.0.as_millis() as f64);
                let at = after + (before - after) * draw(1);
                events.push(event(at as u64, fault.words.clone(), fault.act.clone()));
            }
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

fn event(millis: u64, words: Vec<String>, act: Act) -> Event {
    let at = Duration(std::time::Duration::from_millis(millis));
    Event { at, when: Vec::new(), again: None, words, act }
}

/// What was drawn may be impossible, a node that is dead killed again: that is no failure.
pub fn forgive(lab: &Lab, report: &mut LabReport) {
    let own: BTreeSet<String> = lab.events.iter().map(|event| event.words.join(" ")).collect();
    report.checks.retain(|check| {
        check.kind != CheckReport::EVENT
            || own.iter().any(|words| check.name == CheckReport::event_name(words))
    });
}

/// The lab in which this happens besides.
pub fn with_events(lab: &Lab, events: &[Event]) -> Lab {
    let mut lab = lab.clone();
    lab.events.extend_from_slice(events);
    lab.events.sort_by_key(|event| event.at);
    lab
}

/// The smallest part of a seed's schedule with which a check fails that fails with all of it; its evidence is kept.
///
/// # Errors
/// As [`run_virtual`].
pub fn shrink(
    lab: &Lab,
    topology: &Path,
    failed: &LabReport,
    options: &Options,
    cut: &dyn Fn() -> bool,
) -> Result<Found, Fault> {
    let (whole, seed) = (lab, failed.seed);
    let drawn = schedule(lab, seed);
    let wanted: BTreeSet<&str> =
        failed.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    let mut runs = 0;
    let mut run = |events: &[Event], keep: Keep| -> Result<LabReport, Fault> {
        runs += 1;
        let mut lab = with_events(whole, events);
        lab.capture.keep = keep;
        let mut report = run_virtual(&lab, topology, seed, options, Box::new(cut), &mut Nobody)?;
        forgive(whole, &mut report);
        Ok(report)
    };
    let mut fails = |events: &[Event]| {
        let report = run(events, Keep::Never)?;
        Ok(!cut() && report.checks.iter().any(|check| !check.ok && wanted.contains(check.name.as_str())))
    };
    let mut events = fewest(drawn.clone(), &mut fails)?;
    rounder(&mut events, &mut fails)?;
    let report = run(&events, Keep::Always)?;
    Ok(Found { report, schedule: events, drawn: drawn.len(), runs })
}

/// Leaves out parts of `all`, first halves, then smaller ones, as long as what is left still `fails`.
fn fewest<T: Clone, E>(
    mut all: Vec<T>,
    fails: &mut impl FnMut(&[T]) -> Result<bool, E>,
) -> Result<Vec<T>, E> {
    let mut parts = 2;
    while !all.is_empty() {
        let size = all.len().div_ceil(parts);
        let mut smaller = None;
        for begin in (0..all.len()).step_by(size) {
            let end = (begin + size).min(all.len());
            let rest = [&all[..begin], &all[end..]].concat();
            if fails(&rest)? {
                smaller = Some(rest);
                break;
            }
        }
        match smaller {
            Some(rest) => {
                all = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(all.len()),
        }
    }
    Ok(all)
}

/// Times as round as they may be: whole seconds, else tenths, as long as it still `fails`.
fn rounder<E>(events: &mut [Event], fails: &mut impl FnMut(&[Event]) -> Result<bool, E>) -> Result<(), E> {
    for n in 0..events.len() {
        for unit in [1000, 100] {
            let millis = events[n].at.0.as_millis() as u64;
            let round = millis / unit * unit;
            if round == millis {
                break;
            }
            let before = events[n].at;
            events[n].at = Duration(std::time::Duration::from_millis(round));
            if fails(events)? {
                break;
            }
            events[n].at = before;
        }
    }
    Ok(())
}

/// Events as a topology has them.
pub fn toml(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let words: Vec<_> = event.words.iter().map(|word| format!("{word:?}")).collect();
        let _ = writeln!(text, "[[event]]\nat = \"{}\"\ndo = [{}]", event.at, words.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// The fewest of the numbers below `count` that hold all of `needed`, and how often was asked.
    fn find(count: u32, needed: &[u32]) -> (Vec<u32>, usize) {
        let mut runs = 0;
        let found = fewest((0..count).collect(), &mut |some| {
            runs += 1;
            Ok::<_, Infallible>(needed.iter().all(|one| some.contains(one)))
        });
        let Ok(found) = found;
        (found, runs)
    }

    #[test]
    fn what_is_not_needed_is_left_out() {
        for needed in [&[][..], &[0], &[63], &[3, 40], &[1, 2, 3], &[0, 21, 42, 63]] {
            let (found, runs) = find(64, needed);
            assert_eq!(found, needed);
            assert!(runs < 120, "{runs} runs for {needed:?}");
        }
        assert!(find(0, &[]).0.is_empty());
    }

    #[test]
    fn a_seed_decides_what_happens_and_when() {
        let text = r#"
            node.h1 = {}
            node.h2 = {}
            bus.lan = { subnet = "10.0.0.0/24", nodes = ["h1", "h2"] }
            [[fault]]
            do = "link flap h1:eth0 1s"
            after = "1s"
            before = "3s"
            times = 4
            [[fault]]
            do = "kill h2"
            before = "10s"
            chance = "10%"
        "#;
        let lab = crate::topology::load_str("x.lab.toml", text).unwrap_or_else(|faults| panic!("{faults}"));
        let (mut flaps, mut kills) = (0, 0);
        for seed in 1..=1000 {
            let events = schedule(&lab, seed);
            assert!(events.is_sorted_by_key(|event| event.at));
            for event in &events {
                let at = event.at.0.as_millis();
                match &event.act {
                    Act::LinkFlap(..) => {
                        flaps += 1;
                        assert!((1000..3000).contains(&at), "{at}");
                    }
                    _ => {
                        kills += 1;
                        assert!(at < 10_000, "{at}");
                    }
                }
            }
            let again: Vec<_> = schedule(&lab, seed).iter().map(|event| event.at).collect();
            assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), again);
        }
        // Three standard deviations of 4000 and of 1000 draws.
        assert!((1905..=2095).contains(&flaps) && (71..=129).contains(&kills), "{flaps} {kills}");
    }

    #[test]
    fn times_become_as_round_as_they_may() {
        let flap = |millis| event(millis, vec!["kill".into()], Act::Kill("h1".into()));
        let mut events = [flap(1234), flap(5678)];
        let fails = |events: &[Event]| Ok::<_, Infallible>(events[1].at.0.as_millis() >= 5500);
        let Ok(()) = rounder(&mut events, &mut { fails });
        assert_eq!(events.map(|event| event.at.0.as_millis()), [1000, 5600]);
    }

    #[test]
    fn a_schedule_is_read_as_it_was_written() {
        let words = ["exec", "h1", "--", "echo", "a \"b\""].map(str::to_owned).to_vec();
        let text = toml(&[event(1500, words, Act::Kill("h1".into()))]);
        assert_eq!(
            text,
            "[[event]]\nat = \"1500ms\"\ndo = [\"exec\", \"h1\", \"--\", \"echo\", \"a \\\"b\\\"\"]\n"
        );
    }
}
