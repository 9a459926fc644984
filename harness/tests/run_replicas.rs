//! Replicas of DepFast-Raft, started by hand: what they acknowledged survives kill -9 of the leader and of all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::recorded::{Recorded, job, start};
use common::replicas::{Group, PATIENCE};
use common::runs::Lab;
use depbench::agent::clock;
use targets::{DepfastRaft, TargetSpec};
use vocab::ids::Role;
use vocab::units::Span;
use workloads::DriverKind;

fn group(lab: &Lab) -> Group<'_> {
    Group::start(lab, "raft", TargetSpec::DepfastRaft(DepfastRaft::default()))
}

#[test]
fn no_acknowledged_write_is_lost() {
    let lab = Lab::new("kept");
    let mut group = group(&lab);
    group.holder(Role::Leader);
    let out = lab.path().join("load.jsonl");
    let job = job(DriverKind::Resp, group.clients(), Span::seconds(9));
    let load = start(job, &out);

    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let mut kills = Vec::new();
    for (leaders, seed) in [seed, seed.rotate_left(16)].into_iter().enumerate() {
        let moment = Duration::from_millis(500 + u64::from(seed % 1500));
        println!("leader {leaders} is killed after {moment:?}");
        std::thread::sleep(moment);
        let leader = group.holder(Role::Leader);
        group.kill(leader);
        kills.push(clock::now());
        assert!(!load.is_finished(), "the load ended before the kill");
        group.holder(Role::Leader);
        group.start_replica(leader);
    }
    load.join().unwrap().unwrap();
    let mut seen = Recorded::of(&out);
    println!(
        "{} writes acknowledged, {} after the second kill",
        seen.acknowledged(seen.start),
        seen.acknowledged(kills[1])
    );
    assert!(seen.acknowledged(kills[1]) > 0, "the group came back");
    // The last operations read every key once more.
    seen.assert_linearizable();

    for index in 0..3 {
        group.kill(index);
    }
    for index in 0..3 {
        group.start_replica(index);
    }
    seen.read_back(DriverKind::Resp, &group.clients(), PATIENCE);
    seen.assert_linearizable();
}

#[test]
fn in_a_session_no_request_fails_while_the_leader_changes() {
    let lab = Lab::new("once");
    let mut group = group(&lab);
    group.holder(Role::Leader);
    let out = lab.path().join("load.jsonl");
    let mut job = job(DriverKind::Resp, group.clients(), Span::seconds(6));
    job.workload.exactly_once = true;
    job.workload.timeout = PATIENCE.into();
    let load = start(job, &out);
    std::thread::sleep(Duration::from_millis(1500));
    let leader = group.holder(Role::Leader);
    group.kill(leader);
    load.join().unwrap().unwrap();

    let seen = Recorded::of(&out);
    println!("{:?}", seen.totals);
    assert!(
        seen.totals.ok > 100 && seen.totals.errors.is_empty(),
        "{:?}",
        seen.totals
    );
    seen.assert_linearizable();
}
