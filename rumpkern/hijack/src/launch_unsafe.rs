//! Starting the program behind the filter.
//!
//! The child shares memory and descriptors with its parent, which stands still until the child has executed the program (as
//! `vfork`): so the filter's listener, made in the child, is the parent's without being sent, and why an execution failed
//! is left in memory. Executing gives the child a descriptor table of its own.
#![allow(unsafe_code)]

use crate::filter;
use crate::seccomp_unsafe::{Listener, assemble, install};
use libc::{c_char, c_int, c_void, sigset_t};
use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::CString;
use std::os::fd::RawFd;
use std::ptr;

/// Octets of the child's stack until it executes.
const STACK: usize = 64 * 1024;

/// A program to be started.
pub(crate) struct Program {
    /// The file.
    pub(crate) path: CString,
    /// Its arguments, its name first.
    pub(crate) argv: Vec<CString>,
    /// Its environment: `NAME=value`.
    pub(crate) envp: Vec<CString>,
}

/// Why a program was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LaunchError {
    /// There is no further process.
    #[error("cannot start a process: {0}")]
    Clone(Errno),
    /// The host takes no filter.
    #[error("the host refuses to have system calls looked at: {0}")]
    Filter(Errno),
    /// The program cannot be executed.
    #[error("{0}")]
    Exec(Errno),
}

/// What parent and child share.
struct Shared {
    filter: Vec<libc::sock_filter>,
    path: *const c_char,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    mask: *const sigset_t,
    listener: RawFd,
    failed: Option<LaunchError>,
}

/// Starts `program` with the signal mask `mask`, behind the filter made for these calls of the `loader`'s: its process, and where its
/// calls come from. It dies with this thread.
pub(crate) fn launch(
    program: &Program,
    mask: &sigset_t,
    loader: &[u32],
) -> Result<(Pid, Listener), LaunchError> {
    let pointers = |strings: &[CString]| {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(ptr::null());
        pointers
    };
    let mut shared = Shared {
        filter: assemble(&filter::program(loader)),
        path: program.path.as_ptr(),
        argv: pointers(&program.argv),
        envp: pointers(&program.envp),
        mask,
        listener: -1,
        failed: None,
    };
    let mut stack = vec![0u8; STACK];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: the child runs `child` on `stack`, which like `shared` and what it points to lives until the child has executed or
    // ended: CLONE_VFORK holds this thread until then. Its top is inside the allocation, and aligned.
    let pid = unsafe {
        let top = top.sub(top as usize & 15);
        libc::clone(child, top.cast(), flags, (&raw mut shared).cast())
    };
    if pid < 0 {
        return Err(LaunchError::Clone(last()));
    }
    // SAFETY: read anew: the child has written it.
    let (listener, failed) = unsafe {
        (ptr::read_volatile(&raw const shared.listener), ptr::read_volatile(&raw const shared.failed))
    };
    // SAFETY: the child has made it in the table that it shared, and left it to us.
    let listener = (listener >= 0).then(|| unsafe { Listener::from_raw_fd(listener) });
    let pid = Pid::from_raw(pid).ok_or(LaunchError::Clone(Errno::SRCH))?;
    match (listener, failed) {
        (Some(listener), None) => Ok((pid, listener)),
        (_, failed) => {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Err(failed.unwrap_or(LaunchError::Filter(Errno::IO)))
        }
    }
}

/// The child, until it is the program. Nothing is allocated or freed here.
extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: `launch` passed a pointer to its `Shared`, which nobody else uses while the child runs.
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    // SAFETY: system calls with numbers and pointers to live values; handlers of this process are not shared (no CLONE_SIGHAND).
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, shared.mask, ptr::null_mut());
    }
    match install(&shared.filter) {
        Ok(listener) => shared.listener = listener,
        Err(error) => {
            shared.failed = Some(LaunchError::Filter(error));
            // SAFETY: ends the child alone.
            unsafe { libc::_exit(125) }
        }
    }
    // SAFETY: the strings and the arrays, which end with a null pointer, live in `launch`'s frame.
    unsafe { libc::execve(shared.path, shared.argv.as_ptr(), shared.envp.as_ptr()) };
    shared.failed = Some(LaunchError::Exec(last()));
    // SAFETY: ends the child alone.
    unsafe { libc::_exit(127) }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
