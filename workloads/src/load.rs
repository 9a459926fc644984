//! What every driver shares: which requests, when, and what became of them.

mod arrivals;
mod backoff;
mod pace;
mod recorder;
mod reporter;
mod requests;
mod timeline;

pub(crate) use backoff::Backoff;
pub(crate) use pace::{Due, Pace};
pub(crate) use recorder::{Moments, Outcome, Recorder};
pub(crate) use reporter::Reporter;
pub(crate) use requests::{Request, Requests, read_value};
