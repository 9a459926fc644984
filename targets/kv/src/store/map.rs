//! Keys and values, in shards that a snapshot shares until they change.
//!
//! Most of what a change costs is waiting for memory, so as little of it as possible is touched: a key is hashed once, for
//! its shard and for its place there, and lies beside its value.

use std::hash::BuildHasher as _;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// A change copies the shard it falls into if a snapshot still holds that: with a million keys, about a thousand of them.
const SHARDS: usize = 1024;

/// The same in every replica, so equal histories give equal maps.
const HASHER: FixedState = FixedState::with_seed(0);

#[derive(Clone, Debug)]
pub(super) struct Map {
    shards: Vec<Rc<Shard>>,
    len: usize,
}

/// The keys whose hashes agree in some bits, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Shard(HashTable<Pair>);

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
        let hash = hash(key);
        self.shards[place(hash)].find(hash, key)
    }

    /// Gives a key a value; a value of the same length is overwritten where it is.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) {
        let hash = hash(key);
        let Shard(pairs) = Rc::make_mut(&mut self.shards[place(hash)]);
        match pairs.find_mut(hash, |pair| pair.key() == key) {
            Some(pair) => pair.set(value),
            None => {
                pairs.insert_unique(hash, Pair::new(key, value), Pair::hash);
                self.len += 1;
            }
        }
    }

    /// Removes a key; says whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let hash = hash(key);
        let shard = &mut self.shards[place(hash)];
        // Looks first, so that a key that is not there copies no shard.
        let found = shard.find(hash, key).is_some();
        if found {
            let Shard(pairs) = Rc::make_mut(shard);
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
    fn find(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let found = self.0.find(hash, |pair| pair.key() == key);
        found.map(Pair::value)
    }

    /// The value of a key of this shard.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(hash(key), key)
    }

    /// The keys, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Pair::key)
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

    fn hash(&self) -> u64 {
        hash(self.key())
    }
}

fn hash(key: &[u8]) -> u64 {
    HASHER.hash_one(key)
}

/// The shard of a key, by bits of its hash that the shard's own table does not look at.
const fn place(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}
