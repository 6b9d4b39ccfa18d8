//! The hypercalls of a live node: host clocks, buses in files, epoll.

use super::alarm::Alarm;
use super::home::Home;
use super::memory_unsafe::Memory;
use super::patience::{BEFORE_YIELD, Ended, Patience};
use super::{AttachError, Filter, Interest, PortNumber, Received, Rumpuser, Sent, Wake};
use crate::config::{Epoch, InterfaceConfig, NodeConfig};
use crate::ifs::shmif::BusPort;
use netstack::Mbuf;
use netstack::time::{Duration, Instant};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};
use shmif::Doorbell;
use std::fmt;
use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Tokens of the node's own descriptors; remote clients count from 1.
const BELL: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
const ALARM: u64 = u64::MAX - 2;

/// Events taken from epoll at once.
const EVENTS: usize = 32;
/// Nanoseconds without a look at remote clients and signals while polling goes well.
const BLIND: u64 = 500_000;
/// How often a wire is looked at whose doorbell cannot be relied on.
const DISTRUST: Duration = Duration::from_millis(10);
/// Looks at the wires between two looks at the clock while polling.
const LOOKS: u32 = 16;

/// The host, as seen by one node.
pub struct Host {
    node: String,
    epoch: Epoch,
    random: Option<Xoshiro256PlusPlus>,
    ports: Vec<Option<BusPort>>,
    bell: Doorbell,
    signals: SignalFd,
    alarm: Alarm,
    epoll: OwnedFd,
    patience: Patience,
    home: Option<Home>,
    last_look: Instant,
    memory: Memory,
}

impl Host {
    /// Sets up what a node needs of the host: its doorbell in `config.dir`, signals (SIGTERM and
    /// SIGINT become [`Wake::Stop`]) and epoll.
    pub fn new(config: &NodeConfig) -> std::io::Result<Host> {
        let bell = Doorbell::bind(config.dir.join("bell"))?;
        let mask = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        // Terminals come and go: a node outlives the one from which it was started.
        (mask | Signal::SIGHUP).thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        epoll::add(&epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)?;
        let alarm = Alarm::new(config.epoch.mono_ns)?;
        epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), EventFlags::IN | EventFlags::ET)?;
        // Deadlines to the microsecond instead of the default 50 us: a paced sender needs it.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let mut host = Host {
            node: config.node.clone(),
            epoch: config.epoch,
            random: (config.seed != 0).then(|| Xoshiro256PlusPlus::seed_from_u64(config.seed)),
            ports: Vec::new(),
            bell,
            signals,
            alarm,
            epoll,
            patience: Patience::new(),
            home: None,
            last_look: Instant::ZERO,
            memory: Memory::default(),
        };
        let now = host.now().as_nanos();
        host.home = config.home.and_then(|nth| Home::new(nth, &config.dir, now));
        Ok(host)
    }

    fn port(&mut self, port: PortNumber) -> Option<&mut BusPort> {
        self.ports.get_mut(port.0 as usize)?.as_mut()
    }

    fn has_frames(&self) -> bool {
        self.ports.iter().flatten().any(BusPort::has_frames)
    }

    /// Polls the wires for as long as it pays. Returns whether something came.
    fn poll(&mut self, since: u64, until: Option<Instant>) -> Option<Instant> {
        if self.home.as_ref().is_some_and(Home::is_home) {
            return None;
        }
        let budget = self.patience.budget(since)?;
        let mut end = since.saturating_add(u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX));
        if let Some(until) = until {
            end = end.min(until.as_nanos());
        }
        let mut next_yield = since + BEFORE_YIELD;
        let mut now = since;
        loop {
            for _ in 0..LOOKS {
                if self.has_frames() {
                    // As of the last look at the clock: another one would hold up what came.
                    self.patience.ended(Ended::Polling, now - since);
                    return Some(Instant::from_nanos(now));
                }
                std::hint::spin_loop();
            }
            now = self.now().as_nanos();
            if now >= end {
                self.patience.failed(now, now - since);
                return None;
            }
            if now >= next_yield {
                rustix::thread::sched_yield();
                let then = self.now().as_nanos();
                if self.patience.yielded(then, then - now) {
                    return None;
                }
                (now, next_yield) = (then, then + BEFORE_YIELD);
            }
        }
    }

    /// Asks epoll; `timeout` `None`: for as long as it takes.
    fn look(&mut self, timeout: Option<Duration>, wakes: &mut Vec<Wake>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let mut room = [std::mem::MaybeUninit::uninit(); EVENTS];
        let events = match epoll::wait(&self.epoll, &mut room, timeout.as_ref()) {
            Ok((events, _)) => &*events,
            // EINTR: as if something had come.
            Err(_) => return,
        };
        for event in events {
            let flags = event.flags;
            match event.data.u64() {
                BELL => self.bell.answered(),
                ALARM => self.alarm.rang(),
                SIGNALS => {
                    while let Ok(Some(_)) = self.signals.read_signal() {
                        wakes.push(Wake::Stop);
                    }
                }
                token => {
                    let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                    let mut ready = Interest::empty();
                    let end = gone || flags.contains(EventFlags::RDHUP);
                    ready.set(Interest::READ, end || flags.contains(EventFlags::IN));
                    ready.set(Interest::END, end);
                    ready.set(Interest::WRITE, gone || flags.contains(EventFlags::OUT));
                    wakes.push(Wake::Remote(token, ready));
                }
            }
        }
    }
}

