//! The supervisor: serves the calls of a program and of all that it starts, until none of them is left.
//!
//! One thread, one epoll loop: calls come from the filter's listener, answers and events from the node, signals from the host. It
//! never waits for one of them alone: what cannot be answered yet is remembered.

use crate::calls::{self, ring::Rings};
use crate::memory::Memory;
use crate::process::{self, Threads};
use crate::seccomp_unsafe::{Call, Listener};
use crate::sockets::{Socket, Sockets};
use crate::tree::{self, Tree};
use crate::undelivered::Undelivered;
use crate::written::Written;
use rumpclient::msg::Request;
use rumpclient::wire::Op;
use rumpclient::{CallError, Client, Completion, ReqId, Sid};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What becomes of a call.
pub(crate) enum Outcome {
    /// The host does it: it is none of ours.
    Proceed,
    /// It returns this.
    Value(i64),
    /// It fails.
    Fail(Errno),
    /// It returns a new descriptor; `true`: close-on-exec.
    Descriptor(OwnedFd, bool),
    /// The same, and its number, if the program may have one as high.
    DescriptorAt(OwnedFd, bool, i32),
    /// Later.
    Pending,
}

impl From<Result<u64, Errno>> for Outcome {
    fn from(result: Result<u64, Errno>) -> Outcome {
        match result {
            Ok(value) => Outcome::Value(value as i64),
            Err(errno) => Outcome::Fail(errno),
        }
    }
}

/// What is done with the node's answer.
type Then = Box<dyn FnOnce(&mut Supervisor, &Call, Completion) -> Outcome>;
/// What is tried whenever the program's end has something to read. EAGAIN: it had not.
type Attempt = Box<dyn FnMut(&mut Supervisor, &Call, &OwnedFd) -> Result<Outcome, Errno>>;

/// A call that the node has been asked about.
struct Asked {
    call: Call,
    then: Then,
    /// The program has given up, and so was the node told.
    /// Since when nobody waits for it.
    left: Option<Instant>,
    cancelled: bool,
}

/// A call that waits for something to read.
struct Waiting {
    call: Call,
    end: OwnedFd,
    until: Option<Instant>,
    attempt: Attempt,
}

impl Waiting {
    /// It waits no more. The program's end lives on, and so would its place in the epoll instance.
    fn forget(&self, epoll: &OwnedFd) {
        let _ = epoll::delete(epoll, &self.end);
    }
}

/// What the node shows instead of the host's files.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Paths that the topology lays over the host's.
    pub(crate) files: Vec<Vec<u8>>,
    /// Where the node's directories are; empty: nowhere.
    pub(crate) view: Vec<u8>,
    /// Files of the node that stand there, and stay as they are.
    lasting: Vec<Vec<u8>>,
}

impl Shown {
    /// Asks the node, which looks meanwhile. That it is gone the loop finds.
    pub(crate) fn ask(node: &mut Client) -> Option<ReqId> {
        node.submit(Sid::NONE, &Request::Open { path: b"" }).ok()
    }

    /// Its answer.
    pub(crate) fn answered(node: &mut Client, asked: Option<ReqId>) -> Shown {
        let answer = asked.and_then(|asked| node.wait(asked).ok()).filter(|answer| answer.result.is_ok());
        let body = answer.as_ref().and_then(|answer| answer.body().ok());
        let paths = |octets: Option<&[u8]>| {
            let paths = octets.unwrap_or_default().split(|octet| *octet == 0);
            paths.filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect()
        };
        Shown {
            files: paths(body.and_then(|body| body.data)),
            view: body.and_then(|body| body.name).unwrap_or_default().as_bytes().to_vec(),
            lasting: paths(body.and_then(|body| body.lasting)),
        }
    }

    /// Where the host has what the node shows at `path`, if that is known without the node.
    pub(crate) fn standing(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.lasting.iter().any(|lasting| lasting == path).then(|| [&self.view[..], path].concat())
    }
}

/// Serves one program and its descendants.
pub(crate) struct Supervisor {
    pub(crate) listener: Listener,
    pub(crate) node: Client,
    pub(crate) memory: Memory,
    pub(crate) sockets: Sockets,
    pub(crate) rings: Rings,
    pub(crate) shown: Shown,
    /// The node's files that are being written.
    pub(crate) written: Written,
    threads: Threads,
    undelivered: Undelivered,
    /// The host lets us fetch descriptors from the program.
    fetches: bool,
    epoll: OwnedFd,
    asked: BTreeMap<ReqId, Asked>,
    waiting: BTreeMap<u64, Waiting>,
    last_waiting: u64,
    /// No process is left that makes any.
    no_more_calls: bool,
    /// Until when an answer is expected soon.
    awaited_until: Option<Instant>,
}

