//! Frames of a capture file put onto a bus, through a port of their own.
//!
//! Only Ethernet frames can be; packets of other link types, frames shorter than an Ethernet header, and those cut by the
//! capture's snap length below it, are counted and left out. What is sent is what the file holds, octet for octet.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use shmif::{Bus, DropReason, Offload, Port, PortConfig, Sent};
use thiserror::Error;

use super::pcapng::read::{self, ETHERNET, Packet, ReadError};

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// As fast as the bus takes them.
    #[default]
    Flood,
    /// With the gaps of the file.
    AsCaptured,
}

/// What became of a file's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Packets in the file.
    pub packets: u64,
    /// Frames that went onto the bus.
    pub sent: u64,
    /// Octets of those.
    pub octets: u64,
    /// Packets of other link types.
    pub other_link_type: u64,
    /// Shorter than an Ethernet header.
    pub too_short: u64,
    /// Longer than a record may be.
    pub too_long: u64,
    /// Frames that the bus did not take (see its port's counters).
    pub dropped: u64,
}

/// Why a replay stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No port on the bus.
    #[error("cannot attach to the bus")]
    Attach(#[from] shmif::AttachError),
    /// The file, from some packet on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bus file was truncated under our hands.
    #[error("the bus is broken")]
    Broken,
}

/// A port that replays.
#[derive(Debug)]
pub struct Replayer {
    port: Port,
    /// What has been done so far.
    pub report: Report,
}

impl Replayer {
    /// Attaches to a bus as node `replay`, interface `replay0`.
    ///
    /// # Errors
    /// No port can be had.
    pub fn attach(bus: &Bus) -> Result<Replayer, ReplayError> {
        // Locally administered; it never stands in a frame unless the file says so.
        let mut config = PortConfig::new("replay", "replay0", [0x02, 0x72, 0x65, 0x70, 0x6c, 0x79]);
        // It reads nothing and must hold nobody up.
        config.monitor = true;
        let mut port = bus.attach(&config)?;
        port.set_up(false);
        Ok(Replayer { port, report: Report::default() })
    }

    /// Sends every Ethernet frame of a capture file; `each` sees what was sent.
    ///
    /// # Errors
    /// The file is damaged (what came before was sent), or the bus is broken.
    pub fn file(
        &mut self,
        source: impl Read,
        pace: Pace,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ReplayError> {
        let mut clock: Option<(Duration, u64)> = None;
        let result = read::packets(source, |packet| {
            if pace == Pace::AsCaptured {
                let now = self.port.bus().epoch().now_ns();
                let (first, began) = *clock.get_or_insert((packet.time, now));
                let due = began.saturating_add(packet.time.saturating_sub(first).as_nanos() as u64);
                std::thread::sleep(Duration::from_nanos(due.saturating_sub(now)));
            }
            if self.packet(&packet)? {
                each(packet.octets);
            }
            Ok::<(), ReplayError>(())
        });
        match result {
            Ok(_) => Ok(()),
            Err(ReadError::Sink(error)) => match error.downcast::<ReplayError>() {
                Ok(error) => Err(*error),
                Err(error) => Err(ReadError::Sink(error).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Sends one packet if it can be; whether it was.
    fn packet(&mut self, packet: &Packet<'_>) -> Result<bool, ReplayError> {
        self.report.packets += 1;
        if packet.link != ETHERNET {
            self.report.other_link_type += 1;
            return Ok(false);
        }
        loop {
            let now = self.port.bus().epoch().now_ns();
            match self.port.send(now, packet.octets, Offload::NONE) {
                Sent::Ok => {
                    self.report.sent += 1;
                    self.report.octets += packet.octets.len() as u64;
                    return Ok(true);
                }
                Sent::Wait { until_ns } => {
                    // Somebody is behind: a fraction of the patience that the bus has with them.
                    let left = until_ns.saturating_sub(now);
                    std::thread::sleep(Duration::from_nanos(left.clamp(1, 100_000)));
                }
                Sent::Dropped(DropReason::TooShort) => {
                    self.report.too_short += 1;
                    return Ok(false);
                }
                Sent::Dropped(DropReason::TooLong) => {
                    self.report.too_long += 1;
                    return Ok(false);
                }
                Sent::Dropped(DropReason::Broken) => return Err(ReplayError::Broken),
                Sent::Dropped(_) => {
                    self.report.dropped += 1;
                    return Ok(false);
                }
            }
        }
    }
}
