//! Whether the recorded operations of a trial are linearizable.

use std::collections::BTreeSet;

use history::{Budget, Operation, Verdict, check};
use results::HistoryVerdict;

/// More operations than this are not kept: some 200 MB.
const KEPT: usize = 4_000_000;
/// Steps that the search may take for all keys together, some ten seconds of work.
const STEPS: u64 = 100_000_000;

/// The operations of a trial.
#[derive(Debug, Default)]
pub(super) struct History {
    operations: Vec<Operation>,
    /// Why nobody could judge them.
    hindered: Option<String>,
}

impl History {
    pub(super) fn add(&mut self, operation: Operation) {
        if self.operations.len() < KEPT {
            self.operations.push(operation);
        } else if self.hindered.is_none() {
            self.hinder(format!(
                "more than {KEPT} operations were recorded; set `sample_keys` lower or use more keys"
            ));
        }
    }

    /// Notes why they cannot be judged.
    pub(super) fn hinder(&mut self, reason: String) {
        self.hindered = Some(reason);
    }

    /// Judges them on another thread, in bounded time; nothing if there are none.
    pub(super) async fn judge(self) -> Option<HistoryVerdict> {
        if self.operations.is_empty() {
            return None;
        }
        if let Some(reason) = self.hindered {
            return Some(HistoryVerdict::Unknown { reason });
        }
        let judged = tokio::task::spawn_blocking(move || judge(&self.operations)).await;
        Some(judged.unwrap_or_else(|error| HistoryVerdict::Unknown {
            reason: error.to_string(),
        }))
    }
}

fn judge(operations: &[Operation]) -> HistoryVerdict {
    let keys: BTreeSet<u64> = operations.iter().map(|one| one.key).collect();
    let budget = Budget(STEPS / keys.len().max(1) as u64);
    match check(operations, budget) {
        Verdict::Ok => HistoryVerdict::Linearizable {
            operations: operations.len() as u64,
        },
        Verdict::Violated(violation) => HistoryVerdict::Violated {
            key: violation.key,
            operations: violation
                .operations
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        Verdict::Unknown { keys } => HistoryVerdict::Unknown {
            reason: format!(
                "the search for an order was given up after its bounded number of steps, on keys {keys:?}"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use vocab::time::TrialTime;

    use super::*;

    #[tokio::test]
    async fn a_lost_write_is_found_and_shown() {
        let mut history = History::default();
        let within = |operation: Operation, from: i64, to: i64| {
            operation.took(TrialTime::from_nanos(from), TrialTime::from_nanos(to))
        };
        history.add(within(Operation::write(1, 7, 1), 0, 5));
        history.add(within(Operation::read(2, 7, Some(1)), 10, 15));
        history.add(within(Operation::read(2, 7, None), 20, 25));
        let Some(HistoryVerdict::Violated { key, operations }) = history.judge().await else {
            panic!("not found");
        };
        assert_eq!(key, 7);
        assert!(!operations.is_empty());
        assert_eq!(History::default().judge().await, None);
    }
}
