//! What a check asks of a lab, wherever that lives: on this host ([`live`](super::live)) or in virtual time
//! ([`simulated`](super::simulated)). Times are counted from the moment at which the lab was ready.

use super::super::fault::Fault;
use super::super::interrupt::Woken;
use super::super::session::Run;
use super::attempt::Attempt;
use super::report::CheckReport;
use super::tally::Seen;
use crate::lab::events::EventReport;
use crate::topology::model::{Check, Family, Lab, Output, Program, Zoned};
use rumpkern::ctl::proto::Table;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as it says something, now and then.
    Silence(Duration),
    /// Until then.
    Until(Duration),
}

/// A lab, as one try of one check sees it.
pub(super) trait Probe {
    /// A program that waits for others on a node. Dropped, it ends.
    type Server<'p>: Server
    where
        Self: 'p;

    /// The time.
    fn now(&self) -> Duration;

    /// Where `from` reaches `to`.
    fn resolve(&self, from: &str, to: &str, family: Option<Family>) -> Result<Zoned, Fault>;

    /// Every address of a node.
    fn addresses(&self, node: &str) -> Vec<IpAddr>;

    /// Runs a built-in program to its end.
    fn run(&self, node: &str, argv: &[String], json: bool, patience: Patience) -> Result<Run, Fault>;

    /// Starts one that waits for others, and waits until it can be reached.
    fn serve(&self, node: &str, argv: &[String], json: bool) -> Result<Self::Server<'_>, Fault>;

    /// The rows of a node's table.
    fn show(&self, node: &str, table: Table) -> Result<Vec<Value>, Fault>;

    /// A counter of a bus; `None`: there is none of that name.
    fn bus_counter(&self, bus: &str, name: &str) -> Result<Option<u64>, Fault>;

    /// What a `wire` check has seen so far; or why its filter cannot be used.
    fn seen(&self, check: &str) -> Result<Seen, String>;

    /// Runs a host program to its end, at most until then.
    fn cmd(
        &self,
        node: &str,
        cmd: &[String],
        expect: &Output,
        until: Option<Duration>,
    ) -> Result<Attempt, Fault>;
}

/// See [`Probe::serve`].
pub(super) trait Server {
    /// Where it listens.
    fn port(&self) -> u16;

    /// Waits for its end, as it comes after its last client; `None` if that takes too long.
    fn finish(self, patience: Duration) -> Option<Run>;
}

/// Why a test ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The person stopped it.
    Interrupted,
    /// It took more of the host's time than it may.
    OutOfTime,
}

impl Ended {
    /// In words.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::OutOfTime => "the host's time for the test was over (--timeout)",
        }
    }
}

/// A lab, as its test sees it: somewhere to try checks, and a clock.
pub(super) trait Stage {
    /// The time.
    fn now(&self) -> Duration;

    /// Lets time pass until then, and events happen that are due.
    fn pass(&mut self, until: Duration) -> Result<(), Fault>;

    /// Why there is an end to everything, if there is.
    fn ended(&self) -> Option<Ended>;

    /// Tries a check once; its `within` ends at `until`, everything at `deadline`.
    fn attempt(
        &mut self,
        check: &Check,
        until: Option<Duration>,
        deadline: Duration,
    ) -> Result<(Attempt, Woken), Fault>;

    /// How a program ended that was to end; that one has ended which might have run as long as the lab.
    fn program(&mut self, program: &Program, deadline: Duration) -> Result<Option<CheckReport>, Fault>;

    /// What came of the events that have happened.
    fn events(&self) -> Vec<EventReport>;

    /// Keeps the captures, tables and logs in a new folder below `artifacts`.
    fn keep(&mut self, lab: &Lab, artifacts: &Path) -> Result<PathBuf, Fault>;
}
