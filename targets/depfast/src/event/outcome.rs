//! How a wait ended.

use std::fmt;

/// How a wait on an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was triggered: enough members accepted, or all parts are triggered, or one is.
    Ready,
    /// It never will be: so many members refused, or so many parts failed.
    Fail,
    /// Neither happened in time.
    Timeout,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Fail => "fail",
            Self::Timeout => "timeout",
        })
    }
}
