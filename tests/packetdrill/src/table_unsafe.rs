//! The table of functions that packetdrill calls in place of the C library's: `struct
//! packetdrill_interface`.
//!
//! Each takes the table's `userdata`, which is our [`Shim`], and else what the function of that name takes.
//! A failure is -1 with `errno` set in the calling thread.
//!
//! `fcntl` and `ioctl` are variadic there. On x86-64 (System V) and AArch64 (AAPCS64, not Apple's) a
//! variadic call passes an integer or a pointer in the third slot as any other call does, so a function of
//! three arguments after `userdata` and the descriptor receives it; called with fewer it receives what the
//! register held, which no command without an argument looks at.

#![allow(unsafe_code)]

use crate::instance_unsafe;
use crate::memory_unsafe::{self, set_errno};
use crate::shim::{Received, Shim};
use crate::tun::EPOCH_NS;
use libc::{epoll_event, iovec, msghdr, pollfd, size_t, sockaddr, socklen_t, ssize_t, timeval, useconds_t};
use netstack::time::{Duration, Instant};
use rumpclient::sockaddr::SockAddrBuf;
use rumpkern::syscall::Errno;
use std::ffi::{c_char, c_int, c_longlong, c_uint, c_ulong, c_void};

/// What every function gets first.
type User = *const Shim;

/// The table. Its order is packetdrill's.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Table {
    userdata: User,
    free: extern "C" fn(User),
    socket: extern "C" fn(User, c_int, c_int, c_int) -> c_int,
    bind: unsafe extern "C" fn(User, c_int, *const sockaddr, socklen_t) -> c_int,
    listen: extern "C" fn(User, c_int, c_int) -> c_int,
    accept: unsafe extern "C" fn(User, c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    connect: unsafe extern "C" fn(User, c_int, *const sockaddr, socklen_t) -> c_int,
    read: unsafe extern "C" fn(User, c_int, *mut c_void, size_t) -> ssize_t,
    readv: unsafe extern "C" fn(User, c_int, *const iovec, c_int) -> ssize_t,
    recv: unsafe extern "C" fn(User, c_int, *mut c_void, size_t, c_int) -> ssize_t,
    recvfrom: unsafe extern "C" fn(
        User,
        c_int,
        *mut c_void,
        size_t,
        c_int,
        *mut sockaddr,
        *mut socklen_t,
    ) -> ssize_t,
    recvmsg: unsafe extern "C" fn(User, c_int, *mut msghdr, c_int) -> ssize_t,
    write: unsafe extern "C" fn(User, c_int, *const c_void, size_t) -> ssize_t,
    writev: unsafe extern "C" fn(User, c_int, *const iovec, c_int) -> ssize_t,
    send: unsafe extern "C" fn(User, c_int, *const c_void, size_t, c_int) -> ssize_t,
    sendto: unsafe extern "C" fn(
        User,
        c_int,
        *const c_void,
        size_t,
        c_int,
        *const sockaddr,
        socklen_t,
    ) -> ssize_t,
    sendmsg: unsafe extern "C" fn(User, c_int, *const msghdr, c_int) -> ssize_t,
    fcntl: extern "C" fn(User, c_int, c_int, usize) -> c_int,
    ioctl: unsafe extern "C" fn(User, c_int, c_ulong, *mut c_int) -> c_int,
    close: extern "C" fn(User, c_int) -> c_int,
    shutdown: extern "C" fn(User, c_int, c_int) -> c_int,
    getsockopt: unsafe extern "C" fn(User, c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int,
    setsockopt: unsafe extern "C" fn(User, c_int, c_int, c_int, *const c_void, socklen_t) -> c_int,
    poll: unsafe extern "C" fn(User, *mut pollfd, c_ulong, c_int) -> c_int,
    netdev_send: unsafe extern "C" fn(User, *const c_void, size_t) -> c_int,
    netdev_receive: unsafe extern "C" fn(User, *mut c_void, *mut size_t, *mut c_longlong) -> c_int,
    usleep: extern "C" fn(User, useconds_t) -> c_int,
    gettimeofday: unsafe extern "C" fn(User, *mut timeval, *mut c_void) -> c_int,
    epoll_create: extern "C" fn(User, c_int) -> c_int,
    epoll_ctl: unsafe extern "C" fn(User, c_int, c_int, c_int, *const epoll_event) -> c_int,
    epoll_wait: unsafe extern "C" fn(User, c_int, *mut epoll_event, c_int, c_int) -> c_int,
    pipe: unsafe extern "C" fn(User, *mut c_int) -> c_int,
    splice: extern "C" fn(User, c_int, *mut c_void, c_int, *mut c_void, size_t, c_uint) -> ssize_t,
}

/// What packetdrill looks up by this name: fills in the table, for the flags of its `--so_flags`. Flags
/// that are not understood end the process: the function cannot say no.
///
/// # Safety
/// `flags` is null or a C string; `table` has room for the table.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn packetdrill_interface_init(flags: *const c_char, table: *mut Table) {
    // SAFETY: the caller's promise.
    let flags = unsafe { memory_unsafe::text(flags) }.unwrap_or_default();
    let userdata = instance_unsafe::start(&flags);
    let filled = Table {
        userdata,
        free,
        socket,
        bind,
        listen,
        accept,
        connect,
        read,
        readv,
        recv,
        recvfrom,
        recvmsg,
        write,
        writev,
        send,
        sendto,
        sendmsg,
        fcntl,
        ioctl,
        close,
        shutdown,
        getsockopt,
        setsockopt,
        poll,
        netdev_send,
        netdev_receive,
        usleep,
        gettimeofday,
        epoll_create,
        epoll_ctl,
        epoll_wait,
        pipe,
        splice,
    };
    // SAFETY: the caller's promise.
    unsafe { memory_unsafe::write(table, filled) };
}

