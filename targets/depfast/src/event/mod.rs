//! What a coroutine may wait for.
//!
//! | event | is triggered when |
//! |---|---|
//! | [`ValueEvent`] | a value satisfies a condition |
//! | [`RpcEvent`] | one peer has answered, or never will |
//! | [`DiskEvent`] | a file operation is finished |
//! | [`TimeoutEvent`] | a time has come |
//! | [`QuorumEvent`] | enough members have accepted, or too many have refused |
//! | [`AndEvent`] | all its parts are, which are events of any kind |
//! | [`OrEvent`] | any of its parts is |

mod completion;
mod compound;
mod condition;
mod disk;
mod limit;
mod outcome;
mod quorum;
mod release;
mod rpc;
mod timeout;
mod value;
mod waiters;

pub(crate) use completion::Completion;
pub use compound::{AndEvent, Event, OrEvent};
pub use condition::Condition;
pub use disk::DiskEvent;
pub(crate) use limit::DefaultTimeout;
pub use outcome::Outcome;
pub use quorum::{QuorumEvent, Verdict};
pub(crate) use release::Releases;
pub use rpc::{RpcEvent, RpcResult};
pub use timeout::TimeoutEvent;
pub use value::ValueEvent;
pub(crate) use waiters::Waiters;
