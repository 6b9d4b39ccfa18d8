//! Scripts of packets, in the manner of packetdrill: each line a time, then a call or a packet.
//!
//! ```text
//! listen 80                          a call; its outcome follows `->`
//! < S 0:0(0) win 65535 <mss 1000>    a packet that comes in
//! > S. 0:0(0) ack 1                  a packet that must go out, now
//! +0.2 > P. 1:101(100) ack 1         ... and one exactly 0.2 s later
//! ```
//! Sequence numbers are relative to each side's SYN, timestamps to the first that was sent. What
//! a `>` line does not mention (options, window) is not compared; everything that goes out must be
//! expected. Time is virtual, and exact to the microsecond.

use crate::host::Host;
use netstack::net::mbuf::Mbuf;
use netstack::netinet::{IcmpError, IcmpErrorKind};
use netstack::socket::{Family, RecvFlags, SendFlags};
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{Shutdown, TcpConfig, TcpId, TcpOpt};
use netstack::time::Duration;
use netstack::wire::tcp::{self, Flags, Header, Timestamps};
use netstack::{Instant, Ready, SockError};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

const US: &str = "10.0.0.1";
const THEM: &str = "10.0.0.9";
/// The peer's first sequence number: its octets cross the end of the circle.
const THEIR_ISN: u32 = u32::MAX - 500;

/// A connection as the script sees it, by the peer's port.
#[derive(Clone, Copy, Default)]
struct Ends {
    our_port: u16,
    our_isn: Option<u32>,
    our_ts: Option<u32>,
}

pub(crate) struct Script {
    host: Host,
    start: Instant,
    /// The peer's port, as of now.
    port: u16,
    ends: BTreeMap<u16, Ends>,
    listener: Option<TcpId>,
    socket: Option<TcpId>,
    out: VecDeque<(Instant, Mbuf)>,
    /// Both columns of what happened.
    trace: Vec<(String, String)>,
    /// Packets are not compared (to reach a place in many ways).
    lenient: bool,
    /// The interface takes `room` packets and no more.
    metered: bool,
}

/// The default configuration, but for the window: what NewReno makes of it can be done in one's head.
pub(crate) fn reno() -> TcpConfig {
    TcpConfig { congestion_control: Algorithm::NewReno, ..TcpConfig::default() }
}

/// Runs a script with NewReno.
pub(crate) fn run(text: &str) {
    with(reno(), text);
}

/// Runs a script.
pub(crate) fn with(config: TcpConfig, text: &str) {
    let mut s = Script::new(config);
    s.play(text);
    s.finish();
}

impl Script {
    pub(crate) fn new(config: TcpConfig) -> Script {
        let host = Host::new(US, config, 7);
        let start = host.ip.now;
        Script {
            host,
            start,
            port: 4000,
            ends: BTreeMap::from([(4000, Ends { our_port: 80, ..Ends::default() })]),
            listener: None,
            socket: None,
            out: VecDeque::new(),
            trace: Vec::new(),
            lenient: false,
            metered: false,
        }
    }

