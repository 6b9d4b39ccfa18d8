//! Frames counted for `wire` checks, wherever they are seen.

use crate::capture::filter::Filter;
use crate::capture::names::Names;
use crate::topology::model::{CheckKind, Lab};
use std::collections::BTreeMap;

/// What has been seen for one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames that its filter chooses, on all its buses together.
    pub(super) frames: u64,
    /// Buses on which frames went by unseen, and how many records those were.
    pub(super) missed: Vec<(String, u64)>,
}

/// What is counted for one check.
struct Tally {
    filter: Result<Filter, String>,
    /// Its buses, as whoever sees their frames numbers them.
    buses: Vec<usize>,
    frames: u64,
}

/// What is counted for all of them.
#[derive(Default)]
pub(super) struct Tallies(BTreeMap<String, Tally>);

impl Tallies {
    /// For all `wire` checks and what events wait for; `number` is asked for the number of each bus that one names. A filter that cannot be used is told when
    /// its check asks.
    pub(super) fn of<E>(
        lab: &Lab,
        names: &Names,
        mut number: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut tallies = Self::default();
        let awaited = lab.events.iter().flat_map(|event| &event.when);
        for check in lab.checks.iter().chain(awaited) {
            let CheckKind::Wire { buses, filter, .. } = &check.kind else { continue };
            let filter = Filter::parse(filter.as_deref().unwrap_or_default(), names);
            let buses = buses.iter().map(|bus| number(bus)).collect::<Result<_, _>>()?;
            tallies.add(&check.name, filter.map_err(|error| error.to_string()), buses);
        }
        Ok(tallies)
    }

    pub(super) fn add(&mut self, check: &str, filter: Result<Filter, String>, buses: Vec<usize>) {
        self.0.insert(check.to_owned(), Tally { filter, buses, frames: 0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buses of a check.
    pub(super) fn buses(&self, check: &str) -> Option<&[usize]> {
        self.0.get(check).map(|tally| &tally.buses[..])
    }

    /// Frames that were counted for a check; or why its filter cannot be used.
    pub(super) fn frames(&self, check: &str) -> Result<u64, String> {
        let tally = self.0.get(check).ok_or("nobody follows its buses")?;
        tally.filter.as_ref().map(|_| tally.frames).map_err(Clone::clone)
    }

    /// Counts what crossed a bus: `frames` shows each frame that it is on a real wire.
    pub(super) fn count(&mut self, bus: usize, frames: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let mut tallies: Vec<(&Filter, &mut u64)> = Vec::new();
        for tally in self.0.values_mut() {
            if let Ok(filter) = &tally.filter
                && tally.buses.contains(&bus)
            {
                tallies.push((filter, &mut tally.frames));
            }
        }
        if tallies.is_empty() {
            return;
        }
        frames(&mut |frame| {
            for (filter, frames) in &mut tallies {
                **frames += u64::from(filter.matches(frame));
            }
        });
    }
}
