//! A shared-memory Ethernet bus in a file.
//!
//! A *bus* is one mapped file: a header, a table of *ports*, and a ring of frame *records* in total order. Every process that may write the file can
//! attach ports and exchange Ethernet frames, without root, sockets or a daemon. The file remembers the last megabytes of its traffic with
//! times and senders: capturing is reading, and still works when everything that wrote it is dead.
//!
//! ```
//! use shmif::{Bus, BusConfig, Offload, PortConfig, Recv, Sent};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("lan.bus");
//! let bus = Bus::create(&path, &BusConfig::new("hello", "lan"))?;
//! let mut h1 = bus.attach(&PortConfig::new("h1", "eth0", [2, 0, 0, 0, 0, 1]))?;
//! let mut h2 = bus.attach(&PortConfig::new("h2", "eth0", [2, 0, 0, 0, 0, 2]))?;
//!
//! let mut frame = vec![0; 60];
//! frame[..6].copy_from_slice(&h2.mac());
//! frame[6..12].copy_from_slice(&h1.mac());
//! let now = bus.epoch().now_ns();
//! assert_eq!(h1.send(now, &frame, Offload::NONE), Sent::Ok);
//!
//! let mut buf = [0; 2048];
//! let Recv::Frame(record) = h2.recv(&mut buf) else { panic!("nothing came") };
//! assert_eq!((&buf[..record.len], record.sender, record.time_ns), (&frame[..], h1.id(), now));
//! assert_eq!(h2.recv(&mut buf), Recv::Empty);
//!
//! // The bus remembers, whoever has read.
//! assert_eq!(bus.history().next().map(|captured| captured.frame), Some(frame));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it behaves
//! - **Nobody is ever stuck.** A writer may be killed anywhere, also with the lock in its hand and half a frame copied: its frame is lost, nothing
//!   else ([`fault`] tries every point). A stopped writer costs others a bounded wait, then counted drops, until it goes on.
//! - **Lossy but fair.** A full ring makes senders wait ([`Sent::Wait`]) for readers that are alive and want what would be overwritten, for 10 ms
//!   at most; then the reader is overrun and told how much it lost ([`Recv::Overrun`]).
//! - **Only who must wakes.** A frame rings the [`Doorbell`] of a port that wants it and sleeps. Idle ports cost a sender nothing.
//! - **Trust nothing in the file.** Each word is read once, checked, then used. Nonsense gives an error or a counted drop; a file that
//!   is truncated while in use gives [`Recv::Broken`].
//!
//! # Waiting
//! A node polls its ports; when all say [`Recv::Empty`] it may go on polling for some microseconds, and then sleeps:
//! [`prepare_sleep`](Port::prepare_sleep) on each port (one says false: do not sleep), wait on the [`Doorbell`] with the stack's next deadline,
//! [`awake`](Port::awake) on each, [`answered`](Doorbell::answered).
//!
//! # What it does not do
//! Impairments, VLANs, switching: a bus is a hub on which everybody hears what it asks for. No encryption: who may write the file may forge
//! anything on it, but crash nobody.

#[cfg(not(loom))]
mod bus;
#[cfg(not(loom))]
mod copy_unsafe;
#[cfg(not(loom))]
mod doorbell;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
#[doc(hidden)]
#[path = "fault_unsafe.rs"]
pub mod fault;
#[cfg(not(loom))]
mod fsck;
#[cfg(not(loom))]
mod history;
#[cfg(not(loom))]
mod interest;
#[cfg(not(loom))]
pub mod layout;
#[cfg(not(loom))]
mod lock;
#[cfg(not(loom))]
mod map_unsafe;
#[cfg(not(loom))]
mod offload;
#[cfg(not(loom))]
mod owner;
#[cfg(not(loom))]
mod port;
#[cfg_attr(loom, allow(dead_code))]
mod protocol;
#[cfg(not(loom))]
mod recv;
#[cfg(not(loom))]
pub mod segment;
#[cfg(not(loom))]
mod send;
#[cfg(not(loom))]
mod sigbus_unsafe;
#[cfg(not(loom))]
mod slot;
mod sync;

#[cfg(not(loom))]
#[doc(hidden)]
pub use self::copy_unsafe::bench_in;
#[cfg(not(loom))]
pub use self::{
    bus::{Bus, BusConfig, BusInfo, Epoch},
    doorbell::Doorbell,
    error::{AttachError, CreateError, OpenError},
    fsck::{Finding, FsckReport},
    history::{Captured, Follow, Followed, History},
    layout::{MAX_FRAME, PortFlags},
    offload::{GsoType, Offload},
    port::{Port, PortConfig, PortCounters, PortId, PortInfo},
    recv::{Record, RecordFlags, Recv},
    send::{DEFAULT_PAUSE_NS, DropReason, Sent, TxFrame},
};
