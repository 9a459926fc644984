//! Requests that are sent until they are answered, and take effect once: `DF.SESSION` and `DF.DO`.
//!
//! The clients of one connection share a session. Each of their requests has a number, and is sent again under it when
//! the connection breaks, the server names another one, or says that it does not know what became of it. Only when no
//! answer came in time is its outcome unknown.
//!
//! A session has one lane to the leader, or two lanes to the members that order requests side by side (Copilot's pilots).
//! Then each request goes over both; the first answer counts and the later one is ignored. A lane that lags is not sent
//! what the other one has brought an answer to already.

mod desk;
mod driver;
mod lane;
mod news;
mod scout;
mod sessions;

pub(crate) use driver::run;

/// To whom a session's requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// To the leader.
    Leader,
    /// To both pilots.
    Pilots,
}
