use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::{FRAC_PI_2, TAU};

use results::{WaitEdge, WaitGraph};

use super::{Figure, WIDTH};
use crate::font;
use crate::legend::{self, Key};
use crate::panel::{MEDIUM, SMALL};
use crate::scene::{Anchor, Ink, Point, Scene, Shape, Stroke, Style};

/// One of them alone: slowness spreads along it.
const ALONE: Stroke = Stroke::solid(Ink::Fault, 1.9);
/// Enough others may answer instead.
const QUORUM: Stroke = Stroke::solid(Ink::Series(3), 1.2);
/// Groups side by side.
const COLUMNS: usize = 2;
/// Half of a node.
const NODE: f64 = 13.0;
/// Room for the names of edges beside a group, and above and below.
const MARGIN: (f64, f64) = (44.0, 34.0);
/// How far an edge bends away from the straight line, and each further one between the same two nodes.
const BEND: f64 = 11.0;

/// The slowness propagation graph: who has waited for whom, group by group. `None` without an edge.
pub(crate) fn waits(graph: &WaitGraph, name: String, title: &str) -> Option<Figure> {
    if graph.edges.is_empty() {
        return None;
    }
    let mut scene = Scene::new(WIDTH, format!("{title}: who waits for whom"));
    let heading = font::fit(title, MEDIUM, WIDTH - 16.0);
    let style = Style::new(MEDIUM, Ink::Text, Anchor::Start);
    scene.text(Point(8.0, 16.0), heading, style);
    let keys = [
        (Key::Line(QUORUM, None), "waits for k of n".to_owned()),
        (Key::Line(ALONE, None), "waits for this one".to_owned()),
    ];
    let mut top = legend::draw(&mut scene, 8.0, 22.0, &keys) + 6.0;

    let groups = groups(graph);
    let columns = groups.len().min(COLUMNS);
    let cell = WIDTH / columns as f64;
    let radius = (cell / 2.0 - MARGIN.0).clamp(NODE, 80.0);
    let height = 2.0 * (radius + MARGIN.1);
    for (number, (group, names)) in groups.iter().enumerate() {
        let column = number % columns;
        if number > 0 && column == 0 {
            top += height;
        }
        let center = Point((column as f64 + 0.5) * cell, top + height / 2.0);
        let places = places(names, center, radius);
        draw_edges(&mut scene, graph, group, &places);
        for (name, place) in &places {
            node(&mut scene, *place, name);
        }
        let style = Style::new(SMALL, Ink::Muted, Anchor::Middle);
        scene.text(Point(center.0, top + 12.0), *group, style);
    }
    scene.height = top + height;
    Some(Figure {
        name,
        caption: format!(
            "{title}: for whom the members have waited, from their start to the end of the load, and how often. Slowness \
             spreads along the edges to one member alone."
        ),
        scene,
    })
}

type Groups<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn groups(graph: &WaitGraph) -> Groups<'_> {
    let mut groups = Groups::new();
    let nodes = graph.nodes.iter().map(|node| (&node.group, &node.name));
    let ends = graph.edges.iter();
    let ends = ends.flat_map(|edge| [(&edge.group, &edge.from), (&edge.group, &edge.to)]);
    for (group, name) in nodes.chain(ends) {
        groups.entry(group).or_default().insert(name);
    }
    groups
}

/// On a circle, the first one at its top.
fn places<'a>(names: &BTreeSet<&'a str>, center: Point, radius: f64) -> BTreeMap<&'a str, Point> {
    let step = TAU / names.len() as f64;
    let place = |number: usize| {
        let angle = step * number as f64 - FRAC_PI_2;
        Point(
            center.0 + radius * angle.cos(),
            center.1 + radius * angle.sin(),
        )
    };
    let names = names.iter().enumerate();
    names.map(|(number, name)| (*name, place(number))).collect()
}

