//! Processes: who makes system calls.
//!
//! A process is a descriptor table and some lwps. Its first lwp's result is its exit status; when
//! that is known, the other lwps are ended and all descriptors closed. Processes of remote clients
//! have no lwps of their own: they live until they are killed.

pub mod callout;
pub mod filedesc;
pub mod lwp;

use crate::kernel::Kernel;
use filedesc::Filedesc;
use lwp::LwpId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Names a process of one kernel. Counted from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl core::fmt::Display for Pid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Exit status of a process that was killed, as a shell shows SIGKILL.
pub const KILLED: i32 = 137;
/// Exit status of a process that an interrupt ended, as a shell shows SIGINT.
pub const INTERRUPTED: i32 = 130;

/// What an interrupt (Ctrl-C) does to a process.
#[derive(Debug, Default)]
enum OnInterrupt {
    /// It ends.
    #[default]
    End,
    /// It is told.
    Tell(Waker),
    /// It was told; the next one ends it.
    Told,
}

/// One process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    name: String,
    pub(crate) files: RefCell<Filedesc>,
    lwps: RefCell<Vec<LwpId>>,
    status: Cell<Option<i32>>,
    waiting: RefCell<Vec<Waker>>,
    on_interrupt: RefCell<OnInterrupt>,
}

impl Process {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its exit status, once it has one.
    pub fn status(&self) -> Option<i32> {
        self.status.get()
    }

    /// Waits for the process to end; returns its exit status.
    pub async fn wait(&self) -> i32 {
        poll_fn(|cx| match self.status.get() {
            Some(status) => Poll::Ready(status),
            None => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl Process {
    /// Waits to be interrupted. From the first wait on an interrupt does not end the process, the second one does.
    pub async fn interrupted(&self) {
        poll_fn(|cx| {
            let mut on_interrupt = self.on_interrupt.borrow_mut();
            if matches!(*on_interrupt, OnInterrupt::Told) {
                return Poll::Ready(());
            }
            *on_interrupt = OnInterrupt::Tell(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// All processes of one kernel.
#[derive(Debug, Default)]
pub(crate) struct ProcTable {
    all: BTreeMap<Pid, Rc<Process>>,
    last: u32,
}

impl ProcTable {
    /// A new process without lwps and descriptors.
    pub(crate) fn create(&mut self, name: &str) -> Rc<Process> {
        self.last += 1;
        let process = Rc::new(Process {
            pid: Pid(self.last),
            name: name.to_owned(),
            files: RefCell::default(),
            lwps: RefCell::default(),
            status: Cell::new(None),
            waiting: RefCell::default(),
            on_interrupt: RefCell::default(),
        });
        self.all.insert(process.pid, process.clone());
        process
    }
}

impl Kernel {
    /// Starts another lwp in `process`. It ends with the process.
    pub(crate) fn lwp_create(
        self: &Rc<Self>,
        process: &Rc<Process>,
        future: impl Future<Output = ()> + 'static,
    ) {
        if process.status.get().is_none() {
            let id = self.lwps.spawn(future);
            let mut lwps = process.lwps.borrow_mut();
            lwps.retain(|&lwp| self.lwps.is_alive(lwp));
            lwps.push(id);
        }
    }

    /// Ends `process` with `status`: its lwps, its descriptors, then whoever waits for it is told.
    pub fn exit(&self, process: &Process, status: i32) {
        if process.status.get().is_some() {
            return;
        }
        process.status.set(Some(status));
        self.procs.borrow_mut().all.remove(&process.pid);
        for lwp in process.lwps.take() {
            self.lwps.kill(lwp);
        }
        let files = process.files.borrow_mut().close_all();
        files.for_each(|file| self.file_release(&file));
        for waker in process.waiting.take() {
            waker.wake();
        }
    }

    /// Interrupts `process`, as Ctrl-C does: it is told if it waits for that, else it ends.
    pub fn interrupt(&self, process: &Process) {
        let before = process.on_interrupt.replace(OnInterrupt::Told);
        match before {
            OnInterrupt::Tell(waker) => waker.wake(),
            OnInterrupt::End | OnInterrupt::Told => self.exit(process, INTERRUPTED),
        }
    }

    /// The process with this number.
    pub fn process(&self, pid: Pid) -> Option<Rc<Process>> {
        self.procs.borrow().all.get(&pid).cloned()
    }

    /// Ends all processes, the youngest first.
    pub(crate) fn exit_all(&self) {
        loop {
            let Some(process) = self.procs.borrow().all.values().next_back().cloned() else { break };
            self.exit(&process, KILLED);
        }
    }
}
