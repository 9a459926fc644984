//! The embedded font: Liberation Sans, which is as wide as Arial and Helvetica letter by letter, so that text in an
//! SVG fits wherever it is opened.

use std::sync::OnceLock;

use tiny_skia::PathBuilder;
use ttf_parser::{Face, OutlineBuilder};

use crate::scene::{Anchor, Point, Style, Turn};

/// The families that have these widths, for style sheets.
pub(crate) const FAMILIES: &str = "Liberation Sans, Arial, Helvetica, sans-serif";

fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| {
        let bytes = include_bytes!("../assets/LiberationSans-Regular.ttf");
        Face::parse(bytes, 0).expect("the embedded font is a font")
    })
}

/// The width of a text.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let face = face();
    let units: u32 = text
        .chars()
        .filter_map(|c| face.glyph_hor_advance(face.glyph_index(c).unwrap_or_default()))
        .map(u32::from)
        .sum();
    f64::from(units) * size / f64::from(face.units_per_em())
}

/// As much of a text as fits, ending in dots when some of it does not.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let shortened = format!("{}…", kept.trim_end());
        if width(&shortened, size) <= room {
            return shortened;
        }
    }
    String::new()
}

/// A text in lines that fit; a word longer than a line is cut.
pub(crate) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let fits = |line: &str| width(line, size) <= room;
    fill(text.split_whitespace(), " ", fits, |word| {
        vec![fit(word, size, room)]
    })
}

/// A list in lines that fit; an item longer than a line is broken between its words.
pub(crate) fn wrap_list(items: &[String], size: f64, room: f64) -> Vec<String> {
    let items = items.iter().map(String::as_str);
    let fits = |line: &str| width(line, size) <= room;
    fill(items, ", ", fits, |item| wrap(item, size, room))
}

fn fill<'a>(
    pieces: impl Iterator<Item = &'a str>,
    joint: &str,
    fits: impl Fn(&str) -> bool,
    new_lines: impl Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let longer = lines.last().map(|line| format!("{line}{joint}{piece}"));
        match longer.filter(|line| fits(line)) {
            Some(line) => {
                lines.pop();
                lines.push(line);
            }
            None => lines.extend(new_lines(piece)),
        }
    }
    lines
}

/// The outlines of a text at a place.
pub(crate) fn outline(text: &str, at: Point, style: Style) -> Option<tiny_skia::Path> {
    let face = face();
    let scale = style.size / f64::from(face.units_per_em());
    let shift = match style.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width(text, style.size) / 2.0,
        Anchor::End => -width(text, style.size),
    };
    let mut pen = Pen {
        path: PathBuilder::new(),
        at,
        turn: style.turn,
        scale,
        along: shift,
    };
    for c in text.chars() {
        let glyph = face.glyph_index(c).unwrap_or_default();
        face.outline_glyph(glyph, &mut pen);
        pen.along += f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
    }
    pen.path.finish()
}

struct Pen {
    path: PathBuilder,
    at: Point,
    turn: Turn,
    scale: f64,
    along: f64,
}

impl Pen {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        let (right, up) = (
            self.along + f64::from(x) * self.scale,
            f64::from(y) * self.scale,
        );
        let Point(x, y) = match self.turn {
            Turn::Level => Point(self.at.0 + right, self.at.1 - up),
            Turn::Upwards => Point(self.at.0 - up, self.at.1 - right),
        };
        (x as f32, y as f32)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) =
            (self.place(x1, y1), self.place(x2, y2), self.place(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_helvetica() {
        // Digits are 0.556 em wide.
        assert!((width("0123456789", 100.0) - 556.0).abs() < 1.0);
    }

    #[test]
    fn text_is_cut_and_wrapped_to_fit() {
        assert_eq!(fit("short", 10.0, 100.0), "short");
        let cut = fit("a rather long sentence", 10.0, 50.0);
        assert!(cut.ends_with('…') && width(&cut, 10.0) <= 50.0, "{cut}");
        assert_eq!(fit("x", 10.0, 0.0), "");
        let lines = wrap("one two three four five six", 10.0, 50.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 10.0) <= 50.0));
        assert_eq!(lines.join(" "), "one two three four five six");
    }

    #[test]
    fn a_list_is_broken_between_its_items_and_only_then_within() {
        let items = ["servers 3", "role pilot", "type net.delay-40ms"].map(str::to_owned);
        let room = width("type net.delay-40ms", 9.0);
        assert_eq!(
            wrap_list(&items, 9.0, room),
            ["servers 3, role pilot", "type net.delay-40ms"]
        );
        let room = width("net.delay-40ms", 9.0);
        assert_eq!(
            wrap_list(&items, 9.0, room),
            ["servers 3", "role pilot", "type", "net.delay-40ms"]
        );
    }
}
