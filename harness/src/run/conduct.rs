use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use results::{Environment, Parameters, PhaseSpan, RunDir, TrialSetup};
use vocab::ids::{NodeName, RunName};
use vocab::time::Wall;

use super::claim::Claim;
use super::environment;
use super::progress::{Output, Progress};
use super::{Finished, RunError, consent, report};
use crate::cluster::spec::ClusterSpec;
use crate::cluster::{Cluster, ClusterError, Rebuilt, Settings};
use crate::control::serve::Control;
use crate::experiment::{self, Cell, Experiment};
use crate::plan::{Plan, PlannedTrial};
use crate::preflight::{Preflight, layer_for};
use crate::runtime::{self, Stop};
use crate::trial::{self, Trial, TrialError};

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to run.
    pub source: Source,
    /// The depbench program that nodes start.
    pub program: PathBuf,
    /// What a person has confirmed to be formatted: `NODE:DEVICE`.
    pub format: BTreeSet<String>,
    /// How much a person is told meanwhile.
    pub output: Output,
    /// Whether the cluster is left up at the end until a person ends it.
    pub afterwards: Afterwards,
}

/// Where the experiment comes from and its results go.
#[derive(Debug, Clone)]
pub enum Source {
    /// A new run of an experiment.
    New {
        /// The experiment.
        experiment: Box<Experiment>,
        /// The directory of the run; without it one below `runs/`.
        dir: Option<PathBuf>,
    },
    /// The rest of an earlier run, by its directory.
    Resume(PathBuf),
}

/// What becomes of the cluster after the last trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is taken down.
    Down,
    /// It stays up, servers running, until Ctrl-C.
    Keep,
}

/// Runs all trials that are not complete yet, and writes the report.
///
/// # Errors
/// See [`RunError`]; whatever it is, the cluster is down again.
pub fn run(options: &Options) -> Result<Finished, RunError> {
    runtime::block_on(conduct(options))?
}

async fn conduct(options: &Options) -> Result<Finished, RunError> {
    let (experiment, given) = match &options.source {
        Source::New { experiment, dir } => (experiment.as_ref().clone(), dir.clone()),
        Source::Resume(dir) => (resumable(dir)?, Some(dir.clone())),
    };
    let format = consent::check(&experiment, &options.format)?;
    let began = Wall::now();
    let run: RunName = run_name(&experiment, began);
    let path = given.unwrap_or_else(|| Path::new("runs").join(run.as_str()));
    if matches!(options.source, Source::New { .. }) && path.exists() {
        return Err(results::ResultsError::Exists { path }.into());
    }
    let mut progress = Progress::new(options.output);
    let mut stage = Stage {
        run,
        control: None,
        cluster: None,
        dir: None,
        claim: None,
        rebuilt: Vec::new(),
        versions: BTreeMap::new(),
        format,
    };
    // Signals are caught from here on: whatever is made is also unmade.
    let mut stop = Stop::catch().map_err(|source| RunError::System {
        what: "cannot catch signals",
        source,
    })?;
    let outcome = stage
        .trials(options, &experiment, &path, &mut progress, &mut stop)
        .await;
    progress.doing("undoing everything");
    let down = stage.down().await;
    progress.finish();
    let dir = stage.dir.as_ref().map(|dir| dir.path().to_owned());
    if let Err(source) = down {
        return Err(RunError::NotAllUndone {
            outcome: outcome.err().map(Box::new),
            source: Box::new(source),
            dir,
        });
    }
    match outcome {
        Err(RunError::Interrupted { .. }) => return Err(RunError::Interrupted { dir }),
        Err(RunError::Cluster(source)) if let Some(dir) = &stage.dir => {
            let dir = dir.path().to_owned();
            return Err(RunError::NodeGone { dir, source });
        }
        outcome => outcome?,
    }
    let dir = RunDir::open(&path)?;
    let report = report(&dir)?;
    progress.results(&report.analysis, &report.page);
    Ok(Finished {
        dir: path,
        verdict: report.verdict,
    })
}

