//! What a leader does that finds itself slow: it hands over.
//!
//! Quorums tolerate a slow follower, not a slow leader. A leader is slow by its own detectors when its thread gets a fifth
//! or less of the CPU that it wants, or when a flush of its log takes longer than a heartbeat, for a second in a row. Its
//! successor may be no better, so nobody hands over soon after it was elected, and the more leaders in a row did, the
//! longer each waits.

use std::rc::Rc;
use std::time::Duration;

use depfast::Env;
use depfast::detect::{Alert, CpuDetector, Monitor, WaitDetector};

use crate::replica::Raft;
use crate::types::Term;

/// How often the detectors look, and how many bad observations in a row they want.
const PERIOD: Duration = Duration::from_millis(100);
const PATIENCE: u32 = 10;
const CPU_SHARE: f64 = 0.2;
/// The wait for a flush of the log.
const FLUSH: &str = "log flush";
const SLOW_FLUSH: Duration = Duration::from_millis(50);
/// How long a new leader is left alone; twice as long for every leader in a row that has handed over.
const TRUST: Duration = Duration::from_secs(3);
const DOUBLINGS: u32 = 6;

/// Starts the detectors.
pub(crate) fn watch(env: &Env) {
    let monitor = Monitor::start(env, PERIOD);
    monitor.register(CpuDetector::new(CPU_SHARE, PATIENCE));
    // Spikes of other waits are the fault of others.
    monitor.register(WaitDetector::new(f64::INFINITY, PATIENCE).with_limit(FLUSH, SLOW_FLUSH));
}

impl Raft {
    /// Hands over if this leader finds itself slow.
    pub(crate) async fn watch_itself_while_leading(self: &Rc<Self>, term: Term) {
        let alerts = self.env.alerts();
        let mut handovers = self.state.borrow().handovers.min(DOUBLINGS);
        loop {
            let trust = TRUST * (1 << handovers);
            self.env.timeout("trust", trust).await;
            let (mut seen, quiet_from) = (alerts.total(), self.env.now());
            loop {
                let news = alerts.wait_past("own health", seen);
                let _news_or_not = self.env.within("own health", trust, news).await;
                if self.state.borrow_mut().leading(term).is_none() {
                    return;
                }
                let slow = alerts.since(seen).iter().any(is_own_slowness);
                seen = alerts.total();
                if slow {
                    break;
                }
                if self.env.now().since(quiet_from) > trust {
                    handovers = 0;
                    self.state.borrow_mut().handovers = 0;
                }
            }
            handovers = (handovers + 1).min(DOUBLINGS);
            self.state.borrow_mut().handovers = handovers;
            if self.hand_over(None).await {
                return;
            }
        }
    }
}

fn is_own_slowness(alert: &Alert) -> bool {
    alert.label.starts_with(FLUSH) || alert.detector == CPU
}

/// How the alerts of the CPU detector are named.
const CPU: &str = "cpu";
