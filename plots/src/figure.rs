//! The figures: from numbers to scenes.

mod cell_label;
mod curve;
mod distribution;
mod throughput;
mod timeline;
mod waits;

pub(crate) use cell_label::{CellLabel, cell_labels};
pub(crate) use curve::latency_throughput;
pub(crate) use distribution::{Pooled, latency_cdf};
pub(crate) use throughput::throughput;
pub(crate) use timeline::timeline;
pub(crate) use waits::waits;

use crate::scene::Scene;

/// A scene with the name of its files and the words under it.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) caption: String,
    pub(crate) scene: Scene,
}

/// The width of a figure for one column.
const WIDTH: f64 = 460.0;

/// The limitations as footnotes.
fn notes(limitations: &[String]) -> impl Iterator<Item = String> {
    limitations
        .iter()
        .map(|limitation| format!("Note: {limitation}"))
}
