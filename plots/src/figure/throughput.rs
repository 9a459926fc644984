use results::stats::{Analysis, CellAnalysis, CellPhase};
use results::table::thousands;
use vocab::ids::Phase;

use super::cell_label::LabelLine;
use super::{CellLabel, Figure, WIDTH, cell_labels, notes};
use crate::font;
use crate::legend::{self, Bar, Hatched, Key};
use crate::panel::{Labels, NOTE, Panel, SMALL, footnotes};
use crate::scale::Scale;
use crate::scene::{Anchor, Ink, Point, Scene, Stroke, Style};

const BAR: f64 = 12.0;
const BETWEEN_BARS: f64 = 2.0;
const BETWEEN_CELLS: f64 = 14.0;
/// Room right of the longest bar for its number and ratio.
const NUMBERS: f64 = 92.0;
/// No label is wider; longer ones take more lines.
const LABEL: f64 = 165.0;
const LABEL_LINE: f64 = 12.0;

const PHASES: [(Phase, Bar); 3] = [
    (
        Phase::Baseline,
        Bar {
            ink: Ink::Series(0),
            hatched: Hatched::No,
        },
    ),
    (
        Phase::Fault,
        Bar {
            ink: Ink::Series(1),
            hatched: Hatched::Yes,
        },
    ),
    (
        Phase::Recovery,
        Bar {
            ink: Ink::Series(2),
            hatched: Hatched::No,
        },
    ),
];

/// Bars of throughput: for each cell its baseline, fault and recovery, with the spread of the trials.
pub(crate) fn throughput(analysis: &Analysis) -> Option<Figure> {
    let phases = occurring(&analysis.cells);
    if analysis.cells.is_empty() || phases.is_empty() {
        return None;
    }
    let labels = cell_labels(&analysis.cells);
    let mut scene = Scene::new(WIDTH, "Throughput by cell and phase");
    let keys: Vec<_> = phases
        .iter()
        .map(|(phase, bar)| (Key::Bar(*bar), phase.to_string()))
        .collect();
    let group = phases.len() as f64 * (BAR + BETWEEN_BARS) - BETWEEN_BARS;
    let texts: Vec<Vec<LabelLine>> = analysis
        .cells
        .iter()
        .zip(&labels)
        .map(|(cell, label)| label_lines(cell, label))
        .collect();
    let label_width = texts
        .iter()
        .flatten()
        .map(|(text, size, _)| font::width(text, *size))
        .fold(40.0, f64::max);
    let most_lines = texts.iter().map(Vec::len).max().unwrap_or_default();
    let cell_height = group.max(most_lines as f64 * LABEL_LINE) + BETWEEN_CELLS;
    let left = label_width + 16.0;
    let top = legend::draw(&mut scene, left, 6.0, &keys) + 2.0;
    let panel = Panel {
        left,
        top,
        right: WIDTH - 16.0,
        bottom: top + analysis.cells.len() as f64 * cell_height,
    };
    let highest = analysis
        .cells
        .iter()
        .flat_map(|cell| &cell.phases)
        .map(|phase| phase.rps.max)
        .fold(0.0, f64::max);
    let scale = Scale::up_to(highest * panel_stretch(&panel), panel.across(), 5);
    panel.x_axis(&mut scene, &scale, Labels::Shown);

    let mut y = top + (cell_height - group) / 2.0;
    for (cell, lines) in analysis.cells.iter().zip(texts) {
        let slot = Panel {
            top: y,
            bottom: y + group,
            ..panel
        };
        draw_label(&mut scene, lines, &slot);
        if cell.phases.is_empty() {
            let reasons = cell.invalid();
            let reason = reasons
                .first()
                .map(|(_, reason)| reason.as_str())
                .unwrap_or_default();
            slot.no_numbers(&mut scene, reason);
        }
        for (index, (phase, bar)) in phases.iter().enumerate() {
            if let Some(numbers) = cell.phase(*phase) {
                let at = y + index as f64 * (BAR + BETWEEN_BARS);
                draw_bar(&mut scene, &scale, *bar, at, numbers);
            }
        }
        y += cell_height;
    }
    panel.edges(&mut scene);
    panel.x_title(&mut scene, "throughput (operations/s)");
    scene.height = footnotes(
        &mut scene,
        panel.bottom + 36.0,
        notes(&analysis.limitations),
    ) + 6.0;
    Some(Figure {
        name: "throughput".to_owned(),
        caption: "Throughput of each cell by phase: median over the valid trials, whiskers from the smallest to the \
                  largest; in brackets the ratio to the baseline of the same trial."
            .to_owned(),
        scene,
    })
}

/// How much longer than its longest bar the axis must be for the numbers to fit.
fn panel_stretch(panel: &Panel) -> f64 {
    let width = panel.right - panel.left;
    width / (width - NUMBERS).max(width / 4.0)
}

fn occurring(cells: &[CellAnalysis]) -> Vec<(Phase, Bar)> {
    let occurs = |phase| {
        let mut planned = cells
            .iter()
            .flat_map(|cell| &cell.trials)
            .flat_map(|trial| &trial.record.setup.phases);
        planned.any(|span| span.phase == phase)
    };
    PHASES
        .into_iter()
        .filter(|(phase, _)| occurs(*phase))
        .collect()
}

fn label_lines(cell: &CellAnalysis, label: &CellLabel) -> Vec<LabelLine> {
    let mut lines = label.lines(LABEL);
    let invalid = cell.invalid().len();
    if invalid > 0 && !cell.phases.is_empty() {
        let text = format!("{invalid} of {} trials invalid", cell.trials.len());
        lines.push((text, NOTE, Ink::Fault));
    }
    lines
}

fn draw_label(scene: &mut Scene, lines: Vec<LabelLine>, slot: &Panel) {
    let mut y =
        (slot.top + slot.bottom) / 2.0 - (lines.len() as f64 - 1.0) * LABEL_LINE / 2.0 + 3.5;
    for (text, size, ink) in lines {
        let style = Style::new(size, ink, Anchor::End);
        scene.text(Point(slot.left - 8.0, y), text, style);
        y += LABEL_LINE;
    }
}

fn draw_bar(scene: &mut Scene, scale: &Scale, bar: Bar, y: f64, numbers: &CellPhase) {
    let spread = numbers.rps;
    let end = scale.at(spread.median);
    bar.draw(scene, Point(scale.at(0.0), y), Point(end, y + BAR));
    let middle = y + BAR / 2.0;
    let mut text_from = end;
    if spread.count > 1 {
        let (low, high) = (scale.at(spread.min), scale.at(spread.max));
        let pen = Stroke::solid(Ink::Text, 0.9);
        scene.line(vec![Point(low, middle), Point(high, middle)], pen);
        for x in [low, high] {
            scene.line(vec![Point(x, middle - 3.0), Point(x, middle + 3.0)], pen);
        }
        text_from = high.max(end);
    }
    let mut text = thousands(spread.median);
    if let Some(ratio) = numbers.rps_ratio {
        text = format!("{text} ({:.2}×)", ratio.median);
    }
    // Grid lines must not run through the number.
    let width = font::width(&text, SMALL - 0.5);
    scene.rectangle(
        Point(text_from + 3.0, y + 0.5),
        Point(text_from + 7.0 + width, y + BAR - 0.5),
        Ink::Paper,
        1.0,
    );
    scene.text(
        Point(text_from + 5.0, middle + 3.6),
        text,
        Style::new(SMALL - 0.5, Ink::Text, Anchor::Start),
    );
}
