use crate::{Malformed, line};

/// The longest line of a reply (a status or an error).
pub(crate) const LINE_BYTES: usize = 64 << 10;

/// The longest value of a reply, as Redis has it.
const BULK_BYTES: usize = 512 << 20;

const DEPTH: usize = 16;

/// What a server answered, lent from the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<'b> {
    /// A status such as `OK`.
    Simple(&'b [u8]),
    /// An error, with its kind in front: `ERR …`, `MOVED …`; [`crate::ErrorReply::read`] tells which.
    Error(&'b [u8]),
    /// A number.
    Integer(i64),
    /// A value.
    Bulk(&'b [u8]),
    /// No such value.
    Nil,
    /// Several replies.
    Array(Vec<Reply<'b>>),
}

/// The reply that `input` starts with and the bytes it takes; `None` while it is not all there.
///
/// # Errors
/// What can never become a reply.
pub fn parse_reply(input: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    parse_at(input, 0, DEPTH)
}

fn parse_at(
    input: &[u8],
    at: usize,
    depth: usize,
) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(kind) = input.get(at) else {
        return Ok(None);
    };
    match kind {
        b'+' => {
            let text = line::text(input, at + 1, LINE_BYTES)?;
            Ok(text.map(|(text, end)| (Reply::Simple(text), end)))
        }
        b'-' => {
            let text = line::text(input, at + 1, LINE_BYTES)?;
            Ok(text.map(|(text, end)| (Reply::Error(text), end)))
        }
        b':' => {
            let number = line::number(input, at + 1, Malformed::Integer)?;
            Ok(number.map(|(value, end)| (Reply::Integer(value), end)))
        }
        b'$' => {
            let value = bulk(input, at)?;
            Ok(value.map(|(value, end)| (value.map_or(Reply::Nil, Reply::Bulk), end)))
        }
        b'*' => parse_array(input, at, depth),
        other => Err(Malformed::ReplyType(*other)),
    }
}

fn parse_array(
    input: &[u8],
    at: usize,
    depth: usize,
) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some((count, mut at)) = line::number(input, at + 1, Malformed::ArrayLength)? else {
        return Ok(None);
    };
    if count < 0 {
        return Ok(Some((Reply::Nil, at)));
    }
    let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let Some((element, end)) = parse_at(input, at, depth)? else {
            return Ok(None);
        };
        elements.push(element);
        at = end;
    }
    Ok(Some((Reply::Array(elements), at)))
}

/// The bulk string that starts at `at`; its value is `None` when there is none.
#[expect(
    clippy::type_complexity,
    reason = "not there yet, nil and a value are three cases"
)]
pub(crate) fn bulk(input: &[u8], at: usize) -> Result<Option<(Option<&[u8]>, usize)>, Malformed> {
    let Some((length, start)) = line::number(input, at + 1, Malformed::BulkLength)? else {
        return Ok(None);
    };
    let Ok(length) = usize::try_from(length) else {
        return Ok(Some((None, start)));
    };
    if length > BULK_BYTES {
        return Err(Malformed::BulkLength);
    }
    let end = start + length;
    match input.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Some(&input[start..end]), end + 2))),
        Some(_) => Err(Malformed::Terminator),
    }
}
