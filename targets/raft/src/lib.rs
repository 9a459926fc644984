//! DepFast-Raft: Raft written with DepFast events.
//!
//! A replica is one thread of coroutines. Every client request joins the batch that is being gathered; a batch is
//! written to the leader's log file and sent to all peers at the same time, and is committed when the
//! [`QuorumEvent`](depfast::QuorumEvent) over those writes is ready. Nobody waits for one peer: a slow one is sent
//! what it lacks from the log when it answers, and nothing is queued for it meanwhile.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | who the members are, how patient they are, what a reply promises |
//! | [`storage`] | batches of entries, the log in memory, the log file |
//! | [`message`] | what replicas say to each other |
//! | `replica` | the state of one replica, and what it does for its group and its clients |
//! | `election`, `follower`, `leader` | the three parts of the protocol |
//! | [`server`] | a replica with its client port, as a process runs it |
//!
//! The log is kept in memory as well as on disk; compaction comes later.

pub mod config;
mod election;
mod follower;
mod leader;
pub mod message;
mod replica;
pub mod server;
mod state;
pub mod storage;
mod types;

pub use config::{Config, Durability, Member, Timing};
pub use replica::Raft;
pub use server::{ServeError, run, serve};
pub use types::{LogIndex, ReplicaId, Term};
