//! Is a coroutine suspended for longer than anything should be?

use std::time::Duration;

use super::{Detector, Finding, Observation};
use crate::trace::{OpenWait, Trace, WaitsOn};

/// Names each wait that has been going on for longer than a limit, once, and lets it go on;
/// [`Env::set_default_timeout`](crate::Env::set_default_timeout) ends it.
///
/// Waits for the clock are left out, for they are meant to last, and so is whatever `watched` says no to.
pub struct StallDetector {
    limit: Duration,
    watched: fn(&OpenWait) -> bool,
    /// All waits up to this one have been reported or have ended.
    reported: u64,
}

impl StallDetector {
    /// Names waits that last longer than `limit`.
    pub fn new(limit: Duration) -> Self {
        Self::of(limit, |_| true)
    }

    /// Names waits that last longer than `limit` and that `watched` accepts.
    pub fn of(limit: Duration, watched: fn(&OpenWait) -> bool) -> Self {
        Self {
            limit,
            watched,
            reported: 0,
        }
    }
}

impl Detector for StallDetector {
    fn name(&self) -> &'static str {
        "stall"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Vec<Finding> {
        let overdue = |wait: &OpenWait| seen.now - wait.since > self.limit;
        let mut stalled = seen.trace.open_waits();
        stalled.retain(|wait| wait.serial > self.reported && overdue(wait));
        self.reported = (stalled.iter().map(|wait| wait.serial).max()).unwrap_or(self.reported);
        stalled.retain(|wait| wait.on != WaitsOn::Time && (self.watched)(wait));
        let finding = |wait: OpenWait| {
            let (on, lasts) = (wait.on.to_string(), seen.now - wait.since);
            Finding::stall(seen.trace, wait.label, &on, lasts, self.limit)
        };
        stalled.into_iter().map(finding).collect()
    }
}

impl Finding {
    /// Names the point of the code at which a coroutine is stuck.
    pub(crate) fn stall(
        trace: &Trace,
        label: &str,
        on: &str,
        lasts: Duration,
        limit: Duration,
    ) -> Self {
        Self {
            label: match trace.node() {
                Some(node) => format!("{node}: {label} ({on})"),
                None => format!("{label} ({on})"),
            },
            measured: lasts.as_secs_f64(),
            threshold: limit.as_secs_f64(),
        }
    }
}
