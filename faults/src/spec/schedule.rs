use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{Share, Span};

use super::FaultType;
use super::ramp::between;

/// How a fault goes on within its time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// In throughout.
    #[default]
    Step,
    /// Grows from another severity to that of `type`.
    Ramp(Ramp),
    /// Comes and goes; ends as it began, by being in.
    Intermittent(Intermittent),
}

/// Parameters of `ramp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The severity it begins with: the same fault as in `type`, with other values.
    pub from: FaultType,
    /// How many severities there are, the first and the last included; evenly apart.
    pub steps: NonZeroU32,
    /// From the first severity to the end of the last step; without it the fault's whole time. It stays at the last one.
    #[serde(default)]
    pub over: Option<Span>,
}

/// Parameters of `intermittent`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intermittent {
    /// How long it is in.
    pub on: Span,
    /// How long it is out.
    pub off: Span,
    /// Each time is drawn evenly from its length less this share of it to its length and this share more.
    #[serde(default = "no_jitter")]
    pub jitter: Share,
}

fn no_jitter() -> Share {
    Share::NONE
}

/// A stretch of time in which a fault is in, from the start of its phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// When it is injected.
    pub begin: Duration,
    /// When it is cleared.
    pub end: Duration,
    /// With which values.
    pub kind: FaultType,
}

/// Injecting and clearing take some milliseconds, a probe about a second.
const SHORTEST: Span = Span::seconds(1);

/// Of one ramp; more are too fine to tell apart.
const MOST_STEPS: u32 = 100;

impl Schedule {
    /// The stretches in which a fault of this final severity is in between two moments. The same seed draws the same.
    pub(super) fn stretches(
        &self,
        kind: &FaultType,
        begin: Duration,
        end: Duration,
        seed: u64,
    ) -> Vec<Stretch> {
        let whole = Stretch {
            begin,
            end,
            kind: kind.clone(),
        };
        match self {
            Schedule::Step => vec![whole],
            Schedule::Ramp(ramp) => ramp.stretches(&whole),
            Schedule::Intermittent(intermittent) => intermittent.stretches(&whole, seed),
        }
    }

    pub(super) fn validate(&self, kind: &FaultType, at: &FieldPath, problems: &mut Problems) {
        match self {
            Schedule::Step => {}
            Schedule::Ramp(ramp) => ramp.validate(kind, &at.key("ramp"), problems),
            Schedule::Intermittent(one) => one.validate(&at.key("intermittent"), problems),
        }
    }

    /// The shortest time in which it makes sense.
    pub(super) fn shortest(&self) -> Span {
        match self {
            Schedule::Step => Span::ZERO,
            Schedule::Ramp(ramp) => ramp.over.unwrap_or_else(|| {
                Span::from(SHORTEST.duration().saturating_mul(ramp.steps.get()))
            }),
            Schedule::Intermittent(one) => one.on,
        }
    }
}

impl Ramp {
    fn stretches(&self, whole: &Stretch) -> Vec<Stretch> {
        let steps = self.steps.get();
        let over = self.over.map_or(whole.end - whole.begin, Span::duration);
        let start = |step: u32| (whole.begin + over * step / steps).min(whole.end);
        let stretch = |step: u32| Stretch {
            begin: start(step),
            end: if step + 1 == steps {
                whole.end
            } else {
                start(step + 1)
            },
            kind: match step + 1 == steps {
                true => whole.kind.clone(),
                false => {
                    let part = f64::from(step) / f64::from(steps - 1);
                    between(&self.from, &whole.kind, part).unwrap_or_else(|_| whole.kind.clone())
                }
            },
        };
        (0..steps)
            .map(stretch)
            .filter(|stretch| stretch.begin < stretch.end)
            .collect()
    }

    fn validate(&self, kind: &FaultType, at: &FieldPath, problems: &mut Problems) {
        self.from.validate(&at.key("from"), problems);
        if !(2..=MOST_STEPS).contains(&self.steps.get()) {
            problems.add(
                at.key("steps"),
                format!("{} steps, expected from 2 to {MOST_STEPS}", self.steps),
            );
        }
        if let Err(reason) = between(&self.from, kind, 0.5) {
            problems.add(at.key("from"), reason);
        }
        let shortest = SHORTEST.duration().saturating_mul(self.steps.get());
        if let Some(over) = self.over.filter(|over| over.duration() < shortest) {
            problems.add(
                at.key("over"),
                format!(
                    "{} steps within {over}, expected at least {SHORTEST} each",
                    self.steps
                ),
            );
        }
    }
}

