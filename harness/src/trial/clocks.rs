//! How far the clocks of other machines were from the controller's in a trial, for its `clocks.json`.

use std::path::Path;

use results::{NodeClock, ResultsError};
use serde::Serialize;
use vocab::ids::NodeName;

use crate::cluster::{Cluster, Mode, NodeError};

/// The clocks at the beginning of a trial, by which all of its times are put in the controller's.
pub(super) struct Clocks(Vec<(NodeName, NodeClock)>);

/// A line of the file.
#[derive(Debug, Serialize)]
struct Compared {
    node: NodeName,
    start: NodeClock,
    /// Absent for a node that was lost meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<NodeClock>,
    /// The most that a time of this trial can be wrong, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_ns: Option<u64>,
}

impl Clocks {
    /// Finds out anew how far they are apart: they drift, and a machine that has started again has another one.
    pub(super) async fn set(cluster: &Cluster) -> Result<Clocks, NodeError> {
        cluster.sync_clocks().await?;
        let nodes = cluster.nodes().filter(|_| cluster.mode() == Mode::Machines);
        let clocks = nodes.map(|node| (node.name().clone(), node.clock().into()));
        Ok(Clocks(clocks.collect()))
    }

    /// Compares them once more, and keeps both beside the trial's other files; nothing for nodes of this machine.
    pub(super) async fn keep(self, cluster: &Cluster, dir: &Path) -> Result<(), ResultsError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut compared = Vec::new();
        for (name, start) in self.0 {
            let end = match cluster.node(&name) {
                Ok(node) => node.compare_clock().await.ok().map(NodeClock::from),
                Err(_) => None,
            };
            compared.push(Compared {
                node: name,
                start,
                end,
                error_ns: end.map(|end| farthest(start, end)),
            });
        }
        let path = dir.join("clocks.json");
        let written = serde_json::to_string_pretty(&compared)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&path, text + "\n"));
        written.map_err(|source| ResultsError::Write { path, source })
    }
}

/// How far a time can be off that was put in the controller's clock by `start`, when at the end it would have been by
/// `end`: a clock that runs evenly is in between.
fn farthest(start: NodeClock, end: NodeClock) -> u64 {
    let drifted = start.offset_ns.abs_diff(end.offset_ns);
    start.error_ns.max(drifted.saturating_add(end.error_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_makes_times_wrong() {
        let clock = |offset_ns, error_ns| NodeClock {
            offset_ns,
            error_ns,
        };
        assert_eq!(farthest(clock(-500, 40), clock(-500, 30)), 40);
        assert_eq!(farthest(clock(-500, 40), clock(700, 30)), 1230);
        assert_eq!(farthest(clock(i64::MIN, 0), clock(i64::MAX, 1)), u64::MAX);
    }
}
