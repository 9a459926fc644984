//! Every order of messages, in small: a few entries, a takeover or two, a restart.
//!
//! A message that is not delivered is lost or late, so every prefix of deliveries is explored; what a proposer concludes
//! may rest on any majority of the answers given so far. States are told apart by their hash, and replicas that have no
//! role are interchangeable.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::BufMut;

use super::*;
use crate::batch::{Batch, BatchBuilder, ClientId, GroupBuilder};

/// How much is explored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) members: u32,
    /// Entries that each pilot proposes.
    pub(super) entries: Both2,
    pub(super) takeovers: usize,
    pub(super) restarts: usize,
    /// Replicas that hear of decisions.
    pub(super) learners: usize,
    /// States after which the search gives up.
    pub(super) limit: usize,
}

/// Pilot's and copilot's.
pub(super) type Both2 = [u64; 2];

/// What may be wrong on purpose.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) choose: fn(Quorums, &[(ReplicaId, Report)]) -> Choice,
    pub(super) final_dependency: fn(Quorums, &[Index]) -> Option<Index>,
    /// Accepting overwrites the vote's dependency.
    pub(super) overwrites_vote: bool,
    /// A restart forgets decisions of the fast path.
    pub(super) forgets_mark: bool,
}

impl Rules {
    pub(super) const RIGHT: Self = Self {
        choose,
        final_dependency,
        overwrites_vote: false,
        forgets_mark: false,
    };
}

type Place = (Role, Index);

/// A pilot's attempt at deciding its entry.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Drive {
    place: Place,
    vote: Vote,
    dep_view: View,
    /// Who was asked and what they answered.
    answers: Vec<(ReplicaId, Index)>,
    refused: Vec<ReplicaId>,
    accepting: Option<Accepting>,
    over: bool,
}

/// A recovery.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Recovery {
    place: Place,
    ballot: Ballot,
    reports: Vec<(ReplicaId, Report)>,
    asked: Vec<ReplicaId>,
    accepting: Option<Accepting>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Accepting {
    ballot: Ballot,
    choice: Choice,
    asked: Vec<ReplicaId>,
    accepted: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    replicas: Vec<Acceptor>,
    drives: Vec<Drive>,
    recoveries: Vec<Recovery>,
    chosen: Vec<(Place, Choice)>,
    proposed: [u64; 2],
    takeovers: usize,
    restarts: usize,
    learners: usize,
}

/// Walks through all states; the first violation, or how many states there are.
pub(super) fn explore(scope: Scope, rules: Rules) -> Result<usize, String> {
    let members: Vec<_> = (0..scope.members).map(ReplicaId).collect();
    let start = World {
        replicas: members
            .iter()
            .map(|me| Acceptor::new(*me, &members, false))
            .collect(),
        drives: Vec::new(),
        recoveries: Vec::new(),
        chosen: Vec::new(),
        proposed: [0; 2],
        takeovers: 0,
        restarts: 0,
        learners: 0,
    };
    let mut seen = BTreeSet::from([start.fingerprint()]);
    let mut stack = vec![start];
    let mut next = Vec::new();
    while let Some(world) = stack.pop() {
        world.check()?;
        world.steps(&scope, &rules, &mut next);
        for world in next.drain(..) {
            if seen.insert(world.fingerprint()) {
                stack.push(world);
            }
        }
        if seen.len() > scope.limit {
            return Err(format!("more than {} states", scope.limit));
        }
    }
    Ok(seen.len())
}

fn batch(role: Role, number: u64) -> Batch {
    let mut group = GroupBuilder::default();
    group.push(|op| op.put_u64(number));
    let mut builder = BatchBuilder::default();
    builder.extend(&group.finish(ClientId(role as u64), 0, number), 1);
    builder.finish()
}

impl World {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn at(&mut self, id: ReplicaId) -> &mut Acceptor {
        &mut self.replicas[id.0 as usize]
    }

    /// I1 and I3.
    fn check(&self) -> Result<(), String> {
        for (position, (place, choice)) in self.chosen.iter().enumerate() {
            for (other, again) in &self.chosen[position + 1..] {
                if place == other && !choice.is_same(again) {
                    return Err(format!("{place:?}: both {choice:?} and {again:?}"));
                }
                let (Some(_), Some(_)) = (&choice.value, &again.value) else {
                    continue;
                };
                if place.0 != other.0 && choice.dep < other.1 && again.dep < place.1 {
                    return Err(format!("pair: {place:?} {choice:?}, {other:?} {again:?}"));
                }
            }
        }
        Ok(())
    }

    fn steps(&self, scope: &Scope, rules: &Rules, out: &mut Vec<Self>) {
        for role in Role::BOTH {
            if self.proposed[role as usize] < scope.entries[role as usize] {
                self.propose(role, out);
            }
        }
        for position in 0..self.drives.len() {
            self.drive(position, rules, out);
        }
        for position in 0..self.recoveries.len() {
            self.recover(position, rules, out);
        }
        if self.takeovers < scope.takeovers {
            self.take_over(out);
        }
        if self.restarts < scope.restarts {
            self.restart(rules, out);
        }
        if self.learners < scope.learners {
            self.learn(out);
        }
    }

