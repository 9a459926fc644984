//! Clients that send every request to both pilots of DepFast-Copilot and take the first answer, while pilots die.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::recorded::{Recorded, job, start};
use common::replicas::{Group, PATIENCE};
use common::runs::Lab;
use depbench::agent::clock;
use targets::{DepfastCopilot, TargetSpec};
use vocab::ids::Role;
use vocab::units::Span;
use workloads::DriverKind;

const PILOTS: [Role; 2] = [Role::Pilot, Role::Copilot];

fn wait_for_pilots(group: &Group<'_>) {
    for role in PILOTS {
        group.holder(role);
    }
}

#[test]
fn no_request_fails_and_no_write_is_lost_when_pilots_die() {
    let lab = Lab::new("pilots");
    let target = TargetSpec::DepfastCopilot(DepfastCopilot::default());
    let mut group = Group::start(&lab, "copilot", target);
    wait_for_pilots(&group);
    let out = lab.path().join("load.jsonl");
    let mut job = job(DriverKind::Pilots, group.clients(), Span::seconds(15));
    job.workload.timeout = PATIENCE.into();
    let load = start(job, &out);

    let mut kills = Vec::new();
    for victim in PILOTS {
        std::thread::sleep(Duration::from_millis(1500));
        let pilot = group.holder(victim);
        group.kill(pilot);
        kills.push(clock::now());
        assert!(!load.is_finished(), "the load ended before the kill");
        wait_for_pilots(&group);
        group.start_replica(pilot);
    }
    load.join().unwrap().unwrap();
    let mut seen = Recorded::of(&out);
    println!("{:?}", seen.totals);
    assert!(
        seen.totals.ok > 100 && seen.totals.errors.is_empty(),
        "both pilots are asked, so that one can die unnoticed: {:?}",
        seen.totals
    );
    assert!(
        seen.acknowledged(kills[1]) > 0,
        "writes after the last kill"
    );
    seen.assert_linearizable();

    for index in 0..3 {
        group.kill(index);
    }
    // One does not come back.
    for index in 1..3 {
        group.start_replica(index);
    }
    seen.read_back(DriverKind::Pilots, &group.clients()[1..], PATIENCE);
    seen.assert_linearizable();
}
