//! Frames counted for `wire` checks, wherever they are seen.

use crate::capture::filter::Filter;
use crate::capture::names::Names;
use crate::capture::print::{Printer, Style, TimeStyle};
use crate::topology::model::{CheckKind, Lab};
use std::collections::BTreeMap;
use std::time::Duration;

/// What has been seen for one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames that its filter chooses, on all its buses together.
    pub(super) frames: u64,
    /// The first of them.
    pub(super) first: Option<Sighting>,
    /// Whether each of them is to be as a second filter says.
    pub(super) judges: bool,
    /// Those of them that are not, and the first of these.
    pub(super) wrong: Option<(u64, Sighting)>,
    /// How far frames came in the order that is wanted; empty: none is.
    pub(super) order: Vec<Step>,
    /// Buses on which frames went by unseen, and how many records those were.
    pub(super) missed: Vec<(String, u64)>,
}

/// A frame that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// When, after the lab was ready.
    pub(super) at: Duration,
    /// Where.
    pub(super) bus: String,
    /// What.
    pub(super) text: String,
}

/// A frame of an order that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What it has to match.
    pub(super) filter: String,
    /// When and where it came.
    pub(super) at: Option<Sighting>,
}

/// Frames that are remembered for the order of one check.
const REMEMBERED: usize = 1 << 20;

/// What is counted for one check.
struct Tally {
    /// Its buses, as whoever sees their frames numbers them, and by name.
    buses: Vec<(usize, String)>,
    /// Or why it cannot be counted.
    rule: Result<Rule, String>,
    frames: u64,
    first: Option<Sighting>,
    wrong: Option<(u64, Sighting)>,
    /// For an order: when what came, as far as it may matter.
    came: Vec<Came>,
}

/// Which frames are counted.
struct Rule {
    filter: Filter,
    each: Option<Filter>,
    /// Filters, and as they are written.
    order: Vec<(Filter, String)>,
}

/// A frame that one of the filters of an order chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Came {
    time_ns: u64,
    /// Frames of one time are told apart by when they were seen.
    number: u64,
    filter: u16,
    bus: u16,
}

/// What is counted for all of them.
pub(super) struct Tallies {
    all: BTreeMap<String, Tally>,
    names: Names,
    /// When the lab was ready, by the clock of its frames.
    ready_ns: u64,
    /// Frames seen.
    number: u64,
}

impl Tallies {
    /// Nothing is counted yet; the lab was ready at this time by the clock of its frames.
    pub(super) fn new(names: Names, ready_ns: u64) -> Self {
        Self { all: BTreeMap::new(), names, ready_ns, number: 0 }
    }

    /// For all `wire` checks and what events wait for; `number` is asked for the number of each bus that one names. A filter that
    /// cannot be used is told when its check asks.
    pub(super) fn of<E>(
        lab: &Lab,
        names: Names,
        ready_ns: u64,
        mut number: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut tallies = Self::new(names, ready_ns);
        let awaited = lab.events.iter().flat_map(|event| &event.when);
        for check in lab.checks.iter().chain(awaited) {
            let kind = match &check.kind {
                CheckKind::Convergence { of, .. } => of,
                kind => kind,
            };
            let CheckKind::Wire { buses, .. } = kind else { continue };
            let buses = buses.iter().map(|bus| Ok((number(bus)?, bus.clone()))).collect::<Result<_, _>>()?;
            tallies.add(&check.name, kind, buses);
        }
        Ok(tallies)
    }

