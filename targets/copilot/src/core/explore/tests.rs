use super::*;

const fn scope(members: u32, entries: Both2, takeovers: usize) -> Scope {
    Scope {
        members,
        entries,
        takeovers,
        restarts: 0,
        learners: 0,
        limit: 3_000_000,
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
fn five_replicas_with_one_entry_each() {
    expect_sound(scope(5, [1, 1], 0));
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
#[ignore = "minutes: COPILOT_SCOPE=members,entries,entries,takeovers,restarts,learners"]
fn a_larger_scope() {
    let text = std::env::var("COPILOT_SCOPE").unwrap_or("3,2,1,1,0,0".into());
    let numbers: Vec<u64> = text.split(',').map(|n| n.parse().unwrap()).collect();
    let [members, pilot, copilot, takeovers, restarts, learners] = numbers[..] else {
        panic!("expected six numbers")
    };
    expect_sound(Scope {
        members: members as u32,
        entries: [pilot, copilot],
        takeovers: takeovers as usize,
        restarts: restarts as usize,
        learners: learners as usize,
        limit: 50_000_000,
    });
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

#[test]
fn a_smaller_final_dependency_is_caught() {
    let rules = Rules {
        final_dependency: |quorums, answered| {
            let mut answered = answered.to_vec();
            answered.sort_unstable();
            answered.get(quorums.faults() - 1).copied()
        },
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
