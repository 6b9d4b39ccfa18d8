//! A packet as scripts write it, and as octets.
//!
//! `[[ECN]] FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [<OPTION,…>] [port N] [tos N] [ttl N] [gso N]`, and of packets
//! that come in `badsum`, `offset WORDS`, `cut OCTETS`, `broadcast`, `undone`. Sequence numbers are relative to
//! each side's SYN, timestamps to the first that was sent.

use super::host::{Arrival, PLAIN};
use netstack::netinet::Cast;
use netstack::wire::tcp::{self, FastOpenCookie, Flags, Header, Timestamps};
use std::fmt;
use std::net::IpAddr;

/// The peer's first sequence number: its octets cross the end of the circle.
pub(super) const THEIR_ISN: u32 = u32::MAX - 500;

/// A connection as the script sees it.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) our_port: u16,
    pub(super) our_isn: Option<u32>,
    pub(super) our_ts: Option<u32>,
    /// The cookie of Fast Open that we gave the peer's address, on whatever port.
    pub(super) our_cookie: Option<FastOpenCookie>,
}

impl Ends {
    pub(super) fn our_seq(&self, relative: i64) -> u32 {
        self.our_isn.unwrap_or(0).wrapping_add(relative as u32)
    }
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opt {
    Mss(u16),
    WScale(u8),
    SackOk,
    Sack(Vec<(i64, i64)>),
    Ts(u32, u32),
    /// Fast Open: a cookie, or the request for one.
    Fo(Vec<u8>),
    /// Fast Open: the cookie that we gave.
    FoOurs,
    /// Octets as they stand: what no decent TCP would send.
    Hex(Vec<u8>),
}

/// What a line says of a packet; what it does not mention is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The ECN field of the IP header.
    pub(super) ecn: Option<u8>,
    pub(super) flags: Flags,
    pub(super) seq: i64,
    pub(super) len: usize,
    pub(super) ack: Option<i64>,
    pub(super) win: Option<u16>,
    pub(super) urg: Option<u16>,
    pub(super) options: Option<Vec<Opt>>,
    pub(super) port: Option<u16>,
    pub(super) tos: Option<u8>,
    pub(super) ttl: Option<u8>,
    /// Octets of each of the segments that leave in one packet, to be parted later.
    pub(super) gso: Option<u16>,
    badsum: bool,
    offset: Option<u8>,
    cut: Option<usize>,
    broadcast: bool,
    undone: bool,
}

/// Names of the ECN field's values (RFC 3168 §5).
const ECN: [&str; 4] = ["noect", "ect1", "ect0", "ce"];

const LETTERS: [(char, Flags); 9] = [
    ('S', Flags::SYN),
    ('F', Flags::FIN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
    ('.', Flags::ACK),
    ('-', Flags::empty()),
];

fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{what}: {text}"))
}

impl Packet {
    pub(crate) fn parse(text: &str) -> Result<Packet, String> {
        let (plain, options) = match text.split_once('<') {
            Some((before, rest)) => {
                let (options, after) = rest.split_once('>').ok_or("no end of the options")?;
                (format!("{before} {after}"), Some(options))
            }
            None => (text.to_string(), None),
        };
        let mut words = plain.split_whitespace().peekable();
        let mut p = Packet::default();
        if let Some(ecn) = words.next_if(|w| w.starts_with('[')) {
            let value = ECN.iter().position(|name| format!("[{name}]") == ecn);
            p.ecn = Some(value.ok_or(format!("unknown ECN field {ecn}"))? as u8);
        }
        for c in words.next().ok_or("no flags")?.chars() {
            p.flags |= LETTERS.iter().find(|(l, _)| *l == c).ok_or(format!("unknown flag {c}"))?.1;
        }
        let place = words.next().ok_or("no sequence numbers")?;
        let (seq, rest) = place.split_once(':').ok_or("SEQ:END(LEN)")?;
        let (end, len) = rest.strip_suffix(')').and_then(|r| r.split_once('(')).ok_or("SEQ:END(LEN)")?;
        (p.seq, p.len) = (number("SEQ", seq)?, number("LEN", len)?);
        if p.seq + p.len as i64 != number::<i64>("END", end)? {
            return Err(format!("{place}: the end is not the beginning and the length"));
        }
        while let Some(name) = words.next() {
            let mut value = || words.next().ok_or(format!("{name}: no value"));
            match name {
                "ack" => p.ack = Some(number(name, value()?)?),
                "win" => p.win = Some(number(name, value()?)?),
                "urg" => p.urg = Some(number(name, value()?)?),
                "port" => p.port = Some(number(name, value()?)?),
                "tos" => p.tos = Some(number(name, value()?)?),
                "ttl" => p.ttl = Some(number(name, value()?)?),
                "gso" => p.gso = Some(number(name, value()?)?),
                "offset" => p.offset = Some(number(name, value()?)?),
                "cut" => p.cut = Some(number(name, value()?)?),
                "badsum" => p.badsum = true,
                "broadcast" => p.broadcast = true,
                "undone" => p.undone = true,
                other => return Err(format!("unknown field {other}")),
            }
        }
        if let Some(list) = options {
            let list = list.split(',').map(str::trim).filter(|o| !o.is_empty() && *o != "nop");
            p.options = Some(list.map(Opt::parse).collect::<Result<_, _>>()?);
        }
        Ok(p)
    }

