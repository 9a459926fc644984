//! Who belongs to the group.
//!
//! Members change one at a time, so that any majority before a change and any majority after it have a member in common
//! and no joint phase is needed: groups here have three to seven members, and an operator replaces one at a time anyway.
//! A change is an entry of the log and is in force from the moment it is appended (Raft dissertation, section 4.1). A
//! leader accepts one only when the one before is committed and when it has committed an entry of its own term.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::config::Member;
use crate::storage::Batch;
use crate::types::{LogIndex, ReplicaId};

/// The members and how each is reached.
pub(crate) type Group = Rc<BTreeMap<ReplicaId, Member>>;

/// What an entry that sets the members begins with; no entry of the state machine does.
const MEMBERS: u8 = 0;

/// The groups that the log, and what preceded it, speak of.
#[derive(Debug)]
pub(crate) struct Membership {
    /// In the order of their entries; the last one is in force. Never empty.
    groups: Vec<(LogIndex, Group)>,
}

impl Membership {
    /// A log after `index`, up to which this group is in force.
    pub(crate) fn new(index: LogIndex, group: BTreeMap<ReplicaId, Member>) -> Self {
        Self {
            groups: vec![(index, Rc::new(group))],
        }
    }

    /// Forgets what was in force before `index`; what was then in force stays.
    pub(crate) fn compact(&mut self, index: LogIndex) {
        let past = self.groups.partition_point(|(at, _)| *at <= index);
        self.groups.drain(..past.saturating_sub(1));
        self.groups[0].0 = self.groups[0].0.max(index);
    }

    /// Begins with the group of a snapshot that ends at `index`; changes between there and `last`, the end of the log,
    /// stay.
    pub(crate) fn install(
        &mut self,
        index: LogIndex,
        group: BTreeMap<ReplicaId, Member>,
        last: LogIndex,
    ) {
        self.groups.retain(|(at, _)| *at > index && *at <= last);
        self.groups.insert(0, (index, Rc::new(group)));
    }

    /// The group in force.
    pub(crate) fn group(&self) -> &Group {
        &self.groups.last().expect("never empty").1
    }

    /// Whether a replica counts.
    pub(crate) fn is_voter(&self, id: ReplicaId) -> bool {
        self.group().contains_key(&id)
    }

    /// Takes note of the changes in a batch; says whether there were any.
    pub(crate) fn note(&mut self, batch: &Batch) -> bool {
        let before = self.groups.len();
        for (index, entry) in (batch.first().0..).map(LogIndex).zip(batch.entries()) {
            let known = index <= self.groups[0].0;
            if let Some(group) = decode(entry).filter(|_| !known) {
                self.groups.push((index, Rc::new(group)));
            }
        }
        self.groups.len() > before
    }

    /// Forgets the changes at `index` and after it; says whether there were any.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) -> bool {
        let before = self.groups.len();
        let first = self.groups.remove(0);
        self.groups.retain(|(at, _)| *at < index);
        self.groups.insert(0, first);
        self.groups.len() < before
    }

    /// The group in force at `index`.
    pub(crate) fn group_at(&self, index: LogIndex) -> &Group {
        let at = self.groups.iter().rev().find(|(at, _)| *at <= index);
        &at.unwrap_or(&self.groups[0]).1
    }

    /// Every member of any group that may still be in force.
    pub(crate) fn everybody(&self) -> BTreeMap<ReplicaId, Member> {
        let groups = self.groups.iter().flat_map(|(_, group)| group.iter());
        groups.map(|(id, member)| (*id, member.clone())).collect()
    }
}

/// Appends the entry that sets the members.
pub(crate) fn encode(group: &BTreeMap<ReplicaId, Member>, entry: &mut BytesMut) {
    entry.put_u8(MEMBERS);
    for (id, member) in group {
        entry.put_u32_le(id.0);
        for address in [&member.peer, &member.client] {
            let length = u16::try_from(address.len()).expect("addresses are short");
            entry.put_u16_le(length);
            entry.put_slice(address.as_bytes());
        }
    }
}

