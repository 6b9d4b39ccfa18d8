//! `connsource`: opens and closes TCP connections as fast as it can, or keeps many of them, and measures.
//!
//! A connection is opened, read to its end, which a `connsink` makes at once, and closed: all that was counted had been
//! accepted. With `-k` all are opened, lie idle for the time, and are reset: nothing of them stays behind.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Count, Cx, Fail};
use super::rate;
use super::samples::{Samples, ms};
use crate::proc::filedesc::OPEN_MAX;
use crate::syscall::{Family, Fd, MsgFlags, SockOpt, SockType};
use netstack::time::{Duration, Instant};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

pub(super) const USAGE: &str =
    "[-k] [-t SECONDS] [-n CONNECTIONS] [-P PARALLEL] [-w SECONDS] ADDR PORT[-LAST]";

/// Connections under way at a time, if nobody says otherwise: enough for each wake-up to find several.
const PARALLEL: u64 = 64;
/// What it says, on its standard error, when all are open, and before they are reset.
const HOLDING: &str = "holding the connections";
const LETTING_GO: &str = "letting go";
/// How long they are kept, if nobody says otherwise; opened and closed for as long as iperf3 sends.
const TIME: Duration = Duration::from_secs(10);

/// Resets between two turns of the wire: a burst.
const RESETS: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Options {
    to: String,
    /// The first and the last port, which take turns.
    ports: (u16, u16),
    time: Option<Duration>,
    connections: Option<u64>,
    parallel: u64,
    /// How long the first connection may take; as long as TCP tries if left out.
    patience: Option<Duration>,
    keep: bool,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut time, mut connections, mut parallel, mut patience) = (None, None, PARALLEL, None);
        let (mut keep, mut rest) = (false, Vec::new());
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(k) if k == "k" => keep = true,
                Piece::Option(t) if t == "t" => time = Some(args.seconds()?),
                Piece::Option(n) if n == "n" => connections = Some(args.number(1, u64::MAX)?),
                Piece::Option(p) if p == "P" => parallel = args.number(1, 4096)?,
                Piece::Option(w) if w == "w" => patience = Some(args.seconds()?),
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [to, ports] = operands(rest, ["ADDR", "PORT"])?;
        let (first, last) = ports.split_once('-').unwrap_or((&ports, &ports));
        let first = number(first, 1, u16::MAX)?;
        let ports = (first, number(last, first, u16::MAX)?);
        if keep && connections.is_none_or(|n| n > OPEN_MAX as u64) {
            return Err(Usage(format!("-k wants -n, from 1 to {OPEN_MAX}")));
        }
        if keep || connections.is_none() {
            time = time.or(Some(TIME));
        }
        Ok(Options { to, ports, time, connections, parallel, patience, keep })
    }
}

/// What all lwps have done together.
struct Work {
    cx: Rc<Cx>,
    to: SocketAddr,
    ports: u16,
    /// How many are wanted, and until when new ones are begun.
    limit: u64,
    until: Option<Instant>,
    begun: Cell<u64>,
    done: Cell<u64>,
    failed: Cell<u64>,
    why: RefCell<Option<Fail>>,
    connect: RefCell<Samples>,
    /// Those that are kept, if any shall be.
    kept: Option<RefCell<Vec<Fd>>>,
}

impl Work {
    /// One connection after the other.
    async fn go_on(&self) {
        while self.begun.get() < self.limit && self.until.is_none_or(|until| self.cx.sys.now() < until) {
            if let Err(fail) = self.one(None).await {
                self.failed.set(self.failed.get() + 1);
                self.why.borrow_mut().get_or_insert(fail);
            }
        }
    }

