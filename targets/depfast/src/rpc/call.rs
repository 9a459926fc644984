//! What can be done about a call that is under way.

use std::rc::Weak;

use super::{Inner, RpcError};
use crate::id::NodeId;

/// A handle to a call that may still be unanswered.
#[derive(Clone)]
pub(crate) struct Call {
    pub(super) rpc: Weak<Inner>,
    pub(super) peer: NodeId,
    pub(super) id: u64,
}

impl Call {
    /// Whether it is unanswered and not given up.
    pub(crate) fn is_open(&self) -> bool {
        let rpc = self.rpc.upgrade();
        rpc.is_some_and(|rpc| rpc.pending.borrow().is_open(self.peer, self.id))
    }

    /// Gives it up if it has not left this node. Says whether it is over.
    pub(crate) fn drop_unsent(&self) -> bool {
        let Some(rpc) = self.rpc.upgrade() else {
            return true;
        };
        if rpc.withdraw(self.peer, self.id) {
            rpc.give_up(self.peer, self.id, RpcError::NotNeeded);
        }
        let open = rpc.pending.borrow().is_open(self.peer, self.id);
        !open
    }

    /// Gives it up in any case.
    pub(crate) fn release(&self) {
        if let Some(rpc) = self.rpc.upgrade() {
            rpc.withdraw(self.peer, self.id);
            rpc.give_up(self.peer, self.id, RpcError::Released);
        }
    }
}
