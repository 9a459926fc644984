//! Delays on real packets between namespaces.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::{Rig, is_root, kind, until_gone, value};
use depbench_faults::{Backend, Effect, Fault, FaultContext, Probe, Wiring, effect};
use network::{Arrivals, Network, assert_no_chains, node_address, node_address_6, within};
use node::facts::Answer;

fn unwanted() -> Answer {
    Answer::No("not wanted here".to_owned())
}

/// A delay line for node 1 in the hub; `None` where there can be none.
fn in_the_hub(network: &Network, rig: &Rig) -> Option<FaultContext> {
    let mut context = rig.context_of_link(network.link_at_hub(1));
    context.facts.netem = unwanted();
    if let Some(reason) = context.facts.nfqueue.reason() {
        println!("delay line skipped: {reason}");
        return None;
    }
    Some(context)
}

/// A delay line on node 1 itself; `None` where there can be none.
fn on_the_node(network: &Network, rig: &Rig) -> Option<FaultContext> {
    let mut context = rig.context_of_link(network.link_at_node(1));
    context.facts.netem = unwanted();
    context.wiring = Wiring::Direct;
    if let Some(reason) = context.facts.tap.reason() {
        println!("tap skipped: {reason}");
        return None;
    }
    Some(context)
}

/// Delays what node 1 sends by 40 ms; every round trip with it grows by that, and nothing is lost.
fn delays_by_40_ms(
    network: &Network,
    rig: &Rig,
    context: &FaultContext,
    backend: Backend,
    to: IpAddr,
) {
    let delay = kind("{net.delay: {delay: 40ms}}");
    let undelayed = network.round_trip(to);
    let mut fault = Fault::prepare(&delay, context).unwrap();
    assert_eq!(fault.backend(), backend);
    let before = fault.probe().unwrap();
    let injected = fault.inject().unwrap();
    println!("{}", injected.detail);
    let delayed = network.round_trip(to);
    let during = fault.probe().unwrap();
    println!("round trip to {to}: {undelayed:.3} -> {delayed:.3} ms; {during:?}");
    // One way of the two is delayed, and never by less than was asked for.
    assert!((39.9..79.0).contains(&delayed), "{delayed}");
    assert!(value(&during, Probe::RoundTrip) >= 39.9);
    assert_eq!(effect(&delay, &before, &during), Effect::Bit);
    bulk(network);
    let loaded = fault.probe().unwrap();
    assert_eq!(value(&loaded, Probe::DroppedPackets), 0.0, "{loaded:?}");

    fault.clear().unwrap();
    fault.clear().unwrap();
    until_gone(&mut fault, &before);
    assert_eq!(rig.standing(), 0);
}

