//! The commented experiment that `depbench init` writes.

/// Names every part of an experiment file and runs as it is.
pub const TEXT: &str = include_str!("starter.yaml");
