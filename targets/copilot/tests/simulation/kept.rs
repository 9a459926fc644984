//! What a replica has said of undecided entries, it remembers: also over restarts.

use std::collections::BTreeMap;

use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Acceptor, Ballot, Entry, Index, Role, Vote};

/// What has been seen of each replica.
#[derive(Default)]
pub(crate) struct Kept(BTreeMap<(ReplicaId, Role), Said>);

/// What a replica has said of one log.
#[derive(Default)]
struct Said {
    /// Everything up to here is decided.
    committed: Index,
    /// What it has said of the entries after that.
    entries: BTreeMap<Index, Words>,
}

/// What a replica has said of one entry.
#[derive(Debug)]
struct Words {
    ballots: [(&'static str, Option<Ballot>); 3],
    is_decided: bool,
}

impl Words {
    fn of(entry: &Entry) -> Self {
        let accepted = entry.accepted.as_ref().map(|(ballot, _)| *ballot);
        let voted = entry.vote.as_ref().map(Vote::ballot);
        Self {
            ballots: [
                ("promise", entry.promised),
                ("acceptance", accepted),
                ("vote", voted),
            ],
            is_decided: entry.commit.is_some(),
        }
    }
}

impl Kept {
    /// I8: of an entry that is not decided, nothing is taken back but by a later view, and no decision at all.
    pub(crate) fn check(&mut self, id: ReplicaId, core: &Acceptor) -> Result<(), String> {
        for role in Role::BOTH {
            let log = core.log(role);
            let view = core.standing(role).current;
            let said = Said {
                committed: log.committed(),
                entries: log
                    .committed()
                    .until(log.last())
                    .filter_map(|index| Some((index, Words::of(log.get(index)?))))
                    .collect(),
            };
            let before = self.0.entry((id, role)).or_default();
            if before.committed > said.committed {
                return Err(format!("{id} forgot decisions after {}", said.committed));
            }
            let still_open = before.entries.range(said.committed.next()..);
            for (index, was) in still_open {
                let now = said.entries.get(index);
                if was.is_decided && !now.is_some_and(|now| now.is_decided) {
                    return Err(format!("{id} forgot its decision on {role} {index}"));
                }
                for (place, (what, ballot)) in was.ballots.iter().enumerate() {
                    let is_over = ballot.is_none_or(|ballot| ballot.view.name() < view.name());
                    let is_kept = now.is_some_and(|now| now.ballots[place].1 >= *ballot);
                    if !is_over && !is_kept {
                        return Err(format!(
                            "{id} forgot its {what} at {role} {index}: {was:?}, then {now:?}"
                        ));
                    }
                }
            }
            *before = said;
        }
        Ok(())
    }
}