fn run_name(experiment: &Experiment, began: Wall) -> RunName {
    let mut name = experiment.spec.name.to_string();
    // Names are at most 40 characters long; the label has 16.
    name.truncate(23);
    format!("{name}-{}", began.label())
        .parse()
        .expect("an experiment's name and a time make a name")
}

fn resumable(dir: &Path) -> Result<Experiment, RunError> {
    let run = RunDir::open(dir)?;
    let name = dir.join("experiment.yaml").display().to_string();
    Ok(experiment::from_text(
        &name,
        run.experiment_yaml().to_owned(),
    )?)
}

/// What is up at the moment.
struct Stage {
    run: RunName,
    /// Takes faults on demand for the cluster; before it, so that it goes first.
    control: Option<Control>,
    cluster: Option<(ClusterSpec, Cluster)>,
    dir: Option<RunDir>,
    claim: Option<Claim>,
    /// Nodes that were rebuilt since the last trial.
    rebuilt: Vec<(NodeName, Rebuilt)>,
    /// What the targets' programs say of themselves.
    versions: BTreeMap<String, String>,
    /// The devices of nodes that may be formatted.
    format: BTreeSet<(NodeName, PathBuf)>,
}

impl Stage {
    async fn trials(
        &mut self,
        options: &Options,
        experiment: &Experiment,
        path: &Path,
        progress: &mut Progress,
        stop: &mut Stop,
    ) -> Result<(), RunError> {
        let plan = Plan::of(experiment);
        let mut complete = Vec::new();
        if let Source::Resume(dir) = &options.source {
            let dir = RunDir::open(dir)?;
            self.claim = Some(Claim::of(dir.path())?);
            complete = dir.completed_trials()?;
            self.dir = Some(dir);
        }
        let is_open =
            |trial: &&PlannedTrial| !complete.iter().any(|record| record.setup.id == trial.id);
        let open: Vec<&PlannedTrial> = plan.trials.iter().filter(is_open).collect();
        progress.plan(plan.trials.len(), &open);
        for (position, planned) in open.iter().enumerate() {
            // Broken off by itself where that is safe: what is half made cannot be taken down.
            self.bring_up(&planned.cell.cluster, experiment, options, progress, stop)
                .await?;
            let last = position + 1 == open.len();
            let afterwards = if last {
                options.afterwards
            } else {
                Afterwards::Down
            };
            tokio::select! {
                biased;
                () = stop.stopped() => return Err(RunError::Interrupted { dir: None }),
                done = self.trial(planned, experiment, path, options, afterwards, progress) => done?,
            }
        }
        if let (Afterwards::Keep, Some((_, cluster))) = (options.afterwards, &self.cluster) {
            progress.kept(cluster);
            stop.stopped().await;
        }
        Ok(())
    }

    /// Makes sure that a cluster of this kind is up, every node of it alive.
    async fn bring_up(
        &mut self,
        spec: &ClusterSpec,
        experiment: &Experiment,
        options: &Options,
        progress: &mut Progress,
        stop: &mut Stop,
    ) -> Result<(), RunError> {
        if self.cluster.as_ref().is_some_and(|(up, _)| up != spec) {
            self.down().await?;
        }
        if let Some((_, cluster)) = &mut self.cluster {
            let lost = cluster.nodes().filter(|node| node.lost().is_some());
            let lost: Vec<_> = lost.map(|node| node.name().clone()).collect();
            for node in &lost {
                progress.doing(&format!("rebuilding node {node}"));
                match cluster.rebuild(node, stop.stopped()).await? {
                    Rebuilt::NotAny => return Err(RunError::Interrupted { dir: None }),
                    rebuilt => {
                        progress.rebuilt(node, rebuilt);
                        self.rebuilt.push((node.clone(), rebuilt));
                    }
                }
            }
            if !lost.is_empty() {
                self.listen().await;
            }
            return Ok(());
        }
        let cells = || experiment.cells.iter().filter(|cell| cell.cluster == *spec);
        let settings = Settings {
            program: options.program.clone(),
            layer: layer_for(cells()),
            format: self.format.clone(),
            ..Settings::new(self.run.clone())?
        };
        let tell = |step| progress.step(&step);
        let cluster = match Cluster::up_unless(spec, settings, tell, stop.stopped()).await {
            Err(ClusterError::Interrupted) => return Err(RunError::Interrupted { dir: None }),
            cluster => cluster?,
        };
        let (_, cluster) = self.cluster.insert((spec.clone(), cluster));
        let preflight = Preflight::of(cluster, cells())
            .await
            .map_err(ClusterError::from)?;
        if !preflight.obstacles.is_empty() {
            return Err(RunError::Impossible(preflight.obstacles));
        }
        self.versions.extend(preflight.versions);
        self.listen().await;
        Ok(())
    }

