//! `ping`: ICMP echo, with the lines and options of iputils' ping.
//!
//! Requests go through a datagram socket of ICMP, which hears only its own replies; a raw socket hears what routers
//! say about them. The exit status is 0 if there was a reply (with -c and -w: as many as asked for), 1 if not, 2 if it
//! could not begin.

use super::args::{Args, Piece, Usage, operands, unknown};
use super::icmp::{self, HEADER_LEN, NOWHERE, Trouble};
use super::io::{Context, Cx, Fail};
use super::samples::{Samples, ms};
use crate::syscall::{Errno, Family, Fd, MsgFlags, PollFd, PollFlags, RecvMeta, SendMeta, SockType};
use netstack::time::{Duration, Instant};
use netstack::wire::ipv4;
use serde_json::json;
use std::net::IpAddr;
use std::rc::Rc;

pub(super) const USAGE: &str =
    "[-c COUNT] [-i SECONDS] [-s BYTES] [-t TTL] [-W SECONDS] [-w SECONDS] [-A | -f] [-n] [-q] ADDR";

/// Requests whose fate is remembered: what is in flight in a flood, with room.
const REMEMBERED: usize = 8192;
/// How long the last reply is waited for if there was none before (iputils' -W).
const LINGER: Duration = Duration::from_secs(10);
/// In a flood the next request follows a reply at once, and silence after this.
const FLOOD_PACE: Duration = Duration::from_millis(10);
/// Messages taken between two looks at the clock.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) struct Options {
    to: String,
    count: Option<u64>,
    interval: Duration,
    size: usize,
    ttl: Option<u8>,
    linger: Option<Duration>,
    deadline: Option<Duration>,
    flood: bool,
    /// The next request follows a reply at once: a flood, no interval (as iputils takes `-i 0`), or adaptive: then one is under way at a
    /// time, where a flood sends another after [`FLOOD_PACE`].
    paced_by_replies: bool,
    numeric: bool,
    quiet: bool,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut count, mut interval, mut size, mut ttl) = (None, None, 56, None);
        let (mut linger, mut deadline, mut rest) = (None, None, Vec::new());
        let (mut flood, mut adaptive, mut numeric, mut quiet) = (false, false, false, false);
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(c) if c == "c" => count = Some(args.number(1, u64::MAX)?),
                Piece::Option(i) if i == "i" => interval = Some(args.seconds()?),
                Piece::Option(s) if s == "s" => size = args.number(0, 65_507)?,
                Piece::Option(t) if t == "t" => ttl = Some(args.number(1, 255)?),
                Piece::Option(w) if w == "W" => linger = Some(args.seconds()?),
                Piece::Option(w) if w == "w" => deadline = Some(args.seconds()?),
                Piece::Option(f) if f == "f" => flood = true,
                Piece::Option(a) if a == "A" => adaptive = true,
                Piece::Option(n) if n == "n" => numeric = true,
                Piece::Option(q) if q == "q" => quiet = true,
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [to] = operands(rest, ["ADDR"])?;
        let flooding = flood || interval.is_some_and(|interval| interval.is_zero());
        let usual = if flooding && !adaptive { FLOOD_PACE } else { Duration::from_secs(1) };
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(usual);
        // Nothing may be sent without end in no time.
        let interval = interval.max(Duration::from_micros(1));
        Ok(Options {
            to,
            count,
            interval,
            size,
            ttl,
            linger,
            deadline,
            flood,
            paced_by_replies: flooding || adaptive,
            numeric,
            quiet,
        })
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waiting,
    Answered,
    Failed,
}

/// Requests by number, as far as they are remembered.
struct Requests {
    ring: Vec<(u64, Instant, Fate)>,
    next: u64,
}

impl Requests {
    fn new() -> Requests {
        // Numbers begin at 1, as ping's do.
        Requests { ring: Vec::new(), next: 1 }
    }

    fn sent(&mut self, at: Instant) {
        let entry = (self.next, at, Fate::Waiting);
        match (self.next as usize).checked_rem(REMEMBERED) {
            Some(place) if place < self.ring.len() => self.ring[place] = entry,
            Some(place) => {
                self.ring.resize(place, (0, at, Fate::Failed));
                self.ring.push(entry);
            }
            None => {}
        }
        self.next += 1;
    }

