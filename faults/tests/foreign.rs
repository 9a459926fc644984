//! What others have set with nft on a node stays as it is, and lets nothing through that is cut.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::process::Command;

use common::{Rig, is_root, kind, until_bit, until_gone};
use depbench_faults::{Fault, FaultContext};
use network::{Network, within};
use node::netns::NetNs;

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
