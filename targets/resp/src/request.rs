use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::{Malformed, line};

/// How much a server takes from one client at a time; the defaults are those of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Arguments of one request, its name included.
    pub args: usize,
    /// Bytes of one argument.
    pub bulk_bytes: usize,
    /// Bytes of one request as sent.
    pub request_bytes: usize,
    /// Bytes of one inline request, its line end included.
    pub inline_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            args: 1024 * 1024,
            bulk_bytes: 512 << 20,
            request_bytes: 1 << 30,
            inline_bytes: 64 << 10,
        }
    }
}

/// Reads the requests of one connection.
///
/// It remembers how far it came in a request that has not arrived completely, so that a long one is not read again
/// from its start with every packet; it allocates only when a request has more arguments than any before it.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    /// Where the arguments found so far lie, from the start of the request.
    args: Vec<Range<usize>>,
    /// How far the request has been read.
    at: usize,
    /// Arguments still to come; `None` before the array's head was read.
    missing: Option<usize>,
}

impl RequestParser {
    /// A parser at the start of a connection.
    pub fn new(limits: Limits) -> RequestParser {
        RequestParser {
            limits,
            args: Vec::new(),
            at: 0,
            missing: None,
        }
    }

    /// The request that `input` starts with; `None` while it is not all there. Then call again with the same bytes
    /// and more behind them; after a request, with what follows its [`Request::length`].
    ///
    /// # Errors
    /// What can never become a request; the parser must not be used any further.
    pub fn next<'b>(&'b mut self, input: &'b [u8]) -> Result<Option<Request<'b>>, Malformed> {
        if self.at == 0 {
            self.args.clear();
            self.missing = None;
        }
        let complete = match input.first() {
            None => return Ok(None),
            Some(b'*') => self.read_array(input)?,
            Some(_) => self.read_inline(input)?,
        };
        if !complete {
            return Ok(None);
        }
        let length = std::mem::take(&mut self.at);
        Ok(Some(Request {
            wire: &input[..length],
            args: &self.args,
        }))
    }

    /// As [`RequestParser::next`], but cuts the request off the front of `buffer`, so that arguments can be kept
    /// without copying them: [`KeptRequest::keep`].
    ///
    /// # Errors
    /// As [`RequestParser::next`].
    pub fn cut(&mut self, buffer: &mut BytesMut) -> Result<Option<KeptRequest<'_>>, Malformed> {
        let Some(length) = self.next(buffer)?.map(|request| request.length()) else {
            return Ok(None);
        };
        let wire = buffer.split_to(length).freeze();
        Ok(Some(KeptRequest {
            wire,
            args: &self.args,
        }))
    }

    fn read_array(&mut self, input: &[u8]) -> Result<bool, Malformed> {
        let mut missing = match self.missing {
            Some(missing) => missing,
            None => {
                let Some((count, at)) = line::number(input, 1, Malformed::ArrayLength)? else {
                    return Ok(false);
                };
                // A negative count means "nothing", as an empty array does.
                let count = usize::try_from(count).unwrap_or(0);
                if count > self.limits.args {
                    return Err(Malformed::ArrayLength);
                }
                self.at = at;
                count
            }
        };
        while missing > 0 && self.read_bulk(input)? {
            missing -= 1;
        }
        self.missing = Some(missing);
        Ok(missing == 0)
    }

    fn read_bulk(&mut self, input: &[u8]) -> Result<bool, Malformed> {
        match input.get(self.at) {
            None => return Ok(false),
            Some(b'$') => {}
            Some(other) => return Err(Malformed::NotBulk(*other)),
        }
        let Some((length, start)) = line::number(input, self.at + 1, Malformed::BulkLength)? else {
            return Ok(false);
        };
        let length = usize::try_from(length).map_err(|_| Malformed::BulkLength)?;
        if length > self.limits.bulk_bytes {
            return Err(Malformed::BulkLength);
        }
        let end = start.saturating_add(length);
        if end > self.limits.request_bytes {
            return Err(Malformed::RequestLength);
        }
        let Some(terminator) = input.get(end..end + 2) else {
            return Ok(false);
        };
        if terminator != b"\r\n" {
            return Err(Malformed::Terminator);
        }
        self.args.push(start..end);
        self.at = end + 2;
        Ok(true)
    }

    fn read_inline(&mut self, input: &[u8]) -> Result<bool, Malformed> {
        let window = &input[..input.len().min(self.limits.inline_bytes)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            return if input.len() >= self.limits.inline_bytes {
                Err(Malformed::Line)
            } else {
                Ok(false)
            };
        };
        let text = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
        if text.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
            return Err(Malformed::Quotes);
        }
        let mut at = 0;
        for word in text.split(u8::is_ascii_whitespace) {
            if !word.is_empty() {
                self.args.push(at..at + word.len());
            }
            at += word.len() + 1;
        }
        if self.args.len() > self.limits.args {
            return Err(Malformed::ArrayLength);
        }
        self.at = end + 1;
        Ok(true)
    }
}

/// A request, lent from the bytes it was read from.
///
/// It may have no argument at all (an empty line, an empty array): a server passes over it without an answer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'b> {
    wire: &'b [u8],
    args: &'b [Range<usize>],
}

impl<'b> Request<'b> {
    /// Bytes it took; what follows is the next request.
    pub fn length(&self) -> usize {
        self.wire.len()
    }

    /// How many arguments it has, its name included.
    pub fn arg_count(&self) -> usize {
        self.args.len()
    }

    /// The argument at `index`; 0 is the name.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn arg(&self, index: usize) -> &'b [u8] {
        &self.wire[self.args[index].clone()]
    }

    /// All arguments, the name first.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &'b [u8]> + use<'b> {
        let wire = self.wire;
        self.args.iter().map(move |range| &wire[range.clone()])
    }

    /// Whether the name is `name`, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        !self.args.is_empty() && self.arg(0).eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A request cut off its buffer; its arguments may outlive the buffer.
#[derive(Debug, Clone)]
pub struct KeptRequest<'p> {
    wire: Bytes,
    args: &'p [Range<usize>],
}

impl KeptRequest<'_> {
    /// As a request that is only looked at.
    pub fn request(&self) -> Request<'_> {
        Request {
            wire: &self.wire,
            args: self.args,
        }
    }

    /// The argument at `index`, sharing the memory the request was read into.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn keep(&self, index: usize) -> Bytes {
        self.wire.slice(self.args[index].clone())
    }
}
