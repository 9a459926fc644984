//! Appends messages to a buffer (`Vec<u8>`, `bytes::BytesMut`).

use bytes::BufMut;

use crate::Protocol;

/// A request: an array of bulk strings.
pub fn command<const N: usize>(out: &mut impl BufMut, args: [&[u8]; N]) {
    array(out, N);
    for arg in args {
        bulk(out, arg);
    }
}

/// A simple string reply; `text` must hold no line break.
pub fn simple(out: &mut impl BufMut, text: &str) {
    line(out, b'+', text);
}

/// An error reply; `text` starts with its upper-case kind (`ERR …`, `MOVED …`). Line breaks become blanks.
pub fn error(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'-');
    for part in text.split_inclusive(['\r', '\n']) {
        match part.strip_suffix(['\r', '\n']) {
            Some(part) => {
                out.put_slice(part.as_bytes());
                out.put_u8(b' ');
            }
            None => out.put_slice(part.as_bytes()),
        }
    }
    out.put_slice(b"\r\n");
}

/// An integer reply.
pub fn integer(out: &mut impl BufMut, value: i64) {
    out.put_u8(b':');
    number(out, value);
}

/// A bulk string: the reply that carries any bytes, and the argument of a request.
pub fn bulk(out: &mut impl BufMut, value: &[u8]) {
    out.put_u8(b'$');
    number(out, value.len() as i64);
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// The reply for "no such value".
pub fn nil(out: &mut impl BufMut) {
    out.put_slice(b"$-1\r\n");
}

/// The head of an array; its `elements` messages follow.
pub fn array(out: &mut impl BufMut, elements: usize) {
    out.put_u8(b'*');
    number(out, elements as i64);
}

/// The head of a map; its `pairs` of messages follow. In RESP2 that is an array of twice as many.
pub fn map(out: &mut impl BufMut, pairs: usize, protocol: Protocol) {
    match protocol {
        Protocol::V2 => array(out, 2 * pairs),
        Protocol::V3 => {
            out.put_u8(b'%');
            number(out, pairs as i64);
        }
    }
}

fn line(out: &mut impl BufMut, kind: u8, text: &str) {
    debug_assert!(!text.contains(['\r', '\n']), "one line: {text:?}");
    out.put_u8(kind);
    out.put_slice(text.as_bytes());
    out.put_slice(b"\r\n");
}

fn number(out: &mut impl BufMut, value: i64) {
    // The digits of a 64-bit number, its sign, CR LF.
    let mut text = [0_u8; 22];
    let mut start = text.len() - 2;
    text[start..].copy_from_slice(b"\r\n");
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    out.put_slice(&text[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_ones_of_the_protocol() {
        let mut out = Vec::new();
        simple(&mut out, "OK");
        error(&mut out, "ERR two\r\nlines");
        integer(&mut out, i64::MIN);
        integer(&mut out, 0);
        bulk(&mut out, b"a\r\nb");
        nil(&mut out);
        array(&mut out, 0);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "+OK\r\n-ERR two  lines\r\n:-9223372036854775808\r\n:0\r\n$4\r\na\r\nb\r\n$-1\r\n*0\r\n"
        );
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        command(&mut out, [b"SET", b"k", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }
}
