//! How much CPU the faulted node got: whether the fault bit.

use std::collections::BTreeMap;

use results::{NodeSample, SampleScope};
use vocab::ids::NodeName;

use super::bands::Band;
use crate::legend::Key;
use crate::panel::{Labels, Panel};
use crate::scale::Scale;
use crate::scene::{Dash, Ink, Point, Scene, Stroke};

const FAULTED: Stroke = Stroke::solid(Ink::Fault, 1.4);
const OTHER: Stroke = Stroke::solid(Ink::Axis, 0.9).dashed(Dash::Dotted);

/// A node's use of CPU: the middle between two samples, and per cent of one processor between them.
type Usage = Vec<(f64, f64)>;

/// The CPU use of the faulted servers and, to compare, of the others.
pub(super) struct Processor {
    faulted: BTreeMap<NodeName, Usage>,
    others: BTreeMap<NodeName, Usage>,
}

/// `None` when no faulted node was sampled.
pub(super) fn of(samples: &[NodeSample], bands: &[Band]) -> Option<Processor> {
    let is_faulted = |node: &NodeName| bands.iter().any(|band| band.node.as_ref() == Some(node));
    let (faulted, others): (BTreeMap<_, _>, BTreeMap<_, _>) = usages(samples)
        .into_iter()
        .partition(|(node, _)| is_faulted(node));
    (!faulted.is_empty()).then_some(Processor { faulted, others })
}

fn usages(samples: &[NodeSample]) -> BTreeMap<NodeName, Usage> {
    let mut usages: BTreeMap<NodeName, Usage> = BTreeMap::new();
    let mut before: BTreeMap<&NodeName, (f64, u64)> = BTreeMap::new();
    for sample in samples
        .iter()
        .filter(|sample| sample.scope == SampleScope::Server)
    {
        let Some(used) = sample.cpu_ns else { continue };
        let at = sample.at.seconds();
        if let Some((then, used_then)) = before.insert(&sample.node, (at, used))
            // A restarted server counts from zero again.
            && at > then
            && used >= used_then
        {
            let share = (used - used_then) as f64 / 1e9 / (at - then) * 100.0;
            usages
                .entry(sample.node.clone())
                .or_default()
                .push(((then + at) / 2.0, share));
        }
    }
    usages
}

impl Processor {
    pub(super) fn keys(&self) -> Vec<(Key, String)> {
        let names: Vec<&str> = self.faulted.keys().map(NodeName::as_str).collect();
        let mut keys = vec![(
            Key::Line(FAULTED, None),
            format!("CPU of {}", names.join(", ")),
        )];
        if !self.others.is_empty() {
            keys.push((Key::Line(OTHER, None), "CPU of other servers".to_owned()));
        }
        keys
    }

    pub(super) fn draw(&self, scene: &mut Scene, panel: &Panel, time: &Scale) {
        let all = || self.others.values().chain(self.faulted.values()).flatten();
        let highest = all()
            .filter(|(at, _)| *at >= 0.0)
            .map(|(_, share)| *share)
            .fold(1.0, f64::max);
        let scale = Scale::from_zero(highest, panel.upwards(), 2);
        panel.y_axis(scene, &scale, Labels::Shown);
        for (usages, stroke) in [(&self.others, OTHER), (&self.faulted, FAULTED)] {
            for usage in usages.values() {
                let seen = usage.iter().filter(|(at, _)| *at >= 0.0);
                let points: Vec<Point> = seen
                    .map(|(at, share)| Point(time.at(*at), scale.at(*share)))
                    .collect();
                if points.len() > 1 {
                    scene.line(points, stroke);
                }
            }
        }
        panel.y_title(scene, 14.0, "CPU (%)");
    }
}
