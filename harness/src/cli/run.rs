use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit, heal};
use crate::experiment;
use crate::run::{self, Afterwards, Options, Output, Source, Verdict};

/// Runs an experiment: measures, cleans up, draws the report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  depbench run experiments/quickstart.yaml
  depbench run --keep my.yaml           leave the cluster up after the last trial, for exec and logs
  depbench run --resume runs/my-20260101T120000Z")]
pub(super) struct Run {
    /// The experiment file.
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    file: Option<PathBuf>,
    /// Continue an interrupted run: whatever its directory lacks is run.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Where the results go; a new directory below `runs` otherwise.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Leave the cluster up after the last trial, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Format this device of this node, as the experiment's `prepare: {mkfs: …}` asks for: all that is on it is lost. For
    /// several, again or with commas. The device alone will do where one node is to have it formatted.
    #[arg(long, value_name = "NODE:DEVICE", value_delimiter = ',')]
    yes_format: Vec<String>,
    /// Print nothing but the table at the end.
    #[arg(long, short)]
    quiet: bool,
}

impl Run {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let source = match (self.file, self.resume) {
            (Some(file), _) => Source::New {
                experiment: Box::new(experiment::load(&file)?),
                dir: self.out,
            },
            (None, Some(dir)) => Source::Resume(dir),
            (None, None) => unreachable!("clap asks for one of them"),
        };
        heal::before_a_run();
        let finished = run::run(&Options {
            source,
            program: run::this_program()?,
            format: self.yes_format.into_iter().collect(),
            output: if self.quiet {
                Output::Quiet
            } else {
                Output::Live
            },
            afterwards: if self.keep {
                Afterwards::Keep
            } else {
                Afterwards::Down
            },
        })?;
        Ok(match finished.verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::Fail => Exit::AssertionFailed,
            Verdict::Inconclusive => Exit::Inconclusive,
        })
    }
}
