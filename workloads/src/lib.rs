//! Load: what the experiment file says about it, and the worker that makes it.
//!
//! - [`spec`]: the `workload` part of the experiment file;
//! - [`job`]: what a worker is told; [`report`]: what it answers; [`run_worker`]: what it does in between;
//! - `load`: what every driver shares: which requests, when, and what became of them;
//! - `redis`: the RESP driver, one thread around epoll; [`etcd`]: the gRPC driver, tasks on one thread;
//! - [`read_back`]: what the servers hold afterwards;
//! - [`compare`]: whether the worker is fast enough to measure with.

mod clock;
pub mod compare;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod job;
mod load;
mod read_back;
mod redis;
pub mod report;
pub mod spec;
mod worker;

pub use job::{DriverKind, LoadJob, PhaseCut};
pub use read_back::{ReadBack, ReadBackError, read_back};
pub use report::{LoadNotice, LoadReport, LoadTotals, NoticeKind};
pub use spec::{Arrivals, Keys, Mode, Workload};
pub use worker::{LoadError, run_worker};
