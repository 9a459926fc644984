use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use faults::{Availability, CheckRow, Wiring, check_table};
use node::facts::Facts;

use super::{CliError, Exit, output, plan};
use crate::cluster::spec::ClusterSpec;
use crate::cluster::{Cluster, NodeError, Progress, Settings, run_of};
use crate::experiment::{self, Cell, Experiment};
use crate::preflight::{Preflight, layer_for};
use crate::runtime;

/// Checks an experiment: its file, and what each node can and cannot do.
///
/// Brings the cluster up to ask its nodes, and takes it down again. No server is started and no fault injected.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench check experiments/quickstart.yaml")]
pub(super) struct Check {
    /// The experiment file.
    file: PathBuf,
}

impl Check {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let experiment = experiment::load(&self.file)?;
        let name = self.file.display();
        output::print(&format!(
            "{name}: nothing is wrong with the file\n{}",
            plan::summary(&experiment)
        ))?;
        let mut exit = Exit::Pass;
        for (cluster, cells) in by_cluster(&experiment) {
            let found = runtime::block_on(ask(cluster, &cells))??;
            output::print(&found.describe())?;
            if !found.preflight.obstacles.is_empty() {
                exit = Exit::InfrastructureFailed;
            }
        }
        Ok(exit)
    }
}

/// The clusters of the experiment, each with the cells that run on it.
fn by_cluster(experiment: &Experiment) -> Vec<(&ClusterSpec, Vec<&Cell>)> {
    let mut clusters: Vec<(&ClusterSpec, Vec<&Cell>)> = Vec::new();
    for cell in &experiment.cells {
        match clusters
            .iter_mut()
            .find(|(cluster, _)| **cluster == cell.cluster)
        {
            Some((_, cells)) => cells.push(cell),
            None => clusters.push((&cell.cluster, vec![cell])),
        }
    }
    clusters
}

/// What a cluster is and its servers can do.
struct Found {
    mode: String,
    limitations: Vec<String>,
    wiring: Wiring,
    servers: Vec<(String, Facts)>,
    preflight: Preflight,
}

async fn ask(spec: &ClusterSpec, cells: &[&Cell]) -> Result<Found, CliError> {
    let settings = Settings {
        layer: layer_for(cells.iter().copied()),
        ..Settings::new(run_of("check"))?
    };
    let tell = |step: Progress| {
        if let Some(line) = step.line() {
            eprintln!("{line}");
        }
    };
    let cluster = Cluster::up(spec, settings, tell).await?;
    let found = ask_servers(&cluster, cells).await;
    cluster.down().await?;
    Ok(found?)
}

async fn ask_servers(cluster: &Cluster, cells: &[&Cell]) -> Result<Found, NodeError> {
    let mut servers = Vec::new();
    for server in cluster.servers() {
        servers.push((server.name().to_string(), cluster.facts(server).await?));
    }
    Ok(Found {
        mode: cluster.mode().to_string(),
        limitations: cluster.limitations().to_vec(),
        wiring: cluster.wiring(),
        servers,
        preflight: Preflight::of(cluster, cells.iter().copied()).await?,
    })
}

impl Found {
    fn describe(&self) -> String {
        let mut lines = vec![String::new(), format!("cluster: {}", self.mode)];
        lines.extend(
            self.limitations
                .iter()
                .map(|limitation| format!("  note: {limitation}")),
        );
        // Nodes of one machine can do the same.
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, facts) in &self.servers {
            let table = check_table(facts, self.wiring);
            let head = ["", "fault", "by", "needs", "here"].map(str::to_owned);
            let rows = table.iter().flat_map(rows);
            let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
            alike.entry(output::table(&rows)).or_default().push(name);
        }
        for (table, names) in alike {
            lines.push(format!("{} can inject:", names.join(", ")));
            lines.push(table.trim_end().to_owned());
        }
        for (target, version) in &self.preflight.versions {
            lines.push(format!("target {target}: {version}"));
        }
        let obstacles = &self.preflight.obstacles;
        lines.extend(obstacles.iter().map(|line| format!("not possible: {line}")));
        lines.join("\n") + "\n"
    }
}

/// Every means to a fault: the one that will be taken, those that could be, and why the others cannot.
fn rows(row: &CheckRow) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut taken = false;
    for candidate in &row.candidates {
        let here = match &candidate.obstacle {
            Some(obstacle) => format!("no: {obstacle}"),
            None if taken => "possible".to_owned(),
            None => {
                taken = true;
                let note = candidate.note.iter().map(|note| format!("; {note}"));
                format!("taken{}", note.collect::<String>())
            }
        };
        let fault = if rows.is_empty() { row.fault } else { "" };
        rows.push(vec![
            String::new(),
            fault.to_owned(),
            candidate.backend.to_string(),
            candidate.backend.needs().to_owned(),
            here,
        ]);
    }
    if let Availability::No {
        nearest: Some(nearest),
        ..
    } = &row.availability
    {
        let mut row = vec![String::new(); 4];
        row.push(format!("nearest: {nearest}"));
        rows.push(row);
    }
    rows
}
