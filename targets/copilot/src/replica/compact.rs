//! Keeps the log file about as short as what it has led to.

use std::rc::Rc;
use std::time::Duration;

use super::Copilot;
use super::head::Head;
use crate::core::{Both, Role};
use crate::wal;
use crate::wire::Wire;

/// A disk that refused is not tried again at once.
const PAUSE: Duration = Duration::from_secs(1);

impl Copilot {
    /// Puts the state in the place of the changes that led to it, whenever they have become many or are not known.
    pub(crate) async fn compact_forever(self: Rc<Self>) {
        loop {
            self.wal.compaction_due().await;
            let (state, executed) = {
                let mut state = self.state.borrow_mut();
                self.settle(&mut state);
                let executed = Both::new(|role| state.core.log(role).executed());
                let state = wal::State {
                    head: Head::of(&state).encode(),
                    store: state.machine.store.snapshot(),
                    records: state.core.records_after_executed(),
                };
                (state, executed)
            };
            if self.wal.compact(state).await.is_err() {
                self.env.timeout("disk that refuses", PAUSE).await;
                continue;
            }
            let mut state = self.state.borrow_mut();
            for role in Role::BOTH {
                state.kept[role] = state.kept[role].max(executed[role]);
            }
        }
    }
}
