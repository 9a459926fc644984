use std::fs;
use std::path::{Path, PathBuf};

use vocab::ids::TrialId;
use vocab::time::Wall;

use super::trial_dir::TrialDir;
use super::trial_writer::TrialWriter;
use super::whole_file::{read_json, replace, write_json};
use crate::environment::Environment;
use crate::error::ResultsError;
use crate::record::{TrialRecord, TrialSetup};

const EXPERIMENT: &str = "experiment.yaml";
const ENVIRONMENT: &str = "environment.json";

/// The directory of a run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    experiment: String,
    environment: Environment,
}

impl RunDir {
    /// Makes the directory (and those above it) of a new run, with the experiment as resolved and where it is run.
    ///
    /// # Errors
    /// When something is there already, or a file cannot be written.
    pub fn create(
        path: &Path,
        experiment_yaml: &str,
        environment: &Environment,
    ) -> Result<RunDir, ResultsError> {
        if path.exists() {
            return Err(ResultsError::Exists {
                path: path.to_owned(),
            });
        }
        let trials = path.join("trials");
        fs::create_dir_all(&trials).map_err(ResultsError::write(&trials))?;
        replace(&path.join(EXPERIMENT), experiment_yaml.as_bytes())?;
        write_json(&path.join(ENVIRONMENT), environment)?;
        Ok(RunDir {
            path: path.to_owned(),
            experiment: experiment_yaml.to_owned(),
            environment: environment.clone(),
        })
    }

    /// Opens the directory of an earlier run, or of one that is going on.
    ///
    /// # Errors
    /// When it holds no run, or its experiment or environment cannot be read.
    pub fn open(path: &Path) -> Result<RunDir, ResultsError> {
        for missing in [EXPERIMENT, ENVIRONMENT] {
            if !path.join(missing).exists() {
                return Err(ResultsError::NoRun {
                    path: path.to_owned(),
                    missing,
                });
            }
        }
        let experiment = path.join(EXPERIMENT);
        Ok(RunDir {
            path: path.to_owned(),
            experiment: fs::read_to_string(&experiment).map_err(ResultsError::read(&experiment))?,
            environment: read_json(&path.join(ENVIRONMENT))?,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The experiment as resolved.
    pub fn experiment_yaml(&self) -> &str {
        &self.experiment
    }

    /// Where and with what it is run.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Begins a trial; what an incomplete one of the same name left is removed.
    ///
    /// # Errors
    /// When the trial is complete already, its cell cannot name a directory, or a file cannot be written.
    pub fn trial(&self, setup: TrialSetup, began: Wall) -> Result<TrialWriter, ResultsError> {
        let dir = self.trial_path(&setup.id)?;
        TrialWriter::create(&dir, setup, began)
    }

    /// All trials that were begun, in the order of the experiment.
    ///
    /// # Errors
    /// When a directory or a `trial.json` cannot be read.
    pub fn trials(&self) -> Result<Vec<TrialDir>, ResultsError> {
        let mut trials = Vec::new();
        for cell in subdirectories(&self.path.join("trials"))? {
            for trial in subdirectories(&cell)? {
                let record = trial.join("trial.json");
                // Without its record it was only just begun, and holds nothing.
                if record.exists() {
                    trials.push(TrialDir::new(trial, read_json(&record)?));
                }
            }
        }
        trials.sort_by(|one, other| order(one.record()).cmp(&order(other.record())));
        Ok(trials)
    }

    /// The trials that ran to their end, valid or not, and need not be run again.
    ///
    /// # Errors
    /// When a directory or a `trial.json` cannot be read.
    pub fn completed_trials(&self) -> Result<Vec<TrialRecord>, ResultsError> {
        let records = self.trials()?.into_iter().map(TrialDir::into_record);
        Ok(records.filter(TrialRecord::is_complete).collect())
    }

    fn trial_path(&self, id: &TrialId) -> Result<PathBuf, ResultsError> {
        let cell = id.cell.as_str();
        if matches!(cell, "" | "." | "..") || cell.contains('/') || cell.len() > 200 {
            return Err(ResultsError::CellName {
                cell: cell.to_owned(),
            });
        }
        Ok(self
            .path
            .join("trials")
            .join(cell)
            .join(id.number.to_string()))
    }
}

fn order(record: &TrialRecord) -> (u32, &str, u32) {
    let setup = &record.setup;
    (setup.cell_index, setup.id.cell.as_str(), setup.id.number)
}

fn subdirectories(path: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(ResultsError::read(path))? {
        let entry = entry.map_err(ResultsError::read(path))?.path();
        if entry.is_dir() {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}
