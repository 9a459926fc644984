//! What can go wrong in the simulated world besides crashes: clocks, CPUs, one-way cuts, clients that are cut off.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use depfast::detect::{CpuDetector, Monitor};
use depfast::disk::Flush;
use depfast::sim::{ClockSkew, CpuSpeed, DiskFault, Link, Sim};
use depfast::{Endpoint, Env, Instant, NodeId, Responder, Rpc, Service};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

/// Answers every call with its body.
struct Echo;

impl Service for Echo {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        respond.send(vec![body]);
    }
}

async fn join(env: &Env, me: NodeId, other: NodeId) -> Rpc {
    let endpoint = Endpoint {
        me,
        listen: String::new(),
        peers: [(other, String::new())].into(),
        queue_bytes: 1 << 20,
    };
    let rpc = Rpc::join(env, endpoint).await.unwrap();
    rpc.serve(Rc::new(Echo));
    rpc
}

/// Starts node 2, and node 1 calling it once a millisecond; returns how many calls are answered.
fn echoes(sim: &Sim) -> Rc<Cell<u32>> {
    sim.start(TWO, |env| async move {
        let _rpc = join(&env, TWO, ONE).await;
        env.terminated().await;
    });
    let answered = Rc::new(Cell::new(0));
    let counter = Rc::clone(&answered);
    sim.start(ONE, |env| async move {
        let rpc = join(&env, ONE, TWO).await;
        loop {
            let counter = Rc::clone(&counter);
            let call = rpc.call(TWO, 1, Vec::new());
            call.observe(move |answer| counter.set(counter.get() + u32::from(answer.is_ok())));
            env.timeout("next", MILLI).await;
        }
    });
    answered
}

#[test]
fn a_clock_may_be_ahead_and_go_wrong_but_never_back() {
    let sim = Sim::new(1);
    sim.set_clock(
        ONE,
        ClockSkew {
            ahead: 100 * SECOND,
            rate: 2.0,
        },
    );
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let world = sim.clone();
    sim.start(ONE, |env| async move {
        loop {
            env.timeout("a second", SECOND).await;
            noted.borrow_mut().push((world.now(), env.now()));
        }
    });
    sim.run_for(SECOND * 2 + MILLI);
    assert_eq!(seen.borrow().len(), 4, "its seconds are short");
    assert!(seen.borrow()[0].1 >= Instant::START + 101 * SECOND);
    sim.set_clock(
        ONE,
        ClockSkew {
            ahead: Duration::ZERO,
            rate: 0.1,
        },
    );
    sim.run_for(20 * SECOND);
    let seen = seen.borrow();
    assert!((5..=6).contains(&seen.len()), "now they are long: {seen:?}");
    assert!(seen.is_sorted_by_key(|(_, local)| *local));
    assert!(
        seen.windows(2).all(|pair| pair[1].1 - pair[0].1 >= SECOND),
        "no timer is early"
    );
}

#[test]
fn a_slow_cpu_delays_what_a_node_does_and_its_detector_sees_it() {
    let count = |share| {
        let sim = Sim::new(1);
        let step = 100 * MILLI / 1000..100 * MILLI / 1000;
        sim.set_cpu(TWO, Some(CpuSpeed { step, share }));
        let answered = echoes(&sim);
        sim.run_for(SECOND);
        answered.get()
    };
    // A step is 0.1 ms, a message one step; at a hundredth of a CPU ten of them take 100 ms.
    assert!(count(1.0) > 950, "{}", count(1.0));
    assert!((80..=110).contains(&count(0.01)), "{}", count(0.01));

    let sim = Sim::new(1);
    let env = Rc::new(RefCell::new(None));
    let watched = Rc::clone(&env);
    sim.set_cpu(
        ONE,
        Some(CpuSpeed {
            step: MILLI..MILLI,
            share: 0.05,
        }),
    );
    sim.start(ONE, |env| async move {
        Monitor::start(&env, 100 * MILLI).register(CpuDetector::default());
        *watched.borrow_mut() = Some(env.clone());
        loop {
            env.yield_now().await;
        }
    });
    sim.run_for(2 * SECOND);
    let alerts = env.borrow().as_ref().unwrap().alerts().since(0);
    assert!((alerts[0].measured - 0.05).abs() < 0.001, "{}", alerts[0]);
}

#[test]
fn a_way_may_be_cut_in_one_direction() {
    let sim = Sim::new(1);
    let answered = echoes(&sim);
    let during = |change: &dyn Fn()| {
        change();
        sim.run_for(10 * MILLI);
        let before = answered.get();
        sim.run_for(SECOND);
        answered.get() - before
    };
    assert!(during(&|| ()) > 900);
    assert_eq!(during(&|| sim.cut(TWO, ONE)), 0, "answers do not come back");
    assert!(during(&|| sim.restore()) > 900);
    assert_eq!(during(&|| sim.cut(ONE, TWO)), 0, "calls do not arrive");
    assert_eq!(during(&|| sim.partition(&[ONE])), 0);
    assert!(during(&|| sim.restore()) > 900);
}

