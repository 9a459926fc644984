//! Each invariant of single entries would notice the mistake that it is about.

use std::time::Duration;

use depfast_copilot::{Mutation, ReplicaId};

use crate::invariants::Invariants;
use crate::outcome;
use crate::scene::{COPILOT, PILOT, Scene, millis};

/// In one of the first seeds an invariant says this about replicas that make a mistake.
fn expect_caught(mutation: Mutation, what: &str) {
    let seeds = 0..100;
    let mut found = seeds.filter_map(|seed| Some((seed, outcome(seed, Some(mutation)).err()?)));
    let caught = found.find(|(_, violation)| violation.contains(what));
    let (seed, violation) = caught.expect("the mistake is noticed");
    println!("{mutation:?} is caught by seed {seed}: {violation}");
}

/// I2.
#[test]
fn two_values_at_one_ballot_are_caught() {
    expect_caught(Mutation::AcceptTwoValues, "another one");
}

/// I4.
#[test]
fn a_fast_path_without_agreement_is_caught() {
    expect_caught(Mutation::CountEveryVote, "on the fast path, but");
}

/// I9.
#[test]
fn the_fast_path_after_the_regular_one_is_caught() {
    expect_caught(Mutation::FastAfterAccept, "accepted and decided");
}

/// The copilot's entries reach nobody but the pilot, which does not wait for them. Then the copilot dies, and whoever
/// succeeds it begins before them.
fn entries_that_only_the_pilot_knew(mutation: Option<Mutation>) -> Result<Invariants, String> {
    let scene = Scene::erring(5, mutation);
    let mut invariants = Invariants::default();
    scene.load(PILOT, 4);
    let followers = [3, 4, 5].map(ReplicaId);
    for follower in followers {
        scene.sim.cut(COPILOT, follower);
    }
    for _ in 0..20 {
        scene.run(millis(5));
        invariants.check(&scene.cluster)?;
    }
    scene.cluster.crash(COPILOT);
    // The successor finds a majority without the pilot.
    scene.slow(PILOT, millis(20));
    for _ in 0..400 {
        scene.run(millis(10));
        invariants.check(&scene.cluster)?;
    }
    scene.run(Duration::from_secs(1));
    invariants.check(&scene.cluster)?;
    Ok(invariants)
}

/// I6.
#[test]
fn not_waiting_for_what_a_later_view_may_replace_is_caught() {
    let right = entries_that_only_the_pilot_knew(None).unwrap();
    assert!(right.views() > 0, "somebody succeeds the copilot");
    let erring = entries_that_only_the_pilot_knew(Some(Mutation::SeenByMajority));
    let violation = erring.err().expect("the mistake is noticed");
    // The later view has already taken away what the pilot did not wait for.
    assert!(
        violation.contains("did not wait for an unknown"),
        "{violation}"
    );
}
