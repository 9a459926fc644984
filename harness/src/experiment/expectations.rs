//! What is expected must be something that the experiment can show.

use results::{Expectation, Measure};
use vocab::ids::Phase;
use vocab::problem::{FieldPath, Problems, nearest};

use super::Spec;

pub(super) fn check(spec: &Spec, problems: &mut Problems) {
    let of_trials = |one: &Expectation| !of_windows(spec, one);
    if spec.trials.get() == 1 && spec.expect.iter().any(of_trials) {
        problems.add_with_help(
            FieldPath::root().key("expect"),
            "a single trial has no interval by which to judge",
            "write `trials: 5`, or `phases.paired` for pairs of windows in one trial",
        );
    }
    for (index, expectation) in spec.expect.iter().enumerate() {
        let at = FieldPath::root().key("expect").index(index);
        target(spec, expectation, &at, problems);
        phase(spec, expectation, &at, problems);
    }
}

fn target(spec: &Spec, expectation: &Expectation, at: &FieldPath, problems: &mut Problems) {
    let Some(name) = &expectation.target else {
        return;
    };
    let targets: Vec<&str> = spec.targets.iter().map(|one| one.target().name()).collect();
    if !targets.contains(&name.as_str()) {
        let help = nearest(name, targets.iter().copied()).map_or_else(
            || format!("expected one of {}", targets.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("`{name}` is no target of this experiment");
        problems.add_with_help(at.key("target"), message, help);
    }
}

fn of_windows(spec: &Spec, expectation: &Expectation) -> bool {
    spec.phases.paired.is_some() && expectation.during == Phase::Fault
}

fn phase(spec: &Spec, expectation: &Expectation, at: &FieldPath, problems: &mut Problems) {
    if spec.phases.length(expectation.during).is_none() {
        problems.add_with_help(
            at.key("during"),
            format!("`{}` is no phase of this experiment", expectation.during),
            format!("add `{}: 15s` to `phases`", expectation.during),
        );
    } else if of_windows(spec, expectation) && expectation.of == Measure::P50 {
        problems.add_with_help(
            at.key("of"),
            "windows are compared by throughput and p99 only",
            "write `of: p99`",
        );
    }
}