#[test]
fn clients_may_be_cut_off_and_go_on_later() {
    let sim = Sim::new(1);
    let client = NodeId(1000);
    sim.start(ONE, |env| async move {
        let listener = env.listen("server:1").await.unwrap();
        let stream = listener.accept().await.unwrap();
        let mut input = BytesMut::new();
        while stream.read(&mut input).await.unwrap() > 0 {
            stream.write_all(&input.split()).await.unwrap();
        }
    });
    sim.run_for(SECOND);
    let slow = Link {
        delay: MILLI..20 * MILLI,
        loss: 0.3,
        duplication: 0.3,
    };
    sim.set_link(client, ONE, slow);
    let stream = sim.connect_from(client, "server:1").unwrap();
    let (received, writer) = (Rc::new(RefCell::new(BytesMut::new())), stream.clone());
    let (arrived, env) = (Rc::clone(&received), sim.env());
    sim.env().spawn(async move {
        for number in 0..200u8 {
            writer.write_all(&[number]).await.unwrap();
            env.timeout("next", MILLI).await;
        }
    });
    sim.env().spawn(async move {
        let mut input = BytesMut::new();
        while stream.read(&mut input).await.unwrap() > 0 {
            arrived.borrow_mut().extend_from_slice(&input.split());
        }
    });
    sim.run_for(100 * MILLI);
    sim.cut(client, ONE);
    sim.run_for(MILLI);
    let before = received.borrow().len();
    assert!((1..150).contains(&before), "{before}");
    sim.run_for(10 * SECOND);
    assert!(
        received.borrow().len() <= before + 50,
        "only what had passed comes back"
    );
    assert!(sim.connect_from(client, "server:1").is_err());
    sim.restore();
    sim.run_for(SECOND);
    assert_eq!(received.borrow()[..], (0..200).collect::<Vec<u8>>()[..]);
}

/// Whether opening, reading, writing, flushing succeed under a fault that begins after a first write.
fn operations(fault: DiskFault) -> [bool; 4] {
    let sim = Sim::new(1);
    let found = Rc::new(Cell::new([false; 4]));
    let (result, world) = (Rc::clone(&found), sim.clone());
    sim.start(ONE, |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        let bytes = || vec![Bytes::from_static(b"bytes")];
        file.write(0, bytes(), Flush::Data)
            .wait("write")
            .await
            .unwrap();
        world.set_disk_fault(ONE, fault);
        result.set([
            env.disk().open("another").wait("open").await.is_ok(),
            file.read(0, 5).wait("read").await.is_ok(),
            file.write(0, bytes(), Flush::No)
                .wait("write")
                .await
                .is_ok(),
            file.write(0, bytes(), Flush::Data)
                .wait("flush")
                .await
                .is_ok(),
        ]);
    });
    sim.run_for(SECOND);
    found.get()
}

#[test]
fn every_kind_of_disk_call_can_fail() {
    assert_eq!(operations(DiskFault::None), [true; 4]);
    assert_eq!(operations(DiskFault::Dead), [false; 4]);
    assert_eq!(operations(DiskFault::Error), [true, true, false, false]);
    assert_eq!(operations(DiskFault::Unreadable), [true, false, true, true]);
    assert_eq!(operations(DiskFault::FlushFails), [true, true, true, false]);
}

#[test]
fn a_system_ends_with_its_first_handle() {
    let held = Rc::new(());
    let sim = Sim::new(1);
    let (kept, handle) = (Rc::clone(&held), sim.clone());
    sim.start(ONE, |env| async move {
        let _rpc = join(&env, ONE, TWO).await;
        env.timeout("for ever", 1_000_000 * SECOND).await;
        drop((kept, handle));
    });
    sim.run_for(SECOND);
    assert_eq!(Rc::strong_count(&held), 2);
    drop(sim);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn alerts_do_not_keep_their_node() {
    let sim = Sim::new(1);
    let trace = Rc::new(RefCell::new(Weak::new()));
    let seen = Rc::clone(&trace);
    sim.start(ONE, |env| async move {
        *seen.borrow_mut() = Rc::downgrade(&env.trace());
        env.alerts().wait_past("an alert", 0).await;
    });
    sim.run_for(SECOND);
    assert!(trace.borrow().strong_count() > 0);
    sim.crash(ONE);
    assert_eq!(trace.borrow().strong_count(), 0, "nothing else holds it");
}
