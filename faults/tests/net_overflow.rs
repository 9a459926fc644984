//! A delay that loses packets is no delay: the trial is invalid.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::time::Duration;

use common::{Rig, is_root, kind, value};
use depbench_faults::{Backend, Effect, Fault, Probe, effect};
use network::{Network, within};
use nix::sys::signal::{Signal, kill};
use node::facts::Answer;

/// More than the queue of a short delay has room for.
const FLOOD: u32 = 40_000;

#[test]
fn a_delay_whose_queue_overflows_is_told_from_one_that_bit() {
    if !is_root("a queue that overflows") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let mut context = rig.context_of_link(network.link_at_hub(1));
    context.facts.netem = Answer::No("not wanted here".to_owned());
    if let Some(reason) = context.facts.nfqueue.reason() {
        println!("skipped: {reason}");
        return;
    }
    let delay = kind("{net.delay: {delay: 5ms}}");
    let (mut fault, before, during) = within(&network.hub, || {
        let mut fault = Fault::prepare(&delay, &context).unwrap();
        assert_eq!(fault.backend(), Backend::DelayLine);
        let before = fault.probe().unwrap();
        fault.inject().unwrap();
        let during = fault.probe().unwrap();
        (fault, before, during)
    });
    assert_eq!(effect(&delay, &before, &during), Effect::Bit);

    // A line that is kept from its work, as by a machine that has none to spare: packets pile up before it.
    let line = rig.helpers()[0];
    kill(line, Signal::SIGSTOP).unwrap();
    let arrived = network.datagrams(FLOOD, 100, Duration::ZERO).len();
    kill(line, Signal::SIGCONT).unwrap();
    let during = within(&network.hub, || fault.probe().unwrap());
    let dropped = value(&during, Probe::DroppedPackets);
    println!("{arrived} arrived while the line stood, {dropped} were dropped");
    assert!(dropped > 0.0, "{during:?}");
    let effect = effect(&delay, &before, &during);
    let reason = effect.objection().unwrap_or_default();
    assert!(reason.contains("its queue had no room for"), "{effect}");
    assert!(matches!(effect, Effect::Impure { .. }), "{effect}");
    within(&network.hub, || fault.clear().unwrap());
    assert_eq!(rig.standing(), 0);
}
