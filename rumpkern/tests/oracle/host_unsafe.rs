//! The host kernel's sockets, through the C library: what a case gives reaches the kernel octet by octet, also where
//! it makes no sense.

#![allow(unsafe_code)]

use crate::sockets::{Answer, Fd, Polled, Received, Sockets};
use rumpclient::sockaddr::SockAddr;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::ptr;

/// Sockets of this process; dropping closes them.
#[derive(Default)]
pub struct Host {
    open: BTreeSet<Fd>,
}

fn result<T: TryFrom<i64>>(ret: i64) -> Answer<T> {
    match T::try_from(ret) {
        Ok(value) if ret >= 0 => Ok(value),
        Ok(_) | Err(_) => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// Room for an address that the kernel tells, and the address.
struct Told {
    octets: [u8; 28],
    len: libc::socklen_t,
}

impl Told {
    fn new() -> Told {
        Told { octets: [0; 28], len: 28 }
    }

    fn addr(&self) -> Option<SocketAddr> {
        match SockAddr::decode(&self.octets[..self.len as usize]) {
            Ok(SockAddr::Inet(addr)) => Some(addr),
            Ok(SockAddr::Unspec) | Err(_) => None,
        }
    }
}

impl Host {
    fn opened(&mut self, ret: i32) -> Answer<Fd> {
        let fd = result(ret.into())?;
        self.open.insert(fd);
        Ok(fd)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for fd in std::mem::take(&mut self.open) {
            // SAFETY: a descriptor of ours, which nobody uses any more.
            unsafe { libc::close(fd as i32) };
        }
    }
}

impl Sockets for Host {
    fn socket(&mut self, domain: u32, kind: u32, protocol: u32) -> Answer<Fd> {
        // SAFETY: numbers only.
        let ret = unsafe { libc::socket(domain as i32, kind as i32, protocol as i32) };
        self.opened(ret)
    }

    fn bind(&mut self, fd: Fd, addr: &[u8]) -> Answer<()> {
        // SAFETY: pointer and length of one slice; the kernel checks the octets.
        let ret = unsafe { libc::bind(fd as i32, addr.as_ptr().cast(), addr.len() as libc::socklen_t) };
        result::<i64>(ret.into()).map(drop)
    }

    fn listen(&mut self, fd: Fd, backlog: i32) -> Answer<()> {
        // SAFETY: numbers only.
        result::<i64>(unsafe { libc::listen(fd as i32, backlog) }.into()).map(drop)
    }

    fn accept(&mut self, fd: Fd, flags: u32) -> Answer<(Fd, SocketAddr)> {
        let mut told = Told::new();
        let addr = told.octets.as_mut_ptr().cast();
        // SAFETY: room and length of one value that lives across the call.
        let ret = unsafe { libc::accept4(fd as i32, addr, &raw mut told.len, flags as i32) };
        let new = self.opened(ret)?;
        Ok((new, told.addr().expect("a peer has an address")))
    }

    fn connect(&mut self, fd: Fd, addr: &[u8]) -> Answer<()> {
        // SAFETY: pointer and length of one slice; the kernel checks the octets.
        let ret = unsafe { libc::connect(fd as i32, addr.as_ptr().cast(), addr.len() as libc::socklen_t) };
        result::<i64>(ret.into()).map(drop)
    }

    fn sendto(&mut self, fd: Fd, data: &[u8], flags: u32, to: Option<&[u8]>) -> Answer<usize> {
        let (addr, len) = to.map_or((ptr::null(), 0), |to| (to.as_ptr(), to.len()));
        let flags = flags as i32 | libc::MSG_NOSIGNAL;
        // SAFETY: pointers and lengths of two slices, or none; the kernel checks the octets.
        let ret = unsafe {
            let data = (data.as_ptr().cast(), data.len());
            libc::sendto(fd as i32, data.0, data.1, flags, addr.cast(), len as libc::socklen_t)
        };
        result(ret as i64)
    }

    fn recvmsg(&mut self, fd: Fd, buf: &mut [u8], flags: u32) -> Answer<Received> {
        let mut told = Told::new();
        let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        // SAFETY: all zeros is a message without parts.
        let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
        (msg.msg_name, msg.msg_namelen) = (told.octets.as_mut_ptr().cast(), told.len);
        (msg.msg_iov, msg.msg_iovlen) = (&raw mut iov, 1);
        // SAFETY: the message points to `told` and `buf`, which live across the call.
        let ret = result(unsafe { libc::recvmsg(fd as i32, &raw mut msg, flags as i32) } as i64)?;
        told.len = msg.msg_namelen;
        Ok(Received { ret, from: told.addr(), truncated: msg.msg_flags & libc::MSG_TRUNC != 0 })
    }

    fn shutdown(&mut self, fd: Fd, how: i32) -> Answer<()> {
        // SAFETY: numbers only.
        result::<i64>(unsafe { libc::shutdown(fd as i32, how) }.into()).map(drop)
    }

    fn close(&mut self, fd: Fd) -> Answer<()> {
        self.open.remove(&fd);
        // SAFETY: numbers only.
        result::<i64>(unsafe { libc::close(fd as i32) }.into()).map(drop)
    }

    fn dup(&mut self, fd: Fd) -> Answer<Fd> {
        // SAFETY: numbers only.
        let ret = unsafe { libc::dup(fd as i32) };
        self.opened(ret)
    }

    fn getsockname(&mut self, fd: Fd) -> Answer<SocketAddr> {
        let mut told = Told::new();
        let addr = told.octets.as_mut_ptr().cast();
        // SAFETY: room and length of one value that lives across the call.
        result::<i64>(unsafe { libc::getsockname(fd as i32, addr, &raw mut told.len) }.into())?;
        Ok(told.addr().expect("a socket has an address"))
    }

    fn getpeername(&mut self, fd: Fd) -> Answer<SocketAddr> {
        let mut told = Told::new();
        let addr = told.octets.as_mut_ptr().cast();
        // SAFETY: room and length of one value that lives across the call.
        result::<i64>(unsafe { libc::getpeername(fd as i32, addr, &raw mut told.len) }.into())?;
        Ok(told.addr().expect("a peer has an address"))
    }

    fn setsockopt(&mut self, fd: Fd, level: u32, name: u32, value: &[u8]) -> Answer<()> {
        let (octets, len) = (value.as_ptr().cast(), value.len() as libc::socklen_t);
        // SAFETY: pointer and length of one slice; the kernel checks the octets.
        let ret = unsafe { libc::setsockopt(fd as i32, level as i32, name as i32, octets, len) };
        result::<i64>(ret.into()).map(drop)
    }

    fn getsockopt(&mut self, fd: Fd, level: u32, name: u32, held: &[u8]) -> Answer<Vec<u8>> {
        let (mut value, mut len) = (held.to_vec(), held.len() as libc::socklen_t);
        let octets = value.as_mut_ptr().cast();
        // SAFETY: room and length of one value that lives across the call.
        let ret = unsafe { libc::getsockopt(fd as i32, level as i32, name as i32, octets, &raw mut len) };
        result::<i64>(ret.into())?;
        value.truncate(len as usize);
        Ok(value)
    }

    fn poll(&mut self, fds: &mut [Polled], timeout: i32) -> Answer<usize> {
        let asked = |fd: &Polled| libc::pollfd { fd: fd.fd as i32, events: fd.events as i16, revents: 0 };
        let mut array: Vec<libc::pollfd> = fds.iter().map(asked).collect();
        // SAFETY: pointer and length of one array.
        let ret = unsafe { libc::poll(array.as_mut_ptr(), array.len() as libc::nfds_t, timeout) };
        for (fd, told) in fds.iter_mut().zip(array) {
            fd.revents = told.revents as u16;
        }
        result(ret.into())
    }

    fn fcntl(&mut self, fd: Fd, command: u32, argument: u32) -> Answer<u32> {
        // SAFETY: numbers only.
        result(unsafe { libc::fcntl(fd as i32, command as i32, argument) }.into())
    }

    fn ioctl(&mut self, fd: Fd, request: u32, mut argument: i32) -> Answer<i32> {
        // SAFETY: room and length of one value that lives across the call.
        let ret = unsafe { libc::ioctl(fd as i32, request.into(), &raw mut argument) };
        result::<i32>(ret.into()).map(|_| argument)
    }
}
