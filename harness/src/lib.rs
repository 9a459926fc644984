//! depbench: what happens to a cluster when one node is not dead, only slow?
//!
//! The modules follow the way of data (ARCHITECTURE.md): an [`experiment`] file becomes a plan of trials.

pub mod agent;
pub mod bench;
pub mod causes;
pub mod cli;
pub mod cluster;
pub mod control;
pub mod experiment;
pub mod inject;
pub mod plan;
pub mod preflight;
pub mod run;
pub mod runtime;
pub mod soak;
pub mod trial;
