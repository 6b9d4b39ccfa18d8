//! The caller's memory: what its pointers name, copied in and out.
//!
//! Everything here trusts the C library's contract, as a kernel cannot: a pointer is null or good for as many
//! octets as the argument beside it says.

#![allow(unsafe_code)]

use rumpkern::syscall::Errno;
use std::ffi::{CStr, c_char, c_void};

/// The octets at `data`. EFAULT: null, and not empty.
///
/// # Safety
/// `data` is null or readable for `len` octets.
pub(crate) unsafe fn octets(data: *const c_void, len: usize) -> Result<Vec<u8>, Errno> {
    match (data.is_null(), len) {
        (_, 0) => Ok(Vec::new()),
        (true, _) => Err(Errno::EFAULT),
        // SAFETY: not null, so readable for `len` octets as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec()),
    }
}

/// Copies as many of `octets` as there is room for to `data`; how many that was.
///
/// # Safety
/// `data` is null or writable for `room` octets.
pub(crate) unsafe fn put(octets: &[u8], data: *mut c_void, room: usize) -> Result<usize, Errno> {
    let n = octets.len().min(room);
    match (data.is_null(), n) {
        (_, 0) => Ok(0),
        (true, _) => Err(Errno::EFAULT),
        (false, _) => {
            // SAFETY: not null, so writable for `room`, at least `n`, octets; what is copied is ours, hence
            // elsewhere.
            unsafe { data.cast::<u8>().copy_from_nonoverlapping(octets.as_ptr(), n) };
            Ok(n)
        }
    }
}

/// Writes a value.
///
/// # Safety
/// `place` is null or writable and aligned for a `T`.
pub(crate) unsafe fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not null, so writable and aligned as the caller promises.
        unsafe { place.write(value) };
    }
}

/// Reads a value; `None`: null.
///
/// # Safety
/// `place` is null or a valid `T`.
pub(crate) unsafe fn read<T: Copy>(place: *const T) -> Option<T> {
    // SAFETY: not null, so a valid `T` as the caller promises.
    (!place.is_null()).then(|| unsafe { place.read() })
}

/// A value and its length, as `accept`, `recvfrom` and `getsockopt` tell them: cut to the room that the
/// length said there is. `whole`: the length told is that of the whole value (addresses), else of what was
/// written (options).
///
/// # Safety
/// `len` is null or a valid length; `data` is null or writable for so many octets.
pub(crate) unsafe fn put_value(
    octets: &[u8],
    data: *mut c_void,
    len: *mut libc::socklen_t,
    whole: bool,
) -> Result<(), Errno> {
    // SAFETY: the caller's promises are those of `read`, `put` and `write`.
    unsafe {
        let Some(room) = read(len) else { return Ok(()) };
        let written = put(octets, data, room as usize)?;
        write(len, if whole { octets.len() } else { written } as libc::socklen_t);
    }
    Ok(())
}

/// The buffers of a vector. EINVAL: fewer than none.
///
/// # Safety
/// `iov` is null or points to `count` valid entries.
pub(crate) unsafe fn buffers(iov: *const libc::iovec, count: usize) -> Result<Vec<libc::iovec>, Errno> {
    match (iov.is_null(), count) {
        (_, 0) => Ok(Vec::new()),
        (_, 1025..) => Err(Errno::EINVAL),
        (true, _) => Err(Errno::EFAULT),
        // SAFETY: not null, so `count` valid entries as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(iov, count) }.to_vec()),
    }
}

/// The octets that a vector holds.
///
/// # Safety
/// Each buffer is null or readable for its length.
pub(crate) unsafe fn gather(buffers: &[libc::iovec]) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    for buffer in buffers {
        // SAFETY: the caller's promise.
        all.extend(unsafe { octets(buffer.iov_base, buffer.iov_len) }?);
    }
    Ok(all)
}

/// Room in a vector.
pub(crate) fn room(buffers: &[libc::iovec]) -> usize {
    buffers.iter().map(|buffer| buffer.iov_len).sum()
}

/// Copies `octets` to a vector, in order.
///
/// # Safety
/// Each buffer is null or writable for its length.
pub(crate) unsafe fn scatter(mut octets: &[u8], buffers: &[libc::iovec]) -> Result<(), Errno> {
    for buffer in buffers {
        // SAFETY: the caller's promise.
        let n = unsafe { put(octets, buffer.iov_base, buffer.iov_len) }?;
        octets = &octets[n..];
    }
    Ok(())
}

/// A C string; `None`: null.
///
/// # Safety
/// `text` is null or ends with a NUL.
pub(crate) unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: not null, so it ends with a NUL as the caller promises.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: the address of the thread's own errno, always valid.
    unsafe { *libc::__errno_location() = errno.number() };
}
