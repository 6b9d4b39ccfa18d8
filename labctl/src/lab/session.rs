//! Built-in programs on the nodes of one lab, and an end to all of them at once.
//!
//! Every connection that is open is known to the session, so that Ctrl-C or a deadline ends whatever is being waited for:
//! a node that is stopped by a signal holds nobody up.

use super::fault::Fault;
use super::interrupt::{Interrupt, Woken};
use super::node::{self, ANSWER_WAIT};
use super::rundir::LabDir;
use super::state::LabState;
use rumpkern::ctl::{Client, ClientError, Interrupter, Output, proto};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a program did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Its exit status.
    pub status: i32,
    /// What it wrote to its standard output.
    pub out: String,
    /// What it wrote to its standard error.
    pub err: String,
}

impl Run {
    /// Adds what it wrote.
    pub fn keep(&mut self, output: Output<'_>) {
        match output {
            Output::Out(text) => self.out.push_str(text),
            Output::Err(text) => self.err.push_str(text),
        }
    }

    /// The one object that a program with `json` writes.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.out.trim()).ok()
    }

    /// Why it failed, in its own words, without its usage.
    pub fn complaint(&self) -> String {
        let line = self.err.lines().find(|line| !line.trim().is_empty() && !line.contains(LISTENING));
        line.map_or_else(|| format!("exit status {}", self.status), str::to_owned)
    }
}

/// What a server says, on its standard error, once it can be reached.
const LISTENING: &str = "listening on port ";

/// How long a program may take over its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a program may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it likes.
    Endless,
    /// As long as it says something, now and then.
    Silence(Duration),
    /// Until then.
    Until(Instant),
}

/// What becomes of programs at Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// They are interrupted and say their last words.
    Ask,
    /// They end with their connections, at once.
    Cut,
}

/// The nodes of a lab, spoken to by this process.
#[derive(Debug)]
pub struct Session {
    /// The lab's directory.
    pub dir: LabDir,
    /// What was started.
    pub state: Arc<LabState>,
    open: Mutex<Vec<UnixStream>>,
    programs: Mutex<Vec<Interrupter>>,
    cut: AtomicBool,
}

impl Session {
    /// Nothing is connected yet.
    pub fn new(dir: LabDir, state: Arc<LabState>) -> Self {
        Self { dir, state, open: Mutex::default(), programs: Mutex::default(), cut: AtomicBool::new(false) }
    }

    /// A connection to a node that runs.
    ///
    /// # Errors
    /// It does not run, or not answer, or the session was cut.
    pub fn connect(&self, name: &str) -> Result<Client, Fault> {
        let client = node::connect(&self.dir, &self.state, name)?;
        let closer = client.closer().map_err(Fault::os("connect to a node"))?;
        if let Ok(mut open) = self.open.lock() {
            open.push(closer);
        }
        // Cut in between: the list was shut down before this one was on it.
        if self.cut.load(Ordering::SeqCst) {
            self.cut();
            return Err(Fault::Interrupted);
        }
        Ok(client)
    }

    /// Ends every call that is under way. The programs on the nodes end with their connections.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        if let Ok(open) = self.open.lock() {
            for stream in open.iter() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Whether there is an end to everything.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Interrupts every program that is running, as Ctrl-C does at a shell: `ping` says what it has seen.
    pub fn interrupt(&self) {
        if let Ok(mut programs) = self.programs.lock() {
            for program in programs.iter_mut() {
                // One that has ended has nothing more to say.
                let _ = program.interrupt();
            }
        }
    }

