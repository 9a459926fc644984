//! What coroutines wait for, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use depfast::sim::Sim;
use depfast::trace::WaitsOn;
use depfast::{Env, NodeId, Outcome, QuorumEvent, ValueEvent, Verdict};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a coroutine to its end and returns its output and the time it took.
fn run<T: 'static, F: Future<Output = T> + 'static>(main: impl FnOnce(Env) -> F) -> (T, Duration) {
    let sim = Sim::new(1);
    let result = Rc::new(RefCell::new(None));
    let (slot, env) = (Rc::clone(&result), sim.env());
    let main = main(env.clone());
    let start = env.now();
    env.clone().spawn(async move {
        let output = main.await;
        *slot.borrow_mut() = Some((output, env.now() - start));
    });
    assert!(
        sim.run_until(1000 * SECOND, || result.borrow().is_some()),
        "the coroutine ends"
    );
    result.take().unwrap()
}

/// Has members answer after their delays.
fn answers(env: &Env, quorum: &QuorumEvent, plan: &[(u64, Verdict)]) {
    for (member, (delay, verdict)) in (1..).zip(plan.iter().copied()) {
        let (env, quorum) = (env.clone(), quorum.clone());
        env.clone().spawn(async move {
            env.timeout("work", SECOND * u32::try_from(delay).unwrap())
                .await;
            quorum.vote(NodeId(member), verdict);
        });
    }
}

fn outcome(needed: usize, plan: &'static [(u64, Verdict)]) -> (Outcome, u64) {
    let (outcome, took) = run(move |env| async move {
        let quorum = QuorumEvent::new(&env, needed, plan.len());
        answers(&env, &quorum, plan);
        quorum.wait_for("members", 10 * SECOND).await
    });
    (outcome, took.as_secs())
}

#[test]
fn a_quorum_is_as_fast_as_its_fastest_members() {
    use Verdict::{Accept, Reject};
    assert_eq!(
        outcome(2, &[(1, Accept), (2, Accept), (99, Accept)]),
        (Outcome::Ready, 2)
    );
    assert_eq!(
        outcome(2, &[(99, Accept), (3, Accept), (1, Accept)]),
        (Outcome::Ready, 3)
    );
    assert_eq!(
        outcome(2, &[(1, Reject), (2, Accept), (3, Accept)]),
        (Outcome::Ready, 3)
    );
    assert_eq!(
        outcome(2, &[(1, Reject), (5, Reject), (99, Accept)]),
        (Outcome::Fail, 5)
    );
    assert_eq!(
        outcome(2, &[(1, Accept), (99, Reject), (99, Accept)]),
        (Outcome::Timeout, 10)
    );
    assert_eq!(
        outcome(
            4,
            &[
                (1, Accept),
                (1, Accept),
                (2, Reject),
                (3, Accept),
                (4, Accept)
            ]
        ),
        (Outcome::Ready, 4)
    );
}

#[test]
fn late_and_repeated_answers_are_counted_but_decide_nothing() {
    let (counts, _) = run(|env| async move {
        let quorum = QuorumEvent::majority(&env, 5);
        answers(&env, &quorum, &[(1, Verdict::Accept); 3]);
        assert_eq!(quorum.wait("members").await, Outcome::Ready);
        quorum.vote(NodeId(4), Verdict::Reject);
        quorum.vote(NodeId(5), Verdict::Accept);
        quorum.vote(NodeId(5), Verdict::Reject);
        (quorum.accepts(), quorum.rejects(), quorum.to_string())
    });
    assert_eq!(counts, (4, 1, "4+1- of 3/5".to_owned()));
}

#[test]
fn a_value_wakes_everyone_whom_it_satisfies() {
    let ((), took) = run(|env| async move {
        let value = ValueEvent::new(&env, 0);
        let reached = Rc::new(Cell::new(0));
        for goal in 1..=3 {
            let (value, reached) = (value.clone(), Rc::clone(&reached));
            env.spawn(async move {
                value.wait("goal", move |now| *now >= goal).await;
                reached.set(reached.get() + 1);
            });
        }
        for step in 1..=3 {
            env.timeout("step", SECOND).await;
            assert_eq!(reached.get(), step - 1);
            value.set(step);
            env.yield_now().await;
        }
        assert_eq!(reached.get(), 3);
    });
    assert_eq!(took, 3 * SECOND);
}

#[test]
fn what_takes_too_long_is_given_up() {
    let (outputs, took) = run(|env| async move {
        let early = env
            .within("limit", SECOND, env.timeout("long", 5 * SECOND))
            .await;
        let in_time = env
            .within("limit", 5 * SECOND, env.timeout("short", SECOND))
            .await;
        (early, in_time)
    });
    assert_eq!((outputs, took), ((None, Some(())), 2 * SECOND));
}

#[test]
fn every_wait_is_counted_with_whom_it_depends_on() {
    let (counts, _) = run(|env| async move {
        let quorum = QuorumEvent::majority(&env, 3);
        answers(&env, &quorum, &[(1, Verdict::Accept); 3]);
        quorum.wait("members").await;
        // Already decided: no wait.
        quorum.wait("members").await;
        env.trace().counts()
    });
    let members = counts.iter().find(|wait| wait.label == "members").unwrap();
    assert_eq!(
        (members.on, members.count),
        (
            WaitsOn::Quorum {
                needed: 2,
                total: 3
            },
            1
        )
    );
    let work = counts.iter().find(|wait| wait.label == "work").unwrap();
    assert_eq!((work.on, work.count), (WaitsOn::Time, 3));
}
