//! Whether a cluster can carry out what an experiment asks of it, found out before the first trial.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use faults::{Availability, LatencyWish, available};
use targets::TargetSpec;
use tokio::time::timeout;
use vocab::ids::NodeName;

use crate::agent::CONTROL_UNKNOWN;
use crate::agent::wire::{Layer, Output, Place, Spawn};
use crate::cluster::{Cluster, Mode, Node, NodeError};
use crate::experiment::Cell;

/// How long a program may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// What must lie over the servers' data from the start for these cells.
pub fn layer_for<'a>(cells: impl Iterator<Item = &'a Cell>) -> Layer {
    let faults = cells.flat_map(|cell| &cell.faults);
    LatencyWish::of(faults.map(|fault| &fault.kind)).map_or(Layer::None, Layer::Latency)
}

/// What was found.
#[derive(Debug, Default)]
pub struct Preflight {
    /// What the programs of the targets say of themselves, by target.
    pub versions: BTreeMap<String, String>,
    /// What stands in the way, with what would help.
    pub obstacles: BTreeSet<String>,
    /// Which targets' programs were asked on which servers.
    asked: BTreeSet<(String, NodeName)>,
}

impl Preflight {
    /// Asks the servers of a cluster about the cells that are to run on it.
    ///
    /// # Errors
    /// A lost node.
    pub async fn of(
        cluster: &Cluster,
        cells: impl Iterator<Item = &Cell> + Clone,
    ) -> Result<Preflight, NodeError> {
        let mut found = Preflight::default();
        let kinds = cells.clone().flat_map(|cell| &cell.faults);
        let kinds = kinds.map(|fault| &fault.kind);
        found.obstacles.extend(LatencyWish::contradiction(kinds));
        for cell in cells {
            for server in cluster.servers() {
                found.faults(cluster, server, cell).await?;
            }
            // Nodes of one machine have the same programs.
            let asked = match cluster.mode() {
                Mode::Machines => usize::MAX,
                Mode::Root | Mode::User | Mode::Plain => 1,
            };
            for server in cluster.servers().take(asked) {
                found.target(server, &cell.target).await?;
            }
        }
        Ok(found)
    }

    async fn faults(
        &mut self,
        cluster: &Cluster,
        server: &Node,
        cell: &Cell,
    ) -> Result<(), NodeError> {
        if cell.faults.is_empty() {
            return Ok(());
        }
        let facts = cluster.facts(server).await?;
        let behind = cluster.behind(server);
        for fault in &cell.faults {
            let may_be_hit = fault.on.sender().is_none_or(|node| node == server.name());
            let on_the_way = fault.kind.is_of_the_network() && may_be_hit;
            if on_the_way && !behind.is_empty() {
                let server = server.name();
                self.obstacles.insert(format!(
                    "fault {} ({}) on {server}: the connections of ssh to {} go through {server}, and would be hit: use a \
                     jump host and a controller that are no servers",
                    fault.name,
                    fault.kind,
                    behind.join(", ")
                ));
            }
            if on_the_way && !cluster.knows_control(server) {
                let server = server.name();
                self.obstacles.insert(format!(
                    "fault {} ({}) on {server}: {CONTROL_UNKNOWN}",
                    fault.name, fault.kind
                ));
            }
            let availability = available(&fault.kind, &facts, cluster.wiring());
            if let Availability::No { .. } = availability {
                let server = server.name();
                self.obstacles.insert(format!(
                    "fault {} ({}) on {server}: {availability}",
                    fault.name, fault.kind
                ));
            }
        }
        Ok(())
    }

    async fn target(&mut self, server: &Node, spec: &TargetSpec) -> Result<(), NodeError> {
        let target = spec.target();
        let Some(argv) = target.version_command() else {
            let own = env!("CARGO_PKG_VERSION").to_owned();
            self.versions.insert(target.name().to_owned(), own);
            return Ok(());
        };
        if !self
            .asked
            .insert((target.name().to_owned(), server.name().clone()))
        {
            return Ok(());
        }
        let spawn = Spawn {
            name: "version".into(),
            argv,
            env: BTreeMap::new(),
            cwd: None,
            place: Place::Outside,
            output: Output::Stream,
            cpus: Vec::new(),
        };
        match server.run_job(spawn, Vec::new()).await {
            Ok(mut job) => {
                // A program that says nothing can still serve.
                if let Ok(Some(version)) = timeout(VERSION_WITHIN, job.next_line()).await {
                    self.versions.insert(target.name().to_owned(), version);
                }
                Ok(())
            }
            Err(NodeError::Refused { node, reason }) => {
                let package = target.package();
                let package = package.map_or(String::new(), |package| {
                    format!("; install the package {package}, or give its `path` in the file")
                });
                let name = target.name();
                self.obstacles
                    .insert(format!("target {name} on {node}: {reason}{package}"));
                Ok(())
            }
            Err(lost) => Err(lost),
        }
    }
}
