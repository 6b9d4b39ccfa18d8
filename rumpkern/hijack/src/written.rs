//! Files of the node that programs write: `/proc/sys/net` and `/sys/class/net`.
//!
//! A program finds such a file at a descriptor whose write(2) is looked at ([`crate::filter::WRITTEN`]), and so is told what the node says of a
//! value. Behind it is a pipe, for all other ways to write, a shell's `>` among them, which moves it to descriptor 1 (to look at every
//! write there would cost each of them some 7 us): each is one packet of it (O_DIRECT), and is handed to the node before any later call of any of the program's processes is served, and before
//! anybody is told that a process has ended: so whoever comes after a write sees what it did. That the node refuses such a
//! value comes too late for the write itself: it is said on standard error.

use crate::process::file_inode;
use crate::seccomp_unsafe::Call;
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
    /// Of the program's end.
    inode: u64,
}

impl Written {
    /// The program's end of a new one.
    pub(crate) fn open(&mut self, path: String) -> Result<OwnedFd, Errno> {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)?;
        rustix::io::ioctl_fionbio(&from, true)?;
        let inode = rustix::fs::fstat(&to)?.st_ino;
        self.0.push(File { path, from, inode });
        Ok(to)
    }

    /// The path of the file that the program's descriptor is, if it is one.
    pub(crate) fn path_of(&self, call: &Call, fd: u64) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let inode = file_inode(call.tid, fd as i32)?;
        self.0.iter().find(|file| file.inode == inode).map(|file| &*file.path)
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
