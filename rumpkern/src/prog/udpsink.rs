//! `udpsink`: counts what `udpsource`s send, by source, and tells each at its end what came.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Cx, Fail, canonical};
use super::rate;
use super::seq::{Mark, Report, Tracker};
use super::udpsource::counted;
use crate::syscall::{Errno, Fd, MsgFlags, SockOpt, SockType};
use netstack::time::{Duration, Instant};
use serde_json::json;
use std::net::SocketAddr;
use std::rc::Rc;

pub(super) const USAGE: &str = "[-n FLOWS] PORT";

/// Sources that are remembered at once; the one silent for longest goes first.
const FLOWS: usize = 256;
/// Silence after which a flow's number may be used for a new one and its end is not waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Octets of datagrams that may wait to be read.
const RECV_BUFFER: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Options {
    port: u16,
    flows: Option<u64>,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut flows, mut rest) = (None, Vec::new());
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(n) if n == "n" => flows = Some(args.number(1, u64::MAX)?),
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [port] = operands(rest, ["PORT"])?;
        Ok(Options { port: number(&port, 0, u16::MAX)?, flows })
    }
}

/// One source.
struct Flow {
    from: SocketAddr,
    begin: Instant,
    last: Instant,
    tracker: Tracker,
    /// The report that was sent; a source that did not get it asks again.
    ended: Option<(u64, Report)>,
}

impl Flow {
    fn new(from: SocketAddr, now: Instant) -> Flow {
        Flow { from, begin: now, last: now, tracker: Tracker::default(), ended: None }
    }
}

/// All sources, the latest first: bulk comes from the same one again and again.
#[derive(Default)]
struct Flows(Vec<Flow>);

impl Flows {
    fn of(&mut self, from: SocketAddr, now: Instant) -> &mut Flow {
        match self.0.iter().position(|flow| flow.from == from) {
            Some(0) => {}
            Some(at) => self.0[..=at].rotate_right(1),
            None => {
                self.0.truncate(FLOWS - 1);
                self.0.insert(0, Flow::new(from, now));
            }
        }
        let flow = &mut self.0[0];
        // A number's second life: the same source address and port, after an end or a long silence.
        if now.since(flow.last) > SILENCE {
            *flow = Flow::new(from, now);
        }
        flow.last = now;
        flow
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let sys = &cx.sys;
    let fd = cx.bound(SockType::Dgram, options.port)?;
    // What comes while the node does something else; less, if the node grants less.
    let _ = sys.setsockopt(fd, SockOpt::RecvBuffer(RECV_BUFFER));
    cx.complain(&format!("listening on port {}", sys.getsockname(fd).context("getsockname")?.port())).await;
    let (mut flows, mut ended) = (Flows::default(), 0);
    let mut datagram = vec![0; 65_536];
    while options.flows.is_none_or(|n| ended < n) {
        let meta = match sys.recvmsg(fd, &mut datagram, MsgFlags::empty()).await {
            Ok(meta) => meta,
            // An ICMP error about a report: that source is gone.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => continue,
            Err(errno) => return Err(errno).context("recv"),
        };
        let (Some(from), Some(mark)) = (meta.from, Mark::read(&datagram[..meta.len])) else { continue };
        let flow = flows.of(from, meta.time);
        match mark {
            Mark::Number(number, sent) => {
                if flow.ended.is_some() {
                    *flow = Flow::new(from, meta.time);
                }
                flow.tracker.take(number, meta.len, sent, meta.time);
            }
            Mark::End(sent) => ended += u64::from(end(cx, fd, flow, sent).await),
        }
    }
    Ok(0)
}

/// Answers the end of a flow; true if it is its first.
async fn end(cx: &Cx, fd: Fd, flow: &mut Flow, sent: u64) -> bool {
    let report = flow.tracker.report(Some(sent));
    let (known, report) = match flow.ended {
        Some((earlier, report)) if earlier == sent => (true, report),
        Some(_) | None => (false, report),
    };
    flow.ended = Some((sent, report));
    let (from, time) = (flow.from, flow.last.since(flow.begin));
    // A full socket must not stop the counting; a source that gets no answer asks again.
    let _ = cx.sys.sendto(fd, &report.write(sent), MsgFlags::DONTWAIT, from).await;
    if !known {
        let from = canonical(from);
        let packets = rate::per_second(report.received, time);
        let bits_per_second = rate::bits_per_second(report.octets, time);
        let json = json!({
            "peer": from.to_string(),
            "seconds": time.as_secs_f64(),
            "octets": report.octets,
            "bits_per_second": bits_per_second,
            "packets_per_second": packets,
            "packets": sent,
            "received": report.received,
            "lost": report.lost,
            "reordered": report.reordered,
            "duplicated": report.duplicated,
            "jitter_us": report.jitter as f64 / 1000.0,
        });
        let line =
            format!("{from}: {}, {packets:.0}/s, {}", counted(&report, sent), rate::bits(bits_per_second));
        cx.result(json, &line).await;
    }
    !known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_bounded_and_begin_anew_after_silence() {
        let mut flows = Flows::default();
        let at = |n: u64| SocketAddr::new([10, 0, (n >> 8) as u8, n as u8].into(), 1);
        for n in 0..1000 {
            flows.of(at(n), Instant::from_millis(n));
        }
        assert_eq!(flows.0.len(), FLOWS);
        assert_eq!(flows.of(at(900), Instant::from_millis(1000)).begin, Instant::from_millis(900));
        assert_eq!(flows.0[0].from, at(900));
        assert_eq!(flows.of(at(900), Instant::from_millis(90_000)).begin, Instant::from_millis(90_000));
    }
}
