//! What a log entry says.

use bytes::{BufMut, BytesMut};

const SET: u8 = 1;
const DEL: u8 = 2;

/// A change of the store, lent from the bytes of a request or of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Gives `key` the value `value`.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes keys.
    Del {
        /// The keys.
        keys: Keys<'a>,
    },
}

/// The keys of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys<'a> {
    /// As they came with a request.
    Listed(&'a [&'a [u8]]),
    /// As they stand in a log entry.
    Encoded(&'a [u8]),
}

impl<'a> Command<'a> {
    /// Appends the command to a log entry: `op u8`, then each string with its length before it (`u32`, little endian);
    /// the last string of a `Set` goes to the end of the entry.
    pub fn encode(&self, entry: &mut BytesMut) {
        match self {
            Self::Set { key, value } => {
                entry.reserve(5 + key.len() + value.len());
                entry.put_u8(SET);
                put_string(entry, key);
                entry.put_slice(value);
            }
            Self::Del { keys } => {
                entry.put_u8(DEL);
                for key in keys.iter() {
                    put_string(entry, key);
                }
            }
        }
    }

    /// Reads a log entry; `None` if it is not a command.
    pub fn decode(entry: &'a [u8]) -> Option<Self> {
        let (op, rest) = entry.split_first()?;
        match *op {
            SET => {
                let (key, value) = take_string(rest)?;
                Some(Self::Set { key, value })
            }
            DEL => {
                let mut left = rest;
                while !left.is_empty() {
                    left = take_string(left)?.1;
                }
                Some(Self::Del {
                    keys: Keys::Encoded(rest),
                })
            }
            _ => None,
        }
    }
}

impl<'a> Keys<'a> {
    /// One key after the other.
    pub fn iter(&self) -> KeyIter<'a> {
        KeyIter(*self)
    }
}

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

fn put_string(entry: &mut BytesMut, string: &[u8]) {
    entry.put_u32_le(
        u32::try_from(string.len()).expect("the front end bounds strings far below 4 GiB"),
    );
    entry.put_slice(string);
}

fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(command: Command<'_>) -> BytesMut {
        let mut entry = BytesMut::new();
        command.encode(&mut entry);
        entry
    }

    proptest! {
        #[test]
        fn a_set_survives_the_log(key: Vec<u8>, value: Vec<u8>) {
            let command = Command::Set { key: &key, value: &value };
            let entry = encoded(command);
            prop_assert_eq!(Command::decode(&entry), Some(command));
        }

        #[test]
        fn a_del_survives_the_log(keys: Vec<Vec<u8>>) {
            let listed: Vec<_> = keys.iter().map(Vec::as_slice).collect();
            let entry = encoded(Command::Del { keys: Keys::Listed(&listed) });
            let Some(Command::Del { keys }) = Command::decode(&entry) else { panic!("not a DEL") };
            prop_assert!(keys.iter().eq(listed));
        }

        #[test]
        fn any_bytes_are_read_without_panic(entry: Vec<u8>) {
            let _maybe = Command::decode(&entry);
        }
    }
}
