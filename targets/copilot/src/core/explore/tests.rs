use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::wander::wander;
use super::*;

const fn scope(members: u32, entries: Both2, takeovers: usize) -> Scope {
    Scope {
        members,
        entries,
        takeovers,
        restarts: 0,
        learners: 0,
        among_others: false,
        limit: 3_000_000,
    }
}

/// One entry of a pilot, or one of each, among any number of others.
const fn among_others(members: u32, entries: Both2, takeovers: usize) -> Scope {
    Scope {
        among_others: true,
        ..scope(members, entries, takeovers)
    }
}

const fn learning(learners: usize, scope: Scope) -> Scope {
    Scope { learners, ..scope }
}

const fn restarting(scope: Scope) -> Scope {
    Scope {
        restarts: 1,
        ..scope
    }
}

fn expect_sound(scope: Scope) {
    match explore(scope, Rules::RIGHT) {
        Ok(states) => println!("{scope:?}: {states} states"),
        Err(violation) => panic!("{scope:?}: {violation}"),
    }
}

fn expect_caught(scope: Scope, rules: Rules) {
    let violation = explore(scope, rules).expect_err("the flaw is found");
    assert!(!violation.starts_with("more than"), "{violation}");
    println!("{violation}");
}

#[test]
fn an_entry_of_three_replicas_is_decided_once_whatever_else_there_is() {
    expect_sound(among_others(3, [1, 0], 2));
}

#[test]
fn an_entry_of_five_replicas_is_decided_once_whatever_else_there_is() {
    expect_sound(among_others(5, [1, 0], 2));
}

#[test]
fn a_pair_of_entries_of_three_replicas_is_ordered_whatever_else_there_is() {
    expect_sound(among_others(3, [1, 1], 2));
}

#[test]
fn a_pair_of_entries_of_five_replicas_is_ordered_whatever_else_there_is() {
    expect_sound(among_others(5, [1, 1], 2));
}

#[test]
fn three_replicas_that_learn_whatever_else_there_is() {
    expect_sound(learning(1, among_others(3, [1, 0], 2)));
    expect_sound(learning(1, among_others(3, [1, 1], 1)));
}

#[test]
fn three_replicas_of_which_one_restarts_whatever_else_there_is() {
    expect_sound(restarting(among_others(3, [1, 0], 2)));
    expect_sound(restarting(among_others(3, [1, 1], 2)));
}

#[test]
fn three_replicas_with_one_entry_each_and_a_takeover() {
    expect_sound(scope(3, [1, 1], 1));
}

#[test]
fn three_replicas_with_three_entries() {
    expect_sound(scope(3, [2, 1], 0));
}

#[test]
fn three_replicas_with_three_entries_and_a_takeover() {
    expect_sound(scope(3, [2, 1], 1));
}

#[test]
fn three_replicas_with_four_entries() {
    expect_sound(scope(3, [2, 2], 0));
}

#[test]
fn five_replicas_with_three_entries() {
    expect_sound(scope(5, [2, 1], 0));
}

#[test]
fn five_replicas_with_one_entry_each_and_a_takeover() {
    expect_sound(scope(5, [1, 1], 1));
}

#[test]
fn three_replicas_that_learn() {
    expect_sound(learning(2, scope(3, [1, 1], 0)));
}

#[test]
fn three_replicas_with_one_entry_each_and_two_takeovers() {
    expect_sound(scope(3, [1, 1], 2));
}

#[test]
fn three_replicas_of_which_one_restarts() {
    expect_sound(restarting(scope(3, [1, 1], 1)));
}

#[test]
fn three_replicas_with_four_entries_and_two_takeovers_sampled() {
    expect_no_violation(scope(3, [2, 2], 2), 10_000);
}

#[test]
fn five_replicas_with_four_entries_and_two_takeovers_sampled() {
    expect_no_violation(scope(5, [2, 2], 2), 4_000);
}

fn expect_no_violation(scope: Scope, ways: u64) {
    match wander(scope, Rules::RIGHT, 0..ways) {
        Ok(states) => println!("{scope:?}: {ways} ways, {states} states"),
        Err(violation) => panic!("{scope:?}: {violation}"),
    }
}

#[test]
#[ignore = "minutes: COPILOT_SCOPE=members,entries,entries,takeovers,restarts,learners, COPILOT_OTHERS=1 for any number more"]
fn a_larger_scope() {
    expect_sound(asked_for());
}

#[test]
#[ignore = "minutes: COPILOT_SCOPE as above, COPILOT_WAYS=how many"]
fn a_larger_scope_sampled() {
    let ways = std::env::var("COPILOT_WAYS").map_or(100_000, |ways| ways.parse().unwrap());
    expect_no_violation(asked_for(), ways);
}

fn asked_for() -> Scope {
    let text = std::env::var("COPILOT_SCOPE").unwrap_or("3,2,1,1,0,0".into());
    let numbers: Vec<u64> = text.split(',').map(|n| n.parse().unwrap()).collect();
    let [members, pilot, copilot, takeovers, restarts, learners] = numbers[..] else {
        panic!("expected six numbers")
    };
    Scope {
        members: members as u32,
        entries: [pilot, copilot],
        takeovers: takeovers as usize,
        restarts: restarts as usize,
        learners: learners as usize,
        among_others: std::env::var_os("COPILOT_OTHERS").is_some(),
        limit: 50_000_000,
    }
}

