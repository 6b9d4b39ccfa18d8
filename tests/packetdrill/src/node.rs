//! The node under test: a kernel on a thread of its own, and virtual time.
//!
//! A kernel lives on one thread; packetdrill calls from two, and its children's tools from a third. So every
//! call is a request in one queue, in the order in which they come.
//!
//! Time stands still while somebody computes. It moves when a thread *waits*: in `usleep`, in `gettimeofday` (for
//! one microsecond, so that who spins arrives), for a packet, or in a call of the main thread's that blocks. Then
//! it goes from one deadline of the kernel's to the next, and no further than somebody waits for. Two rules make
//! that repeatable:
//! - A call of another thread that blocks does not move time: the main thread will.
//! - When such a call has returned, time waits for that thread to look at the clock (packetdrill does, to know when
//!   the call ended), or to ask anything else; at most [`GRACE`] of the host's time, in case it never does.
//!
//! Whoever waits longer than the flags' `patience`, or when nothing can ever happen again, is told to give up.

use crate::flags::Flags;
use crate::tun::{OURS, Tun, User};
use ipnet::IpNet;
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::time::{Duration, Instant};
use netstack::wire::ipv4;
use rumpkern::config::{InterfaceConfig, NodeConfig};
use rumpkern::evloop::{self, Left};
use rumpkern::kernel::Kernel;
use rumpkern::syscall::{Errno, Sys};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};

/// The interface's name: packetdrill's own, which scripts give to `ip` and `tc`.
pub(crate) const TUN: &str = "tun0";
/// See the head.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);
/// Octets of the kernel's thread: packetdrill locks all memory, of which a user may have little.
const STACK: usize = 512 << 10;

/// What the main thread's callers hold of it.
#[derive(Debug)]
pub(crate) struct Node {
    requests: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    from: Caller,
    work: Work,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// A thread of the program under test's.
    Thread(ThreadId),
    /// A tool, which takes no time and is not waited for.
    Tool,
}

/// What makes an lwp of a system call.
type MakeCall = Box<dyn FnOnce(&Sys, Call) + Send>;

enum Work {
    /// A system call: it becomes an lwp.
    Call(MakeCall),
    /// Something that is done at once.
    Ask(Box<dyn FnOnce(&Host) + Send>),
    /// To be answered when so much time has passed.
    Sleep(Duration, SyncSender<Instant>),
    /// To be answered when a packet is there, or patience is at its end.
    Packet(SyncSender<Option<Packet>>),
    /// The end.
    End,
}

/// A packet of the stack's, with the time when it was sent.
pub(crate) type Packet = (Instant, Vec<u8>);

