//! Reading capture files of others: pcap (all four magics) and pcapng, any link type, damaged ones as far as they go.

use std::borrow::Cow;
use std::io::{self, Read};
use std::time::Duration;

use pcap_file::pcap::{PcapReadError, PcapReader, PcapTsResolution};
use pcap_file::pcapng::blocks::block_common::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK,
    SIMPLE_PACKET_BLOCK,
};
use pcap_file::pcapng::{Block, PcapNgState, RawBlock};
use pcap_file::{DataLink, Endianness};
use thiserror::Error;

/// LINKTYPE_ETHERNET.
pub const ETHERNET: u32 = 1;
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Octets of the largest packet that is read; libpcap's own limit for any link type.
const MAX_PACKET: usize = 1 << 20;
/// Octets of the largest pcapng block that is read.
const MAX_BLOCK: u32 = 1 << 24;

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

fn pcapng(mut source: impl Read, each: Sink<'_>) -> Result<(), ReadError> {
    let mut state = PcapNgState::default();
    let mut begun = false;
    while let Some(raw) = raw_block(&mut source, &state, begun)? {
        begun = true;
        // Blocks of other kinds, also those that nobody can read, hold no packets.
        let Some(block) = decode(&raw, &state)? else { continue };
        let link = |interface: u32| {
            let interface = state.interfaces().get(interface as usize);
            interface.map_or(DataLink::NULL.into(), |interface| u32::from(interface.linktype))
        };
        match &block {
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
        state.update_from_block(&block);
    }
    Ok(())
}

/// The next block as it stands in the file; `None` at its end.
fn raw_block(
    source: &mut impl Read,
    state: &PcapNgState,
    begun: bool,
) -> Result<Option<RawBlock<'static>>, ReadError> {
    let mut header = Vec::with_capacity(12);
    source.take(8).read_to_end(&mut header)?;
    match header.len() {
        0 => return Ok(None),
        8 => {}
        _ => return Err(damaged("it ends within a block's header")),
    }
    let section = header.starts_with(&PCAPNG_MAGIC);
    if !section && !begun {
        return Err(ReadError::NotACapture);
    }
    let mut little = state.endianness() == Endianness::Little;
    if section {
        // A section says itself which order of octets is its own.
        source.take(4).read_to_end(&mut header)?;
        little = match header.get(8..12) {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => true,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => false,
            _ => {
                return Err(if begun {
                    damaged("a section without byte order")
                } else {
                    ReadError::NotACapture
                });
            }
        };
    }
    let number = |octets: &[u8]| {
        let octets = <[u8; 4]>::try_from(octets).unwrap_or_default();
        if little { u32::from_le_bytes(octets) } else { u32::from_be_bytes(octets) }
    };
    let (type_, len) = (number(&header[..4]), number(&header[4..8]));
    if !(12..=MAX_BLOCK).contains(&len) || (len as usize) < header.len() + 4 {
        return Err(damaged(format_args!("a block of {len} octets")));
    }
    let mut body = header.split_off(8);
    let rest = u64::from(len) - 8 - body.len() as u64;
    let wanted = len as usize - 8;
    source.take(rest).read_to_end(&mut body)?;
    if body.len() != wanted {
        return Err(damaged("it ends within a block"));
    }
    let trailer = number(&body.split_off(wanted - 4));
    if trailer != len {
        return Err(damaged(format_args!("a block begins with length {len} and ends with {trailer}")));
    }
    Ok(Some(RawBlock { type_, initial_len: len, body: Cow::Owned(body), trailer_len: len }))
}

/// A block's meaning. Options that cannot be read (a name that is no UTF-8) are left out; without them it must be sound.
fn decode<'a>(raw: &RawBlock<'a>, state: &PcapNgState) -> Result<Option<Block<'a>>, ReadError> {
    let error = match raw.clone().try_into_block(state) {
        Ok(block) => return Ok(Some(block)),
        Err(error) => error,
    };
    let fixed = match raw.type_ {
        SECTION_HEADER_BLOCK => 16,
        INTERFACE_DESCRIPTION_BLOCK => 8,
        ENHANCED_PACKET_BLOCK => {
            match raw.body.get(12..16).and_then(|octets| <[u8; 4]>::try_from(octets).ok()) {
                Some(len) => {
                    let len = match state.endianness() {
                        Endianness::Little => u32::from_le_bytes(len),
                        Endianness::Big => u32::from_be_bytes(len),
                    };
                    20usize.saturating_add((len as usize).next_multiple_of(4))
                }
                None => return Err(damaged(error)),
            }
        }
        PACKET_BLOCK | SIMPLE_PACKET_BLOCK => return Err(damaged(error)),
        _ => return Ok(None),
    };
    let mut bare = raw.clone();
    match &mut bare.body {
        Cow::Owned(body) => body.truncate(fixed),
        Cow::Borrowed(body) => *body = &body[..fixed.min(body.len())],
    }
    bare.try_into_block(state).map(Some).map_err(damaged)
}
