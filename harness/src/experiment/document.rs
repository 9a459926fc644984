//! A YAML file as a tree in which every key and value knows its place.

mod build;
mod parse;
mod place;
mod tree;

pub(crate) use parse::parse;
pub use place::{Place, Source};
pub(crate) use tree::{Entry, Key, Meaning, Node, Scalar, Style, Value};
