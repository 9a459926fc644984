//! What the marks of a figure mean.

use crate::font;
use crate::panel::SMALL;
use crate::scene::{Anchor, Ink, Point, Scene, Shape, Stroke, Style};

/// A sample of what is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    /// A line, with its mark if it has one.
    Line(Stroke, Option<Shape>),
    /// A bar.
    Bar(Bar),
    /// A shaded band.
    Band(Ink, f64),
    /// A mark alone.
    Mark(Shape, Ink),
}

/// How a bar is filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) ink: Ink,
    /// Lines over the fill that tell it from others in black and white.
    pub(crate) hatched: Hatched,
}

/// Whether a bar carries lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hatched {
    Yes,
    No,
}

impl Bar {
    pub(crate) fn draw(self, scene: &mut Scene, from: Point, to: Point) {
        scene.rectangle(from, to, self.ink, 1.0);
        if self.hatched == Hatched::Yes {
            scene.hatch(from, to, 4.5, Stroke::solid(Ink::Paper, 0.8));
        }
    }
}

const KEY: f64 = 20.0;
const ROW: f64 = 15.0;

/// Draws the legend in rows from `top` down between `left` and the figure's right edge, and returns where it ends.
pub(crate) fn draw(scene: &mut Scene, left: f64, top: f64, entries: &[(Key, String)]) -> f64 {
    if entries.is_empty() {
        return top;
    }
    let (mut x, mut y) = (left, top + ROW / 2.0);
    for (key, label) in entries {
        let label = font::fit(label, SMALL, scene.width - left - KEY - 16.0);
        let width = KEY + 5.0 + font::width(&label, SMALL);
        if x > left && x + width > scene.width - 6.0 {
            (x, y) = (left, y + ROW);
        }
        draw_key(scene, *key, x, y);
        scene.text(
            Point(x + KEY + 5.0, y + 3.8),
            label,
            Style::new(SMALL, Ink::Text, Anchor::Start),
        );
        x += width + 14.0;
    }
    y + ROW / 2.0 + 2.0
}

fn draw_key(scene: &mut Scene, key: Key, x: f64, y: f64) {
    let (from, to) = (Point(x, y - 4.5), Point(x + KEY, y + 4.5));
    match key {
        Key::Line(stroke, mark) => {
            scene.line(vec![Point(x, y), Point(x + KEY, y)], stroke);
            if let Some(shape) = mark {
                scene.mark(Point(x + KEY / 2.0, y), shape, stroke.ink, None);
            }
        }
        Key::Bar(bar) => bar.draw(scene, from, to),
        Key::Band(ink, opacity) => scene.rectangle(from, to, ink, opacity),
        Key::Mark(shape, ink) => scene.mark(Point(x + KEY / 2.0, y), shape, ink, None),
    }
}