/// -1 and errno, or the value.
fn int<T: TryInto<c_int>>(done: Result<T, Errno>) -> c_int {
    done.map(|value| value.try_into().unwrap_or(c_int::MAX)).unwrap_or_else(|errno| {
        set_errno(errno);
        -1
    })
}

fn size(done: Result<usize, Errno>) -> ssize_t {
    done.map(usize::cast_signed).unwrap_or_else(|errno| {
        set_errno(errno);
        -1
    })
}

fn none(done: Result<(), Errno>) -> c_int {
    int(done.map(|()| 0))
}

fn shim<'a>(user: User) -> &'a Shim {
    // SAFETY: what `packetdrill_interface_init` put into the table, which lives until `free`, the last call.
    unsafe { &*user }
}

extern "C" fn free(user: User) {
    instance_unsafe::end(user);
}

extern "C" fn socket(user: User, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    int(shim(user).socket(domain, kind, protocol))
}

unsafe extern "C" fn bind(user: User, fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: the C library's contract of this function.
    let addr = unsafe { memory_unsafe::octets(addr.cast(), len as usize) };
    none(addr.and_then(|addr| shim(user).bind(fd, &addr)))
}

extern "C" fn listen(user: User, fd: c_int, backlog: c_int) -> c_int {
    none(shim(user).listen(fd, backlog))
}

unsafe extern "C" fn accept(user: User, fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let accepted = shim(user).accept(fd);
    int(accepted.and_then(|(new, peer)| {
        // SAFETY: the C library's contract of this function.
        unsafe { put_address(&peer, addr.cast(), len) }?;
        Ok(new)
    }))
}

unsafe extern "C" fn connect(user: User, fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: the C library's contract of this function.
    let addr = unsafe { memory_unsafe::octets(addr.cast(), len as usize) };
    none(addr.and_then(|addr| shim(user).connect(fd, &addr)))
}

