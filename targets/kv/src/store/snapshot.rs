//! A store as a sequence of chunks.
//!
//! ```text
//! head  = 'H', version u32, clock u64
//! open  = 'S', (id u64, generation u64, used u64, below u64, slots u32, slot…)…
//! slot  = 0 open | 1 ok | 2 answered, string | 3 long
//! keys  = 'K', (key string, value string)…
//! end   = 'E', sessions u64, keys u64
//! ```
//!
//! Within a shard the keys are sorted, so that equal stores give equal bytes whatever their past. Chunks carry no checksum:
//! who stores or sends them adds one.

use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};

use super::Store;
use super::map::{Map, Shard};
use super::sessions::{Session, Sessions, Slot, WINDOW};
use crate::command::SessionId;
use crate::command::wire::{put_string, take_string, take_u64};

const VERSION: u32 = 1;
/// A chunk ends with the record that takes it beyond this.
const CHUNK: usize = 64 << 10;

const HEAD: u8 = b'H';
const OPEN: u8 = b'S';
const KEYS: u8 = b'K';
const END: u8 = b'E';

/// A store at one moment, chunk by chunk. Each step takes little time; what was given out already is no longer held.
pub struct Snapshot {
    clock: Option<u64>,
    sessions: Box<dyn Iterator<Item = (SessionId, Rc<Session>)>>,
    shards: Box<dyn Iterator<Item = Rc<Shard>>>,
    shard: Option<(Rc<Shard>, SortedKeys)>,
    end: Option<(u64, u64)>,
}

type SortedKeys = std::vec::IntoIter<Box<[u8]>>;

impl Snapshot {
    pub(super) fn new(sessions: Sessions, map: Map) -> Self {
        Self {
            clock: Some(sessions.clock),
            end: Some((sessions.len() as u64, map.len() as u64)),
            sessions: Box::new(sessions.open.into_iter()),
            shards: Box::new(map.into_shards()),
            shard: None,
        }
    }

    fn sessions(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        chunk.put_u8(OPEN);
        while chunk.len() < CHUNK
            && let Some((id, session)) = self.sessions.next()
        {
            put_session(&mut chunk, id, &session);
        }
        (chunk.len() > 1).then(|| chunk.freeze())
    }

    fn keys(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        chunk.put_u8(KEYS);
        while chunk.len() < CHUNK {
            let Some((shard, keys)) = &mut self.shard else {
                let Some(shard) = self.shards.next() else {
                    break;
                };
                let mut keys: Vec<Box<[u8]>> = shard.keys().map(Box::from).collect();
                keys.sort_unstable();
                self.shard = Some((shard, keys.into_iter()));
                continue;
            };
            match keys.next() {
                Some(key) => {
                    put_string(&mut chunk, &key);
                    put_string(&mut chunk, shard.get(&key).unwrap_or_default());
                }
                None => self.shard = None,
            }
        }
        (chunk.len() > 1).then(|| chunk.freeze())
    }
}

impl Iterator for Snapshot {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        if let Some(clock) = self.clock.take() {
            chunk.put_u8(HEAD);
            chunk.put_u32_le(VERSION);
            chunk.put_u64_le(clock);
            return Some(chunk.freeze());
        }
        if let Some(chunk) = self.sessions() {
            return Some(chunk);
        }
        if let Some(chunk) = self.keys() {
            return Some(chunk);
        }
        let (sessions, keys) = self.end.take()?;
        chunk.put_u8(END);
        chunk.put_u64_le(sessions);
        chunk.put_u64_le(keys);
        Some(chunk.freeze())
    }
}

/// Why chunks do not make a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSnapshot {
    /// The first chunk is missing or out of its place.
    #[error("the snapshot does not begin with its head")]
    NoHead,
    /// It was written by a later version.
    #[error("the snapshot has format {0}, and this program reads format {VERSION}")]
    Version(u32),
    /// A chunk is not what one looks like.
    #[error("chunk {0} of the snapshot is damaged")]
    Damaged(u64),
    /// The last chunk is missing, or others before it are.
    #[error("the snapshot is not complete")]
    Incomplete,
}

/// A store that is being read from the chunks of a [`Snapshot`], in their order.
#[derive(Debug, Default)]
pub struct Restoring {
    store: Store,
    chunks: u64,
    whole: bool,
}

