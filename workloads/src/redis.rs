//! The RESP driver: all connections on one thread around epoll, so that it costs less than the server it measures.
//!
//! A connection follows `-MOVED` with the requests after the one that was redirected; when it breaks, or its oldest
//! request runs out of time, it goes to the server last known to lead, else to the next of the list. New connections,
//! and those that were answered an error, have one request in flight until one succeeds.

mod connection;
mod driver;
mod link;
mod pipeline;
mod poller;
mod reader;
pub(crate) mod session;
mod start;

pub(crate) use driver::run;
pub(crate) use reader::Reader;
