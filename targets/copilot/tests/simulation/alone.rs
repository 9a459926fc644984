//! What somebody left behind who is alone, or gone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use depfast::{Endpoint, Rpc, Stream};
use depfast_copilot::core::{Ballot, Index, Role, Standing};
use depfast_copilot::message::{PREPARE, Prepare, SNAPSHOT, SnapshotRequest};
use depfast_copilot::wire::Wire;
use resp::encode;

use crate::cluster::Cluster;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// Asks for one write after the other, whether they are answered or not.
fn ask_on_and_on(scene: &Scene, stream: Stream) {
    let env = scene.sim.env();
    scene.sim.env().spawn(async move {
        for number in 0u64.. {
            let mut out = BytesMut::new();
            encode::array(&mut out, 3);
            for word in ["SET", "alone", &number.to_string()] {
                encode::bulk(&mut out, word.as_bytes());
            }
            if stream.write_all(&out).await.is_err() {
                return;
            }
            env.timeout("think", millis(1)).await;
        }
    });
}

/// The decided entries of the pilot's log that have nothing in them.
fn noops(scene: &Scene) -> usize {
    scene.replica(FOLLOWER).inspect(|core, _| {
        let decided = Index::ZERO.until(core.log(Role::Pilot).committed());
        decided
            .filter_map(|index| core.decision(Role::Pilot, index))
            .filter(|commit| commit.choice.value.is_none())
            .count()
    })
}

/// A pilot that nobody hears proposes in vain. Once it is deposed it leaves those proposals alone: nobody has seen them, and
/// to have them decided would only be in its successor's way.
#[test]
fn what_a_pilot_proposed_alone_is_left_alone() {
    let scene = Scene::new(3);
    scene.sim.partition(&[PILOT]);
    for _ in 0..40 {
        let stream = scene.sim.connect(&Cluster::client_address(PILOT)).unwrap();
        ask_on_and_on(&scene, stream);
    }
    scene.run(Duration::from_secs(240));
    assert_eq!(scene.role(FOLLOWER), kv::Role::Pilot);
    let proposed: usize = scene.replica(PILOT).inspect(|core, _| {
        let votes = core.log(Role::Pilot).open();
        let votes = votes.filter_map(|entry| entry.vote.as_ref());
        votes.map(|vote| vote.value.batch.bytes().len()).sum()
    });
    assert!(proposed > 32 << 20, "{proposed} bytes in vain");
    assert!(proposed < 80 << 20, "{proposed} bytes: no end of them");
    scene.sim.partition(&[]);
    for _ in 0..20 {
        scene.ask(FOLLOWER, &["SET", "some", "1"]);
        scene.run(millis(100));
    }
    assert_eq!(noops(&scene), 0);
    assert_eq!(scene.role(PILOT), kv::Role::Follower);
    scene.check();
}

/// Somebody who speaks as the follower.
fn in_its_place() -> Endpoint {
    let peers = [PILOT, COPILOT].map(|id| (id, format!("{id}:7000")));
    Endpoint {
        me: FOLLOWER,
        listen: format!("{FOLLOWER}:7000"),
        peers: peers.into_iter().collect(),
        queue_bytes: 1 << 20,
    }
}

/// Somebody asks for an entry that the pilot has not got to, and is gone. The pilot's next one is after it, and has to wait for all
/// entries between them. Nobody but the pilot knows of any: its client asks nobody else.
#[test]
fn entries_that_somebody_only_asked_for_hold_up_nobody() {
    let scene = Scene::new(3);
    scene.cluster.crash(FOLLOWER);
    scene.sim.start(FOLLOWER, move |env| async move {
        let rpc = Rpc::join(&env, in_its_place()).await.unwrap();
        let asked = Prepare {
            role: Role::Pilot,
            index: Index(9),
            ballot: Ballot {
                view: Standing::first(PILOT).current,
                round: 1,
                proposer: FOLLOWER,
            },
        };
        let answer = rpc.call(PILOT, PREPARE, vec![asked.encode()]);
        answer.wait("a promise").await.unwrap();
    });
    scene.run(millis(100));
    scene.cluster.crash(FOLLOWER);
    let stream = scene.sim.connect(&Cluster::client_address(PILOT)).unwrap();
    let patience = Duration::from_secs(5);
    assert!(
        scene
            .ask_within(patience, &stream, &["DF.SESSION", "7"])
            .is_some()
    );
    scene.check();
}

/// A copy of the first request for a snapshot arrives when the pilot has executed more: the asker has the head of the first
/// moment, so the store must be of that moment, too.
#[test]
fn a_snapshot_is_of_one_moment() {
    let scene = Scene::new(3);
    let write = |key: &str| {
        let written = scene.ask(PILOT, &["SET", key, "1"]);
        assert_eq!(written.as_deref(), Some("OK"));
    };
    write("one");
    scene.cluster.crash(FOLLOWER);
    let pieces = Rc::new(RefCell::new(Vec::new()));
    let got = Rc::clone(&pieces);
    scene.sim.start(FOLLOWER, move |env| async move {
        let rpc = Rpc::join(&env, in_its_place()).await.unwrap();
        let ask = |piece| {
            let request = SnapshotRequest {
                attempt: 7,
                piece,
                applied: 0,
            };
            rpc.call(PILOT, SNAPSHOT, vec![request.encode()])
        };
        let head = ask(0).wait("the head").await.unwrap();
        got.borrow_mut().push(head);
        env.timeout("more writes", millis(200)).await;
        let again = ask(0);
        let again = env
            .within("a head", millis(200), again.wait("a head"))
            .await;
        assert!(again.is_none(), "the copy is answered");
        loop {
            let number = got.borrow().len() as u64;
            let piece = ask(number).wait("a piece").await.unwrap();
            got.borrow_mut().push(piece);
        }
    });
    scene.run(millis(100));
    assert_eq!(pieces.borrow().len(), 1);
    write("two");
    scene.run(millis(1000));
    let mut restoring = kv::Restoring::default();
    let pieces = pieces.borrow();
    let chunks = pieces[1..]
        .iter()
        .map(|piece| Option::<Bytes>::decode(piece.clone()).unwrap());
    for chunk in chunks.flatten() {
        restoring.take(&chunk).unwrap();
    }
    assert_eq!(restoring.finish().unwrap().len(), 1);
}