/// Where something to do comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Calls,
    Node,
    Signals,
    Report,
    End(u64),
}

const NODE: u64 = 0;
const SIGNALS: u64 = 1;
const REPORT: u64 = 2;
/// From here on, ends by the numbers of those who wait for them.
const ENDS: u64 = 3;

/// How often calls that wait are asked whether their callers still do: a signal does not tell.
const LOOK: Duration = Duration::from_millis(200);
/// How long an answer that needs nobody but the node takes at most, if it is awake.
const SOON: Duration = Duration::from_micros(50);
/// How often kept copies are looked for in the program's tables.
const SWEEP: Duration = Duration::from_secs(1);

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// No process of the program's is left.
    Done,
    /// The node is gone.
    NodeGone,
}

impl Supervisor {
    /// A supervisor of the program whose calls come from `listener`.
    pub(crate) fn new(listener: Listener, node: Client, shown: Shown) -> Result<Supervisor, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &node, EventData::new_u64(NODE), EventFlags::IN)?;
        Ok(Supervisor {
            listener,
            node,
            memory: Memory::probe(),
            sockets: Sockets::default(),
            rings: Rings::default(),
            shown,
            written: Written::default(),
            threads: Threads::default(),
            undelivered: Undelivered::default(),
            fetches: process::fetching_works(),
            epoll,
            asked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            last_waiting: ENDS,
            no_more_calls: false,
            awaited_until: None,
        })
    }

    /// Whoever reads `report` follows the program: once nobody does, all of it ends.
    pub(crate) fn follow(&self, report: &impl AsFd) -> Result<(), Errno> {
        // The host tells of the error that there is no reader, asked or not: once will do.
        epoll::add(&self.epoll, report, EventData::new_u64(REPORT), EventFlags::ONESHOT)
    }

    /// Serves until the end.
    pub(crate) fn run(&mut self, tree: &mut Tree) -> Result<End, Errno> {
        epoll::add(&self.epoll, tree.signals(), EventData::new_u64(SIGNALS), EventFlags::IN)?;
        let mut swept = Instant::now();
        loop {
            for source in self.wait(tree.pause())? {
                match source {
                    Source::Calls => self.calls()?,
                    Source::Node => {
                        if !self.answers() {
                            return Ok(End::NodeGone);
                        }
                    }
                    Source::Signals => {
                        if !self.hand_on() {
                            return Ok(End::NodeGone);
                        }
                        if let Some(end) = tree.signalled() {
                            return Ok(end);
                        }
                    }
                    Source::Report => tree.unfollowed(),
                    Source::End(number) => self.readable(number),
                }
            }
            tree.go_on();
            self.look();
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.sweep();
                self.sweep_rings();
                self.undelivered.sweep();
            }
        }
    }

    /// What has come, at the latest after `pause`.
    fn wait(&mut self, pause: Option<Duration>) -> Result<Vec<Source>, Errno> {
        // Whoever called waits, and so does the core, if nobody else wants it: to be woken on one that sleeps takes longer than most
        // answers.
        if let Some(until) = self.awaited_until.take() {
            while Instant::now() < until {
                let came = self.look_for(Some(Duration::ZERO))?;
                if !came.is_empty() {
                    return Ok(came);
                }
                rustix::thread::sched_yield();
            }
        }
        let now = Instant::now();
        let deadlines = self.waiting.values().filter_map(|waiting| waiting.until);
        let soonest = deadlines.map(|until| until.saturating_duration_since(now)).min();
        let look = (!self.asked.is_empty() || !self.waiting.is_empty()).then_some(LOOK);
        let sweep = (!self.fetches || !self.rings.is_empty()).then_some(SWEEP);
        self.look_for([soonest, look, sweep, pause].into_iter().flatten().min())
    }

    /// What has come, at the latest after `timeout`.
    fn look_for(&mut self, timeout: Option<Duration>) -> Result<Vec<Source>, Errno> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // Who waits for the listener itself the host wakes on the caller's core; who waits by way of an epoll instance, on any.
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        let open = if self.no_more_calls { 1 } else { 2 };
        match poll(&mut fds[..open], timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let [others, called] = fds.map(|fd| fd.revents());
        // It tells so again and again, and the last process, which still has to end, may want this very core.
        self.no_more_calls |= called.contains(PollFlags::HUP) && !called.contains(PollFlags::IN);
        // Calls come last: what the node has told may be what they ask for.
        let mut sources = Vec::new();
        if !others.is_empty() {
            let mut room = [MaybeUninit::uninit(); 32];
            let (events, _) = epoll::wait(&self.epoll, &mut room, Some(&Timespec::default()))?;
            sources.extend(events.iter().map(|event| match event.data.u64() {
                NODE => Source::Node,
                SIGNALS => Source::Signals,
                REPORT => Source::Report,
                number => Source::End(number),
            }));
        }
        sources.extend(called.contains(PollFlags::IN).then_some(Source::Calls));
        Ok(sources)
    }

    /// Serves the calls that have been made.
    fn calls(&mut self) -> Result<(), Errno> {
        if let Some(call) = self.listener.receive()? {
            // That the node is gone the loop finds.
            self.hand_on();
            if self.is_asked_again(&call) {
                return Ok(());
            }
            let before = self.undelivered.take(&call);
            let outcome = before.unwrap_or_else(|| calls::serve(self, &call));
            self.end(&call, outcome);
        }
        Ok(())
    }

    /// Whether the node is still busy with what this call wants: its caller was interrupted, and is back before the answer, which
    /// it gets.
    fn is_asked_again(&mut self, call: &Call) -> bool {
        let same = |asked: &&mut Asked| {
            let before = &asked.call;
            !asked.cancelled && (before.tid, before.nr, before.args) == (call.tid, call.nr, call.args)
        };
        let found = self.asked.values_mut().find(same);
        if let Some(asked) = found {
            (asked.call, asked.left) = (*call, None);
            return true;
        }
        false
    }

    /// Hands what programs have written to the node; false: it is gone.
    fn hand_on(&mut self) -> bool {
        // Other calls may have been answered meanwhile.
        !self.written.hand_on(&mut self.node) || self.answers()
    }

    /// Ends a call; if its caller was interrupted meanwhile, it hears of it when it calls again.
    fn end(&mut self, call: &Call, outcome: Outcome) {
        let told = match &outcome {
            Outcome::Proceed => self.listener.proceed(call),
            Outcome::Value(value) => self.listener.finish(call, *value),
            Outcome::Fail(errno) => self.listener.fail(call, *errno),
            Outcome::Descriptor(end, cloexec) => self.give(call, end, *cloexec),
            Outcome::DescriptorAt(end, cloexec, at) => {
                match self.listener.finish_with(call, end.as_fd(), *cloexec, Some(*at)) {
                    Err(errno) if errno != Errno::NOENT => self.give(call, end, *cloexec),
                    done => done.map(drop),
                }
            }
            Outcome::Pending => Ok(()),
        };
        if told == Err(Errno::NOENT) {
            self.undelivered.keep(call, outcome);
        }
    }

    fn give(&self, call: &Call, end: &OwnedFd, cloexec: bool) -> Result<(), Errno> {
        match self.listener.finish_with(call, end.as_fd(), cloexec, None) {
            // No room in the program's table, as EMFILE.
            Err(errno) if errno != Errno::NOENT => self.listener.fail(call, errno),
            done => done.map(drop),
        }
    }

    /// Asks the node, and goes on with `then` when it has answered.
    pub(crate) fn ask(
        &mut self,
        call: &Call,
        sid: Sid,
        request: &Request<'_>,
        then: impl FnOnce(&mut Supervisor, &Call, Completion) -> Outcome + 'static,
    ) -> Outcome {
        self.ask_with(call, sid, request, None, then)
    }

    /// The same, with a descriptor for the node.
    pub(crate) fn ask_with(
        &mut self,
        call: &Call,
        sid: Sid,
        request: &Request<'_>,
        passed: Option<BorrowedFd<'_>>,
        then: impl FnOnce(&mut Supervisor, &Call, Completion) -> Outcome + 'static,
    ) -> Outcome {
        self.tell_held(sid);
        match self.submit(sid, request, passed) {
            Ok(req) => {
                self.awaited_until = Some(Instant::now() + SOON);
                self.asked
                    .insert(req, Asked { call: *call, then: Box::new(then), left: None, cancelled: false });
                Outcome::Pending
            }
            Err(errno) => Outcome::Fail(errno),
        }
    }

    /// Asks the node; NETDOWN: it is gone, which the loop finds.
    pub(crate) fn submit(
        &mut self,
        sid: Sid,
        request: &Request<'_>,
        passed: Option<BorrowedFd<'_>>,
    ) -> Result<ReqId, Errno> {
        loop {
            let submitted = match passed {
                Some(passed) => self.node.submit_with(sid, request, passed),
                None => self.node.submit(sid, request),
            };
            match submitted {
                // It reads nothing while its answers lie unread.
                Err(CallError::Io(Errno::AGAIN)) => {
                    let _ = poll(&mut [PollFd::new(&self.node, PollFlags::IN | PollFlags::OUT)], None);
                    self.node.keep_answers().map_err(|_| Errno::NETDOWN)?;
                }
                done => return done.map_err(|_| Errno::NETDOWN),
            }
        }
    }

    /// Takes the node's answers; false: it is gone.
    fn answers(&mut self) -> bool {
        loop {
            match self.node.complete() {
                Ok(Some(event)) if event.op == Op::Closed as u16 => self.sockets.remove(event.sid),
                Ok(Some(event)) if event.op == Op::Connected as u16 => self.connected(&event),
                Ok(Some(answer)) => {
                    if let Some(asked) = self.asked.remove(&answer.req) {
                        let outcome = (asked.then)(self, &asked.call, answer);
                        self.end(&asked.call, outcome);
                    }
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Tries to receive from the program's end, now and whenever it is readable.
    pub(crate) fn receive_on(
        &mut self,
        call: &Call,
        end: OwnedFd,
        dontwait: bool,
        mut attempt: impl FnMut(&mut Supervisor, &Call, &OwnedFd) -> Result<Outcome, Errno> + 'static,
    ) -> Outcome {
        match attempt(self, call, &end) {
            Ok(outcome) => return outcome,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Outcome::Fail(errno),
        }
        if dontwait || fcntl_getfl(&end).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)) {
            return Outcome::Fail(Errno::AGAIN);
        }
        let limit = rustix::net::sockopt::socket_timeout(&end, rustix::net::sockopt::Timeout::Recv);
        let until = limit.ok().flatten().map(|limit| Instant::now() + limit);
        self.last_waiting += 1;
        let number = self.last_waiting;
        if let Err(errno) = epoll::add(&self.epoll, &end, EventData::new_u64(number), EventFlags::IN) {
            return Outcome::Fail(errno);
        }
        self.waiting.insert(number, Waiting { call: *call, end, until, attempt: Box::new(attempt) });
        Outcome::Pending
    }

    /// An end that is waited for has something to read.
    fn readable(&mut self, number: u64) {
        let Some(mut waiting) = self.waiting.remove(&number) else { return };
        // Whoever has given up must not take what another waits for.
        if !self.listener.is_waiting(&waiting.call) {
            return waiting.forget(&self.epoll);
        }
        let outcome = match (waiting.attempt)(self, &waiting.call, &waiting.end) {
            Err(Errno::AGAIN) => {
                self.waiting.insert(number, waiting);
                return;
            }
            done => done.unwrap_or_else(Outcome::Fail),
        };
        waiting.forget(&self.epoll);
        self.end(&waiting.call, outcome);
    }

    /// Ends what has waited long enough, and forgets calls that are no longer made.
    fn look(&mut self) {
        let now = Instant::now();
        let listener = &self.listener;
        self.waiting.retain(|_, waiting| {
            let late = waiting.until.is_some_and(|until| until <= now);
            if late {
                let _ = listener.fail(&waiting.call, Errno::AGAIN);
            }
            let stays = !late && listener.is_waiting(&waiting.call);
            if !stays {
                waiting.forget(&self.epoll);
            }
            stays
        });
        // A signal's handler may be done soon, and the call made again.
        for asked in self.asked.values_mut().filter(|asked| asked.left.is_none()) {
            asked.left = (!listener.is_waiting(&asked.call)).then_some(now);
        }
        let long_gone = |asked: &Asked| !asked.cancelled && asked.left.is_some_and(|left| now - left >= LOOK);
        let gone: Vec<ReqId> =
            self.asked.iter().filter(|(_, asked)| long_gone(asked)).map(|(req, _)| *req).collect();
        for req in gone {
            let _ = self.node.cancel(req);
            if let Some(asked) = self.asked.get_mut(&req) {
                asked.cancelled = true;
            }
        }
    }

    /// The node's path of a directory of its view; of the view itself, none but the root.
    pub(crate) fn in_view<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let below = path.strip_prefix(&self.shown.view[..]).filter(|_| !self.shown.view.is_empty())?;
        (below.is_empty() || below.starts_with(b"/")).then_some(below)
    }

    /// The node's socket that argument 0 is, and its inode.
    pub(crate) fn socket_of(&self, call: &Call) -> Option<(u64, &Socket)> {
        let inode = process::socket_inode(call.tid, call.args[0])?;
        self.sockets.get(inode).map(|socket| (inode, socket))
    }

    /// Whether argument 0 is a socket of the node.
    pub(crate) fn is_ours(&self, call: &Call) -> bool {
        self.socket_of(call).is_some()
    }

    /// Whether argument 0 is any socket.
    pub(crate) fn is_socket(&self, call: &Call) -> bool {
        process::socket_inode(call.tid, call.args[0]).is_some()
    }

    /// Whether argument 0 has O_NONBLOCK.
    pub(crate) fn is_nonblocking(&mut self, call: &Call) -> bool {
        match self.copy(call, call.args[0] as i32) {
            Ok(end) => fcntl_getfl(&end).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK)),
            Err(_) => process::is_nonblocking(call.tid, call.args[0]),
        }
    }

    /// A copy of the program's end that argument 0 is.
    pub(crate) fn end_of(&mut self, call: &Call, inode: u64) -> Result<OwnedFd, Errno> {
        self.end_at(call, call.args[0], inode)
    }

    /// A copy of the program's end that the descriptor `fd` is.
    pub(crate) fn end_at(&mut self, call: &Call, fd: u64, inode: u64) -> Result<OwnedFd, Errno> {
        match self.sockets.get(inode).and_then(|socket| socket.kept.as_ref()) {
            Some(kept) => rustix::io::fcntl_dupfd_cloexec(kept, 0),
            None => self.threads.copy(call.tid, fd as i32),
        }
    }

    /// A copy of the program's descriptor `fd`, whatever it is.
    pub(crate) fn copy(&mut self, call: &Call, fd: i32) -> Result<OwnedFd, Errno> {
        self.threads.copy(call.tid, fd)
    }

    /// Before connect(2) and listen(2): a stream's end is connected to the node. What hinders it the node tells.
    pub(crate) fn enter_door(&mut self, call: &Call, inode: u64) {
        let door = self.sockets.get_mut(inode).and_then(|socket| socket.door.take());
        if let Some(door) = door
            && let Ok(end) = self.end_of(call, inode)
        {
            let _ = rumpclient::door::enter(&end, &door);
        }
    }

    /// A datagram socket's error is told, or looked for, where the node keeps it: it no longer shows at the program's end.
    pub(crate) fn clear_error(&mut self, call: &Call) {
        let Some((inode, socket)) = self.socket_of(call) else { return };
        if !socket.is_stream()
            && let Ok(end) = self.end_of(call, inode)
        {
            let _ = rustix::net::sockopt::socket_error(&end);
        }
    }

    /// Keeps a copy of an end where none can be fetched. Until its stream is connected nobody misses that it is closed.
    pub(crate) fn keep(&mut self, inode: u64, end: &OwnedFd) {
        if !self.fetches
            && let (Ok(copy), Some(socket)) = (end.try_clone(), self.sockets.get_mut(inode))
        {
            socket.kept = Some(copy);
        }
    }

    /// A connect(2) was answered; `dissolves`: it named no peer (AF_UNSPEC).
    pub(crate) fn connects(&mut self, inode: u64, dissolves: bool, result: Result<u64, Errno>) {
        if let (Ok(_) | Err(Errno::INPROGRESS), Some(socket)) = (result, self.sockets.get_mut(inode)) {
            if socket.is_stream() {
                socket.kept = None;
            } else {
                socket.connected = !dissolves;
            }
        }
    }

    /// Lets go of kept ends that no process holds any more; whether there were any.
    pub(crate) fn sweep(&mut self) -> bool {
        if self.sockets.iter_mut().all(|(_, socket)| socket.kept.is_none()) {
            return false;
        }
        let held = tree::sockets();
        let mut any = false;
        for (inode, socket) in self.sockets.iter_mut() {
            if !held.contains(&inode) {
                any |= socket.kept.take().is_some();
            }
        }
        any
    }
}
