//! `connsink`: accepts TCP connections, and closes each at once or keeps them; `connsource`'s peer.
//!
//! Closing first, it is the end that stays in TIME-WAIT: the other end's port is free for the next connection at once, and
//! its SYN ends the TIME-WAIT here (RFC 6191). What it keeps, it keeps until it ends itself; with `-n`, until the other end has
//! closed all of so many.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Count, Cx, Fail};
use super::tcpsink::{accept, listen};
use crate::syscall::{Errno, Fd, MsgFlags};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub(super) const USAGE: &str = "[-k] [-n CONNECTIONS] [-p PORTS] PORT";

/// How often other ports are tried where some of those in a row are taken.
const ATTEMPTS: usize = 16;

#[derive(Debug)]
pub(super) struct Options {
    port: u16,
    /// How many ports in a row: each gives a client of one address as many connections as it has ephemeral ports.
    ports: u16,
    /// How many connections there will be; if left out, it never ends.
    connections: Option<u64>,
    then: Then,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    Keep,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut then, mut ports, mut connections, mut rest) = (Then::Close, 1, None, Vec::new());
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(k) if k == "k" => then = Then::Keep,
                Piece::Option(n) if n == "n" => connections = Some(args.number(1, u64::MAX)?),
                Piece::Option(p) if p == "p" => ports = args.number(1, 64)?,
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [port] = operands(rest, ["PORT"])?;
        let port = number(&port, 0, u16::MAX - (ports - 1))?;
        Ok(Options { port, ports, connections, then })
    }
}

/// What all lwps have done together.
struct Work {
    cx: Rc<Cx>,
    then: Then,
    connections: Option<u64>,
    accepted: Cell<u64>,
    /// Those that are kept and will end. Of the others, nobody needs to know.
    kept: RefCell<Vec<Fd>>,
    failed: Cell<bool>,
    /// All were accepted, or no more can be.
    over: Count,
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let listeners = listen_in_a_row(cx, options.port, options.ports)?;
    let first = cx.sys.getsockname(listeners[0]).context("getsockname")?.port();
    cx.complain(&format!("listening on port {first}")).await;
    let work = Rc::new(Work {
        cx: cx.clone(),
        then: options.then,
        connections: options.connections,
        accepted: Cell::new(0),
        kept: RefCell::default(),
        failed: Cell::new(false),
        over: Count::default(),
    });
    for listener in listeners {
        let work = work.clone();
        cx.sys.spawn(async move {
            let errno = work.serve(listener).await;
            work.cx.complain(&format!("accept: {errno}")).await;
            work.failed.set(true);
            work.over.add_one();
        });
    }
    work.over.reach(1).await;
    if work.failed.get() {
        return Ok(1);
    }
    // In whatever order they end: one after the other is no longer than the last of them.
    for fd in work.kept.take() {
        while let Ok(1..) = cx.sys.recv(fd, &mut [0], MsgFlags::empty()).await {}
        cx.sys.close(fd).context("close")?;
    }
    Ok(0)
}

impl Work {
    /// Accepts for as long as that works. A kept connection is a socket and its descriptor, nothing more.
    async fn serve(&self, listener: Fd) -> Errno {
        loop {
            let fd = match accept(&self.cx.sys, listener).await {
                Ok((fd, _)) => fd,
                Err(errno) => return errno,
            };
            match self.then {
                Then::Close => {
                    let _ = self.cx.sys.close(fd);
                }
                Then::Keep if self.connections.is_some() => self.kept.borrow_mut().push(fd),
                Then::Keep => {}
            }
            self.accepted.set(self.accepted.get() + 1);
            if Some(self.accepted.get()) == self.connections {
                self.over.add_one();
            }
        }
    }
}

/// Sockets that listen on `ports` ports from `port` on; 0: wherever so many in a row are free.
fn listen_in_a_row(cx: &Cx, port: u16, ports: u16) -> Result<Vec<Fd>, Fail> {
    let attempts = if port == 0 { ATTEMPTS } else { 1 };
    let mut failed = Fail::new("listen");
    for _ in 0..attempts {
        let mut row = vec![listen(cx, port)?];
        let first = cx.sys.getsockname(row[0]).context("getsockname")?.port();
        let mut rest = (1..ports).map(|n| match first.checked_add(n) {
            Some(next) => listen(cx, next),
            None => Err(Fail::new(format!("{ports} ports from {first} on: there are not so many"))),
        });
        match rest.try_for_each(|next| next.map(|fd| row.push(fd))) {
            Ok(()) => return Ok(row),
            Err(fail) => failed = fail,
        }
        for fd in row {
            let _ = cx.sys.close(fd);
        }
    }
    Err(failed)
}
