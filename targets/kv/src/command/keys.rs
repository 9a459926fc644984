use bytes::BytesMut;

use super::wire::{put_string, take_string};

/// A list of strings.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// As they came with a request.
    Listed(&'a [&'a [u8]]),
    /// As they stand in a log entry.
    Encoded(&'a [u8]),
}

impl<'a> Keys<'a> {
    /// One string after the other.
    pub fn iter(&self) -> KeyIter<'a> {
        KeyIter(*self)
    }

    pub(super) fn encode(&self, entry: &mut BytesMut) {
        for key in self.iter() {
            put_string(entry, key);
        }
    }

    /// Accepts what is a list of whole strings to its end.
    pub(super) fn checked(bytes: &'a [u8]) -> Option<Self> {
        let mut left = bytes;
        while !left.is_empty() {
            left = take_string(left)?.1;
        }
        Some(Self::Encoded(bytes))
    }
}

impl PartialEq for Keys<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Keys<'_> {}

/// Iterates over [`Keys`].
#[derive(Clone, Debug)]
pub struct KeyIter<'a>(Keys<'a>);

impl<'a> Iterator for KeyIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Keys::Listed(list) => {
                let (first, rest) = list.split_first()?;
                *list = rest;
                Some(first)
            }
            Keys::Encoded(bytes) => {
                let (first, rest) = take_string(bytes)?;
                *bytes = rest;
                Some(first)
            }
        }
    }
}
