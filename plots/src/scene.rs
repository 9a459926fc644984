//! A figure as a list of simple things to draw, in CSS pixels from the top left: what every renderer understands.

mod ink;
mod item;

pub(crate) use ink::Ink;
pub(crate) use item::{Anchor, Dash, Item, Point, Shape, Stroke, Style, Turn};

/// A figure ready to be rendered.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// What it shows, for those who cannot see it.
    pub(crate) title: String,
    /// In the order of drawing.
    pub(crate) items: Vec<Item>,
}

impl Scene {
    /// An empty figure whose height is still to be set.
    pub(crate) fn new(width: f64, title: impl Into<String>) -> Scene {
        Scene {
            width,
            height: 0.0,
            title: title.into(),
            items: Vec::new(),
        }
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.items.push(Item::Line { points, stroke });
    }

    pub(crate) fn rectangle(&mut self, from: Point, to: Point, ink: Ink, opacity: f64) {
        let points = vec![from, Point(to.0, from.1), to, Point(from.0, to.1)];
        self.items.push(Item::Area {
            points,
            ink,
            opacity,
        });
    }

    /// Fills a polygon.
    pub(crate) fn area(&mut self, points: Vec<Point>, ink: Ink) {
        let opacity = 1.0;
        self.items.push(Item::Area {
            points,
            ink,
            opacity,
        });
    }

    pub(crate) fn mark(&mut self, at: Point, shape: Shape, ink: Ink, hint: Option<String>) {
        self.items.push(Item::Mark {
            at,
            shape,
            ink,
            hint,
        });
    }

    pub(crate) fn text(&mut self, at: Point, text: impl Into<String>, style: Style) {
        self.items.push(Item::Text {
            at,
            text: text.into(),
            style,
        });
    }

    /// Fills a rectangle with rising lines `gap` apart: texture that survives black and white.
    pub(crate) fn hatch(&mut self, from: Point, to: Point, gap: f64, stroke: Stroke) {
        let (width, height) = (to.0 - from.0, to.1 - from.1);
        let mut along = gap;
        while along < width + height {
            // The line x + y = along, cut at the rectangle's sides.
            let start = Point(
                from.0 + (along - height).max(0.0),
                from.1 + along.min(height),
            );
            let end = Point(from.0 + along.min(width), from.1 + (along - width).max(0.0));
            self.line(vec![start, end], stroke);
            along += gap;
        }
    }
}
