//! One try of one check: what is asked of the lab, and whether the answer is the one wanted.
//!
//! | file | kinds |
//! |---|---|
//! | `traffic` | `ping`, `trace`, `tcp`, `udp`, `http`, `throughput`: programs on nodes |
//! | `tables` | `route`, `neigh`, `counter`, `drops`: what nodes say of themselves |
//! | `frames` | `wire`: what was seen on the buses |

mod frames;
mod tables;
mod traffic;

use super::probe::{Patience, Probe};
use crate::lab::events::Condition;
use crate::lab::fault::Fault;
use crate::lab::session::Run;
use crate::topology::model::{Check, CheckKind, Lab, Outcome, Output, Target, Zoned};
use std::time::Duration;

/// What a try says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lab::test) enum Attempt {
    /// It is so.
    Holds(String),
    /// It is not so.
    Fails(String),
    /// Its time was over before it could be said: it is not so, not yet.
    Unfinished(String),
    /// It could not be asked.
    Broken(String),
}

impl From<Attempt> for Condition {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Holds(_) => Self::Holds,
            Attempt::Fails(said) | Attempt::Unfinished(said) => Self::Lacks(said),
            Attempt::Broken(said) => Self::Broken(said),
        }
    }
}

/// How long a program may be silent beyond what its work takes, if the check does not say.
const SILENCE: Duration = Duration::from_secs(10);
/// What a try has at least: one that begins just before its check's time is over is to be a try all the same.
const LEAST: Duration = Duration::from_millis(200);

/// A lab that is up, and its model.
pub(in crate::lab::test) struct Bench<'a, P> {
    pub(in crate::lab::test) lab: &'a Lab,
    pub(in crate::lab::test) probe: &'a P,
    /// When the check's `within` is over.
    pub(in crate::lab::test) until: Option<Duration>,
    /// It is measured when it begins to hold: who asks, asks often.
    pub(in crate::lab::test) hurry: bool,
}

type Tried = Result<Attempt, Fault>;

impl<P: Probe> Bench<'_, P> {
    pub(in crate::lab::test) fn attempt(&self, check: &Check) -> Attempt {
        let tried = match &check.kind {
            // That it fails is seen as any check sees it.
            CheckKind::Convergence { of, .. } => {
                let hurry = check.expect == Outcome::Pass;
                Bench { hurry, ..*self }.kind(&check.name, of)
            }
            kind => self.kind(&check.name, kind),
        };
        tried.unwrap_or_else(|fault| match fault {
            Fault::Unfinished { seconds, .. } => Attempt::Unfinished(format!("no answer in {seconds:.1} s")),
            Fault::NoProgress { .. } => Attempt::Unfinished(fault.to_string()),
            other => Attempt::Broken(other.to_string()),
        })
    }

    /// Tries one kind of the check of this name.
    fn kind(&self, name: &str, kind: &CheckKind) -> Tried {
        match kind {
            CheckKind::Ping { .. } => self.ping(kind),
            CheckKind::Trace { from, to, via, hops } => self.trace(from, to, via.as_deref(), *hops),
            CheckKind::Tcp { from, to, port: Some(port), .. } => self.tcp_connect(from, to, *port),
            CheckKind::Tcp { from, to, port: None, send, rate } => {
                self.tcp(from, to, send.0, rate.map(|rate| rate.0))
            }
            CheckKind::Udp { from, to, port, count, size, loss } => {
                self.udp(from, to, *port, *count, *size, loss.0)
            }
            CheckKind::Http { from, to, port, path, status, body } => {
                self.http(from, to, *port, path, *status, body)
            }
            CheckKind::Route { node, to, via, dev, metric } => {
                self.route(node, *to, *via, dev.as_deref(), *metric)
            }
            CheckKind::Neigh { .. } => self.neigh(kind),
            CheckKind::Counter { of, name, bound } => self.counter(of, name).map(|found| match found {
                None => Attempt::Broken(format!("there is no counter `{name}`")),
                Some(n) if bound.holds(n) => Attempt::Holds(format!("{name} = {n}")),
                Some(n) => Attempt::Fails(format!("{name} = {n}, wanted {}", wanted(bound.min, bound.max))),
            }),
            CheckKind::Drops { nodes, reasons, bound } => self.drops(nodes, reasons, bound),
            CheckKind::Wire { bound, .. } => Ok(match self.probe.seen(name) {
                Ok(seen) => frames::verdict(&seen, bound),
                Err(fault) => Attempt::Broken(fault),
            }),
            CheckKind::Throughput { .. } => self.throughput(kind),
            CheckKind::Convergence { of, .. } => self.kind(name, of),
            CheckKind::Cmd { node, cmd, expect } => self.cmd(node, cmd, expect),
        }
    }

    /// A host program, from its begin to its end; what it leaves behind ends with it.
    fn cmd(&self, node: &str, cmd: &[String], expect: &Output) -> Tried {
        let until = self.until.map(|until| until.max(self.probe.now() + LEAST));
        self.probe.cmd(node, cmd, expect, until)
    }

    fn address(&self, from: &str, to: &Target) -> Result<Zoned, Fault> {
        match to {
            Target::Addr { addr } => Ok(addr.clone()),
            Target::Node { name, family } => self.probe.resolve(from, name, *family),
        }
    }

    /// The node on which a check listens: the target, or the one that has the address.
    fn listener<'a>(&'a self, to: &'a Target) -> Result<&'a str, Fault> {
        match to {
            Target::Node { name, .. } => Ok(name),
            Target::Addr { addr } => self
                .lab
                .nodes
                .values()
                .find(|node| {
                    let mut all =
                        node.loopback.iter().chain(node.interfaces.iter().flat_map(|one| &one.addrs));
                    all.any(|net| net.addr() == addr.addr)
                })
                .map(|node| node.name.as_str())
                .ok_or_else(|| {
                    Fault::Usage(format!("no node has the address {addr}: name the server's `port`"))
                }),
        }
    }

    fn run(&self, node: &str, argv: &[&str], work: Duration) -> Result<Run, Fault> {
        self.probe.run(node, &words(argv), true, self.patience(work, SILENCE))
    }

    /// How long a program may take whose work takes so long in any case: to the end of the check's time, else `silence`
    /// more.
    fn patience(&self, work: Duration, silence: Duration) -> Patience {
        let now = self.probe.now();
        match self.until {
            Some(until) => Patience::Until(until.max(now + LEAST) + work),
            None => Patience::Silence(work + silence),
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn wanted(min: u64, max: Option<u64>) -> String {
    match max {
        Some(max) if max == min => max.to_string(),
        Some(max) if min == 0 => format!("at most {max}"),
        Some(max) => format!("{min} to {max}"),
        None => format!("at least {min}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_in_words() {
        assert_eq!(wanted(0, Some(0)), "0");
        assert_eq!(wanted(1, None), "at least 1");
        assert_eq!(wanted(0, Some(5)), "at most 5");
        assert_eq!(wanted(2, Some(5)), "2 to 5");
    }
}