/// # Safety
/// As [`memory_unsafe::put_value`].
unsafe fn put_address(addr: &SockAddrBuf, to: *mut c_void, len: *mut socklen_t) -> Result<(), Errno> {
    if to.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { memory_unsafe::put_value(addr.as_octets(), to, len, true) }
}

// ---- octets in ---------------------------------------------------------------------------------------

unsafe extern "C" fn read(user: User, fd: c_int, data: *mut c_void, len: size_t) -> ssize_t {
    // SAFETY: the C library's contract of this function.
    unsafe { recv(user, fd, data, len, 0) }
}

unsafe extern "C" fn recv(user: User, fd: c_int, data: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the C library's contract of this function.
    unsafe { recvfrom(user, fd, data, len, flags, std::ptr::null_mut(), std::ptr::null_mut()) }
}

unsafe extern "C" fn recvfrom(
    user: User,
    fd: c_int,
    data: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> ssize_t {
    let received = shim(user).recv(fd, len, flags);
    size(received.and_then(|Received { octets, from, ret, .. }| {
        // SAFETY: the C library's contract of this function.
        unsafe {
            memory_unsafe::put(&octets, data, len)?;
            match from {
                Some(from) => put_address(&from.into(), addr.cast(), addr_len)?,
                // A stream tells no sender, as on Linux.
                None if !addr.is_null() => memory_unsafe::write(addr_len, 0),
                None => {}
            }
        }
        Ok(ret)
    }))
}

unsafe extern "C" fn readv(user: User, fd: c_int, iov: *const iovec, count: c_int) -> ssize_t {
    let mut msg = message(iov, count);
    // SAFETY: the C library's contract of this function; the message is ours.
    unsafe { recvmsg(user, fd, &raw mut msg, 0) }
}

unsafe extern "C" fn recvmsg(user: User, fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the C library's contract of this function: the message, its buffers and its address are valid.
    let received = unsafe {
        memory_unsafe::read(msg).ok_or(Errno::EFAULT).and_then(|mut head| {
            let buffers = memory_unsafe::buffers(head.msg_iov, head.msg_iovlen)?;
            let received = shim(user).recv(fd, memory_unsafe::room(&buffers), flags)?;
            memory_unsafe::scatter(&received.octets, &buffers)?;
            match received.from {
                Some(from) => put_address(&from.into(), head.msg_name, &raw mut head.msg_namelen)?,
                None => head.msg_namelen = 0,
            }
            // Nothing is told beside the octets.
            head.msg_controllen = 0;
            head.msg_flags = if received.truncated { libc::MSG_TRUNC } else { 0 };
            memory_unsafe::write(msg, head);
            Ok(received.ret)
        })
    };
    size(received)
}

/// The message that `readv` and `writev` mean.
fn message(iov: *const iovec, count: c_int) -> msghdr {
    msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: iov.cast_mut(),
        // Fewer than none is too many.
        msg_iovlen: usize::try_from(count).unwrap_or(usize::MAX),
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    }
}

// ---- octets out --------------------------------------------------------------------------------------

unsafe extern "C" fn write(user: User, fd: c_int, data: *const c_void, len: size_t) -> ssize_t {
    // SAFETY: the C library's contract of this function.
    unsafe { sendto(user, fd, data, len, 0, std::ptr::null(), 0) }
}

unsafe extern "C" fn send(user: User, fd: c_int, data: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the C library's contract of this function.
    unsafe { sendto(user, fd, data, len, flags, std::ptr::null(), 0) }
}

unsafe extern "C" fn sendto(
    user: User,
    fd: c_int,
    data: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addr_len: socklen_t,
) -> ssize_t {
    // SAFETY: the C library's contract of this function.
    let arguments = unsafe {
        memory_unsafe::octets(data, len).and_then(|octets| Ok((octets, address(addr.cast(), addr_len)?)))
    };
    size(arguments.and_then(|(octets, to)| shim(user).send(fd, octets, flags, to.as_deref())))
}

