//! The kernel: what one node consists of, and who may touch what when.
//!
//! Everything is reached through one `Rc<Kernel>` and lives on one thread. Each part has its own
//! cell, borrowed for the length of one operation and never across an `await`, a wake-up or a
//! callback; so no two parts can meet in a borrow.

use crate::config::{ConfigError, HostConfig, NodeConfig, RouteConfig};
use crate::ctl::proto::{Code, Failure};
use crate::ifs::Interfaces;
use crate::netlink::Netlink;
use crate::proc::callout::Callouts;
use crate::proc::filedesc::{File, Kind, Sink};
use crate::proc::lwp::{Lwps, Quantum};
use crate::proc::{ProcTable, Process};
use crate::remote::Remotes;
use crate::rumpuser::{AttachError, Rumpuser};
use crate::syscall::Sys;
use crate::syscall::ioctl_ifreq::Labels;
use crate::syscall::sleepq::SleepQueues;
use indexmap::IndexMap;
use netstack::net::IfIndex;
use netstack::net::route::{Route, RouteError, RouteKind, RouteProto};
use netstack::stack::StackConfig;
use netstack::time::{Duration, Instant};
use netstack::{SocketId, Stack};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// One node.
pub struct Kernel {
    pub(crate) user: RefCell<Box<dyn Rumpuser>>,
    pub(crate) stack: RefCell<Stack>,
    pub(crate) procs: RefCell<ProcTable>,
    pub(crate) lwps: Lwps,
    pub(crate) quantum: Quantum,
    pub(crate) callouts: Callouts,
    pub(crate) sleepers: SleepQueues,
    pub(crate) remotes: Remotes,
    pub(crate) ifs: Interfaces,
    /// Names of addresses.
    pub(crate) labels: RefCell<Labels>,
    pub(crate) netlink: Netlink,
    /// The host's inodes of the sockets that stand for ours in programs.
    inodes: RefCell<BTreeMap<SocketId, u64>>,
    now: Cell<Instant>,
    born: Cell<Instant>,
    stopping: Cell<bool>,
    lab: String,
    node: String,
    hosts: OnceCell<Vec<HostConfig>>,
    hosts_source: Cell<Option<HostsSource>>,
    files: IndexMap<String, PathBuf>,
}

/// Where the names of a lab come from when the first one is asked for.
pub type HostsSource = Box<dyn FnOnce() -> Vec<HostConfig>>;

impl Kernel {
    /// A node as `config` says, in the world `user`.
    pub fn new(config: &NodeConfig, mut user: Box<dyn Rumpuser>) -> Rc<Kernel> {
        let mut seed = [0; 32];
        user.random(&mut seed);
        let mut stack_config = StackConfig {
            forwarding: config.forward,
            unix_epoch: Some(Duration::from_nanos(user.epoch_unix_ns())),
            ..StackConfig::default()
        };
        if let Some(ttl) = config.ttl {
            stack_config.ttl = ttl.get();
        }
        let stack = Stack::new(stack_config, seed);
        Rc::new(Kernel {
            user: RefCell::new(user),
            stack: RefCell::new(stack),
            procs: RefCell::default(),
            lwps: Lwps::default(),
            quantum: Quantum::default(),
            callouts: Callouts::default(),
            sleepers: SleepQueues::default(),
            remotes: Remotes::default(),
            ifs: Interfaces::default(),
            labels: RefCell::default(),
            netlink: Netlink::default(),
            inodes: RefCell::default(),
            now: Cell::new(Instant::ZERO),
            born: Cell::new(Instant::ZERO),
            stopping: Cell::new(false),
            lab: config.lab.clone(),
            node: config.node.clone(),
            hosts: if config.hosts.is_empty() { OnceCell::new() } else { config.hosts.clone().into() },
            hosts_source: Cell::new(None),
            files: config.files.clone(),
        })
    }