    fn propose(&self, role: Role, out: &mut Vec<Self>) {
        let mut world = self.clone();
        let number = self.proposed[role as usize] + 1;
        let pilot = ReplicaId(role as u32);
        let Some(proposal) = world.at(pilot).propose(role, batch(role, number)) else {
            return;
        };
        world.proposed[role as usize] = number;
        world.drives.push(Drive {
            place: (role, proposal.index),
            answers: vec![(pilot, proposal.vote.dep)],
            vote: proposal.vote,
            dep_view: proposal.dep_view,
            refused: Vec::new(),
            accepting: None,
            over: false,
        });
        out.push(world);
    }

    fn drive(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let drive = &self.drives[position];
        let ((role, index), origin) = (drive.place, drive.vote.value.origin);
        let quorums = self.replicas[0].quorums();
        for replica in &self.replicas {
            let id = replica.me();
            if drive.refused.contains(&id) || drive.answers.iter().any(|(known, _)| *known == id) {
                continue;
            }
            let mut world = self.clone();
            let value = drive.vote.value.clone();
            let reply =
                world
                    .at(id)
                    .fast_accept(role, index, value, drive.vote.proposed, drive.dep_view);
            match reply {
                Ok(reply) => world.drives[position].answers.push((id, reply.dep)),
                Err(_) => world.drives[position].refused.push(id),
            }
            world.drives[position].answers.sort_unstable();
            world.drives[position].refused.sort_unstable();
            out.push(world);
        }
        if let Some(accepting) = &drive.accepting {
            return self.accept(accepting, drive.place, rules, out, |world, accepting| {
                world.drives[position].accepting = Some(accepting);
            });
        }
        let pilot = &self.replicas[origin.pilot.0 as usize];
        if drive.over || !pilot.is_mine(role, index, origin) {
            return;
        }
        let agree = drive
            .answers
            .iter()
            .filter(|(_, dep)| *dep == drive.vote.proposed)
            .count();
        if agree >= quorums.fast() {
            let mut world = self.clone();
            let choice = drive.vote.proposal();
            world.drives[position].over = true;
            world.choose_at(origin.pilot, drive.place, choice);
            out.push(world);
        }
        let mut tried = BTreeSet::new();
        for subset in majorities(&drive.answers, origin.pilot, quorums) {
            let deps: Vec<_> = subset.iter().map(|(_, dep)| *dep).collect();
            let Some(dep) = (rules.final_dependency)(quorums, &deps) else {
                continue;
            };
            if !tried.insert(dep) {
                continue;
            }
            let mut world = self.clone();
            let choice = Choice {
                dep,
                ..drive.vote.proposal()
            };
            let ballot = drive.vote.ballot();
            world.drives[position].accepting =
                world.begin_to_accept(origin.pilot, drive.place, ballot, choice, rules);
            world.drives[position].over = true;
            out.push(world);
        }
    }

    fn take_over(&self, out: &mut Vec<Self>) {
        for drive in &self.drives {
            for replica in &self.replicas {
                let (role, index) = drive.place;
                let mut world = self.clone();
                world.takeovers += 1;
                let acceptor = world.at(replica.me());
                let ballot = acceptor.next_ballot(role, index);
                let Ok(report) = acceptor.prepare(role, index, ballot) else {
                    continue;
                };
                world.recoveries.push(Recovery {
                    place: drive.place,
                    ballot,
                    reports: vec![(replica.me(), report)],
                    asked: vec![replica.me()],
                    accepting: None,
                });
                out.push(world);
            }
        }
    }

    fn recover(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let recovery = &self.recoveries[position];
        let ((role, index), me) = (recovery.place, recovery.ballot.proposer);
        if let Some(accepting) = &recovery.accepting {
            return self.accept(accepting, recovery.place, rules, out, |world, accepting| {
                world.recoveries[position].accepting = Some(accepting);
            });
        }
        for replica in &self.replicas {
            let id = replica.me();
            if recovery.asked.contains(&id) {
                continue;
            }
            let mut world = self.clone();
            world.recoveries[position].asked.push(id);
            world.recoveries[position].asked.sort_unstable();
            match world.at(id).prepare(role, index, recovery.ballot) {
                Ok(report) => world.recoveries[position].reports.push((id, report)),
                Err(Refusal::Committed(commit)) => {
                    world.at(me).commit(role, index, commit);
                }
                Err(_) => {}
            }
            world.recoveries[position]
                .reports
                .sort_by_key(|(id, _)| *id);
            out.push(world);
        }
        let quorums = self.replicas[0].quorums();
        for reports in majorities(&recovery.reports, me, quorums) {
            let mut world = self.clone();
            let choice = (rules.choose)(quorums, &reports);
            let accepting =
                world.begin_to_accept(me, recovery.place, recovery.ballot, choice, rules);
            if accepting.is_some() {
                world.recoveries[position].accepting = accepting;
                out.push(world);
            }
        }
    }

