#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`event`] | what a coroutine may wait for: values, replies, disk, time, quorums |
//! | [`env`](mod@env) | the seam: time, randomness, spawning, files, streams, peers |
//! | [`rpc`] | calls between nodes, with bounded queues |
//! | [`disk`], [`stream`] | files and client connections as protocol code sees them |
//! | [`trace`] | every wait, counted and timed |
//! | [`spg`] | the slowness propagation graph made of them |
//! | [`detect`] | finding out that a node has failed slow |
//! | [`real`] | the environment of a process on Linux |
//! | [`sim`] | the environment of a test: virtual time, one seed, every fault |

pub mod detect;
pub mod disk;
pub mod env;
pub mod event;
mod id;
pub mod real;
mod rng;
pub mod rpc;
pub mod sim;
pub mod spg;
pub mod stream;
mod time;
mod timers;
pub mod trace;

pub use disk::{Disk, File};
pub use env::Env;
pub use event::{
    AndEvent, DiskEvent, Event, OrEvent, Outcome, QuorumEvent, RpcEvent, TimeoutEvent, ValueEvent,
    Verdict,
};
pub use id::NodeId;
pub use rng::Rng;
pub use rpc::{Endpoint, Responder, Rpc, RpcError, Service};
pub use stream::{Listener, Stream};
pub use time::Instant;
