//! Every order of messages, in small: a few entries, a takeover or two, a restart.
//!
//! A message that is not delivered is lost or late, and what a proposer concludes may rest on any majority of the answers.
//! Of orders that differ only in what happens first at different replicas one is explored: a message is delivered as late as
//! possible, which is right before something at the same replica whose outcome depends on it ([`Event::conflicts`]) or
//! before its sender concludes something from the answer. So a step is one conclusion, with all deliveries that it needs.
//! Who takes an entry over is nobody in particular, and asks like anybody who sends a message.
//!
//! Each search is for one pair of decisions that must not both be taken ([`Aim`]), and leaves a way when one of them is out of
//! reach. States are told apart by what can still matter (`matter`), and those that differ only in the names of followers
//! are one. Which entries are taken over is chosen beforehand, so that nobody can ask for the others.
//!
//! Other entries matter to a pair only in that they may raise the dependencies of votes. So a pair among any number of others
//! is walked through by itself, with votes that may be raised whenever they are given ([`Scope::among_others`]). A few
//! entries are explored as they are, too; what is too large to be walked through is sampled ([`wander`]).

mod accept;
mod aim;
mod arrivals;
mod deliver;
mod event;
mod fate;
mod matter;
mod propose;
mod recover;
mod steps;
mod symmetry;
mod tests;
mod wander;

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;

use super::*;
use crate::batch::Batch;
use accept::Accepting;
use aim::Aim;
use arrivals::Arrivals;
use propose::Drive;
use recover::Recovery;
use steps::Steps;

/// How much is explored.
#[derive(Clone, Copy, Debug)]
struct Scope {
    members: u32,
    /// Entries that each pilot proposes.
    entries: Both2,
    takeovers: usize,
    restarts: usize,
    /// Replicas that hear of decisions.
    learners: usize,
    /// Whether there are any number of other entries, whatever becomes of them.
    among_others: bool,
    /// States after which a search gives up.
    limit: usize,
}

/// Pilot's and copilot's.
type Both2 = [u64; 2];

/// What may be wrong on purpose.
#[derive(Clone, Copy)]
struct Rules {
    choose: fn(Quorums, &[(ReplicaId, Report)]) -> Choice,
    final_dependency: fn(Quorums, &[Index]) -> Option<Index>,
    /// Accepting overwrites the vote's dependency.
    overwrites_vote: bool,
    /// A restart forgets decisions of the fast path.
    forgets_mark: bool,
}

impl Rules {
    const RIGHT: Self = Self {
        choose,
        final_dependency,
        overwrites_vote: false,
        forgets_mark: false,
    };
}

type Place = (Role, Index);

#[derive(Clone)]
struct World {
    replicas: Vec<Rc<Acceptor>>,
    drives: Vec<Rc<Drive>>,
    recoveries: Vec<Rc<Recovery>>,
    accepting: Vec<Rc<Accepting>>,
    chosen: Vec<(Place, Choice)>,
    proposed: [u64; 2],
    restarts: usize,
    learners: usize,
    aim: Aim,
    /// To which dependencies votes may be raised.
    raised: Rc<[Index]>,
}

impl Scope {
    /// Entries at the beginning of each log that are not explored: enough that a vote may have a greater dependency than
    /// was proposed because of them.
    const fn unexplored(&self) -> u64 {
        if self.among_others { 2 } else { 0 }
    }

    /// All entries that are explored.
    fn places(&self) -> Vec<Place> {
        let first = Index(self.unexplored());
        let indices = |role| first.until(Index(first.0 + self.entries[role as usize]));
        let of = |role| indices(role).map(move |index| (role, index));
        Role::BOTH.into_iter().flat_map(of).collect()
    }

    /// To which dependencies others may raise those of votes: before the entry of the other log that is explored, or
    /// beyond it. How far does not matter.
    fn raised(&self) -> Vec<Index> {
        let (before, beyond) = (Index(1), Index(self.unexplored() + 1));
        match (self.among_others, self.entries) {
            (false, _) => Vec::new(),
            (true, [_, 0]) => vec![before],
            (true, _) => vec![before, beyond],
        }
    }

    /// The entries that are taken over, in all ways, with all aims; of two that mirror each other, one.
    fn searches(&self) -> Vec<Search> {
        let places = self.places();
        let mut placements = vec![Vec::new()];
        for _ in 0..self.takeovers {
            let longer = placements.iter().flat_map(|placement: &Vec<Place>| {
                let further = places
                    .iter()
                    .filter(|place| placement.last() <= Some(place));
                further.map(|place| [&placement[..], &[*place]].concat())
            });
            placements = longer.collect();
        }
        let mut aims = Aim::all(&places);
        if self.among_others {
            let is_about_all = |aim: &Aim| aim.places().count() == places.len();
            aims.retain(is_about_all);
        }
        let searches = placements.iter().flat_map(|takeovers| {
            let with = |aim: &Aim| Search {
                scope: *self,
                takeovers: takeovers.clone(),
                aim: *aim,
            };
            aims.iter().map(with)
        });
        let mut searches: Vec<_> = searches.collect();
        if self.entries[0] == self.entries[1] {
            let key = |search: &Search| (search.takeovers.clone(), search.aim);
            searches.retain(|search| key(search) <= key(&search.mirrored()));
        }
        searches
    }
}

/// What is explored at a time.
#[derive(Clone, Debug)]
struct Search {
    scope: Scope,
    /// Of which entries.
    takeovers: Vec<Place>,
    aim: Aim,
}

impl Search {
    fn mirrored(&self) -> Self {
        let other = |(role, index): &Place| (role.other(), *index);
        let mut takeovers: Vec<Place> = self.takeovers.iter().map(other).collect();
        takeovers.sort_unstable();
        Self {
            takeovers,
            aim: self.aim.mirrored(),
            ..self.clone()
        }
    }
}

