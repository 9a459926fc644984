//! Figures (SVG, PNG) and the HTML report of a run, drawn from its files only.
//!
//! The way of a figure: [`results`] gives numbers, `figure` turns them into a `scene` (lines, areas, marks, text), and
//! `svg` and `png` render the scene. Nothing from a file reaches SVG or HTML unescaped.

mod error;
mod figure;
mod font;
mod html;
mod legend;
mod panel;
mod png;
mod report;
mod scale;
mod scene;
mod svg;

pub use error::PlotError;
pub use report::{Report, report};
