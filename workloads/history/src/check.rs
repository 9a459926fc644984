use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::explain::explain;
use crate::operation::{Input, Operation, Output};
use crate::search::{Action, Found, Step, search};

/// How many steps the search may take for each key; a step is one operation considered at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub u64);

impl Default for Budget {
    /// Some seconds of work in the worst case; a history without violation needs a few steps per operation.
    fn default() -> Self {
        Budget(20_000_000)
    }
}

/// Whether a history is linearizable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Ok,
    /// It is not.
    Violated(Violation),
    /// The budget was used up before either was certain.
    Unknown {
        /// The keys that were not decided.
        keys: Vec<u64>,
    },
}

/// Operations on one key that no order explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: u64,
    /// The smallest part of the history found that cannot be explained by itself, in the order of invocation.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no order explains these operations on key {}:", self.key)?;
        for operation in &self.operations {
            write!(f, "\n  {operation}")?;
        }
        Ok(())
    }
}

/// Checks a history, each key by itself, as registers that are empty at first.
///
/// The order of `history` does not matter. Reads with unknown outcome are left out; a write with unknown outcome may
/// have taken effect at any time after it was invoked, or never. Writes that certainly did not take effect do not
/// belong into a history.
pub fn check(history: &[Operation], budget: Budget) -> Verdict {
    let mut keys: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(operation.key).or_default().push(*operation);
    }
    let mut undecided = Vec::new();
    for (key, mut operations) in keys {
        operations.sort_by_key(|operation| (operation.invoked, operation.returned));
        let mut left = budget.0;
        match check_key(&operations, &mut left) {
            Found::Order => {}
            Found::GaveUp => undecided.push(key),
            Found::NoOrder => {
                let operations = explain(operations, budget.0);
                return Verdict::Violated(Violation { key, operations });
            }
        }
    }
    if undecided.is_empty() {
        Verdict::Ok
    } else {
        Verdict::Unknown { keys: undecided }
    }
}

/// Checks the operations of one key, sorted by `invoked`.
pub(crate) fn check_key(operations: &[Operation], budget: &mut u64) -> Found {
    let steps = steps(operations);
    let written: BTreeSet<u64> = steps.iter().filter_map(Step::written).collect();
    let from_nowhere =
        |step: &Step| matches!(step.action, Action::Read(Some(value)) if !written.contains(&value));
    if steps.iter().any(from_nowhere) {
        return Found::NoOrder;
    }
    search(&steps, budget)
}

/// The operations that the search needs. A write of unknown outcome whose value nobody read is left out: if there is
/// an order with it, there is one without.
fn steps(operations: &[Operation]) -> Vec<Step> {
    let read: BTreeSet<u64> = operations.iter().filter_map(read_value).collect();
    operations
        .iter()
        .filter_map(|operation| {
            let returned = operation.returned.nanos();
            let (action, returned) = match (operation.input, operation.output) {
                (Input::Write(value), Output::Unknown) if read.contains(&value) => {
                    (Action::Write(value), None)
                }
                (Input::Write(_), Output::Unknown) => return None,
                (Input::Write(value), _) => (Action::Write(value), Some(returned)),
                (Input::Read, Output::Value(value)) => (Action::Read(value), Some(returned)),
                (Input::Read, _) => return None,
            };
            Some(Step {
                action,
                invoked: operation.invoked.nanos(),
                returned,
            })
        })
        .collect()
}

/// The value that a read found.
pub(crate) fn read_value(operation: &Operation) -> Option<u64> {
    match (operation.input, operation.output) {
        (Input::Read, Output::Value(value)) => value,
        _ => None,
    }
}

impl Step {
    fn written(&self) -> Option<u64> {
        match self.action {
            Action::Write(value) => Some(value),
            Action::Read(_) => None,
        }
    }
}
