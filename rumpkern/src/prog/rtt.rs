//! `rtt`: measures round trips to an `echo`, one after the other, over TCP or UDP.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Cx, Fail, Transport};
use super::samples::Samples;
use crate::syscall::{Errno, Family, Fd, MsgFlags, SockOpt, SockType};
use netstack::tcp::TcpOpt;
use netstack::time::Duration;
use serde_json::json;
use std::rc::Rc;

pub(super) const USAGE: &str =
    "[-c COUNT] [-i SECONDS] [-s BYTES] [-t SECONDS] [-w SECONDS] tcp|udp ADDR PORT";

/// How long an answer may take before a datagram counts as lost.
const ANSWER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Options {
    transport: Transport,
    to: String,
    port: u16,
    count: u64,
    /// From the beginning of a round trip to that of the next, if that one is over.
    interval: Duration,
    size: usize,
    time: Option<Duration>,
    /// How long the connection may take; as long as TCP tries if left out.
    patience: Option<Duration>,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        // One octet, as the classic request-response test has it; a thousand are enough for the 99th percentile.
        let (mut count, mut size, mut time, mut rest) = (None, 1, None, Vec::new());
        let (mut patience, mut interval) = (None, Duration::ZERO);
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(c) if c == "c" => count = Some(args.number(1, u64::MAX)?),
                Piece::Option(i) if i == "i" => interval = args.seconds()?,
                Piece::Option(s) if s == "s" => size = args.octets(1, 65_507)? as usize,
                Piece::Option(t) if t == "t" => time = Some(args.seconds()?),
                Piece::Option(w) if w == "w" => patience = Some(args.seconds()?),
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [transport, to, port] = operands(rest, ["tcp|udp", "ADDR", "PORT"])?;
        let count = count.unwrap_or(if time.is_some() { u64::MAX } else { 1000 });
        let transport = Transport::parse(&transport)?;
        Ok(Options {
            transport,
            to,
            port: number(&port, 1, u16::MAX)?,
            count,
            interval,
            size,
            time,
            patience,
        })
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let to = cx.peer(&options.to, options.port)?;
    let kind = match options.transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Dgram,
    };
    let fd = sys.socket(Family::of(to.ip()), kind, 0).context("socket")?;
    cx.connect(fd, to, options.patience).await?;
    if options.transport == Transport::Tcp {
        sys.setsockopt(fd, SockOpt::Tcp(TcpOpt::NoDelay(true))).context("setsockopt")?;
    }

    let (mut samples, mut lost) = (Samples::default(), 0);
    // Interrupted, it says what it has seen so far.
    cx.unless_interrupted(turns(cx, fd, &options, &mut samples, &mut lost)).await.transpose()?;

    let sent = samples.count() + lost;
    let json = json!({ "transmitted": sent, "received": samples.count(), "rtt_us": samples.rtt_us() });
    let text = match samples.count() {
        0 => format!("{sent} round trips, {lost} lost"),
        _ => format!("{sent} round trips, {lost} lost\n{}", samples.summary()),
    };
    cx.result(json, &text).await;
    Ok(i32::from(samples.count() == 0))
}

/// One round trip after the other.
async fn turns(
    cx: &Cx,
    fd: Fd,
    options: &Options,
    samples: &mut Samples,
    lost: &mut u64,
) -> Result<(), Fail> {
    let mut message: Vec<u8> = (0..options.size).map(|at| at as u8).collect();
    let mut answer = vec![0; options.size];
    let until = options.time.map(|time| cx.sys.now() + time);
    let mut next = cx.sys.now();
    for turn in 0..options.count {
        if next > cx.sys.now() {
            cx.sys.sleep_until(next).await;
        }
        let begin = cx.sys.now();
        next = begin + options.interval;
        if until.is_some_and(|until| begin >= until) {
            break;
        }
        // Late answers of earlier turns are told by what they begin with.
        let stamp = turn.to_be_bytes();
        let stamped = message.len().min(stamp.len());
        message[..stamped].copy_from_slice(&stamp[stamp.len() - stamped..]);
        let came = match options.transport {
            Transport::Tcp => stream_turn(cx, fd, &message, &mut answer).await.context("rtt")?,
            Transport::Udp => datagram_turn(cx, fd, &message, &mut answer).await.context("rtt")?,
        };
        match came {
            true => samples.add(cx.sys.now().since(begin)),
            false => *lost += 1,
        }
    }
    Ok(())
}

/// One round trip over a connection; the end of the stream is an error.
async fn stream_turn(cx: &Cx, fd: Fd, message: &[u8], answer: &mut [u8]) -> Result<bool, Errno> {
    cx.send_all(fd, message).await?;
    let mut got = 0;
    while got < answer.len() {
        match cx.sys.recv(fd, &mut answer[got..], MsgFlags::empty()).await? {
            0 => return Err(Errno::ECONNRESET),
            octets => got += octets,
        }
    }
    Ok(true)
}

/// One round trip of a datagram; false if its answer did not come.
async fn datagram_turn(cx: &Cx, fd: Fd, message: &[u8], answer: &mut [u8]) -> Result<bool, Errno> {
    let until = cx.sys.now() + ANSWER;
    cx.sys.send(fd, message, MsgFlags::empty()).await?;
    while let Some(meta) = cx.recv_until(fd, answer, until).await? {
        if answer[..meta.len] == *message {
            return Ok(true);
        }
    }
    Ok(false)
}
