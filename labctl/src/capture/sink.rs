//! Where frames go: a capture file, the screen, lines of JSON. And the way there: filter, count, hand on.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::filter::Filter;
use super::names::Names;
use super::pcapng::{Interface, InterfaceId, Writer};
use super::print::{Meta, Printer, Style};
use super::source::{Only, Source, WireFrame};

/// Takes frames.
pub trait Sink {
    /// Takes one.
    ///
    /// # Errors
    /// Those of the output.
    fn frame(&mut self, frame: &WireFrame<'_>) -> io::Result<()>;

    /// Hands on what is buffered, so that whoever reads along sees it.
    ///
    /// # Errors
    /// Those of the output.
    fn flush(&mut self) -> io::Result<()>;

    /// No more will come; `lost` frames never did.
    ///
    /// # Errors
    /// Those of the output.
    fn end(&mut self, lost: u64) -> io::Result<()>;
}

/// What an interface of the file has had.
struct Seen {
    id: InterfaceId,
    frames: u64,
    last_unix_ns: u64,
}

/// Writes pcapng: an interface a sending port, made when its first frame comes.
pub struct PcapSink<W: Write> {
    writer: Writer<W>,
    interfaces: BTreeMap<(String, String), Seen>,
    filter: Option<String>,
}

impl<W: Write> PcapSink<W> {
    /// Begins the file. `out` should be buffered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, lab: &str, names: &Names, filter: &str) -> io::Result<PcapSink<W>> {
        let mut writer = Writer::new(out, lab)?;
        writer.names(names.all())?;
        let filter = (!filter.trim().is_empty()).then(|| filter.to_owned());
        Ok(PcapSink { writer, interfaces: BTreeMap::new(), filter })
    }
}

impl<W: Write> Sink for PcapSink<W> {
    fn frame(&mut self, frame: &WireFrame<'_>) -> io::Result<()> {
        let sender = frame.sender;
        let key = (frame.bus.to_owned(), sender.label.clone());
        let seen = match self.interfaces.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let description = if sender.node.is_empty() {
                    format!("sent to bus {} by a port that is gone", frame.bus)
                } else {
                    format!(
                        "sent by {} on {} to bus {} of lab {}",
                        sender.node, sender.interface, frame.bus, frame.lab
                    )
                };
                let interface = Interface {
                    name: format!("{}@{}", sender.label, frame.bus),
                    description,
                    mac: (!sender.node.is_empty()).then_some(sender.mac),
                    filter: self.filter.clone(),
                };
                let id = self.writer.interface(&interface)?;
                entry.insert(Seen { id, frames: 0, last_unix_ns: 0 })
            }
        };
        seen.frames += 1;
        seen.last_unix_ns = frame.unix_ns;
        let (index, count) = frame.segment;
        if count > 1 {
            let comment = format!("{}, segment {index}/{count}", sender.node);
            self.writer.packet(seen.id, frame.unix_ns, frame.octets, &comment)
        } else {
            self.writer.packet(seen.id, frame.unix_ns, frame.octets, &sender.node)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn end(&mut self, lost: u64) -> io::Result<()> {
        for seen in self.interfaces.values() {
            // Who sent what was lost is not known: each interface says how much may be missing.
            self.writer.statistics(seen.id, seen.last_unix_ns, seen.frames, lost)?;
        }
        self.writer.flush()
    }
}

/// Prints lines for people.
pub struct PrintSink<W: Write> {
    out: W,
    printer: Printer,
    show_bus: bool,
}

impl<W: Write> PrintSink<W> {
    /// `show_bus`: frames come from several.
    pub fn new(out: W, style: Style, names: Names, show_bus: bool) -> PrintSink<W> {
        PrintSink { out, printer: Printer::new(style, names), show_bus }
    }
}

impl<W: Write> Sink for PrintSink<W> {
    fn frame(&mut self, frame: &WireFrame<'_>) -> io::Result<()> {
        let with_bus;
        let sender = if self.show_bus {
            with_bus = format!("{}@{}", frame.sender.label, frame.bus);
            &with_bus
        } else {
            &frame.sender.label
        };
        let meta = Meta { time_ns: frame.time_ns, unix_ns: frame.unix_ns, sender, segment: frame.segment };
        self.out.write_all(self.printer.frame(&meta, frame.octets).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _: u64) -> io::Result<()> {
        self.out.flush()
    }
}

/// Prints an object a frame.
pub struct JsonSink<W: Write> {
    out: W,
    printer: Printer,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    bus: &'a str,
    sender: &'a str,
    time_ns: u64,
    unix_ns: u64,
    length: usize,
    summary: &'a str,
    octets: String,
}

impl<W: Write> JsonSink<W> {
    /// `names` are for the summary.
    pub fn new(out: W, names: Names) -> JsonSink<W> {
        JsonSink { out, printer: Printer::new(Style::default(), names) }
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn frame(&mut self, frame: &WireFrame<'_>) -> io::Result<()> {
        use std::fmt::Write as _;
        let mut octets = String::with_capacity(2 * frame.octets.len());
        for octet in frame.octets {
            // Writing to a String cannot fail.
            let _ = write!(octets, "{octet:02x}");
        }
        let object = JsonFrame {
            bus: frame.bus,
            sender: &frame.sender.label,
            time_ns: frame.time_ns,
            unix_ns: frame.unix_ns,
            length: frame.octets.len(),
            summary: &self.printer.summary(frame.octets),
            octets,
        };
        serde_json::to_writer(&mut self.out, &object)?;
        self.out.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _: u64) -> io::Result<()> {
        self.out.flush()
    }
}

/// What became of the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that were looked at.
    pub seen: u64,
    /// Those of them that were asked for.
    pub taken: u64,
    /// Records that were overwritten before they could be read.
    pub lost: u64,
}

/// The way from sources to sinks.
pub struct Pipeline {
    /// Which frames.
    pub filter: Filter,
    /// Only this interface's.
    pub only: Option<Only>,
    /// Only from this time on, nanoseconds since the epoch.
    pub since_ns: u64,
    /// No more than so many.
    pub limit: Option<u64>,
    /// Where to.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What became of them.
    pub counts: Counts,
}

impl Pipeline {
    /// Whether as many frames have come as were asked for.
    pub fn full(&self) -> bool {
        self.limit.is_some_and(|limit| self.counts.taken >= limit)
    }

    /// Takes the frames of one record.
    ///
    /// # Errors
    /// Those of the sinks.
    pub fn record(&mut self, source: &mut Source, captured: &shmif::Captured) -> io::Result<()> {
        let Pipeline { filter, only, since_ns, limit, sinks, counts } = self;
        source.frames(captured, |frame| {
            counts.seen += 1;
            let wanted = frame.time_ns >= *since_ns
                && limit.is_none_or(|limit| counts.taken < limit)
                && only.as_ref().is_none_or(|only| only.concerns(frame.sender, frame.octets))
                && filter.matches(frame.octets);
            if !wanted {
                return Ok(());
            }
            counts.taken += 1;
            sinks.iter_mut().try_for_each(|sink| sink.frame(frame))
        })
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// Those of the sinks.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.flush())
    }

    /// Ends the sinks.
    ///
    /// # Errors
    /// Those of the sinks.
    pub fn end(&mut self) -> io::Result<Counts> {
        let lost = self.counts.lost;
        self.sinks.iter_mut().try_for_each(|sink| sink.end(lost))?;
        Ok(self.counts)
    }
}
