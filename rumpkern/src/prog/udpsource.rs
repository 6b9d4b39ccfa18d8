//! `udpsource`: sends numbered UDP datagrams as fast as the network takes them, or at a rate, and asks the sink at the
//! end what came.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Cx, Fail};
use super::seq::{HEADER, Mark, REPORT, Report};
use super::{rate, seq};
use crate::syscall::{Errno, Family, Fd, MsgFlags, SockType};
use netstack::time::{Duration, Instant};
use serde_json::json;
use std::rc::Rc;

pub(super) const USAGE: &str = "[-t SECONDS] [-n DATAGRAMS] [-l LENGTH] [-r PER_SECOND] ADDR PORT";

/// Largest payload of a UDP datagram over IPv4.
const MAX_LENGTH: u64 = 65_507;
/// How often the sink is asked for its report, and how long each answer may take.
const ASKS: u32 = 10;
/// See [`ASKS`].
const ANSWER: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Options {
    to: String,
    port: u16,
    time: Option<Duration>,
    count: Option<u64>,
    length: usize,
    per_second: Option<f64>,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut time, mut count, mut length, mut per_second) = (None, None, 64, None);
        let mut rest = Vec::new();
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(t) if t == "t" => time = Some(args.seconds()?),
                Piece::Option(n) if n == "n" => count = Some(args.number(1, 1 << 62)?),
                Piece::Option(l) if l == "l" => length = args.octets(HEADER as u64, MAX_LENGTH)? as usize,
                Piece::Option(r) if r == "r" => per_second = Some(args.number(0.001, 1e9)?),
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [to, port] = operands(rest, ["ADDR", "PORT"])?;
        if time.is_none() && count.is_none() {
            time = Some(Duration::from_secs(10));
        }
        Ok(Options { to, port: number(&port, 1, u16::MAX)?, time, count, length, per_second })
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let to = cx.peer(&options.to, options.port)?;
    let fd = sys.socket(Family::of(to.ip()), SockType::Dgram, 0).context("socket")?;
    sys.connect(fd, to).await.context(&format!("connect to {to}"))?;
    cx.say(&format!("sending to {to}, {} octets each", options.length)).await;

    let begin = sys.now();
    let mut sent = 0;
    // Interrupted, it says what it has sent so far, and asks what came of it.
    cx.unless_interrupted(send(cx, fd, &options, begin, &mut sent)).await.transpose()?;
    let time = sys.now().since(begin);
    let report = ask(cx, fd, sent).await;

    let octets = sent * options.length as u64;
    let (bits, packets) = (rate::bits_per_second(octets, time), rate::per_second(sent, time));
    // A sink that is silent to the end, and to every question, has had nothing.
    let received = report.map_or(0, |report| report.received);
    let lost = report.map_or(sent, |report| report.lost);
    let json = json!({
        "seconds": time.as_secs_f64(),
        "octets": octets,
        "bits_per_second": bits,
        "packets": sent,
        "packets_per_second": packets,
        "received": received,
        "lost": lost,
        "loss_percent": lost as f64 * 100.0 / sent.max(1) as f64,
        "reordered": report.map(|report| report.reordered),
        "duplicated": report.map(|report| report.duplicated),
        "jitter_us": report.map(|report| report.jitter as f64 / 1000.0),
    });
    let counted = report.map_or_else(
        || format!("all {sent} datagrams were lost: nothing came back from the sink"),
        |report| counted(&report, sent),
    );
    let line =
        format!("{sent} datagrams in {:.3} s, {packets:.0}/s, {}", time.as_secs_f64(), rate::bits(bits));
    cx.result(json, &format!("{line}\n{counted}")).await;
    Ok(i32::from(report.is_none()))
}

/// What a sink counted, in a line.
pub(super) fn counted(report: &Report, sent: u64) -> String {
    let percent = report.lost as f64 * 100.0 / sent.max(1) as f64;
    let Report { received, lost, reordered, duplicated, jitter, .. } = report;
    let jitter = super::samples::ms(*jitter);
    format!(
        "{received} received, {lost} lost ({percent:.3}%), {reordered} reordered, {duplicated} duplicated, jitter {jitter} ms"
    )
}

/// Sends until the count or the time is reached; `sent` counts.
async fn send(cx: &Cx, fd: Fd, options: &Options, begin: Instant, sent: &mut u64) -> Result<(), Fail> {
    let sys = &cx.sys;
    let until = options.time.map(|time| begin + time);
    let mut datagram: Vec<u8> = (0..options.length).map(|at| at as u8).collect();
    while options.count.is_none_or(|count| *sent < count) {
        let now = sys.now();
        if until.is_some_and(|until| now >= until) {
            break;
        }
        if let Some(per_second) = options.per_second {
            // Each datagram has its time; whoever is late sends at once, so that the mean is right.
            let due = begin + Duration::from_secs_f64((*sent as f64 / per_second).min(1e9));
            if due > now {
                sys.sleep_until(until.map_or(due, |until| until.min(due))).await;
                continue;
            }
        }
        Mark::Number(*sent, now).write(&mut datagram);
        match sys.send(fd, &datagram, MsgFlags::empty()).await {
            Ok(_) => *sent += 1,
            // An ICMP error about an earlier datagram: nobody listens (yet), or a link is down. Linux tells it here.
            Err(errno @ Errno::ECONNREFUSED) => return Err(errno).context("send"),
            Err(Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ENETDOWN) => {
                sys.sleep(Duration::from_millis(1)).await
            }
            Err(errno) => return Err(errno).context("send"),
        }
    }
    Ok(())
}

/// Tells the sink that this was all, until it answers.
async fn ask(cx: &Cx, fd: Fd, sent: u64) -> Option<Report> {
    let mut end = [0; seq::HEADER];
    Mark::End(sent).write(&mut end);
    for _ in 0..ASKS {
        // A failure is an ICMP error about an earlier datagram; the next try shows whether it lasts.
        let _ = cx.sys.send(fd, &end, MsgFlags::empty()).await;
        let until = cx.sys.now() + ANSWER;
        let mut answer = [0; REPORT];
        while let Ok(Some(meta)) = cx.recv_until(fd, &mut answer, until).await {
            if let Some(report) = Report::read(&answer[..meta.len], sent) {
                return Some(report);
            }
        }
        cx.sys.sleep_until(until).await;
    }
    None
}