    /// A segment that went out, with all its fields.
    pub(super) fn of(header: &Header, len: usize, ends: &Ends) -> Packet {
        let theirs = |n: u32| i64::from(n.wrapping_sub(THEIR_ISN) as i32);
        let (h, o) = (header, &header.options);
        let mut options = Vec::new();
        options.extend(o.mss.map(Opt::Mss));
        options.extend(o.sack_permitted.then_some(Opt::SackOk));
        options.extend(o.timestamps.map(|t| Opt::Ts(t.val.wrapping_sub(ends.our_ts.unwrap_or(0)), t.ecr)));
        options.extend(o.window_scale.map(Opt::WScale));
        let blocks: Vec<_> = o.sack.as_slice().iter().map(|(a, b)| (theirs(*a), theirs(*b))).collect();
        options.extend((!blocks.is_empty()).then_some(Opt::Sack(blocks)));
        options.extend(o.fast_open.map(|cookie| match ends.our_cookie == Some(cookie) {
            true => Opt::FoOurs,
            false => Opt::Fo(cookie.as_slice().to_vec()),
        }));
        // A reset of a stranger's SYN begins at zero, whatever went before.
        let strange = h.flags == Flags::RST | Flags::ACK && h.seq == 0;
        Packet {
            flags: h.flags,
            seq: if strange { 0 } else { i64::from(h.seq.wrapping_sub(ends.our_isn.unwrap_or(0)) as i32) },
            len,
            ack: h.flags.contains(Flags::ACK).then(|| theirs(h.ack)),
            win: Some(h.window),
            urg: h.flags.contains(Flags::URG).then_some(h.urgent),
            options: Some(options),
            port: Some(h.dst_port),
            ..Packet::default()
        }
    }

    /// What of this, which was expected, the packet that was seen does not have.
    pub(super) fn differences(&self, seen: &Packet) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: &str, want: Option<String>, have: Option<String>| {
            if let Some(want) = want.filter(|want| have.as_ref() != Some(want)) {
                all.push(format!("{what} {want}, seen {}", have.as_deref().unwrap_or("none")));
            }
        };
        let text = |n: &Option<u16>| n.map(|n| n.to_string());
        let ecn = |n: &Option<u8>| n.map(|n| ECN[usize::from(n & 3)].to_owned());
        compare("ecn", ecn(&self.ecn), ecn(&seen.ecn));
        compare("flags", Some(letters(self.flags)), Some(letters(seen.flags)));
        compare("octets", Some(self.place()), Some(seen.place()));
        compare("ack", self.ack.map(|n| n.to_string()), seen.ack.map(|n| n.to_string()));
        compare("win", text(&self.win), text(&seen.win));
        compare("urg", text(&self.urg), text(&seen.urg));
        compare("options", self.options.as_deref().map(list), seen.options.as_deref().map(list));
        compare("port", text(&self.port), text(&seen.port));
        compare("tos", self.tos.map(|n| n.to_string()), seen.tos.map(|n| n.to_string()));
        compare("gso", text(&self.gso), text(&seen.gso));
        compare("ttl", self.ttl.map(|n| n.to_string()), seen.ttl.map(|n| n.to_string()));
        all
    }

    /// Whether it says something that is meant for packets that come in.
    pub(super) fn is_hostile(&self) -> bool {
        let hex = self.options.iter().flatten().any(|o| matches!(o, Opt::Hex(_)));
        hex || self.badsum || self.offset.is_some() || self.cut.is_some() || self.broadcast || self.undone
    }

    /// How it comes in.
    pub(super) fn arrival(&self) -> Arrival {
        let cast = if self.broadcast { Cast::Broadcast } else { PLAIN.cast };
        Arrival {
            tos: self.tos.unwrap_or(PLAIN.tos) | self.ecn.unwrap_or(0),
            cast,
            undone: self.undone,
            gso: self.gso,
        }
    }

    /// The segment that the peer sends from `port`.
    pub(super) fn octets(&self, port: u16, ends: &Ends, (them, us): (IpAddr, IpAddr)) -> Vec<u8> {
        let mut header = Header {
            src_port: port,
            dst_port: ends.our_port,
            seq: THEIR_ISN.wrapping_add(self.seq as u32),
            ack: self.ack.map_or(0, |ack| ends.our_seq(ack)),
            flags: self.flags,
            window: self.win.unwrap_or(65535),
            urgent: self.urg.unwrap_or(0),
            ..Header::default()
        };
        let mut raw = Vec::new();
        for option in self.options.iter().flatten() {
            match option {
                Opt::Mss(n) => header.options.mss = Some(*n),
                Opt::WScale(n) => header.options.window_scale = Some(*n),
                Opt::SackOk => header.options.sack_permitted = true,
                Opt::Sack(blocks) => {
                    for (a, b) in blocks {
                        header.options.sack.push(ends.our_seq(*a), ends.our_seq(*b));
                    }
                }
                Opt::Ts(val, ecr) => {
                    let ecr = ends.our_ts.map_or(*ecr, |base| base.wrapping_add(*ecr));
                    header.options.timestamps = Some(Timestamps { val: *val, ecr });
                }
                Opt::Fo(cookie) => header.options.fast_open = FastOpenCookie::new(cookie),
                Opt::FoOurs => header.options.fast_open = ends.our_cookie,
                Opt::Hex(octets) => raw.extend(octets),
            }
        }
        let mut segment = vec![0; header.len()];
        header.emit(&mut segment);
        // Octets as they stand come after the options that are in order.
        segment.extend(&raw);
        segment.resize(segment.len().next_multiple_of(4), 0);
        segment[12] = self.offset.unwrap_or((segment.len() / 4) as u8) << 4;
        // The octet at each place of the stream is a function of the place.
        let first = self.seq + i64::from(self.flags.contains(Flags::SYN));
        segment.extend((0..self.len as i64).map(|i| stream(first + i)));
        segment.truncate(self.cut.unwrap_or(segment.len()));
        tcp::fill_checksum(them, us, &mut segment);
        if self.badsum {
            segment[16] ^= 0x55;
        }
        segment
    }

    fn place(&self) -> String {
        format!("{}:{}({})", self.seq, self.seq + self.len as i64, self.len)
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ecn) = self.ecn.filter(|n| *n != 0) {
            write!(f, "[{}] ", ECN[usize::from(ecn & 3)])?;
        }
        write!(f, "{} {}", letters(self.flags), self.place())?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        if let Some(win) = self.win {
            write!(f, " win {win}")?;
        }
        if let Some(urg) = self.urg {
            write!(f, " urg {urg}")?;
        }
        if let Some(options) = self.options.as_deref().filter(|o| !o.is_empty()) {
            write!(f, " <{}>", list(options))?;
        }
        if let Some(gso) = self.gso {
            write!(f, " gso {gso}")?;
        }
        Ok(())
    }
}

