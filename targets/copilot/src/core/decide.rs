//! What a pilot concludes from the answers to its proposal.

use super::types::{Index, Quorums};

/// The dependency for the regular path: of all dependencies answered, the proposer's own included, the `f + 1`-th in
/// ascending order; `None` with fewer answers.
///
/// Of two conflicting entries each has `f + 1` replicas that voted for it. Whichever entry a common voter saw second got
/// a dependency that covers the first, so at most `f` answers miss a conflicting entry that is committed.
pub fn final_dependency(quorums: Quorums, answered: &[Index]) -> Option<Index> {
    let mut answered = answered.to_vec();
    answered.sort_unstable();
    answered.get(quorums.faults()).copied()
}

/// Whether so many saw a dependency that no later view of its role can begin before it.
pub const fn majority_saw(quorums: Quorums, saw: usize) -> bool {
    saw >= quorums.majority()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proposer's own dependency is the least.
    #[test]
    fn what_follows_from_more_answers_follows_from_a_majority_of_them() {
        for members in [3, 5, 7] {
            let quorums = Quorums { members };
            for number in 0..3_usize.pow(members as u32 - 1) {
                let dep = |other: u32| Index((number / 3_usize.pow(other) % 3) as u64);
                let answers: Vec<_> = (0..members as u32 - 1).map(dep).collect();
                let of = |others: &[Index]| {
                    final_dependency(quorums, &[&[Index::ZERO], others].concat())
                };
                for more in quorums.majority() - 1..members {
                    let answers = &answers[..more];
                    let mut least = answers.to_vec();
                    least.sort_unstable();
                    least.truncate(quorums.majority() - 1);
                    assert_eq!(of(answers), of(&least), "{answers:?}");
                }
            }
        }
    }

    #[test]
    fn the_final_dependency_is_the_f_plus_first() {
        let deps = |numbers: &[u64]| numbers.iter().copied().map(Index).collect::<Vec<_>>();
        let of = |members, numbers: &[u64]| final_dependency(Quorums { members }, &deps(numbers));
        assert_eq!(of(3, &[0, 4]), Some(Index(4)));
        assert_eq!(of(3, &[4, 0, 0]), Some(Index(0)));
        assert_eq!(of(5, &[7, 0, 3]), Some(Index(7)));
        assert_eq!(of(5, &[7, 0, 3, 3, 9]), Some(Index(3)));
        assert_eq!(of(5, &[7, 0]), None);
    }
}
