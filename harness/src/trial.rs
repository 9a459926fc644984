//! One trial: deploy the target, drive load, inject faults at their moments, record all of it.
//!
//! - `deploy`: members of the target on their nodes, ready and with known roles;
//! - `attempt`: the trial as a whole, from the deployment to its verdict;
//! - `load`: the load workers, started and understood;
//! - `merge`: many workers as one;
//! - `drive`: the loop from the start of load to its end;
//! - `hear`: what the loop hears, and what it makes of it;
//! - `fault`: one fault's way through a trial: probed, injected, probed, cleared, probed;
//! - `roles`: who is what by the members' own accounts;
//! - `recorder`: the files of the trial, in the trial's time;
//! - `clocks`: how far the clocks of other machines were from the controller's;
//! - `waits`: for whom members have waited, and what their detectors found;
//! - `judge`: whether the recorded operations are linearizable.

mod attempt;
mod clocks;
mod deploy;
mod drive;
mod error;
mod fault;
mod hear;
mod judge;
mod live;
mod load;
mod merge;
mod recorder;
mod roles;
mod waits;

pub use attempt::{Trial, run};
pub use error::TrialError;
pub use live::Live;