impl Node {
    /// A new node as `flags` say; the thread that calls is the main one.
    pub(crate) fn start(flags: Flags) -> std::io::Result<Node> {
        let (requests, queue) = mpsc::channel();
        let main = thread::current().id();
        let builder = thread::Builder::new().name("lab-kernel".into()).stack_size(STACK);
        let thread = builder.spawn(move || Loop::new(&flags, main, queue).run())?;
        Ok(Node { requests, thread: Some(thread) })
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

    /// Lets so much time pass, and says what time it is then.
    pub(crate) fn sleep(&self, time: Duration) -> Result<Instant, Errno> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.request(Work::Sleep(time, reply));
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

/// What is on the kernel's thread.
pub(crate) struct Host {
    kernel: Rc<Kernel>,
    sys: Sys,
    tun: Rc<Tun>,
}

impl Host {
    fn new(flags: &Flags) -> Host {
        let tun = Tun::new();
        let interface = InterfaceConfig {
            name: TUN.into(),
            bus: TUN.into(),
            mac: OURS,
            mtu: flags.mtu,
            addresses: flags.local.iter().copied().map(IpNet::V4).collect(),
            up: true,
        };
        let config = NodeConfig {
            lab: "packetdrill".into(),
            node: "tested".into(),
            interfaces: vec![interface],
            ..NodeConfig::default()
        };
        let user = User::new(tun.clone(), flags.seed);
        let kernel = Kernel::new(&config, Box::new(user));
        if let Err(error) = config.validate().map_err(|e| e.to_string()) {
            eprintln!("lab-packetdrill: {error}");
        }
        if let Err(error) = kernel.configure(&config) {
            eprintln!("lab-packetdrill: {error}");
        }
        kernel.with_stack(|stack, _| {
            stack.set_tcp_config(flags.tcp.clone());
            let everywhere = IpNet::V4(ipnet::Ipv4Net::default());
            let route = Route {
                to: everywhere,
                via: flags.gateway.map(IpAddr::V4),
                dev: stack.if_by_name(TUN),
                metric: 0,
                proto: RouteProto::Boot,
                kind: RouteKind::Unicast,
                src: None,
            };
            if let Err(error) = stack.route_add(route) {
                eprintln!("lab-packetdrill: gateway: {error}");
            }
        });
        let sys = kernel.attach_process("packetdrill");
        Host { kernel, sys, tun }
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Makes an address the node's own, if it can be one: nobody configures those that packetdrill invents.
    pub(crate) fn learn(&self, addr: Ipv4Addr) {
        if addr.is_unspecified() || addr.is_loopback() || addr.is_multicast() || addr.is_broadcast() {
            return;
        }
        self.kernel.with_stack(|stack, now| {
            let Some(tun) = stack.if_by_name(TUN) else { return };
            let known = stack.interface(tun).is_some_and(|tun| {
                let is = |net: &IpNet| net.addr() == addr || net.broadcast() == addr;
                tun.addrs().iter().any(is)
            });
            if !known {
                // A host route besides, which its subnet's says already: no harm.
                let _ = stack.addr_add(now, tun, IpNet::from(IpAddr::V4(addr)));
            }
        });
    }

    /// Puts a packet of the script's in.
    pub(crate) fn inject(&self, packet: &[u8]) {
        if let Ok(header) = ipv4::Header::parse(packet) {
            self.learn(header.dst);
        }
        self.tun.send(packet);
    }
}

/// A call in progress, on the kernel's thread.
#[derive(Clone)]
struct Call {
    from: Caller,
    ended: Rc<RefCell<Vec<Caller>>>,
    given_up: Rc<GivenUp>,
}

#[derive(Default)]
struct GivenUp {
    is: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Call {
    /// EINTR if the call is given up.
    async fn or_given_up<T>(&self, body: impl Future<Output = Result<T, Errno>>) -> Result<T, Errno> {
        let mut body = pin!(body);
        poll_fn(|cx| {
            if self.given_up.is.get() {
                return Poll::Ready(Err(Errno::EINTR));
            }
            *self.given_up.waker.borrow_mut() = Some(cx.waker().clone());
            body.as_mut().poll(cx)
        })
        .await
    }

    fn end(&self) {
        self.ended.borrow_mut().push(self.from);
    }
}

impl GivenUp {
    fn give_up(&self) {
        self.is.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Somebody who waits, and lets time move.
struct Waiter {
    from: Caller,
    until: Instant,
    what: What,
}

enum What {
    Time(SyncSender<Instant>),
    Packet(SyncSender<Option<Packet>>),
    /// A call of the main thread's.
    Call(Rc<GivenUp>),
}

struct Loop {
    host: Host,
    queue: Receiver<Request>,
    main: ThreadId,
    patience: Duration,
    waiters: Vec<Waiter>,
    /// Callers whose calls have ended since the last look.
    ended: Rc<RefCell<Vec<Caller>>>,
    /// Other threads that have got an answer and have not come back.
    awaited: Vec<ThreadId>,
}

impl Loop {
    fn new(flags: &Flags, main: ThreadId, queue: Receiver<Request>) -> Loop {
        Loop {
            host: Host::new(flags),
            queue,
            main,
            patience: flags.patience,
            waiters: Vec::new(),
            ended: Rc::default(),
            awaited: Vec::new(),
        }
    }

    fn run(mut self) {
        loop {
            self.settle();
            // What has been asked comes before time moves.
            let request = match (self.waiters.is_empty(), self.awaited.is_empty()) {
                (true, _) => self.queue.recv().map(Some).map_err(|_| ()),
                (false, true) => match self.queue.try_recv() {
                    Ok(request) => Ok(Some(request)),
                    Err(TryRecvError::Empty) => Ok(None),
                    Err(TryRecvError::Disconnected) => Err(()),
                },
                (false, false) => match self.queue.recv_timeout(GRACE) {
                    Ok(request) => Ok(Some(request)),
                    Err(RecvTimeoutError::Timeout) => Ok(None),
                    Err(RecvTimeoutError::Disconnected) => Err(()),
                },
            };
            match request {
                Ok(Some(Request { work: Work::End, .. })) | Err(()) => break,
                Ok(Some(request)) => self.take(request),
                Ok(None) if self.awaited.is_empty() => self.advance(),
                // It does not come back.
                Ok(None) => self.awaited.clear(),
            }
        }
        self.host.kernel.shutdown();
    }

    fn take(&mut self, request: Request) {
        let from = request.from;
        if let Caller::Thread(thread) = from {
            self.awaited.retain(|awaited| *awaited != thread);
        }
        let now = self.host.tun.now.get();
        match request.work {
            Work::Call(make) => {
                let given_up = Rc::<GivenUp>::default();
                if from == Caller::Thread(self.main) {
                    let until = now + self.patience;
                    self.waiters.push(Waiter { from, until, what: What::Call(given_up.clone()) });
                }
                make(&self.host.sys, Call { from, ended: self.ended.clone(), given_up });
            }
            Work::Ask(what) => what(&self.host),
            Work::Sleep(time, reply) => {
                self.waiters.push(Waiter { from, until: now + time, what: What::Time(reply) });
            }
            Work::Packet(reply) => {
                let until = now + self.patience;
                self.waiters.push(Waiter { from, until, what: What::Packet(reply) });
            }
            Work::End => {}
        }
    }

    /// Lets everything happen that happens now, and tells those who have waited for it.
    fn settle(&mut self) {
        while evloop::turn(&self.host.kernel) == Left::Work || !self.host.tun.is_idle() {}
        for caller in self.ended.take() {
            match caller {
                Caller::Thread(thread) if thread == self.main => {
                    self.waiters.retain(|w| w.from != caller || !matches!(w.what, What::Call(_)));
                }
                Caller::Thread(thread) => self.awaited.push(thread),
                Caller::Tool => {}
            }
        }
        // Those who wait for time wait for whoever has just been woken, too.
        let now = self.host.tun.now.get();
        let held = !self.awaited.is_empty();
        let tun = &self.host.tun;
        let mut given_up = false;
        self.waiters.retain(|waiter| {
            let due = waiter.until <= now && !held;
            match &waiter.what {
                What::Time(reply) if due => drop(reply.send(now)),
                What::Packet(reply) => match tun.receive() {
                    Some(packet) => drop(reply.send(Some(packet))),
                    None if due => drop(reply.send(None)),
                    None => return true,
                },
                What::Call(call) if due => {
                    call.give_up();
                    given_up = true;
                }
                What::Time(_) | What::Call(_) => return true,
            }
            false
        });
        if given_up {
            self.settle();
        }
    }

    /// Moves time to the next deadline, of the kernel's or of who waits.
    fn advance(&mut self) {
        let now = self.host.tun.now.get();
        let waiters = self.waiters.iter().map(|waiter| waiter.until).min();
        let next = match (waiters, evloop::deadline(&self.host.kernel)) {
            (Some(waiter), Some(kernel)) => waiter.min(kernel),
            (Some(_), None) => self.next_without_deadlines(),
            (None, _) => return,
        };
        // A deadline that is past and cannot be met would stop time.
        self.host.tun.now.set(next.max(now + Duration::from_nanos(1)));
    }

    /// Nothing will happen by itself: who waits for time gets it, the others shall not wait for their patience.
    fn next_without_deadlines(&mut self) -> Instant {
        let now = self.host.tun.now.get();
        let sleeps = |waiter: &&Waiter| matches!(waiter.what, What::Time(_));
        if let Some(until) = self.waiters.iter().filter(sleeps).map(|waiter| waiter.until).min() {
            return until;
        }
        for waiter in &mut self.waiters {
            waiter.until = now;
        }
        now
    }
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
        let start = node.sleep(us(0)).unwrap();
        node.call(async |sys: Sys| sys.socket(Family::Inet, SockType::Stream, 0)).unwrap();
        assert_eq!(node.sleep(us(1)).unwrap(), start + us(1));
        assert_eq!(node.sleep(us(3_601_000_000)).unwrap(), start + us(3_601_000_001));
    }

    #[test]
    fn a_main_thread_that_blocks_lets_time_pass() {
        let node = node("");
        let start = node.sleep(us(0)).unwrap();
        node.call(async |sys: Sys| {
            sys.sleep(us(5_000_000)).await;
            Ok(())
        })
        .unwrap();
        assert_eq!(node.sleep(us(0)).unwrap(), start + us(5_000_000));
    }

    #[test]
    fn what_nothing_can_end_is_given_up() {
        let node = node("patience=100");
        let start = node.sleep(us(0)).unwrap();
        let forever = node.call(async |_: Sys| std::future::pending::<Result<(), Errno>>().await);
        assert_eq!(forever, Err(Errno::EINTR));
        assert_eq!(node.receive(), Ok(None));
        assert!(node.sleep(us(0)).unwrap() < start + us(100), "at once: there is nothing to wait for");
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
            let start = node.sleep(us(0)).unwrap();
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
                    node.sleep(us(1)).unwrap()
                })
            };
            is_asked.recv().unwrap();
            assert_eq!(node.sleep(us(1_000_000)).unwrap(), start + us(1_000_000));
            assert_eq!(other.join().unwrap(), start + us(1001));
        }
    }
}