impl Intermittent {
    fn stretches(&self, whole: &Stretch, seed: u64) -> Vec<Stretch> {
        let mut random = SplitMix(seed);
        let mut draw = |span: Span| {
            let factor = 1.0 + self.jitter.fraction() * (2.0 * random.unit() - 1.0);
            span.duration().mul_f64(factor)
        };
        let mut stretches = Vec::new();
        let mut at = whole.begin;
        while at < whole.end {
            let end = (at + draw(self.on)).min(whole.end);
            stretches.push(Stretch {
                begin: at,
                end,
                kind: whole.kind.clone(),
            });
            at = end + draw(self.off);
        }
        // Too short to be felt, or to be probed.
        if stretches.len() > 1 {
            stretches.retain(|one| one.end - one.begin >= SHORTEST.duration() / 2);
        }
        stretches
    }

    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (field, span) in [("on", self.on), ("off", self.off)] {
            if span < SHORTEST {
                problems.add_with_help(
                    at.key(field),
                    format!("{span} is too short, expected at least {SHORTEST}"),
                    "`process.pause` has a `period` of its own for shorter times",
                );
            }
        }
        if self.jitter.fraction() > 0.5 {
            problems.add(
                at.key("jitter"),
                format!(
                    "{} would leave nothing of some, expected at most 50%",
                    self.jitter
                ),
            );
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Step => f.write_str("throughout"),
            Schedule::Ramp(ramp) => {
                write!(f, "in {} steps from {}", ramp.steps, ramp.from)?;
                ramp.over
                    .iter()
                    .try_for_each(|over| write!(f, " over {over}"))
            }
            Schedule::Intermittent(one) => {
                write!(f, "{} in, {} out", one.on, one.off)?;
                match one.jitter == Share::NONE {
                    true => Ok(()),
                    false => write!(f, " (± {})", one.jitter),
                }
            }
        }
    }
}

/// SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(schedule: &str, seconds: u64, seed: u64) -> Vec<(f64, f64, String)> {
        let schedule: Schedule = serde_yaml::from_str(schedule).unwrap();
        let kind: FaultType = serde_yaml::from_str("{cpu.quota: {share: 5%}}").unwrap();
        schedule
            .stretches(&kind, Duration::ZERO, Duration::from_secs(seconds), seed)
            .into_iter()
            .map(|one| {
                let (begin, end) = (one.begin.as_secs_f64(), one.end.as_secs_f64());
                (begin, end, one.kind.to_string())
            })
            .collect()
    }

    #[test]
    fn a_ramp_goes_evenly_from_one_severity_to_the_other_and_stays() {
        let found = stretches(
            "{ramp: {from: {cpu.quota: {share: 95%}}, steps: 4, over: 8s}}",
            20,
            1,
        );
        let shown: Vec<_> = found.iter().map(|(a, b, k)| (*a, *b, k.as_str())).collect();
        assert_eq!(
            shown,
            [
                (0.0, 2.0, "cpu.quota 95%"),
                (2.0, 4.0, "cpu.quota 65%"),
                (4.0, 6.0, "cpu.quota 35%"),
                (6.0, 20.0, "cpu.quota 5%"),
            ]
        );
    }

    #[test]
    fn an_intermittent_fault_comes_and_goes_the_same_way_for_the_same_seed() {
        let even = stretches("{intermittent: {on: 2s, off: 3s}}", 12, 1);
        let times: Vec<_> = even.iter().map(|(a, b, _)| (*a, *b)).collect();
        assert_eq!(times, [(0.0, 2.0), (5.0, 7.0), (10.0, 12.0)]);
        let text = "{intermittent: {on: 2s, off: 2s, jitter: 50%}}";
        let (one, same, other) = (
            stretches(text, 60, 7),
            stretches(text, 60, 7),
            stretches(text, 60, 8),
        );
        assert_eq!(one, same);
        assert_ne!(one, other);
        let inner = &one[..one.len() - 1];
        assert!(inner.iter().all(|(a, b, _)| (1.0..=3.0).contains(&(b - a))));
        assert!(one.windows(2).all(|pair| pair[0].1 < pair[1].0), "{one:?}");
    }
}
