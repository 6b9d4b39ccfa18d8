//! Socket options, typed. SO_RCVTIMEO and SO_SNDTIMEO are the kernel's own: the stack never blocks.

use super::{Errno, Fd, SockOpt, SockOptName, Sys};
use netstack::socket::SocketInfo;
use netstack::tcp::TcpInfo;
use netstack::time::Duration;

impl Sys {
    /// Sets an option.
    pub fn setsockopt(&self, fd: Fd, option: SockOpt) -> Result<(), Errno> {
        let (_, id) = self.socket_of(fd)?;
        // Groups joined and promiscuous packet sockets.
        self.kernel.if_filters_changed();
        Ok(self.kernel.stack.borrow_mut().set_option(self.kernel.now(), id, option)?)
    }

    /// Reads an option.
    pub fn getsockopt(&self, fd: Fd, name: SockOptName) -> Result<SockOpt, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow_mut().option(id, name)?)
    }

    /// TCP_INFO: what a connection knows of itself.
    pub fn tcp_info(&self, fd: Fd) -> Result<TcpInfo, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().tcp_info(id)?)
    }

    /// SIOCATMARK: whether the next octet to be read is the urgent one.
    pub fn at_mark(&self, fd: Fd) -> Result<bool, Errno> {
        let (_, id) = self.socket_of(fd)?;
        Ok(self.kernel.stack.borrow().at_mark(id)?)
    }

    /// SO_DOMAIN, SO_TYPE, SO_PROTOCOL, and what `ss` shows.
    pub fn socket_info(&self, fd: Fd) -> Result<SocketInfo, Errno> {
        let (_, id) = self.socket_of(fd)?;
        let stack = self.kernel.stack.borrow();
        let info = stack.sockets().find(|info| info.id == Some(id));
        info.ok_or(Errno::EBADF)
    }

    /// SO_RCVTIMEO: how long receive and accept block at most, then EAGAIN; `None`: for ever.
    pub fn set_rcvtimeo(&self, fd: Fd, limit: Option<Duration>) -> Result<(), Errno> {
        let file = self.socket_file(fd)?;
        file.rcvtimeo.set(limit.filter(|limit| !limit.is_zero()));
        Ok(())
    }

    /// SO_SNDTIMEO: how long send and connect block at most, then EAGAIN (connect: EINPROGRESS); `None`: for ever.
    pub fn set_sndtimeo(&self, fd: Fd, limit: Option<Duration>) -> Result<(), Errno> {
        let file = self.socket_file(fd)?;
        file.sndtimeo.set(limit.filter(|limit| !limit.is_zero()));
        Ok(())
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO as they are.
    pub fn timeouts(&self, fd: Fd) -> Result<(Option<Duration>, Option<Duration>), Errno> {
        let file = self.socket_file(fd)?;
        Ok((file.rcvtimeo.get(), file.sndtimeo.get()))
    }
}
