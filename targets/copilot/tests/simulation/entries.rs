//! What must hold of each entry while it is being decided, seen from all replicas at once.

use std::collections::BTreeMap;
use std::rc::Rc;

use depfast_copilot::core::{
    Ballot, Both, Choice, Commit, Entry, Index, Quorums, Report, Role, View, Vote, choose,
};
use depfast_copilot::{Copilot, ReplicaId};

type Place = (Role, Index);

/// What has been seen of entries that are not decided everywhere.
#[derive(Default)]
pub(crate) struct Entries {
    /// Everything up to here was decided wherever anybody looked.
    settled: Both<Index>,
    choices: BTreeMap<(Place, Ballot), Choice>,
    proposals: BTreeMap<(Place, View), Vote>,
    eliminated: BTreeMap<Place, View>,
    seen: Seen,
}

/// How often there was something to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Decisions of the fast path that some majority did not know yet.
    pub(crate) fast_decisions: u64,
    /// Entries that others did not wait for.
    pub(crate) eliminated: u64,
}

/// Replicas that a crash would make forget nothing.
type Replicas = [(ReplicaId, Rc<Copilot>)];

impl Entries {
    pub(crate) const fn seen(&self) -> Seen {
        self.seen
    }

    pub(crate) fn check(&mut self, replicas: &Replicas) -> Result<(), String> {
        for role in Role::BOTH {
            for (id, copilot) in replicas {
                self.note_eliminated(*id, copilot, role)?;
            }
            let last = replicas
                .iter()
                .map(|(_, copilot)| copilot.inspect(|core, _| core.log(role).last()));
            let last = last.max().unwrap_or_default();
            let mut is_settled = true;
            for index in self.settled[role].until(last) {
                let entries = entries_at(replicas, role, index);
                for (id, entry) in &entries {
                    self.check_ballots((role, index), *id, entry)?;
                    self.check_elimination((role, index), *id, entry)?;
                }
                if let Some((_, copilot)) = replicas.first() {
                    let quorums = copilot.inspect(|core, _| core.quorums());
                    check_one_way((role, index), replicas, &entries, quorums)?;
                    self.check_recoveries((role, index), &entries, quorums)?;
                }
                is_settled &= entries.iter().all(|(_, entry)| entry.commit.is_some());
                if is_settled {
                    self.settled[role] = index;
                }
            }
        }
        Ok(())
    }

    /// I2, and the second half of I9: one value per entry and ballot, and a pilot proposes one at an index.
    fn check_ballots(&mut self, place: Place, id: ReplicaId, entry: &Entry) -> Result<(), String> {
        if let Some((ballot, choice)) = &entry.accepted {
            let known = self.choices.entry((place, *ballot));
            let known = known.or_insert_with(|| choice.clone());
            if known != choice {
                return Err(format!(
                    "{place:?} at {ballot}: {id} accepted {choice:?}, another one {known:?}"
                ));
            }
        }
        if let Some(vote) = &entry.vote {
            let known = self.proposals.entry((place, vote.value.origin));
            let known = known.or_insert_with(|| vote.clone());
            if (&known.value, known.proposed) != (&vote.value, vote.proposed) {
                return Err(format!("{place:?}: both {known:?} and {vote:?} proposed"));
            }
        }
        Ok(())
    }

    /// I6: what others did not wait for turns out to be what they knew, or nothing.
    fn check_elimination(&self, place: Place, id: ReplicaId, entry: &Entry) -> Result<(), String> {
        let (Some(view), Some(commit)) = (self.eliminated.get(&place), &entry.commit) else {
            return Ok(());
        };
        match &commit.choice.value {
            Some(value) if value.origin != *view => Err(format!(
                "{place:?} was eliminated as of {view}, and {id} decides {value:?}"
            )),
            _ => Ok(()),
        }
    }

    /// Notes what a replica did not wait for: the entries before its last executed one's dependency of which it has not
    /// even the first one.
    fn note_eliminated(
        &mut self,
        id: ReplicaId,
        copilot: &Copilot,
        role: Role,
    ) -> Result<(), String> {
        copilot.inspect(|core, _| {
            let last = core.log(role).executed();
            let dep = core.decision(role, last);
            let dep = dep.map_or(Index::ZERO, |commit| commit.choice.dep);
            let other = role.other();
            let executed = core.log(other).executed();
            let on_cycle = role == Role::Pilot && core.reach() >= last;
            if on_cycle || core.is_decided(other, executed.next()) {
                return Ok(());
            }
            for index in executed.until(dep) {
                let entry = core.log(other).get(index);
                let Some(vote) = entry.and_then(|entry| entry.vote.as_ref()) else {
                    if core.is_decided(other, index) {
                        continue;
                    }
                    return Err(format!("{id} did not wait for an unknown {other} {index}"));
                };
                if self
                    .eliminated
                    .insert((other, index), vote.value.origin)
                    .is_none()
                {
                    self.seen.eliminated += 1;
                }
            }
            Ok(())
        })
    }

