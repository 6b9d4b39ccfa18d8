//! Virtual time: any number of kernels in one process, on one clock, repeatable to the last octet.
//!
//! A [`World`] holds the nodes of a lab, the wires between them and an agenda of who is to be woken when. Time stands still
//! while somebody works and then leaps to the next entry; so a run is a function of its configurations and seeds, and an hour in which
//! nothing happens costs nothing. The kernels are those of a live lab and cannot tell the difference: `user` answers their hypercalls.
//!
//! | file | what |
//! |---|---|
//! | [`agenda`] | who is to be woken when, and in which order at the same time |
//! | [`wire`] | Ethernet between ports: rate, delay, who gets what, what is remembered |
//! | `user` | the hypercalls of one node |
//!
//! What a node computes takes no time, but a node that still has work after a turn takes the next one [`TURN`] later: whatever programs do,
//! time goes on, and two of them on one node cannot keep the others waiting for ever.

pub mod agenda;
mod user;
pub mod wire;

use crate::config::{HostConfig, NodeConfig};
use crate::evloop::{self, Left};
use crate::kernel::{BirthError, Kernel};
use agenda::Agenda;
use netstack::time::{Duration, Instant};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use user::{Ports, User};
use wire::{Tap, Wire, Wires};

/// What a turn takes that leaves work.
pub const TURN: Duration = Duration::from_nanos(100);

/// Names a node of a world, also while it is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// In order: what its sockets have to say to their peers leaves.
    Stop,
    /// As by a power cut: nothing leaves any more.
    Kill,
}

/// A line that a node wrote to its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub time: Instant,
    /// The node's name.
    pub node: Rc<str>,
    /// How bad.
    pub level: tracing::Level,
    /// What.
    pub text: String,
}

/// What all nodes share.
struct Shared {
    now: Cell<Instant>,
    epoch_unix_ns: u64,
    wires: RefCell<Wires>,
    agenda: RefCell<Agenda>,
    tap: RefCell<Option<Tap>>,
    log: RefCell<Vec<LogLine>>,
}

/// A lab in virtual time.
pub struct World {
    shared: Rc<Shared>,
    nodes: Vec<Node>,
    names: BTreeMap<String, NodeId>,
}

#[derive(Default)]
struct Node {
    kernel: Option<Rc<Kernel>>,
    paused: bool,
    ports: Ports,
}

impl World {
    /// Nothing is in it yet; its time is zero, which is so many nanoseconds after 1970.
    pub fn new(epoch_unix_ns: u64) -> World {
        let shared = Shared {
            now: Cell::new(Instant::ZERO),
            epoch_unix_ns,
            wires: RefCell::default(),
            agenda: RefCell::default(),
            tap: RefCell::default(),
            log: RefCell::default(),
        };
        World { shared: Rc::new(shared), nodes: Vec::new(), names: BTreeMap::new() }
    }

    /// A wire that remembers about so many octets of its traffic. Interfaces name it by this path, of which there is no file.
    /// One that nobody has made is made when the first interface attaches, and remembers nothing.
    pub fn add_wire(&mut self, path: PathBuf, history: usize) {
        self.shared.wires.borrow_mut().add(path, history);
    }

    /// Shows every frame to `tap` when its sender hands it to the wire.
    pub fn set_tap(&mut self, tap: Option<Tap>) {
        *self.shared.tap.borrow_mut() = tap;
    }

    /// Does something with the wires.
    pub fn with_wires<T>(&self, f: impl FnOnce(&mut [Wire]) -> T) -> T {
        f(self.shared.wires.borrow_mut().all_mut())
    }

    /// Gives birth to a node; one of that name that is down returns to life.
    ///
    /// # Errors
    /// The kernel or a wire refuses what the configuration asks for.
    pub fn boot(&mut self, config: &NodeConfig, hosts: &Rc<Vec<HostConfig>>) -> Result<NodeId, BirthError> {
        let next = NodeId(self.nodes.len());
        let id = *self.names.entry(config.node.clone()).or_insert(next);
        if id == next {
            self.nodes.push(Node::default());
        }
        self.halt(id, Halt::Kill);
        let ports = Ports::default();
        let kernel = Kernel::new(config, Box::new(User::new(&self.shared, id, config, &ports)));
        let hosts = hosts.clone();
        kernel.hosts_from(Box::new(move || hosts.to_vec()));
        let born = kernel.configure(config);
        self.nodes[id.0] = Node { kernel: Some(kernel), paused: false, ports };
        if let Err(error) = born {
            self.halt(id, Halt::Kill);
            return Err(error);
        }
        self.wake(id);
        Ok(id)
    }