fn node(scene: &mut Scene, at: Point, name: &str) {
    let corner = |step: u32| {
        let angle = f64::from(step) * TAU / 32.0;
        Point(at.0 + NODE * angle.cos(), at.1 + NODE * angle.sin())
    };
    let around: Vec<Point> = (0..=32).map(corner).collect();
    scene.area(around.clone(), Ink::Paper);
    scene.line(around, Stroke::solid(Ink::Text, 1.1));
    let label = font::fit(name, SMALL, 2.0 * NODE - 2.0);
    let style = Style::new(SMALL, Ink::Text, Anchor::Middle);
    scene.text(Point(at.0, at.1 + 3.8), label, style);
}

fn draw_edges(scene: &mut Scene, graph: &WaitGraph, group: &str, places: &BTreeMap<&str, Point>) {
    let mut between = BTreeMap::<(&str, &str), u32>::new();
    for edge in graph
        .edges
        .iter()
        .filter(|edge| edge.group == group && edge.from != edge.to)
    {
        let (from, to) = (edge.from.as_str(), edge.to.as_str());
        let earlier = between.entry((from, to)).or_default();
        Curve::new(places[from], places[to], BEND * f64::from(1 + 2 * *earlier)).draw(scene, edge);
        *earlier += 1;
    }
}

/// An edge, bent to the right of its direction.
struct Curve {
    from: Point,
    to: Point,
    /// The control point of the curve.
    over: Point,
}

impl Curve {
    fn new(from: Point, to: Point, bend: f64) -> Curve {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1e-9);
        let along = (dx / length, dy / length);
        let right = (-along.1, along.0);
        // Beside the middles of the nodes, so that both directions have room.
        let beside = |at: Point, ahead: f64| {
            let aside = bend.min(NODE * 0.35);
            let ahead = ahead * (NODE * NODE - aside * aside).sqrt();
            Point(
                at.0 + along.0 * ahead + right.0 * aside,
                at.1 + along.1 * ahead + right.1 * aside,
            )
        };
        let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
        Curve {
            from: beside(from, 1.0),
            to: beside(to, -1.0),
            over: Point(
                middle.0 + right.0 * bend * 1.6,
                middle.1 + right.1 * bend * 1.6,
            ),
        }
    }

    fn at(&self, t: f64) -> Point {
        let mix =
            |a: f64, b: f64, c: f64| (1.0 - t).powi(2) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
        Point(
            mix(self.from.0, self.over.0, self.to.0),
            mix(self.from.1, self.over.1, self.to.1),
        )
    }

    fn draw(&self, scene: &mut Scene, edge: &WaitEdge) {
        let stroke = if edge.spreads() { ALONE } else { QUORUM };
        let points = (0..=16).map(|step| self.at(f64::from(step) / 16.0));
        scene.line(points.collect(), stroke);
        self.arrow(scene, stroke.ink);
        let hint = edge
            .waits
            .iter()
            .map(|wait| format!("{} {}", wait.label, wait.count));
        let hint = hint.collect::<Vec<_>>().join(", ");
        let hint = format!("{} → {}: {hint}", edge.from, edge.to);
        scene.mark(self.at(0.64), Shape::Circle, stroke.ink, Some(hint));
        let label = format!("{}/{} × {}", edge.needed, edge.total, short(edge.count()));
        let (at, half) = (self.at(0.4), font::width(&label, SMALL) / 2.0 + 1.5);
        let (from, to) = (
            Point(at.0 - half, at.1 - 6.0),
            Point(at.0 + half, at.1 + 6.0),
        );
        scene.rectangle(from, to, Ink::Paper, 0.85);
        let style = Style::new(SMALL, stroke.ink, Anchor::Middle);
        scene.text(Point(at.0, at.1 + 3.8), label, style);
    }

    fn arrow(&self, scene: &mut Scene, ink: Ink) {
        let (tip, before) = (self.to, self.at(0.9));
        let (dx, dy) = (tip.0 - before.0, tip.1 - before.1);
        let length = dx.hypot(dy).max(1e-9);
        let (dx, dy) = (6.5 * dx / length, 6.5 * dy / length);
        let side = |sign: f64| Point(tip.0 - dx - sign * 0.45 * dy, tip.1 - dy + sign * 0.45 * dx);
        scene.area(vec![tip, side(1.0), side(-1.0)], ink);
    }
}

/// A count that takes little room.
fn short(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
}
