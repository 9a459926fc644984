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
//! | `membership` | who belongs to the group, one change at a time |
//! | `replica`, `state` | the parts of one replica, and its state between two steps |
//! | `clients`, `peers`, `apply` | what it does for its clients, for its peers, and with what is committed |
//! | `election`, `follower`, `leader` | the three parts of the protocol |
//! | `mitigation` | what a leader does that finds itself slow |
//! | `snapshot`, `install` | how the log is kept short, and how a follower that lags too far is brought up |
//! | [`server`] | a replica with its client port, as a process runs it |

mod apply;
mod clients;
pub mod config;
mod election;
mod follower;
mod install;
mod leader;
mod membership;
pub mod message;
mod mitigation;
mod mutation;
mod pace;
mod peers;
mod replica;
pub mod server;
mod snapshot;
mod state;
pub mod storage;
mod types;

pub use config::{Config, Durability, Member, Reads, Timing};
pub use mutation::Mutation;
pub use replica::Raft;
pub use server::{ServeError, run, serve};
pub use types::{LogIndex, ReplicaId, Term};
