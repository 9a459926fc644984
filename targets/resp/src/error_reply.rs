use std::str;

/// What kind of error a server answered, lent from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorReply<'b> {
    /// Another member serves this key; `address` is `host:port`.
    Moved {
        /// The hash slot of the key.
        slot: u16,
        /// Where to go, as the server wrote it.
        address: &'b str,
    },
    /// The cluster cannot serve writes now (no leader).
    ClusterDown,
    /// Anything else.
    Other(&'b [u8]),
}

impl<'b> ErrorReply<'b> {
    /// Reads the text of an error reply (without its `-`).
    pub fn read(text: &'b [u8]) -> ErrorReply<'b> {
        Self::read_moved(text).unwrap_or_else(|| {
            if text == b"CLUSTERDOWN" || text.starts_with(b"CLUSTERDOWN ") {
                ErrorReply::ClusterDown
            } else {
                ErrorReply::Other(text)
            }
        })
    }

    fn read_moved(text: &'b [u8]) -> Option<ErrorReply<'b>> {
        let mut words = str::from_utf8(text.strip_prefix(b"MOVED ")?)
            .ok()?
            .split_ascii_whitespace();
        let slot = words.next()?.parse().ok()?;
        let address = words.next()?;
        Some(ErrorReply::Moved { slot, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        assert_eq!(
            ErrorReply::read(b"MOVED 3999 127.0.0.1:6381"),
            ErrorReply::Moved {
                slot: 3999,
                address: "127.0.0.1:6381"
            }
        );
        assert_eq!(
            ErrorReply::read(b"CLUSTERDOWN no leader"),
            ErrorReply::ClusterDown
        );
        for text in ["ERR x", "MOVED", "MOVED x y", "MOVED 1", "CLUSTERDOWNED"] {
            assert_eq!(
                ErrorReply::read(text.as_bytes()),
                ErrorReply::Other(text.as_bytes())
            );
        }
    }
}