    /// Takes faults on demand from now on, for the nodes that there are now. A run goes on without.
    async fn listen(&mut self) {
        if let Some(before) = self.control.take() {
            before.end().await;
        }
        if let Some((_, cluster)) = &self.cluster {
            self.control = Control::listen(&self.run, cluster.sites()).ok();
        }
    }

    fn environment(
        &self,
        options: &Options,
        experiment: &Experiment,
    ) -> Result<Environment, RunError> {
        let (_, cluster) = self
            .cluster
            .as_ref()
            .expect("a trial is about to run on it");
        environment::describe(
            &self.run,
            experiment,
            &options.program,
            cluster,
            &self.versions,
        )
    }

    async fn trial(
        &mut self,
        planned: &PlannedTrial,
        experiment: &Experiment,
        path: &Path,
        options: &Options,
        afterwards: Afterwards,
        progress: &mut Progress,
    ) -> Result<(), RunError> {
        if self.dir.is_none() {
            let environment = self.environment(options, experiment)?;
            self.dir = Some(RunDir::create(path, &experiment.resolved(), &environment)?);
            self.claim = Some(Claim::of(path)?);
        }
        let cell_index = experiment
            .cells
            .iter()
            .position(|cell| cell.id == planned.id.cell)
            .unwrap_or_default();
        let setup = TrialSetup {
            id: planned.id.clone(),
            cell_index: cell_index as u32,
            target: planned.cell.target.target().name().to_owned(),
            parameters: parameters(&planned.cell),
            seed: planned.seed,
            phases: PhaseSpan::in_turn(planned.cell.phases.list()),
        };
        let dir = self.dir.as_ref().expect("made before the first trial");
        let files = dir.trial(setup, Wall::now())?;
        let (_, cluster) = self.cluster.as_ref().expect("brought up before the trial");
        progress.trial(planned);
        let trial = Trial {
            cluster,
            cell: &planned.cell,
            seed: planned.seed,
            rebuilt: std::mem::take(&mut self.rebuilt),
            afterwards,
        };
        let (files, validity) =
            match trial::run(&trial, files, &mut |live| progress.live(&live)).await {
                Ok(finished) => finished,
                Err(TrialError::Results(error)) => return Err(error.into()),
                Err(other) => unreachable!("every other error makes the trial invalid: {other}"),
            };
        progress.trial_done(planned, &validity);
        Ok(files.finish(validity, Wall::now())?)
    }

    /// Takes the cluster down; says what could not be undone.
    async fn down(&mut self) -> Result<(), RunError> {
        self.control = None;
        match self.cluster.take() {
            Some((_, cluster)) => Ok(cluster.down().await?),
            None => Ok(()),
        }
    }
}

/// What the cell sets differently from the file, as the results know it.
fn parameters(cell: &Cell) -> Parameters {
    cell.settings
        .iter()
        .map(|setting| (setting.path.clone(), setting.value.clone().into()))
        .collect()
}