/// # Safety
/// As [`memory_unsafe::octets`].
unsafe fn address(addr: *const c_void, len: socklen_t) -> Result<Option<Vec<u8>>, Errno> {
    if addr.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { memory_unsafe::octets(addr, len as usize) }.map(Some)
}

unsafe extern "C" fn writev(user: User, fd: c_int, iov: *const iovec, count: c_int) -> ssize_t {
    let msg = message(iov, count);
    // SAFETY: the C library's contract of this function; the message is ours.
    unsafe { sendmsg(user, fd, &raw const msg, 0) }
}

unsafe extern "C" fn sendmsg(user: User, fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the C library's contract of this function: the message, its buffers and its address are valid.
    let arguments = unsafe {
        memory_unsafe::read(msg).ok_or(Errno::EFAULT).and_then(|head| {
            let buffers = memory_unsafe::buffers(head.msg_iov, head.msg_iovlen)?;
            Ok((memory_unsafe::gather(&buffers)?, address(head.msg_name, head.msg_namelen)?))
        })
    };
    size(arguments.and_then(|(octets, to)| shim(user).send(fd, octets, flags, to.as_deref())))
}

// ---- descriptors and options -------------------------------------------------------------------------

extern "C" fn fcntl(user: User, fd: c_int, command: c_int, argument: usize) -> c_int {
    int(shim(user).fcntl(fd, command, argument))
}

unsafe extern "C" fn ioctl(user: User, fd: c_int, request: c_ulong, value: *mut c_int) -> c_int {
    if request == libc::FIONBIO {
        // SAFETY: the C library's contract of this request: the argument is an int's address.
        let on = unsafe { memory_unsafe::read(value) };
        return none(on.ok_or(Errno::EFAULT).and_then(|on| shim(user).set_nonblocking(fd, on != 0)));
    }
    none(shim(user).ioctl(fd, request).map(|told| {
        // SAFETY: the same of those that the shim knows.
        unsafe { memory_unsafe::write(value, told) };
    }))
}

extern "C" fn close(user: User, fd: c_int) -> c_int {
    none(shim(user).close(fd))
}

extern "C" fn shutdown(user: User, fd: c_int, how: c_int) -> c_int {
    none(shim(user).shutdown(fd, how))
}

/// Also what libc's function of this name comes to, for a descriptor of ours.
///
/// # Safety
/// The C library's contract of this function; `user` is an instance.
pub(crate) unsafe extern "C" fn getsockopt(
    user: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    let octets = shim(user).getsockopt(fd, level, name);
    // SAFETY: the C library's contract of this function.
    none(octets.and_then(|octets| unsafe { memory_unsafe::put_value(&octets, value, len, false) }))
}

unsafe extern "C" fn setsockopt(
    user: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    // SAFETY: the C library's contract of this function.
    let octets = unsafe { memory_unsafe::octets(value, len as usize) };
    none(octets.and_then(|octets| shim(user).setsockopt(fd, level, name, octets)))
}

unsafe extern "C" fn pipe(user: User, ends: *mut c_int) -> c_int {
    none(shim(user).pipe().map(|[reader, writer]| {
        // SAFETY: the C library's contract of this function: there is room for two.
        unsafe { memory_unsafe::write(ends.cast::<[c_int; 2]>(), [reader, writer]) };
    }))
}

/// The offsets of what can seek, which nothing here can, are not looked at.
extern "C" fn splice(
    user: User,
    from: c_int,
    _: *mut c_void,
    to: c_int,
    _: *mut c_void,
    len: size_t,
    flags: c_uint,
) -> ssize_t {
    size(shim(user).splice(from, to, len, flags))
}

// ---- readiness ---------------------------------------------------------------------------------------

/// Milliseconds; negative: for ever.
fn timeout(ms: c_int) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

