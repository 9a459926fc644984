//! What a leader does that finds itself slow: it hands over.
//!
//! Quorums tolerate a slow follower, not a slow leader. A leader is slow by its own detectors when its thread gets a fifth
//! or less of the CPU that it wants, or when a flush of its log takes longer than a heartbeat, for a second in a row. Its
//! successor may be no better, so nobody hands over soon after it was elected, and the more leaders in a row did, the
//! longer each waits.

use std::rc::Rc;
use std::time::Duration;

use kv::health::is_own_slowness;

use crate::replica::Raft;
use crate::types::Term;

/// How long a new leader is left alone; twice as long for every leader in a row that has handed over.
const TRUST: Duration = Duration::from_secs(3);
const DOUBLINGS: u32 = 6;

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
