//! What must hold at every moment, whatever goes wrong (Raft paper, figure 3).
//!
//! Logs are compared entry by entry with everything that was ever seen, by anyone, at any time. An entry is looked at
//! once per replica; at the end of a life everything is looked at again.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};

use depfast_raft::{LogIndex, Raft, ReplicaId, Term};
use kv::{Replica, Role};

use crate::cluster::Cluster;

/// What an entry says, if anyone had it in memory; by its checksum, so that a life takes little memory.
type Content = Option<u32>;

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Invariants {
    leaders: BTreeMap<Term, ReplicaId>,
    /// Every entry of any log by place and term, with the term of the entry before it.
    entries: BTreeMap<(LogIndex, Term), (Term, Content)>,
    /// Every committed entry, with the term in which it was seen to be committed.
    committed: BTreeMap<LogIndex, (Term, Term)>,
    /// What the state machine was after each entry.
    states: BTreeMap<LogIndex, u32>,
    /// Values that are in some entry, by entry.
    values: BTreeMap<(LogIndex, Term), u64>,
    seen: BTreeMap<ReplicaId, Seen>,
    checks: u64,
    installed: u64,
}

/// How far a replica was looked at.
#[derive(Default)]
struct Seen {
    end: (LogIndex, Term),
    commit: LogIndex,
    installed: u64,
    /// As leader of this term, up to this committed entry.
    complete: (Term, LogIndex),
}

