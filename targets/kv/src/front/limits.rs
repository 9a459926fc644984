//! What one client may ask for.

use resp::Malformed;

use crate::store::VALUE_BYTES;

/// Bounds on what a client makes a replica hold; beyond them it gets an error, or has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a key.
    pub key_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Arguments of one request.
    pub args: usize,
    /// Requests of one connection that may be unanswered; further ones are read only when answers have gone out.
    pub pipeline: u64,
    /// Bytes of answers that a client may leave unread before its further requests wait.
    pub unread_bytes: usize,
    /// Bytes of unread answers beyond which a client is let go: large answers to a long pipeline can come all at once.
    pub answer_bytes: usize,
    /// Connections; further ones are refused with an error.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes: 64 << 10,
            value_bytes: VALUE_BYTES,
            args: 8192,
            pipeline: 1024,
            unread_bytes: 1 << 20,
            answer_bytes: 32 << 20,
            connections: 10_000,
        }
    }
}

impl Limits {
    pub(super) const fn wire(&self) -> resp::Limits {
        // Twice the value, so that a value a little too long gets a clear error instead of a closed connection.
        let bulk_bytes = 2 * self.value_bytes;
        resp::Limits {
            args: self.args,
            bulk_bytes,
            request_bytes: 2 * bulk_bytes,
            inline_bytes: 64 << 10,
        }
    }

    /// What to tell a client whose connection ends because of that.
    pub(super) fn explain(&self, malformed: Malformed) -> String {
        let wire = self.wire();
        match malformed {
            Malformed::ArrayLength => {
                format!(
                    "ERR {malformed}: a request has at most {} arguments",
                    wire.args
                )
            }
            Malformed::BulkLength => format!(
                "ERR {malformed}: a key has at most {} bytes, a value {}",
                self.key_bytes, self.value_bytes
            ),
            Malformed::RequestLength => format!(
                "ERR {malformed}: a request has at most {} bytes",
                wire.request_bytes
            ),
            _ => format!("ERR {malformed}"),
        }
    }
}
