use std::fmt;

use serde::{Deserialize, Serialize};
use vocab::ids::{Phase, TrialId};
use vocab::time::{Monotonic, TrialTime, Wall};
use vocab::units::Span;

use super::HistoryVerdict;

/// What a cell sets differently from the file: field path and value, in the order of the sweep.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// When a phase was planned to be, relative to the start of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSpan {
    /// The phase.
    pub phase: Phase,
    /// When it starts.
    pub start: TrialTime,
    /// How long it is.
    pub length: Span,
}

impl PhaseSpan {
    /// When it ends.
    pub fn end(self) -> TrialTime {
        let length = i64::try_from(self.length.duration().as_nanos()).unwrap_or(i64::MAX);
        TrialTime::from_nanos(self.start.nanos().saturating_add(length))
    }

    /// Phases one after the other from the start of load; those of no length are left out.
    pub fn in_turn(lengths: impl IntoIterator<Item = (Phase, Span)>) -> Vec<PhaseSpan> {
        let mut start = TrialTime::default();
        let mut spans = Vec::new();
        for (phase, length) in lengths {
            if length > Span::ZERO {
                let span = PhaseSpan {
                    phase,
                    start,
                    length,
                };
                start = span.end();
                spans.push(span);
            }
        }
        spans
    }
}

/// What is known of a trial before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialSetup {
    /// Its cell and number.
    pub id: TrialId,
    /// The place of its cell in the experiment, from 0: the order of tables and figures.
    pub cell_index: u32,
    /// The name of the system under test.
    pub target: String,
    /// What its cell sets.
    pub parameters: Parameters,
    /// The seed of this trial's randomness.
    pub seed: u64,
    /// The phases, in order.
    pub phases: Vec<PhaseSpan>,
}

/// Whether a trial's numbers may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Validity {
    /// They may.
    Valid,
    /// They may not: they are listed with the reason, never averaged, never drawn.
    Invalid {
        /// Why not: the fault had no effect, an agent was lost.
        reason: String,
    },
}

impl Validity {
    /// Why the numbers may not be used, if they may not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Validity::Valid => None,
            Validity::Invalid { reason } => Some(reason),
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validity::Valid => f.write_str("valid"),
            Validity::Invalid { reason } => write!(f, "invalid: {reason}"),
        }
    }
}

/// The moment at which load started, by both clocks of the controller's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStart {
    /// A label.
    #[serde(with = "crate::wall_text")]
    pub wall: Wall,
    /// Zero of the trial's time.
    pub monotonic: Monotonic,
}

/// How far a trial got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialState {
    /// It is running, or its run died: `--resume` runs it again.
    Incomplete,
    /// It ran to its end.
    Complete {
        /// Whether its numbers may be used.
        validity: Validity,
        /// When it ended.
        #[serde(with = "crate::wall_text")]
        ended: Wall,
    },
}

/// What `trial.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// What was known before.
    pub setup: TrialSetup,
    /// When the trial began.
    #[serde(with = "crate::wall_text")]
    pub began: Wall,
    /// When load started, once it has.
    pub load: Option<LoadStart>,
    /// What its recorded operations say of the target, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryVerdict>,
    /// How far it got.
    pub state: TrialState,
}

impl TrialRecord {
    /// Whether the numbers may be used, and if not why; an incomplete trial's may not.
    pub fn validity(&self) -> Validity {
        match &self.state {
            TrialState::Complete { validity, .. } => validity.clone(),
            TrialState::Incomplete => Validity::Invalid {
                reason: "incomplete: the trial did not run to its end".to_owned(),
            },
        }
    }

    /// Whether the trial ran to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, TrialState::Complete { .. })
    }
}
