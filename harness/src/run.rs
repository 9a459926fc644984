//! A run: every planned trial of an experiment, its results, its report.
//!
//! - `conduct`: cluster up, trial after trial, cluster down, whatever happens;
//! - `consent`: no device is formatted that a person has not named;
//! - `claim`: one run at a time writes to a directory;
//! - `environment`: what `environment.json` says;
//! - `progress`: what a person sees meanwhile;
//! - `verdict`: what its trials allow to say.

mod claim;
mod conduct;
mod consent;
mod environment;
mod progress;
mod verdict;

use std::collections::BTreeSet;
use std::path::PathBuf;

use results::stats::Analysis;
use results::{ResultsError, RunDir};

pub use conduct::{Afterwards, Options, Source, run};
pub use progress::Output;
pub use verdict::Verdict;

use crate::causes::with_causes;
use crate::cluster::ClusterError;
use crate::experiment::{self, LoadError};
use crate::runtime::NoRuntime;

/// A run that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its directory.
    pub dir: PathBuf,
    /// What its trials allow to say.
    pub verdict: Verdict,
}

/// A run did not come to its end. What it measured so far is in its directory.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The experiment cannot be used.
    #[error(transparent)]
    Experiment(#[from] LoadError),
    /// The cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing can be waited for.
    #[error(transparent)]
    Runtime(#[from] NoRuntime),
    /// A node could not be had again after a trial in which it was lost.
    #[error("{source}\nthe trials so far are kept; once it is mended, continue with: depbench run --resume {}", dir.display())]
    NodeGone {
        /// The run's directory.
        dir: PathBuf,
        /// Which node, and why.
        source: ClusterError,
    },
    /// Results could not be written or read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The figures could not be drawn.
    #[error(transparent)]
    Plot(#[from] plots::PlotError),
    /// Ctrl-C or a termination signal; everything was undone.
    #[error("interrupted{}", resume(.dir))]
    Interrupted {
        /// The run's directory, if there is one yet.
        dir: Option<PathBuf>,
    },
    /// Something could not be undone at the end.
    #[error("{}{source}{}", before(.outcome), continued(.dir))]
    NotAllUndone {
        /// Why the run ended early, if it did.
        outcome: Option<Box<RunError>>,
        /// What is left, and why.
        source: Box<RunError>,
        /// The run's directory, if there is one yet.
        dir: Option<PathBuf>,
    },
    /// The cluster cannot do what the experiment asks for.
    #[error("this cluster cannot carry out the experiment:{}", listed(.0))]
    Impossible(BTreeSet<String>),
    /// Trials of a comparison are invalid: there is nothing to compare.
    #[error("nothing to compare: some trials are invalid, see {}", page.display())]
    Incomparable {
        /// The report that says which and why.
        page: PathBuf,
    },
    /// A device is formatted only when a person names it, and only one that the experiment names.
    #[error("{0}")]
    Format(String),
    /// The run cannot be resumed.
    #[error("{} cannot be resumed: {reason}", dir.display())]
    NotResumable {
        /// Its directory.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// This machine denied something basic.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

fn listed(obstacles: &BTreeSet<String>) -> String {
    obstacles.iter().map(|line| format!("\n  {line}")).collect()
}

fn resume(dir: &Option<PathBuf>) -> String {
    match dir {
        Some(dir) => format!(
            "; everything was undone. Continue with: depbench run --resume {}",
            dir.display()
        ),
        None => "; everything was undone".into(),
    }
}

fn before(outcome: &Option<Box<RunError>>) -> String {
    match outcome.as_deref() {
        None => String::new(),
        // That everything was undone is not true here.
        Some(RunError::Interrupted { .. }) => "interrupted; ".into(),
        Some(error) => format!("{}\n", with_causes(error)),
    }
}

fn continued(dir: &Option<PathBuf>) -> String {
    let continued = |dir: &PathBuf| {
        let dir = dir.display();
        format!("\nthe trials so far are kept; continue with: depbench run --resume {dir}")
    };
    dir.as_ref().map(continued).unwrap_or_default()
}

/// The report on a run.
#[derive(Debug)]
pub struct Report {
    /// Its statistics.
    pub analysis: Analysis,
    /// What they allow to say.
    pub verdict: Verdict,
    /// The page for a browser.
    pub page: PathBuf,
}

/// Computes the statistics of a run, and writes tables, verdict, figures and the report from its files alone.
///
/// # Errors
/// When files cannot be read or written.
pub fn report(dir: &RunDir) -> Result<Report, RunError> {
    let mut analysis = Analysis::of(dir)?;
    // A file that this version does not understand any more expects nothing.
    let experiment = experiment::from_text("experiment.yaml", dir.experiment_yaml().to_owned());
    let experiment = experiment.ok();
    if let Some(experiment) = &experiment {
        analysis.expect(&experiment.spec.expect);
    }
    results::write_tables(dir, &analysis)?;
    let verdict = Verdict::write(dir, experiment.as_ref(), &analysis)?;
    let page = plots::report(dir, &analysis)?.html;
    Ok(Report {
        analysis,
        verdict,
        page,
    })
}

/// The program that is running, as nodes are to start it.
///
/// # Errors
/// When it cannot be found out.
pub fn this_program() -> Result<PathBuf, RunError> {
    std::env::current_exe().map_err(|source| RunError::System {
        what: "cannot find this program",
        source,
    })
}