    /// The node of this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    /// Its kernel, if it is not down. Whoever asks it for something must [`World::wake`] it.
    pub fn kernel(&self, id: NodeId) -> Option<&Rc<Kernel>> {
        self.nodes.get(id.0)?.kernel.as_ref()
    }

    /// Ends a node; whether it was not down.
    pub fn halt(&mut self, id: NodeId, how: Halt) -> bool {
        let Some(node) = self.nodes.get_mut(id.0) else { return false };
        let Some(kernel) = node.kernel.take() else { return false };
        if how == Halt::Kill {
            let mut wires = self.shared.wires.borrow_mut();
            node.ports.borrow().iter().flatten().for_each(|port| wires.of(*port).cut(port.at));
        }
        kernel.shutdown();
        self.shared.agenda.borrow_mut().forget(id);
        true
    }

    /// A paused node does nothing, and its wires go on, as for a process at SIGSTOP.
    pub fn pause(&mut self, id: NodeId, paused: bool) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.paused = paused;
            self.wake(id);
        }
    }

    /// Whether a node is paused.
    pub fn is_paused(&self, id: NodeId) -> bool {
        self.nodes.get(id.0).is_some_and(|node| node.paused)
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.shared.now.get()
    }

    /// When something happens next; `None`: never.
    pub fn next(&self) -> Option<Instant> {
        self.shared.agenda.borrow_mut().first()
    }

    /// Which nodes do something next, and when, in this order.
    pub fn upcoming(&self) -> Vec<(Instant, &str)> {
        let names: BTreeMap<NodeId, &str> =
            self.names.iter().map(|(name, id)| (*id, name.as_str())).collect();
        let all = self.shared.agenda.borrow().all();
        all.into_iter().filter_map(|(at, id)| Some((at, *names.get(&id)?))).collect()
    }

    /// The node has something to do now.
    pub fn wake(&mut self, id: NodeId) {
        self.shared.agenda.borrow_mut().wake(id, self.now());
    }

    /// Lets the next thing happen, and says to whom; `None`: nothing will ever happen again.
    pub fn step(&mut self) -> Option<NodeId> {
        let (at, id) = self.shared.agenda.borrow_mut().pop()?;
        self.shared.now.set(at.max(self.now()));
        let now = self.now();
        let Some(Node { kernel: Some(kernel), paused: false, ports }) = self.nodes.get(id.0) else {
            return Some(id);
        };
        let left = evloop::turn(kernel);
        if kernel.is_stopping() {
            self.halt(id, Halt::Stop);
            return Some(id);
        }
        let again = match left {
            Left::Work => Some(now + TURN),
            // A deadline that is past and cannot be met would stop time.
            Left::Nothing => evloop::deadline(kernel).map(|at| at.max(now + TURN)),
        };
        let mut wires = self.shared.wires.borrow_mut();
        let arrives =
            ports.borrow().iter().flatten().filter_map(|port| wires.of(*port).arrives(port.at)).min();
        let mut agenda = self.shared.agenda.borrow_mut();
        for at in [again, arrives].into_iter().flatten() {
            agenda.wake(id, at);
        }
        Some(id)
    }

    /// Lets time pass until then, and everything happen that happens before. What happens at that time itself does not happen yet.
    pub fn run_until(&mut self, end: Instant) {
        while self.next().is_some_and(|at| at < end) {
            self.step();
        }
        self.pass(end);
    }

    /// Time has come to be this late: nothing happens before.
    pub fn pass(&mut self, now: Instant) {
        debug_assert!(self.next().is_none_or(|at| at >= now), "something happens before");
        self.shared.now.set(now.max(self.now()));
    }

    /// Takes what nodes have written to their logs.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.shared.log.take()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for n in 0..self.nodes.len() {
            self.halt(NodeId(n), Halt::Kill);
        }
    }
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).field("nodes", &self.names).finish_non_exhaustive()
    }
}
