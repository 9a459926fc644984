//! How long decided entries wait when nothing goes wrong any more.

use std::collections::BTreeMap;
use std::time::Duration;

use depfast::Instant;
use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Index, Role};

use crate::cluster::Cluster;

/// Longer than it takes to learn a decision that got lost: a heartbeat, and half of one.
const LIMIT: Duration = Duration::from_millis(200);

/// The first entry of each log that is decided and not executed, and since when.
#[derive(Default)]
pub(crate) struct Waits(BTreeMap<(ReplicaId, Role), (Index, Instant)>);

impl Waits {
    /// I11: nothing that is decided waits for long, unless a role is just changing hands.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        if !cluster.has_both_pilots() {
            self.0.clear();
            return Ok(());
        }
        let now = cluster.sim.now();
        for (id, copilot) in cluster.running() {
            for role in Role::BOTH {
                let head = copilot.inspect(|core, _| {
                    let next = core.log(role).executed().next();
                    core.decision(role, next).map(|_| next)
                });
                let Some(head) = head else {
                    self.0.remove(&(id, role));
                    continue;
                };
                let known = self.0.entry((id, role)).or_insert((head, now));
                if known.0 < head {
                    *known = (head, now);
                }
                if now - known.1 > LIMIT {
                    let state = cluster.describe();
                    return Err(format!("{id} does not execute {role} {head}:\n{state}"));
                }
            }
        }
        Ok(())
    }
}
