//! Faults as shaded bands.

use results::{Event, EventKind};
use vocab::ids::{FaultName, NodeName};
use vocab::time::TrialTime;

use crate::legend::Key;
use crate::panel::Panel;
use crate::scale::Scale;
use crate::scene::{Ink, Point, Scene};

const OPACITY: f64 = 0.16;

/// The time a fault was in place on a node.
pub(super) struct Band {
    pub(super) fault: Option<FaultName>,
    pub(super) node: Option<NodeName>,
    from: TrialTime,
    to: TrialTime,
}

/// From in place to cleared; a fault that was never cleared lasts to the end.
pub(super) fn of(events: &[Event], end: TrialTime) -> Vec<Band> {
    let effective = events
        .iter()
        .filter(|event| event.kind == EventKind::FaultEffective);
    effective
        .map(|start| {
            let clears = |event: &&Event| {
                event.kind == EventKind::FaultCleared
                    && event.at >= start.at
                    && event.fault == start.fault
                    && (event.node == start.node || event.node.is_none())
            };
            let cleared = events.iter().filter(clears).map(|event| event.at).min();
            Band {
                fault: start.fault.clone(),
                node: start.node.clone(),
                from: start.at,
                to: cleared.unwrap_or(end).min(end),
            }
        })
        .collect()
}

/// One entry for all bands, naming the faults and their nodes.
pub(super) fn keys(bands: &[Band]) -> Option<(Key, String)> {
    let mut names: Vec<String> = Vec::new();
    for band in bands {
        let fault = band.fault.as_ref().map_or("fault", FaultName::as_str);
        let name = band
            .node
            .as_ref()
            .map_or_else(|| fault.to_owned(), |node| format!("{fault} on {node}"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| {
        (
            Key::Band(Ink::Fault, OPACITY),
            format!("fault: {}", names.join(", ")),
        )
    })
}

/// Shades each stretch of time once, however many faults are in place.
pub(super) fn draw(scene: &mut Scene, panel: &Panel, time: &Scale, bands: &[Band]) {
    let mut stretches: Vec<(TrialTime, TrialTime)> =
        bands.iter().map(|band| (band.from, band.to)).collect();
    stretches.sort();
    let mut merged: Vec<(TrialTime, TrialTime)> = Vec::new();
    for (from, to) in stretches {
        match merged.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => merged.push((from, to)),
        }
    }
    for (from, to) in merged {
        let (left, right) = (time.at(from.seconds()), time.at(to.seconds()));
        scene.rectangle(
            Point(left, panel.top),
            Point(right, panel.bottom),
            Ink::Fault,
            OPACITY,
        );
    }
}
