//! What happens to a lab while it runs, and when: at times, and once something holds. One list for either clock.

use super::deeds::{Deed, deeds};
use super::fault::Fault;
use crate::topology::model::{Act, Check, Event, Lab};
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// When it happened, after the lab was ready; `None`: what it waited for never held.
    pub at: Option<Duration>,
    /// Its words.
    pub words: String,
    /// What was in its way.
    pub fault: Option<String>,
}

/// The events of a lab that have not happened yet.
#[derive(Debug)]
pub struct Agenda<'a> {
    lab: &'a Lab,
    seed: u64,
    /// What happens, by time and the order of its entry.
    due: BTreeMap<(Duration, u64), Entry>,
    entries: u64,
    /// Those that wait for something to hold.
    waiting: Vec<&'a Event>,
    /// Partitions of buses, which a node that starts is told of.
    parted: BTreeMap<String, Act>,
    /// What came of the others.
    pub done: Vec<EventReport>,
}

/// One act, and how often it comes again.
#[derive(Clone, Debug)]
struct Entry {
    words: String,
    act: Act,
    times: u32,
    every: Duration,
}

impl<'a> Agenda<'a> {
    /// All of a lab's; `seed`: of its randomness.
    pub fn new(lab: &'a Lab, seed: u64) -> Self {
        let (due, parted) = (BTreeMap::new(), BTreeMap::new());
        let mut agenda = Self { lab, seed, due, entries: 0, waiting: Vec::new(), parted, done: Vec::new() };
        for event in &lab.events {
            match event.when.is_empty() {
                true => agenda.enter(event.at.0, entry(event)),
                false => agenda.waiting.push(event),
            }
        }
        agenda
    }

    fn enter(&mut self, at: Duration, entry: Entry) {
        self.due.insert((at, self.entries), entry);
        self.entries += 1;
    }

    /// When the next one happens, after the lab was ready.
    pub fn next(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// What is to happen, in its order.
    pub fn upcoming(&self) -> impl Iterator<Item = (Duration, &str)> {
        self.due.iter().map(|((at, _), entry)| (*at, entry.words.as_str()))
    }

    /// Whether some wait for something that may hold at this time or later.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When, from `now` on, something that is waited for may hold: now, or at the earliest time of an event.
    pub fn looks(&self, now: Duration) -> Option<Duration> {
        self.waiting.iter().map(|event| event.at.0.max(now)).min()
    }

    /// Lets those happen `now` of which `holds` says so for each condition. One that cannot be judged is done with.
    pub fn look(&mut self, now: Duration, mut holds: impl FnMut(&Check) -> Condition) {
        let (early, due): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|event| event.at.0 > now);
        self.waiting = early;
        for event in due {
            let verdict = event.when.iter().map(&mut holds).find(|one| *one != Condition::Holds);
            match verdict {
                None => self.enter(now, entry(event)),
                Some(Condition::Broken(fault)) => {
                    let words = event.words.join(" ");
                    self.done.push(EventReport { at: Some(now), words, fault: Some(fault) });
                }
                Some(Condition::Holds | Condition::Lacks(_)) => self.waiting.push(event),
            }
        }
    }

    /// Something happens that no event of the topology says.
    pub fn add(&mut self, at: Duration, words: String, act: Act) {
        self.enter(at, Entry { words, act, times: 0, every: Duration::ZERO });
    }

    /// Takes those that are due by `now`, one after the other, and does them.
    pub fn run(&mut self, now: Duration, mut act: impl FnMut(Deed) -> Result<(), Fault>) {
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let ((at, _), entry) = first.remove_entry();
            let done = self.deeds(&entry.act).and_then(|deeds| deeds.into_iter().try_for_each(&mut act));
            let fault = done.err();
            let fault = fault.map(|fault| fault.to_string());
            self.done.push(EventReport { at: Some(at), words: entry.words.clone(), fault });
            if let Act::LinkFlap(port, down) = &entry.act {
                let words = format!("link up {}:{}", port.node, port.interface);
                self.add(at + down.0, words, Act::LinkUp(port.clone()));
            }
            if entry.times > 0 {
                self.enter(at + entry.every, Entry { times: entry.times - 1, ..entry });
            }
        }
    }

    /// What an act comes to, as things are now.
    fn deeds(&mut self, act: &Act) -> Result<Vec<Deed>, Fault> {
        let mut all = deeds(self.lab, self.seed, act)?;
        match act {
            Act::Partition(bus, _) => {
                self.parted.insert(bus.clone(), act.clone());
            }
            Act::Heal(bus) => {
                self.parted.remove(bus);
            }
            Act::Start(node) | Act::Restart(node) => {
                let is_its = |deed: &Deed| matches!(deed, Deed::Ask { node: other, .. } if other == node);
                for parted in self.parted.values() {
                    all.extend(deeds(self.lab, self.seed, parted)?.into_iter().filter(is_its));
                }
            }
            _ => {}
        }
        Ok(all)
    }

    /// What came of all: of those too that still wait, of which `lacks` says what they lack.
    pub fn report(&self, mut lacks: impl FnMut(&Check) -> Condition) -> Vec<EventReport> {
        let waiting = self.waiting.iter().map(|event| {
            let fault = event.when.iter().map(&mut lacks).find_map(|one| match one {
                Condition::Holds => None,
                Condition::Lacks(said) | Condition::Broken(said) => Some(said),
            });
            EventReport { at: None, words: event.words.join(" "), fault }
        });
        self.done.iter().cloned().chain(waiting).collect()
    }
}

