//! A rectangle with axes in which data are drawn.

use crate::scale::Scale;
use crate::scene::{Anchor, Ink, Point, Scene, Stroke, Style};

/// Text of ticks and legends.
pub(crate) const SMALL: f64 = 10.5;
/// Titles of axes.
pub(crate) const MEDIUM: f64 = 11.5;
/// Footnotes.
pub(crate) const NOTE: f64 = 8.5;

const GRID: Stroke = Stroke::solid(Ink::Grid, 0.6);
const AXIS: Stroke = Stroke::solid(Ink::Axis, 0.8);

/// Where data are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

/// Whether an axis names its numbers, or leaves that to a neighbour with the same axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    Shown,
    Hidden,
}

impl Panel {
    /// The pixels from left to right.
    pub(crate) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// The pixels from bottom to top.
    pub(crate) fn upwards(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }

    /// Draws the grid and the numbers of the axis below.
    pub(crate) fn x_axis(&self, scene: &mut Scene, scale: &Scale, labels: Labels) {
        for tick in scale.ticks() {
            let x = scale.at(tick.value);
            scene.line(vec![Point(x, self.top), Point(x, self.bottom)], GRID);
            if labels == Labels::Shown {
                scene.line(
                    vec![Point(x, self.bottom), Point(x, self.bottom + 3.0)],
                    AXIS,
                );
                let style = Style::new(SMALL, Ink::Text, Anchor::Middle);
                scene.text(Point(x, self.bottom + 13.5), &tick.label, style);
            }
        }
    }

    /// Draws the grid and the numbers of the axis at the left.
    pub(crate) fn y_axis(&self, scene: &mut Scene, scale: &Scale, labels: Labels) {
        for tick in scale.ticks() {
            let y = scale.at(tick.value);
            scene.line(vec![Point(self.left, y), Point(self.right, y)], GRID);
            if labels == Labels::Shown {
                let style = Style::new(SMALL, Ink::Text, Anchor::End);
                scene.text(Point(self.left - 5.0, y + 3.6), &tick.label, style);
            }
        }
    }

    /// Draws the lines of the axes, over grid and bands.
    pub(crate) fn edges(&self, scene: &mut Scene) {
        let corner = Point(self.left, self.bottom);
        scene.line(
            vec![
                Point(self.left, self.top),
                corner,
                Point(self.right, self.bottom),
            ],
            AXIS,
        );
    }

    /// Says what runs along the axis below.
    pub(crate) fn x_title(&self, scene: &mut Scene, title: &str) {
        let style = Style::new(MEDIUM, Ink::Text, Anchor::Middle);
        scene.text(
            Point((self.left + self.right) / 2.0, self.bottom + 29.0),
            title,
            style,
        );
    }

    /// Says what runs along the axis at the left; `x` is where its baseline stands.
    pub(crate) fn y_title(&self, scene: &mut Scene, x: f64, title: &str) {
        let style = Style::new(MEDIUM, Ink::Text, Anchor::Middle).upwards();
        scene.text(Point(x, (self.top + self.bottom) / 2.0), title, style);
    }

    /// Hatches the panel: what is in it does not count.
    pub(crate) fn hatch(&self, scene: &mut Scene) {
        let (from, to) = (Point(self.left, self.top), Point(self.right, self.bottom));
        scene.hatch(from, to, 7.0, Stroke::solid(Ink::Grid, 1.2));
    }

    /// Hatches the place of numbers that must not be shown, and says why.
    pub(crate) fn no_numbers(&self, scene: &mut Scene, reason: &str) {
        self.hatch(scene);
        let middle = (self.left + self.right) / 2.0;
        let room = self.right - self.left - 12.0;
        let mut lines = vec!["invalid".to_owned()];
        lines.extend(crate::font::wrap(reason, NOTE, room));
        let lowest = ((self.bottom - self.top) / 11.0).floor().max(1.0) as usize;
        lines.truncate(lowest);
        let mut y = (self.top + self.bottom) / 2.0 - lines.len() as f64 * 5.5 + 8.0;
        for (index, line) in lines.iter().enumerate() {
            let size = if index == 0 { SMALL } else { NOTE };
            let width = crate::font::width(line, size);
            let ground = (
                Point(middle - width / 2.0 - 3.0, y - 9.0),
                Point(middle + width / 2.0 + 3.0, y + 3.0),
            );
            scene.rectangle(ground.0, ground.1, Ink::Paper, 1.0);
            scene.text(
                Point(middle, y),
                line,
                Style::new(size, Ink::Muted, Anchor::Middle),
            );
            y += 11.0;
        }
    }
}

/// Writes notes from `y` down over the width of the figure, and returns where they end.
pub(crate) fn footnotes<S: AsRef<str>>(
    scene: &mut Scene,
    y: f64,
    notes: impl IntoIterator<Item = S>,
) -> f64 {
    let mut y = y;
    for note in notes {
        for line in crate::font::wrap(note.as_ref(), NOTE, scene.width - 16.0) {
            scene.text(
                Point(8.0, y + NOTE),
                line,
                Style::new(NOTE, Ink::Muted, Anchor::Start),
            );
            y += NOTE + 2.5;
        }
    }
    y
}