    /// One connection, from its socket to its end.
    async fn one(&self, patience: Option<Duration>) -> Result<(), Fail> {
        let sys = &self.cx.sys;
        let begun = self.begun.replace(self.begun.get() + 1);
        let mut to = self.to;
        to.set_port(to.port() + (begun % u64::from(self.ports)) as u16);
        let fd = sys.socket(Family::of(to.ip()), SockType::Stream, 0).context("socket")?;
        let begin = sys.now();
        let connected = match patience {
            Some(_) => self.cx.connect(fd, to, patience).await,
            None => sys.connect(fd, to).await.context("connect"),
        };
        let ended = match (connected, &self.kept) {
            (Err(fail), _) => Err(fail),
            (Ok(()), kept) => {
                self.connect.borrow_mut().add(sys.now().since(begin));
                if let Some(kept) = kept {
                    kept.borrow_mut().push(fd);
                    self.done.set(self.done.get() + 1);
                    return Ok(());
                }
                sys.recv(fd, &mut [0], MsgFlags::empty()).await.map(drop).context("recv")
            }
        };
        sys.close(fd).context("close")?;
        ended?;
        self.done.set(self.done.get() + 1);
        Ok(())
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let begin = cx.sys.now();
    let work = Rc::new(Work {
        cx: cx.clone(),
        to: cx.peer(&options.to, options.ports.0)?,
        ports: options.ports.1 - options.ports.0 + 1,
        limit: options.connections.unwrap_or(u64::MAX),
        until: options.time.filter(|_| !options.keep).map(|time| begin + time),
        begun: Cell::new(0),
        done: Cell::new(0),
        failed: Cell::new(0),
        why: RefCell::default(),
        connect: RefCell::default(),
        kept: options.keep.then(RefCell::default),
    });
    // Interrupted, it says how far it came.
    let all = cx.unless_interrupted(all(&work, options.parallel, options.patience)).await.transpose()?;
    result(&work, cx.sys.now().since(begin)).await;
    if let Some(kept) = &work.kept {
        if all.is_some() {
            cx.complain(HOLDING).await;
            cx.unless_interrupted(cx.sys.sleep(options.time.unwrap_or(TIME))).await;
            cx.complain(LETTING_GO).await;
        }
        reset(cx, &kept.take()).await?;
    }
    Ok(i32::from(work.done.get() == 0 || work.failed.get() > 0))
}

/// All connections, or as many as the time allows. Whether there is somebody to connect to, the first one finds out.
async fn all(work: &Rc<Work>, parallel: u64, patience: Option<Duration>) -> Result<(), Fail> {
    work.one(patience).await?;
    let ended = Rc::new(Count::default());
    for _ in 0..parallel {
        let (work, ended) = (work.clone(), ended.clone());
        work.cx.sys.clone().spawn(async move {
            work.go_on().await;
            ended.add_one();
        });
    }
    match work.until {
        // Those that are under way then are of no interest any more.
        Some(until) => drop(work.cx.before(until, ended.reach(parallel)).await),
        None => ended.reach(parallel).await,
    }
    Ok(())
}

/// Says how many there were, in which time.
async fn result(work: &Work, time: Duration) {
    let (done, failed, connect) = (work.done.get(), work.failed.get(), work.connect.borrow().clone());
    let per_second = rate::per_second(done, time);
    let json = json!({
        "seconds": time.as_secs_f64(),
        "connections": done,
        "connections_per_second": per_second,
        "failed": failed,
        "unfinished": work.begun.get() - done - failed,
        "connect_us": connect.rtt_us(),
    });
    let why = work.why.take().map_or(String::new(), |fail| format!(" ({})", fail.message));
    let times = [connect.percentile(50), connect.percentile(99), connect.max()].map(ms);
    let text = format!(
        "{done} connections in {:.3} s, {per_second:.0} a second, {failed} failed{why}\n\
         connect p50/p99/max = {} ms",
        time.as_secs_f64(),
        times.join("/"),
    );
    work.cx.result(json, &text).await;
}

/// Resets connections: no FIN, no TIME-WAIT, no orphans.
async fn reset(cx: &Cx, connections: &[Fd]) -> Result<(), Fail> {
    for some in connections.chunks(RESETS) {
        for &fd in some {
            cx.sys.setsockopt(fd, SockOpt::Linger(Some(Duration::ZERO))).context("setsockopt")?;
            cx.sys.close(fd).context("close")?;
        }
        // The wire has its turn.
        cx.sys.sleep(Duration::ZERO).await;
    }
    Ok(())
}
