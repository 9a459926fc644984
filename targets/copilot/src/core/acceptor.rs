//! What one replica votes, accepts, promises and decides.

use super::choose::Report;
use super::entry::{Choice, Commit, Entry, Value, Vote};
use super::log::Log;
use super::record::Record;
use super::reply::{AcceptReply, FastReply, Refusal};
use super::types::{Ballot, Both, Index, Quorums, ReplicaId, Role, View};
use super::view::Standing;
use crate::batch::Batch;

/// The protocol state of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acceptor {
    pub(super) me: ReplicaId,
    pub(super) quorums: Quorums,
    pub(super) logs: Both<Log>,
    pub(super) views: Both<Standing>,
    /// The greatest dependency of the copilot's executed entries.
    pub(super) reach: Index,
    /// Up to where a majority has seen each log, and in which view: no later view begins before that.
    pub(super) seen: Both<Option<(View, Index)>>,
    /// What is not yet in the log file; absent if nothing is to be kept.
    journal: Option<Vec<Record>>,
}

/// A proposal of a pilot, with its own vote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// Where in the pilot's log.
    pub index: Index,
    /// The pilot's own vote: what it proposes.
    pub vote: Vote,
    /// The view of the other role in which the pilot knows the dependency.
    pub dep_view: View,
}

impl Acceptor {
    /// A replica that knows nothing yet. The first two of `members` are pilot and copilot.
    ///
    /// # Panics
    ///
    /// With fewer than two members.
    pub fn new(me: ReplicaId, members: &[ReplicaId], keeps_journal: bool) -> Self {
        let [pilot, copilot, ..] = members else {
            panic!("a group has three members or more")
        };
        Self {
            me,
            quorums: Quorums {
                members: members.len(),
            },
            logs: Both::default(),
            views: Both::new(|role| {
                Standing::first(match role {
                    Role::Pilot => *pilot,
                    Role::Copilot => *copilot,
                })
            }),
            reach: Index::ZERO,
            seen: Both::default(),
            journal: keeps_journal.then(Vec::new),
        }
    }

    /// Which replica this is.
    pub const fn me(&self) -> ReplicaId {
        self.me
    }

    /// The sizes of its group's quorums.
    pub const fn quorums(&self) -> Quorums {
        self.quorums
    }

    /// One of its logs.
    pub fn log(&self, role: Role) -> &Log {
        &self.logs[role]
    }

    /// What it knows of the views of a role.
    pub fn standing(&self, role: Role) -> &Standing {
        &self.views[role]
    }