    /// Gives the node TCP's values, its interfaces, addresses and routes, and takes up what shall be up.
    pub fn configure(&self, config: &NodeConfig) -> Result<(), BirthError> {
        let now = self.clock();
        self.born.set(now);
        self.stack.borrow_mut().set_tcp_config(config.tcp_config().map_err(BirthError::Config)?);
        let fault = |field: String, fault: String| BirthError::Config(ConfigError::Invalid { field, fault });
        for (i, interface) in config.interfaces.iter().enumerate() {
            let ifindex = self.if_attach(interface)?;
            let mut stack = self.stack.borrow_mut();
            if let Some(six) = &interface.ipv6 {
                let spoken = stack.if_set_ipv6(now, ifindex, six.of_stack());
                spoken.map_err(|error| fault(format!("interfaces[{i}].ipv6"), error.to_string()))?;
            }
            for address in &interface.addresses {
                let added = stack.addr_add(now, ifindex, *address);
                added.map_err(|error| fault(format!("interfaces[{i}].addresses"), error.to_string()))?;
            }
            if let Some(ra) = interface.ipv6.as_ref().and_then(|six| six.ra.as_ref()) {
                let advertises = stack.if_set_ra(now, ifindex, Some(ra.of_stack()));
                advertises.map_err(|error| fault(format!("interfaces[{i}].ipv6.ra"), error.to_string()))?;
            }
            let raised = stack.if_set_up(now, ifindex, interface.up);
            raised.map_err(|error| fault(format!("interfaces[{i}].up"), error.to_string()))?;
        }
        for address in &config.loopback {
            let added = self.stack.borrow_mut().addr_add(now, IfIndex::LOOPBACK, *address);
            added.map_err(|error| fault("loopback".to_owned(), error.to_string()))?;
        }
        for (i, route) in config.routes.iter().enumerate() {
            let added = self.route_change(route, true);
            added.map_err(|error| fault(format!("routes[{i}]"), error.to_string()))?;
        }
        self.if_filters();
        Ok(())
    }

    /// Takes an interface up or down; its wire then brings it nothing.
    pub(crate) fn if_set_up(&self, ifindex: IfIndex, up: bool) -> Result<(), Failure> {
        let changed = self.stack.borrow_mut().if_set_up(self.clock(), ifindex, up);
        self.if_filters_changed();
        changed.map_err(|error| Failure::new(Code::Invalid, error.to_string()))
    }

    /// Adds or removes a route.
    pub(crate) fn route_change(&self, route: &RouteConfig, add: bool) -> Result<(), Failure> {
        let named = |name: &String| {
            let found = self.stack.borrow().if_by_name(name);
            found.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no interface `{name}`")))
        };
        let route = Route {
            to: route.to.trunc(),
            via: route.via,
            dev: route.dev.as_ref().map(named).transpose()?,
            metric: route.metric,
            proto: route_proto(&route.proto),
            kind: RouteKind::Unicast,
            src: None,
        };
        let mut stack = self.stack.borrow_mut();
        let changed = if add { stack.route_add(route) } else { stack.route_del(route) };
        changed.map_err(|error| Failure::new(route_code(&error), error.to_string()))
    }

    /// The stack itself and the time, for a host that embeds the kernel and needs what no system call does.
    /// It must not be called again from within `f`.
    pub fn with_stack<T>(&self, f: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        self.if_filters_changed();
        f(&mut self.stack.borrow_mut(), self.now())
    }

    /// How long the node has lived.
    pub fn uptime(&self) -> Duration {
        self.clock().since(self.born.get())
    }

    /// Tells the node to end after this turn.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Whether it was told to.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// The end: processes, then lwps of the kernel, then the wires. What the processes' ends made
    /// the stack say (RST, FIN) still leaves, as far as the wires take it at once.
    pub fn shutdown(&self) {
        self.exit_all();
        let now = self.clock();
        self.if_output(now);
        self.lwps.kill_all();
        self.if_detach_all();
    }

    /// The lab's name.
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Names and addresses that the node's programs resolve.
    pub fn hosts(&self) -> &[HostConfig] {
        self.hosts.get_or_init(|| self.hosts_source.take().map_or_else(Vec::new, |source| source()))
    }

    /// Where those names come from if the configuration held none: asked once, when the first name is. A thousand nodes
    /// that keep a thousand names each would cost a tenth of a gigabyte, and most never ask.
    pub fn hosts_from(&self, source: HostsSource) {
        self.hosts_source.set(Some(source));
    }

    /// The host's files and directories that the node's programs find at other paths, which stand first.
    pub fn files(&self) -> &IndexMap<String, PathBuf> {
        &self.files
    }

    /// The time of the present turn: what the stack is told. [`Kernel::clock`] is the exact one.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Reads the clock, and makes it the time of the present turn.
    pub fn clock(&self) -> Instant {
        let now = self.user.borrow_mut().now();
        self.now.set(now);
        now
    }

