use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

/// A fault phase in which the faults come and go many times: a window without them, a window with them, and so on.
/// Each pair of windows is compared with itself, so that what drifts over the trial, or differs between trials, cancels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    /// How many pairs of windows.
    #[serde(default = "ten")]
    pub windows: NonZeroU32,
    /// How long the faults are in; whole seconds.
    #[serde(default = "five")]
    pub on: Span,
    /// How long they are out before that; whole seconds.
    #[serde(default = "five")]
    pub off: Span,
}

fn ten() -> NonZeroU32 {
    NonZeroU32::new(10).expect("10 is not 0")
}

fn five() -> Span {
    Span::seconds(5)
}

/// The shortest window: one interval of load in which the change happens, and one without.
const SHORTEST: Span = Span::seconds(2);

/// Fewer pairs have no interval worth the name.
const FEWEST: u32 = 3;

/// A window of a paired phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Which pair it belongs to, from 1.
    pub pair: u32,
    /// Whether the faults are in.
    pub faulty: bool,
    /// When it starts, from the start of the phase.
    pub begin: Duration,
    /// When it ends.
    pub end: Duration,
}

impl Paired {
    /// All windows in the order of time.
    pub fn layout(&self) -> Vec<Window> {
        let (on, off) = (self.on.duration(), self.off.duration());
        let pair = |number: u32| {
            let begin = (on + off) * (number - 1);
            let window = |faulty, begin, end| Window {
                pair: number,
                faulty,
                begin,
                end,
            };
            [
                window(false, begin, begin + off),
                window(true, begin + off, begin + off + on),
            ]
        };
        (1..=self.windows.get()).flat_map(pair).collect()
    }

    /// All windows together.
    pub fn total(&self) -> Span {
        let pair = self.on.duration().saturating_add(self.off.duration());
        pair.saturating_mul(self.windows.get()).into()
    }
}

impl Validate for Paired {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.windows.get() < FEWEST {
            problems.add(
                at.key("windows"),
                format!(
                    "{} pairs say little, expected at least {FEWEST}",
                    self.windows
                ),
            );
        }
        for (field, span) in [("on", self.on), ("off", self.off)] {
            if span < SHORTEST || span.duration().subsec_nanos() != 0 {
                problems.add(
                    at.key(field),
                    format!("{span} does not hold intervals of a second, expected whole seconds, at least {SHORTEST}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_without_and_with_the_faults_take_turns() {
        let paired = Paired {
            windows: NonZeroU32::new(3).unwrap(),
            on: Span::seconds(4),
            off: Span::seconds(2),
        };
        let windows = paired.layout();
        let shown: Vec<_> = windows
            .iter()
            .map(|one| (one.pair, one.faulty, one.begin.as_secs(), one.end.as_secs()))
            .collect();
        assert_eq!(
            shown[..3],
            [(1, false, 0, 2), (1, true, 2, 6), (2, false, 6, 8)]
        );
        assert_eq!(windows.len(), 6);
        assert_eq!(windows[5].end, paired.total().duration());
    }
}
