mod bands;
mod marks;
mod processor;

use results::stats::{Slot, TrialData};
use vocab::ids::Phase;
use vocab::time::TrialTime;

use super::{Figure, WIDTH, notes};
use crate::font;
use crate::legend::{self, Key};
use crate::panel::{Labels, MEDIUM, Panel, SMALL, footnotes};
use crate::scale::Scale;
use crate::scene::{Anchor, Dash, Ink, Point, Scene, Stroke, Style};

const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 16.0;
const BETWEEN: f64 = 12.0;
const THROUGHPUT: f64 = 110.0;
const LATENCY: f64 = 110.0;
const PROCESSOR: f64 = 50.0;

const P50: Stroke = Stroke::solid(Ink::Series(0), 1.4);
const P99: Stroke = Stroke::solid(Ink::Series(4), 1.4).dashed(Dash::Dashed);

/// A trial second by second: throughput, latency, the faulted node's CPU; with phases, faults and events.
pub(crate) fn timeline(trial: &TrialData, title: &str, limitations: &[String]) -> Option<Figure> {
    let end = trial.slots.last()?.end();
    let setup = &trial.record.setup;
    let validity = trial.record.validity();
    let mut scene = Scene::new(WIDTH, format!("{title}: throughput and latency over time"));
    let top = heading(&mut scene, title, validity.reason());

    let bands = bands::of(&trial.events, end);
    let processor = processor::of(&trial.samples, &bands);
    let time = Scale::up_to(end.seconds(), (LEFT, RIGHT), 8);
    let mut keys: Vec<(Key, String)> = vec![
        (Key::Line(P50, None), "p50".to_owned()),
        (Key::Line(P99, None), "p99".to_owned()),
    ];
    keys.extend(bands::keys(&bands));
    let marks = marks::keys(&trial.events, end);
    let strip = if marks.is_empty() { 0.0 } else { 12.0 };
    keys.extend(marks);
    keys.extend(processor.iter().flat_map(processor::Processor::keys));
    let mut top = legend::draw(&mut scene, LEFT, top, &keys) + 14.0 + strip;
    phase_names(&mut scene, trial, end, &time, top - 5.0 - strip);

    let mut panels = Vec::new();
    let heights = [
        Some(THROUGHPUT),
        Some(LATENCY),
        processor.as_ref().map(|_| PROCESSOR),
    ];
    for height in heights.into_iter().flatten() {
        panels.push(Panel {
            left: LEFT,
            top,
            right: RIGHT,
            bottom: top + height,
        });
        top += height + BETWEEN;
    }
    for (index, panel) in panels.iter().enumerate() {
        let last = index + 1 == panels.len();
        bands::draw(&mut scene, panel, &time, &bands);
        if validity.reason().is_some() {
            panel.hatch(&mut scene);
        }
        panel.x_axis(
            &mut scene,
            &time,
            if last { Labels::Shown } else { Labels::Hidden },
        );
    }
    draw_throughput(&mut scene, &panels[0], &time, &trial.slots);
    draw_latency(&mut scene, &panels[1], &time, &trial.slots);
    if let (Some(processor), Some(panel)) = (&processor, panels.get(2)) {
        processor.draw(&mut scene, panel, &time);
    }
    for panel in &panels {
        phase_lines(&mut scene, trial, end, &time, panel);
        panel.edges(&mut scene);
    }
    let last = panels[panels.len() - 1];
    marks::draw(
        &mut scene,
        &panels[0],
        last.bottom,
        &time,
        &trial.events,
        end,
    );
    last.x_title(&mut scene, "time since load started (s)");
    scene.height = footnotes(&mut scene, last.bottom + 36.0, notes(limitations)) + 6.0;
    Some(Figure {
        name: format!("timeline-{}-{}", setup.id.cell, setup.id.number),
        caption: format!(
            "{title}, second by second. Shaded: from the moment a fault was in place until it was cleared."
        ),
        scene,
    })
}

fn heading(scene: &mut Scene, title: &str, invalid: Option<&str>) -> f64 {
    let room = WIDTH - 16.0;
    scene.text(
        Point(8.0, 16.0),
        font::fit(title, MEDIUM, room),
        Style::new(MEDIUM, Ink::Text, Anchor::Start),
    );
    let mut y = 16.0;
    if let Some(reason) = invalid {
        for line in font::wrap(&format!("invalid: {reason}"), SMALL, room) {
            y += 13.0;
            scene.text(
                Point(8.0, y),
                line,
                Style::new(SMALL, Ink::Fault, Anchor::Start),
            );
        }
    }
    y + 6.0
}