    /// Does work in another thread while this one waits for Ctrl-C and the deadline; either cuts the session. `meanwhile` is called
    /// first and then whenever the time has come that it named.
    ///
    /// # Errors
    /// The host gives no thread or descriptor.
    pub fn attend<T: Send>(
        &self,
        interrupt: &Interrupt,
        deadline: Option<Instant>,
        manners: Manners,
        mut meanwhile: impl FnMut() -> Option<Instant>,
        work: impl FnOnce() -> T + Send,
    ) -> Result<(T, Woken), Fault> {
        let (done, at_work) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Fault::os("make a pipe"))?;
        std::thread::scope(|scope| {
            let work = move || {
                let result = work();
                drop(at_work); // the other end wakes
                result
            };
            let worker =
                std::thread::Builder::new().spawn_scoped(scope, work).map_err(Fault::os("start a thread"))?;
            let mut woken = loop {
                let next = meanwhile();
                let first = [deadline, next].into_iter().flatten().min();
                match interrupt.wait(Some(done.as_fd()), first) {
                    Ok(Woken::Timeout) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                    woken => break woken,
                }
            };
            if manners == Manners::Ask && matches!(woken, Ok(Woken::Interrupted)) {
                self.interrupt();
                // Another Ctrl-C does not wait for the last words.
                woken = interrupt.wait(Some(done.as_fd()), Some(Instant::now() + LAST_WORDS));
            }
            if !matches!(woken, Ok(Woken::Ready)) {
                self.cut();
            }
            match worker.join() {
                Ok(result) => Ok((result, woken?)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs a program to its end; `sink` gets its output as it comes.
    ///
    /// # Errors
    /// The node does not run, does not answer, or goes away; the program is not done within `patience`.
    pub fn stream(
        &self,
        node: &str,
        argv: &[String],
        json: bool,
        patience: Patience,
        sink: impl FnMut(Output<'_>),
    ) -> Result<i32, Fault> {
        let mut client = self.connect(node)?;
        // A node that does not even say hello is not waited for at length.
        client.hello().map_err(|error| self.fault(node, error))?;
        let begin = Instant::now();
        match patience {
            Patience::Endless => client.set_timeout(None),
            Patience::Silence(silence) => client.set_timeout(Some(silence)),
            Patience::Until(end) => {
                client.set_deadline(Some(end));
                Ok(())
            }
        }
        .map_err(|error| self.fault(node, error))?;
        let interrupter = client.interrupter().map_err(Fault::os("connect to a node"))?;
        if let Ok(mut programs) = self.programs.lock() {
            programs.push(interrupter);
        }
        client.run(argv, json, sink).map_err(|error| {
            let seconds = begin.elapsed().as_secs_f64();
            let fault = self.fault(node, error);
            // The program is silent. Is its node?
            match fault {
                Fault::NoAnswer { .. } => self.hello(node).err().unwrap_or_else(|| Fault::Unfinished {
                    node: node.to_owned(),
                    program: argv.first().cloned().unwrap_or_default(),
                    seconds,
                }),
                other => other,
            }
        })
    }

    /// Whether a node answers at its control socket.
    fn hello(&self, node: &str) -> Result<(), Fault> {
        let mut client = self.connect(node)?;
        client.hello().map(drop).map_err(|error| self.fault(node, error))
    }

    /// Runs a program to its end and keeps what it writes.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub fn run(&self, node: &str, argv: &[String], json: bool, patience: Patience) -> Result<Run, Fault> {
        let mut run = Run::default();
        run.status = self.stream(node, argv, json, patience, |output| run.keep(output))?;
        Ok(run)
    }

    /// Starts a program that runs as long as it likes and nobody waits for; what it writes is appended to `log`.
    ///
    /// # Errors
    /// The node does not run, or not answer; the log cannot be written.
    pub fn background(self, node: &str, argv: &[String], log: &Path) -> Result<(), Fault> {
        self.hello(node)?;
        let mut log = File::options().append(true).create(true).open(log).map_err(Fault::io("write", log))?;
        let (node, argv) = (node.to_owned(), argv.to_vec());
        let run = move || {
            // It ends with its node at the latest, and a full disk is no reason to end it.
            let _ = self.stream(&node, &argv, false, Patience::Endless, |output| {
                let (Output::Out(text) | Output::Err(text)) = output;
                let _ = log.write_all(text.as_bytes());
            });
        };
        std::thread::Builder::new().spawn(run).map(drop).map_err(Fault::os("start a thread"))
    }

    /// The rows of a node's table.
    ///
    /// # Errors
    /// The node does not run, or not answer.
    pub fn show(&self, node: &str, table: proto::Table) -> Result<Vec<Value>, Fault> {
        let mut client = self.connect(node)?;
        client.show(table).map_err(|error| self.fault(node, error))
    }

    /// All TCP values of a node.
    ///
    /// # Errors
    /// The node does not run, or not answer.
    pub fn variables(&self, node: &str) -> Result<Vec<proto::Variable>, Fault> {
        self.connect(node)?.variables().map_err(|error| self.fault(node, error))
    }

    /// One TCP value of a node, which becomes `value` first if there is one.
    ///
    /// # Errors
    /// The node does not run, or not answer; it has no such value, or refuses what it shall be.
    pub fn variable(&self, node: &str, name: &str, value: Option<&str>) -> Result<proto::Variable, Fault> {
        let mut client = self.connect(node)?;
        let lab = || self.dir.name().to_owned();
        client.variable(name, value).map_err(|error| match error {
            ClientError::Refused(proto::Failure { code: proto::Code::NotFound, message }) => {
                let near = super::fault::nearest(name, netstack::tcp::sysctl::names());
                Fault::NoVariable { lab: lab(), node: node.to_owned(), message, near }
            }
            ClientError::Refused(proto::Failure { code: proto::Code::Invalid, message }) => {
                Fault::BadVariable { lab: lab(), node: node.to_owned(), name: name.to_owned(), message }
            }
            other => self.fault(node, other),
        })
    }

    /// Starts a program that waits for others, and waits until it can be reached.
    ///
    /// # Errors
    /// The node does not run, or the program ends at once.
    pub fn serve(&self, node: &str, argv: &[String], json: bool) -> Result<Server, Fault> {
        let mut client = self.connect(node)?;
        client.hello().map_err(|error| self.fault(node, error))?;
        client.set_timeout(None).map_err(|error| self.fault(node, error))?;
        let closer = client.closer().map_err(Fault::os("connect to a node"))?;
        let (say, said) = mpsc::channel();
        let (argv, name, lab) = (argv.to_vec(), node.to_owned(), self.dir.name().to_owned());
        let run = move || {
            let mut run = Run::default();
            let result = client.run(&argv, json, |output| match output {
                Output::Out(text) => run.out.push_str(text),
                Output::Err(text) => {
                    run.err.push_str(text);
                    if let Some(port) = port_in(&run.err) {
                        let _ = say.send(port);
                    }
                }
            });
            result.map(|status| Run { status, ..run }).map_err(|error| node::fault(&lab, &name, error))
        };
        let thread = std::thread::Builder::new().spawn(run).map_err(Fault::os("start a thread"))?;
        // A program that ends before it listens drops its end of the channel.
        match said.recv_timeout(ANSWER_WAIT) {
            Ok(port) => Ok(Server { port, closer, thread: Some(thread) }),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = closer.shutdown(Shutdown::Both);
                Err(Fault::NoAnswer {
                    lab: self.dir.name().to_owned(),
                    node: node.to_owned(),
                    seconds: ANSWER_WAIT.as_secs(),
                })
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(match thread.join() {
                Ok(Ok(run)) => Fault::Refused { node: node.to_owned(), message: run.complaint() },
                Ok(Err(fault)) => self.told(fault),
                Err(panic) => std::panic::resume_unwind(panic),
            }),
        }
    }

    fn fault(&self, node: &str, error: ClientError) -> Fault {
        let fault = node::fault(self.dir.name(), node, error);
        // Paused since, or dead: that says more than that the connection broke.
        match &fault {
            _ if self.cut.load(Ordering::SeqCst) => Fault::Interrupted,
            Fault::NoAnswer { node, .. } | Fault::Refused { node, .. } | Fault::NoSocket { node, .. } => {
                super::view::running_node(&self.dir, &self.state, node).err().unwrap_or(fault)
            }
            _ => fault,
        }
    }

    fn told(&self, fault: Fault) -> Fault {
        if self.cut.load(Ordering::SeqCst) { Fault::Interrupted } else { fault }
    }
}

/// The port that a server said it listens on; only a whole line counts.
pub(super) fn port_in(text: &str) -> Option<u16> {
    let rest = &text[text.find(LISTENING)? + LISTENING.len()..];
    rest[..rest.find('\n')?].trim().parse().ok()
}

/// A program that waits for others on a node. Dropped, it ends.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
    closer: UnixStream,
    thread: Option<JoinHandle<Result<Run, Fault>>>,
}

impl Server {
    /// Waits for its end, as it comes after its last client; `None` if that takes too long.
    pub fn finish(mut self, patience: Duration) -> Option<Run> {
        let thread = self.thread.take()?;
        let deadline = Instant::now() + patience;
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        thread.join().ok()?.ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.closer.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_once_its_line_is_whole() {
        assert_eq!(port_in("tcpsink: listening on port 49"), None);
        assert_eq!(port_in("tcpsink: listening on port 49152\n"), Some(49152));
        assert_eq!(port_in("x\ntcpsink: listening on port 7\ny\n"), Some(7));
        assert_eq!(port_in("tcpsink: bind: Address already in use\n"), None);
    }

    #[test]
    fn a_complaint_is_the_program_s_first_line() {
        let run = Run {
            status: 2,
            err: "rtt: listening on port 5\nrtt: connect: refused\nusage: x".into(),
            ..Run::default()
        };
        assert_eq!(run.complaint(), "rtt: connect: refused");
        assert_eq!(Run { status: 3, ..Run::default() }.complaint(), "exit status 3");
    }
}
