#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | who the members are, how patient they are, what a reply promises |
//! | [`core`] | the protocol's state as plain data: votes, decisions, recovery, views, the order of execution |
//! | [`batch`], [`seen`], [`machine`] | commands, which of them were executed, the store |
//! | [`message`], [`wire`] | what replicas say to each other, and its bytes |
//! | `wal` | the log file |
//! | `replica` | the coroutines of one replica |
//! | [`server`] | a replica with its client port, as a process runs it |

pub mod batch;
pub mod config;
pub mod core;
pub mod machine;
pub mod message;
mod mutation;
mod replica;
pub mod seen;
pub mod server;
mod wal;
pub mod wire;

pub use config::{Config, ConfigError, Durability, Member, Timing};
pub use core::ReplicaId;
pub use mutation::Mutation;
pub use replica::Copilot;
pub use server::{ServeError, run, serve};
pub use wal::{Damage, What};
