//! `traceroute`: the routers on the way to a host, with the lines and marks of the classic tool.
//!
//! UDP datagrams with a growing time to live go to ports on which nobody listens; routers say where it ran out, the
//! host that it has no such port. Each probe has a port of its own, by which its answer is known. The probes of a hop go
//! together, the hops one after the other.

use super::args::{Args, Piece, Usage, operands, unknown};
use super::icmp::{self, Trouble};
use super::io::{Context, Cx, Fail};
use super::samples::ms;
use crate::syscall::{Errno, Family, Fd, MsgFlags, SendMeta, SockType};
use netstack::time::{Duration, Instant};
use netstack::wire::{ipv4, ipv6, udp};
use serde_json::{Value, json};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

pub(super) const USAGE: &str = "[-n] [-q PROBES] [-f FIRST] [-m MAX] [-w SECONDS] [-p PORT] ADDR [LENGTH]";

/// Octets of IP and UDP header in a probe: the smaller ones, IPv4's.
const HEADERS: usize = ipv4::HEADER_LEN + udp::HEADER_LEN;
/// Octets of its payload, as the classic tool's: 60 on the wire of IPv4, 80 of IPv6.
const PAYLOAD: usize = 32;
/// When one probe of a hop was answered, the others are waited for so many times as long, at least [`NEAR`].
const PATIENCE: u32 = 3;
/// See [`PATIENCE`].
const NEAR: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Options {
    to: String,
    numeric: bool,
    probes: u16,
    first: u8,
    max: u8,
    wait: Duration,
    port: u16,
    /// Octets of a probe on the wire.
    length: Option<usize>,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut numeric, mut probes, mut first, mut max) = (false, 3, 1, 30);
        let (mut wait, mut port, mut rest) = (Duration::from_secs(5), 33_434, Vec::new());
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(n) if n == "n" => numeric = true,
                Piece::Option(q) if q == "q" => probes = args.number(1, 10)?,
                Piece::Option(f) if f == "f" => first = args.number(1, 255)?,
                Piece::Option(m) if m == "m" => max = args.number(1, 255)?,
                Piece::Option(w) if w == "w" => wait = args.seconds()?,
                Piece::Option(p) if p == "p" => port = args.number(1, u16::MAX - 2550)?,
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let length = match rest.len() {
            2 => Some(super::args::number(&rest.remove(1), HEADERS, 65_000)?),
            _ => None,
        };
        let [to] = operands(rest, ["ADDR"])?;
        if first > max {
            return Err(Usage(format!("first hop {first} is beyond the last, {max}")));
        }
        Ok(Options { to, numeric, probes, first, max, wait, port, length })
    }
}

/// What a probe came to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    from: IpAddr,
    name: Option<String>,
    took: Duration,
    mark: String,
    /// Nothing lies behind: the host answered, or a router knows no way on.
    last: bool,
    /// The host itself answered.
    arrived: bool,
}

/// Which probe an answer is about, and who may answer.
struct Probes {
    to: SocketAddr,
    source: u16,
    first_port: u16,
    /// What each of them carries.
    payload: Vec<u8>,
    sent: Vec<Instant>,
}

