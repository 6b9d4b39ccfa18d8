//! The hypercalls: everything a kernel asks of the world, on one page.
//!
//! [`host`] answers them for a live node, [`virt`] in virtual time for any number of kernels in one
//! process; a kernel cannot tell the difference, because it has no other way out. Nothing here blocks, except [`Rumpuser::wait`].

mod alarm;
mod claim;
mod home;
pub mod host;
mod memory_unsafe;
mod patience;
pub mod virt;

use crate::config::InterfaceConfig;
use netstack::net::{MacAddr, mbuf::Mbuf};
use netstack::time::Instant;
use std::fmt;
use std::os::fd::BorrowedFd;

/// The world, as seen by one kernel.
pub trait Rumpuser {
    /// The time, counted from the lab's epoch. Never goes backwards.
    fn now(&mut self) -> Instant;

    /// Nanoseconds from the Unix epoch to the lab's epoch (wall time = this + [`Rumpuser::now`]).
    fn epoch_unix_ns(&self) -> u64;

    /// Fills `octets` with random ones.
    fn random(&mut self, octets: &mut [u8]);

    /// Attaches an interface to its wire. Ports are small numbers, counted from 0, reused after detach.
    fn if_attach(&mut self, interface: &InterfaceConfig) -> Result<PortNumber, AttachError>;

    /// Leaves the wire.
    fn if_detach(&mut self, port: PortNumber);

    /// Which frames the interface wants of its wire.
    fn if_filter(&mut self, port: PortNumber, filter: &Filter);

    /// Takes the next frame off the wire into `frame` (which is empty).
    fn if_recv(&mut self, port: PortNumber, frame: &mut Mbuf) -> Received;

    /// Puts frames on the wire, in order, and rings who sleeps and wants them. Returns how many are
    /// done with, and what became of the last of them or, if it must wait, of the next.
    fn if_send(&mut self, port: PortNumber, now: Instant, frames: &[Mbuf]) -> (usize, Sent);

    /// What the wire counted for this port, as (name, value) for `show stats`.
    fn if_counters(&self, port: PortNumber) -> Vec<(&'static str, u64)>;

    /// What waiting came to, in the same form.
    fn wait_counters(&self) -> Vec<(&'static str, u64)>;

    /// Watches a host descriptor of a remote client: its edges come as [`Wake::Remote`] with `token`.
    /// Calling it again for the same descriptor changes the interest.
    fn watch(&mut self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<(), rustix::io::Errno>;

    /// Stops watching, before the descriptor is closed.
    fn unwatch(&mut self, fd: BorrowedFd<'_>);

    /// Waits until a frame has come, a watched descriptor is ready, somebody asks the node to stop,
    /// or `until` (`None`: for ever), and appends what it was told. `until` in the past: looks, and does not wait.
    /// Frames are not listed; whoever waits looks at all ports afterwards. Returns the time, if it was looked at a moment ago.
    fn wait(&mut self, until: Option<Instant>, wakes: &mut Vec<Wake>) -> Option<Instant>;

    /// A line for the node's log.
    fn log(&mut self, level: tracing::Level, line: fmt::Arguments<'_>);
}

/// Names an attached wire port of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNumber(pub u32);

/// Which frames an interface wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Down: none at all.
    pub up: bool,
    /// All.
    pub promiscuous: bool,
    /// Those of these groups, besides those for its own address and for all stations.
    pub multicast: Vec<MacAddr>,
}

/// What taking a frame off the wire came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Frame,
    /// Nothing there.
    Empty,
    /// The reader was too slow: this many frames are lost. There may be more behind.
    Overrun(u64),
    /// Something that is no frame was skipped. There may be more behind.
    Bad,
    /// The wire is broken or gone; nothing more will come.
    Dead,
}

/// What putting a frame on the wire came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// On the wire; the next may follow.
    Done,
    /// The wire is full: try again when woken, at the latest at this time.
    Wait(Instant),
    /// It cannot be sent, for this reason; forget it.
    Dropped(&'static str),
}

/// Something that a wait was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A watched descriptor became ready for these.
    Remote(u64, Interest),
    /// The node shall stop.
    Stop,
}

bitflags::bitflags! {
    /// What a remote client's descriptor is watched for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Interest: u8 {
        /// Readable, or the peer hung up.
        const READ = 1;
        /// Writable, or the peer hung up.
        const WRITE = 2;
        /// The peer will send no more. It comes with READ, perhaps in one with the last octets, once and without being asked for.
        const END = 4;
    }
}

/// Why an interface could not be attached.
#[derive(Debug, thiserror::Error)]
#[error("interface {interface}: {source}")]
pub struct AttachError {
    /// The interface's name.
    pub interface: String,
    /// What the wire said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
