//! Files of the node that programs write: `/proc/sys/net` and `/sys/class/net`.
//!
//! A program writes into a pipe. Each write(2) is one packet of it (O_DIRECT), and is handed to the node before any later call of
//! any of the program's processes is served, and before anybody is told that a process has ended: so whoever comes after a
//! write sees what it did. That the node refuses a value comes too late for the write itself: it is said on standard error.

use rumpclient::msg::Request;
use rumpclient::{CallError, Client, Sid};
use rustix::io::Errno;
use rustix::pipe::{PIPE_BUF, PipeFlags, pipe_with};
use std::os::fd::OwnedFd;

/// Files that are open to be written.
#[derive(Debug, Default)]
pub(crate) struct Written(Vec<File>);

#[derive(Debug)]
struct File {
    path: String,
    from: OwnedFd,
}

impl Written {
    /// The program's end of a new one.
    pub(crate) fn open(&mut self, path: String) -> Result<OwnedFd, Errno> {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)?;
        rustix::io::ioctl_fionbio(&from, true)?;
        self.0.push(File { path, from });
        Ok(to)
    }

    /// Hands on what has been written; whether that was anything.
    pub(crate) fn hand_on(&mut self, node: &mut Client) -> bool {
        let mut any = false;
        self.0.retain(|file| {
            let mut octets = [0; PIPE_BUF];
            loop {
                match rustix::io::read(&file.from, &mut octets) {
                    Ok(0) => return false,
                    Ok(len) => {
                        any = true;
                        let request = Request::WriteFile { path: &file.path, octets: &octets[..len] };
                        if let Err(CallError::Sys(errno)) = node.call(Sid::NONE, &request) {
                            eprintln!("{}: {errno}", file.path);
                        }
                    }
                    Err(Errno::INTR) => {}
                    Err(_) => return true,
                }
            }
        });
        any
    }
}
