//! A scene as SVG. Colours are attributes, which any program reads, and classes, which a report restyles in the dark.

use std::fmt::Write as _;

use crate::font;
use crate::scene::{Anchor, Ink, Item, Point, Scene, Stroke, Style, Turn};

/// The scene as a whole SVG document.
pub(crate) fn render(scene: &Scene) -> String {
    let mut svg = Svg(String::new());
    let (width, height) = (number(scene.width), number(scene.height));
    svg.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"{}\">\n<title>{}</title>\n",
        font::FAMILIES,
        escape(&scene.title),
    ));
    svg.put(format_args!(
        "<rect width=\"{width}\" height=\"{height}\"{}/>\n",
        fill(Ink::Paper)
    ));
    for item in &scene.items {
        svg.item(item);
    }
    svg.put(format_args!("</svg>\n"));
    svg.0
}

struct Svg(String);

impl Svg {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("memory takes text");
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Line { points, stroke } => self.line(points, *stroke),
            Item::Area {
                points,
                ink,
                opacity,
            } => {
                let opacity = if *opacity < 1.0 {
                    format!(" fill-opacity=\"{opacity}\"")
                } else {
                    String::new()
                };
                self.put(format_args!(
                    "<polygon points=\"{}\"{}{opacity}/>\n",
                    places(points),
                    fill(*ink)
                ));
            }
            Item::Mark {
                at,
                shape,
                ink,
                hint,
            } => {
                let corners = places(&shape.corners(*at));
                let edge = "stroke=\"#ffffff\" stroke-width=\"0.6\"";
                let fill = format!(" class=\"f-{} s-paper\" fill=\"{}\"", ink.name(), hex(*ink));
                match hint {
                    Some(hint) => self.put(format_args!(
                        "<polygon points=\"{corners}\"{fill} {edge}><title>{}</title></polygon>\n",
                        escape(hint)
                    )),
                    None => self.put(format_args!(
                        "<polygon points=\"{corners}\"{fill} {edge}/>\n"
                    )),
                }
            }
            Item::Text { at, text, style } => self.text(*at, text, *style),
        }
    }

    fn line(&mut self, points: &[Point], stroke: Stroke) {
        let dash = stroke
            .dash
            .pattern()
            .map(|[on, off]| format!(" stroke-dasharray=\"{on} {off}\""))
            .unwrap_or_default();
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" class=\"s-{}\" stroke=\"{}\" stroke-width=\"{}\"{dash} \
             stroke-linejoin=\"round\"/>\n",
            places(points),
            stroke.ink.name(),
            hex(stroke.ink),
            stroke.width,
        ));
    }

    fn text(&mut self, at: Point, text: &str, style: Style) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (number(at.0), number(at.1));
        let turn = match style.turn {
            Turn::Level => String::new(),
            Turn::Upwards => format!(" transform=\"rotate(-90 {x} {y})\""),
        };
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\"{}{turn}>{}</text>\n",
            style.size,
            fill(style.ink),
            escape(text),
        ));
    }
}

fn fill(ink: Ink) -> String {
    format!(" class=\"f-{}\" fill=\"{}\"", ink.name(), hex(ink))
}

fn hex(ink: Ink) -> String {
    let [red, green, blue] = ink.rgb();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// To a hundredth of a pixel; what is no number would make the whole file unreadable.
fn number(value: f64) -> String {
    let rounded = if value.is_finite() {
        (value * 100.0).round() / 100.0
    } else {
        0.0
    };
    rounded.to_string()
}

fn places(points: &[Point]) -> String {
    let places: Vec<String> = points
        .iter()
        .map(|Point(x, y)| format!("{},{}", number(*x), number(*y)))
        .collect();
    places.join(" ")
}

/// Text as it may stand in XML; control characters may not stand there at all.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Shape, Style};

    #[test]
    fn hostile_text_stays_text() {
        let mut scene = Scene::new(100.0, "</title><script>alert(1)</script>");
        let style = Style::new(10.0, Ink::Text, Anchor::Start);
        scene.text(Point(0.0, 10.0), "\"><img src=x onerror='x'>\0&", style);
        scene.mark(
            Point(5.0, f64::NAN),
            Shape::Cross,
            Ink::Fault,
            Some("<b>".to_owned()),
        );
        let svg = render(&scene);
        assert!(
            !svg.contains("<script") && !svg.contains("<img") && !svg.contains("<b>"),
            "{svg}"
        );
        assert!(!svg.contains('\0') && !svg.contains("NaN"), "{svg}");
        assert!(
            svg.contains("&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt; &amp;"),
            "{svg}"
        );
    }
}