    /// I4: what the pilot decided on the fast path is what any recovery from now on would choose.
    fn check_recoveries(
        &mut self,
        place: Place,
        entries: &[(ReplicaId, Entry)],
        quorums: Quorums,
    ) -> Result<(), String> {
        let Some(commit) = fast_decision(entries) else {
            return Ok(());
        };
        let undecided: Vec<_> = entries
            .iter()
            .filter(|(_, entry)| entry.commit.is_none())
            .map(|(id, entry)| {
                let report = Report {
                    accepted: entry.accepted.clone(),
                    vote: entry.vote.clone(),
                };
                (*id, report)
            })
            .collect();
        let majority = quorums.majority();
        self.seen.fast_decisions += u64::from(undecided.len() >= majority);
        for mask in 0..1u32 << undecided.len() {
            if (mask.count_ones() as usize) < majority {
                continue;
            }
            let reports: Vec<_> = (0..undecided.len())
                .filter(|position| mask >> position & 1 == 1)
                .map(|position| undecided[position].clone())
                .collect();
            let chosen = choose(quorums, &reports);
            if chosen != commit.choice {
                return Err(format!(
                    "{place:?} was decided as {commit:?} on the fast path, but {reports:?} lead to {chosen:?}"
                ));
            }
        }
        Ok(())
    }
}

/// What those say of an entry that have not forgotten it.
fn entries_at(replicas: &Replicas, role: Role, index: Index) -> Vec<(ReplicaId, Entry)> {
    let entry = |(id, copilot): &(ReplicaId, Rc<Copilot>)| {
        copilot.inspect(|core, _| {
            let log = core.log(role);
            (index > log.base()).then(|| (*id, log.get(index).cloned().unwrap_or_default()))
        })
    };
    replicas.iter().filter_map(entry).collect()
}

/// What a pilot decided as it proposed it, without having it accepted.
fn fast_decision(entries: &[(ReplicaId, Entry)]) -> Option<&Commit> {
    entries.iter().find_map(|(id, entry)| {
        let (vote, commit) = (entry.vote.as_ref()?, entry.commit.as_ref()?);
        let is_fast = vote.value.origin.pilot == *id
            && entry.accepted.is_none()
            && commit.choice == vote.proposal();
        is_fast.then_some(commit)
    })
}

/// I9: a pilot takes the fast path or the regular one, not both.
fn check_one_way(
    place: Place,
    replicas: &Replicas,
    entries: &[(ReplicaId, Entry)],
    quorums: Quorums,
) -> Result<(), String> {
    for (id, copilot) in replicas {
        let own = entries.iter().find(|(holder, _)| holder == id);
        let Some((_, entry)) = own else { continue };
        let Some(vote) = &entry.vote else { continue };
        // A replica that was restarted serves no view of before.
        let serves = copilot.serves(place.0) == Some(vote.value.origin);
        if !serves || vote.value.origin.pilot != *id {
            continue;
        }
        let initial = Ballot::initial(vote.value.origin);
        let others: Vec<_> = entries
            .iter()
            .filter_map(|(_, entry)| entry.accepted.as_ref())
            .map(|(ballot, _)| *ballot)
            .collect();
        if entry.accepted.is_none() && others.contains(&initial) {
            return Err(format!(
                "{place:?}: {id} had accepted what it did not accept itself"
            ));
        }
        // With a higher ballot somebody else decided.
        let all = entries.len() >= quorums.majority() && entries.len() == replicas.len();
        let alone = all && others.iter().all(|ballot| *ballot == initial);
        if let (Some((ballot, choice)), Some(commit), true) =
            (&entry.accepted, &entry.commit, alone)
            && *ballot == initial
            && commit.choice != *choice
        {
            return Err(format!(
                "{place:?}: {id} had {choice:?} accepted and decided {commit:?}"
            ));
        }
    }
    Ok(())
}
