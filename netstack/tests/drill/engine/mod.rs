//! Scripts of packets, in the manner of packetdrill: each line a time, then a call, a packet in or a
//! packet out. Time is virtual, and exact to the microsecond. The language is in `../README.md`.
//!
//! A script is read by `parse` (with `packet` and `call`) and played here on one TCP over a floor
//! that only collects packets (`host`); `perform` holds what the calls do, `report` what is said of
//! a failure.

mod call;
pub(crate) mod host;
mod packet;
mod parse;
mod perform;
mod report;

pub(crate) use parse::Drill;

use host::Host;
use netstack::Instant;
use netstack::net::mbuf::Mbuf;
use netstack::netinet::IpTx;
use netstack::tcp::{TcpConfig, TcpId};
use netstack::time::Duration;
use netstack::wire::tcp::{self, FastOpenCookie, Flags, Header};
use packet::{Ends, Packet};
use parse::{Line, Place, Step};
use report::Trace;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;

impl Drill {
    /// Plays the whole script.
    pub(crate) fn run(&self) -> Result<(), String> {
        let mut script = Script::new(self.head.config.clone(), self.head.inet6);
        script.tolerance = self.head.tolerance;
        script.play(&self.lines)?;
        script.finish()
    }
}

/// Where `reach` finds its scripts.
pub(crate) fn reach_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drill/reach"))
}

/// A script that is being played.
pub(crate) struct Script {
    host: Host,
    us: IpAddr,
    them: IpAddr,
    start: Instant,
    tolerance: Duration,
    /// The peer's port, as of now.
    port: u16,
    /// By the peer's port.
    ends: BTreeMap<u16, Ends>,
    our_cookie: Option<FastOpenCookie>,
    listener: Option<TcpId>,
    socket: Option<TcpId>,
    out: VecDeque<(Instant, IpTx, Mbuf)>,
    trace: Trace,
    /// The last line that was played.
    place: Place,
    /// Packets are not compared (to reach a place in many ways).
    lenient: bool,
    /// The interface takes `room` packets and no more.
    metered: bool,
}

impl Script {
    pub(crate) fn new(config: TcpConfig, inet6: bool) -> Script {
        let (us, them) = if inet6 { ("fd00::1", "fd00::9") } else { ("10.0.0.1", "10.0.0.9") };
        let host = Host::new(us, config, 7);
        Script {
            start: host.ip.now,
            us: host.ip.addr,
            them: them.parse().expect("an address"),
            host,
            tolerance: Duration::ZERO,
            port: 4000,
            ends: BTreeMap::from([(4000, Ends { our_port: 80, ..Ends::default() })]),
            our_cookie: None,
            listener: None,
            socket: None,
            out: VecDeque::new(),
            trace: Trace::default(),
            place: Place { file: "the script".into(), line: 0 },
            lenient: false,
            metered: false,
        }
    }

