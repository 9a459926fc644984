//! What an experiment expects of its outcome.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Phase;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Factor;

use crate::stats::{Bound, CellAnalysis, Judgement, Ratio};

/// How a phase must compare with the baseline of the same trial; in paired windows, how those with the faults must
/// compare with those without.
///
/// It holds if the whole 95 % interval of the ratio keeps the bounds, it is broken if none of the interval does, and
/// otherwise it is inconclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What is compared.
    pub of: Measure,
    /// The least ratio to the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Factor>,
    /// The greatest ratio to the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Factor>,
    /// The phase that is compared: `fault` or `recovery`.
    #[serde(default = "fault")]
    pub during: Phase,
    /// Of which target it is expected; of every one otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

fn fault() -> Phase {
    Phase::Fault
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Successful operations per second.
    Throughput,
    /// The median latency.
    P50,
    /// The 99th percentile of latency.
    P99,
}

/// What came of an expectation in one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was expected.
    pub expectation: Expectation,
    /// What was found; `None` without valid trials.
    pub ratio: Option<Ratio>,
    /// Whether that is inside the bounds.
    pub judgement: Judgement,
}

impl Expectation {
    /// Judges it in a cell; `None` if it is about another target.
    pub fn judge(&self, cell: &CellAnalysis) -> Option<Judged> {
        if self
            .target
            .as_ref()
            .is_some_and(|name| *name != cell.target)
        {
            return None;
        }
        let ratio = self.ratio(cell);
        let bounds = [
            self.at_least.map(|least| Bound::AtLeast(least.ratio())),
            self.at_most.map(|most| Bound::AtMost(most.ratio())),
        ];
        let judgements = bounds.into_iter().flatten().map(|bound| bound.judge(ratio));
        Some(Judged {
            expectation: self.clone(),
            ratio,
            judgement: Judgement::of_all(judgements),
        })
    }

    fn ratio(&self, cell: &CellAnalysis) -> Option<Ratio> {
        match (cell.tolerance, self.during) {
            (Some(tolerance), Phase::Fault) => match self.of {
                Measure::Throughput => tolerance.rps,
                Measure::P99 => tolerance.p99,
                Measure::P50 => None,
            },
            _ => {
                let phase = cell.phase(self.during)?;
                match self.of {
                    Measure::Throughput => phase.rps_ratio,
                    Measure::P50 => phase.p50_ratio,
                    Measure::P99 => phase.p99_ratio,
                }
            }
        }
    }
}

impl Validate for Expectation {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        match (self.at_least, self.at_most) {
            (None, None) => problems.add_with_help(
                at.clone(),
                "nothing is expected",
                "write `at_least: 0.95x` or `at_most: 1.1x`, as a ratio to the baseline",
            ),
            (Some(least), Some(most)) if least > most => problems.add(
                at.key("at_most"),
                format!("{most} is less than `at_least: {least}`"),
            ),
            _ => {}
        }
        if self.during <= Phase::Baseline {
            problems.add_with_help(
                at.key("during"),
                format!("`{}` cannot be compared with the baseline", self.during),
                "write `during: fault` or `during: recovery`",
            );
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Measure::Throughput => "throughput",
            Measure::P50 => "p50",
            Measure::P99 => "p99",
        })
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} during {}", self.of, self.during)?;
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => write!(f, " {least} to {most} of the baseline"),
            (Some(least), None) => write!(f, " at least {least} the baseline"),
            (None, Some(most)) => write!(f, " at most {most} the baseline"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.judgement {
            Judgement::Inside => "holds",
            Judgement::Outside => "BROKEN",
            Judgement::Inconclusive => "inconclusive",
        };
        write!(f, "{word}: {}: ", self.expectation)?;
        match self.ratio {
            None => f.write_str("no valid trial"),
            Some(Ratio {
                median,
                interval: None,
                ..
            }) => {
                write!(f, "{median:.3}x in a single trial, which has no interval")
            }
            Some(Ratio {
                median,
                interval: Some((low, high)),
                ..
            }) => write!(f, "{median:.3}x [{low:.3}, {high:.3}]"),
        }
    }
}
