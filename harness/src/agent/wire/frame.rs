use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest payload of one frame, in bytes; longer data travels in several frames.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The longest header of one frame, in bytes.
const MAX_HEADER: usize = 1024 * 1024;

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The pipe broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The other side ended in the middle of a frame.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
    /// A length that no frame has: the two sides do not speak the same protocol.
    #[error(
        "a frame of {header} + {payload} bytes is above the limit of {MAX_HEADER} + {MAX_PAYLOAD}"
    )]
    TooLong {
        /// Announced length of the header.
        header: usize,
        /// Announced length of the payload.
        payload: usize,
    },
    /// A header that is not a message of this protocol.
    #[error("a header cannot be understood: {0}")]
    Header(#[from] serde_json::Error),
}

/// Reads one frame; `None` when the other side ended between two frames. Not cancel-safe: give it a task of its own.
///
/// # Errors
/// A broken or truncated stream, lengths above the limits, or a header that is not a `T`.
pub async fn read_frame<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<(T, Vec<u8>)>, WireError> {
    let mut lengths = [0; 8];
    if !read_or_end(from, &mut lengths).await? {
        return Ok(None);
    }
    let (header, payload) = split(lengths);
    if header > MAX_HEADER || payload > MAX_PAYLOAD {
        return Err(WireError::TooLong { header, payload });
    }
    let mut body = vec![0; header + payload];
    if !body.is_empty() && !read_or_end(from, &mut body).await? {
        return Err(WireError::Truncated);
    }
    let payload = body.split_off(header);
    Ok(Some((serde_json::from_slice(&body)?, payload)))
}

/// Writes one frame and flushes it. Not cancel-safe: give it a task of its own.
///
/// # Errors
/// A broken stream, or a message above the limits, in which case nothing was written.
pub async fn write_frame<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &T,
    payload: &[u8],
) -> Result<(), WireError> {
    let header = serde_json::to_vec(message)?;
    if header.len() > MAX_HEADER || payload.len() > MAX_PAYLOAD {
        return Err(WireError::TooLong {
            header: header.len(),
            payload: payload.len(),
        });
    }
    let mut frame = Vec::with_capacity(8 + header.len() + payload.len());
    frame.extend((header.len() as u32).to_le_bytes());
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(header);
    frame.extend(payload);
    to.write_all(&frame).await?;
    to.flush().await?;
    Ok(())
}

fn split(lengths: [u8; 8]) -> (usize, usize) {
    let [a, b, c, d, e, f, g, h] = lengths;
    (
        u32::from_le_bytes([a, b, c, d]) as usize,
        u32::from_le_bytes([e, f, g, h]) as usize,
    )
}

/// Fills `buffer`; `false` if the stream ended before its first byte.
async fn read_or_end(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
) -> Result<bool, WireError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]).await? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(WireError::Truncated),
            n => filled += n,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn frames_round_trip_through_a_narrow_pipe() {
        block_on(async {
            let (mut near, mut far) = tokio::io::duplex(7);
            let sent: Vec<(String, Vec<u8>)> = vec![
                ("a".into(), vec![]),
                ("ü".into(), vec![0; MAX_PAYLOAD]),
                (String::new(), vec![1, 2, 3]),
            ];
            let expected = sent.clone();
            tokio::join!(
                async move {
                    for (header, payload) in &sent {
                        write_frame(&mut near, header, payload).await.unwrap();
                    }
                },
                async {
                    for frame in expected {
                        assert_eq!(read_frame::<String>(&mut far).await.unwrap(), Some(frame));
                    }
                    assert_eq!(read_frame::<String>(&mut far).await.unwrap(), None);
                }
            );
        });
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        block_on(async {
            for (bytes, message) in [
                (&b"\x02\0\0\0"[..], "middle of a frame"),
                (b"\x02\0\0\0\0\0\0\0\"", "middle of a frame"),
                (b"\x02\0\0\0\0\0\0\0xx", "cannot be understood"),
                (b"Welcome to Debian", "above the limit"),
                (b"\0\0\0\0\x01\0\x01\0", "above the limit"),
                (b"\0\0\0\0\0\0\0\0", "cannot be understood"),
            ] {
                let error = read_frame::<String>(&mut &bytes[..])
                    .await
                    .unwrap_err()
                    .to_string();
                assert!(error.contains(message), "{bytes:?}: {error}");
            }
            let error = write_frame(&mut Vec::new(), &"x", &vec![0; MAX_PAYLOAD + 1])
                .await
                .unwrap_err();
            assert!(matches!(error, WireError::TooLong { .. }), "{error}");
        });
    }
}
