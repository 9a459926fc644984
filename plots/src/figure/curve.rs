use std::collections::BTreeMap;

use results::stats::{Analysis, CellAnalysis, Spread};
use vocab::ids::Phase;

use super::{Figure, WIDTH, notes};
use crate::legend::{self, Key};
use crate::panel::{Labels, NOTE, Panel, footnotes};
use crate::scale::Scale;
use crate::scene::{Anchor, Dash, Ink, Point, Scene, Shape, Stroke, Style};

const SWEPT: &str = "workload.clients";
const HEIGHT: f64 = 220.0;

/// Room for the clients written beside a mark.
const LABEL_WIDTH: f64 = 26.0;

/// One load of a series.
struct Load {
    clients: u64,
    rps: f64,
    p50: f64,
    p99: f64,
}

/// Latency against throughput in the baseline as the number of clients grows; `None` unless that was swept.
pub(crate) fn latency_throughput(analysis: &Analysis) -> Option<Figure> {
    let series = series(&analysis.cells);
    if series.is_empty() {
        return None;
    }
    let loads = || series.iter().flat_map(|(_, loads)| loads);
    let mut scene = Scene::new(
        WIDTH,
        "Latency against throughput as the number of clients grows",
    );
    let mut keys = Vec::new();
    for (index, (name, _)) in series.iter().enumerate() {
        for (quantile, style) in [("p50", p50(index)), ("p99", p99(index))] {
            keys.push((
                Key::Line(style.0, Some(style.1)),
                format!("{name} {quantile}"),
            ));
        }
    }
    let top = legend::draw(&mut scene, 60.0, 6.0, &keys) + 6.0;
    let panel = Panel {
        left: 60.0,
        top,
        // Half of the last label stands beyond it.
        right: WIDTH - 26.0,
        bottom: top + HEIGHT,
    };
    let x = Scale::from_zero(
        loads().map(|load| load.rps).fold(0.0, f64::max),
        panel.across(),
        6,
    );
    let low = loads().map(|load| load.p50).fold(f64::INFINITY, f64::min);
    let high = loads().map(|load| load.p99).fold(0.0, f64::max);
    let y = Scale::log(low * 0.8, high * 1.2, panel.upwards(), 10);
    panel.x_axis(&mut scene, &x, Labels::Shown);
    panel.y_axis(&mut scene, &y, Labels::Shown);
    panel.edges(&mut scene);
    for (index, (_, loads)) in series.iter().enumerate() {
        for (load_of, (stroke, shape)) in [
            (p50_of as fn(&Load) -> f64, p50(index)),
            (p99_of as fn(&Load) -> f64, p99(index)),
        ] {
            let points: Vec<Point> = loads
                .iter()
                .map(|load| Point(x.at(load.rps), y.at(load_of(load))))
                .collect();
            scene.line(points.clone(), stroke);
            for (point, load) in points.into_iter().zip(loads) {
                let hint = format!(
                    "{} clients: {:.0}/s, {:.3} ms",
                    load.clients,
                    load.rps,
                    load_of(load)
                );
                scene.mark(point, shape, stroke.ink, Some(hint));
            }
        }
        label_loads(&mut scene, &x, &y, loads, Ink::Series(index));
    }
    panel.x_title(&mut scene, "throughput (operations/s)");
    panel.y_title(&mut scene, 14.0, "latency (ms)");
    scene.height = footnotes(
        &mut scene,
        panel.bottom + 36.0,
        notes(&analysis.limitations),
    ) + 6.0;
    Some(Figure {
        name: "latency-throughput".to_owned(),
        caption: "Latency against throughput in the baseline; the numbers are clients. Medians over the valid trials."
            .to_owned(),
        scene,
    })
}

fn p50(index: usize) -> (Stroke, Shape) {
    (Stroke::solid(Ink::Series(index), 1.4), Shape::Circle)
}

fn p99(index: usize) -> (Stroke, Shape) {
    (
        Stroke::solid(Ink::Series(index), 1.4).dashed(Dash::Dashed),
        Shape::Triangle,
    )
}

fn p50_of(load: &Load) -> f64 {
    load.p50
}

fn p99_of(load: &Load) -> f64 {
    load.p99
}

/// Writes the clients beside the upper marks, leaving out those that would lie on each other.
fn label_loads(scene: &mut Scene, x: &Scale, y: &Scale, loads: &[Load], ink: Ink) {
    let mut placed: Vec<Point> = Vec::new();
    for load in loads {
        // A curve comes from the lower left and goes to the upper right: the upper left is free, but not what is beyond
        // the axis.
        let (mark, up) = (x.at(load.rps), y.at(load.p99) - 4.0);
        let near_axis = mark - x.at(0.0) < LABEL_WIDTH;
        let (at, anchor) = match near_axis {
            true => (Point(mark + 4.5, up), Anchor::Start),
            false => (Point(mark - 4.5, up), Anchor::End),
        };
        if placed
            .iter()
            .all(|other| (other.0 - at.0).abs() > 16.0 || (other.1 - at.1).abs() > 9.0)
        {
            scene.text(at, load.clients.to_string(), Style::new(NOTE, ink, anchor));
            placed.push(at);
        }
    }
}

/// The cells that differ in nothing but the clients, by name, each with two loads or more.
fn series(cells: &[CellAnalysis]) -> Vec<(String, Vec<Load>)> {
    let mut order = Vec::new();
    let mut series: BTreeMap<String, Vec<Load>> = BTreeMap::new();
    for cell in cells {
        let Some(clients) = cell
            .parameters
            .get(SWEPT)
            .and_then(|value| value.to_string().trim_matches('"').parse().ok())
        else {
            continue;
        };
        let others = cell.parameters.iter().filter(|(path, _)| *path != SWEPT);
        let others =
            others.map(|(path, value)| format!(", {path} {}", value.to_string().trim_matches('"')));
        let name = others.fold(cell.target.clone(), |name, other| name + &other);
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        let load = cell.phase(Phase::Baseline).and_then(|phase| {
            let (p50, p99) = median(phase.p50).zip(median(phase.p99))?;
            Some(Load {
                clients,
                rps: phase.rps.median,
                p50,
                p99,
            })
        });
        if let Some(load) = load {
            if !order.contains(&name) {
                order.push(name.clone());
            }
            series.entry(name).or_default().push(load);
        }
    }
    order
        .into_iter()
        .filter_map(|name| {
            let mut loads = series.remove(&name)?;
            loads.sort_by_key(|load| load.clients);
            (loads.len() > 1).then_some((name, loads))
        })
        .collect()
}
