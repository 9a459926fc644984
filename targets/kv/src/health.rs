//! What a replica notices of its own slowness.

use std::time::Duration;

use depfast::Env;
use depfast::detect::{Alert, CpuDetector, Monitor, WaitDetector};

/// How often the detectors look, and how many bad observations in a row they want.
const PERIOD: Duration = Duration::from_millis(100);
const PATIENCE: u32 = 10;
const CPU_SHARE: f64 = 0.2;
/// The wait for a flush of the log.
const FLUSH: &str = "log flush";
const SLOW_FLUSH: Duration = Duration::from_millis(50);

/// Starts detectors: the replica's thread gets a fifth or less of the CPU that it wants, or a flush of its log takes
/// longer than half of a usual heartbeat, for a second in a row. What they find are the node's alerts.
pub fn watch(env: &Env) {
    let monitor = Monitor::start(env, PERIOD);
    monitor.register(CpuDetector::new(CPU_SHARE, PATIENCE));
    // Spikes of other waits are the fault of others.
    monitor.register(WaitDetector::new(f64::INFINITY, PATIENCE).with_limit(FLUSH, SLOW_FLUSH));
}

/// Whether an alert is about the node itself and not about others.
pub fn is_own_slowness(alert: &Alert) -> bool {
    alert.label.starts_with(FLUSH) || alert.detector == CPU
}

/// How the alerts of the CPU detector are named.
const CPU: &str = "cpu";