unsafe extern "C" fn poll(user: User, fds: *mut pollfd, count: c_ulong, ms: c_int) -> c_int {
    let fds: &mut [pollfd] = match (fds.is_null(), count) {
        (_, 0) => &mut [],
        (true, _) => return none(Err(Errno::EFAULT)),
        // SAFETY: the C library's contract of this function: `count` entries.
        (false, _) => unsafe { std::slice::from_raw_parts_mut(fds, count as usize) },
    };
    let asked: Vec<_> = fds.iter().map(|poll| (poll.fd, poll.events.cast_unsigned())).collect();
    int(shim(user).poll(&asked, timeout(ms)).map(|told| {
        for (poll, told) in fds.iter_mut().zip(&told) {
            poll.revents = told.cast_signed();
        }
        told.iter().filter(|told| **told != 0).count()
    }))
}

extern "C" fn epoll_create(user: User, size: c_int) -> c_int {
    int(if size > 0 { shim(user).epoll_create() } else { Err(Errno::EINVAL) })
}

unsafe extern "C" fn epoll_ctl(
    user: User,
    set: c_int,
    op: c_int,
    fd: c_int,
    event: *const epoll_event,
) -> c_int {
    // SAFETY: the C library's contract of this function; the structure has the alignment of an octet
    // (packed).
    let event = unsafe { memory_unsafe::read(event) };
    let event = event.map_or((0, 0), |event| (event.events, event.u64));
    none(shim(user).epoll_ctl(set, op, fd, event))
}

unsafe extern "C" fn epoll_wait(
    user: User,
    set: c_int,
    events: *mut epoll_event,
    most: c_int,
    ms: c_int,
) -> c_int {
    let room = usize::try_from(most).unwrap_or(0);
    int(shim(user).epoll_wait(set, room, timeout(ms)).map(|told| {
        for (n, (bits, word)) in told.iter().enumerate() {
            // SAFETY: the C library's contract of this function: room for `most` entries, of which these
            // are the first.
            unsafe {
                memory_unsafe::write(events.wrapping_add(n), epoll_event { events: *bits, u64: *word })
            };
        }
        told.len()
    }))
}

// ---- the wire, and time ------------------------------------------------------------------------------

unsafe extern "C" fn netdev_send(user: User, packet: *const c_void, len: size_t) -> c_int {
    // SAFETY: packetdrill's contract: `len` octets of a packet.
    let packet = unsafe { memory_unsafe::octets(packet, len) };
    none(packet.and_then(|packet| shim(user).netdev_send(packet)))
}

/// No packet: 0 octets, after patience has come to its end.
unsafe extern "C" fn netdev_receive(
    user: User,
    packet: *mut c_void,
    len: *mut size_t,
    micros: *mut c_longlong,
) -> c_int {
    none(shim(user).netdev_receive().and_then(|received| {
        // SAFETY: packetdrill's contract: room for as many octets as `len` says; it is told how many came,
        // and when.
        unsafe {
            let room = memory_unsafe::read(len).ok_or(Errno::EFAULT)?;
            let (at, octets) = received.unwrap_or_default();
            memory_unsafe::write(len, memory_unsafe::put(&octets, packet, room)?);
            memory_unsafe::write(micros, (since_1970(at).as_micros()) as c_longlong);
        }
        Ok(())
    }))
}

extern "C" fn usleep(user: User, micros: useconds_t) -> c_int {
    none(shim(user).usleep(micros.into()))
}

unsafe extern "C" fn gettimeofday(user: User, time: *mut timeval, _zone: *mut c_void) -> c_int {
    none(shim(user).now().map(|now| {
        let now = since_1970(now);
        let told = timeval { tv_sec: now.as_secs() as i64, tv_usec: now.subsec_micros().into() };
        // SAFETY: the C library's contract of this function.
        unsafe { memory_unsafe::write(time, told) };
    }))
}

fn since_1970(now: Instant) -> Duration {
    Duration::from_nanos(EPOCH_NS + now.as_nanos())
}
