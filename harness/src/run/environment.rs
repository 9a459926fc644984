use std::collections::BTreeMap;
use std::path::Path;

use node::facts::Facts;
use results::{Environment, Machine, Program};
use targets::TargetSpec;
use vocab::ids::RunName;
use vocab::time::Wall;

use super::RunError;
use crate::agent::program_hash;
use crate::cluster::Cluster;
use crate::experiment::Experiment;

/// Where and with what a run is made.
pub(super) fn describe(
    run: &RunName,
    experiment: &Experiment,
    program: &Path,
    cluster: &Cluster,
    programs: &BTreeMap<String, String>,
) -> Result<Environment, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    Ok(Environment {
        run: run.clone(),
        experiment: experiment.spec.name.clone(),
        began: Wall::now(),
        seed: experiment.spec.seed,
        command: std::env::args().collect(),
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hash: format!(
                "crc32:{}",
                program_hash(program).map_err(system("cannot read this program"))?
            ),
        },
        provider: cluster.mode().to_string(),
        limitations: cluster.limitations().to_vec(),
        machines: vec![machine(
            Facts::gather().map_err(system("cannot look at this machine"))?,
        )],
        nodes: cluster.environment(),
        versions: versions(experiment, programs),
    })
}

fn machine(facts: Facts) -> Machine {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str, separator: char| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(separator));
        line.map_or_else(
            || "unknown".to_owned(),
            |value| value.trim().trim_matches('"').to_owned(),
        )
    };
    Machine {
        host: facts.hostname,
        kernel: format!("Linux {} {}", facts.kernel, facts.arch),
        system: field(&read("/etc/os-release"), "PRETTY_NAME", '='),
        processor: field(&read("/proc/cpuinfo"), "model name", ':'),
        cpus: facts.cpus,
        memory_bytes: facts.memory.0,
        cgroups: facts.cgroups.to_string(),
    }
}

/// Versions and settings of the targets, by name.
fn versions(
    experiment: &Experiment,
    programs: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut versions = programs.clone();
    for target in experiment.spec.targets.iter().map(TargetSpec::target) {
        for (key, value) in target.constants() {
            versions.insert(format!("{}.{key}", target.name()), value);
        }
    }
    versions
}