/// Sends some megabytes from the delayed node to the other over one connection, whole, and prints how fast.
fn bulk(network: &Network) {
    const SIZE: usize = 32 << 20;
    let listener = within(&network.nodes[0], || {
        TcpListener::bind("0.0.0.0:0").unwrap()
    });
    let to = (node_address(0), listener.local_addr().unwrap().port());
    let mut out = within(&network.nodes[1], || TcpStream::connect(to).unwrap());
    let (mut incoming, _) = listener.accept().unwrap();
    let sent: Vec<u8> = (0..SIZE as u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let expected = sent.clone();
    let start = Instant::now();
    let sender = std::thread::spawn(move || out.write_all(&sent).unwrap());
    let mut received = vec![0; SIZE];
    incoming.read_exact(&mut received).unwrap();
    sender.join().unwrap();
    assert!(received == expected, "the transfer was damaged");
    let rate = SIZE as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e6;
    println!("one TCP connection through the delay: {rate:.0} Mbit/s");
}

#[test]
fn the_delay_line_in_the_hub_delays_what_the_node_sends() {
    if !is_root("delay line") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let Some(context) = in_the_hub(&network, &rig) else {
        return;
    };
    let mut targets: Vec<IpAddr> = vec![node_address(1).into()];
    if network.add_version_6() {
        targets.push(node_address_6(1).into());
    }
    for target in targets {
        within(&network.hub, || {
            delays_by_40_ms(&network, &rig, &context, Backend::DelayLine, target);
        });
    }
    assert_no_chains(&network.hub);
}

#[test]
fn the_delay_line_on_the_node_delays_what_it_sends_itself() {
    if !is_root("tap") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let Some(context) = on_the_node(&network, &rig) else {
        return;
    };
    let mut targets: Vec<IpAddr> = vec![node_address(1).into()];
    if network.add_version_6() {
        targets.push(node_address_6(1).into());
    }
    for target in targets {
        within(&network.nodes[1], || {
            delays_by_40_ms(&network, &rig, &context, Backend::TapLine, target);
        });
    }
    let left = network::tc(&network.nodes[1], "qdisc show dev eth0");
    assert!(!left.contains("clsact"), "{left}");
}

#[test]
fn netem_delays_what_the_node_sends_where_the_kernel_has_it() {
    if !is_root("netem") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let context = rig.context_of_link(network.link_at_node(1));
    if let Some(reason) = context.facts.netem.reason() {
        println!("netem skipped: {reason}");
        return;
    }
    within(&network.nodes[1], || {
        let target = node_address(1).into();
        delays_by_40_ms(&network, &rig, &context, Backend::Netem, target);
    });
}

#[test]
fn jitter_keeps_the_order_unless_it_is_free() {
    if !is_root("jitter") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let Some(hub) = in_the_hub(&network, &rig) else {
        return;
    };
    let places = [
        (&network.hub, Some(hub)),
        (&network.nodes[1], on_the_node(&network, &rig)),
    ];
    for (namespace, context) in places {
        let Some(context) = context else { continue };
        for (order, distribution) in [("keep", "pareto"), ("free", "normal")] {
            let text = format!(
                "{{net.delay: {{delay: 20ms, jitter: 10ms, distribution: {distribution}, correlation: 20%, order: {order}}}}}"
            );
            let delay = kind(&text);
            let mut fault = within(namespace, || Fault::prepare(&delay, &context).unwrap());
            within(namespace, || fault.inject().unwrap());
            let arrived = network.datagrams(300, 100, Duration::from_millis(1));
            let arrivals = Arrivals::of(&arrived);
            println!("{} {delay}: {arrivals:?}", fault.backend());
            assert_eq!((arrivals.distinct, arrivals.again), (300, 0));
            // A busy kernel may let a few packets overtake on its own.
            let expected = if order == "free" { 40..300 } else { 0..10 };
            assert!(expected.contains(&arrivals.overtaken), "{arrivals:?}");
            within(namespace, || fault.clear().unwrap());
        }
    }
    assert_eq!(rig.standing(), 0);
}

#[test]
fn two_delays_on_one_link_add_up() {
    if !is_root("two delays") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let Some(context) = in_the_hub(&network, &rig) else {
        return;
    };
    within(&network.hub, || {
        let prepare = |text| Fault::prepare(&kind(text), &context).unwrap();
        let mut first = prepare("{net.delay: {delay: 30ms}}");
        let mut second = prepare("{net.delay: {delay: 50ms}}");
        first.inject().unwrap();
        second.inject().unwrap();
        let both = network.round_trip(node_address(1).into());
        assert!(both >= 79.9, "{both}");
        let third = prepare("{net.delay: {delay: 1ms}}").inject().unwrap_err();
        assert!(third.to_string().contains("no room for a third"), "{third}");
        first.clear().unwrap();
        let one = network.round_trip(node_address(1).into());
        assert!(one >= 49.9, "{one}");
        second.clear().unwrap();
    });
    assert_no_chains(&network.hub);
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_node_without_a_link_is_a_clear_error() {
    let rig = Rig::bare();
    let mut context = rig.context();
    context.facts.netem = Answer::Yes;
    let error = Fault::prepare(&kind("{net.delay: {delay: 40ms}}"), &context)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no link of its own"), "{error}");
}

/// Run by hand on a quiet machine: `cargo test -p depbench-faults --test net_delay -- --ignored --nocapture --test-threads=1`.
#[test]
#[ignore = "a measurement"]
fn delay_asked_for_and_got() {
    if !is_root("fidelity of net.delay") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let places = [
        (&network.hub, in_the_hub(&network, &rig)),
        (&network.nodes[1], on_the_node(&network, &rig)),
    ];
    for load in [0, 4] {
        let mut spinners: Vec<common::Server> = Vec::new();
        for _ in 0..load {
            spinners.push(common::Server(common::busy().spawn().unwrap()));
        }
        println!("beside {load} busy programs:");
        for (namespace, context) in &places {
            let Some(context) = context else { continue };
            for text in [
                "{net.delay: {delay: 1ms}}",
                "{net.delay: {delay: 40ms}}",
                "{net.delay: {delay: 400ms}}",
            ] {
                let measured = within(namespace, || common::measure(text, context));
                let [before, during] = measured.map(|readings| value(&readings, Probe::RoundTrip));
                println!("round trip {before:.3} -> {during:.3} ms");
            }
        }
    }
}
