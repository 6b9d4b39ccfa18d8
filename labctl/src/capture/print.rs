//! Frames as lines on the screen, in the manner of `tcpdump`, with the lab's own names.
//!
//! `time  sender  protocol source > destination: what`. What is cut or contradicts itself is marked `[bad …]`; a checksum is
//! verified wherever the whole packet is there. Any octets are safe. Not here: application protocols.

mod icmp;
mod ip;
mod link;
mod transport;

use std::fmt::Write as _;
use std::net::IpAddr;

use etherparse::LaxSlicedPacket;

use super::names::Names;

/// How frames are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Colours by protocol.
    pub colour: bool,
    /// Addresses as numbers instead of the nodes' names.
    pub numeric: bool,
    /// 1: IP header fields; 2: Ethernet addresses too.
    pub verbose: u8,
    /// All octets below the line.
    pub hex: bool,
    /// What the first column says.
    pub time: TimeStyle,
}

/// What time is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TimeStyle {
    /// Seconds since the lab's epoch
    #[default]
    Lab,
    /// Time of day, UTC
    Clock,
    /// Seconds since the line before
    Delta,
    /// Seconds since 1970
    Unix,
    /// None
    None,
}

/// What is known of a frame beside its octets.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    /// Nanoseconds since the lab's epoch.
    pub time_ns: u64,
    /// Nanoseconds since 1970.
    pub unix_ns: u64,
    /// `h1:eth0`
    pub sender: &'a str,
    /// The frame is so much of one record: number (from 1) and how many; (1, 1) for a whole one.
    pub segment: (usize, usize),
}

/// Ethernet's colour, so to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Arp,
    Icmp,
    Udp,
    Tcp,
    Alarm,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Arp => "\x1b[33m",
            Paint::Icmp => "\x1b[36m",
            Paint::Udp => "\x1b[34m",
            Paint::Tcp => "\x1b[32m",
            Paint::Alarm => "\x1b[31m",
        }
    }
}

/// Makes lines of frames. It remembers TCP connections, to show sequence numbers from 0, and the time of the last line.
#[derive(Debug)]
pub struct Printer {
    style: Style,
    names: Names,
    flows: transport::Flows,
    sender_width: usize,
    last_ns: Option<u64>,
}

/// One line in the making: its text, and what it is about.
struct Line<'a> {
    text: String,
    paint: Paint,
    style: Style,
    names: &'a Names,
}

impl Printer {
    /// A printer that has seen nothing yet.
    pub fn new(style: Style, names: Names) -> Printer {
        Printer { style, names, flows: transport::Flows::default(), sender_width: 0, last_ns: None }
    }

    /// What a frame is, without time, sender and colour.
    pub fn summary(&mut self, frame: &[u8]) -> String {
        self.line(frame).0
    }

    fn line(&mut self, frame: &[u8]) -> (String, Paint) {
        let mut line = Line {
            text: String::with_capacity(128),
            paint: Paint::Plain,
            style: self.style,
            names: &self.names,
        };
        line.frame(frame, &mut self.flows);
        (line.text, line.paint)
    }

    /// The line, or lines, of one frame, with a line feed at the end.
    pub fn frame(&mut self, meta: &Meta<'_>, frame: &[u8]) -> String {
        let (mut text, paint) = self.line(frame);
        let (index, count) = meta.segment;
        if count > 1 {
            let _ = write!(text, " (segment {index}/{count})");
        }
        let time = self.time(meta);
        self.sender_width = self.sender_width.max(meta.sender.chars().count()).min(40);
        let width = self.sender_width;
        let sender = printable(meta.sender);
        let (dim, code, reset) =
            if self.style.colour { ("\x1b[2m", paint.code(), "\x1b[0m") } else { ("", "", "") };
        let mut out = format!("{dim}{time}{reset}{sender:<width$}  {code}{text}{reset}\n");
        if self.style.hex {
            hex(&mut out, frame);
        }
        out
    }

    fn time(&mut self, meta: &Meta<'_>) -> String {
        let seconds = |ns: u64| format!("{:>3}.{:09}  ", ns / 1_000_000_000, ns % 1_000_000_000);
        let last = self.last_ns.replace(meta.time_ns).unwrap_or(meta.time_ns);
        match self.style.time {
            TimeStyle::Lab => seconds(meta.time_ns),
            TimeStyle::Delta => seconds(meta.time_ns.saturating_sub(last)),
            TimeStyle::Unix => seconds(meta.unix_ns),
            TimeStyle::None => String::new(),
            TimeStyle::Clock => {
                let (s, ns) = (meta.unix_ns / 1_000_000_000, meta.unix_ns % 1_000_000_000);
                format!("{:02}:{:02}:{:02}.{ns:09}  ", s / 3600 % 24, s / 60 % 60, s % 60)
            }
        }
    }
}

impl Line<'_> {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(text);
    }

    fn bad(&mut self, what: impl std::fmt::Display) {
        self.paint = Paint::Alarm;
        self.add(format_args!(" [bad {what}]"));
    }

    fn paint(&mut self, paint: Paint) {
        if self.paint != Paint::Alarm {
            self.paint = paint;
        }
    }

    /// An address, by its node's name if it has one.
    fn host(&self, address: IpAddr) -> String {
        match self.names.node(address).filter(|_| !self.style.numeric) {
            Some(name) => printable(name),
            None => address.to_string(),
        }
    }

    fn frame(&mut self, frame: &[u8], flows: &mut transport::Flows) {
        match LaxSlicedPacket::from_ethernet(frame) {
            Ok(packet) => self.ethernet(&packet, frame, flows),
            Err(_) => self.bad(format_args!("Ethernet: {} octets", frame.len())),
        }
    }
}

/// A name from a file, without what would move the cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `02:00:00:00:00:01`
pub fn mac(octets: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = octets;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// Sixteen octets a line, with their offset and as text.
fn hex(out: &mut String, frame: &[u8]) {
    for (row, octets) in frame.chunks(16).enumerate() {
        let _ = write!(out, "    0x{:04x}:  ", row * 16);
        for column in 0..16 {
            match octets.get(column) {
                Some(octet) => {
                    let _ = write!(out, "{octet:02x}");
                }
                None => out.push_str("  "),
            }
            if column % 2 == 1 {
                out.push(' ');
            }
        }
        out.push(' ');
        out.extend(
            octets.iter().map(|&octet| if (0x20..0x7f).contains(&octet) { char::from(octet) } else { '.' }),
        );
        out.push('\n');
    }
}

#[cfg(test)]
mod tests;
