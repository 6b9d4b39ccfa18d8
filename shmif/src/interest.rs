//! Who wants which frame: a port's filter, and each sender's own index over all filters.
//!
//! The index is rebuilt only when the bus's generation changes (a port came, went, or wants something else), so that ports which want nothing
//! of a frame cost its sender nothing. What the senders and a reader think may differ for a moment; the reader's filter decides.

use std::sync::atomic::Ordering;

use crate::bus::Bus;
use crate::layout::{self, BROADCAST, GROUPS, PortFlags, header, slot};
use crate::slot::Slot;

/// What one port wants.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) flags: PortFlags,
    /// MACs as numbers, see [`layout::mac_word`].
    pub(crate) mac: u64,
    pub(crate) groups: Vec<u64>,
}

impl Filter {
    /// Whether a frame to `dst` is wanted.
    #[inline]
    pub(crate) fn wants(&self, dst: u64) -> bool {
        if !self.flags.contains(PortFlags::UP) {
            return false;
        }
        dst == self.mac
            || self.flags.intersects(PortFlags::PROMISCUOUS | PortFlags::MONITOR)
            || (layout::is_group(dst)
                && (dst == BROADCAST
                    || self.flags.contains(PortFlags::ALL_MULTICAST)
                    || self.groups.contains(&dst)))
    }
}

/// Every other port's filter, turned round: from a destination to slots.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    generation: Option<u32>,
    /// (MAC, slot), sorted, without the promiscuous.
    unicast: Vec<(u64, u32)>,
    /// The last destination looked up there and where it begins: frames come in runs.
    last: (u64, usize),
    /// (group, slot), sorted, without those who hear all groups.
    groups: Vec<(u64, u32)>,
    promiscuous: Vec<u32>,
    /// Those who hear all groups, the promiscuous among them.
    every_group: Vec<u32>,
    /// All that are up.
    up: Vec<u32>,
    /// Those that are up and for whom one waits, without monitors.
    holding: Vec<u32>,
}

impl Interest {
    /// Makes the index current; `me` is left out of everything.
    #[inline]
    pub(crate) fn refresh(&mut self, bus: &Bus, me: u32) {
        // SYNC POINT: interest. Pairs with the Release in `changed`: who sees the generation sees the filters.
        let generation = bus.inner.map.u32(header::GENERATION).load(Ordering::Acquire);
        if self.generation != Some(generation) {
            self.rebuild(bus, me, generation);
        }
    }

    #[cold]
    fn rebuild(&mut self, bus: &Bus, me: u32, generation: u32) {
        // No unicast destination is a broadcast, so nothing is found under `last` yet.
        *self = Interest { generation: Some(generation), last: (BROADCAST, 0), ..Interest::default() };
        for index in (0..bus.high_water()).filter(|&index| index != me) {
            let slot = Slot::new(&bus.inner, index);
            if slot.owner().pid() == 0 {
                continue;
            }
            let flags = slot.flags();
            if !flags.contains(PortFlags::UP) {
                continue;
            }
            self.up.push(index);
            if !flags.contains(PortFlags::MONITOR) {
                self.holding.push(index);
            }
            if flags.intersects(PortFlags::PROMISCUOUS | PortFlags::MONITOR) {
                self.promiscuous.push(index);
                self.every_group.push(index);
                continue;
            }
            self.unicast.push((slot.mac(), index));
            if flags.contains(PortFlags::ALL_MULTICAST) {
                self.every_group.push(index);
            } else {
                self.groups.extend(slot.groups().into_iter().map(|group| (group, index)));
            }
        }
        self.unicast.sort_unstable();
        self.groups.sort_unstable();
        self.groups.dedup();
    }

    /// The ports that hold a writer up when they are behind.
    pub(crate) fn holding(&self) -> &[u32] {
        &self.holding
    }

    /// Calls `each` once with every slot that wants a frame to `dst`.
    #[inline]
    pub(crate) fn each(&mut self, dst: u64, mut each: impl FnMut(u32)) {
        let Interest { unicast, last, groups, promiscuous, every_group, up, .. } = self;
        let begin = |list: &[(u64, u32)]| list.partition_point(|&(mac, _)| mac < dst);
        let run = |list: &[(u64, u32)], from: usize, each: &mut dyn FnMut(u32)| {
            list[from..].iter().take_while(|&&(mac, _)| mac == dst).for_each(|&(_, index)| each(index));
        };
        if dst == BROADCAST {
            up.iter().for_each(|&index| each(index));
        } else if layout::is_group(dst) {
            run(groups, begin(groups), &mut each);
            every_group.iter().for_each(|&index| each(index));
        } else {
            if last.0 != dst {
                *last = (dst, begin(unicast));
            }
            run(unicast, last.1, &mut each);
            promiscuous.iter().for_each(|&index| each(index));
        }
    }
}

/// Tells all senders to look at the filters again.
pub(crate) fn changed(bus: &Bus) {
    // SYNC POINT: interest. Pairs with the Acquire in `refresh`.
    bus.inner.map.u32(header::GENERATION).fetch_add(1, Ordering::Release);
}

/// Stores the groups of a port; more than the slot holds become "all multicast". Returns the flags that go with them.
pub(crate) fn store_groups(slot: Slot<'_>, groups: &[u64]) -> PortFlags {
    let fits = groups.len() <= GROUPS;
    let stored = if fits { groups } else { &[] };
    for (i, &group) in stored.iter().enumerate() {
        slot.u64(slot::GROUPS + 8 * i).store(group, Ordering::Relaxed);
    }
    slot.u32(slot::GROUP_COUNT).store(stored.len() as u32, Ordering::Relaxed);
    if fits { PortFlags::empty() } else { PortFlags::ALL_MULTICAST }
}
