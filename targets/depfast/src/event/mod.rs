//! What a coroutine may wait for.
//!
//! | event | is triggered when |
//! |---|---|
//! | [`ValueEvent`] | a value satisfies a condition |
//! | [`RpcEvent`] | one peer has answered, or never will |
//! | [`DiskEvent`] | a file operation is finished |
//! | [`TimeoutEvent`] | a time has come |
//! | [`QuorumEvent`] | enough members have accepted, or too many have refused |

mod completion;
mod disk;
mod quorum;
mod rpc;
mod timeout;
mod value;
mod waiters;

pub(crate) use completion::Completion;
pub use disk::DiskEvent;
pub use quorum::{Outcome, QuorumEvent, Verdict};
pub use rpc::{RpcEvent, RpcResult};
pub use timeout::TimeoutEvent;
pub use value::ValueEvent;
