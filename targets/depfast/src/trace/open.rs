//! Waits that are under way.

use crate::time::Instant;

#[derive(Default)]
pub(super) struct OpenWaits {
    slots: Vec<Option<Open>>,
    free: Vec<usize>,
    begun: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) stats: usize,
    pub(super) since: Instant,
    pub(super) serial: u64,
}

impl OpenWaits {
    pub(super) fn insert(&mut self, stats: usize, since: Instant) -> usize {
        self.begun += 1;
        let open = Some(Open {
            stats,
            since,
            serial: self.begun,
        });
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = open;
            return slot;
        }
        self.slots.push(open);
        self.slots.len() - 1
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<Open> {
        self.free.push(slot);
        self.slots[slot].take()
    }

    pub(super) fn get(&self, slot: usize) -> Option<Open> {
        self.slots[slot]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Open> {
        self.slots.iter().flatten()
    }
}
