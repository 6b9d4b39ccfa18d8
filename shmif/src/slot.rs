//! One slot of the port table, its words by name.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::PortId;
use crate::bus::{self, Inner};
use crate::doorbell;
use crate::layout::{self, Count, DOORBELL, GROUPS, INTERFACE, NAME, PortFlags, slot};
use crate::map_unsafe::Mapping;
use crate::owner::Owner;

/// A view of a slot. Every read is of memory that others may change: it is checked by whoever uses it.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    map: &'a Mapping,
    at: usize,
    pub(crate) index: u32,
}

impl<'a> Slot<'a> {
    #[inline]
    pub(crate) fn new(inner: &'a Inner, index: u32) -> Slot<'a> {
        Slot { map: &inner.map, at: inner.geometry.slot(index), index }
    }
    #[inline]
    pub(crate) fn u64(self, off: usize) -> &'a AtomicU64 {
        self.map.u64(self.at + off)
    }
    #[inline]
    pub(crate) fn u32(self, off: usize) -> &'a AtomicU32 {
        self.map.u32(self.at + off)
    }

    pub(crate) fn owner(self) -> Owner {
        Owner::from_word(self.u64(slot::OWNER).load(Ordering::Acquire))
    }
    /// Passes the slot from one owner to another, if it is still the first's.
    pub(crate) fn pass(self, from: Owner, to: Owner) -> bool {
        self.u64(slot::OWNER)
            .compare_exchange(from.word(), to.word(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
    pub(crate) fn generation(self) -> u32 {
        self.u32(slot::GENERATION).load(Ordering::Acquire)
    }
    pub(crate) fn id(self) -> PortId {
        PortId::new(self.index as u16, self.generation() as u16)
    }
    pub(crate) fn flags(self) -> PortFlags {
        PortFlags::from_bits_truncate(self.u32(slot::FLAGS).load(Ordering::Acquire))
    }
    pub(crate) fn mac(self) -> u64 {
        self.u64(slot::MAC).load(Ordering::Relaxed) & layout::BROADCAST
    }
    pub(crate) fn groups(self) -> Vec<u64> {
        let count = (self.u32(slot::GROUP_COUNT).load(Ordering::Relaxed) as usize).min(GROUPS);
        (0..count)
            .map(|i| self.u64(slot::GROUPS + 8 * i).load(Ordering::Relaxed) & layout::BROADCAST)
            .collect()
    }
    pub(crate) fn freed_at(self) -> u64 {
        self.u64(slot::FREED_AT).load(Ordering::Relaxed)
    }
    pub(crate) fn node(self) -> String {
        bus::text(self.map, self.at + slot::NODE, NAME)
    }
    pub(crate) fn interface(self) -> String {
        bus::text(self.map, self.at + slot::INTERFACE, INTERFACE)
    }
    /// Path of the doorbell; none if the port has none.
    pub(crate) fn doorbell(self) -> Option<PathBuf> {
        let mut octets = [0; DOORBELL];
        self.map.copy_out(self.at + slot::DOORBELL, &mut octets);
        let end = octets.iter().position(|&b| b == 0).unwrap_or(DOORBELL);
        doorbell::path(&octets[..end])
    }
    /// Stores a NUL-padded text.
    pub(crate) fn put_text(self, off: usize, max: usize, text: &[u8]) {
        let mut octets = vec![0; max];
        octets[..text.len()].copy_from_slice(text);
        self.map.copy_in(self.at + off, &octets);
    }
    #[inline]
    pub(crate) fn counter(self, count: Count) -> &'a AtomicU64 {
        self.u64(slot::COUNTERS + 8 * count as usize)
    }
    pub(crate) fn count(self, count: Count) -> u64 {
        self.counter(count).load(Ordering::Relaxed)
    }
    /// Adds to a counter that only this process stores to.
    #[inline]
    pub(crate) fn add(self, count: Count, n: u64) {
        let counter = self.counter(count);
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Up to where the port holds a writer up: the first record that it wants and has not read. `None` if it wants nothing that is
    /// still there (`floor` is the tail, or what the tail is about to be).
    #[inline]
    pub(crate) fn hold(self, floor: u64) -> Option<u64> {
        let last = self.u64(slot::WANTED_LAST).load(Ordering::Relaxed);
        // SYNC POINT: room. Pairs with the Release of the reader's cursor.
        let cursor = self.u64(slot::CURSOR).load(Ordering::Acquire);
        if cursor >= last {
            return None;
        }
        let hold = cursor.max(self.u64(slot::WANTED_FIRST).load(Ordering::Relaxed));
        (hold >= floor).then_some(hold)
    }
}