    /// Everything that changed since this was asked last.
    pub fn take_journal(&mut self) -> Vec<Record> {
        self.journal
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    pub(super) fn note(&mut self, record: impl FnOnce() -> Record) {
        if let Some(journal) = &mut self.journal {
            journal.push(record());
        }
    }

    /// Proposes a batch as the pilot of its role's current view, with its own vote; `None` if it is not that.
    pub fn propose(&mut self, role: Role, batch: Batch) -> Option<Proposal> {
        let standing = self.views[role];
        if standing.current.pilot != self.me || !standing.is_active() {
            return None;
        }
        let index = self.logs[role].last().next().max(standing.current.start);
        let dep = self.logs[role.other()].known();
        let vote = Vote {
            value: Value {
                origin: standing.current,
                batch,
            },
            proposed: dep,
            dep,
        };
        self.record_vote(role, index, vote.clone())?;
        Some(Proposal {
            index,
            vote,
            dep_view: self.views[role.other()].current,
        })
    }

    /// Answers a pilot's proposal of `value` with dependency `dep` (FastAccept).
    ///
    /// # Errors
    ///
    /// The view is over, the entry is decided, or a higher attempt was promised.
    pub fn fast_accept(
        &mut self,
        role: Role,
        index: Index,
        value: Value,
        dep: Index,
        dep_view: View,
    ) -> Result<FastReply, Refusal> {
        let ballot = Ballot::initial(value.origin);
        let entry = self.entry_for(role, index, ballot)?;
        let repeated = entry
            .vote
            .as_ref()
            .filter(|vote| vote.value.origin == value.origin)
            .map(|vote| vote.dep);
        if let Some((accepted, _)) = &entry.accepted
            && *accepted >= ballot
            && repeated.is_none()
        {
            return Err(Refusal::Promised(*accepted));
        }
        let answered = repeated.unwrap_or_else(|| {
            let vote = Vote {
                value,
                proposed: dep,
                dep: self.compatible_dep(role, index, dep),
            };
            let answered = vote.dep;
            self.record_vote(role, index, vote);
            answered
        });
        let dep_seen = self.has_seen(role.other(), dep, dep_view);
        Ok(FastReply {
            dep: answered,
            dep_seen,
        })
    }

    /// The proposed dependency, or the last entry of the other log that stands against it.
    fn compatible_dep(&self, role: Role, index: Index, dep: Index) -> Index {
        let other = &self.logs[role.other()];
        let conflicts = |later: &Index| {
            let recorded = other.get(*later).and_then(Entry::recorded_dep);
            recorded.is_some_and(|recorded| recorded < index)
        };
        // What was forgotten is not known to be compatible.
        let floor = dep.max(other.base());
        floor
            .until(other.known())
            .rev()
            .find(conflicts)
            .unwrap_or(floor)
    }

    /// Whether index `dep` is known of a role's log in this very view, so that no later view can begin before it.
    pub fn has_seen(&self, role: Role, dep: Index, view: View) -> bool {
        let standing = &self.views[role];
        standing.is_active() && standing.current == view && self.logs[role].known() >= dep
    }

    /// Accepts a choice (Accept).
    ///
    /// # Errors
    ///
    /// As for [`fast_accept`](Self::fast_accept).
    pub fn accept(
        &mut self,
        role: Role,
        index: Index,
        ballot: Ballot,
        choice: Choice,
        dep_view: View,
    ) -> Result<AcceptReply, Refusal> {
        let dep_seen = self.has_seen(role.other(), choice.dep, dep_view);
        let entry = self.entry_for(role, index, ballot)?;
        entry.promised = Some(ballot);
        entry.accepted = Some((ballot, choice.clone()));
        self.logs[role].touched(index);
        self.note(|| Record::Accepted(role, index, ballot, choice));
        Ok(AcceptReply { dep_seen })
    }

    /// Promises to refuse lower attempts at an entry and reports what is known of it (Prepare).
    ///
    /// # Errors
    ///
    /// The view is over or a higher attempt was promised.
    pub fn prepare(&mut self, role: Role, index: Index, ballot: Ballot) -> Result<Report, Refusal> {
        let entry = self.entry_for(role, index, ballot)?;
        let fresh = entry.promised != Some(ballot);
        entry.promised = Some(ballot);
        let report = Report {
            accepted: entry.accepted.clone(),
            vote: entry.vote.clone(),
        };
        if fresh {
            self.note(|| Record::Promised(role, index, ballot));
        }
        Ok(report)
    }

    /// The undecided entry that an attempt is about, if the attempt may go on.
    fn entry_for(
        &mut self,
        role: Role,
        index: Index,
        ballot: Ballot,
    ) -> Result<&mut Entry, Refusal> {
        self.enter(role, ballot.view)?;
        let base = self.logs[role].base();
        let Some(entry) = self.logs[role].get_or_make(index) else {
            return Err(Refusal::Forgotten(base));
        };
        if let Some(commit) = &entry.commit {
            return Err(Refusal::Committed(commit.clone()));
        }
        match entry.promised {
            Some(promised) if promised > ballot => Err(Refusal::Promised(promised)),
            _ => Ok(entry),
        }
    }

    /// A ballot of this replica for the next attempt at an entry, higher than all that it knows.
    pub fn next_ballot(&self, role: Role, index: Index) -> Ballot {
        let view = self.views[role].current;
        let promised = self.logs[role]
            .get(index)
            .and_then(|entry| entry.promised)
            .filter(|promised| promised.view == view);
        Ballot {
            view,
            round: promised.map_or(1, |promised| promised.round + 1),
            proposer: self.me,
        }
    }

    /// Whether the pilot of `view` may still decide its proposal by itself: nobody else has tried to.
    pub fn is_mine(&self, role: Role, index: Index, view: View) -> bool {
        let initial = Ballot::initial(view);
        let standing = &self.views[role];
        let entry = self.logs[role].get(index);
        standing.is_active()
            && standing.current == view
            && entry.is_some_and(|entry| {
                entry.commit.is_none() && entry.promised.is_none_or(|promised| promised <= initial)
            })
    }

    /// Learns a decision; true if it is news.
    pub fn commit(&mut self, role: Role, index: Index, commit: Commit) -> bool {
        let Some(entry) = self.logs[role].get_or_make(index) else {
            return false;
        };
        if entry.commit.is_some() {
            return false;
        }
        entry.commit = Some(commit.clone());
        self.note_seen(role.other(), &commit);
        self.logs[role].touched(index);
        self.note(|| Record::Committed(role, index, commit));
        true
    }

    fn note_seen(&mut self, role: Role, commit: &Commit) {
        let Some(view) = commit.dep_seen else { return };
        let found = (view, commit.choice.dep);
        let seen = &mut self.seen[role];
        if seen.is_none_or(|known| known < found) {
            *seen = Some(found);
        }
    }

    fn record_vote(&mut self, role: Role, index: Index, vote: Vote) -> Option<()> {
        self.logs[role].get_or_make(index)?.vote = Some(vote.clone());
        self.logs[role].touched(index);
        self.note(|| Record::Voted(role, index, vote));
        Some(())
    }

    /// Forgets executed entries up to `index`.
    pub fn truncate(&mut self, role: Role, index: Index) {
        self.logs[role].truncate(index);
    }

    /// What leads from the state in which nothing after the executed entries is known to this one.
    pub fn records_after_executed(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for role in Role::BOTH {
            let log = &self.logs[role];
            for index in log.executed().until(log.last()) {
                let Some(entry) = log.get(index) else {
                    continue;
                };
                let Entry {
                    promised,
                    vote,
                    accepted,
                    commit,
                } = entry.clone();
                records.extend(vote.map(|vote| Record::Voted(role, index, vote)));
                let accepted =
                    accepted.map(|(ballot, choice)| Record::Accepted(role, index, ballot, choice));
                records.extend(accepted);
                // An acceptance promises too, but less.
                records.extend(promised.map(|ballot| Record::Promised(role, index, ballot)));
                records.extend(commit.map(|commit| Record::Committed(role, index, commit)));
            }
        }
        records
    }

    /// Begins anew after a state in which everything up to `executed` was executed.
    pub fn restore(&mut self, views: &Both<Standing>, executed: &Both<Index>, reach: Index) {
        self.views = views.clone();
        self.install(executed, reach);
    }

    /// Does again what a record says was done. Views and votes never go back: records are in order.
    pub fn replay(&mut self, record: Record) {
        let journal = self.journal.take();
        match record {
            Record::Voted(role, index, vote) => {
                self.record_vote(role, index, vote);
            }
            Record::Accepted(role, index, ballot, choice) => {
                if let Some(entry) = self.logs[role].get_or_make(index) {
                    entry.promised = Some(ballot);
                    entry.accepted = Some((ballot, choice));
                    self.logs[role].touched(index);
                }
            }
            Record::Promised(role, index, ballot) => {
                if let Some(entry) = self.logs[role].get_or_make(index) {
                    entry.promised = Some(ballot);
                }
            }
            Record::Committed(role, index, commit) => {
                self.commit(role, index, commit);
            }
            Record::ViewPromised(role, number, pilot) => {
                self.views[role].promised = (number, pilot);
            }
            Record::ViewEntered(role, view) => {
                let _known_already = self.enter(role, view);
            }
        }
        self.journal = journal;
    }
}
