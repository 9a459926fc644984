//! The etcd version 3 driver, and the poll that tells which member leads.
//!
//! Connections are spread over the members in turn, as etcd's own balancing client does: followers pass writes on to
//! the leader. A connection that breaks, or on which a request runs out of time, goes on to the next member. Reads
//! are linearizable. The messages are written by hand, with only the fields that are used.

mod alarm;
mod client;
mod driver;
mod link;
mod messages;
mod reader;
mod status;

pub(crate) use driver::run;
pub(crate) use reader::Reader;
pub use status::{MemberPoll, MemberStatus, PollError};
