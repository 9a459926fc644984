//! Pauses of real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Rig, busy, kind, shell, state, value};
use depbench_faults::{Effect, Fault, Probe, effect, residue};
use nix::sys::signal::Signal;

#[test]
fn a_paused_server_is_stopped_with_its_children_and_goes_on() {
    let mut rig = Rig::bare();
    let server = rig.serve(shell("sleep 300 & while :; do :; done"));
    std::thread::sleep(Duration::from_millis(100));
    let pause = kind("{process.pause: {}}");
    let mut fault = Fault::prepare(&pause, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    let injected = fault.inject().unwrap();
    assert_eq!(injected.detail, "2 server processes stopped");
    assert_eq!((state(server), rig.standing()), ('T', 2));
    let during = fault.probe().unwrap();
    assert_eq!(value(&during, Probe::StoppedProcesses), 2.0);
    assert_eq!(effect(&pause, &before, &during), Effect::Bit);

    fault.clear().unwrap();
    let after = fault.probe().unwrap();
    assert_eq!(residue(&pause, &before, &after), None);
    assert_eq!((state(server), rig.standing()), ('R', 0));
    let children = node::procfs::ProcessTree::under(server.pid)
        .unwrap()
        .processes;
    for child in children {
        if child.process != server {
            child.process.signal(Signal::SIGKILL).unwrap();
        }
    }
}

#[test]
fn repeated_pauses_take_their_part_of_the_time() {
    let mut rig = Rig::bare();
    let server = rig.serve(busy());
    let pause = kind("{process.pause: {for: 30ms, period: 40ms}}");
    let mut fault = Fault::prepare(&pause, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let during = fault.probe().unwrap();
    assert_eq!(value(&during, Probe::ThrottledPeriods), 100.0);
    assert_eq!(effect(&pause, &before, &during), Effect::Bit);
    drop(fault);
    assert_eq!((state(server), rig.standing()), ('R', 0));
}

#[test]
fn a_server_that_dies_during_the_fault_is_fail_stop() {
    let mut rig = Rig::bare();
    let server = rig.serve(busy());
    let pause = kind("{process.pause: {}}");
    let mut fault = Fault::prepare(&pause, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    server.signal(Signal::SIGKILL).unwrap();
    rig.servers[0].0.wait().unwrap();
    let during = fault.probe().unwrap();
    assert!(matches!(
        effect(&pause, &before, &during),
        Effect::FailStop { .. }
    ));
    fault.clear().unwrap();
    assert_eq!(rig.standing(), 0);
}
