//! Capture files: pcapng as we write it (this file) and pcap or pcapng as we read it ([`read`]).
//!
//! The format is draft-ietf-opsawg-pcapng; its blocks are `pcap-file`'s, which no other module names. What we put in:
//! - one section: the lab as comment, `labctl` as application;
//! - one name resolution block: what the nodes' addresses are called;
//! - one interface block for every *sending port* (`h1:eth0@lan`), at its first frame. In Wireshark the sender is then a
//!   column, a filter (`frame.interface_name == "h1:eth0@lan"`, `contains "@lan"`) and a row of the statistics, which one
//!   interface a bus would not give; and a file of several buses keeps them apart;
//! - packets with nanoseconds since 1970 and the sending node as comment;
//! - at the end, an interface statistics block each: frames seen, frames lost.

pub mod read;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::name_resolution::{Ipv4Record, Ipv6Record, NameResolutionBlock, Record};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};

use pcap_file::pcapng::{PcapNgBlock, PcapNgWriteError, PcapNgWriter};
use pcap_file::{DataLink, Endianness};

/// Octets of the largest frame that a file may hold: a bus record is at most 65,600.
const SNAPLEN: u32 = 262_144;
/// Octets of the longest comment or name; the format's limit is 65,535.
const MAX_TEXT: usize = 4096;

/// An interface of a file, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceId(u32);

/// What is said of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// `h1:eth0@lan`
    pub name: String,
    /// For people.
    pub description: String,
    /// Its Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// The filter that the capture ran under.
    pub filter: Option<String>,
}

/// Writes a capture file, block by block; nothing needs to be known in advance, so that it can be read while it grows.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: Inner<W>,
    interfaces: u32,
}

struct Inner<W: Write>(PcapNgWriter<W>);

impl<W: Write> std::fmt::Debug for Inner<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PcapNgWriter")
    }
}

impl<W: Write> Writer<W> {
    /// Begins a file; `lab` is its comment. `out` should be buffered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, lab: &str) -> io::Result<Writer<W>> {
        let section = SectionHeaderBlock {
            // Not the host's: the same frames give the same file everywhere.
            endianness: Endianness::Little,
            options: vec![
                SectionHeaderOption::Hardware("virtual Ethernet bus (shmif)".into()),
                SectionHeaderOption::OS(std::env::consts::OS.into()),
                SectionHeaderOption::UserApplication(concat!("labctl ", env!("CARGO_PKG_VERSION")).into()),
                SectionHeaderOption::Common(CommonOption::Comment(text(lab))),
            ],
            ..Default::default()
        };
        let inner = PcapNgWriter::with_section_header(out, section).map_err(into_io)?;
        Ok(Writer { inner: Inner(inner), interfaces: 0 })
    }

    /// Says what addresses are called. Several names of one address are all kept, the first is the one shown.
    ///
    /// # Errors
    /// Those of the output.
    pub fn names<'a>(&mut self, names: impl IntoIterator<Item = (IpAddr, &'a str)>) -> io::Result<()> {
        let mut sorted: BTreeMap<IpAddr, Vec<Cow<'a, str>>> = BTreeMap::new();
        for (address, name) in names {
            let list = sorted.entry(address).or_default();
            // The format ends a name with a zero octet.
            if !name.is_empty() && !name.contains('\0') && !list.iter().any(|known| known == name) {
                list.push(text(name));
            }
        }
        let records: Vec<_> = sorted
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(address, names)| match address {
                IpAddr::V4(ip_addr) => Record::Ipv4(Ipv4Record { ip_addr, names }),
                IpAddr::V6(ip_addr) => Record::Ipv6(Ipv6Record { ip_addr, names }),
            })
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        self.put(NameResolutionBlock { records, options: Vec::new() })
    }

    /// Adds an interface.
    ///
    /// # Errors
    /// Those of the output.
    pub fn interface(&mut self, interface: &Interface) -> io::Result<InterfaceId> {
        let mut options = vec![InterfaceDescriptionOption::IfName(text(&interface.name))];
        if !interface.description.is_empty() {
            options.push(InterfaceDescriptionOption::IfDescription(text(&interface.description)));
        }
        if let Some(mac) = interface.mac {
            options.push(InterfaceDescriptionOption::IfMacAddr(Cow::Owned(mac.to_vec())));
        }
        options.push(InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO));
        if let Some(filter) = &interface.filter {
            // The first octet says that text follows (0), and not compiled code.
            let mut octets = vec![0];
            octets.extend_from_slice(text(filter).as_bytes());
            options.push(InterfaceDescriptionOption::IfFilter(Cow::Owned(octets)));
        }
        options.push(InterfaceDescriptionOption::IfOs("rumpkern".into()));
        self.put(InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: SNAPLEN, options })?;
        let id = InterfaceId(self.interfaces);
        self.interfaces += 1;
        Ok(id)
    }

    /// Adds a frame, from its destination address and without FCS; `time_ns` is nanoseconds since 1970.
    ///
    /// # Errors
    /// Those of the output.
    pub fn packet(&mut self, id: InterfaceId, time_ns: u64, frame: &[u8], comment: &str) -> io::Result<()> {
        let options = if comment.is_empty() {
            Vec::new()
        } else {
            vec![EnhancedPacketOption::Common(CommonOption::Comment(text(comment)))]
        };
        self.put(EnhancedPacketBlock {
            interface_id: id.0,
            timestamp: Duration::from_nanos(time_ns),
            original_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(frame),
            options,
        })
    }

    /// Says how many frames an interface had and how many of them were lost before they could be written.
    ///
    /// # Errors
    /// Those of the output.
    pub fn statistics(&mut self, id: InterfaceId, time_ns: u64, seen: u64, lost: u64) -> io::Result<()> {
        self.put(InterfaceStatisticsBlock {
            interface_id: id.0,
            timestamp: Duration::from_nanos(time_ns),
            options: vec![
                InterfaceStatisticsOption::IsbIfRecv(seen),
                InterfaceStatisticsOption::IsbIfDrop(lost),
            ],
        })
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.0.get_mut().flush()
    }

    /// The output, flushed.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.inner.0.into_inner())
    }

    fn put<'a>(&mut self, block: impl PcapNgBlock<'a>) -> io::Result<()> {
        self.inner.0.write_pcapng_block(block).map(|_| ()).map_err(into_io)
    }
}

/// A text that fits into an option.
fn text(text: &str) -> Cow<'_, str> {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_TEXT) {
        Some((at, _)) => Cow::Borrowed(&text[..at]),
        None => Cow::Borrowed(text),
    }
}

fn into_io(error: PcapNgWriteError) -> io::Error {
    match error {
        PcapNgWriteError::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
