//! The blocking side of the control socket.
//!
//! One request at a time; whoever wants several in flight opens several connections (they cost
//! little). Socket paths may be longer than the 107 octets that `sockaddr_un` holds.

use super::proto::{Body, Change, Failure, Hello, Op, Reply, Request, RouteSpec, Table, Variable};
use crate::ifs::impairment::Impairment;
use ipnet::IpNet;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to a node's control socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    next_id: u64,
    line: Vec<u8>,
    deadline: Option<Instant>,
}

/// Interrupts one program, as Ctrl-C does. See [`Client::interrupter`].
#[derive(Debug)]
pub struct Interrupter {
    stream: UnixStream,
    run: u64,
}

impl Interrupter {
    /// Asks the node to interrupt the program; its last output and its status come where they are waited for.
    pub fn interrupt(&mut self) -> io::Result<()> {
        // No call waits for this id's answer: it is passed over.
        let mut text = serde_json::to_vec(&Request { id: u64::MAX, op: Op::Interrupt { run: self.run } })?;
        text.push(b'\n');
        self.stream.write_all(&text)
    }
}

/// Why a control call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node answers there.
    #[error("cannot reach the node: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke or timed out.
    #[error("the node went away: {0}")]
    Io(#[from] io::Error),
    /// The node closed the connection before the answer.
    #[error("the node closed the connection")]
    Closed,
    /// The node said something that is no reply.
    #[error("the node's reply makes no sense: {0}")]
    Garbled(String),
    /// The node refused.
    #[error(transparent)]
    Refused(#[from] Failure),
}

/// What a running program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// To its standard output.
    Out(&'a str),
    /// To its standard error.
    Err(&'a str),
}

impl Client {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        let stream = super::with_short_path(path, |short| UnixStream::connect(short));
        let stream = stream.map_err(ClientError::Connect)?;
        Ok(Client {
            stream: BufReader::with_capacity(4096, stream),
            next_id: 1,
            line: Vec::new(),
            deadline: None,
        })
    }

    /// Bounds how long a call waits for the node's next line; `None`: as long as it takes.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), ClientError> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(timeout)?;
        Ok(stream.set_write_timeout(timeout)?)
    }

    /// Bounds how long calls may take all in all: no line is waited for beyond that moment, however many came before.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// A second handle on the connection: another thread ends the call that is under way by shutting it down.
    pub fn closer(&self) -> io::Result<UnixStream> {
        self.stream.get_ref().try_clone()
    }

    /// By which another thread interrupts the program that the next call of [`Client::run`] runs.
    pub fn interrupter(&self) -> io::Result<Interrupter> {
        Ok(Interrupter { stream: self.stream.get_ref().try_clone()?, run: self.next_id })
    }

    /// Who is there?
    pub fn hello(&mut self) -> Result<Hello, ClientError> {
        let value = self.call(Op::Hello)?;
        serde_json::from_value(value).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// The rows of a table.
    pub fn show(&mut self, table: Table) -> Result<Vec<Value>, ClientError> {
        match self.call(Op::Show { table })? {
            Value::Array(rows) => Ok(rows),
            other => Err(ClientError::Garbled(format!("{other} instead of rows"))),
        }
    }

    /// Takes an interface up or down.
    pub fn link(&mut self, interface: &str, up: bool) -> Result<(), ClientError> {
        self.call(Op::Link { interface: interface.to_owned(), up }).map(drop)
    }

    /// What happens to frames that leave by an interface; `set`: what shall happen from now on.
    pub fn impair(
        &mut self,
        interface: &str,
        set: Option<Impairment>,
    ) -> Result<Option<Impairment>, ClientError> {
        let value = self.call(Op::Impair { interface: interface.to_owned(), set: set.map(Box::new) })?;
        serde_json::from_value(value).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// Adds or removes an address.
    pub fn addr(&mut self, interface: &str, change: Change<IpNet>) -> Result<(), ClientError> {
        self.call(Op::Addr { interface: interface.to_owned(), change }).map(drop)
    }

    /// Adds or removes a route.
    pub fn route(&mut self, change: Change<RouteSpec>) -> Result<(), ClientError> {
        self.call(Op::Route(change)).map(drop)
    }

    /// All of TCP's values.
    pub fn variables(&mut self) -> Result<Vec<Variable>, ClientError> {
        let value = self.call(Op::Sysctl { name: None, value: None })?;
        serde_json::from_value(value).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// One of TCP's values, which becomes `value` first if there is one.
    pub fn variable(&mut self, name: &str, value: Option<&str>) -> Result<Variable, ClientError> {
        let op = Op::Sysctl { name: Some(name.to_owned()), value: value.map(str::to_owned) };
        serde_json::from_value(self.call(op)?).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// Asks the node to end. It is still there when this returns, but not for long.
    pub fn stop(&mut self) -> Result<(), ClientError> {
        self.call(Op::Stop).map(drop)
    }

    /// Runs a program to its end and returns its exit status; `sink` gets its output as it comes.
    /// Dropping the client (or an error from here) ends the program.
    pub fn run(
        &mut self,
        argv: &[String],
        json: bool,
        mut sink: impl FnMut(Output<'_>),
    ) -> Result<i32, ClientError> {
        match self.exchange(Op::Run { argv: argv.to_vec(), json }, &mut sink)? {
            Body::Exit(status) => Ok(status),
            other => Err(ClientError::Garbled(format!("{other:?} instead of an exit status"))),
        }
    }

    /// Any request that is answered by `ok`; returns the answer.
    pub fn call(&mut self, op: Op) -> Result<Value, ClientError> {
        let id = self.ask(op)?;
        self.answer(id)
    }

    fn exchange(&mut self, op: Op, sink: &mut dyn FnMut(Output<'_>)) -> Result<Body, ClientError> {
        let id = self.ask(op)?;
        self.last_of(id, sink)
    }

    /// Asks without waiting for the answer, which [`Client::answer`] takes: so many nodes are asked at a time. Returns the
    /// request's id.
    pub fn ask(&mut self, op: Op) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut text = serde_json::to_vec(&Request { id, op }).map_err(io::Error::from)?;
        text.push(b'\n');
        self.stream.get_mut().write_all(&text)?;
        Ok(id)
    }

    /// The answer to a request of [`Client::ask`]; those of earlier ones are passed over. After a timeout it can be asked for again.
    pub fn answer(&mut self, id: u64) -> Result<Value, ClientError> {
        match self.last_of(id, &mut |_| ())? {
            Body::Ok(value) => Ok(value),
            other => Err(ClientError::Garbled(format!("{other:?} instead of an answer"))),
        }
    }

    fn last_of(&mut self, id: u64, sink: &mut dyn FnMut(Output<'_>)) -> Result<Body, ClientError> {
        loop {
            // Half a line is there when a timeout has cut its reading short.
            if self.line.ends_with(b"\n") {
                self.line.clear();
            }
            if let Some(deadline) = self.deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                // Zero would mean: without end.
                self.stream.get_ref().set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            }
            let before = self.line.len();
            self.stream.read_until(b'\n', &mut self.line)?;
            if self.line.len() == before {
                return Err(ClientError::Closed);
            }
            let reply: Reply = serde_json::from_slice(&self.line)
                .map_err(|error| ClientError::Garbled(error.to_string()))?;
            match reply.body {
                Body::Error(failure) if reply.id == id || reply.id == 0 => return Err(failure.into()),
                _ if reply.id != id => {} // the tail of a call that was given up
                Body::Out(text) => sink(Output::Out(&text)),
                Body::Err(text) => sink(Output::Err(&text)),
                Body::Event(_) => {}
                last => return Ok(last),
            }
        }
    }
}

/// Readable when an answer comes.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.get_ref().as_fd()
    }
}
