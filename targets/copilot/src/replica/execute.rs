//! Execution of decided entries, in the one order that all replicas agree on.

use std::rc::Rc;

use super::Copilot;
use super::proxy::Results;
use super::state::State;
use crate::core::Both;

/// How many entries are executed before others get their turn.
const AT_ONCE: usize = 64;

impl Copilot {
    pub(crate) async fn execute_forever(self: Rc<Self>) {
        let mut results = Results::default();
        loop {
            self.moved
                .wait("executable entries", |()| {
                    let state = self.state.borrow();
                    let machine = &state.machine;
                    let next = state
                        .core
                        .next_ready(|batch| machine.is_batch_executed(batch));
                    next.is_some()
                })
                .await;
            let executed = {
                let mut state = self.state.borrow_mut();
                self.execute_some(&mut state, &mut results);
                Both::new(|role| state.core.log(role).executed())
            };
            // Whoever is answered must not find that this replica forgot why.
            self.wal.flushed("executed decisions").await;
            self.state.borrow_mut().kept = executed;
            results.send();
            self.moved.set(());
            self.env.yield_now().await;
        }
    }

    fn execute_some(&self, state: &mut State, results: &mut Results) {
        let State {
            core,
            machine,
            proxy,
            decided,
            ..
        } = state;
        for _ in 0..AT_ONCE {
            let next = core.next_ready(|batch| machine.is_batch_executed(batch));
            let Some((role, index)) = next else { break };
            let value = core
                .decision(role, index)
                .and_then(|commit| commit.choice.value.as_ref());
            if let Some(value) = value {
                machine.execute(&value.batch, |store, command, result| {
                    proxy.executed(store, command, result, results);
                });
            }
            core.executed(role, index);
            decided[role].remove(&index);
        }
    }
}