/// Reads an entry that sets the members; `None` if it is another one.
pub(crate) fn decode(entry: &[u8]) -> Option<BTreeMap<ReplicaId, Member>> {
    let (MEMBERS, mut rest) = entry.split_first().map(|(kind, rest)| (*kind, rest))? else {
        return None;
    };
    let mut group = BTreeMap::new();
    while !rest.is_empty() {
        let id = ReplicaId(rest.try_get_u32_le().ok()?);
        let (peer, client) = (take_text(&mut rest)?, take_text(&mut rest)?);
        group.insert(id, Member { peer, client });
    }
    Some(group)
}

/// Whether an entry is the protocol's own and not the state machine's.
pub(crate) fn is_internal(entry: &[u8]) -> bool {
    matches!(entry.first(), None | Some(&MEMBERS))
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(bytes.try_get_u16_le().ok()?);
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// The members as a snapshot keeps them.
pub(crate) fn to_bytes(group: &BTreeMap<ReplicaId, Member>) -> Bytes {
    let mut bytes = BytesMut::new();
    encode(group, &mut bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::BatchBuilder;
    use crate::types::Term;

    fn group(ids: &[u32]) -> BTreeMap<ReplicaId, Member> {
        let member = |id: &u32| Member {
            peer: format!("p{id}:1"),
            client: format!("c{id}:2"),
        };
        ids.iter().map(|id| (ReplicaId(*id), member(id))).collect()
    }

    #[test]
    fn the_latest_group_of_the_log_is_in_force() {
        let mut membership = Membership::new(LogIndex::ZERO, group(&[1, 2, 3]));
        let mut builder = BatchBuilder::default();
        builder.push(|entry| entry.put_u8(7));
        builder.push(|entry| encode(&group(&[1, 2, 3, 4]), entry));
        builder.push(|_empty| {});
        builder.push(|entry| encode(&group(&[1, 2, 4]), entry));
        let batch = builder.finish(Term(1), LogIndex(10));
        assert!(membership.note(&batch));
        assert_eq!(**membership.group(), group(&[1, 2, 4]));
        assert_eq!(**membership.group_at(LogIndex(12)), group(&[1, 2, 3, 4]));
        assert_eq!(membership.everybody().len(), 4);
        assert!(membership.truncate_from(LogIndex(13)));
        assert_eq!(**membership.group(), group(&[1, 2, 3, 4]));
        assert!(membership.truncate_from(LogIndex(1)));
        assert_eq!(**membership.group(), group(&[1, 2, 3]));
        assert!(!membership.truncate_from(LogIndex(1)));

        assert!(membership.note(&batch));
        membership.compact(LogIndex(12));
        assert_eq!(**membership.group_at(LogIndex(12)), group(&[1, 2, 3, 4]));
        assert_eq!(**membership.group(), group(&[1, 2, 4]));
        membership.install(LogIndex(12), group(&[1, 2]), LogIndex(13));
        assert_eq!(**membership.group_at(LogIndex(12)), group(&[1, 2]));
        assert_eq!(**membership.group(), group(&[1, 2, 4]));
        membership.install(LogIndex(20), group(&[1]), LogIndex(20));
        assert_eq!(**membership.group(), group(&[1]));
        assert!(!membership.note(&batch), "what a snapshot covers is known");
    }

    #[test]
    fn a_damaged_entry_is_no_group() {
        let whole = to_bytes(&group(&[1, 2]));
        assert_eq!(decode(&whole), Some(group(&[1, 2])));
        for cut in 2..whole.len() {
            let found = decode(&whole[..cut]);
            assert!(
                found.is_none_or(|found| found == group(&[1])),
                "cut at {cut}"
            );
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[1, 2]), None);
    }
}
