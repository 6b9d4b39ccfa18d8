//! `tcpsource`: sends over TCP as fast as the connection takes it, and measures.
//!
//! The time runs from the first octet until the peer has read the last one and closed (its FIN), so that what lies
//! in buffers is not counted as sent.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Cx, Fail};
use super::rate;
use crate::syscall::{Errno, Family, Fd, MsgFlags, Shutdown, SockType};
use netstack::time::{Duration, Instant};
use serde_json::json;
use std::rc::Rc;

pub(super) const USAGE: &str = "[-t SECONDS] [-n OCTETS] [-l LENGTH] [-w SECONDS] ADDR PORT";

/// How long what lies in buffers may take to arrive when the time is up; as long as the time itself if that is longer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Options {
    to: String,
    port: u16,
    time: Option<Duration>,
    /// How long the connection may take; as long as TCP tries if left out.
    patience: Option<Duration>,
    octets: Option<u64>,
    length: usize,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        // iperf3's defaults: ten seconds, calls of 128 KiB.
        let (mut time, mut octets, mut length, mut rest) = (None, None, 128 * 1024, Vec::new());
        let mut patience = None;
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(t) if t == "t" => time = Some(args.seconds()?),
                Piece::Option(n) if n == "n" => octets = Some(args.octets(1, u64::MAX)?),
                Piece::Option(l) if l == "l" => length = args.octets(1, 16 << 20)? as usize,
                Piece::Option(w) if w == "w" => patience = Some(args.seconds()?),
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [to, port] = operands(rest, ["ADDR", "PORT"])?;
        if time.is_none() && octets.is_none() {
            time = Some(Duration::from_secs(10));
        }
        Ok(Options { to, port: number(&port, 1, u16::MAX)?, time, octets, length, patience })
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let to = cx.peer(&options.to, options.port)?;
    let fd = sys.socket(Family::of(to.ip()), SockType::Stream, 0).context("socket")?;
    cx.connect(fd, to, options.patience).await?;
    let from = sys.getsockname(fd).context("getsockname")?;
    let info = sys.tcp_info(fd).context("getsockopt")?;
    let (mss, cc) = (info.snd_mss, info.congestion_control);
    cx.say(&format!("connected to {to} from {from}, mss {mss}, {cc}")).await;

    let data: Vec<u8> = (0..options.length).map(|at| at as u8).collect();
    let begin = sys.now();
    let until = options.time.map(|time| begin + time);
    let mut sent = 0;
    // Interrupted, it says how far it came.
    cx.unless_interrupted(send(cx, fd, &data, &options, until, &mut sent)).await.transpose()?;
    sys.shutdown(fd, Shutdown::Write).context("shutdown")?;
    let finished = match options.time {
        Some(time) => cx.before(sys.now() + time.max(PATIENCE), finish(cx, fd)).await,
        None => Some(finish(cx, fd).await),
    };
    let status = match finished {
        Some(finished) => finished.map(|()| 0).context("waiting for the peer to read all")?,
        None => {
            sent = sys.tcp_info(fd).context("getsockopt")?.octets_acked.min(sent);
            cx.complain("the peer has not read all; counted is what it has acknowledged").await;
            1
        }
    };
    let time = sys.now().since(begin);
    let info = sys.tcp_info(fd).context("getsockopt")?;
    let _ = sys.close(fd);

    let bits_per_second = rate::bits_per_second(sent, time);
    let json = json!({
        "seconds": time.as_secs_f64(),
        "octets": sent,
        "bits_per_second": bits_per_second,
        "retransmits": info.total_retrans,
        "mss": info.snd_mss,
        "congestion_control": info.congestion_control,
        "rtt_us": info.rtt.map(|(smoothed, _, _)| smoothed.as_nanos() as f64 / 1000.0),
    });
    let (amount, rate, again) = (rate::octets(sent), rate::bits(bits_per_second), info.total_retrans);
    let text = format!("{amount} in {:.3} s, {rate}, {again} retransmits", time.as_secs_f64());
    cx.result(json, &text).await;
    Ok(status)
}

/// Sends until the octets or the time are reached; `sent` counts.
async fn send(
    cx: &Cx,
    fd: Fd,
    data: &[u8],
    options: &Options,
    until: Option<Instant>,
    sent: &mut u64,
) -> Result<(), Fail> {
    while until.is_none_or(|until| cx.sys.now() < until) {
        let left = options.octets.map_or(u64::MAX, |octets| octets - *sent);
        if left == 0 {
            break;
        }
        let piece = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        let send = cx.sys.send(fd, piece, MsgFlags::empty());
        let taken = match until {
            Some(until) => cx.before(until, send).await,
            None => Some(send.await),
        };
        match taken {
            Some(taken) => *sent += taken.context("send")? as u64,
            None => break, // the time is up, and nothing moves
        }
    }
    Ok(())
}

/// Waits for the peer's FIN.
async fn finish(cx: &Cx, fd: Fd) -> Result<(), Errno> {
    let mut scrap = [0; 1024];
    while cx.sys.recv(fd, &mut scrap, MsgFlags::empty()).await? > 0 {}
    Ok(())
}
