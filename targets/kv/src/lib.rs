//! A replicated key-value state machine and its Redis front end.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | what a log entry says |
//! | [`store`] | the state machine: keys, values and sessions; its snapshots |
//! | [`replica`] | what a replication protocol offers to the front end |
//! | [`front`] | the Redis protocol: connections, commands, replies in order |
//! | [`health`] | what a replica notices of its own slowness |
//! | [`server`] | what every replica has in common as a process runs it |
//!
//! Everything names only [`depfast`] types, so it runs simulated as well as for real.

pub mod command;
pub mod front;
pub mod health;
pub mod replica;
pub mod server;
pub mod store;

pub use command::{Command, Op, Query, SessionId, Stamp};
pub use front::{Front, Limits, Ticket};
pub use replica::{MemberChange, MemberInfo, Refusal, Replica, Role, Status};
pub use server::{Durability, Member, ServeError, UnknownDurability};
pub use store::{BadSnapshot, Restoring, Snapshot, Store};
