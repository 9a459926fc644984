//! Events as marks above the panels.

use results::{Event, EventKind};
use vocab::time::TrialTime;

use crate::legend::Key;
use crate::panel::Panel;
use crate::scale::Scale;
use crate::scene::{Dash, Ink, Point, Scene, Shape, Stroke};

/// What is marked, how, and whether a line runs down from it.
const MARKED: [(EventKind, &str, Shape, Ink); 7] = [
    (
        EventKind::LeaderChanged,
        "leader change",
        Shape::Diamond,
        Ink::Series(3),
    ),
    (
        EventKind::ProcessExited,
        "process exit",
        Shape::Cross,
        Ink::Text,
    ),
    (EventKind::OomKill, "OOM kill", Shape::Square, Ink::Text),
    (
        EventKind::AgentLost,
        "agent lost",
        Shape::Square,
        Ink::Fault,
    ),
    (
        EventKind::Alert,
        "alert of a member",
        Shape::Circle,
        Ink::Series(1),
    ),
    (
        EventKind::Warning,
        "warning",
        Shape::Triangle,
        Ink::Series(5),
    ),
    (
        EventKind::ClientNotice,
        "client notice",
        Shape::Tick,
        Ink::Muted,
    ),
];

fn seen(event: &Event, kind: EventKind, end: TrialTime) -> bool {
    event.kind == kind && event.at >= TrialTime::default() && event.at <= end
}

/// The kinds that occur.
pub(super) fn keys(events: &[Event], end: TrialTime) -> Vec<(Key, String)> {
    MARKED
        .iter()
        .filter(|(kind, ..)| events.iter().any(|event| seen(event, *kind, end)))
        .map(|(_, name, shape, ink)| (Key::Mark(*shape, *ink), (*name).to_owned()))
        .collect()
}

/// Draws the marks in a strip over the first panel, the weightiest last and so on top.
pub(super) fn draw(
    scene: &mut Scene,
    first: &Panel,
    bottom: f64,
    time: &Scale,
    events: &[Event],
    end: TrialTime,
) {
    let y = first.top - 6.0;
    for (kind, name, shape, ink) in MARKED.iter().rev() {
        let mut last: Option<f64> = None;
        for event in events.iter().filter(|event| seen(event, *kind, end)) {
            let x = time.at(event.at.seconds());
            // A burst of the same is one mark.
            if last.is_some_and(|last| (x - last).abs() < 3.0) {
                continue;
            }
            last = Some(x);
            if !matches!(
                kind,
                EventKind::ClientNotice | EventKind::Warning | EventKind::Alert
            ) {
                let line = Stroke::solid(*ink, 0.8).dashed(Dash::Dotted);
                scene.line(vec![Point(x, first.top), Point(x, bottom)], line);
            }
            scene.mark(Point(x, y), *shape, *ink, Some(words(event, name)));
        }
    }
}

fn words(event: &Event, name: &str) -> String {
    let node = event
        .node
        .as_ref()
        .map(|node| format!(" {node}"))
        .unwrap_or_default();
    let detail = if event.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", event.detail)
    };
    format!("{} s, {name}{node}{detail}", event.at)
}
