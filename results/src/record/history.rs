use std::fmt;

use serde::{Deserialize, Serialize};

/// What the recorded operations of a trial say of the target: could they have taken effect one after the other, each
/// between its call and its answer?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HistoryVerdict {
    /// They could.
    Linearizable {
        /// How many operations were looked at.
        operations: u64,
    },
    /// They could not: the target has lost or made up something.
    Violated {
        /// The key.
        key: u64,
        /// The smallest part of its history found that nothing explains, an operation a line.
        operations: Vec<String>,
    },
    /// Nobody can tell.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for HistoryVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryVerdict::Linearizable { operations } => {
                write!(f, "linearizable ({operations} operations)")
            }
            HistoryVerdict::Violated { key, operations } => {
                write!(
                    f,
                    "not linearizable: no order explains, on key {key}: {}",
                    operations.join("; ")
                )
            }
            HistoryVerdict::Unknown { reason } => write!(f, "not decided: {reason}"),
        }
    }
}
