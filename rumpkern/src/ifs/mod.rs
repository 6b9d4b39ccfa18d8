//! Interfaces: the drivers between the stack and the wires.
//!
//! A driver pulls: it takes frames from the stack only while the wire takes them, so that a full
//! wire holds up the stack's queue, that the sockets, and nobody needs a signal. A frame that must
//! wait stays at the head of its interface.

pub(crate) mod flags;
mod impaired;
pub mod impairment;
pub mod shmif;

use crate::config::InterfaceConfig;
use crate::kernel::Kernel;
use crate::rumpuser::{AttachError, Filter, PortNumber, Received, Sent};
use impaired::Impaired;
use impairment::Impairment;
use netstack::net::ifnet::{IfConfig, IfError};
use netstack::net::mbuf::Offload;
use netstack::net::{IfIndex, MacAddr};
use netstack::time::Instant;
use netstack::{Mbuf, Stack};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Frames taken off one wire before the others, and the programs, have their turn.
pub const RX_BURST: usize = 64;
/// Frames put on one wire at once, under one lock and with one ring of each doorbell.
const TX_BATCH: usize = 64;
/// Frames put on one wire in one turn: what a burst on several wires may become on one.
pub const TX_BURST: usize = 256;

/// All interfaces with wires, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    all: RefCell<Vec<Interface>>,
    /// The filters must be looked at.
    changed: Cell<bool>,
}

#[derive(Debug)]
struct Interface {
    ifindex: IfIndex,
    port: PortNumber,
    /// The link address by which the wire knows it.
    mac: MacAddr,
    bus: PathBuf,
    /// Whether packets leave with their checksums and segmentation left undone; not while the wire is impaired.
    offload: bool,
    /// What happens to frames on their way to the wire.
    impair: Option<Box<Impaired>>,
    wire: Wire,
    /// Frames on their way from the stack to the wire.
    out: Vec<Mbuf>,
    /// The wire is full: when the head of `out` must be tried again at the latest.
    retry: Option<Instant>,
    /// What was told to the wire: the state, and the generation of the stack's filter.
    filter: Option<(bool, u64)>,
    /// A partition keeps the frames of these senders away.
    apart: Vec<MacAddr>,
    drops: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Alive,
    Dead,
}

impl Interface {
    /// Takes frames from the stack and makes them ready for the wire, at most `most`; how many were taken. What an impaired wire
    /// has to do with them is done.
    fn pull(&mut self, stack: &mut Stack, now: Instant, most: usize) -> usize {
        let Interface { out, impair, drops, .. } = self;
        // One that does nothing any more is out of the way once it is empty.
        let mut impair = impair.as_mut().filter(|impaired| !impaired.is_idle());
        let whole = self.offload && impair.is_none();
        let mut pulled = 0;
        while out.len() < TX_BATCH
            && pulled < most
            && let Some(frame) = stack.poll_transmit(now, self.ifindex)
        {
            pulled += 1;
            let mut part = |m: Mbuf| match &mut impair {
                Some(impaired) => out.extend(impaired.push(now, m)),
                None => out.push(m),
            };
            // The stack leaves nothing undone here, but forwards what others have left so.
            if whole || frame.offload == Offload::default() {
                part(frame);
                continue;
            }
            let mut copy = |octets: &[u8]| {
                let mut m = stack.rx_mbuf();
                m.extend(octets);
                part(m);
            };
            if shmif::for_each_part(&frame, &mut copy).is_err() {
                *drops.entry("badOffload").or_default() += 1;
            }
            stack.recycle(frame);
        }
        let Some(impaired) = impair else { return pulled };
        while out.len() < TX_BATCH
            && let Some(frame) = impaired.pop(now)
        {
            out.push(frame);
        }
        while let Some(frame) = impaired.take_dropped() {
            stack.recycle(frame);
        }
        pulled
    }

    /// Whether a partition is between its sender and this interface.
    fn is_apart(&self, frame: &Mbuf) -> bool {
        !self.apart.is_empty()
            && frame.data().get(6..12).is_some_and(|from| self.apart.iter().any(|mac| mac.0 == from))
    }

    fn count(&mut self, reason: &'static str, n: u64) {
        *self.drops.entry(reason).or_default() += n;
    }
}

