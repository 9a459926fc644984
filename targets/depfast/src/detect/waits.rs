//! Do waits take longer than they did, or than they may?

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Detector, Finding, Observation, Strikes};
use crate::trace::{WaitStats, WaitsOn};

/// Alerts when the average wait at some point of the code, within one observation, is `factor` times as long as it has
/// been lately (a spike), or repeatedly longer than a limit that was set for that point.
///
/// Waits for the clock and for other coroutines of the node are not looked at unless they have a limit: how long they
/// take is up to the protocol and its clients.
pub struct WaitDetector {
    factor: f64,
    patience: u32,
    limits: BTreeMap<&'static str, Duration>,
    points: BTreeMap<(&'static str, WaitsOn), Point>,
}

/// A spike below this is no news.
const FLOOR: Duration = Duration::from_millis(5);
/// So many observations with waits make a history that a spike can stand out from.
const HISTORY: u32 = 10;
/// The weight of the newest observation in the history.
const WEIGHT: f64 = 0.1;

#[derive(Default)]
struct Point {
    ended: u64,
    total: Duration,
    observations: u32,
    /// How long a wait took lately, in seconds.
    usual: f64,
    spikes: Strikes,
    breaches: Strikes,
}

impl WaitDetector {
    /// Alerts at every `patience` observations in a row that are `factor` times the usual, or over their limit.
    pub fn new(factor: f64, patience: u32) -> Self {
        Self {
            factor,
            patience,
            limits: BTreeMap::new(),
            points: BTreeMap::new(),
        }
    }

    /// Sets how long the average wait labelled `label` may take.
    #[must_use]
    pub fn with_limit(mut self, label: &'static str, limit: Duration) -> Self {
        self.limits.insert(label, limit);
        self
    }

    fn look_at(&mut self, wait: &WaitStats, found: &mut Vec<Finding>) {
        let point = self.points.entry((wait.label, wait.on)).or_default();
        let Some(mean) = point.advance(wait) else {
            return;
        };
        let mut report = |threshold: f64| {
            found.push(Finding {
                label: format!("{} ({})", wait.label, wait.on),
                measured: mean,
                threshold,
            });
        };
        if let Some(limit) = self.limits.get(wait.label).map(Duration::as_secs_f64)
            && point.breaches.count(mean > limit, self.patience)
        {
            report(limit);
        }
        if matches!(wait.on, WaitsOn::Local | WaitsOn::Time) {
            return;
        }
        let threshold = (point.usual * self.factor).max(FLOOR.as_secs_f64());
        let spike = point.observations >= HISTORY && mean > threshold;
        if point.spikes.count(spike, self.patience) {
            report(threshold);
        }
        point.learn(mean, spike);
    }
}

impl Default for WaitDetector {
    /// Ten times the usual, three times in a row.
    fn default() -> Self {
        Self::new(10.0, 3)
    }
}

impl Point {
    /// The average of the waits that have ended since the last time, in seconds.
    fn advance(&mut self, wait: &WaitStats) -> Option<f64> {
        let ended = wait.ended() - self.ended;
        let took = wait.total.saturating_sub(self.total);
        (self.ended, self.total) = (wait.ended(), wait.total);
        (ended > 0).then(|| took.as_secs_f64() / ended as f64)
    }

    fn learn(&mut self, mean: f64, spike: bool) {
        if self.observations == 0 {
            self.usual = mean;
        }
        self.observations = self.observations.saturating_add(1);
        // A spike becomes usual only slowly, so that a fault that lasts is reported for a while.
        let weight = if spike { WEIGHT / 10.0 } else { WEIGHT };
        self.usual += (mean - self.usual) * weight;
    }
}

impl Detector for WaitDetector {
    fn name(&self) -> &'static str {
        "waits"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        for wait in seen.trace.waits() {
            self.look_at(&wait, &mut found);
        }
        found
    }
}