fn entry(event: &Event) -> Entry {
    let (times, every) = event.again.map_or((0, Duration::ZERO), |again| (again.times, again.every.0));
    Entry { words: event.words.join(" "), act: event.act.clone(), times, every }
}

/// What is found of something that an event waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is so.
    Holds,
    /// Not yet.
    Lacks(String),
    /// It cannot be asked.
    Broken(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::deeds::tests::lab;

    fn words(agenda: &Agenda<'_>) -> Vec<(u64, String, Option<String>)> {
        let done = agenda.done.iter();
        done.map(|one| {
            let at = one.at.map_or(u64::MAX, |at| u64::try_from(at.as_millis()).unwrap());
            (at, one.words.clone(), one.fault.clone())
        })
        .collect()
    }

    #[test]
    fn they_happen_in_their_order_and_what_fails_is_told() {
        let lab = lab();
        let mut agenda = Agenda::new(&lab, 7);
        assert_eq!(agenda.next(), Some(Duration::from_secs(1)));
        agenda.run(Duration::from_millis(2500), |deed| match deed {
            Deed::Ask { op: rumpkern::ctl::proto::Op::Link { .. }, .. } => Ok(()),
            _ => Err(Fault::Usage("no".into())),
        });
        let impair = "impair set lan loss 5%".to_owned();
        assert_eq!(
            words(&agenda),
            [(1000, "link down h1:eth0".into(), None), (2000, impair, Some("no".into()))]
        );
        assert_eq!(agenda.next(), Some(Duration::from_secs(3)));
    }

    /// Runs all of a lab's events to the end, with conditions that hold from the given time on.
    fn play(events: &str, holds_from: u64) -> Vec<(u64, String, Option<String>)> {
        let text = format!(
            "[node]\nh1 = {{}}\nh2 = {{}}\n[bus]\nlan = {{ subnet = \"10.0.0.0/24\", nodes = [\"h1\", \"h2\"] }}\n{events}"
        );
        let lab = crate::topology::load_str("x.lab.toml", &text).unwrap_or_else(|faults| panic!("{faults}"));
        let mut agenda = Agenda::new(&lab, 7);
        for now in (0..10_000).step_by(250) {
            let time = Duration::from_millis(now);
            agenda.look(time, |_| match now >= holds_from {
                true => Condition::Holds,
                false => Condition::Lacks("not yet".into()),
            });
            agenda.run(time, |_| Ok(()));
        }
        words(&agenda)
    }

    #[test]
    fn a_flap_comes_up_again_and_what_repeats_does_so_often() {
        let flap = "[[event]]\nat = \"1s\"\ntimes = 2\nevery = \"3s\"\ndo = \"link flap h1:eth0 500ms\"\n";
        let (down, up) = ("link flap h1:eth0 500ms".to_owned(), "link up h1:eth0".to_owned());
        let happened = [(1000, down.clone()), (1500, up.clone()), (4000, down), (4500, up)];
        assert_eq!(play(flap, 0), happened.map(|(at, words)| (at, words, None)));
    }

    #[test]
    fn what_waits_happens_once_it_may_and_when_it_holds() {
        let event = |at: &str| {
            format!(
                "[[event]]\n{at}\nwhen = {{ wire = {{ bus = \"lan\", filter = \"arp\" }} }}\ndo = \"kill h2\"\n"
            )
        };
        assert_eq!(play(&event(""), 2000), [(2000, "kill h2".into(), None)]);
        assert_eq!(play(&event("at = \"3s\""), 2000), [(3000, "kill h2".into(), None)]);
        assert_eq!(play(&event(""), 99_000), []);
    }

    #[test]
    fn a_node_that_starts_is_told_of_partitions() {
        let text = "[[event]]\nat = \"1s\"\ndo = \"partition lan h1\"\n[[event]]\nat = \"2s\"\ndo = \"restart h1\"\n\
            [[event]]\nat = \"3s\"\ndo = \"partition lan\"\n[[event]]\nat = \"4s\"\ndo = \"restart h1\"\n";
        let text = format!(
            "[node]\nh1 = {{}}\nh2 = {{}}\n[bus]\nlan = {{ subnet = \"10.0.0.0/24\", nodes = [\"h1\", \"h2\"] }}\n{text}"
        );
        let lab = crate::topology::load_str("x.lab.toml", &text).unwrap_or_else(|faults| panic!("{faults}"));
        let mut agenda = Agenda::new(&lab, 7);
        let mut heard = Vec::new();
        agenda.run(Duration::from_secs(9), |deed| {
            heard.push(match deed {
                Deed::Ask { node, op: rumpkern::ctl::proto::Op::Partition { from, .. } } => {
                    (node, from.len())
                }
                Deed::Restart(node) => (node, 99),
                other => panic!("{other:?}"),
            });
            Ok(())
        });
        let heard: Vec<_> = heard.iter().map(|(node, n)| (node.as_str(), *n)).collect();
        let (parted, whole) = ([("h1", 1), ("h2", 1)], [("h1", 0), ("h2", 0)]);
        let want = [&parted[..], &[("h1", 99), ("h1", 1)], &whole, &[("h1", 99)]].concat();
        assert_eq!(heard, want);
    }
}