    /// Plays lines. `Err`: the report of the first that came out otherwise.
    pub(crate) fn play(&mut self, lines: &[Line]) -> Result<(), String> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Nothing may be left over.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        self.nothing_more(&self.place.clone(), "after the end")
    }

    fn line(&mut self, line: &Line) -> Result<(), String> {
        self.place = line.place.clone();
        let target = self.host.ip.now + line.delay;
        if let Step::Out(packet) = &line.step {
            return self.expect(line, target, packet);
        }
        // What the timers send on the way there must have been expected.
        self.advance(target);
        self.nothing_more(&line.place, "before this line")?;
        match &line.step {
            Step::In(packet) => {
                let ends = Ends { our_cookie: self.our_cookie, ..self.ends[&self.port] };
                let port = packet.port.unwrap_or(self.port);
                let octets = packet.octets(port, &ends, (self.them, self.us));
                self.trace.line(self.clock(), line, String::new());
                self.host.input(self.them, packet.arrival(), &octets);
            }
            Step::Call(call, want) => {
                let seen = self.perform(call).map_err(|why| format!("{}: {why}", line.place))?;
                let as_expected = match want {
                    Some(want) => seen == *want,
                    None => !seen.starts_with("error") || seen == "error InProgress",
                };
                self.trace.line(self.clock(), line, seen);
                if !as_expected {
                    return Err(self.fail(&line.place, "a call had another outcome", &[]));
                }
            }
            Step::Out(_) => {}
        }
        self.collect();
        Ok(())
    }

    fn clock(&self) -> Duration {
        self.host.ip.now.since(self.start)
    }

    /// The last row shows it.
    fn fail(&self, place: &Place, why: &str, notes: &[String]) -> String {
        self.trace.failure(place, why, self.trace.len() - 1, notes)
    }

    fn collect(&mut self) {
        let packets = self.host.output();
        if self.metered {
            self.host.ip.room -= packets.len();
        }
        self.out.extend(packets.into_iter().map(|(tx, m)| (self.host.ip.now, tx, m)));
    }

    /// Lets one timer go off, if it is due by then.
    fn one_timer(&mut self, target: Instant) -> bool {
        let Some(at) = self.host.tcp.poll_timeout().filter(|at| *at <= target) else { return false };
        self.host.ip.now = self.host.ip.now.max(at);
        self.host.tcp.handle_timeout(&mut self.host.ip);
        self.collect();
        true
    }

    fn advance(&mut self, target: Instant) {
        self.collect();
        while self.one_timer(target) {}
        self.host.ip.now = target;
    }

    fn nothing_more(&mut self, place: &Place, when: &str) -> Result<(), String> {
        if self.lenient {
            self.let_pass();
        }
        let first = self.trace.len();
        while let Some((at, _, seen)) = self.next_packet() {
            self.trace.unasked(at.since(self.start), format!("> {seen}"));
        }
        if self.trace.len() == first {
            return Ok(());
        }
        let why = format!("the script does not expect what went out {when}");
        Err(self.trace.failure(place, &why, first, &[]))
    }

    /// What went out is not compared, but its numbers are learnt.
    fn let_pass(&mut self) {
        while self.next_packet().is_some() {}
    }

    // ---- packets that go out -------------------------------------------------------------------

    fn expect(&mut self, line: &Line, target: Instant, want: &Packet) -> Result<(), String> {
        if want.is_hostile() {
            return Err(format!("{}: no packet goes out like this", line.place));
        }
        let tolerance = line.tolerance.unwrap_or(self.tolerance);
        self.advance(target);
        while self.out.is_empty() && self.one_timer(target + tolerance) {}
        let Some((at, port, seen)) = self.next_packet() else {
            self.host.ip.now = target;
            self.trace.line(self.clock(), line, "nothing".into());
            return Err(self.fail(&line.place, "a packet is missing", &[]));
        };
        let mut notes = want.differences(&seen);
        if want.port.is_none() && port != self.port {
            notes.push(format!("port {}, seen {port}", self.port));
        }
        let off = at.max(target).since(at.min(target));
        if off > tolerance {
            let seconds = |t: Instant| t.since(self.start).as_secs_f64();
            notes.push(format!("time {:.6}, seen {:.6}", seconds(target), seconds(at)));
        }
        self.trace.line(at.since(self.start), line, format!("> {seen}"));
        if notes.is_empty() {
            return Ok(());
        }
        let failed = self.trace.len() - 1;
        while let Some((at, _, seen)) = self.next_packet() {
            self.trace.unasked(at.since(self.start), format!("> {seen}"));
        }
        Err(self.trace.failure(&line.place, "another packet, or at another time", failed, &notes))
    }

    /// The next packet that went out: when, to which port.
    fn next_packet(&mut self) -> Option<(Instant, u16, Packet)> {
        let (at, tx, m) = self.out.pop_front()?;
        let (h, payload) = Header::parse(m.data()).expect("our own segments are well formed");
        let summed = m.offload.is_partial() || tcp::checksum_is_valid(self.us, self.them, m.data());
        assert!(summed, "the checksum of what we send");
        let ends = self.ends.entry(h.dst_port).or_insert(Ends { our_port: h.src_port, ..Ends::default() });
        // Learn the numbers that the rest is relative to.
        if h.flags.contains(Flags::SYN) && ends.our_isn != Some(h.seq) {
            *ends = Ends { our_port: h.src_port, our_isn: Some(h.seq), our_ts: None, our_cookie: None };
        }
        if h.flags.contains(Flags::SYN | Flags::ACK) {
            self.our_cookie = h.options.fast_open.or(self.our_cookie);
        }
        ends.our_cookie = self.our_cookie;
        if let Some(ts) = h.options.timestamps {
            ends.our_ts.get_or_insert(ts.val);
        }
        let mut seen = Packet::of(&h, payload.len(), ends);
        (seen.tos, seen.ecn, seen.ttl) = (Some(tx.tos), Some(tx.tos & 3), Some(tx.ttl));
        seen.gso = m.offload.gso.map(|g| g.size);
        Some((at, h.dst_port, seen))
    }
}
