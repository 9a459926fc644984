use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use faults::FaultSpec;
use faults::spec::Schedule;
use vocab::ids::Phase;
use vocab::units::Span;

use super::{CliError, Exit, output};
use crate::experiment::{self, Experiment};
use crate::plan;

/// Shows the trials of an experiment in the order they would run, and how long they would take.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench plan experiments/quickstart.yaml")]
pub(super) struct Plan {
    /// The experiment file.
    file: PathBuf,
}

impl Plan {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let experiment = experiment::load(&self.file)?;
        output::print(&describe(&experiment))?;
        Ok(Exit::Pass)
    }
}

fn describe(experiment: &Experiment) -> String {
    let plan = plan::Plan::of(experiment);
    let header = ["order", "starts", "trial", "phases"]
        .map(str::to_owned)
        .to_vec();
    let mut rows = vec![header];
    let mut start = Duration::ZERO;
    for trial in &plan.trials {
        let phases = trial.cell.phases.list();
        let phases: Vec<String> = phases
            .iter()
            .map(|(phase, length)| format!("{phase} {length}"))
            .collect();
        rows.push(vec![
            format!("{:>5}", trial.order),
            format!("+{}", clock(start)),
            trial.id.to_string(),
            phases.join(", "),
        ]);
        start += trial.estimate();
    }
    format!("{}\n{}", summary(experiment), output::table(&rows))
}

/// What an experiment comes to, on a few lines.
pub(super) fn summary(experiment: &Experiment) -> String {
    let plan = plan::Plan::of(experiment);
    let count = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    let head = format!(
        "{}: {} of {}, about {}",
        experiment.spec.name,
        count(plan.trials.len(), "trial"),
        count(experiment.cells.len(), "cell"),
        clock(plan.estimate()),
    );
    let fault = |fault: &FaultSpec| {
        let times = match &experiment.spec.phases.paired {
            Some(paired) if fault.during == Phase::Fault => format!(
                ", {} times: {} out, {} in",
                paired.windows, paired.off, paired.on
            ),
            _ => times(fault),
        };
        format!(
            "fault {}: {} on {} during {}{times}",
            fault.name, fault.kind, fault.on, fault.during
        )
    };
    let lines: Vec<String> = [head]
        .into_iter()
        .chain(experiment.spec.faults.iter().map(fault))
        .collect();
    lines.join("\n") + "\n"
}

/// What a fault's time is besides its phase.
fn times(fault: &FaultSpec) -> String {
    let at = (fault.at != Span::ZERO).then(|| format!(", from {}", fault.at));
    let length = fault.length.map(|length| format!(", for {length}"));
    let schedule = (fault.schedule != Schedule::Step).then(|| format!(", {}", fault.schedule));
    [at, length, schedule].into_iter().flatten().collect()
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