impl Restoring {
    /// Takes in the next chunk.
    ///
    /// # Errors
    ///
    /// It is not the one that must come next, or damaged; no further one can be taken.
    pub fn take(&mut self, chunk: &[u8]) -> Result<(), BadSnapshot> {
        let damaged = BadSnapshot::Damaged(self.chunks);
        let (kind, body) = chunk.split_first().ok_or(damaged)?;
        if (*kind == HEAD) != (self.chunks == 0) {
            return Err(BadSnapshot::NoHead);
        }
        if self.whole {
            return Err(damaged);
        }
        match *kind {
            HEAD => self.head(body)?,
            OPEN => self.sessions(body).ok_or(damaged)?,
            KEYS => self.keys(body).ok_or(damaged)?,
            END => self.end(body).ok_or(damaged)?,
            _ => return Err(damaged),
        }
        self.chunks += 1;
        Ok(())
    }

    /// The store, when all chunks were taken.
    ///
    /// # Errors
    ///
    /// Chunks are missing.
    pub fn finish(self) -> Result<Store, BadSnapshot> {
        if self.whole {
            Ok(self.store)
        } else {
            Err(BadSnapshot::Incomplete)
        }
    }

    fn head(&mut self, body: &[u8]) -> Result<(), BadSnapshot> {
        let (version, rest) = body.split_first_chunk().ok_or(BadSnapshot::NoHead)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(BadSnapshot::Version(version));
        }
        let (clock, _) = take_u64(rest).ok_or(BadSnapshot::NoHead)?;
        self.store.sessions.clock = clock;
        Ok(())
    }

    fn sessions(&mut self, mut body: &[u8]) -> Option<()> {
        let sessions = &mut self.store.sessions;
        while !body.is_empty() {
            let (id, session, rest) = take_session(body)?;
            sessions.bytes += session.bytes;
            sessions.open.insert(id, Rc::new(session));
            body = rest;
        }
        Some(())
    }

    fn keys(&mut self, mut body: &[u8]) -> Option<()> {
        while !body.is_empty() {
            let (key, rest) = take_string(body)?;
            let (value, rest) = take_string(rest)?;
            self.store.map.set(key, value);
            body = rest;
        }
        Some(())
    }

    fn end(&mut self, body: &[u8]) -> Option<()> {
        let (sessions, rest) = take_u64(body)?;
        let (keys, _) = take_u64(rest)?;
        self.whole = sessions == self.store.sessions() as u64 && keys == self.store.len() as u64;
        self.whole.then_some(())
    }
}

fn put_session(out: &mut BytesMut, id: SessionId, session: &Session) {
    for number in [id.0, session.generation, session.used, session.below] {
        out.put_u64_le(number);
    }
    out.put_u32_le(session.window.len() as u32);
    for slot in &session.window {
        match slot {
            Slot::Open => out.put_u8(0),
            Slot::Ok => out.put_u8(1),
            Slot::Answered(answer) => {
                out.put_u8(2);
                put_string(out, answer);
            }
            Slot::Long => out.put_u8(3),
        }
    }
}

fn take_session(bytes: &[u8]) -> Option<(SessionId, Session, &[u8])> {
    let (id, rest) = take_u64(bytes)?;
    let (generation, rest) = take_u64(rest)?;
    let (used, rest) = take_u64(rest)?;
    let (below, rest) = take_u64(rest)?;
    let (slots, mut rest) = rest.split_first_chunk()?;
    let slots = u32::from_le_bytes(*slots);
    let mut session = Session {
        generation,
        used,
        below,
        ..Session::default()
    };
    (u64::from(slots) <= WINDOW).then_some(())?;
    for _ in 0..slots {
        let (kind, after) = rest.split_first()?;
        rest = after;
        let slot = match kind {
            0 => Slot::Open,
            1 => Slot::Ok,
            2 => {
                let (answer, after) = take_string(rest)?;
                rest = after;
                Slot::Answered(answer.into())
            }
            3 => Slot::Long,
            _ => return None,
        };
        session.bytes += slot.bytes();
        session.window.push_back(slot);
    }
    Some((SessionId(id), session, rest))
}
