use std::fmt;

use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

/// Parameters of `process.kill`; all may be left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessKill {
    /// How the server is ended.
    #[serde(default)]
    pub signal: KillSignal,
    /// How long after that it is started again, with the data it left; without it when the fault is cleared.
    #[serde(default)]
    pub restart: Option<Span>,
}

/// The signal that a server is ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KillSignal {
    /// `SIGKILL`: at once, as when the machine loses power but keeps what was written.
    #[default]
    Kill,
    /// `SIGTERM`: it may finish what it does.
    Term,
    /// `SIGABRT`: it crashes.
    Abort,
}

impl KillSignal {
    pub(crate) fn signal(self) -> Signal {
        match self {
            KillSignal::Kill => Signal::SIGKILL,
            KillSignal::Term => Signal::SIGTERM,
            KillSignal::Abort => Signal::SIGABRT,
        }
    }
}

impl fmt::Display for ProcessKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signal.signal())?;
        self.restart
            .iter()
            .try_for_each(|after| write!(f, ", restart after {after}"))
    }
}

impl Validate for ProcessKill {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.restart == Some(Span::ZERO) {
            problems.add_with_help(
                at.key("restart"),
                "a server that is back at once was hardly gone, expected above 0s",
                "leave it out to start the server again when the fault is cleared",
            );
        }
    }
}