impl Probes {
    /// The probe's place among those sent, if the error is about one of them.
    fn find(&self, trouble: &Trouble) -> Option<usize> {
        let (source, port) = trouble.udp()?;
        let place = usize::from(port.checked_sub(self.first_port)?);
        let ours = trouble.dst == self.to.ip() && source == self.source && !trouble.is_redirect();
        (ours && place < self.sent.len()).then_some(place)
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let peer = cx.peer(&options.to, 0)?;
    let to = peer.ip();
    let begin = || -> Result<(Fd, Fd), Fail> {
        let any = match to {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let udp = sys.socket(Family::of(to), SockType::Dgram, 0).context("socket")?;
        sys.bind(udp, SocketAddr::new(any, 0)).context("bind")?;
        Ok((udp, icmp::listen(cx, Family::of(to))?))
    };
    let (udp, errors) = begin().map_err(|fail| fail.status(2))?;
    let source = sys.getsockname(udp).context("getsockname")?.port();
    let headers = match to {
        IpAddr::V4(_) => HEADERS,
        IpAddr::V6(_) => ipv6::HEADER_LEN + udp::HEADER_LEN,
    };
    let payload = options.length.map_or(PAYLOAD, |length| length.saturating_sub(headers));
    let length = payload + headers;
    cx.say(&format!("traceroute to {} ({to}), {} hops max, {length} byte packets", options.to, options.max))
        .await;

    let mut probes =
        Probes { to: peer, source, first_port: options.port, payload: vec![b'@'; payload], sent: Vec::new() };
    let (mut hops, mut arrived) = (Vec::new(), false);
    for ttl in options.first..=options.max {
        let answers = hop(cx, &options, &mut probes, (udp, errors), ttl).await?;
        arrived |= answers.iter().flatten().any(|answer| answer.arrived);
        cx.say(&line(ttl, &answers, options.numeric)).await;
        hops.push(hop_json(ttl, &answers));
        if answers.iter().flatten().any(|answer| answer.last) {
            break;
        }
    }
    if cx.json {
        cx.result(json!({ "to": options.to, "address": to, "reached": arrived, "hops": hops }), "").await;
    }
    Ok(0)
}

/// Sends the probes of one hop and waits for their answers.
async fn hop(
    cx: &Cx,
    options: &Options,
    probes: &mut Probes,
    (udp, errors): (Fd, Fd),
    ttl: u8,
) -> Result<Vec<Option<Answer>>, Fail> {
    let sys = &cx.sys;
    let first = probes.sent.len();
    for _ in 0..options.probes {
        let mut to = probes.to;
        to.set_port(probes.first_port + probes.sent.len() as u16);
        let meta = SendMeta { to: Some(to), ttl: Some(ttl), ..SendMeta::default() };
        probes.sent.push(sys.now());
        match sys.sendmsg(udp, &probes.payload, MsgFlags::empty(), meta).await {
            // An ICMP error that the socket heard of too; the raw socket says more.
            Ok(_) | Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH) => {}
            Err(errno) => return Err(errno).context("sendto"),
        }
    }
    let mut answers: Vec<Option<Answer>> = vec![None; options.probes.into()];
    let mut until = sys.now() + options.wait;
    let mut packet = vec![0; 65_536];
    while answers.iter().any(Option::is_none) {
        let Some(meta) = cx.recv_until(errors, &mut packet, until).await.context("recv")? else { break };
        let Some(trouble) = Trouble::read(&packet[..meta.len], &meta) else { continue };
        let Some(place) = probes.find(&trouble) else { continue };
        // A late answer to an earlier hop's probe comes too late to be shown.
        let Some(answer) = place.checked_sub(first).and_then(|place| answers.get_mut(place)) else {
            continue;
        };
        let took = meta.time.since(probes.sent[place]);
        let arrived = trouble.from == probes.to.ip();
        let name = sys.resolve_back(trouble.from);
        let last = arrived || !trouble.is_time_exceeded();
        let mark = if trouble.is_port_unreachable() && !arrived { "!<3>".to_owned() } else { trouble.mark() };
        answer.get_or_insert(Answer { from: trouble.from, name, took, mark, last, arrived });
        until = until.min(sys.now() + (took * PATIENCE).max(NEAR));
    }
    Ok(answers)
}

/// A hop as the classic tool prints it: who it is once, then times; again when it is somebody else.
fn line(ttl: u8, answers: &[Option<Answer>], numeric: bool) -> String {
    let (mut line, mut shown) = (format!("{ttl:2} "), None);
    for answer in answers {
        let Some(Answer { from, name, took, mark, .. }) = answer else {
            line.push_str(" *");
            continue;
        };
        if shown != Some(from) {
            shown = Some(from);
            let name = name.clone().unwrap_or_else(|| from.to_string());
            line.push_str(&if numeric { format!(" {from}") } else { format!(" {name} ({from})") });
        }
        let time = ms(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        // Writing to a String does not fail.
        let _ = write!(line, "  {time} ms");
        if !mark.is_empty() {
            let _ = write!(line, " {mark}");
        }
    }
    line
}

fn hop_json(ttl: u8, answers: &[Option<Answer>]) -> Value {
    let probes: Vec<Value> = answers
        .iter()
        .map(|answer| match answer {
            None => Value::Null,
            Some(answer) => json!({
                "from": answer.from,
                "name": answer.name,
                "rtt_us": answer.took.as_nanos() as f64 / 1000.0,
                "mark": answer.mark,
            }),
        })
        .collect();
    json!({ "ttl": ttl, "probes": probes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(from: [u8; 4], name: Option<&str>, us: u64, mark: &str) -> Option<Answer> {
        let took = Duration::from_micros(us);
        let name = name.map(str::to_owned);
        Some(Answer { from: from.into(), name, took, mark: mark.to_owned(), last: false, arrived: false })
    }

    #[test]
    fn hops_look_like_the_classic_tool_s() {
        let r1 = || answer([10, 0, 1, 1], Some("r1"), 34, "");
        assert_eq!(line(1, &[r1(), r1(), None], false), " 1  r1 (10.0.1.1)  0.034000 ms  0.034000 ms *");
        assert_eq!(line(12, &[None, None, None], false), "12  * * *");
        let other = answer([10, 0, 2, 1], None, 2500, "!H");
        assert_eq!(line(2, &[r1(), other.clone()], true), " 2  10.0.1.1  0.034000 ms 10.0.2.1  2.500 ms !H");
        assert_eq!(line(2, &[other], false), " 2  10.0.2.1 (10.0.2.1)  2.500 ms !H");
    }
}