    /// Plays more lines.
    pub(crate) fn play(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                self.line(line);
            }
        }
    }

    /// Entries of the timer heap.
    pub(crate) fn timers(&self) -> usize {
        self.host.tcp.timers()
    }

    /// Nothing may be left over.
    pub(crate) fn finish(&mut self) {
        self.nothing_more("the end");
    }

    fn line(&mut self, line: &str) {
        let (delay, rest) = match line.strip_prefix('+') {
            Some(timed) => {
                let (secs, rest) = timed.split_once(' ').unwrap_or_else(|| panic!("a time alone: {line}"));
                let secs: f64 = secs.parse().unwrap_or_else(|_| panic!("no time: {line}"));
                (Duration::from_micros((secs * 1e6).round() as u64), rest.trim())
            }
            None => (Duration::ZERO, line),
        };
        let target = self.host.ip.now + delay;
        if let Some(packet) = rest.strip_prefix('>') {
            self.advance(target);
            self.expect(target, packet.trim());
            return;
        }
        // What the timers send on the way there must have been expected.
        self.advance(target);
        self.nothing_more(line);
        match rest.strip_prefix('<') {
            Some(packet) => {
                self.note(format!("{} < {}", self.clock(), packet.trim()), String::new());
                self.inject(packet.trim());
            }
            None => self.call(rest),
        }
        self.collect();
    }

    fn clock(&self) -> String {
        format!("{:9.6}", self.host.ip.now.since(self.start).as_secs_f64())
    }

    fn note(&mut self, expected: String, seen: String) {
        self.trace.push((expected, seen));
    }

    fn fail(&mut self, why: &str) -> ! {
        let mut report = format!("{why}\n{:<74} | seen\n", "script");
        for (expected, seen) in &self.trace {
            let _ = writeln!(report, "{expected:<74} | {seen}");
        }
        panic!("{report}");
    }

    fn collect(&mut self) {
        let packets = self.host.output();
        if self.metered {
            self.host.ip.room -= packets.len();
        }
        for (_, m) in packets {
            self.out.push_back((self.host.ip.now, m));
        }
    }

    fn advance(&mut self, target: Instant) {
        self.collect();
        while let Some(at) = self.host.tcp.poll_timeout().filter(|at| *at <= target) {
            self.host.ip.now = self.host.ip.now.max(at);
            self.host.tcp.handle_timeout(&mut self.host.ip);
            self.collect();
        }
        self.host.ip.now = target;
    }

    fn nothing_more(&mut self, before: &str) {
        if self.lenient {
            self.out.clear();
        }
        let mut any = false;
        while let Some((at, m)) = self.out.pop_front() {
            let seen = format!("{:9.6} > {}", at.since(self.start).as_secs_f64(), self.describe(&m));
            self.note(String::new(), seen);
            any = true;
        }
        if any {
            self.fail(&format!("packets that the script does not expect, before: {before}"));
        }
    }

    // ---- packets -------------------------------------------------------------------------------

    /// `> FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [<options>] [port N]`
    fn expect(&mut self, at: Instant, text: &str) {
        let expected = format!("{:9.6} > {text}", at.since(self.start).as_secs_f64());
        let Some((seen_at, m)) = self.out.pop_front() else {
            self.note(expected, "nothing".into());
            self.fail("a packet is missing");
        };
        // Learn the numbers that the rest is relative to.
        let description = self.describe(&m);
        let seen = format!("{:9.6} > {description}", seen_at.since(self.start).as_secs_f64());
        let fields = |s: &str| -> BTreeMap<String, String> { parse_fields(s) };
        let (want, have) = (fields(text), fields(&description));
        let same = seen_at == at && want.iter().all(|(k, v)| have.get(k) == Some(v));
        self.note(expected, seen);
        if !same {
            self.fail("another packet, or at another time");
        }
    }

    fn describe(&mut self, m: &Mbuf) -> String {
        let (h, payload) = Header::parse(m.data()).expect("our own segments are well formed");
        let (us, them): (IpAddr, IpAddr) = (US.parse().unwrap(), THEM.parse().unwrap());
        assert!(tcp::checksum_is_valid(us, them, m.data()), "the checksum of what we send");
        let ends = self.ends.entry(h.dst_port).or_insert(Ends { our_port: h.src_port, ..Ends::default() });
        if h.flags.contains(Flags::SYN) && ends.our_isn != Some(h.seq) {
            *ends = Ends { our_port: h.src_port, our_isn: Some(h.seq), our_ts: None };
        }
        if let Some(ts) = h.options.timestamps {
            ends.our_ts.get_or_insert(ts.val);
        }
        // A reset of a stranger's SYN begins at zero, whatever went before.
        let strange = h.flags == Flags::RST | Flags::ACK && h.seq == 0;
        let seq = if strange { 0 } else { h.seq.wrapping_sub(ends.our_isn.unwrap_or(0)) };
        let len = payload.len() as u32;
        let mut s = format!("{} {seq}:{}({len})", flag_letters(h.flags), seq.wrapping_add(len));
        if h.flags.contains(Flags::ACK) {
            let _ = write!(s, " ack {}", h.ack.wrapping_sub(THEIR_ISN) as i32);
        }
        let _ = write!(s, " win {}", h.window);
        if h.flags.contains(Flags::URG) {
            let _ = write!(s, " urg {}", h.urgent);
        }
        let mut options = Vec::new();
        if let Some(mss) = h.options.mss {
            options.push(format!("mss {mss}"));
        }
        if h.options.sack_permitted {
            options.push("sackOK".into());
        }
        if let Some(ts) = h.options.timestamps {
            options.push(format!("ts {} {}", ts.val.wrapping_sub(ends.our_ts.unwrap_or(0)), ts.ecr));
        }
        if let Some(shift) = h.options.window_scale {
            options.push(format!("wscale {shift}"));
        }
        if !h.options.sack.as_slice().is_empty() {
            let theirs = |n: u32| n.wrapping_sub(THEIR_ISN) as i32;
            let blocks =
                h.options.sack.as_slice().iter().map(|(a, b)| format!(" {}:{}", theirs(*a), theirs(*b)));
            options.push(format!("sack{}", blocks.collect::<String>()));
        }
        let _ = write!(s, " <{}>", options.join(","));
        let _ = write!(s, " port {}", h.dst_port);
        s
    }

    fn inject(&mut self, text: &str) {
        let fields = parse_fields(text);
        let ends = self.ends[&self.port];
        let number = |name: &str| {
            fields.get(name).map(|v| v.parse::<u32>().unwrap_or_else(|_| panic!("{name}: {text}")))
        };
        let flags = letters_flag(&fields["flags"]);
        let (start, rest) = fields["seq"].split_once(':').expect("SEQ:END(LEN)");
        let len: usize =
            rest.split_once('(').and_then(|(_, l)| l.strip_suffix(')')).expect("(LEN)").parse().expect("LEN");
        let start: i64 = start.parse().expect("SEQ");
        let mut header = Header {
            src_port: self.port,
            dst_port: ends.our_port,
            seq: THEIR_ISN.wrapping_add(start as u32),
            ack: 0,
            flags,
            window: number("win").unwrap_or(65535) as u16,
            urgent: number("urg").unwrap_or(0) as u16,
            ..Header::default()
        };
        if let Some(ack) = fields.get("ack") {
            let ack: i64 = ack.parse().expect("ack");
            header.ack = ends.our_isn.unwrap_or(0).wrapping_add(ack as u32);
        }
        for option in fields.get("options").map_or("", String::as_str).split(',').filter(|o| !o.is_empty()) {
            let words: Vec<&str> = option.split_whitespace().collect();
            match words[..] {
                ["mss", n] => header.options.mss = Some(n.parse().expect("mss")),
                ["wscale", n] => header.options.window_scale = Some(n.parse().expect("wscale")),
                ["sackOK"] => header.options.sack_permitted = true,
                ["sack", ref blocks @ ..] => {
                    let ours = |n: &str| {
                        let n: i64 = n.parse().expect("a sequence number");
                        ends.our_isn.unwrap_or(0).wrapping_add(n as u32)
                    };
                    for block in blocks {
                        let (a, b) = block.split_once(':').expect("LEFT:RIGHT");
                        header.options.sack.push(ours(a), ours(b));
                    }
                }
                ["ts", val, ecr] => {
                    let ecr: u32 = ecr.parse().expect("ecr");
                    let ecr = ends.our_ts.map_or(ecr, |base| base.wrapping_add(ecr));
                    header.options.timestamps = Some(Timestamps { val: val.parse().expect("val"), ecr });
                }
                ["nop"] => {}
                _ => panic!("unknown option {option}"),
            }
        }
        let mut octets = vec![0; header.len()];
        header.emit(&mut octets);
        // The octet at each place of the stream is a function of the place.
        let first = start + i64::from(flags.contains(Flags::SYN));
        octets.extend((0..len as i64).map(|i| stream(first + i)));
        let (us, them): (IpAddr, IpAddr) = (US.parse().unwrap(), THEM.parse().unwrap());
        tcp::fill_checksum(them, us, &mut octets);
        self.host.input(them, &octets);
    }

    // ---- calls ---------------------------------------------------------------------------------

    fn call(&mut self, text: &str) {
        let (what, want) = match text.split_once("->") {
            Some((what, want)) => (what.trim(), Some(want.trim())),
            None => (text, None),
        };
        let seen = self.perform(what);
        let ok = match want {
            Some(want) => seen == want,
            None => !seen.starts_with("error") || seen == "error InProgress",
        };
        self.note(format!("{} {text}", self.clock()), format!("          {seen}"));
        if !ok {
            self.fail("a call had another outcome");
        }
    }

    fn perform(&mut self, what: &str) -> String {
        let words: Vec<&str> = what.split_whitespace().collect();
        let num = |i: usize| words.get(i).and_then(|w| w.parse::<usize>().ok());
        // The connection; before there is one, the listener.
        let current = self.socket.or(self.listener);
        let id = || current.expect("a socket");
        let (tcp, ip) = (&mut self.host.tcp, &mut self.host.ip);
        let outcome = |r: Result<(), SockError>| r.map_or_else(|e| format!("error {e:?}"), |()| "ok".into());
        match words[0] {
            "listen" => {
                self.listener = Some(self.host.listener(num(1).unwrap_or(80) as u16, num(2).unwrap_or(5)));
                "ok".into()
            }
            "socket" => {
                self.socket = Some(tcp.socket(Family::Inet));
                "ok".into()
            }
            "connect" => {
                let to = words.get(1).map_or(THEM.to_string() + ":4000", |w| (*w).to_string());
                let to: SocketAddr = to.parse().expect("an address");
                let id = *self.socket.get_or_insert_with(|| tcp.socket(Family::Inet));
                outcome(tcp.connect(ip, id, to))
            }
            "bind" => {
                let id = *self.socket.get_or_insert_with(|| tcp.socket(Family::Inet));
                outcome(tcp.bind(ip, id, words[1].parse().expect("an address")))
            }
            "accept" => match tcp.accept(ip, self.listener.expect("a listener")) {
                Ok((id, from)) => {
                    self.socket = Some(id);
                    format!("{}", from.port())
                }
                Err(e) => format!("error {e:?}"),
            },
            "send" => {
                let flags = match words.get(2) {
                    Some(&"oob") => SendFlags::OOB,
                    Some(&"more") => SendFlags::MORE,
                    _ => SendFlags::empty(),
                };
                let data = vec![b'x'; num(1).expect("octets")];
                tcp.send(ip, self.socket.expect("a socket"), &data, flags)
                    .map_or_else(|e| format!("error {e:?}"), |n| n.to_string())
            }
            "recv" => {
                let flags = match words.get(2) {
                    Some(&"oob") => RecvFlags::OOB,
                    Some(&"peek") => RecvFlags::PEEK,
                    _ => RecvFlags::empty(),
                };
                let mut buf = vec![0; num(1).expect("octets")];
                match tcp.recv(ip, id(), &mut buf, flags) {
                    Ok(0) => "eof".into(),
                    // The first octet's place in the stream can be told from the octet.
                    Ok(n) => {
                        match (1..70_000).find(|p| (0..n as i64).all(|i| stream(p + i) == buf[i as usize])) {
                            Some(place) => format!("{n} from {place}"),
                            None => format!("{n} octets that are not the stream's"),
                        }
                    }
                    Err(e) => format!("error {e:?}"),
                }
            }
            "shut" => {
                let how = match words[1] {
                    "rd" => Shutdown::Read,
                    "wr" => Shutdown::Write,
                    _ => Shutdown::Both,
                };
                outcome(tcp.shutdown(ip, id(), how))
            }
            "close" => {
                let id = match words.get(1) {
                    Some(&"listener") => self.listener.take().expect("a listener"),
                    _ => self.socket.take().or_else(|| self.listener.take()).expect("a socket"),
                };
                tcp.close(ip, id);
                "ok".into()
            }
            "set" => {
                let secs = |i| Duration::from_secs(num(i).expect("seconds") as u64);
                let opt = match words[1] {
                    "nodelay" => TcpOpt::NoDelay(true),
                    "cork" => TcpOpt::Cork(words[2] == "on"),
                    "keepalive" => TcpOpt::KeepAlive(true),
                    "keepidle" => TcpOpt::KeepIdle(secs(2)),
                    "keepintvl" => TcpOpt::KeepInterval(secs(2)),
                    "keepcnt" => TcpOpt::KeepCount(num(2).expect("a count") as u8),
                    "syncnt" => TcpOpt::SynCount(num(2).expect("a count") as u8),
                    "usertimeout" => TcpOpt::UserTimeout(secs(2)),
                    "linger0" => TcpOpt::Linger(Some(Duration::ZERO)),
                    "oobinline" => TcpOpt::OobInline(true),
                    "rcvlowat" => TcpOpt::RcvLowat(num(2).expect("octets")),
                    "rcvbuf" => TcpOpt::RcvBuf(num(2).expect("octets")),
                    "sndbuf" => TcpOpt::SndBuf(num(2).expect("octets")),
                    "maxseg" => TcpOpt::MaxSeg(num(2).expect("octets") as u16),
                    other => panic!("unknown option {other}"),
                };
                let id = *self.socket.get_or_insert_with(|| tcp.socket(Family::Inet));
                outcome(tcp.set_option(ip, id, opt))
            }
            "ready" => {
                let r = tcp.ready(id());
                ready_names(r)
            }
            "events" => {
                let id = id();
                let all =
                    self.host.events().into_iter().filter(|e| e.0 == id).fold(Ready::empty(), |a, e| a | e.1);
                ready_names(all)
            }
            "error" => tcp.take_error(id()).map_or("none".into(), |e| format!("{e:?}")),
            "state" => tcp.info(id()).map_or("gone".into(), |i| format!("{:?}", i.state)),
            "info" => {
                let i = tcp.info(id()).expect("a socket");
                match words[1] {
                    "cwnd" => i.cwnd.to_string(),
                    "ssthresh" => i.ssthresh.to_string(),
                    "mss" => i.snd_mss.to_string(),
                    "rto" => i.rto.as_millis().to_string(),
                    "rtt" => i.rtt.map_or("none".into(), |r| r.0.as_millis().to_string()),
                    "sndwnd" => i.snd_wnd.to_string(),
                    "inflight" => i.in_flight.to_string(),
                    other => panic!("unknown info {other}"),
                }
            }
            "sockets" => {
                let states: Vec<String> = tcp.iter().map(|i| format!("{:?}", i.state)).collect();
                if states.is_empty() { "none".into() } else { states.join(" ") }
            }
            "timers" => tcp.poll_timeout().map_or("none".into(), |_| "some".into()),
            // The peer uses another port from now on.
            "port" => {
                self.port = num(1).expect("a port") as u16;
                self.ends.entry(self.port).or_insert(Ends { our_port: 80, ..Ends::default() });
                "ok".into()
            }
            "stat" => {
                let value = tcp.stats().iter().find(|s| s.1 == words[1]).expect("a counter").2;
                value.to_string()
            }
            // `icmp KIND SEQ [mtu]`: an error about our segment that began at SEQ.
            "icmp" => {
                let kind = match words[1] {
                    "port" => IcmpErrorKind::PortUnreachable,
                    "host" => IcmpErrorKind::HostUnreachable,
                    "net" => IcmpErrorKind::NetUnreachable,
                    "toobig" => IcmpErrorKind::PacketTooBig { mtu: num(3).expect("mtu") as u32 },
                    other => panic!("unknown kind {other}"),
                };
                let ends = self.ends[&self.port];
                let seq =
                    ends.our_isn.unwrap_or(0).wrapping_add(words[2].parse::<i64>().expect("seq") as u32);
                let mut quoted = Vec::new();
                quoted.extend(ends.our_port.to_be_bytes());
                quoted.extend(self.port.to_be_bytes());
                quoted.extend(seq.to_be_bytes());
                let (src, dst) = (US.parse().unwrap(), THEM.parse().unwrap());
                let ifindex = crate::host::IF;
                let error = IcmpError { kind, from: dst, src, dst, ifindex, wire: (3, 0) };
                tcp.icmp_error(ip, &error, &quoted);
                "ok".into()
            }
            // The interface takes this many packets more.
            "room" => {
                ip.room = num(1).expect("packets");
                self.metered = true;
                "ok".into()
            }
            // From here on packets that go out are not compared.
            "lenient" => {
                self.lenient = true;
                "ok".into()
            }
            // ... and from here on they are again.
            "strict" => {
                self.out.clear();
                self.lenient = false;
                "ok".into()
            }
            other => panic!("unknown call {other}"),
        }
    }
}