fn phases(trial: &TrialData, end: TrialTime) -> impl Iterator<Item = (Phase, f64, f64)> {
    trial
        .record
        .setup
        .phases
        .iter()
        .map(move |span| {
            (
                span.phase,
                span.start.seconds(),
                span.end().min(end).seconds(),
            )
        })
        .filter(|(_, start, end)| end > start)
}

fn phase_names(scene: &mut Scene, trial: &TrialData, end: TrialTime, time: &Scale, y: f64) {
    for (phase, start, stop) in phases(trial, end) {
        let (from, to) = (time.at(start), time.at(stop));
        let name = phase.to_string();
        if font::width(&name, SMALL) <= to - from {
            let style = Style::new(SMALL, Ink::Muted, Anchor::Middle);
            scene.text(Point((from + to) / 2.0, y), name, style);
        }
    }
}

fn phase_lines(scene: &mut Scene, trial: &TrialData, end: TrialTime, time: &Scale, panel: &Panel) {
    for (_, start, _) in phases(trial, end).skip(1) {
        let x = time.at(start);
        scene.line(
            vec![Point(x, panel.top), Point(x, panel.bottom)],
            Stroke::solid(Ink::Axis, 0.7),
        );
    }
}

/// Intervals long enough to be compared: a stub at a phase's end is mostly noise.
fn whole(slots: &[Slot]) -> impl Iterator<Item = &Slot> {
    let longest = slots
        .iter()
        .map(|slot| slot.length)
        .max()
        .unwrap_or_default();
    slots
        .iter()
        .filter(move |slot| slot.length.duration() * 2 >= longest.duration())
}

fn middle(slot: &Slot) -> f64 {
    (slot.start.seconds() + slot.end().seconds()) / 2.0
}

fn draw_throughput(scene: &mut Scene, panel: &Panel, time: &Scale, slots: &[Slot]) {
    let highest = whole(slots).map(Slot::rps).fold(0.0, f64::max);
    let scale = Scale::from_zero(highest, panel.upwards(), 4);
    panel.y_axis(scene, &scale, Labels::Shown);
    let points = whole(slots).map(|slot| Point(time.at(middle(slot)), scale.at(slot.rps())));
    scene.line(points.collect(), Stroke::solid(Ink::Text, 1.4));
    panel.y_title(scene, 14.0, "operations/s");
}

fn draw_latency(scene: &mut Scene, panel: &Panel, time: &Scale, slots: &[Slot]) {
    let low = whole(slots)
        .filter_map(|slot| slot.p50_ms)
        .fold(f64::INFINITY, f64::min);
    let high = whole(slots)
        .filter_map(|slot| slot.p99_ms)
        .fold(0.0, f64::max);
    if high > 0.0 {
        let scale = Scale::log(low, high, panel.upwards(), 6);
        panel.y_axis(scene, &scale, Labels::Shown);
        broken_line(
            scene,
            P99,
            whole(slots).map(|slot| (middle(slot), slot.p99_ms)),
            time,
            &scale,
        );
        broken_line(
            scene,
            P50,
            whole(slots).map(|slot| (middle(slot), slot.p50_ms)),
            time,
            &scale,
        );
    }
    panel.y_title(scene, 14.0, "latency (ms)");
}

/// A line with gaps where there is no number.
fn broken_line(
    scene: &mut Scene,
    stroke: Stroke,
    values: impl Iterator<Item = (f64, Option<f64>)>,
    time: &Scale,
    scale: &Scale,
) {
    let mut piece: Vec<Point> = Vec::new();
    for value in values.map(Some).chain([None]) {
        if let Some((at, Some(value))) = value {
            piece.push(Point(time.at(at), scale.at(value)));
            continue;
        }
        if let [alone] = piece[..] {
            // A single second between two gaps would be invisible as a line.
            piece = vec![Point(alone.0 - 1.0, alone.1), Point(alone.0 + 1.0, alone.1)];
        }
        if !piece.is_empty() {
            scene.line(std::mem::take(&mut piece), stroke);
        }
    }
}
