//! A world in memory for kernels under test: wires are queues, and time moves only when nobody has
//! anything to do. A run is repeatable to the last frame.

#![allow(dead_code, unreachable_pub)] // each test binary uses some of it

pub mod prog;

use netstack::Mbuf;
use netstack::net::MacAddr;
use netstack::net::mbuf::Offload;
use netstack::time::{Duration, Instant};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rumpkern::config::{HostConfig, InterfaceConfig, NodeConfig};
use rumpkern::evloop::{self, Left};
use rumpkern::kernel::Kernel;
use rumpkern::rumpuser::{AttachError, Filter, Interest, PortNumber, Received, Rumpuser, Sent, Wake};
use rumpkern::syscall::{Errno, Sink, Sys};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The clock and the wires that all kernels of a test share.
#[derive(Default)]
pub struct Ether {
    now: Cell<Instant>,
    wires: RefCell<BTreeMap<PathBuf, Wire>>,
    /// Every frame that was sent, with its time.
    pub log: RefCell<Vec<(Instant, Vec<u8>)>>,
    /// The longest frame that was sent.
    pub longest: Cell<usize>,
    /// Frames that a wire takes before it is full, for tests of back-pressure.
    pub room: Cell<Option<usize>>,
    /// How often a frame arrives: 0 is lost, 2 is a duplicate. Once, if nobody says otherwise.
    pub copies: RefCell<Option<Copies>>,
}

/// Says how often a frame arrives.
pub type Copies = Box<dyn FnMut(&[u8]) -> usize>;

#[derive(Default)]
struct Wire {
    inboxes: Vec<VecDeque<(Vec<u8>, Offload)>>,
    /// Ports that asked for every frame; they get them anyway.
    promiscuous: BTreeMap<usize, bool>,
}

struct User {
    ether: Rc<Ether>,
    ports: Vec<(PathBuf, usize)>,
    random: Xoshiro256PlusPlus,
}

