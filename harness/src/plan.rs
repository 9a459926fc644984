//! Which trials a run consists of, in which order.
//!
//! Trials come in randomised blocks: block *n* holds trial *n* of every cell, shuffled by the experiment's seed. What
//! drifts over hours (heat, neighbours, a filling disk) then falls on all cells alike, and a run that ends early has
//! nearly as many trials of each cell.

mod shuffle;

pub(crate) use shuffle::Generator;

pub(crate) use std::sync::Arc;
use std::time::Duration;

use vocab::ids::TrialId;

use crate::experiment::{Cell, Experiment};

/// What a trial takes besides its phases: cluster up, target ready, results written, cluster down. A rough figure.
const OVERHEAD: Duration = Duration::from_secs(6);

/// All trials of an experiment, in the order they are run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The trials; never empty.
    pub trials: Vec<PlannedTrial>,
}

/// One trial to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTrial {
    /// Which repetition of which cell.
    pub id: TrialId,
    /// From 1, over the whole run.
    pub order: usize,
    /// What to set up.
    pub cell: Arc<Cell>,
    /// Chooses keys and arrivals; the same for all cells of a block, so that they differ in nothing but their settings.
    pub seed: u64,
}

impl Plan {
    /// The plan of an experiment; the same experiment always has the same plan.
    pub fn of(experiment: &Experiment) -> Plan {
        let cells: Vec<Arc<Cell>> = experiment.cells.iter().cloned().map(Arc::new).collect();
        let mut order = Generator::new(experiment.spec.seed);
        let mut trials = Vec::new();
        for number in 1..=experiment.spec.trials.get() {
            let seed = Generator::new(experiment.spec.seed ^ (u64::from(number) << 32)).next();
            let mut block = cells.clone();
            order.shuffle(&mut block);
            for cell in block {
                let id = TrialId {
                    cell: cell.id.clone(),
                    number,
                };
                trials.push(PlannedTrial {
                    id,
                    order: trials.len() + 1,
                    cell,
                    seed,
                });
            }
        }
        Plan { trials }
    }

    /// How long all trials take together, roughly.
    pub fn estimate(&self) -> Duration {
        self.trials.iter().map(PlannedTrial::estimate).sum()
    }
}

impl PlannedTrial {
    /// How long the trial takes, roughly.
    pub fn estimate(&self) -> Duration {
        self.cell.phases.total().duration() + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::experiment::from_text;

    fn plan(rest: &str) -> Plan {
        let text = format!(
            "name: x\ncluster: {{local: {{servers: 3}}}}\ntargets: [{{depfast-raft: {{}}}}, {{etcd: {{}}}}]\n{rest}\n"
        );
        Plan::of(&from_text("x.yaml", text).unwrap())
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.trials
            .iter()
            .map(|trial| trial.id.to_string())
            .collect()
    }

    #[test]
    fn every_block_holds_every_cell_once() {
        let plan = plan("trials: 3\nsweep: {workload.clients: [16, 32, 64]}");
        assert_eq!(plan.trials.len(), 18);
        for (index, block) in plan.trials.chunks(6).enumerate() {
            let cells: BTreeSet<_> = block.iter().map(|trial| &trial.id.cell).collect();
            assert_eq!(cells.len(), 6);
            assert!(
                block
                    .iter()
                    .all(|trial| trial.id.number as usize == index + 1)
            );
            assert!(block.iter().all(|trial| trial.seed == block[0].seed));
        }
        assert_ne!(plan.trials[0].seed, plan.trials[6].seed);
        assert!(
            plan.trials
                .iter()
                .enumerate()
                .all(|(index, trial)| trial.order == index + 1)
        );
    }

    #[test]
    fn the_seed_decides_the_order_and_nothing_else_does() {
        let sweep = "trials: 2\nsweep: {workload.clients: [16, 32, 64]}";
        let with = |seed: u64| plan(&format!("{sweep}\nseed: {seed}"));
        assert_eq!(with(1), with(1));
        assert_ne!(names(&with(1)), names(&with(2)));
        let sorted = |plan: &Plan| names(plan).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&with(1)), sorted(&with(2)));
    }

    /// A run is resumed by a later version of the program: the order may never change.
    #[test]
    fn the_order_of_a_known_seed_stays() {
        let plan = plan("sweep: {workload.clients: [16, 32]}");
        assert_eq!(
            names(&plan),
            [
                "depfast-raft,clients=32/1",
                "etcd,clients=32/1",
                "depfast-raft,clients=16/1",
                "etcd,clients=16/1"
            ]
        );
        assert_eq!(plan.trials[0].seed, 5_622_980_244_967_290_147);
    }

    #[test]
    fn the_estimate_adds_up() {
        let plan = plan("trials: 2\nphases: {warmup: 1s, baseline: 2s}");
        assert_eq!(plan.estimate(), 4 * (Duration::from_secs(3) + OVERHEAD));
    }
}
