//! Is a coroutine suspended for longer than anything should be?

use std::time::Duration;

use super::{Detector, Finding, Observation};
use crate::trace::{OpenWait, WaitsOn};

/// Names each wait that has been going on for longer than a limit, once: a default timeout for everything, for debugging.
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
        let finding = |wait: OpenWait| Finding {
            label: match seen.trace.node() {
                Some(node) => format!("{node}: {} ({})", wait.label, wait.on),
                None => format!("{} ({})", wait.label, wait.on),
            },
            measured: (seen.now - wait.since).as_secs_f64(),
            threshold: self.limit.as_secs_f64(),
        };
        stalled.into_iter().map(finding).collect()
    }
}
