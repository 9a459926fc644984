//! The state machine.

use std::hash::{BuildHasherDefault, DefaultHasher};

use bytes::{Bytes, BytesMut};
use resp::encode;

use crate::command::Command;

#[expect(
    clippy::disallowed_types,
    reason = "the hasher is fixed, so equal histories give equal maps"
)]
type Map = std::collections::HashMap<Box<[u8]>, Box<[u8]>, BuildHasherDefault<DefaultHasher>>;

/// A question about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Get(Bytes),
    /// How many of these keys exist.
    Exists(Vec<Bytes>),
}

/// The key-value map. Equal sequences of commands give equal stores and equal replies.
#[derive(Debug, Default)]
pub struct Store {
    map: Map,
}

impl Store {
    /// Applies one log entry and appends the reply.
    ///
    /// # Panics
    ///
    /// If the entry is not a command: the log is checked, so that would be a bug.
    pub fn apply(&mut self, entry: &[u8], reply: &mut BytesMut) {
        match Command::decode(entry).expect("only encoded commands enter the log") {
            Command::Set { key, value } => {
                self.set(key, value);
                encode::simple(reply, "OK");
            }
            Command::Del { keys } => {
                let removed = keys
                    .iter()
                    .filter(|key| self.map.remove(*key).is_some())
                    .count();
                encode::integer(reply, removed as i64);
            }
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        match self.map.get_mut(key) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            Some(old) => *old = value.into(),
            None => {
                self.map.insert(key.into(), value.into());
            }
        }
    }

    /// Answers a question.
    pub fn query(&self, query: &Query, reply: &mut BytesMut) {
        match query {
            Query::Get(key) => match self.map.get(&key[..]) {
                Some(value) => encode::bulk(reply, value),
                None => encode::nil(reply),
            },
            Query::Exists(keys) => {
                let found = keys
                    .iter()
                    .filter(|key| self.map.contains_key(&key[..]))
                    .count();
                encode::integer(reply, found as i64);
            }
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Keys;

    fn apply(store: &mut Store, command: Command<'_>) -> String {
        let (mut entry, mut reply) = (BytesMut::new(), BytesMut::new());
        command.encode(&mut entry);
        store.apply(&entry, &mut reply);
        String::from_utf8(reply.to_vec()).unwrap()
    }

    fn ask(store: &Store, query: &Query) -> String {
        let mut reply = BytesMut::new();
        store.query(query, &mut reply);
        String::from_utf8(reply.to_vec()).unwrap()
    }

    #[test]
    fn what_is_set_is_found_until_it_is_removed() {
        let mut store = Store::default();
        let get = Query::Get(Bytes::from_static(b"k"));
        assert_eq!(ask(&store, &get), "$-1\r\n");
        assert_eq!(
            apply(
                &mut store,
                Command::Set {
                    key: b"k",
                    value: b"one"
                }
            ),
            "+OK\r\n"
        );
        assert_eq!(
            apply(
                &mut store,
                Command::Set {
                    key: b"k",
                    value: b"three"
                }
            ),
            "+OK\r\n"
        );
        assert_eq!(ask(&store, &get), "$5\r\nthree\r\n");
        let both = Query::Exists(vec![
            Bytes::from_static(b"k"),
            Bytes::from_static(b"k"),
            Bytes::new(),
        ]);
        assert_eq!(ask(&store, &both), ":2\r\n");
        let keys = Keys::Listed(&[b"k", b"k", b"x"]);
        assert_eq!(apply(&mut store, Command::Del { keys }), ":1\r\n");
        assert!(store.is_empty());
    }
}
