//! A lab in virtual time, in this process: its nodes, its events, and programs on it.
//!
//! The same plan as of a live lab, the same kernels, the same requests: where a live lab is asked over control sockets, the nodes of this one
//! are asked directly. Nothing here waits: [`Sim::step`] lets the next thing happen.

use super::deeds::Deed;
use super::events::{Agenda, Condition};
use super::fault::Fault;
use super::plan::Plan;
use super::rundir::LabDir;
use super::session::Run;
use super::state::LabState;
use crate::topology::model::{Act, Check, Lab};
use netstack::time::{Duration as LabDuration, Instant as LabTime};
use rumpkern::config::{HostConfig, NodeConfig};
use rumpkern::ctl::proto::{Op, Table};
use rumpkern::proc::{KILLED, Process};
use rumpkern::prog;
use rumpkern::rumpuser::virt::wire::Wire;
use rumpkern::rumpuser::virt::{Halt, LogLine, NodeId, World};
use rumpkern::syscall::{Errno, Sink};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upcoming {
    /// An event, by its words.
    Event(String),
    /// A node does something.
    Node(String),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Something happened.
    Happened,
    /// It is as late as it was to become, and nothing happens before.
    Late,
    /// Nothing will ever happen again.
    Never,
    /// There is an end to everything.
    Cut,
}

/// How long after a look at what events wait for the next one comes, if things go on happening.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How many steps are taken between two looks at whether there is to be an end: some tenths of a millisecond.
const LOOK: u32 = 256;

/// Asks whether there is to be an end to everything: Ctrl-C, or the time of the machine is over.
pub type Cut<'a> = Box<dyn Fn() -> bool + 'a>;

/// A lab in virtual time.
pub struct Sim<'a> {
    /// What was started.
    pub state: LabState,
    nodes: Vec<NodeConfig>,
    hosts: Rc<Vec<HostConfig>>,
    world: RefCell<World>,
    events: RefCell<Agenda<'a>>,
    /// Programs that events have started.
    background: RefCell<Vec<Program>>,
    cut: Cut<'a>,
    is_cut: Cell<bool>,
    steps: Cell<u32>,
    /// Something happened since the last look at what events wait for, and when that was.
    changed: Cell<bool>,
    looked: Cell<Option<Duration>>,
}

