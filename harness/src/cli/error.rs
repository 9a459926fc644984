use std::io::{self, IsTerminal as _};

use faults::helpers::HelperError;
use node::journal::JournalError;
use results::ResultsError;
use vocab::problem::Problem;

use super::{Exit, output};
use crate::causes::with_causes;
use crate::cluster::running::RunningError;
use crate::cluster::{ClusterError, NodeError};
use crate::experiment::{Color, LoadError};
use crate::inject::InjectError;
use crate::run::RunError;
use crate::runtime::NoRuntime;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line cannot be understood, or asks for help.
    #[error(transparent)]
    Usage(clap::Error),
    /// An option has a value that makes no sense.
    #[error("--{0}")]
    Option(Problem),
    /// The experiment file cannot be used.
    #[error(transparent)]
    Experiment(LoadError),
    /// A run did not come to its end.
    #[error(transparent)]
    Run(RunError),
    /// No cluster could be made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node that was asked for is not up.
    #[error(transparent)]
    Running(#[from] RunningError),
    /// There is no node at all.
    #[error("no cluster is up; `depbench run --keep FILE` leaves one up")]
    NothingUp,
    /// The results of a run cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The undo journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A fault on demand could not be carried out.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// A load could not be made.
    #[error(transparent)]
    Load(#[from] workloads::LoadError),
    /// The load generator could not be compared.
    #[error(transparent)]
    Compare(#[from] workloads::compare::CompareError),
    /// The job of a load worker cannot be understood.
    #[error("standard input is not the job of a load worker")]
    Job(#[source] serde_json::Error),
    /// A replica did not start, or had to stop.
    #[error(transparent)]
    Serve(#[from] raft::ServeError),
    /// A replica did not start, or had to stop.
    #[error(transparent)]
    ServeCopilot(#[from] copilot::ServeError),
    /// The program behind a fault ended early.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// A file is there already.
    #[error("{0} exists already; write to another file, or add --force to replace it")]
    Exists(String),
    /// Nothing can be waited for.
    #[error(transparent)]
    Runtime(#[from] NoRuntime),
    /// Something cannot be read or written.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> CliError {
        CliError::Experiment(error)
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> CliError {
        match error {
            // Shown with its lines, wherever it comes from.
            RunError::Experiment(error) => CliError::Experiment(error),
            error => CliError::Run(error),
        }
    }
}

impl CliError {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Usage(error) if !error.use_stderr() => Exit::Pass,
            CliError::Usage(_) | CliError::Option(_) | CliError::Experiment(_) => Exit::FileWrong,
            CliError::Run(RunError::NotResumable { .. } | RunError::Format(_)) => Exit::FileWrong,
            // What is or is not at the path on the command line, not what could not be done there.
            CliError::Results(error) | CliError::Run(RunError::Results(error))
                if matches!(
                    error,
                    ResultsError::Exists { .. } | ResultsError::NoRun { .. }
                ) =>
            {
                Exit::FileWrong
            }
            CliError::Run(RunError::Interrupted { .. }) => Exit::Interrupted,
            CliError::Run(_)
            | CliError::Cluster(_)
            | CliError::Node(_)
            | CliError::Running(_)
            | CliError::NothingUp
            | CliError::Results(_)
            | CliError::Journal(_)
            | CliError::Inject(_)
            | CliError::Load(_)
            | CliError::Compare(_)
            | CliError::Job(_)
            | CliError::Serve(_)
            | CliError::ServeCopilot(_)
            | CliError::Helper(_)
            | CliError::Exists(_)
            | CliError::Runtime(_)
            | CliError::System { .. } => Exit::InfrastructureFailed,
        }
    }

    /// Tells the person, with all causes.
    pub fn print(&self) {
        match self {
            // Help goes to standard output, and may go to a pager that is closed early.
            CliError::Usage(error) => drop(error.print()),
            CliError::Experiment(LoadError::Wrong(report)) => {
                output::print_error(&report.render(stderr_color()));
            }
            error => output::print_error(&format!("{}: {}\n", label(), with_causes(error))),
        }
    }
}

fn label() -> &'static str {
    match stderr_color() {
        Color::Terminal => "\x1b[1;31merror\x1b[0m",
        Color::Plain => "error",
    }
}

/// Colours only where a person reads them and has not said no (<https://no-color.org>).
fn stderr_color() -> Color {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match io::stderr().is_terminal() && !refused {
        true => Color::Terminal,
        false => Color::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let source = || io::Error::from(io::ErrorKind::NotFound);
        let error = CliError::System {
            what: "write x.yaml".into(),
            source: source(),
        };
        assert_eq!(with_causes(&error), "cannot write x.yaml: entity not found");
        let unreadable = LoadError::Unreadable {
            path: "y".into(),
            source: source(),
        };
        assert_eq!(
            with_causes(&CliError::Experiment(unreadable)),
            "cannot read y: entity not found"
        );
    }
}
