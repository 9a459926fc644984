//! Which packets a network fault touches, and whose things on the node it leaves alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use common::{Rig, is_root, kind, value};
use depbench_faults::{
    Backend, Connection, Effect, Fault, FaultContext, Flow, Injected, Peers, Probe, Reading, effect,
};
use network::{Network, hub_address, node_address, tc, within};
use node::facts::Answer;
use node::links::LinkName;
use node::netns::NetNs;

const RATE: &str = "{net.rate: {rate: 2MB/s, queue: 10s}}";

/// A rate on node 1's own link, where the kernel has token buckets.
fn rate_on_node_1(network: &Network, rig: &Rig, flow: Flow) -> Option<FaultContext> {
    let mut context = rig.context_of_link(network.link_at_node(1));
    context.flow = flow;
    if let Some(reason) = context.facts.tbf.reason() {
        println!("skipped: {reason}");
        return None;
    }
    Some(context)
}

fn inject(namespace: &NetNs, text: &str, context: &FaultContext) -> (Fault, Injected) {
    within(namespace, || {
        let mut fault = Fault::prepare(&kind(text), context).unwrap();
        let injected = fault.inject().unwrap();
        println!("{}: {}", injected.backend, injected.detail);
        (fault, injected)
    })
}

fn probe(namespace: &NetNs, fault: &mut Fault) -> Vec<Reading> {
    within(namespace, || fault.probe().unwrap())
}

fn clear(namespace: &NetNs, fault: &mut Fault) {
    within(namespace, || fault.clear().unwrap());
}

/// Packets of a burst from node 1 to node 0 that went the way of the fault, beside its own echoes.
fn hit(network: &Network, fault: &mut Fault) -> f64 {
    let node = &network.nodes[1];
    let passed = |fault: &mut Fault| value(&probe(node, fault), Probe::DelayedPackets);
    let before = passed(fault);
    assert_eq!(network.datagrams(100, 500, Duration::ZERO).len(), 100);
    // The second probe's own echoes are among them too.
    passed(fault) - before
}

fn only(address: impl Into<IpAddr>) -> Flow {
    Flow {
        peers: Peers::Only(vec![address.into()]),
        ..Flow::default()
    }
}

#[test]
fn a_link_to_one_peer_leaves_the_others_alone() {
    if !is_root("place") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let node = &network.nodes[1];
    let qdiscs = tc(node, "qdisc show dev eth0");
    for (flow, is_hit) in [
        (only(node_address(0)), true),
        (only(hub_address(1)), false),
        (
            Flow {
                exempt: vec![node_address(0).into()],
                ..Flow::default()
            },
            false,
        ),
    ] {
        let Some(context) = rate_on_node_1(&network, &rig, flow.clone()) else {
            return;
        };
        let (mut fault, injected) = inject(node, RATE, &context);
        assert!(injected.detail.contains("others pass by"));
        assert_eq!(hit(&network, &mut fault) >= 100.0, is_hit, "{flow}");
        clear(node, &mut fault);
        assert_eq!(tc(node, "qdisc show dev eth0"), qdiscs);
    }
    assert_eq!(rig.standing(), 0);
}

