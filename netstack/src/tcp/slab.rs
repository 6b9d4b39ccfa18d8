//! The sockets, by id.

use super::TcpId;
use super::tcb::Tcb;

#[derive(Debug)]
struct Slot {
    generation: u32,
    tcb: Option<Box<Tcb>>,
}

/// Slots are reused; their generation says for whom.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slab {
    pub(super) fn insert(&mut self, tcb: Box<Tcb>) -> TcpId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, tcb: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let id = TcpId { index, generation: slot.generation };
        slot.tcb.insert(tcb).id = id;
        id
    }

    pub(super) fn remove(&mut self, id: TcpId) {
        if self.get(id).is_some() {
            let slot = &mut self.slots[id.index as usize];
            slot.tcb = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.index);
        }
    }

    pub(super) fn get(&self, id: TcpId) -> Option<&Tcb> {
        self.slots.get(id.index as usize).filter(|s| s.generation == id.generation)?.tcb.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: TcpId) -> Option<&mut Tcb> {
        self.slots.get_mut(id.index as usize).filter(|s| s.generation == id.generation)?.tcb.as_deref_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tcb> {
        self.slots.iter().filter_map(|s| s.tcb.as_deref())
    }
}