/// The rule as it is often summarised: so many votes suffice, the pilot's own counted.
fn count_the_proposer(quorums: Quorums, reports: &[(ReplicaId, Report)]) -> Choice {
    let vote = |(_, report): &(ReplicaId, Report)| report.vote.clone().filter(Vote::is_ok);
    let agreeing: Vec<_> = reports.iter().filter_map(vote).collect();
    let accepted = reports.iter().any(|(_, report)| report.accepted.is_some());
    if !accepted && agreeing.len() >= quorums.faults() {
        return agreeing[0].proposal();
    }
    choose(quorums, reports)
}

fn one_vote_too_low(quorums: Quorums, answered: &[Index]) -> Option<Index> {
    let mut answered = answered.to_vec();
    answered.sort_unstable();
    answered.get(quorums.faults() - 1).copied()
}

#[test]
fn forgetting_the_mark_of_the_fast_path_is_caught() {
    let rules = Rules {
        forgets_mark: true,
        ..Rules::RIGHT
    };
    expect_caught(restarting(scope(3, [1, 1], 1)), rules);
    expect_caught(restarting(among_others(3, [1, 0], 1)), rules);
}

/// The attempt that was accepted first wins, not the last.
fn the_first_accepted(quorums: Quorums, reports: &[(ReplicaId, Report)]) -> Choice {
    let accepted = reports
        .iter()
        .filter_map(|(_, report)| report.accepted.as_ref());
    let first = accepted.min_by_key(|(ballot, _)| *ballot);
    first.map_or_else(|| choose(quorums, reports), |(_, choice)| choice.clone())
}

fn flaws() -> [Rules; 3] {
    [
        Rules {
            choose: count_the_proposer,
            ..Rules::RIGHT
        },
        Rules {
            final_dependency: one_vote_too_low,
            ..Rules::RIGHT
        },
        Rules {
            overwrites_vote: true,
            ..Rules::RIGHT
        },
    ]
}

#[test]
fn each_flaw_is_caught() {
    for rules in flaws() {
        expect_caught(scope(3, [1, 1], 1), rules);
    }
}

#[test]
fn each_flaw_is_caught_among_others() {
    for members in [3, 5] {
        for rules in flaws() {
            expect_caught(among_others(members, [1, 1], 1), rules);
        }
        let rules = Rules {
            choose: the_first_accepted,
            ..Rules::RIGHT
        };
        expect_caught(among_others(members, [1, 0], 2), rules);
    }
}

#[test]
fn each_flaw_is_caught_in_a_sample() {
    for rules in flaws() {
        let violation = wander(scope(3, [2, 2], 2), rules, 0..100_000);
        println!("{}", violation.expect_err("the flaw is found"));
    }
}

/// What each state leads to, but for what is out of reach, all orders and names.
fn led_to(world: &World, scope: &Scope, known: &mut Arrivals) -> BTreeMap<u64, World> {
    let mut next = Vec::new();
    world.steps(scope, &Rules::RIGHT, known, &mut next);
    next.iter_mut().for_each(World::forget_what_is_over);
    next.retain(|world| world.is_in_reach(scope, &Rules::RIGHT));
    let with_fingerprint = next.into_iter().map(|it| (it.fingerprint(scope), it));
    with_fingerprint.collect()
}

/// Else a search would miss what follows from a state that it takes for another.
fn expect_same_from_same(scope: Scope) {
    let (mut again, mut known) = (0, Arrivals::default());
    for search in scope.searches() {
        let mut seen = BTreeMap::new();
        let mut stack = vec![World::start(&search)];
        while let Some(world) = stack.pop() {
            let next = led_to(&world, &scope, &mut known);
            let fingerprints: Vec<u64> = next.keys().copied().collect();
            match seen.entry(world.fingerprint(&scope)) {
                Entry::Occupied(earlier) => {
                    assert_eq!(*earlier.get(), fingerprints, "{search:?}");
                    again += 1;
                }
                Entry::Vacant(first) => {
                    first.insert(fingerprints);
                    stack.extend(next.into_values());
                }
            }
        }
    }
    assert!(again > 0, "no two states are the same");
}

#[test]
fn states_that_are_taken_for_one_lead_to_the_same() {
    expect_same_from_same(scope(3, [2, 1], 1));
    expect_same_from_same(scope(5, [1, 1], 1));
    expect_same_from_same(restarting(scope(3, [1, 1], 1)));
    expect_same_from_same(learning(2, scope(3, [1, 1], 0)));
    expect_same_from_same(among_others(3, [1, 0], 2));
    expect_same_from_same(among_others(3, [1, 1], 2));
    expect_same_from_same(among_others(5, [1, 1], 1));
    expect_same_from_same(restarting(learning(1, among_others(3, [1, 1], 1))));
}

#[test]
#[ignore = "minutes: COPILOT_SCOPE and COPILOT_OTHERS as above"]
fn states_of_a_larger_scope_that_are_taken_for_one_lead_to_the_same() {
    expect_same_from_same(asked_for());
}