#[test]
fn the_way_that_control_travels_on_is_never_touched() {
    if !is_root("control") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let (node, other) = (&network.nodes[1], &network.nodes[0]);
    let [sshd, server] = [(); 2].map(|()| within(node, || TcpListener::bind("0.0.0.0:0").unwrap()));
    let connect = |listener: &TcpListener| {
        let to = (node_address(1), listener.local_addr().unwrap().port());
        let out = within(other, || TcpStream::connect(to).unwrap());
        (out, listener.accept().unwrap().0)
    };
    let (mut control, mut accepted) = connect(&sshd);
    let flow = Flow {
        control: vec![Connection {
            local: accepted.local_addr().unwrap(),
            remote: accepted.peer_addr().unwrap(),
        }],
        ..Flow::default()
    };
    let Some(context) = rate_on_node_1(&network, &rig, flow) else {
        return;
    };
    let (mut fault, _) = inject(node, RATE, &context);
    let before = value(&probe(node, &mut fault), Probe::DelayedPackets);
    let mut send = |out: &mut TcpStream, incoming: &mut TcpStream| {
        let sender = out.try_clone().unwrap();
        let writer = std::thread::spawn(move || (&sender).write_all(&[7; 1 << 20]).unwrap());
        incoming.read_exact(&mut vec![0; 1 << 20]).unwrap();
        writer.join().unwrap();
        value(&probe(node, &mut fault), Probe::DelayedPackets)
    };
    let after_control = send(&mut accepted, &mut control);
    // Echoes of the probe are all that went the way of the fault.
    assert!(after_control - before < 20.0, "{before} {after_control}");
    // Whoever comes later to heal.
    let (mut later, mut its_end) = connect(&sshd);
    let after_later = send(&mut its_end, &mut later);
    assert!(
        after_later - after_control < 20.0,
        "{after_control} {after_later}"
    );
    let (mut another, mut its_end) = connect(&server);
    assert!(send(&mut its_end, &mut another) > after_later + 20.0);
    clear(node, &mut fault);
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_chosen_root_qdisc_and_filters_of_others_stay_in_place() {
    if !is_root("foreign qdisc") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let Some(context) = rate_on_node_1(&network, &rig, Flow::default()) else {
        return;
    };
    let node = &network.nodes[1];
    tc(node, "qdisc add dev eth0 root handle 7: pfifo limit 5000");
    let state = || {
        let shown = ["qdisc show dev eth0", "filter show dev eth0 egress"];
        shown.map(|words| tc(node, words))
    };
    let alone = state();
    let (mut fault, injected) = inject(node, RATE, &context);
    assert!(injected.detail.contains("detour"), "{}", injected.detail);
    assert!(hit(&network, &mut fault) >= 100.0);
    let during = probe(node, &mut fault);
    assert_eq!(effect(&kind(RATE), &during, &during), Effect::Bit);
    clear(node, &mut fault);
    assert_eq!(state(), alone);

    // With filters of somebody's own, where ours would be as well.
    tc(node, "qdisc add dev eth0 clsact");
    tc(
        node,
        "filter add dev eth0 egress protocol ip pref 9 u32 match ip dst 10.1.2.3/32 flowid 1:1",
    );
    let alone = state();
    let (mut fault, _) = inject(node, RATE, &context);
    assert!(hit(&network, &mut fault) >= 100.0);
    clear(node, &mut fault);
    assert_eq!(state(), alone);
    assert_eq!(rig.standing(), 0);
    assert_no_links_of_ours(node);
}

#[test]
fn two_runs_on_one_node_do_not_disturb_each_other() {
    if !is_root("two runs") {
        return;
    }
    let (network, one, other) = (Network::new(), Rig::bare(), Rig::bare());
    let node = &network.nodes[1];
    let qdiscs = tc(node, "qdisc show dev eth0");
    let Some(context) = rate_on_node_1(&network, &one, Flow::default()) else {
        return;
    };
    let (mut first, _) = inject(node, RATE, &context);
    let context = rate_on_node_1(&network, &other, only(node_address(0))).unwrap();
    let (mut second, _) = inject(node, "{net.rate: {rate: 1MB/s, queue: 10s}}", &context);
    let (mut third, _) = inject(node, RATE, &context);
    assert!(hit(&network, &mut first) >= 100.0);
    assert!(hit(&network, &mut second) >= 100.0);
    clear(node, &mut third);
    clear(node, &mut first);
    assert_eq!(one.standing(), 0);
    assert!(hit(&network, &mut second) >= 100.0, "it outlives the other");
    clear(node, &mut second);
    assert_eq!(other.standing(), 0);
    assert_eq!(tc(node, "qdisc show dev eth0"), qdiscs);
    assert_no_links_of_ours(node);
}

fn assert_no_links_of_ours(namespace: &NetNs) {
    let links = within(namespace, || {
        std::fs::read_to_string("/proc/thread-self/net/dev")
    });
    let links = links.unwrap();
    assert!(!links.contains("db-"), "{links}");
}

#[test]
fn nothing_is_half_applied_where_the_kernel_refuses() {
    if !is_root("refusals") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let node = &network.nodes[1];
    let state = || {
        let shown = ["qdisc show", "filter show dev eth0 egress"];
        (
            shown.map(|words| tc(node, words)),
            within(node, || {
                std::fs::read_to_string("/proc/thread-self/net/dev")
                    .unwrap()
                    .lines()
                    .count()
            }),
        )
    };
    let alone = state();
    let mut context = rig.context_of_link(network.link_at_node(1));

    // A link that is not there.
    let missing: LinkName = "eth7".parse().unwrap();
    for backend in [Backend::Tbf, Backend::TapLine] {
        let mut context = context.clone();
        context.link.as_mut().unwrap().device = missing.clone();
        if backend == Backend::TapLine {
            (context.facts.tbf, context.facts.netem) = (no(), no());
            context.wiring = depbench_faults::Wiring::Direct;
        }
        let error = within(node, || {
            let mut fault = Fault::prepare(&kind(RATE), &context).unwrap();
            assert_eq!(fault.backend(), backend);
            fault.inject().unwrap_err().to_string()
        });
        assert!(error.contains("eth7"), "{error}");
        assert_eq!((rig.standing(), state()), (0, alone.clone()));
    }

    // A part that this kernel lacks, found out only at the last step.
    if context.facts.netem.reason().is_some() {
        context.facts.netem = Answer::Yes;
        context.flow = only(node_address(0));
        let loss = kind("{net.loss: {share: 5%}}");
        let error = within(node, || {
            let mut fault = Fault::prepare(&loss, &context).unwrap();
            fault.inject().unwrap_err().to_string()
        });
        assert!(error.contains("netem"), "{error}");
        assert_eq!((rig.standing(), state()), (0, alone));
    }
}

fn no() -> Answer {
    Answer::No("not wanted here".to_owned())
}
