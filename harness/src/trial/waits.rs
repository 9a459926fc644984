//! For whom the members have waited, and what their detectors have found, by their own accounts when the load is over.

use std::time::Duration;

use depfast::NodeId;
use depfast::detect::Alert;
use depfast::spg::Graph;
use futures_util::future::join_all;
use results::{EventKind, ResultsError};
use serde::Deserialize;
use targets::Waits;
use vocab::ids::NodeName;
use vocab::time::Monotonic;
use vocab::units::Span;

use super::deploy::Deployment;
use super::recorder::Recorder;
use crate::agent::clock;

/// A member whose fault has just been cleared may take its time.
const WITHIN: Span = Span::seconds(3);

/// The answer to `DF.ALERTS`.
#[derive(Deserialize)]
struct Alerts {
    /// The member's clock when it answered.
    now: depfast::Instant,
    alerts: Vec<Alert>,
}

/// Asks every member, and puts their alerts among the events of the trial and their waits, as one graph, beside them.
pub(super) async fn fetch(
    deployment: &Deployment,
    recorder: &mut Recorder,
) -> Result<(), ResultsError> {
    let names = deployment.names();
    let ask = deployment.members.iter().map(|member| async move {
        let waits = member.node().waits(member.address, WITHIN).await;
        let waits = waits.map_err(|lost| lost.to_string());
        (
            waits.and_then(|told| told.map_err(|error| error.to_string())),
            clock::now(),
        )
    });
    let mut whole = Graph::default();
    for (name, (waits, answered)) in names.iter().zip(join_all(ask).await) {
        let told = waits.and_then(|waits| understand(&waits));
        match told {
            Ok((graph, alerts)) => {
                whole.merge(&graph);
                record(&alerts, name, answered, recorder)?;
            }
            Err(problem) => {
                let (at, event) = Recorder::event_now(EventKind::Warning);
                let detail = format!("does not tell for whom it waits: {problem}");
                recorder.event(at, event.on(name.clone()).saying(detail))?;
            }
        }
    }
    rename(&mut whole, &names);
    recorder.files().waits(&whole.to_json(), &whole.to_dot())
}

fn understand(waits: &Waits) -> Result<(Graph, Alerts), String> {
    let graph = Graph::from_json(&waits.trace).map_err(|error| error.to_string())?;
    let alerts = serde_json::from_str(&waits.alerts).map_err(|error| error.to_string())?;
    Ok((graph, alerts))
}

fn record(
    alerts: &Alerts,
    node: &NodeName,
    answered: Monotonic,
    recorder: &mut Recorder,
) -> Result<(), ResultsError> {
    for alert in &alerts.alerts {
        let at = before(answered, alerts.now.since(alert.at));
        let (at, event) = Recorder::event_at(at, EventKind::Alert);
        let Alert {
            detector,
            label,
            measured,
            threshold,
            ..
        } = alert;
        let detail = format!("{detector}: {label} is {measured:.3}, threshold {threshold:.3}");
        recorder.event(at, event.on(node.clone()).saying(detail))?;
    }
    Ok(())
}

fn before(moment: Monotonic, ago: Duration) -> Monotonic {
    let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
    Monotonic::from_nanos(moment.nanos().saturating_sub(ago))
}

/// Members number themselves from one on; here they are called by their nodes.
fn rename(graph: &mut Graph, names: &[NodeName]) {
    let rename = |name: &mut String| {
        let numbered = (1..).map(|number| NodeId(number).to_string()).zip(names);
        if let Some((_, node)) = numbered.into_iter().find(|(number, _)| number == name) {
            *name = node.to_string();
        }
    };
    graph
        .nodes
        .iter_mut()
        .for_each(|node| rename(&mut node.name));
    for edge in &mut graph.edges {
        rename(&mut edge.from);
        rename(&mut edge.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(me: u32, peer: u32) -> Waits {
        let trace = format!(
            r#"{{"nodes": [{{"group": "", "name": "n{me}", "waits": []}}], "edges": [
                {{"group": "", "from": "n{me}", "to": "n{peer}", "needed": 2, "total": 3,
                  "waits": [{{"label": "replication", "on": "quorum 2/3", "count": 7, "seconds": 0.1, "longest": 0.1}}]}}]}}"#
        );
        let alerts = r#"{"now": 5000000000, "total": 1, "alerts": [
            {"at": 3000000000, "detector": "cpu", "label": "share", "measured": 0.05, "threshold": 0.2}]}"#;
        let alerts = alerts.to_owned();
        Waits { trace, alerts }
    }

    #[test]
    fn members_are_called_by_their_nodes_and_alerts_have_their_time() {
        let mut whole = Graph::default();
        for (me, peer) in [(1, 2), (2, 1)] {
            let (graph, alerts) = understand(&told(me, peer)).unwrap();
            whole.merge(&graph);
            let ago = alerts.now.since(alerts.alerts[0].at);
            let moment = before(Monotonic::from_nanos(10_000_000_000), ago);
            assert_eq!(moment, Monotonic::from_nanos(8_000_000_000));
        }
        rename(&mut whole, &["a".parse().unwrap(), "b".parse().unwrap()]);
        let ends: Vec<_> = whole
            .edges
            .iter()
            .map(|edge| (&*edge.from, &*edge.to))
            .collect();
        assert_eq!(ends, [("a", "b"), ("b", "a")]);
    }
}
