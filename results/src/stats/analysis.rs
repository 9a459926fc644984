use vocab::ids::Phase;

use super::cell::CellAnalysis;
use super::effects::Effects;
use super::paired::Pair;
use super::phase::{Ops, PhaseSummary, summarise};
use super::trial_data::TrialData;
use crate::disk::RunDir;
use crate::error::ResultsError;
use crate::expect::Expectation;
use crate::record::{TrialRecord, Validity};

/// All statistics of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The cells in the order of the experiment.
    pub cells: Vec<CellAnalysis>,
    /// What bends all numbers of the run, in words.
    pub limitations: Vec<String>,
}

/// The statistics of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialAnalysis {
    /// What `trial.json` holds.
    pub record: TrialRecord,
    /// By phase and kind of operation.
    pub phases: Vec<PhaseSummary>,
    /// The pairs of windows of a paired fault phase; empty for any other.
    pub pairs: Vec<Pair>,
    /// What the fault did.
    pub effects: Effects,
}

impl Analysis {
    /// From the files of a run, one trial in memory at a time.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(run: &RunDir) -> Result<Analysis, ResultsError> {
        let mut cells: Vec<Vec<TrialAnalysis>> = Vec::new();
        for dir in run.trials()? {
            let trial = TrialAnalysis::of(&TrialData::load(&dir)?);
            match cells.last_mut() {
                Some(cell) if cell[0].record.setup.id.cell == trial.record.setup.id.cell => {
                    cell.push(trial);
                }
                _ => cells.push(vec![trial]),
            }
        }
        let cells = cells.into_iter().filter_map(|trials| {
            let setup = trials.first()?.record.setup.clone();
            Some(CellAnalysis::new(&setup, trials))
        });
        Ok(Analysis {
            cells: cells.collect(),
            limitations: run.environment().limitations.clone(),
        })
    }

    /// Judges what is expected, in every cell it is about.
    pub fn expect(&mut self, expectations: &[Expectation]) {
        for cell in &mut self.cells {
            let judged = expectations.iter().filter_map(|one| one.judge(cell));
            cell.judged = judged.collect();
        }
    }
}

impl TrialAnalysis {
    /// Of one trial.
    pub fn of(trial: &TrialData) -> TrialAnalysis {
        let phases = summarise(&trial.intervals, &trial.latencies);
        TrialAnalysis {
            record: trial.record.clone(),
            effects: Effects::of(trial, &phases),
            pairs: trial.pairs.clone(),
            phases,
        }
    }

    /// Whether the numbers count.
    pub fn is_valid(&self) -> bool {
        self.record.validity() == Validity::Valid
    }

    /// What the clients saw in a phase.
    pub fn phase(&self, phase: Phase, ops: Ops) -> Option<&PhaseSummary> {
        self.phases
            .iter()
            .find(|one| one.phase == phase && one.ops == ops)
    }
}
