//! The memory of a program whose call is being served.
//!
//! It is another process's, and the thread whose call it is waits; its others do not, so what is read may change at any time.

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::io::Errno;
use std::fs::OpenOptions;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

pub(crate) const PAGE: usize = 4096;

/// How memory is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// process_vm_readv(2)
    Call,
    /// `/proc/PID/mem`, where that is refused.
    File,
}

impl Memory {
    /// What this host lets us use.
    pub(crate) fn probe() -> Memory {
        let (word, mut copy) = ([7u8], [0u8]);
        let remote = [RemoteIoVec { base: word.as_ptr() as usize, len: 1 }];
        match process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut copy)], &remote) {
            Ok(_) => Memory::Call,
            Err(_) => Memory::File,
        }
    }

    /// Fills `octets` from `address`.
    pub(crate) fn read(self, tid: i32, address: u64, octets: &mut [u8]) -> Result<(), Errno> {
        if octets.is_empty() {
            return Ok(());
        }
        let wanted = octets.len();
        let read = match self {
            Memory::Call => {
                let remote = [RemoteIoVec { base: address as usize, len: wanted }];
                process_vm_readv(Pid::from_raw(tid), &mut [IoSliceMut::new(octets)], &remote).ok()
            }
            Memory::File => {
                let file = std::fs::File::open(format!("/proc/{tid}/mem")).map_err(|_| Errno::FAULT)?;
                file.read_at(octets, address).ok()
            }
        };
        if read == Some(wanted) { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// Puts `octets` at `address`.
    pub(crate) fn write(self, tid: i32, address: u64, octets: &[u8]) -> Result<(), Errno> {
        if octets.is_empty() {
            return Ok(());
        }
        let written = match self {
            Memory::Call => {
                let remote = [RemoteIoVec { base: address as usize, len: octets.len() }];
                process_vm_writev(Pid::from_raw(tid), &[IoSlice::new(octets)], &remote).ok()
            }
            Memory::File => {
                let file = OpenOptions::new().write(true).open(format!("/proc/{tid}/mem"));
                file.map_err(|_| Errno::FAULT)?.write_at(octets, address).ok()
            }
        };
        if written == Some(octets.len()) { Ok(()) } else { Err(Errno::FAULT) }
    }

    /// `len` octets from `address`.
    pub(crate) fn take(self, tid: i32, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut octets = vec![0; len];
        self.read(tid, address, &mut octets)?;
        Ok(octets)
    }

    /// As many octets from `address` as there are, at most `most`.
    pub(crate) fn take_up_to(self, tid: i32, address: u64, most: usize) -> Vec<u8> {
        let page_end = PAGE - address as usize % PAGE;
        match self.take(tid, address, most) {
            // What follows the page may not be there.
            Err(_) if page_end < most => self.take(tid, address, page_end).unwrap_or_default(),
            done => done.unwrap_or_default(),
        }
    }

    /// A little-endian number of `N` octets.
    pub(crate) fn number<const N: usize>(self, tid: i32, address: u64) -> Result<u64, Errno> {
        let mut octets = [0; 8];
        self.read(tid, address, &mut octets[..N])?;
        Ok(u64::from_le_bytes(octets))
    }

    /// The octets before the first NUL, at most `most`.
    pub(crate) fn string(self, tid: i32, address: u64, most: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        while string.len() < most {
            // Up to the end of a page: the next may not be there.
            let at = address + string.len() as u64;
            let part = (PAGE - at as usize % PAGE).min(256).min(most - string.len());
            let octets = self.take(tid, at, part)?;
            match octets.iter().position(|octet| *octet == 0) {
                Some(end) => {
                    string.extend_from_slice(&octets[..end]);
                    return Ok(string);
                }
                None => string.extend(octets),
            }
        }
        Err(Errno::NAMETOOLONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_read_and_write_and_fail_alike() {
        let me = std::process::id() as i32;
        for memory in [Memory::Call, Memory::File] {
            let text = b"one\0two".to_vec();
            let address = text.as_ptr() as u64;
            assert_eq!(memory.string(me, address, 100), Ok(b"one".to_vec()));
            assert_eq!(memory.string(me, address, 2), Err(Errno::NAMETOOLONG));
            assert_eq!(memory.number::<2>(me, address), Ok(0x6e6f));
            let place = [0u8; 3];
            memory.write(me, place.as_ptr() as u64, b"abc").unwrap();
            assert_eq!(memory.take(me, place.as_ptr() as u64, 3), Ok(b"abc".to_vec()));
            assert_eq!(memory.take(me, 8, 4), Err(Errno::FAULT));
            assert_eq!(memory.write(me, 8, b"x"), Err(Errno::FAULT));
        }
    }
}