    /// The request that has these low 16 bits, which is the only one remembered: there are fewer than 65,536.
    fn find(&mut self, seq: u16) -> Option<&mut (u64, Instant, Fate)> {
        let back = (self.next as u16).wrapping_sub(seq);
        let number = self.next.checked_sub(back.into())?;
        self.ring.get_mut(number as usize % REMEMBERED).filter(|entry| entry.0 == number && number > 0)
    }

    /// Those below `below` that wait, oldest first, are failed now.
    fn fail_all(&mut self, below: u64) -> Vec<u64> {
        let waiting = self.ring.iter_mut().filter(|entry| entry.2 == Fate::Waiting && entry.0 < below);
        let mut failed: Vec<u64> = waiting
            .map(|entry| {
                entry.2 = Fate::Failed;
                entry.0
            })
            .collect();
        failed.sort_unstable();
        failed
    }
}

struct Ping<'c> {
    cx: &'c Cx,
    options: &'c Options,
    to: IpAddr,
    family: Family,
    shown: String,
    echo: Fd,
    errors: Fd,
    /// The echo socket's identifier.
    id: u16,
    requests: Requests,
    samples: Samples,
    transmitted: u64,
    duplicates: u64,
    failures: u64,
    /// Errors that the raw socket told and the echo socket will, without saying who.
    told: bool,
    message: Vec<u8>,
    buffer: Vec<u8>,
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let peer = cx.peer(&options.to, 0)?;
    let (to, family) = (peer.ip(), Family::of(peer.ip()));
    let begin = || -> Result<(Fd, Fd), Fail> {
        Ok((
            sys.socket(family, SockType::Dgram, icmp::echo_protocol(family)).context("socket")?,
            icmp::listen(cx, family)?,
        ))
    };
    let (echo, errors) = begin().map_err(|fail| fail.status(2))?;
    sys.connect(echo, peer).await.context("connect").map_err(|fail| fail.status(2))?;
    let id = sys.getsockname(echo).context("getsockname")?.port();

    // An address on one link is named by that, too.
    let address = if options.to.contains('%') { options.to.clone() } else { to.to_string() };
    let named = !options.numeric && options.to != address;
    let shown = if named { format!("{} ({address})", options.to) } else { address.clone() };
    let (size, whole) = (options.size, options.size + HEADER_LEN + ipv4::HEADER_LEN);
    let what = match family {
        Family::Inet => format!("{size}({whole}) bytes of data."),
        Family::Inet6 => format!("{size} data bytes"),
    };
    cx.say(&format!("PING {} ({address}) {what}", options.to)).await;

    let mut message = vec![0; HEADER_LEN + size];
    message[HEADER_LEN..].iter_mut().enumerate().for_each(|(at, octet)| *octet = at as u8);
    let mut ping = Ping {
        cx,
        options: &options,
        to,
        family,
        shown,
        echo,
        errors,
        id,
        requests: Requests::new(),
        samples: Samples::default(),
        transmitted: 0,
        duplicates: 0,
        failures: 0,
        told: false,
        message,
        buffer: vec![0; 65_536],
    };
    let begin = sys.now();
    // Interrupted, it says what it has seen so far.
    cx.unless_interrupted(ping.run(begin)).await.transpose()?;
    Ok(ping.summary(sys.now().since(begin)).await)
}

