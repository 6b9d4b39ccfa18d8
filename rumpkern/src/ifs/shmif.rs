//! The driver's end on a shared-memory Ethernet bus.

use crate::config::InterfaceConfig;
use crate::rumpuser::{AttachError, Filter, Received, Sent};
use netstack::Mbuf;
use netstack::net::mbuf::{Gso, GsoKind, Offload};
use netstack::time::Instant;
use shmif::segment::{SegmentError, Segments};
use shmif::{Bus, DropReason, GsoType, Port, PortConfig, Recv, TxFrame};
use std::path::Path;

/// A port on a bus.
#[derive(Debug)]
pub(crate) struct BusPort {
    port: Port,
    /// A bus that broke stays so; it is not waited for.
    broken: bool,
    /// How often in a row the port table said that something is there when nothing was.
    lies: u8,
}

/// Lies after which the port table is not believed, until a frame comes. (One may be a frame that came just then.)
const LIES: u8 = 16;

impl BusPort {
    /// Attaches `interface` of `node` to its bus; `bell` is rung when frames come while the node sleeps.
    pub(crate) fn attach(
        node: &str,
        interface: &InterfaceConfig,
        bell: &Path,
    ) -> Result<BusPort, AttachError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| AttachError {
            interface: interface.name.clone(),
            source,
        };
        let bus = Bus::open(&interface.bus).map_err(|error| failed(error.into()))?;
        let config = PortConfig {
            doorbell: Some(bell.to_owned()),
            offload: true,
            ..PortConfig::new(node, &interface.name, interface.mac.0)
        };
        let port = bus.attach(&config).map_err(|error| failed(error.into()))?;
        Ok(BusPort { port, broken: false, lies: 0 })
    }

    /// Takes the next frame into `frame`.
    pub(crate) fn recv(&mut self, frame: &mut Mbuf) -> Received {
        match frame.append_with(|octets| self.port.recv_append(octets)) {
            Recv::Frame(record) => {
                self.lies = 0;
                frame.offload = from_bus(record.offload);
                Received::Frame
            }
            Recv::Empty => {
                self.lies = if self.port.is_pending() { self.lies.saturating_add(1) } else { 0 };
                Received::Empty
            }
            Recv::Overrun { lost } => Received::Overrun(lost),
            Recv::TooLong { .. } => Received::Bad,
            Recv::Broken => {
                self.broken = true;
                Received::Dead
            }
        }
    }

    /// Puts frames on the bus: see [`crate::rumpuser::Rumpuser::if_send`].
    pub(crate) fn send(&mut self, now: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        const BATCH: usize = 64;
        let mut batch = [TxFrame { data: &[], offload: shmif::Offload::NONE }; BATCH];
        let count = frames.len().min(BATCH);
        for (slot, frame) in batch.iter_mut().zip(frames) {
            *slot = TxFrame { data: frame.data(), offload: to_bus(frame.offload) };
        }
        let (sent, next) = self.port.send_batch(now.as_nanos(), &batch[..count]);
        let next = match next {
            shmif::Sent::Ok => Sent::Done,
            shmif::Sent::Wait { until_ns } => Sent::Wait(Instant::from_nanos(until_ns)),
            shmif::Sent::Dropped(reason) => Sent::Dropped(match reason {
                DropReason::TooShort => "frameTooShort",
                DropReason::TooLong => "frameTooLong",
                DropReason::BadOffload => "badOffload",
                DropReason::LockBusy => "busLocked",
                DropReason::Broken => "busBroken",
            }),
        };
        (sent, next)
    }

    /// Which frames are wanted.
    pub(crate) fn filter(&mut self, filter: &Filter) {
        let groups: Vec<[u8; 6]> = filter.multicast.iter().map(|mac| mac.0).collect();
        self.port.set_multicast(&groups);
        self.port.set_promiscuous(filter.promiscuous);
        self.port.set_up(filter.up);
    }

    /// Whether there is something to receive.
    pub(crate) fn has_frames(&self) -> bool {
        !self.broken && !self.is_lying() && self.port.is_pending()
    }

    /// Whether somebody has scribbled over the port table, so that it can neither be polled nor slept on.
    pub(crate) fn is_lying(&self) -> bool {
        self.lies >= LIES
    }

    /// Asks for the doorbell; false: something has come already.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.broken || self.port.prepare_sleep() || self.is_lying()
    }

    /// The doorbell is not needed any more.
    pub(crate) fn awake(&self) {
        self.port.awake();
    }

    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        let counters = self.port.counters();
        vec![
            ("rxFrames", counters.rx_frames),
            ("rxOctets", counters.rx_octets),
            ("rxLost", counters.rx_lost),
            ("rxErrors", counters.rx_errors),
            ("txFrames", counters.tx_frames),
            ("txOctets", counters.tx_octets),
            ("txDropped", counters.tx_dropped),
            ("txWaits", counters.tx_waits),
        ]
    }
}

/// Shows `part` the frames that `frame` is on a wire that takes nothing undone.
pub(crate) fn for_each_part(frame: &Mbuf, mut part: impl FnMut(&[u8])) -> Result<(), SegmentError> {
    let mut segments = Segments::new(frame.data().to_vec(), to_bus(frame.offload))?;
    let mut octets = vec![0; frame.len()];
    while let Some(len) = segments.next(&mut octets) {
        part(&octets[..len]);
    }
    Ok(())
}

fn from_bus(offload: shmif::Offload) -> Offload {
    let kind = match offload.gso_type {
        GsoType::None => None,
        GsoType::TcpV4 => Some(GsoKind::TcpV4),
        GsoType::TcpV6 => Some(GsoKind::TcpV6),
        GsoType::Udp => Some(GsoKind::Udp),
    };
    Offload {
        csum_start: offload.csum_start,
        csum_offset: offload.csum_offset,
        gso: kind.map(|kind| Gso { kind, size: offload.gso_size, header_len: offload.hdr_len }),
    }
}

fn to_bus(offload: Offload) -> shmif::Offload {
    let gso_type = match offload.gso.map(|gso| gso.kind) {
        None => GsoType::None,
        Some(GsoKind::TcpV4) => GsoType::TcpV4,
        Some(GsoKind::TcpV6) => GsoType::TcpV6,
        Some(GsoKind::Udp) => GsoType::Udp,
    };
    shmif::Offload {
        csum_start: offload.csum_start,
        csum_offset: offload.csum_offset,
        gso_type,
        gso_size: offload.gso.map_or(0, |gso| gso.size),
        hdr_len: offload.gso.map_or(0, |gso| gso.header_len),
    }
}
