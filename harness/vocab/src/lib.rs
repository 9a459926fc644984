//! The vocabulary of depbench, used everywhere (code, files, messages):
//!
//! - [`units`]: quantities that carry their unit ([`units::Share`], [`units::Bytes`], …);
//! - [`ids`]: names that cannot be mixed up (node, role, phase, cell, trial, run);
//! - [`time`]: wall-clock labels and monotonic measurements, kept together;
//! - [`problem`]: what is wrong with an input, where, and what was expected.

pub mod ids;
pub mod problem;
pub mod time;
pub mod units;
