//! The node under test, as its callers hold it: a kernel on a thread of its own.
//!
//! A kernel lives on one thread; packetdrill calls from two, and its children's tools from a third. So
//! every call is a request in one queue, in the order in which they come. What becomes of it is told in
//! `virt`.

use crate::flags::Flags;
use crate::host::Host;
use crate::virt::{Call, Loop};
use netstack::time::{Duration, Instant};
use rumpkern::syscall::{Errno, Sys};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::thread::{self, JoinHandle, ThreadId};

/// Octets of the kernel's thread: packetdrill locks all memory, of which a user may have little.
const STACK: usize = 256 << 10;

/// The handle.
#[derive(Debug)]
pub(crate) struct Node {
    requests: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct Request {
    pub(crate) from: Caller,
    pub(crate) work: Work,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A thread of the program under test's.
    Thread(ThreadId),
    /// A tool, which takes no time and is not waited for.
    Tool,
}

/// What makes an lwp of a system call.
type MakeCall = Box<dyn FnOnce(&Sys, Call) + Send>;

/// What is asked.
pub(crate) enum Work {
    /// A system call: it becomes an lwp.
    Call(MakeCall),
    /// Something that is done at once.
    Ask(Box<dyn FnOnce(&Host) + Send>),
    /// To be answered when so much time has passed.
    Sleep(Duration, SyncSender<()>),
    /// To be answered with the time; if that is what this caller was told last, a microsecond later.
    Look(SyncSender<Instant>),
    /// To be answered when a packet is there, or patience is at its end.
    Packet(SyncSender<Option<Packet>>),
    /// The end.
    End,
}

/// A packet of the stack's, with the time when it was sent.
pub(crate) type Packet = (Instant, Vec<u8>);

impl Node {
    /// A new node as `flags` say; the thread that calls is the main one.
    pub(crate) fn start(flags: Flags) -> Result<Node, StartError> {
        let (requests, queue) = mpsc::channel();
        let (born, is_born) = mpsc::sync_channel(1);
        let main = thread::current().id();
        let builder = thread::Builder::new().name("lab-kernel".into()).stack_size(STACK);
        let thread = builder.spawn(move || match Host::new(&flags) {
            Ok(host) => {
                let _ = born.send(Ok(()));
                Loop::new(host, flags.patience, main, queue).run();
            }
            Err(error) => drop(born.send(Err(error.to_string()))),
        })?;
        match is_born.recv() {
            Ok(Ok(())) => Ok(Node { requests, thread: Some(thread) }),
            Ok(Err(fault)) => Err(StartError::Refused(fault)),
            Err(mpsc::RecvError) => Err(StartError::Refused("the kernel ended at once".into())),
        }
    }

