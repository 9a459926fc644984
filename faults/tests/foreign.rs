//! What others have set with nft on a node stays as it is, and lets nothing through that is cut.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::process::Command;

use common::{Rig, is_root, kind, until_bit, until_gone};
use depbench_faults::{Fault, FaultContext, Wiring};
use network::{Network, within};
use node::netns::NetNs;
use node::tool::{Call, Program};

/// Rules of somebody's own, before and after where depbench has its.
const RULESET: &str = "\
table inet somebody {
    chain early { type filter hook prerouting priority -450; policy accept; meta l4proto { icmp, tcp, udp } accept; }
    chain forward { type filter hook forward priority 0; policy accept; ip saddr 10.99.1.2 accept; }
}";

/// What nft says in a namespace, or why it cannot.
fn nft(namespace: &NetNs, words: &[&str]) -> Result<String, String> {
    let run = || Command::new("nft").args(words).output();
    let output = within(namespace, run).map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn rules_set_with_nft_stay_as_they_are() {
    if !is_root("foreign nft rules") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let hub = &network.hub;
    if let Err(reason) = nft(hub, &[RULESET]) {
        println!("skipped: {reason}");
        return;
    }
    let state = || nft(hub, &["list", "table", "inet", "somebody"]).unwrap();
    let alone = state();
    assert!(alone.contains("10.99.1.2"), "{alone}");
    let context: FaultContext = rig.context_of_link(network.link_at_hub(1));
    for text in ["{net.partition: {}}", "{net.delay: {delay: 40ms}}"] {
        within(hub, || {
            let mut fault = Fault::prepare(&kind(text), &context).unwrap();
            let before = fault.probe().unwrap();
            println!("{}", fault.inject().unwrap().detail);
            until_bit(&mut fault, &before);
            assert_eq!(state(), alone, "{text}");
            fault.clear().unwrap();
            until_gone(&mut fault, &before);
        });
        assert_eq!(state(), alone, "{text}");
    }
    assert_eq!(rig.standing(), 0);
}

/// Of a machine, which stays when the fault is over.
#[test]
fn a_table_that_came_with_a_cut_goes_with_it_unless_somebody_uses_it() {
    if !is_root("tables of the packet filter") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let machine = &network.nodes[1];
    if let Err(reason) = nft(machine, &["list", "tables"]) {
        println!("skipped: {reason}");
        return;
    }
    let tables = || nft(machine, &["list", "tables"]).unwrap();
    let mut context = rig.context_of_link(network.link_at_node(1));
    context.wiring = Wiring::Direct;
    let cut = |meanwhile: &dyn Fn()| {
        let mut fault = within(machine, || {
            let mut fault = Fault::prepare(&kind("{net.partition: {}}"), &context).unwrap();
            fault.inject().unwrap();
            fault
        });
        meanwhile();
        within(machine, || fault.clear().unwrap());
        assert_eq!(rig.standing(), 0);
    };
    assert_eq!(tables(), "");
    cut(&|| println!("tables during the cut: {:?}", tables()));
    assert_eq!(tables(), "");

    // A rule of somebody else's that is made meanwhile.
    let rule = ["-t", "raw", "-A", "OUTPUT", "-d", "10.9.9.9", "-j", "DROP"];
    let call = Call::new(Program::Iptables).args(rule);
    cut(&|| within(machine, || call.run().map(drop).unwrap()));
    let shown = Call::new(Program::Iptables).args(["-t", "raw", "-S"]);
    let rules = || within(machine, || shown.run().unwrap());
    let alone = rules();
    assert!(
        alone.contains("10.9.9.9") && !alone.contains("DEPBENCH"),
        "{alone}"
    );

    // An empty one that was there before.
    let call = Call::new(Program::Iptables).args(["-t", "raw", "-F"]);
    within(machine, || call.run().unwrap());
    let before = tables();
    cut(&|| {});
    assert_eq!(tables(), before);
}
