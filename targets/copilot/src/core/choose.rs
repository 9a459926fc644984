//! What a recovery chooses (fast takeover).

use super::entry::{Choice, Vote};
use super::types::{Ballot, Quorums, ReplicaId};

/// What a replica tells the one who recovers an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// What was accepted last.
    pub accepted: Option<(Ballot, Choice)>,
    /// Its answer to the pilot's proposal.
    pub vote: Option<Vote>,
}

/// The choice that is safe, given the reports of a majority or more, none of which knows a decision. The one who
/// recovers reports too.
///
/// A pilot that reports has not committed its proposal on the fast path and, having promised, no longer can. Without
/// its report, `2f` votes are a fast quorum, so that at most one of the reports can be without a matching vote if the
/// proposal was committed. If it may have been, its voters and its pilot are `f + 1` replicas that refuse whatever is
/// incompatible, so that it is safe to choose it even if it was not.
pub fn choose(quorums: Quorums, reports: &[(ReplicaId, Report)]) -> Choice {
    // A proposal of a later view shows that nothing older can have been committed at its index.
    let votes = reports
        .iter()
        .filter_map(|(_, report)| report.vote.as_ref());
    let latest = votes.map(|vote| vote.value.origin).max();
    let accepted = reports
        .iter()
        .filter_map(|(_, report)| report.accepted.as_ref())
        .filter(|(ballot, _)| latest.is_none_or(|view| *ballot >= Ballot::initial(view)))
        .max_by_key(|(ballot, _)| *ballot);
    if let Some((_, choice)) = accepted {
        return choice.clone();
    }
    let Some(view) = latest else {
        return Choice::NOOP;
    };
    let agreeing: Vec<_> = reports
        .iter()
        .filter_map(|(member, report)| Some((*member, report.vote.as_ref()?)))
        .filter(|(_, vote)| vote.value.origin == view && vote.is_ok())
        .collect();
    let Some((_, vote)) = agreeing.first() else {
        return Choice::NOOP;
    };
    let proposer_reports = reports.iter().any(|(member, _)| *member == view.pilot);
    let needed = if proposer_reports {
        quorums.majority()
    } else {
        // Those who do not report, the pilot among them, may all have agreed.
        quorums.fast() - (quorums.members - reports.len())
    };
    if agreeing.len() >= needed {
        vote.proposal()
    } else {
        Choice::NOOP
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::entry::Value;
    use super::super::types::{Index, View};
    use super::*;
    use crate::batch::Batch;

    /// Nothing, a vote that agrees or not, and what was accepted first or then.
    fn kinds_of_reports() -> [Report; 5] {
        let view = View {
            number: 0,
            pilot: ReplicaId(0),
            start: Index(1),
        };
        let value = Value {
            origin: view,
            batch: Batch::checked(Bytes::from_static(&[0; 28])).expect("no commands"),
        };
        let vote = |dep| Vote {
            value: value.clone(),
            proposed: Index(0),
            dep,
        };
        let accepted = |round, choice: Choice| {
            let initial = Ballot::initial(view);
            Some((Ballot { round, ..initial }, choice))
        };
        let regular = Choice {
            dep: Index(1),
            ..vote(Index(0)).proposal()
        };
        let of = |vote, accepted| Report { accepted, vote };
        [
            Report::default(),
            of(Some(vote(Index(0))), None),
            of(Some(vote(Index(1))), None),
            of(Some(vote(Index(1))), accepted(0, regular)),
            of(None, accepted(1, Choice::NOOP)),
        ]
    }

    #[test]
    fn what_is_chosen_from_more_reports_is_chosen_from_a_majority_of_them() {
        let kinds = kinds_of_reports();
        for members in [3, 5] {
            let quorums = Quorums { members };
            let sets = || 1_u32..1 << members;
            let size = |set: &u32| set.count_ones() as usize;
            let is_majority = |set: &u32| size(set) == quorums.majority();
            let majorities: Vec<u32> = sets().filter(is_majority).collect();
            for number in 0..kinds.len().pow(members as u32) {
                let report = |id: u32| {
                    let kind = number / kinds.len().pow(id) % kinds.len();
                    (ReplicaId(id), kinds[kind].clone())
                };
                let all: Vec<_> = (0..members as u32).map(report).collect();
                let chosen = |set: u32| {
                    let those = all.iter().filter(|(id, _)| set & 1 << id.0 != 0);
                    choose(quorums, &those.cloned().collect::<Vec<_>>())
                };
                for set in sets().filter(|set| size(set) > quorums.majority()) {
                    let choice = chosen(set);
                    let mut within = majorities.iter().filter(|part| *part & set == **part);
                    assert!(
                        within.any(|part| chosen(*part).is_same(&choice)),
                        "{choice:?} from {set:b} of {all:?}"
                    );
                }
            }
        }
    }
}
