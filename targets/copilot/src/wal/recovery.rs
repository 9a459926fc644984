//! What a replica finds when it starts.

use std::io;

use bytes::{Bytes, BytesMut};
use depfast::File;
use kv::{Restoring, Store};

use super::NAME;
use super::frame::{self, Piece};
use crate::core::Record;

/// How much of the file is read at a time.
const CHUNK: usize = 1 << 20;

/// What a log file says.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// What the file begins with, if it was ever compacted: a head and the store that belongs to it.
    pub(crate) state: Option<(Bytes, Store)>,
    /// The changes since.
    pub(crate) records: Vec<Record>,
}

impl Recovered {
    /// Whether the replica has never done anything.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.state.is_none() && self.records.is_empty()
    }
}

/// How long the parts of a file are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    /// The state that it begins with.
    pub(super) state: u64,
    /// Everything up to a torn end.
    pub(super) sound: u64,
}

/// Reads a file up to a torn end.
pub(super) async fn read(file: &File) -> io::Result<(Recovered, Lengths)> {
    let total = file.length_when_opened();
    let (mut reading, mut lengths) = (Reading::default(), Lengths::default());
    let mut read = 0;
    let mut bytes = BytesMut::new();
    loop {
        let mut whole = bytes.split().freeze();
        let end = lengths.sound + whole.len() as u64;
        while let Some(piece) = frame::take(&mut whole) {
            lengths.sound = end - whole.len() as u64;
            if !matches!(piece, Piece::Change(_)) {
                lengths.state = lengths.sound;
            }
            reading.add(piece)?;
        }
        if read >= total {
            break;
        }
        bytes = BytesMut::from(&whole[..]);
        let chunk = file.read(read, CHUNK).wait("read log").await?;
        if chunk.is_empty() {
            break;
        }
        read += chunk.len() as u64;
        bytes.extend_from_slice(&chunk);
    }
    Ok((reading.finish()?, lengths))
}

#[derive(Debug, Default)]
struct Reading {
    head: Option<Bytes>,
    store: Restoring,
    records: Vec<Record>,
}

impl Reading {
    fn add(&mut self, piece: Piece) -> io::Result<()> {
        match piece {
            Piece::Change(record) => self.records.push(record),
            Piece::Head(head) => self.head = Some(head),
            Piece::Store(chunk) => self.store.take(&chunk).map_err(damaged)?,
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Recovered> {
        let state = match self.head {
            Some(head) => Some((head, self.store.finish().map_err(damaged)?)),
            None => None,
        };
        Ok(Recovered {
            state,
            records: self.records,
        })
    }
}

/// A file takes its place only when its state is whole, so this is no torn end.
fn damaged(reason: impl std::fmt::Display) -> io::Error {
    let message = format!("the state at the beginning of {NAME} is damaged: {reason}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
