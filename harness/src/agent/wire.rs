//! What controller and agent say to each other over the agent's standard input and output.
//!
//! The agent first prints one [`Hello`] line, which the controller finds behind whatever a login shell had to say.
//! After it both sides send frames: the length of a JSON header, the length of a binary payload (both `u32`, little
//! endian), the header, the payload. Requests carry an id that their response repeats; events come unasked. Every
//! frame of the controller renews the agent's lease.

mod event;
mod frame;
mod hello;
mod request;

pub use event::{Event, Exit, ExitCause, Sample};
pub use frame::{MAX_PAYLOAD, WireError, read_frame, write_frame};
pub use hello::{Greeting, Hello, HelloError, read_hello};
pub use request::{
    Budget, Consent, DirEntry, Disk, FaultOrder, Format, Layer, Output, Place, Prepare, Prepared,
    ProcessId, Request, Response, Spawn,
};

use serde::{Deserialize, Serialize};

/// Numbers a request within one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// What the controller sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Nothing but a sign of life.
    Heartbeat,
    /// Something to do; answered once, perhaps after later requests.
    Request {
        /// Repeated in the response.
        id: RequestId,
        /// What to do.
        request: Box<Request>,
    },
}

/// What the agent sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromAgent {
    /// Repeats a sign of life.
    Heartbeat,
    /// The answer to a request.
    Response {
        /// Of the request.
        id: RequestId,
        /// What came of it; the error says what failed, where, and what would help.
        result: Result<Response, String>,
    },
    /// Something happened on the node.
    Event(Event),
}
