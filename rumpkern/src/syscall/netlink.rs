//! Netlink sockets ([`crate::netlink`]): calls with their own addresses, and the options of SOL_NETLINK and SOL_SOCKET in
//! Linux's numbers.
//!
//! The calls of all sockets (`send`, `recv`, `poll`, `close` …) work too: then what is sent goes to the kernel, or to whom
//! the socket is connected, nothing says from whom something came, and dumps come in pieces that fit any reader.

use super::block::Asleep;
use super::{Errno, Fd, MsgFlags, Sys, packet_abi};
use crate::netlink::socket::{AF_NETLINK, Options};
use crate::netlink::{NlAddr, Protocol, Received, Socket};
use crate::proc::filedesc::{File, Kind};
use netstack::Ready;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// `SOL_SOCKET`, `SOL_NETLINK`.
const SOCKET: u32 = 1;
const NETLINK: u32 = 270;

impl Sys {
    /// A new netlink socket; `kind` is SOCK_RAW (3) or SOCK_DGRAM (2), which are the same.
    pub fn netlink_socket(&self, kind: u32, protocol: Protocol) -> Result<Fd, Errno> {
        self.open(Kind::Netlink(self.kernel.netlink_socket(self.getpid(), kind, protocol)))
    }

    /// The netlink socket behind a descriptor. EOPNOTSUPP: another kind of socket, ENOTSOCK: none.
    pub fn netlink(&self, fd: Fd) -> Result<Rc<Socket>, Errno> {
        self.netlink_of(fd).map(|(_, socket)| socket)
    }

    fn netlink_of(&self, fd: Fd) -> Result<(Rc<File>, Rc<Socket>), Errno> {
        let file = self.file(fd)?;
        let socket = match &file.kind {
            Kind::Netlink(socket) => socket.clone(),
            Kind::Socket(..) => return Err(Errno::EOPNOTSUPP),
            Kind::Sink(_) | Kind::Null => return Err(Errno::ENOTSOCK),
        };
        Ok((file, socket))
    }

    /// bind(2): port 0 asks for a free one, the groups are joined.
    pub fn netlink_bind(&self, fd: Fd, addr: NlAddr) -> Result<(), Errno> {
        self.kernel.netlink_bind(&self.netlink(fd)?, addr)
    }

    /// connect(2): where `send` without an address goes.
    pub fn netlink_connect(&self, fd: Fd, addr: NlAddr) -> Result<(), Errno> {
        self.kernel.netlink_connect(&self.netlink(fd)?, addr);
        Ok(())
    }

    /// Sends requests to the kernel (port 0), or anything to another socket. The answers are there when it returns.
    pub fn netlink_send(&self, fd: Fd, octets: &[u8], to: Option<NlAddr>) -> Result<usize, Errno> {
        self.kernel.netlink_send(&self.netlink(fd)?, octets, to)
    }

    /// Receives a datagram, whole: what does not fit into the program's buffer of `room` octets is for the caller to cut.
    /// Pieces of dumps are as long as that buffer. ENOBUFS: something was lost.
    pub async fn netlink_recv(&self, fd: Fd, room: usize, flags: MsgFlags) -> Result<Received, Errno> {
        let (file, socket) = self.netlink_of(fd)?;
        let blocking = self.blocking(&file, Ready::READ, flags);
        self.kernel.turn().await;
        let mut asleep = Asleep::new(&self.kernel);
        poll_fn(|cx| {
            asleep.wake();
            if file.descriptors.get() == 0 {
                return Poll::Ready(Err(Errno::EBADF));
            }
            let received = if flags.contains(MsgFlags::PEEK) { socket.peek() } else { socket.recv(room) };
            match received {
                Err(Errno::EAGAIN) => {}
                done => return Poll::Ready(done),
            }
            if blocking.never || blocking.until.is_some_and(|until| until <= self.kernel.clock()) {
                return Poll::Ready(Err(Errno::EAGAIN));
            }
            asleep.on_netlink(&socket, cx);
            if let Some(until) = blocking.until {
                asleep.until(until, cx);
            }
            Poll::Pending
        })
        .await
    }
}

/// setsockopt(2)
pub(super) fn set(sys: &Sys, fd: Fd, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
    let socket = sys.netlink(fd)?;
    let word = value.first_chunk().map(|word| i32::from_le_bytes(*word));
    let on = || word.map(|word| word != 0).ok_or(Errno::EINVAL);
    // As Linux: read as unsigned.
    let number = || word.map(|word| word as u32).ok_or(Errno::EINVAL);
    match (level, name) {
        (SOCKET, 7 | 32) => socket.set_send_buffer(number()? as usize),
        (SOCKET, 8 | 33) => socket.set_receive_buffer(number()? as usize),
        // SO_PASSCRED and time stamps: nobody here reads what would be told. SO_REUSEADDR, SO_PRIORITY, SO_MARK.
        (SOCKET, 2 | 12 | 16 | 29 | 35 | 36) => drop(on()?),
        (SOCKET, 26) => socket.set_filter(Some(packet_abi::filter(value)?))?,
        (SOCKET, 27) => socket.set_filter(None)?,
        (SOCKET, 44) => socket.lock_filter(on()?)?,
        (NETLINK, 1) => socket.set_member(number()?, true)?,
        (NETLINK, 2) => socket.set_member(number()?, false)?,
        (NETLINK, name) => socket.set_option(option(name).ok_or(Errno::ENOPROTOOPT)?, on()?),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// getsockopt(2)
pub(super) fn get(sys: &Sys, fd: Fd, level: u32, name: u32) -> Result<Vec<u8>, Errno> {
    let socket = sys.netlink(fd)?;
    let int = |value: usize| Ok(u32::try_from(value).unwrap_or(i32::MAX as u32).to_le_bytes().to_vec());
    match (level, name) {
        (SOCKET, 3) => int(socket.kind() as usize),
        (SOCKET, 4) => int(socket.take_error().map_or(0, |errno| errno.number() as usize)),
        (SOCKET, 7) => int(socket.send_buffer()),
        (SOCKET, 8) => int(socket.receive_buffer()),
        (SOCKET, 2 | 12 | 16 | 29 | 30 | 35 | 36) => int(0),
        (SOCKET, 26) => Ok(packet_abi::told(socket.filter().as_ref())),
        (SOCKET, 44) => int(socket.filter_locked().into()),
        (SOCKET, 38) => int(socket.protocol().number() as usize),
        (SOCKET, 39) => int(AF_NETLINK.into()),
        // NETLINK_LIST_MEMBERSHIPS
        (NETLINK, 9) => Ok(socket.groups().to_le_bytes().to_vec()),
        (NETLINK, name) => {
            let option = option(name).ok_or(Errno::ENOPROTOOPT)?;
            int(usize::from(socket.options().contains(option)))
        }
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// The option with this number.
fn option(number: u32) -> Option<Options> {
    let bit = 1u32.checked_shl(number)?;
    Options::from_bits(bit)
}
