//! What is done to neighbours by somebody else than the link: configured, wanted, forgotten.

use super::{Change, Entry, Neighbours, NudState, Told};
use crate::net::mbuf::Mbuf;
use crate::net::{IfIndex, MacAddr};
use crate::time::Instant;
use crate::timer::{Timer, Timers};
use std::collections::VecDeque;
use std::net::IpAddr;

impl Neighbours {
    /// Somebody wants the neighbour to be known, without a packet for it (NTF_USE); whether everybody is to be asked.
    /// `None`: the table has no room.
    pub(crate) fn want(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        timers: &mut Timers,
    ) -> Option<bool> {
        let slot = self.find(ifindex, addr).or_else(|| self.insert(ifindex, addr, timers))?;
        Some(self.wake(now, slot, timers))
    }

    /// The neighbour has said whether it is a router. A configured one is what it was configured to be.
    pub(crate) fn is_router(&mut self, now: Instant, ifindex: IfIndex, addr: IpAddr, router: bool) {
        let Some(e) = self.find(ifindex, addr).and_then(|slot| self.slots[slot].as_mut()) else { return };
        if e.router != router && e.state != NudState::Permanent {
            e.router = router;
            self.changes.push(Change::Is(e.show(now)));
        }
    }

    /// A configured entry. Returns the packets that waited for it.
    pub(crate) fn set(
        &mut self,
        now: Instant,
        (ifindex, addr): (IfIndex, IpAddr),
        mac: MacAddr,
        told: Told,
        router: bool,
        timers: &mut Timers,
    ) -> Option<VecDeque<Mbuf>> {
        let slot = self.find(ifindex, addr).or_else(|| self.insert(ifindex, addr, timers))?;
        let e = self.slots[slot].as_mut()?;
        let (state, due) = match told {
            Told::Permanent => (NudState::Permanent, None),
            Told::Reachable => (NudState::Reachable, None),
            Told::Stale => (NudState::Stale, None),
            Told::Delay => (NudState::Delay, Some(now + self.config.delay_first_probe)),
            Told::Probe => (NudState::Probe, Some(now)),
            Told::Failed => (NudState::Failed, None),
        };
        (e.state, e.mac, e.probes, e.router) = (state, mac, 0, router);
        e.reachable_until = now + self.config.reachable_time;
        timers.disarm(e.timer.take());
        e.timer = due.map(|at| timers.arm(at, Timer::Neigh(slot)));
        self.changes.push(Change::Is(e.show(now)));
        Some(self.take_queue(slot))
    }

    /// Forgets a neighbour; `None` if it was not known. Returns the packets that waited for it.
    pub(crate) fn remove(
        &mut self,
        now: Instant,
        ifindex: IfIndex,
        addr: IpAddr,
        timers: &mut Timers,
    ) -> Option<VecDeque<Mbuf>> {
        let slot = self.find(ifindex, addr)?;
        let (gone, queue) = self.take(slot, timers)?;
        self.changes.push(Change::Gone(gone.show(now)));
        Some(queue)
    }

    /// Forgets the neighbours of an interface that went down (the permanent ones only when it is
    /// gone). Returns the packets that waited for them.
    pub(crate) fn flush(&mut self, ifindex: IfIndex, permanent: bool, timers: &mut Timers) -> Vec<Mbuf> {
        let mut queued = Vec::new();
        for slot in 0..self.slots.len() {
            let goes = |e: &Entry| e.ifindex == ifindex && (permanent || e.state != NudState::Permanent);
            if self.slots[slot].as_ref().is_some_and(goes) {
                queued.extend(self.take(slot, timers).into_iter().flat_map(|(_, queue)| queue));
            }
        }
        queued
    }
}
