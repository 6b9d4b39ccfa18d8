//! Sockets whose ends a program has given to another session's, as their own session sees them: found by the inode, told of, and kept when
//! its client has left.

use super::{Passing, Phase, SWEEP};
use crate::syscall::{Errno, Fd, SockType, socket_abi, sockopt_abi};
use crate::sysproxy::call::answer;
use rumpclient::msg::{self, Body};
use rumpclient::wire::Header;

impl Passing {
    /// The socket whose end has this inode.
    pub(in super::super) fn by_inode(&self, inode: u64) -> Option<Fd> {
        self.sockets.borrow().values().find(|passed| passed.inode == inode).map(|passed| passed.fd)
    }

    /// What whoever has met a socket's end must know of it, as the answer to `asked`.
    pub(in super::super) fn tell(&self, asked: &Header, sid: u32, fd: Fd) -> Result<Vec<u8>, Errno> {
        let passed = self.get(fd).ok_or(Errno::EBADF)?;
        let option = |level, name| {
            let value = sockopt_abi::get(&self.sys, fd, level, name).unwrap_or_default();
            value.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
        };
        // SO_DOMAIN, SO_TYPE, SO_PROTOCOL; SO_ACCEPTCONN.
        let socket = [option(1, 39), option(1, 3), option(1, 38)];
        let peer = socket_abi::getpeername(&self.sys, fd).is_ok();
        let mut flags =
            if option(1, 30) != 0 { msg::LISTENS } else { 0 } | if peer { msg::CONNECTED } else { 0 };
        for (nth, (level, name)) in msg::TOLD_OPTIONS.into_iter().enumerate() {
            flags |= u32::from(option(level, name) != 0) * (msg::TOLD << nth);
        }
        let outside = passed.kind == SockType::Stream && passed.phase.get() == Phase::Outside;
        let door = if outside { Some(self.door()?) } else { None };
        let body =
            Body { socket: Some(socket), flags: Some(flags), data: door.as_deref(), ..Body::default() };
        Ok(answer(asked, sid.into(), &body))
    }

    /// The program has given its end to another session's, or has begun to.
    pub(in super::super) fn hand_on(&self, fd: Fd) -> Result<(), Errno> {
        self.get(fd).ok_or(Errno::EBADF)?.handed_on.set(true);
        Ok(())
    }

    /// The session's client has left, and with it all whose calls it saw. If it has handed something on, what is held still, and what
    /// comes in by a listener that is, lives until nobody holds it.
    pub(in super::super) async fn outlive(&self) {
        let all = || self.sockets.borrow().values().cloned().collect::<Vec<_>>();
        if !all().iter().any(|passed| passed.handed_on.get()) {
            return;
        }
        loop {
            for passed in all().iter().filter(|passed| !self.ends.is_open(passed.fd)) {
                passed.enter(Phase::Gone);
                self.release(passed);
            }
            if self.sockets.borrow().is_empty() {
                return;
            }
            self.sys.sleep(SWEEP).await;
        }
    }
}
