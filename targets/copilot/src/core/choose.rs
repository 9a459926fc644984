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
