//! The bytes around a call: `length u32 | kind u8 | method u8 | id u64 | body`, little endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::env::Frame;

/// Whether a frame asks or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) method: u8,
    pub(super) id: u64,
}

/// Length of a header without the length in front of it.
const HEADER: usize = 10;

/// Puts length and header before `body`.
pub(super) fn seal(header: Header, mut body: Vec<Bytes>) -> Frame {
    let length = HEADER + body.iter().map(Bytes::len).sum::<usize>();
    let mut front = BytesMut::with_capacity(4 + HEADER);
    front
        .put_u32_le(u32::try_from(length).expect("protocols bound their messages far below 4 GiB"));
    front.put_u8(match header.kind {
        Kind::Request => 0,
        Kind::Response => 1,
    });
    front.put_u8(header.method);
    front.put_u64_le(header.id);
    body.insert(0, front.freeze());
    body
}

/// Takes the header off a frame whose length was already removed; `None` if it is not one of ours.
pub(super) fn open(frame: &mut Bytes) -> Option<Header> {
    if frame.len() < HEADER {
        return None;
    }
    let kind = match frame.get_u8() {
        0 => Kind::Request,
        1 => Kind::Response,
        _ => return None,
    };
    Some(Header {
        kind,
        method: frame.get_u8(),
        id: frame.get_u64_le(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_frame_opens_to_the_same_header_and_body() {
        let header = Header {
            kind: Kind::Response,
            method: 7,
            id: u64::MAX - 1,
        };
        let parts = seal(
            header,
            vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")],
        );
        let mut whole = Bytes::from(parts.concat());
        assert_eq!(whole.get_u32_le() as usize, whole.len());
        assert_eq!(open(&mut whole), Some(header));
        assert_eq!(&whole[..], b"abc");
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        assert_eq!(open(&mut Bytes::from_static(b"short")), None);
        assert_eq!(open(&mut Bytes::from_static(b"9123456789")), None);
    }
}
