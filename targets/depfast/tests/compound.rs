//! Events made of events, and quorums that share answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::{Link, Sim};
use depfast::trace::WaitsOn;
use depfast::{
    AndEvent, Endpoint, Env, NodeId, OrEvent, Outcome, QuorumEvent, Responder, Rpc, RpcError,
    Service, ValueEvent, Verdict,
};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(100);

/// Runs a coroutine to its end and returns its output and the whole seconds that it took.
fn run<T: 'static, F: Future<Output = T> + 'static>(main: impl FnOnce(Env) -> F) -> (T, u64) {
    let sim = Sim::new(1);
    let result = Rc::new(RefCell::new(None));
    let (slot, env) = (Rc::clone(&result), sim.env());
    let main = main(env.clone());
    env.clone().spawn(async move {
        let output = main.await;
        *slot.borrow_mut() = Some((output, (env.now() - depfast::Instant::START).as_secs()));
    });
    assert!(sim.run_until(1000 * SECOND, || result.borrow().is_some()));
    result.take().unwrap()
}

/// A quorum of one that accepts, or refuses, after some seconds.
fn after(env: &Env, seconds: u32, verdict: Verdict) -> QuorumEvent {
    let quorum = QuorumEvent::new(env, 1, 1);
    let (vote, timeout) = (quorum.clone(), env.timeout("work", SECOND * seconds));
    env.spawn(async move {
        timeout.await;
        vote.vote(NodeId(1), verdict);
    });
    quorum
}

#[test]
fn any_part_triggers_an_or_and_it_says_which() {
    use Verdict::{Accept, Reject};
    let or = |a: (u32, Verdict), b: (u32, Verdict)| {
        run(move |env| async move {
            let or = OrEvent::new(&env)
                .or(after(&env, a.0, a.1))
                .or(after(&env, b.0, b.1));
            let outcome = or.wait_for("either", 10 * SECOND).await;
            (outcome, or.fired())
        })
    };
    assert_eq!(or((5, Accept), (2, Accept)), ((Outcome::Ready, Some(1)), 2));
    assert_eq!(or((1, Reject), (2, Accept)), ((Outcome::Ready, Some(1)), 2));
    assert_eq!(or((3, Reject), (2, Reject)), ((Outcome::Fail, None), 3));
    assert_eq!(
        or((30, Accept), (20, Reject)),
        ((Outcome::Timeout, None), 10)
    );
}

#[test]
fn all_parts_trigger_an_and() {
    use Verdict::{Accept, Reject};
    let and = |a: (u32, Verdict), b: (u32, Verdict)| {
        run(move |env| async move {
            let parts = (after(&env, a.0, a.1), after(&env, b.0, b.1));
            let and = AndEvent::new(&env).and(&parts.0).and(&parts.1);
            and.wait_for("both", 10 * SECOND).await
        })
    };
    assert_eq!(and((5, Accept), (2, Accept)), (Outcome::Ready, 5));
    assert_eq!(and((5, Accept), (2, Reject)), (Outcome::Fail, 2));
    assert_eq!(and((1, Accept), (20, Accept)), (Outcome::Timeout, 10));
}

#[test]
fn compounds_nest_and_take_every_kind_of_event() {
    let (outcome, took) = run(|env| async move {
        let value = ValueEvent::new(&env, 0);
        let file = env.disk().open("file");
        let both = AndEvent::new(&env)
            .and(&file)
            .and(value.at_least(2))
            .and(env.timeout("earliest", SECOND));
        let nested = OrEvent::new(&env)
            .or(after(&env, 50, Verdict::Accept))
            .or(both);
        let changing = value.clone();
        let steps = env.clone();
        env.spawn(async move {
            for step in [1, 2] {
                steps.timeout("step", 2 * SECOND).await;
                changing.set(step);
            }
        });
        let outcome = nested.wait("nested").await;
        assert_eq!(nested.fired(), Some(1));
        drop(nested);
        file.wait("open").await.unwrap();
        outcome
    });
    assert_eq!((outcome, took), (Outcome::Ready, 4));
}

#[test]
fn conditions_come_and_go() {
    let ((), took) = run(|env| async move {
        let (a, b) = (ValueEvent::new(&env, 0), ValueEvent::new(&env, 0));
        let (one, other, steps) = (a.clone(), b.clone(), env.clone());
        env.spawn(async move {
            for (x, y) in [(1, 0), (0, 7), (0, 0), (0, 7), (1, 7)] {
                steps.timeout("step", SECOND).await;
                one.set(x);
                steps.yield_now().await;
                other.set(y);
            }
        });
        let both = AndEvent::new(&env).and(a.equals(1)).and(b.when(|b| *b > 5));
        assert_eq!(both.wait("both").await, Outcome::Ready);
        assert_eq!(
            b.equals(8).wait_for("never", SECOND).await,
            Outcome::Timeout
        );
    });
    assert_eq!(took, 6);
}

#[test]
fn a_compound_wait_is_traced_with_what_it_really_depends_on() {
    let (waits, _) = run(|env| async move {
        let quorum = after(&env, 1, Verdict::Accept);
        OrEvent::new(&env)
            .or(&quorum)
            .or(env.timeout("late", LONG))
            .wait("either")
            .await;
        let value = ValueEvent::new(&env, 0);
        let and = AndEvent::new(&env)
            .and(value.equals(1))
            .and(env.timeout("late", LONG));
        and.wait_for("both", SECOND).await;
        env.trace().counts()
    });
    let on = |label| {
        let mut found: Vec<_> = waits
            .iter()
            .filter(|it| it.label == label)
            .map(|it| it.on)
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        on("either"),
        [WaitsOn::Quorum {
            needed: 1,
            total: 1
        }]
    );
    assert_eq!(on("both"), [WaitsOn::Local, WaitsOn::Time]);
}

