use std::collections::BTreeMap;

use results::stats::CellAnalysis;

use crate::font;

/// How figures name a cell: by its target, and by what it sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellLabel {
    pub(crate) target: String,
    /// Name and value of each; empty when the experiment sweeps nothing.
    settings: Vec<String>,
}

impl CellLabel {
    /// On one line.
    pub(crate) fn line(&self) -> String {
        let parts = std::iter::once(&self.target).chain(&self.settings);
        parts.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// What it sets in lines that fit; a setting is broken only where it is longer than a line.
    pub(crate) fn settings(&self, size: f64, room: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for setting in &self.settings {
            let longer = lines.last().map(|line| format!("{line}, {setting}"));
            match longer.filter(|line| font::width(line, size) <= room) {
                Some(line) => {
                    lines.pop();
                    lines.push(line);
                }
                None => lines.extend(font::wrap(setting, size, room)),
            }
        }
        lines
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_broken_between_each_other_and_only_then_within() {
        let label = CellLabel {
            target: "etcd".to_owned(),
            settings: ["servers 3", "role pilot", "type net.delay-40ms"]
                .map(str::to_owned)
                .into(),
        };
        assert_eq!(
            label.line(),
            "etcd, servers 3, role pilot, type net.delay-40ms"
        );
        let room = font::width("type net.delay-40ms", 9.0);
        assert_eq!(
            label.settings(9.0, room),
            ["servers 3, role pilot", "type net.delay-40ms"]
        );
        let room = font::width("net.delay-40ms", 9.0);
        assert_eq!(
            label.settings(9.0, room),
            ["servers 3", "role pilot", "type", "net.delay-40ms"]
        );
    }
}