    /// Somebody has just read the clock.
    pub(crate) fn clock_is(&self, now: Instant) {
        self.now.set(now);
    }

    /// The number by which a table of sockets names one: the inode that a program's `/proc/PID/fd` shows for it, so that
    /// `ss -p` and `netstat -p` find the program; for a socket that no program of the host holds, one that tells it apart.
    pub fn socket_inode(&self, id: SocketId) -> u64 {
        self.inodes.borrow().get(&id).copied().unwrap_or(u64::from(id.index) + 1)
    }

    /// Tells the inode of the host's socket that stands for `id` in a program.
    pub fn set_socket_inode(&self, id: SocketId, inode: u64) {
        self.inodes.borrow_mut().insert(id, inode);
    }

    /// A process that makes system calls on behalf of somebody else (a remote client). It has no
    /// descriptors at first, and lives until [`Kernel::exit`].
    pub fn attach_process(self: &Rc<Self>, name: &str) -> Sys {
        let process = self.procs.borrow_mut().create(name);
        Sys::new(self.clone(), process)
    }

    /// Starts a process: `main` gets its system calls, its result is the exit status. Descriptors
    /// 0, 1 and 2 are nothing, `out` and `err`.
    pub fn spawn<F>(
        self: &Rc<Self>,
        name: &str,
        out: Rc<dyn Sink>,
        err: Rc<dyn Sink>,
        main: impl FnOnce(Sys) -> F,
    ) -> Rc<Process>
    where
        F: Future<Output = i32> + 'static,
    {
        let sys = self.attach_process(name);
        let process = sys.process().clone();
        for kind in [Kind::Null, Kind::Sink(out), Kind::Sink(err)] {
            // A new table has room for three.
            let _ = process.files.borrow_mut().open(Rc::new(File::new(kind)));
        }
        let body = main(sys);
        let (kernel, me) = (Rc::downgrade(self), process.clone());
        self.lwp_create(&process, async move {
            let status = body.await;
            if let Some(kernel) = kernel.upgrade() {
                kernel.exit(&me, status);
            }
        });
        process
    }

    /// Starts an lwp of the kernel itself; it lives until it is done or the kernel ends.
    pub fn spawn_kernel(self: &Rc<Self>, body: impl Future<Output = ()> + 'static) {
        self.lwps.spawn(body);
    }

    /// Closes what is behind `file` if no descriptor names it any more.
    pub(crate) fn file_release(&self, file: &File) {
        if file.descriptors.get() > 0 {
            return;
        }
        match &file.kind {
            Kind::Socket(id, _) => {
                let now = self.clock();
                // The only error is that there is no such socket: then it is closed.
                let _ = self.stack.borrow_mut().close(now, *id);
                self.if_filters_changed();
                self.sleepers.wake_all(*id);
                self.inodes.borrow_mut().remove(id);
            }
            Kind::Netlink(socket) => self.netlink_close(socket),
            Kind::Sink(_) | Kind::Null => {}
        }
    }
}

/// Who made a route, by the word that `ip route` has for it; what it has no word for is static.
fn route_proto(word: &str) -> RouteProto {
    match word {
        "kernel" => RouteProto::Kernel,
        "boot" => RouteProto::Boot,
        "ra" => RouteProto::Ra,
        "dhcp" => RouteProto::Dhcp,
        word => PROTOCOLS
            .iter()
            .find(|(known, _)| *known == word)
            .map_or(RouteProto::Static, |(_, n)| RouteProto::Other(*n)),
    }
}

fn route_code(error: &RouteError) -> Code {
    match error {
        RouteError::Exists(_) => Code::Exists,
        RouteError::NotFound(_) | RouteError::NoDevice(_) => Code::NotFound,
        RouteError::HostBits(_)
        | RouteError::Family { .. }
        | RouteError::Gateway(_)
        | RouteError::Source(_)
        | RouteError::NoNextHop => Code::Invalid,
    }
}

/// Routing daemons, as in iproute2's `rt_protos`.
pub(crate) const PROTOCOLS: [(&str, u8); 7] =
    [("zebra", 11), ("bird", 12), ("bgp", 186), ("isis", 187), ("ospf", 188), ("rip", 189), ("eigrp", 192)];

/// Why a node could not be born.
#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    /// A wire refused an interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The stack refused what the configuration says.
    #[error(transparent)]
    Config(ConfigError),
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kernel").field("lab", &self.lab).field("node", &self.node).finish_non_exhaustive()
    }
}
