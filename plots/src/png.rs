//! A scene as PNG, twice as fine as its pixels.

use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, StrokeDash, Transform,
};

use crate::error::PlotError;
use crate::font;
use crate::scene::{Ink, Item, Point, Scene, Stroke};

const SCALE: f32 = 2.0;

/// The scene as the bytes of a PNG file; `name` is what an error calls it.
pub(crate) fn render(scene: &Scene, name: &str) -> Result<Vec<u8>, PlotError> {
    let (width, height) = (
        (scene.width as f32 * SCALE).ceil() as u32,
        (scene.height as f32 * SCALE).ceil() as u32,
    );
    let too_large = || PlotError::TooLarge {
        name: name.to_owned(),
        width,
        height,
    };
    let mut pixels = Pixmap::new(width, height).ok_or_else(too_large)?;
    pixels.fill(Color::WHITE);
    for item in &scene.items {
        draw(&mut pixels, item);
    }
    pixels.encode_png().map_err(|_| too_large())
}

fn draw(pixels: &mut Pixmap, item: &Item) {
    match item {
        Item::Line { points, stroke } => line(pixels, points, *stroke),
        Item::Area {
            points,
            ink,
            opacity,
        } => fill(pixels, polygon(points), *ink, *opacity),
        Item::Mark { at, shape, ink, .. } => {
            let corners = shape.corners(*at);
            let mut edge = corners.clone();
            edge.extend(corners.first().copied());
            fill(pixels, polygon(&corners), *ink, 1.0);
            line(pixels, &edge, Stroke::solid(Ink::Paper, 0.6));
        }
        Item::Text { at, text, style } => {
            fill(pixels, font::outline(text, *at, *style), style.ink, 1.0);
        }
    }
}

fn paint(ink: Ink, opacity: f64) -> Paint<'static> {
    let [red, green, blue] = ink.rgb();
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (opacity.clamp(0.0, 1.0) * 255.0) as u8);
    paint.anti_alias = true;
    paint
}

fn fill(pixels: &mut Pixmap, path: Option<Path>, ink: Ink, opacity: f64) {
    if let Some(path) = path {
        let scale = Transform::from_scale(SCALE, SCALE);
        pixels.fill_path(&path, &paint(ink, opacity), FillRule::Winding, scale, None);
    }
}

fn line(pixels: &mut Pixmap, points: &[Point], stroke: Stroke) {
    let Some(path) = open(points) else { return };
    let style = tiny_skia::Stroke {
        width: stroke.width as f32,
        line_join: LineJoin::Round,
        dash: stroke
            .dash
            .pattern()
            .and_then(|pattern| StrokeDash::new(pattern.map(|part| part as f32).to_vec(), 0.0)),
        ..tiny_skia::Stroke::default()
    };
    let scale = Transform::from_scale(SCALE, SCALE);
    pixels.stroke_path(&path, &paint(stroke.ink, 1.0), &style, scale, None);
}

fn open(points: &[Point]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, Point(x, y)) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.finish()
}

fn polygon(points: &[Point]) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.push_path(&open(points)?);
    path.close();
    path.finish()
}