    /// Counts for the `wire` check of this name, on these buses.
    pub(super) fn add(&mut self, check: &str, kind: &CheckKind, buses: Vec<(usize, String)>) {
        let rule = Rule::of(kind, &self.names);
        let tally = Tally { buses, rule, frames: 0, first: None, wrong: None, came: Vec::new() };
        self.all.insert(check.to_owned(), tally);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The buses of a check.
    pub(super) fn buses(&self, check: &str) -> impl Iterator<Item = usize> {
        self.all.get(check).into_iter().flat_map(|tally| tally.buses.iter().map(|(bus, _)| *bus))
    }

    /// What was seen for a check; or why it could not be counted.
    pub(super) fn seen(&self, check: &str) -> Result<Seen, String> {
        let tally = self.all.get(check).ok_or("nobody follows its buses")?;
        let rule = tally.rule.as_ref().map_err(Clone::clone)?;
        if tally.came.len() >= REMEMBERED {
            return Err(format!("its filters choose more than {REMEMBERED} frames: narrow them"));
        }
        Ok(Seen {
            frames: tally.frames,
            first: tally.first.clone(),
            judges: rule.each.is_some(),
            wrong: tally.wrong.clone(),
            order: self.order(tally, rule),
            missed: Vec::new(),
        })
    }

    /// The earliest frames that come in the order that is wanted.
    fn order(&self, tally: &Tally, rule: &Rule) -> Vec<Step> {
        // The buses are not read in the order of time.
        let mut came = tally.came.clone();
        came.sort_unstable();
        let mut last = None;
        let steps = rule.order.iter().enumerate().map(|(filter, (_, written))| {
            let later = came.iter().find(|one| {
                usize::from(one.filter) == filter && last.is_none_or(|last| (one.time_ns, one.number) > last)
            });
            // Without this one there is none after it either.
            last = Some(later.map_or((u64::MAX, u64::MAX), |one| (one.time_ns, one.number)));
            let at = later.map(|one| Sighting {
                at: Duration::from_nanos(one.time_ns.saturating_sub(self.ready_ns)),
                bus: tally.buses[usize::from(one.bus)].1.clone(),
                text: String::new(),
            });
            Step { filter: written.clone(), at }
        });
        steps.collect()
    }

    /// Counts what crossed a bus at this time: `frames` shows each frame that it is on a real wire.
    pub(super) fn count(&mut self, bus: usize, time_ns: u64, frames: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let Self { all, names, ready_ns, number } = self;
        let on_it = |tally: &mut Tally| tally.buses.iter().position(|(number, _)| *number == bus);
        let mut tallies: Vec<(usize, &mut Tally)> =
            all.values_mut().filter_map(|tally| Some((on_it(tally)?, tally))).collect();
        if tallies.is_empty() {
            return;
        }
        let at = Duration::from_nanos(time_ns.saturating_sub(*ready_ns));
        frames(&mut |frame| {
            *number += 1;
            for (place, tally) in &mut tallies {
                tally.count(frame, *place, at, names, Came { time_ns, number: *number, filter: 0, bus: 0 });
            }
        });
    }
}

impl Rule {
    fn of(kind: &CheckKind, names: &Names) -> Result<Self, String> {
        let CheckKind::Wire { filter, each, order, .. } = kind else {
            return Err("it looks at no wire".into());
        };
        let parse = |text: &str| Filter::parse(text, names).map_err(|error| error.to_string());
        Ok(Self {
            filter: parse(filter.as_deref().unwrap_or_default())?,
            each: each.as_deref().map(parse).transpose()?,
            order: order
                .iter()
                .map(|text| Ok((parse(text)?, text.clone())))
                .collect::<Result<_, String>>()?,
        })
    }
}

impl Tally {
    fn count(&mut self, frame: &[u8], place: usize, at: Duration, names: &Names, came: Came) {
        let Ok(rule) = &self.rule else { return };
        for (n, _) in rule.order.iter().enumerate().filter(|(_, (filter, _))| filter.matches(frame)) {
            if self.came.len() < REMEMBERED {
                self.came.push(Came { filter: n as u16, bus: place as u16, ..came });
            }
        }
        if !rule.order.is_empty() || !rule.filter.matches(frame) {
            return;
        }
        self.frames += 1;
        let sighting = || {
            let style = Style { time: TimeStyle::None, ..Style::default() };
            let text = Printer::new(style, names.clone()).summary(frame);
            Sighting { at, bus: self.buses[place].1.clone(), text }
        };
        if self.first.is_none() {
            self.first = Some(sighting());
        }
        if rule.each.as_ref().is_some_and(|each| !each.matches(frame)) {
            match &mut self.wrong {
                Some((n, _)) => *n += 1,
                None => self.wrong = Some((1, sighting())),
            }
        }
    }
}
