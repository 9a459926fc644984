//! Consent to formatting: every device by its name, none too few and none too many.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vocab::problem::nearest;

use super::RunError;
use crate::cluster::spec::ClusterSpec;
use crate::experiment::Experiment;

/// Whether exactly those devices are confirmed that the experiment asks to be formatted.
pub(super) fn check(
    experiment: &Experiment,
    confirmed: &BTreeSet<PathBuf>,
) -> Result<(), RunError> {
    let asked = asked(experiment);
    let mut problems = Vec::new();
    for (device, nodes) in &asked {
        if !confirmed.contains(*device) {
            let (device, nodes) = (device.display(), list(nodes));
            problems.push(format!(
                "{device} of {nodes} is to be formatted, and all that is on it would be lost: confirm that with \
                 --yes-format {device}"
            ));
        }
    }
    for device in confirmed {
        if !asked.contains_key(device.as_path()) {
            let device = device.display().to_string();
            let names: Vec<String> = asked
                .keys()
                .map(|path| path.display().to_string())
                .collect();
            let near = nearest(&device, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?"));
            problems.push(format!(
                "--yes-format {device}: the experiment does not ask for that device to be formatted{}",
                near.unwrap_or_default()
            ));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(RunError::Format(problems.join("\n"))),
    }
}

/// The devices to be formatted, each with its nodes.
fn asked(experiment: &Experiment) -> BTreeMap<&Path, BTreeSet<&str>> {
    let mut asked: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
    for cell in &experiment.cells {
        let ClusterSpec::Ssh(spec) = &cell.cluster else {
            continue;
        };
        for node in &spec.nodes {
            if let Some(device) = node.formatted() {
                asked.entry(device).or_default().insert(node.name.as_str());
            }
        }
    }
    asked
}

fn list(nodes: &BTreeSet<&str>) -> String {
    nodes.iter().copied().collect::<Vec<_>>().join(", ")
}