impl Ping<'_> {
    async fn run(&mut self, begin: Instant) -> Result<(), Fail> {
        let (sys, options) = (&self.cx.sys, self.options);
        let deadline = options.deadline.map(|deadline| begin + deadline);
        let mut due = begin;
        loop {
            let now = sys.now();
            let settled = self.samples.count() + self.failures;
            // As iputils: with a deadline it goes on until there are so many answers, or an error.
            let failed = deadline.is_some() && self.failures > 0;
            let enough = options.count.is_some_and(|count| settled >= count);
            if enough || failed || deadline.is_some_and(|at| now >= at) {
                return Ok(());
            }
            let more = deadline.is_some() || options.count.is_none_or(|count| self.transmitted < count);
            if more && now >= due {
                self.send().await?;
                // From when it was due, so that the mean is right; but what was missed is not caught up with.
                due =
                    (due + options.interval).max(sys.now() + options.interval.min(Duration::from_micros(1)));
                if !more {
                    continue;
                }
            }
            let more = deadline.is_some() || options.count.is_none_or(|count| self.transmitted < count);
            let mut until = if more { due } else { due + self.linger() - options.interval };
            until = deadline.map_or(until, |at| at.min(until));
            if !more && sys.now() >= until {
                return Ok(());
            }
            let replies = self.receive(until).await?;
            if options.paced_by_replies && replies > 0 {
                due = sys.now();
            }
        }
    }

    /// How long after the last request a reply is waited for: as iputils, twice the longest round trip, at least an
    /// interval.
    fn linger(&self) -> Duration {
        match (self.options.linger, self.samples.count()) {
            (Some(linger), _) => linger,
            (None, 0) => LINGER,
            (None, _) => Duration::from_nanos(self.samples.max() * 2).max(self.options.interval),
        }
    }

    async fn send(&mut self) -> Result<(), Fail> {
        let sys = &self.cx.sys;
        icmp::write_echo(self.family, self.requests.next as u16, &mut self.message);
        let meta = SendMeta { ttl: self.options.ttl, ..SendMeta::default() };
        self.requests.sent(sys.now());
        self.transmitted += 1;
        let mut sent = sys.sendmsg(self.echo, &self.message, MsgFlags::empty(), meta.clone()).await;
        if let Err(errno) = sent
            && self.is_earlier(errno)
        {
            self.unreachable(self.requests.next - 1).await;
            sent = sys.sendmsg(self.echo, &self.message, MsgFlags::empty(), meta).await;
        }
        match sent {
            Ok(_) if self.options.flood && !self.cx.json => self.cx.out(".").await,
            Ok(_) => {}
            Err(errno) => {
                self.cx.complain(&format!("sendmsg: {errno}")).await;
                self.failures += 1;
                let last = self.requests.next - 1;
                if let Some(entry) = self.requests.find(last as u16) {
                    entry.2 = Fate::Failed;
                }
            }
        }
        Ok(())
    }

    /// Takes what has come, or waits for it until `until`; returns the number of replies.
    async fn receive(&mut self, until: Instant) -> Result<usize, Fail> {
        let sys = &self.cx.sys;
        let (mut replies, mut came) = (0, false);
        for _ in 0..BATCH {
            match sys.recvmsg(self.errors, &mut self.buffer, MsgFlags::DONTWAIT).await {
                Ok(meta) => {
                    came = true;
                    if let Some(trouble) = Trouble::read(&self.buffer[..meta.len], &meta) {
                        self.trouble(&trouble).await;
                    }
                }
                Err(_) => break,
            }
        }
        for _ in 0..BATCH {
            match sys.recvmsg(self.echo, &mut self.buffer, MsgFlags::DONTWAIT).await {
                Ok(meta) => {
                    came = true;
                    let now = sys.now();
                    replies += usize::from(self.reply(&meta, now).await);
                }
                Err(Errno::EAGAIN) => break,
                Err(errno) if self.is_earlier(errno) => {
                    came = true;
                    self.unreachable(self.requests.next).await;
                }
                Err(errno) => {
                    self.cx.complain(&format!("recvmsg: {errno}")).await;
                    came = true;
                }
            }
        }
        if !came {
            let mut fds = [self.echo, self.errors].map(|fd| PollFd::new(fd, PollFlags::IN));
            sys.poll(&mut fds, Some(until.since(sys.now()))).await.context("poll")?;
        }
        Ok(replies)
    }

    /// Whether an error of the echo socket is about a request that was sent: one that the raw socket has told, or one of
    /// those that our own stack finds.
    fn is_earlier(&self, errno: Errno) -> bool {
        self.told || matches!(errno, Errno::EHOSTUNREACH | Errno::ECONNREFUSED | Errno::ENOPROTOOPT)
    }

    /// A reply in the buffer; true if it is the first to its request.
    async fn reply(&mut self, meta: &RecvMeta, now: Instant) -> bool {
        let RecvMeta { len, ttl, time: arrived, .. } = *meta;
        let Some((seq, payload)) = icmp::read_echo_reply(&self.buffer[..len], meta) else { return false };
        let damaged = payload != &self.message[HEADER_LEN..];
        let Some(entry) = self.requests.find(seq) else { return false };
        let (number, sent, fate) = *entry;
        entry.2 = Fate::Answered;
        // The time at which the stack took the packet; a reply of our own host comes in the same instant.
        let took = if arrived > sent { arrived.since(sent) } else { now.since(sent) };
        let duplicate = fate == Fate::Answered;
        if duplicate {
            self.duplicates += 1;
        } else {
            self.samples.add(took);
        }
        if self.options.flood && !self.cx.json {
            self.cx.out("\u{8}").await;
        } else if !self.options.quiet {
            let time = ms(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            let dup = if duplicate { " (DUP!)" } else { "" };
            let bad = if damaged { " (wrong data!)" } else { "" };
            let from = &self.shown;
            self.cx
                .say(&format!(
                    "{len} bytes from {from}: icmp_seq={number} ttl={ttl} time={time} ms{dup}{bad}"
                ))
                .await;
        }
        !duplicate
    }

    /// Somebody says something about a packet; perhaps one of ours.
    async fn trouble(&mut self, trouble: &Trouble) {
        let Some((id, seq)) = trouble.echo() else { return };
        if id != self.id || trouble.dst != self.to {
            return;
        }
        let Some(entry) = self.requests.find(seq) else { return };
        let number = entry.0;
        if !trouble.is_redirect() {
            self.told = true;
            if entry.2 == Fate::Waiting {
                entry.2 = Fate::Failed;
                self.failures += 1;
            }
        }
        if !self.options.quiet && !self.options.flood {
            self.cx.say(&format!("From {} icmp_seq={number} {}", trouble.from, trouble.words())).await;
        }
    }

    /// The echo socket has an error: of a router, which the raw socket tells better, or of our own stack, that the next
    /// hop does not answer. Then all requests that waited for it are lost, those numbered below `below` that is.
    async fn unreachable(&mut self, below: u64) {
        if std::mem::take(&mut self.told) {
            return;
        }
        let local = self.cx.sys.getsockname(self.echo).map_or(NOWHERE, |addr| addr.ip());
        let why = match self.family {
            Family::Inet => "Destination Host Unreachable",
            Family::Inet6 => "Destination unreachable: Address unreachable",
        };
        for number in self.requests.fail_all(below) {
            self.failures += 1;
            if !self.options.quiet && !self.options.flood {
                self.cx.say(&format!("From {local} icmp_seq={number} {why}")).await;
            }
        }
    }

    async fn summary(&self, time: Duration) -> i32 {
        let (sent, received) = (self.transmitted, self.samples.count());
        let loss = if sent == 0 { 0.0 } else { (sent - received.min(sent)) as f64 * 100.0 / sent as f64 };
        let json = json!({
            "transmitted": sent,
            "received": received,
            "loss_percent": loss,
            "rtt_us": self.samples.rtt_us(),
            "duplicates": self.duplicates,
            "errors": self.failures,
            "seconds": time.as_secs_f64(),
        });
        let some =
            |count: u64, what: &str| if count > 0 { format!("+{count} {what}, ") } else { String::new() };
        let (duplicates, errors) = (some(self.duplicates, "duplicates"), some(self.failures, "errors"));
        let loss = format!("{loss:.4}");
        let loss = loss.trim_end_matches('0').trim_end_matches('.');
        let rtt = if received > 0 { self.samples.summary() } else { String::new() };
        let text = format!(
            "\n--- {} ping statistics ---\n\
             {sent} packets transmitted, {received} received, {duplicates}{errors}{loss}% packet loss, time {}ms\n{rtt}",
            self.options.to,
            time.as_millis()
        );
        self.cx.result(json, &text).await;
        let enough = match (self.options.count, self.options.deadline) {
            (Some(count), Some(_)) => received >= count,
            _ => received > 0,
        };
        i32::from(!enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_by_their_low_bits() {
        let mut requests = Requests::new();
        assert!(requests.find(0).is_none() && requests.find(1).is_none());
        for number in 1..=200_000u64 {
            requests.sent(Instant::from_nanos(number));
            assert_eq!(
                requests.find(number as u16).map(|entry| *entry),
                Some((number, Instant::from_nanos(number), Fate::Waiting))
            );
        }
        let oldest = 200_000 - REMEMBERED as u64;
        assert!(requests.find(oldest as u16).is_none());
        assert_eq!(requests.find((oldest + 1) as u16).map(|entry| entry.0), Some(oldest + 1));
        requests.find(200_000u64 as u16).unwrap().2 = Fate::Answered;
        let failed = requests.fail_all(200_000);
        assert_eq!((failed.len(), failed[0], *failed.last().unwrap()), (REMEMBERED - 1, oldest + 1, 199_999));
        assert!(requests.fail_all(u64::MAX).is_empty());
    }
}
