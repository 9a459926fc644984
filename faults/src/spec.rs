//! The `faults:` part of the experiment file.

mod count;
mod disk;
mod kill;
mod kind;
mod memory;
mod net;
mod place;
mod ramp;
mod schedule;
mod spelling;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::{FaultName, Phase};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

pub use count::Count;
pub use disk::{
    DelayedBy, DelayedOperations, DiskContention, DiskIops, DiskLatency, DiskThroughput, WriteSync,
};
pub use kill::{KillSignal, ProcessKill};
pub use kind::{CpuContention, CpuQuota, FaultType, ProcessPause};
pub use memory::{MemoryContention, MemoryLimit, Swap};
pub use net::{
    Direction, Distribution, NetCorrupt, NetDelay, NetDuplicate, NetLoss, NetPartition, NetRate,
    NetReorder, Order,
};
pub use place::{ClientTraffic, Link, Place, PlaceError, Resolve};
pub use schedule::{Intermittent, Ramp, Schedule, Stretch};
pub use spelling::SpellingError;

/// A fault of the experiment: what, where, when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// How sweeps, tables and figures call it.
    pub name: FaultName,
    /// What makes the node slow, with its parameters.
    #[serde(rename = "type")]
    pub kind: FaultType,
    /// The node or nodes that become slow.
    pub on: Place,
    /// The phase it is in for: injected when the phase starts, cleared when it ends.
    #[serde(default = "fault_phase")]
    pub during: Phase,
    /// It is injected this long after the start of its phase.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at: Span,
    /// It is cleared this long after its start; without it at the end of its phase.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// How it goes on within this time.
    #[serde(default, skip_serializing_if = "is_step")]
    pub schedule: Schedule,
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

fn is_step(schedule: &Schedule) -> bool {
    *schedule == Schedule::Step
}

impl FaultSpec {
    /// When it is in, from the start of its phase, which lasts `phase`; in the order of time. The same seed draws the same.
    pub fn stretches(&self, phase: Span, seed: u64) -> Vec<Stretch> {
        let begin = self.at.duration().min(phase.duration());
        let end = match self.length {
            Some(length) => (begin + length.duration()).min(phase.duration()),
            None => phase.duration(),
        };
        self.schedule.stretches(&self.kind, begin, end, seed)
    }

    /// Whether its phase is too short for it; the reason if so.
    pub fn exceeds(&self, phase: Span) -> Option<String> {
        let shortest = self.schedule.shortest().max(SHORTEST);
        let length = self.length.unwrap_or(shortest).max(shortest);
        let needed = Span::from(self.at.duration().saturating_add(length.duration()));
        (needed > phase).then(|| {
            format!(
                "`{}` needs {needed} of phase `{}`, which lasts {phase}",
                self.name, self.during
            )
        })
    }

    /// Whether it is in from the start of its phase to the end.
    pub fn is_plain(&self) -> bool {
        self.at == Span::ZERO && self.length.is_none() && self.schedule == Schedule::Step
    }
}

/// The shortest time a fault can be in and be probed.
const SHORTEST: Span = Span::seconds(1);

fn fault_phase() -> Phase {
    Phase::Fault
}

impl Validate for FaultSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        self.kind.validate(&at.key("type"), problems);
        self.on.validate(&at.key("on"), problems);
        if self.on.is_of_the_network() && !self.kind.is_of_the_network() {
            problems.add(
                at.key("on"),
                format!(
                    "{} makes a node slow, not a link: `link` and `clients` go with network faults",
                    self.kind.name()
                ),
            );
        }
        self.schedule
            .validate(&self.kind, &at.key("schedule"), problems);
        if let Some(length) = self.length.filter(|length| *length < SHORTEST) {
            problems.add(
                at.key("for"),
                format!("{length} is too short to be felt, expected at least {SHORTEST}"),
            );
        }
        if matches!(self.during, Phase::Warmup | Phase::Baseline) {
            problems.add_with_help(
                at.key("during"),
                format!(
                    "a fault during `{}` leaves nothing to compare with, expected `fault` or `recovery`",
                    self.during
                ),
                "write `during: fault`, or leave it out",
            );
        }
    }
}
