use super::Ink;

/// A place: to the right, and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point(pub(crate) f64, pub(crate) f64);

/// One thing to draw.
#[derive(Debug)]
pub(crate) enum Item {
    /// A line through points.
    Line { points: Vec<Point>, stroke: Stroke },
    /// A filled polygon.
    Area {
        points: Vec<Point>,
        ink: Ink,
        opacity: f64,
    },
    /// A mark at a place, with words that appear when it is pointed at.
    Mark {
        at: Point,
        shape: Shape,
        ink: Ink,
        hint: Option<String>,
    },
    /// A line of text; the place is on its baseline.
    Text {
        at: Point,
        text: String,
        style: Style,
    },
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    pub(crate) ink: Ink,
    pub(crate) width: f64,
    pub(crate) dash: Dash,
}

impl Stroke {
    pub(crate) const fn solid(ink: Ink, width: f64) -> Stroke {
        Stroke {
            ink,
            width,
            dash: Dash::Solid,
        }
    }

    pub(crate) const fn dashed(self, dash: Dash) -> Stroke {
        Stroke { dash, ..self }
    }
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

impl Dash {
    /// Lengths of strokes and gaps.
    pub(crate) fn pattern(self) -> Option<[f64; 2]> {
        match self {
            Dash::Solid => None,
            Dash::Dashed => Some([5.0, 3.0]),
            Dash::Dotted => Some([1.5, 2.5]),
        }
    }
}

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Tick,
}

impl Shape {
    /// Half of its size.
    pub(crate) const REACH: f64 = 3.6;

    /// Its corners around `at`; a circle's are many.
    pub(crate) fn corners(self, at: Point) -> Vec<Point> {
        let r = Self::REACH;
        let around = |corners: &[(f64, f64)]| {
            corners
                .iter()
                .map(|(x, y)| Point(at.0 + x * r, at.1 + y * r))
                .collect()
        };
        match self {
            Shape::Circle => (0..24)
                .map(|step| {
                    let angle = f64::from(step) * std::f64::consts::TAU / 24.0;
                    Point(at.0 + 0.85 * r * angle.cos(), at.1 + 0.85 * r * angle.sin())
                })
                .collect(),
            Shape::Square => around(&[(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]),
            Shape::Triangle => around(&[(0.0, -1.0), (0.95, 0.75), (-0.95, 0.75)]),
            Shape::Diamond => around(&[(0.0, -1.1), (0.9, 0.0), (0.0, 1.1), (-0.9, 0.0)]),
            Shape::Cross => around(&[
                (-1.0, -0.65),
                (-0.65, -1.0),
                (0.0, -0.35),
                (0.65, -1.0),
                (1.0, -0.65),
                (0.35, 0.0),
                (1.0, 0.65),
                (0.65, 1.0),
                (0.0, 0.35),
                (-0.65, 1.0),
                (-1.0, 0.65),
                (-0.35, 0.0),
            ]),
            Shape::Tick => around(&[(-0.3, -1.0), (0.3, -1.0), (0.3, 1.0), (-0.3, 1.0)]),
        }
    }
}

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) size: f64,
    pub(crate) ink: Ink,
    pub(crate) anchor: Anchor,
    pub(crate) turn: Turn,
}

impl Style {
    pub(crate) const fn new(size: f64, ink: Ink, anchor: Anchor) -> Style {
        Style {
            size,
            ink,
            anchor,
            turn: Turn::Level,
        }
    }

    /// The text running upwards.
    pub(crate) const fn upwards(self) -> Style {
        Style {
            turn: Turn::Upwards,
            ..self
        }
    }
}

/// Which part of a text lies at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Which way a text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Level,
    Upwards,
}
