//! Reading capture files of others: pcap (all four magics) and pcapng, any link type, damaged ones as far as they go.

use std::io::{self, Read};
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcap::{PcapReadError, PcapReader, PcapTsResolution};
use pcap_file::pcapng::blocks::block_common::Block;
use pcap_file::pcapng::{PcapNgReadError, PcapNgReader};
use thiserror::Error;

/// LINKTYPE_ETHERNET.
pub const ETHERNET: u32 = 1;
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Octets of the largest packet that is read; libpcap's own limit for any link type.
const MAX_PACKET: usize = 1 << 20;

/// One packet of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// LINKTYPE_ number; [`ETHERNET`] is 1.
    pub link: u32,
    /// Since 1970; zero when the file does not say.
    pub time: Duration,
    /// What was captured.
    pub octets: &'a [u8],
    /// Octets on the wire.
    pub original_len: u32,
}

/// A file that cannot be read, or not further.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Shorter than a file's header, or of another kind.
    #[error("neither pcap nor pcapng")]
    NotACapture,
    /// It ends in the middle of a packet, or says something impossible; what came before is good.
    #[error("damaged after {packets} packets: {message}")]
    Damaged {
        /// Packets read before.
        packets: u64,
        /// What does not fit.
        message: String,
    },
    /// The host refuses.
    #[error("cannot read")]
    Io(#[from] io::Error),
    /// What was done with the packets failed.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
}

/// Gives every packet of a capture to `each`, in the file's order.
///
/// # Errors
/// Not a capture; damaged (after all that came before was given); those of the file and of `each`.
pub fn packets<E>(
    mut source: impl Read,
    mut each: impl FnMut(Packet<'_>) -> Result<(), E>,
) -> Result<u64, ReadError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut magic = [0; 4];
    source.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::NotACapture,
        _ => error.into(),
    })?;
    let whole = magic.as_slice().chain(source);
    let mut count = 0;
    let mut sink = |packet: Packet<'_>| {
        count += 1;
        each(packet).map_err(|error| ReadError::Sink(error.into()))
    };
    let result = if magic == PCAPNG_MAGIC { pcapng(whole, &mut sink) } else { pcap(whole, &mut sink) };
    match result {
        Ok(()) => Ok(count),
        Err(ReadError::Damaged { message, .. }) => Err(ReadError::Damaged { packets: count, message }),
        Err(error) => Err(error),
    }
}

type Sink<'a> = &'a mut dyn FnMut(Packet<'_>) -> Result<(), ReadError>;

fn damaged(error: impl std::fmt::Display) -> ReadError {
    ReadError::Damaged { packets: 0, message: error.to_string() }
}

fn pcap(source: impl Read, each: Sink<'_>) -> Result<(), ReadError> {
    let mut reader = PcapReader::with_capacity(source, MAX_PACKET).map_err(|_| ReadError::NotACapture)?;
    let header = reader.header();
    // The upper bits say whether frames end with an FCS, and how long it is.
    let link = u32::from(header.datalink) & 0xffff;
    while let Some(packet) = reader.next_raw_packet() {
        let packet = packet.map_err(|error| match error {
            PcapReadError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => ReadError::Io(error),
            other => damaged(other),
        })?;
        let fraction = u64::from(packet.ts_frac);
        let nanoseconds = match header.ts_resolution {
            PcapTsResolution::MicroSecond => fraction * 1000,
            PcapTsResolution::NanoSecond => fraction,
        };
        let time = Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(nanoseconds);
        each(Packet { link, time, octets: &packet.data, original_len: packet.orig_len })?;
    }
    Ok(())
}

fn pcapng(source: impl Read, each: Sink<'_>) -> Result<(), ReadError> {
    let mut reader = PcapNgReader::with_capacity(source, MAX_PACKET).map_err(|_| ReadError::NotACapture)?;
    while let Some(block) = reader.next_block() {
        let (block, state) = block.map_err(|error| match error {
            PcapNgReadError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                ReadError::Io(error)
            }
            other => damaged(other),
        })?;
        let link = |interface: u32| {
            let interface = state.interfaces().get(interface as usize);
            interface.map_or(DataLink::NULL.into(), |interface| u32::from(interface.linktype))
        };
        match block {
            Block::EnhancedPacket(packet) => each(Packet {
                link: link(packet.interface_id),
                time: packet.timestamp,
                octets: &packet.data,
                original_len: packet.original_len,
            })?,
            Block::Packet(packet) => each(Packet {
                link: link(packet.interface_id.into()),
                time: packet.timestamp,
                octets: &packet.data,
                original_len: packet.original_len,
            })?,
            Block::SimplePacket(packet) => each(Packet {
                link: link(0),
                time: Duration::ZERO,
                octets: &packet.data,
                original_len: packet.original_len,
            })?,
            _ => {}
        }
    }
    Ok(())
}
