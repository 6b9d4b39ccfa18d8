//! The hypercalls of one node in virtual time.

use super::wire::{Name, PortAt};
use super::{LogLine, NodeId, Shared};
use crate::config::{InterfaceConfig, NodeConfig};
use crate::rumpuser::{AttachError, Filter, Interest, PortNumber, Received, Rumpuser, Sent, Wake};
use netstack::Mbuf;
use netstack::time::Instant;
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cell::RefCell;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Where each port of a node is.
pub(super) type Ports = Rc<RefCell<Vec<Option<PortAt>>>>;

/// A node's view of its world.
pub(super) struct User {
    shared: Rc<Shared>,
    id: NodeId,
    node: Rc<str>,
    ports: Ports,
    random: Xoshiro256PlusPlus,
}

impl User {
    pub(super) fn new(shared: &Rc<Shared>, id: NodeId, config: &NodeConfig, ports: &Ports) -> User {
        User {
            shared: shared.clone(),
            id,
            node: config.node.as_str().into(),
            ports: ports.clone(),
            random: Xoshiro256PlusPlus::seed_from_u64(config.seed),
        }
    }

    fn place(&self, port: PortNumber) -> Option<PortAt> {
        *self.ports.borrow().get(port.0 as usize)?
    }
}

impl Rumpuser for User {
    fn now(&mut self) -> Instant {
        self.shared.now.get()
    }

    fn epoch_unix_ns(&self) -> u64 {
        self.shared.epoch_unix_ns
    }

    fn random(&mut self, octets: &mut [u8]) {
        self.random.fill_bytes(octets);
    }

    fn if_attach(&mut self, interface: &InterfaceConfig) -> Result<PortNumber, AttachError> {
        let name =
            Name { node: self.node.to_string(), interface: interface.name.clone(), mac: interface.mac };
        let port = self.shared.wires.borrow_mut().attach(interface.bus.clone(), self.id, name);
        let mut ports = self.ports.borrow_mut();
        let free = ports.iter().position(Option::is_none).unwrap_or_else(|| {
            ports.push(None);
            ports.len() - 1
        });
        ports[free] = Some(port);
        Ok(PortNumber(free as u32))
    }

    fn if_detach(&mut self, port: PortNumber) {
        if let Some(port) = self.ports.borrow_mut().get_mut(port.0 as usize).and_then(Option::take) {
            self.shared.wires.borrow_mut().of(port).detach(port.at);
        }
    }

    fn if_filter(&mut self, port: PortNumber, filter: &Filter) {
        if let Some(port) = self.place(port) {
            self.shared.wires.borrow_mut().of(port).filter(port.at, filter);
        }
    }

    fn if_recv(&mut self, port: PortNumber, frame: &mut Mbuf) -> Received {
        let Some(port) = self.place(port) else { return Received::Dead };
        self.shared.wires.borrow_mut().of(port).recv(port.at, self.shared.now.get(), frame)
    }

    fn if_send(&mut self, port: PortNumber, now: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        let Some(port) = self.place(port) else { return (1, Sent::Dropped("noWire")) };
        let mut wires = self.shared.wires.borrow_mut();
        let wire = wires.of(port);
        let (mut agenda, mut tap) = (self.shared.agenda.borrow_mut(), self.shared.tap.borrow_mut());
        for (n, frame) in frames.iter().enumerate() {
            match wire.send(port.at, now, frame, tap.as_mut(), |node, at| agenda.wake(node, at)) {
                Sent::Done => {}
                Sent::Wait(until) => return (n, Sent::Wait(until)),
                Sent::Dropped(reason) => return (n + 1, Sent::Dropped(reason)),
            }
        }
        (frames.len(), Sent::Done)
    }

    fn if_counters(&self, port: PortNumber) -> Vec<(&'static str, u64)> {
        let Some(port) = self.place(port) else { return Vec::new() };
        let counters = self.shared.wires.borrow_mut().of(port).port_counters(port.at);
        vec![
            ("rxFrames", counters.rx.0),
            ("rxOctets", counters.rx.1),
            ("rxLost", counters.rx_lost),
            ("txFrames", counters.tx.0),
            ("txOctets", counters.tx.1),
            ("txWaits", counters.tx_waits),
        ]
    }

    fn wait_counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn watch(&mut self, _: BorrowedFd<'_>, _: u64, _: Interest) -> Result<(), rustix::io::Errno> {
        // Nobody is outside.
        Err(rustix::io::Errno::OPNOTSUPP)
    }

    fn unwatch(&mut self, _: BorrowedFd<'_>) {}

    fn wait(&mut self, _: Option<Instant>, _: &mut Vec<Wake>) -> Option<Instant> {
        None
    }

    fn log(&mut self, level: tracing::Level, line: fmt::Arguments<'_>) {
        let time = self.shared.now.get();
        let line = LogLine { time, node: self.node.clone(), level, text: line.to_string() };
        self.shared.log.borrow_mut().push(line);
    }
}
