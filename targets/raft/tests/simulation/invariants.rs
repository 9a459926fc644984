//! What must hold at every moment, whatever goes wrong (Raft paper, figure 3).

use std::collections::{BTreeMap, BTreeSet};

use depfast_raft::{LogIndex, ReplicaId, Term};
use kv::{Command, Op, Replica, Role};

use crate::cluster::Cluster;

/// An entry: its term, and what it says if that is in memory.
#[derive(Clone)]
struct Entry {
    term: Term,
    bytes: Option<Vec<u8>>,
}

impl Entry {
    fn contradicts(&self, other: &Self) -> bool {
        let both = self.bytes.as_ref().zip(other.bytes.as_ref());
        self.term != other.term || both.is_some_and(|(one, other)| one != other)
    }
}

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Invariants {
    leaders: BTreeMap<Term, ReplicaId>,
    /// Every committed entry, with the term in which it was seen to be committed.
    committed: Vec<(Entry, Term)>,
}

impl Invariants {
    /// Looks at all running replicas.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        self.check_leaders(cluster)?;
        let mut logs = BTreeMap::new();
        for (id, raft) in cluster.running() {
            let status = raft.status();
            let mut log: Vec<Entry> = Vec::new();
            raft.inspect_log(LogIndex::ZERO, |_, term, entry| {
                log.push(Entry {
                    term,
                    bytes: entry.map(<[u8]>::to_vec),
                });
            });
            if status.role == Role::Leader {
                self.check_leader(id, Term(status.term), &log)?;
            }
            self.check_committed(id, Term(status.term), status.commit, &log)?;
            logs.insert(id, log);
        }
        let all: Vec<_> = logs.iter().collect();
        for (position, (one, log)) in all.iter().enumerate() {
            for (other, other_log) in &all[position + 1..] {
                check_matching(**one, log, **other, other_log)?;
            }
        }
        Ok(())
    }

    /// Election safety: cheap enough to be checked all the time.
    pub(crate) fn check_leaders(&mut self, cluster: &Cluster) -> Result<(), String> {
        for status in cluster
            .statuses()
            .iter()
            .filter(|status| status.role == Role::Leader)
        {
            let known = *self.leaders.entry(Term(status.term)).or_insert(status.id);
            if known != status.id {
                return Err(format!(
                    "election safety: {known} and {} both lead term {}",
                    status.id, status.term
                ));
            }
        }
        Ok(())
    }

    /// Leader completeness.
    fn check_leader(&self, id: ReplicaId, term: Term, log: &[Entry]) -> Result<(), String> {
        for (position, (entry, seen)) in self.committed.iter().enumerate() {
            if *seen < term && log.get(position).is_none_or(|own| own.contradicts(entry)) {
                let index = position + 1;
                return Err(format!(
                    "leader completeness: {id}, leader of {term}, lacks #{index} committed in {seen}"
                ));
            }
        }
        Ok(())
    }

    /// State machine safety: nobody ever commits something else at the same place.
    fn check_committed(
        &mut self,
        id: ReplicaId,
        term: Term,
        commit: u64,
        log: &[Entry],
    ) -> Result<(), String> {
        let commit = usize::try_from(commit).unwrap();
        let Some(own) = log.get(..commit) else {
            return Err(format!(
                "{id} has committed up to #{commit} but holds only {}",
                log.len()
            ));
        };
        for (position, entry) in own.iter().enumerate() {
            match self.committed.get_mut(position) {
                None => self.committed.push((entry.clone(), term)),
                Some((known, _)) if known.contradicts(entry) => {
                    return Err(format!(
                        "state machine safety: {id} commits something else at #{}",
                        position + 1
                    ));
                }
                Some((known, _)) if known.bytes.is_none() => known.bytes.clone_from(&entry.bytes),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Every acknowledged value must be in the committed log; entries that were never seen in memory may be any.
    pub(crate) fn check_kept(&self, acknowledged: &BTreeSet<u64>) -> Result<(), String> {
        let seen = self
            .committed
            .iter()
            .filter_map(|(entry, _)| entry.bytes.as_deref());
        let unseen = self.committed.len() - seen.clone().count();
        let kept: BTreeSet<u64> = seen.filter_map(written).collect();
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
}

fn written(entry: &[u8]) -> Option<u64> {
    match Command::decode(entry)?.op {
        Op::Set { value, .. } => std::str::from_utf8(value).ok()?.parse().ok(),
        _ => None,
    }
}

/// Log matching: where two logs agree on a term they agree on everything up to there.
fn check_matching(
    one: ReplicaId,
    log: &[Entry],
    other: ReplicaId,
    other_log: &[Entry],
) -> Result<(), String> {
    let common = log
        .iter()
        .zip(other_log)
        .rposition(|(a, b)| a.term == b.term)
        .map_or(0, |position| position + 1);
    match (0..common).find(|position| log[*position].contradicts(&other_log[*position])) {
        Some(position) => Err(format!(
            "log matching: {one} and {other} agree at #{common} but not at #{}",
            position + 1
        )),
        None => Ok(()),
    }
}
