//! One trial: deploy the target, drive load, inject faults at their moments, record all of it.
//!
//! - `deploy`: members of the target on their nodes, ready and with known roles;
//! - `drive`: the loop from the start of load to its end;
//! - `fault`: one fault's way through a trial: probed, injected, probed, cleared, probed;
//! - `roles`: who is what by the members' own accounts;
//! - `recorder`: the files of the trial, in the trial's time.

mod deploy;
mod drive;
mod error;
mod fault;
mod live;
mod recorder;
mod roles;

pub use drive::{Trial, run};
pub use error::TrialError;
pub use live::Live;