impl<'a> Sim<'a> {
    /// Gives birth to all nodes. It is ready at once; time is counted from then.
    ///
    /// # Errors
    /// A node refuses its configuration.
    pub fn up(lab: &'a Lab, plan: Plan, cut: Cut<'a>) -> Result<Sim<'a>, Fault> {
        let mut world = World::new(plan.state.epoch.unix_ns);
        let dir = LabDir::nowhere(&plan.state.lab);
        for bus in &plan.state.buses {
            world.add_wire(dir.bus(&bus.name), usize::try_from(bus.history).unwrap_or(usize::MAX));
        }
        let hosts = Rc::new(plan.hosts);
        let sim = Sim {
            events: RefCell::new(Agenda::new(lab, plan.state.seed)),
            state: plan.state,
            nodes: plan.nodes,
            hosts,
            world: RefCell::new(world),
            background: RefCell::default(),
            cut,
            is_cut: Cell::new(false),
            steps: Cell::new(0),
            changed: Cell::new(true),
            looked: Cell::new(None),
        };
        for node in &sim.nodes {
            sim.boot(node)?;
        }
        Ok(sim)
    }

    fn boot(&self, config: &NodeConfig) -> Result<(), Fault> {
        let booted = self.world.borrow_mut().boot(config, &self.hosts);
        let told = |error: rumpkern::kernel::BirthError| Fault::NodesFailed {
            failures: vec![(config.node.clone(), error.to_string())],
            more: 0,
        };
        booted.map(drop).map_err(told)
    }

    /// The time since the lab was ready.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world.borrow().now().as_nanos())
    }

    /// Whether there is an end to everything.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// When something happens next; `None`: never.
    pub fn next(&self) -> Option<Duration> {
        let world = self.world.borrow().next().map(|at| Duration::from_nanos(at.as_nanos()));
        [world, self.events.borrow().next()].into_iter().flatten().min()
    }

    /// What happens next, and when, in this order: events by their words, and nodes that do something by their names.
    pub fn upcoming(&self) -> Vec<(Duration, Upcoming)> {
        let (events, world) = (self.events.borrow(), self.world.borrow());
        let events = events.upcoming().map(|(at, words)| (at, Upcoming::Event(words.to_owned())));
        let nodes = world.upcoming().into_iter();
        let nodes =
            nodes.map(|(at, node)| (Duration::from_nanos(at.as_nanos()), Upcoming::Node(node.to_owned())));
        // At the same time events come first.
        let mut all: Vec<_> = events.chain(nodes).collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// There is to be no end yet, whatever was said before.
    pub fn go_on(&self) {
        self.is_cut.set(false);
    }

    /// Lets the next thing happen, if that is not later than `end`; else it is `end`.
    pub fn step(&self, end: Duration) -> Stepped {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(LOOK) && (self.cut)() {
            self.is_cut.set(true);
        }
        if self.is_cut.get() {
            return Stepped::Cut;
        }
        let Some(next) = self.next() else { return Stepped::Never };
        if next > end {
            self.pass(end);
            return Stepped::Late;
        }
        if self.events.borrow().next().is_some_and(|at| at <= next) {
            self.pass(next);
            // Those that are due, whatever becomes of them.
            self.events.borrow_mut().run(next, |deed| self.deed(deed));
        } else {
            self.world.borrow_mut().step();
        }
        self.changed.set(true);
        Stepped::Happened
    }

    /// Whether it is time to look at what events wait for: something has changed since the last look, and nothing more does for
    /// a millisecond after that.
    pub fn should_look(&self) -> bool {
        let events = self.events.borrow();
        if !events.is_waiting() || !self.changed.get() {
            return false;
        }
        let soon = self.looked.get().map(|looked| looked + LOOK_EVERY);
        soon.is_none_or(|soon| self.now() >= soon || self.next().is_none_or(|next| next >= soon))
    }

    /// Looks at what events wait for: `holds` says what there is of it.
    pub fn look(&self, holds: impl FnMut(&Check) -> Condition) {
        self.changed.set(false);
        self.looked.set(Some(self.now()));
        // What `holds` asks of this lab does not touch its events.
        self.events.borrow_mut().look(self.now(), holds);
    }

    /// Lets everything happen that happens until then.
    pub fn run_until(&self, end: Duration) {
        loop {
            match self.step(end) {
                Stepped::Happened => {}
                Stepped::Never => return self.pass(end),
                Stepped::Late | Stepped::Cut => return,
            }
        }
    }

    fn pass(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.world.borrow_mut().pass(LabTime::ZERO + LabDuration::from_nanos(now));
    }

    /// A node that is not down.
    fn id(&self, node: &str) -> Result<NodeId, Fault> {
        self.state.expect_node(node)?;
        let found = self.world.borrow().find(node);
        found
            .filter(|id| self.world.borrow().kernel(*id).is_some())
            .ok_or_else(|| self.not_running(node, "down"))
    }

    /// A node that can be spoken to.
    fn running(&self, node: &str) -> Result<NodeId, Fault> {
        let id = self.id(node)?;
        if self.world.borrow().is_paused(id) { Err(self.not_running(node, "paused")) } else { Ok(id) }
    }

    fn not_running(&self, node: &str, state: &'static str) -> Fault {
        Fault::NodeNotRunning { lab: self.state.lab.clone(), node: node.to_owned(), state }
    }

    /// Asks a node for something that needs no waiting.
    ///
    /// # Errors
    /// There is no such node, it is down, or it refuses.
    pub fn ask(&self, node: &str, op: Op) -> Result<Value, Fault> {
        let id = self.running(node)?;
        let mut world = self.world.borrow_mut();
        // Whoever only looks disturbs nobody.
        let wakes = !matches!(op, Op::Show { .. } | Op::Hello);
        let answer = world.kernel(id).map(|kernel| rumpkern::ctl::answer(kernel, op));
        if wakes {
            world.wake(id);
        }
        match answer {
            Some(Ok(value)) => Ok(value),
            Some(Err(failure)) => Err(Fault::Refused { node: node.to_owned(), message: failure.message }),
            None => Ok(Value::Null),
        }
    }

    /// The rows of a node's table.
    ///
    /// # Errors
    /// As [`Sim::ask`].
    pub fn show(&self, node: &str, table: Table) -> Result<Vec<Value>, Fault> {
        match self.ask(node, Op::Show { table })? {
            Value::Array(rows) => Ok(rows),
            _ => Ok(Vec::new()),
        }
    }

    /// Starts a built-in program on a node.
    ///
    /// # Errors
    /// There is no such node or program, or the node is down.
    pub fn spawn(&self, node: &str, argv: &[String], json: bool) -> Result<Program, Fault> {
        let id = self.running(node)?;
        let name = argv.first().cloned().unwrap_or_default();
        let Some(main) = prog::find(&name) else {
            let message = format!("there is no program `{name}`");
            return Err(Fault::Refused { node: node.to_owned(), message });
        };
        let (out, err) = (Rc::new(Text::default()), Rc::new(Text::default()));
        let mut world = self.world.borrow_mut();
        let argv = argv.to_vec();
        let Some(kernel) = world.kernel(id) else {
            return Err(Fault::Refused { node: node.to_owned(), message: "it is down".into() });
        };
        let process = kernel.spawn(&name, out.clone(), err.clone(), |sys| main(sys, argv, json));
        world.wake(id);
        Ok(Program { node: node.to_owned(), name, process, out, err })
    }

    /// Ends a program that has not ended.
    pub fn kill(&self, program: &Program) {
        let mut world = self.world.borrow_mut();
        if let Some(id) = world.find(&program.node) {
            if let Some(kernel) = world.kernel(id) {
                kernel.exit(&program.process, KILLED);
            }
            world.wake(id);
        }
    }

    /// The state of a node, as `ps` has it.
    pub fn life(&self, node: &str) -> &'static str {
        match self.id(node) {
            Ok(id) if self.world.borrow().is_paused(id) => "paused",
            Ok(_) => "running",
            Err(_) => "down",
        }
    }

    /// Whether a node is up.
    pub fn is_up(&self, node: &str) -> bool {
        self.id(node).is_ok()
    }

    /// Something happens next that no event of the topology says.
    pub fn act(&self, words: String, act: Act) {
        self.events.borrow_mut().add(self.now(), words, act);
    }

    /// Does something at once.
    ///
    /// # Errors
    /// A node refuses, or its state forbids it.
    pub fn deed(&self, deed: Deed) -> Result<(), Fault> {
        match deed {
            Deed::Ask { node, op } => self.ask(&node, op).map(drop),
            Deed::Stop(node) => self.halt(&node, Halt::Stop),
            Deed::Kill(node) => self.halt(&node, Halt::Kill),
            Deed::Start(node) if self.is_up(&node) => {
                let message = "it is running already".to_owned();
                Err(Fault::Refused { node, message })
            }
            Deed::Start(node) => self.start(&node),
            Deed::Restart(node) => {
                self.halt(&node, Halt::Stop)?;
                self.start(&node)
            }
            Deed::Pause(node) => self.pause(&node, true),
            Deed::Resume(node) => self.pause(&node, false),
            Deed::Run(node, argv) => {
                let program = self.spawn(&node, &argv, false)?;
                self.background.borrow_mut().push(program);
                Ok(())
            }
            Deed::Exec(_, cmd) => {
                Err(Fault::LiveOnly { what: format!("`{}`", cmd.first().map_or("", String::as_str)) })
            }
        }
    }

    /// One that is down is left as it is, as in a live lab.
    fn halt(&self, node: &str, how: Halt) -> Result<(), Fault> {
        self.state.expect_node(node)?;
        let mut world = self.world.borrow_mut();
        if let Some(id) = world.find(node) {
            world.halt(id, how);
        }
        Ok(())
    }

    fn pause(&self, node: &str, paused: bool) -> Result<(), Fault> {
        let id = self.id(node)?;
        self.world.borrow_mut().pause(id, paused);
        Ok(())
    }

    /// Programs that events have started.
    pub fn background(&self) -> std::cell::Ref<'_, [Program]> {
        std::cell::Ref::map(self.background.borrow(), Vec::as_slice)
    }

    fn start(&self, node: &str) -> Result<(), Fault> {
        self.state.expect_node(node)?;
        self.nodes.iter().find(|config| config.node == node).map_or(Ok(()), |config| self.boot(config))
    }

    /// Shows every frame to `tap` when it is sent: the bus's place in the lab, and the frame.
    pub fn tap(&self, mut tap: impl FnMut(usize, &rumpkern::rumpuser::virt::wire::Passed) + 'static) {
        let dir = LabDir::nowhere(&self.state.lab);
        let paths: std::collections::HashMap<_, _> =
            self.state.buses.iter().enumerate().map(|(n, bus)| (dir.bus(&bus.name), n)).collect();
        let tap = move |path: &Path, passed: &_| {
            if let Some(at) = paths.get(path) {
                tap(*at, passed);
            }
        };
        self.world.borrow_mut().set_tap(Some(Box::new(tap)));
    }

    /// Does something with a bus.
    pub fn with_bus<T>(&self, name: &str, f: impl FnOnce(&Wire) -> T) -> Option<T> {
        let path = LabDir::nowhere(&self.state.lab).bus(name);
        self.world.borrow().with_wires(|wires| wires.iter().find(|wire| wire.path() == path).map(f))
    }

    /// What came of the events so far; `lacks` says what those lack that wait.
    pub fn events(&self, lacks: impl FnMut(&Check) -> Condition) -> Vec<super::events::EventReport> {
        self.events.borrow().report(lacks)
    }

    /// Takes what nodes have written to their logs.
    pub fn take_log(&self) -> Vec<LogLine> {
        self.world.borrow_mut().take_log()
    }
}