impl Kernel {
    /// Attaches an interface to its wire and tells the stack.
    pub(crate) fn if_attach(&self, config: &InterfaceConfig) -> Result<IfIndex, AttachError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| AttachError {
            interface: config.name.clone(),
            source,
        };
        let port = self.user.borrow_mut().if_attach(config)?;
        let InterfaceConfig { name, mac, mtu, .. } = config.clone();
        let attached = self.stack.borrow_mut().if_attach(IfConfig { name, mac, mtu });
        let ifindex = match attached {
            Ok(ifindex) => {
                let _ = self.stack.borrow_mut().if_set_offload(ifindex, config.offload);
                ifindex
            }
            Err(error) => {
                self.user.borrow_mut().if_detach(port);
                return Err(failed(Box::new(error)));
            }
        };
        self.ifs.all.borrow_mut().push(Interface {
            ifindex,
            port,
            mac: config.mac,
            bus: config.bus.clone(),
            offload: config.offload,
            impair: None,
            wire: Wire::Alive,
            out: Vec::new(),
            retry: None,
            filter: None,
            apart: Vec::new(),
            drops: BTreeMap::new(),
        });
        self.if_filters_changed();
        let _ = self.if_impair(ifindex, config.impair.clone());
        Ok(ifindex)
    }

    /// Impairs the wire of an interface from now on, or (`None`) no longer; `false`: it has none. Frames on their way arrive.
    pub(crate) fn if_impair(&self, ifindex: IfIndex, impairment: Option<Impairment>) -> bool {
        let (mut ifs, mut stack) = (self.ifs.all.borrow_mut(), self.stack.borrow_mut());
        let now = self.user.borrow_mut().now();
        let Some(interface) = ifs.iter_mut().find(|interface| interface.ifindex == ifindex) else {
            return false;
        };
        let config = impairment.clone().unwrap_or_default();
        match &mut interface.impair {
            Some(impaired) => impaired.set(now, config),
            None if impairment.is_some() => interface.impair = Some(Box::new(Impaired::new(config))),
            None => {}
        }
        // What is lost on the way is a segment.
        let whole = interface.impair.as_ref().is_none_or(|impaired| impaired.said().is_nothing());
        let _ = stack.if_set_offload(ifindex, interface.offload && whole);
        true
    }

    /// Parts an interface from those whose frames have these source addresses, and from nobody else; `false`: it has no wire.
    pub(crate) fn if_part(&self, ifindex: IfIndex, from: Vec<MacAddr>) -> bool {
        let mut ifs = self.ifs.all.borrow_mut();
        let found = ifs.iter_mut().find(|interface| interface.ifindex == ifindex);
        found.map(|interface| interface.apart = from).is_some()
    }

    /// What happens to frames that leave by an interface.
    pub(crate) fn if_impairment(&self, ifindex: IfIndex) -> Option<Impairment> {
        let ifs = self.ifs.all.borrow();
        let impaired = ifs.iter().find(|interface| interface.ifindex == ifindex)?.impair.as_ref()?;
        Some(impaired.said().clone()).filter(|impairment| !impairment.is_nothing())
    }

    /// Sets the size of the largest packet of an interface; the size that it has is never refused.
    pub(crate) fn if_set_mtu(&self, ifindex: IfIndex, mtu: u32) -> Result<(), IfError> {
        let mut stack = self.stack.borrow_mut();
        match stack.interface(ifindex) {
            Some(ifnet) if ifnet.mtu == mtu => Ok(()),
            Some(_) | None => stack.if_set_mtu(ifindex, mtu),
        }
    }

    /// Leaves all wires.
    pub(crate) fn if_detach_all(&self) {
        let mut user = self.user.borrow_mut();
        for interface in self.ifs.all.take() {
            user.if_detach(interface.port);
        }
    }

    /// Bus in: a burst from each wire. Returns whether there may be more.
    pub(crate) fn if_input(&self, now: Instant) -> bool {
        let (mut ifs, mut user) = (self.ifs.all.borrow_mut(), self.user.borrow_mut());
        let mut stack = self.stack.borrow_mut();
        let mut more = false;
        for interface in ifs.iter_mut().filter(|interface| interface.wire == Wire::Alive) {
            more |= 'burst: {
                for _ in 0..RX_BURST {
                    let mut frame = stack.rx_mbuf();
                    match user.if_recv(interface.port, &mut frame) {
                        Received::Frame if interface.is_apart(&frame) => interface.count("partitioned", 1),
                        Received::Frame => {
                            stack.input(now, interface.ifindex, frame);
                            continue;
                        }
                        Received::Overrun(lost) => interface.count("overrun", lost),
                        Received::Bad => interface.count("badRecord", 1),
                        Received::Empty => {
                            stack.recycle(frame);
                            break 'burst false;
                        }
                        Received::Dead => {
                            stack.recycle(frame);
                            interface.wire = Wire::Dead;
                            let _ = stack.if_set_carrier(now, interface.ifindex, false);
                            let bus = interface.bus.display();
                            user.log(
                                tracing::Level::ERROR,
                                format_args!("{bus}: the bus is broken; its interface lost its carrier"),
                            );
                            break 'burst false;
                        }
                    }
                    stack.recycle(frame);
                }
                true
            };
        }
        more
    }

    /// Frames out, while the wires take them. Returns whether there may be more.
    pub(crate) fn if_output(&self, now: Instant) -> bool {
        let (mut ifs, mut user) = (self.ifs.all.borrow_mut(), self.user.borrow_mut());
        let mut stack = self.stack.borrow_mut();
        let mut more = false;
        for interface in ifs.iter_mut() {
            let mut room = TX_BURST;
            let mut pulled = 0;
            more |= loop {
                pulled += interface.pull(&mut stack, now, TX_BURST - pulled);
                let out = &mut interface.out;
                if out.is_empty() {
                    break pulled == TX_BURST;
                }
                let (done, what) = match interface.wire {
                    Wire::Alive => user.if_send(interface.port, now, out),
                    Wire::Dead => (1, Sent::Dropped("deadWire")),
                };
                interface.retry = None;
                match what {
                    Sent::Done => {}
                    Sent::Wait(until) => interface.retry = Some(until),
                    Sent::Dropped(reason) => *interface.drops.entry(reason).or_default() += 1,
                }
                for frame in out.drain(..done) {
                    stack.recycle(frame);
                }
                room = room.saturating_sub(done);
                if interface.retry.is_some() {
                    break false;
                }
                if room == 0 {
                    break true;
                }
            };
        }
        more
    }

    /// Something was done that may change what the stack wants of its wires.
    pub(crate) fn if_filters_changed(&self) {
        self.ifs.changed.set(true);
    }

    /// Tells the wires what the stack wants of them, if that has changed.
    pub(crate) fn if_filters(&self) {
        if !self.ifs.changed.replace(false) {
            return;
        }
        let stack = self.stack.borrow();
        for interface in self.ifs.all.borrow_mut().iter_mut() {
            let ifnet = stack.interface(interface.ifindex);
            let up = ifnet.is_some_and(|ifnet| ifnet.up);
            // What goes to another address than the wire knows, the stack must pick out itself.
            let renamed = ifnet.is_some_and(|ifnet| ifnet.mac != interface.mac);
            let wanted = stack.rx_filter(interface.ifindex);
            if interface.filter != Some((up, wanted.generation)) {
                interface.filter = Some((up, wanted.generation));
                let promiscuous = wanted.promiscuous || wanted.all_multicast || renamed;
                let filter = Filter { up, promiscuous, multicast: wanted.multicast };
                self.user.borrow_mut().if_filter(interface.port, &filter);
            }
        }
    }

    /// When a waiting frame must be tried again, or arrives at the end of an impaired wire.
    pub(crate) fn if_retry(&self) -> Option<Instant> {
        let arrives = |interface: &Interface| interface.impair.as_ref().and_then(|impaired| impaired.next());
        // A full wire takes nothing, however much is due.
        self.ifs
            .all
            .borrow()
            .iter()
            .filter_map(|interface| interface.retry.or_else(|| arrives(interface)))
            .min()
    }

    /// The bus that an interface is on.
    pub(crate) fn if_bus(&self, ifindex: IfIndex) -> Option<PathBuf> {
        let ifs = self.ifs.all.borrow();
        ifs.iter().find(|interface| interface.ifindex == ifindex).map(|interface| interface.bus.clone())
    }

    /// What driver and wire counted for an interface: the wire's counters, and drops by reason.
    pub(crate) fn if_wire_counters(&self, ifindex: IfIndex) -> Vec<(String, u64)> {
        let ifs = self.ifs.all.borrow();
        let Some(interface) = ifs.iter().find(|interface| interface.ifindex == ifindex) else {
            return Vec::new();
        };
        let wire = self.user.borrow().if_counters(interface.port);
        let wire = wire.into_iter().map(|(name, value)| (format!("wire.{name}"), value));
        let drops = interface.drops.iter().map(|(reason, n)| (format!("drop.{reason}"), *n));
        let impair = interface.impair.as_ref().map(|impaired| impaired.counters()).unwrap_or_default();
        let impair = impair.into_iter().map(|(name, n)| (name.to_owned(), n));
        wire.chain(impair).chain(drops).collect()
    }
}
