//! The Redis serialization protocol, for servers (RESP2, and RESP3 as far as replies need it) and clients (RESP2).
//!
//! A server reads requests with a [`RequestParser`] and appends replies with the functions of [`encode`]; a client
//! appends requests with [`encode::command`] and reads replies with [`parse_reply`], or with [`scan_reply`] when it
//! only needs to know where the reply ends and whether it is an error. Nothing here does input or output: a parser
//! looks at bytes that were read and says "not all there yet" by `None`, "never will be" by [`Malformed`].
//!
//! ```
//! use depbench_resp::{Limits, RequestParser, encode};
//!
//! let mut parser = RequestParser::new(Limits::default());
//! let received = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI";
//! let mut out = Vec::new();
//! let request = parser.next(received).unwrap().expect("the first request is complete");
//! if request.is("get") {
//!     encode::bulk(&mut out, request.arg(1));
//! }
//! let rest = &received[request.length()..];
//! assert!(parser.next(rest).unwrap().is_none(), "the second one is not all there yet");
//! assert_eq!(out, b"$1\r\nk\r\n");
//! ```

pub mod encode;
mod error_reply;
mod line;
mod malformed;
mod protocol;
mod reply;
mod request;
mod scan;
mod slot;

pub use error_reply::ErrorReply;
pub use malformed::Malformed;
pub use protocol::Protocol;
pub use reply::{Reply, parse_reply};
pub use request::{KeptRequest, Limits, Request, RequestParser};
pub use scan::{Scanned, scan_reply};
pub use slot::{SLOTS, slot};