impl Rumpuser for Host {
    fn now(&mut self) -> Instant {
        let now = clock_gettime(ClockId::Monotonic);
        // CLOCK_MONOTONIC is positive, and its seconds fit for 584 years.
        let now = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        Instant::from_nanos(now.saturating_sub(self.epoch.mono_ns))
    }

    fn epoch_unix_ns(&self) -> u64 {
        self.epoch.unix_ns
    }

    fn random(&mut self, octets: &mut [u8]) {
        match &mut self.random {
            Some(seeded) => seeded.fill_bytes(octets),
            None => {
                let mut filled = 0;
                while filled < octets.len() {
                    let got =
                        rustix::rand::getrandom(&mut octets[filled..], rustix::rand::GetRandomFlags::empty());
                    filled += got.unwrap_or(0);
                }
            }
        }
    }

    fn if_attach(&mut self, interface: &InterfaceConfig) -> Result<PortNumber, AttachError> {
        let port = BusPort::attach(&self.node, interface, self.bell.path())?;
        let free = self.ports.iter().position(Option::is_none).unwrap_or_else(|| {
            self.ports.push(None);
            self.ports.len() - 1
        });
        self.ports[free] = Some(port);
        Ok(PortNumber(free as u32))
    }

    fn if_detach(&mut self, port: PortNumber) {
        if let Some(slot) = self.ports.get_mut(port.0 as usize) {
            *slot = None;
        }
    }

    fn if_filter(&mut self, port: PortNumber, filter: &Filter) {
        if let Some(port) = self.port(port) {
            port.filter(filter);
        }
    }

    fn if_recv(&mut self, port: PortNumber, frame: &mut Mbuf) -> Received {
        match self.ports.get_mut(port.0 as usize) {
            Some(Some(port)) => port.recv(frame),
            Some(None) | None => Received::Dead,
        }
    }

    fn if_send(&mut self, port: PortNumber, now: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        match self.port(port) {
            Some(port) => port.send(now, frames),
            None => (1, Sent::Dropped("noWire")),
        }
    }

    fn if_counters(&self, port: PortNumber) -> Vec<(&'static str, u64)> {
        match self.ports.get(port.0 as usize) {
            Some(Some(port)) => port.counters(),
            Some(None) | None => Vec::new(),
        }
    }

    fn wait_counters(&self) -> Vec<(&'static str, u64)> {
        vec![("waitsPolled", self.patience.polled), ("waitsSlept", self.patience.slept)]
    }

    fn watch(&mut self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<(), Errno> {
        let mut flags = EventFlags::ET | EventFlags::RDHUP;
        flags.set(EventFlags::IN, interest.contains(Interest::READ));
        flags.set(EventFlags::OUT, interest.contains(Interest::WRITE));
        match epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags) {
            Err(Errno::NOENT) => epoll::add(&self.epoll, fd, EventData::new_u64(token), flags),
            done => done,
        }
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>) {
        // It may have been closed or never watched; then there is nothing to stop.
        let _ = epoll::delete(&self.epoll, fd);
    }

    fn wait(&mut self, until: Option<Instant>, wakes: &mut Vec<Wake>) -> Option<Instant> {
        let since = self.now();
        if let Some(home) = &mut self.home {
            home.look(since.as_nanos());
        }
        if until.is_some_and(|until| until <= since) {
            self.look(Some(Duration::ZERO), wakes);
            return None;
        }
        if let Some(at) = self.poll(since.as_nanos(), until) {
            if since.since(self.last_look) > Duration::from_nanos(BLIND) {
                self.last_look = since;
                self.look(Some(Duration::ZERO), wakes);
                return None;
            }
            return Some(at);
        }
        // All ports must have announced the sleep before one of them is found to have something.
        let asleep = self.ports.iter().flatten().filter(|port| !port.prepare_sleep()).count() == 0;
        if asleep {
            let now = self.now();
            let near = until.filter(|&until| !self.alarm.covers(now, until));
            let mut timeout = near.map(|until| until.since(now));
            if let Some(look) = self.memory.before_sleep(now) {
                timeout = Some(timeout.map_or(look, |timeout| timeout.min(look)));
            }
            if self.ports.iter().flatten().any(BusPort::is_lying) {
                timeout = Some(timeout.map_or(DISTRUST, |timeout| timeout.min(DISTRUST)));
            }
            self.look(timeout, wakes);
        }
        for port in self.ports.iter().flatten() {
            port.awake();
        }
        let now = self.now();
        if until.is_none_or(|until| now < until) {
            self.patience.ended(Ended::Sleeping, now.since(since).as_nanos().try_into().unwrap_or(u64::MAX));
        }
        Some(now)
    }

    fn log(&mut self, level: tracing::Level, line: fmt::Arguments<'_>) {
        crate::node::log(level, line);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("node", &self.node).field("ports", &self.ports).finish_non_exhaustive()
    }
}
