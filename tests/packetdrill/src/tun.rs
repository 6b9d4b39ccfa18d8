//! The world of the kernel under test: a clock that somebody else moves, and one interface that is a tunnel
//! to the script. The stack knows only Ethernet: towards it the tunnel is a wire on which one station has
//! every address (it answers each ARP request), towards the script it is bare IP packets.

use netstack::Mbuf;
use netstack::net::MacAddr;
use netstack::time::Instant;
use netstack::wire::{arp, ethernet};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rumpkern::config::InterfaceConfig;
use rumpkern::rumpuser::{AttachError, Filter, Interest, PortNumber, Received, Rumpuser, Sent, Wake};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// The interface's address.
pub(crate) const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// Everybody else's.
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// Nanoseconds from the Unix epoch to the kernel's: some day, always the same.
pub(crate) const EPOCH_NS: u64 = 1_600_000_000_000_000_000;

/// What the kernel's world and the one who drives it share.
#[derive(Debug)]
pub(crate) struct Tun {
    /// The time.
    pub(crate) now: Cell<Instant>,
    inbox: RefCell<VecDeque<Vec<u8>>>,
    outbox: RefCell<VecDeque<(Instant, Vec<u8>)>>,
}

impl Tun {
    /// A silent tunnel, one second after the kernel's epoch.
    pub(crate) fn new() -> Rc<Tun> {
        let now = Cell::new(Instant::from_millis(1000));
        Rc::new(Tun { now, inbox: RefCell::default(), outbox: RefCell::default() })
    }

    /// Puts an IP packet in.
    pub(crate) fn send(&self, packet: &[u8]) {
        self.enqueue(ethernet::IPV4, packet);
    }

    /// Takes the next IP packet out that the stack has sent, with the time when it did.
    pub(crate) fn receive(&self) -> Option<(Instant, Vec<u8>)> {
        self.outbox.borrow_mut().pop_front()
    }

    /// Whether the kernel has taken everything in.
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.borrow().is_empty()
    }

    fn enqueue(&self, ethertype: u16, payload: &[u8]) {
        let mut frame = vec![0; ethernet::HEADER_LEN + payload.len()];
        ethernet::Header { dst: OURS, src: THEIRS, ethertype }.emit(&mut frame);
        frame[ethernet::HEADER_LEN..].copy_from_slice(payload);
        self.inbox.borrow_mut().push_back(frame);
    }

    /// What a frame of the stack's comes to.
    fn carry(&self, now: Instant, frame: &[u8]) {
        let Some(header) = ethernet::Header::parse(frame) else { return };
        let payload = &frame[ethernet::HEADER_LEN..];
        match header.ethertype {
            ethernet::IPV4 => self.outbox.borrow_mut().push_back((now, payload.to_vec())),
            ethernet::ARP => self.answer(payload),
            _ => {}
        }
    }

    fn answer(&self, request: &[u8]) {
        let Ok(request) = arp::Packet::parse(request) else { return };
        // Probes and announcements (RFC 5227) ask nobody.
        let asks = request.op == arp::Op::Request && request.sender != request.target;
        if !asks || request.sender.is_unspecified() {
            return;
        }
        let mut reply = [0; arp::LEN];
        let answer = arp::Packet {
            op: arp::Op::Reply,
            sender_mac: THEIRS,
            sender: request.target,
            target_mac: request.sender_mac,
            target: request.sender,
        };
        answer.emit(&mut reply);
        self.enqueue(ethernet::ARP, &reply);
    }
}

/// The hypercalls over it.
#[derive(Debug)]
pub(crate) struct User {
    tun: Rc<Tun>,
    random: Xoshiro256PlusPlus,
}

impl User {
    pub(crate) fn new(tun: Rc<Tun>, seed: u64) -> User {
        User { tun, random: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }
}

impl Rumpuser for User {
    fn now(&mut self) -> Instant {
        self.tun.now.get()
    }

    fn epoch_unix_ns(&self) -> u64 {
        EPOCH_NS
    }

    fn random(&mut self, octets: &mut [u8]) {
        self.random.fill_bytes(octets);
    }

    fn if_attach(&mut self, _: &InterfaceConfig) -> Result<PortNumber, AttachError> {
        Ok(PortNumber(0))
    }

    fn if_detach(&mut self, _: PortNumber) {}

    fn if_filter(&mut self, _: PortNumber, _: &Filter) {}

    fn if_recv(&mut self, _: PortNumber, frame: &mut Mbuf) -> Received {
        match self.tun.inbox.borrow_mut().pop_front() {
            Some(octets) => {
                frame.extend(&octets);
                Received::Frame
            }
            None => Received::Empty,
        }
    }

    fn if_send(&mut self, _: PortNumber, now: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        for frame in frames {
            self.tun.carry(now, frame.data());
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

    fn log(&mut self, level: tracing::Level, line: fmt::Arguments<'_>) {
        eprintln!("lab-packetdrill: {level}: {line}");
    }
}
