//! System calls: what a process can ask of the kernel.
//!
//! [`Sys`] is the typed form: the built-in programs are written over it. Calls that may block are
//! `async`; each takes its turn ([`crate::proc::lwp::Quantum`]), so that a busy program cannot starve the wires.
//! One file a family; [`Errno`] is the one table from errors to error numbers.

mod block;
mod errno;
mod file;
mod flags;
mod group_abi;
pub mod ioctl;
mod ioctl_arp;
mod ioctl_ethtool;
pub(crate) mod ioctl_ifreq;
mod ioctl_inet6;
mod ioctl_route;
mod netlink;
pub mod packet_abi;
mod poll;
pub mod sleepq;
mod socket;
pub mod socket_abi;
mod sockopt;
pub mod sockopt6_abi;
pub mod sockopt_abi;
pub(crate) mod tcp_info;
mod time;

pub use crate::proc::filedesc::{Fd, Sink};
pub use errno::Errno;
pub use flags::{MsgFlags, PollFlags};
pub use netstack::socket::{Family, RecvMeta, SendMeta, Shutdown, SockOpt, SockOptName, SockType};
pub use poll::PollFd;

use crate::kernel::Kernel;
use crate::proc::filedesc::{File, Kind};
use crate::proc::{Pid, Process};
use netstack::SocketId;
use std::rc::Rc;

/// The system calls of one process. Cheap to clone; all clones act for the same process.
#[derive(Clone, Debug)]
pub struct Sys {
    kernel: Rc<Kernel>,
    process: Rc<Process>,
}

impl Sys {
    pub(crate) fn new(kernel: Rc<Kernel>, process: Rc<Process>) -> Sys {
        Sys { kernel, process }
    }

    /// The kernel that answers.
    pub fn kernel(&self) -> &Rc<Kernel> {
        &self.kernel
    }

    /// The process that asks.
    pub fn process(&self) -> &Rc<Process> {
        &self.process
    }

    /// Its number.
    pub fn getpid(&self) -> Pid {
        self.process.pid()
    }

    /// Starts another lwp ("thread") of this process. It ends with the process.
    pub fn spawn(&self, body: impl Future<Output = ()> + 'static) {
        self.kernel.lwp_create(&self.process, body);
    }

    fn file(&self, fd: Fd) -> Result<Rc<File>, Errno> {
        self.process.files.borrow().get(fd).cloned()
    }

    /// The socket of the stack behind a descriptor.
    pub fn socket_id(&self, fd: Fd) -> Result<SocketId, Errno> {
        self.socket_of(fd).map(|(_, id)| id)
    }

    /// The file and its socket of the stack.
    fn socket_of(&self, fd: Fd) -> Result<(Rc<File>, SocketId), Errno> {
        let file = self.file(fd)?;
        match file.kind {
            Kind::Socket(id, _) => Ok((file, id)),
            Kind::Netlink(_) => Err(Errno::EOPNOTSUPP),
            Kind::Sink(_) | Kind::Null => Err(Errno::ENOTSOCK),
        }
    }

    /// The file, if it is a socket of any kind.
    fn socket_file(&self, fd: Fd) -> Result<Rc<File>, Errno> {
        let file = self.file(fd)?;
        match file.kind {
            Kind::Socket(..) | Kind::Netlink(_) => Ok(file),
            Kind::Sink(_) | Kind::Null => Err(Errno::ENOTSOCK),
        }
    }

    fn open(&self, kind: Kind) -> Result<Fd, Errno> {
        let file = Rc::new(File::new(kind));
        let opened = self.process.files.borrow_mut().open(file.clone());
        if opened.is_err() {
            self.kernel.file_release(&file);
        }
        opened
    }
}
