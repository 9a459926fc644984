//! Histories of operations on a key-value store, and whether they are linearizable: whether every operation can be
//! given one moment between its call and its answer, so that each read finds what the last write before it wrote.
//!
//! ```
//! use depbench_history::{Budget, Operation, Verdict, check};
//! use vocab::time::TrialTime;
//!
//! let at = TrialTime::from_nanos;
//! let history = [
//!     Operation::write(1, 7, 100).took(at(0), at(10)),
//!     Operation::write(2, 7, 200).took(at(20), at(30)),
//!     Operation::read(3, 7, Some(100)).took(at(40), at(50)),
//! ];
//! let Verdict::Violated(violation) = check(&history, Budget::default()) else {
//!     panic!("the read is stale");
//! };
//! assert_eq!(violation.operations.len(), 3);
//! ```
//!
//! Nothing here looks at a clock or draws a random number, so that a simulated protocol can be checked in a
//! simulation: how long the search may take is a number of steps.

mod check;
mod explain;
mod operation;
mod search;

pub use check::{Budget, Verdict, Violation, check};
pub use operation::{Input, Operation, Output};
