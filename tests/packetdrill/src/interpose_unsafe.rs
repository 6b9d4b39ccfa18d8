//! Symbols that stand before libc's when the object is preloaded (`LD_PRELOAD`): packetdrill closes
//! left-over descriptors by `close`, its `%{ }%` read `TCP_INFO` by `getsockopt`, and commands of scripts go to the
//! shell by `system`, all not through the table.
//!
//! A descriptor that is not ours goes to the host's kernel, by the system call itself: looking up the next
//! symbol of the name could allocate, and `close` must not. (Libc's own `close` is a point at which a
//! thread may be cancelled; this one is not.)

#![allow(unsafe_code)]

use crate::commands;
use crate::fds::is_ours;
use crate::instance_unsafe::current;
use crate::memory_unsafe::{self, set_errno};
use crate::table_unsafe;
use libc::socklen_t;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

/// close(2)
#[unsafe(no_mangle)]
pub(crate) extern "C" fn close(fd: c_int) -> c_int {
    match if is_ours(fd) { current() } else { None } {
        Some(shim) => match shim.close(fd) {
            Ok(()) => 0,
            Err(errno) => {
                set_errno(errno);
                -1
            }
        },
        // SAFETY: the system call takes a number and fails with EBADF if it is nobody's.
        None => unsafe { libc::syscall(libc::SYS_close, fd) as c_int },
    }
}

/// system(3)
///
/// # Safety
/// `command` is null or a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn system(command: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { memory_unsafe::text(command) } {
        Some(command) => commands::run(&command),
        // There is a shell.
        None => 1,
    }
}

/// getsockopt(2)
///
/// # Safety
/// The C library's contract of this function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    match if is_ours(fd) { current() } else { None } {
        // SAFETY: the caller's promise; the instance lives as long as `shim`.
        Some(shim) => unsafe { table_unsafe::getsockopt(Arc::as_ptr(&shim), fd, level, name, value, len) },
        // SAFETY: the caller's promise is the system call's contract.
        None => unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, len) as c_int },
    }
}
