//! Runs that are killed or interrupted in the middle of a fault: nothing of ours is left, and the run can be completed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::live::{Live, kill_at_once};
use common::runs::{Ended, Lab, UNDONE_WITHIN};
use nix::sys::signal::Signal;
use results::{EventKind, Validity};

/// One trial takes seven seconds of load; three of them a follower is slow.
const EXPERIMENT: &str = "cluster: {local: {servers: 3, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 8, connections: 4}
phases: {warmup: 1s, baseline: 2s, fault: 3s, recovery: 1s}
faults:
  - name: slow
    type: {process.pause: {for: 300ms, period: 1s}}
    on: {role: follower}
";

fn trials(number: u32) -> String {
    format!("{EXPERIMENT}trials: {number}\n")
}

#[test]
fn the_controller_is_killed() {
    let lab = Lab::new("ctl");
    let mut run = lab.start(&trials(2));
    run.until("fault-effective", 2);
    let live = Live::find(&lab.state(), lab.name());
    kill_at_once(&[run.pid()]);
    run.end().expect_killed();
    lab.assert_clean_within(UNDONE_WITHIN);
    live.assert_all_gone();

    // The trial that was complete is there to be read.
    let report = lab.report();
    report
        .expect(0)
        .says(&["baseline", "recovery", "trial 2", "incomplete"]);
    let complete = lab.out().join("trials/depfast-raft/1/trial.json");
    let before = fs::read(&complete).unwrap();

    let resumed = lab.resume().end();
    resumed.says(&["2 trials, 1 of them still to do"]);
    lab.assert_sound(&resumed, 2);
    lab.assert_clean();
    assert_eq!(fs::read(&complete).unwrap(), before);
}

#[test]
fn agents_are_killed() {
    let lab = Lab::new("agent");
    let mut run = lab.start(&trials(3));
    let slow = run.until_slow();
    let live = Live::find(&lab.state(), lab.name());
    // The victim of the fault first, then the node on which all others hang.
    let central = if live.has("hub") { "hub" } else { "c1" };
    kill_at_once(&[live.agent(&slow)]);
    run.until(&format!("rebuilt node {slow}"), 1);
    run.until("fault-effective ", 2);
    let live = Live::find(&lab.state(), lab.name());
    kill_at_once(&[live.agent(central)]);

    // The run goes on with nodes made anew.
    let ended = run.end();
    lab.assert_clean();
    live.assert_all_gone();
    ended.expect(2).says(&[&format!("rebuilt node {central}")]);
    let validities = lab.validities();
    let trials = lab.results().trials().unwrap();
    for ((node, trial), validity) in [&slow, central].iter().zip(&trials).zip(&validities) {
        // How it ended is told if that is known at once: its guardian may be busy undoing.
        let expected = format!("node {node} lost its agent: it ended");
        let reason = validity.reason().unwrap_or_default();
        assert!(reason.starts_with(&expected), "{reason} {ended}");
        let mut lost = trial.events().unwrap();
        lost.retain(|event| event.kind == EventKind::AgentLost);
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].node.as_ref().unwrap().as_str(), *node);
        let measured = trial.intervals().unwrap();
        assert!(
            measured.iter().any(|row| row.ok > 0),
            "what was measured is kept"
        );
    }
    lab.assert_honest(&validities[2..], &ended);
}

#[test]
fn controller_and_agent_are_killed_at_once() {
    let lab = Lab::new("both");
    let mut run = lab.start(&trials(1));
    let slow = run.until_slow();
    let live = Live::find(&lab.state(), lab.name());
    kill_at_once(&[run.pid(), live.agent(&slow)]);
    run.end().expect_killed();
    lab.assert_clean_within(UNDONE_WITHIN);
    live.assert_all_gone();

    lab.report().expect(0).says(&["incomplete"]);
    let resumed = lab.resume().end();
    lab.assert_sound(&resumed, 1);
    lab.assert_clean();
}

#[test]
fn everybody_is_killed_and_heal_restores() {
    let lab = Lab::new("heal");
    let mut run = lab.start(&EXPERIMENT.replace("fault: 3s", "fault: 60s"));
    run.until_slow();
    let live = Live::find(&lab.state(), lab.name());
    // Another run is live meanwhile.
    let other = lab.neighbour("live");
    let mut other_run = other.start(&EXPERIMENT.replace("fault: 3s", "fault: 600s"));
    other_run.until_slow();
    let others = Live::find(&lab.state(), other.name());

    kill_at_once(&[&[run.pid()], &live.guardians[..], &live.agents()].concat());
    run.end().expect_killed();
    let left = lab.leftovers();
    let cgroup = if common::is_root() { "cgroup " } else { "" };
    for kind in ["/state/journal/", "/state/nodes/", cgroup] {
        let found = left.iter().any(|line| line.contains(kind));
        assert!(found, "no {kind} in {left:#?}");
    }

    let healed = lab.depbench(&["heal"]).end();
    healed
        .expect(0)
        .says(&["healed: t-heal-", "left alone: t-live-"]);
    lab.assert_clean_within(UNDONE_WITHIN);
    live.assert_all_gone();
    let again = lab.depbench(&["heal"]).end();
    again
        .expect(0)
        .says(&["left alone: t-live-", "nothing else to heal"]);

    // Nothing of the other run was touched.
    let still = Live::find(&lab.state(), other.name());
    assert_eq!(still.agents(), others.agents());
    assert!(!other_run.has_ended());
    other_run.signal(Signal::SIGINT);
    other_run.end().expect(130).says(&["everything was undone"]);
    other.assert_clean();
    let last = lab.depbench(&["heal"]).end();
    assert_eq!(last.expect(0).out, "nothing to heal\n");
}

#[test]
fn an_interrupted_run_undoes_everything_and_can_be_resumed() {
    let lab = Lab::new("int");
    let expect_interrupted = |ended: &Ended| {
        ended.expect(130).says(&[&format!(
            "Continue with: depbench run --resume {}",
            lab.out().display()
        )]);
        // At once: it ends when everything is undone.
        lab.assert_clean();
        assert_eq!(
            lab.validities()
                .iter()
                .filter(|one| **one == Validity::Valid)
                .count(),
            0
        );
    };
    let mut run = lab.start(&trials(1));
    run.until_slow();
    let second = lab.resume().end();
    second
        .expect(3)
        .says(&["cannot be resumed: a run is going on in it"]);
    run.signal(Signal::SIGINT);
    expect_interrupted(&run.end());

    let mut run = lab.resume();
    run.until_slow();
    run.signal(Signal::SIGTERM);
    expect_interrupted(&run.end());

    let ended = lab.resume().end();
    lab.assert_sound(&ended, 1);
    lab.assert_clean();
}

/// Nodes are half made then.
#[test]
fn a_run_that_is_interrupted_at_once_leaves_nothing() {
    let lab = Lab::new("early");
    let mut run = lab.start(&trials(1));
    run.until("1 trial", 1);
    while lab.leftovers().is_empty() {
        assert!(!run.has_ended(), "no node was made");
    }
    run.signal(Signal::SIGINT);
    let ended = run.end();
    ended.expect(130).says(&["everything was undone"]);
    lab.assert_clean();
    assert!(!lab.out().exists());
}
