//! The node's side of the control socket.
//!
//! Each connection has two lwps: one reads requests and answers them, one writes what is to be
//! written. What waits to be written is bounded: past [`OUT_HIGH`] no further request is read and
//! programs block in `write`, so a client that floods or never reads costs a bounded buffer and
//! nothing else. Closing the connection ends its programs.

use super::proto::{Body, Code, Failure, REQUEST_MAX, Reply, Request};
use super::{answer, proto::Op};
use crate::kernel::Kernel;
use crate::listener::{Listener, Place};
use crate::proc::{KILLED, Process};
use crate::prog;
use crate::remote::Remote;
use crate::syscall::{Errno, Sink};
use rustix::net::SocketType;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Octets waiting to be written past which a connection takes nothing more.
const OUT_HIGH: usize = 64 << 10;
/// Octets that a program's write becomes one line of.
const OUT_PIECE: usize = 8 << 10;
/// Octets read from a client at once.
const READ_PIECE: usize = 4 << 10;
/// Connections at once; more wait in the host's backlog.
const CONNECTIONS_MAX: usize = 64;
/// Programs a connection may have running.
const RUNS_MAX: usize = 64;

/// Binds the control socket at `path`.
pub fn listen(path: &Path) -> std::io::Result<Listener> {
    Listener::bind(path, SocketType::STREAM)
}

/// Serves the control socket for as long as the kernel lives.
pub fn serve(kernel: &Rc<Kernel>, listener: &Listener) -> Result<(), rustix::io::Errno> {
    listener.serve(kernel, CONNECTIONS_MAX, |kernel, client, place| {
        if let Ok(remote) = Remote::new(kernel, client) {
            Connection::start(kernel, remote, place);
        }
    })
}

/// One client.
struct Connection {
    remote: Remote,
    /// Free again when the connection is gone.
    _place: Place,
    out: RefCell<VecDeque<u8>>,
    /// Nothing more will be said: the client is gone, or has said its last and got its answers.
    state: Cell<State>,
    /// The writing lwp, when it has nothing to write.
    writer: RefCell<Option<Waker>>,
    /// Who waits for room in `out`.
    blocked: RefCell<Vec<Waker>>,
    /// The programs that run, by the ids of their requests.
    runs: RefCell<Vec<(u64, Rc<Process>)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The client has closed its sending side: what is in `out` is still written.
    Draining,
    Closed,
}

impl Connection {
    fn start(kernel: &Rc<Kernel>, remote: Remote, place: Place) {
        let connection = Rc::new(Connection {
            remote,
            _place: place,
            out: RefCell::default(),
            state: Cell::new(State::Open),
            writer: RefCell::default(),
            blocked: RefCell::default(),
            runs: RefCell::default(),
        });
        let (writing, weak) = (connection.clone(), Rc::downgrade(kernel));
        kernel.spawn_kernel(async move {
            writing.write_out().await;
            writing.close(State::Closed);
            if let Some(kernel) = weak.upgrade() {
                writing.end_runs(&kernel);
            }
        });
        let weak = Rc::downgrade(kernel);
        kernel.spawn_kernel(async move {
            let mut lines = Lines::default();
            loop {
                connection.room().await;
                let Some(kernel) = weak.upgrade() else { return };
                let line = lines.next(&kernel, &connection).await;
                match line {
                    Line::Request(line) => connection.request(&kernel, line),
                    Line::TooLong => {
                        let message = format!("a request is longer than {REQUEST_MAX} octets");
                        connection.reply(0, Body::Error(Failure::new(Code::Malformed, message)));
                    }
                    Line::End => {
                        connection.end_runs(&kernel);
                        connection.close(State::Draining);
                        return;
                    }
                }
            }
        });
    }

