//! `sweep`: fields by their dotted path, and the values that each takes in turn.

mod apply;
mod axis;
mod resolve;

pub use axis::{Axis, Sweep};

pub(super) use apply::{Point, points};
