//! Descriptors of any kind: close, dup, fcntl, write.

use super::{Errno, Fd, MsgFlags, Sys};
use crate::proc::filedesc::Kind;
use std::future::poll_fn;

impl Sys {
    /// Closes a descriptor; the last one of a file closes the file. Calls that sleep on the file end with EBADF.
    pub fn close(&self, fd: Fd) -> Result<(), Errno> {
        let file = self.process.files.borrow_mut().close(fd)?;
        self.kernel.file_release(&file);
        Ok(())
    }

    /// Another descriptor for the same open file.
    pub fn dup(&self, fd: Fd) -> Result<Fd, Errno> {
        let file = self.file(fd)?;
        self.process.files.borrow_mut().open(file)
    }

    /// O_NONBLOCK (fcntl F_SETFL): whether calls that would block fail with EAGAIN.
    pub fn set_nonblocking(&self, fd: Fd, nonblocking: bool) -> Result<(), Errno> {
        self.file(fd)?.nonblocking.set(nonblocking);
        Ok(())
    }

    /// Whether O_NONBLOCK is set (fcntl F_GETFL).
    pub fn nonblocking(&self, fd: Fd) -> Result<bool, Errno> {
        Ok(self.file(fd)?.nonblocking.get())
    }

    /// Writes to a socket, or to the standard output or error; returns how many octets were taken.
    pub async fn write(&self, fd: Fd, octets: &[u8]) -> Result<usize, Errno> {
        let file = self.file(fd)?;
        match &file.kind {
            Kind::Socket(..) | Kind::Netlink(_) => self.send(fd, octets, MsgFlags::empty()).await,
            Kind::Null => Ok(octets.len()),
            Kind::Sink(sink) => {
                self.kernel.turn().await;
                poll_fn(|cx| sink.poll_write(cx, octets)).await
            }
        }
    }

    /// Writes all of `octets`.
    pub async fn write_all(&self, fd: Fd, mut octets: &[u8]) -> Result<(), Errno> {
        while !octets.is_empty() {
            let taken = self.write(fd, octets).await?;
            octets = &octets[taken..];
        }
        Ok(())
    }
}
