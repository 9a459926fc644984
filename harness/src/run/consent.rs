//! Consent to formatting: every device of every node by its name, none too few and none too many.

use std::collections::BTreeSet;
use std::path::PathBuf;

use vocab::ids::NodeName;
use vocab::problem::nearest;

use super::RunError;
use crate::cluster::spec::ClusterSpec;
use crate::experiment::Experiment;

/// A device of a node.
type Place = (NodeName, PathBuf);

/// What may be formatted, if exactly that is confirmed which the experiment asks for.
pub(super) fn check(
    experiment: &Experiment,
    confirmed: &BTreeSet<String>,
) -> Result<BTreeSet<Place>, RunError> {
    let asked = asked(experiment);
    let mut open: BTreeSet<&Place> = asked.iter().collect();
    let mut problems = Vec::new();
    for word in confirmed {
        let meant = |place: &&Place| full(place) == *word || place.1.as_os_str() == word.as_str();
        let meant: Vec<&Place> = asked.iter().filter(meant).collect();
        match meant[..] {
            [one] => drop(open.remove(one)),
            [] => problems.push(format!(
                "--yes-format {word}: the experiment does not ask for that to be formatted{}",
                meant_instead(word, &asked)
            )),
            _ => problems.push(format!(
                "--yes-format {word}: several nodes have such a device: name each"
            )),
        }
    }
    if !open.is_empty() {
        let of_nodes: Vec<String> = open
            .iter()
            .map(|(node, device)| format!("{} of {node}", device.display()))
            .collect();
        let words: Vec<String> = open.iter().map(|place| full(place)).collect();
        problems.push(format!(
            "{} would be formatted, and all that is on it lost: confirm that with --yes-format {}",
            of_nodes.join(", "),
            words.join(",")
        ));
    }
    match problems.is_empty() {
        true => Ok(asked),
        false => Err(RunError::Format(problems.join("\n"))),
    }
}

/// `NODE:DEVICE`.
fn full((node, device): &Place) -> String {
    format!("{node}:{}", device.display())
}

fn meant_instead(word: &str, asked: &BTreeSet<Place>) -> String {
    let names: Vec<String> = asked.iter().map(full).collect();
    let near = nearest(word, names.iter().map(String::as_str));
    near.map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
}

/// What is to be formatted.
fn asked(experiment: &Experiment) -> BTreeSet<Place> {
    let clusters = experiment.cells.iter().map(|cell| &cell.cluster);
    let machines = clusters.filter_map(|cluster| match cluster {
        ClusterSpec::Ssh(spec) => Some(&spec.nodes),
        ClusterSpec::Local(_) => None,
    });
    let devices = machines.flatten().filter_map(|node| {
        let device = node.formatted()?.to_owned();
        Some((node.name.clone(), device))
    });
    devices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::from_text;

    const FILE: &str = "name: disks
cluster:
  ssh:
    nodes:
      - {name: s1, roles: [server], prepare: {mkfs: {device: /dev/vdb}}}
      - {name: s2, roles: [server], prepare: {mkfs: {device: /dev/vdb}}}
      - {name: s3, roles: [server], prepare: {mkfs: {device: /dev/vdc}}}
      - {name: c1, roles: [client]}
targets: [{depfast-raft: {}}]
phases: {warmup: 1s, baseline: 2s}
";

    #[test]
    fn every_device_of_every_node_is_confirmed() {
        let experiment = from_text("disks.yaml", FILE.to_owned()).unwrap();
        let check = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            check(&experiment, &words).map_err(|error| error.to_string())
        };
        let all = ["s1:/dev/vdb", "s2:/dev/vdb", "s3:/dev/vdc"];
        assert_eq!(check(&all).unwrap().len(), 3);
        // Only one node has such a device.
        assert_eq!(check(&[all[0], all[1], "/dev/vdc"]).unwrap().len(), 3);

        let none = check(&[]).unwrap_err();
        assert!(
            none.contains("/dev/vdb of s1, /dev/vdb of s2, /dev/vdc of s3 would"),
            "{none}"
        );
        assert!(
            none.ends_with("--yes-format s1:/dev/vdb,s2:/dev/vdb,s3:/dev/vdc"),
            "{none}"
        );
        // A device of that name on another node, which has been added since, is not meant.
        let one = check(&[all[0], all[2]]).unwrap_err();
        assert!(
            one.ends_with("confirm that with --yes-format s2:/dev/vdb"),
            "{one}"
        );
        let both = check(&["/dev/vdb", all[2]]).unwrap_err();
        assert!(both.contains("several nodes have such a device"), "{both}");
        let other = check(&[all[0], all[1], all[2], "s3:/dev/vdb"]).unwrap_err();
        assert!(
            other.contains("s3:/dev/vdb: the experiment does not ask"),
            "{other}"
        );
        assert!(other.contains("did you mean s"), "{other}");
    }
}