impl core::fmt::Debug for Sim<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sim").field("lab", &self.state.lab).field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A built-in program on a node of a lab in virtual time.
#[derive(Debug)]
pub struct Program {
    /// Its node.
    pub node: String,
    /// Its name.
    pub name: String,
    process: Rc<Process>,
    out: Rc<Text>,
    err: Rc<Text>,
}

impl Program {
    /// Its exit status, once it has ended.
    pub fn status(&self) -> Option<i32> {
        self.process.status()
    }

    /// Octets that it has written.
    pub fn written(&self) -> usize {
        self.out.0.borrow().len() + self.err.0.borrow().len()
    }

    /// Whether its standard error holds this.
    pub fn err<T>(&self, f: impl FnOnce(&str) -> T) -> T {
        f(&self.err.0.borrow())
    }

    /// What it did, up to now.
    pub fn run(&self) -> Run {
        Run {
            status: self.status().unwrap_or(KILLED),
            out: self.out.0.borrow().clone(),
            err: self.err.0.borrow().clone(),
        }
    }
}

/// Text that a program writes.
#[derive(Debug, Default)]
struct Text(RefCell<String>);

impl Sink for Text {
    fn poll_write(&self, _: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize, Errno>> {
        self.0.borrow_mut().push_str(&String::from_utf8_lossy(octets));
        Poll::Ready(Ok(octets.len()))
    }
}
