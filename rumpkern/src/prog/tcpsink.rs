//! `tcpsink`: accepts TCP connections and throws away what they bring; `tcpsource`'s peer.
//!
//! It can be a bad one: one that begins to read late, so that its window closes, or that leaves in the middle, so
//! that the peer is reset (RFC 2525 §2.17).

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Count, Cx, Fail, canonical};
use super::rate;
use crate::syscall::{Errno, Fd, MsgFlags, SockType, Sys};
use netstack::time::Duration;
use serde_json::json;
use std::net::SocketAddr;
use std::rc::Rc;

pub(super) const USAGE: &str = "[-n CONNECTIONS] [-d SECONDS] [-m OCTETS] PORT";

/// Octets of the receive buffer: large enough that a call costs nothing beside its copy, small enough for the cache.
const BUFFER: usize = 128 * 1024;
/// Connections that wait to be accepted: Linux's `somaxconn`.
const BACKLOG: usize = 4096;

#[derive(Debug)]
pub(super) struct Options {
    port: u16,
    connections: Option<u64>,
    /// How long a connection waits until it is read.
    delay: Duration,
    /// After how many octets it is closed.
    most: u64,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut connections, mut delay, mut most, mut rest) = (None, Duration::ZERO, u64::MAX, Vec::new());
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(n) if n == "n" => connections = Some(args.number(1, u64::MAX)?),
                Piece::Option(d) if d == "d" => delay = args.seconds()?,
                Piece::Option(m) if m == "m" => most = args.octets(1, u64::MAX)?,
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [port] = operands(rest, ["PORT"])?;
        Ok(Options { port: number(&port, 0, u16::MAX)?, connections, delay, most })
    }
}

/// What one connection brought.
struct Brought {
    peer: SocketAddr,
    octets: u64,
    time: Duration,
    error: Option<Errno>,
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let listener = listen(cx, options.port)?;
    cx.complain(&format!(
        "listening on port {}",
        cx.sys.getsockname(listener).context("getsockname")?.port()
    ))
    .await;
    let Options { delay, most, .. } = options;
    let (mut begun, ended) = (0, Rc::new(Count::default()));
    while options.connections.is_none_or(|n| begun < n) {
        let (fd, peer) = accept(&cx.sys, listener).await.context("accept")?;
        begun += 1;
        let (me, ended) = (cx.clone(), ended.clone());
        cx.sys.spawn(async move {
            if !delay.is_zero() {
                me.sys.sleep(delay).await;
            }
            let brought = drain(&me.sys, fd, peer, most).await;
            let _ = me.sys.close(fd);
            report(&me, &brought).await;
            ended.add_one();
        });
    }
    ended.reach(begun).await;
    Ok(0)
}

/// A socket that listens on `port` of all addresses.
pub(super) fn listen(cx: &Cx, port: u16) -> Result<Fd, Fail> {
    let fd = cx.bound(SockType::Stream, port)?;
    cx.sys.listen(fd, BACKLOG).context("listen")?;
    Ok(fd)
}

/// The next connection; what the peer gave up meanwhile is passed over.
pub(super) async fn accept(sys: &Sys, listener: Fd) -> Result<(Fd, SocketAddr), Errno> {
    loop {
        match sys.accept(listener).await {
            Err(Errno::ECONNABORTED) => {}
            // Too many at once: the others end some time.
            Err(Errno::EMFILE | Errno::ENOBUFS) => sys.sleep(Duration::from_millis(10)).await,
            done => return done,
        }
    }
}

async fn drain(sys: &Sys, fd: Fd, peer: SocketAddr, most: u64) -> Brought {
    let (begin, mut buffer) = (sys.now(), vec![0; BUFFER]);
    let (mut octets, mut error) = (0, None);
    while octets < most {
        let room = buffer.len().min(usize::try_from(most - octets).unwrap_or(usize::MAX));
        match sys.recv(fd, &mut buffer[..room], MsgFlags::empty()).await {
            Ok(0) => break,
            Ok(received) => octets += received as u64,
            Err(errno) => {
                error = Some(errno);
                break;
            }
        }
    }
    Brought { peer: canonical(peer), octets, time: sys.now().since(begin), error }
}

async fn report(cx: &Cx, brought: &Brought) {
    let Brought { peer, octets, time, error } = brought;
    let bits_per_second = rate::bits_per_second(*octets, *time);
    let json = json!({
        "peer": peer.to_string(),
        "seconds": time.as_secs_f64(),
        "octets": octets,
        "bits_per_second": bits_per_second,
        "error": error.map(Errno::name),
    });
    let error = error.map_or(String::new(), |error| format!(": {error}"));
    let (amount, rate) = (rate::octets(*octets), rate::bits(bits_per_second));
    cx.result(json, &format!("{peer}: {amount} in {:.3} s, {rate}{error}", time.as_secs_f64())).await;
}
