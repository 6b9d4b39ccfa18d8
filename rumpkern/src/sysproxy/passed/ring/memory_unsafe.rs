//! Memory that a program maps as well: a memory file, which nobody can shorten.
//!
//! The program may write it at any time. Nothing here is a reference to its octets: words are atomics, octets are copied in and out.
#![allow(unsafe_code)]

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct Memory {
    base: NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

impl Memory {
    /// `len` octets, all zero.
    pub(super) fn new(len: usize) -> Result<Memory, Errno> {
        let file = memfd_create("packet-ring", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, len as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, where the host likes; it replaces none.
        let base = unsafe { mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, &file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Memory { base, len, file })
    }

    /// Its octets.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The file, for whoever is to map it.
    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }

    fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "outside the mapping");
        // SAFETY: `at` is at most the length of the mapping, just checked.
        unsafe { self.base.as_ptr().add(at) }
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4), "no word begins at {at}");
        // SAFETY: aligned (the mapping is page-aligned), inside, and mapped for as long as `self` lives. Sealed as it is,
        // the file does not get shorter, so that reading never faults.
        unsafe { AtomicU32::from_ptr(self.at(at, 4).cast()) }
    }

    /// A word. SYNC POINT: what the program did before it gave something back is done.
    pub(super) fn load(&self, at: usize) -> u32 {
        self.word(at).load(Ordering::Acquire)
    }

    /// Sets a word. SYNC POINT: who sees it sees what was written before.
    pub(super) fn store(&self, at: usize, value: u32) {
        self.word(at).store(value, Ordering::Release);
    }

    /// Copies octets out.
    pub(super) fn read(&self, at: usize, octets: &mut [u8]) {
        let place = self.at(at, octets.len());
        // SAFETY: as in `write`, the other way round: any octets will do, also such as the program changes meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(place, octets.as_mut_ptr(), octets.len()) };
    }

    /// Copies octets in.
    pub(super) fn write(&self, at: usize, octets: &[u8]) {
        let place = self.at(at, octets.len());
        // SAFETY: `place` has room for them, just checked; `octets` is memory of ours that the mapping is no part of. That
        // the program may write the same octets meanwhile is its own loss: no reference to them exists.
        unsafe { std::ptr::copy_nonoverlapping(octets.as_ptr(), place, octets.len()) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nothing refers to it any more. That it fails would leave memory behind, no more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}