    fn begin_to_accept(
        &mut self,
        me: ReplicaId,
        (role, index): Place,
        ballot: Ballot,
        choice: Choice,
        rules: &Rules,
    ) -> Option<Accepting> {
        let accepting = Accepting {
            ballot,
            choice,
            asked: Vec::new(),
            accepted: 0,
        };
        self.accept_at(me, (role, index), accepting, rules)
    }

    fn accept_at(
        &mut self,
        id: ReplicaId,
        (role, index): Place,
        mut accepting: Accepting,
        rules: &Rules,
    ) -> Option<Accepting> {
        let view = self.replicas[0].standing(role.other()).current;
        let choice = accepting.choice.clone();
        let dep = choice.dep;
        let acceptor = self.at(id);
        let accepted = acceptor
            .accept(role, index, accepting.ballot, choice, view)
            .is_ok();
        if accepted && rules.overwrites_vote {
            let entry = acceptor.logs[role].get_or_make(index)?;
            if let Some(vote) = &mut entry.vote {
                vote.dep = dep;
            }
        }
        accepting.accepted += usize::from(accepted);
        accepting.asked.push(id);
        accepting.asked.sort_unstable();
        accepted.then_some(accepting)
    }

    fn accept(
        &self,
        accepting: &Accepting,
        place: Place,
        rules: &Rules,
        out: &mut Vec<Self>,
        put: impl Fn(&mut Self, Accepting),
    ) {
        let majority = self.replicas[0].quorums().majority();
        for replica in &self.replicas {
            let id = replica.me();
            if accepting.accepted >= majority || accepting.asked.contains(&id) {
                continue;
            }
            let mut world = self.clone();
            let Some(accepting) = world.accept_at(id, place, accepting.clone(), rules) else {
                continue;
            };
            if accepting.accepted >= majority {
                world.chosen(place, accepting.choice.clone());
            }
            put(&mut world, accepting);
            out.push(world);
        }
    }

    fn choose_at(&mut self, me: ReplicaId, (role, index): Place, choice: Choice) {
        self.chosen((role, index), choice.clone());
        let commit = Commit {
            choice,
            dep_seen: None,
        };
        self.at(me).commit(role, index, commit);
    }

    fn chosen(&mut self, place: Place, choice: Choice) {
        if !self
            .chosen
            .iter()
            .any(|(known, same)| *known == place && same.is_same(&choice))
        {
            self.chosen.push((place, choice));
            self.chosen
                .sort_by_key(|(place, choice)| (*place, choice.dep));
        }
    }

    /// A replica hears of a decision.
    fn learn(&self, out: &mut Vec<Self>) {
        for ((role, index), choice) in &self.chosen {
            for replica in &self.replicas {
                if replica.is_decided(*role, *index) {
                    continue;
                }
                let mut world = self.clone();
                world.learners += 1;
                let commit = Commit {
                    choice: choice.clone(),
                    dep_seen: None,
                };
                world.at(replica.me()).commit(*role, *index, commit);
                out.push(world);
            }
        }
    }

    /// A pilot restarts: it goes on with none of its attempts, but what it said is on its disk.
    fn restart(&self, rules: &Rules, out: &mut Vec<Self>) {
        for role in Role::BOTH {
            let mut world = self.clone();
            let me = ReplicaId(role as u32);
            world.restarts += 1;
            world.proposed[role as usize] = u64::MAX;
            for drive in world
                .drives
                .iter_mut()
                .filter(|drive| drive.place.0 == role)
            {
                drive.over = true;
            }
            if rules.forgets_mark {
                let log = &mut world.at(me).logs[role];
                for index in Index::ZERO.until(log.last()) {
                    if let Some(entry) = log.get_or_make(index) {
                        entry.commit = None;
                    }
                }
                log.committed = Index::ZERO;
            }
            out.push(world);
        }
    }
}

/// All majorities of the answers that contain the asker's own.
fn majorities<T: Clone>(
    answers: &[(ReplicaId, T)],
    own: ReplicaId,
    quorums: Quorums,
) -> Vec<Vec<(ReplicaId, T)>> {
    (0..1u32 << answers.len())
        .filter(|mask| mask.count_ones() as usize >= quorums.majority())
        .map(|mask| {
            let chosen = |(place, answer): (usize, &(ReplicaId, T))| {
                (mask >> place & 1 == 1).then(|| answer.clone())
            };
            answers.iter().enumerate().filter_map(chosen).collect()
        })
        .filter(|subset: &Vec<(ReplicaId, T)>| subset.iter().any(|(id, _)| *id == own))
        .collect()
}

mod tests {
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
}
