//! Delays on real packets between namespaces.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::{Rig, is_root, kind, value};
use depbench_faults::{Backend, Effect, Fault, FaultLink, Probe, effect, residue};
use network::{Network, hub_address, node_address, node_link};
use node::netns::NetNs;
use node::tool::{Call, Program};

/// Median round trip of a few datagrams from node 0 to node 1 and back, in milliseconds.
fn round_trip(network: &Network) -> f64 {
    let server = in_namespace(&network.nodes[1], || {
        UdpSocket::bind("0.0.0.0:7000").unwrap()
    });
    let client = in_namespace(&network.nodes[0], || UdpSocket::bind("0.0.0.0:0").unwrap());
    client.connect((node_address(1), 7000)).unwrap();
    for socket in [&server, &client] {
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
    }
    let mut trips: Vec<f64> = (0..15)
        .map(|_| {
            let mut buffer = [0; 8];
            let start = Instant::now();
            client.send(b"?").unwrap();
            let (_, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(b"!", from).unwrap();
            client.recv(&mut buffer).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    trips.sort_by(f64::total_cmp);
    trips[trips.len() / 2]
}

/// The link of node 1 as the node sees it.
fn link_at_node() -> FaultLink {
    FaultLink {
        device: node_link(),
        peer: hub_address(1),
    }
}

fn in_namespace<T: Send>(namespace: &NetNs, work: impl FnOnce() -> T + Send) -> T {
    namespace.run(work).unwrap()
}

fn chains(namespace: &NetNs) -> String {
    let call = Call::new(Program::Iptables).args(["-w", "5", "-t", "mangle", "-S"]);
    in_namespace(namespace, || call.run().unwrap())
}

#[test]
fn the_delay_line_delays_what_the_node_sends_and_nothing_else() {
    if !is_root("delay line") {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let delay = kind("{net.delay: {delay: 40ms}}");
    let mut context = rig.context_of_link(network.link_at_hub(1));
    context.facts.netem = node::facts::Answer::No("not wanted here".to_owned());
    if let Some(reason) = context.facts.nfqueue.reason() {
        println!("delay line skipped: {reason}");
        return;
    }
    let undelayed = round_trip(&network);
    in_namespace(&network.hub, || {
        let mut fault = Fault::prepare(&delay, &context).unwrap();
        assert_eq!(fault.backend(), Backend::DelayLine);
        let before = fault.probe().unwrap();
        let injected = fault.inject().unwrap();
        println!("{}", injected.detail);
        // One way of the two is delayed.
        let delayed = round_trip(&network);
        let during = fault.probe().unwrap();
        println!(
            "delay line 40ms: udp round trip {undelayed:.3} -> {delayed:.3} ms, before {before:?} during {during:?}"
        );
        let gained = delayed - undelayed;
        assert!((39.9..=42.0).contains(&gained), "{gained}");
        let seen = value(&during, Probe::RoundTrip) - value(&before, Probe::RoundTrip);
        assert!((39.9..=42.0).contains(&seen), "{seen}");
        assert_eq!(value(&during, Probe::DroppedPackets), 0.0);
        assert_eq!(effect(&delay, &before, &during), Effect::Bit);
        bulk(&network);
        let loaded = fault.probe().unwrap();
        assert_eq!(value(&loaded, Probe::DroppedPackets), 0.0);
        println!("after a bulk transfer: {loaded:?}");

        fault.clear().unwrap();
        fault.clear().unwrap();
        let after = fault.probe().unwrap();
        assert_eq!(residue(&delay, &before, &after), None);
    });
    assert!(round_trip(&network) < 5.0);
    let left = chains(&network.hub);
    assert!(!left.contains("DEPBENCH"), "{left}");
    assert_eq!(rig.standing(), 0);
}

/// Sends some megabytes from the delayed node to the other over one connection, and prints how fast.
fn bulk(network: &Network) {
    const SIZE: usize = 32 << 20;
    let listener = in_namespace(&network.nodes[0], || {
        TcpListener::bind("0.0.0.0:7001").unwrap()
    });
    let mut out = in_namespace(&network.nodes[1], || {
        TcpStream::connect((node_address(0), 7001)).unwrap()
    });
    let (mut incoming, _) = listener.accept().unwrap();
    let start = Instant::now();
    let sender = std::thread::spawn(move || out.write_all(&vec![1; SIZE]).unwrap());
    let mut received = vec![0; SIZE];
    incoming.read_exact(&mut received).unwrap();
    sender.join().unwrap();
    let rate = SIZE as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e6;
    println!("one TCP connection through the delay: {rate:.0} Mbit/s");
}

#[test]
fn jitter_spreads_the_round_trips() {
    if !is_root("delay line with jitter") {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let delay = kind("{net.delay: {delay: 20ms, jitter: 10ms}}");
    let mut context = rig.context_of_link(network.link_at_hub(1));
    context.facts.netem = node::facts::Answer::No("not wanted here".to_owned());
    if context.facts.nfqueue.reason().is_some() {
        return;
    }
    in_namespace(&network.hub, || {
        let mut fault = Fault::prepare(&delay, &context).unwrap();
        fault.inject().unwrap();
        let median = round_trip(&network);
        assert!((10.0..=32.0).contains(&median), "{median}");
    });
    assert_eq!(rig.standing(), 0);
}

#[test]
fn netem_delays_what_the_node_sends_where_the_kernel_has_it() {
    if !is_root("netem") {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let delay = kind("{net.delay: {delay: 40ms}}");
    let context = rig.context_of_link(link_at_node());
    if let Some(reason) = context.facts.netem.reason() {
        println!("netem skipped: {reason}");
        return;
    }
    in_namespace(&network.nodes[1], || {
        let mut fault = Fault::prepare(&delay, &context).unwrap();
        assert_eq!(fault.backend(), Backend::Netem);
        let before = fault.probe().unwrap();
        fault.inject().unwrap();
        let during = fault.probe().unwrap();
        println!("netem 40ms: before {before:?} during {during:?}");
        assert_eq!(effect(&delay, &before, &during), Effect::Bit);
        fault.clear().unwrap();
    });
    assert!(round_trip(&network) < 5.0);
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_chosen_root_qdisc_is_never_replaced() {
    if !is_root("foreign qdisc") {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let mut context = rig.context_of_link(link_at_node());
    context.facts.netem = node::facts::Answer::Yes;
    in_namespace(&network.nodes[1], || {
        let tc = |arguments: &str| {
            Call::new(Program::Tc)
                .args(arguments.split(' '))
                .run()
                .unwrap()
        };
        tc("qdisc add dev eth0 root handle 7: pfifo limit 100");
        let mut fault = Fault::prepare(&kind("{net.delay: {delay: 40ms}}"), &context).unwrap();
        let error = fault.inject().unwrap_err().to_string();
        assert!(
            error.contains("pfifo") && error.contains("never replaces"),
            "{error}"
        );
        fault.clear().unwrap();
        assert!(tc("qdisc show dev eth0").contains("pfifo 7:"));
    });
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_node_without_a_link_is_a_clear_error() {
    let rig = Rig::bare();
    let mut context = rig.context();
    context.facts.netem = node::facts::Answer::Yes;
    let error = Fault::prepare(&kind("{net.delay: {delay: 40ms}}"), &context)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no link of its own"), "{error}");
}

/// Run by hand on a quiet machine: `cargo test -p depbench-faults -- --ignored --nocapture --test-threads=1`.
#[test]
#[ignore = "a measurement"]
fn delay_asked_for_and_got() {
    if !is_root("fidelity of net.delay") {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let mut context = rig.context_of_link(network.link_at_hub(1));
    context.facts.netem = node::facts::Answer::No("not wanted here".to_owned());
    for text in [
        "{net.delay: {delay: 1ms}}",
        "{net.delay: {delay: 40ms}}",
        "{net.delay: {delay: 400ms}}",
    ] {
        let measured = in_namespace(&network.hub, || common::measure(text, &context));
        let [before, during] = measured.map(|readings| value(&readings, Probe::RoundTrip));
        println!("round trip {before:.3} -> {during:.3} ms");
    }
}
