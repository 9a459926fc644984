//! Keys and values, in shards that a snapshot shares until they change.
//!
//! Most of what a change costs is waiting for memory, so as little of it as possible is touched: a key lies beside its
//! value. It is hashed twice. Its shard is the same in every replica, so that equal stores are written down alike. Its
//! place there follows from a number that nobody knows, so that no client can choose keys that all want the same one.

use std::hash::BuildHasher as _;
use std::rc::Rc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashTable;

/// A change copies the shard it falls into if a snapshot still holds that: with a million keys, about a thousand of them.
const SHARDS: usize = 1024;

/// Chooses the shard.
const PLACES: FixedState = FixedState::with_seed(0);

#[derive(Clone, Debug)]
pub(super) struct Map {
    shards: Vec<Rc<Shard>>,
    len: usize,
}

/// Some of the keys, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    pairs: HashTable<Pair>,
    hasher: RandomState,
}

/// A key, followed by its value.
#[derive(Clone, Debug)]
struct Pair {
    key_length: usize,
    bytes: Box<[u8]>,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            shards: vec![Rc::default(); SHARDS],
            len: 0,
        }
    }
}

impl Map {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.shards[place(key)].get(key)
    }

    /// Gives a key a value; a value of the same length is overwritten where it is.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) {
        let Shard { pairs, hasher } = Rc::make_mut(&mut self.shards[place(key)]);
        let hash = hasher.hash_one(key);
        match pairs.find_mut(hash, |pair| pair.key() == key) {
            Some(pair) => pair.set(value),
            None => {
                let rehash = |pair: &Pair| hasher.hash_one(pair.key());
                pairs.insert_unique(hash, Pair::new(key, value), rehash);
                self.len += 1;
            }
        }
    }

    /// Removes a key; says whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let shard = &mut self.shards[place(key)];
        // Looks first, so that a key that is not there copies no shard.
        let found = shard.get(key).is_some();
        if found {
            let Shard { pairs, hasher } = Rc::make_mut(shard);
            let hash = hasher.hash_one(key);
            if let Ok(entry) = pairs.find_entry(hash, |pair| pair.key() == key) {
                entry.remove();
            }
            self.len -= 1;
        }
        found
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn into_shards(self) -> impl Iterator<Item = Rc<Shard>> {
        self.shards.into_iter()
    }
}

impl Shard {
    /// The value of a key of this shard.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hasher.hash_one(key);
        let found = self.pairs.find(hash, |pair| pair.key() == key);
        found.map(Pair::value)
    }

    /// The keys, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.pairs.iter().map(Pair::key)
    }
}

impl Pair {
    fn new(key: &[u8], value: &[u8]) -> Self {
        Self {
            key_length: key.len(),
            bytes: [key, value].concat().into(),
        }
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_length]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[self.key_length..]
    }

    fn set(&mut self, value: &[u8]) {
        let old = &mut self.bytes[self.key_length..];
        if old.len() == value.len() {
            old.copy_from_slice(value);
        } else {
            *self = Self::new(self.key(), value);
        }
    }
}

/// The shard of a key.
fn place(key: &[u8]) -> usize {
    (PLACES.hash_one(key) >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_within_a_shard_differ_from_store_to_store() {
        let hashes = || {
            let hasher = Shard::default().hasher;
            (0..4u64)
                .map(|key| hasher.hash_one(key))
                .collect::<Vec<_>>()
        };
        assert_ne!(hashes(), hashes());
    }
}