#[test]
fn a_fast_quorum_is_larger_than_a_majority() {
    let sim = Sim::new(1);
    let sizes = [1, 2, 3, 4, 5, 7, 9].map(|total| {
        let env = sim.env();
        (
            QuorumEvent::majority(&env, total).needed(),
            QuorumEvent::fast(&env, total).needed(),
        )
    });
    assert_eq!(
        sizes,
        [(1, 1), (2, 2), (2, 2), (3, 3), (3, 3), (4, 5), (5, 6)]
    );
}

/// Answers with its number.
struct Number(u8);

impl Service for Number {
    fn handle(&self, _from: NodeId, _method: u8, _body: Bytes, respond: Responder) {
        respond.send(vec![Bytes::from(vec![self.0])]);
    }
}

/// Four members that answer after 10, 20, 30, … milliseconds; member `silent` never does.
fn group(sim: &Sim, silent: Option<u8>) -> Vec<NodeId> {
    let members: Vec<_> = (1..=4).map(NodeId).collect();
    for (member, number) in members.iter().copied().zip(1u8..) {
        let delay = Duration::from_millis(u64::from(number) * 10);
        let loss = if silent == Some(number) { 1.0 } else { 0.0 };
        sim.set_link(
            NodeId(0),
            member,
            Link {
                delay: delay..delay,
                loss,
                duplication: 0.0,
            },
        );
        sim.start(member, move |env| async move {
            let rpc = Rpc::join(&env, endpoint(member, &[NodeId(0)]))
                .await
                .unwrap();
            rpc.serve(Rc::new(Number(number)));
            env.terminated().await;
        });
    }
    members
}

fn endpoint(me: NodeId, peers: &[NodeId]) -> Endpoint {
    Endpoint {
        me,
        listen: String::new(),
        peers: peers.iter().map(|peer| (*peer, String::new())).collect(),
        queue_bytes: 1 << 20,
    }
}

#[test]
fn one_answer_counts_in_several_quorums() {
    let sim = Sim::new(1);
    let members = group(&sim, None);
    let done = Rc::new(Cell::new(false));
    let finished = Rc::clone(&done);
    sim.start(NodeId(0), |env| async move {
        let rpc = Rpc::join(&env, endpoint(NodeId(0), &members))
            .await
            .unwrap();
        let (all_small, any) = (QuorumEvent::new(&env, 3, 4), QuorumEvent::new(&env, 3, 4));
        for member in members {
            let call = rpc.call(member, 1, Vec::new());
            all_small.watch(&call, |answer| match answer {
                Ok(number) if number[0] < 3 => Verdict::Accept,
                _ => Verdict::Reject,
            });
            any.add(call, |_| Verdict::Accept);
        }
        assert_eq!(any.wait("any").await, Outcome::Ready);
        assert_eq!(
            (any.accepts(), all_small.accepts(), all_small.rejects()),
            (3, 2, 1)
        );
        assert_eq!(all_small.verdict(NodeId(3)), Some(Verdict::Reject));
        assert_eq!(all_small.verdict(NodeId(4)), None);
        assert_eq!(all_small.wait("all small").await, Outcome::Fail);
        finished.set(true);
    });
    assert!(sim.run_until(SECOND, || done.get()));
}

#[test]
fn late_answers_are_awaited_for_a_while_and_then_released() {
    let sim = Sim::new(1);
    let members = group(&sim, Some(4));
    let done = Rc::new(Cell::new(false));
    let finished = Rc::clone(&done);
    sim.start(NodeId(0), |env| async move {
        let rpc = Rpc::join(&env, endpoint(NodeId(0), &members))
            .await
            .unwrap();
        let held = Rc::new(());
        let quorum = QuorumEvent::new(&env, 2, 4);
        let last = Rc::new(Cell::new(None));
        for member in members {
            let (held, last) = (Rc::clone(&held), Rc::clone(&last));
            let call = rpc.call(member, 1, Vec::new());
            quorum.add(call, move |answer| {
                last.set(Some(answer.as_ref().err().copied()));
                drop(held);
                answer.as_ref().map_or(Verdict::Reject, |_| Verdict::Accept)
            });
        }
        quorum.release(SECOND);
        assert_eq!(quorum.wait("two of four").await, Outcome::Ready);
        env.timeout("the third", SECOND / 2).await;
        assert_eq!((quorum.accepts(), Rc::strong_count(&held)), (3, 2));
        env.timeout("the release", SECOND).await;
        assert_eq!(
            Rc::strong_count(&held),
            1,
            "nothing is kept for the silent one"
        );
        assert_eq!(last.get(), Some(Some(RpcError::Released)));
        assert_eq!((quorum.accepts(), quorum.rejects()), (3, 1));

        // A later quorum with a shorter deferment does not wait for an earlier one with a longer.
        for seconds in [50, 1] {
            let quorum = QuorumEvent::new(&env, 1, 1);
            let held = Rc::clone(&held);
            quorum.add(rpc.call(NodeId(4), 1, Vec::new()), move |_| {
                drop(held);
                Verdict::Reject
            });
            quorum.vote(NodeId(9), Verdict::Accept);
            quorum.release(SECOND * seconds);
        }
        env.timeout("the second", 2 * SECOND).await;
        assert_eq!(Rc::strong_count(&held), 2);
        finished.set(true);
    });
    assert!(sim.run_until(20 * SECOND, || done.get()));
}