    /// Makes a system call and waits for its end. EIO: the kernel is dead.
    pub(crate) fn call<T, F>(&self, make: impl FnOnce(Sys) -> F + Send + 'static) -> Result<T, Errno>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Errno>> + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        self.request(Work::Call(Box::new(move |sys, call| {
            let body = make(sys.clone());
            sys.spawn(async move {
                let result = call.or_given_up(body).await;
                call.end();
                // Whoever asked is there: it waits.
                let _ = reply.send(result);
            });
        })));
        answer.recv().unwrap_or(Err(Errno::EIO))
    }

    /// Does something with the node at once.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> Result<T, Errno> {
        let (reply, answer) = mpsc::sync_channel(1);
        let work = Work::Ask(Box::new(move |host| {
            let _ = reply.send(what(host));
        }));
        let _ = self.requests.send(Request { from: Caller::Tool, work });
        answer.recv().map_err(|_| Errno::EIO)
    }

    /// Lets so much time pass.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Errno> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.request(Work::Sleep(time, reply));
        answer.recv().map_err(|_| Errno::EIO)
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Result<Instant, Errno> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.request(Work::Look(reply));
        answer.recv().map_err(|_| Errno::EIO)
    }

    /// Waits for the next packet that the stack sends; `None`: given up.
    pub(crate) fn receive(&self) -> Result<Option<Packet>, Errno> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.request(Work::Packet(reply));
        answer.recv().map_err(|_| Errno::EIO)
    }

    fn request(&self, work: Work) {
        // A dead kernel answers nothing, which the caller sees.
        let _ = self.requests.send(Request { from: Caller::Thread(thread::current().id()), work });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.request(Work::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The host gave no thread, or no socket.
    #[error(transparent)]
    Host(#[from] std::io::Error),
    /// The stack cannot be as the flags say.
    #[error("{0}")]
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumpkern::syscall::{Family, SockType};
    use std::sync::Arc;

    fn node(flags: &str) -> Arc<Node> {
        Arc::new(Node::start(Flags::parse(flags).unwrap()).unwrap())
    }

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn time_moves_only_for_who_waits() {
        let node = node("");
        let start = node.now().unwrap();
        node.call(async |sys: Sys| sys.socket(Family::Inet, SockType::Stream, 0)).unwrap();
        assert_eq!(node.now().unwrap(), start + us(1), "it was looked at before");
        assert_eq!(node.now().unwrap(), start + us(2));
        node.sleep(us(3_601_000_000)).unwrap();
        assert_eq!(node.now().unwrap(), start + us(3_601_000_002));
    }

    #[test]
    fn what_the_stack_cannot_be_is_said() {
        let refused = |flags| Node::start(Flags::parse(flags).unwrap()).unwrap_err().to_string();
        assert!(refused("mtu=40").contains("mtu"), "{}", refused("mtu=40"));
        assert!(refused("local=10.0.0.1/8,local=10.0.0.1/8").contains("10.0.0.1"));
        assert!(refused("gateway=192.168.0.2").contains("192.168.0.2"), "its own address");
    }

    #[test]
    fn a_main_thread_that_blocks_lets_time_pass() {
        let node = node("");
        let start = node.now().unwrap();
        node.call(async |sys: Sys| {
            sys.sleep(us(5_000_000)).await;
            Ok(())
        })
        .unwrap();
        assert_eq!(node.now().unwrap(), start + us(5_000_000));
    }

    #[test]
    fn what_nothing_can_end_is_given_up() {
        let node = node("patience=100");
        let start = node.now().unwrap();
        let forever = node.call(async |_: Sys| std::future::pending::<Result<(), Errno>>().await);
        assert_eq!(forever, Err(Errno::EINTR));
        assert_eq!(node.receive(), Ok(None));
        assert!(node.now().unwrap() < start + us(10), "at once: there is nothing to wait for");
        let fd = node.call(async |sys: Sys| sys.socket(Family::Inet, SockType::Stream, 0)).unwrap();
        let connected = node.call(async move |sys: Sys| {
            sys.set_nonblocking(fd, true)?;
            sys.connect(fd, "192.0.2.1:80".parse().unwrap()).await
        });
        assert_eq!(connected, Err(Errno::EINPROGRESS));
        assert!(node.receive().unwrap().is_some(), "a SYN");
    }

    #[test]
    fn time_waits_for_a_thread_that_was_woken() {
        let node = node("");
        for _ in 0..50 {
            let start = node.now().unwrap();
            let (asked, is_asked) = mpsc::channel();
            let other = {
                let node = node.clone();
                thread::spawn(move || {
                    let call = async move |sys: Sys| {
                        let _ = asked.send(());
                        sys.sleep(us(1000)).await;
                        Ok(())
                    };
                    node.call(call).unwrap();
                    thread::yield_now();
                    node.now().unwrap()
                })
            };
            is_asked.recv().unwrap();
            node.sleep(us(1_000_000)).unwrap();
            assert_eq!(other.join().unwrap(), start + us(1000));
            assert_eq!(node.now().unwrap(), start + us(1_000_000));
        }
    }
}
