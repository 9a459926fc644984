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
    let learners = 2;
    expect_sound(Scope {
        learners,
        ..scope(3, [1, 1], 0)
    });
}

#[test]
fn three_replicas_with_one_entry_each_and_two_takeovers() {
    expect_sound(scope(3, [1, 1], 2));
}

#[test]
fn three_replicas_of_which_one_restarts() {
    let restarts = 1;
    expect_sound(Scope {
        restarts,
        ..scope(3, [1, 1], 1)
    });
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
#[ignore = "minutes: COPILOT_SCOPE=members,entries,entries,takeovers,restarts,learners"]
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

#[test]
fn counting_the_proposer_in_a_recovery_is_caught() {
    let rules = Rules {
        choose: count_the_proposer,
        ..Rules::RIGHT
    };
    expect_caught(scope(3, [1, 1], 1), rules);
}

fn one_vote_too_low(quorums: Quorums, answered: &[Index]) -> Option<Index> {
    let mut answered = answered.to_vec();
    answered.sort_unstable();
    answered.get(quorums.faults() - 1).copied()
}

#[test]
fn a_smaller_final_dependency_is_caught() {
    let rules = Rules {
        final_dependency: one_vote_too_low,
        ..Rules::RIGHT
    };
    expect_caught(scope(3, [1, 1], 0), rules);
}

#[test]
fn forgetting_the_mark_of_the_fast_path_is_caught() {
    let rules = Rules {
        forgets_mark: true,
        ..Rules::RIGHT
    };
    let scope = Scope {
        restarts: 1,
        ..scope(3, [1, 1], 1)
    };
    expect_caught(scope, rules);
}

#[test]
fn overwriting_the_vote_is_caught() {
    let rules = Rules {
        overwrites_vote: true,
        ..Rules::RIGHT
    };
    expect_caught(scope(3, [1, 1], 1), rules);
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

#[test]
#[ignore = "debugging"]
fn the_same_lead_to_the_same() {
    let scope = asked_for();
    for search in scope.searches() {
        let mut seen: std::collections::BTreeMap<u64, (World, BTreeSet<u64>)> = Default::default();
        let mut known = Arrivals::default();
        let mut stack = vec![World::start(&search)];
        let (mut bad, mut again) = (0, 0);
        while let Some(world) = stack.pop() {
            let mut next = Vec::new();
            world.steps(&scope, &Rules::RIGHT, &mut known, &mut next);
            next.iter_mut().for_each(World::forget_what_is_over);
            next.retain(|w| w.is_in_reach(&scope, &Rules::RIGHT));
            let fps: BTreeSet<u64> = next.iter().map(|w| w.fingerprint(&scope)).collect();
            let fp = world.fingerprint(&scope);
            if let Some((first, firsts)) = seen.get(&fp) {
                again += 1;
                if *firsts != fps {
                    bad += 1;
                    if bad == 1 {
                        println!("{:?} {:?}: {} or {} successors", search.aim, search.takeovers, firsts.len(), fps.len());
                        show(first);
                        println!("against");
                        show(&world);
                        let fresh = next.iter().find(|w| !firsts.contains(&w.fingerprint(&scope)));
                        if let Some(w) = fresh { println!("only the second leads to"); show(w); }
                        let mut next = Vec::new();
                        first.steps(&scope, &Rules::RIGHT, &mut known, &mut next);
                        next.iter_mut().for_each(World::forget_what_is_over);
                        next.retain(|w| w.is_in_reach(&scope, &Rules::RIGHT));
                        let fresh = next.iter().find(|w| !fps.contains(&w.fingerprint(&scope)));
                        if let Some(w) = fresh { println!("only the first leads to"); show(w); }
                    }
                }
                continue;
            }
            seen.insert(fp, (world, fps));
            stack.extend(next);
        }
        println!("{:?} {:?}: {} states, {again} again, {bad} bad", search.aim, search.takeovers, seen.len());
    }
}

fn show(w: &World) {
    for d in &w.drives { println!("  drive {:?} proposed {:?} answers {:?} over {}", d.place, d.vote.proposed, d.answers, d.over); }
    for a in &w.accepting { println!("  attempt {:?} round {} {:?} dep {:?} by {:?}", a.place, a.ballot.round, a.choice.value.is_some(), a.choice.dep, a.accepted); }
    for a in &w.recoveries { println!("  recovery {:?} round {} {:?}", a.place, a.ballot.round, a.reports.iter().map(|r| r.0).collect::<Vec<_>>()); }
    for r in &w.replicas { for role in Role::BOTH { for i in 1..=4 { if let Some(e) = r.log(role).get(Index(i)) { if e.is_known() || e.promised.is_some() { println!("  at {:?} {:?}{i}: promised {:?} vote {:?} accepted {:?} commit {}", r.me(), role, e.promised.map(|b| b.round), e.vote.as_ref().map(|v| v.dep), e.accepted.as_ref().map(|(b, c)| (b.round, c.value.is_some(), c.dep)), e.commit.is_some()); } } } } }
}