impl Opt {
    fn parse(text: &str) -> Result<Opt, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["mss", n] => Ok(Opt::Mss(number("mss", n)?)),
            ["wscale", n] => Ok(Opt::WScale(number("wscale", n)?)),
            ["sackOK"] => Ok(Opt::SackOk),
            ["sack", ref blocks @ ..] if !blocks.is_empty() => {
                let block = |b: &&str| {
                    let (left, right) = b.split_once(':').ok_or(format!("LEFT:RIGHT: {b}"))?;
                    Ok((number("LEFT", left)?, number("RIGHT", right)?))
                };
                Ok(Opt::Sack(blocks.iter().map(block).collect::<Result<_, String>>()?))
            }
            ["ts", val, ecr] => Ok(Opt::Ts(number("ts", val)?, number("ts", ecr)?)),
            ["FO"] => Ok(Opt::Fo(Vec::new())),
            ["FO", "ours"] => Ok(Opt::FoOurs),
            ["FO", digits] => Ok(Opt::Fo(hex(digits)?)),
            ["hex", digits] => Ok(Opt::Hex(hex(digits)?)),
            _ => Err(format!("unknown option {text}")),
        }
    }
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opt::Mss(n) => write!(f, "mss {n}"),
            Opt::WScale(n) => write!(f, "wscale {n}"),
            Opt::SackOk => f.write_str("sackOK"),
            Opt::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(a, b)| write!(f, " {a}:{b}"))
            }
            Opt::Ts(val, ecr) => write!(f, "ts {val} {ecr}"),
            Opt::Fo(octets) if octets.is_empty() => f.write_str("FO"),
            Opt::FoOurs => f.write_str("FO ours"),
            Opt::Fo(octets) | Opt::Hex(octets) => {
                f.write_str(if matches!(self, Opt::Fo(_)) { "FO " } else { "hex " })?;
                octets.iter().try_for_each(|o| write!(f, "{o:02x}"))
            }
        }
    }
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(format!("no octets: {digits}"));
    }
    let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|e| format!("{digits}: {e}"));
    (0..digits.len()).step_by(2).map(octet).collect()
}

fn list(options: &[Opt]) -> String {
    options.iter().map(Opt::to_string).collect::<Vec<_>>().join(",")
}

fn letters(flags: Flags) -> String {
    if flags.is_empty() {
        return "-".into();
    }
    LETTERS.iter().filter(|(_, f)| !f.is_empty() && flags.contains(*f)).map(|(c, _)| *c).collect()
}

/// The octet at a place of the peer's stream.
pub(super) fn stream(place: i64) -> u8 {
    ((place as u32).wrapping_mul(2_654_435_761) >> 21) as u8
}
