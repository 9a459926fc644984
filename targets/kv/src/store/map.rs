//! Keys and values, in shards that a snapshot shares until they change.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

/// A change copies the shard it falls into if a snapshot still holds that: with a million keys, some 250 of them.
const SHARDS: usize = 4096;

type FixedHasher = BuildHasherDefault<DefaultHasher>;

#[expect(
    clippy::disallowed_types,
    reason = "the hasher is fixed, so equal histories give equal maps; a snapshot sorts the keys"
)]
pub(super) type Shard = std::collections::HashMap<Box<[u8]>, Box<[u8]>, FixedHasher>;

#[derive(Clone, Debug)]
pub(super) struct Map {
    shards: Vec<Rc<Shard>>,
    len: usize,
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
        self.shards[place(key)].get(key).map(|value| &value[..])
    }

    /// Gives a key a value; a value of the same length is overwritten where it is.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) {
        let shard = self.shard(key);
        match shard.get_mut(key) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            Some(old) => *old = value.into(),
            None => {
                shard.insert(key.into(), value.into());
                self.len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Box<[u8]>> {
        // Looks first, so that a key that is not there copies no shard.
        self.get(key)?;
        let value = self.shard(key).remove(key);
        self.len -= 1;
        value
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn into_shards(self) -> impl Iterator<Item = Rc<Shard>> {
        self.shards.into_iter()
    }

    fn shard(&mut self, key: &[u8]) -> &mut Shard {
        Rc::make_mut(&mut self.shards[place(key)])
    }
}

/// The shard of a key, by bits of its hash that the shard's own table does not look at.
fn place(key: &[u8]) -> usize {
    (FixedHasher::default().hash_one(key) >> 32) as usize % SHARDS
}