impl Invariants {
    /// Looks at what is new in all running replicas.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        self.check_leaders(cluster)?;
        self.checks += 1;
        for (id, raft) in cluster.running() {
            self.check_log(id, &raft)?;
            self.check_committed(id, &raft)?;
            let seen = self.seen.entry(id).or_default();
            self.installed += raft.installed().saturating_sub(seen.installed);
            seen.installed = raft.installed();
            // The whole store is looked at, so not as often.
            if self.checks.is_multiple_of(10) || self.seen.len() < cluster.ids.len() {
                self.check_state(id, &raft)?;
            }
        }
        for (id, raft) in cluster.running() {
            self.check_complete(id, &raft)?;
        }
        Ok(())
    }

    /// Looks at everything in all running replicas.
    pub(crate) fn check_all(&mut self, cluster: &Cluster) -> Result<(), String> {
        for seen in self.seen.values_mut() {
            *seen = Seen {
                installed: seen.installed,
                ..Seen::default()
            };
        }
        self.checks = 9;
        self.check(cluster)
    }

    /// Election safety: cheap enough to be checked all the time.
    pub(crate) fn check_leaders(&mut self, cluster: &Cluster) -> Result<(), String> {
        for (id, raft) in cluster.running() {
            let status = raft.status();
            if status.role != Role::Leader {
                continue;
            }
            let known = *self.leaders.entry(Term(status.term)).or_insert(id);
            if known != id {
                return Err(format!(
                    "election safety: {known} and {id} both lead term {}",
                    status.term
                ));
            }
        }
        Ok(())
    }

    /// Log matching: an entry of a place and term is the same everywhere, and so is everything before it.
    fn check_log(&mut self, id: ReplicaId, raft: &Raft) -> Result<(), String> {
        let seen = self.seen.entry(id).or_default();
        let mut after = seen.end.0;
        let mut still_there = after == LogIndex::ZERO;
        raft.inspect_log(after.previous(), |index, term, _| {
            still_there |= (index, term) == seen.end;
        });
        if !still_there {
            // A leader has replaced the end, or a snapshot everything.
            after = LogIndex::ZERO;
        }
        let (mut previous, mut violation) = (None, None);
        if after > LogIndex::ZERO {
            previous = Some(seen.end);
        }
        let (entries, values) = (&mut self.entries, &mut self.values);
        raft.inspect_log(after, |index, term, bytes| {
            let content = bytes.map(crc32fast::hash);
            if let Some(value) = bytes.and_then(written) {
                values.insert((index, term), value);
            }
            let before = match previous {
                Some((at, term)) if index.previous() == at => term,
                // The first entry after a snapshot.
                Some(_) | None if index > LogIndex(1) => {
                    previous = Some((index, term));
                    return;
                }
                Some(_) | None => Term(0),
            };
            previous = Some((index, term));
            match entries.entry((index, term)) {
                Place::Vacant(place) => {
                    place.insert((before, content));
                }
                Place::Occupied(mut place) => {
                    let (known_before, known) = place.get_mut();
                    let other = known.zip(content).is_some_and(|(one, other)| one != other);
                    if *known_before != before || other {
                        violation.get_or_insert(index);
                    }
                    *known = known.or(content);
                }
            }
        });
        if let Some(index) = violation {
            return Err(format!(
                "log matching: {id} has another {index} of the same term than somebody else"
            ));
        }
        if let Some(end) = previous {
            self.seen.entry(id).or_default().end = end;
        }
        Ok(())
    }

    /// State machine safety: nobody ever commits something else at the same place.
    fn check_committed(&mut self, id: ReplicaId, raft: &Raft) -> Result<(), String> {
        let status = raft.status();
        if status.commit > status.last {
            return Err(format!(
                "{id} has committed up to #{} but holds only {}",
                status.commit, status.last
            ));
        }
        let seen = self.seen.entry(id).or_default();
        let commit = LogIndex(status.commit);
        let mut violation = None;
        let committed = &mut self.committed;
        raft.inspect_log(seen.commit.min(commit), |index, term, _| {
            if index > commit {
                return;
            }
            let known = *committed.entry(index).or_insert((term, Term(status.term)));
            if known.0 != term {
                violation.get_or_insert(index);
            }
        });
        // A replica that restarts learns anew what is committed.
        seen.commit = commit;
        violation.map_or(Ok(()), |index| {
            Err(format!(
                "state machine safety: {id} commits something else at {index}"
            ))
        })
    }

    /// State machine safety, as the store shows it: after the same entries everybody's is the same.
    fn check_state(&mut self, id: ReplicaId, raft: &Raft) -> Result<(), String> {
        let applied = LogIndex(raft.status().applied);
        let digest = raft.inspect_store(crate::cluster::digest);
        let known = *self.states.entry(applied).or_insert(digest);
        if known == digest {
            Ok(())
        } else {
            Err(format!(
                "state machine safety: {id}'s store differs from another's after {applied}"
            ))
        }
    }

    /// Leader completeness: a leader holds everything that was committed in earlier terms.
    fn check_complete(&mut self, id: ReplicaId, raft: &Raft) -> Result<(), String> {
        let status = raft.status();
        let term = Term(status.term);
        if status.role != Role::Leader {
            return Ok(());
        }
        let seen = self.seen.entry(id).or_default();
        let after = if seen.complete.0 == term {
            seen.complete.1
        } else {
            LogIndex::ZERO
        };
        let mut held = BTreeMap::new();
        let mut first = LogIndex(u64::MAX);
        raft.inspect_log(after, |index, term, _| {
            first = first.min(index);
            held.insert(index, term);
        });
        for (index, (entry_term, committed_in)) in self.committed.range(after.next()..) {
            // What a snapshot covers is judged by the store.
            let covered = *index < first && *index <= LogIndex(status.commit);
            if *committed_in < term && !covered && held.get(index) != Some(entry_term) {
                return Err(format!(
                    "leader completeness: {id}, leader of {term}, lacks {index} committed in {committed_in}"
                ));
            }
            seen.complete = (term, *index);
        }
        Ok(())
    }

    /// Every acknowledged value must be in the committed log; entries that were never seen in memory may be any.
    pub(crate) fn check_kept(&self, acknowledged: &BTreeSet<u64>) -> Result<(), String> {
        let (mut kept, mut unseen) = (BTreeSet::new(), 0);
        let mut end = LogIndex::ZERO;
        for (index, (term, _)) in &self.committed {
            // Some came and went between two looks.
            unseen += usize::try_from(index.0 - end.0 - 1).unwrap();
            end = *index;
            match self.entries.get(&(*index, *term)) {
                Some((_, Some(_))) => kept.extend(self.values.get(&(*index, *term))),
                _ => unseen += 1,
            }
        }
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        if lost.len() > unseen {
            Err(format!("acknowledged writes are lost: {lost:?}"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// How many snapshots were taken over, as far as that was seen.
    pub(crate) fn installed(&self) -> u64 {
        self.installed
    }

    /// How many terms have had a leader.
    pub(crate) fn leaders(&self) -> usize {
        self.leaders.len()
    }
}

fn written(entry: &[u8]) -> Option<u64> {
    crate::cluster::value_of(entry)
}