impl Rumpuser for User {
    fn now(&mut self) -> Instant {
        self.ether.now.get()
    }
    fn epoch_unix_ns(&self) -> u64 {
        1_000_000_000
    }
    fn random(&mut self, octets: &mut [u8]) {
        self.random.fill_bytes(octets);
    }
    fn if_attach(&mut self, interface: &InterfaceConfig) -> Result<PortNumber, AttachError> {
        let mut wires = self.ether.wires.borrow_mut();
        let wire = wires.entry(interface.bus.clone()).or_default();
        wire.inboxes.push(VecDeque::new());
        self.ports.push((interface.bus.clone(), wire.inboxes.len() - 1));
        Ok(PortNumber(self.ports.len() as u32 - 1))
    }
    fn if_detach(&mut self, _: PortNumber) {}
    fn if_filter(&mut self, port: PortNumber, filter: &Filter) {
        let (bus, place) = &self.ports[port.0 as usize];
        let mut wires = self.ether.wires.borrow_mut();
        wires.get_mut(bus).unwrap().promiscuous.insert(*place, filter.promiscuous);
    }
    fn if_recv(&mut self, port: PortNumber, frame: &mut Mbuf) -> Received {
        let (bus, place) = &self.ports[port.0 as usize];
        match self.ether.wires.borrow_mut().get_mut(bus).unwrap().inboxes[*place].pop_front() {
            Some((octets, offload)) => {
                frame.extend(&octets);
                frame.offload = offload;
                Received::Frame
            }
            None => Received::Empty,
        }
    }
    fn if_send(&mut self, port: PortNumber, now: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        let (bus, place) = &self.ports[port.0 as usize];
        let mut wires = self.ether.wires.borrow_mut();
        let wire = wires.get_mut(bus).unwrap();
        for (n, frame) in frames.iter().enumerate() {
            if let Some(room) = self.ether.room.get() {
                if room == 0 {
                    return (n, Sent::Wait(now + Duration::from_millis(10)));
                }
                self.ether.room.set(Some(room - 1));
            }
            self.ether.log.borrow_mut().push((now, frame.data().to_vec()));
            self.ether.longest.set(self.ether.longest.get().max(frame.len()));
            let copies = self.ether.copies.borrow_mut().as_mut().map_or(1, |copies| copies(frame.data()));
            for (other, inbox) in wire.inboxes.iter_mut().enumerate() {
                if other != *place {
                    inbox.extend(std::iter::repeat_n((frame.data().to_vec(), frame.offload), copies));
                }
            }
        }
        (frames.len(), Sent::Done)
    }
    fn if_counters(&self, _: PortNumber) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    fn wait_counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    fn watch(&mut self, _: BorrowedFd<'_>, _: u64, _: Interest) -> Result<(), rustix::io::Errno> {
        Err(rustix::io::Errno::OPNOTSUPP)
    }
    fn unwatch(&mut self, _: BorrowedFd<'_>) {}
    fn wait(&mut self, _: Option<Instant>, _: &mut Vec<Wake>) -> Option<Instant> {
        None
    }
    fn log(&mut self, _: tracing::Level, _: fmt::Arguments<'_>) {}
}

/// Kernels on wires.
#[derive(Default)]
pub struct World {
    pub ether: Rc<Ether>,
    pub kernels: Vec<Rc<Kernel>>,
}

impl Ether {
    /// Whether the port that came to a wire as number `place` (from 0) has asked for every frame.
    pub fn promiscuous(&self, bus: &str, place: usize) -> bool {
        self.wires.borrow()[&PathBuf::from(bus)].promiscuous.get(&place).is_some_and(|on| *on)
    }
}

/// Text that a program wrote.
#[derive(Clone, Default)]
pub struct Text(pub Rc<RefCell<String>>);

impl Sink for Text {
    fn poll_write(&self, _: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize, Errno>> {
        self.0.borrow_mut().push_str(&String::from_utf8_lossy(octets));
        Poll::Ready(Ok(octets.len()))
    }
}

impl World {
    /// `n` hosts h1, h2, … on one wire, with the addresses 10.0.0.1, 10.0.0.2, …
    pub fn lan(n: u8) -> World {
        World::lan_of(n, |interface| interface)
    }

    /// The same where every segment is a frame of its own, so that the wire can lose it alone.
    pub fn lan_of_segments(n: u8) -> World {
        World::lan_of(n, |interface| InterfaceConfig { offload: false, ..interface })
    }

    fn lan_of(n: u8, with: impl Fn(InterfaceConfig) -> InterfaceConfig) -> World {
        let mut world = World::default();
        let hosts: Vec<HostConfig> = (1..=n)
            .map(|i| HostConfig { name: format!("h{i}"), addresses: vec![[10, 0, 0, i].into()] })
            .collect();
        for i in 1..=n {
            world.add(NodeConfig {
                lab: "test".into(),
                node: format!("h{i}"),
                interfaces: vec![with(interface("eth0", "lan", i, &format!("10.0.0.{i}/24")))],
                hosts: hosts.clone(),
                ..NodeConfig::default()
            });
        }
        world
    }

    /// Adds a node.
    pub fn add(&mut self, config: NodeConfig) -> Rc<Kernel> {
        let random = Xoshiro256PlusPlus::seed_from_u64(self.kernels.len() as u64 + 1);
        let user = User { ether: self.ether.clone(), ports: Vec::new(), random };
        let kernel = Kernel::new(&config, Box::new(user));
        kernel.configure(&config).unwrap();
        self.kernels.push(kernel.clone());
        kernel
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.ether.now.get()
    }

    /// A process of kernel `n` (from 0) that runs `main`; what it returns can be read when it is there.
    pub fn spawn<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        n: usize,
        main: impl FnOnce(Sys) -> F,
    ) -> Rc<Cell<Option<T>>> {
        let result = Rc::new(Cell::new(None));
        let slot = result.clone();
        let text = Rc::new(Text::default());
        self.kernels[n].spawn("test", text.clone(), text, |sys| {
            let main = main(sys);
            async move {
                slot.set(Some(main.await));
                0
            }
        });
        result
    }

    /// Lets time pass until `done` says so; panics if nothing will ever happen again, or after an hour.
    pub fn run_until(&self, mut done: impl FnMut() -> bool) {
        let end = self.now() + Duration::from_secs(3600);
        loop {
            self.settle();
            if done() {
                return;
            }
            let next = self.kernels.iter().filter_map(|kernel| evloop::deadline(kernel)).min();
            let next = next.expect("nothing will ever happen again");
            assert!(next <= end, "an hour has passed");
            // A deadline that is past and cannot be met would stop time.
            self.ether.now.set(next.max(self.now() + Duration::from_nanos(1)));
        }
    }

    /// Runs until the result of a process is there.
    pub fn result<T>(&self, result: &Rc<Cell<Option<T>>>) -> T {
        let mut got = None;
        self.run_until(|| {
            got = result.take();
            got.is_some()
        });
        got.unwrap()
    }

    /// Lets everything happen that happens now.
    pub fn settle(&self) {
        for _ in 0..100_000 {
            let work = self.kernels.iter().filter(|kernel| evloop::turn(kernel) == Left::Work).count();
            let frames = |wire: &Wire| wire.inboxes.iter().any(|inbox| !inbox.is_empty());
            if work == 0 && !self.ether.wires.borrow().values().any(frames) {
                return;
            }
        }
        panic!("the kernels never come to rest");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for kernel in &self.kernels {
            kernel.shutdown();
        }
    }
}

/// An interface whose Ethernet address ends in `mac`.
pub fn interface(name: &str, bus: &str, mac: u8, address: &str) -> InterfaceConfig {
    InterfaceConfig {
        name: name.into(),
        bus: bus.into(),
        mac: MacAddr([2, 0, 0, 0, 0, mac]),
        mtu: 1500,
        addresses: vec![address.parse().unwrap()],
        ipv6: None,
        offload: true,
        impair: None,
        up: true,
    }
}
