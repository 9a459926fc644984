//! The experiment files of a tolerance.

use faults::FaultType;

use super::{RATES, Settings};

/// JSON is YAML, on one line.
pub(super) fn spelt(kind: &FaultType) -> String {
    serde_json::to_string(kind).expect("a fault can be written")
}

impl Settings {
    /// The nodes: each with a CPU budget and a disk of its own, so that a fault on one hurts that one alone.
    fn cluster(&self) -> String {
        format!("{{local: {{servers: {}, clients: 1}}}}", self.servers)
    }

    pub(super) fn closed_file(&self, target: &str) -> String {
        format!(
            "name: tolerance-peak\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 64, connections: 16}}\n\
             phases: {{warmup: 3s, baseline: 5s}}\n\
             sweep: {{workload.clients: [64, 256]}}\n",
            self.cluster()
        )
    }

    /// The rates at which the system is looked at, as parts of `most` per second.
    pub(super) fn rates_file(&self, target: &str, most: f64) -> String {
        let rates: Vec<String> = RATES
            .iter()
            .map(|part| format!("{}/s", (part * most).floor().max(1.0)))
            .collect();
        format!(
            "name: tolerance-rates\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 256, connections: 16, mode: {{open: {{rate: 1/s}}}}}}\n\
             phases: {{warmup: 2s, baseline: 5s}}\n\
             sweep: {{workload.mode.open.rate: [{}]}}\n",
            self.cluster(),
            rates.join(", ")
        )
    }

    pub(super) fn file(&self, target: &str, offered: f64, faults: &[String]) -> String {
        let sweep = match faults {
            // A sweep has at least two values.
            [_] => String::new(),
            faults => format!("sweep: {{faults.slow.type: [{}]}}\n", faults.join(", ")),
        };
        format!(
            "name: tolerance\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 256, connections: 16, mode: {{open: {{rate: {offered}/s}}}}}}\n\
             phases: {{warmup: 3s, baseline: 5s, paired: {{windows: {}, on: {}, off: {}}}, recovery: 3s}}\n\
             faults: [{{name: slow, type: {}, on: {{role: {}}}}}]\n\
             {sweep}",
            self.cluster(),
            self.windows,
            self.window,
            self.window,
            faults[0],
            self.role
        )
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::path::PathBuf;

    use vocab::ids::Role;
    use vocab::units::Span;

    use super::super::{Bounds, of_the_papers};
    use super::*;
    use crate::experiment;

    #[test]
    fn the_experiments_are_right() {
        let faults: Vec<String> = of_the_papers().iter().map(spelt).collect();
        for (target, role, servers) in [
            ("depfast-raft", Role::Follower, 3),
            ("depfast-copilot", Role::Pilot, 5),
        ] {
            let settings = Settings {
                targets: vec![target.to_owned()],
                faults: Vec::new(),
                role,
                servers: NonZeroU32::new(servers).expect("not 0"),
                bounds: Bounds {
                    least_throughput: 0.9,
                    most_p99: 2.0,
                },
                windows: NonZeroU32::new(10).expect("10 is not 0"),
                window: Span::seconds(5),
                out: PathBuf::new(),
            };
            let rates = settings.rates_file(target, 200_000.5);
            experiment::from_text("(rates)", rates).unwrap_or_else(|error| panic!("{error}"));
            for faults in [&faults[..1], &faults[..]] {
                let text = settings.file(target, 5000.0, faults);
                let experiment = experiment::from_text("(tolerance)", text)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(experiment.cells.len(), faults.len());
            }
            experiment::from_text("(closed)", settings.closed_file("etcd"))
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
