use std::collections::BTreeMap;

use results::stats::{Ops, Recovery, Spread, TrialAnalysis, TrialData};
use results::table::{significant, thousands};
use results::{ProbeMoment, ProbeReading};
use vocab::units::Span;

use super::Picture;

/// A trial as the page shows it.
pub(crate) struct DrawnTrial {
    pub(super) title: String,
    pub(super) invalid: Option<String>,
    /// The timeline; who waits for whom.
    pub(super) pictures: Vec<Picture>,
    pub(super) began: String,
    pub(super) seed: u64,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) phases: Vec<PhaseRow>,
    pub(super) probes: Vec<ProbeRow>,
    pub(super) events: Vec<EventRow>,
    /// Events that are not listed because there are too many.
    pub(super) more_events: usize,
}

pub(super) struct PhaseRow {
    pub(super) phase: String,
    pub(super) ops: String,
    pub(super) n: String,
    pub(super) errors: String,
    pub(super) rps: String,
    /// p50, p90, p99, p99.9, max.
    pub(super) latency: [String; 5],
}

pub(super) struct ProbeRow {
    pub(super) name: String,
    /// Before, during, after.
    pub(super) values: [String; 3],
    pub(super) unit: String,
}

pub(super) struct EventRow {
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) node: String,
    pub(super) fault: String,
    pub(super) detail: String,
}

const EVENTS_SHOWN: usize = 200;

impl DrawnTrial {
    pub(crate) fn new(
        title: String,
        data: &TrialData,
        pictures: [Option<Picture>; 2],
    ) -> DrawnTrial {
        let analysis = TrialAnalysis::of(data);
        DrawnTrial {
            title,
            invalid: data.record.validity().reason().map(str::to_owned),
            pictures: pictures.into_iter().flatten().collect(),
            began: data.record.began.to_string(),
            seed: data.record.setup.seed,
            facts: facts(&analysis),
            phases: phases(&analysis),
            probes: probes(&data.probes),
            events: events(data),
            more_events: data.events.len().saturating_sub(EVENTS_SHOWN),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.invalid.is_none()
    }
}

fn facts(trial: &TrialAnalysis) -> Vec<(&'static str, String)> {
    let effects = &trial.effects;
    let seconds = |span: Span| format!("{:.2} s", span.as_secs_f64());
    let mut facts = Vec::new();
    if let Some(verdict) = &trial.record.history {
        facts.push(("history", verdict.to_string()));
    }
    if let Some(lost) = effects.degradation {
        facts.push((
            "throughput lost to the fault",
            format!("{:.1} %", lost * 100.0),
        ));
    }
    match effects.recovery {
        Recovery::After(span) => facts.push(("recovery time", seconds(span))),
        Recovery::NotWithin(span) => {
            facts.push(("recovery time", format!("more than {}", seconds(span))));
        }
        Recovery::Unknown => {}
    }
    if !effects.unavailable.is_empty() {
        let windows = effects.unavailable.iter();
        let windows: Vec<String> = windows
            .map(|window| format!("{} from {} s", seconds(window.length), window.start))
            .collect();
        facts.push(("unavailable", windows.join(", ")));
    }
    if effects.leader_changes > 0 {
        facts.push(("leader changes", effects.leader_changes.to_string()));
    }
    if let Some(span) = effects.time_to_leader_change {
        facts.push(("first leader change after the fault", seconds(span)));
    }
    facts
}

fn phases(trial: &TrialAnalysis) -> Vec<PhaseRow> {
    let mixed = trial.phases.iter().any(|phase| phase.ops != Ops::All);
    let row = |phase: &results::stats::PhaseSummary| PhaseRow {
        phase: phase.phase.to_string(),
        ops: if mixed {
            phase.ops.to_string()
        } else {
            String::new()
        },
        n: thousands(phase.n as f64),
        errors: thousands(phase.errors as f64),
        rps: thousands(phase.rps),
        latency: phase.latency.map_or_else(
            || std::array::from_fn(|_| "–".to_owned()),
            |one| [one.p50, one.p90, one.p99, one.p999, one.max].map(significant),
        ),
    };
    trial.phases.iter().map(row).collect()
}

/// One row for each probe of a fault on a node; several readings of a moment are shown by their median.
fn probes(readings: &[ProbeReading]) -> Vec<ProbeRow> {
    let mut rows: BTreeMap<(String, String), BTreeMap<ProbeMoment, Vec<f64>>> = BTreeMap::new();
    for reading in readings {
        let name = format!("{} on {}: {}", reading.fault, reading.node, reading.probe);
        let moments = rows.entry((name, reading.unit.clone())).or_default();
        moments
            .entry(reading.moment)
            .or_default()
            .push(reading.value);
    }
    let show = |values: Option<&Vec<f64>>| {
        let median = values.and_then(|values| Spread::of(values.iter().copied()));
        median.map_or_else(|| "–".to_owned(), |spread| significant(spread.median))
    };
    rows.into_iter()
        .map(|((name, unit), moments)| ProbeRow {
            name,
            values: [ProbeMoment::Before, ProbeMoment::During, ProbeMoment::After]
                .map(|moment| show(moments.get(&moment))),
            unit,
        })
        .collect()
}

fn events(data: &TrialData) -> Vec<EventRow> {
    let mut events: Vec<_> = data.events.iter().collect();
    events.sort_by_key(|event| event.at);
    events
        .into_iter()
        .take(EVENTS_SHOWN)
        .map(|event| EventRow {
            at: event.at.to_string(),
            kind: event.kind.to_string(),
            node: event
                .node
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            fault: event
                .fault
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            detail: event.detail.clone(),
        })
        .collect()
}
