use results::Latency;
use results::stats::Analysis;
use vocab::ids::Phase;

use super::{CellLabel, Figure, WIDTH, cell_labels, notes};
use crate::legend::{self, Key};
use crate::panel::{Labels, Panel, footnotes};
use crate::scale::Scale;
use crate::scene::{Anchor, Dash, Ink, Point, Scene, Stroke, Style};

const HEIGHT: f64 = 150.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 18.0;
const GAP: f64 = 24.0;
const TITLE_LINE: f64 = 11.0;

const CURVES: [(Phase, Stroke); 2] = [
    (Phase::Baseline, Stroke::solid(Ink::Series(0), 1.5)),
    (
        Phase::Fault,
        Stroke::solid(Ink::Series(1), 1.5).dashed(Dash::Dashed),
    ),
];

/// The latencies of a cell's valid trials together, by the phases that are compared.
#[derive(Default)]
pub(crate) struct Pooled {
    baseline: Latency,
    fault: Latency,
}

impl Pooled {
    /// Adds a valid trial.
    pub(crate) fn add(&mut self, trial: &results::stats::TrialData) {
        self.baseline.merge(&trial.phase_latency(Phase::Baseline));
        self.fault.merge(&trial.phase_latency(Phase::Fault));
    }

    fn is_empty(&self) -> bool {
        self.baseline.is_empty() && self.fault.is_empty()
    }

    fn of(&self, phase: Phase) -> &Latency {
        if phase == Phase::Fault {
            &self.fault
        } else {
            &self.baseline
        }
    }
}

/// The distribution of latency in baseline and fault, a panel for each cell; `pooled` has one entry for each.
pub(crate) fn latency_cdf(analysis: &Analysis, pooled: &[Pooled]) -> Option<Figure> {
    let axes = Axes::of(pooled)?;
    let mut scene = Scene::new(WIDTH, "Distribution of latency in baseline and fault phase");
    let keys: Vec<_> = CURVES
        .into_iter()
        .filter(|(phase, _)| pooled.iter().any(|cell| !cell.of(*phase).is_empty()))
        .map(|(phase, stroke)| (Key::Line(stroke, None), phase.to_string()))
        .collect();
    let labels = cell_labels(&analysis.cells);
    let columns = if labels.len() == 1 { 1 } else { 2 };
    let width = (WIDTH - LEFT - RIGHT - GAP * (columns as f64 - 1.0)) / columns as f64;
    let lines = labels.iter().map(|label| label.lines(width).len());
    let title = 4.0 + TITLE_LINE * lines.max().unwrap_or_default() as f64;
    let top = legend::draw(&mut scene, LEFT, 6.0, &keys) + title;
    let mut bottom = top;
    for (index, ((cell, drawn), label)) in
        analysis.cells.iter().zip(pooled).zip(&labels).enumerate()
    {
        let left = LEFT + (index % columns) as f64 * (width + GAP);
        let top = top + (index / columns) as f64 * (HEIGHT + title + 8.0);
        bottom = top + HEIGHT;
        let panel = Panel {
            left,
            top,
            right: left + width,
            bottom,
        };
        let shown_if = |shown| if shown { Labels::Shown } else { Labels::Hidden };
        let x_labels = shown_if(index + columns >= labels.len());
        let y_labels = shown_if(index % columns == 0);
        axes.draw(&mut scene, &panel, drawn, (x_labels, y_labels));
        if drawn.is_empty() {
            let reasons = cell.invalid();
            let reason = reasons.first().map(|(_, reason)| reason.as_str());
            panel.no_numbers(&mut scene, reason.unwrap_or_default());
        }
        panel.edges(&mut scene);
        draw_title(&mut scene, &panel, label);
    }
    scene.height = footnotes(&mut scene, bottom + 36.0, notes(&analysis.limitations)) + 6.0;
    Some(Figure {
        name: "latency-cdf".to_owned(),
        caption: "Share of operations that took at most so long, the valid trials of a cell together. Each step up \
                  is a tenth of the operations left, so that the tail can be seen."
            .to_owned(),
        scene,
    })
}

fn draw_title(scene: &mut Scene, panel: &Panel, label: &CellLabel) {
    let room = panel.right - panel.left;
    let mut y = panel.top - 5.0;
    for (text, size, ink) in label.lines(room).into_iter().rev() {
        let style = Style::new(size, ink, Anchor::Start);
        scene.text(Point(panel.left, y), text, style);
        y -= TITLE_LINE;
    }
}

/// What all panels share, so that they can be compared.
struct Axes {
    low_ms: f64,
    high_ms: f64,
    nines: u32,
    highest_share: f64,
}

impl Axes {
    /// Wide enough for all curves; `None` if there is none.
    fn of(pooled: &[Pooled]) -> Option<Axes> {
        let drawn = || {
            let all = pooled
                .iter()
                .flat_map(|cell| CURVES.map(|(phase, _)| cell.of(phase)));
            all.filter(|one| !one.is_empty())
        };
        let most = drawn().map(Latency::count).max()?;
        // Ten operations or more must lie beyond the last nine that is shown.
        let nines = (most as f64 / 10.0).log10().floor().clamp(1.0, 4.0) as u32;
        let highest_share = 1.0 - 0.1f64.powi(nines as i32);
        let lowest = drawn().filter_map(|one| one.quantile_ms(0.0));
        let highest = drawn().filter_map(|one| one.quantile_ms(highest_share));
        Some(Axes {
            low_ms: lowest.fold(f64::INFINITY, f64::min),
            high_ms: highest.fold(0.0, f64::max),
            nines,
            highest_share,
        })
    }

    fn draw(
        &self,
        scene: &mut Scene,
        panel: &Panel,
        cell: &Pooled,
        (x_labels, y_labels): (Labels, Labels),
    ) {
        let room_for = ((panel.right - panel.left) / 35.0) as usize;
        let x = Scale::log(self.low_ms, self.high_ms, panel.across(), room_for);
        let y = Scale::nines(self.nines, panel.upwards());
        panel.x_axis(scene, &x, x_labels);
        panel.y_axis(scene, &y, y_labels);
        for (phase, stroke) in CURVES {
            draw_curve(scene, cell.of(phase), &x, &y, self.highest_share, stroke);
        }
        if x_labels == Labels::Shown {
            panel.x_title(scene, "latency (ms)");
        }
        if y_labels == Labels::Shown {
            panel.y_title(scene, 14.0, "operations at or below");
        }
    }
}

fn draw_curve(
    scene: &mut Scene,
    latency: &Latency,
    x: &Scale,
    y: &Scale,
    highest_share: f64,
    stroke: Stroke,
) {
    let mut points: Vec<Point> = Vec::new();
    let mut add = |point: Point| {
        let near = |last: &Point| (last.0 - point.0).abs() < 0.4 && (last.1 - point.1).abs() < 0.4;
        if !points.last().is_some_and(near) {
            points.push(point);
        }
    };
    let mut share_before = 0.0;
    for (milliseconds, share) in latency.cumulative() {
        let at = x.at(milliseconds);
        add(Point(at, y.at(share_before)));
        if share_before >= highest_share {
            break;
        }
        add(Point(at, y.at(share.min(highest_share))));
        share_before = share;
    }
    if points.len() > 1 {
        scene.line(points, stroke);
    }
}
