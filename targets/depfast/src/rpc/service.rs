//! Answering calls.

use std::rc::Rc;

use bytes::Bytes;

use super::frame::{self, Header, Kind};
use crate::env::Transport;
use crate::id::NodeId;

/// What a node does for its peers.
pub trait Service {
    /// Handles one call. It must not block; a long answer is given later, by a coroutine that holds `respond`.
    fn handle(&self, from: NodeId, method: u8, body: Bytes, respond: Responder);
}

/// The way back to a caller.
pub struct Responder {
    pub(super) transport: Rc<dyn Transport>,
    pub(super) to: NodeId,
    pub(super) method: u8,
    pub(super) id: u64,
}

impl Responder {
    /// The caller.
    pub const fn caller(&self) -> NodeId {
        self.to
    }

    /// Answers the call. If the caller cannot take the answer now it is lost, as a network may lose it.
    pub fn send(self, body: Vec<Bytes>) {
        let header = Header {
            kind: Kind::Response,
            method: self.method,
            id: self.id,
        };
        let _lost = self.transport.send(self.to, frame::seal(header, body));
    }
}
