use std::collections::BTreeSet;

use faults::FaultSpec;
use targets::TargetSpec;
use vocab::ids::CellId;
use workloads::Workload;

use super::{Phases, Spec};
use crate::cluster::spec::ClusterSpec;

/// Longer names would not fit into a path together with all that follows.
const LONGEST_NAME: usize = 120;

/// One target at one point of the sweep: all that a trial needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Unique in the experiment, and fit for a directory.
    pub id: CellId,
    /// The system under test.
    pub target: TargetSpec,
    /// Where the nodes come from.
    pub cluster: ClusterSpec,
    /// The load.
    pub workload: Workload,
    /// How long each phase lasts.
    pub phases: Phases,
    /// What becomes slow, and when.
    pub faults: Vec<FaultSpec>,
    /// The swept fields and the values they have here, in the order of the sweep.
    pub settings: Vec<Setting>,
}

/// A swept field and one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting {
    /// The field, as written in `sweep`.
    pub path: String,
    /// The shortest end of the path that no other swept field has.
    pub label: String,
    /// The value as it is written.
    pub value: String,
}

impl Cell {
    pub(super) fn new(
        spec: &Spec,
        target: usize,
        settings: Vec<Setting>,
        names: &mut Names,
    ) -> Cell {
        let target = spec.targets[target].clone();
        Cell {
            id: names.unique(target.target().name(), &settings),
            target,
            cluster: spec.cluster.clone(),
            workload: spec.workload.clone(),
            phases: spec.phases.clone(),
            faults: spec.faults.clone(),
            settings,
        }
    }
}

/// The names given so far.
#[derive(Default)]
pub(super) struct Names(BTreeSet<CellId>);

impl Names {
    fn unique(&mut self, target: &str, settings: &[Setting]) -> CellId {
        let swept = settings
            .iter()
            .map(|setting| format!(",{}={}", setting.label, setting.value));
        let mut name: String = [target.to_owned()].into_iter().chain(swept).collect();
        if name.len() > LONGEST_NAME {
            name.truncate(name.floor_char_boundary(LONGEST_NAME));
        }
        let numbered = (2..).map(|number| CellId::new(&format!("{name}-{number}")));
        let id = [CellId::new(&name)]
            .into_iter()
            .chain(numbered)
            .find(|id| !self.0.contains(id))
            .expect("there are more numbers than cells");
        self.0.insert(id.clone());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(label: &str, value: &str) -> Setting {
        Setting {
            path: label.into(),
            label: label.into(),
            value: value.into(),
        }
    }

    #[test]
    fn names_are_readable_short_and_unique() {
        let mut names = Names::default();
        let mut name = |settings: &[Setting]| names.unique("etcd", settings).to_string();
        assert_eq!(name(&[]), "etcd");
        assert_eq!(
            name(&[setting("clients", "64"), setting("share", "5%")]),
            "etcd,clients=64,share=5%"
        );
        assert_eq!(name(&[setting("rate", "5/s")]), "etcd,rate=5_s");
        assert_eq!(name(&[setting("rate", "5 s")]), "etcd,rate=5_s-2");
        assert!(name(&[setting("path", &"ä".repeat(300))]).len() <= 130);
    }
}