    fn request(self: &Rc<Self>, kernel: &Rc<Kernel>, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let Request { id, op } = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => {
                // Whose it is can be told even of a request that makes no sense otherwise.
                let id = serde_json::from_slice::<IdOnly>(line).map_or(0, |only| only.id);
                let failure = Failure::new(Code::Malformed, format!("not a request: {error}"));
                return self.reply(id, Body::Error(failure));
            }
        };
        match op {
            Op::Run { argv, json } => {
                if let Err(failure) = self.run(kernel, id, argv, json) {
                    self.reply(id, Body::Error(failure));
                }
            }
            Op::Interrupt { run } => {
                let process =
                    self.runs.borrow().iter().find(|(id, _)| *id == run).map(|(_, process)| process.clone());
                match process {
                    Some(process) => {
                        kernel.interrupt(&process);
                        self.reply(id, Body::Ok(serde_json::Value::Null));
                    }
                    None => {
                        let failure = Failure::new(Code::NotFound, format!("request {run} runs no program"));
                        self.reply(id, Body::Error(failure));
                    }
                }
            }
            op => match answer::answer(kernel, op) {
                Ok(value) => self.reply(id, Body::Ok(value)),
                Err(failure) => self.reply(id, Body::Error(failure)),
            },
        }
    }

    /// Starts a program whose output and status go to this connection.
    fn run(
        self: &Rc<Self>,
        kernel: &Rc<Kernel>,
        id: u64,
        argv: Vec<String>,
        json: bool,
    ) -> Result<(), Failure> {
        let Some(name) = argv.first().cloned() else {
            return Err(Failure::new(Code::Invalid, "argv is empty"));
        };
        let Some(main) = prog::find(&name) else {
            return Err(Failure::new(Code::Unknown, format!("there is no program `{name}`")));
        };
        if self.runs.borrow().len() >= RUNS_MAX {
            return Err(Failure::new(
                Code::Busy,
                format!("{RUNS_MAX} programs run on this connection already"),
            ));
        }
        let sink = |which| Rc::new(OutSink { connection: self.clone(), id, which });
        let (out, err) = (sink(Which::Out), sink(Which::Err));
        let process = kernel.spawn(&name, out, err, |sys| main(sys, argv, json));
        self.runs.borrow_mut().push((id, process.clone()));
        let connection = self.clone();
        kernel.spawn_kernel(async move {
            let status = process.wait().await;
            connection.runs.borrow_mut().retain(|(_, run)| run.pid() != process.pid());
            connection.reply(id, Body::Exit(status));
        });
        Ok(())
    }

    fn reply(&self, id: u64, body: Body) {
        if self.state.get() == State::Closed {
            return;
        }
        let mut out = self.out.borrow_mut();
        // Our own types always become JSON.
        if serde_json::to_writer(&mut *out, &Reply { id, body }).is_ok() {
            out.push_back(b'\n');
        }
        drop(out);
        self.wake_writer();
    }

    fn wake_writer(&self) {
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.get() == State::Closed || self.out.borrow().len() < OUT_HIGH {
            return Poll::Ready(());
        }
        self.blocked.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    async fn room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    /// Writes until there is nothing more to write and nothing more will come.
    async fn write_out(&self) {
        loop {
            let more = poll_fn(|cx| {
                if !self.out.borrow().is_empty() {
                    return Poll::Ready(true);
                }
                if self.state.get() != State::Open {
                    return Poll::Ready(false);
                }
                *self.writer.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            });
            if !more.await {
                return;
            }
            let written = self.remote.write_with(|fd| {
                let out = self.out.borrow();
                let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
                rustix::net::send(fd, out.as_slices().0, flags)
            });
            let Ok(written) = written.await else { return };
            let mut out = self.out.borrow_mut();
            out.drain(..written);
            if out.is_empty() {
                // A big answer's memory is not kept.
                *out = VecDeque::new();
            }
            let room = out.len() < OUT_HIGH;
            drop(out);
            if room {
                self.wake_blocked();
            }
        }
    }

    fn wake_blocked(&self) {
        for waker in self.blocked.take() {
            waker.wake();
        }
    }

    fn close(&self, state: State) {
        if self.state.get() == State::Closed {
            return;
        }
        self.state.set(state);
        if state == State::Closed {
            // The reading lwp finds the end of the stream.
            let _ = rustix::net::shutdown(self.remote.fd(), rustix::net::Shutdown::Both);
        }
        self.wake_writer();
        self.wake_blocked();
    }

    fn end_runs(&self, kernel: &Kernel) {
        for (_, process) in self.runs.take() {
            kernel.exit(&process, KILLED);
        }
    }
}

#[derive(serde::Deserialize)]
struct IdOnly {
    id: u64,
}

/// A program's standard output or error.
struct OutSink {
    connection: Rc<Connection>,
    id: u64,
    which: Which,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Out,
    Err,
}

impl Sink for OutSink {
    fn poll_write(&self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize, Errno>> {
        if self.connection.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        if self.connection.state.get() != State::Open {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let piece = &octets[..whole_characters(octets, OUT_PIECE)];
        let text = String::from_utf8_lossy(piece).into_owned();
        self.connection.reply(
            self.id,
            match self.which {
                Which::Out => Body::Out(text),
                Which::Err => Body::Err(text),
            },
        );
        Poll::Ready(Ok(piece.len()))
    }
}

/// Octets of the longest piece of at most `max` that ends between two characters.
fn whole_characters(octets: &[u8], max: usize) -> usize {
    if octets.len() <= max {
        return octets.len();
    }
    let boundary = |&at: &usize| octets[at] & 0xc0 != 0x80;
    (max - 3..=max).rev().find(boundary).unwrap_or(max)
}

/// Cuts the stream into lines.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Octets at the front of the buffer that were handed out.
    done: usize,
    /// Octets looked at without finding the end of a line.
    searched: usize,
    /// In the middle of a line that is too long: the rest of it is thrown away.
    skipping: bool,
}

enum Line<'a> {
    Request(&'a [u8]),
    TooLong,
    End,
}

impl Lines {
    async fn next<'a>(&'a mut self, kernel: &Kernel, connection: &Connection) -> Line<'a> {
        kernel.turn().await;
        self.buffer.drain(..self.done);
        self.done = 0;
        self.searched = 0;
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&octet| octet == b'\n') {
                self.done = self.searched + at + 1;
                if core::mem::take(&mut self.skipping) {
                    self.buffer.drain(..self.done);
                    (self.done, self.searched) = (0, 0);
                    continue;
                }
                return Line::Request(&self.buffer[..self.done - 1]);
            }
            self.searched = self.buffer.len();
            if self.skipping {
                self.buffer.clear();
                self.searched = 0;
            } else if self.buffer.len() >= REQUEST_MAX {
                self.buffer = Vec::new();
                self.searched = 0;
                self.skipping = true;
                return Line::TooLong;
            }
            let mut piece = [0; READ_PIECE];
            let read = connection.remote.read_with(|fd| rustix::io::read(fd, &mut piece)).await;
            match read {
                Ok(0) | Err(_) => return Line::End,
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
            }
        }
    }
}
