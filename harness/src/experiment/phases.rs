use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Phase;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

use super::Paired;

/// The longest trial: its intervals are held in memory when statistics are made.
const LONGEST_TRIAL: Span = Span::seconds(24 * 3600);

/// The shortest phase that gives a number: intervals are one second long.
const SHORTEST: Span = Span::seconds(1);

/// How long each phase of a trial lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Load runs, nothing counts yet.
    #[serde(default = "warmup")]
    pub warmup: Span,
    /// The fault-free reference.
    #[serde(default = "baseline")]
    pub baseline: Span,
    /// The faults are in. Without this phase there is no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Span>,
    /// Instead of `fault`: the faults come and go in pairs of windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// The faults are out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Span>,
}

fn warmup() -> Span {
    Span::seconds(5)
}

fn baseline() -> Span {
    Span::seconds(10)
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            warmup: warmup(),
            baseline: baseline(),
            fault: None,
            paired: None,
            recovery: None,
        }
    }
}

impl Phases {
    /// The phases that take place, in the order of time.
    pub fn list(&self) -> Vec<(Phase, Span)> {
        Phase::ALL
            .into_iter()
            .filter_map(|phase| Some((phase, self.length(phase)?)))
            .collect()
    }

    /// How long `phase` lasts; `None` if it does not take place.
    pub fn length(&self, phase: Phase) -> Option<Span> {
        match phase {
            Phase::Warmup => (self.warmup != Span::ZERO).then_some(self.warmup),
            Phase::Baseline => Some(self.baseline),
            Phase::Fault => self.paired.as_ref().map(Paired::total).or(self.fault),
            Phase::Recovery => self.recovery,
        }
    }

    /// When `phase` starts, from the start of load; `None` if it does not take place.
    pub fn start(&self, phase: Phase) -> Option<Duration> {
        let mut start = Duration::ZERO;
        for (one, length) in self.list() {
            if one == phase {
                return Some(start);
            }
            start += length.duration();
        }
        None
    }

    /// All phases together.
    pub fn total(&self) -> Span {
        self.list()
            .into_iter()
            .map(|(_, length)| length.duration())
            .fold(Duration::ZERO, Duration::saturating_add)
            .into()
    }
}

impl Validate for Phases {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (phase, length) in self.list() {
            if length < SHORTEST {
                problems.add(
                    at.key(&phase.to_string()),
                    format!("{length} is too short to measure, expected at least {SHORTEST}"),
                );
            }
        }
        if let Some(paired) = &self.paired {
            paired.validate(&at.key("paired"), problems);
            if self.fault.is_some() {
                problems.add_with_help(
                    at.key("paired"),
                    "the fault phase is either one stretch or pairs of windows",
                    "leave out `fault`: `paired` says how long it lasts",
                );
            }
        }
        if self.recovery.is_some() && self.length(Phase::Fault).is_none() {
            problems.add_with_help(
                at.key("recovery"),
                "a recovery without a fault phase has nothing to recover from",
                "add `fault: 15s`, or leave out `recovery`",
            );
        }
        if self.total() > LONGEST_TRIAL {
            problems.add(
                at.clone(),
                format!(
                    "the phases take {} together, expected at most {LONGEST_TRIAL}",
                    self.total()
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_phases_that_take_place_are_listed() {
        let phases = Phases {
            warmup: Span::ZERO,
            recovery: Some(Span::seconds(3)),
            ..Phases::default()
        };
        let listed = phases.list();
        assert_eq!(
            listed,
            [
                (Phase::Baseline, Span::seconds(10)),
                (Phase::Recovery, Span::seconds(3))
            ]
        );
        assert_eq!(phases.total(), Span::seconds(13));
    }
}
