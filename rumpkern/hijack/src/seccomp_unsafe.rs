//! seccomp(2): the filter goes in, notifications come out, and answers and descriptors go back.
#![allow(unsafe_code)]

use crate::filter::Insn;
use libc::{c_int, c_ulong, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp, sock_filter, sock_fprog};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `_IOWR('!', nr, T)` and `_IOW`, as `linux/seccomp.h` has them.
const fn ioctl(direction: u64, nr: u64, size: usize) -> c_ulong {
    direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | nr
}
const RECV: c_ulong = ioctl(3, 0, size_of::<seccomp_notif>());
const SEND: c_ulong = ioctl(3, 1, size_of::<seccomp_notif_resp>());
const ID_VALID: c_ulong = ioctl(1, 2, size_of::<u64>());
const ADDFD: c_ulong = ioctl(1, 3, size_of::<seccomp_notif_addfd>());
const SET_FLAGS: c_ulong = ioctl(1, 4, size_of::<u64>());
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: the two sides run on one CPU, one after the other.
const SYNC_WAKE_UP: u64 = 1;

/// A call of the program's that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The host's name for it; any number.
    pub(crate) id: u64,
    /// The thread that makes it.
    pub(crate) tid: i32,
    /// The system call's number.
    pub(crate) nr: i64,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// Where calls come from.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Puts the calling thread, and whatever it executes and forks, behind the filter; the listener's descriptor.
/// Only calls that are safe between fork and exec are made.
pub(crate) fn install(program: &[sock_filter]) -> Result<RawFd, Errno> {
    let fprog = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: prctl with numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(last());
    }
    // SAFETY: `fprog` points to a program that lives through the call; the host copies and checks it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const fprog,
        )
    };
    if fd < 0 { Err(last()) } else { Ok(fd as RawFd) }
}

/// The program as the host wants it.
pub(crate) fn assemble(program: &[Insn]) -> Vec<sock_filter> {
    program.iter().map(|insn| sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k }).collect()
}

impl Listener {
    /// Takes over the descriptor that [`install`] returned.
    ///
    /// # Safety
    /// It must be open, and nobody else's.
    pub(crate) unsafe fn from_raw_fd(fd: RawFd) -> Listener {
        // SAFETY: by the contract.
        let listener = Listener(unsafe { OwnedFd::from_raw_fd(fd) });
        // Linux 6.6 and later; without it an answer takes longer.
        let _ = listener.ioctl(SET_FLAGS, SYNC_WAKE_UP as *mut u64);
        listener
    }

    fn ioctl<T>(&self, request: c_ulong, argument: *mut T) -> Result<c_int, Errno> {
        // SAFETY: each request above is made with a pointer to a live value of its type, or with a number.
        let ret = unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) };
        if ret < 0 { Err(last()) } else { Ok(ret) }
    }

    /// The next call; `None`: it is gone already, as when a signal came.
    pub(crate) fn receive(&self) -> Result<Option<Call>, Errno> {
        // SAFETY: all zero is a value of this plain structure, and what the host wants to be given.
        let mut notif: seccomp_notif = unsafe { std::mem::zeroed() };
        match self.ioctl(RECV, &raw mut notif) {
            Ok(_) => Ok(Some(Call {
                id: notif.id,
                tid: notif.pid as i32,
                nr: notif.data.nr.into(),
                args: notif.data.args,
            })),
            Err(Errno::NOENT | Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the call still waits.
    pub(crate) fn is_waiting(&self, call: &Call) -> bool {
        let mut id = call.id;
        self.ioctl(ID_VALID, &raw mut id).is_ok()
    }

    fn send(&self, call: &Call, val: i64, error: i32, flags: u32) -> Result<(), Errno> {
        let mut response = seccomp_notif_resp { id: call.id, val, error, flags };
        self.ioctl(SEND, &raw mut response).map(drop)
    }

    /// The call returns `value`.
    pub(crate) fn finish(&self, call: &Call, value: i64) -> Result<(), Errno> {
        self.send(call, value, 0, 0)
    }

    /// The call fails.
    pub(crate) fn fail(&self, call: &Call, errno: Errno) -> Result<(), Errno> {
        self.send(call, 0, -errno.raw_os_error(), 0)
    }

    /// The host does the call.
    pub(crate) fn proceed(&self, call: &Call) -> Result<(), Errno> {
        self.send(call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// The caller's descriptor `at` becomes what `fd` is; the call still waits.
    pub(crate) fn replace(
        &self,
        call: &Call,
        at: i32,
        fd: BorrowedFd<'_>,
        cloexec: bool,
    ) -> Result<(), Errno> {
        let mut add = seccomp_notif_addfd {
            id: call.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: fd.as_raw_fd() as u32,
            newfd: at as u32,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        self.ioctl(ADDFD, &raw mut add).map(drop)
    }

    /// The call returns a new descriptor of the program's for what `fd` is: this number, or the first that is free.
    pub(crate) fn finish_with(
        &self,
        call: &Call,
        fd: BorrowedFd<'_>,
        cloexec: bool,
        at: Option<i32>,
    ) -> Result<c_int, Errno> {
        let chosen = if at.is_some() { libc::SECCOMP_ADDFD_FLAG_SETFD } else { 0 };
        let mut add = seccomp_notif_addfd {
            id: call.id,
            flags: (libc::SECCOMP_ADDFD_FLAG_SEND | chosen) as u32,
            srcfd: fd.as_raw_fd() as u32,
            newfd: at.unwrap_or(0) as u32,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        self.ioctl(ADDFD, &raw mut add)
    }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
