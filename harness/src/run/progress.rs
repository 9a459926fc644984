use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use results::stats::Analysis;
use results::{Interval, Latency, Validity, table};
use vocab::ids::{NodeName, Phase};
use vocab::time::TrialTime;

use crate::cluster::{Cluster, Node, Progress as Step, Rebuilt};
use crate::plan::PlannedTrial;
use crate::trial::Live;

/// How much a person is told while a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A line a second, and a bar where there is a terminal.
    Live,
    /// Only the table at the end.
    Quiet,
}

/// Tells a person how far the run is. Everything goes to standard error but the table at the end.
pub(super) struct Progress {
    output: Output,
    bar: ProgressBar,
    trials: usize,
    phase: Option<Phase>,
    /// Trial time up to the end of the last trial, as planned.
    done: Duration,
    planned: Duration,
    second: Option<Second>,
    faults: Vec<String>,
}

/// All kinds of operations within one interval.
struct Second {
    start: TrialTime,
    length: f64,
    ok: u64,
    errors: u64,
    latency: Latency,
}

impl Progress {
    pub(super) fn new(output: Output) -> Progress {
        let target = match output == Output::Live && std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} ({left} left)")
            .expect("the template is well-formed")
            .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let left = state.len().unwrap_or_default().saturating_sub(state.pos());
                // Nobody is left to tell if a bar cannot be written.
                let _unwritten = out.write_str(&minutes(Duration::from_millis(left)));
            })
            .progress_chars("█▉▊▋▌▍▎▏ ");
        bar.set_style(style);
        Progress {
            output,
            bar,
            trials: 0,
            phase: None,
            done: Duration::ZERO,
            planned: Duration::ZERO,
            second: None,
            faults: Vec::new(),
        }
    }

    /// What is to be done.
    pub(super) fn plan(&mut self, all: usize, open: &[&PlannedTrial]) {
        let total: Duration = open.iter().map(|trial| trial.estimate()).sum();
        self.trials = all;
        self.bar.set_length(total.as_millis() as u64);
        self.bar.enable_steady_tick(Duration::from_millis(500));
        let trials = if all == 1 {
            "1 trial".to_owned()
        } else {
            format!("{all} trials")
        };
        let rest = if open.len() < all {
            format!(", {} of them still to do", open.len())
        } else {
            String::new()
        };
        self.say(&format!("{trials}{rest}, about {}", minutes(total)));
    }

    /// A trial begins.
    pub(super) fn trial(&mut self, planned: &PlannedTrial) {
        self.planned = planned.estimate();
        self.phase = None;
        self.faults.clear();
        self.say(&format!(
            "trial {} of {}: {}",
            planned.order, self.trials, planned.id
        ));
    }

    /// A trial is over.
    pub(super) fn trial_done(&mut self, planned: &PlannedTrial, validity: &Validity) {
        self.flush();
        self.done += self.planned;
        self.bar.set_position(self.done.as_millis() as u64);
        if let Some(reason) = validity.reason() {
            self.say(&format!("trial {} is invalid: {reason}", planned.id));
        }
    }

    /// Something that takes a while.
    pub(super) fn doing(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// A step on the way to a cluster.
    pub(super) fn step(&mut self, step: &Step) {
        if let Some(line) = step.line() {
            self.say(&line);
        }
        match step {
            Step::Bringing { .. } | Step::Brought(_) => {}
            Step::Mode(mode) => self.doing(&format!("making nodes ({mode})")),
            Step::Failed { mode, reason } => {
                self.say(&format!("not possible here: {mode}: {reason}"));
            }
            Step::Upload { node, done, total } => {
                let percent = done * 100 / total.max(&1);
                self.doing(&format!("bringing depbench to {node}: {percent} %"));
            }
            Step::Formatting { node, device } => {
                self.doing(&format!("formatting {} on {node}", device.display()));
            }
            Step::Up(node) => self.doing(&format!("node {node} is up")),
        }
    }

    /// What a trial tells.
    pub(super) fn live(&mut self, live: &Live<'_>) {
        match live {
            Live::Doing(what) => self.doing(what),
            Live::Phase(phase) => {
                self.flush();
                self.phase = Some(*phase);
            }
            Live::Interval(interval) => self.interval(interval),
            Live::Event { at, what } => {
                self.flush();
                self.say(&format!("{:>6.1}s  {what}", at.seconds()));
            }
        }
    }

    fn interval(&mut self, interval: &Interval) {
        if self
            .second
            .as_ref()
            .is_some_and(|second| second.start != interval.start)
        {
            self.flush();
        }
        let second = self.second.get_or_insert_with(|| Second {
            start: interval.start,
            length: interval.length.as_secs_f64(),
            ok: 0,
            errors: 0,
            latency: Latency::new(),
        });
        second.ok += interval.ok;
        second.errors += interval.error_count();
        second.latency.merge(&interval.latency);
        self.phase = Some(interval.phase);
    }

    /// Shows the second that is complete.
    fn flush(&mut self) {
        let Some(second) = self.second.take() else {
            return;
        };
        let phase = self
            .phase
            .map(|phase| phase.to_string())
            .unwrap_or_default();
        let rate = table::thousands(second.ok as f64 / second.length);
        let p99 = second
            .latency
            .quantile_ms(0.99)
            .map_or("-".to_owned(), table::significant);
        let errors = if second.errors > 0 {
            format!("  {} errors", second.errors)
        } else {
            String::new()
        };
        let end = second.start.seconds() + second.length;
        let line = format!("{end:>6.0}s  {phase:<9} {rate:>9}/s  p99 {p99:>7} ms{errors}");
        let within = self.planned.min(Duration::from_secs_f64(end.max(0.0)));
        self.bar
            .set_position((self.done + within).as_millis() as u64);
        self.bar.set_message(phase);
        self.say(&line);
    }

    /// A node that lost its agent is up again.
    pub(super) fn rebuilt(&mut self, node: &NodeName, rebuilt: Rebuilt) {
        self.say(&match rebuilt {
            Rebuilt::AfterBoot => {
                format!("node {node} is back: {rebuilt}; `depbench check` says what is missing now")
            }
            Rebuilt::Anew | Rebuilt::NotAny => format!("rebuilt node {node}"),
        });
    }

    /// The cluster stays up.
    pub(super) fn kept(&mut self, cluster: &Cluster) {
        self.flush();
        self.bar.finish_and_clear();
        let nodes: Vec<String> = cluster
            .servers()
            .map(|node| format!("{} at {}", node.name(), node.address()))
            .collect();
        eprintln!("the cluster stays up until Ctrl-C: {}", nodes.join(", "));
        if let Some(first) = cluster.servers().next().map(Node::name) {
            eprintln!(
                "in another terminal: depbench exec {first} -- ip addr; depbench logs {first}"
            );
        }
    }

    /// The run is over, one way or another.
    pub(super) fn finish(&mut self) {
        self.flush();
        self.bar.finish_and_clear();
    }

    /// What came of it.
    pub(super) fn results(&self, analysis: &Analysis, report: &Path) {
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough, as in `| head`, is no error.
        let _closed = write!(
            out,
            "\n{}\nreport: {}\n",
            table::text(analysis),
            report.display()
        );
    }

    fn say(&self, line: &str) {
        match (self.output, self.bar.is_hidden()) {
            (Output::Quiet, _) => {}
            (Output::Live, true) => eprintln!("{line}"),
            (Output::Live, false) => self.bar.println(line),
        }
    }
}

fn minutes(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds.div_ceil(60))
    }
}
