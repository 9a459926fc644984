//! Counters from `/proc`: processes, the network of a namespace, pressure.
//!
//! All counters only ever rise; what they count in a stretch of time is the difference of two samples.

mod memory;
mod network;
mod pressure;
mod process;

pub use memory::MachineMemory;
pub use network::NetworkSample;
pub use pressure::{MachinePressure, Pressure};
pub use process::{ProcessSample, ProcessTree};
