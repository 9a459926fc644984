//! The state of a replica without its store: what a snapshot and a log file begin with.

use kv::Store;

use super::state::State;
use crate::core::{Both, Index, Standing};
use crate::machine::Machine;
use crate::seen::Seen;
use crate::wire::{Wire, fields};

/// What comes before the chunks of the store.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) views: Both<Standing>,
    pub(crate) executed: Both<Index>,
    pub(crate) reach: Index,
    seen: Seen,
    pub(crate) applied: u64,
    digest: u64,
}

fields!(Head {
    views,
    executed,
    reach,
    seen,
    applied,
    digest
});

impl Head {
    pub(crate) fn of(state: &State) -> Self {
        let State { core, machine, .. } = state;
        Self {
            views: Both::new(|role| *core.standing(role)),
            executed: Both::new(|role| core.log(role).executed()),
            reach: core.reach(),
            seen: machine.seen.clone(),
            applied: machine.applied,
            digest: machine.digest,
        }
    }

    /// The machine, given its store.
    pub(crate) fn machine(&self, store: Store) -> Machine {
        Machine {
            store,
            seen: self.seen.clone(),
            applied: self.applied,
            digest: self.digest,
        }
    }
}
