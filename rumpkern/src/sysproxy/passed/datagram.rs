//! Passed datagram sockets: UDP, ICMP, raw and packet sockets, netlink.
//!
//! A datagram is a message of the pair, and nothing but its octets is in it, so that plain `read` and `write` work. Who sent it is
//! asked for later, by whoever intercepts `recvfrom` and `recvmsg`: the program's end stamps what it is given with the time
//! (SO_TIMESTAMPNS), and the node remembers between which two times it handed each datagram on.

use super::{Passed, Passing, Phase, SEND_BUFFER, first};
use crate::syscall::{Errno, MsgFlags, RecvMeta, SendMeta};
use nix::sys::socket::sockopt::ReceiveTimestampns;
use rustix::io::Errno as HostErrno;
use rustix::net::{RecvFlags as HostRecv, SendFlags, sockopt};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Octets of the largest datagram, or message of netlink.
const LARGEST: usize = 256 * 1024;
/// Datagrams that are remembered: more than a pair can hold.
const REMEMBERED: usize = 1024;

/// What came with a datagram that was handed on between two times (nanoseconds since the Unix epoch).
pub(super) struct Meta {
    after: u64,
    before: u64,
    meta: RecvMeta,
}

/// Makes a new pair what a datagram socket's pair is.
pub(super) fn prepare(near: &OwnedFd, end: &OwnedFd) -> Result<(), HostErrno> {
    for fd in [near, end] {
        sockopt::set_socket_send_buffer_size(fd, SEND_BUFFER)?;
    }
    nix::sys::socket::setsockopt(end, ReceiveTimestampns, &true)
        .map_err(|errno| HostErrno::from_raw_os_error(errno as i32))
}

/// A datagram socket, until the program has closed it.
pub(super) async fn live(passing: &Rc<Passing>, passed: &Rc<Passed>) {
    let Some(near) = passed.near() else { return };
    let gone = async {
        passed.leaves(Phase::Carrying).await;
    };
    let to_program = async {
        let mut buffer = vec![0; LARGEST];
        loop {
            let meta = match passing.sys.recvmsg(passed.fd, &mut buffer, MsgFlags::empty()).await {
                Ok(meta) => meta,
                Err(Errno::EBADF) => return,
                Err(errno) => {
                    passed.failed(errno);
                    continue;
                }
            };
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut after = 0;
            let sent = near.write_with(|near| {
                after = unix_now();
                rustix::net::send(near, &buffer[..meta.len], flags)
            });
            let sent = sent.await;
            passed.remember(Meta { after, before: unix_now(), meta });
            if sent == Err(HostErrno::CONNREFUSED) {
                return;
            }
        }
    };
    let to_node = async {
        let mut buffer = vec![0; LARGEST];
        loop {
            let received =
                near.read_with(|near| rustix::net::recv(near, &mut buffer[..], HostRecv::DONTWAIT));
            let Ok((octets, _)) = received.await else { return };
            let to_peer = SendMeta::default();
            let sent = passing.sys.sendmsg(passed.fd, &buffer[..octets], MsgFlags::empty(), &to_peer);
            match sent.await {
                Ok(_) => {}
                Err(Errno::EBADF) => return,
                Err(errno) => passed.failed(errno),
            }
        }
    };
    first(gone, first(to_program, to_node)).await;
}

impl Passed {
    fn remember(&self, meta: Meta) {
        let mut metas = self.metas.borrow_mut();
        if metas.len() == REMEMBERED {
            metas.pop_front();
        }
        metas.push_back(meta);
    }

    /// What came with the datagram that was stamped with `stamp`. Those handed on before it are forgotten: a queue is read in order.
    pub(super) fn meta(&self, stamp: u64) -> Option<RecvMeta> {
        let mut metas = self.metas.borrow_mut();
        let at = metas.iter().position(|meta| (meta.after..=meta.before).contains(&stamp))?;
        metas.drain(..at);
        // It may have been only looked at (MSG_PEEK).
        metas.front().map(|meta| meta.meta)
    }

    /// An error that no call of the program's has told yet.
    fn failed(&self, errno: Errno) {
        self.error.set(Some(errno));
    }

    /// SO_ERROR of what was carried.
    pub(in crate::sysproxy) fn take_error(&self) -> Option<Errno> {
        self.error.take()
    }
}

fn unix_now() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
