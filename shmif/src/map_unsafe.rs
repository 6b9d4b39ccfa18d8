//! The mapped file: every access to memory that other processes see goes through here.
//!
//! A [`Mapping`] hands out references to atomics and copies in and out, each with its bounds checked, and never a slice of the mapping. The file
//! may be truncated by anybody who may write it; `sigbus_unsafe.rs` turns the fault into zeroes and a flag.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};

use crate::copy_unsafe;
use crate::sigbus_unsafe::Guard;

/// Whether stores are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// A bus file in memory.
pub(crate) struct Mapping {
    // Dropped in this order: first nobody guards the addresses any more, then they are unmapped.
    guard: Guard,
    raw: MmapRaw,
    access: Access,
}

impl Mapping {
    /// Maps the first `len` octets of a file.
    pub(crate) fn new(file: &File, len: usize, access: Access) -> io::Result<Mapping> {
        let mut options = MmapOptions::new();
        options.len(len);
        let raw = match access {
            Access::Read => options.map_raw_read_only(file)?,
            Access::ReadWrite => options.map_raw(file)?,
        };
        let guard = Guard::new(raw.as_ptr() as usize, len)?;
        Ok(Mapping { guard, raw, access })
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// Whether a part of the file has gone away under the mapping.
    #[inline]
    pub(crate) fn is_broken(&self) -> bool {
        self.guard.tripped()
    }

    #[inline]
    fn at(&self, off: usize, len: usize, align: usize) -> *mut u8 {
        assert!(
            off.is_multiple_of(align) && off <= self.raw.len() && len <= self.raw.len() - off,
            "outside the mapping"
        );
        // SAFETY: `off` is at most the length of the mapping, just checked, so the pointer stays in or one past the same allocation.
        unsafe { self.raw.as_mut_ptr().add(off) }
    }

    /// The 64-bit word at an offset. Stores are for [`Access::ReadWrite`] only.
    #[inline]
    pub(crate) fn u64(&self, off: usize) -> &AtomicU64 {
        // SAFETY: aligned (the mapping is page-aligned) and inside for as long as `self` lives; words of the header and the port table are
        // accessed by every process as atomics of this width only (layout.rs).
        unsafe { AtomicU64::from_ptr(self.at(off, 8, 8).cast()) }
    }

    /// The 32-bit word at an offset. Stores are for [`Access::ReadWrite`] only.
    #[inline]
    pub(crate) fn u32(&self, off: usize) -> &AtomicU32 {
        // SAFETY: as `u64`.
        unsafe { AtomicU32::from_ptr(self.at(off, 4, 4).cast()) }
    }

    /// Copies octets into the file at a multiple of 8.
    #[inline]
    pub(crate) fn copy_in(&self, off: usize, from: &[u8]) {
        assert!(self.access == Access::ReadWrite, "a read-only bus is never written");
        let p = self.at(off, from.len().next_multiple_of(8), 8);
        // SAFETY: `at` has checked alignment and bounds for the length rounded up to 8.
        unsafe { copy_unsafe::into_shared(p, from) }
    }

    /// Copies octets out of the file from a multiple of 8.
    #[inline]
    pub(crate) fn copy_out(&self, off: usize, to: &mut [u8]) {
        let p = self.at(off, to.len().next_multiple_of(8), 8);
        // SAFETY: `at` has checked alignment and bounds for the length rounded up to 8.
        unsafe { copy_unsafe::from_shared(p, to) }
    }

    /// Appends `len` octets from a multiple of 8.
    #[inline]
    pub(crate) fn append_out(&self, off: usize, len: usize, to: &mut Vec<u8>) {
        let p = self.at(off, len.next_multiple_of(8), 8);
        // SAFETY: as `copy_out`.
        unsafe { copy_unsafe::append_shared(p, len, to) }
    }
}

// `MmapRaw` is Send and Sync, the guard is a reference to a static entry: nothing is left to promise.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Mapping>();
};
