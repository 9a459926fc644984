//! Pauses of real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Rig, busy, kind, shell, state, until_bit, value, wait_for};
use depbench_faults::{Effect, Fault, Probe, effect, residue};
use nix::sys::signal::Signal;
use node::procfs::ProcessTree;

#[test]
fn a_paused_server_is_stopped_with_its_children_and_goes_on() {
    let mut rig = Rig::bare();
    let server = rig.serve(shell("sleep 300 & while :; do :; done"));
    let tree = || ProcessTree::under(server.pid).unwrap().processes;
    wait_for("its child", || tree().len() == 2);
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
    for child in tree() {
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
    let during = until_bit(&mut fault, &before);
    assert_eq!(value(&during, Probe::ThrottledPeriods), 100.0);
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