/// Walks through all states; the first violation, or how many states there are.
fn explore(scope: Scope, rules: Rules) -> Result<usize, String> {
    let mut known = Arrivals::default();
    let searches = scope.searches();
    let walks = searches.iter();
    walks.map(|search| walk(search, rules, &mut known)).sum()
}

fn walk(search: &Search, rules: Rules, known: &mut Arrivals) -> Result<usize, String> {
    let scope = &search.scope;
    let start = World::start(search);
    let mut seen = BTreeSet::from([start.fingerprint(scope)]);
    let mut stack = vec![start];
    let mut next = Vec::new();
    while let Some(world) = stack.pop() {
        world.steps(scope, &rules, known, &mut next);
        for mut world in next.drain(..) {
            world.check()?;
            world.forget_what_is_over();
            if world.is_in_reach(scope, &rules) && seen.insert(world.fingerprint(scope)) {
                if seen.len().is_multiple_of(1 << 20) {
                    println!("{} states, {} to go on from", seen.len(), stack.len());
                }
                stack.push(world);
            }
        }
        if seen.len() > scope.limit {
            return Err(format!("more than {} states", scope.limit));
        }
    }
    let Search { takeovers, aim, .. } = search;
    println!("{aim:?}, taken over {takeovers:?}: {} states", seen.len());
    Ok(seen.len())
}

/// Batches are told apart by their views.
fn batch() -> Batch {
    Batch::checked(Bytes::from_static(&[0; 28])).expect("a group without commands")
}

impl World {
    fn start(search: &Search) -> Self {
        let members: Vec<_> = (0..search.scope.members).map(ReplicaId).collect();
        let unexplored = Index(search.scope.unexplored());
        let replica = |me: &ReplicaId| {
            let mut replica = Acceptor::new(*me, &members, false);
            for role in Role::BOTH {
                replica.logs[role].get_or_make(unexplored);
            }
            Rc::new(replica)
        };
        let replicas: Vec<_> = members.iter().map(replica).collect();
        let recovery = |(position, place): (usize, &Place)| {
            let earlier = search.takeovers[..position]
                .iter()
                .filter(|it| *it == place);
            let view = replicas[0].standing(place.0).current;
            Rc::new(Recovery::new(*place, view, 1 + earlier.count() as u32))
        };
        let recoveries = search.takeovers.iter().enumerate();
        Self {
            recoveries: recoveries.map(recovery).collect(),
            replicas,
            drives: Vec::new(),
            accepting: Vec::new(),
            chosen: Vec::new(),
            proposed: [0; 2],
            aim: search.aim,
            raised: search.scope.raised().into(),
            restarts: 0,
            learners: 0,
        }
    }

    fn at(&mut self, id: ReplicaId) -> &mut Acceptor {
        Rc::make_mut(&mut self.replicas[id.0 as usize])
    }

    fn quorums(&self) -> Quorums {
        self.replicas[0].quorums()
    }

    fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replicas.len() as u32).map(ReplicaId)
    }

    /// I1 and I3.
    fn check(&self) -> Result<(), String> {
        let places = || self.drives.iter().map(|drive| drive.place);
        let of_place = |place| self.decisions(place).map(move |choice| (place, choice));
        let decisions: Vec<_> = places().flat_map(of_place).collect();
        for (position, (place, choice)) in decisions.iter().enumerate() {
            for (other, again) in &decisions[position + 1..] {
                if place == other && !choice.is_same(again) {
                    return Err(format!("{place:?}: both {choice:?} and {again:?}"));
                }
                let is_pair = place.0 != other.0;
                if is_pair && choice.is_before(other.1) && again.is_before(place.1) {
                    return Err(format!("pair: {place:?} {choice:?}, {other:?} {again:?}"));
                }
            }
        }
        Ok(())
    }

    fn steps(&self, scope: &Scope, rules: &Rules, known: &mut Arrivals, out: &mut Vec<Self>) {
        let steps = Steps::from(self, scope, rules, known);
        for role in Role::BOTH {
            if self.proposed[role as usize] < scope.entries[role as usize] {
                steps.propose(role, out);
            }
        }
        for (position, drive) in self.drives.iter().enumerate().filter(|(_, it)| !it.over) {
            if self.is_contended(drive.place) || self.may_be_asked(drive.place, scope) {
                steps.decide_fast(position, out);
            }
            steps.decide_regularly(position, out);
        }
        for position in 0..self.recoveries.len() {
            steps.recover(position, out);
        }
        if self.restarts < scope.restarts {
            steps.restart(out);
        }
        if self.may_be_learnt(scope) {
            for position in 0..self.accepting.len() {
                steps.have_accepted(position, out);
            }
            steps.learn(out);
        }
    }

    /// Whether anybody but its pilot decides an entry. Else a fast quorum's decision is what follows from any majority of it.
    fn is_contended(&self, place: Place) -> bool {
        let is_others = |ballot: Ballot| ballot != Ballot::initial(ballot.view);
        let mut attempts = self.accepting.iter();
        self.recoveries.iter().any(|one| one.place == place)
            || attempts.any(|attempt| attempt.place == place && is_others(attempt.ballot))
    }

    /// Makes states equal that differ in nothing that can still matter.
    fn forget_what_is_over(&mut self) {
        let replicas = &self.replicas;
        for drive in self.drives.iter_mut().filter(|drive| !drive.over) {
            let ((role, index), origin) = (drive.place, drive.vote.value.origin);
            if !replicas[origin.pilot.0 as usize].is_mine(role, index, origin) {
                Rc::make_mut(drive).over = true;
            }
        }
    }
}
