use std::collections::BTreeMap;

use results::stats::CellAnalysis;

use crate::font;
use crate::panel::{NOTE, SMALL};
use crate::scene::Ink;

/// How figures name a cell: by its target, and by what it sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellLabel {
    target: String,
    /// Name and value of each; empty when the experiment sweeps nothing.
    settings: Vec<String>,
}

impl CellLabel {
    /// On one line.
    pub(crate) fn line(&self) -> String {
        let parts = std::iter::once(&self.target).chain(&self.settings);
        parts.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The target, and below it what it sets, in lines that fit.
    pub(super) fn lines(&self, room: f64) -> Vec<LabelLine> {
        const SETTINGS: f64 = NOTE + 0.5;
        let settings = font::wrap_list(&self.settings, SETTINGS, room);
        let mut lines = vec![(font::fit(&self.target, SMALL, room), SMALL, Ink::Text)];
        lines.extend(
            settings
                .into_iter()
                .map(|text| (text, SETTINGS, Ink::Muted)),
        );
        lines
    }
}

/// Text, size and colour.
pub(super) type LabelLine = (String, f64, Ink);

/// The labels of all cells, in order. Fields are named by the end of their path that tells them apart; cells that
/// would still look alike are named by their whole name.
pub(crate) fn cell_labels(cells: &[CellAnalysis]) -> Vec<CellLabel> {
    let labels: Vec<CellLabel> = cells.iter().map(|cell| label(cell, cells)).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for label in &labels {
        *seen.entry(label.line()).or_default() += 1;
    }
    let whole_name = |cell: &CellAnalysis| CellLabel {
        target: cell.id.to_string(),
        settings: Vec::new(),
    };
    labels
        .into_iter()
        .zip(cells)
        .map(|(label, cell)| {
            if seen[&label.line()] > 1 {
                whole_name(cell)
            } else {
                label
            }
        })
        .collect()
}

fn label(cell: &CellAnalysis, cells: &[CellAnalysis]) -> CellLabel {
    let settings = cell
        .parameters
        .iter()
        // What is the same everywhere tells nothing apart.
        .filter(|(path, value)| {
            cells
                .iter()
                .any(|other| other.parameters.get(path.as_str()) != Some(*value))
                || cells.len() == 1
        })
        .map(|(path, value)| format!("{} {}", short(path, cells), plain(value)))
        .collect();
    CellLabel {
        target: cell.target.clone(),
        settings,
    }
}

/// The shortest end of a path that no other swept path has.
fn short<'a>(path: &'a str, cells: &[CellAnalysis]) -> &'a str {
    let starts = path.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    for start in starts {
        let end = &path[start..];
        let shared =
            |other: &String| other != path && (other == end || other.ends_with(&format!(".{end}")));
        if !cells.iter().any(|cell| cell.parameters.keys().any(shared)) {
            return end;
        }
    }
    path
}

/// A swept value: text without quotes, everything else as JSON.
fn plain(value: &impl ToString) -> String {
    let text = value.to_string();
    let unquoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    unquoted.unwrap_or(&text).to_owned()
}
