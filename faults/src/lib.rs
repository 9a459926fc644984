//! Fail-slow faults: which there are, where they can be carried out, how they are injected, proven and cleared.
//!
//! - [`spec`]: the `faults:` part of the experiment file;
//! - [`available`]: whether a node can carry a fault out, by which [`Backend`] of all [`candidates`], and what comes
//!   nearest if not;
//! - [`Fault`]: one fault on one node: probe, inject, probe, clear, probe;
//! - [`effect()`], [`residue`]: what the probes prove;
//! - [`list`], [`check_table`]: what `depbench list` and `depbench check` show;
//! - [`Latency`]: what `disk.latency` needs from the start;
//! - [`helpers`]: the programs behind faults that need one;
//! - [`presets`]: the faults of the papers.

mod available;
mod carrier;
mod catalog;
mod context;
mod echo;
mod effect;
mod error;
mod fault;
mod flow;
pub mod helpers;
mod impairment;
mod keeper;
mod latency;
mod layer;
mod nfqueue;
pub mod presets;
mod process;
mod raw_ip;
mod reading;
mod residue;
mod servers;
mod site;
pub mod spec;
mod standing;
mod tolerance;

pub use available::{Availability, Backend, Candidate, available, candidates};
pub use catalog::{CheckRow, Listed, Parameter, check_table, list};
pub use context::{FaultContext, FaultLink};
pub use effect::{Effect, effect};
pub use error::FaultError;
pub use fault::{Fault, Injected};
pub use flow::{Connection, Flow, Peers};
pub use impairment::Impairment;
pub use keeper::{Keeper, KeepsServers};
pub use latency::{Latency, LatencyDevice, LatencyWish};
pub use layer::LatencyLayer;
pub use process::HelperProgram;
pub use reading::{Probe, Reading};
pub use residue::residue;
pub use site::{Site, Wiring};
pub use spec::{Count, FaultSpec, FaultType, Place, Resolve};
pub use tolerance::Tolerance;
