//! Commands on their way through the logs.
//!
//! A group is a run of commands of one client: `client u64 | acked u64 | first u64 | count u32`, then each command with
//! its length before it (`u32`, little endian). It is built once, where the client is connected, and goes unchanged
//! through both logs, so that every copy of a command says the same. A batch is some groups one after the other.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// Whose command it is: a connected client's session, or a replica that sends on what plain clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A command of some client, and how far that client has its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Whose command it is.
    pub client: ClientId,
    /// Its number; a client counts its commands.
    pub seq: u64,
    /// The client has the answers to everything below this number and will not repeat it.
    pub acked: u64,
    /// What is to be done.
    pub op: &'a [u8],
}

/// Commands that are proposed together as one entry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Batch(Bytes);

const HEAD: usize = 28;

impl Batch {
    /// Takes bytes that came from a peer or from the disk, if they are a batch.
    pub fn checked(bytes: Bytes) -> Option<Self> {
        let mut groups = Groups { rest: &bytes };
        let whole = groups.by_ref().all(|group| group.commands().is_some());
        (whole && groups.rest.is_empty() && !bytes.is_empty()).then_some(Self(bytes))
    }

    /// The bytes to send or store.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Its groups, in order.
    pub fn groups(&self) -> Groups<'_> {
        Groups { rest: &self.0 }
    }

    /// Its commands, in order.
    pub fn commands(&self) -> impl Iterator<Item = Command<'_>> {
        self.groups().filter_map(Group::commands).flatten()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.commands()
                    .map(|command| (command.client.0, command.seq)),
            )
            .finish()
    }
}

/// The groups of a batch.
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    rest: &'a [u8],
}

/// A run of commands of one client.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Whose commands they are.
    pub client: ClientId,
    /// The client has the answers to everything below.
    pub acked: u64,
    /// The number of the first one.
    pub first: u64,
    /// How many they are.
    pub count: u32,
    /// The whole group.
    pub bytes: &'a [u8],
}

impl<'a> Iterator for Groups<'a> {
    type Item = Group<'a>;

    fn next(&mut self) -> Option<Group<'a>> {
        let whole = self.rest;
        let (client, rest) = whole.split_first_chunk()?;
        let (acked, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;
        let count = u32::from_le_bytes(*count);
        for _ in 0..count {
            let (length, tail) = rest.split_first_chunk()?;
            rest = tail.get(u32::from_le_bytes(*length) as usize..)?;
        }
        self.rest = rest;
        Some(Group {
            client: ClientId(u64::from_le_bytes(*client)),
            acked: u64::from_le_bytes(*acked),
            first: u64::from_le_bytes(*first),
            count,
            bytes: &whole[..whole.len() - rest.len()],
        })
    }
}

impl<'a> Group<'a> {
    /// Its commands, in order; `None` if their numbers are nonsense.
    pub fn commands(self) -> Option<impl Iterator<Item = Command<'a>>> {
        self.first.checked_add(u64::from(self.count))?;
        let mut rest = &self.bytes[HEAD..];
        let commands = (self.first..).map_while(move |seq| {
            let (length, tail) = rest.split_first_chunk()?;
            let (op, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = tail;
            Some(Command {
                client: self.client,
                seq,
                acked: self.acked,
                op,
            })
        });
        Some(commands)
    }
}

/// Commands that are being gathered.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    bytes: BytesMut,
}

impl BatchBuilder {
    /// Appends a group of one command.
    pub fn push(&mut self, command: Command<'_>) {
        let mut group = GroupBuilder::default();
        group.push(|op| op.put_slice(command.op));
        let group = group.finish(command.client, command.acked, command.seq);
        self.extend(&group);
    }

    /// Appends groups.
    pub fn extend(&mut self, groups: &[u8]) {
        self.bytes.put_slice(groups);
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A batch of the first groups that are not more than `limit` bytes together, or of the first one if it is longer;
    /// the others stay.
    pub fn take(&mut self, limit: usize) -> Batch {
        if self.bytes.len() <= limit {
            return Batch(std::mem::take(&mut self.bytes).freeze());
        }
        let mut end = 0;
        for group in (Groups { rest: &self.bytes }) {
            let longer = end + group.bytes.len();
            if end > 0 && longer > limit {
                break;
            }
            end = longer;
        }
        Batch(self.bytes.split_to(end).freeze())
    }
}

/// A group that is being gathered.
#[derive(Debug)]
pub struct GroupBuilder {
    bytes: BytesMut,
    count: u32,
}

impl Default for GroupBuilder {
    fn default() -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_bytes(0, HEAD);
        Self { bytes, count: 0 }
    }
}

impl GroupBuilder {
    /// Appends the command that `write` appends.
    pub fn push(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        self.bytes.put_u32_le(0);
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start - 4)
            .expect("commands are bounded far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// How many commands there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes they are.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The group, given whose it is and its first number.
    pub fn finish(mut self, client: ClientId, acked: u64, first: u64) -> Bytes {
        let mut head = &mut self.bytes[..HEAD];
        head.put_u64_le(client.0);
        head.put_u64_le(acked);
        head.put_u64_le(first);
        head.put_u32_le(self.count);
        self.bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn commands_survive_the_wire(ops: Vec<(u64, u32, Vec<u8>)>) {
            let mut builder = BatchBuilder::default();
            for (client, seq, op) in &ops {
                builder.push(Command { client: ClientId(*client), seq: (*seq).into(), acked: 3, op });
            }
            if !ops.is_empty() {
                let batch = Batch::checked(builder.take(usize::MAX).bytes().clone()).unwrap();
                let found: Vec<_> = batch.commands().map(|c| (c.client.0, c.seq as u32, c.op.to_vec())).collect();
                prop_assert_eq!(found, ops);
            }
        }

        #[test]
        fn a_long_queue_is_proposed_in_order_and_in_parts(lengths in prop::collection::vec(0usize..200, 1..40)) {
            let mut builder = BatchBuilder::default();
            for (seq, length) in (0..).zip(&lengths) {
                builder.push(Command { client: ClientId(1), seq, acked: 0, op: &vec![7; *length] });
            }
            let mut found = Vec::new();
            while !builder.is_empty() {
                let part = Batch::checked(builder.take(300).bytes().clone()).unwrap();
                prop_assert!(part.bytes().len() <= 300 || part.groups().count() == 1);
                found.extend(part.commands().map(|command| (command.seq, command.op.len())));
            }
            prop_assert_eq!(found, (0..).zip(lengths).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            if let Some(batch) = Batch::checked(bytes.into()) {
                let _whatever = batch.commands().count();
            }
        }
    }
}