/// The octet at a place of the peer's stream.
fn stream(place: i64) -> u8 {
    ((place as u32).wrapping_mul(2_654_435_761) >> 21) as u8
}

fn ready_names(r: Ready) -> String {
    let names: Vec<&str> = r.iter_names().map(|(n, _)| n).collect();
    if names.is_empty() { "none".into() } else { names.join("|") }
}

const LETTERS: [(char, Flags); 7] = [
    ('S', Flags::SYN),
    ('F', Flags::FIN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('.', Flags::ACK),
    ('-', Flags::empty()),
];

fn flag_letters(flags: Flags) -> String {
    LETTERS.iter().filter(|(_, f)| !f.is_empty() && flags.contains(*f)).map(|(c, _)| *c).collect()
}

fn letters_flag(s: &str) -> Flags {
    s.chars().fold(Flags::empty(), |all, c| {
        all | LETTERS.iter().find(|(l, _)| *l == c).unwrap_or_else(|| panic!("unknown flag {c}")).1
    })
}

/// `FLAGS SEQ:END(LEN) ack N win N <options>` to fields.
fn parse_fields(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let (plain, options) = match text.split_once('<') {
        Some((before, rest)) => {
            let (options, after) =
                rest.split_once('>').unwrap_or_else(|| panic!("no end of options: {text}"));
            (format!("{before} {after}"), Some(options))
        }
        None => (text.to_string(), None),
    };
    if let Some(options) = options {
        let list: Vec<&str> =
            options.split(',').map(str::trim).filter(|o| *o != "nop" && !o.is_empty()).collect();
        fields.insert("options".into(), list.join(","));
    }
    let mut words = plain.split_whitespace();
    fields.insert("flags".into(), words.next().expect("flags").to_string());
    fields.insert(
        "seq".into(),
        words.next().unwrap_or_else(|| panic!("no sequence numbers: {text}")).to_string(),
    );
    while let Some(name) = words.next() {
        fields.insert(name.into(), words.next().unwrap_or_else(|| panic!("no value: {text}")).to_string());
    }
    fields
}

#[test]
fn a_script_that_is_wrong_fails() {
    use crate::reach::ESTABLISHED;
    for wrong in [
        "< R 5:5(0)",                                              // the challenge is not expected
        "> . 1:1(0) ack 1",                                        // nothing goes out
        "< R 5:5(0)\n> . 1:1(0) ack 2",                            // another ACK
        "< R 5:5(0)\n> . 1:1(0) ack 1 win 77",                     // another window
        "< R 5:5(0)\n> . 1:1(0) ack 1 <mss 9>",                    // other options
        "< R 5:5(0)\n+0.1 > . 1:1(0) ack 1",                       // another time
        "send 10 -> 11\n> P. 1:11(10) ack 1",                      // another outcome
        "send 10\n> P. 1:11(10) ack 1\n+0.4 state -> Established", // a retransmission is not expected
    ] {
        let text = format!("{ESTABLISHED}{wrong}");
        assert!(std::panic::catch_unwind(|| run(&text)).is_err(), "passed: {wrong}");
    }
}
