//! What the windows made of the servers' CPU budgets: the first thing to look at when a tail grows.

use std::fmt;

use results::{Event, EventKind, NodeSample, ResultsError, SampleScope, TrialDir};
use vocab::ids::NodeName;
use vocab::time::TrialTime;

/// One server in the windows without the fault and in those with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Its node.
    pub node: NodeName,
    /// Whether it was the one with the fault.
    pub slow: bool,
    /// Without the fault.
    pub free: Use,
    /// With it.
    pub fault: Use,
}

/// What a server used of its budget, counted over whole seconds that lie within one window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Use {
    seconds: f64,
    cpu: f64,
    periods: u64,
    held_back: u64,
}

impl Use {
    /// CPUs in use on average; `None` without a whole second.
    pub fn cpus(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.cpu / self.seconds)
    }

    /// The share of the budget's periods in which it held the server back; `None` without a budget.
    pub fn held_back(&self) -> Option<f64> {
        (self.periods > 0).then(|| self.held_back as f64 / self.periods as f64)
    }

    fn add(&mut self, before: &NodeSample, after: &NodeSample) {
        let grown = |of: fn(&NodeSample) -> Option<u64>| {
            let (before, after) = (of(before), of(after));
            (after.zip(before)).map_or(0, |(after, before)| after.saturating_sub(before))
        };
        self.seconds += seconds(after.at) - seconds(before.at);
        self.cpu += grown(|sample| sample.cpu_ns) as f64 / 1e9;
        self.periods += grown(|sample| sample.periods);
        self.held_back += grown(|sample| sample.throttled_periods);
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cpus(), self.held_back()) {
            (Some(cpus), Some(share)) => {
                write!(f, "{cpus:.2} CPUs, held back in {:.0} %", share * 100.0)
            }
            (Some(cpus), None) => write!(f, "{cpus:.2} CPUs"),
            (None, _) => f.write_str("-"),
        }
    }
}

/// The servers of a trial of paired windows, by its samples.
pub(super) fn budgets(trial: &TrialDir) -> Result<Vec<Budget>, ResultsError> {
    Ok(of(&trial.events()?, &trial.samples()?))
}

fn of(events: &[Event], samples: &[NodeSample]) -> Vec<Budget> {
    let slow = events
        .iter()
        .find(|event| event.kind == EventKind::FaultEffective)
        .and_then(|event| event.node.clone());
    let mut servers: Vec<Budget> = Vec::new();
    for node in samples
        .iter()
        .filter(|sample| sample.scope == SampleScope::Server)
        .map(|sample| &sample.node)
    {
        if servers.iter().all(|server| server.node != *node) {
            servers.push(Budget {
                node: node.clone(),
                slow: slow.as_ref() == Some(node),
                free: Use::default(),
                fault: Use::default(),
            });
        }
    }
    for server in &mut servers {
        let own: Vec<_> = samples
            .iter()
            .filter(|sample| sample.scope == SampleScope::Node && sample.node == server.node)
            .collect();
        for pair in own.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let window = window_at(events, before.at);
            if window != window_at(events, after.at) {
                continue;
            }
            match window.map(|window| window.detail.starts_with("fault ")) {
                Some(true) => server.fault.add(before, after),
                Some(false) => server.free.add(before, after),
                None => {}
            }
        }
    }
    servers
}

/// The event that began the window in which a moment lies; none outside of windows.
fn window_at(events: &[Event], at: TrialTime) -> Option<&Event> {
    let begins = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::WindowStarted | EventKind::PhaseStarted
        )
    };
    let latest = events.iter().filter(begins).rfind(|event| event.at <= at)?;
    (latest.kind == EventKind::WindowStarted).then_some(latest)
}

fn seconds(at: TrialTime) -> f64 {
    at.nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use vocab::time::Wall;

    use super::*;

    fn at(seconds: i64) -> TrialTime {
        TrialTime::from_nanos(seconds * 1_000_000_000)
    }

    fn event(moment: i64, kind: EventKind, detail: &str) -> Event {
        Event::new(at(moment), Wall::now(), kind).saying(detail)
    }

    #[test]
    fn seconds_count_where_they_lie_whole() {
        let events = [
            event(0, EventKind::PhaseStarted, "fault"),
            event(0, EventKind::WindowStarted, "free 1"),
            event(3, EventKind::WindowStarted, "fault 1"),
            event(3, EventKind::FaultEffective, "").on("s2".parse().unwrap()),
            event(6, EventKind::PhaseStarted, "recovery"),
        ];
        let mut samples = Vec::new();
        for node in ["s1", "s2"] {
            let node: NodeName = node.parse().unwrap();
            for moment in 0..9 {
                let mut sample = NodeSample::new(at(moment), node.clone(), SampleScope::Node);
                let moment = u64::try_from(moment).unwrap();
                // Twice as much from the fault on.
                let done = moment + moment.saturating_sub(3);
                sample.cpu_ns = Some(done * 100_000_000);
                sample.periods = Some(moment * 100);
                sample.throttled_periods = Some(done * 10);
                samples.push(sample);
            }
            samples.push(NodeSample::new(at(0), node, SampleScope::Server));
        }
        let found = of(&events, &samples);
        let told: Vec<_> = found
            .iter()
            .map(|it| format!("{} {} {} | {}", it.node, it.slow, it.free, it.fault))
            .collect();
        let used = "0.10 CPUs, held back in 10 % | 0.20 CPUs, held back in 20 %";
        assert_eq!(
            told,
            [format!("s1 false {used}"), format!("s2 true {used}")]
        );
        assert_eq!(
            found[0].free.seconds, 2.0,
            "the third ends in another window"
        );
        assert_eq!(found[0].fault.seconds, 2.0);
    }
}
