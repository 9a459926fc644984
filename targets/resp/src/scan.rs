use crate::{Malformed, line, reply};

/// Where a reply ends, and whether it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned<'b> {
    /// Bytes it takes; what follows is the next reply.
    pub length: usize,
    /// The text of an error reply, without its `-`; [`crate::ErrorReply::read`] tells which.
    pub error: Option<&'b [u8]>,
}

/// The extent of the reply that `input` starts with, without looking into its values; `None` while it is not all
/// there. An error inside an array is not reported.
///
/// # Errors
/// What can never become a reply.
pub fn scan_reply(input: &[u8]) -> Result<Option<Scanned<'_>>, Malformed> {
    let plain = |length| {
        Some(Scanned {
            length,
            error: None,
        })
    };
    match input.first() {
        None => Ok(None),
        Some(b'+') if input.starts_with(b"+OK\r\n") => Ok(plain(5)),
        Some(b'-') => Ok(
            line::text(input, 1, reply::LINE_BYTES)?.map(|(text, length)| Scanned {
                length,
                error: Some(text),
            }),
        ),
        Some(_) => Ok(extent(input)?.and_then(plain)),
    }
}

fn extent(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut at = 0;
    let mut missing = 1_usize;
    while missing > 0 {
        missing -= 1;
        let Some(kind) = input.get(at) else {
            return Ok(None);
        };
        let step = match kind {
            b'+' | b'-' => line::text(input, at + 1, reply::LINE_BYTES)?.map(|(_, end)| end),
            b':' => line::number(input, at + 1, Malformed::Integer)?.map(|(_, end)| end),
            b'$' => reply::bulk(input, at)?.map(|(_, end)| end),
            b'*' => match line::number(input, at + 1, Malformed::ArrayLength)? {
                Some((count, end)) => {
                    missing = missing.saturating_add(usize::try_from(count).unwrap_or(0));
                    Some(end)
                }
                None => None,
            },
            other => return Err(Malformed::ReplyType(*other)),
        };
        let Some(end) = step else {
            return Ok(None);
        };
        at = end;
    }
    Ok(Some(at))
}
